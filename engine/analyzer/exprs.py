"""Expressions: from the raw tree to a typed expression, one handler a node kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.coerce import coerce, coerce_to_boolean, coerce_to_common, coerce_type, common_type
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.overload import operator_call
from sixfold.engine.analyzer.records import fields_of
from sixfold.engine.analyzer.scope import (
    NsItem,
    Scope,
    column_by_name,
    expand_star,
    item_by_alias,
    missing_column,
    missing_table,
    pos,
    system_column,
)
from sixfold.engine.analyzer.typerows import type_row
from sixfold.engine.analyzer.types import format_type, resolve_type
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import LiteralPosition, ast, enums
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

HANDLERS: dict[type, Callable[[Scope, Any], Expr]] = {}


def transform(scope: Scope, node: Any) -> Expr:
    """transformExpr: any expression."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        raise not_built(f"{type(node).__name__} in an expression", pos(node))
    return handler(scope, node)


def handles(*kinds: type) -> Callable[[Callable[[Scope, Any], Expr]], Callable[[Scope, Any], Expr]]:
    """Registers a handler for kinds of raw nodes."""

    def register(handler: Callable[[Scope, Any], Expr]) -> Callable[[Scope, Any], Expr]:
        for kind in kinds:
            HANDLERS[kind] = handler
        return handler

    return register


def position_of(node: Any) -> int | None:
    """exprLocation: the leftmost position of a raw expression."""
    least: int | None = None
    while node is not None and not isinstance(node, tuple):
        own = pos(node)
        if type(own) is LiteralPosition:
            return own
        if own is not None:
            least = own if least is None else min(least, own)
        kind = type(node)
        if kind is ast.A_Expr:
            node = node.lexpr
        elif kind is ast.BoolExpr and node.args:
            node = node.args[0]
        elif kind is ast.SubLink:
            node = node.testexpr
        else:
            node = node.arg if kind in WITH_ARG else None
    return least


WITH_ARG = (ast.TypeCast, ast.NullTest, ast.BooleanTest, ast.A_Indirection, ast.CollateClause)


def boolean(scope: Scope, node: Any, construct: str) -> Expr:
    """A raw expression as a condition."""
    return coerce_to_boolean(scope, transform(scope, node), construct, position_of(node))


# ---- constants and parameters


@handles(ast.A_Const)
def _const(scope: Scope, node: Any) -> Expr:
    if node.isnull:
        return nodes.Const(UNKNOWN, None)
    value = node.val
    kind = type(value)
    if kind is ast.Integer:
        return nodes.Const(oids.INT4, str(value.ival or 0))
    if kind is ast.String:
        return nodes.Const(UNKNOWN, value.sval)
    if kind is ast.Float:
        text = value.fval
        if text.lstrip("-").isdigit() and len(text) < 21 and -(1 << 63) <= int(text) < 1 << 63:
            return nodes.Const(oids.INT4 if -(1 << 31) <= int(text) < 1 << 31 else oids.INT8, text)
        return nodes.Const(oids.NUMERIC, text)
    if kind is ast.Boolean:
        return nodes.Const(oids.BOOL, "t" if value.boolval else "f")
    if kind is ast.BitString:
        raise not_built("type bit", pos(node))
    raise not_built(f"a {kind.__name__} constant", pos(node))


@handles(ast.ParamRef)
def _param(scope: Scope, node: Any) -> Expr:
    context = scope.context
    if context.arguments is not None:
        if not 1 <= node.number <= len(context.arguments):
            raise SqlError("42P02", f"there is no parameter ${node.number}", position=pos(node))
        argument: Expr = context.arguments[node.number - 1]
        return argument
    return nodes.Param(node.number - 1, context.params.type_of(node.number, pos(node)))


# ---- columns


@handles(ast.ColumnRef)
def _column(scope: Scope, node: Any) -> Expr:
    fields = node.fields
    position = pos(node)
    last = fields[-1]
    if type(last) is ast.A_Star:
        return _whole_row_star(scope, fields, position)
    names = [f.sval for f in fields]
    if scope.kind == "default":
        raise SqlError("0A000", "cannot use column reference in DEFAULT expression", position=position)
    if len(names) == 1:
        name = names[0]
        found = column_by_name(scope, name, position)
        if found is not None:
            return found
        argument = _named_argument(scope, name)
        if argument is not None:
            return argument
        item = item_by_alias(scope, name, None, position)
        if item is not None:
            return whole_row(item)
        raise missing_column(scope, None, name, position)
    if len(names) > 3:
        raise SqlError(
            "42601", f"improper qualified name (too many dotted names): {'.'.join(names)}", position=position
        )
    return _qualified(scope, names, position)


def _named_argument(scope: Scope, name: str) -> Expr | None:
    return None


def _qualified(scope: Scope, names: list[str], position: int | None) -> Expr:
    schema = names[-3] if len(names) == 3 else None
    alias, column = names[-2], names[-1]
    item = item_by_alias(scope, alias, schema, position)
    if item is None:
        raise missing_table(scope, alias, position)
    i = item.find(column, position)
    if i >= 0:
        return item.expr(i)
    system = system_column(item, column, position)
    if system is not None:
        return system
    raise missing_column(scope, alias, column, position)


def whole_row(item: NsItem) -> Expr:
    """A table's name where a value stands: the row."""
    places = item.visible()
    if item.rte is not None and item.rte.kind == "function" and len(places) == 1 and not item.rte.calls[0].types[1:]:
        return item.expr(places[0])
    typ = item.relation.row_type if item.relation is not None and item.relation.row_type else oids.RECORD
    columns = [item.columns[i] for i in places]
    args = [item.expr(i) for i in places]
    absent = None
    if item.nullable and args:
        # A column that is never null tells it; else that all are null.
        known = item.relation.columns if item.relation is not None else ()
        sure = [arg for arg, i in zip(args, places, strict=True) if i < len(known) and known[i].not_null]
        tests: list[Expr] = [nodes.IsNull(arg, False) for arg in sure[:1] or args]
        absent = tests[0] if len(tests) == 1 else nodes.And(tests)
    return tree.NamedRow(args, [c.typ for c in columns], [c.name for c in columns], typ, absent)


def _whole_row_star(scope: Scope, fields: Any, position: int | None) -> Expr:
    if len(fields) == 1:
        raise SqlError("42601", 'row expansion via "*" is not supported here', position=position)
    alias = fields[-2].sval
    item = item_by_alias(scope, alias, fields[-3].sval if len(fields) > 2 else None, position)
    if item is None:
        raise missing_table(scope, alias, position)
    return whole_row(item)


def field_of(scope: Scope, arg: Expr, name: str, position: int | None) -> Expr:
    """(row).field"""
    if isinstance(arg, tree.NamedRow) and name in arg.names:
        return arg.args[arg.names.index(name)]
    typ = type_of(arg)
    composite = type_row(scope.catalog, typ).kind == "c"
    if typ != oids.RECORD and not composite:
        shown = format_type(scope.catalog, typ)
        raise SqlError(
            "42809",
            f"column notation .{name} applied to type {shown}, which is not a composite type",
            position=position,
        )
    for i, (field, field_type) in enumerate(fields_of(scope.context, arg) or ()):
        if field == name:
            inner = arg
            while isinstance(inner, tree.Relabel):
                inner = inner.arg
            if isinstance(inner, nodes.Row):
                return inner.args[i]
            return nodes.Field(arg, i, field_type)
    if not composite:
        raise SqlError("42703", f'could not identify column "{name}" in record data type', position=position)
    raise SqlError(
        "42703", f'column "{name}" not found in data type {format_type(scope.catalog, typ)}', position=position
    )


# ---- boolean


@handles(ast.BoolExpr)
def _bool(scope: Scope, node: Any) -> Expr:
    op = node.boolop
    if op == enums.BoolExprType.NOT_EXPR:
        return nodes.Not(boolean(scope, node.args[0], "NOT"))
    name = "AND" if op == enums.BoolExprType.AND_EXPR else "OR"
    args = [boolean(scope, a, name) for a in node.args]
    return nodes.And(args) if name == "AND" else nodes.Or(args)


@handles(ast.NullTest)
def _null_test(scope: Scope, node: Any) -> Expr:
    arg = transform(scope, node.arg)
    negated = node.nulltesttype == enums.NullTestType.IS_NOT_NULL
    if isinstance(arg, nodes.Row | tree.NamedRow):
        # (a, b) IS NULL asks it of every field.
        return nodes.And([nodes.IsNull(a, negated) for a in arg.args]) if arg.args else nodes.Const(oids.BOOL, "t")
    return nodes.IsNull(arg, negated)


_BOOLEAN_TESTS = {
    enums.BoolTestType.IS_TRUE: ("true", False, "IS TRUE"),
    enums.BoolTestType.IS_NOT_TRUE: ("true", True, "IS NOT TRUE"),
    enums.BoolTestType.IS_FALSE: ("false", False, "IS FALSE"),
    enums.BoolTestType.IS_NOT_FALSE: ("false", True, "IS NOT FALSE"),
    enums.BoolTestType.IS_UNKNOWN: ("unknown", False, "IS UNKNOWN"),
    enums.BoolTestType.IS_NOT_UNKNOWN: ("unknown", True, "IS NOT UNKNOWN"),
}


@handles(ast.BooleanTest)
def _boolean_test(scope: Scope, node: Any) -> Expr:
    test, negated, construct = _BOOLEAN_TESTS[node.booltesttype]
    return nodes.BoolTest(boolean(scope, node.arg, construct), test, negated)


# ---- CASE, COALESCE and their kin


def _no_sets(scope: Scope, before: int, what: str) -> None:
    """An expression that may leave parts out has no set-returning function in it."""
    if len(scope.query.sets) > before:
        raise SqlError(
            "0A000",
            f"set-returning functions are not allowed in {what}",
            hint="You might be able to move the set-returning function into a LATERAL FROM item.",
            position=scope.query.sets[-1],
        )


@handles(ast.CaseExpr)
def _case(scope: Scope, node: Any) -> Expr:
    before = len(scope.query.sets)
    test = None
    if node.arg is not None:
        test = transform(scope, node.arg)
        if type_of(test) == UNKNOWN:
            test = coerce_type(scope, test, UNKNOWN, oids.TEXT, -1, "i", position_of(node.arg))
    conditions: list[Expr] = []
    results: list[Expr] = []
    places: list[int | None] = []
    for when in node.args:
        if test is not None:
            value = transform(scope, when.expr)
            condition = operator_call(
                scope, "=", test, value, pos(when), None, position_of(node.arg), position_of(when.expr)
            )
            conditions.append(coerce_to_boolean(scope, condition, "CASE/WHEN", position_of(when.expr)))
        else:
            conditions.append(boolean(scope, when.expr, "CASE/WHEN"))
        results.append(transform(scope, when.result))
        places.append(position_of(when.result))
    other = transform(scope, node.defresult) if node.defresult is not None else nodes.Const(UNKNOWN, None)
    _no_sets(scope, before, "CASE")
    # The ELSE is the first to give the type.
    typ = common_type(scope, [other, *results], "CASE", [position_of(node.defresult), *places])
    other = coerce_to_common(scope, other, typ, "CASE/ELSE", position_of(node.defresult))
    results = [coerce_to_common(scope, r, typ, "CASE/WHEN", p) for r, p in zip(results, places, strict=True)]
    if isinstance(other, nodes.Const) and other.text is None:
        return nodes.Case(list(zip(conditions, results, strict=True)), None if node.defresult is None else other, typ)
    return nodes.Case(list(zip(conditions, results, strict=True)), other, typ)


def _unify(scope: Scope, items: Any, what: str) -> tuple[list[Expr], int]:
    args = [transform(scope, a) for a in items]
    places = [position_of(a) for a in items]
    typ = common_type(scope, args, what, places)
    return [coerce_to_common(scope, a, typ, what, p) for a, p in zip(args, places, strict=True)], typ


@handles(ast.CoalesceExpr)
def _coalesce(scope: Scope, node: Any) -> Expr:
    before = len(scope.query.sets)
    args, typ = _unify(scope, node.args, "COALESCE")
    _no_sets(scope, before, "COALESCE")
    return nodes.Coalesce(args, typ)


@handles(ast.MinMaxExpr)
def _min_max(scope: Scope, node: Any) -> Expr:
    greatest = node.op == enums.MinMaxOp.IS_GREATEST
    args, typ = _unify(scope, node.args, "GREATEST" if greatest else "LEAST")
    return nodes.Greatest(args, typ) if greatest else nodes.Least(args, typ)


# ---- casts


@handles(ast.TypeCast)
def _cast(scope: Scope, node: Any) -> Expr:
    typ, typmod = resolve_type(scope.catalog, node.typeName)
    arg = node.arg
    if type(arg) is ast.A_ArrayExpr and typ.is_array:
        expr = array_of(scope, arg, typ.oid, typ.elem, typmod)
    else:
        expr = transform(scope, arg)
    source = type_of(expr)
    position = position_of(arg)
    cast = coerce(
        scope, expr, typ.oid, typmod, "e", position if source == UNKNOWN else pos(node) or position, explicit=True
    )
    if cast is None:
        raise SqlError(
            "42846",
            f"cannot cast type {format_type(scope.catalog, source)} to {format_type(scope.catalog, typ.oid)}",
            position=pos(node) or position,
        )
    return cast


@handles(ast.CollateClause)
def _collate(scope: Scope, node: Any) -> Expr:
    arg = transform(scope, node.arg)
    name = node.collname[-1].sval
    if name not in ("C", "POSIX", "default", "ucs_basic", "en_US.utf8", "C.utf8", "C.UTF-8"):
        shown = ".".join(n.sval for n in node.collname)
        raise SqlError("42704", f'collation "{shown}" for encoding "UTF8" does not exist', position=pos(node))
    typ = type_of(arg)
    if typ == UNKNOWN:
        return arg
    if type_row(scope.catalog, typ).collation == 0:
        raise SqlError(
            "42804", f"collations are not supported by type {format_type(scope.catalog, typ)}", position=pos(node)
        )
    return arg


# ---- arrays


@handles(ast.A_ArrayExpr)
def _array(scope: Scope, node: Any) -> Expr:
    return array_of(scope, node, 0, 0, -1)


def array_of(scope: Scope, node: Any, array: int, elem: int, typmod: int) -> Expr:
    """transformArrayExpr: `array`, `elem` are the types asked for by a cast around it, 0 without one."""
    elements: list[Expr] = []
    places: list[int | None] = []
    nested = False
    for item in node.elements or ():
        if type(item) is ast.A_ArrayExpr:
            value = array_of(scope, item, array, elem, typmod)
            nested = True
        else:
            value = transform(scope, item)
            if not nested and type_row(scope.catalog, type_of(value)).is_array:
                nested = True
        elements.append(value)
        places.append(position_of(item))
    if array:
        target = array if nested else elem
        cast_elements = []
        for value, place in zip(elements, places, strict=True):
            cast = coerce(scope, value, target, typmod, "e", place, explicit=True)
            if cast is None:
                shown = format_type(scope.catalog, type_of(value))
                raise SqlError(
                    "42846", f"cannot cast type {shown} to {format_type(scope.catalog, target)}", position=place
                )
            cast_elements.append(cast)
        return nodes.Array(cast_elements, elem, array, nested)
    if not elements:
        raise SqlError(
            "42P18",
            "cannot determine type of empty array",
            hint="Explicitly cast to the desired type, for example ARRAY[]::integer[].",
            position=pos(node),
        )
    common = common_type(scope, elements, "ARRAY", places)
    row = type_row(scope.catalog, common)
    if nested:
        array, elem = common, row.elem
    else:
        array, elem = row.array, common
        if not array:
            raise SqlError(
                "42704",
                f"could not find array type for data type {format_type(scope.catalog, common)}",
                position=pos(node),
            )
    elements = [coerce_to_common(scope, e, common, "ARRAY", p) for e, p in zip(elements, places, strict=True)]
    return nodes.Array(elements, elem, array, nested)


@handles(ast.A_Indirection)
def _indirection(scope: Scope, node: Any) -> Expr:
    expr, steps = row_start(scope, node)
    subscripts: list[Any] = []
    for item in steps:
        if type(item) is ast.A_Indices:
            subscripts.append(item)
            continue
        if subscripts:
            expr = subscript(scope, expr, subscripts, pos(node.arg))
            subscripts = []
        if type(item) is ast.A_Star:
            raise SqlError("42601", 'row expansion via "*" is not supported here', position=pos(node.arg))
        expr = field_of(scope, expr, item.sval, pos(node.arg))
    return subscript(scope, expr, subscripts, pos(node.arg)) if subscripts else expr


def named_row(scope: Scope, node: Any) -> NsItem | None:
    """The FROM item that a parse node means by its name alone: `(t)`."""
    if type(node) is not ast.ColumnRef or len(node.fields) != 1 or type(node.fields[0]) is not ast.String:
        return None
    name = node.fields[0].sval
    if column_by_name(scope, name, pos(node)) is not None:
        return None
    return item_by_alias(scope, name, None, pos(node))


def row_start(scope: Scope, node: Any) -> tuple[Expr, Any]:
    """What an indirection begins with, and its steps: `(t).a` is the column itself."""
    item = named_row(scope, node.arg)
    if item is not None and type(node.indirection[0]) is ast.String:
        name = node.indirection[0].sval
        i = item.find(name, pos(node.arg))
        if i < 0:
            raise missing_column(scope, item.alias, name, pos(node.arg))
        return item.expr(i), node.indirection[1:]
    return transform(scope, node.arg), node.indirection


def _name_subscript(scope: Scope, arg: Expr, item: Any) -> Expr:
    """name[n], from 0: its n-th byte as "char"."""
    at = subscript_bound(scope, item.uidx)
    one = nodes.Const(oids.INT4, "1")
    place = nodes.Func("int4pl", [at, one], [oids.INT4, oids.INT4], oids.INT4)
    text = nodes.Func("name_text", [arg], [oids.NAME], oids.TEXT)
    part = nodes.Func("text_substr", [text, place, one], [oids.TEXT, oids.INT4, oids.INT4], oids.TEXT)
    return nodes.Func("text_char", [part], [oids.TEXT], oids.CHAR)


def subscript(scope: Scope, arg: Expr, items: list[Any], position: int | None) -> Expr:
    """array[…][…], array[a:b], jsonb['key']."""
    typ = type_of(arg)
    row = type_row(scope.catalog, typ)
    base = type_row(scope.catalog, row.basetype) if row.kind == "d" else row
    if base.oid == oids.JSONB:
        return _jsonb_subscript(scope, arg, items)
    if base.oid == oids.NAME and len(items) == 1 and not items[0].is_slice:
        return _name_subscript(scope, arg, items[0])
    if not base.elem or (not base.is_array and base.oid not in (oids.INT2VECTOR, oids.OIDVECTOR)):
        raise SqlError(
            "42804",
            f"cannot subscript type {format_type(scope.catalog, typ)} because it does not support subscripting",
            position=position,
        )
    slices = any(i.is_slice for i in items)
    index = []
    for item in items:
        low = subscript_bound(scope, item.lidx) if item.lidx is not None else None
        high = subscript_bound(scope, item.uidx) if item.uidx is not None else None
        if slices and not item.is_slice:
            low = nodes.Const(oids.INT4, "1")
        index.append(nodes.SubscriptItem(slices, low, high))
    return nodes.Subscript(arg, index, base.oid if slices else base.elem, base.elem)


def subscript_bound(scope: Scope, node: Any) -> Expr:
    """A subscript, as integer."""
    expr = transform(scope, node)
    cast = coerce(scope, expr, oids.INT4, -1, "a", position_of(node))
    if cast is None:
        raise SqlError("42804", "array subscript must have type integer", position=position_of(node))
    return cast


def _jsonb_subscript(scope: Scope, arg: Expr, items: list[Any]) -> Expr:
    path: list[Expr] = []
    for item in items:
        if item.is_slice:
            raise SqlError("42804", "jsonb subscript does not support slices", position=position_of(item.uidx))
        expr = transform(scope, item.uidx)
        typ = type_of(expr)
        if typ == UNKNOWN:
            expr = coerce_type(scope, expr, UNKNOWN, oids.TEXT, -1, "i")
        elif typ != oids.TEXT:
            cast = coerce(scope, expr, oids.INT4, -1, "i") or coerce(scope, expr, oids.TEXT, -1, "i")
            if cast is None:
                raise SqlError(
                    "42804",
                    "subscript type is not supported",
                    hint="jsonb subscript must be coercible to either integer or text.",
                    position=position_of(item.uidx),
                )
            expr = cast if type_of(cast) == oids.TEXT else nodes.CastIo(cast, oids.INT4, oids.TEXT, -1)
        path.append(expr)
    array = nodes.Array(path, oids.TEXT, 1009, False)
    return nodes.Func("jsonb_extract_path", [arg, array], [oids.JSONB, 1009], oids.JSONB)


# ---- rows


@handles(ast.RowExpr)
def _row(scope: Scope, node: Any) -> Expr:
    args: list[Expr] = []
    for item in node.args or ():
        if type(item) is ast.ColumnRef and type(item.fields[-1]) is ast.A_Star:
            args += [e for _, e, _ in expand_star(scope, item)]
        else:
            args.append(transform(scope, item))
    # Constants of unknown type stay so: a comparison with another row may say what they are.
    return nodes.Row(args, [type_of(a) for a in args])


@handles(ast.SetToDefault)
def _default(scope: Scope, node: Any) -> Expr:
    raise SqlError("42601", "DEFAULT is not allowed in this context", position=pos(node))
