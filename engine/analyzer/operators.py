"""Operator expressions: infix operators, IN, BETWEEN, LIKE, IS DISTINCT FROM, NULLIF, ANY/ALL, row comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.coerce import can_coerce, coerce_to_boolean, coerce_to_common, coerce_type, common_type
from sixfold.engine.analyzer.exprs import handles, position_of, transform
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.overload import apply_operator, find_operator, operator_call
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.sublinks import row_compare_sublink
from sixfold.engine.analyzer.tree import Var
from sixfold.engine.analyzer.typerows import base_type, type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import contains, type_of
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

Kind = enums.A_Expr_Kind


@handles(ast.A_Expr)
def _a_expr(scope: Scope, node: Any) -> Expr:
    handler = _KINDS.get(node.kind)
    if handler is None:
        raise not_built(f"operator form {node.kind!s}", pos(node))
    return handler(scope, node)


def operator_name(names: Any) -> tuple[str, str | None]:
    """Name and schema of an operator as written."""
    return names[-1].sval, (names[-2].sval if len(names) > 1 else None)


def _infix(scope: Scope, node: Any) -> Expr:
    name, schema = operator_name(node.name)
    left_node, right_node = node.lexpr, node.rexpr
    if type(left_node) is ast.RowExpr:
        if type(right_node) is ast.SubLink and right_node.subLinkType == enums.SubLinkType.EXPR_SUBLINK:
            return row_compare_sublink(scope, left_node, name, right_node, pos(node))
        if type(right_node) is ast.RowExpr:
            left = transform(scope, left_node)
            right = transform(scope, right_node)
            assert isinstance(left, nodes.Row) and isinstance(right, nodes.Row), "row expressions make rows"
            return row_comparison(scope, name, left.args, right.args, pos(node))
    return operator_call(
        scope,
        name,
        transform(scope, left_node) if left_node is not None else None,
        transform(scope, right_node),
        pos(node),
        schema,
        position_of(left_node) if left_node is not None else None,
        position_of(right_node),
    )


def row_comparison(scope: Scope, op: str, left: list[Expr], right: list[Expr], position: int | None) -> Expr:
    """make_row_comparison_op."""
    if len(left) != len(right):
        raise SqlError("42601", "unequal number of entries in row expressions", position=position)
    if not left:
        raise SqlError("0A000", "cannot compare rows of zero length", position=position)
    if op in ("=", "<>") or len(left) == 1:
        parts = [
            coerce_to_boolean(scope, operator_call(scope, op, a, b, position), "row comparison", position)
            for a, b in zip(left, right, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        return nodes.And(parts) if op == "=" else nodes.Or(parts)
    if op not in ("<", "<=", ">", ">="):
        raise SqlError(
            "0A000",
            f"could not determine interpretation of row comparison operator {op}",
            hint="Row comparison operators must be associated with btree operator families.",
            position=position,
        )
    lefts: list[Expr] = []
    rights: list[Expr] = []
    types: list[int] = []
    for a, b in zip(left, right, strict=True):
        call = operator_call(scope, op, a, b, position)
        if not isinstance(call, nodes.Func):
            raise not_built("this row comparison", position)
        x, y = call.args
        typ = type_of(x)
        if type_of(y) != typ:
            typ = common_type(scope, [x, y], "row comparison", [position, position])
            x = coerce_to_common(scope, x, typ, "row comparison", position)
            y = coerce_to_common(scope, y, typ, "row comparison", position)
        lefts.append(x)
        rights.append(y)
        types.append(base_type(scope.catalog, typ))
    return nodes.RowCompare(op, lefts, rights, types)


# ---- ANY and ALL over arrays


def _any_all(scope: Scope, node: Any) -> Expr:
    name, schema = operator_name(node.name)
    return array_operator(
        scope,
        name,
        schema,
        node.kind == Kind.AEXPR_OP_ALL,
        transform(scope, node.lexpr),
        transform(scope, node.rexpr),
        pos(node),
    )


def array_operator(
    scope: Scope, name: str, schema: str | None, every: bool, left: Expr, array: Expr, position: int | None
) -> Expr:
    """make_scalar_array_op."""
    catalog = scope.catalog
    left_type, array_type = type_of(left), type_of(array)
    if array_type == UNKNOWN:
        elem = UNKNOWN
    else:
        elem = type_row(catalog, base_type(catalog, array_type)).elem
        if not elem or not type_row(catalog, base_type(catalog, array_type)).is_array:
            raise SqlError("42809", "op ANY/ALL (array) requires array on right side", position=position)
    operator = find_operator(scope, name, schema, left_type, elem, position)
    if operator.result != oids.BOOL:
        raise SqlError("42809", "op ANY/ALL (array) requires operator to yield boolean", position=position)
    sample = apply_operator(scope, operator, left, nodes.Const(elem, None), position, position)
    assert isinstance(sample, nodes.Func), "comparison operators are plain functions"
    declared = sample.arg_types[1]
    if declared in oids.POLYMORPHIC:
        declared = elem
    array_target = type_row(catalog, declared).array
    if not array_target:
        raise SqlError(
            "42704", f"could not find array type for data type {format_type(catalog, declared)}", position=position
        )
    if not can_coerce(catalog, (array_type,), (array_target,), "i"):
        raise SqlError(
            "42883",
            f"operator does not exist: {format_type(catalog, left_type)} {name} {format_type(catalog, elem)}",
            position=position,
        )
    array = coerce_type(scope, array, array_type, array_target, -1, "i", position)
    return nodes.AnyAll(sample.func, sample.args[0], array, declared, every)


def _in(scope: Scope, node: Any) -> Expr:
    negated = node.name[0].sval == "<>"
    op = "<>" if negated else "="
    position = pos(node)
    left_node = node.lexpr
    left = transform(scope, left_node)
    values = [transform(scope, v) for v in node.rexpr]
    rows = isinstance(left, nodes.Row) or any(isinstance(v, nodes.Row) for v in values)
    constant = [] if rows else [v for v in values if not contains(v, lambda e: type(e) is Var)]
    parts: list[Expr] = []
    rest = values
    if len(constant) > 1:
        everything = [left, *constant]
        common = common_type(scope, everything, None, [None] * len(everything))
        array_type = type_row(scope.catalog, common).array if common and common != oids.RECORD else 0
        if array_type and all(can_coerce(scope.catalog, (type_of(e),), (common,), "i") for e in everything):
            elements = [coerce_to_common(scope, v, common, "IN", position) for v in constant]
            array = nodes.Array(elements, common, array_type, False)
            parts.append(array_operator(scope, op, None, negated, left, array, position))
            done = {id(v) for v in constant}
            rest = [v for v in values if id(v) not in done]
    places = {id(v): position_of(raw) for v, raw in zip(values, node.rexpr, strict=True)}
    for value in rest:
        if isinstance(left, nodes.Row) and isinstance(value, nodes.Row):
            parts.append(row_comparison(scope, op, left.args, value.args, position))
        else:
            comparison = operator_call(
                scope, op, left, value, position, None, position_of(left_node), places[id(value)]
            )
            parts.append(coerce_to_boolean(scope, comparison, "IN", position))
    if len(parts) == 1:
        return parts[0]
    return nodes.And(parts) if negated else nodes.Or(parts)


# ---- the others


def _distinct(scope: Scope, node: Any) -> Expr:
    left, right = transform(scope, node.lexpr), transform(scope, node.rexpr)
    negated = node.kind == Kind.AEXPR_NOT_DISTINCT
    for null, other in ((node.rexpr, left), (node.lexpr, right)):
        # IS [NOT] DISTINCT FROM NULL
        if type(null) is ast.A_Const and null.isnull:
            if type_of(other) == UNKNOWN:
                other = coerce_type(scope, other, UNKNOWN, oids.TEXT, -1, "i")
            return nodes.IsNull(other, not negated)
    if isinstance(left, nodes.Row) and isinstance(right, nodes.Row):
        if len(left.args) != len(right.args):
            raise SqlError("42601", "unequal number of entries in row expressions", position=pos(node))
        parts = [_one_distinct(scope, a, b, negated, pos(node)) for a, b in zip(left.args, right.args, strict=True)]
        return nodes.And(parts) if negated else nodes.Or(parts)
    return _one_distinct(scope, left, right, negated, pos(node))


def _one_distinct(scope: Scope, left: Expr, right: Expr, negated: bool, position: int | None) -> Expr:
    call = operator_call(scope, "=", left, right, position)
    if not isinstance(call, nodes.Func):
        raise SqlError("42804", "IS DISTINCT FROM requires = operator to yield boolean", position=position)
    return nodes.Distinct(call.func, call.args[0], call.args[1], negated, call.arg_types[0])


def _nullif(scope: Scope, node: Any) -> Expr:
    left, right = transform(scope, node.lexpr), transform(scope, node.rexpr)
    call = operator_call(scope, "=", left, right, pos(node), None, position_of(node.lexpr), position_of(node.rexpr))
    if not isinstance(call, nodes.Func):
        raise SqlError("42804", "NULLIF requires = operator to yield boolean", position=pos(node))
    return nodes.NullIf(call.func, call.args[0], call.args[1], type_of(call.args[0]))


def _between(scope: Scope, node: Any) -> Expr:
    arg = transform(scope, node.lexpr)
    low, high = (transform(scope, b) for b in node.rexpr)
    position = pos(node)

    places = {id(low): position_of(node.rexpr[0]), id(high): position_of(node.rexpr[1])}

    def compare(op: str, bound: Expr) -> Expr:
        call = operator_call(scope, op, arg, bound, position, None, position_of(node.lexpr), places[id(bound)])
        return coerce_to_boolean(scope, call, "BETWEEN", position)

    kind = node.kind
    if kind == Kind.AEXPR_BETWEEN:
        return nodes.And([compare(">=", low), compare("<=", high)])
    if kind == Kind.AEXPR_NOT_BETWEEN:
        return nodes.Or([compare("<", low), compare(">", high)])
    if kind == Kind.AEXPR_BETWEEN_SYM:
        return nodes.Or(
            [
                nodes.And([compare(">=", low), compare("<=", high)]),
                nodes.And([compare(">=", high), compare("<=", low)]),
            ]
        )
    return nodes.And(
        [nodes.Or([compare("<", low), compare(">", high)]), nodes.Or([compare("<", high), compare(">", low)])]
    )


_KINDS: dict[Any, Callable[[Scope, Any], Expr]] = {
    Kind.AEXPR_OP: _infix,
    Kind.AEXPR_OP_ANY: _any_all,
    Kind.AEXPR_OP_ALL: _any_all,
    Kind.AEXPR_DISTINCT: _distinct,
    Kind.AEXPR_NOT_DISTINCT: _distinct,
    Kind.AEXPR_NULLIF: _nullif,
    Kind.AEXPR_IN: _in,
    Kind.AEXPR_LIKE: _infix,
    Kind.AEXPR_ILIKE: _infix,
    Kind.AEXPR_SIMILAR: _infix,
    Kind.AEXPR_BETWEEN: _between,
    Kind.AEXPR_NOT_BETWEEN: _between,
    Kind.AEXPR_BETWEEN_SYM: _between,
    Kind.AEXPR_NOT_BETWEEN_SYM: _between,
}
