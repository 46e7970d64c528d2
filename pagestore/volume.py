"""One volume on one storage node: its segments in the kernel, and its layer files."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sixfold.kernel import _kernel
from sixfold.pagestore import wire
from sixfold.pagestore.manifest import VolumeState
from sixfold.wal.runtime import Disk, File

if TYPE_CHECKING:
    from sixfold.pagestore.node import Client

LAYERS = "layers"
_ACK = struct.Struct("<IQ")
_FAILED = bytes([wire.FAILED]) + wire.NUMBER.pack(0)


def layer_path(layer: int) -> str:
    """Where a layer file stands."""
    return f"{LAYERS}/{layer:010d}.layer"


class NodeVolume:
    """Segments of one volume. Reads go through here: the kernel names the bytes that it needs of layer files."""

    def __init__(self, disk: Disk, state: VolumeState) -> None:
        self.disk = disk
        self.state = state
        self.store = _kernel.SegmentStore(state.volume, state.pages_per_group)
        self.writer: Client | None = None
        # What peers have told of their SCLs, by peer and group.
        self.peers: dict[str, dict[int, int]] = {}
        # The same of those who lack nothing that they have acknowledged, while this node does not know what it lacks.
        self.told: dict[str, dict[int, int]] = {}
        self.files: dict[int, File] = {}
        self.damaged = 0
        # In this order: a list of an epoch below the current one is refused.
        self.store.install_voids(state.voids_epoch, state.voids)
        self.store.install_epoch(state.epoch)
        for layer in state.layers:
            self.open_layer(layer)
        self.store.set_hints(state.vdl, 0)

    def open_layer(self, layer: int) -> None:
        """Read a layer file's index into the kernel."""
        file = self.disk.open(layer_path(layer))
        self.files[layer] = file
        size = file.size()
        length = _kernel.SegmentStore.LAYER_FOOTER
        footer = file.pread(max(size - length, 0), length)
        offset, index = _kernel.SegmentStore.layer_index(footer)
        self.store.open_layer(layer, footer, file.pread(offset, index))

    def read(self, pages: list[tuple[int, int]], lsn: int, head: bytes = b"") -> bytes:
        """`head`, and the pages' parts of a `P` message."""
        try:
            read = _kernel.PageRead(self.store, pages, lsn)
            while needs := read.needs():
                for layer, offset, length in needs:
                    read.feed(layer, offset, self.files[layer].pread(offset, length))
            return read.answer(head)
        except (_kernel.KernelError, OSError):
            if len(pages) > 1:
                # Something under one of the pages is damaged: the others can still be had.
                return head + b"".join(self.read([page], lsn) for page in pages)
        self.damaged += 1
        return head + _FAILED

    def all_durable(self) -> None:
        """At start: everything that was read back is durable."""
        self.store.all_durable()

    @property
    def durable(self) -> dict[int, int]:
        """What may be acknowledged and reported to recovery, by group: the SCL in memory may be ahead of the journal."""
        return dict(self.durable_scls())

    def durable_scls(self) -> list[tuple[int, int]]:
        """(group, SCL), as far as the journal has it."""
        return self.store.durable_scls()

    def durable_acks(self) -> bytes:
        """The same as acknowledgements."""
        return b"".join(_ACK.pack(group, scl) for group, scl in self.durable_scls())

    @property
    def complete(self) -> bool:
        """Whether everything is here that this node has ever acknowledged."""
        return self.store.voids_epoch > 0 and not self.state.filling and not self.state.doubtful

    def lacks(self, tails: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Which of these (group, LSN) this node does not have."""
        durable = self.durable
        return [(group, lsn) for group, lsn in tails if durable.get(group, 0) < lsn]

    def durable_metas(self) -> list[tuple[int, int, int, int, int, list[int]]]:
        """Batches above the known VDL, as far as the journal has them."""
        durable = self.durable
        return [meta for meta in self.store.metas(self.store.vdl) if meta[3] <= durable.get(meta[0], 0)]

    def status(self) -> dict[str, Any]:
        """SCLs, epochs, sizes."""
        return {
            "volume": self.state.volume,
            "epoch": self.store.epoch,
            "voids_epoch": self.store.voids_epoch,
            "vdl": self.store.vdl,
            "pgmrpl": self.store.pgmrpl,
            "scls": self.store.scls(),
            "holes": self.store.holes(),
            "writer": self.writer is not None,
            "damaged_reads": self.damaged,
            **dict(self.store.stats()),
        }

    def close(self) -> None:
        """Close the layer files."""
        for file in self.files.values():
            file.close()
        self.files.clear()
