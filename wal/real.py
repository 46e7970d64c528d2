"""The real Clock, Net and Disk: asyncio (uvloop where it is installed), TCP, files with fdatasync.

`LocalNet` connects components of one process without sockets; `MixedNet` picks by address.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import os
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sixfold.wal import aside
from sixfold.wal.runtime import MESSAGE_BYTES_MAX, Connection, ConnectionLost, Listener, Runtime, Timer

try:
    import uvloop as _uvloop
except ImportError:  # not installed on this platform
    _uvloop = None  # type: ignore[assignment]

_LENGTH = struct.Struct("<I")
# A machine that is cut off says nothing: without these TCP waits a quarter of an hour for it, and, once it is back, as long again as it
# was away. A connection whose other side confirms nothing for so long is over, and whoever made it dials again.
SILENCE_SECONDS = 5
_LIVENESS = (
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 1000 * SILENCE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", SILENCE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", SILENCE_SECONDS),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
)


class RealClock:
    """The system's clock and the running event loop's timers."""

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def time(self) -> float:
        """See Clock."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """See Clock."""
        return asyncio.get_running_loop().call_later(seconds, callback, *args)

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        """See Clock."""
        asyncio.get_running_loop().call_soon(callback, *args)


class TcpConnection(asyncio.Protocol):
    """Messages framed by a little-endian u32 length."""

    offered = None

    def __init__(self, accept: Callable[[Connection], None] | None = None) -> None:
        self._accept = accept
        self._transport: asyncio.Transport | None = None
        self._partial = bytearray()
        self._early: deque[bytes] | None = deque()
        self._on_message: Callable[[bytes], None] | None = None
        self._on_close: Callable[[], None] | None = None
        self._lost = False
        self._told = False
        self.peer = "?"

    @property
    def closed(self) -> bool:
        """See Connection."""
        return self._lost or self._transport is None or self._transport.is_closing()

    @property
    def buffered(self) -> int:
        """See Connection."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """See Connection."""
        self._on_message = on_message
        self._on_close = on_close
        early, self._early = self._early, None
        while early:
            on_message(early.popleft())
        if self._lost:
            self._tell()

    def send(self, message: bytes) -> None:
        """See Connection."""
        if self._transport is not None and not self._lost:
            if len(message) < 16384:
                self._transport.write(_LENGTH.pack(len(message)) + message)
            else:
                self._transport.writelines((_LENGTH.pack(len(message)), message))

    def offer(self, way: Any) -> None:
        """See Connection."""

    def close(self) -> None:
        """See Connection."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """See Connection."""
        if self._transport is not None:
            self._transport.abort()

    def detach(self) -> tuple[socket.socket, bytes]:
        """The socket for somebody else, and what has been read of the message that comes next. This connection is over, and tells nobody."""
        assert self._transport is not None
        known = self._transport.get_extra_info("socket")
        found = socket.socket(known.family, known.type, known.proto, fileno=os.dup(known.fileno()))
        self._told = self._lost = True
        # It closes its own descriptor only.
        self._transport.abort()
        partial, self._partial = bytes(self._partial), bytearray()
        return found, partial

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for level, option, value in _LIVENESS:
                # Some of these names are Linux's only.
                if hasattr(socket, option):
                    sock.setsockopt(level, getattr(socket, option), value)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or "?")
        if self._accept is not None:
            self._accept(self)

    def data_received(self, data: bytes) -> None:
        """asyncio's callback."""
        if self._lost:
            return
        if self._partial:
            self._partial += data
            if len(self._partial) < 4:
                return
            (need,) = _LENGTH.unpack_from(self._partial)
            if len(self._partial) < need + 4 and need <= MESSAGE_BYTES_MAX:
                return
            data = bytes(self._partial)
            self._partial.clear()
        at, end = 0, len(data)
        while end - at >= 4:
            (length,) = _LENGTH.unpack_from(data, at)
            if length > MESSAGE_BYTES_MAX:
                self.abort()
                return
            if end - at - 4 < length:
                break
            message = data[at + 4 : at + 4 + length]
            at += 4 + length
            if self._early is not None:
                self._early.append(message)
            elif self._on_message is not None:
                self._on_message(message)
        if at < end:
            self._partial += data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's callback."""
        self._lost = True
        if self._on_close is not None:
            self._tell()

    def _tell(self) -> None:
        if not self._told and self._on_close is not None:
            self._told = True
            self._on_close()


class TcpListener:
    """A bound server socket."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        name = server.sockets[0].getsockname()
        self.address = f"{name[0]}:{name[1]}"

    def close(self) -> None:
        """See Listener."""
        self._server.close()


def split_address(address: str) -> tuple[str, int]:
    """`host:port` (an IPv6 host may stand in brackets) as its parts; ValueError says what is wrong."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'"{address}" is not an address of the form host:port')
    return host.strip("[]") or "127.0.0.1", int(port)


class TcpNet:
    """Net over TCP."""

    async def serve(self, address: str, accept: Callable[[Connection], None]) -> Listener:
        """See Net."""
        host, port = split_address(address)
        loop = asyncio.get_running_loop()
        return TcpListener(await loop.create_server(lambda: TcpConnection(accept), host, port))

    async def connect(self, address: str, timeout: float = 5.0) -> Connection:
        """See Net."""
        host, port = split_address(address)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport, connection = await loop.create_connection(TcpConnection, host, port)
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"could not connect to {address}: {error or 'timed out'}") from error
        if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
            # TCP connects a socket to itself when nobody listens and chance gave it that very port.
            transport.abort()
            raise ConnectionLost(f"could not connect to {address}: nobody listens")
        return connection


def hand_over(connection: TcpConnection, door: int) -> bytes:
    """Send a connection's socket through a kernel object's door; what has been read of the message that comes next."""
    sock, partial = connection.detach()
    with sock, socket.socket(fileno=os.dup(door)) as sender:
        socket.send_fds(sender, [b"\0"], [sock.fileno()])
    return partial


class LocalConnection:
    """One end of an in-process connection. Deliveries happen in the next turn of the loop, in order."""

    def __init__(self, net: LocalNet, peer: str) -> None:
        self._net = net
        self.peer = peer
        self.other: LocalConnection | None = None
        self.closed = False
        self.buffered = 0
        self.offered: Any = None
        self._early: list[bytes] | None = []
        self._on_message: Callable[[bytes], None] | None = None
        self._on_close: Callable[[], None] | None = None
        self._told = False

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """See Connection."""
        self._on_message = on_message
        self._on_close = on_close
        early, self._early = self._early, None
        for message in early or ():
            on_message(message)
        if self.closed:
            self._tell()

    def send(self, message: bytes) -> None:
        """See Connection."""
        if not self.closed and self.other is not None:
            self._net.post(self.other, message)

    def offer(self, way: Any) -> None:
        """See Connection."""
        if self.other is not None:
            self.other.offered = way

    def close(self) -> None:
        """See Connection."""
        if not self.closed:
            self.closed = True
            if self.other is not None:
                self._net.post(self.other, None)
            self._net.post(self, None)

    abort = close

    def deliver(self, message: bytes | None) -> None:
        """Called by the net; None is the end."""
        if message is None:
            self.closed = True
            if self._on_close is not None:
                self._tell()
        elif self._early is not None:
            self._early.append(message)
        elif self._on_message is not None and not self._told:
            self._on_message(message)

    def _tell(self) -> None:
        if not self._told and self._on_close is not None:
            self._told = True
            self._on_close()


class LocalListener:
    """A name that can be connected to."""

    def __init__(self, net: LocalNet, address: str) -> None:
        self._net = net
        self.address = address

    def close(self) -> None:
        """See Listener."""
        self._net.forget(self.address)


class LocalNet:
    """Net within one process: an address is any name."""

    def __init__(self) -> None:
        self._served: dict[str, Callable[[Connection], None]] = {}
        self._posts: deque[tuple[LocalConnection, bytes | None]] = deque()

    async def serve(self, address: str, accept: Callable[[Connection], None]) -> Listener:
        """See Net."""
        if address in self._served:
            raise OSError(errno.EADDRINUSE, f"{address} is served already")
        self._served[address] = accept
        return LocalListener(self, address)

    async def connect(self, address: str, timeout: float = 5.0) -> Connection:
        """See Net."""
        accept = self._served.get(address)
        if accept is None:
            raise ConnectionLost(f"could not connect to {address}: nothing serves it")
        here, there = LocalConnection(self, address), LocalConnection(self, "local")
        here.other, there.other = there, here
        accept(there)
        return here

    def serves(self, address: str) -> bool:
        """Whether somebody serves this name."""
        return address in self._served

    def forget(self, address: str) -> None:
        """Stop serving a name."""
        self._served.pop(address, None)

    def post(self, target: LocalConnection, message: bytes | None) -> None:
        """Deliver in the next turn of the loop; one turn delivers all that was posted before it."""
        if not self._posts:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._posts.append((target, message))

    def _deliver(self) -> None:
        posts, self._posts = self._posts, deque()
        loop = asyncio.get_running_loop()
        while posts:
            target, message = posts.popleft()
            try:
                target.deliver(message)
            except Exception as error:
                loop.call_exception_handler({"message": "receiver of a local message failed", "exception": error})


class MixedNet:
    """Names served in this process are reached directly; `host:port` goes over TCP."""

    def __init__(self) -> None:
        self.local = LocalNet()
        self.tcp = TcpNet()

    async def serve(self, address: str, accept: Callable[[Connection], None]) -> Listener:
        """See Net."""
        return await (self.tcp if ":" in address else self.local).serve(address, accept)

    async def connect(self, address: str, timeout: float = 5.0) -> Connection:
        """See Net."""
        return await (self.tcp if ":" in address else self.local).connect(address, timeout)


def _pwrite(fd: int, offset: int, data: bytes) -> None:
    """All of `data`, or OSError."""
    done = os.pwrite(fd, data, offset)
    while done < len(data):
        more = os.pwrite(fd, memoryview(data)[done:], offset + done)
        if more == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += more


def _failure(future: asyncio.Future[None]) -> OSError | None:
    if future.cancelled():
        return OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
    error = future.exception()
    if error is None or isinstance(error, OSError):
        return error
    raise error


class RealFile:
    """A file descriptor."""

    def __init__(self, fd: int, path: str, durable: bool) -> None:
        self._fd = fd
        self.path = path
        self._durable = durable

    def size(self) -> int:
        """See File."""
        return os.fstat(self._fd).st_size

    def pread(self, offset: int, length: int) -> bytes:
        """See File."""
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        parts = [data]
        got = len(data)
        while got < length and (data := os.pread(self._fd, length - got, offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def pwrite(self, offset: int, data: bytes) -> None:
        """See File."""
        _pwrite(self._fd, offset, data)

    def truncate(self, length: int) -> None:
        """See File."""
        os.ftruncate(self._fd, length)

    def sync(self, done: Callable[[OSError | None], None]) -> None:
        """See File."""
        if not self._durable:
            done(None)
            return
        syncing = asyncio.get_running_loop().run_in_executor(None, os.fdatasync, self._fd)
        syncing.add_done_callback(lambda future: done(_failure(future)))

    def sync_now(self) -> None:
        """See File."""
        if self._durable:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """See File."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RealDisk:
    """Files below a root. `durable=False` (fsync off) skips every sync."""

    threaded = True

    def __init__(self, root: str, *, durable: bool = True) -> None:
        self.root = root
        self.durable = durable
        os.makedirs(root, exist_ok=True)

    def full_path(self, path: str) -> str:
        """See Disk."""
        return self._at(path)

    def _at(self, path: str) -> str:
        return os.path.join(self.root, path) if path else self.root

    def open(self, path: str, *, create: bool = False, exclusive: bool = False) -> RealFile:
        """See Disk."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0) | (os.O_EXCL if exclusive else 0)
        return RealFile(os.open(self._at(path), flags, 0o600), path, self.durable)

    def exists(self, path: str) -> bool:
        """See Disk."""
        return os.path.exists(self._at(path))

    def listdir(self, path: str = "") -> list[str]:
        """See Disk."""
        return sorted(os.listdir(self._at(path)))

    def mkdir(self, path: str) -> None:
        """See Disk."""
        os.makedirs(self._at(path), exist_ok=True)
        self.sync_dir(path.rpartition("/")[0])

    def rename(self, old: str, new: str) -> None:
        """See Disk."""
        os.replace(self._at(old), self._at(new))

    def unlink(self, path: str) -> None:
        """See Disk."""
        os.unlink(self._at(path))

    def sync_dir(self, path: str = "") -> None:
        """See Disk."""
        if not self.durable:
            return
        fd = os.open(self._at(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sub(self, path: str) -> RealDisk:
        """See Disk."""
        self.mkdir(path)
        return self.below(path)

    def below(self, path: str) -> RealDisk:
        """The same for a folder that is known to be durable."""
        return RealDisk(self._at(path), durable=self.durable)


def real_runtime(root: str, *, durable: bool = True, workers: int = 4) -> Runtime:
    """A Runtime of the real world with its files below `root`."""
    pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="sixfold")

    async def offload(work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *args)

    disk = RealDisk(root, durable=durable)
    aside.prepare_process()
    return Runtime(RealClock(), MixedNet(), disk, random.Random(), offload, aside.Thread)


def run(main: Any) -> Any:
    """`asyncio.run` on uvloop where it is installed."""
    if _uvloop is None:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=_uvloop.new_event_loop) as runner:
        return runner.run(main)
