"""The log path by itself, on raw redo: does a commit cost more with many protection groups, a page read more after many records?"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time

import msgspec

from sixfold.pagestore.client import LogPump, LogSender, start_pump
from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.pagestore.reader import PageReader
from sixfold.wal.real import real_runtime, run
from sixfold.wal.recovery import Recovery
from tests.raw import RawVolume


class Log:
    """Six nodes in this process, fsync off (the disk is not what is compared), and a writer of raw pages."""

    def __init__(self, folder: str, pages_per_group: int) -> None:
        self.nodes = EmbeddedNodes(real_runtime(folder, durable=False))
        self.config = msgspec.structs.replace(self.nodes.config, pages_per_group=pages_per_group)
        self.volume: RawVolume
        self.pump: LogPump
        self.sender: LogSender
        self.reader: PageReader
        self._moved = asyncio.Event()

    async def open(self) -> None:
        await self.nodes.start()
        recovered = await Recovery(self.nodes.runtime, self.config).run(create=True)
        self.volume = RawVolume(self.config.volume, recovered.epoch, self.config.pages_per_group, recovered.vdl, {})
        self.pump, self.sender = start_pump(
            self.nodes.runtime,
            self.config,
            recovered,
            self.volume,
            on_durable=lambda _: self._moved.set(),
            on_fenced=lambda _: None,
            pgmrpl=lambda: self.volume.vdl,
        )
        tracker = self.sender.tracker
        self.reader = PageReader(self.nodes.runtime, self.config, tail=tracker.tail, scls=tracker.scls)

    async def put(self, page: int, value: int) -> None:
        """One commit that changes eight bytes of a page."""
        lsn = self.volume.mtr([(page, 8 * (value % 500), value.to_bytes(8, "little"))])
        self.pump.urge()
        while self.volume.vdl < lsn:
            self._moved.clear()
            await self._moved.wait()

    async def close(self) -> None:
        self.sender.close()
        self.reader.close()
        await self.nodes.stop()


async def commit_us(groups: int, commits: int = 400) -> float:
    """Median of a commit to one page of a volume that has this many groups."""
    with tempfile.TemporaryDirectory(prefix="sixfold-bench-") as folder:
        log = Log(folder, pages_per_group=1)
        await log.open()
        for group in range(groups):
            await log.put(group, 1)
        taken = []
        for number in range(commits):
            began = time.perf_counter()
            await log.put(0, number)
            taken.append(time.perf_counter() - began)
        await log.close()
    return statistics.median(taken) * 1e6


async def read_us(records: int, reads: int = 300) -> float:
    """Median of reading one page that has this many records."""
    with tempfile.TemporaryDirectory(prefix="sixfold-bench-") as folder:
        log = Log(folder, pages_per_group=1 << 20)
        await log.open()
        for number in range(records):
            await log.put(0, number)
        taken = []
        for _ in range(reads):
            began = time.perf_counter()
            await log.reader.read([0], log.volume.vdl)
            taken.append(time.perf_counter() - began)
        await log.close()
    return statistics.median(taken) * 1e6


def compare() -> tuple[tuple[float, float], tuple[float, float]]:
    """((commit with 1 group, with 1,000), (read after 10 records, after 10,000)), µs."""
    commits = (run(commit_us(1)), run(commit_us(1000)))
    reads = (run(read_us(10)), run(read_us(10_000)))
    return commits, reads
