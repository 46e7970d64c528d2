"""The fields of a row value: names are kept nowhere in a value, so they are looked for where the row was made."""

from __future__ import annotations

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.scope import Context
from sixfold.engine.analyzer.typerows import type_row
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

Fields = list[tuple[str, int]]


def fields_of(context: Context, expr: Expr) -> Fields | None:
    """Names and types of a row's fields; None where the expression is no row, or nobody can tell."""
    while isinstance(expr, tree.Relabel):
        expr = expr.arg
    if isinstance(expr, tree.NamedRow | tree.SetRef) and expr.names:
        return list(zip(expr.names, expr.types, strict=True))
    if isinstance(expr, nodes.Row):
        return [(f"f{i + 1}", typ) for i, typ in enumerate(expr.types)]
    typ = type_row(context.catalog, type_of(expr))
    relation = context.catalog.relation_by_oid(typ.relation) if typ.kind == "c" else None
    if relation is not None:
        return [(c.name, c.typ) for c in relation.columns if not c.dropped]
    if typ.oid != oids.RECORD:
        return None
    source = _source(context, expr)
    return fields_of(context, source) if source is not None else None


def _source(context: Context, expr: Expr) -> Expr | None:
    """What a subquery puts into the column that `expr` is."""
    query, place = None, 0
    if isinstance(expr, tree.SubLink) and expr.kind == "scalar":
        query = context.sublinks.queries[expr.number]
    elif isinstance(expr, tree.Var) and expr.col >= 0:
        rte, place = context.rtes[expr.rel], expr.col
        query = rte.cte.query if rte.cte is not None else rte.query
    while query is not None and query.setop is not None:
        query = query.setop.left
    targets = query.visible() if query is not None else []
    return targets[place].expr if place < len(targets) else None
