"""Which literals of a simple Query may become parameters, so that texts which differ in them share one plan.

A literal is lifted only where its value cannot shape the plan or the meaning: in WHERE and ON under equality or BETWEEN, in SET, VALUES,
select lists and arithmetic, under casts to plain types. Never in ORDER BY, GROUP BY, LIMIT, type modifiers, patterns, one-sided ranges, nor
strings as function arguments. When in doubt a literal stays what it is.

The text is parsed with every literal written as a parameter, which shows where each stands; then once more with those lifted that may be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .errors import SqlError
from .parser import enums, parse_one

# What `normalise` calls a literal: (kind, text, its first character, the one after it).
Literal = tuple[str, str, int, int]
# Parameter types by kind of literal; 0 is inferred as an unknown literal's type would be.
KINDS = {"int4": 23, "int8": 20, "numeric": 1700, "string": 0}
LITERALS_MAX = 1000
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
# Where the grammar wants a constant: type modifiers, and `interval '1 day'`.
BEFORE_MODIFIER = re.compile(
    r"\b(?:var(?:char|bit)|char(?:acter)?|varying|numeric|decimal|dec|bit|float|interval|time(?:stamp)?(?:tz)?)\s*\(\s*(?:\d+\s*,\s*)?$",
    re.I,
)
BEFORE_TYPED = re.compile(
    r"\b(?:interval|date|time(?:stamp)?(?:tz)?|zone|u?int[248]?|bool|numeric|float[48]|text|jsonb?|uuid|bytea|name|point|inet)\s*$",
    re.I,
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
}
# A constant alone in a select list that is sorted, grouped or deduplicated may be named by its place or by being equal.
ORDERED = ("sortClause", "groupClause", "distinctClause", "havingClause", "windowClause")


class Places:
    """Finds the parameters that stand where a literal may be lifted."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = kinds
        # Parameter numbers, from 1.
        self.good: set[int] = set()

    def visit(self, node: Any, strings: bool = True) -> None:
        """Look through a part of the tree."""
        if isinstance(node, tuple):
            for item in node:
                self.visit(item, strings)
            return
        kind = type(node).__name__
        if kind == "ParamRef":
            if strings or self._kinds[node.number - 1] != "string":
                self.good.add(node.number)
        elif kind == "A_Expr":
            self._expression(node, strings)
        elif kind == "TypeCast":
            self._cast(node)
        elif kind == "FuncCall":
            if node.args and not node.agg_order:
                self.visit(node.args, False)
        elif kind == "SelectStmt" and any(getattr(node, part) for part in ORDERED):
            self.visit(tuple(part for part in (node.fromClause, node.whereClause, node.withClause) if part))
        else:
            for part in PARTS.get(kind, ()):
                value = getattr(node, part, None)
                if value is not None:
                    self.visit(value, strings)

    def _expression(self, node: Any, strings: bool) -> None:
        names = [part.sval for part in node.name]
        if node.lexpr is None and names == ["-"] and self._is_wide(node.rexpr):
            # -2147483648 is an integer, 2147483648 is none.
            return
        between = node.kind in (enums.A_Expr_Kind.AEXPR_BETWEEN, enums.A_Expr_Kind.AEXPR_NOT_BETWEEN)
        plain = node.kind in (enums.A_Expr_Kind.AEXPR_OP, enums.A_Expr_Kind.AEXPR_IN)
        if between or (plain and len(names) == 1 and names[0] in EQUALITY):
            for side in (node.lexpr, node.rexpr):
                if side is not None:
                    self.visit(side, strings)

    def _is_wide(self, node: Any) -> bool:
        return type(node).__name__ == "ParamRef" and self._kinds[node.number - 1] in ("int8", "numeric")

    def _cast(self, node: Any) -> None:
        name = node.typeName.names[-1].sval
        plain = name in PLAIN_CASTS and not node.typeName.typmods and not node.typeName.arrayBounds
        if plain or type(node.arg).__name__ != "ParamRef":
            self.visit(node.arg)


def _is_plain(text: str, literal: Literal) -> bool:
    """May a parameter stand in its place, as far as the text beside it goes?"""
    kind, _, start, _ = literal
    if (BEFORE_MODIFIER if kind == "int4" else BEFORE_TYPED).search(text, max(start - 40, 0), start):
        return False
    before = text[start - 1 : start]
    return not (kind == "string" and (before.isalnum() or before in ("&", "$")))


def _with_parameters(text: str, literals: Sequence[Literal], chosen: Sequence[int]) -> str:
    """The text with the chosen literals as $1, $2, …"""
    parts: list[str] = []
    at = 0
    for number, index in enumerate(chosen, 1):
        _, _, start, end = literals[index]
        parts += [text[at:start], f"${number}"]
        # `1and` is one number to the lexer's eyes, `$1and` is not.
        if text[end : end + 1].isalnum():
            parts.append(" ")
        at = end
    return "".join([*parts, text[at:]])


def lift(text: str, literals: Sequence[Literal]) -> tuple[Any, str, list[tuple[int, int]], list[int]] | None:
    """(the tree with parameters, its text, [(literal, parameter)], parameter types); None when nothing can be lifted."""
    if not literals or len(literals) > LITERALS_MAX:
        return None
    plain = [index for index, literal in enumerate(literals) if _is_plain(text, literal)]
    if not plain:
        return None
    try:
        places = Places([literals[index][0] for index in plain])
        places.visit(parse_one(_with_parameters(text, literals, plain)))
        chosen = [index for number, index in enumerate(plain, 1) if number in places.good]
        if not chosen:
            return None
        changed = _with_parameters(text, literals, chosen)
        tree = parse_one(changed)
    except SqlError:
        return None
    types = [KINDS[literals[index][0]] for index in chosen]
    return tree, changed, [(index, number) for number, index in enumerate(chosen)], types
