"""A plan as the kernel reads it. A large one is encoded in parts: encoding holds the GIL."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sixfold.engine.planner import nodes

# Elements of a list that are encoded together, and from how many on a list is cut.
TOGETHER = 500
# A byte that no JSON has, around the number of a list that was left out.
LEFT_OUT = re.compile(rb"\x01(\d+)\x01")


def encode(plan: nodes.Plan, large: bool) -> list[bytes]:
    """The parts, in order."""
    if not large:
        return [msgspec.json.encode(plan)]
    lists = _long_lists(plan)
    kept: list[list[Any]] = []
    encoded: list[list[bytes]] = []
    # Inner ones come behind those that they are in.
    for number in range(len(lists) - 1, -1, -1):
        items = lists[number]
        kept.append(items[:])
        encoded.append([msgspec.json.encode(items[at : at + TOGETHER])[1:-1] for at in range(0, len(items), TOGETHER)])
        items[:] = [msgspec.Raw(b"\x01%d\x01" % (len(encoded) - 1))]
    found: list[bytes] = []
    _join(msgspec.json.encode(plan), encoded, found)
    for number, items in enumerate(reversed(lists)):
        items[:] = kept[number]
    return found


def _join(text: bytes, encoded: list[list[bytes]], found: list[bytes]) -> None:
    for at, part in enumerate(LEFT_OUT.split(text)):
        if at % 2 == 0:
            found.append(part)
            continue
        for index, piece in enumerate(encoded[int(part)]):
            if index:
                found.append(b",")
            _join(piece, encoded, found)


def _long_lists(plan: nodes.Plan) -> list[list[Any]]:
    """Lists that are cut, outer ones first."""
    found: list[list[Any]] = []
    seen: set[int] = set()
    rest: list[Any] = [plan]
    while rest:
        part = rest.pop()
        if isinstance(part, list):
            if len(part) > TOGETHER:
                if id(part) in seen:
                    continue
                seen.add(id(part))
                found.append(part)
            rest.extend(part)
        elif isinstance(part, tuple):
            rest.extend(part)
        elif isinstance(part, msgspec.Struct):
            rest.extend(
                value
                for name in part.__struct_fields__
                if isinstance(value := getattr(part, name), list | tuple | msgspec.Struct)
            )
    return found
