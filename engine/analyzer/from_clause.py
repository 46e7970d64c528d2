"""FROM: tables, views, subqueries, functions, VALUES, joins; what each offers to column references."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.coerce import coerce_to_boolean, coerce_to_common, common_type
from sixfold.engine.analyzer.exprs import position_of, transform
from sixfold.engine.analyzer.from_function import range_function
from sixfold.engine.analyzer.json_rows import json_rows
from sixfold.engine.analyzer.overload import operator_call
from sixfold.engine.analyzer.scope import NsItem, Scope, pos
from sixfold.engine.analyzer.tree import FromItem, FromJoin, FromRel, Rte, RteColumn
from sixfold.engine.analyzer.walk import type_of, typmod_of
from sixfold.engine.catalog.model import Relation
from sixfold.engine.catalog.system import is_unserved
from sixfold.engine.errors import SqlError, not_built, stack_depth
from sixfold.engine.parser import ast, enums, parse_one
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr


def from_clause(scope: Scope, items: Any) -> None:
    """transformFromClause: fills the query's FROM and the scope's namespace."""
    for node in items or ():
        item, _, offered = from_item(scope, node)
        _check_names(scope.items, offered)
        for ns in offered:
            ns.lateral_only = True
            ns.lateral_ok = True
        scope.items += offered
        scope.query.from_items.append(item)
    for ns in scope.items:
        ns.lateral_only = False


def _check_names(known: list[NsItem], new: list[NsItem]) -> None:
    for a in known:
        for b in new:
            if a.named and b.named and a.alias == b.alias:
                if (
                    a.relation is not None
                    and b.relation is not None
                    and a.relation.oid != b.relation.oid
                    and (a.alias == a.relation.name and b.alias == b.relation.name)
                ):
                    continue
                raise SqlError("42712", f'table name "{b.alias}" specified more than once')


def from_item(scope: Scope, node: Any) -> tuple[FromItem, NsItem, list[NsItem]]:
    """One FROM item: its tree, what it offers as a whole, and everything nameable inside it."""
    kind = type(node)
    if kind is ast.RangeVar:
        item = range_var(scope, node)
    elif kind is ast.RangeSubselect:
        item = _subselect(scope, node)
    elif kind is ast.RangeFunction:
        rows = json_rows(scope, node)
        item = _subselect(scope, rows) if rows is not None else range_function(scope, node)
    elif kind is ast.JoinExpr:
        return _join(scope, node)
    elif kind is ast.RangeTableSample:
        raise not_built("TABLESAMPLE", pos(node))
    else:
        raise not_built(f"{kind.__name__} in FROM", pos(node))
    assert item.rte is not None, "plain FROM items are entries"
    return FromRel(item.rte), item, [item]


# ---- tables


def relation_of(scope: Scope, node: Any) -> Relation:
    """The relation that a RangeVar names."""
    catalog = scope.catalog
    relation = catalog.relation(node.relname, node.schemaname)
    if relation is not None:
        return relation
    shown = f"{node.schemaname}.{node.relname}" if node.schemaname else node.relname
    if is_unserved(node.relname, node.schemaname):
        raise not_built(f"the system relation {node.relname}", pos(node))
    hint = detail = None
    if not node.schemaname:
        level: Scope | None = scope
        while level is not None:
            if node.relname in level.future_ctes:
                detail = f'There is a WITH item named "{node.relname}", but it cannot be referenced from this part of the query.'
                hint = "Use WITH RECURSIVE, or re-order the WITH items to remove forward references."
            level = level.parent
    raise SqlError("42P01", f'relation "{shown}" does not exist', detail=detail, hint=hint, position=pos(node))


def relation_columns(relation: Relation) -> list[RteColumn]:
    """What a stored relation offers; dropped columns keep their places."""
    return [RteColumn(c.name, c.typ, c.typmod, relation.oid, c.attnum, c.dropped) for c in relation.columns]


def rename(rte_name: str, columns: list[RteColumn], alias: Any) -> list[RteColumn]:
    """Columns under the names of an alias's list."""
    names = [n.sval for n in alias.colnames or ()] if alias is not None else []
    live = [c for c in columns if not c.dropped]
    if len(names) > len(live):
        raise SqlError(
            "42P10", f'table "{rte_name}" has {len(live)} columns available but {len(names)} columns specified'
        )
    result = []
    given = iter(names)
    for c in columns:
        name = None if c.dropped else next(given, None)
        result.append(c if name is None else RteColumn(name, c.typ, c.typmod, c.table, c.attnum, c.dropped))
    return result


def range_var(scope: Scope, node: Any) -> NsItem:
    """A table, view or WITH item."""
    alias = node.alias.aliasname if node.alias is not None else node.relname
    if node.schemaname is None:
        cte = scope.find_cte(node.relname)
        if cte is not None:
            return _cte_item(scope, cte, alias, node)
    if node.catalogname is not None and node.catalogname != scope.context.database:
        shown = f"{node.catalogname}.{node.schemaname}.{node.relname}"
        raise SqlError("0A000", f'cross-database references are not implemented: "{shown}"', position=pos(node))
    relation = relation_of(scope, node)
    return relation_item(scope, relation, alias, node.alias, pos(node))


def relation_item(scope: Scope, relation: Relation, alias: str, alias_node: Any, position: int | None) -> NsItem:
    """A relation in FROM."""
    context = scope.context
    if relation.kind == "v":
        return _view(scope, relation, alias, alias_node)
    if relation.kind not in ("r", "m") and relation.host is None:
        what = {"i": "an index", "c": "a composite type"}.get(relation.kind)
        if what is None:
            raise not_built("reading a sequence as a table", position)
        raise SqlError(
            "42809",
            f'cannot open relation "{relation.name}"',
            detail=f"This operation is not supported for {'indexes' if relation.kind == 'i' else 'composite types'}.",
            position=position,
        )
    context.lock(relation.oid, 1)
    rte = context.new_rte("relation", alias, rename(alias, relation_columns(relation), alias_node))
    rte.relation = relation
    scope.query.rtes.append(rte)
    return NsItem(alias, rte.columns, rte)


def _view(scope: Scope, relation: Relation, alias: str, alias_node: Any) -> NsItem:
    context = scope.context
    if relation.view is None:
        raise SqlError("XX000", f'view "{relation.name}" has no definition')
    context.lock(relation.oid, 1)
    if context.depth > 50:
        raise stack_depth()
    outer = Scope(context, None, context.new_query())
    if relation.view_path is not None:
        outer.catalog = scope.catalog.with_path(relation.view_path)
    saved, context.arguments = context.arguments, None
    context.depth += 1
    try:
        query = context.subquery(outer, parse_one(relation.view))
    finally:
        context.arguments = saved
        context.depth -= 1
    columns = []
    for column, target in zip((c for c in relation.columns if not c.dropped), query.visible(), strict=True):
        columns.append(RteColumn(column.name, target.typ, target.typmod, relation.oid, column.attnum))
    rte = context.new_rte("subquery", alias, rename(alias, columns, alias_node))
    rte.query = query
    query.parent = scope.query
    scope.query.rtes.append(rte)
    item = NsItem(alias, rte.columns, rte)
    item.relation = relation
    return item


def _cte_item(scope: Scope, cte: tree.Cte, alias: str, node: Any) -> NsItem:
    cte.references += 1
    recursive = cte.query is None
    rte = scope.context.new_rte("work" if recursive else "cte", alias, rename(alias, list(cte.columns), node.alias))
    rte.cte = cte
    if recursive:
        if not cte.columns:
            raise SqlError(
                "42P19",
                f'recursive reference to query "{cte.name}" must not appear within its non-recursive term',
                position=pos(node),
            )
        cte.recursive = True
    elif cte.query is not None and cte.query.dml is not None and cte.query.dml.returning is None:
        raise SqlError("0A000", f'WITH query "{cte.name}" does not have a RETURNING clause', position=pos(node))
    scope.query.rtes.append(rte)
    return NsItem(alias, rte.columns, rte)


# ---- subqueries


def query_columns(query: tree.Query) -> list[RteColumn]:
    """What a subquery offers."""
    return [RteColumn(t.name, t.typ, t.typmod, t.table, t.attnum) for t in query.visible()]


def _subselect(scope: Scope, node: Any) -> NsItem:
    if node.alias is None:
        what = "VALUES" if node.subquery.valuesLists else "subquery"
        example = "(VALUES ...)" if what == "VALUES" else "(SELECT ...)"
        raise SqlError(
            "42601",
            f"{what} in FROM must have an alias",
            hint=f"For example, FROM {example} [AS] foo.",
            position=pos(node) or pos(node.subquery),
        )
    alias = node.alias.aliasname
    saved, scope.lateral_active = scope.lateral_active, bool(node.lateral)
    kind, scope.kind = scope.kind, "subselect"
    try:
        query = scope.context.subquery(scope, node.subquery)
    finally:
        scope.lateral_active = saved
        scope.kind = kind
    rte = scope.context.new_rte("subquery", alias, rename(alias, query_columns(query), node.alias))
    rte.query = query
    rte.lateral = bool(node.lateral)
    scope.query.rtes.append(rte)
    return NsItem(alias, rte.columns, rte)


# ---- joins

_JOINS = {
    enums.JoinType.JOIN_INNER: "inner",
    enums.JoinType.JOIN_LEFT: "left",
    enums.JoinType.JOIN_RIGHT: "right",
    enums.JoinType.JOIN_FULL: "full",
}


def _join(scope: Scope, node: Any) -> tuple[FromItem, NsItem, list[NsItem]]:
    kind = _JOINS[node.jointype]
    left, left_item, left_all = from_item(scope, node.larg)
    outside = scope.items
    for ns in left_all:
        ns.lateral_only = True
        ns.lateral_ok = kind in ("inner", "left")
    scope.items = outside + left_all
    right, right_item, right_all = from_item(scope, node.rarg)
    scope.items = outside
    _check_names(left_all, right_all)
    for ns in left_all:
        ns.lateral_only = False
        ns.lateral_ok = True
    names = [n.sval for n in node.usingClause or ()]
    if node.isNatural:
        right_names = {right_item.columns[i].name for i in right_item.visible()}
        names = [left_item.columns[i].name for i in left_item.visible() if left_item.columns[i].name in right_names]
    merged, tests = _merge(scope, kind, left_item, right_item, names, node)
    on: Expr | None = None
    if names:
        on = tests[0] if len(tests) == 1 else nodes.And(tests)
    elif node.quals is not None:
        on = _on(scope, node, left_all + right_all)
    for ns in (*(left_all if kind in ("right", "full") else ()), *(right_all if kind in ("left", "full") else ())):
        ns.nullable = True
    item = _joined(left_item, right_item, names, merged)
    everything = left_all + right_all
    if node.alias is not None:
        item.alias = node.alias.aliasname
        item.columns = rename(item.alias, item.columns, node.alias)
        everything = []
    else:
        item.named = False
        for ns in everything:
            ns.open = False
    join_kind = "inner" if kind == "inner" and on is not None else kind
    extra = [_using_alias(node, names, merged)] if node.join_using_alias is not None else []
    return FromJoin(join_kind, left, right, on), item, [*everything, item, *extra]


def _on(scope: Scope, node: Any, items: list[NsItem]) -> Expr:
    saved, kind = scope.items, scope.kind
    scope.items, scope.kind = items, "on"
    try:
        return coerce_to_boolean(scope, transform(scope, node.quals), "JOIN/ON", position_of(node.quals))
    finally:
        scope.items, scope.kind = saved, kind


def _using_alias(node: Any, names: list[str], merged: list[Expr]) -> NsItem:
    columns = [RteColumn(n, type_of(e), typmod_of(e)) for n, e in zip(names, merged, strict=True)]
    item = NsItem(node.join_using_alias.aliasname, columns)
    item.exprs = list(merged)
    item.open = False
    return item


def _using_column(item: NsItem, name: str, side: str) -> Expr:
    found = -1
    for i in item.visible():
        if item.columns[i].name == name:
            if found >= 0:
                raise SqlError("42702", f'common column name "{name}" appears more than once in {side} table')
            found = i
    if found < 0:
        raise SqlError("42703", f'column "{name}" specified in USING clause does not exist in {side} table')
    return item.expr(found)


def _merge(
    scope: Scope, kind: str, left: NsItem, right: NsItem, names: list[str], node: Any
) -> tuple[list[Expr], list[Expr]]:
    merged: list[Expr] = []
    tests: list[Expr] = []
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SqlError("42701", f'column name "{name}" appears more than once in USING clause')
        seen.add(name)
        a, b = _using_column(left, name, "left"), _using_column(right, name, "right")
        tests.append(coerce_to_boolean(scope, operator_call(scope, "=", a, b, None), "JOIN/USING", None))
        typ = common_type(scope, [a, b], "JOIN/USING", [None, None])
        a = coerce_to_common(scope, a, typ, "JOIN/USING", None)
        b = coerce_to_common(scope, b, typ, "JOIN/USING", None)
        if kind == "full":
            merged.append(nodes.Coalesce([a, b], typ))
        else:
            merged.append(b if kind == "right" else a)
    return merged, tests


def _joined(left: NsItem, right: NsItem, names: list[str], merged: list[Expr]) -> NsItem:
    columns: list[RteColumn] = []
    exprs: list[Expr] = []
    for name, expr in zip(names, merged, strict=True):
        origin = next((left.columns[i] for i in left.visible() if left.columns[i].name == name), None)
        table, attnum = (origin.table, origin.attnum) if origin is not None and isinstance(expr, tree.Var) else (0, 0)
        columns.append(RteColumn(name, type_of(expr), typmod_of(expr), table, attnum))
        exprs.append(expr)
    for item in (left, right):
        for i in item.visible():
            if item.columns[i].name not in names:
                columns.append(item.columns[i])
                exprs.append(item.expr(i))
    result = NsItem("unnamed_join", columns)
    result.exprs = exprs
    return result


__all__ = [
    "Rte",
    "from_clause",
    "from_item",
    "oids",
    "query_columns",
    "range_var",
    "relation_columns",
    "relation_item",
    "relation_of",
]
