"""A volume's storage nodes inside this process: same code, same files, each in its own folder, reached by name instead of TCP."""

from __future__ import annotations

import asyncio
from functools import partial

from sixfold.pagestore import manifest
from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import StorageNode
from sixfold.wal.logs import Logger
from sixfold.wal.real import RealDisk
from sixfold.wal.runtime import Disk, Runtime
from sixfold.wal.volume import TOPOLOGIES, VolumeConfig, local_members, make_config

log = Logger("sixfold.pagestore")

# A node that could not start is tried again.
RETRY_SECONDS = 5.0


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
        # So many of their folders were removed that nothing can be made durable.
        self.gone = asyncio.Event()
        # Those that are to start later, and what was said of them last; only what is new is said.
        self._reasons: dict[str, str] = {}
        self._retrying: asyncio.Task[None] | None = None

    async def start(self, *, all_of_them: bool = True) -> None:
        """Start all. Unless `all_of_them` must, those that can't are tried again later when the others are a write quorum.
        OSError (ManifestDamaged is one) when too many can't; then none is left running."""
        names = [member.name for member in self.members]
        outcomes = await asyncio.gather(*map(self.start_node, names), return_exceptions=True)
        failures = {
            name: error for name, error in zip(names, outcomes, strict=True) if isinstance(error, BaseException)
        }
        others = [error for error in failures.values() if not isinstance(error, OSError)]
        enough = not failures or (not all_of_them and len(self.nodes) >= self.config.write_quorum)
        if others or not enough:
            await self.stop()
            raise [*others, *failures.values()][0]
        for name, error in failures.items():
            log.error("a storage node can't start; the others serve without it", node=name, reason=str(error))
        for name, error in failures.items():
            self._start_later(name, str(error))

    def _lost(self, name: str) -> None:
        if self.nodes.pop(name, None) is None:
            return
        if len(self.nodes) >= self.config.write_quorum:
            self._start_later(name, "")
        else:
            # New folders would hold nothing of the volume, and be taken for it at the next start.
            self._reasons.clear()
            self.gone.set()

    def _start_later(self, name: str, reason: str) -> None:
        self._reasons[name] = reason
        if self._retrying is None or self._retrying.done():
            self._retrying = self.runtime.spawn(self._try_again(), "nodes-again")

    async def _try_again(self) -> None:
        """Each until it starts."""
        reasons = self._reasons
        while reasons:
            await self.runtime.clock.sleep(RETRY_SECONDS)
            for name, said in list(reasons.items()):
                try:
                    await self.start_node(name)
                except OSError as error:
                    reasons[name] = str(error)
                    if reasons[name] != said:
                        log.error("the storage node still can't start", node=name, reason=reasons[name])
                    continue
                del reasons[name]
                log.info("the storage node has started", node=name)

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
        except OSError as error:
            node.crash()
            if isinstance(error, manifest.ManifestDamaged):
                raise manifest.ManifestDamaged(f"{name}: {error}") from error
            raise
        node.on_lost = partial(self._lost, name)
        self.nodes[name] = node
        return node

    async def stop(self) -> None:
        """Stop all, cleanly."""
        self._reasons.clear()
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait([self._retrying])
            self._retrying = None
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
