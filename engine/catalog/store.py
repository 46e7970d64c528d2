"""Catalogue rows in their trees: read and written by kernel plans, like any table's.

Rows are dictionaries of Python values by column name; `char` columns are one-character strings, vectors and arrays are lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sixfold.engine.planner import nodes
from sixfold.engine.waits import Waits
from sixfold.kernel._kernel import Plan, Session

from .model import Relation
from .rows import SHAPES, Key, Row, Rows
from .system import STORAGE, USER_OID, SystemRelations, columns_of, index_oids, served

CHAR = 18


def kernel_table(relation: Relation) -> nodes.Table:
    """A relation as plans name it."""
    return nodes.Table(
        oid=relation.oid,
        schema=relation.schema,
        name=relation.name,
        root=relation.root,
        overflow=relation.overflow,
        columns=[nodes.Column(c.name, c.typ, c.typmod, c.dropped, c.not_null, c.missing) for c in relation.columns],
        indexes=[
            nodes.Index(
                i.oid,
                i.name,
                i.root,
                i.unique,
                i.nulls_not_distinct,
                [nodes.IndexKey(k.attnum - 1, k.desc, k.nulls_first) for k in i.keys],
            )
            for i in relation.indexes
            if not i.exprs and i.predicate is None
        ],
    )


class CatalogTable:
    """One stored catalogue: its plans, and its rows' way in and out."""

    def __init__(self, name: str, relation: Relation) -> None:
        self.name = name
        self.shape = SHAPES[name]
        self.relation = relation
        self.table = kernel_table(relation)
        self.names = [column.name for column in relation.columns]
        self.types = [column.typ for column in relation.columns]
        self._chars = [at for at, typ in enumerate(self.types) if typ == CHAR]
        self._key_types = [self.types[self.names.index(name)] for name in self.shape.key]
        self._plans: dict[str, Plan] = {}

    def encode(self, row: Row) -> list[Any]:
        """Values in column order, as the kernel takes them."""
        values = [row.get(name) for name in self.names]
        for at in self._chars:
            value = values[at]
            values[at] = ord(value[0]) if value else (None if value is None else 0)
        return values

    def decode(self, values: Sequence[Any]) -> Row:
        """The other way."""
        row = dict(zip(self.names, values, strict=True))
        for at in self._chars:
            value = row[self.names[at]]
            row[self.names[at]] = None if value is None else chr(value) if value else ""
        return row

    def plan(self, kind: str) -> Plan:
        """insert, bulk (from HostScan "rows"), update, delete, all, user."""
        found = self._plans.get(kind)
        if found is None:
            make: dict[str, Callable[[], nodes.Plan]] = {
                "insert": self._insert,
                "bulk": self._bulk,
                "update": self._update,
                "delete": self._delete,
                "all": self._all,
                "user": self._user,
            }
            found = self._plans[kind] = Plan.compile(nodes.to_json(make[kind]()))
        return found

    def _wrap(self, root: nodes.Node, params: list[int], tag: str, writes: bool, output: bool = False) -> nodes.Plan:
        columns = (
            [nodes.OutputColumn(name, typ, -1, 0, 0) for name, typ in zip(self.names, self.types, strict=True)]
            if output
            else []
        )
        return nodes.Plan(root, columns, params, 0, [], [(self.relation.oid, 3 if writes else 1)], tag, tag, writes, 0)

    def _insert(self) -> nodes.Plan:
        row: list[nodes.Expr] = [nodes.Param(n, typ) for n, typ in enumerate(self.types)]
        return self._wrap(
            nodes.Insert(self.table, nodes.Values([row], self.types), [], None, None, []), self.types, "INSERT", True
        )

    def _bulk(self) -> nodes.Plan:
        return self._wrap(
            nodes.Insert(self.table, nodes.HostScan("rows", self.types, []), [], None, None, []), [], "INSERT", True
        )

    def _one(self, first: int) -> nodes.Node:
        """The row with the key in params `first`…, all columns and the row id."""
        values: list[nodes.Expr] = [nodes.Param(first + n, typ) for n, typ in enumerate(self._key_types)]
        bound = nodes.Bound(values, True, [False] * len(values))
        everything = list(range(len(self.names)))
        index_keys = [self.names[key.attnum - 1] for key in self.relation.indexes[0].keys]
        if index_keys == list(self.shape.key):
            return nodes.IndexScan(self.table, 0, bound, bound, None, False, everything, None)
        # pg_depend has no unique index: the first three columns by index, the others by filter.
        prefix = len(index_keys)
        short = nodes.Bound(values[:prefix], True, [False] * prefix)
        equal = {26: "oideq", 23: "int4eq", 18: "chareq"}
        tests: list[nodes.Expr] = []
        for name, value, typ in list(zip(self.shape.key, values, self._key_types, strict=True))[prefix:]:
            column = nodes.Col(self.names.index(name), typ)
            tests.append(nodes.Func(equal[typ], [column, value], [typ, typ], 16))
        return nodes.IndexScan(self.table, 0, short, short, None, False, everything, nodes.And(tests))

    def _update(self) -> nodes.Plan:
        width = len(self.names)
        change: list[tuple[int, nodes.Expr]] = [(n, nodes.Param(n, typ)) for n, typ in enumerate(self.types)]
        old = [(n, n) for n in range(width)]
        root = nodes.Update(self.table, self._one(width), width, change, old, None, [], None, [])
        return self._wrap(root, [*self.types, *self._key_types], "UPDATE", True)

    def _delete(self) -> nodes.Plan:
        width = len(self.names)
        root = nodes.Delete(self.table, self._one(0), width, [(n, n) for n in range(width)], None, None, [])
        return self._wrap(root, self._key_types, "DELETE", True)

    def _all(self) -> nodes.Plan:
        return self._wrap(
            self._projected(nodes.Scan(self.table, list(range(len(self.names))), None)),
            [],
            "SELECT",
            False,
            output=True,
        )

    def _user(self) -> nodes.Plan:
        index = next(
            at
            for at, index in enumerate(self.relation.indexes)
            if self.names[index.keys[0].attnum - 1] == self.shape.user_column
        )
        low = nodes.Bound([nodes.Const(26, str(USER_OID))], True, [False])
        scan = nodes.IndexScan(self.table, index, low, None, None, False, list(range(len(self.names))), None)
        return self._wrap(self._projected(scan), [], "SELECT", False, output=True)

    def _projected(self, scan: nodes.Node) -> nodes.Node:
        return nodes.Project(scan, [nodes.Col(n, typ) for n, typ in enumerate(self.types)])


class Store:
    """All stored catalogues of a volume."""

    def __init__(self, waits: Waits, roots: dict[int, tuple[int, int]]) -> None:
        self._waits = waits
        self.roots = roots
        self.system = SystemRelations(roots)
        self._tables: dict[str, CatalogTable] = {}

    def table(self, name: str) -> CatalogTable:
        """A stored catalogue by name."""
        found = self._tables.get(name)
        if found is None:
            relation = self.system.get(SHAPES[name].oid)
            if relation is None:
                raise LookupError(name)
            found = self._tables[name] = CatalogTable(name, relation)
        return found

    async def insert(self, session: Session, name: str, row: Row) -> None:
        """Add a row."""
        table = self.table(name)
        await self._run(session, table.plan("insert"), table.encode(row))

    async def insert_many(self, session: Session, name: str, rows: Sequence[Row]) -> None:
        """Add many rows at once. The session's host functions are replaced."""
        table = self.table(name)
        values = [tuple(table.encode(row)) for row in rows]
        session.set_host(None, lambda _name, _args: values, None)
        await self._run(session, table.plan("bulk"), [])

    async def update(self, session: Session, name: str, key: Key, row: Row) -> None:
        """Replace the row with this key."""
        table = self.table(name)
        await self._run(session, table.plan("update"), [*table.encode(row), *key])

    async def delete(self, session: Session, name: str, key: Key) -> None:
        """Remove the row with this key."""
        await self._run(session, self.table(name).plan("delete"), list(key))

    async def load(self, session: Session) -> Rows:
        """All rows that snapshots keep, as the session's snapshot sees them."""
        rows = Rows()
        for name, shape in SHAPES.items():
            table = self.table(name)
            found = await self._fetch(session, table.plan("user" if shape.user_column else "all"))
            rows.tables[name].load(table.decode(values) for values in found)
        return rows

    async def _run(self, session: Session, plan: Plan, params: list[Any]) -> None:
        portal = session.portal(plan, params)
        await self._waits.run(portal.run, session=session, detached=portal.run_detached)
        portal.close()

    async def _fetch(self, session: Session, plan: Plan) -> list[tuple[Any, ...]]:
        portal = session.portal(plan, [])
        rows: list[tuple[Any, ...]] = await self._waits.run(
            portal.fetch, session=session, detached=portal.fetch_detached
        )
        portal.close()
        return rows


async def find_roots(
    waits: Waits, session: Session, first: tuple[int, int], first_index: int
) -> dict[int, tuple[int, int]]:
    """Roots of all stored catalogues, from the one whose own roots never move: sixfold_storage."""
    oid = SHAPES[STORAGE].oid
    names = ("relid", "root", "overflow")
    table = nodes.Table(
        oid,
        "pg_catalog",
        STORAGE,
        first[0],
        first[1],
        [nodes.Column(c.name, c.typ, -1, False, True, None) for c in columns_of(oid)],
        [],
    )
    types = [26, 20, 20]
    root = nodes.Project(nodes.Scan(table, [0, 1, 2], None), [nodes.Col(n, typ) for n, typ in enumerate(types)])
    output = [nodes.OutputColumn(name, typ, -1, 0, 0) for name, typ in zip(names, types, strict=True)]
    plan = Plan.compile(nodes.to_json(nodes.Plan(root, output, [], 0, [], [], "SELECT", "SELECT", False, 0)))
    portal = session.portal(plan, [])
    rows: list[tuple[int, int, int]] = await waits.run(portal.fetch, session=session, detached=portal.fetch_detached)
    portal.close()
    session.rollback()
    wanted = {oid, oid + 1}
    for name in SHAPES:
        wanted |= {served()[name], *index_oids(served()[name])}
    found = {relid: (top, overflow) for relid, top, overflow in rows if relid in wanted}
    return {**found, oid: first, oid + 1: (first_index, 0)}
