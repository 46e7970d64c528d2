"""Where a recursive query may name itself, and the order of a WITH RECURSIVE clause's items."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer.scope import pos
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import ast, enums

JOIN = enums.JoinType
SETOP = enums.SetOperation


def mentions(node: Any, name: str) -> bool:
    """Does the raw tree name this relation anywhere?"""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack += item
        elif isinstance(item, ast.Node):
            if type(item) is ast.RangeVar and item.relname == name and item.schemaname is None:
                return True
            stack += [getattr(item, attribute) for attribute in item]
    return False


def in_order(items: Any) -> list[Any]:
    """WITH RECURSIVE's items, each after those that it names."""
    left, done = list(items), []
    while left:
        names = {item.ctename for item in left}
        free = next(
            (item for item in left if not any(mentions(item.ctequery, name) for name in names - {item.ctename})), None
        )
        if free is None:
            raise SqlError("0A000", "mutual recursion between WITH items is not implemented", position=pos(left[0]))
        left.remove(free)
        done.append(free)
    return done


class Reference:
    """Looks for the one reference of a recursive term to its query."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found = 0

    def check(self, node: Any, within: str | None = None) -> None:
        """`within`: the construct around it in which no reference may be."""
        if isinstance(node, tuple):
            for item in node:
                self.check(item, within)
        elif type(node) is ast.RangeVar:
            self._relation(node, within)
        elif type(node) is ast.JoinExpr:
            outer = within or "an outer join"
            self.check(node.larg, outer if node.jointype in (JOIN.JOIN_RIGHT, JOIN.JOIN_FULL) else within)
            self.check(node.rarg, outer if node.jointype in (JOIN.JOIN_LEFT, JOIN.JOIN_FULL) else within)
            self.check(node.quals, within)
        elif type(node) is ast.SubLink:
            self.check(node.testexpr, within)
            self.check(node.subselect, within or "a subquery")
        elif type(node) is ast.SelectStmt and node.op in (SETOP.SETOP_INTERSECT, SETOP.SETOP_EXCEPT):
            self._set_operation(node, within)
        elif isinstance(node, ast.Node):
            for attribute in node:
                self.check(getattr(node, attribute), within)

    def _set_operation(self, node: Any, within: str | None) -> None:
        word = "INTERSECT" if node.op == SETOP.SETOP_INTERSECT else "EXCEPT"
        self.check(node.larg, (within or word) if node.all else within)
        self.check(node.rarg, (within or word) if node.all or word == "EXCEPT" else within)

    def _relation(self, node: Any, within: str | None) -> None:
        if node.relname != self._name or node.schemaname is not None:
            return
        problem = f"within {within}" if within is not None else "more than once" if self._found else None
        self._found += 1
        if problem is not None:
            raise SqlError(
                "42P19",
                f'recursive reference to query "{self._name}" must not appear {problem}',
                position=pos(node),
            )
