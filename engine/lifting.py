"""Which literals of a simple Query may become parameters, so that texts which differ in them share one plan.

A literal is lifted only where its value cannot shape the plan or the meaning: in WHERE and ON under equality or BETWEEN, in SET, VALUES,
select lists and arithmetic, under casts to plain types. Never in ORDER BY, GROUP BY, LIMIT, type modifiers, patterns, one-sided ranges, nor
strings as function arguments. When in doubt a literal stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .parser import ast, enums, parse_one

# What `normalise` calls a literal: (kind, text, character position).
Literal = tuple[str, str, int]
# Parameter types by kind of literal; 0 is inferred as an unknown literal's type would be.
KINDS = {"int4": 23, "int8": 20, "numeric": 1700, "string": 0}
# Type names under which a lifted string reads the same.
PLAIN_CASTS = frozenset(
    (
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "text",
        "varchar",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "json",
        "jsonb",
        "bool",
        "bytea",
    )
)
EQUALITY = frozenset(("=", "<>", "+", "-", "*", "/", "%", "||"))
# Statement parts that are looked into, by node class.
PARTS: dict[str, tuple[str, ...]] = {
    "SelectStmt": ("targetList", "fromClause", "whereClause", "valuesLists", "withClause", "larg", "rarg"),
    "InsertStmt": ("selectStmt", "withClause"),
    "UpdateStmt": ("targetList", "fromClause", "whereClause", "withClause"),
    "DeleteStmt": ("usingClause", "whereClause", "withClause"),
    "WithClause": ("ctes",),
    "CommonTableExpr": ("ctequery",),
    "ResTarget": ("val",),
    "JoinExpr": ("larg", "rarg", "quals"),
    "RangeSubselect": ("subquery",),
    "SubLink": ("testexpr", "subselect"),
    "BoolExpr": ("args",),
    "CaseExpr": ("args", "defresult"),
    "CaseWhen": ("result",),
    "CoalesceExpr": ("args",),
    "MultiAssignRef": ("source",),
    "RowExpr": ("args",),
    "List": (),
}


class Lifter:
    """One pass over one statement's tree."""

    def __init__(self, literals: Sequence[Literal]) -> None:
        self._at = {position: index for index, (_, _, position) in enumerate(literals)}
        self._literals = literals
        # (literal index, parameter index), and the parameters' types.
        self.lifted: list[tuple[int, int]] = []
        self.types: list[int] = []

    def visit(self, node: Any, strings: bool = True) -> Any:
        """The node with its literals lifted."""
        if isinstance(node, tuple):
            return tuple(self.visit(item, strings) for item in node)
        kind = type(node).__name__
        if kind == "A_Const":
            return self._constant(node, strings)
        if kind == "A_Expr":
            self._expression(node, strings)
        elif kind == "TypeCast":
            self._cast(node)
        elif kind == "FuncCall":
            node.args = self.visit(node.args, False) if node.args and not node.agg_order else node.args
        else:
            for part in PARTS.get(kind, ()):
                value = getattr(node, part, None)
                if value is not None:
                    setattr(node, part, self.visit(value, strings))
        return node

    def _expression(self, node: Any, strings: bool) -> None:
        names = [part.sval for part in node.name]
        between = node.kind in (enums.A_Expr_Kind.AEXPR_BETWEEN, enums.A_Expr_Kind.AEXPR_NOT_BETWEEN)
        plain = (
            node.kind in (enums.A_Expr_Kind.AEXPR_OP, enums.A_Expr_Kind.AEXPR_IN)
            and len(names) == 1
            and names[0] in EQUALITY
        )
        if between or plain:
            node.lexpr = self.visit(node.lexpr, strings) if node.lexpr is not None else None
            node.rexpr = self.visit(node.rexpr, strings)

    def _cast(self, node: Any) -> None:
        name = node.typeName.names[-1].sval
        plain = name in PLAIN_CASTS and not node.typeName.typmods and not node.typeName.arrayBounds
        if plain or type(node.arg).__name__ != "A_Const":
            node.arg = self.visit(node.arg)

    def _constant(self, node: Any, strings: bool) -> Any:
        if node.isnull or getattr(node, "location", None) is None:
            return node
        index = self._at.get(node.location)
        if index is not None:
            kind = self._literals[index][0]
            if kind not in KINDS or (kind == "string" and not (strings and isinstance(node.val, ast.String))):
                return node
            return self._parameter(index, KINDS[kind])
        return self._negative(node)

    def _negative(self, node: Any) -> Any:
        """The parser has made one constant of a minus sign and a number."""
        if not isinstance(node.val, ast.Integer) or node.val.ival >= 0:
            return node
        for position in range(node.location + 1, node.location + 4):
            index = self._at.get(position)
            if index is not None and self._literals[index][:2] == ("int4", str(-node.val.ival)):
                minus = ast.A_Expr(
                    kind=enums.A_Expr_Kind.AEXPR_OP, name=(ast.String("-"),), rexpr=self._parameter(index, 23)
                )
                minus.location = node.location
                return minus
        return node

    def _parameter(self, index: int, typ: int) -> Any:
        self.lifted.append((index, len(self.types)))
        self.types.append(typ)
        parameter = ast.ParamRef(number=len(self.types))
        parameter.location = self._literals[index][2]
        return parameter


def lift(text: str, literals: Sequence[Literal]) -> tuple[Any, list[tuple[int, int]], list[int]] | None:
    """(the tree, parsed anew, with parameters, [(literal, parameter)], parameter types); None when nothing can be lifted."""
    if not literals or len(literals) > 1000 or not text.isascii():
        return None
    lifter = Lifter(literals)
    changed = lifter.visit(parse_one(text))
    return (changed, lifter.lifted, lifter.types) if lifter.lifted else None
