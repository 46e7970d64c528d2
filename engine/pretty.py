"""Expressions as `pg_get_expr(…, true)` shows them: without the parentheses that operators do not need.

What comes in is the full form of `deparse.py`, with every cast written out. A part that has no case here leaves it as it is.
"""

from __future__ import annotations

from typing import Any

from . import parser
from .deparse import Deparser
from .parser import ast, enums

KIND = enums.A_Expr_Kind
_DEPARSER = Deparser()
_LOW, _HIGH = ("+", "-"), ("*", "/", "%")
_WORDS = {
    KIND.AEXPR_DISTINCT: "IS DISTINCT FROM",
    KIND.AEXPR_NOT_DISTINCT: "IS NOT DISTINCT FROM",
}
# Kinds of nodes with nothing around them to mistake them for.
_ATOMS = (
    ast.A_Const, ast.ColumnRef, ast.FuncCall, ast.CoalesceExpr, ast.MinMaxExpr, ast.SQLValueFunction, ast.A_ArrayExpr, ast.TypeCast,
)  # fmt: skip


class _Unknown(Exception):
    """There is no case for this part."""


def pretty(text: str) -> str:
    """The expression with few parentheses."""
    try:
        return _show(parser.parse_expression(text))
    except _Unknown:
        return text


def _show(node: Any) -> str:
    kind = type(node)
    if kind is ast.A_Expr:
        return _operator(node)
    if kind is ast.BoolExpr:
        if node.boolop == enums.BoolExprType.NOT_EXPR:
            return f"NOT {_inside(node.args[0], node)}"
        word = " AND " if node.boolop == enums.BoolExprType.AND_EXPR else " OR "
        return word.join(_inside(arg, node) for arg in node.args)
    if kind is ast.NullTest:
        word = "IS NULL" if node.nulltesttype == enums.NullTestType.IS_NULL else "IS NOT NULL"
        return f"{_inside(node.arg, node)} {word}"
    if kind is ast.BooleanTest:
        return f"{_inside(node.arg, node)} {node.booltesttype.name.replace('_', ' ')}"
    if kind is ast.TypeCast:
        return f"{_inside(node.arg, node)}::{_DEPARSER.type_name(node.typeName)}"
    if kind is ast.CoalesceExpr:
        return f"COALESCE({_list(node.args)})"
    if kind is ast.MinMaxExpr:
        return f"{'GREATEST' if node.op == enums.MinMaxOp.IS_GREATEST else 'LEAST'}({_list(node.args)})"
    if kind is ast.A_ArrayExpr:
        return f"ARRAY[{_list(node.elements)}]"
    if kind is ast.FuncCall:
        return _call(node)
    if kind in (ast.A_Const, ast.ColumnRef, ast.SQLValueFunction):
        return _DEPARSER.text(node)
    raise _Unknown


def _list(items: Any) -> str:
    return ", ".join(_show(item) for item in items or ())


def _call(node: Any) -> str:
    if node.agg_order or node.over or node.agg_star or node.agg_distinct or node.agg_filter or node.func_variadic:
        raise _Unknown
    shown = _DEPARSER.text(ast.FuncCall(funcname=node.funcname)).removesuffix("()")
    return f"{shown}({_list(node.args)})"


def _operator(node: Any) -> str:
    if node.kind in _WORDS:
        return f"{_inside(node.lexpr, node)} {_WORDS[node.kind]} {_inside(node.rexpr, node)}"
    name = node.name[-1].sval
    if node.kind in (KIND.AEXPR_OP_ANY, KIND.AEXPR_OP_ALL):
        word = "ANY" if node.kind == KIND.AEXPR_OP_ANY else "ALL"
        return f"{_inside(node.lexpr, node)} {name} {word} ({_show(node.rexpr)})"
    if node.kind != KIND.AEXPR_OP or len(node.name) > 1:
        raise _Unknown
    if node.lexpr is None:
        return f"{name} {_inside(node.rexpr, node)}"
    return f"{_inside(node.lexpr, node)} {name} {_inside(node.rexpr, node)}"


def _inside(node: Any, parent: Any) -> str:
    shown = _show(node)
    return shown if _stands_alone(node, parent) else f"({shown})"


def _stands_alone(node: Any, parent: Any) -> bool:
    """PostgreSQL's isSimpleNode, for the parents that ask."""
    kind = type(node)
    if kind in _ATOMS:
        return True
    if kind is ast.BoolExpr:
        if type(parent) is not ast.BoolExpr:
            return False
        if node.boolop == enums.BoolExprType.OR_EXPR:
            return bool(parent.boolop == enums.BoolExprType.OR_EXPR)
        return bool(parent.boolop != enums.BoolExprType.NOT_EXPR)
    if kind is ast.A_Expr and node.kind in (KIND.AEXPR_OP_ANY, KIND.AEXPR_OP_ALL):
        return False
    if kind is ast.A_Expr and node.kind == KIND.AEXPR_OP and type(parent) is ast.A_Expr:
        return _binds(node, parent)
    return type(parent) is ast.BoolExpr


def _binds(node: Any, parent: Any) -> bool:
    """Arithmetic in arithmetic, where the order is known without parentheses."""
    if parent.kind != KIND.AEXPR_OP or node.lexpr is None or parent.lexpr is None:
        return False
    inner, outer = node.name[-1].sval, parent.name[-1].sval
    if inner not in _LOW + _HIGH or outer not in _LOW + _HIGH:
        return False
    if (inner in _HIGH) != (outer in _HIGH):
        return inner in _HIGH
    return node is parent.lexpr
