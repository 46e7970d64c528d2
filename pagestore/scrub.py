"""Scrub: reads layer files, journal files and the manifest again, slowly, compares their checksums, and has peers repair what has rotted.

A rotten layer is repaired as a whole: a peer's layers are copied and checked, and this node's own journal goes on top (`repair.py`). A rotten
journal file has nothing that memory or layers lack: memory is frozen into a layer, and the file goes (the newest one: the next entry begins
another). What the manifest says is known: it is written again. A page read that meets a rotten block fails here and is answered by another
node; it also brings the scrub forward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sixfold.kernel import _kernel
from sixfold.pagestore import manifest as manifests
from sixfold.pagestore.volume import NodeVolume
from sixfold.wal.rpc import RemoteError
from sixfold.wal.runtime import ConnectionLost, File

if TYPE_CHECKING:
    from sixfold.pagestore.journal import JournalFile
    from sixfold.pagestore.node import StorageNode

# Read at once, at least.
_CHUNK_BYTES = 1 << 20
# Between two looks at whether there is something to do, and between two attempts of a repair.
_TICK_SECONDS = 1.0


def layer_blocks(file: File) -> list[tuple[int, int, int]]:
    """(offset, length, checksum) of a layer file's blocks. KernelError when its frame is damaged."""
    size = file.size()
    length = _kernel.SegmentStore.LAYER_FOOTER
    footer = file.pread(max(size - length, 0), length)
    offset, index = _kernel.SegmentStore.layer_index(footer)
    return _kernel.SegmentStore.layer_blocks(footer, file.pread(offset, index))


class Scrub:
    """One node's."""

    def __init__(self, node: StorageNode) -> None:
        self._node = node
        # Damaged files found, and passes over everything.
        self.found = 0
        self.passes = 0
        self._damaged_reads = 0

    async def run(self) -> None:
        """For as long as the node lives."""
        clock = self._node.runtime.clock
        waited = 0.0
        while True:
            await clock.sleep(_TICK_SECONDS)
            waited += _TICK_SECONDS
            reads = sum(volume.damaged for volume in self._node.volumes.values())
            if waited >= self._node.config.scrub_seconds or reads != self._damaged_reads:
                self._damaged_reads = reads
                if await self.once():
                    waited = 0.0

    async def once(self) -> bool:
        """One pass. False: something is damaged and could not be repaired yet."""
        whole = True
        for volume in list(self._node.volumes.values()):
            if not await self._layers_are_whole(volume):
                self.found += 1
                whole = await self._repair(volume) and whole
        if not self._manifest_is_whole():
            self.found += 1
            whole = self._rewrite_manifest() and whole
        for info in self._node.journal.known():
            if not await self._journal_is_whole(info):
                self.found += 1
                whole = await self._replace(info) and whole
        self.passes += 1
        return whole

    async def _layers_are_whole(self, volume: NodeVolume) -> bool:
        for layer in list(volume.state.layers):
            file = volume.files.get(layer)
            if file is None:
                continue  # merged away meanwhile
            if not await self.is_whole(file) and volume.files.get(layer) is file:
                return False
        return True

    async def is_whole(self, file: File) -> bool:
        """Whether every block of a layer file is what it was."""
        try:
            blocks = layer_blocks(file)
            done = 0
            for offset, length, checksum in blocks:
                data = file.pread(offset, length)
                if len(data) != length or _kernel.checksum(data) != checksum:
                    return False
                done += length
                if done >= _CHUNK_BYTES:
                    await self._pause(done)
                    done = 0
            await self._pause(done)
        except (_kernel.KernelError, OSError):
            return False
        return True

    def _manifest_is_whole(self) -> bool:
        try:
            return manifests.is_whole(self._node.disk)
        except OSError:
            return False

    def _rewrite_manifest(self) -> bool:
        try:
            self._node.save_manifest()
        except OSError:
            return False
        return self._manifest_is_whole()

    async def _pause(self, done: int) -> None:
        await self._node.runtime.clock.sleep(done / self._node.config.scrub_bytes_per_second)

    async def _repair(self, volume: NodeVolume) -> bool:
        """From the first peer that can."""
        node = self._node
        peers = list(node.config.peers)
        node.runtime.random.shuffle(peers)
        for peer in peers:
            try:
                link = await node.background.link(peer)
            except (ConnectionLost, RemoteError):
                continue
            if await node.background.repair.run(volume, link):
                return True
        return False

    async def _journal_is_whole(self, info: JournalFile) -> bool:
        try:
            file = self._node.disk.open(info.path)
            try:
                data = file.pread(0, info.size)
            finally:
                file.close()
        except OSError:
            return info not in self._node.journal.files  # trimmed meanwhile
        await self._pause(len(data))
        _entries, end, damaged = _kernel.journal_scan(data)
        return not damaged and end >= info.size

    async def _replace(self, info: JournalFile) -> bool:
        """What the file has goes to a layer; the file goes."""
        node = self._node
        await node.journal.retire(info)
        for volume in list(node.volumes.values()):
            await node.background.layers.freeze(volume)

        def is_frozen(number: int, group: int, end: int) -> bool:
            volume = node.volumes.get(number)
            return volume is None or volume.store.frozen(group) >= end

        return node.journal.drop(info, is_frozen)
