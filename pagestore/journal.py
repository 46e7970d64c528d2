"""The storage node's one journal: its files, and who writes to them. What is written is the kernel's `Intake`'s to say.

Where there are real files a `Lane` writes, a thread without Python; else (the simulator) the event loop does.

Files `journal/NNNNNNNNNN.log` are named by the sequence number of their first entry. A write or sync that fails loses nothing: the entries
stay pending and go to a new file, tried again until the disk takes them; meanwhile nothing is reported durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sixfold.kernel import _kernel
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Disk, File, Runtime

log = Logger("sixfold.pagestore")

FOLDER = "journal"
BATCH = 1
# A new file is begun after this many bytes.
FILE_BYTES = 8 << 20
# Space is written ahead in steps, since a sync that must also record a new file length costs half as much again.
RESERVE_BYTES = 1 << 20
# A node that can't make anything durable takes no more than this; gossip brings the rest later.
PENDING_BYTES_MAX = 64 << 20
_RETRY_SECONDS = 0.5
_PAUSE_SECONDS = 0.001
# The beginning of a batch's header: volume, epoch, group, prev, start, end.
_PLACE = struct.Struct("<8xQIIQQQ")
# What is given up where a disk has lost a sector.
_PIECE_BYTES = 4096


@dataclass
class JournalFile:
    """What is known of one file."""

    path: str
    first: int
    size: int = 0
    # By (volume, group): the highest batch end in the file. It may go when layers and peers have all of these.
    ends: dict[tuple[int, int], int] = field(default_factory=dict)


def _read_what_can_be(file: File) -> bytes:
    """A file's bytes; zeros, which hold no entry, where the disk does not give them back."""
    size = file.size()
    try:
        return file.pread(0, size)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    pieces = []
    for offset in range(0, size, _PIECE_BYTES):
        length = min(_PIECE_BYTES, size - offset)
        try:
            pieces.append(file.pread(offset, length))
        except OSError:
            pieces.append(bytes(length))
    return b"".join(pieces)


class Numbers:
    """The entries' numbers as they are read: which are missing, and whether those had been durable."""

    def __init__(self, first: int) -> None:
        self.next = first
        # [first, end) of what is missing.
        self.gaps: list[tuple[int, int]] = []
        self._begin = first

    def add(self, begin: int, number: int) -> None:
        """The next entry; what failed comes again under the same number."""
        self._begin = max(self._begin, begin)
        if number > self.next:
            self.gaps.append((self.next, number))
        elif number < self.next and self.gaps:
            rest = [part for a, b in self.gaps for part in ((a, min(b, number)), (max(a, number + 1), b))]
            self.gaps = [(first, end) for first, end in rest if first < end]
        self.next = max(self.next, number + 1)

    def news(self, known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Gaps that were not known."""
        return [(a, b) for a, b in self.gaps if not any(first <= a and b <= end for first, end in known)]

    def was_durable(self, gap: tuple[int, int]) -> bool:
        """The last write began when everything before it was durable."""
        return gap[0] < self._begin


class Journal:
    """Appends payloads and tells when they are durable, in order."""

    def __init__(self, runtime: Runtime, disk: Disk, name: str = "") -> None:
        self._runtime = runtime
        self._disk = disk
        self._name = name
        self.files: list[JournalFile] = []
        self.intake = _kernel.Intake(FILE_BYTES, RESERVE_BYTES, PENDING_BYTES_MAX)
        self._file: File | None = None
        # What is known of the file that is being written, which is the last of `files`.
        self._current: JournalFile | None = None
        self._scheduled = False
        self._closed = False
        self._retrying = False
        # How many want nothing to be written at the moment.
        self._pauses = 0
        # (how many entries must be durable, whom to tell), in order.
        self._barriers: deque[tuple[int, asyncio.Future[None]]] = deque()
        # Told (volume, message) with acknowledgements that are true now, where the lane has no way to the writer.
        self.on_acks: Callable[[int, bytes], None] = lambda volume, message: None
        # Told (volume, ticket) when the lane's link to a writer is over.
        self.on_left: Callable[[int, int], None] = lambda volume, ticket: None
        # Told when acknowledgements begin to wait for room in memory.
        self.on_holding: Callable[[], None] = lambda: None
        # The reason why nothing can be made durable at the moment; None when all is well.
        self.failure: OSError | None = None
        # What `recover` has found.
        self.numbers = Numbers(1)
        self.lane: _kernel.Lane | None = None
        if disk.threaded:
            self.lane = _kernel.Lane(name, self.intake, disk.durable, PENDING_BYTES_MAX)

    def start(self) -> None:
        """Begin to write, after `recover`."""
        if self.lane is not None:
            asyncio.get_running_loop().add_reader(self.lane.fileno(), self._look)

    def recover(self) -> Iterator[bytes]:
        """All sound payloads of the files there are, oldest first; cuts torn tails off. Call once, before any append."""
        if not self._disk.exists(FOLDER):
            self._disk.mkdir(FOLDER)
        names = [name for name in self._disk.listdir(FOLDER) if name.endswith(".log")]
        if names:
            self.numbers = Numbers(int(names[0].removesuffix(".log")))
        for name in names:
            path = f"{FOLDER}/{name}"
            try:
                file = self._disk.open(path)
            except FileNotFoundError:
                continue  # a node that stopped here a moment ago was removing it
            try:
                data = _read_what_can_be(file)
                entries, end, _damaged = _kernel.journal_scan(data)
                if not entries:
                    continue
                # What lies behind the end was never acknowledged; it must not come back after a later, shorter write.
                file.truncate(end)
            finally:
                file.close()
            info = JournalFile(path, entries[0][2], end)
            self.files.append(info)
            for kind, begin, sequence, offset, length in entries:
                self.numbers.add(begin, sequence)
                payload = data[offset : offset + length]
                if kind == BATCH:
                    self._note(info, payload)
                    yield payload
        self.intake.sequence = self.numbers.next
        known = {info.path for info in self.files}
        for name in names:
            if f"{FOLDER}/{name}" not in known:
                with contextlib.suppress(FileNotFoundError):
                    self._disk.unlink(f"{FOLDER}/{name}")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(info.size for info in self.files if info is not self._current) + self.intake.position

    @property
    def syncs(self) -> int:
        """Writes so far."""
        return self.intake.writes

    def append(self, batch: bytes) -> str | None:
        """Take a batch that gossip brought; see `Intake.accept`."""
        verdict = self.intake.accept(batch, False)
        self.wake()
        return verdict

    def wake(self) -> None:
        """There may be something to write: in the next turn of the loop, or after the sync under way."""
        if self.lane is not None:
            self.lane.kick()
        elif not self._scheduled:
            self._scheduled = True
            self._runtime.clock.call_soon(self._write)

    async def barrier(self) -> None:
        """Wait until everything accepted so far is durable."""
        target = self.intake.accepted
        if self.lane is not None:
            self.lane.watch(target)
        if self.intake.durable >= target:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._barriers.append((target, future))
        await future

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is written inside."""
        self._pauses += 1
        self.intake.pause(True)
        try:
            while self.intake.is_writing:
                await self._runtime.clock.sleep(_PAUSE_SECONDS)
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self.intake.pause(False)
                self.wake()

    def _note(self, info: JournalFile, message: bytes) -> None:
        volume, _epoch, group, _prev, _start, end = _PLACE.unpack_from(message)
        key = (volume, group)
        if end > info.ends.get(key, 0):
            info.ends[key] = end

    # -- written by the loop -------------------------------------------------------------------------------------

    def _write(self) -> None:
        self._scheduled = False
        if self._closed or not self.intake.has_work or (self.intake.wants_file and not self._begin_file()):
            return
        begun = self.intake.begin()
        if begun is None:
            return
        offset, data, reserve = begun
        assert self._file is not None
        try:
            if reserve is not None:
                self._file.pwrite(reserve[0], bytes(reserve[1]))
            self._file.pwrite(offset, data)
        except OSError as error:
            self._synced(error)
            return
        self._file.sync(self._synced)

    def _synced(self, error: OSError | None) -> None:
        if self._closed:
            return
        if error is not None:
            self.intake.failed()
            self._failed(error)
            return
        told, began_to_hold = self.intake.written()
        for volume, message in told:
            self.on_acks(volume, message)
        self._durable()
        if began_to_hold:
            self.on_holding()
        self.wake()

    # -- written by the lane -------------------------------------------------------------------------------------

    def _look(self) -> None:
        """The lane has something to say."""
        if self.lane is None or self._closed:
            return
        for kind, what in self.lane.take():
            if kind == "file":
                # It may have been asked for more than once.
                if self.intake.wants_file and self._begin_file():
                    self.lane.kick()
            elif kind == "failed":
                self._failed(what)
            elif kind == "durable":
                self._durable()
            elif kind == "holding":
                self.on_holding()
            elif kind == "told":
                self.on_acks(*what)
            elif kind == "left":
                self.on_left(*what)

    # -- both ----------------------------------------------------------------------------------------------------

    def _durable(self) -> None:
        """More is durable than before."""
        if self.failure is not None:
            self.failure = None
            log.info("the journal can be written again", node=self._name)
        barriers, durable = self._barriers, self.intake.durable
        while barriers and barriers[0][0] <= durable:
            future = barriers.popleft()[1]
            if not future.done():
                future.set_result(None)
        if barriers and self.lane is not None:
            self.lane.watch(barriers[0][0])
            if self.intake.durable > durable:
                self._durable()

    def _begin_file(self) -> bool:
        """A new file for what comes next. False: it is tried again later."""
        if self._retrying:
            return False
        if self._file is not None:
            self._file.close()
            self._file = None
        self._end_file()
        path = f"{FOLDER}/{self.intake.sequence:010d}.log"
        try:
            file = self._disk.open(path, create=True)
            try:
                # Not of an empty one: ext4 takes a truncation for a sign that closing is to write everything out.
                if file.size():
                    file.truncate(0)
                self._disk.sync_dir(FOLDER)
                if self.lane is not None:
                    self.lane.set_file(self._disk.full_path(path))
            except OSError:
                file.close()
                raise
        except OSError as error:
            self._failed(error)
            return False
        self._file = file
        self._current = JournalFile(path, self.intake.sequence)
        self.files.append(self._current)
        self.intake.set_file()
        return True

    def _end_file(self) -> None:
        """Keep what is known of the file that has been written so far."""
        if self._current is not None:
            self._current.size = self.intake.position
            self._current.ends = {(volume, group): end for volume, group, end in self.intake.take_ends()}
            self._current = None

    def _failed(self, error: OSError) -> None:
        if self.failure is None:
            log.error(
                "the journal can't be written; this is tried again until it can", node=self._name, reason=str(error)
            )
        # After a failed sync the file's unsynced bytes may be gone although a later sync succeeds: leave that file behind.
        self.failure = error
        if self.lane is not None:
            # Nobody else may wait to hear that it is over.
            self.lane.watch(self.intake.durable + 1)
        if self._file is not None:
            position = self.intake.position
            try:
                self._file.truncate(position)
            except OSError:
                pass  # a scan stops at the torn entry, or finds it whole, which is as good
            self._file.close()
            self._file = None
            self._end_file()
            if position == 0:
                self.files.pop()
        if not self._retrying:
            self._retrying = True
            self._runtime.clock.call_later(_RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        if not self._closed and self._begin_file():
            self.wake()

    async def trim(self, may_go: Callable[[int, int, int], bool]) -> None:
        """Remove old files all of whose (volume, group, end) may go. The newest file stays."""
        paths = []
        while len(self.files) > 1 and all(may_go(*key, end) for key, end in self.files[0].ends.items()):
            paths.append(self.files.pop(0).path)
        if paths:
            await self._runtime.offload(self._remove, paths)

    def _remove(self, paths: list[str]) -> None:
        """Not on the event loop: the file system may take long."""
        for path in paths:
            self._disk.unlink(path)
        self._disk.sync_dir(FOLDER)

    async def retire(self, info: JournalFile) -> None:
        """Begin a new file if this one is being written."""
        async with self.paused():
            if info is self._current and not self._closed:
                self._begin_file()

    def _look_at_current(self) -> None:
        """What is known of the file that is being written, as of now."""
        if self._current is not None:
            self._current.size = self.intake.position
            self._current.ends = {(number, group): end for number, group, end in self.intake.ends()}

    def known(self) -> list[JournalFile]:
        """All files, as of now."""
        self._look_at_current()
        return list(self.files)

    def drop(self, info: JournalFile, is_frozen: Callable[[int, int, int], bool]) -> bool:
        """Remove a damaged file once layers have all (volume, group, end) of it. False: not yet, or it is being written (`retire`)."""
        if info not in self.files:
            return True
        if info is self._current:
            return False
        if not all(is_frozen(*key, end) for key, end in info.ends.items()):
            return False
        self.files.remove(info)
        self._disk.unlink(info.path)
        self._disk.sync_dir(FOLDER)
        return True

    def scan_after(self, volume: int, scls: dict[int, int], max_bytes: int) -> list[bytes]:
        """Batches of a volume above the given SCLs, from the files: for a peer that lacks more than memory has."""
        found: list[bytes] = []
        size = 0
        for info in self.known():
            if not any(v == volume and end > scls.get(group, 1 << 63) for (v, group), end in info.ends.items()):
                continue
            file = self._disk.open(info.path)
            try:
                data = file.pread(0, info.size)
            finally:
                file.close()
            for _kind, _begin, _sequence, offset, length in _kernel.journal_scan(data)[0]:
                payload = data[offset : offset + length]
                group = int.from_bytes(payload[20:24], "little")
                if int.from_bytes(payload[8:16], "little") != volume or group not in scls:
                    continue
                if int.from_bytes(payload[40:48], "little") > scls[group]:
                    found.append(payload)
                    size += length
                    if size >= max_bytes:
                        return found
        return found

    def close(self) -> None:
        """Stop; what is not durable yet is dropped, as in a crash."""
        if self._closed:
            return
        self._closed = True
        if self.lane is not None:
            asyncio.get_running_loop().remove_reader(self.lane.fileno())
            self.lane.stop()
        if self._file is not None:
            self._file.close()
            self._file = None
