"""All utility statements: importing this module puts them into `utility.ENTRIES`."""

from __future__ import annotations

from . import copying, cursors, explain, show, transactions
from .cursors import hold_open_cursors
from .ddl import alter, comments, drop, indexes, maintenance, roles, schemas, sequences, tables, views
from .ddl.temporary import drop_temporary_schema

__all__ = [
    "alter",
    "comments",
    "copying",
    "cursors",
    "drop",
    "drop_temporary_schema",
    "explain",
    "hold_open_cursors",
    "indexes",
    "maintenance",
    "roles",
    "schemas",
    "sequences",
    "show",
    "tables",
    "transactions",
    "views",
]
