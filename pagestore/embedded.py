"""A volume's storage nodes inside this process: same code, same files, each in its own folder, reached by name instead of TCP."""

from __future__ import annotations

import asyncio

from sixfold.pagestore import manifest
from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import StorageNode
from sixfold.wal.real import RealDisk
from sixfold.wal.runtime import Disk, Runtime
from sixfold.wal.volume import TOPOLOGIES, VolumeConfig, local_members, make_config


class EmbeddedNodes:
    """The nodes of one topology below one folder: `zone-a/node-1/…`."""

    def __init__(
        self, runtime: Runtime, topology: str = "6x3", *, volume: int = 1, memory_bytes: int = 8 << 20
    ) -> None:
        self.runtime = runtime
        self.members = local_members(TOPOLOGIES[topology])
        self.config: VolumeConfig = make_config(topology, self.members, volume)
        self.memory_bytes = memory_bytes
        self.nodes: dict[str, StorageNode] = {}

    async def start(self) -> None:
        """Start all; a node that can't start is an error, since nobody else would start it again."""
        await asyncio.gather(*(self.start_node(member.name) for member in self.members))

    async def start_node(self, name: str) -> StorageNode:
        """Start one (again)."""
        member = next(member for member in self.members if member.name == name)
        config = NodeConfig(
            name=name,
            address=member.address,
            zone=member.zone,
            peers=[other.address for other in self.members if other.name != name],
            memory_bytes=self.memory_bytes,
        )
        node = StorageNode(config, self.runtime.with_disk(self._node_disk(name)))
        try:
            await node.start()
        except manifest.ManifestDamaged as error:
            raise manifest.ManifestDamaged(f"{name}: {error}") from error
        self.nodes[name] = node
        return node

    async def stop(self) -> None:
        """Stop all, cleanly."""
        for node in self.nodes.values():
            await node.stop()
        self.nodes.clear()

    def _node_disk(self, name: str) -> Disk:
        """The node's folder."""
        disk = self.runtime.disk
        # Where a manifest is, the folder is durable already.
        if isinstance(disk, RealDisk) and disk.exists(f"{name}/{manifest.PATH}"):
            return disk.below(name)
        return disk.sub(name)
