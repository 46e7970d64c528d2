"""Window functions: one sort and one Window node for each distinct window."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer.tree import Query, SortItem, WindowRef
from sixfold.engine.analyzer.walk import type_of, walk
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Env, PlanContext
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_ROW


def windows(ctx: PlanContext, query: Query, stage: Any, make: Any) -> Any:
    """All windows of a query over a stage."""
    refs: list[WindowRef] = []
    exprs: list[Expr] = [t.expr for t in query.targets] + [o.expr for o in query.order]
    if isinstance(query.distinct, list):
        exprs += query.distinct
    for expr in exprs:
        for part in walk(expr):
            if isinstance(part, WindowRef) and part not in refs:
                refs.append(part)
    env: Env = stage.env
    node: Node = stage.node
    rows, total = stage.rows, stage.total
    # Windows with more sort columns first, so that a later one may find its order.
    for number in sorted(
        {r.window for r in refs}, key=lambda n: -len(query.windows[n].partition) - len(query.windows[n].order)
    ):
        clause = query.windows[number]
        calls = [r for r in refs if r.window == number]
        items = [SortItem(e, False, False, type_of(e)) for e in clause.partition]
        items += [o for o in clause.order if not any(o.expr == e for e in clause.partition)]
        if items:
            total += rows * CPU_ROW * 4
            keys = [nodes.SortKey(env.lower(i.expr), i.typ, i.desc, i.nulls_first) for i in items]
            node = ctx.estimate(nodes.Sort(node, keys, None), rows, total, total)
        order = [nodes.SortKey(env.lower(o.expr), o.typ, o.desc, o.nulls_first) for o in clause.order]
        total += rows * CPU_ROW * len(calls)
        node = nodes.Window(
            node, [env.lower(e) for e in clause.partition], [type_of(e) for e in clause.partition], order,
            [_call(env, r) for r in calls],
        )  # fmt: skip
        ctx.estimate(node, rows, total, stage.startup)
        for r in calls:
            env.exprs.insert(0, (r, env.width))
            env.width += 1
    return make(node, env, rows, total, total)


def _call(env: Env, ref: WindowRef) -> nodes.WindowCall:
    frame = ref.frame
    start = nodes.FrameBound(
        frame.start.kind, env.lower(frame.start.offset) if frame.start.offset is not None else None
    )
    end = nodes.FrameBound(frame.end.kind, env.lower(frame.end.offset) if frame.end.offset is not None else None)
    return nodes.WindowCall(
        ref.func,
        [env.lower(a) for a in ref.args],
        list(ref.arg_types),
        ref.typ,
        env.lower(ref.filter) if ref.filter is not None else None,
        nodes.Frame(frame.mode, start, end, frame.exclude),
    )
