"""Expressions of DDL: analysed where they stand in the statement, so that errors have positions, before they are kept as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.analyzer.analyze import analyze_expression, new_context
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import SqlError

if TYPE_CHECKING:
    from .base import Change


def analysed(change: Change, node: Any, table: Relation | None, kind: str, typ: int = 0, typmod: int = -1) -> None:
    """Raises what is wrong with an expression over a table's columns, for a column of type `typ`. `kind`: check, default,
    generated."""
    session = change.session
    node_of, text = change.source or (None, "")
    context = new_context(change.catalog, text, (), session.user, session.database_name, session.reading)
    try:
        analyze_expression(context, node, node_of, relation=table, kind=kind, typ=typ, typmod=typmod)
    except SqlError as error:
        if change.source is None:
            error.position = None
        raise
