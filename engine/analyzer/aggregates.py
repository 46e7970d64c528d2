"""Aggregate and window calls, window definitions, and the rules about where they may stand."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.coerce import coerce, coerce_to_boolean, coerce_type
from sixfold.engine.analyzer.exprs import position_of, transform
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.overload import find_operator
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.tree import AggRef, SortItem, Var, WindowRef
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import type_of, walk
from sixfold.engine.catalog.model import Function
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

# Where no aggregate (window function) may stand, in PostgreSQL's words.
PLACES = {
    "where": "WHERE",
    "on": "JOIN conditions",
    "from": "functions in FROM",
    "subselect": "FROM clause of their own query level",
    "group": "GROUP BY",
    "limit": "LIMIT",
    "offset": "OFFSET",
    "returning": "RETURNING",
    "update": "UPDATE",
    "values": "VALUES",
    "check": "check constraints",
    "default": "DEFAULT expressions",
    "index": "index expressions",
    "predicate": "index predicates",
    "generated": "column generation expressions",
    "filter": "FILTER",
    "execute": "EXECUTE parameters",
    "using": "transform expressions",
}


def _owner(scope: Scope, exprs: list[Expr]) -> Scope:
    """The level that an aggregate over these arguments belongs to: the innermost that they name."""
    rels = {e.rel for expr in exprs for e in walk(expr) if isinstance(e, Var)}
    links = [e.number for expr in exprs for e in walk(expr) if isinstance(e, tree.SubLink)]
    if not rels or links:
        return scope
    level: Scope | None = scope
    while level is not None:
        if any(rte.id in rels for rte in level.query.rtes):
            return level
        level = level.parent
    return scope


def aggregate_call(
    scope: Scope, node: Any, function: Function, args: list[Expr], types: list[int], result: int
) -> Expr:
    """A call of an aggregate, without OVER."""
    position = pos(node)
    if not args and not node.agg_star and function.args == () and not function.variadic:
        raise SqlError(
            "42809", f"{function.name}(*) must be used to call a parameterless aggregate function", position=position
        )
    direct = function.aggdirect if function.aggkind in ("o", "h") else 0
    condition = _filter(scope, node)
    order = _aggregate_order(scope, node, args, direct)
    everything = [*args, *([condition] if condition is not None else []), *(o.expr for o in order)]
    owner = _owner(scope, everything)
    where = PLACES.get(owner.kind)
    if where is not None:
        raise SqlError("42803", f"aggregate functions are not allowed in {where}", position=position)
    for expr in everything:
        for part in walk(expr):
            if isinstance(part, AggRef) and part.query == owner.query.number:
                raise SqlError(
                    "42803", "aggregate function calls cannot be nested", position=_call_position(node, part.func)
                )
            if isinstance(part, WindowRef):
                raise SqlError(
                    "42803",
                    "aggregate function calls cannot contain window function calls",
                    position=_call_position(node, part.func),
                )
            if isinstance(part, tree.SetRef):
                raise SqlError(
                    "0A000",
                    "aggregate function calls cannot contain set-returning function calls",
                    hint="You might be able to move the set-returning function into a LATERAL FROM item.",
                    position=position,
                )
    owner.query.has_aggs = True
    distinct = bool(node.agg_distinct)
    if distinct:
        for i, arg in enumerate(args):
            require_equality(scope, type_of(arg), position)
            if order and i == 0 and any(not any(o.expr == a for a in args) for o in order):
                raise SqlError(
                    "42P10",
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                    position=position,
                )
    return AggRef(
        function.name, args, types, result, distinct, condition, order, owner.query.number, bool(node.agg_star), direct
    )


def _call_position(node: Any, name: str) -> int | None:
    """Where a function is called inside another call's arguments."""
    stack = list(reversed(node.args or ()))
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack += reversed(item)
        elif type(item) is ast.FuncCall and item.funcname[-1].sval == name:
            return pos(item)
        elif isinstance(item, ast.Node):
            stack += [getattr(item, attribute) for attribute in reversed(list(item))]
    return pos(node)


def _filter(scope: Scope, node: Any) -> Expr | None:
    if node.agg_filter is None:
        return None
    saved, scope.kind = scope.kind, "filter"
    try:
        return coerce_to_boolean(scope, transform(scope, node.agg_filter), "FILTER", position_of(node.agg_filter))
    finally:
        scope.kind = saved


def _aggregate_order(scope: Scope, node: Any, args: list[Expr], direct: int) -> list[SortItem]:
    items = []
    for i, sort in enumerate(node.agg_order or ()):
        expr = args[direct + i] if node.agg_within_group else transform(scope, sort.node)
        items.append(sort_item(scope, sort, expr))
    return items


def require_equality(scope: Scope, typ: int, position: int | None) -> None:
    """DISTINCT, GROUP BY and set operations need an equality operator."""
    if typ in (oids.RECORD, UNKNOWN):
        return
    try:
        find_operator(scope, "=", None, typ, typ, position)
    except SqlError:
        raise SqlError(
            "42883",
            f"could not identify an equality operator for type {format_type(scope.catalog, typ)}",
            position=position,
        ) from None


def sort_item(scope: Scope, sort: Any, expr: Expr) -> SortItem:
    """A SortBy node over its transformed expression: unknown becomes text, directions and nulls settled."""
    typ = type_of(expr)
    if typ == UNKNOWN:
        expr = coerce_type(scope, expr, UNKNOWN, oids.TEXT, -1, "i")
        typ = oids.TEXT
    direction = sort.sortby_dir
    descending = direction == enums.SortByDir.SORTBY_DESC
    if direction == enums.SortByDir.SORTBY_USING:
        name = sort.useOp[-1].sval
        if name not in ("<", ">"):
            raise SqlError(
                "42809",
                f"operator {name} is not a valid ordering operator",
                hint='Ordering operators must be "<" or ">" members of btree operator families.',
                position=pos(sort),
            )
        descending = name == ">"
    if typ != oids.RECORD:
        try:
            find_operator(scope, "<", None, typ, typ, None)
        except SqlError:
            raise SqlError(
                "42883",
                f"could not identify an ordering operator for type {format_type(scope.catalog, typ)}",
                hint="Use an explicit ordering operator or modify the query.",
                position=position_of(sort.node),
            ) from None
    nulls = sort.sortby_nulls
    if nulls == enums.SortByNulls.SORTBY_NULLS_DEFAULT:
        nulls_first = descending
    else:
        nulls_first = nulls == enums.SortByNulls.SORTBY_NULLS_FIRST
    return SortItem(expr, descending, nulls_first, typ)


# ---- windows


def window_call(scope: Scope, node: Any, function: Function, args: list[Expr], types: list[int], result: int) -> Expr:
    """A call with OVER."""
    position = pos(node)
    where = "window definitions" if scope.in_window else PLACES.get(scope.kind)
    if scope.kind == "having":
        where = "HAVING"
    if where is not None:
        raise SqlError("42P20", f"window functions are not allowed in {where}", position=position)
    if node.agg_distinct:
        raise SqlError("0A000", "DISTINCT is not implemented for window functions", position=position)
    if node.agg_order:
        raise SqlError("0A000", "aggregate ORDER BY is not implemented for window functions", position=position)
    if function.kind == "w" and node.agg_filter is not None:
        raise SqlError("0A000", "FILTER is not implemented for non-aggregate window functions", position=position)
    for arg in args:
        if any(isinstance(part, WindowRef) for part in walk(arg)):
            raise SqlError("42P20", "window function calls cannot be nested", position=position)
    condition = _filter(scope, node)
    number, frame = window_of(scope, node.over)
    return WindowRef(function.name, args, types, result, condition, number, frame, function.kind == "a")


def window_of(scope: Scope, over: Any) -> tuple[int, nodes.Frame]:
    """Number of the query's window clause for an OVER, and the frame."""
    if over.name is not None and not over.partitionClause and not over.orderClause and over.refname is None:
        clause = scope.window_defs.get(over.name)
        if clause is None:
            raise SqlError("42704", f'window "{over.name}" does not exist', position=pos(over))
        return _register(scope, clause), clause.frame
    clause = window_clause(scope, over)
    return _register(scope, clause), clause.frame


def _register(scope: Scope, clause: tree.WindowClause) -> int:
    windows = scope.query.windows
    for i, known in enumerate(windows):
        if known.partition == clause.partition and known.order == clause.order:
            return i
    windows.append(clause)
    return len(windows) - 1


def window_clause(scope: Scope, over: Any) -> tree.WindowClause:
    """A window definition's parts, with those of the window that it builds on."""
    base = None
    if over.refname is not None:
        base = scope.window_defs.get(over.refname)
        if base is None:
            raise SqlError("42704", f'window "{over.refname}" does not exist', position=pos(over))
        if over.partitionClause:
            raise SqlError(
                "42P20", f'cannot override PARTITION BY clause of window "{over.refname}"', position=pos(over)
            )
        if over.orderClause and base.order:
            raise SqlError("42P20", f'cannot override ORDER BY clause of window "{over.refname}"', position=pos(over))
    saved_kind, saved = scope.kind, scope.in_window
    scope.in_window = True
    try:
        partition = [_partition_item(scope, p) for p in over.partitionClause or ()]
        order = [sort_item(scope, s, transform(scope, s.node)) for s in over.orderClause or ()]
        if base is not None:
            partition = base.partition
            order = order or base.order
        frame = _frame(scope, over, order)
    finally:
        scope.kind, scope.in_window = saved_kind, saved
    return tree.WindowClause(over.name or "", partition, order, frame)


def _partition_item(scope: Scope, node: Any) -> Expr:
    expr = transform(scope, node)
    if type_of(expr) == UNKNOWN:
        expr = coerce_type(scope, expr, UNKNOWN, oids.TEXT, -1, "i")
    require_equality(scope, type_of(expr), position_of(node))
    return expr


def _frame(scope: Scope, over: Any, order: list[SortItem]) -> nodes.Frame:
    options = over.frameOptions or 0
    mode = "rows" if options & 0x4 else "groups" if options & 0x8 else "range"
    if mode == "groups" and not order:
        raise SqlError("42P20", "GROUPS mode requires an ORDER BY clause", position=pos(over))
    start = _bound(scope, options, True, over.startOffset, mode, order, over)
    end = _bound(scope, options, False, over.endOffset, mode, order, over)
    exclude = "no others"
    if options & 0x8000:
        exclude = "current row"
    elif options & 0x10000:
        exclude = "group"
    elif options & 0x20000:
        exclude = "ties"
    return nodes.Frame(mode, start, end, exclude)


def _bound(
    scope: Scope, options: int, start: bool, offset: Any, mode: str, order: list[SortItem], over: Any
) -> nodes.FrameBound:
    if options & (0x20 if start else 0x100):
        return nodes.FrameBound("unbounded", None)
    preceding = options & (0x800 if start else 0x1000)
    following = options & (0x2000 if start else 0x4000)
    if offset is None or not (preceding or following):
        return nodes.FrameBound("current", None)
    expr = transform(scope, offset)
    if any(isinstance(p, Var) for p in walk(expr)):
        raise SqlError("42P10", f"argument of {mode.upper()} must not contain variables", position=position_of(offset))
    if mode in ("rows", "groups"):
        target = oids.INT8
    else:
        if len(order) != 1:
            raise SqlError(
                "42P20",
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
                position=pos(over),
            )
        target = _range_offset_type(order[0].typ)
        if not target:
            raise not_built(
                f"RANGE with offset PRECEDING/FOLLOWING for type {format_type(scope.catalog, order[0].typ)}"
            )
    cast = coerce(scope, expr, target, -1, "a", position_of(offset))
    if cast is None:
        raise SqlError(
            "42804",
            f"argument of {mode.upper()} must be type {format_type(scope.catalog, target)}, "
            f"not type {format_type(scope.catalog, type_of(expr))}",
            position=position_of(offset),
        )
    return nodes.FrameBound("preceding" if preceding else "following", cast)


def _range_offset_type(typ: int) -> int:
    if typ in (oids.INT2, oids.INT4, oids.INT8):
        return oids.INT8 if typ == oids.INT8 else typ
    if typ in (oids.DATE, oids.TIMESTAMP, oids.TIMESTAMPTZ, oids.TIME, oids.TIMETZ, oids.INTERVAL):
        return oids.INTERVAL
    if typ in (oids.FLOAT4, oids.FLOAT8):
        return oids.FLOAT8
    return oids.NUMERIC if typ == oids.NUMERIC else 0
