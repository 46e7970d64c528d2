"""Expressions of DDL: analysed where they stand in the statement, so that errors have positions, before they are kept as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.analyzer.analyze import analyze_expression, new_context
from sixfold.engine.catalog.model import Relation

if TYPE_CHECKING:
    from .base import Change


def analysed(change: Change, node: Any, table: Relation | None, kind: str) -> None:
    """Raises what is wrong with an expression over a table's columns. `kind`: check, default, generated."""
    session = change.session
    context = new_context(change.catalog, "", (), session.user, session.database_name, session.reading)
    analyze_expression(context, node, relation=table, kind=kind)
