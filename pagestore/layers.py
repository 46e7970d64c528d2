"""Writing layer files: freezing memory into a new one, merging several into one, removing what nothing names.

Each is a few steps of work in a worker thread, without the GIL, each holding the volume's lock for a moment. A file counts from the
moment that the manifest names it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from sixfold.kernel import _kernel
from sixfold.pagestore.volume import LAYERS, NodeVolume, layer_path
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Disk, File

if TYPE_CHECKING:
    from sixfold.pagestore.node import StorageNode

log = Logger("sixfold.pagestore")

_STEP_BYTES = 128 << 10
_RETRY_SECONDS = 1.0
_PAGES_PER_STEP = 256
# A worker does this many steps before it comes back to the loop, which may be busy for a while.
_STEPS_PER_CALL = 32
# A run of layers is merged when it is not much smaller than the older one that joins it.
_SIZE_RATIO = 2


async def synced(file: File) -> None:
    """Wait until a file is durable; OSError when it can't be."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: OSError | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(None)

    file.sync(done)
    await future


def _freeze(volume: NodeVolume, file: File, position: int) -> int | None:
    """Some steps of a freeze; answers the bytes written, None at the end."""
    written = 0
    for _ in range(_STEPS_PER_CALL):
        data = volume.store.freeze_step(_STEP_BYTES)
        if data is None:
            return written or None
        file.pwrite(position + written, data)
        written += len(data)
    return written


def _read_pieces(volume: NodeVolume, places: list[tuple[int, int, int]]) -> list[tuple[int, int, bytes]]:
    """Parts of layers that are merged: they have long left the system's cache, and the disk may be busy."""
    return [(layer, offset, volume.files[layer].pread(offset, size)) for layer, offset, size in places]


def _forget(volume: NodeVolume) -> bool:
    """Some steps of letting go of what a new layer has. False at the end."""
    return all(volume.store.forget_step(_PAGES_PER_STEP) for _ in range(_STEPS_PER_CALL))


def _close_and_unlink(disk: Disk, files: list[File], paths: list[str]) -> None:
    """Not on the event loop: the file system may take long over a large file."""
    for file in files:
        file.close()
    for path in paths:
        disk.unlink(path)


class Layers:
    """One node's layer files. One freeze and one merge may be under way."""

    def __init__(self, node: StorageNode) -> None:
        self._node = node
        self._freezing = False
        self._merging = False
        # Why no layer can be written at the moment.
        self.failure: OSError | None = None

    def sweep(self) -> None:
        """At start: remove files that the manifest does not name."""
        disk = self._node.disk
        if not disk.exists(LAYERS):
            return
        named = {layer_path(layer) for volume in self._node.volumes.values() for layer in volume.state.layers}
        for name in disk.listdir(LAYERS):
            if f"{LAYERS}/{name}" not in named:
                # A node that stopped here a moment ago may still be at it.
                with contextlib.suppress(FileNotFoundError):
                    disk.unlink(f"{LAYERS}/{name}")

    @property
    def freezing(self) -> bool:
        """Whether memory is being written to a layer."""
        return self._freezing

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._freezing or self._merging

    def new_layer(self) -> int:
        """A number that no file has."""
        layer = self._node.manifest.next_layer
        self._node.manifest.next_layer += 1
        return layer

    async def freeze(self, volume: NodeVolume) -> bool:
        """Everything in memory that is durable for the whole volume goes to one new layer. False: there was nothing, or no room."""
        if self._freezing:
            return False
        self._freezing = True
        self._node.background.limit_memory(True)
        try:
            layer = self.new_layer()
            offload = self._node.runtime.offload
            if not await offload(volume.store.freeze_begin, layer):
                return False
            layers = volume.state.layers

            def name() -> None:
                layers.append(layer)
                volume.state.vdl = volume.store.vdl

            fill = partial(self._fill_frozen, volume)
            if not await self._write(volume, layer, fill, name, lambda: layers.remove(layer)):
                volume.store.freeze_failed()
                return False
            volume.store.freeze_install()
            while await offload(_forget, volume):
                pass
            return True
        finally:
            self._freezing = False
            self._node.background.limit_memory(False)

    async def merge(self, volume: NodeVolume) -> bool:
        """Merge one run of layers when there are too many. True: something was merged."""
        ids = self._run(volume)
        if self._merging or not ids:
            return False
        self._merging = True
        layer = self.new_layer()
        layers = volume.state.layers

        def name() -> None:
            at = layers.index(ids[0])
            layers[at : at + len(ids)] = [layer]

        def unname() -> None:
            at = layers.index(layer)
            layers[at : at + 1] = ids

        done = False
        try:
            volume.store.merge_begin(ids, layer)
            done = await self._write(volume, layer, partial(self._fill_merged, volume), name, unname)
        finally:
            self._merging = False
            if done:
                volume.store.merge_install()
                self.remove(volume, ids)
            else:
                volume.store.merge_failed()
        return done

    def remove(self, volume: NodeVolume, ids: list[int]) -> None:
        """Files that nothing names any more: not read from now on, and gone some time later."""
        if ids:
            files = [volume.files.pop(layer) for layer in ids if layer in volume.files]
            work = self._remove(set(volume.reads), files, [layer_path(layer) for layer in ids])
            self._node.runtime.spawn(work, f"{self._node.config.name} removal")

    async def _remove(self, reads: set[asyncio.Future[None]], files: list[File], paths: list[str]) -> None:
        try:
            if reads:
                await asyncio.wait(reads)
            await self._node.runtime.offload(_close_and_unlink, self._node.disk, files, paths)
        except OSError as error:
            self.failure = error  # the next start sweeps them

    def _run(self, volume: NodeVolume) -> list[int]:
        """The youngest layers, back to where an older one is much larger than all of them together."""
        layers = volume.state.layers
        if len(layers) <= self._node.config.layers_max:
            return []
        sizes = [volume.files[layer].size() for layer in layers]
        first = len(layers) - 2
        total = sizes[-1] + sizes[-2]
        while first > 0 and (sizes[first - 1] <= total * _SIZE_RATIO or first > len(layers) - 4):
            first -= 1
            total += sizes[first]
        return layers[first:]

    async def _write(
        self,
        volume: NodeVolume,
        layer: int,
        fill: Callable[[File], Awaitable[None]],
        name: Callable[[], None],
        unname: Callable[[], None],
    ) -> bool:
        """Write a file, make it durable, name it in the manifest."""
        node = self._node
        file: File | None = None
        try:
            node.disk.mkdir(LAYERS)
            file = node.disk.open(layer_path(layer), create=True)
            if file.size():
                file.truncate(0)
            await fill(file)
            await synced(file)
            node.disk.sync_dir(LAYERS)
            name()
            try:
                node.save_manifest()
            except OSError:
                unname()
                raise
        except (OSError, _kernel.KernelError) as error:
            if self.failure is None:
                log.error(
                    "a layer file can't be written; this is tried again", node=node.config.name, reason=str(error)
                )
            self.failure = error if isinstance(error, OSError) else OSError(str(error))
            # A merge that met rot brings the scrub forward, as a read does.
            volume.damaged += isinstance(error, _kernel.KernelError)
            if file is not None:
                file.close()
            await node.runtime.clock.sleep(_RETRY_SECONDS)
            return False
        volume.files[layer] = file
        self.failure = None
        return True

    async def _fill_frozen(self, volume: NodeVolume, file: File) -> None:
        position = 0
        while (written := await self._node.runtime.offload(_freeze, volume, file, position)) is not None:
            position += written
        last = volume.store.freeze_finish()
        if last is not None:
            file.pwrite(position, last)

    async def _fill_merged(self, volume: NodeVolume, file: File) -> None:
        position = 0
        pieces: list[tuple[int, int, bytes]] = []
        offload = self._node.runtime.offload
        while (step := await offload(volume.store.merge_step, pieces, _STEP_BYTES)) is not None:
            if isinstance(step, bytes):
                await offload(file.pwrite, position, step)
                position += len(step)
            else:
                pieces = await offload(_read_pieces, volume, step)
        last = volume.store.merge_finish()
        if last is not None:
            file.pwrite(position, last)
