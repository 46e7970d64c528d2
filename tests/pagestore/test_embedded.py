"""Six nodes in this process, on real files: commits at quorum, page reads, nodes that die and come back, recovery."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from sixfold.pagestore import background, embedded
from sixfold.pagestore.client import start_pump
from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.pagestore.node import run_storage_node
from sixfold.pagestore.reader import PageReader
from sixfold.wal.real import RealDisk, RealFile, real_runtime, run
from sixfold.wal.recovery import Recovery, RecoveryFailed
from tests.pagestore.test_carried import until
from tests.raw import BODY, RawVolume


class Writer:
    """A writer with pages of plain bytes: page p holds the number last written to it."""

    def __init__(self, cluster: EmbeddedNodes) -> None:
        self.cluster = cluster
        self.runtime = cluster.runtime
        self.values: dict[int, int] = {}
        self.fenced: int | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def open(self, *, create: bool = False, known: set[int] | None = None) -> Writer:
        self.recovered = await Recovery(self.runtime, self.cluster.config).run(create=create)
        config = self.cluster.config
        self.volume = RawVolume(
            config.volume, self.recovered.epoch, config.pages_per_group, self.recovered.vdl, self.recovered.tails
        )
        self.volume.known |= known or set()
        self.pump, self.sender = start_pump(
            self.runtime,
            config,
            self.recovered,
            self.volume,
            on_durable=self._durable,
            on_fenced=self._fenced,
            pgmrpl=lambda: self.volume.vdl,
        )
        self.reader = PageReader(
            self.runtime, config, tail=self.sender.tracker.tail, scls=self.sender.tracker.scls, timeout=5
        )
        return self

    def _fenced(self, epoch: int) -> None:
        self.fenced = epoch

    def _durable(self, vdl: int) -> None:
        ready = [future for lsn, future in self._waiting if lsn <= vdl]
        self._waiting = [(lsn, future) for lsn, future in self._waiting if lsn > vdl]
        for future in ready:
            future.set_result(None)

    async def put(self, *pages: int, value: int) -> int:
        lsn = self.volume.mtr([(page, 100, value.to_bytes(8, "little")) for page in pages])
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lsn, future))
        self.pump.urge()
        await future
        for page in pages:
            self.values[page] = value
        return lsn

    async def check(self) -> None:
        pages = sorted(self.values)
        for at in range(0, len(pages), 50):
            some = pages[at : at + 50]
            for page, data in zip(some, await self.reader.read(some, self.sender.vdl), strict=True):
                assert value_of(data) == self.values[page], f"page {page}"

    def close(self) -> None:
        self.sender.close()
        self.reader.close()


def value_of(data: bytes | memoryview) -> int:
    return int.from_bytes(data[BODY + 100 : BODY + 108], "little")


def with_cluster(
    tmp_path: Path, body: Callable[[EmbeddedNodes], Awaitable[None]], topology: str = "6x3", **options: Any
) -> None:
    async def main() -> None:
        cluster = EmbeddedNodes(real_runtime(str(tmp_path), durable=False), topology, **options)
        await cluster.start()
        try:
            await body(cluster)
        finally:
            await cluster.stop()

    run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("topology", ["6x3", "3x3", "1"])
def test_what_was_written_is_there_after_a_restart(tmp_path: Path, topology: str) -> None:
    values: dict[int, int] = {}

    async def first(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(300):
            await writer.put(i % 40, 1000 + i % 7, value=i + 1)
        await writer.check()
        values.update(writer.values)
        writer.close()

    async def second(cluster: EmbeddedNodes) -> None:
        writer = Writer(cluster)
        writer.values = values
        await writer.open(known=set(values))
        assert writer.recovered.epoch == 2
        await writer.check()
        await writer.put(1, value=77)
        await writer.check()
        writer.close()

    with_cluster(tmp_path, first, topology)
    with_cluster(tmp_path, second, topology)


def test_two_dead_nodes_do_not_stop_writes_and_heal_by_gossip(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        await writer.put(1, value=1)
        for name in ("zone-b/node-1", "zone-c/node-2"):
            cluster.nodes[name].crash()
        for i in range(200):
            await writer.put(i % 30, value=i + 2)
        await writer.check()
        for name in ("zone-b/node-1", "zone-c/node-2"):
            await cluster.start_node(name)
        tail = writer.sender.tracker.tail(0)
        deadline = time.monotonic() + 10
        while any(node.volumes[1].store.scl(0) < tail for node in cluster.nodes.values()):
            assert time.monotonic() < deadline, [node.volumes[1].store.scls() for node in cluster.nodes.values()]
            await asyncio.sleep(0.05)
        for name in ("zone-a/node-1", "zone-a/node-2"):
            cluster.nodes[name].crash()
        for i in range(50):
            await writer.put(i % 30, value=i + 500)
        await writer.check()
        writer.close()

    with_cluster(tmp_path, body)


def test_three_dead_nodes_stop_writes_and_lose_nothing(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        await writer.put(1, value=1)
        names = ("zone-a/node-1", "zone-a/node-2", "zone-b/node-1")
        for name in names:
            cluster.nodes[name].crash()
        task = asyncio.create_task(writer.put(1, 2, value=2))
        await asyncio.sleep(0.2)
        assert not task.done()
        await cluster.start_node(names[0])
        await asyncio.wait_for(task, 5)
        await writer.check()
        writer.close()

    with_cluster(tmp_path, body)


def test_a_new_writer_fences_the_old_one(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        old = await Writer(cluster).open(create=True)
        for i in range(20):
            await old.put(i, value=i + 1)
        new = Writer(cluster)
        new.values = dict(old.values)
        await new.open(known=set(old.values))
        late = asyncio.create_task(old.put(3, value=99))
        await asyncio.sleep(0.2)
        assert not late.done()
        assert old.fenced == new.recovered.epoch
        late.cancel()
        await new.put(4, value=50)
        await new.check()
        with pytest.raises(RecoveryFailed):
            await Recovery(cluster.runtime, cluster.config).run(epoch=old.recovered.epoch)
        old.close()
        new.close()

    with_cluster(tmp_path, body)


def test_layers_keep_memory_bounded_and_pages_readable(tmp_path: Path) -> None:
    values: dict[int, int] = {}

    async def first(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(3000):
            writer.volume.mtr([(i % 97, 200, bytes(300))])
            if i % 50 == 0:
                await writer.put(i % 211, value=i + 1)
        await writer.put(500, value=5)
        await asyncio.sleep(0.5)
        for node in cluster.nodes.values():
            await node.background.freeze()
            assert node.volumes[1].store.memory < 200_000, node.status()
            assert node.volumes[1].state.layers
        await writer.check()
        values.update(writer.values)
        writer.close()

    async def second(cluster: EmbeddedNodes) -> None:
        writer = Writer(cluster)
        writer.values = values
        await writer.open(known=set(range(600)))
        await writer.check()
        writer.close()

    with_cluster(tmp_path, first, memory_bytes=100_000)
    with_cluster(tmp_path, second, memory_bytes=100_000)


def test_a_fenced_node_that_restarts_keeps_its_log(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(20):
            await writer.put(i, value=i + 1)
        tail = writer.sender.tracker.tail(0)
        writer.close()
        # A recovery that dies after its fence: the node's epoch is above that of its void ranges.
        node = cluster.nodes["zone-a/node-1"]
        await node._fence(node.volumes[1], 7, "somebody")
        node.crash()
        node = await cluster.start_node("zone-a/node-1")
        assert (node.volumes[1].store.epoch, node.volumes[1].store.voids_epoch) == (7, 1)
        assert node.volumes[1].store.scl(0) == tail

    with_cluster(tmp_path, body)


def test_files_are_not_removed_on_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sixfold.pagestore.journal.FILE_BYTES", 4000)
    threads: dict[str, set[int]] = {"layers": set(), "journal": set()}
    unlink = RealDisk.unlink

    def note(disk: RealDisk, path: str) -> None:
        threads[path.partition("/")[0]].add(threading.get_ident())
        unlink(disk, path)

    monkeypatch.setattr(RealDisk, "unlink", note)

    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        node = cluster.nodes["zone-b/node-2"]
        volume = node.volumes[1]
        for round_ in range(12):
            for i in range(10):
                await writer.put(i, value=round_ * 100 + i + 1)
            await node.background.layers.freeze(volume)
            await node.background.layers.merge(volume)
            await node.journal.trim(lambda number, group, end: number != 1 or volume.store.frozen(group) >= end)
        await until("removed", lambda: all(threads.values()))
        assert threading.get_ident() not in threads["layers"] | threads["journal"]
        await writer.check()
        writer.close()

    with_cluster(tmp_path, body)


def test_layers_are_merged_and_nothing_is_left_behind(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        node = cluster.nodes["zone-b/node-2"]
        for round_ in range(30):
            for i in range(20):
                await writer.put(i + round_ % 7, value=round_ * 100 + i + 1)
            await asyncio.sleep(0)
            await node.background.layers.freeze(node.volumes[1])
            await node.background.layers.merge(node.volumes[1])
        volume = node.volumes[1]
        assert 1 < len(volume.state.layers) <= node.config.layers_max + 1
        assert volume.store.layers == volume.state.layers
        await until("removed", lambda: len(node.disk.listdir("layers")) == len(volume.state.layers))
        for page, value in writer.values.items():
            answer = volume.read([(page, 0)], writer.sender.vdl)
            assert value_of(answer[1:]) == value
        node.crash()
        node = await cluster.start_node("zone-b/node-2")
        for page, value in writer.values.items():
            answer = node.volumes[1].read([(page, 0)], writer.sender.vdl)
            assert value_of(answer[1:]) == value
        writer.close()

    with_cluster(tmp_path, body)


def test_who_merges_layers_or_makes_images_reads_them_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is busy takes its time over what the system has not in its cache."""
    read_by: set[str] = set()
    pread = RealFile.pread

    def observed(file: RealFile, offset: int, length: int) -> bytes:
        if file.path.startswith("layers"):
            read_by.add(threading.current_thread().name)
        return pread(file, offset, length)

    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        (node,) = cluster.nodes.values()
        volume = node.volumes[1]
        merged = images = 0
        aside = volume.read_aside

        async def counted(*args: Any) -> bytes:
            nonlocal images
            images += 1
            return await aside(*args)

        monkeypatch.setattr(volume, "read_aside", counted)
        monkeypatch.setattr(RealFile, "pread", observed)
        for turn in range(40):
            writer.volume.mtr([(page, 200, bytes([turn]) * 300) for page in range(50)])
            await writer.put(250, value=turn)
            await node.background.layers.freeze(volume)
            merged += await node.background.layers.merge(volume)
        # A long chain over what is in a layer.
        for change in range(100):
            writer.volume.mtr([(7, 200, bytes([change]) * 300)])
        await writer.put(250, value=99)
        await node.background.images(volume, 0)
        assert merged and images
        assert read_by and threading.main_thread().name not in read_by

    with_cluster(tmp_path, body, "1")


def test_many_pages_are_read_while_their_layers_are_merged_away(tmp_path: Path) -> None:
    """Reads of many pages go on in worker threads."""

    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        (node,) = cluster.nodes.values()
        volume = node.volumes[1]
        merges = checks = 0
        done = asyncio.Event()

        async def read() -> None:
            nonlocal checks
            while not done.is_set():
                await writer.check()
                checks += 1

        for page in range(0, 200, 20):
            await writer.put(*range(page, page + 20), value=1)
        readers = [asyncio.ensure_future(read()) for _ in range(3)]
        while merges < 3 or checks < 3:
            for first in range(7):
                writer.volume.mtr([(page, 200, bytes(300)) for page in range(first, 200, 7)])
                await writer.put(250, value=1)
                await node.background.layers.freeze(volume)
                merges += await node.background.layers.merge(volume)
        done.set()
        await asyncio.gather(*readers)
        assert volume.damaged == 0
        assert not volume.reads
        await until("removed", lambda: len(node.disk.listdir("layers")) == len(volume.state.layers))
        # Who takes them so gets packed what one layer has all of; else a page has all its bytes.
        once = list(range(300, 320))
        await writer.put(*once, value=7)
        # Which tells the node that those are durable.
        await writer.put(0, value=8)
        await node.background.layers.freeze(volume)
        pages = [*range(200), *once]
        for bulk in (False, True):
            answers = await writer.reader.read(pages, writer.sender.vdl, bulk=bulk)
            lengths = dict(zip(pages, map(len, answers), strict=True))
            assert max(lengths.values()) == 8192
            assert all((lengths[page] < 4097) == bulk for page in once)
        # Files of reads that are under way are closed behind them.
        late = volume.read_aside(node.runtime, [(page, 0) for page in pages], writer.sender.vdl, b"", False)
        task = asyncio.ensure_future(late)
        await asyncio.sleep(0)
        volume.close()
        assert volume.files
        assert len(await task) == len(pages) * 8193
        assert not volume.files
        writer.close()

    with_cluster(tmp_path, body, "1")


def test_a_node_with_a_new_disk_is_repaired_from_layers(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(400):
            writer.volume.mtr([(i % 90, 200, bytes(200))])
            if i % 20 == 0:
                await writer.put(i % 77, value=i + 1)
        await writer.put(3, value=4)
        name = "zone-c/node-1"
        cluster.nodes[name].crash()
        shutil.rmtree(tmp_path / name)
        for node in cluster.nodes.values():
            if node.config.name != name:
                node.volumes[1].store.set_hints(writer.sender.vdl, writer.sender.vdl)
                await node.background.freeze()
                # As after long use: the journal reaches back to the last layer only.
                while len(node.journal.files) > 1:
                    node.disk.unlink(node.journal.files.pop(0).path)
                node.journal.files[0].ends.clear()
                node.journal.scan_after = lambda *_: []  # type: ignore[method-assign]
        node = await cluster.start_node(name)
        deadline = time.monotonic() + 10
        tail = writer.sender.tracker.tail(0)
        while 1 not in node.volumes or node.volumes[1].durable.get(0, 0) < tail:
            assert time.monotonic() < deadline, node.status()
            await asyncio.sleep(0.05)
        assert node.background.repair.done == 1
        await writer.put(5, value=6)
        for page, value in writer.values.items():
            answer = node.volumes[1].read([(page, 0)], tail)
            if page != 5:
                assert value_of(answer[1:]) == value
        node.crash()
        node = await cluster.start_node(name)
        assert node.volumes[1].store.scl(0) >= tail
        writer.close()

    with_cluster(tmp_path, body)


def test_why_a_node_still_can_not_start_is_said_once_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "RETRY_SECONDS", 0.02)
    name = "zone-c/node-2"

    def told(entries: list[Any], event: str) -> list[str]:
        return [entry.get("reason", "") for entry in entries if entry["event"] == event]

    async def said(entries: list[Any], event: str, count: int) -> list[str]:
        deadline = time.monotonic() + 20
        while len(told(entries, event)) < count:
            assert time.monotonic() < deadline, entries
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        return told(entries, event)

    async def main() -> None:
        with_nodes = EmbeddedNodes(real_runtime(str(tmp_path), durable=False))
        await with_nodes.start()
        await with_nodes.stop()
        folder = tmp_path / name
        folder.rename(tmp_path / "kept")
        folder.write_text("no folder")
        cluster = EmbeddedNodes(real_runtime(str(tmp_path), durable=False))
        # The simulator's tests hear nothing but what is critical, in this process too.
        structlog.reset_defaults()
        with capture_logs() as entries:
            await cluster.start(all_of_them=False)
            first = await said(entries, "a storage node can't start; the others serve without it", 1)
            folder.unlink()
            (tmp_path / "kept").rename(folder)
            sound = (folder / "manifest").read_bytes()
            (folder / "manifest").write_bytes(bytes(len(sound)))
            second = await said(entries, "the storage node still can't start", 1)
            (folder / "manifest").write_bytes(sound)
            third = await said(entries, "the storage node has started", 1)
        await cluster.stop()
        assert (len(first), len(second), len(third)) == (1, 1, 1), entries
        assert "manifest" in second[0] and second != first

    run(asyncio.wait_for(main(), 60))


def test_a_node_whose_folder_is_removed_is_one_whose_disk_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_WATCH_SECONDS", 0.05)
    monkeypatch.setattr(embedded, "RETRY_SECONDS", 0.05)

    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(20):
            await writer.put(i, value=i + 1)
        lost = cluster.nodes["zone-b/node-1"]
        shutil.rmtree(tmp_path / "zone-b/node-1")
        await until("the node stops", lambda: lost.stopped)
        await writer.put(1, value=99)
        tail = writer.sender.tracker.tail(0)

        def filled() -> bool:
            node = cluster.nodes.get("zone-b/node-1")
            volume = node.volumes.get(1) if node is not None else None
            return volume is not None and volume.store.scl(0) >= tail

        await until("filled", filled)
        assert not cluster.gone.is_set()
        # Of so many that nothing could be made durable none is made anew.
        shutil.rmtree(tmp_path / "zone-a")
        shutil.rmtree(tmp_path / "zone-c/node-2")
        await until("too few are left", cluster.gone.is_set)
        await asyncio.sleep(0.2)
        assert not (tmp_path / "zone-a").exists()
        await writer.check()
        writer.close()

    with_cluster(tmp_path, body)


def test_the_daemon_of_a_folder_that_is_removed_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_WATCH_SECONDS", 0.05)
    config = NodeConfig(name="node", address="node", data=str(tmp_path / "node"))

    async def main() -> None:
        with pytest.raises(OSError, match="its folder was removed"):
            await run_storage_node(
                config,
                real_runtime(config.data, durable=False),
                asyncio.Event(),
                lambda: shutil.rmtree(config.data),
            )

    run(asyncio.wait_for(main(), 20))
