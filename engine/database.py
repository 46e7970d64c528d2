"""One per compute process: the volume, the catalogue's committed snapshot, the plan cache and the sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sixfold.kernel._kernel import Queries, Volume
from sixfold.wal.runtime import Runtime

from .session import Client, Login, Session


class PageReader(Protocol):
    """Where pages come from (pagestore's client)."""

    async def read(self, pages: Sequence[int], lsn: int) -> Sequence[bytes]:
        """Each page as it was at `lsn`."""


class Log(Protocol):
    """Where redo goes (wal's sender). On a reader: the tailer."""

    def kick(self) -> None:
        """The volume has redo to send (`volume.tail > volume.taken`)."""

    async def durable(self, lsn: int) -> None:
        """Wait until `volume.vdl >= lsn`."""


class Database:
    """Opened on a volume that is `prepare`d or fresh; `accept` makes sessions."""

    volume: Volume
    queries: Queries

    @classmethod
    async def open(
        cls, volume: Volume, pages: PageReader, log: Log, runtime: Runtime, *, superuser: str = "postgres", options: dict[str, str] | None = None
    ) -> Database:
        """Bootstraps the catalogue when the volume is new (a writer's). `options`: server-wide GUC defaults (`port`, …)."""
        raise NotImplementedError

    def accept(self, client: Client, *, startup: bool = True) -> Session:
        """A new connection; `session.wire` is ready to be fed. `startup=False`: already past authentication."""
        raise NotImplementedError

    async def login(self, user: str) -> Login | None:
        """The role, for authentication; None when there is none."""
        raise NotImplementedError

    def cancel(self, pid: int, secret: int) -> None:
        """CancelRequest: does nothing when pid or secret are wrong."""
        raise NotImplementedError

    def woken(self) -> None:
        """Resume sessions that `volume.take_woken` names. To be called after every `Wire.step`/`exchange` that the server makes
        and after `volume.set_vdl`; cheap."""
        raise NotImplementedError

    async def close(self) -> None:
        """End all sessions with 57P01."""
        raise NotImplementedError
