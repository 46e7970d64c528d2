"""Functions in FROM: set-returning or not, several zipped, WITH ORDINALITY, column definition lists."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.exprs import transform
from sixfold.engine.analyzer.functions import set_query
from sixfold.engine.analyzer.host import HOST_SETS
from sixfold.engine.analyzer.scope import NsItem, Scope, pos
from sixfold.engine.analyzer.targets import column_name
from sixfold.engine.analyzer.tree import FuncCall, RteColumn, SetRef
from sixfold.engine.analyzer.typerows import type_row
from sixfold.engine.analyzer.types import resolve_type
from sixfold.engine.analyzer.walk import type_of, typmod_of
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr


def _split_unnest(node: Any) -> list[tuple[Any, Any]]:
    """unnest(a, b) stands for ROWS FROM (unnest(a), unnest(b))."""
    result: list[tuple[Any, Any]] = []
    for func, definitions in node.functions:
        if (
            type(func) is ast.FuncCall
            and len(func.funcname) == 1
            and func.funcname[0].sval == "unnest"
            and len(func.args or ()) > 1
            and not definitions
        ):
            for arg in func.args:
                result.append((ast.FuncCall(funcname=func.funcname, args=(arg,), location=func.location), None))
        else:
            result.append((func, definitions))
    return result


def range_function(scope: Scope, node: Any) -> NsItem:
    """A RangeFunction."""
    parts = _split_unnest(node)
    names = [column_name(func) for func, _ in parts]
    alias = node.alias.aliasname if node.alias is not None else names[0]
    saved, scope.lateral_active = scope.lateral_active, True
    kind, scope.kind = scope.kind, "from"
    had_sets, scope.query.has_srfs = scope.query.has_srfs, False
    try:
        if len(parts) == 1 and not node.coldeflist and not parts[0][1]:
            expanded = _sql_set_function(scope, parts[0][0], node, alias)
            if expanded is not None:
                return expanded
        exprs = [transform(scope, func) for func, _ in parts]
    finally:
        scope.lateral_active = saved
        scope.kind = kind
        scope.query.has_srfs = had_sets
    calls: list[FuncCall] = []
    columns: list[RteColumn] = []
    for expr, name, (func, definitions) in zip(exprs, names, parts, strict=True):
        shown = node.alias.aliasname if node.alias is not None and len(parts) == 1 else name
        call, offered = _one(scope, expr, shown, definitions or (node.coldeflist if len(parts) == 1 else None), func)
        calls.append(call)
        columns += offered
    if node.ordinality:
        columns.append(RteColumn("ordinality", oids.INT8))
    given = [n.sval for n in node.alias.colnames or ()] if node.alias is not None else []
    if len(given) > len(columns):
        raise SqlError(
            "42P10", f'table "{alias}" has {len(columns)} columns available but {len(given)} columns specified'
        )
    for i, name in enumerate(given):
        columns[i] = RteColumn(name, columns[i].typ, columns[i].typmod)
    rte = scope.context.new_rte("function", alias, columns)
    rte.calls = calls
    rte.ordinality = bool(node.ordinality)
    rte.lateral = True
    scope.query.rtes.append(rte)
    return NsItem(alias, columns, rte)


def _one(scope: Scope, expr: Expr, name: str, definitions: Any, func: Any) -> tuple[FuncCall, list[RteColumn]]:
    if definitions:
        columns = []
        for d in definitions:
            typ, typmod = resolve_type(scope.catalog, d.typeName)
            columns.append(RteColumn(d.colname, typ.oid, typmod))
        if not isinstance(expr, SetRef | nodes.Func | nodes.Host) or type_of(expr) != oids.RECORD:
            raise SqlError(
                "42601", 'a column definition list is only allowed for functions returning "record"', position=pos(func)
            )
        types = [c.typ for c in columns]
        return FuncCall(expr.func, expr.args, expr.arg_types, types, isinstance(expr, SetRef), None), columns
    if isinstance(expr, SetRef):
        if not expr.names:
            if expr.typ == oids.RECORD:
                raise SqlError(
                    "42601", 'a column definition list is required for functions returning "record"', position=pos(func)
                )
            columns = [RteColumn(_single_name(scope, func, name), expr.typ)]
        else:
            columns = [RteColumn(n, t) for n, t in zip(expr.names, expr.types, strict=True)]
        host = expr.func in HOST_SETS
        return FuncCall(expr.func, expr.args, expr.arg_types, expr.types, True, None, host=host), columns
    return _scalar(scope, expr, name, func)


def _single_name(scope: Scope, func: Any, name: str) -> str:
    """A single OUT parameter names the column; else the alias or the function does."""
    if type(func) is ast.FuncCall:
        for f in scope.catalog.functions(func.funcname[-1].sval):
            if len(f.out) == 1 and f.out[0][0]:
                return f.out[0][0]
    return name


def _scalar(scope: Scope, expr: Expr, name: str, func: Any) -> tuple[FuncCall, list[RteColumn]]:
    typ = type_of(expr)
    out: tuple[tuple[str, int], ...] = ()
    if isinstance(expr, nodes.Func | nodes.Host) and typ == oids.RECORD and type(func) is ast.FuncCall:
        for f in scope.catalog.functions(func.funcname[-1].sval):
            if f.src == expr.func and f.out:
                out = f.out
    if out and isinstance(expr, nodes.Func | nodes.Host):
        columns = [RteColumn(n, t) for n, t in out]
        types = [t for _, t in out]
        host = isinstance(expr, nodes.Host) or expr.func in HOST_SETS
        return FuncCall(expr.func, expr.args, expr.arg_types, types, False, None, host=host), columns
    row = type_row(scope.catalog, typ)
    if row.kind == "c":
        raise not_built("functions in FROM that return one composite value", pos(func))
    if typ == oids.RECORD:
        raise SqlError(
            "42601", 'a column definition list is required for functions returning "record"', position=pos(func)
        )
    columns = [RteColumn(name, typ, typmod_of(expr))]
    return FuncCall("", [], [], [typ], False, expr), columns


def _sql_set_function(scope: Scope, func: Any, node: Any, alias: str) -> NsItem | None:
    """A set-returning function written in SQL is a lateral subquery."""
    if type(func) is not ast.FuncCall or func.agg_star or func.over is not None:
        return None
    name = func.funcname[-1].sval
    schema = func.funcname[-2].sval if len(func.funcname) > 1 else None
    found = [f for f in scope.catalog.functions(name, schema) if f.retset and f.language == "sql" and f.body]
    found = [f for f in found if len(f.args) == len(func.args or ())]
    if len(found) != 1:
        return None
    function = found[0]
    context = scope.context
    args = [transform(scope, a) for a in func.args or ()]
    query = set_query(scope, function, args)
    names = [n for n, _ in function.out] or [alias]
    columns = [RteColumn(n, t.typ, t.typmod) for n, t in zip(names, query.visible(), strict=True)]
    given = [n.sval for n in node.alias.colnames or ()] if node.alias is not None else []
    for i, column in enumerate(given[: len(columns)]):
        columns[i] = RteColumn(column, columns[i].typ, columns[i].typmod)
    rte = context.new_rte("subquery", alias, columns)
    rte.query = query
    rte.lateral = True
    scope.query.rtes.append(rte)
    if node.ordinality:
        raise not_built("WITH ORDINALITY over a function written in SQL", pos(func))
    return NsItem(alias, columns, rte)


def values_entry(scope: Scope, rows: list[list[Expr]], columns: list[RteColumn]) -> tree.Rte:
    """VALUES as a range-table entry of the scope's query."""
    rte = scope.context.new_rte("values", "*VALUES*", columns)
    rte.rows = rows
    scope.query.rtes.append(rte)
    scope.query.from_items.append(tree.FromRel(rte))
    return rte
