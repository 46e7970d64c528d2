"""Ways to get rows, compared by cost before any node is built. Cost units are PostgreSQL's: one page read in order is 1."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

from sixfold.engine.planner.context import Key
from sixfold.engine.planner.nodes import Node

CPU_ROW = 0.01
CPU_OPERATOR = 0.0025
CPU_INDEX = 0.005
PAGE = 1.0
# A row fetched through an index: a descent in the table's tree, mostly over cached pages.
INDEX_FETCH = 0.06
# The same where the row before was its neighbour.
INDEX_NEXT = 0.015
INDEX_START = 0.25
DISABLED = 1.0e10

# (column, descending, nulls first)
Order = tuple[tuple[Key, bool, bool], ...]


class Path:
    """`keys` says what each output column is; `free` which columns of others must be there as executor parameters."""

    __slots__ = ("build", "free", "keys", "order", "rels", "rows", "startup", "total")

    def __init__(
        self, rels: frozenset[int], keys: list[Key], rows: float, startup: float, total: float, build: Callable[[], Node],
        order: Order = (), free: frozenset[Key] = frozenset(),
    ) -> None:  # fmt: skip
        self.rels = rels
        self.keys = keys
        self.rows = rows
        self.startup = startup
        self.total = total
        self.build = build
        self.order = order
        self.free = free


def free_rels(path: Path) -> frozenset[int]:
    """Entries that the path's parameters come from."""
    return frozenset(rel for rel, _ in path.free)


def add_path(paths: list[Path], new: Path) -> None:
    """Keep `new` unless another one is as good in everything; drop what it makes useless."""
    for old in paths:
        if (
            old.total <= new.total
            and old.startup <= new.startup * 1.01 + 0.001
            and old.free <= new.free
            and old.order[: len(new.order)] == new.order
        ):
            return
    paths[:] = [
        old
        for old in paths
        if not (
            new.total <= old.total
            and new.startup <= old.startup * 1.01 + 0.001
            and new.free <= old.free
            and new.order[: len(old.order)] == old.order
        )
    ]
    paths.append(new)


def cheapest(paths: list[Path], fraction: float = 1.0) -> Path:
    """The cheapest for that share of the rows."""
    return min(paths, key=lambda p: p.startup + (p.total - p.startup) * fraction)


def satisfies(order: Order, wanted: Order) -> bool:
    """Are rows in `order` also in `wanted` order?"""
    return order[: len(wanted)] == wanted


def sort_cost(rows: float, enabled: bool = True) -> float:
    """Sorting that many rows."""
    rows = max(rows, 2.0)
    return 2.0 * CPU_OPERATOR * rows * log2(rows) + (0.0 if enabled else DISABLED)


def useful(order: Order, wanted: Order, columns: frozenset[Key]) -> Order:
    """What is worth knowing of an order: that it is the one the query wants, or that a join above may merge by it."""
    if wanted and satisfies(order, wanted):
        return order
    length = next((i for i, (column, _, _) in enumerate(order) if column not in columns), len(order))
    return order[:length]
