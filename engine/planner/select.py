"""One query level: FROM and WHERE, then grouping, windows, the select list, DISTINCT, ORDER BY, locks and LIMIT."""

from __future__ import annotations

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.grouping import inner_queries, query_exprs
from sixfold.engine.analyzer.tree import AggRef, Query, SetRef, SortItem, SubLink, Target, Var, WindowRef
from sixfold.engine.analyzer.walk import children, contains, rewrite, strip, type_of, walk
from sixfold.engine.planner import nodes
from sixfold.engine.planner.aggregate import aggregate, min_max
from sixfold.engine.planner.context import Built, Env, Key, PlanContext
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import CPU_OPERATOR, CPU_ROW, Order, Path, cheapest, satisfies, sort_cost
from sixfold.engine.planner.quals import conjuncts, expr_vars, is_false, is_volatile, query_vars
from sixfold.engine.planner.search import item_rels, plan_from
from sixfold.engine.planner.setops import plan_ctes, plan_recursive, plan_setop
from sixfold.engine.planner.statistics import Statistics
from sixfold.engine.planner.subqueries import convert_sublinks, pull_up
from sixfold.engine.planner.windows import windows


class Stage:
    """Rows on their way up: a node, where columns are, how they are ordered, and what they cost."""

    __slots__ = ("env", "node", "order", "rows", "startup", "total")

    def __init__(self, node: Node, env: Env, rows: float, startup: float, total: float, order: Order = ()) -> None:
        self.node = node
        self.env = env
        self.rows = rows
        self.startup = startup
        self.total = total
        self.order = order


def used_columns(ctx: PlanContext, query: Query) -> dict[int, set[int]]:
    """Columns of each entry that anything in the query needs."""
    used: dict[int, set[int]] = {}
    for rel, col in query_vars(ctx, query):
        used.setdefault(rel, set()).add(col)
    for ref in _own_aggregates(ctx, query):
        for part in [*ref.args, *([ref.filter] if ref.filter is not None else []), *(o.expr for o in ref.order)]:
            for rel, col in expr_vars(ctx, part):
                used.setdefault(rel, set()).add(col)
    return used


def plan_query(ctx: PlanContext, query: Query) -> Built:
    """A SELECT, VALUES or set operation; data-modifying statements go through dml.py."""
    if query.dml is not None:
        return ctx.plan_dml(query)
    wraps = plan_ctes(ctx, query)
    if query.setop is not None:
        stage = _setop_stage(ctx, query)
    else:
        stage = _select_stage(ctx, query)
    node = stage.node
    width = len(query.visible())
    for number, built, writes in reversed(wraps):
        stage.env.free |= built.free
        node = ctx.estimate(nodes.With(number, built.node, node, writes), stage.rows, stage.total + built.total)
    return Built(node, width, stage.env.free, stage.rows, stage.total, stage.startup)


def _setop_stage(ctx: PlanContext, query: Query) -> Stage:
    built = plan_setop(ctx, query)
    rte = query.rtes[0]
    env = Env(ctx, [(rte.id, i) for i in range(len(rte.columns))])
    env.free |= built.free
    stage = Stage(built.node, env, built.rows, built.startup, built.total)
    return _finish(ctx, query, stage)


def _select_stage(ctx: PlanContext, query: Query) -> Stage:
    shortcut = min_max(ctx, query)
    if shortcut is not None:
        node, free = shortcut
        env = Env(ctx)
        env.free |= free
        # The aggregates' values are the input's columns.
        for i, agg in enumerate(_own_aggregates(ctx, query)):
            env.put(agg, i)
        return _finish(ctx, query, Stage(node, env, 1.0, 0.0, 1.0))
    stage = from_stage(ctx, query)
    if query.group or query.has_aggs or query.having is not None or query.grouping_sets is not None:
        stage = _aggregate_stage(ctx, query, stage)
    if query.windows:
        stage = windows(ctx, query, stage, Stage)
    return _finish(ctx, query, stage)


def _own_aggregates(ctx: PlanContext, query: Query) -> list[AggRef]:
    """The query's aggregates, those in its subqueries included."""
    found: list[AggRef] = []
    if query.has_aggs:
        for expr in upper_exprs(query):
            _collect_aggregates(ctx, query, expr, found)
    return found


def _collect_aggregates(ctx: PlanContext, query: Query, expr: Expr, found: list[AggRef]) -> None:
    for part in walk(expr):
        if isinstance(part, AggRef) and part.query == query.number and part not in found:
            found.append(part)
        elif isinstance(part, SubLink):
            queries = [ctx.analysis.sublinks.queries[part.number]]
            while queries:
                inner = queries.pop()
                queries += inner_queries(inner)
                for below in query_exprs(inner):
                    _collect_aggregates(ctx, query, below, found)


def upper_exprs(query: Query) -> list[Expr]:
    """Expressions above grouping."""
    result = [t.expr for t in query.targets] + [o.expr for o in query.order]
    if query.having is not None:
        result.append(query.having)
    for window in query.windows:
        result += window.partition + [o.expr for o in window.order]
    if isinstance(query.distinct, list):
        result += query.distinct
    return result


def prepare(ctx: PlanContext, query: Query) -> None:
    """Subqueries pulled up and turned into joins; then every expression sees what replaced them."""
    pull_up(ctx, query)
    convert_sublinks(ctx, query)
    if not ctx.replaced:
        return
    sub = ctx.substitute
    for t in query.targets:
        t.expr = sub(t.expr)
    for item in query.order:
        item.expr = sub(item.expr)
    query.group = [sub(e) for e in query.group]
    query.where = sub(query.where) if query.where is not None else None
    query.having = sub(query.having) if query.having is not None else None
    if isinstance(query.distinct, list):
        query.distinct = [sub(e) for e in query.distinct]
    for window in query.windows:
        window.partition = [sub(e) for e in window.partition]
        for item in window.order:
            item.expr = sub(item.expr)
    _substitute_from(ctx, query.from_items)
    for rte in query.rtes:
        rte.rows = [[sub(e) for e in row] for row in rte.rows]
        for call in rte.calls:
            call.args = [sub(e) for e in call.args]
            call.expr = sub(call.expr) if call.expr is not None else None


def _substitute_from(ctx: PlanContext, items: list[tree.FromItem]) -> None:
    for item in items:
        if isinstance(item, tree.FromJoin):
            item.on = ctx.substitute(item.on) if item.on is not None else None
            _substitute_from(ctx, [item.left, item.right])
        elif isinstance(item, tree.FromGroup):
            item.where = ctx.substitute(item.where) if item.where is not None else None
            _substitute_from(ctx, item.items)


def from_paths(ctx: PlanContext, query: Query, used: dict[int, set[int]]) -> list[Path]:
    """FROM and WHERE."""
    quals = conjuncts(query.where)
    return plan_from(ctx, query.from_items, quals, used, ctx.analysis.rtes)


def from_stage(ctx: PlanContext, query: Query) -> Stage:
    """FROM and WHERE, by the path that suits what comes above."""
    prepare(ctx, query)
    used = used_columns(ctx, query)
    for lock in query.locks:
        used.setdefault(lock.rel, set())
    quals = conjuncts(query.where)
    if any(is_false(q) for q in quals):
        keys: list[Key] = [(rel, col) for rel, cols in sorted(used.items()) for col in sorted(cols)]
        keys += [(lock.rel, tree.ROW_ID) for lock in query.locks]
        return Stage(nodes.Empty(len(keys)), Env(ctx, keys), 1.0, 0.0, 0.0)
    wanted = _wanted_order(query)
    paths = plan_from(ctx, query.from_items, quals, used, ctx.analysis.rtes, wanted)
    fraction = _fraction(query, paths)
    best = _choose(paths, wanted, fraction, ctx.info.enable_sort)
    env = Env(ctx, best.keys)
    node = best.build()
    env.free |= best.free
    return Stage(node, env, best.rows, best.startup, best.total, best.order)


def _choose(paths: list[Path], wanted: Order, fraction: float, sorts: bool) -> Path:
    if not wanted:
        return cheapest(paths, fraction)

    def cost(path: Path) -> float:
        if satisfies(path.order, wanted):
            return path.startup + (path.total - path.startup) * fraction
        return path.total + sort_cost(path.rows, sorts)

    return min(paths, key=cost)


def _wanted_order(query: Query) -> Order:
    """The order that rows should come in from FROM, where the query asks for one in plain columns."""
    items = query.order
    if query.grouping_sets is not None or query.windows or query.has_srfs:
        return ()
    if query.group:
        return tuple(_group_order(query))
    if query.has_aggs or query.distinct is True:
        return ()
    result = []
    for item in items:
        expr = strip(item.expr)
        if type(expr) is not Var:
            return ()
        result.append(((expr.rel, expr.col), item.desc, item.nulls_first))
    return tuple(result)


def _group_order(query: Query) -> list[tuple[Key, bool, bool]]:
    """GROUP BY by an index's order: only when ORDER BY starts with the same columns."""
    result = []
    for item in query.order:
        expr = strip(item.expr)
        if type(expr) is not Var or item.expr not in query.group:
            return []
        result.append(((expr.rel, expr.col), item.desc, item.nulls_first))
    return result if len(result) == len(query.group) else []


def _fraction(query: Query, paths: list[Path]) -> float:
    """Share of the rows that will be asked for."""
    if query.limit is None or query.group or query.has_aggs or query.distinct or query.windows:
        return 1.0
    count = int(query.limit.text) if isinstance(query.limit, nodes.Const) and query.limit.text else 10
    if isinstance(query.offset, nodes.Const) and query.offset.text:
        count += int(query.offset.text)
    rows = min(p.rows for p in paths)
    return min(1.0, max(count, 1) / max(rows, 1.0))


def _aggregate_stage(ctx: PlanContext, query: Query, stage: Stage) -> Stage:
    made: Stage = aggregate(ctx, query, stage, _own_aggregates(ctx, query), upper_exprs(query), Stage)
    return made


# ---- above


def _finish(ctx: PlanContext, query: Query, stage: Stage) -> Stage:
    """Select list, DISTINCT, ORDER BY, locks, LIMIT."""
    targets = query.targets
    visible = query.visible()
    if query.locks:
        stage = lock_rows(ctx, query, stage)
    if query.has_srfs and any(contains(t.expr, _is_set) for t in targets):
        stage = _project_sets(ctx, targets, stage)
    elif query.distinct is not None or _project_first(query):
        stage = _project(ctx, targets, stage)
    if query.distinct is True:
        stage = _distinct(ctx, visible, stage)
    order = list(query.order)
    if isinstance(query.distinct, list):
        stage = _distinct_on(ctx, query, stage)
    elif order:
        stage = _sort(ctx, query, stage, order)
    if query.limit is not None or query.offset is not None:
        stage = _limit(ctx, query, stage, order)
    return _project(ctx, visible, stage)


def _is_set(expr: Expr) -> bool:
    return type(expr) is SetRef


def _project_first(query: Query) -> bool:
    """Must the select list be computed before sorting, so that a value is not computed twice differently?"""
    return any(is_volatile(o.expr) or contains(o.expr, lambda e: type(e) is SubLink) for o in query.order)


def _project(ctx: PlanContext, targets: list[Target], stage: Stage) -> Stage:
    env = stage.env
    exprs = [env.lower(t.expr) for t in targets]
    out = Env(ctx, (), len(targets))
    out.free = env.free
    for i, t in enumerate(targets):
        out.put(t.expr, i)
    order = stage.order
    for key, column in list(out.columns.items()):
        out.columns[key] = column
    if len(exprs) == env.width and all(type(e) is nodes.Col and e.i == i for i, e in enumerate(exprs)):
        return Stage(stage.node, out, stage.rows, stage.startup, stage.total, order)
    total = stage.total + stage.rows * CPU_OPERATOR * len(exprs)
    node = stage.node
    if type(node) is nodes.Project and not any(_is_heavy(e) for e in node.exprs):
        # Two projections in a row: the upper one over the lower one's input.
        exprs = [_compose(e, node.exprs) for e in exprs]
        made = nodes.Project(node.input, exprs)
    else:
        made = nodes.Project(node, exprs)
    return Stage(ctx.estimate(made, stage.rows, total, stage.startup), out, stage.rows, stage.startup, total, order)


def _is_heavy(expr: Expr) -> bool:
    return type(expr) is not nodes.Col


def _compose(expr: Expr, below: list[Expr]) -> Expr:
    return rewrite(expr, lambda e: below[e.i] if type(e) is nodes.Col else None)


def _project_sets(ctx: PlanContext, targets: list[Target], stage: Stage) -> Stage:
    """Set-returning functions in the select list; nested ones are computed one level after the other."""
    env = stage.env
    inner: list[SetRef] = []
    bare = all(
        type(t.expr) is SetRef and not any(contains(a, _is_set) for a in t.expr.args)
        for t in targets
        if contains(t.expr, _is_set)
    )
    # Sets of one level run side by side, whatever stands around them.
    for t in () if bare else targets:
        for part in walk(t.expr):
            if type(part) is SetRef and not any(contains(a, _is_set) for a in part.args) and part not in inner:
                inner.append(part)
    if inner:
        # Everything that the level above needs, then the inner sets.
        width = env.width
        items = [nodes.ProjectItem(expr=nodes.Col(i, _column_type(env, i))) for i in range(width)]
        for ref in inner:
            items.append(nodes.ProjectItem(set=_set_call(env, ref)))
        env.width = width + len(inner)
        node = nodes.ProjectSet(stage.node, items)
        stage = Stage(
            ctx.estimate(node, stage.rows * 10, stage.total), env, stage.rows * 10, stage.startup, stage.total
        )
        for i, ref in enumerate(inner):
            env.exprs.append((ref, width + i))
        if not any(_left_over(t.expr, inner) for t in targets):
            return _project(ctx, targets, stage)
        return _project_sets_top(ctx, targets, stage)
    return _project_sets_top(ctx, targets, stage)


def _left_over(expr: Expr, done: list[SetRef]) -> bool:
    if type(expr) is SetRef and expr in done:
        return False
    if type(expr) is SetRef:
        return True
    return any(_left_over(c, done) for c in children(expr))


def _column_type(env: Env, column: int) -> int:
    for key, place in env.columns.items():
        if place == column:
            return env.ctx.param_types.get(key, oids.INT8 if key[1] == tree.ROW_ID else 0)
    for expr, place in env.exprs:
        if place == column:
            return type_of(expr)
    return 0


def _set_call(env: Env, ref: SetRef) -> nodes.SetCall:
    return nodes.SetCall(ref.func, [env.lower(a) for a in ref.args], list(ref.arg_types), list(ref.types))


def _project_sets_top(ctx: PlanContext, targets: list[Target], stage: Stage) -> Stage:
    env = stage.env
    items = []
    for t in targets:
        known = any(e == t.expr for e, _ in env.exprs)
        if type(t.expr) is SetRef and not known:
            items.append(nodes.ProjectItem(set=_set_call(env, t.expr)))
        else:
            items.append(nodes.ProjectItem(expr=env.lower(t.expr)))
    out = Env(ctx, (), len(targets))
    out.free = env.free
    for i, t in enumerate(targets):
        out.put(t.expr, i)
    rows = stage.rows * 10
    node = ctx.estimate(nodes.ProjectSet(stage.node, items), rows, stage.total + rows * CPU_ROW, stage.startup)
    return Stage(node, out, rows, stage.startup, stage.total + rows * CPU_ROW)


def _distinct(ctx: PlanContext, visible: list[Target], stage: Stage) -> Stage:
    types = [t.typ for t in visible]
    rows = max(1.0, stage.rows * 0.5)
    total = stage.total + stage.rows * CPU_OPERATOR * len(types)
    node = ctx.estimate(nodes.DistinctRows(stage.node, None, types), rows, total, total)
    return Stage(node, stage.env, rows, total, total)


def _distinct_on(ctx: PlanContext, query: Query, stage: Stage) -> Stage:
    keys = query.distinct
    assert isinstance(keys, list), "DISTINCT ON has its expressions"
    order = list(query.order)
    for expr in keys:
        if not any(o.expr == expr for o in order):
            order.append(SortItem(expr, False, False, type_of(expr)))
    stage = _sort(ctx, query, stage, order, limit=False)
    env = stage.env
    lowered = [env.lower(e) for e in keys]
    rows = max(1.0, stage.rows * 0.5)
    node = nodes.DistinctRows(stage.node, lowered, [type_of(e) for e in keys])
    return Stage(
        ctx.estimate(node, rows, stage.total, stage.startup), env, rows, stage.startup, stage.total, stage.order
    )


def sort_keys(env: Env, items: list[SortItem]) -> list[nodes.SortKey]:
    """ORDER BY items over an input."""
    return [nodes.SortKey(env.lower(i.expr), i.typ, i.desc, i.nulls_first) for i in items]


def _sort(ctx: PlanContext, query: Query, stage: Stage, items: list[SortItem], limit: bool = True) -> Stage:
    wanted = []
    for item in items:
        expr = strip(item.expr)
        wanted.append(((expr.rel, expr.col), item.desc, item.nulls_first) if type(expr) is Var else None)
    if all(w is not None for w in wanted) and satisfies(stage.order, tuple(w for w in wanted if w is not None)):
        return stage
    items = [i for i in items if not isinstance(strip(i.expr), nodes.Const)]
    if not items:
        return stage
    bound = _top_n(query, stage.env) if limit else None
    total = stage.total + sort_cost(stage.rows)
    node = nodes.Sort(stage.node, sort_keys(stage.env, items), bound)
    order = tuple(w for w in wanted if w is not None) if all(w is not None for w in wanted) else ()
    return Stage(ctx.estimate(node, stage.rows, total, total), stage.env, stage.rows, total, total, order)


def _top_n(query: Query, env: Env) -> Expr | None:
    """LIMIT + OFFSET, for the sort."""
    if query.limit is None or query.limit_ties:
        return None
    if query.offset is None:
        return env.lower(query.limit)
    if (
        isinstance(query.limit, nodes.Const)
        and isinstance(query.offset, nodes.Const)
        and query.limit.text
        and query.offset.text
    ):
        return nodes.Const(oids.INT8, str(int(query.limit.text) + int(query.offset.text)))
    args = [env.lower(query.limit), nodes.Coalesce([env.lower(query.offset), nodes.Const(oids.INT8, "0")], oids.INT8)]
    return nodes.Func("int8pl", args, [oids.INT8, oids.INT8], oids.INT8)


def _limit(ctx: PlanContext, query: Query, stage: Stage, order: list[SortItem]) -> Stage:
    env = stage.env
    outside = Env(ctx)
    count = outside.lower(query.limit) if query.limit is not None else None
    offset = outside.lower(query.offset) if query.offset is not None else None
    env.free |= outside.free
    ties = sort_keys(env, order) if query.limit_ties else []
    rows = stage.rows
    if isinstance(count, nodes.Const) and count.text:
        rows = min(rows, max(1.0, float(count.text)))
    share = min(1.0, rows / max(stage.rows, 1.0))
    total = stage.startup + (stage.total - stage.startup) * share
    node = ctx.estimate(nodes.Limit(stage.node, count, offset, ties), rows, total, stage.startup)
    return Stage(node, env, rows, stage.startup, total, stage.order)


def _outer(ctx: PlanContext, query: Query, env: Env) -> tuple[list[tuple[Expr, list[int]]], set[int]]:
    """Left and right joins, inner ones first, and the entries that they may put nulls for."""
    found: list[tuple[Expr, list[int]]] = []
    nullable: set[int] = set()

    def look(item: tree.FromItem) -> None:
        for below in item.items if isinstance(item, tree.FromGroup) else ():
            look(below)
        if isinstance(item, tree.FromJoin):
            look(item.left)
            look(item.right)
            if item.kind in ("left", "right") and item.on is not None:
                rels = item_rels(item.right if item.kind == "left" else item.left)
                nullable.update(rels)
                places = sorted(place for (rel, _), place in env.columns.items() if rel in rels)
                if places and all(k in env.columns for k in expr_vars(ctx, item.on)):
                    found.append((env.lower(item.on), places))

    for item in query.from_items:
        look(item)
    return found, nullable


def lock_rows(ctx: PlanContext, query: Query, stage: Stage) -> Stage:
    """FOR UPDATE/SHARE; the order stays."""
    env = stage.env
    locks = []
    ctx.writes = True
    tests = list(conjuncts(query.where))
    stack = list(query.from_items)
    while stack:
        item = stack.pop()
        if isinstance(item, tree.FromJoin):
            stack += [item.left, item.right]
            if item.kind == "inner":
                tests += conjuncts(item.on)
        elif isinstance(item, tree.FromGroup):
            stack += item.items
            tests += conjuncts(item.where)
    outer, nullable = _outer(ctx, query, env)
    for lock in query.locks:
        rte = ctx.analysis.rtes[lock.rel]
        relation = rte.relation
        assert relation is not None, "only tables are locked"
        row = env.columns.get((lock.rel, tree.ROW_ID))
        if row is None:
            continue
        columns = [(place, col) for (rel, col), place in env.columns.items() if rel == lock.rel and col >= 0]
        own = [t for t in tests if any(k[0] in {lock.rel, *nullable} for k in expr_vars(ctx, t))]
        checks = [env.lower(t) for t in own if all(k in env.columns for k in expr_vars(ctx, t))]
        recheck = None if not checks else checks[0] if len(checks) == 1 else nodes.And(checks)
        locks.append(nodes.RowLock(ctx.table(relation), row, lock.mode, lock.wait, sorted(columns), recheck))
    node = ctx.estimate(nodes.LockRows(stage.node, locks, outer), stage.rows, stage.total, stage.startup)
    if query.order and not satisfies(stage.order, _wanted_order(query)):
        # PostgreSQL locks after sorting and before LIMIT; rows are locked in the order in which they come out.
        sorted_stage = _sort(
            ctx,
            query,
            Stage(stage.node, env, stage.rows, stage.startup, stage.total, stage.order),
            list(query.order),
            limit=False,
        )
        node = ctx.estimate(
            nodes.LockRows(sorted_stage.node, locks, outer), stage.rows, sorted_stage.total, sorted_stage.startup
        )
        return Stage(node, env, stage.rows, sorted_stage.startup, sorted_stage.total, sorted_stage.order)
    return Stage(node, env, stage.rows, stage.startup, stage.total, stage.order)


__all__ = ["Stage", "Statistics", "WindowRef", "plan_query", "plan_recursive", "prepare", "used_columns"]
