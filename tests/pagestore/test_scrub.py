"""Bit rot in layer and journal files: never answered from, found by the scrub, repaired from a peer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.pagestore.node import StorageNode
from sixfold.pagestore.volume import layer_path
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
        (answer,) = node.volumes[1].read([(page, 0)], writer.sender.vdl)
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
        assert len(node.disk.listdir("layers")) == len(node.volumes[1].state.layers)
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
