"""Parts of ALTER TABLE about how PostgreSQL stores and replicates a table. They are checked, kept and shown; here they change nothing."""

from __future__ import annotations

import sys
from typing import Any

from sixfold.engine.analyzer.types import format_type
from sixfold.engine.catalog.model import Column, Index, Relation
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import enums

from . import reloptions
from .base import Change, column_of, update_attribute, update_class

AT = enums.AlterTableType
STORAGES = {"plain": "p", "external": "e", "extended": "x", "main": "m"}
COMPRESSIONS = {"default": "", "pglz": "p", "lz4": "l"}
DISTINCT = ("n_distinct", "n_distinct_inherited")


def _is_long(change: Change, column: Column) -> bool:
    """May PostgreSQL keep values of the column elsewhere (TOAST)?"""
    typ = change.catalog.type_by_oid(column.typ)
    return typ is not None and typ.storage != "p"


async def _storage(change: Change, table: Relation, command: Any) -> None:
    column, name = column_of(table, command.name), command.def_.sval
    storage = STORAGES.get(name.lower())
    if storage is None:
        raise SqlError("22023", f'invalid storage type "{name}"')
    if storage != "p" and not _is_long(change, column):
        shown = format_type(change.catalog, column.typ)
        raise SqlError("0A000", f"column data type {shown} can only have storage PLAIN")
    await update_attribute(change, table, column.attnum, attstorage=storage)


async def _compression(change: Change, table: Relation, command: Any) -> None:
    column, name = column_of(table, command.name), command.def_.sval
    if name not in COMPRESSIONS:
        raise SqlError("22023", f'invalid compression method "{name}"')
    if name != "default" and not _is_long(change, column):
        shown = format_type(change.catalog, column.typ)
        raise SqlError("0A000", f"column data type {shown} does not support compression")
    await update_attribute(change, table, column.attnum, attcompression=COMPRESSIONS[name])


async def _statistics(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    await update_attribute(change, table, column.attnum, attstattarget=command.def_.ival)


async def _options(change: Change, table: Relation, command: Any) -> None:
    """SET (n_distinct = …): ANALYZE takes it for what it would have counted."""
    column = column_of(table, command.name)
    row = change.rows["pg_attribute"].get(table.oid, column.attnum)
    assert row is not None
    kept = dict(item.split("=", 1) for item in row["attoptions"] or ())
    for option in command.def_:
        if option.defname not in DISTINCT:
            raise SqlError("22023", f'unrecognized parameter "{option.defname}"')
        kept.pop(option.defname, None)
        if command.subtype == AT.AT_SetOptions:
            kept[option.defname] = _distinct(option)
    await update_attribute(change, table, column.attnum, attoptions=reloptions.listed(kept))


def _distinct(option: Any) -> str:
    text = reloptions.text_of(option.arg)
    try:
        number = float(text)
    except ValueError:
        raise SqlError("22023", f'invalid value for floating point option "{option.defname}": {text}') from None
    if number < -1:
        raise SqlError(
            "22023",
            f'value {text} out of bounds for option "{option.defname}"',
            detail=f'Valid values are between "-1.000000" and "{sys.float_info.max:f}".',
        )
    return text


async def _mark(change: Change, table: Relation, flag: str, index: int | None) -> None:
    """Of a table's indexes only this one has the flag."""
    for item in table.indexes:
        row = change.rows["pg_index"].get(item.oid)
        assert row is not None
        if row[flag] != (item.oid == index):
            await change.writer.update("pg_index", row, **{flag: item.oid == index})


def _index(table: Relation, name: str) -> Index:
    found = next((index for index in table.indexes if index.name == name), None)
    if found is None:
        raise SqlError("42704", f'index "{name}" for table "{table.name}" does not exist')
    return found


async def _cluster_on(change: Change, table: Relation, command: Any) -> None:
    await _mark(change, table, "indisclustered", _index(table, command.name).oid)


async def _drop_cluster(change: Change, table: Relation, command: Any) -> None:
    await _mark(change, table, "indisclustered", None)


async def _replica_identity(change: Change, table: Relation, command: Any) -> None:
    kind, index = command.def_.identity_type, None
    if kind == "i":
        index = _index(table, command.def_.name)
        if not index.unique:
            raise SqlError("42809", f'cannot use non-unique index "{index.name}" as replica identity')
        columns = {column.attnum: column for column in table.columns}
        for key in index.keys:
            if not columns[key.attnum].not_null:
                name = columns[key.attnum].name
                raise SqlError(
                    "42809",
                    f'index "{index.name}" cannot be used as replica identity because column "{name}" is nullable',
                )
    await update_class(change, table.oid, relreplident=kind)
    await _mark(change, table, "indisreplident", index.oid if index else None)


async def _persistence(change: Change, table: Relation, command: Any) -> None:
    """SET LOGGED, SET UNLOGGED: all is logged here."""
    if table.persistence == "t":
        raise SqlError("42P16", f'cannot change logged status of table "{table.name}" because it is temporary')
    for oid in (table.oid, *(index.oid for index in table.indexes)):
        await update_class(change, oid, relpersistence="p" if command.subtype == AT.AT_SetLogged else "u")


async def _no_row_security(change: Change, table: Relation, command: Any) -> None:
    """DISABLE ROW LEVEL SECURITY: it never is on."""


STEPS = {
    AT.AT_SetStatistics: _statistics,
    AT.AT_SetStorage: _storage,
    AT.AT_SetCompression: _compression,
    AT.AT_SetOptions: _options,
    AT.AT_ResetOptions: _options,
    AT.AT_ClusterOn: _cluster_on,
    AT.AT_DropCluster: _drop_cluster,
    AT.AT_SetLogged: _persistence,
    AT.AT_SetUnLogged: _persistence,
    AT.AT_ReplicaIdentity: _replica_identity,
    AT.AT_DisableRowSecurity: _no_row_security,
}
