"""Grouping: hashed or over sorted input, grouping sets, HAVING; min and max by an index's end."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.tree import AggRef, FromRel, GroupingRef, Query, SortItem, SubLink, Target, Var
from sixfold.engine.analyzer.walk import children, contains, strip, type_of, walk
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Env, Key, PlanContext
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_OPERATOR, CPU_ROW
from sixfold.engine.planner.quals import conjuncts, expr_vars, has_sublink
from sixfold.engine.planner.statistics import Statistics


def aggregate(ctx: PlanContext, query: Query, stage: Any, aggs: list[AggRef], above: list[Expr], make: Any) -> Any:
    """The grouping node over a stage, with HAVING on top."""
    env: Env = stage.env
    if query.grouping_sets is not None and any(_grouping_refs(query, e) for e in above):
        return grouping_branches(ctx, query, stage, aggs, above, make)
    keys = list(query.group)
    if query.grouping_sets is None:
        keys += _dependent(ctx, query, above, keys)
    lowered = [env.lower(k) for k in keys]
    made = [_agg(env, a) for a in aggs]
    statistics = Statistics(ctx.analysis.rtes)
    groups = 1.0
    for k in query.group:
        groups *= statistics.distinct(k, stage.rows)
    groups = min(groups, stage.rows) if keys else 1.0
    in_order = _sorted_by(stage.order, keys) and query.grouping_sets is None and bool(keys)
    total = stage.total + stage.rows * (CPU_OPERATOR * max(1, len(made) + len(keys))) + groups * CPU_ROW
    sets = [list(s) for s in query.grouping_sets] if query.grouping_sets is not None else None
    node: Node = nodes.Aggregate(stage.node, lowered, [type_of(k) for k in keys], made, in_order, sets)
    startup = stage.startup if in_order else total
    ctx.estimate(node, groups, total, startup)
    out = Env(ctx, (), len(keys) + len(aggs))
    out.free = env.free
    for i, k in enumerate(keys):
        out.put(k, i)
    for i, a in enumerate(aggs):
        out.exprs.append((a, len(keys) + i))
        out.columns[ctx.aggregate_key(a)] = len(keys) + i
    for expr in above:
        for ref in _grouping_refs(query, expr):
            out.exprs.append((ref, -1))
    order = stage.order[: len(query.group)] if in_order else ()
    if query.having is not None:
        groups = max(1.0, groups * 0.33)
        node = ctx.estimate(nodes.Filter(node, out.lower(query.having)), groups, total, startup)
    return make(node, out, groups, startup, total, order)


def _agg(env: Env, ref: AggRef) -> nodes.Agg:
    order = [nodes.SortKey(env.lower(o.expr), o.typ, o.desc, o.nulls_first) for o in ref.order]
    condition = env.lower(ref.filter) if ref.filter is not None else None
    return nodes.Agg(
        ref.func, [env.lower(a) for a in ref.args], list(ref.arg_types), ref.typ, ref.distinct, condition, order
    )


def _dependent(ctx: PlanContext, query: Query, above: list[Expr], keys: list[Expr]) -> list[Expr]:
    """Columns that the primary key in GROUP BY determines: keys too."""
    own = {rte.id for rte in query.rtes}
    extra: list[Expr] = []

    def visit(expr: Expr) -> None:
        if any(expr == k for k in keys) or any(expr == e for e in extra):
            return
        if isinstance(expr, AggRef) and expr.query == query.number:
            return
        if type(expr) is Var and expr.rel in own:
            extra.append(expr)
            return
        if type(expr) is SubLink:
            for key in expr_vars(ctx, expr):
                if key[0] in own:
                    rte = ctx.analysis.rtes[key[0]]
                    column = rte.columns[key[1]]
                    var = Var(key[0], key[1], column.typ, column.typmod)
                    if var not in keys and var not in extra:
                        extra.append(var)
        for child in children(expr):
            visit(child)

    for expr in above:
        visit(expr)
    return extra


def _sorted_by(order: Any, keys: list[Expr]) -> bool:
    """Is the input ordered by exactly the keys, in any order of them?"""
    wanted: set[Key] = set()
    for k in keys:
        expr = strip(k)
        if type(expr) is not Var:
            return False
        wanted.add((expr.rel, expr.col))
    return {key for key, _, _ in order[: len(wanted)]} == wanted and len(order) >= len(wanted)


def _grouping_refs(query: Query, expr: Expr) -> list[GroupingRef]:
    return [p for p in walk(expr) if isinstance(p, GroupingRef) and p.query == query.number]


def grouping_branches(
    ctx: PlanContext, query: Query, stage: Any, aggs: list[AggRef], above: list[Expr], make: Any
) -> Any:
    """Grouping sets where GROUPING() asks which one a row is of: one aggregate a set, over a materialised input."""
    env: Env = stage.env
    keys = list(query.group)
    refs: list[GroupingRef] = []
    for expr in above:
        refs += [r for r in _grouping_refs(query, expr) if r not in refs]
    number = ctx.next_with
    ctx.next_with += 1
    branches: list[Node] = []
    for members in query.grouping_sets or []:
        scan = nodes.CteScan(number, env.width)
        ctx.estimate(scan, stage.rows, stage.total)
        node: Node = nodes.Aggregate(
            scan,
            [env.lower(keys[i]) for i in members],
            [type_of(keys[i]) for i in members],
            [_agg(env, a) for a in aggs],
            False,
            None,
        )
        ctx.estimate(node, stage.rows, stage.total)
        exprs: list[Expr] = []
        for i, key in enumerate(keys):
            typ = type_of(key)
            exprs.append(nodes.Col(members.index(i), typ) if i in members else nodes.Const(typ, None))
        exprs += [nodes.Col(len(members) + i, a.typ) for i, a in enumerate(aggs)]
        for ref in refs:
            bits = 0
            for arg in ref.args:
                bits = bits * 2 + (0 if keys.index(arg) in members else 1)
            exprs.append(nodes.Const(oids.INT4, str(bits)))
        branches.append(ctx.estimate(nodes.Project(node, exprs), stage.rows, stage.total))
    total = stage.total * 2
    made: Node = ctx.estimate(nodes.Append(branches), stage.rows, total)
    made = ctx.estimate(nodes.With(number, stage.node, made, False), stage.rows, total)
    out = Env(ctx, (), len(keys) + len(aggs) + len(refs))
    out.free = env.free
    for i, expr in enumerate([*keys, *aggs, *refs]):
        out.put(expr, i)
    rows = stage.rows
    if query.having is not None:
        made = ctx.estimate(nodes.Filter(made, out.lower(query.having)), rows, total)
    return make(made, out, rows, total, total)


# ---- min and max from an index


def min_max(ctx: PlanContext, query: Query) -> tuple[Node, set[Key]] | None:
    """`SELECT min(a), max(b) FROM t`: the ends of indexes, where every aggregate has one."""
    if (
        not query.has_aggs
        or query.group
        or query.grouping_sets is not None
        or query.windows
        or query.ctes
        or query.has_srfs
    ):
        return None
    if len(query.from_items) != 1 or not isinstance(query.from_items[0], FromRel):
        return None
    rte = query.from_items[0].rte
    relation = rte.relation
    if relation is None or relation.host is not None or query.having is not None:
        return None
    if any(has_sublink(q) for q in conjuncts(query.where)):
        return None
    aggs: list[AggRef] = []
    for target in query.targets:
        for part in walk(target.expr):
            if isinstance(part, AggRef) and part.query == query.number and part not in aggs:
                aggs.append(part)
    if not aggs or not all(_is_end(a, rte.id) for a in aggs):
        return None
    for agg in aggs:
        var = strip(agg.args[0])
        assert type(var) is Var, "checked by _is_end"
        if not any(
            i.keys and i.keys[0].attnum == var.col + 1 and i.predicate is None and not i.exprs for i in relation.indexes
        ):
            return None
    return _ends(ctx, query, aggs)


def _is_end(agg: AggRef, rel: int) -> bool:
    if agg.func not in ("min", "max") or agg.filter is not None or len(agg.args) != 1 or agg.order:
        return False
    var = strip(agg.args[0])
    return type(var) is Var and var.rel == rel and var.col >= 0


def _ends(ctx: PlanContext, query: Query, aggs: list[AggRef]) -> tuple[Node, set[Key]] | None:
    exprs: list[Expr] = []
    free: set[Key] = set()
    for agg in aggs:
        arg = agg.args[0]
        inner = ctx.analysis.new_query()
        inner.rtes = list(query.rtes)
        inner.from_items = list(query.from_items)
        inner.where = nodes.And([*conjuncts(query.where), nodes.IsNull(strip(arg), True)])
        inner.targets = [Target(strip(arg), "m", type_of(strip(arg)))]
        inner.order = [SortItem(strip(arg), agg.func == "max", agg.func == "max", type_of(strip(arg)))]
        # NULLs are filtered out, so either end of the order will do: the index's own.
        descending = _descends(inner, ctx, arg)
        if descending is not None:
            inner.order[0].nulls_first = descending != (agg.func == "max")
        inner.limit = nodes.Const(oids.INT8, "1")
        built = ctx.plan_query(inner)
        if contains_sort(built.node):
            return None
        ctx.subplans.append(built.node)
        free |= built.free
        exprs.append(nodes.Sub(len(ctx.subplans) - 1, "scalar", [], None, [], agg.typ, []))
    node = nodes.Project(nodes.Single(), exprs)
    ctx.estimate(node.input, 1, 0.01)
    return ctx.estimate(node, 1, 1.0), free


def _descends(inner: Query, ctx: PlanContext, arg: Expr) -> bool | None:
    """Of the index that begins with the column: do nulls come where a forward scan's default would not put them?"""
    var = strip(arg)
    item = inner.from_items[0]
    assert type(var) is Var and isinstance(item, FromRel) and item.rte.relation is not None, "checked by min_max"
    for index in item.rte.relation.indexes:
        if index.keys and index.keys[0].attnum == var.col + 1:
            return index.keys[0].nulls_first != index.keys[0].desc
    return None


def contains_sort(node: Node) -> bool:
    """Is there a Sort at the top (below Limit and Project)?"""
    while isinstance(node, nodes.Limit | nodes.Project | nodes.Filter):
        node = node.input
    return not isinstance(node, nodes.IndexScan)


__all__ = ["aggregate", "contains", "min_max"]
