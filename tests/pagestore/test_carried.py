"""Threads that carry the log, to nodes in this process and over TCP: commits, nodes that die and come back, fencing, readers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sixfold.kernel._kernel import Volume
from sixfold.pagestore.client import start_pump
from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.pagestore.reader import PageReader
from sixfold.wal.real import real_runtime, run
from sixfold.wal.recovery import Recovery
from sixfold.wal.volume import Member, make_config

Body = Callable[[EmbeddedNodes], Awaitable[None]]


class Writer:
    """A kernel volume whose redo is one root, set to rising numbers."""

    async def open(self, cluster: EmbeddedNodes, *, create: bool = False) -> Writer:
        runtime, config = cluster.runtime, cluster.config
        recovered = await Recovery(runtime, config).run(create=create)
        common: dict[str, Any] = {"volume_id": config.volume, "epoch": recovered.epoch, "cache_bytes": 1 << 20}
        if recovered.end == 0:
            self.volume = Volume.create(**common)
        else:
            self.volume = Volume.open(**common, vdl=recovered.vdl, tail=recovered.vdl)
            for group, tail in recovered.tails.items():
                self.volume.set_prev(group, tail)
        self.fenced: list[int] = []
        self.told: list[int] = []
        self.flushes: list[tuple[int, int]] = []
        self.pump, self.sender = start_pump(
            runtime,
            config,
            recovered,
            self.volume,
            on_durable=self.told.append,
            on_fenced=self.fenced.append,
            carried=True,
        )
        tracker = self.sender.tracker
        self.pages = PageReader(runtime, config, tail=tracker.tail, scls=tracker.scls, timeout=5)
        self.pump.on_flush = lambda start, end, batches: self.flushes.append((start, end))
        return self

    async def change(self, number: int) -> int:
        """Redo that is on its way; where it ends."""
        while (answer := self.volume.set_root(5, number))[0] == "need":
            kind, page = answer[1]
            assert kind == "page"
            lsn = self.volume.fetch_begin(page)
            assert lsn is not None
            (data,) = await self.pages.read([page], lsn)
            self.volume.install_page(page, data, lsn)
        self.pump.urge()
        return self.volume.tail

    def close(self) -> None:
        self.sender.close()
        self.pages.close()

    async def put(self, number: int) -> None:
        lsn = await self.change(number)
        self.pump.watch(lsn)
        await until("durable", lambda: self.volume.vdl >= lsn)


async def until(what: str, holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not {what}"
        await asyncio.sleep(0.002)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(params=["in this process", "over TCP"])
def clustered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Body], None]]:
    def start(body: Body) -> None:
        async def main() -> None:
            cluster = EmbeddedNodes(real_runtime(str(tmp_path)), "6x3")
            if request.param == "over TCP":
                ports = free_ports(len(cluster.members))
                cluster.members = [
                    Member(member.name, member.zone, f"127.0.0.1:{port}")
                    for member, port in zip(cluster.members, ports, strict=True)
                ]
                cluster.config = make_config("6x3", cluster.members)
            await cluster.start()
            try:
                await body(cluster)
            finally:
                await cluster.stop()

        run(asyncio.wait_for(main(), 50))

    yield start


def crash(cluster: EmbeddedNodes, *members: int) -> None:
    for member in members:
        cluster.nodes.pop(cluster.members[member].name).crash()


def test_commits_go_on_while_two_nodes_are_away_and_they_catch_up(clustered: Callable[[Body], None]) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer().open(cluster, create=True)
        for number in range(50):
            await writer.put(number)
        crash(cluster, 1, 4)
        for number in range(50):
            await writer.put(number)
        for member in (1, 4):
            await cluster.start_node(cluster.members[member].name)
        nodes = list(cluster.nodes.values())
        await until("caught up", lambda: all(node.volumes[1].durable.get(0) == writer.volume.vdl for node in nodes))
        # They are needed now.
        await until("up again", lambda: all(stream.up for stream in writer.sender.streams))
        crash(cluster, 0, 2)
        await writer.put(1)
        crash(cluster, 3)
        lsn = await writer.change(2)
        await asyncio.sleep(0.2)
        assert writer.volume.vdl < lsn, "three of six are no quorum"
        await cluster.start_node(cluster.members[0].name)
        await until("durable", lambda: writer.volume.vdl >= lsn)
        writer.close()

    clustered(body)


def test_an_old_writer_is_told_and_counts_nothing_that_a_new_one_writes(clustered: Callable[[Body], None]) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        old = await Writer().open(cluster, create=True)
        await old.put(1)
        new = await Writer().open(cluster)
        assert new.volume.epoch > old.volume.epoch
        before = old.volume.vdl
        # The old one goes on writing at LSNs that the new one uses too.
        for number in range(20):
            lsn = await old.change(number)
            await new.put(100 + number)
            assert old.volume.vdl == before < lsn
        await until("told", lambda: bool(old.fenced))
        assert old.fenced == [new.volume.epoch]
        again = await Writer().open(cluster)
        assert again.volume.vdl >= new.volume.vdl
        await again.put(3)
        for writer in (old, new, again):
            writer.close()

    clustered(body)


def test_who_attends_gets_every_flush_from_then_on_in_order(clustered: Callable[[Body], None]) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer().open(cluster, create=True)
        for number in range(20):
            await writer.put(number)
        assert not writer.flushes
        # One is under way perhaps.
        await writer.change(21)
        writer.pump.attend()
        begin = writer.told[-1]
        for number in range(30):
            await writer.put(number)
        await until("told", lambda: bool(writer.flushes) and writer.flushes[-1][1] == writer.volume.tail)
        places = [begin, *(end for _, end in writer.flushes)]
        assert [start for start, _ in writer.flushes] == places[:-1]
        await until("durable", lambda: writer.told[-1] == writer.volume.tail)
        writer.close()

    clustered(body)


def test_a_failing_journal_holds_acknowledgements_back_until_it_is_mended(clustered: Callable[[Body], None]) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer().open(cluster, create=True)
        await writer.put(1)
        crash(cluster, 0, 1)
        node = cluster.nodes[cluster.members[2].name]
        assert node.journal.lane is not None
        # Opened for writing, and full: what is written there fails with ENOSPC.
        node.journal.lane.set_file("/dev/full")
        lsn = await writer.change(2)
        await until("failed", lambda: node.journal.failure is not None)
        assert writer.volume.vdl < lsn
        # Another file is tried a moment later.
        await until("durable", lambda: writer.volume.vdl >= lsn)
        assert node.journal.failure is None or node.journal.intake.durable
        await writer.put(3)
        writer.close()

    clustered(body)


def test_a_recovery_asks_a_node_again_that_is_being_filled(clustered: Callable[[Body], None]) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer().open(cluster, create=True)
        await writer.put(1)
        writer.close()
        crash(cluster, 0, 1)
        node = cluster.nodes[cluster.members[2].name]
        filling = node.volumes[1].state
        filling.filling = [(0, 1 << 60)]
        recovery = asyncio.ensure_future(Recovery(cluster.runtime, cluster.config).run())
        await asyncio.sleep(0.3)
        assert not recovery.done(), "three whole nodes are no read quorum"
        filling.filling = [(0, 1)]
        async with asyncio.timeout(5):
            await recovery

    clustered(body)
