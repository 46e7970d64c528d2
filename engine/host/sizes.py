"""Sizes of relations: from the volume when its pages are at hand, else from what ANALYZE found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine.catalog.store import kernel_table
from sixfold.engine.planner import nodes
from sixfold.kernel._kernel import Table

if TYPE_CHECKING:
    from sixfold.engine.session import Session

PAGE = 8192


def table_pages(session: Session, oid: int) -> int | None:
    """Pages of a table's own tree."""
    found = session.snapshot.relation(oid)
    if found is None:
        return None
    if found.kind not in ("r", "m") or found.host is not None:
        return found.pages
    kind, value = session.database.volume.table_size(Table(nodes.to_json(kernel_table(found))))
    return int(value[0]) if kind == "done" else found.pages


def overflow_pages(session: Session, oid: int) -> int:
    """Pages of a table's moved-out values, as PostgreSQL's TOAST table; 0 when they are not known now."""
    found = session.snapshot.relation(oid)
    if found is None or found.kind not in ("r", "m") or found.host is not None:
        return 0
    kind, value = session.database.volume.overflow_size(Table(nodes.to_json(kernel_table(found))))
    # An empty tree has a page too.
    return int(value) if kind == "done" and value > 1 else 0


def relation_size(session: Session, oid: int, fork: str = "main") -> int | None:
    if fork != "main":
        return 0
    row = session.snapshot.rows["pg_class"].get(oid)
    if row is not None and row["relkind"] in "iS":
        return max(int(row["relpages"]), 1) * PAGE
    pages = table_pages(session, oid)
    return None if pages is None else pages * PAGE


def indexes_size(session: Session, oid: int) -> int | None:
    found = session.snapshot.relation(oid)
    return None if found is None else sum(relation_size(session, index.oid) or 0 for index in found.indexes)


def table_size(session: Session, oid: int) -> int | None:
    own = relation_size(session, oid)
    return None if own is None else own + overflow_pages(session, oid) * PAGE


def total_size(session: Session, oid: int) -> int | None:
    own = table_size(session, oid)
    return None if own is None else own + (indexes_size(session, oid) or 0)


def database_size(session: Session, database: Any) -> int:
    return sum(
        total_size(session, row["oid"]) or 0
        for row in session.snapshot.rows["pg_class"].rows.values()
        if row["relkind"] == "r"
    )


STRICT: dict[str, Callable[..., Any]] = {
    "pg_relation_size": relation_size,
    "pg_table_size": table_size,
    "pg_indexes_size": indexes_size,
    "pg_total_relation_size": total_size,
    "pg_database_size_name": database_size,
    "pg_database_size_oid": database_size,
    "pg_tablespace_size_oid": database_size,
    "pg_tablespace_size_name": database_size,
    "pg_relation_filenode": lambda session, oid: oid,
    "pg_relation_filepath": lambda session, oid: f"base/5/{oid}",
}
