"""A storage node's options, as its TOML file and command line give them."""

from __future__ import annotations

import msgspec


class NodeConfig(msgspec.Struct):
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
    memory_bytes: int = 64 << 20
    # Journal files are kept for peers that lag, up to this.
    journal_bytes: int = 1 << 30
    gossip_seconds: float = 0.5
    # Merge layer files when there are more than this.
    layers_max: int = 8
    # Layer and journal files are read and their checksums compared this often, at this speed.
    scrub_seconds: float = 24 * 3600.0
    scrub_bytes_per_second: int = 8 << 20


def load_node_config(text: str) -> NodeConfig:
    """From a TOML file's text; msgspec.ValidationError names what is wrong."""
    return msgspec.toml.decode(text, type=NodeConfig)
