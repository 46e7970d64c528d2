"""The manifest's two slots: torn writes, bit rot, growth."""

from __future__ import annotations

import pytest

from sixfold.pagestore.manifest import PATH, Manifest, ManifestDamaged, VolumeState, load, save
from sixfold.wal.real import RealDisk


def saved(root: str, count: int) -> RealDisk:
    disk = RealDisk(root)
    for number in range(1, count + 1):
        save(disk, Manifest("n", next_layer=number), number)
    return disk


def damage(disk: RealDisk, offset: int, data: bytes) -> None:
    file = disk.open(PATH)
    file.pwrite(offset, data)
    file.close()


def test_the_last_save_is_read(tmp_path: object) -> None:
    disk = saved(str(tmp_path), 5)
    found = load(disk)
    assert found is not None
    assert (found[0].next_layer, found[1]) == (5, 5)


@pytest.mark.parametrize("slot", [0, 1])
def test_one_damaged_slot_is_mended_by_its_twin(tmp_path: object, slot: int) -> None:
    disk = saved(str(tmp_path), 3)
    damage(disk, slot * 32768 + 20, b"\xff\xff")
    found = load(disk)
    assert found is not None
    assert found[0].next_layer == 3


def test_a_save_torn_in_its_first_slot_leaves_the_one_before(tmp_path: object) -> None:
    disk = saved(str(tmp_path), 3)
    damage(disk, 0, b"\x04" + bytes(40))
    found = load(disk)
    assert found is not None
    assert found[0].next_layer == 3


def test_two_damaged_slots_are_an_error_and_not_an_empty_node(tmp_path: object) -> None:
    disk = saved(str(tmp_path), 3)
    damage(disk, 20, b"\xff\xff")
    damage(disk, 32768 + 20, b"\xff\xff")
    with pytest.raises(ManifestDamaged):
        load(disk)


def test_a_manifest_outgrows_its_slots(tmp_path: object) -> None:
    disk = saved(str(tmp_path), 1)
    large = Manifest("n", volumes=[VolumeState(1, 1, layers=list(range(20_000)))])
    save(disk, large, 2)
    save(disk, large, 3)
    assert load(disk) == (large, 3)
