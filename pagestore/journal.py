"""The storage node's one journal: append, fdatasync, report. Whatever arrives during a sync goes out with the next one.

Files `journal/NNNNNNNNNN.log` are named by the sequence number of their first entry. A write or sync that fails loses nothing: the entries
stay pending and go to a new file, tried again until the disk takes them; meanwhile nothing is reported durable.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sixfold.kernel import _kernel
from sixfold.wal.runtime import Disk, File, Part, Runtime

FOLDER = "journal"
BATCH = 1
# A new file is begun after this many bytes.
FILE_BYTES = 8 << 20
# Space is written ahead in steps, since a sync that must also record a new file length costs half as much again.
RESERVE_BYTES = 1 << 20
_RETRY_SECONDS = 0.5
# The beginning of a batch's header: volume, epoch, group, prev, start, end.
_PLACE = struct.Struct("<8xQIIQQQ")
_ZEROS = bytes(RESERVE_BYTES)


@dataclass
class JournalFile:
    """What is known of one file."""

    path: str
    first: int
    size: int = 0
    # By (volume, group): the highest batch end in the file. It may go when layers and peers have all of these.
    ends: dict[tuple[int, int], int] = field(default_factory=dict)


@dataclass
class Write:
    """One group commit: its entries (a message and where the entry begins in it), and who wants to know that they are durable."""

    payloads: list[tuple[bytes, int]]
    done: list[Callable[[], None]]


class Journal:
    """Appends payloads and tells when they are durable, in order."""

    def __init__(self, runtime: Runtime, disk: Disk) -> None:
        self._runtime = runtime
        self._disk = disk
        self.files: list[JournalFile] = []
        self._file: File | None = None
        self._position = 0
        self._reserved = 0
        self._sequence = 1
        self._pending = Write([], [])
        self._pending_bytes = 0
        self._writing: Write | None = None
        self._scheduled = False
        self._closed = False
        self.before_write: Callable[[], Callable[[], None] | None] | None = None
        # The reason why nothing can be made durable at the moment; None when all is well.
        self.failure: OSError | None = None
        self.syncs = 0

    def recover(self) -> Iterator[bytes]:
        """All sound payloads of the files there are, oldest first; cuts torn tails off. Call once, before any append."""
        if not self._disk.exists(FOLDER):
            self._disk.mkdir(FOLDER)
        names = [name for name in self._disk.listdir(FOLDER) if name.endswith(".log")]
        for name in names:
            path = f"{FOLDER}/{name}"
            file = self._disk.open(path)
            try:
                data = file.pread(0, file.size())
                entries, end, _damaged = _kernel.journal_scan(data)
                if not entries:
                    continue
                # What lies behind the end was never acknowledged; it must not come back after a later, shorter write.
                file.truncate(end)
            finally:
                file.close()
            info = JournalFile(path, entries[0][1], end)
            self.files.append(info)
            self._sequence = max(self._sequence, entries[-1][1] + 1)
            for kind, _sequence, offset, length in entries:
                payload = data[offset : offset + length]
                if kind == BATCH:
                    self._note(info, payload)
                    yield payload
        known = {info.path for info in self.files}
        for name in names:
            if f"{FOLDER}/{name}" not in known:
                self._disk.unlink(f"{FOLDER}/{name}")

    @property
    def pending_bytes(self) -> int:
        """Bytes that are not written yet."""
        return self._pending_bytes

    @property
    def pending(self) -> list[bytes]:
        """Payloads that are not durable yet."""
        payloads = [*(self._writing.payloads if self._writing is not None else ()), *self._pending.payloads]
        return [message[offset:] for message, offset in payloads]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(info.size for info in self.files) + self._position

    def append(self, message: bytes, offset: int = 0) -> None:
        """Queue an entry, the message from `offset` on; it is written in the next turn of the loop, or after the sync under way."""
        self._pending.payloads.append((message, offset))
        self._pending_bytes += len(message)
        if not self._scheduled and self._writing is None:
            self._scheduled = True
            self._runtime.clock.call_soon(self._write)

    def when_durable(self, done: Callable[[], None]) -> None:
        """Call when everything appended so far is durable; at once if it is."""
        if not self._pending.payloads and self._writing is None:
            done()
        elif self._pending.payloads:
            self._pending.done.append(done)
        elif self._writing is not None:
            self._writing.done.append(done)

    async def barrier(self) -> None:
        """Wait until everything appended so far is durable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_durable(lambda: None if future.done() else future.set_result(None))
        await future

    def _note(self, info: JournalFile, message: bytes, offset: int = 0) -> None:
        volume, _epoch, group, _prev, _start, end = _PLACE.unpack_from(message, offset)
        key = (volume, group)
        if end > info.ends.get(key, 0):
            info.ends[key] = end

    def _write(self) -> None:
        self._scheduled = False
        if self._closed or not self._pending.payloads or self._writing is not None:
            return
        writing = self._pending
        self._pending = Write([], [])
        self._pending_bytes = 0
        self._writing = writing
        if self.before_write is not None and (durable := self.before_write()) is not None:
            writing.done.insert(0, durable)
        self._attempt()

    def _attempt(self) -> None:
        writing = self._writing
        if writing is None or self._closed:
            return
        parts: list[Part] = []
        size = 0
        headers = _kernel.journal_headers(BATCH, self._sequence, writing.payloads)
        for header, payload in zip(headers, writing.payloads, strict=True):
            parts += ((header, 0), payload)
            size += len(header) + len(payload[0]) - payload[1]
        try:
            file = self._current(size)
        except OSError as error:
            self._failed(error)
            return
        self.syncs += 1
        file.write_sync(self._position, parts, lambda error: self._synced(writing, size, error))

    def _current(self, size: int) -> File:
        if self._file is None or self._position >= FILE_BYTES:
            self._begin_file()
        assert self._file is not None
        if self._position + size > self._reserved and size < RESERVE_BYTES // 4:
            self._file.pwrite(self._reserved, _ZEROS)
            self._reserved += RESERVE_BYTES
        return self._file

    def _begin_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        path = f"{FOLDER}/{self._sequence:010d}.log"
        file = self._disk.open(path, create=True)
        try:
            file.truncate(0)
            self._disk.sync_dir(FOLDER)
        except OSError:
            file.close()
            raise
        self._file = file
        self._position = self._reserved = 0
        self.files.append(JournalFile(path, self._sequence))

    def _synced(self, writing: Write, size: int, error: OSError | None) -> None:
        if self._closed:
            return
        if error is not None:
            self._failed(error)
            return
        self.failure = None
        info = self.files[-1]
        self._position += size
        self._reserved = max(self._reserved, self._position)
        info.size = self._position
        self._sequence += len(writing.payloads)
        for message, offset in writing.payloads:
            self._note(info, message, offset)
        self._writing = None
        for done in writing.done:
            done()
        if self._pending.payloads and not self._scheduled:
            self._scheduled = True
            self._runtime.clock.call_soon(self._write)

    def _failed(self, error: OSError) -> None:
        # After a failed sync the file's unsynced bytes may be gone although a later sync succeeds: leave that file behind.
        self.failure = error
        if self._file is not None:
            try:
                self._file.truncate(self._position)
            except OSError:
                pass  # a scan stops at the torn entry, or finds it whole, which is as good
            self._file.close()
            self._file = None
            if self._position == 0:
                self.files.pop()
        self._runtime.clock.call_later(_RETRY_SECONDS, self._attempt)

    def trim(self, may_go: Callable[[int, int, int], bool]) -> None:
        """Remove old files all of whose (volume, group, end) may go. The newest file stays."""
        removed = False
        while len(self.files) > 1 and all(may_go(*key, end) for key, end in self.files[0].ends.items()):
            self._disk.unlink(self.files.pop(0).path)
            removed = True
        if removed:
            self._disk.sync_dir(FOLDER)

    def drop(self, info: JournalFile, is_frozen: Callable[[int, int, int], bool]) -> bool:
        """Remove a damaged file, which is not the newest, once layers have all (volume, group, end) of it."""
        if info not in self.files[:-1]:
            return True
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
        for info in self.files:
            if not any(v == volume and end > scls.get(group, 1 << 63) for (v, group), end in info.ends.items()):
                continue
            file = self._disk.open(info.path)
            try:
                data = file.pread(0, info.size)
            finally:
                file.close()
            for _kind, _sequence, offset, length in _kernel.journal_scan(data)[0]:
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
        self._closed = True
        if self._file is not None:
            self._file.close()
            self._file = None
