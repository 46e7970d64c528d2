"""One per compute process: the volume, the catalogue's committed snapshot, the plan cache and the sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session


class Database:
    """Opened on a recovered volume; `connect` makes sessions."""

    @classmethod
    async def open(cls, volume: Any, pages: Any, log: Any, *, clock: Any, disk: Any, read_only: bool = False) -> Database:
        """`volume`: the kernel's volume. `pages`: wal/pagestore's PageReader. `log`: what waits for durability
        (`await log.durable(lsn)`); None on a reader. Bootstraps the catalogue when the volume is new."""
        raise NotImplementedError

    def connect(self, user: str, database: str, options: dict[str, str], client_info: dict[str, str]) -> Session:
        """`options`: startup parameters (GUCs, application_name, options=-c …). Raises SqlError (3D000, 28000 …)."""
        raise NotImplementedError

    async def verifier(self, user: str) -> str | None:
        """The role's stored SCRAM verifier, for authentication; None when it has none or there is no such role."""
        raise NotImplementedError

    def cancel(self, pid: int, secret: int) -> None:
        """CancelRequest."""
        raise NotImplementedError

    async def close(self) -> None:
        """End all sessions with 57P01."""
        raise NotImplementedError
