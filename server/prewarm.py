"""A warm cache after a restart: the numbers of the pages in it are written to a file now and then, and at a clean stop; whoever
starts next reads those pages behind everything else (Aurora's survivable cache warming, PostgreSQL's autoprewarm).

File: "6PW1", volume u64, pages u64 each, CRC32C of what stands before it u32; little-endian.
"""

from __future__ import annotations

import array
import asyncio
import struct
import sys
from collections.abc import Sequence

from sixfold.engine.database import Database
from sixfold.kernel._kernel import checksum
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import read_all, write_atomic

log = Logger("sixfold.server")

PATH = "cached.pages"
MAGIC = b"6PW1"
HEAD = struct.Struct("<4sQ")
TAIL = struct.Struct("<I")
SAVE_SECONDS = 300.0
# Pages that are read together, and how many such reads are under way. Storage nodes and the cache's own work on them is done in worker
# threads: what a read costs the event loop is a few callbacks, and what sessions wait for goes before it everywhere.
TOGETHER = 64
AT_ONCE = 2
# The cache is left this much room for what sessions ask for meanwhile.
FULL = 0.9


def swapped(pages: array.array[int]) -> array.array[int]:
    """Between this machine's byte order and little-endian."""
    if sys.byteorder == "big":
        pages.byteswap()
    return pages


class Prewarm:
    """Of one compute node. `begin` warms a database's cache; `save` remembers what is in it."""

    def __init__(self, volume: int) -> None:
        self._volume = volume
        self._database: Database | None = None
        # Pages that are still to be read.
        self._left: Sequence[int] = ()
        # How many are being read.
        self._under_way = 0

    def begin(self, database: Database) -> None:
        """From now on this database's cache. What is known: the cache of the one before, or what the file says."""
        self._left = self._load(database) if self._database is None else self._pages(self._database)
        self._database = database
        database.runtime.spawn(self._run(database), "cache warming")

    async def _run(self, database: Database) -> None:
        clock = database.runtime.clock
        await self._warm(database)
        while self._database is database:
            await clock.sleep(SAVE_SECONDS)
            if self._database is database:
                self.save()

    async def _warm(self, database: Database) -> None:
        await asyncio.gather(*(self._read(database) for _ in range(AT_ONCE)))

    async def _read(self, database: Database) -> None:
        while self._left and self._database is database:
            some, self._left = self._left[:TOGETHER], self._left[TOGETHER:]
            held, capacity = database.volume.cache_size
            if held + self._under_way + len(some) > capacity * FULL:
                self._left = ()
                return
            self._under_way += len(some)
            await database.waits.read_ahead(some)
            self._under_way -= len(some)

    def save(self) -> None:
        """Write what is in the cache, and what was still to come into it."""
        if self._database is None:
            return
        pages = self._pages(self._database)
        data = HEAD.pack(MAGIC, self._volume) + swapped(pages).tobytes()
        try:
            write_atomic(self._database.runtime.disk, PATH, data + TAIL.pack(checksum(data)))
        except OSError as error:
            log.warning("which pages the cache holds is not remembered", reason=str(error))

    def end(self) -> None:
        """A clean stop."""
        self.save()
        self._database = None

    def _pages(self, database: Database) -> array.array[int]:
        pages = swapped(array.array("Q", database.volume.cached_pages()))
        return array.array("Q", sorted({*pages, *self._left})) if self._left else pages

    def _load(self, database: Database) -> Sequence[int]:
        """Nothing when there is no file, or when it is damaged or another volume's."""
        disk = database.runtime.disk
        try:
            data = read_all(disk, PATH) if disk.exists(PATH) else b""
        except OSError:
            return ()
        body = data[: -TAIL.size]
        if len(body) < HEAD.size or (len(body) - HEAD.size) % 8 or TAIL.pack(checksum(body)) != data[len(body) :]:
            return ()
        magic, volume = HEAD.unpack_from(body)
        return swapped(array.array("Q", body[HEAD.size :])) if (magic, volume) == (MAGIC, self._volume) else ()
