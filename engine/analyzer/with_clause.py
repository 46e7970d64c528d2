"""WITH: plain, recursive and data-modifying common table expressions."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer.coerce import coerce_type
from sixfold.engine.analyzer.from_clause import query_columns
from sixfold.engine.analyzer.oids import TEXT, UNKNOWN
from sixfold.engine.analyzer.recursion import Reference, in_order, mentions
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.search_cycle import LEVEL, Carried, written_out
from sixfold.engine.analyzer.tree import Cte, Query, RteColumn, SetOperation
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.errors import SqlError, syntax_error
from sixfold.engine.parser import ast, enums


def with_clause(scope: Scope, clause: Any) -> None:
    """transformWithClause."""
    names: set[str] = set()
    for item in clause.ctes:
        if item.ctename in names:
            raise SqlError("42712", f'WITH query name "{item.ctename}" specified more than once', position=pos(item))
        names.add(item.ctename)
    scope.future_ctes |= names
    for item in in_order(clause.ctes) if clause.recursive else clause.ctes:
        cte = Cte(item.ctename, scope.context.ctes)
        scope.context.ctes += 1
        materialized = enums.CTEMaterialize
        if item.ctematerialized != materialized.CTEMaterializeDefault:
            cte.materialized = item.ctematerialized == materialized.CTEMaterializeAlways
        recursive = bool(clause.recursive) and mentions(item.ctequery, item.ctename)
        if recursive:
            _recursive(scope, cte, item)
        elif item.search_clause is not None or item.cycle_clause is not None:
            raise syntax_error("WITH query is not recursive", pos(item))
        else:
            cte.query = scope.context.statement(scope, item.ctequery)
            cte.columns = _columns(cte.query, item)
        scope.future_ctes.discard(item.ctename)
        scope.ctes[item.ctename] = cte
        scope.query.ctes.append(cte)


def _columns(query: Query, item: Any) -> list[RteColumn]:
    if query.dml is not None:
        returning = query.dml.returning or []
        columns = [RteColumn(t.name, t.typ, t.typmod, t.table, t.attnum) for t in returning]
    else:
        columns = query_columns(query)
    names = [n.sval for n in item.aliascolnames or ()]
    if len(names) > len(columns):
        raise SqlError(
            "42P10",
            f'WITH query "{item.ctename}" has {len(columns)} columns available but {len(names)} columns specified',
            position=pos(item),
        )
    for i, name in enumerate(names):
        c = columns[i]
        columns[i] = RteColumn(name, c.typ, c.typmod, c.table, c.attnum)
    return columns


def _carrying(scope: Scope, item: Any) -> tuple[Any, list[Carried]]:
    """The UNION with the columns of SEARCH and CYCLE, and what these are."""
    if item.search_clause is None and item.cycle_clause is None:
        return item.ctequery, []
    # The first term is analyzed for its names alone.
    names = [c.name for c in _columns(scope.context.subquery(scope, item.ctequery.larg), item)]
    return written_out(item, names)


def _check_form(node: Any, name: str, item: Any) -> None:
    if (
        type(node) is not ast.SelectStmt
        or node.op != enums.SetOperation.SETOP_UNION
        or (mentions(node.larg, name) and not mentions(node.rarg, name))
    ):
        raise SqlError(
            "42P19",
            f'recursive query "{name}" does not have the form non-recursive-term UNION [ALL] recursive-term',
            position=pos(item),
        )
    if mentions(node.larg, name):
        raise SqlError(
            "42P19",
            f'recursive reference to query "{name}" must not appear within its non-recursive term',
            position=pos(item),
        )
    for clause, what in (
        (node.sortClause, "ORDER BY"),
        (node.limitCount, "LIMIT"),
        (node.limitOffset, "OFFSET"),
        (node.lockingClause, "FOR UPDATE/SHARE"),
    ):
        if clause:
            raise SqlError("0A000", f"{what} in a recursive query is not implemented", position=pos(item))


def _recursive(scope: Scope, cte: Cte, item: Any) -> None:
    node = item.ctequery
    name = item.ctename
    _check_form(node, name, item)
    Reference(name).check(node.rarg)
    context = scope.context
    inner = Scope(context, scope, context.new_query())
    inner.query.parent = scope.query
    if node.withClause is not None:
        with_clause(inner, node.withClause)
    node, carried = _carrying(inner, item)
    left = context.subquery(inner, node.larg)
    for t in left.visible():
        if t.typ == UNKNOWN:
            t.expr = coerce_type(scope, t.expr, UNKNOWN, TEXT, -1, "i")
            t.typ = TEXT
    cte.columns = _columns(left, item)
    for c in cte.columns:
        c.table = c.attnum = 0
    # The carried columns can be named in the recursive term, and are not among its `*`.
    for c in cte.columns[len(cte.columns) - len(carried) :]:
        c.hidden = True
    hidden = scope.ctes.get(name)
    inner.ctes[name] = cte
    scope.future_ctes.discard(name)
    right = context.operand(inner, node.rarg)
    if hidden is not None:
        scope.ctes[name] = hidden
    if right.has_aggs and mentions(node.rarg.fromClause, name):
        raise SqlError("42P19", "aggregate functions are not allowed in a recursive query's recursive term")
    context.unify(inner, left, right, node)
    for c, column in zip(cte.columns[len(cte.columns) - len(carried) :], carried, strict=True):
        c.hidden = column.name == LEVEL
    for i, (c, t) in enumerate(zip(cte.columns, left.visible(), strict=True)):
        if c.typ != t.typ:
            raise SqlError(
                "42804",
                f'recursive query "{name}" column {i + 1} has type {format_type(scope.catalog, c.typ)} in non-recursive '
                f"term but type {format_type(scope.catalog, t.typ)} overall",
                hint="Cast the output of the non-recursive term to the correct type.",
                position=t.position,
            )
    cte.recursive = True
    cte.union_all = bool(node.all)
    query = inner.query
    query.setop = SetOperation("union", bool(node.all), left, right)
    query.targets = list(left.targets)
    cte.query = query
