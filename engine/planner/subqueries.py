"""Subqueries: pulled up into the query around them, turned into semi and anti joins, or run in place."""

from __future__ import annotations

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.tree import (
    FromGroup,
    FromItem,
    FromJoin,
    FromRel,
    Query,
    Rte,
    RteColumn,
    SetRef,
    Slot,
    SubLink,
    Target,
    Var,
)
from sixfold.engine.analyzer.walk import contains, rewrite, strip, walk
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Env, PlanContext
from sixfold.engine.planner.joins import same_type
from sixfold.engine.planner.nodes import Expr
from sixfold.engine.planner.quals import conjunction, conjuncts, equality_functions, expr_vars, is_volatile, outer_vars

# Rows with nulls are told apart by bits of a number.
HASH_KEYS_MAX = 16

# ---- pulling up


def is_simple(query: Query) -> bool:
    """A plain select whose FROM and WHERE can stand in the place of the subquery."""
    return (
        query.kind == "select"
        and query.dml is None
        and query.setop is None
        and not query.ctes
        and not query.group
        and query.grouping_sets is None
        and not query.has_aggs
        and query.having is None
        and not query.windows
        and query.distinct is None
        and query.limit is None
        and query.offset is None
        and not query.locks
        and not query.has_srfs
        and bool(query.from_items)
    )


def pull_up(ctx: PlanContext, query: Query) -> None:
    """Simple subqueries in FROM (views among them) become part of their query; their columns are replaced."""
    query.from_items = [_pull_item(ctx, query, item, False) for item in query.from_items]


def _is_own(expr: Expr, own: set[int]) -> bool:
    """Is it a plain column of one of these entries? Only those turn null where an outer join finds no partner."""
    inner = strip(expr)
    return type(inner) is Var and inner.rel in own


def _pull_item(ctx: PlanContext, query: Query, item: FromItem, nullable: bool) -> FromItem:
    if isinstance(item, FromRel):
        rte = item.rte
        inner = rte.query
        # An ORDER BY stays where it is, as in PostgreSQL: string_agg over a sorted subquery sees that order.
        if rte.kind != "subquery" or inner is None or inner.order or not is_simple(inner):
            return item
        targets = inner.visible()
        if any(is_volatile(t.expr) or contains(t.expr, lambda e: type(e) is SetRef) for t in targets):
            return item
        own = {r.id for r in inner.rtes}
        if nullable and not all(_is_own(t.expr, own) for t in targets):
            return item
        pull_up(ctx, inner)
        ctx.replaced[rte.id] = [t.expr for t in targets]
        ctx.vars_of.clear()
        query.rtes.remove(rte)
        query.rtes += inner.rtes
        if len(inner.from_items) == 1 and inner.where is None:
            return inner.from_items[0]
        return FromGroup(inner.from_items, inner.where)
    if isinstance(item, FromGroup):
        item.items = [_pull_item(ctx, query, i, nullable) for i in item.items]
        return item
    left_nullable = nullable or item.kind in ("right", "full")
    right_nullable = nullable or item.kind in ("left", "full", "scalar")
    item.left = _pull_item(ctx, query, item.left, left_nullable)
    if item.kind != "scalar":
        item.right = _pull_item(ctx, query, item.right, right_nullable)
    return item


# ---- semi and anti joins


def convert_sublinks(ctx: PlanContext, query: Query) -> None:
    """EXISTS, IN and their negations among the WHERE's conjuncts become joins."""
    if query.where is None:
        return
    rest: list[Expr] = []
    for part in conjuncts(query.where):
        if not _convert(ctx, query, part):
            rest.append(part)
    query.where = conjunction(rest)


def _convert(ctx: PlanContext, query: Query, part: Expr) -> bool:
    negated = False
    link = part
    while type(link) is nodes.Not:
        negated = not negated
        link = link.arg
    if type(link) is not SubLink or not query.from_items:
        return False
    inner = ctx.analysis.sublinks.queries[link.number]
    own = {rte.id for rte in query.rtes}
    if link.kind == "exists":
        return _convert_exists(ctx, query, inner, negated)
    if link.kind == "any" and link.op == "=" and all(expr_vars(ctx, e) for e in link.left):
        if any(is_volatile(e) for e in link.left):
            return False
        if any(k[0] in own for k in outer_vars(ctx, inner)):
            if negated or not is_simple(inner):
                return False
            return _convert_correlated_in(ctx, query, inner, link)
        return _convert_in(ctx, query, inner, link, negated)
    return False


def _join(query: Query, kind: str, right: FromItem, on: Expr | None) -> None:
    """The whole FROM, joined with one more thing."""
    left: FromItem = query.from_items[0] if len(query.from_items) == 1 else FromGroup(query.from_items, None)
    query.from_items = [FromJoin(kind, left, right, on)]


def _convert_exists(ctx: PlanContext, query: Query, inner: Query, negated: bool) -> bool:
    # The select list and ORDER BY of an EXISTS mean nothing.
    saved = inner.limit
    if isinstance(inner.limit, nodes.Const) and inner.limit.text not in (None, "0"):
        inner.limit = None
    if not is_simple(inner):
        inner.limit = saved
        return False
    own = {rte.id for rte in query.rtes}
    used = {k[0] for k in outer_vars(ctx, inner)}
    if not used & own:
        inner.limit = saved
        return False
    if any(contains(e, lambda p: type(p) is SubLink) for e in conjuncts(inner.where)):
        convert_sublinks(ctx, inner)
    pull_up(ctx, inner)
    right: FromItem = inner.from_items[0] if len(inner.from_items) == 1 else FromGroup(inner.from_items, None)
    query.rtes += inner.rtes
    _join(query, "anti" if negated else "semi", right, inner.where)
    return True


def _right_side(link: SubLink, columns: dict[int, Expr]) -> list[Expr]:
    def change(part: Expr) -> Expr | None:
        return columns[part.i] if type(part) is Slot else None

    return [rewrite(e, change) for e in link.right]


def _tests(link: SubLink, rights: list[Expr]) -> list[Expr]:
    result: list[Expr] = []
    for i, (func, left, right) in enumerate(zip(link.funcs, link.left, rights, strict=True)):
        result.append(nodes.Func(func, [left, right], link.types[2 * i : 2 * i + 2], oids.BOOL))
    return result


def _convert_correlated_in(ctx: PlanContext, query: Query, inner: Query, link: SubLink) -> bool:
    convert_sublinks(ctx, inner)
    pull_up(ctx, inner)
    targets = inner.visible()
    tests = _tests(link, _right_side(link, {i: t.expr for i, t in enumerate(targets)}))
    right: FromItem = inner.from_items[0] if len(inner.from_items) == 1 else FromGroup(inner.from_items, None)
    query.rtes += inner.rtes
    _join(query, "semi", right, conjunction([*tests, *conjuncts(inner.where)]))
    return True


def _convert_in(ctx: PlanContext, query: Query, inner: Query, link: SubLink, negated: bool) -> bool:
    if not negated and is_simple(inner):
        return _convert_correlated_in(ctx, query, inner, link)
    rte = subquery_entry(ctx, inner)
    columns: dict[int, Expr] = {i: Var(rte.id, i, c.typ, c.typmod) for i, c in enumerate(rte.columns)}
    tests = _tests(link, _right_side(link, columns))
    if negated and len(tests) > 1:
        return False
    query.rtes.append(rte)
    _join(query, "null_anti" if negated else "semi", FromRel(rte), conjunction(tests))
    return True


def subquery_entry(ctx: PlanContext, inner: Query) -> Rte:
    """A subquery as an entry of FROM."""
    columns = [RteColumn(t.name, t.typ, t.typmod) for t in inner.visible()]
    rte = ctx.analysis.new_rte("subquery", "*SUBQUERY*", columns)
    rte.query = inner
    return rte


# ---- in place


def lower_sublink(env: Env, link: SubLink) -> Expr:
    """A subquery where a join can't serve: a subplan, with the outer columns that it needs as parameters."""
    ctx = env.ctx
    if link.kind == "row_compare":
        return _row_compare(env, link)
    query = ctx.analysis.sublinks.queries[link.number]
    if link.kind == "exists" and query.limit is None and query.setop is None and not query.has_aggs and not query.group:
        query.limit = nodes.Const(oids.INT8, "1")
    built = ctx.plan_query(query)
    ctx.subplans.append(built.node)
    number = len(ctx.subplans) - 1
    params = env.bind(built.free)
    if link.kind in ("any", "all"):
        results: list[int] = []
        slots: dict[int, Expr] = {}
        for i, target in enumerate(query.visible()):
            results.append(ctx.new_param())
            slots[i] = nodes.Exec(results[-1], target.typ)
        tests = [env.lower(t) for t in _tests(link, _right_side(link, slots))]
        every = link.kind == "all"
        test: Expr = tests[0]
        if len(tests) > 1:
            # (a, b) <> ALL and (a, b) = ANY: the operator is = or <>.
            test = nodes.And(tests) if link.op == "=" else nodes.Or(tests)
        if every:
            test = nodes.Not(test)
        keys = [] if every or params else _hash_keys(env, link)
        sub: Expr = nodes.Sub(number, "any", params, test, results, oids.BOOL, keys)
        return nodes.Not(sub) if every else sub
    return nodes.Sub(number, link.kind, params, None, [], link.typ, [])


def _hash_keys(env: Env, link: SubLink) -> list[tuple[Expr, Expr, int]]:
    """Keys by which IN can look rows up: of the row, of the subplan's rows, and their type. None: it can't."""
    if link.op != "=" or len(link.left) > HASH_KEYS_MAX or not equality_functions().issuperset(link.funcs):
        return []
    columns: dict[int, Expr] = {p.i: nodes.Col(p.i, p.typ) for e in link.right for p in walk(e) if isinstance(p, Slot)}
    keys: list[tuple[Expr, Expr, int]] = []
    for i, (left, right) in enumerate(zip(link.left, _right_side(link, columns), strict=True)):
        key = same_type(left, right, link.types[2 * i], link.types[2 * i + 1])
        if key is None:
            return []
        keys.append((env.lower(key[0]), env.lower(key[1]), key[2]))
    return keys


def _row_compare(env: Env, link: SubLink) -> Expr:
    """(a, b) = (SELECT …): the comparison is made inside the subplan."""
    ctx = env.ctx
    inner = ctx.analysis.sublinks.queries[link.number]
    rte = subquery_entry(ctx, inner)
    columns: dict[int, Expr] = {i: Var(rte.id, i, c.typ, c.typmod) for i, c in enumerate(rte.columns)}
    tests = _tests(link, _right_side(link, columns))
    outer = ctx.analysis.new_query()
    outer.rtes.append(rte)
    outer.from_items.append(FromRel(rte))
    test: Expr = nodes.And(tests) if link.op == "=" else nodes.Or(tests)
    outer.targets.append(Target(test, "?column?", oids.BOOL))
    built = ctx.plan_query(outer)
    ctx.subplans.append(built.node)
    return nodes.Sub(len(ctx.subplans) - 1, "scalar", env.bind(built.free), None, [], oids.BOOL, [])
