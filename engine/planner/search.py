"""The order of joins: inner joins of a FROM list by dynamic programming (greedily where there are many); outer, semi and
anti joins stay where the statement has them, with conditions pushed below them where that changes nothing."""

from __future__ import annotations

import heapq

from sixfold.engine.analyzer.tree import FromGroup, FromItem, FromJoin, FromRel, Rte, Var
from sixfold.engine.analyzer.walk import strip
from sixfold.engine.long_texts import check_joins
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Env, Key, PlanContext
from sixfold.engine.planner.joins import Joiner
from sixfold.engine.planner.merge import join_columns
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_OPERATOR, Order, Path, add_path, cheapest, free_rels
from sixfold.engine.planner.quals import comparisons, conjunction, conjuncts, expr_vars, strict_rels
from sixfold.engine.planner.scan import BaseRel
from sixfold.engine.planner.statistics import Statistics

BUSHY_MAX = 5
DYNAMIC_MAX = 9
# Where parts are joined in pairs, at most so many pairs with a condition are costed at each step.
PAIRS_MAX = 32
# Of at most so many parts every pair is costed where none has a condition.
CROSS_MAX = 8


def item_rels(item: FromItem) -> set[int]:
    """Entries of a FROM item (a semijoin's right side included)."""
    if isinstance(item, FromRel):
        return {item.rte.id}
    if isinstance(item, FromGroup):
        return set().union(*(item_rels(i) for i in item.items)) if item.items else set()
    return item_rels(item.left) | item_rels(item.right)


def reduce_outer(item: FromItem, strict: set[int]) -> FromItem:
    """Outer joins whose null-extended rows a condition above drops become inner ones."""
    if isinstance(item, FromGroup):
        below = strict | set().union(*(strict_rels(q) for q in conjuncts(item.where)), set())
        return FromGroup([reduce_outer(i, below) for i in item.items], item.where)
    if isinstance(item, FromRel):
        return item
    kind = item.kind
    left, right = item_rels(item.left), item_rels(item.right)
    if kind == "full":
        if strict & left and strict & right:
            kind = "inner"
        elif strict & left:
            kind = "left"
        elif strict & right:
            kind = "right"
    if kind == "left" and strict & right:
        kind = "inner"
    if kind == "right" and strict & left:
        kind = "inner"
    on = set().union(*(strict_rels(q) for q in conjuncts(item.on)), set())
    left_strict = (
        strict if kind in ("left", "semi", "anti", "null_anti", "scalar") else strict | on if kind == "inner" else set()
    )
    right_strict = strict | on if kind == "inner" else set()
    if kind == "right":
        right_strict = strict
    return FromJoin(kind, reduce_outer(item.left, left_strict), reduce_outer(item.right, right_strict), item.on)


class JoinUnit:
    """An outer, semi or anti join, planned by itself."""

    def __init__(self, problem: Problem, join: FromJoin) -> None:
        self.kind = join.kind
        left, right = join.left, join.right
        if self.kind == "right":
            self.kind, left, right = "left", right, left
        self.left_rels, self.right_rels = item_rels(left), item_rels(right)
        self.left_items, self.right_items = [left], [right]
        self.left_quals: list[Expr] = []
        self.right_quals: list[Expr] = []
        self.on: list[Expr] = []
        self.above: list[Expr] = []
        self.problem = problem
        for qual in conjuncts(join.on):
            rels = {k[0] for k in expr_vars(problem.ctx, qual)}
            inside = rels & (self.left_rels | self.right_rels)
            if inside and inside <= self.right_rels and self.kind in ("left", "semi", "anti", "scalar"):
                self.right_quals.append(qual)
            elif inside and inside <= self.left_rels and self.kind == "semi":
                self.left_quals.append(qual)
            else:
                self.on.append(qual)
        self.rels = self.left_rels | (set() if self.kind in ("semi", "anti", "null_anti") else self.right_rels)

    def push(self, qual: Expr) -> None:
        """A condition on this join's rows: below it where it is only about the preserved side."""
        rels = {k[0] for k in expr_vars(self.problem.ctx, qual)} & self.rels
        if rels <= self.left_rels and self.kind != "full":
            self.left_quals.append(qual)
        else:
            self.above.append(qual)

    def paths(self) -> list[Path]:
        """Ways to do the join."""
        problem = self.problem
        ctx, used, statistics = problem.ctx, problem.used, problem.statistics
        above = problem.join_columns
        below = above | (join_columns(ctx, self.on) if problem.merges else frozenset())
        left = Problem(ctx, self.left_items, self.left_quals, used, statistics, problem.wanted, below, problem.merges)
        lefts = best_few(left.solve()) if len(self.left_rels) > DYNAMIC_MAX else left.solve()
        right = Problem(ctx, self.right_items, self.right_quals, used, statistics, (), below, problem.merges)
        rights = right.solve()
        result: list[Path] = []
        joiner = Joiner(ctx, statistics, problem.wanted, above)
        base = right.single_base()
        parametrised: dict[tuple[frozenset[int], tuple[int, ...]], list[Path]] = {}
        for left_path in lefts:
            for right_path in rights:
                joiner.join(result, self.kind, left_path, right_path, self.on)
                if self.kind == "left":
                    self._swapped(result, joiner, left_path, right_path)
            if base is not None and self.kind != "full":
                usable = [
                    q
                    for q in self.on
                    if {k[0] for k in expr_vars(problem.ctx, q)} <= left_path.rels | base_rels(base) | outer(problem, q)
                ]
                if self.kind in ("null_anti", "mark"):
                    usable = []
                key = (left_path.rels, tuple(map(id, usable)))
                if usable and key not in parametrised:
                    parametrised[key] = base.paths(usable)
                for right_path in parametrised[key] if usable else ():
                    rest = [q for q in self.on if not any(q is u for u in usable)]
                    rows = joiner.rows(self.kind, left_path.rows, base.rows(), self.on)
                    joiner.join(result, self.kind, left_path, right_path, rest, rows)
        if not self.above:
            return result
        return [filtered(problem.ctx, p, self.above, problem.statistics) for p in result]

    def _swapped(self, result: list[Path], joiner: Joiner, left: Path, right: Path) -> None:
        """A hash join that hashes the preserved side."""
        if free_rels(right) & left.rels or left.rows > right.rows:
            return
        rows = joiner.rows("left", left.rows, right.rows, self.on)
        joiner.join(result, "right", right, left, self.on, rows)


def best_few(paths: list[Path]) -> list[Path]:
    """Of ways to join very many: those that are the cheapest for all rows, or for the first one, in their order."""
    orders: dict[tuple[Order, frozenset[Key]], list[Path]] = {}
    for path in paths:
        orders.setdefault((path.order, path.free), []).append(path)
    kept = {id(best) for same in orders.values() for best in (cheapest(same), cheapest(same, 0.0))}
    return [path for path in paths if id(path) in kept]


def base_rels(base: BaseRel) -> frozenset[int]:
    """The entry of a base relation, as a set."""
    return frozenset((base.rte.id,))


def outer(problem: Problem, qual: Expr) -> set[int]:
    """Entries of outer queries that a condition names."""
    return {k[0] for k in expr_vars(problem.ctx, qual)} - problem.all_rels


def filtered(ctx: PlanContext, path: Path, quals: list[Expr], statistics: Statistics) -> Path:
    """A path with conditions on top."""
    rows = path.rows
    for qual in quals:
        rows *= statistics.selectivity(qual)
    rows = max(1.0, rows)
    total = path.total + path.rows * CPU_OPERATOR * len(quals)
    free = path.free | frozenset(k for q in quals for k in expr_vars(ctx, q) if k[0] not in path.rels)

    def build() -> Node:
        node = path.build()
        test = conjunction(quals)
        assert test is not None, "there is something to filter by"
        return ctx.estimate(nodes.Filter(node, Env(ctx, path.keys).lower(test)), rows, total, path.startup)

    return Path(path.rels, path.keys, rows, path.startup, total, build, path.order, free)


class Problem:
    """An inner join of FROM items under conditions."""

    def __init__(
        self,
        ctx: PlanContext,
        items: list[FromItem],
        quals: list[Expr],
        used: dict[int, set[int]],
        statistics: Statistics,
        wanted: Order = (),
        above: frozenset[Key] = frozenset(),
        merges: bool = False,
    ) -> None:
        self.ctx = ctx
        # A hash join costs less than reading by two indexes just to merge: unless it is forbidden, or an order is asked for.
        self.merges = merges
        # Columns that joins above this problem may merge by.
        self.above = above
        self.wanted = wanted
        self.used = used
        self.statistics = statistics
        self.units: list[BaseRel | JoinUnit] = []
        self.unit_rels: list[set[int]] = []
        self.quals = list(quals)
        self.top: list[Expr] = []
        self.all_rels: set[int] = set()
        for item in items:
            self._flatten(item)
        for rels in self.unit_rels:
            self.all_rels |= rels
        self.join_quals: list[tuple[int, Expr]] = []
        self._derive()
        self._distribute()
        # The same, joins of the problem itself included.
        self.join_columns = self.above
        if merges:
            self.join_columns |= join_columns(ctx, [q for _, q in self.join_quals])
        for unit in self.units:
            if isinstance(unit, BaseRel):
                unit.join_columns = self.join_columns
        self.param_cache: dict[tuple[int, tuple[int, ...]], list[Path]] = {}

    def _flatten(self, item: FromItem) -> None:
        if isinstance(item, FromRel):
            base = BaseRel(self.ctx, item.rte, self.used.get(item.rte.id, set()), self.statistics, self.wanted)
            base.prepare()
            self.units.append(base)
            self.unit_rels.append({item.rte.id})
        elif isinstance(item, FromGroup):
            for part in item.items:
                self._flatten(part)
            self.quals += conjuncts(item.where)
        elif item.kind == "inner":
            self._flatten(item.left)
            self._flatten(item.right)
            self.quals += conjuncts(item.on)
        else:
            unit = JoinUnit(self, item)
            self.units.append(unit)
            self.unit_rels.append(unit.rels)

    def single_base(self) -> BaseRel | None:
        """The only unit, when it is one entry and nothing stands above it."""
        if len(self.units) == 1 and isinstance(self.units[0], BaseRel) and not self.top:
            return self.units[0]
        return None

    def _derive(self) -> None:
        """`a = b and b = 5` says `a = 5`: constants spread through equalities of columns of one type."""
        groups: dict[Key, list[Key]] = {}
        variables: dict[Key, Var] = {}
        constants: list[tuple[Var, Expr, nodes.Func]] = []
        for qual in self.quals:
            found = [c for c in comparisons(qual) if c.strategy == 3]
            if len(found) == 2 and isinstance(qual, nodes.Func) and qual.arg_types[0] == qual.arg_types[1]:
                a, b = found[0].var, found[1].var
                if a.typ == b.typ:
                    ka, kb = (a.rel, a.col), (b.rel, b.col)
                    variables[ka], variables[kb] = a, b
                    groups.setdefault(ka, []).append(kb)
                    groups.setdefault(kb, []).append(ka)
            elif (
                len(found) == 1
                and isinstance(qual, nodes.Func)
                and isinstance(strip(found[0].value), nodes.Const | nodes.Param)
            ) and qual.arg_types[0] == qual.arg_types[1]:
                constants.append((found[0].var, found[0].value, qual))
        if not groups or not constants:
            return
        known = {(c.rel, c.col) for c, _, _ in constants}
        for var, value, qual in constants:
            queue, seen = [(var.rel, var.col)], {(var.rel, var.col)}
            while queue:
                for other in groups.get(queue.pop(), ()):
                    if other in seen:
                        continue
                    seen.add(other)
                    queue.append(other)
                    if other not in known and variables[other].typ == var.typ:
                        known.add(other)
                        self.quals.append(
                            nodes.Func(qual.func, [variables[other], value], list(qual.arg_types), qual.typ)
                        )

    def _distribute(self) -> None:
        for qual in self.quals:
            rels = {k[0] for k in expr_vars(self.ctx, qual)}
            mask = 0
            for i, unit_rels in enumerate(self.unit_rels):
                if rels & unit_rels:
                    mask |= 1 << i
            if mask == 0:
                self.top.append(qual)
            elif mask & (mask - 1) == 0:
                unit = self.units[mask.bit_length() - 1]
                if isinstance(unit, BaseRel):
                    unit.quals.append(qual)
                else:
                    unit.push(qual)
            else:
                self.join_quals.append((mask, qual))

    # ---- the search

    def solve(self) -> list[Path]:
        """Paths for the whole problem."""
        check_joins(len(self.units))
        if not self.units:
            paths = [Path(frozenset(), [], 1.0, 0.0, 0.01, nodes.Single)]
        elif len(self.units) == 1:
            paths = self.units[0].paths()
        elif len(self.units) <= DYNAMIC_MAX:
            paths = self._dynamic()
        else:
            paths = self._greedy()
        if self.top:
            paths = [filtered(self.ctx, p, self.top, self.statistics) for p in paths]
        return paths

    def _singles(self) -> dict[int, list[Path]]:
        return {1 << i: unit.paths() for i, unit in enumerate(self.units)}

    def _dynamic(self) -> list[Path]:
        count = len(self.units)
        best = self._singles()
        full = (1 << count) - 1
        masks = sorted(range(1, full + 1), key=lambda m: m.bit_count())
        for mask in masks:
            if mask in best:
                continue
            for connected in (True, False):
                result: list[Path] = []
                self._split(best, mask, result, connected)
                if result:
                    best[mask] = result
                    break
        if full not in best:
            return self._greedy()
        return best[full]

    def _split(self, best: dict[int, list[Path]], mask: int, result: list[Path], connected: bool) -> None:
        sub = (mask - 1) & mask
        bushy = len(self.units) <= BUSHY_MAX
        while sub:
            other = mask ^ sub
            if (bushy or other.bit_count() == 1) and sub in best and other in best:
                quals = [q for m, q in self.join_quals if m & ~mask == 0 and m & sub and m & other]
                if quals or not connected or self._lateral(best[other], sub):
                    self._combine(result, best[sub], best[other], sub, other, quals)
            sub = (sub - 1) & mask

    def _lateral(self, paths: list[Path], left: int) -> bool:
        rels = set().union(*(self.unit_rels[i] for i in range(len(self.units)) if left >> i & 1))
        return any(free_rels(p) & rels for p in paths)

    def _combine(
        self,
        result: list[Path],
        lefts: list[Path],
        rights: list[Path],
        left_mask: int,
        right_mask: int,
        quals: list[Expr],
    ) -> None:
        columns = self.above
        if self.merges:
            later = [q for m, q in self.join_quals if m & ~(left_mask | right_mask)]
            columns |= join_columns(self.ctx, later)
        joiner = Joiner(self.ctx, self.statistics, self.wanted, columns)
        unit = self.units[right_mask.bit_length() - 1] if right_mask.bit_count() == 1 else None
        for left in lefts:
            for right in rights:
                joiner.join(result, "inner", left, right, quals)
            if isinstance(unit, BaseRel) and quals and unit.rte.kind == "relation":
                key = (right_mask, tuple(id(q) for q in quals))
                paths = self.param_cache.get(key)
                if paths is None:
                    paths = self.param_cache[key] = unit.paths(quals)
                for right in paths:
                    rows = joiner.rows("inner", left.rows, unit.rows(), quals)
                    joiner.join(result, "inner", left, right, [], rows)

    def _greedy(self) -> list[Path]:
        """The cheapest join of two parts first; of equals the one that stands first. A pair is costed once."""
        parts = [Part(self, mask, paths, number) for number, (mask, paths) in enumerate(self._singles().items())]
        pairs: list[Pair] = []
        new: list[tuple[Part, Part]] = []
        for number in range(len(parts), 2 * len(parts) - 1):
            self._cost_pairs(pairs, new)
            while pairs and (pairs[0][3] not in parts or pairs[0][4] not in parts):
                heapq.heappop(pairs)
            if not pairs and any(part.needs or part.links & ~part.mask for part in parts):
                self._cost_pairs(pairs, [(a, b) for a in parts for b in parts if a is not b])
            _, _, _, left, right, paths = heapq.heappop(pairs or self._crossed(parts))
            parts = [part for part in parts if part is not left and part is not right]
            both = Part(self, left.mask | right.mask, [cheapest(paths)], number)
            new = [pair for other in parts for pair in ((other, both), (both, other))]
            parts.append(both)
        return parts[0].paths

    def _cost_pairs(self, pairs: list[Pair], new: list[tuple[Part, Part]]) -> None:
        """Those that a condition connects; of very many the ones with the fewest rows."""
        linked = []
        for a, b in new:
            if a.links & b.mask or b.needs & a.rels:
                both = a.mask | b.mask
                quals = [q for m, q in a.quals if m & ~both == 0 and m & b.mask]
                if quals or b.needs & a.rels:
                    linked.append((a, b, quals))
        if len(linked) > PAIRS_MAX:
            rows = Joiner(self.ctx, self.statistics).rows
            linked.sort(key=lambda pair: rows("inner", pair[0].paths[0].rows, pair[1].paths[0].rows, pair[2]))
            del linked[PAIRS_MAX:]
        for a, b, quals in linked:
            self._cost(pairs, a, b, quals)

    def _crossed(self, parts: list[Part]) -> list[Pair]:
        """Pairs without a condition, only when no others are left; of many parts the smallest with others that are small."""
        few = sorted(parts, key=lambda part: part.paths[0].rows)[:CROSS_MAX]
        pairs: list[Pair] = []
        for a in few:
            for b in few:
                if a is not b and (len(parts) <= CROSS_MAX or few[0] in (a, b)):
                    self._cost(pairs, a, b, [])
        assert pairs, "two parts can always be joined in one order"
        return pairs

    def _cost(self, pairs: list[Pair], a: Part, b: Part, quals: list[Expr]) -> None:
        result: list[Path] = []
        self._combine(result, a.paths, b.paths, a.mask, b.mask, quals)
        if result:
            heapq.heappush(pairs, (cheapest(result).total, a.number, b.number, a, b, result))


class Part:
    """Units that are joined already, in a search for the order of many."""

    __slots__ = ("links", "mask", "needs", "number", "paths", "quals", "rels")

    def __init__(self, problem: Problem, mask: int, paths: list[Path], number: int) -> None:
        self.mask = mask
        self.paths = paths
        # Where it stands among others.
        self.number = number
        self.rels = set().union(*(rels for i, rels in enumerate(problem.unit_rels) if mask >> i & 1))
        # What its paths read of others.
        self.needs = set().union(*(free_rels(path) for path in paths))
        self.quals = [(m, qual) for m, qual in problem.join_quals if m & mask]
        # Units that a condition has in common with it.
        self.links = 0
        for m, _ in self.quals:
            self.links |= m


# Cost, the parts' numbers, the parts, the paths.
Pair = tuple[float, int, int, Part, Part, list[Path]]


def plan_from(
    ctx: PlanContext,
    items: list[FromItem],
    quals: list[Expr],
    used: dict[int, set[int]],
    rtes: list[Rte],
    wanted: Order = (),
) -> list[Path]:
    """Paths for FROM and WHERE; ordered ones are kept where their order is `wanted`."""
    strict = set().union(*(strict_rels(q) for q in quals), set())
    items = [reduce_outer(i, strict) for i in items]
    # Outer joins one in another are many small searches.
    check_joins(len(rtes) // 4)
    statistics = Statistics(rtes)
    result: list[Path] = []
    merges = ctx.info.enable_mergejoin and (bool(wanted) or not ctx.info.enable_hashjoin)
    for path in Problem(ctx, items, quals, used, statistics, wanted, frozenset(), merges).solve():
        add_path(result, path)
    return result
