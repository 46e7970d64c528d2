"""GROUP BY, grouping sets, and the rule that what is not grouped must be aggregated."""

from __future__ import annotations

from itertools import product
from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.aggregates import require_equality
from sixfold.engine.analyzer.coerce import coerce_type
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.ordering import find_target
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.tree import AggRef, GroupingRef, Query, SubLink, Var, WindowRef
from sixfold.engine.analyzer.walk import children, type_of, walk
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

_SETS_MAX = 4096


def group_clause(scope: Scope, node: Any) -> None:
    """transformGroupClause."""
    query = scope.query
    if not node.groupClause:
        return
    expanded: list[list[list[int]]] = []
    sets = False
    for item in node.groupClause:
        if type(item) is ast.GroupingSet:
            sets = True
            expanded.append(_sets_of(scope, item))
        elif type(item) is ast.RowExpr and item.row_format == enums.CoercionForm.COERCE_IMPLICIT_CAST:
            expanded.append([[_key(scope, part) for part in item.args or ()]])
        else:
            expanded.append([[_key(scope, item)]])
    if sets:
        combined: list[list[int]] = []
        for choice in product(*expanded):
            keys: list[int] = []
            for part in choice:
                keys += [k for k in part if k not in keys]
            combined.append(sorted(keys))
        if len(combined) > _SETS_MAX:
            raise SqlError(
                "54001", f"too many grouping sets present (maximum {_SETS_MAX})", position=pos(node.groupClause[0])
            )
        if node.groupDistinct:
            combined = [s for i, s in enumerate(combined) if s not in combined[:i]]
        query.grouping_sets = combined


def _key(scope: Scope, node: Any) -> int:
    query = scope.query
    expr = find_target(scope, node, "GROUP BY")
    for part in walk(expr):
        if isinstance(part, AggRef) and part.query == query.number:
            raise SqlError("42803", "aggregate functions are not allowed in GROUP BY", position=pos(node))
        if isinstance(part, WindowRef):
            raise SqlError("42P20", "window functions are not allowed in GROUP BY", position=pos(node))
    if type_of(expr) == UNKNOWN:
        text = coerce_type(scope, expr, UNKNOWN, oids.TEXT, -1, "i")
        for t in query.targets:
            if t.expr is expr:
                t.expr, t.typ = text, oids.TEXT
        expr = text
    require_equality(scope, type_of(expr), pos(node))
    for i, known in enumerate(query.group):
        if known == expr:
            return i
    query.group.append(expr)
    return len(query.group) - 1


def _sets_of(scope: Scope, node: Any) -> list[list[int]]:
    kind = node.kind
    kinds = enums.GroupingSetKind
    if kind == kinds.GROUPING_SET_EMPTY:
        return [[]]
    if kind == kinds.GROUPING_SET_SETS:
        result: list[list[int]] = []
        for item in node.content or ():
            result += _sets_of(scope, item) if type(item) is ast.GroupingSet else [_group_of(scope, item)]
        return result
    groups = [_group_of(scope, item) for item in node.content or ()]
    if kind == kinds.GROUPING_SET_ROLLUP:
        return [_joined(groups[:n]) for n in range(len(groups), -1, -1)]
    if len(groups) > 12:
        raise SqlError("54011", "CUBE is limited to 12 elements", position=pos(node))
    count = len(groups)
    masks = range((1 << count) - 1, -1, -1)
    return [_joined([g for i, g in enumerate(groups) if mask >> (count - 1 - i) & 1]) for mask in masks]


def _group_of(scope: Scope, node: Any) -> list[int]:
    if type(node) is ast.RowExpr:
        return [_key(scope, part) for part in node.args or ()]
    return [_key(scope, node)]


def _joined(groups: list[list[int]]) -> list[int]:
    result: list[int] = []
    for group in groups:
        result += [k for k in group if k not in result]
    return result


# ---- the check


class _Checker:
    """Looks for Vars of a query that are neither grouped nor aggregated."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.query = scope.query
        self.own = {rte.id: rte for rte in scope.query.rtes}
        self.dependent: set[int] = set()
        grouped: dict[int, set[int]] = {}
        for expr in self.query.group:
            if isinstance(expr, Var):
                grouped.setdefault(expr.rel, set()).add(expr.col + 1)
        if self.query.grouping_sets is None:
            for rel, columns in grouped.items():
                rte = self.own.get(rel)
                relation = rte.relation if rte is not None else None
                for constraint in relation.constraints if relation is not None else ():
                    if constraint.kind == "p" and not constraint.deferrable and set(constraint.columns) <= columns:
                        self.dependent.add(rel)

    def find(self, expr: Expr, nested: bool = False) -> tuple[Var, bool] | None:
        """The first offending Var, and whether a subquery uses it."""
        if any(expr == g for g in self.query.group):
            return None
        if isinstance(expr, AggRef) and expr.query == self.query.number:
            return None
        if isinstance(expr, GroupingRef) and expr.query == self.query.number:
            for arg in expr.args:
                if arg not in self.query.group:
                    raise SqlError(
                        "42803", "arguments to GROUPING must be grouping expressions of the associated query level"
                    )
            return None
        if isinstance(expr, Var):
            if expr.rel in self.own and expr.rel not in self.dependent:
                return expr, nested
            return None
        if isinstance(expr, SubLink):
            found = self._in_query(self.scope.context.sublinks.queries[expr.number])
            if found is not None:
                return found
        for child in children(expr):
            found = self.find(child, nested)
            if found is not None:
                return found
        return None

    def _in_query(self, query: Query) -> tuple[Var, bool] | None:
        for expr in query_exprs(query):
            found = self.find(expr, True)
            if found is not None:
                return found
        for inner in inner_queries(query):
            found = self._in_query(inner)
            if found is not None:
                return found
        return None


def query_exprs(query: Query) -> list[Expr]:
    """Every expression of one query level, its joins' conditions included."""
    result = [t.expr for t in query.targets]
    result += query.group
    result += [o.expr for o in query.order]
    result += [e for e in (query.where, query.having, query.limit, query.offset) if e is not None]
    if isinstance(query.distinct, list):
        result += query.distinct
    for window in query.windows:
        result += window.partition
        result += [o.expr for o in window.order]
        result += [b.offset for b in (window.frame.start, window.frame.end) if b.offset is not None]
    for rte in query.rtes:
        for row in rte.rows:
            result += row
        for call in rte.calls:
            result += call.args
            if call.expr is not None:
                result.append(call.expr)
    stack = list(query.from_items)
    while stack:
        item = stack.pop()
        if isinstance(item, tree.FromJoin):
            stack += [item.left, item.right]
            if item.on is not None:
                result.append(item.on)
        elif isinstance(item, tree.FromGroup):
            stack += item.items
            if item.where is not None:
                result.append(item.where)
    return result


def inner_queries(query: Query) -> list[Query]:
    """Queries directly inside, but those of SubLinks."""
    result = [rte.query for rte in query.rtes if rte.query is not None]
    result += [cte.query for cte in query.ctes if cte.query is not None]
    if query.setop is not None:
        result += [query.setop.left, query.setop.right]
    if query.dml is not None and query.dml.source is not None:
        result.append(query.dml.source)
    return result


def check_grouping(scope: Scope, node: Any) -> None:
    """parseCheckAggregates."""
    query = scope.query
    exprs = [t.expr for t in query.targets]
    has_grouping = any(isinstance(p, GroupingRef) and p.query == query.number for e in exprs for p in walk(e))
    if not (query.group or query.has_aggs or query.having is not None or query.grouping_sets is not None):
        if has_grouping:
            raise SqlError("42803", "arguments to GROUPING must be grouping expressions of the associated query level")
        return
    checker = _Checker(scope)
    if query.having is not None:
        exprs.append(query.having)
    for window in query.windows:
        exprs += window.partition
        exprs += [o.expr for o in window.order]
    for expr in exprs:
        found = checker.find(expr)
        if found is None:
            continue
        var, nested = found
        rte = checker.own[var.rel]
        column = rte.columns[var.col].name
        position = _position_of_column(node, column)
        if nested:
            raise SqlError(
                "42803", f'subquery uses ungrouped column "{rte.alias}.{column}" from outer query', position=position
            )
        raise SqlError(
            "42803",
            f'column "{rte.alias}.{column}" must appear in the GROUP BY clause or be used in an aggregate function',
            position=position,
        )


def _position_of_column(node: Any, name: str) -> int | None:
    """Vars have no positions; the first mention of the name outside an aggregate stands for it."""
    stack: list[Any] = [node.havingClause, *[t.val for t in reversed(node.targetList or ())]]
    if node.sortClause:
        stack = [s.node for s in reversed(node.sortClause)] + stack
    star = None
    while stack:
        item = stack.pop()
        if item is None:
            continue
        if isinstance(item, tuple):
            stack += reversed(item)
            continue
        if type(item) is ast.ColumnRef:
            last = item.fields[-1]
            if type(last) is ast.String and last.sval == name:
                return pos(item)
            if type(last) is ast.A_Star:
                star = star or pos(item)
            continue
        if type(item) is ast.FuncCall and (item.over is None and item.funcname[-1].sval in _AGGREGATE_NAMES):
            continue
        if isinstance(item, ast.Node):
            stack += [getattr(item, attribute) for attribute in reversed(list(item))]
    return star


_AGGREGATE_NAMES = frozenset(
    {
        "count", "sum", "avg", "min", "max", "array_agg", "string_agg", "bool_and", "bool_or", "every", "json_agg",
        "jsonb_agg", "json_object_agg", "jsonb_object_agg", "stddev", "variance", "bit_and", "bit_or",
    }
)  # fmt: skip

__all__ = ["check_grouping", "group_clause", "inner_queries", "nodes", "query_exprs"]
