"""What a storage node has promised it keeps, whatever its disk does: one node, in the simulator's world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import StorageNode
from sixfold.wal.recovery import Recovery
from sixfold.wal.rpc import RemoteError, Rpc, dial
from sixfold.wal.volume import TOPOLOGIES, local_members, make_config
from tests.raw import RawVolume
from tests.sim.world import Host, World

VOLUME = 1


async def started(host: Host, *peers: str) -> StorageNode:
    node = StorageNode(NodeConfig(name="node", address="node", peers=list(peers)), host.boot())
    await node.start()
    return node


def played(work: Callable[[World], Awaitable[None]]) -> None:
    world = World(1)

    async def main() -> None:
        await work(world)
        assert not world.loop.failures

    world.loop.run(main())


async def create(world: World) -> Rpc:
    """Somebody who asks, and the volume."""
    asks = await dial(world.host("asks").boot(), "node")
    await asks.call("create", {"volume": VOLUME, "pages_per_group": 10})
    return asks


async def fence(asks: Rpc, epoch: int, owner: str) -> Any:
    return await asks.call("fence", {"volume": VOLUME, "epoch": epoch, "owner": owner})


@pytest.mark.parametrize("everything", [True, False])
def test_a_fence_that_could_not_be_saved_is_not_answered(everything: bool) -> None:
    """Asked again, it must not take for saved what is in memory only."""

    async def work(world: World) -> None:
        host = world.host("node")
        await started(host)
        asks = await create(world)
        host.platter.broken_syncs = 2
        for _ in range(2):
            with pytest.raises(RemoteError):
                await fence(asks, 1, "new")
        assert (await fence(asks, 1, "new"))["epoch"] == 1
        host.kill(everything)
        node = await started(host)
        assert node.volumes[VOLUME].store.epoch == 1
        asks = await dial(world.host("asks").runtime, "node")
        with pytest.raises(RemoteError):
            await fence(asks, 1, "another")

    played(work)


def test_a_new_disk_is_filled_to_where_every_write_quorum_may_have_been() -> None:
    """Its predecessor may have acknowledged what the first peer that tells has missed."""

    async def work(world: World) -> None:
        peers = ("behind", "filling", "b", "c", "d")
        node = await started(world.host("node"), *peers)
        await create(world)
        volume = node.volumes[VOLUME]

        def told(peer: str, scl: int, complete: bool = True) -> None:
            answer = {"voids_epoch": 2, "owner": "w", "voids": [(2, 0, 0)], "durable": [(0, scl)], "batches": []}
            node.background._take(peer, volume, {**answer, "complete": complete})

        told("behind", 0)
        told("behind", 10)
        told("filling", 50, complete=False)
        told("b", 40)
        assert (volume.store.voids_epoch, volume.complete) == (0, False)
        told("c", 30)
        assert (volume.store.voids_epoch, volume.state.filling, volume.complete) == (2, [(0, 40)], False)

    played(work)


def test_a_writer_that_is_fenced_off_hears_of_nothing_more() -> None:
    """What comes by gossip after the fence was answered is not in that answer: the old writer must not count it."""

    async def work(world: World) -> None:
        node = await started(world.host("node"))
        asks = await create(world)
        await fence(asks, 1, "old")
        opening = {"volume": VOLUME, "epoch": 1, "owner": "old", "voids": [], "tails": []}
        await asks.call("voids", opening)
        heard: list[bytes] = []
        old = await dial(world.host("old").boot(), "node", on_raw=heard.append)
        await old.call("hello", {**opening, "vdl": 0, "pgmrpl": 0})
        batches = written(1, 3)
        assert node.journal.append(batches[0]) == "joined"
        await node.journal.barrier()
        await world.hosts["asks"].clock.sleep(0.1)
        assert [message[:1] for message in heard] == [b"A"]
        scls = (await fence(asks, 2, "new"))["scls"]
        assert node.journal.append(batches[1]) == "joined"
        await node.journal.barrier()
        await world.hosts["asks"].clock.sleep(0.1)
        assert [message[:1] for message in heard] == [b"A", b"X"]
        assert dict(node.volumes[VOLUME].durable_scls())[0] > dict(map(tuple, scls))[0]

    played(work)


def written(epoch: int, count: int) -> list[bytes]:
    """One batch after the other, of one group."""
    volume = RawVolume(VOLUME, epoch, 10, 0, {})
    batches = []
    for _ in range(count):
        volume.mtr([(1, 0, b"a change")])
        flush = volume.take_flush()
        assert flush is not None
        batches.append(flush[2][0][1])
    return batches


def test_a_recovery_ends_when_a_write_quorum_has_everything() -> None:
    """What one node had is on four, durably, before anybody goes on from there."""

    async def work(world: World) -> None:
        members = local_members(TOPOLOGIES["6x3"])
        names = [member.address for member in members]
        config = make_config("6x3", members, VOLUME, 10)
        nodes = []
        for name in names:
            peers = [peer for peer in names if peer != name]
            # Nobody asks by itself.
            made = NodeConfig(name=name, address=name, peers=peers, gossip_seconds=1e6)
            nodes.append(StorageNode(made, world.host(name).boot()))
            await nodes[-1].start()
        first = await Recovery(world.host("first").boot(), config).run(create=True)
        assert (first.epoch, first.vdl) == (1, 0)
        for batch in written(1, 3):
            assert nodes[2].journal.append(batch) == "joined"
        await nodes[2].journal.barrier()
        runtime = world.host("second").boot()
        # So that it is one of the four that are asked.
        world.cut_off(names[0])
        world.cut_off(names[1])
        second = await Recovery(runtime, config).run()
        tail = second.tails[0]
        assert tail == second.end > 0
        have = [dict(node.volumes[VOLUME].durable_scls()).get(0, 0) == tail for node in nodes]
        assert sum(have) == config.write_quorum

    played(work)


# (payloads of each write, entries that are damaged afterwards): whether an acknowledged one is known to be lost.
LOSSES = {
    "nothing": ([1, 3, 2], [], False),
    "torn in the last write": ([1, 1, 3], [2], False),
    "torn in the last write, all but its end": ([1, 1, 4], [2, 3, 4], False),
    "before the last write": ([1, 1, 3], [1], True),
    "at the end, as if it were torn": ([1, 1, 1], [2], False),
    "in an older write of many": ([4, 1], [1], True),
}


@pytest.mark.parametrize("case", LOSSES)
def test_rot_is_told_from_a_torn_write(case: str) -> None:
    """What was torn was never acknowledged, and the node is as good as any other. With rot it counts for nothing until it is whole."""
    writes, damaged, lost = LOSSES[case]

    async def work(world: World) -> None:
        host = world.host("node")
        node = await started(host, "b", "c", "d", "e", "f")
        asks = await create(world)
        await fence(asks, 1, "w")
        await asks.call("voids", {"volume": VOLUME, "epoch": 1, "owner": "w", "voids": [], "tails": []})
        batches = written(1, sum(writes))
        ends, size = [], 0
        left = list(batches)
        for count in writes:
            for batch in left[:count]:
                assert node.journal.append(batch) == "joined"
                ends.append(size)
                size += 24 + len(batch)
            left = left[count:]
            await node.journal.barrier()
        host.kill()
        path = next(name for name in host.platter.durable if name.endswith(".log"))
        for entry in damaged:
            host.platter.durable[path].synced[ends[entry] + 30] ^= 1
            host.platter.durable[path].data[ends[entry] + 30] ^= 1
        node = await started(host, "b", "c", "d", "e", "f")
        volume = node.volumes[VOLUME]
        assert volume.complete is not lost
        first = min(damaged, default=len(batches))
        tail = int.from_bytes(batches[-1][40:48], "little")
        scl = int.from_bytes(batches[first - 1][40:48], "little")
        assert dict(volume.durable_scls()) == {0: scl}
        if not lost:
            # What is written later does not make it look like rot.
            for batch in batches:
                node.journal.append(batch)
            await node.journal.barrier()
            host.kill()
            node = await started(host, "b", "c", "d", "e", "f")
            assert node.volumes[VOLUME].complete
            return
        host.kill()
        node = await started(host, "b", "c", "d", "e", "f")
        volume = node.volumes[VOLUME]
        assert volume.state.doubtful
        for peer in ("b", "c", "d"):
            assert volume.state.doubtful
            answer = {"voids_epoch": 1, "owner": "w", "voids": [], "durable": [(0, tail)], "batches": []}
            node.background._take(peer, volume, {**answer, "complete": True})
        assert (volume.state.doubtful, volume.state.filling) == (False, [(0, tail)])
        for batch in batches:
            node.journal.append(batch)
        await node.journal.barrier()
        node.filled(volume)
        assert volume.complete
        host.kill()
        node = await started(host, "b", "c", "d", "e", "f")
        assert node.volumes[VOLUME].complete

    played(work)
