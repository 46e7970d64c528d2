"""Merge joins: both sides in the order of their keys, which an index gives or a Sort makes."""

from __future__ import annotations

from sixfold.engine.analyzer.tree import Var
from sixfold.engine.analyzer.walk import strip
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Env, Key, PlanContext
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_OPERATOR, CPU_ROW, Order, Path, satisfies, sort_cost
from sixfold.engine.planner.quals import equality_functions

# The others ask about nulls on the whole right side.
KINDS = ("inner", "left", "right", "full", "semi", "anti", "scalar")
# Rows of these come as the left side's do, and rows without a partner among them.
KEEP_ORDER = ("inner", "left", "semi", "anti", "scalar")


class JoinKey:
    """`left = right`: what hash and merge joins join by. Where types differ one side is cast: its column is the one below the cast."""

    __slots__ = ("left", "left_column", "qual", "right", "right_column", "typ")

    def __init__(
        self, qual: Expr, left: Expr, right: Expr, typ: int, left_column: Key | None, right_column: Key | None
    ) -> None:
        self.qual = qual
        self.left = left
        self.right = right
        self.typ = typ
        self.left_column = left_column
        self.right_column = right_column


# A key with its direction: descending, nulls first.
Merged = tuple[JoinKey, bool, bool]


def column(ctx: PlanContext, expr: Expr) -> Key | None:
    """The column that an expression is."""
    found = strip(ctx.substitute(expr))
    return (found.rel, found.col) if type(found) is Var else None


def join_columns(ctx: PlanContext, quals: list[Expr]) -> frozenset[Key]:
    """Columns whose order serves a merge join by one of the conditions."""
    return frozenset(
        key
        for qual in quals
        if type(qual) is nodes.Func and len(qual.args) == 2 and qual.func in equality_functions()
        for arg in qual.args
        if (key := column(ctx, arg)) is not None
    )


def orders(left: Path, right: Path, keys: list[JoinKey], sort_both: bool) -> list[list[Merged]]:
    """Keys to merge by, in the orders in which one of the sides comes; in any order, if both sides may be sorted."""
    result: list[list[Merged]] = []
    for path, of_left in ((left, True), (right, False)):
        found: list[Merged] = []
        for wanted, desc, nulls_first in path.order:
            key = next(
                (
                    k
                    for k in keys
                    if (k.left_column if of_left else k.right_column) == wanted and all(k is not f[0] for f in found)
                ),
                None,
            )
            if key is None:
                break
            found.append((key, desc, nulls_first))
        if found and found not in result:
            result.append(found)
    if sort_both:
        result.append([(k, False, False) for k in keys])
    return result


def _order(merged: list[Merged], of_left: bool) -> Order:
    """As far as the keys are plain columns."""
    result = []
    for key, desc, nulls_first in merged:
        found = key.left_column if of_left else key.right_column
        if found is None:
            break
        result.append((found, desc, nulls_first))
    return tuple(result)


class Sorted:
    """One side, in the order of the keys: as it comes, or through a Sort."""

    def __init__(self, ctx: PlanContext, path: Path, merged: list[Merged], of_left: bool) -> None:
        self.ctx = ctx
        self.path = path
        self.merged = merged
        self.of_left = of_left
        order = _order(merged, of_left)
        self.ready = len(order) == len(merged) and satisfies(path.order, order)
        self.order = path.order if self.ready else order
        self.total = path.total + (0.0 if self.ready else sort_cost(path.rows, ctx.info.enable_sort))
        self.startup = path.startup if self.ready else self.total

    def sort_keys(self) -> list[nodes.SortKey]:
        """The keys over this side's rows."""
        env = Env(self.ctx, self.path.keys)
        return [
            nodes.SortKey(env.lower(k.left if self.of_left else k.right), k.typ, desc, nulls_first)
            for k, desc, nulls_first in self.merged
        ]

    def build(self) -> Node:
        """The side's node."""
        node = self.path.build()
        if self.ready:
            return node
        node = nodes.Sort(node, self.sort_keys(), None)
        return self.ctx.estimate(node, self.path.rows, self.total, self.startup)


def cost(left: Sorted, right: Sorted, merged: list[Merged], rest: int, rows: float) -> tuple[float, float]:
    """Startup and total; `rest`: further conditions."""
    per_row = CPU_ROW * 0.5 + CPU_OPERATOR * len(merged)
    read = (left.path.rows + right.path.rows) * per_row
    startup = left.startup + right.startup
    return startup, left.total + right.total + read + rows * (CPU_ROW + CPU_OPERATOR * rest)
