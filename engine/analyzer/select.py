"""SELECT, VALUES, set operations: one query level from its raw tree."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.aggregates import require_equality, window_clause
from sixfold.engine.analyzer.coerce import coerce, coerce_to_common, coerce_type, common_type, common_typmod
from sixfold.engine.analyzer.exprs import boolean, position_of, transform
from sixfold.engine.analyzer.from_clause import from_clause, query_columns
from sixfold.engine.analyzer.from_function import values_entry
from sixfold.engine.analyzer.grouping import check_grouping, group_clause
from sixfold.engine.analyzer.host import HOST_SETS
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.ordering import distinct_clause, sort_clause
from sixfold.engine.analyzer.scope import NsItem, Scope, pos
from sixfold.engine.analyzer.targets import target, target_list
from sixfold.engine.analyzer.tree import Lock, Query, RteColumn, SetOperation, SortItem, Target, Var
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import type_of, walk
from sixfold.engine.analyzer.with_clause import with_clause
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

_SETOPS = {
    enums.SetOperation.SETOP_UNION: "union",
    enums.SetOperation.SETOP_INTERSECT: "intersect",
    enums.SetOperation.SETOP_EXCEPT: "except",
}


def analyze_select(parent: Scope | None, node: Any, scope: Scope, resolve: bool = True) -> Query:
    """One SelectStmt into `scope.query`. `resolve`: unknown result columns become text."""
    if node.intoClause is not None:
        raise SqlError("42601", "SELECT ... INTO is not allowed here")
    if node.withClause is not None:
        with_clause(scope, node.withClause)
    if node.op != enums.SetOperation.SETOP_NONE:
        set_operation(scope, node)
    elif node.valuesLists:
        values(scope, node)
    else:
        plain_select(scope, node, resolve)
    return scope.query


def subquery(parent: Scope, node: Any, resolve: bool = True) -> Query:
    """A query below a scope."""
    query = parent.context.new_query()
    query.parent = parent.query
    scope = Scope(parent.context, parent, query)
    if type(node) is not ast.SelectStmt:
        raise SqlError("42601", "a data-modifying statement is only allowed in WITH at the top level")
    return analyze_select(parent, node, scope, resolve)


def _host_set_to_from(node: Any) -> None:
    """SELECT f(…), where Python makes the rows of f: the same as SELECT f FROM f(…)."""
    if node.fromClause or not node.targetList or len(node.targetList) != 1:
        return
    call = node.targetList[0].val
    if type(call) is ast.FuncCall and call.funcname[-1].sval in HOST_SETS:
        node.fromClause = (
            ast.RangeFunction(lateral=False, ordinality=False, is_rowsfrom=False, functions=((call, None),)),
        )
        node.targetList[0].val = ast.ColumnRef(fields=(ast.String(call.funcname[-1].sval),))


def plain_select(scope: Scope, node: Any, resolve: bool) -> None:
    """transformSelectStmt."""
    query = scope.query
    _host_set_to_from(node)
    from_clause(scope, node.fromClause)
    for definition in node.windowClause or ():
        if definition.name in scope.window_defs:
            raise SqlError("42P20", f'window "{definition.name}" is already defined', position=pos(definition))
        scope.window_defs[definition.name] = window_clause(scope, definition)
    scope.kind = "select"
    query.targets = target_list(scope, node.targetList)
    if node.whereClause is not None:
        scope.kind = "where"
        query.where = boolean(scope, node.whereClause, "WHERE")
    if node.havingClause is not None:
        scope.kind = "having"
        query.having = boolean(scope, node.havingClause, "HAVING")
    scope.kind = "order"
    query.order = sort_clause(scope, node.sortClause)
    scope.kind = "group"
    group_clause(scope, node)
    if resolve:
        resolve_unknowns(scope, query.targets)
    scope.kind = "order"
    distinct_clause(scope, node)
    limits(scope, node)
    check_grouping(scope, node)
    locking(scope, node)
    if scope.lateral_calls and (query.has_srfs or query.has_aggs or query.group):
        raise not_built("a set-returning function written in SQL together with grouping or other sets")


def resolve_unknowns(scope: Scope, targets: list[Target]) -> None:
    """Result columns of unknown type are text."""
    for t in targets:
        if t.typ == UNKNOWN:
            old = t.expr
            t.expr = coerce_type(scope, t.expr, UNKNOWN, oids.TEXT, -1, "i", t.position)
            t.typ = oids.TEXT
            for item in scope.query.order:
                if item.expr is old:
                    item.expr, item.typ = t.expr, oids.TEXT


def limits(scope: Scope, node: Any) -> None:
    """LIMIT, OFFSET, FETCH FIRST."""
    query = scope.query
    for attribute, construct, raw in (("limit", "LIMIT", node.limitCount), ("offset", "OFFSET", node.limitOffset)):
        if raw is None:
            continue
        scope.kind = attribute
        expr = transform(scope, raw)
        if type(raw) is ast.A_Const and raw.isnull:
            continue
        cast = coerce(scope, expr, oids.INT8, -1, "a", position_of(raw))
        if cast is None:
            shown = format_type(scope.catalog, type_of(expr))
            raise SqlError(
                "42804", f"argument of {construct} must be type bigint, not type {shown}", position=position_of(raw)
            )
        if any(isinstance(p, Var) for p in walk(cast)):
            own = {r.id for r in query.rtes}
            if any(isinstance(p, Var) and p.rel in own for p in walk(cast)):
                raise SqlError(
                    "42P10", f"argument of {construct} must not contain variables", position=position_of(raw)
                )
        setattr(query, attribute, cast)
    if node.limitOption == enums.LimitOption.LIMIT_OPTION_WITH_TIES:
        if not query.order:
            raise SqlError("42601", "WITH TIES cannot be specified without ORDER BY clause")
        query.limit_ties = True


# ---- VALUES


def values(scope: Scope, node: Any) -> None:
    """VALUES as a query."""
    scope.kind = "values"
    rows = value_rows(scope, node.valuesLists)
    columns, rows = unify_rows(scope, rows, node.valuesLists)
    rte = values_entry(scope, rows, columns)
    scope.query.targets = [target(scope, Var(rte.id, i, c.typ, c.typmod), c.name) for i, c in enumerate(columns)]
    _result_clauses(scope, node, rte)


def value_rows(scope: Scope, lists: Any) -> list[list[Expr]]:
    """The raw lists of VALUES as expressions."""
    rows: list[list[Expr]] = []
    width = len(lists[0])
    for raw in lists:
        if len(raw) != width:
            raise SqlError(
                "42601", "VALUES lists must all be the same length", position=position_of(raw[0]) if raw else None
            )
        rows.append([transform(scope, item) for item in raw])
    return rows


def unify_rows(scope: Scope, rows: list[list[Expr]], raw: Any) -> tuple[list[RteColumn], list[list[Expr]]]:
    """VALUES rows with one type a column."""
    columns: list[RteColumn] = []
    for i in range(len(rows[0])):
        exprs = [row[i] for row in rows]
        places = [position_of(r[i]) for r in raw]
        typ = common_type(scope, exprs, "VALUES", places)
        for row, place in zip(rows, places, strict=True):
            row[i] = coerce_to_common(scope, row[i], typ, "VALUES", place)
        columns.append(RteColumn(f"column{i + 1}", typ, common_typmod([row[i] for row in rows], typ)))
    return columns, rows


def _result_clauses(scope: Scope, node: Any, rte: tree.Rte) -> None:
    """ORDER BY, LIMIT, locking of VALUES and set operations."""
    if node.sortClause:
        scope.kind = "order"
        scope.query.order = result_order(scope, node, rte)
    limits(scope, node)
    if node.lockingClause:
        what = "VALUES" if node.valuesLists else "UNION/INTERSECT/EXCEPT"
        name = lock_strength(node.lockingClause[0])[1]
        raise SqlError(
            "0A000", f"{name} is not allowed with {what}" if what != "VALUES" else f"{name} cannot be applied to VALUES"
        )


def result_order(scope: Scope, node: Any, rte: tree.Rte) -> list[SortItem]:
    """ORDER BY over result columns."""
    if node.valuesLists:
        scope.items = [NsItem(rte.alias, rte.columns, rte)]
    before = len(scope.query.targets)
    try:
        order = sort_clause(scope, node.sortClause)
    except SqlError as error:
        if node.valuesLists or error.code != "42703":
            raise
        raise _bad_setop_order(node) if _not_a_name(node) else error from None
    if len(scope.query.targets) > before and not node.valuesLists:
        raise _bad_setop_order(node)
    return order


def _not_a_name(node: Any) -> bool:
    return any(type(s.node) is not ast.ColumnRef for s in node.sortClause)


def _bad_setop_order(node: Any) -> SqlError:
    return SqlError(
        "0A000",
        "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
        detail="Only result column names can be used, not expressions or functions.",
        hint="Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
        position=position_of(node.sortClause[0].node),
    )


# ---- set operations


def set_operation(scope: Scope, node: Any) -> None:
    """UNION, INTERSECT, EXCEPT."""
    kind = _SETOPS[node.op]
    left = _operand(scope, node.larg)
    right = _operand(scope, node.rarg)
    columns = unify_queries(scope, kind.upper(), left, right, node)
    if not node.all or kind != "union":
        for c, t in zip(columns, left.visible(), strict=True):
            require_equality(scope, c.typ, t.position)
    query = scope.query
    query.setop = SetOperation(kind, bool(node.all), left, right)
    rte = scope.context.new_rte("setop", "*SETOP*", columns)
    query.rtes.append(rte)
    query.targets = [target(scope, Var(rte.id, i, c.typ, c.typmod), c.name) for i, c in enumerate(columns)]
    for t in query.targets:
        t.table = t.attnum = 0
    _result_clauses(scope, node, rte)


def _operand(scope: Scope, node: Any) -> Query:
    return subquery(scope, node, resolve=False)


def unify_queries(scope: Scope, what: str, left: Query, right: Query, node: Any) -> list[RteColumn]:
    """Both operands get the same column types; answers the result's columns."""
    lefts, rights = left.visible(), right.visible()
    if len(lefts) != len(rights):
        raise SqlError(
            "42601",
            f"each {what} query must have the same number of columns",
            position=_first_position(node.rarg),
        )
    columns: list[RteColumn] = []
    typs: list[int] = []
    for i, (a, b) in enumerate(zip(lefts, rights, strict=True)):
        typ = common_type(scope, [a.expr, b.expr], what, [None, _target_position(node.rarg, i)], [a.typ, b.typ])
        typs.append(typ)
        typmod = a.typmod if a.typ == b.typ == typ and a.typmod == b.typmod else -1
        columns.append(RteColumn(a.name, typ, typmod))
    convert(scope, left, typs, what)
    convert(scope, right, typs, what)
    return columns


def convert(scope: Scope, query: Query, typs: list[int], what: str) -> None:
    """Result columns cast to `typs`: in place where nothing looks at them, else over a copy of the query beneath."""
    if all(t.typ == typ for t, typ in zip(query.visible(), typs, strict=True)):
        return
    if all(
        t.typ == typ or (t.typ == UNKNOWN and isinstance(t.expr, nodes.Const | nodes.Param))
        for t, typ in zip(query.visible(), typs, strict=True)
    ) or not (query.setop or query.distinct or query.order or query.values or query.group):
        for t, typ in zip(query.visible(), typs, strict=True):
            if t.typ != typ:
                old = t.expr
                t.expr = coerce_to_common(scope, t.expr, typ, what, t.position)
                t.typ, t.typmod = typ, -1
                for item in query.order:
                    if item.expr == old:
                        item.expr, item.typ = t.expr, typ
        return
    inner = Query(query.number, query.kind)
    for slot in Query.__slots__:
        setattr(inner, slot, getattr(query, slot))
    outer = Query(scope.context.new_query().number)
    for slot in Query.__slots__:
        setattr(query, slot, getattr(outer, slot))
    query.parent = inner.parent
    rte = scope.context.new_rte("subquery", "*SELECT*", query_columns(inner))
    rte.query = inner
    inner.parent = query
    query.rtes.append(rte)
    query.from_items.append(tree.FromRel(rte))
    for i, (t, typ) in enumerate(zip(inner.visible(), typs, strict=True)):
        expr = coerce_to_common(scope, Var(rte.id, i, t.typ, t.typmod), typ, what, None)
        query.targets.append(Target(expr, t.name, typ))


def _leaf(node: Any) -> Any:
    while node.op != enums.SetOperation.SETOP_NONE:
        node = node.larg
    return node


def _first_position(node: Any) -> int | None:
    return _target_position(node, 0)


def _target_position(node: Any, i: int) -> int | None:
    leaf = _leaf(node)
    if leaf.targetList and i < len(leaf.targetList):
        return position_of(leaf.targetList[i].val)
    return None


# ---- FOR UPDATE / SHARE


def lock_strength(clause: Any) -> tuple[str, str]:
    """The mode's name in plans and in SQL."""
    strength = enums.LockClauseStrength
    return {
        strength.LCS_FORKEYSHARE: ("key_share", "FOR KEY SHARE"),
        strength.LCS_FORSHARE: ("share", "FOR SHARE"),
        strength.LCS_FORNOKEYUPDATE: ("no_key_update", "FOR NO KEY UPDATE"),
        strength.LCS_FORUPDATE: ("update", "FOR UPDATE"),
    }[clause.strength]


_WAITS = {
    enums.LockWaitPolicy.LockWaitBlock: "block",
    enums.LockWaitPolicy.LockWaitSkip: "skip",
    enums.LockWaitPolicy.LockWaitError: "nowait",
}
_ORDER = ("key_share", "share", "no_key_update", "update")


def locking(scope: Scope, node: Any) -> None:
    """transformLockingClause."""
    query = scope.query
    for clause in node.lockingClause or ():
        mode, shown = lock_strength(clause)
        for bad, what in (
            (query.distinct, "DISTINCT clause"),
            (query.group or query.grouping_sets, "GROUP BY clause"),
            (query.having, "HAVING clause"),
            (query.has_aggs, "aggregate functions"),
            (query.windows, "window functions"),
            (query.has_srfs, "set-returning functions in the target list"),
        ):
            if bad:
                raise SqlError("0A000", f"{shown} is not allowed with {what}")
        wait = _WAITS[clause.waitPolicy]
        if not clause.lockedRels:
            for rte in query.rtes:
                _lock_rte(scope, rte, mode, wait)
            continue
        for name in clause.lockedRels:
            _lock_named(scope, name, mode, wait, shown)


def _lock_named(scope: Scope, name: Any, mode: str, wait: str, shown: str) -> None:
    if name.schemaname or name.catalogname:
        raise SqlError("42601", f"{shown} must specify unqualified relation names", position=pos(name))
    for rte in scope.query.rtes:
        if rte.alias == name.relname:
            if rte.kind in ("function", "values", "cte", "work"):
                what = {"function": "a function", "values": "VALUES", "cte": "a WITH query", "work": "a WITH query"}[
                    rte.kind
                ]
                raise SqlError("0A000", f"{shown} cannot be applied to {what}", position=pos(name))
            _lock_rte(scope, rte, mode, wait)
            return
    raise SqlError("42P01", f'relation "{name.relname}" in {shown} clause not found in FROM clause', position=pos(name))


def _lock_rte(scope: Scope, rte: tree.Rte, mode: str, wait: str) -> None:
    if rte.kind == "subquery" and rte.query is not None:
        inner = rte.query
        if not (inner.distinct or inner.group or inner.has_aggs or inner.setop or inner.windows or inner.limit):
            for below in inner.rtes:
                _lock_into(inner, scope, below, mode, wait)
        return
    _lock_into(scope.query, scope, rte, mode, wait)


def _lock_into(query: Query, scope: Scope, rte: tree.Rte, mode: str, wait: str) -> None:
    if rte.kind == "subquery":
        inner_query = rte.query
        if inner_query is not None:
            for below in inner_query.rtes:
                _lock_into(inner_query, scope, below, mode, wait)
        return
    if rte.kind != "relation" or rte.relation is None or rte.relation.host is not None:
        return
    scope.context.lock(rte.relation.oid, 2)
    for lock in query.locks:
        if lock.rel == rte.id:
            if _ORDER.index(lock.mode) < _ORDER.index(mode):
                lock.mode = mode
            if lock.wait == "block" or (lock.wait == "skip" and wait == "nowait"):
                lock.wait = wait
            return
    query.locks.append(Lock(rte.id, mode, wait))
