"""INSERT, UPDATE, DELETE: targets, assignments, defaults, checks, ON CONFLICT, RETURNING."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.assign import (
    Assigner,
    check_constraints,
    default_of,
    generated_columns,
    target_column,
)
from sixfold.engine.analyzer.exprs import boolean, position_of, transform
from sixfold.engine.analyzer.from_clause import from_clause, relation_columns, relation_of
from sixfold.engine.analyzer.parts import part_assigned
from sixfold.engine.analyzer.scope import NsItem, Scope, pos
from sixfold.engine.analyzer.select import analyze_select
from sixfold.engine.analyzer.targets import target_list
from sixfold.engine.analyzer.tree import Conflict, Dml, FromJoin, FromRel, Query, Rte, RteColumn, Target, Var
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.analyzer.with_clause import with_clause
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr


def _target(scope: Scope, node: Any, verb: str) -> tuple[Relation, Rte, NsItem]:
    relation = relation_of(scope, node)
    if relation.kind == "v":
        what = {"insert": "inserting into a view", "update": "updating a view", "delete": "deleting from a view"}[verb]
        raise not_built(what, pos(node))
    if relation.host is not None:
        raise SqlError("42501", f'permission denied: "{relation.name}" is a system catalog')
    if relation.kind != "r":
        what = {"S": "sequence", "i": "index", "c": "composite type", "m": "materialized view"}.get(
            relation.kind, "relation"
        )
        raise SqlError("42809", f'cannot change {what} "{relation.name}"')
    scope.context.lock(relation.oid, 3)
    alias = node.alias.aliasname if node.alias is not None else relation.name
    rte = scope.context.new_rte("relation", alias, relation_columns(relation))
    rte.relation = relation
    scope.query.rtes.append(rte)
    return relation, rte, NsItem(alias, rte.columns, rte)


def returning(scope: Scope, items: Any) -> list[Target] | None:
    """RETURNING."""
    if not items:
        return None
    scope.kind = "returning"
    targets = target_list(scope, items)
    for t in targets:
        if t.typ == oids.UNKNOWN:
            t.expr = nodes.Const(oids.TEXT, t.expr.text) if isinstance(t.expr, nodes.Const) else t.expr
            t.typ = oids.TEXT
    return targets


# ---- INSERT


def insert(scope: Scope, node: Any) -> Query:
    """transformInsertStmt."""
    if node.withClause is not None:
        with_clause(scope, node.withClause)
    query = scope.query
    relation, rte, item = _target(scope, node.relation, "insert")
    dml = Dml(relation, rte)
    query.dml = dml
    query.kind = "insert"
    override = node.override
    if node.cols:
        for col in node.cols:
            place = target_column(relation, col.name, pos(col))
            if col.indirection:
                raise not_built("assignment to a part of a column", pos(col))
            if place in dml.columns:
                raise SqlError("42701", f'column "{col.name}" specified more than once', position=pos(col))
            dml.columns.append(place)
    else:
        dml.columns = [c.attnum - 1 for c in relation.columns if not c.dropped]
    assigner = Assigner(scope, relation, override)
    source = _insert_source(scope, node, dml, assigner)
    dml.source = source
    named = set(dml.columns)
    for column in relation.columns:
        place = column.attnum - 1
        if place not in named:
            dml.fill[place] = default_of(scope, relation, column)
    dml.generated = generated_columns(scope, relation, rte)
    dml.checks = check_constraints(scope, relation, rte)
    assigners = [assigner]
    arbiter_columns: set[int] = set()
    if node.onConflictClause is not None:
        dml.conflict, arbiter_columns = _conflict(scope, node.onConflictClause, relation, item, assigners)
    scope.items = [item]
    dml.returning = returning(scope, node.returningList)
    for each in assigners:
        each.finish()
    if dml.conflict is not None and arbiter_columns:
        dml.conflict.arbiters = _arbiters(relation, arbiter_columns)
    return query


def _insert_source(scope: Scope, node: Any, dml: Dml, assigner: Assigner) -> Query:
    select = node.selectStmt
    context = scope.context
    if select is None:
        dml.columns = []
        query = context.new_query()
        query.parent = scope.query
        return query
    simple = select.valuesLists and not (
        select.sortClause or select.limitCount or select.limitOffset or select.withClause
    )
    if simple:
        return _insert_values(scope, node, dml, assigner)
    query = context.new_query()
    query.parent = scope.query
    inner = Scope(context, scope, query)
    analyze_select(scope, select, inner, resolve=False)
    targets = query.visible()
    _check_width(node, dml, len(targets), [t.val for t in _leaf_targets(select)])
    # The values are cast over the query's result.
    needs_cast = False
    exprs: list[Expr] = []
    rte = context.new_rte("subquery", "*SELECT*", [RteColumn(t.name, t.typ, t.typmod) for t in targets])
    for i, (place, t) in enumerate(zip(dml.columns, targets, strict=False)):
        value: Expr = t.expr if isinstance(t.expr, nodes.Const | nodes.Param) else Var(rte.id, i, t.typ, t.typmod)
        expr = assigner.given_value(scope, place, value, t.position)
        if type(t.expr) is nodes.Param and isinstance(expr, nodes.Param):
            t.expr, t.typ = expr, expr.typ
        exprs.append(expr)
        needs_cast |= not isinstance(expr, Var)
    outer = context.new_query()
    outer.parent = scope.query
    query.parent = outer
    rte.query = query
    outer.rtes.append(rte)
    outer.from_items.append(FromRel(rte))
    for t in targets:
        if t.typ == oids.UNKNOWN:
            t.typ = oids.TEXT
            t.expr = nodes.Const(oids.TEXT, getattr(t.expr, "text", None))
    outer.targets = [Target(e, "", type_of(e)) for e in exprs]
    dml.columns = dml.columns[: len(exprs)]
    return outer


def _leaf_targets(select: Any) -> Any:
    while select.op != enums.SetOperation.SETOP_NONE:
        select = select.larg
    return select.targetList or ()


def _check_width(node: Any, dml: Dml, width: int, raw: Any) -> None:
    if width > len(dml.columns):
        extra = raw[len(dml.columns)] if len(raw) > len(dml.columns) else None
        raise SqlError(
            "42601",
            "INSERT has more expressions than target columns",
            position=position_of(extra) if extra is not None else None,
        )
    if node.cols and width < len(dml.columns):
        raise SqlError("42601", "INSERT has more target columns than expressions", position=pos(node.cols[width]))


def _insert_values(scope: Scope, node: Any, dml: Dml, assigner: Assigner) -> Query:
    context = scope.context
    lists = node.selectStmt.valuesLists
    width = len(lists[0])
    _check_width(node, dml, width, lists[0])
    inner = Scope(context, scope, context.new_query())
    inner.query.parent = scope.query
    inner.kind = "values" if len(lists) > 1 else "select"
    dml.columns = dml.columns[:width]
    rows: list[list[Expr]] = []
    for raw in lists:
        if len(raw) != width:
            raise SqlError("42601", "VALUES lists must all be the same length", position=position_of(raw[0]))
        row: list[Expr] = []
        for place, value in zip(dml.columns, raw, strict=True):
            row.append(assigner.value(inner, place, value))
        rows.append(row)
    query = inner.query
    columns = [
        RteColumn(f"column{i + 1}", assigner.relation.columns[p].typ, assigner.relation.columns[p].typmod)
        for i, p in enumerate(dml.columns)
    ]
    if len(rows) == 1:
        query.targets = [Target(e, c.name, c.typ) for e, c in zip(rows[0], columns, strict=True)]
    else:
        rte = context.new_rte("values", "*VALUES*", columns)
        rte.rows = rows
        query.rtes.append(rte)
        query.from_items.append(FromRel(rte))
        query.targets = [Target(Var(rte.id, i, c.typ, c.typmod), c.name, c.typ) for i, c in enumerate(columns)]
    return query


# ---- ON CONFLICT


def _conflict(
    scope: Scope, clause: Any, relation: Relation, item: NsItem, assigners: list[Assigner]
) -> tuple[Conflict, set[int]]:
    """The clause, and the columns whose unique index it must find."""
    result = Conflict()
    update = clause.action == enums.OnConflictAction.ONCONFLICT_UPDATE
    wanted: set[int] = set()
    if clause.infer is not None and clause.infer.conname is not None:
        result.arbiters = [_named_arbiter(relation, clause.infer.conname)]
    elif clause.infer is not None:
        wanted = _arbiter_columns(clause.infer, relation)
    elif update:
        raise SqlError(
            "42601",
            "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            hint="For example, ON CONFLICT (column_name).",
            position=pos(clause),
        )
    if update:
        _do_update(scope, clause, relation, item, result, assigners)
    return result, wanted


def _do_update(
    scope: Scope, clause: Any, relation: Relation, item: NsItem, result: Conflict, assigners: list[Assigner]
) -> None:
    excluded = scope.context.new_rte("relation", "excluded", relation_columns(relation))
    excluded.relation = relation
    result.excluded = excluded
    excluded_item = NsItem("excluded", excluded.columns, excluded)
    scope.items = [item, excluded_item]
    item.lateral_only = False
    scope.query.rtes.append(excluded)
    try:
        result.assign = assignments(scope, relation, clause.targetList, assigners)
        if clause.whereClause is not None:
            scope.kind = "where"
            result.where = boolean(scope, clause.whereClause, "WHERE")
    finally:
        scope.query.rtes.remove(excluded)


def _named_arbiter(relation: Relation, name: str) -> int:
    for constraint in relation.constraints:
        if constraint.name == name and constraint.kind in ("p", "u"):
            return constraint.index
    raise SqlError("42704", f'constraint "{name}" for table "{relation.name}" does not exist')


def _arbiter_columns(infer: Any, relation: Relation) -> set[int]:
    wanted: set[int] = set()
    for elem in infer.indexElems or ():
        if elem.name is None:
            raise not_built("ON CONFLICT on an expression", pos(infer))
        wanted.add(target_name(relation, elem.name, pos(infer)) + 1)
    return wanted


def _arbiters(relation: Relation, wanted: set[int]) -> list[int]:
    found = [
        index.oid
        for index in relation.indexes
        if index.unique
        and index.valid
        and index.predicate is None
        and not index.exprs
        and {k.attnum for k in index.keys} == wanted
    ]
    if not found:
        raise SqlError("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")
    return found


def target_name(relation: Relation, name: str, position: int | None) -> int:
    """Place of a column that a clause names by itself."""
    for column in relation.columns:
        if column.name == name and not column.dropped:
            return column.attnum - 1
    raise SqlError("42703", f'column "{name}" does not exist', position=position)


# ---- UPDATE and DELETE


def assignments(scope: Scope, relation: Relation, items: Any, assigners: list[Assigner]) -> list[tuple[int, Expr]]:
    """SET: all values are analysed before any of them meets its column. What of it is to be checked in the end is added to `assigners`."""
    scope.kind = "update"
    assigner = Assigner(scope, relation, enums.OverridingKind.OVERRIDING_NOT_SET, update=True)
    multi: dict[int, Rte] = {}
    values = [_value(scope, item, multi) for item in items]
    result: list[tuple[int, Expr]] = []
    seen: dict[int, bool] = {}
    # Columns of which parts are set.
    parts: dict[int, Expr] = {}
    again = None
    for item, value in zip(items, values, strict=True):
        place = target_column(relation, item.name, pos(item))
        if place in seen and not (item.indirection and seen[place]):
            again = again or item.name
        seen.setdefault(place, bool(item.indirection))
        if item.indirection:
            assigner.given.add(place)
            parts[place] = part_assigned(scope, relation.columns[place], parts.get(place) or _old(scope, place), item)
        elif value is None:
            result.append((place, default_of(scope, relation, relation.columns[place])))
        else:
            result.append((place, assigner.given_value(scope, place, value, _value_position(item))))
    if again is not None:
        raise SqlError("42601", f'multiple assignments to same column "{again}"')
    assigners.append(assigner)
    return result + list(parts.items())


def _value(scope: Scope, item: Any, multi: dict[int, Rte]) -> Expr | None:
    """What is assigned, as far as it is known without the column; None is DEFAULT, and what belongs to a part of a column."""
    raw = item.val
    if type(raw) is ast.MultiAssignRef:
        return _multi(scope, raw, multi)
    if item.indirection or type(raw) is ast.SetToDefault:
        return None
    return transform(scope, raw)


def _value_position(item: Any) -> int | None:
    raw = item.val
    if type(raw) is ast.MultiAssignRef:
        if type(raw.source) is ast.RowExpr:
            return position_of(raw.source.args[raw.colno - 1])
        targets = _leaf_targets(raw.source.subselect)
        return position_of(targets[raw.colno - 1].val if len(targets) == raw.ncolumns else raw.source)
    return position_of(raw)


def _old(scope: Scope, place: int) -> Expr:
    """A column of the row that is changed."""
    dml = scope.query.dml
    assert dml is not None, "SET belongs to a statement that changes rows"
    column = dml.target.columns[place]
    return Var(dml.target.id, place, column.typ, column.typmod)


def _multi(scope: Scope, ref: Any, multi: dict[int, Rte]) -> Expr | None:
    source = ref.source
    if type(source) is ast.RowExpr:
        if len(source.args or ()) != ref.ncolumns:
            raise SqlError("42601", "number of columns does not match number of values", position=pos(source))
        raw = source.args[ref.colno - 1]
        return None if type(raw) is ast.SetToDefault else transform(scope, raw)
    if type(source) is not ast.SubLink:
        raise SqlError(
            "0A000",
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
            position=pos(source),
        )
    rte = multi.get(source.location)
    if rte is None:
        query = scope.context.subquery(scope, source.subselect)
        if len(query.visible()) != ref.ncolumns:
            raise SqlError("42601", "number of columns does not match number of values", position=pos(source))
        columns = [RteColumn(t.name, t.typ, t.typmod) for t in query.visible()]
        rte = scope.context.new_rte("subquery", "*MULTI*", columns)
        rte.query = query
        rte.lateral = True
        scope.query.rtes.append(rte)
        if not scope.query.from_items:
            raise not_built("a multiple-column assignment from a subquery here", pos(source))
        scope.query.from_items[0] = FromJoin("scalar", scope.query.from_items[0], FromRel(rte), None)
        multi[source.location] = rte
    i = ref.colno - 1
    column = rte.columns[i]
    return Var(rte.id, i, column.typ, column.typmod)


def update(scope: Scope, node: Any) -> Query:
    """transformUpdateStmt."""
    if node.withClause is not None:
        with_clause(scope, node.withClause)
    query = scope.query
    relation, rte, item = _target(scope, node.relation, "update")
    dml = Dml(relation, rte)
    query.dml = dml
    query.kind = "update"
    query.from_items.append(FromRel(rte))
    scope.items = [item]
    from_clause(scope, node.fromClause)
    if node.whereClause is not None:
        scope.kind = "where"
        query.where = boolean(scope, node.whereClause, "WHERE")
    dml.returning = returning(scope, node.returningList)
    assigners: list[Assigner] = []
    dml.assign = assignments(scope, relation, node.targetList, assigners)
    assigners[0].finish()
    dml.generated = generated_columns(scope, relation, rte)
    dml.checks = check_constraints(scope, relation, rte)
    return query


def delete(scope: Scope, node: Any) -> Query:
    """transformDeleteStmt."""
    if node.withClause is not None:
        with_clause(scope, node.withClause)
    query = scope.query
    relation, rte, item = _target(scope, node.relation, "delete")
    dml = Dml(relation, rte)
    query.dml = dml
    query.kind = "delete"
    query.from_items.append(FromRel(rte))
    scope.items = [item]
    from_clause(scope, node.usingClause)
    if node.whereClause is not None:
        scope.kind = "where"
        query.where = boolean(scope, node.whereClause, "WHERE")
    dml.returning = returning(scope, node.returningList)
    return query


__all__ = ["delete", "insert", "transform", "tree", "update"]
