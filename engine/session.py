"""One client's session: everything that a statement can see or change.

A `Session` has the kernel's `Session` and the connection's `Wire`. The server feeds bytes to the wire, answers what comes before
authentication (SSLRequest, CancelRequest, startup, password) itself, then calls `start`; each later event that is not
`idle`, `drain` or `terminate` goes to `handle`, and then `Wire.step` again:

    event = wire.step()            # server's loop, after wire.feed(data, now)
    while event[0] not in ("idle", "terminate"):
        ...write wire.take_output()...
        await session.handle(event)
        event = wire.step()

`handle` never raises for a client's mistake. It raises `SessionEnded` when the connection must be closed after its output
has been written (FATAL).
"""

from __future__ import annotations

from typing import Any, Protocol

from sixfold.kernel._kernel import Event, Wire


class Client(Protocol):
    """What a session needs of the connection that it answers. Implemented by the server (and by `engine/embedded.py`)."""

    async def flush(self) -> None:
        """Write `wire.take_output()` to the socket and wait until the client has taken enough. ConnectionError when it is gone.
        During COPY FROM STDIN the server goes on feeding the wire; the engine does not read."""

    def wake(self) -> None:
        """Output has been put into the wire while the session is idle (a notification, a FATAL): write it, without waiting."""

    def close(self) -> None:
        """Close the connection after writing what the wire holds (session terminated by another one or by a time-out)."""


class SessionEnded(Exception):
    """The session has said FATAL; close the connection once its output is written."""


class Session:
    """Made by `Database.accept`; `start` after authentication; `close` at the end, always."""

    wire: Wire

    @property
    def pid(self) -> int:
        """Backend pid as clients see it; with `secret` what a CancelRequest must name."""
        raise NotImplementedError

    @property
    def secret(self) -> int:
        raise NotImplementedError

    async def start(self, parameters: dict[str, str], address: str | None = None, port: int | None = None) -> None:
        """After authentication: user, database, options and GUCs from the startup message; ends with `wire.started`.
        Raises SqlError (3D000 no such database, 28000 no such role or no login, 22023 bad option) to be sent as FATAL."""
        raise NotImplementedError

    async def handle(self, event: Event) -> None:
        """Deal with one event of the wire."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Ask the running statement to end with 57014. Safe at any time, from the loop's thread."""
        raise NotImplementedError

    async def close(self) -> None:
        """Roll back, release locks, drop temporary objects. Idempotent."""
        raise NotImplementedError


class Login:
    """What authentication needs of a role: `Database.login(name)`."""

    name: str
    can_login: bool
    superuser: bool
    # SCRAM-SHA-256 verifier as in pg_authid.rolpassword.
    verifier: str | None
    connection_limit: int
    valid_until: Any
