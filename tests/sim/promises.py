"""What each storage node has told anybody that it has: it must have it after every restart, or say that it is incomplete.

A quorum forgives one node that lies, so a run's other checks would see it only where several do at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import Client, StorageNode
from sixfold.pagestore.volume import NodeVolume
from sixfold.wal.runtime import Runtime
from tests.sim.history import Violation

_ENTRY = struct.Struct("<IQ")


class Promises:
    """One node's, over all of its lives."""

    def __init__(self, name: str) -> None:
        self.name = name
        # By group, and by the recovery whose void ranges it knew: the highest SCL that it told.
        self._told: dict[tuple[int, int], int] = {}
        # Its disk has lost something: what it promised is others' to keep.
        self.forgiven = False

    def make(self, volume: NodeVolume, scls: Iterable[tuple[int, int]]) -> None:
        """It says that it has these."""
        for group, scl in scls:
            key = (group, volume.store.voids_epoch)
            self._told[key] = max(self._told.get(key, 0), scl)

    def check(self, volume: NodeVolume) -> None:
        """It has what it said, as far as no recovery has voided it since."""
        if self.forgiven or not volume.complete:
            return
        voids = volume.store.voids
        durable = dict(volume.store.durable_scls())
        for (group, epoch), scl in self._told.items():
            voided = any(void_epoch > epoch and scl > start for void_epoch, start, _ in voids)
            if not voided and durable.get(group, 0) < scl:
                raise Violation(f"{self.name} has group {group} up to {durable.get(group, 0)}, and had told {scl}")


class PromisingNode(StorageNode):
    """A storage node that is held to what it says."""

    def __init__(self, config: NodeConfig, runtime: Runtime, promises: Promises) -> None:
        super().__init__(config, runtime)
        self.promises = promises

    async def start(self) -> None:
        await super().start()
        for volume in self.volumes.values():
            self.promises.check(volume)

    def _acknowledge(self, number: int, message: bytes) -> None:
        volume = self.volumes.get(number)
        if volume is not None and volume.writer is not None:
            self.promises.make(volume, _ENTRY.iter_unpack(message[9:]))
        super()._acknowledge(number, message)

    async def control(self, client: Client, method: str, params: Any) -> Any:
        answer = await super().control(client, method, params)
        if method in ("fence", "voids", "hello", "scls", "heal"):
            volume = self.volumes[params["volume"]]
            self.promises.make(volume, answer["scls"] if method == "fence" else answer)
            self.promises.check(volume)
        return answer
