"""What a volume is: its geometry, its members and its quorums."""

from __future__ import annotations

import msgspec

# Largest distance between VDL and the last LSN given out, in bytes of redo: back pressure, and the bound of a void range.
ALLOCATION_LIMIT_BYTES = 64 << 20
# 10 GB of 8 KiB pages.
PAGES_PER_GROUP = 1310720


class Member(msgspec.Struct, frozen=True):
    """One storage node's place in the volume. Its index in `VolumeConfig.members` is its bit in quorums."""

    name: str
    zone: str
    address: str


class VolumeConfig(msgspec.Struct, frozen=True):
    """Everything that a writer, reader or recovery must know to find a volume."""

    volume: int
    members: list[Member]
    write_quorum: int
    read_quorum: int
    pages_per_group: int = PAGES_PER_GROUP
    allocation_limit: int = ALLOCATION_LIMIT_BYTES

    def __post_init__(self) -> None:
        count = len(self.members)
        if not (self.write_quorum * 2 > count and self.write_quorum + self.read_quorum > count):
            raise ValueError("write quorums must intersect each other, and every read quorum")
        if self.write_quorum > count or self.read_quorum > count or self.read_quorum < 1:
            raise ValueError("a quorum is larger than the number of members")

    @property
    def clauses(self) -> list[tuple[int, int]]:
        """The write quorum as the kernel's tracker takes it: (mask of members, how many)."""
        return [((1 << len(self.members)) - 1, self.write_quorum)]

    def group_of(self, page: int) -> int:
        """The protection group of a page."""
        return page // self.pages_per_group


class Topology(msgspec.Struct, frozen=True):
    """How many copies stand in how many zones, and what that survives."""

    name: str
    zones: int
    copies: int
    write_quorum: int
    read_quorum: int
    survives: str


TOPOLOGIES = {
    "6x3": Topology(
        "6x3", 3, 6, 4, 3, "writes go on without any zone or two nodes; no data is lost with a zone and one more node"
    ),
    "3x3": Topology("3x3", 3, 3, 2, 2, "one node or zone may be lost; a second one stops the database"),
    "1": Topology("1", 1, 1, 1, 1, "no copy may be lost: there is one, for laptops and tests"),
}


def zone_names(topology: Topology) -> list[tuple[str, str]]:
    """(zone, node) names of a topology's members: zone-a/node-1, zone-a/node-2, zone-b/node-1, …"""
    each = topology.copies // topology.zones
    zones = [f"zone-{chr(97 + i)}" for i in range(topology.zones)]
    return [(zone, f"node-{j + 1}") for zone in zones for j in range(each)]


def local_members(topology: Topology) -> list[Member]:
    """Members that are reached by name within one process."""
    return [Member(f"{zone}/{node}", zone, f"{zone}/{node}") for zone, node in zone_names(topology)]


def make_config(
    topology: str, members: list[Member], volume: int = 1, pages_per_group: int = PAGES_PER_GROUP
) -> VolumeConfig:
    """The volume of a topology over these members."""
    shape = TOPOLOGIES[topology]
    if len(members) != shape.copies:
        raise ValueError(f"topology {topology} has {shape.copies} members, not {len(members)}")
    return VolumeConfig(volume, members, shape.write_quorum, shape.read_quorum, pages_per_group)
