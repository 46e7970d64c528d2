"""One client's session: SQL text or extended-protocol messages in, encoded protocol messages out.

The server owns sockets and framing; a `Session` owns everything that a statement can see or change. Each public method
is one protocol message that the kernel's Wire did not answer by itself. Methods never raise for a client's mistake: they
write an ErrorResponse to the client and follow the protocol's rules (skip until Sync, failed transaction).
"""

from __future__ import annotations

from typing import Protocol


class Client(Protocol):
    """What a session needs of the connection that it answers. Implemented by the server (and by tests)."""

    def send(self, data: bytes) -> None:
        """Queue encoded protocol messages for the client."""

    async def drain(self) -> None:
        """Wait until the client has taken enough that more may be queued; also where results wait for slow clients."""

    async def copy_data(self) -> bytes | None:
        """The next CopyData payload during COPY FROM STDIN; None after CopyDone.

        Raises `CopyFailed` for CopyFail and `ConnectionError` when the client went away."""


class CopyFailed(Exception):
    """The client gave up COPY FROM STDIN with this message."""


class Session:
    """See the module's docstring. Made by `Database.connect`, ended by `close`."""

    @property
    def id(self) -> int:
        """Backend pid as clients see it; with `secret` what a CancelRequest must name."""
        raise NotImplementedError

    @property
    def secret(self) -> int:
        raise NotImplementedError

    @property
    def status(self) -> bytes:
        """Transaction status for ReadyForQuery: b"I", b"T" or b"E"."""
        raise NotImplementedError

    def startup_parameters(self) -> dict[str, str]:
        """What ParameterStatus reports after authentication, in order."""
        raise NotImplementedError

    async def simple_query(self, text: str, client: Client) -> None:
        """Query: every statement of `text`, then ReadyForQuery."""
        raise NotImplementedError

    async def parse(self, name: str, text: str, param_oids: list[int], client: Client) -> None:
        raise NotImplementedError

    async def bind(
        self,
        portal: str,
        statement: str,
        param_formats: list[int],
        params: list[bytes | None],
        result_formats: list[int],
        client: Client,
    ) -> None:
        raise NotImplementedError

    async def describe(self, kind: str, name: str, client: Client) -> None:
        """`kind` is "S" (statement) or "P" (portal)."""
        raise NotImplementedError

    async def execute(self, portal: str, max_rows: int, client: Client) -> None:
        raise NotImplementedError

    async def close_object(self, kind: str, name: str, client: Client) -> None:
        raise NotImplementedError

    async def sync(self, client: Client) -> None:
        """End of an extended-protocol batch: commit the implicit transaction, ReadyForQuery."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Ask the running statement to end with 57014. Safe to call at any time, from the loop's thread."""
        raise NotImplementedError

    async def close(self) -> None:
        """Roll back, release locks, drop temporary objects. The session is unusable afterwards."""
        raise NotImplementedError
