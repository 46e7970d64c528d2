"""What a storage node must know before it reads its journal: its volumes, their epochs and void ranges, and which layer files count.

The file is two slots of the same size, each `[number u64][length u32][CRC32C u32][JSON]`, little-endian. A save writes one slot, makes it
durable, then the other: whatever a crash tears, one slot is whole, and a bit that rots in one is mended by its twin. No metadata of the file
system changes, so a save costs two fdatasyncs of a page or two, not a rename and a folder's sync.
"""

from __future__ import annotations

import struct

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
    # (group, LSN): until it has all of these, this node has less than it once acknowledged (a new disk, rot in the journal), and
    # must not count among the three that recovery reads.
    filling: list[tuple[int, int]] = msgspec.field(default_factory=list)
    # It has less, and does not know what: it must be told first how far it is to be filled.
    doubtful: bool = False
    layers: list[int] = msgspec.field(default_factory=list)
    vdl: int = 0


class Manifest(msgspec.Struct):
    """The node's whole state but for the journal and the layers."""

    node: str
    next_layer: int = 1
    volumes: list[VolumeState] = msgspec.field(default_factory=list)
    # [first, end) of the numbers of journal entries that are known to be missing.
    gaps: list[tuple[int, int]] = msgspec.field(default_factory=list)


class ManifestDamaged(OSError):
    """The manifest can't be read: the node must not start by itself, since it would forget whom it fenced. Whoever empties its folder must
    know that its peers are well."""


_HEAD = struct.Struct("<QII")
_SLOT_BYTES = 32 << 10


def load(disk: Disk) -> tuple[Manifest, int] | None:
    """The manifest and its number, or None on an empty folder."""
    if not disk.exists(PATH):
        return None
    found = [slot for slot in _slots(disk) if slot is not None]
    if not found:
        raise ManifestDamaged(
            f"both copies of the manifest of this storage node are damaged (file {PATH}): where the other storage nodes of the volume are "
            "well, move this node's folder away and start it again, and it is filled from them"
        )
    number, body = max(found)
    return msgspec.json.decode(body, type=Manifest), number


def is_gone(disk: Disk) -> bool:
    """Whether it was removed, and the folder with it; what else is wrong with a disk comes out when it is used."""
    try:
        disk.open(PATH).close()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def is_whole(disk: Disk) -> bool:
    """Whether both slots are sound, and the same."""
    first, second = _slots(disk)
    return first is not None and first == second


def _slots(disk: Disk) -> tuple[tuple[int, bytes] | None, tuple[int, bytes] | None]:
    data = read_all(disk, PATH)
    half = len(data) // 2
    return _slot(data[:half]), _slot(data[half:])


def _slot(data: bytes) -> tuple[int, bytes] | None:
    if len(data) < _HEAD.size:
        return None
    number, length, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    return (number, body) if number and length == len(body) > 0 and _kernel.checksum(body) == checksum else None


def save(disk: Disk, manifest: Manifest, number: int) -> None:
    """Replace it durably; `number` is higher than the last one's. OSError: the old or the new one counts."""
    body = msgspec.json.encode(manifest)
    slot = _HEAD.pack(number, len(body), _kernel.checksum(body)) + body
    file = disk.open(PATH) if disk.exists(PATH) else None
    try:
        half = file.size() // 2 if file is not None else 0
        if file is None or len(slot) > half:
            padded = slot.ljust(max(_SLOT_BYTES, 2 * len(slot)), b"\0")
            write_atomic(disk, PATH, padded + padded)
            return
        for offset in (0, half):
            file.pwrite(offset, slot)
            file.sync_now()
    finally:
        if file is not None:
            file.close()
