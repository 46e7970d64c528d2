"""Select lists: star expansion and what columns are called."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer.exprs import field_of, named_row, position_of, transform
from sixfold.engine.analyzer.records import fields_of
from sixfold.engine.analyzer.scope import Scope, expand_star, pos
from sixfold.engine.analyzer.tree import Target, Var
from sixfold.engine.analyzer.walk import type_of, typmod_of
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner.nodes import Expr

_VALUE_FUNCTIONS = {
    "SVFOP_CURRENT_DATE": "current_date",
    "SVFOP_CURRENT_TIME": "current_time",
    "SVFOP_CURRENT_TIME_N": "current_time",
    "SVFOP_CURRENT_TIMESTAMP": "current_timestamp",
    "SVFOP_CURRENT_TIMESTAMP_N": "current_timestamp",
    "SVFOP_LOCALTIME": "localtime",
    "SVFOP_LOCALTIME_N": "localtime",
    "SVFOP_LOCALTIMESTAMP": "localtimestamp",
    "SVFOP_LOCALTIMESTAMP_N": "localtimestamp",
    "SVFOP_CURRENT_ROLE": "current_role",
    "SVFOP_CURRENT_USER": "current_user",
    "SVFOP_USER": "user",
    "SVFOP_SESSION_USER": "session_user",
    "SVFOP_CURRENT_CATALOG": "current_catalog",
    "SVFOP_CURRENT_SCHEMA": "current_schema",
}


def column_name(node: Any) -> str:
    """FigureColname."""
    name, _ = _figure(node)
    return name or "?column?"


def _figure(node: Any) -> tuple[str | None, int]:
    kind = type(node)
    if kind is ast.ColumnRef:
        last = node.fields[-1]
        return (last.sval, 2) if type(last) is ast.String else (None, 0)
    if kind is ast.A_Indirection:
        names = [i.sval for i in node.indirection if type(i) is ast.String]
        return (names[-1], 2) if names else _figure(node.arg)
    if kind is ast.FuncCall:
        return node.funcname[-1].sval, 2
    if kind is ast.A_Expr and node.kind == enums.A_Expr_Kind.AEXPR_NULLIF:
        return "nullif", 2
    if kind is ast.TypeCast:
        name, strength = _figure(node.arg)
        if strength <= 1 and node.typeName is not None and node.typeName.names:
            return node.typeName.names[-1].sval, 1
        return name, strength
    if kind is ast.CollateClause:
        return _figure(node.arg)
    if kind is ast.CaseExpr:
        name, strength = _figure(node.defresult) if node.defresult is not None else (None, 0)
        return (name, strength) if strength > 1 else ("case", 1)
    if kind is ast.SubLink:
        return _figure_sublink(node)
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed, 2
    if kind is ast.MinMaxExpr:
        return ("greatest" if node.op == enums.MinMaxOp.IS_GREATEST else "least"), 2
    if kind is ast.SQLValueFunction:
        return _VALUE_FUNCTIONS[node.op.name], 2
    return None, 0


_FIXED = {ast.A_ArrayExpr: "array", ast.RowExpr: "row", ast.CoalesceExpr: "coalesce", ast.GroupingFunc: "grouping"}


def _figure_sublink(node: Any) -> tuple[str | None, int]:
    types = enums.SubLinkType
    if node.subLinkType == types.EXISTS_SUBLINK:
        return "exists", 2
    if node.subLinkType == types.ARRAY_SUBLINK:
        return "array", 2
    if node.subLinkType == types.EXPR_SUBLINK:
        select = node.subselect
        while select.op != enums.SetOperation.SETOP_NONE:
            select = select.larg
        if select.targetList:
            target = select.targetList[0]
            return target.name or column_name(target.val), 2
        if select.valuesLists:
            return "column1", 2
    return None, 0


def target(scope: Scope, expr: Expr, name: str, junk: bool = False) -> Target:
    """A target with its type and where it comes from."""
    result = Target(expr, name, type_of(expr), typmod_of(expr), junk)
    if type(expr) is Var:
        column = scope.context.rtes[expr.rel].columns[expr.col]
        result.table, result.attnum = column.table, column.attnum
    return result


def target_list(scope: Scope, items: Any) -> list[Target]:
    """transformTargetList."""
    result: list[Target] = []
    for item in items or ():
        value = item.val
        kind = type(value)
        if kind is ast.ColumnRef and type(value.fields[-1]) is ast.A_Star:
            result += [target(scope, e, n) for n, e, _ in expand_star(scope, value)]
            continue
        if kind is ast.A_Indirection and type(value.indirection[-1]) is ast.A_Star:
            result += _expand_row(scope, value)
            continue
        expr = transform(scope, value)
        made = target(scope, expr, item.name if item.name is not None else column_name(value))
        made.position = position_of(value)
        result.append(made)
    return result


def _expand_row(scope: Scope, node: Any) -> list[Target]:
    """(row).*"""
    if len(node.indirection) == 1:
        item = named_row(scope, node.arg)
        if item is not None:
            return [target(scope, item.expr(i), item.columns[i].name) for i in item.visible()]
        row = transform(scope, node.arg)
    else:
        row = transform(scope, ast.A_Indirection(arg=node.arg, indirection=node.indirection[:-1]))
    fields = fields_of(scope.context, row)
    if fields is None:
        raise SqlError("42809", 'row expansion via "*" is not supported for this record', position=pos(node.arg))
    return [target(scope, field_of(scope, row, name, pos(node.arg)), name) for name, _ in fields]
