"""Writing layer files: freezing memory into a new one, merging several into one, removing what nothing names.

Each is a few steps of work with the loop free in between; a file counts from the moment that the manifest names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from sixfold.kernel import _kernel
from sixfold.pagestore.volume import LAYERS, NodeVolume, layer_path
from sixfold.wal.runtime import File

if TYPE_CHECKING:
    from sixfold.pagestore.node import StorageNode

_STEP_BYTES = 128 << 10
_RETRY_SECONDS = 1.0
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


class Layers:
    """One node's layer files. One of them is written at a time."""

    def __init__(self, node: StorageNode) -> None:
        self._node = node
        self._busy = False
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
                disk.unlink(f"{LAYERS}/{name}")

    def new_layer(self) -> int:
        """A number that no file has."""
        layer = self._node.manifest.next_layer
        self._node.manifest.next_layer += 1
        return layer

    async def freeze(self, volume: NodeVolume) -> None:
        """Everything in memory that is durable for the whole volume goes to one new layer."""
        if self._busy:
            return
        layer = self.new_layer()
        if not volume.store.freeze_begin(layer):
            return

        def name() -> None:
            volume.state.layers.append(layer)
            volume.state.vdl = volume.store.vdl

        if not await self._write(volume, layer, lambda file: self._frozen(volume, file), name):
            volume.store.freeze_failed()
            return
        volume.store.freeze_install()

    async def merge(self, volume: NodeVolume) -> bool:
        """Merge one run of layers when there are too many. True: something was merged."""
        ids = self._run(volume)
        if self._busy or not ids:
            return False
        layer = self.new_layer()
        volume.store.merge_begin(ids, layer)

        def name() -> None:
            at = volume.state.layers.index(ids[0])
            volume.state.layers[at : at + len(ids)] = [layer]

        if not await self._write(volume, layer, lambda file: self._merged(volume, file), name):
            volume.store.merge_failed()
            return False
        volume.store.merge_install()
        self.remove(volume, ids)
        return True

    def remove(self, volume: NodeVolume, ids: list[int]) -> None:
        """Files that nothing names any more."""
        try:
            for layer in ids:
                file = volume.files.pop(layer, None)
                if file is not None:
                    file.close()
                self._node.disk.unlink(layer_path(layer))
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
        self, volume: NodeVolume, layer: int, fill: Callable[[File], Awaitable[None]], name: Callable[[], None]
    ) -> bool:
        """Write a file, make it durable, name it in the manifest."""
        node = self._node
        self._busy = True
        before = list(volume.state.layers)
        file: File | None = None
        try:
            node.disk.mkdir(LAYERS)
            file = node.disk.open(layer_path(layer), create=True)
            file.truncate(0)
            await fill(file)
            await synced(file)
            node.disk.sync_dir(LAYERS)
            name()
            node.save_manifest()
        except (OSError, _kernel.KernelError) as error:
            volume.state.layers[:] = before
            self.failure = error if isinstance(error, OSError) else OSError(str(error))
            if file is not None:
                file.close()
            await node.runtime.clock.sleep(_RETRY_SECONDS)
            return False
        finally:
            self._busy = False
        volume.files[layer] = file
        self.failure = None
        return True

    async def _frozen(self, volume: NodeVolume, file: File) -> None:
        position = 0
        while (data := volume.store.freeze_step(_STEP_BYTES)) is not None:
            file.pwrite(position, data)
            position += len(data)
            await self._node.runtime.clock.sleep(0)
        last = volume.store.freeze_finish()
        if last is not None:
            file.pwrite(position, last)

    async def _merged(self, volume: NodeVolume, file: File) -> None:
        position = 0
        pieces: list[tuple[int, int, bytes]] = []
        while (step := volume.store.merge_step(pieces, _STEP_BYTES)) is not None:
            if isinstance(step, bytes):
                file.pwrite(position, step)
                position += len(step)
                await self._node.runtime.clock.sleep(0)
            else:
                pieces = [(layer, offset, volume.files[layer].pread(offset, size)) for layer, offset, size in step]
        last = volume.store.merge_finish()
        if last is not None:
            file.pwrite(position, last)
