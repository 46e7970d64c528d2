"""A disk that loses what was not synced: at a crash every unsynced write is there, absent or torn, sector by sector."""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from sixfold.pagestore import manifest

if TYPE_CHECKING:
    from tests.sim.world import Host

SECTOR = 512


class Died(BaseException):
    """The process has ended in the middle of what it did: nothing of it runs on, no handler either."""


class Inode:
    """A file's content: what is on the platter, and what would be if nothing happened."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.data = bytearray()
        # (offset, bytes) or (length, None) for a truncation, since the last sync.
        self.unsynced: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        _write(self.data, offset, data)
        self.unsynced.append((offset, data))

    def truncate(self, length: int) -> None:
        _truncate(self.data, length)
        self.unsynced.append((length, None))

    def sync(self, count: int) -> None:
        """The first `count` unsynced operations are durable."""
        for at, data in self.unsynced[:count]:
            if data is None:
                _truncate(self.synced, at)
            else:
                _write(self.synced, at, data)
        del self.unsynced[:count]

    def crash(self, chance: random.Random, counts: Counter[str], everything: bool = False) -> None:
        for at, data in [] if everything else self.unsynced:
            if data is None:
                if chance.random() < 0.5:
                    _truncate(self.synced, at)
                continue
            style = chance.random()
            if style < 0.3:
                counts["an unsynced write is lost"] += 1
                continue
            if style < 0.6:
                _write(self.synced, at, data)
                counts["an unsynced write is kept"] += 1
                continue
            done = kept = 0
            while done < len(data):
                end = min(len(data), done + SECTOR - (at + done) % SECTOR)
                if chance.random() < 0.5:
                    _write(self.synced, at + done, data[done:end])
                    kept += end - done
                done = end
            counts["a write is torn"] += 0 < kept < len(data)
        self.unsynced.clear()
        self.data = bytearray(self.synced)


def _write(target: bytearray, offset: int, data: bytes) -> None:
    if len(target) < offset:
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


def _truncate(target: bytearray, length: int) -> None:
    if length < len(target):
        del target[length:]
    else:
        target.extend(bytes(length - len(target)))


class Platter:
    """One host's disk: it outlives the host's crashes."""

    def __init__(self) -> None:
        self.names: dict[str, Inode] = {}
        self.durable: dict[str, Inode] = {}
        self.folders: set[str] = {""}
        self.full = False
        self.broken_syncs = 0

    def crash(self, chance: random.Random, counts: Counter[str], everything: bool = False) -> None:
        """Unsynced writes are lost, kept or torn; or `everything` that is not synced is lost."""
        changed = sorted(
            path for path in {*self.names, *self.durable} if self.names.get(path) is not self.durable.get(path)
        )
        for path in changed:
            if everything or chance.random() < 0.5:
                counts["a folder's change is lost"] += 1
                continue
            if path in self.names:
                self.durable[path] = self.names[path]
            else:
                self.durable.pop(path, None)
        for _, inode in sorted({**self.names, **self.durable}.items()):
            inode.crash(chance, counts, everything)
        self.names = dict(self.durable)

    def flip_bit(self, chance: random.Random, suffix: str) -> str | None:
        """Bit rot in one durable file. Answers its path."""
        paths = sorted(path for path, inode in self.durable.items() if path.endswith(suffix) and inode.synced)
        if not paths:
            return None
        path = chance.choice(paths)
        inode = self.durable[path]
        at = chance.randrange(len(inode.synced))
        bit = 1 << chance.randrange(8)
        inode.synced[at] ^= bit
        if at < len(inode.data):
            inode.data[at] ^= bit
        return path


class SimFile:
    """See sixfold.wal.runtime.File."""

    def __init__(self, disk: SimDisk, path: str, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode
        self.path = path

    def size(self) -> int:
        return len(self._inode.data)

    def pread(self, offset: int, length: int) -> bytes:
        return bytes(self._inode.data[offset : offset + length])

    def pwrite(self, offset: int, data: bytes) -> None:
        self._disk.check()
        if self._disk.platter.full and offset + len(data) > len(self._inode.data):
            room = max(0, len(self._inode.data) - offset)
            self._inode.write(offset, data[:room])
            self._disk.host.world.counts["a disk is full"] += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        self._disk.host.world.traced(f"{self._disk.host.name} writes {self.path} at {offset}", data)
        self._inode.write(offset, bytes(data))

    def truncate(self, length: int) -> None:
        self._disk.check()
        self._inode.truncate(length)

    def sync(self, done: Callable[[OSError | None], None]) -> None:
        host = self._disk.host
        count = len(self._inode.unsynced)

        def finish() -> None:
            error = self._broken()
            if error is None:
                self._inode.sync(count)
            done(error)

        host.clock.call_later(host.world.sync_delay(host), finish)

    def sync_now(self) -> None:
        self._disk.check()
        error = self._broken()
        if error is not None:
            raise error
        self._inode.sync(len(self._inode.unsynced))

    def _broken(self) -> OSError | None:
        """What a failed sync leaves behind is anybody's guess, and later syncs report success."""
        host = self._disk.host
        if self._disk.platter.broken_syncs == 0:
            return None
        self._disk.platter.broken_syncs -= 1
        host.world.counts["a sync of the manifest fails" if self.path == manifest.PATH else "a sync fails"] += 1
        self._inode.crash(host.chance, host.world.counts)
        return OSError(errno.EIO, os.strerror(errno.EIO), self.path)

    def close(self) -> None:
        pass


class SimDisk:
    """See sixfold.wal.runtime.Disk. One per life of a host."""

    durable = True
    threaded = False

    def __init__(self, host: Host, platter: Platter, root: str = "") -> None:
        self.host = host
        self.platter = platter
        self._root = root
        self._life = host.life

    def check(self) -> None:
        """Before every operation: the host may die at it. The dead write nothing."""
        if self.host.life == self._life and self.host.step():
            raise Died
        if self.host.life != self._life:
            raise OSError(errno.EIO, "this process is dead")

    def _at(self, path: str) -> str:
        return "/".join(part for part in (self._root, path) if part)

    def full_path(self, path: str) -> str:
        raise OSError(errno.ENOTSUP, "the system knows nothing of these files")

    def open(self, path: str, *, create: bool = False, exclusive: bool = False) -> SimFile:
        self.check()
        full = self._at(path)
        inode = self.platter.names.get(full)
        if inode is not None and exclusive:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), full)
        if inode is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), full)
            if self.platter.full:
                self.host.world.counts["a disk is full"] += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), full)
            inode = self.platter.names[full] = Inode()
        return SimFile(self, path, inode)

    def exists(self, path: str) -> bool:
        full = self._at(path)
        return full in self.platter.names or full in self.platter.folders

    def listdir(self, path: str = "") -> list[str]:
        folder = self._at(path)
        prefix = f"{folder}/" if folder else ""
        found = {name[len(prefix) :].split("/")[0] for name in self.platter.names if name.startswith(prefix)}
        return sorted(found)

    def mkdir(self, path: str) -> None:
        self.check()
        self.platter.folders.add(self._at(path))

    def rename(self, old: str, new: str) -> None:
        self.check()
        self.platter.names[self._at(new)] = self.platter.names.pop(self._at(old))

    def unlink(self, path: str) -> None:
        self.check()
        del self.platter.names[self._at(path)]

    def sync_dir(self, path: str = "") -> None:
        self.check()
        folder = self._at(path)

        def inside(name: str) -> bool:
            return name.rpartition("/")[0] == folder

        for name in [name for name in self.platter.durable if inside(name) and name not in self.platter.names]:
            del self.platter.durable[name]
        for name, inode in self.platter.names.items():
            if inside(name):
                self.platter.durable[name] = inode

    def sub(self, path: str) -> SimDisk:
        self.mkdir(path)
        return SimDisk(self.host, self.platter, self._at(path))
