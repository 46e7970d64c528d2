"""Conditions: splitting them, what they refer to, how selective and how strict they are."""

from __future__ import annotations

from functools import cache

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.grouping import inner_queries, query_exprs
from sixfold.engine.analyzer.tree import AggRef, Query, SubLink, Var
from sixfold.engine.analyzer.walk import children, strip, walk
from sixfold.engine.facts import FACTS
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Key, PlanContext, aggregate_rel
from sixfold.engine.planner.nodes import Expr


def conjuncts(expr: Expr | None) -> list[Expr]:
    """The parts of an AND, flattened; TRUE is none."""
    if expr is None:
        return []
    if type(expr) is nodes.And:
        return [part for arg in expr.args for part in conjuncts(arg)]
    if type(expr) is nodes.Const and expr.text in ("t", "true"):
        return []
    if type(expr) is nodes.Not and type(expr.arg) is nodes.Or:
        # NOT (a OR b)
        return [part for arg in expr.arg.args for part in conjuncts(nodes.Not(arg))]
    return [expr]


def conjunction(parts: list[Expr]) -> Expr | None:
    """AND of the parts; None for none."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else nodes.And(list(parts))


def is_false(expr: Expr) -> bool:
    """Is it the constant FALSE or NULL?"""
    return type(expr) is nodes.Const and expr.typ == oids.BOOL and expr.text in (None, "f", "false")


def query_vars(ctx: PlanContext, query: Query) -> set[Key]:
    """Every column that a query and all inside it name, its own included."""
    result: set[Key] = set()
    for expr in query_exprs(query):
        result |= expr_vars(ctx, expr)
    for inner in inner_queries(query):
        result |= query_vars(ctx, inner)
    return result


def own_rels(query: Query) -> set[int]:
    """Entries of a query and all queries directly inside."""
    result = {rte.id for rte in query.rtes}
    for inner in inner_queries(query):
        result |= own_rels(inner)
    return result


def outer_vars(ctx: PlanContext, query: Query) -> set[Key]:
    """Columns of outer queries that a query names."""
    own: set[int] = set()
    _all_rels(ctx, query, own)
    return {key for key in query_vars(ctx, query) if key[0] not in own}


def _all_rels(ctx: PlanContext, query: Query, result: set[int]) -> None:
    result |= {rte.id for rte in query.rtes}
    result.add(aggregate_rel(query.number))
    for inner in inner_queries(query):
        _all_rels(ctx, inner, result)
    for expr in query_exprs(query):
        for part in walk(expr):
            if type(part) is SubLink:
                _all_rels(ctx, ctx.analysis.sublinks.queries[part.number], result)


def expr_vars(ctx: PlanContext, expr: Expr) -> set[Key]:
    """Columns that an expression names, its subqueries' included (their own too)."""
    known = ctx.vars_of.get(id(expr))
    if known is not None:
        return known[1]
    result: set[Key] = set()
    _collect(ctx, expr, result)
    ctx.vars_of[id(expr)] = (expr, result)
    return result


def _collect(ctx: PlanContext, expr: Expr, result: set[Key]) -> None:
    kind = type(expr)
    if kind is Var:
        if expr.rel in ctx.replaced:  # type: ignore[attr-defined]
            _collect(ctx, ctx.substitute(expr), result)
        else:
            result.add((expr.rel, expr.col))  # type: ignore[attr-defined]
            ctx.param_types.setdefault((expr.rel, expr.col), expr.typ)  # type: ignore[attr-defined]
        return
    if kind is nodes.Const or kind is nodes.Param:
        return
    if kind is AggRef:
        # Its columns are read below the aggregation; to everything above it is a column of its own.
        result.add(ctx.aggregate_key(expr))  # type: ignore[arg-type]
        return
    if kind is SubLink:
        result |= outer_vars(ctx, ctx.analysis.sublinks.queries[expr.number])  # type: ignore[attr-defined]
    for child in children(expr):
        _collect(ctx, child, result)


def has_sublink(expr: Expr) -> bool:
    """Is there a subquery in it?"""
    return any(type(part) is SubLink for part in walk(expr))


@cache
def volatile_functions() -> frozenset[str]:
    """prosrc of functions whose value may change within a statement."""
    return frozenset(f.src for f in FACTS.function_oids.values() if f.volatile == "v")


@cache
def loose_functions() -> frozenset[str]:
    """prosrc of functions that are called on nulls."""
    return frozenset(f.src for f in FACTS.function_oids.values() if not f.strict)


def is_volatile(expr: Expr) -> bool:
    """May two evaluations differ?"""
    volatile = volatile_functions()
    return any(isinstance(p, nodes.Func | nodes.Host) and p.func in volatile for p in walk(expr))


def strict_rels(expr: Expr) -> set[int]:
    """Entries for which the condition can't be true when all their columns are null."""
    kind = type(expr)
    if kind is nodes.And:
        return set().union(*(strict_rels(a) for a in expr.args))  # type: ignore[attr-defined]
    if kind is nodes.Or:
        parts = [strict_rels(a) for a in expr.args]  # type: ignore[attr-defined]
        return set.intersection(*parts) if parts else set()
    if kind is nodes.IsNull:
        return _null_rels(expr.arg) if expr.not_ else set()  # type: ignore[attr-defined]
    if kind is nodes.AnyAll and not expr.all:  # type: ignore[attr-defined]
        # Over an empty array it is false, and that will do.
        return _null_rels(expr.left) if expr.func not in loose_functions() else set()  # type: ignore[attr-defined]
    if kind is nodes.BoolTest:
        return _null_rels(expr.arg) if expr.test != "unknown" and not expr.not_ else set()  # type: ignore[attr-defined]
    return _null_rels(expr)


def _null_rels(expr: Expr) -> set[int]:
    """Entries whose all-null columns make the expression null."""
    expr = strip(expr)
    kind = type(expr)
    if kind is Var:
        return {expr.rel}  # type: ignore[attr-defined]
    if kind is nodes.Func:
        if expr.func in loose_functions():  # type: ignore[attr-defined]
            return set()
        return set().union(*(_null_rels(a) for a in expr.args))  # type: ignore[attr-defined]
    if kind is nodes.Not or kind is nodes.CastIo or kind is nodes.Typmod:
        return _null_rels(expr.arg)  # type: ignore[attr-defined]
    if kind is nodes.AnyAll and _has_elements(expr.array) and expr.func not in loose_functions():  # type: ignore[attr-defined]
        return _null_rels(expr.left)  # type: ignore[attr-defined]
    return set()


def _has_elements(array: Expr) -> bool:
    """Is it known that the array is not empty? Over an empty one, ANY and ALL answer whatever the left side is."""
    if type(array) is nodes.Array:
        return bool(array.args) and not array.nested
    return type(array) is nodes.Const and (array.text is None or bool(array.text.strip("{}, \t\n\r\v\f")))


# ---- comparisons


@cache
def btree_functions() -> dict[str, list[tuple[int, int, int, int]]]:
    """prosrc of a comparison → (family, left type, right type, strategy)."""
    result: dict[str, list[tuple[int, int, int, int]]] = {}
    for (family, left, right, strategy), oid in FACTS.btree_operators.items():
        result.setdefault(FACTS.operator_oids[oid].func, []).append((family, left, right, strategy))
    return result


@cache
def equality_functions() -> frozenset[str]:
    """prosrc of B-tree equality operators: what hash and merge joins can use."""
    return frozenset(src for src, rows in btree_functions().items() if any(r[3] == 3 for r in rows))


COMMUTED = {1: 5, 2: 4, 3: 3, 4: 2, 5: 1}


class Comparison:
    """`var op value` with the strategy of a B-tree operator."""

    __slots__ = ("expr", "families", "strategy", "value", "value_type", "var")

    def __init__(self, var: Var, value: Expr, strategy: int, families: set[int], value_type: int, expr: Expr) -> None:
        self.var = var
        self.value = value
        self.strategy = strategy
        self.families = families
        self.value_type = value_type
        self.expr = expr


def comparisons(expr: Expr) -> list[Comparison]:
    """A condition as comparisons of a column with something: from either side."""
    if type(expr) is not nodes.Func or len(expr.args) != 2:
        return []
    rows = btree_functions().get(expr.func)
    if rows is None:
        return []
    families = {r[0] for r in rows}
    strategy = rows[0][3]
    left, right = strip(expr.args[0]), strip(expr.args[1])
    result = []
    if type(left) is Var:
        result.append(Comparison(left, expr.args[1], strategy, families, expr.arg_types[1], expr))
    if type(right) is Var:
        result.append(Comparison(right, expr.args[0], COMMUTED[strategy], families, expr.arg_types[0], expr))
    return result


def references(expr: Expr, rel: int) -> bool:
    """Does the expression itself (not its subqueries) name the entry?"""
    return any(type(p) is Var and p.rel == rel for p in walk(expr))
