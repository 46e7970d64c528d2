"""One client connection: bytes between its socket and the kernel's Wire.

A plain connection's bytes are carried by the kernel's `Reactor`, in threads of its own: what the kernel can answer by itself
is not seen here. What it can't is handed over (`handed`) to a task, the connection's driver, which takes the Wire's events one by one
until the Wire is idle again. A TLS connection is asyncio's, and its bytes go to the Wire inside `data_received`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

import structlog

from sixfold.engine.database import Database
from sixfold.engine.errors import SqlError
from sixfold.engine.session import Session, SessionEnded
from sixfold.kernel._kernel import KernelError, PanicException
from sixfold.server.login import Login, Refused
from sixfold.server.plain import PlainTransport
from sixfold.server.policy import Policy
from sixfold.wal.runtime import Runtime, Timer

if TYPE_CHECKING:
    from sixfold.kernel._kernel import Event, Reactor

log = structlog.get_logger("sixfold.server")

# Input that waits for a busy session; above this the socket is not read.
INPUT_BYTES_MAX = 1 << 20
# Output that the client has not taken; above this a statement's next rows wait.
OUTPUT_BYTES_MAX = 1 << 20
AUTHENTICATION_SECONDS = 60.0


class Durability(Protocol):
    """Where a connection waits for its commits without a task of its own."""

    def when_durable(self, lsn: int, callback: Callable[[], None]) -> None:
        """Call back once, as soon as everything up to `lsn` is durable."""

    def urge(self) -> None:
        """Somebody waits for what has been written so far."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back whenever VDL has risen."""


class Connection(asyncio.Protocol):
    """See the module's docstring. Implements engine's `Client`."""

    def __init__(
        self, database: Database, durability: Durability, policy: Policy, runtime: Runtime, members: set[Connection]
    ) -> None:
        self._database = database
        self._durability = durability
        self._policy = policy
        self._runtime = runtime
        self._members = members
        # Told when the reactor has nothing to do with the connection any more.
        self.left: Callable[[], None] = lambda: None
        # One of the two, or none: the connection is over.
        self._plain: PlainTransport | None = None
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._driver: asyncio.Task[None] | None = None
        self._login: Login | None = None
        self._login_timer: Timer | None = None
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._encrypted = False
        # A commit waits for its durability; `_commit_durable` goes on.
        self._parked = False
        self._half_closed = False
        self._last_input = 0

    # -- the reactor's side --------------------------------------------------------------------------------

    def accepted(self, reactor: Reactor, token: int, peer: tuple[str, int]) -> None:
        """A client has connected: serve it."""
        self._plain = PlainTransport(reactor, token, peer)
        self._members.add(self)
        self._session = self._database.accept(self)
        self._wire = self._session.wire
        self._login_timer = self._runtime.clock.call_later(AUTHENTICATION_SECONDS, self._login_late)
        reactor.attach(token, self._wire, self._session.kernel)

    def handed(self) -> None:
        """The reactor can't go on by itself."""
        event = self._wire.take_event()
        if event is None:
            event = self._wire.step()
            self._database.woken()
            self.wake()
        self._go_on(event)

    # -- asyncio's side ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=OUTPUT_BYTES_MAX)

    def data_received(self, data: bytes) -> None:
        if self._driver is not None or self._parked or self._ended:
            self._hold(data)
            return
        output, event = self._wire.exchange(data, self._note_input())
        if output and self._transport is not None:
            self._transport.write(output)
        self._database.woken()
        if event[0] != "idle":
            self._go_on(event)

    def _note_input(self) -> int:
        """The clock, also as the session's last sign of its client (idle time-outs)."""
        self._last_input = int(self._runtime.clock.time() * 1_000_000)
        return self._last_input

    def _go_on(self, event: Event) -> None:
        """What could not be answered at once: a commit is parked, all else gets a driver. (The reactor parks its own.)"""
        if self._plain is None and event[0] == "wait" and event[1][0] == "durable":
            self._parked = True
            self._durability.when_durable(event[1][1], self._commit_durable)
        else:
            self._driver = self._runtime.spawn(self._drive(event), "connection")

    def _commit_durable(self) -> None:
        self._parked = False
        event = self._wire.step()
        self.wake()
        self._database.woken()
        if self._ended:
            # The client left while its commit was on its way; only now the session may end.
            self._driver = self._runtime.spawn(self._close_session(), "connection-close")
        elif event[0] != "idle":
            self._go_on(event)
        elif self._inbox:
            self._resume()
        elif self._half_closed:
            self.close()

    def eof_received(self) -> bool:
        """A half-closed connection still gets the answers to what it sent; then it is closed."""
        self._half_closed = True
        if self._driver is not None:
            self._driver.add_done_callback(lambda _: self.close())
        return (self._driver is not None or self._parked) and not self._encrypted

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._transport = self._plain = None
        self._writable.set()
        self._members.discard(self)
        self._stop_login_timer()
        if self._session is not None and not self._parked:
            self._session.cancel()
            if self._driver is None:
                self._driver = self._runtime.spawn(self._close_session(), "connection-close")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- engine's Client -----------------------------------------------------------------------------------

    async def flush(self) -> None:
        """See `Client.flush`."""
        self.wake()
        await self._writable.wait()
        if self._ended:
            raise ConnectionError("the client has gone away")

    def wake(self) -> None:
        """See `Client.wake`."""
        if self._plain is not None:
            if self._plain.flush() > OUTPUT_BYTES_MAX:
                self._writable.clear()
            return
        output = self._wire.take_output()
        if output and self._transport is not None:
            self._transport.write(output)

    def close(self) -> None:
        """See `Client.close`. What the session said last, such as why it ends, still goes out."""
        if self._plain is not None:
            self._plain.close()
        elif self._transport is not None:
            if self._driver is None:
                self.wake()
            self._transport.close()

    def abort(self) -> None:
        """Close at once, for the server's own end."""
        if self._plain is not None:
            self._plain.abort()
        elif self._transport is not None:
            self._transport.abort()

    def busy(self) -> bool:
        """See `Client.busy`."""
        return self._parked or (self._plain is not None and self._plain.busy())

    def last_input(self) -> int:
        """See `Client.last_input`."""
        return self._plain.last_input() if self._plain is not None else self._last_input

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
        finally:
            self._driver = None
        if self._ended:
            await self._close_session()
        elif self._inbox:
            self._resume()

    def _resume(self) -> None:
        self.data_received(self._take_held())

    def _take_held(self) -> bytes:
        held, self._inbox, self._inbox_bytes = b"".join(self._inbox), [], 0
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return held

    async def _deal(self, event: Event) -> bool:
        """One event; False ends the connection."""
        kind = event[0]
        if kind == "terminate":
            return False
        if kind == "error":
            return not event[2]
        if kind == "drain":
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

    def _hold(self, data: bytes) -> None:
        self._inbox.append(data)
        self._inbox_bytes += len(data)
        if self._inbox_bytes > INPUT_BYTES_MAX and self._transport is not None:
            self._transport.pause_reading()

    def _feed_held(self) -> bool:
        """Go on with what has come meanwhile. False: there is nothing, and a plain connection is the reactor's again."""
        if self._plain is not None:
            now = self._note_input()
            held = self._plain.release(now)
            if held is None:
                return False
            self._wire.feed(held, now)
            return True
        if not self._inbox:
            return False
        self._wire.feed(self._take_held(), self._note_input())
        return True

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            self._database.woken()
        self._driver = None

    # -- before statements ---------------------------------------------------------------------------------

    async def _encrypt(self, kind: str) -> bool:
        tls = self._policy.tls if kind == "ssl" and not self._encrypted else None
        if tls is None or self._plain is None:
            self._wire.raw(b"N")
            self._wire.done()
            self.wake()
            return self._plain is not None or self._transport is not None
        context = await tls.context()
        self._wire.raw(b"S")
        self._wire.done()
        if self._wire.buffered or self._plain is None:
            # Bytes sent before the handshake could have been put there by someone in between (CVE-2021-23214).
            return False
        descriptor = self._plain.detach()
        self.left()
        self._plain = None
        if descriptor is None:
            self.connection_lost(None)
            return False
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        self._encrypted = True
        try:
            await loop.sock_sendall(sock, self._wire.take_output())
            await loop.connect_accepted_socket(lambda: self, sock, ssl=context)
        except (OSError, ConnectionError) as error:
            log.info("TLS handshake failed", reason=str(error))
            sock.close()
            self.connection_lost(error)
            return False
        return True

    async def _start_login(self, parameters: dict[str, str]) -> bool:
        self._login = Login(self._policy, parameters)
        return await self._step_login(None)

    async def _continue_login(self, body: bytes) -> bool:
        return await self._step_login(body)

    async def _step_login(self, body: bytes | None) -> bool:
        login, session = self._login, self._session
        assert login is not None
        assert session is not None
        try:
            done = await login.step(body, self._database, self._wire)
            if done:
                address, port = self._peer()
                await session.start(login.parameters, address, port)
                self._login = None
                self._stop_login_timer()
        except (Refused, SqlError, KernelError) as error:
            self._wire.error(error.code, error.message, severity="FATAL", detail=error.detail, hint=error.hint)
            self.wake()
            return False
        self.wake()
        return True

    def _peer(self) -> tuple[str | None, int | None]:
        transport = self._plain or self._transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else (None, None)

    def _login_late(self) -> None:
        log.info("authentication took too long")
        self.abort()

    def _stop_login_timer(self) -> None:
        if self._login_timer is not None:
            self._login_timer.cancel()
            self._login_timer = None
