"""Expressions of defaults, checks and generated columns as SQL text, in the form in which PostgreSQL shows them.

Operators stand in parentheses, types have their SQL names, a string constant names its type where the context gives one.
What has no case here is written by pglast.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import parser
from .parser import enums, quote_ident

KIND = enums.A_Expr_Kind
SQL_TYPES = {
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "numeric": "numeric",
    "interval": "interval",
    "varchar": "character varying",
    "bpchar": "character",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
    "bit": "bit",
    "varbit": "bit varying",
    "char": '"char"',
}
VALUE_FUNCTIONS = {
    "SVFOP_CURRENT_DATE": "CURRENT_DATE",
    "SVFOP_CURRENT_TIME": "CURRENT_TIME",
    "SVFOP_CURRENT_TIMESTAMP": "CURRENT_TIMESTAMP",
    "SVFOP_LOCALTIME": "LOCALTIME",
    "SVFOP_LOCALTIMESTAMP": "LOCALTIMESTAMP",
    "SVFOP_CURRENT_ROLE": "CURRENT_ROLE",
    "SVFOP_CURRENT_USER": "CURRENT_USER",
    "SVFOP_USER": "USER",
    "SVFOP_SESSION_USER": "SESSION_USER",
    "SVFOP_CURRENT_CATALOG": "CURRENT_CATALOG",
    "SVFOP_CURRENT_SCHEMA": "CURRENT_SCHEMA",
}
LIKES = {KIND.AEXPR_LIKE: "~~", KIND.AEXPR_ILIKE: "~~*"}

# What a string constant of a number or Boolean column is shown as.
NUMBER = re.compile(r"\d+(\.\d+)?")
BOOLEANS = {
    "t": "true",
    "true": "true",
    "on": "true",
    "1": "true",
    "f": "false",
    "false": "false",
    "off": "false",
    "0": "false",
}

# Types whose constants read differently under other settings, by SQL name.
DATETIME = {
    "date": 1082,
    "time without time zone": 1083,
    "timestamp without time zone": 1114,
    "timestamp with time zone": 1184,
    "interval": 1186,
    "time with time zone": 1266,
}
# A constant of such a type (its OID) as it means the same to every session.
Settle = Callable[[int, str], str]

# SQL name of a column's type, by column name: gives string constants beside a column their type.
Types = Callable[[str], str | None]


def literal(text: str) -> str:
    """A string constant."""
    quoted = text.replace("'", "''")
    return f"E'{quoted}'".replace("\\", "\\\\") if "\\" in text else f"'{quoted}'"


class Deparser:
    """Writes one expression."""

    def __init__(self, types: Types = lambda _: None, settle: Settle = lambda _, text: text) -> None:
        self._types = types
        self._settle = settle

    def text(self, node: Any, hint: str | None = None) -> str:
        """`hint`: the SQL type that a bare string constant has here."""
        method = getattr(self, "_" + type(node).__name__, None)
        found = method(node, hint) if method else None
        return found if found is not None else parser.deparse(node)

    def _A_Const(self, node: Any, hint: str | None) -> str:
        if node.isnull:
            return f"NULL::{hint}" if hint else "NULL"
        kind = type(node.val).__name__
        if kind == "String":
            if (
                hint is not None
                and (hint == "integer" or hint.startswith("numeric"))
                and NUMBER.fullmatch(node.val.sval)
            ):
                return str(node.val.sval)
            if hint == "boolean" and node.val.sval.lower() in BOOLEANS:
                return BOOLEANS[node.val.sval.lower()]
            return self._constant(node.val.sval, hint) + (f"::{hint}" if hint else "")
        if kind == "Boolean":
            return "true" if node.val.boolval else "false"
        if kind == "Integer":
            return str(node.val.ival) if node.val.ival >= 0 else f"'{node.val.ival}'::integer"
        if kind == "Float":
            return node.val.fval if not node.val.fval.startswith("-") else f"'{node.val.fval}'::numeric"
        return parser.deparse(node)

    def _constant(self, text: str, name: str | None) -> str:
        return literal(self._settle(DATETIME[name], text) if name in DATETIME else text)

    def _ColumnRef(self, node: Any, hint: str | None) -> str:
        return ".".join("*" if type(part).__name__ == "A_Star" else quote_ident(part.sval) for part in node.fields[-1:])

    def _hint(self, *nodes: Any) -> str | None:
        for node in nodes:
            kind = type(node).__name__
            if (
                kind == "ColumnRef"
                and type(node.fields[-1]).__name__ == "String"
                and (found := self._types(node.fields[-1].sval))
            ):
                return "text" if found.startswith("character varying") else found
            if kind in ("CoalesceExpr", "MinMaxExpr"):
                return self._hint(*node.args)
            if kind == "TypeCast":
                return self.type_name(node.typeName)
            if kind == "FuncCall":
                return (
                    "text"
                    if node.funcname[-1].sval in ("lower", "upper", "btrim", "substr", "substring", "concat")
                    else None
                )
        return "text"

    def _A_Expr(self, node: Any, hint: str | None) -> str | None:
        if node.kind in (KIND.AEXPR_BETWEEN, KIND.AEXPR_NOT_BETWEEN):
            beside = self._hint(node.lexpr)
            left = self._operand(node.lexpr, beside)
            low, high = (self._widened(end, self._operand(end, beside), node.lexpr) for end in node.rexpr)
            if node.kind == KIND.AEXPR_BETWEEN:
                return f"(({left} >= {low}) AND ({left} <= {high}))"
            return f"(({left} < {low}) OR ({left} > {high}))"
        if node.kind == KIND.AEXPR_IN:
            beside = self._hint(node.lexpr)
            items = ", ".join(self._operand(item, beside) for item in node.rexpr)
            word = "ANY" if node.name[0].sval == "=" else "ALL"
            return f"({self._operand(node.lexpr, beside)} {node.name[0].sval} {word} (ARRAY[{items}]))"
        if node.kind in LIKES:
            operator = LIKES[node.kind] if not node.name[0].sval.startswith("!") else "!" + LIKES[node.kind]
            return f"({self._operand(node.lexpr, 'text')} {operator} {self._operand(node.rexpr, 'text')})"
        if node.kind == KIND.AEXPR_NULLIF:
            return f"NULLIF({self.text(node.lexpr, self._hint(node.rexpr))}, {self.text(node.rexpr, self._hint(node.lexpr))})"
        if node.kind in (KIND.AEXPR_DISTINCT, KIND.AEXPR_NOT_DISTINCT):
            word = "IS DISTINCT FROM" if node.kind == KIND.AEXPR_DISTINCT else "IS NOT DISTINCT FROM"
            return self._binary(node, word)
        if node.kind != KIND.AEXPR_OP:
            return None
        name = node.name[-1].sval
        if node.lexpr is None:
            return f"({name} {self._operand(node.rexpr, hint)})"
        return self._binary(node, name)

    def _binary(self, node: Any, name: str) -> str:
        left = self._widened(node.lexpr, self._operand(node.lexpr, self._hint(node.rexpr)), node.rexpr)
        right = self._widened(node.rexpr, self._operand(node.rexpr, self._hint(node.lexpr)), node.lexpr)
        return f"({left} {name} {right})"

    def _widened(self, node: Any, text: str, beside: Any) -> str:
        """A number beside a column of a wider type is shown with the cast that the operator needs."""
        if type(node).__name__ != "A_Const" or type(beside).__name__ != "ColumnRef" or node.isnull:
            return text
        kind, column = type(node.val).__name__, self._types(beside.fields[-1].sval) or ""
        wide = (
            "double precision"
            if column in ("double precision", "real")
            else "numeric"
            if column.startswith("numeric")
            else None
        )
        if wide is None or not (kind == "Integer" or (kind == "Float" and wide == "double precision")):
            return text
        return f"({text})::{wide}"

    def _operand(self, node: Any, hint: str | None) -> str:
        found = self.text(node, hint)
        if (
            type(node).__name__ == "ColumnRef"
            and hint == "text"
            and (self._types(node.fields[-1].sval) or "").startswith("character varying")
        ):
            return f"({found})::text"
        return found

    def _BoolExpr(self, node: Any, hint: str | None) -> str:
        if node.boolop == enums.BoolExprType.NOT_EXPR:
            return f"(NOT {self.text(node.args[0])})"
        word = " AND " if node.boolop == enums.BoolExprType.AND_EXPR else " OR "
        return "(" + word.join(self.text(arg) for arg in node.args) + ")"

    def _NullTest(self, node: Any, hint: str | None) -> str:
        word = "IS NULL" if node.nulltesttype == enums.NullTestType.IS_NULL else "IS NOT NULL"
        return f"({self.text(node.arg)} {word})"

    def _BooleanTest(self, node: Any, hint: str | None) -> str:
        words = {
            "IS_TRUE": "IS TRUE",
            "IS_NOT_TRUE": "IS NOT TRUE",
            "IS_FALSE": "IS FALSE",
            "IS_NOT_FALSE": "IS NOT FALSE",
            "IS_UNKNOWN": "IS UNKNOWN",
            "IS_NOT_UNKNOWN": "IS NOT UNKNOWN",
        }
        return f"({self.text(node.arg)} {words[node.booltesttype.name]})"

    def _FuncCall(self, node: Any, hint: str | None) -> str | None:
        if node.agg_order or node.over or node.agg_star or node.agg_distinct or node.agg_filter or node.func_variadic:
            return None
        names = [part.sval for part in node.funcname]
        name = names[-1] if names[0] == "pg_catalog" else ".".join(quote_ident(part) for part in names)
        regclass = {"nextval": "regclass", "currval": "regclass", "setval": "regclass"}
        text_args = {
            "timezone": "text",
            "date_trunc": "text",
            "lower": "text",
            "upper": "text",
            "concat": "text",
            "to_char": "text",
            "md5": "text",
        }
        given = regclass.get(name) or text_args.get(name)
        shown = [
            self.text(arg, given if at == 0 or given == "text" else None) for at, arg in enumerate(node.args or ())
        ]
        return f"{name}({', '.join(shown)})"

    def type_name(self, name: Any) -> str:
        """A type as SQL writes it."""
        base = name.names[-1].sval
        array = base.startswith("_") and len(name.names) > 1
        base = base[1:] if array else base
        shown = (
            SQL_TYPES.get(base, quote_ident(base))
            if name.names[0].sval == "pg_catalog" or base in SQL_TYPES
            else ".".join(quote_ident(part.sval) for part in name.names)
        )
        if name.typmods and base != "interval":
            mods = ",".join(str(mod.val.ival) for mod in name.typmods if type(mod).__name__ == "A_Const")
            head, _, tail = shown.partition(" with")
            shown = f"{head}({mods})" + (f" with{tail}" if tail else "")
        return shown + ("[]" if array or name.arrayBounds else "")

    def _TypeCast(self, node: Any, hint: str | None) -> str:
        name = self.type_name(node.typeName)
        kind = type(node.arg).__name__
        if kind == "A_Const":
            if name == "boolean" and type(node.arg.val).__name__ == "String" and not node.arg.isnull:
                return {"t": "true", "f": "false"}.get(node.arg.val.sval, f"{literal(node.arg.val.sval)}::boolean")
            if node.arg.isnull:
                return f"NULL::{name}"
            return (
                f"{self._constant(node.arg.val.sval, name)}::{name}"
                if type(node.arg.val).__name__ == "String"
                else f"({self.text(node.arg)})::{name}"
            )
        return f"({self.text(node.arg)})::{name}"

    def _CaseExpr(self, node: Any, hint: str | None) -> str:
        parts = ["CASE"]
        if node.arg is not None:
            parts[0] += " " + self.text(node.arg)
        for when in node.args:
            parts.append(
                f"    WHEN {self.text(when.expr, self._hint(node.arg) if node.arg else None)} THEN {self.text(when.result, hint or 'text')}"
            )
        parts.append(
            f"    ELSE {self.text(node.defresult, hint or 'text') if node.defresult is not None else 'NULL' + (f'::{hint}' if hint else '')}"
        )
        return "\n".join([*parts, "END"])

    def _CoalesceExpr(self, node: Any, hint: str | None) -> str:
        beside = self._hint(*node.args)
        beside = hint if hint and beside == "text" else beside
        return f"COALESCE({', '.join(self.text(arg, beside) for arg in node.args)})"

    def _MinMaxExpr(self, node: Any, hint: str | None) -> str:
        word = "GREATEST" if node.op == enums.MinMaxOp.IS_GREATEST else "LEAST"
        beside = self._hint(*node.args)
        beside = hint if hint and beside == "text" else beside
        return f"{word}({', '.join(self.text(arg, beside) for arg in node.args)})"

    def _SQLValueFunction(self, node: Any, hint: str | None) -> str | None:
        return VALUE_FUNCTIONS.get(node.op.name)

    def _A_ArrayExpr(self, node: Any, hint: str | None) -> str:
        element = hint.removesuffix("[]") if hint and hint.endswith("[]") else "text"
        return f"ARRAY[{', '.join(self.text(item, element) for item in node.elements or ())}]"


def expression(
    node: Any, types: Types = lambda _: None, hint: str | None = None, settle: Settle = lambda _, text: text
) -> str:
    """An expression's text. `hint`: the SQL type of the column that it is for."""
    return Deparser(types, settle).text(node, hint)


def columns_of(node: Any) -> list[str]:
    """Names of the columns that an expression uses, each once, in order."""
    found: dict[str, None] = {}

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, parser.ast.ColumnRef):
            if type(part.fields[-1]).__name__ == "String":
                found[part.fields[-1].sval] = None
        elif isinstance(part, parser.ast.Node):
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | parser.ast.Node):
                    walk(value)

    walk(node)
    return list(found)


def functions_of(node: Any) -> list[str]:
    """Names of the functions that an expression calls."""
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, parser.ast.Node):
            if isinstance(part, parser.ast.FuncCall):
                found.append(part.funcname[-1].sval)
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | parser.ast.Node):
                    walk(value)

    walk(node)
    return found


def position_of(node: Any) -> int | None:
    """1-based position of a parse node in its statement, where it has one."""
    location = getattr(node, "location", None)
    return location + 1 if location is not None and location >= 0 else None


def column_position(node: Any, column: str) -> int | None:
    """Position of the first reference to a column."""
    found: list[int] = []

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, parser.ast.Node):
            if isinstance(part, parser.ast.ColumnRef) and getattr(part.fields[-1], "sval", None) == column:
                position = position_of(part)
                if position is not None:
                    found.append(position)
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | parser.ast.Node):
                    walk(value)

    walk(node)
    return min(found, default=None)
