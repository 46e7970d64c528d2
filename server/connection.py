"""One client connection, from its acceptance to its end.

Its bytes are carried by the kernel's `Reactor`, in threads of its own: what the kernel can answer by itself is not seen here. What it
can't is handed over (`handed`) to a task, the connection's driver, which takes the Wire's events one by one until the Wire is idle
again, and gives the connection back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sixfold.engine.database import Database
from sixfold.engine.errors import SqlError
from sixfold.engine.session import Session, SessionEnded
from sixfold.kernel._kernel import KernelError, LogStreams, PanicException
from sixfold.server.client_socket import ClientSocket
from sixfold.server.login import AUTHENTICATION_OK, Login, Refused
from sixfold.server.policy import Policy, Secured
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Runtime, Timer

if TYPE_CHECKING:
    from sixfold.kernel._kernel import Event, Reactor

log = Logger("sixfold.server")

# Output that the client has not taken; above this a statement's next rows wait.
OUTPUT_BYTES_MAX = 1 << 20


class Durability(Protocol):
    """The log, as the SQL port needs it."""

    def urge(self) -> None:
        """Somebody waits for what has been written so far."""

    @property
    def carrier(self) -> LogStreams | None:
        """The threads that carry the log, which tell of every rise of VDL; None: `subscribe`."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back whenever VDL has risen."""


class Connection:
    """See the module's docstring. Implements engine's `Client`."""

    def __init__(self, database: Database, policy: Policy, runtime: Runtime, members: set[Connection]) -> None:
        self._database = database
        self._policy = policy
        self._runtime = runtime
        self._members = members
        # None: the connection is over.
        self._socket: ClientSocket | None = None
        self._session: Session | None = None
        self._driver: asyncio.Task[None] | None = None
        self._login: Login | None = None
        self._login_timer: Timer | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._secured: Secured | None = None
        self._crowded = False

    # -- the reactor's side --------------------------------------------------------------------------------

    def accepted(self, reactor: Reactor, token: int, peer: tuple[str, int], *, crowded: bool) -> None:
        """A client has connected: serve it, or refuse it where there are too many."""
        self._crowded = crowded
        self._socket = ClientSocket(reactor, token, peer)
        self._members.add(self)
        self._session = self._database.accept(self)
        self._wire = self._session.wire
        seconds = self._database.number("authentication_timeout")
        self._login_timer = self._runtime.clock.call_later(seconds, self._login_late)
        reactor.attach(token, self._wire, self._session.kernel)

    def handed(self) -> None:
        """The reactor can't go on by itself."""
        event = self._wire.take_event()
        if event is None:
            event = self._wire.step()
            self._database.woken()
            self.wake()
        self._driver = self._runtime.spawn(self._drive(event), "connection")

    def drained(self) -> None:
        """The client has taken all output."""
        self._writable.set()

    def lost(self) -> None:
        """The connection is over, and what is left of the session is ours to end."""
        self._ended = True
        self._socket = None
        self._writable.set()
        self._members.discard(self)
        self._stop_login_timer()
        if self._session is not None:
            self._session.cancel()
            if self._driver is None:
                self._driver = self._runtime.spawn(self._close_session(), "connection-close")

    # -- engine's Client -----------------------------------------------------------------------------------

    async def flush(self) -> None:
        """See `Client.flush`."""
        self.wake()
        # A turn for others, also where the client keeps up with what it is sent; and who has gone away is told by the loop.
        await self._runtime.clock.sleep(0)
        await self._writable.wait()
        if self._ended:
            raise ConnectionError("the client has gone away")

    def wake(self) -> None:
        """See `Client.wake`."""
        if self._socket is not None and self._socket.flush() > OUTPUT_BYTES_MAX:
            self._writable.clear()

    def close(self) -> None:
        """See `Client.close`. What the session said last, such as why it ends, still goes out."""
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """Close at once, for the server's own end."""
        if self._socket is not None:
            self._socket.abort()

    def busy(self) -> bool:
        """See `Client.busy`."""
        return self._socket is not None and self._socket.busy()

    def last_input(self) -> int:
        """See `Client.last_input`."""
        return self._socket.last_input() if self._socket is not None else 0

    async def ended(self) -> None:
        """Wait for what the session still does after its connection was closed."""
        if self._driver is not None:
            await asyncio.wait([self._driver])

    # -- the driver ----------------------------------------------------------------------------------------

    async def _drive(self, event: Event) -> None:
        """Deal with events until the Wire is idle. Ends the session when the connection or the session has ended."""
        try:
            while not self._ended:
                if event[0] == "idle":
                    if self._session is not None:
                        self._session.deadline.disarm()
                    if not self._feed_held():
                        break
                elif not await self._deal(event):
                    self.close()
                    break
                event = self._wire.step()
                self._database.woken()
                self.wake()
        except (ConnectionError, SessionEnded):
            self.wake()
            self.close()
        except (Exception, PanicException):
            log.exception("a connection's driver failed; the connection is closed")
            self.abort()
            self._ended = True
        if self._ended:
            # It is the driver until that is over (`ended`).
            await self._close_session()
        else:
            self._driver = None

    async def _deal(self, event: Event) -> bool:
        """One event; False ends the connection."""
        kind = event[0]
        if kind == "terminate":
            return False
        if kind == "error":
            return not event[2]
        if kind == "drain":
            if self._session is not None:
                self._session.deadline.go_on()
            await self.flush()
            return True
        if kind in ("ssl", "gssenc"):
            return await self._encrypt(kind)
        if kind == "cancel":
            self._database.cancel(event[1], event[2])
            return False
        if kind == "startup":
            return await self._start_login(event[1])
        if kind == "password" and self._login is not None:
            return await self._continue_login(event[1])
        assert self._session is not None
        await self._session.handle(event)
        return True

    def _feed_held(self) -> bool:
        """Go on with what has come meanwhile. False: there is nothing, and the connection is the reactor's again."""
        if self._socket is None:
            return False
        now = int(self._runtime.clock.time() * 1_000_000)
        held = self._socket.release(now)
        if held is None:
            return False
        self._wire.feed(held, now)
        return True

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                await session.close()
                self._database.woken()
        finally:
            self._driver = None

    # -- before statements ---------------------------------------------------------------------------------

    async def _encrypt(self, kind: str) -> bool:
        secured = None
        if kind == "ssl" and self._policy.tls is not None and self._secured is None:
            try:
                secured = await self._policy.tls.config()
            except (OSError, ValueError) as error:
                log.error("there is no usable certificate; clients go on in plain, or refuse to", reason=str(error))
        if secured is None:
            self._wire.raw(b"N")
            self._wire.done()
            self.wake()
            return self._socket is not None
        self._wire.raw(b"S")
        try:
            self._wire.done()
        except KernelError:
            return False  # the session was told to end meanwhile
        if self._wire.buffered or self._socket is None:
            # Bytes sent before the handshake could have been put there by someone in between (CVE-2021-23214).
            return False
        self._secured = secured
        return self._socket.secure(secured.config)

    async def _start_login(self, parameters: dict[str, str]) -> bool:
        if self._crowded:
            self._wire.error("53300", "sorry, too many clients already", severity="FATAL", detail=None, hint=None)
            self.wake()
            return False
        self._login = Login(self._policy, parameters, self._secured.binding if self._secured is not None else None)
        return await self._step_login(None)

    async def _continue_login(self, body: bytes) -> bool:
        return await self._step_login(body)

    async def _step_login(self, body: bytes | None) -> bool:
        login, session = self._login, self._session
        assert login is not None
        assert session is not None
        done = False
        try:
            done = await login.step(body, self._database, self._wire)
            if done:
                session.encrypted = self._secured is not None
                address, port = self._socket.peer if self._socket is not None else (None, None)
                await session.start(login.parameters, address, port)
                self._login = None
                self._stop_login_timer()
        except (Refused, SqlError, KernelError) as error:
            if done:
                # As PostgreSQL: libpq would ask again without TLS if it were told before.
                self._wire.auth(AUTHENTICATION_OK, b"")
            self._wire.error(error.code, error.message, severity="FATAL", detail=error.detail, hint=error.hint)
            self.wake()
            return False
        self.wake()
        return True

    def _login_late(self) -> None:
        log.info("authentication took too long")
        self.abort()

    def _stop_login_timer(self) -> None:
        if self._login_timer is not None:
            self._login_timer.cancel()
            self._login_timer = None
