"""How many copies there are, in how many zones, and what each choice does not survive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Topology(StrEnum):
    """`--topology`: copies x zones."""

    SIX = "6x3"
    THREE = "3x3"
    ONE = "1"


@dataclass(frozen=True)
class Geometry:
    """Copies and quorums of a topology. `copies - write + 1` losses stop writes, `copies - read + 1` stop recovery."""

    copies: int
    zones: int
    write: int
    read: int
    survives: str


GEOMETRIES = {
    Topology.SIX: Geometry(
        6, 3, 4, 3, "any two copies or a whole zone for writes; a zone and one more copy for reads and repair"
    ),
    Topology.THREE: Geometry(3, 3, 2, 2, "one copy (one zone); not a zone and one more copy"),
    Topology.ONE: Geometry(1, 1, 1, 1, "no loss: one copy, for a laptop or a test"),
}


@dataclass(frozen=True)
class Place:
    """Where one copy lives: `zone-a/node-1`."""

    zone: str
    node: str

    @property
    def name(self) -> str:
        return f"{self.zone[-1]}{self.node[-1]}"

    @property
    def folder(self) -> str:
        return f"{self.zone}/{self.node}"


def places(topology: Topology) -> list[Place]:
    """The copies' places: zones `a`, `b`, `c`, an even number of nodes in each."""
    geometry = GEOMETRIES[topology]
    per_zone = geometry.copies // geometry.zones
    return [
        Place(f"zone-{'abc'[zone]}", f"node-{node + 1}") for zone in range(geometry.zones) for node in range(per_zone)
    ]
