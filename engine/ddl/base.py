"""What all DDL shares: a `Change` of one statement, lookups with PostgreSQL's messages, names, dependencies, trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_owner, check_relations, check_schema
from sixfold.engine.catalog.model import PG_CATALOG, Column, Relation
from sixfold.engine.catalog.rows import Row, Rows
from sixfold.engine.catalog.snapshot import Catalog
from sixfold.engine.catalog.system import is_user
from sixfold.engine.errors import SqlError
from sixfold.engine.work import CatalogWriter, Restart, Work
from sixfold.kernel._kernel import KernelError

if TYPE_CHECKING:
    from sixfold.engine.session import Session

# OIDs of catalogues, as pg_depend and pg_description name them.
CLASS, ATTRDEF, CONSTRAINT, TYPE, NAMESPACE, REWRITE, AUTHID, DATABASE, TABLESPACE = (
    1259,
    2604,
    2606,
    1247,
    2615,
    2618,
    1260,
    1262,
    1213,
)
NAME_BYTES_MAX = 63
ACCESS_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE, SHARE, SHARE_ROW, ACCESS_EXCLUSIVE = 1, 3, 4, 5, 6, 8
KINDS = {"r": "table", "i": "index", "S": "sequence", "v": "view", "m": "materialized view", "c": "composite type"}
ARTICLES = {
    "r": "a table",
    "i": "an index",
    "S": "a sequence",
    "v": "a view",
    "m": "a materialized view",
    "c": "a composite type",
}


class Change:
    """One DDL statement under way."""

    def __init__(self, session: Session, work: Work, writer: CatalogWriter) -> None:
        self.session = session
        self.work = work
        self.writer = writer
        self.volume = session.database.volume
        # The statement whose expressions are read, and the text that they stand in; ALTER TABLE tells no positions.
        self.source: tuple[Any, str] | None = None
        # ALTER TABLE and its text: of its errors, only those in USING have positions.
        self.altering: tuple[Any, str] | None = None
        self._begun = self._extent()

    @classmethod
    async def begin(cls, session: Session) -> Change:
        """From here on the transaction has a catalogue of its own."""
        ddl = await session.begin_ddl()
        assert session.work is not None
        return cls(session, session.work, CatalogWriter(session.database.store, session.kernel, ddl))

    def end(self) -> None:
        """The statement's changes are complete: what follows is planned against them."""
        self.session.rescope()

    @property
    def rows(self) -> Rows:
        """Rows as changed so far."""
        return self.writer.rows

    @property
    def catalog(self) -> Catalog:
        """The catalogue as changed so far."""
        return self.session.catalog()

    async def oid(self) -> int:
        """A fresh OID."""
        return int(await self.session.waits.run(self.volume.alloc_oid))

    async def lock(self, oid: int, mode: int = ACCESS_EXCLUSIVE, *, restart: bool = True) -> None:
        """Lock a relation until the transaction's end. `restart`: what was looked up before may be old now, so begin again."""
        session = self.session
        await session.waits.run(lambda: session.kernel.lock_relation(oid, mode), session=session.kernel)
        before = session.snapshot
        await session.refresh()
        if restart and session.snapshot is not before and self._extent() == self._begun:
            raise Restart

    @contextmanager
    def newest(self) -> Iterator[None]:
        """Tables are read as they are now, also in a transaction with a snapshot of before."""
        kernel = self.session.kernel
        kernel.newest = True
        try:
            yield
        finally:
            kernel.newest = False

    def check_not_in_use(self, table: Relation, what: str) -> None:
        """55006 for a table that an open cursor of this session reads, or that has checks of constraints put off."""
        session = self.session
        cursors = (c for c in session.cursors.values() if not (c.held or c.failed))
        if session.wire.reads(table.oid) or any(table.oid in cursor.prepared.relations for cursor in cursors):
            raise SqlError(
                "55006",
                f'cannot {what} "{table.name}" because it is being used by active queries in this session',
            )
        for oid, child in session.kernel.put_off_checks():
            row = self.rows["pg_constraint"].get(oid)
            if row is not None and row["conrelid" if child else "confrelid"] == table.oid:
                raise SqlError("55006", f'cannot {what} "{table.name}" because it has pending trigger events')

    def _extent(self) -> tuple[int, ...]:
        """How much the transaction has changed."""
        work = self.work
        changes = len(work.ddl.changes) if work.ddl is not None else 0
        return (changes, len(work.drop_on_rollback), len(work.drop_on_commit))

    def owner(self) -> int:
        """OID of the current role."""
        role = self.session.snapshot.role(self.session.user)
        return role["oid"] if role else 10

    def settle(self, typ: int, text: str) -> str:
        """A constant of a date or time as it is kept: the same under every session's settings, 'now' being now."""
        try:
            return self.session.reading.settled(typ, text, self.session.now())
        except KernelError as error:
            raise SqlError(error.code, error.message, detail=error.detail, hint=error.hint) from None

    # -- trees

    async def new_table_tree(self) -> tuple[int, int]:
        """Root and overflow of an empty table, freed again if the transaction does not commit."""
        root, overflow = await self.session.waits.run(self.volume.create_table)
        self.work.drop_on_rollback += [(root, "table"), (overflow, "overflow")]
        return root, overflow

    async def new_index_tree(self) -> int:
        """Root of an empty index."""
        root = int(await self.session.waits.run(self.volume.create_index))
        self.work.drop_on_rollback.append((root, "index"))
        return root

    def drop_tree_of(self, oid: int, kind: str) -> None:
        """The relation's trees go when the transaction commits."""
        tree = self.rows["sixfold_storage"].get(oid)
        if tree is None:
            return
        if kind in ("r", "m"):
            self.work.drop_on_commit += [(tree["root"], "table"), (tree["overflow"], "overflow")]
        elif kind in ("i", "S"):
            self.work.drop_on_commit.append((tree["root"], "index" if kind == "i" else "sequence"))

    # -- lookups

    def creation_namespace(self, schema: str | None, name: str = "", position: int | None = None) -> int:
        """Where a new object goes: a schema that users may create in."""
        if schema is not None:
            return self.namespace(schema, name, position)
        found = self.session.schemas()
        if not found:
            raise SqlError("3F000", "no schema has been selected to create in")
        check_schema(self.session, found[0], self.catalog.namespace_name(found[0]) or "")
        return found[0]

    def namespace(self, schema: str, name: str = "", position: int | None = None) -> int:
        """A schema in which the role may create; `name`: what is to be made there."""
        oid = self.users_schema(schema, name, position)
        check_schema(self.session, oid, schema)
        return oid

    def users_schema(self, schema: str, name: str = "", position: int | None = None) -> int:
        """A schema that must exist and is not the system's."""
        oid = self.catalog.namespace_oid(schema)
        if oid is None:
            raise SqlError("3F000", f'schema "{schema}" does not exist', position=position)
        if oid == PG_CATALOG:
            what = f'create "{schema}.{name}"' if name else f'change schema "{schema}"'
            raise SqlError(
                "42501", f"permission denied to {what}", detail="System catalog modifications are currently disallowed."
            )
        return oid

    def relation(
        self, name: str, schema: str | None = None, *, kinds: str = "", missing_ok: bool = False, use: bool = False
    ) -> Relation | None:
        """A relation by name that the role owns (`use`: may use); 42P01 (or None) when there is none, 42809 for another kind, 42501
        for the system's."""
        if schema is not None and self.catalog.namespace_oid(schema) is None:
            if missing_ok:
                return None
            raise SqlError("3F000", f'schema "{schema}" does not exist')
        found = self.catalog.relation(name, schema)
        if found is None:
            if missing_ok:
                return None
            shown = f"{schema}.{name}" if schema else name
            raise SqlError("42P01", f'relation "{shown}" does not exist')
        if kinds and found.kind not in kinds:
            raise SqlError("42809", f'"{found.name}" is not {ARTICLES[kinds[0]]}')
        if not is_user(found.oid):
            raise SqlError("42501", f'permission denied: "{found.name}" is a system catalog')
        if use:
            check_relations(self.session, [found.oid])
        else:
            check_owner(self.session, found)
        return found

    def must(self, name: str, schema: str | None = None, *, kinds: str = "", use: bool = False) -> Relation:
        """As `relation`, never None."""
        found = self.relation(name, schema, kinds=kinds, use=use)
        assert found is not None
        return found

    def must_oid(self, oid: int) -> Relation:
        """A relation that is known to exist, as changed so far."""
        found = self.catalog.relation_by_oid(oid)
        assert found is not None
        return found

    def is_taken(self, namespace: int, name: str) -> bool:
        """Is there a relation of this name?"""
        return bool(self.rows["pg_class"].group(("relnamespace", "relname"), namespace, name))

    def check_free(self, namespace: int, name: str, *, row_type: bool = True) -> None:
        """42P07 for a relation, 42710 for a type of the name."""
        if self.is_taken(namespace, name):
            raise SqlError("42P07", f'relation "{name}" already exists')
        if row_type and self.rows["pg_type"].group(("typnamespace", "typname"), namespace, name):
            raise SqlError(
                "42710",
                f'type "{name}" already exists',
                hint="A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
            )

    def free_name(self, namespace: int, first: str, second: str | None, label: str, taken: Iterable[str] = ()) -> str:
        """`first_second_label`, shortened to fit, with a number when that is taken: PostgreSQL's ChooseRelationName."""
        used = set(taken)
        number = 0
        while True:
            name = object_name(first, second, label + (str(number) if number else ""))
            if name not in used and not self.is_taken(namespace, name):
                return name
            number += 1

    # -- rows

    async def depend(self, of: tuple[int, int, int], on: tuple[int, int, int], kind: str = "n") -> None:
        """Object `of` depends on `on`: (catalogue, OID, column)."""
        if not is_user(on[1]) and on[0] != NAMESPACE:
            return
        row: Row = dict(
            zip(("classid", "objid", "objsubid", "refclassid", "refobjid", "refobjsubid"), (*of, *on), strict=True)
        )
        row["deptype"] = kind
        if self.rows["pg_depend"].get(*of, *on) is None:
            await self.writer.insert("pg_depend", row)

    async def forget_dependencies(self, classid: int, oid: int, sub: int | None = None) -> None:
        """Remove what an object depends on, and what is left of those that depended on it."""
        table = self.rows["pg_depend"]
        found = [
            row for row in table.group(("classid", "objid"), classid, oid) if sub is None or row["objsubid"] == sub
        ]
        found += [
            row
            for row in table.group(("refclassid", "refobjid"), classid, oid)
            if sub is None or row["refobjsubid"] == sub
        ]
        for row in {id(row): row for row in found}.values():
            if table.get(*table.key_of(row)) is not None:
                await self.writer.delete("pg_depend", row)
                table = self.rows["pg_depend"]

    async def forget_comments(self, classid: int, oid: int, sub: int | None = None) -> None:
        """Remove an object's comments."""
        for row in self.rows["pg_description"].group(("classoid", "objoid"), classid, oid):
            if sub is None or row["objsubid"] == sub:
                await self.writer.delete("pg_description", row)


def object_name(first: str, second: str | None, label: str) -> str:
    """PostgreSQL's makeObjectName: the longer of the two names is cut until all fits into 63 bytes."""
    room = NAME_BYTES_MAX - len(label.encode()) - 1 - (1 if second else 0)
    one, two = first.encode(), (second or "").encode()
    while len(one) + len(two) > room:
        if len(one) > len(two):
            one = one[:-1]
        else:
            two = two[:-1]
    parts = [one.decode(errors="ignore")]
    if second:
        parts.append(two.decode(errors="ignore"))
    return "_".join([*parts, label])


def truncated(name: str) -> str:
    """An identifier as PostgreSQL keeps it."""
    return name if len(name.encode()) <= NAME_BYTES_MAX else name.encode()[:NAME_BYTES_MAX].decode(errors="ignore")


def class_row(oid: int, name: str, namespace: int, kind: str, owner: int, **more: Any) -> Row:
    """A row of pg_class."""
    row: Row = {
        "oid": oid,
        "relname": name,
        "relnamespace": namespace,
        "reltype": 0,
        "reloftype": 0,
        "relowner": owner,
        "relam": 2 if kind in "rm" else 403 if kind == "i" else 0,
        "relfilenode": oid if kind in "rmiS" else 0,
        "reltablespace": 0,
        "relpages": 0,
        "reltuples": -1.0,
        "relallvisible": 0,
        "reltoastrelid": 0,
        "relhasindex": False,
        "relisshared": False,
        "relpersistence": "p",
        "relkind": kind,
        "relnatts": 0,
        "relchecks": 0,
        "relhasrules": False,
        "relhastriggers": False,
        "relhassubclass": False,
        "relrowsecurity": False,
        "relforcerowsecurity": False,
        "relispopulated": True,
        "relreplident": "d" if kind in "rm" else "n",
        "relispartition": False,
        "relrewrite": 0,
        "relfrozenxid": 0,
        "relminmxid": 0,
        "relacl": None,
        "reloptions": None,
        "relpartbound": None,
    }
    if kind in "iSvc":
        row["reltuples"] = 0.0 if kind != "i" else -1.0
    return {**row, **more}


def column_of(table: Relation, name: str) -> Column:
    """A column that must be there."""
    found = next((column for column in table.columns if column.name == name and not column.dropped), None)
    if found is None:
        raise SqlError("42703", f'column "{name}" of relation "{table.name}" does not exist')
    return found


async def update_attribute(change: Change, table: Relation, attnum: int, **values: Any) -> None:
    """A column's row of pg_attribute."""
    row = change.rows["pg_attribute"].get(table.oid, attnum)
    assert row is not None
    await change.writer.update("pg_attribute", row, **values)


async def update_class(change: Change, oid: int, **values: Any) -> None:
    """A relation's row of pg_class."""
    row = change.rows["pg_class"].get(oid)
    assert row is not None
    await change.writer.update("pg_class", row, **values)
