"""INSERT, UPDATE, DELETE: input rows, checks, generated columns, ON CONFLICT, RETURNING, foreign keys."""

from __future__ import annotations

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.tree import ROW_ID, Dml, Query, Var
from sixfold.engine.analyzer.walk import rewrite, walk
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import not_built
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Built, Env, Key, PlanContext
from sixfold.engine.planner.foreign_keys import after_delete, after_insert, after_update
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_ROW, cheapest
from sixfold.engine.planner.quals import (
    conjunction,
    conjuncts,
    expr_vars,
    is_false,
    is_volatile,
    volatile_functions,
)
from sixfold.engine.planner.search import plan_from
from sixfold.engine.planner.select import prepare, used_columns
from sixfold.engine.planner.setops import plan_ctes
from sixfold.engine.planner.target_order import in_stored_order


def plan_dml(ctx: PlanContext, query: Query) -> Built:
    """A data-modifying statement; its rows are those of RETURNING."""
    ctx.writes = True
    wraps = plan_ctes(ctx, query)
    dml = query.dml
    assert dml is not None, "a data-modifying query"
    if query.kind == "insert":
        built = _insert(ctx, query, dml)
    elif query.kind == "update":
        built = _update(ctx, query, dml)
    else:
        built = _delete(ctx, query, dml)
    node = built.node
    for number, part, writes in reversed(wraps):
        node = ctx.estimate(nodes.With(number, part.node, node, writes), built.rows, built.total)
        built.free |= part.free
    return Built(node, built.width, built.free, built.rows, built.total)


def row_env(ctx: PlanContext, relation: Relation, rel: int) -> Env:
    """A row in attnum order, then its row id."""
    env = Env(ctx, [(rel, i) for i in range(len(relation.columns))])
    env.columns[(rel, ROW_ID)] = env.width
    env.width += 1
    return env


def checks(ctx: PlanContext, dml: Dml) -> list[nodes.Check]:
    """CHECK constraints over the new row."""
    env = row_env(ctx, dml.relation, dml.target.id)
    return [nodes.Check(env.lower(e), name, code, message) for e, name, code, message in dml.checks]


def _given(dml: Dml, assign: list[tuple[int, Expr]]) -> list[tuple[int, Expr]]:
    """Assignments but those of DEFAULT to generated columns."""
    made = {place for place, _ in dml.generated}
    return [(place, expr) for place, expr in assign if place not in made]


def _generated(dml: Dml, values: dict[int, Expr]) -> dict[int, Expr]:
    """Generated columns computed from the new values of the others."""
    target = dml.target.id

    def change(part: Expr) -> Expr | None:
        if type(part) is Var and part.rel == target and part.col in values:
            return values[part.col]
        return None

    return {place: rewrite(expr, change) for place, expr in dml.generated}


# ---- INSERT


def _insert(ctx: PlanContext, query: Query, dml: Dml) -> Built:
    relation = dml.relation
    source = dml.source
    assert source is not None, "INSERT has its source"
    columns = relation.columns
    width = len(columns)
    free: set[Key] = set()
    env: Env
    node: Node
    if not source.from_items and source.setop is None and not source.ctes and not source.has_srfs:
        env = Env(ctx)
        values = {p: t.expr for p, t in zip(dml.columns, source.targets, strict=True)}
        rows, total = 1.0, 0.01
        node = nodes.Values([_row_exprs(env, dml, values)], [c.typ for c in columns])
    else:
        built = ctx.plan_query(source)
        # Over the source's result columns.
        rte = ctx.analysis.new_rte("subquery", "*SOURCE*", [])
        rte.columns = [tree.RteColumn(t.name, t.typ, t.typmod) for t in source.visible()]
        env = Env(ctx, [(rte.id, i) for i in range(built.width)], built.width)
        values = {p: Var(rte.id, i, columns[p].typ, columns[p].typmod) for i, p in enumerate(dml.columns)}
        rows, total, free = built.rows, built.total, built.free
        node = built.node
        direct = dml.columns == list(range(width)) and not dml.generated and built.width == width
        if not direct:
            if type(node) is nodes.Values and not dml.generated:
                node = _widen_values(ctx, node, dml, width)
            elif type(node) is nodes.LiteralRows and not dml.generated:
                node = _widen_literals(ctx, node, dml, width)
            else:
                node = nodes.Project(node, _row_exprs(env, dml, values))
    ctx.estimate(node, rows, total)
    insert = nodes.Insert(
        ctx.table(relation),
        _with_generated(ctx, dml, node, rows, total),
        checks(ctx, dml),
        _conflict(ctx, dml),
        _returning(ctx, dml, None),
        after_insert(ctx, relation),
    )
    if dml.conflict is not None and dml.conflict.assign is not None:
        insert.after += _update_after(ctx, relation, {p for p, _ in dml.conflict.assign})
    out_width = len(dml.returning or [])
    ctx.estimate(insert, rows if out_width else 0, total + rows * CPU_ROW)
    return Built(insert, out_width, free | env.free, rows, total)


def _update_after(ctx: PlanContext, relation: Relation, changed: set[int]) -> list[nodes.After]:
    """ON CONFLICT DO UPDATE also updates: what an UPDATE has beyond what an INSERT has."""
    own = after_insert(ctx, relation)
    names = {a.constraint for a in own}
    return [
        a
        for a in after_update(ctx, relation, changed)
        if a.constraint not in names or a.expect == "none" or a.expect == "no_rows"
    ]


def _row_exprs(env: Env, dml: Dml, values: dict[int, Expr]) -> list[Expr]:
    values = dict(values)
    for place, expr in dml.fill.items():
        values.setdefault(place, expr)
    return [env.lower(values.get(i, nodes.Const(c.typ, None))) for i, c in enumerate(dml.relation.columns)]


def _with_generated(ctx: PlanContext, dml: Dml, node: Node, rows: float, total: float) -> Node:
    """Rows with their generated columns, which are made from the others' values: those may be another each time they are asked for."""
    if not dml.generated:
        return node
    env = row_env(ctx, dml.relation, dml.target.id)
    made = {place: env.lower(expr) for place, expr in dml.generated}
    exprs = [made.get(i, nodes.Col(i, c.typ)) for i, c in enumerate(dml.relation.columns)]
    return ctx.estimate(nodes.Project(node, exprs), rows, total)


def _widen_values(ctx: PlanContext, node: nodes.Values, dml: Dml, width: int) -> Node:
    """VALUES with the other columns filled in, row by row."""
    place = {p: i for i, p in enumerate(dml.columns)}
    env = Env(ctx)
    fill = {p: env.lower(e) for p, e in dml.fill.items()}
    types = [c.typ for c in dml.relation.columns]
    rows = [[row[place[i]] if i in place else fill[i] for i in range(width)] for row in node.rows]
    return nodes.Values(rows, types)


def _widen_literals(ctx: PlanContext, node: nodes.LiteralRows, dml: Dml, width: int) -> Node:
    """The same for rows that are read from the statement's text."""
    place = {p: i for i, p in enumerate(dml.columns)}
    env = Env(ctx)
    fill: dict[int, tuple[int | None, list[Expr]]] = {p: (None, [env.lower(e)]) for p, e in dml.fill.items()}
    outputs = [node.outputs[place[i]] if i in place else fill[i] for i in range(width)]
    return nodes.LiteralRows(node.text, node.columns, outputs, [c.typ for c in dml.relation.columns])


def _conflict(ctx: PlanContext, dml: Dml) -> nodes.OnConflict | None:
    conflict = dml.conflict
    if conflict is None:
        return None
    if conflict.assign is None:
        return nodes.OnConflict(conflict.arbiters, None, None)
    assert conflict.excluded is not None, "DO UPDATE has EXCLUDED"
    width = len(dml.relation.columns)
    keys = [(dml.target.id, i) for i in range(width)] + [(conflict.excluded.id, i) for i in range(width)]
    env = Env(ctx, keys)
    values = dict(_given(dml, conflict.assign))
    if dml.generated and any(is_volatile(expr) for expr in values.values()):
        raise not_built("ON CONFLICT with a volatile function in a table that has generated columns")
    assign = [*values.items(), *_generated(dml, values).items()]
    made = [(place, env.lower(expr)) for place, expr in assign]
    return nodes.OnConflict(conflict.arbiters, made, env.lower(conflict.where) if conflict.where is not None else None)


def _returning(ctx: PlanContext, dml: Dml, input_keys: list[Key] | None) -> list[Expr] | None:
    """Over the row's columns, the row id, then the input's columns."""
    if dml.returning is None:
        return None
    env = row_env(ctx, dml.relation, dml.target.id)
    for i, key in enumerate(input_keys or []):
        if key[0] != dml.target.id:
            env.columns.setdefault(key, env.width + i)
    return [env.lower(t.expr) for t in dml.returning]


# ---- UPDATE and DELETE


def _source(
    ctx: PlanContext, query: Query, dml: Dml, *, whole_row: bool
) -> tuple[Node, list[Key], set[Key], float, float, Expr | None]:
    """Rows to change: node, keys, outer columns, rows, cost, recheck condition (not lowered). `whole_row`: with all columns of the target,
    else with those that some expression names."""
    whole = conjunction([*conjuncts(query.where), *_join_conditions(query)])
    exprs = [e for _, e in dml.assign] + [t.expr for t in dml.returning or []]
    prepare(ctx, query)
    used = used_columns(ctx, query)
    for expr in exprs:
        for rel, col in expr_vars(ctx, expr):
            used.setdefault(rel, set()).add(col)
    used.setdefault(dml.target.id, set())
    if whole_row:
        used[dml.target.id] = set(range(len(dml.relation.columns)))
    if whole is not None:
        for rel, col in expr_vars(ctx, whole):
            used.setdefault(rel, set()).add(col)
    quals = conjuncts(query.where)
    if any(is_false(q) for q in quals):
        keys: list[Key] = [(dml.target.id, i) for i in range(len(dml.relation.columns))] + [(dml.target.id, ROW_ID)]
        keys += [(rel, col) for rel, cols in sorted(used.items()) if rel != dml.target.id for col in sorted(cols)]
        return nodes.Empty(len(keys)), keys, set(), 1.0, 0.0, whole
    paths = plan_from(ctx, query.from_items, quals, used, ctx.analysis.rtes)
    best = cheapest(paths)
    node, row_id = best.build(), best.keys.index((dml.target.id, ROW_ID))
    node, total = in_stored_order(ctx, node, dml.relation, len(best.keys), row_id, best.rows, best.total)
    return node, best.keys, set(best.free), best.rows, total, whole


def _join_conditions(query: Query) -> list[Expr]:
    result: list[Expr] = []
    stack = list(query.from_items)
    while stack:
        item = stack.pop()
        if isinstance(item, tree.FromJoin):
            stack += [item.left, item.right]
            if item.kind == "inner":
                result += conjuncts(item.on)
        elif isinstance(item, tree.FromGroup):
            stack += item.items
            result += conjuncts(item.where)
    return result


def _recheck(ctx: PlanContext, env: Env, whole: Expr | None) -> Expr | None:
    """The condition over the input row; parts about columns that a semijoin has dropped are subqueries in place."""
    if whole is None:
        return None
    parts = []
    for part in conjuncts(whole):
        names = {k for p in walk(part) if type(p) is Var for k in expr_vars(ctx, p)}
        if all(k in env.columns for k in names):
            parts.append(env.lower(part))
    return conjunction(parts)


def _update(ctx: PlanContext, query: Query, dml: Dml) -> Built:
    relation = dml.relation
    target = dml.target.id
    node, keys, free, rows, total, whole = _source(ctx, query, dml, whole_row=True)
    env = Env(ctx, keys)
    values = {place: ctx.substitute(expr) for place, expr in _given(dml, dml.assign)}
    touched = set(values)
    if dml.generated:
        node = _once(ctx, env, node, values, rows, total)
    # Set to DEFAULT, or made from a column that changes.
    asked = {place for place, _ in dml.assign} - touched
    generated = {
        place: expr
        for place, expr in _generated(dml, values).items()
        if place in asked or any(k[0] == target and k[1] in touched for k in expr_vars(ctx, dict(dml.generated)[place]))
    }
    assign = [(place, env.lower(expr)) for place, expr in [*values.items(), *generated.items()]]
    old = [(env.columns[(target, i)], i) for i in range(len(relation.columns))]
    update = nodes.Update(
        ctx.table(relation),
        node,
        env.columns[(target, ROW_ID)],
        assign,
        old,
        _recheck(ctx, env, whole),
        checks(ctx, dml),
        _returning(ctx, dml, keys),
        after_update(ctx, relation, touched | set(generated)),
    )
    width = len(dml.returning or [])
    ctx.estimate(update, rows if width else 0, total)
    return Built(update, width, free | env.free, rows, total)


def _once(ctx: PlanContext, env: Env, node: Node, values: dict[int, Expr], rows: float, total: float) -> Node:
    """The input with a column for each volatile call and each subquery in what is assigned: a generated column that is made from it must
    see the value that the column gets."""
    calls: list[nodes.Func | nodes.Host | tree.SubLink] = []
    first = ctx.analysis.new_rte("subquery", "*CALLS*", []).id

    def change(part: Expr) -> Expr | None:
        if isinstance(part, tree.SubLink):
            if expr_vars(ctx, part):
                return None
        elif not isinstance(part, nodes.Func | nodes.Host) or part.func not in volatile_functions():
            return None
        elif any(type(inner) is Var for inner in walk(part)):
            raise not_built("a volatile function of a row's columns in an UPDATE of a table with generated columns")
        calls.append(part)
        return Var(first, len(calls) - 1, part.typ)

    for place, expr in values.items():
        values[place] = rewrite(expr, change)
    if not calls:
        return node
    width = env.width
    exprs = [nodes.Col(i, 0) for i in range(width)] + [env.lower(call) for call in calls]
    for i in range(len(calls)):
        env.columns[(first, i)] = width + i
    env.width += len(calls)
    return ctx.estimate(nodes.Project(node, exprs), rows, total)


def _delete(ctx: PlanContext, query: Query, dml: Dml) -> Built:
    relation = dml.relation
    target = dml.target.id
    after = after_delete(ctx, relation)
    # A long value that nobody looks at is not read.
    node, keys, free, rows, total, whole = _source(ctx, query, dml, whole_row=bool(after))
    env = Env(ctx, keys)
    places = [(env.columns.get((target, i)), i) for i in range(len(relation.columns))]
    old = [(place, i) for place, i in places if place is not None]
    delete = nodes.Delete(
        ctx.table(relation),
        node,
        env.columns[(target, ROW_ID)],
        old,
        _recheck(ctx, env, whole),
        _returning(ctx, dml, keys),
        after,
    )
    width = len(dml.returning or [])
    ctx.estimate(delete, rows if width else 0, total)
    return Built(delete, width, free | env.free, rows, total)


__all__ = ["not_built", "oids", "plan_dml"]
