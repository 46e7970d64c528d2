"""Repair of a node that lacks more of a volume than peers' journals still have (a new disk, a long absence): layer files are copied whole.

What the node has beyond a peer's layers stays, in its own journal; what lies between comes by gossip afterwards. A peer whose layers end
below this node's own is of no use: the node must never have less than it has acknowledged.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from sixfold.pagestore import wire
from sixfold.pagestore.layers import synced
from sixfold.pagestore.volume import LAYERS, NodeVolume, layer_path
from sixfold.wal.rpc import RemoteError, Rpc
from sixfold.wal.runtime import ConnectionLost

if TYPE_CHECKING:
    from sixfold.pagestore.node import StorageNode

_CHUNK_BYTES = 1 << 20
_FETCH_SECONDS = 30.0


class Repair:
    """One node's repairs, one at a time."""

    def __init__(self, node: StorageNode) -> None:
        self._node = node
        self._busy = False
        self.done = 0

    # -- the peer's side

    async def offer(self, volume: NodeVolume) -> dict[str, Any]:
        """What a node that needs repair may copy from here."""
        await self._node.background.layers.freeze(volume)
        return {
            "layers": [(layer, volume.files[layer].size()) for layer in volume.state.layers],
            "frozen": [(group, volume.store.frozen(group)) for group, _ in volume.store.scls()],
            "vdl": volume.store.vdl,
        }

    def fetch(self, volume: NodeVolume, layer: int, offset: int, length: int) -> bytes:
        """A piece of a layer file. RemoteError when a merge has removed it."""
        file = volume.files.get(layer)
        if file is None:
            raise RemoteError("gone", f"layer {layer} is no more")
        return file.pread(offset, min(length, _CHUNK_BYTES))

    # -- the side that needs it

    async def run(self, volume: NodeVolume, link: Rpc) -> bool:
        """Copy a peer's layers and go on from there. False when this peer can't help, or not now."""
        if self._busy:
            return False
        self._busy = True
        copied: list[int] = []
        try:
            offer = await link.call("layers", {"volume": volume.state.volume}, timeout=_FETCH_SECONDS)
            theirs = dict(offer["frozen"])
            if any(theirs.get(group, 0) < volume.store.frozen(group) for group, _ in volume.store.scls()):
                return False
            if not offer["layers"]:
                return False
            for layer, size in offer["layers"]:
                copied.append(await self._copy(volume, link, layer, size))
            self._node.disk.sync_dir(LAYERS)
            async with self._node.journal.paused():
                if not self._swap(volume, copied, offer["vdl"]):
                    return False
            copied = []
            self.done += 1
            return True
        except (ConnectionLost, RemoteError, OSError):
            return False
        finally:
            self._node.background.layers.remove(volume, copied)
            self._busy = False

    async def _copy(self, volume: NodeVolume, link: Rpc, theirs: int, size: int) -> int:
        node = self._node
        node.disk.mkdir(LAYERS)
        ours = node.background.layers.new_layer()
        file = node.disk.open(layer_path(ours), create=True)
        try:
            if file.size():
                file.truncate(0)
            at = 0
            while at < size:
                params = {"volume": volume.state.volume, "layer": theirs, "offset": at, "length": _CHUNK_BYTES}
                data = await link.call("fetch", params, timeout=_FETCH_SECONDS)
                if not data:
                    raise RemoteError("gone", "a layer file is shorter than it was")
                file.pwrite(at, data)
                at += len(data)
            await synced(file)
            if not await node.background.scrub.is_whole(file):
                raise RemoteError("damaged", "a layer file came damaged")
        except BaseException:
            file.close()
            # What was raised must go on: a cancellation, above all. What can't be removed now is swept at the next start.
            with contextlib.suppress(OSError):
                node.disk.unlink(layer_path(ours))
            raise
        file.close()
        return ours

    def _swap(self, volume: NodeVolume, layers: list[int], vdl: int) -> bool:
        """In one go: open the copied layers, read this node's own journal on top, and put that in the old one's place."""
        node = self._node
        if node.background.layers.busy:
            return False
        state = msgspec.structs.replace(volume.state, layers=layers, vdl=max(volume.state.vdl, vdl))
        fresh = NodeVolume(node.disk, state)
        everything = dict.fromkeys((group for group, _ in [*volume.store.scls(), *fresh.store.scls()]), 0)
        for payload in node.journal.scan_after(state.volume, everything, 1 << 62):
            fresh.store.accept(payload, False)
        fresh.all_durable()
        if fresh.lacks(volume.durable_scls()):
            fresh.close()
            return False
        old = list(volume.state.layers)
        before = (volume.state.layers, volume.state.vdl)
        volume.state.layers, volume.state.vdl = layers, state.vdl
        try:
            node.save_manifest()
        except OSError:
            volume.state.layers, volume.state.vdl = before
            fresh.close()
            return False
        node.background.layers.remove(volume, old)
        # What is accepted and not written yet goes into the new one too.
        node.journal.intake.set_volume(state.volume, fresh.store)
        volume.store, volume.files = fresh.store, fresh.files
        node.tell(state.volume, wire.ACK_HEAD.pack(b"A", state.volume) + volume.durable_acks())
        return True
