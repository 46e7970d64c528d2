"""Catalogue rows in memory: one `RowTable` a catalogue, with the lookups that snapshots need.

`Rows.fork` is cheap: tables are shared until one of the two changes one. So a transaction with DDL, and each of its
savepoints, has rows of its own, and rolling back is dropping them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

Row = dict[str, Any]
Key = tuple[Any, ...]


class Shape(msgspec.Struct, frozen=True):
    """How a catalogue's rows are found: by `key` (unique, its primary index), and by each of `groups`."""

    name: str
    oid: int
    key: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    # Only rows of users are kept in memory: those with this column at or above 16384. Empty: all rows.
    user_column: str = ""


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("pg_class", 1259, ("oid",), (("relnamespace", "relname"), ("relnamespace",)), "oid"),
        Shape("pg_attribute", 1249, ("attrelid", "attnum"), (("attrelid",),), "attrelid"),
        Shape("pg_type", 1247, ("oid",), (("typnamespace", "typname"), ("typnamespace",)), "oid"),
        Shape("pg_namespace", 2615, ("oid",), (("nspname",),)),
        Shape("pg_index", 2610, ("indexrelid",), (("indrelid",),), "indexrelid"),
        Shape(
            "pg_constraint",
            2606,
            ("oid",),
            (("conrelid",), ("confrelid",), ("contypid",), ("conindid",), ("connamespace",)),
            "oid",
        ),
        Shape("pg_attrdef", 2604, ("oid",), (("adrelid",),), "oid"),
        Shape("pg_sequence", 2224, ("seqrelid",), (), "seqrelid"),
        Shape("pg_rewrite", 2618, ("oid",), (("ev_class",),), "oid"),
        Shape("pg_enum", 3501, ("oid",), (("enumtypid",),), "oid"),
        Shape("pg_description", 2609, ("objoid", "classoid", "objsubid"), (("classoid", "objoid"),)),
        Shape("pg_shdescription", 2396, ("objoid", "classoid")),
        Shape(
            "pg_depend",
            2608,
            ("classid", "objid", "objsubid", "refclassid", "refobjid", "refobjsubid"),
            (("classid", "objid"), ("refclassid", "refobjid")),
        ),
        Shape("pg_inherits", 2611, ("inhrelid", "inhseqno"), (("inhparent",),)),
        Shape("pg_partitioned_table", 3350, ("partrelid",)),
        Shape("pg_authid", 1260, ("oid",), (("rolname",),)),
        Shape("pg_auth_members", 1261, ("roleid", "member"), (("member",), ("roleid",))),
        Shape("pg_database", 1262, ("oid",), (("datname",),)),
        Shape("pg_tablespace", 1213, ("oid",), (("spcname",),)),
        Shape("pg_db_role_setting", 2964, ("setdatabase", "setrole")),
        Shape("pg_collation", 3456, ("oid",), (), "oid"),
        Shape("pg_statistic", 2619, ("starelid", "staattnum", "stainherit"), (("starelid",),)),
        # Not PostgreSQL's: where a relation's trees are. relfilenode is 32 bits wide and page numbers are not.
        Shape("sixfold_storage", 9001, ("relid",)),
    )
}


class RowTable:
    """Rows of one catalogue. Groups are tuples, replaced when they change, so that copies may share them."""

    __slots__ = ("_groups", "rows", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.rows: dict[Key, Row] = {}
        self._groups: dict[tuple[str, ...], dict[Key, tuple[Row, ...]]] = {columns: {} for columns in shape.groups}

    def copy(self) -> RowTable:
        """A table that can be changed without changing this one."""
        other = RowTable(self.shape)
        other.rows = dict(self.rows)
        other._groups = {columns: dict(group) for columns, group in self._groups.items()}
        return other

    def key_of(self, row: Row) -> Key:
        """The row's key."""
        return tuple(row[name] for name in self.shape.key)

    def put(self, row: Row) -> None:
        """Add a row or replace the one with its key."""
        key = self.key_of(row)
        self.remove(key)
        self.rows[key] = row
        for columns, group in self._groups.items():
            value = tuple(row[name] for name in columns)
            group[value] = (*group.get(value, ()), row)

    def load(self, rows: Iterable[Row]) -> None:
        """Add many rows to an empty table."""
        lists: dict[tuple[str, ...], dict[Key, list[Row]]] = {columns: {} for columns in self._groups}
        for row in rows:
            self.rows[self.key_of(row)] = row
            for columns, found in lists.items():
                found.setdefault(tuple(row[name] for name in columns), []).append(row)
        self._groups = {
            columns: {value: tuple(rows) for value, rows in found.items()} for columns, found in lists.items()
        }

    def remove(self, key: Key) -> None:
        """Forget a row, if it is there."""
        row = self.rows.pop(key, None)
        if row is None:
            return
        for columns, group in self._groups.items():
            value = tuple(row[name] for name in columns)
            rest = tuple(other for other in group[value] if other is not row)
            if rest:
                group[value] = rest
            else:
                del group[value]

    def get(self, *key: Any) -> Row | None:
        """The row with this key."""
        return self.rows.get(key)

    def group(self, columns: tuple[str, ...], *values: Any) -> tuple[Row, ...]:
        """Rows whose `columns` have these values, in the order of their making."""
        return self._groups[columns].get(values, ())


# One change: catalogue, key, and the new row (None: deleted).
Change = tuple[str, Key, Row | None]


class Rows:
    """All catalogues' rows, copied on write."""

    __slots__ = ("_own", "tables")

    def __init__(self) -> None:
        self.tables: dict[str, RowTable] = {name: RowTable(shape) for name, shape in SHAPES.items()}
        self._own: set[str] = set(self.tables)

    def __getitem__(self, name: str) -> RowTable:
        return self.tables[name]

    def fork(self) -> Rows:
        """Rows that begin as these are; neither sees the other's changes."""
        other = Rows.__new__(Rows)
        other.tables = dict(self.tables)
        other._own = set()
        self._own = set()
        return other

    def apply(self, change: Change) -> None:
        """Make one change."""
        name, key, row = change
        if name not in self._own:
            self.tables[name] = self.tables[name].copy()
            self._own.add(name)
        if row is None:
            self.tables[name].remove(key)
        else:
            self.tables[name].put(row)
