"""What a storage node has promised it keeps, whatever its disk does: one node, in the simulator's world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import StorageNode
from sixfold.wal.rpc import RemoteError, Rpc, dial
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
