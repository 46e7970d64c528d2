"""Which texts are too long for the event loop, and what a thread that works on one must know.

`Session.think` parses, analyses and plans: at once when the text is short, else as an `Aside` (`wal/aside.py`). A short text may name a view
whose text is long, or join many tables: then `TooLong` ends the work, and it begins again there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

# Characters of a text that is parsed, analysed and planned on the event loop; that takes about five milliseconds.
SHORT = 4096
# Tables in one search for the order of joins on the event loop; with one more it may take tens of milliseconds.
JOINS_INLINE = 4
# Levels that a tree may get by chains (1 + 1 + …). PostgreSQL takes 4,000 to 13,000, as its stack allows.
CHAIN_MAX = 15_000
# Bytes of statements that are parsed together.
PIECE = 64 << 10
# Seconds of the event loop that the statements of one text may take before others have their turn.
TURN_SECONDS = 0.005


class TooLong(Exception):
    """A long text, or what takes as long, turned up in work that is done on the event loop."""


class _Here(threading.local):
    # In work that can begin again elsewhere.
    inline = False
    # Trees that this thread is done with, or will be when its work fails; none: nobody takes them apart.
    trees: list[Any] | None = None
    parsed: list[Any] | None = None


_here = _Here()


def check_length(text: str) -> None:
    """Before a text is parsed."""
    if _here.inline and len(text) > SHORT:
        raise TooLong


def check_joins(count: int) -> None:
    """Before an order is looked for in which to join so many."""
    if _here.inline and count > JOINS_INLINE:
        raise TooLong


def inline(work: Callable[[], T]) -> T:
    """The work; TooLong when it meets a long text."""
    before, _here.inline = _here.inline, True
    try:
        return work()
    finally:
        _here.inline = before


def gather(trees: list[Any] | None, parsed: list[Any] | None) -> None:
    """Where to put what `done_with` and `made` say, from here on in this thread."""
    _here.trees, _here.parsed = trees, parsed


def done_with(*trees: Any) -> None:
    """Nobody uses these trees any more."""
    if _here.trees is not None:
        _here.trees.extend(trees)


def made(tree: Any) -> None:
    """Nobody uses it any more if the work fails."""
    if _here.parsed is not None:
        _here.parsed.append(tree)
