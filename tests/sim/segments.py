"""What all segments of a volume must come to when nothing disturbs them any more."""

from __future__ import annotations

from collections.abc import Mapping

from sixfold.pagestore.node import StorageNode


async def have_everything(nodes: Mapping[str, StorageNode], volume: int, tails: Mapping[int, int]) -> bool:
    """Every node has every group up to its tail, and what has rotted and nobody has read is found and repaired."""
    stores = [node.volumes[volume].store for node in nodes.values() if volume in node.volumes]
    equal = all(store.scl(group) == tail for store in stores for group, tail in tails.items())
    if not equal or len(stores) < len(nodes):
        return False
    return all([await node.background.scrub.once() for node in nodes.values()])
