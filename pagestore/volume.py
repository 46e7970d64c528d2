"""One volume on one storage node: its segments in the kernel, and its layer files."""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sixfold.kernel import _kernel
from sixfold.pagestore import wire
from sixfold.pagestore.manifest import VolumeState
from sixfold.wal.runtime import Disk, File, Runtime

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
        # Reads in worker threads. Files that were there when they began stay open until they are over.
        self.reads: set[asyncio.Future[None]] = set()
        self.closed = False
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
            return self._read(pages, lsn, head)
        except (_kernel.KernelError, OSError):
            if len(pages) > 1:
                # Something under one of the pages is damaged: the others can still be had.
                return head + b"".join(self.read([page], lsn) for page in pages)
        self.damaged += 1
        return head + _FAILED

    async def read_aside(
        self, runtime: Runtime, pages: list[tuple[int, int]], lsn: int, head: bytes, packed: bool
    ) -> bytes:
        """The same in a worker thread, for many pages, packed where the asker takes them so."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reads.add(over)
        try:
            return await runtime.offload(self._read, pages, lsn, head, packed)  # type: ignore[no-any-return]
        except (_kernel.KernelError, OSError):
            return self.read(pages, lsn, head)
        finally:
            self.reads.remove(over)
            over.set_result(None)
            if self.closed and not self.reads:
                self._close_files()

    def _read(self, pages: list[tuple[int, int]], lsn: int, head: bytes, packed: bool = False) -> bytes:
        while True:
            read = _kernel.PageRead(self.store, pages, lsn, packed)
            try:
                while needs := read.needs():
                    for layer, offset, length in needs:
                        read.feed(layer, offset, self.files[layer].pread(offset, length))
            except KeyError as error:
                # In a worker thread: the layer has just been replaced by another one.
                if self.closed or error.args[0] in self.store.layers:
                    raise OSError(errno.EBADF, "a layer file is not open") from error
                continue
            return read.answer(head)

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
        """Close the layer files, when the last read in a worker thread is over."""
        self.closed = True
        if not self.reads:
            self._close_files()

    def _close_files(self) -> None:
        for file in self.files.values():
            file.close()
        self.files.clear()
