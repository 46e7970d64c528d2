"""Values on their way into a table's columns: assignment casts, defaults, generated columns, CHECK constraints."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.coerce import coerce, coerce_to_boolean
from sixfold.engine.analyzer.exprs import position_of, transform
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.scope import NsItem, Scope, pos
from sixfold.engine.analyzer.tree import Query, Rte, RteColumn, Var
from sixfold.engine.analyzer.typerows import base_type, type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import rewrite, type_of
from sixfold.engine.catalog.model import Column, Relation
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import ast, enums, parse_expression
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr


def target_column(relation: Relation, name: str, position: int | None) -> int:
    """Place of a column of the statement's target."""
    for column in relation.columns:
        if column.name == name and not column.dropped:
            return column.attnum - 1
    if name in ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"):
        raise SqlError("0A000", f'cannot assign to system column "{name}"', position=position)
    raise SqlError("42703", f'column "{name}" of relation "{relation.name}" does not exist', position=position)


def assigned(scope: Scope, expr: Expr, column: Column, position: int | None) -> Expr:
    """transformAssignedExpr: the value as the column's type."""
    source = type_of(expr)
    cast = coerce(scope, expr, column.typ, column.typmod, "a", position)
    if cast is None:
        raise SqlError(
            "42804",
            f'column "{column.name}" is of type {format_type(scope.catalog, column.typ)} but expression is of type '
            f"{format_type(scope.catalog, source)}",
            hint="You will need to rewrite or cast the expression.",
            position=position,
        )
    return cast


def default_of(scope: Scope, relation: Relation, column: Column) -> Expr:
    """What a column gets that is not mentioned."""
    if column.dropped or column.generated:
        return nodes.Const(column.typ if not column.dropped else oids.INT4, None)
    text = column.default
    if text is None:
        typ = type_row(scope.catalog, column.typ)
        while typ.kind == "d" and typ.default is None:
            typ = type_row(scope.catalog, typ.basetype)
        text = typ.default if typ.kind == "d" else None
        if text is None:
            return nodes.Const(base_type(scope.catalog, column.typ), None)
    inner = Scope(scope.context, None, Query(0))
    inner.kind = "default"
    saved, scope.context.arguments = scope.context.arguments, None
    try:
        return assigned(scope, transform(inner, parse_expression(text)), column, None)
    finally:
        scope.context.arguments = saved


class Assigner:
    """Raw values into columns, DEFAULT included."""

    def __init__(self, scope: Scope, relation: Relation, override: Any, update: bool = False) -> None:
        self.scope = scope
        self.relation = relation
        self.override = override
        self.update = update
        # Columns that get more than their defaults.
        self.given: set[int] = set()

    def value(self, scope: Scope, place: int, raw: Any) -> Expr:
        """One value."""
        column = self.relation.columns[place]
        if type(raw) is ast.SetToDefault:
            return default_of(scope, self.relation, column)
        if column.identity and not self.update and self.override == enums.OverridingKind.OVERRIDING_USER_VALUE:
            return default_of(scope, self.relation, column)
        return self.given_value(scope, place, transform(scope, raw), position_of(raw))

    def given_value(self, scope: Scope, place: int, expr: Expr, position: int | None) -> Expr:
        """A value that is analysed already."""
        self.given.add(place)
        return assigned(scope, expr, self.relation.columns[place], position)

    def finish(self) -> None:
        """What is only refused when the whole statement is known to make sense."""
        for place in sorted(self.given):
            _refuse_generated(self, self.relation.columns[place])


def _refuse_generated(assigner: Assigner, column: Column) -> None:
    """Generated columns take no values, ALWAYS identity ones only when overridden."""
    name = column.name
    if column.generated:
        if assigner.update:
            raise SqlError(
                "428C9",
                f'column "{name}" can only be updated to DEFAULT',
                detail=f'Column "{name}" is a generated column.',
            )
        raise SqlError(
            "428C9",
            f'cannot insert a non-DEFAULT value into column "{name}"',
            detail=f'Column "{name}" is a generated column.',
        )
    if column.identity == "a":
        detail = f'Column "{name}" is an identity column defined as GENERATED ALWAYS.'
        if assigner.update:
            raise SqlError("428C9", f'column "{name}" can only be updated to DEFAULT', detail=detail)
        if assigner.override != enums.OverridingKind.OVERRIDING_SYSTEM_VALUE:
            raise SqlError(
                "428C9",
                f'cannot insert a non-DEFAULT value into column "{name}"',
                detail=detail,
                hint="Use OVERRIDING SYSTEM VALUE to override.",
            )


def _over_row(scope: Scope, rte: Rte, kind: str) -> Scope:
    inner = Scope(scope.context, None, Query(0))
    inner.kind = kind
    inner.items = [NsItem(rte.alias, rte.columns, rte)]
    if rte.relation is not None and rte.relation.name != rte.alias:
        inner.items[0].alias = rte.relation.name
    return inner


def generated_columns(scope: Scope, relation: Relation, rte: Rte) -> list[tuple[int, Expr]]:
    """GENERATED ALWAYS AS (…) STORED, over the row."""
    result = []
    for column in relation.columns:
        if column.generated and not column.dropped:
            inner = _over_row(scope, rte, "generated")
            expr = transform(inner, parse_expression(column.default or "NULL"))
            result.append((column.attnum - 1, assigned(inner, expr, column, None)))
    return result


def check_constraints(scope: Scope, relation: Relation, rte: Rte) -> list[tuple[Expr, str, str | None, str | None]]:
    """CHECK constraints of the table and of its columns' domains, over the row, by name."""
    result: list[tuple[Expr, str, str | None, str | None]] = []
    for column in relation.columns:
        if not column.dropped and column.typ >= 10000:
            result += domain_checks(scope, column.typ, Var(rte.id, column.attnum - 1, column.typ, column.typmod))
    for constraint in sorted((c for c in relation.constraints if c.kind == "c"), key=lambda c: c.name):
        inner = _over_row(scope, rte, "check")
        raw = parse_expression(constraint.expr or "NULL")
        expr = coerce_to_boolean(inner, transform(inner, raw), "CHECK", pos(raw))
        result.append((expr, constraint.name, None, None))
    return result


def domain_checks(scope: Scope, typ: int, value: Expr) -> list[tuple[Expr, str, str | None, str | None]]:
    """A domain's constraints on a value, its base domains' first."""
    row = type_row(scope.catalog, typ)
    if row.kind != "d":
        return []
    result = domain_checks(scope, row.basetype, value)
    shown = format_type(scope.catalog, typ)
    base = base_type(scope.catalog, typ)
    if row.not_null:
        result.append((nodes.IsNull(value, True), "", "23502", f"domain {shown} does not allow null values"))
    for constraint in scope.catalog.domain_constraints(typ):
        inner = Scope(scope.context, None, Query(0))
        inner.kind = "check"
        # VALUE reads as a column of that name.
        marker = scope.context.new_rte("relation", "value", [])
        marker.columns = [RteColumn("value", base)]
        inner.items = [NsItem("value", marker.columns, marker)]
        raw = parse_expression(constraint.expr or "NULL")
        expr = coerce_to_boolean(inner, transform(inner, raw), "CHECK", None)

        def put(part: Expr, number: int = marker.id) -> Expr | None:
            return value if isinstance(part, Var) and part.rel == number else None

        message = f'value for domain {shown} violates check constraint "{constraint.name}"'
        result.append((rewrite(expr, put), constraint.name, "23514", message))
    return result


__all__ = [
    "UNKNOWN",
    "Assigner",
    "assigned",
    "check_constraints",
    "default_of",
    "domain_checks",
    "generated_columns",
    "target_column",
]
