"""A storage node's options, as its TOML file and command line give them."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class NodeConfig(msgspec.Struct, forbid_unknown_fields=True):
    """One storage node."""

    name: str
    # Where it listens; its peers and clients know it by this.
    address: str
    zone: str = ""
    # The other members' addresses, for gossip.
    peers: list[str] = msgspec.field(default_factory=list)
    # Folder of its files.
    data: str = ""
    fsync: bool = True
    # Records and images in memory above this are written to layer files.
    memory_bytes: Count = 64 << 20
    # Journal files are kept for peers that lag, up to this.
    journal_bytes: Count = 1 << 30
    gossip_seconds: Seconds = 0.5
    # Merge layer files when there are more than this.
    layers_max: Count = 8
    # Layer and journal files are read and their checksums compared this often, at this speed.
    scrub_seconds: Seconds = 24 * 3600.0
    scrub_bytes_per_second: Count = 8 << 20
