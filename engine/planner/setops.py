"""UNION, INTERSECT, EXCEPT; WITH items, materialised or inlined, recursive ones among them."""

from __future__ import annotations

from sixfold.engine.analyzer.tree import Cte, Query, Rte
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Built, PlanContext
from sixfold.engine.planner.nodes import Node
from sixfold.engine.planner.paths import CPU_OPERATOR
from sixfold.engine.planner.quals import is_volatile


def plan_setop(ctx: PlanContext, query: Query) -> Built:
    """A set operation without the clauses above it."""
    setop = query.setop
    assert setop is not None, "the query is a set operation"
    types = [c.typ for c in query.rtes[0].columns] if query.rtes else [t.typ for t in query.visible()]
    if setop.kind == "union":
        inputs: list[Built] = []
        _flatten(ctx, query, setop.all, inputs)
        rows, total = sum(i.rows for i in inputs), sum(i.total for i in inputs)
        free = set().union(*(i.free for i in inputs))
        node: Node = ctx.estimate(nodes.Append([i.node for i in inputs]), rows, total)
        if not setop.all:
            total += rows * CPU_OPERATOR * len(types)
            node = ctx.estimate(nodes.DistinctRows(node, None, types), rows, total, total)
        return Built(node, len(types), free, rows, total)
    left, right = ctx.plan_query(setop.left), ctx.plan_query(setop.right)
    rows = min(left.rows, right.rows) if setop.kind == "intersect" else left.rows
    total = left.total + right.total + (left.rows + right.rows) * CPU_OPERATOR
    node = ctx.estimate(nodes.SetOp(setop.kind, setop.all, left.node, right.node, types), rows, total, total)
    return Built(node, len(types), left.free | right.free, rows, total)


def _flatten(ctx: PlanContext, query: Query, everything: bool, result: list[Built]) -> None:
    """A chain of unions of the same kind as one Append."""
    setop = query.setop
    assert setop is not None, "a union"
    for part in (setop.left, setop.right):
        inner = part.setop
        plain = not (part.order or part.limit is not None or part.offset is not None or part.ctes)
        if inner is not None and inner.kind == "union" and plain and (inner.all == everything or not everything):
            _flatten(ctx, part, everything, result)
        else:
            result.append(ctx.plan_query(part))


# ---- WITH


def plan_ctes(ctx: PlanContext, query: Query) -> list[tuple[int, Built, bool]]:
    """Plans the WITH items that are materialised, in order; those that are not become subqueries."""
    wraps: list[tuple[int, Built, bool]] = []
    for cte in query.ctes:
        inner = cte.query
        assert inner is not None, "an analyzed WITH item"
        writes = inner.dml is not None
        if cte.recursive:
            built = plan_recursive(ctx, cte)
        elif writes:
            built = ctx.plan_query(inner)
        elif cte.references == 0:
            continue
        elif _inlined(cte, inner):
            _inline(ctx, cte, inner)
            continue
        else:
            built = ctx.plan_query(inner)
        ctx.ctes[cte.number] = built
        wraps.append((cte.number, built, writes))
    return wraps


def _inlined(cte: Cte, inner: Query) -> bool:
    if cte.materialized is not None and cte.materialized:
        return False
    if inner.locks or any(is_volatile(t.expr) for t in inner.targets):
        return False
    return cte.references == 1


def _inline(ctx: PlanContext, cte: Cte, inner: Query) -> None:
    for rte in ctx.analysis.rtes:
        if rte.kind == "cte" and rte.cte is cte:
            rte.kind = "subquery"
            rte.query = inner


def plan_recursive(ctx: PlanContext, cte: Cte) -> Built:
    """WITH RECURSIVE: start, then steps until nothing new comes."""
    query = cte.query
    assert query is not None and query.setop is not None, "a recursive item is a union"
    wraps = plan_ctes(ctx, query)
    start = ctx.plan_query(query.setop.left)
    step = ctx.plan_query(query.setop.right)
    types = [c.typ for c in cte.columns]
    rows = start.rows + step.rows * 10
    total = start.total + step.total * 10
    node: Node = nodes.Recursive(cte.number, start.node, step.node, not cte.union_all, types)
    ctx.estimate(node, rows, total)
    free = start.free | step.free
    for number, built, writes in reversed(wraps):
        free |= built.free
        node = ctx.estimate(nodes.With(number, built.node, node, writes), rows, total)
    return Built(node, len(types), free, rows, total)


__all__ = ["Rte", "plan_ctes", "plan_recursive", "plan_setop"]
