"""ORDER BY and DISTINCT: names, positions and expressions of the select list."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer.aggregates import require_equality, sort_item
from sixfold.engine.analyzer.exprs import position_of, transform
from sixfold.engine.analyzer.scope import Scope, column_by_name
from sixfold.engine.analyzer.targets import target
from sixfold.engine.analyzer.tree import SortItem
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import ast
from sixfold.engine.planner.nodes import Expr


def find_target(scope: Scope, node: Any, clause: str) -> Expr:
    """findTargetlistEntrySQL92: a result column's name, its position, or an expression."""
    targets = scope.query.targets
    if type(node) is ast.ColumnRef and len(node.fields) == 1 and type(node.fields[0]) is ast.String:
        name = node.fields[0].sval
        if clause != "GROUP BY" or _own_column(scope, name, position_of(node)) is None:
            found: Expr | None = None
            for t in targets:
                if not t.junk and t.name == name:
                    if found is not None and found != t.expr:
                        raise SqlError("42702", f'{clause} "{name}" is ambiguous', position=position_of(node))
                    found = t.expr
            if found is not None:
                return found
    if type(node) is ast.A_Const:
        if node.isnull or type(node.val) is not ast.Integer:
            raise SqlError("42601", f"non-integer constant in {clause}", position=position_of(node))
        place = node.val.ival or 0
        visible = [t for t in targets if not t.junk]
        if not 1 <= place <= len(visible):
            raise SqlError("42P10", f"{clause} position {place} is not in select list", position=position_of(node))
        return visible[place - 1].expr
    expr = transform(scope, node)
    for t in targets:
        if t.expr == expr:
            return t.expr
    return expr


def _own_column(scope: Scope, name: str, position: int | None) -> Expr | None:
    """An input column of this level (GROUP BY prefers those)."""
    parent, scope.parent = scope.parent, None
    try:
        return column_by_name(scope, name, position)
    finally:
        scope.parent = parent


def sort_clause(scope: Scope, clause: Any) -> list[SortItem]:
    """ORDER BY; expressions that are not in the select list are added to it as junk."""
    items: list[SortItem] = []
    for sort in clause or ():
        expr = find_target(scope, sort.node, "ORDER BY")
        item = sort_item(scope, sort, expr)
        if any(known.expr == item.expr for known in items):
            continue
        if not any(t.expr is expr for t in scope.query.targets):
            scope.query.targets.append(target(scope, item.expr, "", junk=True))
        items.append(item)
    return items


def distinct_clause(scope: Scope, node: Any) -> None:
    """DISTINCT and DISTINCT ON."""
    clause = node.distinctClause
    if clause is None:
        return
    query = scope.query
    if (len(clause) == 1 and clause[0] is None) or not clause:
        query.distinct = True
        for t in query.visible():
            require_equality(scope, t.typ, t.position)
        visible = query.visible()
        for i, item in enumerate(query.order):
            if not any(t.expr == item.expr for t in visible):
                raise SqlError(
                    "42P10",
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    position=position_of(node.sortClause[i].node),
                )
        return
    exprs: list[Expr] = []
    for raw in clause:
        expr = find_target(scope, raw, "DISTINCT ON")
        if expr not in exprs:
            exprs.append(expr)
            if not any(t.expr is expr for t in query.targets):
                query.targets.append(target(scope, expr, "", junk=True))
    matched = 0
    for item in query.order:
        if item.expr in exprs:
            matched += 1
        elif matched < len(exprs):
            raise SqlError(
                "42P10",
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                position=position_of(clause[matched]),
            )
    query.distinct = exprs
