"""Joining two paths: hash join, merge join, nested loop (with index parameters, or over a materialised right side)."""

from __future__ import annotations

from functools import cache

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.errors import SqlError
from sixfold.engine.facts import FACTS
from sixfold.engine.planner import merge, nodes
from sixfold.engine.planner.context import Env, Key, PlanContext
from sixfold.engine.planner.merge import JoinKey, column
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_OPERATOR, CPU_ROW, DISABLED, Order, Path, add_path, free_rels, useful
from sixfold.engine.planner.quals import conjunction, equality_functions, expr_vars
from sixfold.engine.planner.statistics import Statistics

ROWS_MAX = 1e100
# Kinds whose rows have only the left side's columns.
LEFT_ONLY = ("semi", "anti", "null_anti")


@cache
def _wider(left: int, right: int) -> tuple[str, int] | None:
    """A cast that makes the first type the second, keeping equality."""
    if (left, right) in {(21, 23), (21, 20), (23, 20), (700, 701), (1082, 1114)}:
        cast = FACTS.casts.get((left, right))
        return (cast.func, right) if cast is not None else None
    return None


def join_key(ctx: PlanContext, qual: Expr, left: frozenset[int], right: frozenset[int]) -> JoinKey | None:
    """The condition as a join key between two sets of entries."""
    if type(qual) is not nodes.Func or len(qual.args) != 2 or qual.func not in equality_functions():
        return None
    a, b = qual.args
    ta, tb = qual.arg_types
    rels_a = {k[0] for k in expr_vars(ctx, a)}
    rels_b = {k[0] for k in expr_vars(ctx, b)}
    if not (rels_a & left and rels_b & right and not rels_a & right and not rels_b & left):
        if not (rels_a & right and rels_b & left and not rels_a & left and not rels_b & right):
            return None
        a, b, ta, tb = b, a, tb, ta
    columns = column(ctx, a), column(ctx, b)
    known = same_type(a, b, ta, tb)
    return None if known is None else JoinKey(qual, *known, *columns)


def same_type(a: Expr, b: Expr, ta: int, tb: int) -> tuple[Expr, Expr, int] | None:
    """Two sides of an equality as keys of one type, if that can be."""
    if ta != tb and not {ta, tb} <= {oids.TEXT, oids.VARCHAR}:
        forward, back = _wider(ta, tb), _wider(tb, ta)
        if forward is not None:
            a, ta = nodes.Func(forward[0], [a], [ta], tb), tb
        elif back is not None:
            b, tb = nodes.Func(back[0], [b], [tb], ta), ta
        else:
            return None
    if ta in (oids.ANYARRAY, oids.ANYELEMENT, oids.RECORD):
        ta = type_of(a)
    return a, b, ta


class Joiner:
    """Makes the paths of one join."""

    def __init__(
        self, ctx: PlanContext, statistics: Statistics, wanted: Order = (), columns: frozenset[Key] = frozenset()
    ) -> None:
        self.ctx = ctx
        self.statistics = statistics
        # What an order of the result could be good for: see `useful`.
        self.wanted = wanted
        self.columns = columns

    def rows(self, kind: str, left: float, right: float, quals: list[Expr]) -> float:
        """Estimated rows."""
        selectivity = 1.0
        for qual in quals:
            selectivity *= self.statistics.selectivity(qual)
        matches = min(left * right * selectivity, ROWS_MAX)
        if kind == "inner":
            return max(1.0, matches)
        if kind in ("left", "scalar", "mark"):
            return max(left, matches) if kind == "left" else left
        if kind == "right":
            return max(right, matches)
        if kind == "full":
            return max(left, right, matches)
        share = min(1.0, right * selectivity) if quals else 1.0
        if kind == "semi":
            return max(1.0, left * share)
        return max(1.0, left * max(0.05, 1.0 - share))

    def free(self, left: Path, right: Path, quals: list[Expr]) -> frozenset[Key]:
        """Outer columns that the join needs."""
        rels = left.rels | right.rels
        result = {k for k in left.free | right.free if k[0] not in rels}
        for qual in quals:
            result |= {k for k in expr_vars(self.ctx, qual) if k[0] not in rels}
        return frozenset(result)

    def join(
        self, result: list[Path], kind: str, left: Path, right: Path, quals: list[Expr], rows: float | None = None
    ) -> None:
        """Every sensible join of two paths."""
        if free_rels(left) & right.rels:
            return
        if rows is None:
            rows = self.rows(kind, left.rows, right.rows, quals)
        depends = bool(free_rels(right) & left.rels)
        if not depends:
            keys = [k for q in quals if (k := join_key(self.ctx, q, left.rels, right.rels)) is not None]
            if keys and (kind != "null_anti" or len(keys) == len(quals)):
                self._hash(result, kind, left, right, quals, keys, rows)
                self._merge(result, kind, left, right, quals, keys, rows)
            elif kind in ("full", "right"):
                if kind == "full":
                    raise SqlError(
                        "0A000", "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions"
                    )
                return
        if kind in ("full", "right"):
            return
        self._loop(result, kind, left, right, quals, rows, depends)

    def _keys(self, kind: str, left: Path, right: Path) -> list[Key]:
        return left.keys if kind in LEFT_ONLY else [*left.keys, *right.keys]

    def _rels(self, kind: str, left: Path, right: Path) -> frozenset[int]:
        return left.rels if kind in LEFT_ONLY else left.rels | right.rels

    def _hash(
        self,
        result: list[Path],
        kind: str,
        left: Path,
        right: Path,
        quals: list[Expr],
        keys: list[JoinKey],
        rows: float,
    ) -> None:
        used = {id(k.qual) for k in keys}
        rest = [q for q in quals if id(q) not in used]
        per_left = CPU_ROW + CPU_OPERATOR * len(keys)
        startup = right.total + right.rows * (CPU_ROW * 1.5 + CPU_OPERATOR * len(keys)) + left.startup
        total = (
            startup + (left.total - left.startup) + left.rows * per_left + rows * (CPU_ROW + CPU_OPERATOR * len(rest))
        )
        if not self.ctx.info.enable_hashjoin:
            total += DISABLED

        def build() -> Node:
            left_node, right_node = left.build(), right.build()
            left_env, right_env = Env(self.ctx, left.keys), Env(self.ctx, right.keys)
            both = Env(self.ctx, [*left.keys, *right.keys])
            test = conjunction(rest)
            node = nodes.HashJoin(
                kind, left_node, right_node, [left_env.lower(k.left) for k in keys],
                [right_env.lower(k.right) for k in keys], [k.typ for k in keys],
                both.lower(test) if test is not None else None, len(left.keys), len(right.keys),
            )  # fmt: skip
            return self.ctx.estimate(node, rows, total, startup)

        add_path(
            result,
            Path(
                self._rels(kind, left, right),
                self._keys(kind, left, right),
                rows,
                startup,
                total,
                build,
                (),
                self.free(left, right, quals),
            ),
        )

    def _merge(
        self,
        result: list[Path],
        kind: str,
        left: Path,
        right: Path,
        quals: list[Expr],
        keys: list[JoinKey],
        rows: float,
    ) -> None:
        info = self.ctx.info
        if kind not in merge.KINDS or not info.enable_mergejoin:
            return
        # Two sorts are never cheaper than a hash table.
        for merged in merge.orders(left, right, keys, not info.enable_hashjoin):
            self._merged(result, kind, left, right, quals, merged, rows)

    def _merged(
        self,
        result: list[Path],
        kind: str,
        left: Path,
        right: Path,
        quals: list[Expr],
        merged: list[merge.Merged],
        rows: float,
    ) -> None:
        one, two = merge.Sorted(self.ctx, left, merged, True), merge.Sorted(self.ctx, right, merged, False)
        rest = [q for q in quals if all(k.qual is not q for k, _, _ in merged)]
        startup, total = merge.cost(one, two, merged, len(rest), rows)

        def build() -> Node:
            left_node, right_node = one.build(), two.build()
            test = conjunction(rest)
            both = Env(self.ctx, [*left.keys, *right.keys])
            node = nodes.MergeJoin(
                kind, left_node, right_node, one.sort_keys(), [k.expr for k in two.sort_keys()],
                both.lower(test) if test is not None else None, len(left.keys), len(right.keys),
            )  # fmt: skip
            return self.ctx.estimate(node, rows, total, startup)

        order = useful(one.order, self.wanted, self.columns) if kind in merge.KEEP_ORDER else ()
        add_path(
            result,
            Path(
                self._rels(kind, left, right), self._keys(kind, left, right), rows, startup, total, build, order,
                self.free(left, right, quals),
            ),
        )  # fmt: skip

    def _loop(
        self, result: list[Path], kind: str, left: Path, right: Path, quals: list[Expr], rows: float, depends: bool
    ) -> None:
        materialise = not depends and right.total > 0.5 and left.rows > 1
        repeats = max(1.0, left.rows)
        if materialise:
            inner = right.total + right.rows * CPU_OPERATOR + repeats * right.rows * CPU_OPERATOR
        elif kind in ("semi", "anti"):
            # The first partner ends the search.
            inner = repeats * (right.startup + (right.total - right.startup) * min(1.0, 2.0 / max(right.rows, 1.0)))
        else:
            inner = repeats * right.total
        total = (
            left.total + inner + repeats * right.rows * (CPU_ROW + CPU_OPERATOR * len(quals)) * (1.0 if quals else 0.5)
        )
        startup = left.startup + right.startup
        if not self.ctx.info.enable_nestloop and not depends:
            total += DISABLED

        def build() -> Node:
            left_node, right_node = left.build(), right.build()
            env = Env(self.ctx, [*left.keys, *right.keys])
            left_env = Env(self.ctx, left.keys)
            params = left_env.bind({k for k in right.free if k[0] in left.rels})
            test = conjunction(quals)
            on = env.lower(test) if test is not None else None
            number = 0
            cte: Node | None = None
            if materialise:
                number = self.ctx.next_with
                self.ctx.next_with += 1
                cte, right_node = right_node, nodes.CteScan(number, len(right.keys))
                self.ctx.estimate(right_node, right.rows, right.total, right.startup)
            node: Node = nodes.NestedLoop(kind, left_node, right_node, on, params, len(right.keys))
            self.ctx.estimate(node, rows, total, startup)
            if cte is not None:
                node = self.ctx.estimate(nodes.With(number, cte, node, False), rows, total, startup)
            return node

        add_path(
            result,
            Path(
                self._rels(kind, left, right), self._keys(kind, left, right), rows, startup, total, build,
                useful(left.order, self.wanted, self.columns),
                self.free(left, right, quals),
            ),
        )  # fmt: skip
