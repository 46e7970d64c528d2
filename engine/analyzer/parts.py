"""Assignment to a part of a column: `SET a[1] = …`, `SET a[2:3] = …`."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.coerce import coerce
from sixfold.engine.analyzer.exprs import position_of, subscript_bound, transform
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.typerows import base_type, type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.catalog.model import Column
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

LOW_GIVEN, HIGH_GIVEN = 1, 2


def part_assigned(scope: Scope, column: Column, whole: Expr, item: Any) -> Expr:
    """The whole value of a column after `column[…] = value`; `whole` is what it was. `item`: the assignment's parse node."""
    indices = item.indirection
    if any(type(part) is not ast.A_Indices for part in indices):
        raise not_built("assignment to a field of a column", pos(item))
    if type(item.val) in (ast.SetToDefault, ast.MultiAssignRef):
        raise SqlError("0A000", "cannot set an array element to DEFAULT", position=pos(item))
    row = type_row(scope.catalog, base_type(scope.catalog, column.typ))
    if row.oid == oids.JSONB:
        raise not_built("assignment to a part of a jsonb column", pos(item))
    if not row.is_array:
        shown = format_type(scope.catalog, column.typ)
        raise SqlError(
            "42804", f"cannot subscript type {shown} because it does not support subscripting", position=pos(item)
        )
    if not any(part.is_slice for part in indices):
        value = _value(scope, column, row.elem, item)
        bounds = [subscript_bound(scope, part.uidx) for part in indices]
        types = [row.oid, row.elem, *(oids.INT4 for _ in bounds)]
        return nodes.Func("array_set_element", [whole, value, *bounds], types, row.oid)
    if len(indices) > 1:
        raise not_built("assignment to a slice of several dimensions", pos(item))
    value = _value(scope, column, row.oid, item)
    low, high = indices[0].lidx, indices[0].uidx
    given = (LOW_GIVEN if low is not None else 0) | (HIGH_GIVEN if high is not None else 0)
    args = [
        whole,
        value,
        *(nodes.Const(oids.INT4, None) if end is None else subscript_bound(scope, end) for end in (low, high)),
        nodes.Const(oids.INT4, str(given)),
    ]
    return nodes.Func("array_set_slice", args, [row.oid, row.oid, oids.INT4, oids.INT4, oids.INT4], row.oid)


def _value(scope: Scope, column: Column, typ: int, item: Any) -> Expr:
    expr = transform(scope, item.val)
    source = type_of(expr)
    cast = coerce(scope, expr, typ, column.typmod, "a", position_of(item.val))
    if cast is None:
        catalog = scope.catalog
        raise SqlError(
            "42804",
            f'subscripted assignment to "{column.name}" requires type {format_type(catalog, typ)} but expression is of '
            f"type {format_type(catalog, source)}",
            hint="You will need to rewrite or cast the expression.",
            position=pos(item),
        )
    return cast
