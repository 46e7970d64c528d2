"""Subqueries in expressions: scalar, EXISTS, IN, ANY, ALL, ARRAY, row comparisons."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.coerce import coerce_to_boolean
from sixfold.engine.analyzer.exprs import handles, position_of, transform
from sixfold.engine.analyzer.overload import operator_call
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.tree import Query, Slot, SubLink
from sixfold.engine.analyzer.typerows import type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

_FORBIDDEN = {
    "check": "cannot use subquery in check constraint",
    "default": "cannot use subquery in DEFAULT expression",
    "index": "cannot use subquery in index expression",
    "predicate": "cannot use subquery in index predicate",
    "generated": "cannot use subquery in column generation expression",
    "using": "cannot use subquery in transform expression",
    "execute": "cannot use subquery in EXECUTE parameter",
}


@handles(ast.SubLink)
def _sublink(scope: Scope, node: Any) -> Expr:
    if scope.kind in _FORBIDDEN:
        raise SqlError("0A000", _FORBIDDEN[scope.kind], position=pos(node))
    kind = node.subLinkType
    types = enums.SubLinkType
    query = scope.context.subquery(scope, node.subselect)
    number = scope.context.sublinks.add(query)
    if kind == types.EXISTS_SUBLINK:
        return SubLink("exists", number, oids.BOOL)
    if kind in (types.EXPR_SUBLINK, types.ARRAY_SUBLINK):
        targets = query.visible()
        if len(targets) != 1:
            raise SqlError("42601", "subquery must return only one column", position=pos(node))
        target = targets[0]
        if kind == types.EXPR_SUBLINK:
            return SubLink("scalar", number, target.typ, target.typmod)
        row = type_row(scope.catalog, target.typ)
        array = target.typ if row.is_array else row.array
        if not array:
            raise SqlError(
                "42704",
                f"could not find array type for data type {format_type(scope.catalog, target.typ)}",
                position=pos(node),
            )
        return SubLink("array", number, array, target.typmod)
    if kind in (types.ANY_SUBLINK, types.ALL_SUBLINK):
        op = node.operName[-1].sval if node.operName else "="
        left_node = node.testexpr
        left = transform(scope, left_node)
        lefts = left.args if isinstance(left, nodes.Row) else [left]
        return _quantified(scope, "any" if kind == types.ANY_SUBLINK else "all", lefts, op, query, number, pos(node))
    raise not_built("this kind of subquery", pos(node))


def _quantified(
    scope: Scope, kind: str, lefts: list[Expr], op: str, query: Query, number: int, position: int | None
) -> Expr:
    targets = query.visible()
    if len(targets) < len(lefts):
        raise SqlError("42601", "subquery has too few columns", position=position)
    if len(targets) > len(lefts):
        raise SqlError("42601", "subquery has too many columns", position=position)
    left_args: list[Expr] = []
    right_args: list[Expr] = []
    funcs: list[str] = []
    types: list[int] = []
    for i, (left, target) in enumerate(zip(lefts, targets, strict=True)):
        call = operator_call(scope, op, left, Slot(i, target.typ), position)
        call = coerce_to_boolean(scope, call, "ANY/ALL", position)
        if not isinstance(call, nodes.Func):
            raise not_built("this operator with ANY or ALL", position)
        left_args.append(call.args[0])
        right_args.append(call.args[1])
        funcs.append(call.func)
        types += call.arg_types
    if len(lefts) > 1 and op not in ("=", "<>"):
        raise not_built("row comparison with ANY or ALL other than = and <>", position)
    return SubLink(kind, number, oids.BOOL, -1, op, left_args, right_args, funcs, types)


def row_compare_sublink(scope: Scope, left_node: Any, op: str, node: Any, position: int | None) -> Expr:
    """(a, b) = (SELECT …)"""
    query = scope.context.subquery(scope, node.subselect)
    left = transform(scope, left_node)
    assert isinstance(left, nodes.Row), "a row expression makes a row"
    if op not in ("=", "<>"):
        raise not_built("row comparison with a subquery other than = and <>", position)
    number = scope.context.sublinks.add(query)
    return _quantified(scope, "row_compare", left.args, op, query, number, position)


def left_position(node: Any) -> int | None:
    """Where a subquery's left side stands."""
    return position_of(node.testexpr)


def slot_columns(link: tree.SubLink) -> list[int]:
    """The result columns that the link's right sides read, when each is a plain column."""
    return [e.i for e in link.right if isinstance(e, Slot)]
