"""CREATE INDEX, the indexes behind PRIMARY KEY and UNIQUE, building them, REINDEX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from sixfold.engine.access import check_superuser
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.catalog.model import Column, Relation, Type
from sixfold.engine.catalog.rows import Row
from sixfold.engine.catalog.store import kernel_table
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import enums
from sixfold.engine.planner import nodes
from sixfold.engine.utility import Context, entry
from sixfold.kernel._kernel import Table

from . import reloptions
from .base import CLASS, NAME_BYTES_MAX, SHARE, Change, class_row, truncated
from .columns import Spec, attribute_row
from .schemas import own_schema

if TYPE_CHECKING:
    from sixfold.engine.session import Session

INDEX_KEYS_MAX = 32
# Types whose B-tree operator class is another type's, being binary compatible.
ARRAY_OPS, ENUM_OPS, RECORD_OPS, TEXT, VARCHAR = 2277, 3500, 2249, 25, 1043


class Key(msgspec.Struct):
    """A key column of an index to be made."""

    column: Column
    desc: bool = False
    nulls_first: bool = False
    opclass: int = 0


def default_opclass(change: Change, typ: Type) -> int:
    """The default B-tree operator class; 42704 when the type has none."""
    base = typ
    while base.kind == "d":
        inner = change.catalog.type_by_oid(base.basetype)
        assert inner is not None
        base = inner
    oid = base.oid
    if oid == VARCHAR:
        oid = TEXT
    elif base.is_array:
        oid = ARRAY_OPS
    elif base.kind == "e":
        oid = ENUM_OPS
    elif base.kind == "c":
        oid = RECORD_OPS
    found = FACTS.default_btree.get(oid)
    if found is None:
        name = format_type(change.catalog, typ.oid)
        raise SqlError(
            "42704",
            f'data type {name} has no default operator class for access method "btree"',
            hint="You must specify an operator class for the index or define a default operator class for the data type.",
        )
    return found.oid


def named_opclass(change: Change, typ: Type, names: Any) -> int:
    """An operator class by name, of the B-tree method."""
    name = names[-1].sval
    for found in FACTS.opclasses:
        if found.method == "btree" and found.name == name:
            if found.intype not in (typ.oid, TEXT, ARRAY_OPS) and not (found.intype == TEXT and typ.category == "S"):
                shown = format_type(change.catalog, typ.oid)
                raise SqlError("42804", f'operator class "{name}" does not accept data type {shown}')
            return found.oid
    raise SqlError("42704", f'operator class "{name}" does not exist for access method "btree"')


def column_key(change: Change, table: Relation, name: str) -> Key:
    """A plain key column."""
    column = next((c for c in table.columns if c.name == name and not c.dropped), None)
    if column is None:
        raise SqlError("42703", f'column "{name}" does not exist')
    typ = change.catalog.type_by_oid(column.typ)
    assert typ is not None
    return Key(column, opclass=default_opclass(change, typ))


def read_keys(change: Change, table: Relation, elements: Any) -> list[Key]:
    """Keys of CREATE INDEX."""
    keys: list[Key] = []
    for element in elements:
        if element.name is None:
            raise not_built("an index on an expression")
        key = column_key(change, table, element.name)
        key.desc = element.ordering == enums.SortByDir.SORTBY_DESC
        key.nulls_first = element.nulls_ordering == enums.SortByNulls.SORTBY_NULLS_FIRST or (
            key.desc and element.nulls_ordering == enums.SortByNulls.SORTBY_NULLS_DEFAULT
        )
        if element.opclass:
            typ = change.catalog.type_by_oid(key.column.typ)
            assert typ is not None
            key.opclass = named_opclass(change, typ, element.opclass)
        keys.append(key)
    if len(keys) > INDEX_KEYS_MAX:
        raise SqlError("54011", f"cannot use more than {INDEX_KEYS_MAX} columns in an index")
    return keys


def _attribute_names(columns: list[Column]) -> list[str]:
    """An index's columns are called as its table's; a column that is there twice gets a number."""
    names: list[str] = []
    for column in columns:
        name, number = column.name, 0
        while name in names:
            number += 1
            room = NAME_BYTES_MAX - len(str(number))
            name = column.name.encode()[:room].decode(errors="ignore") + str(number)
        names.append(name)
    return names


def _attribute(change: Change, index: int, number: int, name: str, column: Column) -> Row:
    """An index's column, as its table's column is now. It keeps the name that was when the index was made."""
    typ = change.catalog.type_by_oid(column.typ)
    assert typ is not None
    return attribute_row(index, Spec(name, typ, column.typmod, column.collation, attnum=number))


async def renew_attributes(change: Change, table: Relation, attnum: int) -> None:
    """What indexes over a column say of their columns, after it has got another type."""
    for index in table.indexes:
        if any(key.attnum == attnum for key in index.keys):
            columns = [table.columns[key.attnum - 1] for key in index.keys]
            for number, name in enumerate(_attribute_names(columns), 1):
                row = change.rows["pg_attribute"].get(index.oid, number)
                assert row is not None
                new = _attribute(change, index.oid, number, name, columns[number - 1])
                await change.writer.update("pg_attribute", row, **new)


async def make_index(
    change: Change,
    table: Relation,
    name: str,
    keys: list[Key],
    *,
    unique: bool = False,
    primary: bool = False,
    nulls_not_distinct: bool = False,
    immediate: bool = True,
    build: bool = True,
    options: list[str] | None = None,
) -> int:
    """A new index's OID, built from the table's rows."""
    oid = await change.oid()
    root = await change.new_index_tree()
    row = class_row(oid, name, table.namespace, "i", table.owner, relnatts=len(keys), relpersistence=table.persistence)
    row["reloptions"] = options
    await change.writer.insert("pg_class", row)
    columns = [key.column for key in keys]
    for number, called in enumerate(_attribute_names(columns), 1):
        await change.writer.insert("pg_attribute", _attribute(change, oid, number, called, columns[number - 1]))
    await change.writer.insert("sixfold_storage", {"relid": oid, "root": root, "overflow": 0})
    await change.writer.insert(
        "pg_index",
        {
            "indexrelid": oid,
            "indrelid": table.oid,
            "indnatts": len(keys),
            "indnkeyatts": len(keys),
            "indisunique": unique,
            "indnullsnotdistinct": nulls_not_distinct,
            "indisprimary": primary,
            "indisexclusion": False,
            "indimmediate": immediate,
            "indisclustered": False,
            "indisvalid": True,
            "indcheckxmin": False,
            "indisready": True,
            "indislive": True,
            "indisreplident": False,
            "indkey": [key.column.attnum for key in keys],
            "indcollation": [key.column.collation for key in keys],
            "indclass": [key.opclass for key in keys],
            "indoption": [key.desc + 2 * key.nulls_first for key in keys],
            "indexprs": None,
            "indpred": None,
        },
    )
    own = change.rows["pg_class"].get(table.oid)
    assert own is not None
    if not own["relhasindex"]:
        await change.writer.update("pg_class", own, relhasindex=True)
    if build:
        await build_index(change, table.oid, oid)
    return oid


async def build_index(change: Change, table: int, index: int) -> None:
    """Fill an empty index from the table's rows; 23505 for duplicates."""
    relation = change.must_oid(table)
    shape = kernel_table(relation)
    at = next(number for number, item in enumerate(shape.indexes) if item.oid == index)
    memory = change.session.settings.number("maintenance_work_mem") * 1024
    with change.newest():
        job = change.session.kernel.build_index(Table(nodes.to_json(shape)), at, memory)
    await change.session.waits.run(job.run, session=change.session.kernel, detached=job.run_detached)


async def depend_on_columns(change: Change, table: Relation, index: int, keys: list[Key]) -> None:
    """A plain index goes with any of its columns."""
    for key in keys:
        await change.depend((CLASS, index, 0), (CLASS, table.oid, key.column.attnum), "a")


def index_name_parts(keys: list[Key]) -> str:
    """Column names of an index's default name."""
    return "_".join(key.column.name for key in keys)


@entry("IndexStmt", "CREATE INDEX")
async def create_index(session: Session, node: Any, context: Context) -> None:
    """CREATE [UNIQUE] INDEX [CONCURRENTLY] [IF NOT EXISTS] …"""
    change = await Change.begin(session)
    table = change.must(node.relation.relname, node.relation.schemaname)
    if table.kind not in ("r", "m"):
        raise SqlError(
            "42809",
            f'cannot create index on relation "{table.name}"',
            detail=f"This operation is not supported for {'views' if table.kind == 'v' else 'this kind of relation'}.",
        )
    if node.accessMethod not in (None, "btree"):
        if node.accessMethod not in ("hash", "gin", "gist", "brin", "spgist"):
            raise SqlError("42704", f'access method "{node.accessMethod}" does not exist')
        raise not_built(f"the index method {node.accessMethod}")
    if node.whereClause is not None:
        raise not_built("a partial index")
    if node.indexIncludingParams:
        raise not_built("INCLUDE in an index")
    await change.lock(table.oid, SHARE)
    change.check_not_in_use(table, "CREATE INDEX")
    table = change.must_oid(table.oid)
    name = truncated(node.idxname) if node.idxname else None
    if name is not None and change.is_taken(table.namespace, name):
        if not node.if_not_exists:
            raise SqlError("42P07", f'relation "{name}" already exists')
        session.notice(f'relation "{name}" already exists, skipping', code="42P07")
        context.reply.complete("CREATE INDEX")
        return
    keys = read_keys(change, table, node.indexParams)
    if name is None:
        name = change.free_name(table.namespace, table.name, index_name_parts(keys), "idx")
    oid = await make_index(
        change,
        table,
        name,
        keys,
        unique=bool(node.unique),
        nulls_not_distinct=bool(node.nulls_not_distinct),
        options=reloptions.read_index(node.options),
    )
    await depend_on_columns(change, table, oid, keys)
    change.end()
    context.reply.complete("CREATE INDEX")


async def rebuild(change: Change, table: int, index: int) -> None:
    """A new tree in place of an index's old one."""
    storage = change.rows["sixfold_storage"].get(index)
    assert storage is not None
    change.work.drop_on_commit.append((storage["root"], "index"))
    await change.writer.update("sixfold_storage", storage, root=await change.new_index_tree())
    await build_index(change, table, index)


@entry("ReindexStmt", "REINDEX")
async def reindex(session: Session, node: Any, context: Context) -> None:
    """REINDEX INDEX, TABLE, SCHEMA, DATABASE."""
    change = await Change.begin(session)
    kind = node.kind.name
    rows = change.rows
    if kind == "REINDEX_OBJECT_INDEX":
        index = change.must(node.relation.relname, node.relation.schemaname, kinds="i")
        own = rows["pg_index"].get(index.oid)
        assert own is not None
        wanted = [(own["indrelid"], index.oid)]
    elif kind == "REINDEX_OBJECT_TABLE":
        table = change.must(node.relation.relname, node.relation.schemaname, kinds="rm")
        wanted = [(table.oid, index.oid) for index in table.indexes]
        if not wanted:
            session.notice(f'table "{table.name}" has no indexes to reindex')
    else:
        namespace = own_schema(change, node.name) if kind == "REINDEX_OBJECT_SCHEMA" else None
        if namespace is None:
            check_superuser(session, f"must be owner of database {session.database_name}")
        wanted = [
            (row["indrelid"], row["indexrelid"])
            for row in rows["pg_index"].rows.values()
            if namespace is None or (rows["pg_class"].get(row["indexrelid"]) or {}).get("relnamespace") == namespace
        ]
    for table_oid, oid in wanted:
        await change.lock(table_oid, SHARE)
        await rebuild(change, table_oid, oid)
    change.end()
    context.reply.complete("REINDEX")


def expressions_of(row: Any) -> list[str]:
    """SQL text of an index's expressions."""
    return json.loads(row["indexprs"]) if row["indexprs"] else []
