"""What waits or varies, behind four small interfaces: Clock, Net, Disk, and the Runtime that carries them.

Nothing in wal, pagestore, engine or server touches a socket, a file, the time or chance but through a `Runtime`.
Real implementations stand in `wal/real.py`, the simulator's in `tests/sim/`. Callbacks run on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Interrupted(BaseException):
    """Raised in the midst of an interrupted `Aside`, and by whoever awaits it."""


class Aside(Protocol):
    """A piece of long Python work."""

    async def run(self) -> Any:
        """What the work returns; or raises what it raises, or Interrupted. Once."""

    def interrupt(self) -> None:
        """End it; `run` raises at once."""

    def is_over(self) -> bool:
        """Nothing of it is left: it may go on for a while after it was interrupted."""


class Inline:
    """Work that is done at once."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work

    async def run(self) -> Any:
        """See Aside."""
        return self._work()

    def interrupt(self) -> None:
        """It is over, or has not begun."""

    def is_over(self) -> bool:
        """See Aside."""
        return True


# A longer message is a protocol error: the connection is closed.
MESSAGE_BYTES_MAX = 1 << 28


class Timer(Protocol):
    """What `Clock.call_later` answers."""

    def cancel(self) -> None:
        """Do not call. Harmless when it was called already."""


class Clock(Protocol):
    """Time. Durations are seconds."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes back."""

    def time(self) -> float:
        """Wall clock, seconds since 1970-01-01 UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait. 0 lets everything that is ready run first."""

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Call once, after `seconds`."""

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call once, in the next turn of the event loop."""


class ConnectionLost(ConnectionError):
    """The other side went away, could not be reached, or answered too late."""


class Connection(Protocol):
    """A duplex, ordered, lossy-at-the-end stream of whole messages."""

    @property
    def peer(self) -> str:
        """Address of the other side, for messages to people."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""

    @property
    def buffered(self) -> int:
        """Bytes that `send` took and the other side's kernel has not: grows when the peer is slow or dead."""

    @property
    def offered(self) -> Any:
        """What the other end, being in this process, has offered for direct use; None otherwise."""

    def offer(self, way: Any) -> None:
        """Offer something to the other end, if it is in this process."""

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Deliver messages from now on (earlier ones were kept). `on_close` is called exactly once, after the last."""

    def send(self, message: bytes) -> None:
        """Queue a message; never waits, never fails (a closed connection drops it: `on_close` tells)."""

    def close(self) -> None:
        """Send what is queued, then close. Idempotent."""

    def abort(self) -> None:
        """Close now, dropping what is queued. Idempotent."""


class Listener(Protocol):
    """What `Net.serve` answers."""

    @property
    def address(self) -> str:
        """The address that was bound (with the port that the system chose for port 0)."""

    def close(self) -> None:
        """Accept no more. Connections that exist stay."""


class Net(Protocol):
    """Message connections. An address is `host:port` in production and any name in process."""

    async def serve(self, address: str, accept: Callable[[Connection], None]) -> Listener:
        """Listen. `accept` must call `start` on the connection. OSError if the address can't be bound."""

    async def connect(self, address: str, timeout: float = 5.0) -> Connection:
        """Connect, or raise ConnectionLost."""


class File(Protocol):
    """One open file. Reads and writes are short and happen at once; only `sync` may take its time.

    Every method raises OSError as the system does: ENOSPC for a full disk, EIO for a broken one.
    """

    @property
    def path(self) -> str:
        """Path under the disk's root."""

    def size(self) -> int:
        """Length in bytes."""

    def pread(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes: fewer only at the end of the file."""

    def pwrite(self, offset: int, data: bytes) -> None:
        """Write all of `data`; on an error any part of it may have been written."""

    def truncate(self, length: int) -> None:
        """Cut to `length`, or extend with zeros (space is not reserved)."""

    def sync(self, done: Callable[[OSError | None], None]) -> None:
        """Make all writes so far durable, then call `done` on the loop's thread: possibly before this returns."""

    def sync_now(self) -> None:
        """The same, before it returns."""

    def close(self) -> None:
        """Close; unsynced writes stay unsynced."""


class Disk(Protocol):
    """A folder of files. Paths are relative, with `/`."""

    @property
    def durable(self) -> bool:
        """Whether syncs are made at all (fsync is on)."""

    @property
    def threaded(self) -> bool:
        """Whether these are the system's files, to which threads without Python may write by `full_path`."""

    def full_path(self, path: str) -> str:
        """A file's path for the system."""

    def open(self, path: str, *, create: bool = False, exclusive: bool = False) -> File:
        """Open for reading and writing. `create` makes it if absent, `exclusive` fails if it is there."""

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    def listdir(self, path: str = "") -> list[str]:
        """Names in a folder, sorted."""

    def mkdir(self, path: str) -> None:
        """Make a folder and its parents, durably. Harmless if there."""

    def rename(self, old: str, new: str) -> None:
        """Rename over whatever `new` was: atomic; durable after `sync_dir`."""

    def unlink(self, path: str) -> None:
        """Remove a file. Durable after `sync_dir`."""

    def sync_dir(self, path: str = "") -> None:
        """Make creations, renames and removals in a folder durable."""

    def sub(self, path: str) -> Disk:
        """The same disk, rooted at a folder (which is made)."""


@dataclass
class Runtime:
    """Everything a component may use to wait, to vary, or to reach the outside."""

    clock: Clock
    net: Net
    disk: Disk
    random: random.Random = field(default_factory=random.Random)
    # Runs a function that holds no GIL for long (a kernel call) off the loop; inline in the simulator.
    offload: Callable[..., Awaitable[Any]] = asyncio.to_thread
    # Makes a piece of Python work that takes long: off the loop, and can be interrupted; at once in the simulator.
    aside: Callable[[Callable[[], Any]], Aside] = Inline
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a task that this runtime keeps alive; its failure reaches the loop's exception handler."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def with_disk(self, disk: Disk) -> Runtime:
        """The same clock, net and chance over another disk."""
        return Runtime(self.clock, self.net, disk, self.random, self.offload, self.aside)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": f"task {task.get_name()} failed", "exception": error, "task": task}
            )


def write_atomic(disk: Disk, path: str, data: bytes) -> None:
    """Replace a file's whole content so that a crash leaves the old or the new, durably."""
    temporary = f"{path}.new"
    file = disk.open(temporary, create=True)
    try:
        file.truncate(0)
        file.pwrite(0, data)
        file.sync_now()
    finally:
        file.close()
    disk.rename(temporary, path)
    folder, _, _ = path.rpartition("/")
    disk.sync_dir(folder)


def read_all(disk: Disk, path: str) -> bytes:
    """A whole small file."""
    file = disk.open(path)
    try:
        return file.pread(0, file.size())
    finally:
        file.close()
