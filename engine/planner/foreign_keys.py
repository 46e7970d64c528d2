"""Foreign keys, both ways: a child row needs its parent (locked FOR KEY SHARE), a parent row may not go while it has children,
or takes them along.

Each becomes an `After`: a subplan that runs once a changed row, with the key as executor parameters.
"""

from __future__ import annotations

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.assign import assigned, check_constraints, default_of, generated_columns
from sixfold.engine.analyzer.from_clause import relation_columns
from sixfold.engine.analyzer.overload import operator_call
from sixfold.engine.analyzer.scope import Scope
from sixfold.engine.analyzer.tree import Dml, FromRel, Lock, Query, Rte, SubLink, Target, Var
from sixfold.engine.analyzer.typerows import base_type
from sixfold.engine.catalog.model import Column, Constraint, Relation
from sixfold.engine.errors import SqlError
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import PlanContext
from sixfold.engine.planner.nodes import Expr

_UNSET = -1


def _relation(ctx: PlanContext, oid: int) -> Relation:
    relation = ctx.catalog.relation_by_oid(oid)
    if relation is None:
        raise SqlError("XX000", f"could not open relation with OID {oid}")
    return relation


def _not_null(columns: list[int], offset: int, relation: Relation) -> list[Expr]:
    return [nodes.IsNull(nodes.Col(offset + c - 1, relation.columns[c - 1].typ), True) for c in columns]


def _changed(ctx: PlanContext, relation: Relation, columns: tuple[int, ...]) -> Expr:
    """Over (new row, old row): did any of the columns change?"""
    width = len(relation.columns)
    parts: list[Expr] = []
    scope = Scope(ctx.analysis, None, Query(0))
    for c in columns:
        column = relation.columns[c - 1]
        new: Expr = nodes.Col(c - 1, column.typ)
        old: Expr = nodes.Col(width + c - 1, column.typ)
        call = operator_call(scope, "=", new, old, None)
        func = call.func if isinstance(call, nodes.Func) else "texteq"
        parts.append(nodes.Distinct(func, new, old, False, base_type(ctx.catalog, column.typ)))
    return parts[0] if len(parts) == 1 else nodes.Or(parts)


def _names(relation: Relation, columns: tuple[int, ...]) -> str:
    return ", ".join(relation.columns[c - 1].name for c in columns)


def _key_detail(relation: Relation, columns: tuple[int, ...], rest: str) -> str:
    values = ", ".join(f"${i + 1}" for i in range(len(columns)))
    return f"Key ({_names(relation, columns)})=({values}) {rest}"


# ---- the child's side


def after_insert(ctx: PlanContext, relation: Relation) -> list[nodes.After]:
    """Every foreign key of the table is checked for the new row."""
    return [a for c in relation.constraints if c.kind == "f" for a in _child(ctx, relation, c, None)]


def _child(ctx: PlanContext, relation: Relation, constraint: Constraint, changed: Expr | None) -> list[nodes.After]:
    parent = _relation(ctx, constraint.foreign_relation)
    subplan, params = _parent_lookup(ctx, relation, parent, constraint)
    conditions = _not_null(list(constraint.columns), 0, relation)
    if changed is not None:
        conditions = [changed, *conditions]
    when = conditions[0] if len(conditions) == 1 else nodes.And(conditions)
    values = [
        (number, nodes.Col(c - 1, relation.columns[c - 1].typ))
        for number, c in zip(params, constraint.columns, strict=True)
    ]
    message = f'insert or update on table "{relation.name}" violates foreign key constraint "{constraint.name}"'
    detail = _key_detail(relation, constraint.columns, f'is not present in table "{parent.name}".')
    result = [
        nodes.After(
            subplan,
            list(values),
            when,
            "rows",
            "23503",
            message,
            detail,
            constraint.name,
            relation.name,
            relation.schema,
            constraint.oid,
            constraint.deferrable,
            constraint.deferred,
            _still(ctx, relation, constraint, params) if constraint.deferrable else None,
        )
    ]
    if constraint.match == "f" and len(constraint.columns) > 1:
        result.insert(0, _match_full(ctx, relation, constraint, message))
    return result


def _still(ctx: PlanContext, relation: Relation, constraint: Constraint, params: list[int]) -> int:
    """Rows with the key: a check that comes late may find that those it is about have gone."""
    key = (constraint.oid, "still")
    known = ctx.actions.get(key)
    if known is not None:
        return known
    rte = _entry(ctx, relation)
    query = ctx.analysis.new_query()
    query.rtes.append(rte)
    query.from_items.append(FromRel(rte))
    types = [base_type(ctx.catalog, relation.columns[c - 1].typ) for c in constraint.columns]
    query.where = _where(ctx, rte, constraint.columns, params, types)
    query.targets = [Target(nodes.Const(oids.INT4, "1"), "?column?", oids.INT4)]
    query.limit = nodes.Const(oids.INT8, "1")
    built = ctx.plan_query(query)
    ctx.subplans.append(built.node)
    ctx.actions[key] = len(ctx.subplans) - 1
    return ctx.actions[key]


def _match_full(ctx: PlanContext, relation: Relation, constraint: Constraint, message: str) -> nodes.After:
    """MATCH FULL: all null or none."""
    nulls: list[Expr] = [nodes.IsNull(nodes.Col(c - 1, relation.columns[c - 1].typ), False) for c in constraint.columns]
    some = nodes.And([nodes.Or(nulls), nodes.Not(nodes.And(list(nulls)))])
    ctx.subplans.append(nodes.Empty(0))
    return nodes.After(
        len(ctx.subplans) - 1, [], some, "rows", "23503", message,
        "MATCH FULL does not allow mixing of null and nonnull key values.", constraint.name, relation.name, relation.schema,
        constraint.oid, constraint.deferrable, constraint.deferred,
    )  # fmt: skip


def _entry(ctx: PlanContext, relation: Relation) -> Rte:
    rte = ctx.analysis.new_rte("relation", relation.name, relation_columns(relation))
    rte.relation = relation
    return rte


def _where(ctx: PlanContext, rte: Rte, columns: tuple[int, ...], params: list[int], types: list[int]) -> Expr:
    """`column = $param` for every key column."""
    scope = Scope(ctx.analysis, None, Query(0))
    parts = []
    for c, number, typ in zip(columns, params, types, strict=True):
        column = rte.columns[c - 1]
        left = Var(rte.id, c - 1, column.typ, column.typmod)
        parts.append(operator_call(scope, "=", left, nodes.Exec(number, typ), None))
    return parts[0] if len(parts) == 1 else nodes.And(parts)


def _parent_lookup(
    ctx: PlanContext, relation: Relation, parent: Relation, constraint: Constraint
) -> tuple[int, list[int]]:
    """SELECT FROM parent WHERE key = … FOR KEY SHARE."""
    key = (constraint.oid, "parent")
    known = ctx.actions.get(key)
    types = [base_type(ctx.catalog, relation.columns[c - 1].typ) for c in constraint.columns]
    if known is not None:
        return known, [ctx.params[(-constraint.oid, i)] for i in range(len(types))]
    params = [ctx.param_for((-constraint.oid, i), t) for i, t in enumerate(types)]
    ctx.analysis.lock(parent.oid, 2)
    rte = _entry(ctx, parent)
    query = ctx.analysis.new_query()
    query.rtes.append(rte)
    query.from_items.append(FromRel(rte))
    query.where = _where(ctx, rte, constraint.foreign_columns, params, types)
    query.targets = [Target(nodes.Const(oids.INT4, "1"), "?column?", oids.INT4)]
    query.locks = [Lock(rte.id, "key_share", "block")]
    built = ctx.plan_query(query)
    ctx.subplans.append(built.node)
    ctx.actions[key] = len(ctx.subplans) - 1
    return ctx.actions[key], params


# ---- the parent's side


def after_update(ctx: PlanContext, relation: Relation, changed: set[int]) -> list[nodes.After]:
    """Foreign keys whose columns an UPDATE touches: the table's own, and those that refer to it."""
    result: list[nodes.After] = []
    for constraint in relation.constraints:
        if constraint.kind == "f" and any(c - 1 in changed for c in constraint.columns):
            result += _child(ctx, relation, constraint, _changed(ctx, relation, constraint.columns))
    for constraint in ctx.catalog.referencing(relation.oid):
        if any(c - 1 in changed for c in constraint.foreign_columns):
            result += _parent(ctx, relation, constraint, "update")
    return result


def after_delete(ctx: PlanContext, relation: Relation) -> list[nodes.After]:
    """Foreign keys that refer to the table."""
    return [a for c in ctx.catalog.referencing(relation.oid) for a in _parent(ctx, relation, c, "delete")]


def _parent(ctx: PlanContext, relation: Relation, constraint: Constraint, event: str) -> list[nodes.After]:
    child = _relation(ctx, constraint.relation)
    action = constraint.on_update if event == "update" else constraint.on_delete
    width = len(relation.columns)
    keys = constraint.foreign_columns
    old: list[Expr] = [nodes.Col(width + c - 1, relation.columns[c - 1].typ) for c in keys]
    conditions = _not_null(list(keys), width, relation)
    if event == "update":
        conditions = [_changed(ctx, relation, keys), *conditions]
    when: Expr = conditions[0] if len(conditions) == 1 else nodes.And(conditions)
    message = f'update or delete on table "{relation.name}" violates foreign key constraint "{constraint.name}" on table "{child.name}"'
    detail = _key_detail(relation, keys, f'is still referenced from table "{child.name}".')
    types = [base_type(ctx.catalog, relation.columns[c - 1].typ) for c in keys]
    what = "check" if action == "a" else "restrict" if action == "r" else f"{event}-{action}"

    def refused(subplan: int, numbers: list[int], deferrable: bool) -> nodes.After:
        values = list(zip(numbers, old, strict=True))
        names = constraint.name, child.name, child.schema, constraint.oid
        modes = deferrable, deferrable and constraint.deferred
        return nodes.After(subplan, values, when, "no_rows", "23503", message, detail, *names, *modes)

    subplan, numbers, new_numbers = _children(ctx, child, constraint, what, types)
    if what in ("check", "restrict"):
        return [refused(subplan, numbers, constraint.deferrable and what == "check")]
    params = list(zip(numbers, old, strict=True))
    if what == "update-c":
        new: list[Expr] = [nodes.Col(c - 1, relation.columns[c - 1].typ) for c in keys]
        params += list(zip(new_numbers, new, strict=True))
    names = constraint.name, child.name, child.schema, constraint.oid
    acts = nodes.After(subplan, params, when, "none", "", "", "", *names, False, False)
    if action != "d":
        return [acts]
    # The defaults may be the key that has just gone: no change of the child, so nothing there would look.
    check, numbers, _ = _children(ctx, child, constraint, "check", types)
    return [acts, refused(check, numbers, False)]


def _children(
    ctx: PlanContext, child: Relation, constraint: Constraint, what: str, types: list[int]
) -> tuple[int, list[int], list[int]]:
    """The subplan over a parent's children; made once, so that a table that refers to itself has a finite plan."""
    base = -constraint.oid
    numbers = [ctx.param_for((base, 100 + i), t) for i, t in enumerate(types)]
    new_numbers = [ctx.param_for((base, 200 + i), t) for i, t in enumerate(types)] if what == "update-c" else []
    key = (constraint.oid, what)
    known = ctx.actions.get(key)
    if known is not None:
        return known, numbers, new_numbers
    # The place is taken first: planning the action may need the same action again.
    ctx.subplans.append(nodes.Empty(0))
    place = len(ctx.subplans) - 1
    ctx.actions[key] = place
    rte = _entry(ctx, child)
    query = ctx.analysis.new_query()
    query.rtes.append(rte)
    query.from_items.append(FromRel(rte))
    query.where = _where(ctx, rte, constraint.columns, numbers, types)
    if what in ("check", "restrict"):
        ctx.analysis.lock(child.oid, 2)
        if what == "check":
            query.where = nodes.And([query.where, nodes.Not(_replaced(ctx, constraint, numbers, types))])
        query.targets = [Target(nodes.Const(oids.INT4, "1"), "?column?", oids.INT4)]
        query.limit = nodes.Const(oids.INT8, "1")
        query.locks = [Lock(rte.id, "key_share", "block")]
    else:
        ctx.analysis.lock(child.oid, 3)
        query.dml = Dml(child, rte)
        query.kind = "delete" if what == "delete-c" else "update"
        if query.kind == "update":
            _assign(ctx, query.dml, constraint, what, new_numbers, types)
    ctx.subplans[place] = ctx.plan_query(query).node
    return place, numbers, new_numbers


def _replaced(ctx: PlanContext, constraint: Constraint, numbers: list[int], types: list[int]) -> Expr:
    """NO ACTION looks at the statement's end: has another parent row taken over the key?"""
    parent = _relation(ctx, constraint.foreign_relation)
    rte = _entry(ctx, parent)
    query = ctx.analysis.new_query()
    query.rtes.append(rte)
    query.from_items.append(FromRel(rte))
    query.where = _where(ctx, rte, constraint.foreign_columns, numbers, types)
    query.targets = [Target(nodes.Const(oids.INT4, "1"), "?column?", oids.INT4)]
    return SubLink("exists", ctx.analysis.sublinks.add(query), oids.BOOL)


def _assign(ctx: PlanContext, dml: Dml, constraint: Constraint, what: str, new: list[int], types: list[int]) -> None:
    child = dml.relation
    scope = Scope(ctx.analysis, None, Query(0))
    dml.checks = check_constraints(scope, child, dml.target)
    dml.generated = generated_columns(scope, child, dml.target)
    event, action = what.split("-")
    columns = constraint.columns
    if event == "delete" and constraint.delete_set_columns:
        columns = constraint.delete_set_columns
    for i, c in enumerate(columns):
        column = child.columns[c - 1]
        if action == "c":
            dml.assign.append((c - 1, _cast(ctx, nodes.Exec(new[i], types[i]), column)))
        elif action == "n":
            dml.assign.append((c - 1, nodes.Const(column.typ, None)))
        else:
            dml.assign.append((c - 1, default_of(scope, child, column)))


def _cast(ctx: PlanContext, value: Expr, column: Column) -> Expr:
    return assigned(Scope(ctx.analysis, None, Query(0)), value, column, None)
