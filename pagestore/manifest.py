"""What a storage node must know before it reads its journal: its volumes, their epochs and void ranges, and which layer files count.

It is replaced atomically, checked by a CRC, and never edited.
"""

from __future__ import annotations

import msgspec

from sixfold.kernel import _kernel
from sixfold.wal.runtime import Disk, read_all, write_atomic

PATH = "manifest"


class VolumeState(msgspec.Struct):
    """One volume on this node."""

    volume: int
    pages_per_group: int
    epoch: int = 0
    # Who may write in that epoch: two recoveries that chose the same number are told apart by it.
    owner: str = ""
    voids_epoch: int = 0
    # (epoch, start, end)
    voids: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    layers: list[int] = msgspec.field(default_factory=list)
    vdl: int = 0


class Manifest(msgspec.Struct):
    """The node's whole state but for the journal and the layers."""

    node: str
    next_layer: int = 1
    volumes: list[VolumeState] = msgspec.field(default_factory=list)


class ManifestDamaged(OSError):
    """The manifest can't be read: the node must not start, since it would forget whom it fenced."""


def load(disk: Disk) -> Manifest | None:
    """The manifest, or None on an empty folder."""
    if not disk.exists(PATH):
        return None
    data = read_all(disk, PATH)
    body, _, checksum = data.rpartition(b"\n")
    if checksum != b"%08x" % _kernel.checksum(body):
        raise ManifestDamaged(f"the manifest of this storage node is damaged ({PATH})")
    return msgspec.json.decode(body, type=Manifest)


def save(disk: Disk, manifest: Manifest) -> None:
    """Replace it durably."""
    body = msgspec.json.encode(manifest)
    write_atomic(disk, PATH, body + b"\n%08x" % _kernel.checksum(body))
