"""Expressions of DDL: analysed where they stand in the statement, so that errors have positions, before they are kept as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.analyzer.analyze import analyze_expression, new_context
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.catalog.model import Column, Relation
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import parse_expression
from sixfold.engine.planner.nodes import Expr

if TYPE_CHECKING:
    from .base import Change


def analysed(change: Change, node: Any, table: Relation | None, kind: str, typ: int = 0, typmod: int = -1) -> Expr:
    """An expression over a table's columns, for a column of type `typ`; raises what is wrong with it. `kind`: check, default,
    generated, using."""
    session = change.session
    source = change.altering if kind == "using" else change.source
    node_of, text = source or (None, "")
    context = new_context(change.catalog, text, (), session.user, session.database_name, session.reading)
    try:
        expr, _ = analyze_expression(context, node, node_of, relation=table, kind=kind, typ=typ, typmod=typmod)
    except SqlError as error:
        if source is None:
            error.position = None
        raise
    return expr


def check_using(change: Change, table: Relation, column: Column, using: Any, typ: int) -> None:
    """The expression must have a type that can be assigned to the new one."""
    source = type_of(analysed(change, using, table, "using"))
    if source not in (typ, UNKNOWN) and not can_assign(change, source, typ):
        shown = format_type(change.catalog, typ)
        raise SqlError(
            "42804",
            f'result of USING clause for column "{column.name}" cannot be cast automatically to type {shown}',
            hint="You might need to add an explicit cast.",
        )


def check_default(change: Change, column: Column, typ: int) -> None:
    """A column's default must be one of its new type, too."""
    source = type_of(analysed(change, parse_expression(column.default or "NULL"), None, "default"))
    if source not in (typ, UNKNOWN) and not can_assign(change, source, typ):
        shown = format_type(change.catalog, typ)
        raise SqlError("42804", f'default for column "{column.name}" cannot be cast automatically to type {shown}')


def can_assign(change: Change, source: int, target: int) -> bool:
    """Is there an assignment cast?"""
    catalog = change.catalog
    cast = catalog.cast(source, target)
    if cast is not None:
        return cast.context in ("i", "a")
    one, two = catalog.type_by_oid(source), catalog.type_by_oid(target)
    if one is None or two is None:
        return False
    if two.kind == "d":
        return can_assign(change, source, two.basetype) or source == two.basetype
    if one.is_array and two.is_array:
        return one.elem == two.elem or can_assign(change, one.elem, two.elem)
    return two.category == "S" or source == 2249
