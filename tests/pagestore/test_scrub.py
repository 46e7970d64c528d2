"""Bit rot in layer and journal files: never answered from, found by the scrub, repaired from a peer."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from sixfold.pagestore import manifest
from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.pagestore.node import StorageNode
from sixfold.pagestore.volume import layer_path
from sixfold.wal.real import RealFile
from tests.pagestore.test_carried import until
from tests.pagestore.test_embedded import Writer, value_of, with_cluster

NAME = "zone-b/node-1"


async def filled(cluster: EmbeddedNodes) -> Writer:
    """A writer, and nodes that have all it wrote in layer files."""
    writer = await Writer(cluster).open(create=True)
    for i in range(120):
        await writer.put(i % 60, value=i + 1)
    for node in cluster.nodes.values():
        node.volumes[1].store.set_hints(writer.sender.vdl, 0)
        await node.background.layers.freeze(node.volumes[1])
        assert node.volumes[1].state.layers
    return writer


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


def wrong(node: StorageNode, writer: Writer) -> int:
    """How many pages the node can't answer; a wrong answer is an error."""
    failed = 0
    for page, value in writer.values.items():
        answer = node.volumes[1].read([(page, 0)], writer.sender.vdl)
        if answer[0]:
            failed += 1
        else:
            assert value_of(answer[1:]) == value
    return failed


def test_a_rotten_block_is_repaired_from_a_peer(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await filled(cluster)
        node = cluster.nodes[NAME]
        assert await node.background.scrub.once() and node.background.scrub.found == 0
        flip(tmp_path / NAME / layer_path(node.volumes[1].state.layers[-1]), 1000)
        assert wrong(node, writer) > 0
        # Clients are served by the others.
        writer.reader.sources[2].latency = 0.0
        await writer.check()
        assert await node.background.scrub.once()
        assert (node.background.scrub.found, node.background.repair.done) == (1, 1)
        assert wrong(node, writer) == 0
        await writer.put(7, value=777)
        await writer.check()
        writer.close()

    with_cluster(tmp_path, body)


def test_a_peer_that_is_rotten_itself_repairs_nobody(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await filled(cluster)
        node = cluster.nodes[NAME]
        good = "zone-c/node-2"
        for name, other in cluster.nodes.items():
            if name != good:
                flip(tmp_path / name / layer_path(other.volumes[1].state.layers[-1]), 1000)
        assert await node.background.scrub.once()
        assert wrong(node, writer) == 0
        await until("removed", lambda: len(node.disk.listdir("layers")) == len(node.volumes[1].state.layers))
        writer.close()

    with_cluster(tmp_path, body)


@pytest.mark.parametrize("at", [-2, -10, -60])
def test_a_node_starts_with_a_damaged_layer_and_fills_from_its_peers(tmp_path: Path, at: int) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await filled(cluster)
        tail = writer.sender.tracker.tail(0)
        node = cluster.nodes[NAME]
        layer = tmp_path / NAME / layer_path(node.volumes[1].state.layers[-1])
        node.crash()
        flip(layer, at)
        node = await cluster.start_node(NAME)
        # Until then it counts in no recovery.
        assert node.volumes[1].store.scl(0) < tail or not node.volumes[1].state.voids_epoch
        deadline = time.monotonic() + 10
        while node.volumes[1].durable.get(0, 0) < tail or node.volumes[1].state.filling:
            assert time.monotonic() < deadline, node.status()
            await asyncio.sleep(0.05)
        assert wrong(node, writer) == 0
        writer.close()

    with_cluster(tmp_path, body)


def test_a_rotten_journal_file_goes_when_layers_have_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sixfold.pagestore.journal.FILE_BYTES", 4000)

    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(200):
            await writer.put(i % 60, value=i + 1)
        node = cluster.nodes[NAME]
        node.volumes[1].store.set_hints(writer.sender.vdl, 0)
        first = node.journal.files[0]
        assert len(node.journal.files) > 2
        flip(tmp_path / NAME / first.path, 500)
        assert await node.background.scrub.once() and node.background.scrub.found == 1
        assert first not in node.journal.files and not (tmp_path / NAME / first.path).exists()
        node.crash()
        node = await cluster.start_node(NAME)
        assert node.volumes[1].store.scl(0) == writer.sender.tracker.tail(0)
        assert wrong(node, writer) == 0
        writer.close()

    with_cluster(tmp_path, body)


def small_journal_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sixfold.pagestore.journal.FILE_BYTES", 4000)


async def repaired(node: StorageNode, writer: Writer) -> None:
    """It has everything again, and a scrub finds nothing."""
    tail = writer.sender.tracker.tail(0)
    deadline = time.monotonic() + 15

    async def whole() -> bool:
        volume = node.volumes.get(1)
        if volume is None or volume.durable.get(0, 0) < tail or volume.state.filling:
            return False
        return await node.background.scrub.once()

    while not await whole():
        assert time.monotonic() < deadline, node.status()
        await asyncio.sleep(0.05)
    found = node.background.scrub.found
    assert await node.background.scrub.once() and node.background.scrub.found == found
    assert wrong(node, writer) == 0


def test_the_newest_journal_file_is_scrubbed_too(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(100):
            await writer.put(i % 60, value=i + 1)
        node = cluster.nodes[NAME]
        (newest,) = node.journal.known()
        flip(tmp_path / NAME / newest.path, newest.size // 2)
        await repaired(node, writer)
        assert node.background.scrub.found >= 1
        assert not (tmp_path / NAME / newest.path).exists()
        for i in range(30):
            await writer.put(i, value=1000 + i)
        assert len(node.journal.files) == 1
        node.crash()
        node = await cluster.start_node(NAME)
        await repaired(node, writer)
        writer.close()

    with_cluster(tmp_path, body)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("at", [30, (32 << 10) + 30], ids=["first slot", "second slot"])
def test_a_rotten_manifest_is_written_again(tmp_path: Path, at: int, running: bool) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await filled(cluster)
        node = cluster.nodes[NAME]
        if not running:
            node.crash()
        flip(tmp_path / NAME / manifest.PATH, at)
        assert not manifest.is_whole(node.disk)
        if running:
            assert await node.background.scrub.once() and node.background.scrub.found == 1
        else:
            node = await cluster.start_node(NAME)
        assert manifest.is_whole(node.disk)
        node.crash()
        await repaired(await cluster.start_node(NAME), writer)
        writer.close()

    with_cluster(tmp_path, body)


def test_both_slots_damaged_is_an_error_that_says_what_to_do_and_that_helps(tmp_path: Path) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await filled(cluster)
        cluster.nodes[NAME].crash()
        for at in (30, (32 << 10) + 30):
            flip(tmp_path / NAME / manifest.PATH, at)
        with pytest.raises(manifest.ManifestDamaged, match=f"{NAME}.*move this node's folder away and start it again"):
            await cluster.start_node(NAME)
        (tmp_path / NAME).rename(tmp_path / "away")
        await repaired(await cluster.start_node(NAME), writer)
        # Two others may go now.
        cluster.nodes["zone-a/node-1"].crash()
        cluster.nodes["zone-c/node-1"].crash()
        await writer.put(3, value=333)
        await writer.check()
        writer.close()

    with_cluster(tmp_path, body)


@pytest.mark.parametrize("place", ["head", "middle", "tail"])
def test_a_node_starts_with_a_rotten_journal_and_is_repaired(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal_files(monkeypatch)

    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(100):
            await writer.put(i % 60, value=i + 1)
        node = cluster.nodes[NAME]
        files = node.journal.known()
        info, at = {
            "head": (files[0], 10),
            "middle": (files[len(files) // 2], 1500),
            "tail": (files[-1], files[-1].size - 5),
        }[place]
        node.crash()
        flip(tmp_path / NAME / info.path, at)
        await repaired(await cluster.start_node(NAME), writer)
        writer.close()

    with_cluster(tmp_path, body)


def test_a_journal_with_an_unreadable_sector_is_read_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(cluster: EmbeddedNodes) -> None:
        writer = await Writer(cluster).open(create=True)
        for i in range(400):
            await writer.put(i % 60, value=i + 1)
        node = cluster.nodes[NAME]
        (info,) = node.journal.known()
        assert info.size > 5 * 4096
        node.crash()
        bad = (tmp_path / NAME / info.path).stat().st_ino
        original = RealFile.pread

        def pread(file: RealFile, offset: int, length: int) -> bytes:
            if os.fstat(file._fd).st_ino == bad and offset <= 9000 < offset + length:
                raise OSError(errno.EIO, "Input/output error")
            return original(file, offset, length)

        monkeypatch.setattr(RealFile, "pread", pread)
        node = await cluster.start_node(NAME)
        await repaired(node, writer)
        assert not (tmp_path / NAME / info.path).exists()
        writer.close()

    with_cluster(tmp_path, body)
