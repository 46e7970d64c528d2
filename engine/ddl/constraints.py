"""PRIMARY KEY, UNIQUE, CHECK and FOREIGN KEY constraints: made with their indexes, names and dependencies, and checked against existing rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.analyzer.coerce import can_coerce
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.catalog.model import Column, Constraint, Index, Relation
from sixfold.engine.catalog.rows import Row
from sixfold.engine.deparse import columns_of, expression, position_of
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import enums, quote_ident
from sixfold.engine.plans import prepare_own

from . import reloptions
from .base import CLASS, CONSTRAINT, SHARE_ROW, Change, object_name, truncated
from .columns import type_names
from .expressions import analysed
from .indexes import Key, column_key, index_name_parts, make_index
from .sequences import qualified

# B-tree strategy.
EQUAL = 3

if TYPE_CHECKING:
    from collections.abc import Iterable

CONSTR = enums.ConstrType


def constraint_row(oid: int, name: str, namespace: int, kind: str, relation: int, **more: Any) -> Row:
    """A row of pg_constraint."""
    row: Row = {
        "oid": oid,
        "conname": name,
        "connamespace": namespace,
        "contype": kind,
        "condeferrable": False,
        "condeferred": False,
        "convalidated": True,
        "conrelid": relation,
        "contypid": 0,
        "conindid": 0,
        "conparentid": 0,
        "confrelid": 0,
        "confupdtype": " ",
        "confdeltype": " ",
        "confmatchtype": " ",
        "conislocal": True,
        "coninhcount": 0,
        "connoinherit": kind != "c",
        "conkey": None,
        "confkey": None,
        "conpfeqop": None,
        "conppeqop": None,
        "conffeqop": None,
        "confdelsetcols": None,
        "conexclop": None,
        "conbin": None,
    }
    return {**row, **more}


def constraint_names(change: Change, relation: int) -> set[str]:
    """Names of a table's constraints."""
    return {row["conname"] for row in change.rows["pg_constraint"].group(("conrelid",), relation)}


def free_constraint_name(change: Change, table: Relation, second: str | None, label: str) -> str:
    """PostgreSQL's ChooseConstraintName: not used by any constraint in the schema."""
    used = {row["conname"] for row in change.rows["pg_constraint"].group(("connamespace",), table.namespace)}
    number = 0
    while True:
        name = object_name(table.name, second, label + (str(number) if number else ""))
        if name not in used:
            return name
        number += 1


def _column(table: Relation, name: str, message: str) -> Column:
    found = next((column for column in table.columns if column.name == name and not column.dropped), None)
    if found is None:
        raise SqlError("42703", message)
    return found


def _check_new_name(change: Change, table: Relation, name: str) -> None:
    if name in constraint_names(change, table.oid):
        raise SqlError("42710", f'constraint "{name}" for relation "{table.name}" already exists')


async def add_constraint(
    change: Change, table: Relation, node: Any, column: str | None = None, *, validate: bool = True
) -> None:
    """Any constraint of a table; `column`: the column that it was written at."""
    kind = node.contype
    if kind == CONSTR.CONSTR_CHECK:
        await add_check(change, table, node, validate=validate and not node.skip_validation)
    elif kind in (CONSTR.CONSTR_PRIMARY, CONSTR.CONSTR_UNIQUE):
        await add_key(change, table, node, column)
    elif kind == CONSTR.CONSTR_FOREIGN:
        await add_foreign_key(change, table, node, column, validate=validate and not node.skip_validation)
    elif kind == CONSTR.CONSTR_EXCLUSION:
        raise not_built("EXCLUDE")


# -- CHECK


async def add_check(change: Change, table: Relation, node: Any, *, validate: bool) -> None:
    """CHECK (expression)."""
    names = columns_of(node.raw_expr)
    analysed(change, node.raw_expr, table, "check")
    text = expression(node.raw_expr, type_names(change, table), "boolean", change.settle)
    query = f"SELECT {text} FROM {qualified(table.schema, table.name)}"
    prepare_own(change.session, query, change.catalog)
    if node.conname:
        name = truncated(node.conname)
        _check_new_name(change, table, name)
    else:
        name = free_constraint_name(change, table, names[0] if len(names) == 1 else None, "check")
    await insert_check(
        change, table, name, text, names, no_inherit=bool(node.is_no_inherit), validated=not node.skip_validation
    )
    if validate:
        await validate_check(change, table, name, text)


async def insert_check(
    change: Change,
    table: Relation,
    name: str,
    text: str,
    names: Iterable[str],
    *,
    no_inherit: bool = False,
    validated: bool = True,
) -> None:
    """The rows of a CHECK constraint."""
    oid = await change.oid()
    attnums = [
        column.attnum for used in names for column in table.columns if column.name == used and not column.dropped
    ]
    row = constraint_row(
        oid,
        name,
        table.namespace,
        "c",
        table.oid,
        conkey=attnums or None,
        conbin=text,
        connoinherit=no_inherit,
        convalidated=validated,
    )
    await change.writer.insert("pg_constraint", row)
    own = change.rows["pg_class"].get(table.oid)
    assert own is not None
    await change.writer.update("pg_class", own, relchecks=own["relchecks"] + 1)
    for attnum in attnums:
        await change.depend((CONSTRAINT, oid, 0), (CLASS, table.oid, attnum), "a")
    if not attnums:
        await change.depend((CONSTRAINT, oid, 0), (CLASS, table.oid, 0), "a")


async def validate_check(change: Change, table: Relation, name: str, text: str) -> None:
    """23514 when a row breaks it."""
    bad = await change.session.statements.fetch(
        f"SELECT 1 FROM {qualified(table.schema, table.name)} WHERE NOT ({text}) LIMIT 1", catalog=change.catalog
    )
    if bad:
        raise SqlError(
            "23514",
            f'check constraint "{name}" of relation "{table.name}" is violated by some row',
            schema=table.schema,
            table=table.name,
            constraint=name,
        )


# -- PRIMARY KEY, UNIQUE


async def add_key(change: Change, table: Relation, node: Any, column: str | None) -> None:
    """PRIMARY KEY or UNIQUE with its index."""
    primary = node.contype == CONSTR.CONSTR_PRIMARY
    where = position_of(node) if change.source is not None else None
    if node.including:
        raise not_built("INCLUDE in an index")
    if primary and any(index.primary for index in table.indexes):
        raise SqlError("42P16", f'multiple primary keys for table "{table.name}" are not allowed', position=where)
    if node.indexname:
        await _key_from_index(change, table, node, primary)
        return
    names = [part.sval for part in node.keys] if node.keys else [column or ""]
    for at, name in enumerate(names):
        if not any(found.name == name and not found.dropped for found in table.columns):
            raise SqlError("42703", f'column "{name}" named in key does not exist', position=where)
        if name in names[:at]:
            kind = "primary key" if primary else "unique"
            raise SqlError("42701", f'column "{name}" appears twice in {kind} constraint', position=where)
    keys = [column_key(change, table, name) for name in names]
    if primary:
        await set_not_null(change, table, [key.column.attnum for key in keys])
        table = change.must_oid(table.oid)
    if node.conname:
        name = truncated(node.conname)
        change.check_free(table.namespace, name, row_type=False)
        _check_new_name(change, table, name)
    elif primary:
        name = change.free_name(table.namespace, table.name, None, "pkey", constraint_names(change, table.oid))
    else:
        name = change.free_name(
            table.namespace, table.name, index_name_parts(keys), "key", constraint_names(change, table.oid)
        )
    deferrable = bool(node.deferrable)
    if deferrable:
        raise not_built("a DEFERRABLE PRIMARY KEY or UNIQUE constraint")
    index = await make_index(
        change,
        table,
        name,
        keys,
        unique=True,
        primary=primary,
        nulls_not_distinct=bool(node.nulls_not_distinct),
        immediate=not deferrable,
        options=reloptions.read_index(node.options),
    )
    await _key_constraint(change, table, name, "p" if primary else "u", [key.column.attnum for key in keys], index)


async def _key_constraint(
    change: Change, table: Relation, name: str, kind: str, attnums: list[int], index: int
) -> None:
    oid = await change.oid()
    await change.writer.insert(
        "pg_constraint", constraint_row(oid, name, table.namespace, kind, table.oid, conkey=attnums, conindid=index)
    )
    for attnum in attnums:
        await change.depend((CONSTRAINT, oid, 0), (CLASS, table.oid, attnum), "a")
    await change.depend((CLASS, index, 0), (CONSTRAINT, oid, 0), "i")


async def _key_from_index(change: Change, table: Relation, node: Any, primary: bool) -> None:
    """ADD CONSTRAINT … USING INDEX."""
    found = next((index for index in table.indexes if index.name == node.indexname), None)
    if found is None:
        raise SqlError("42704", f'index "{node.indexname}" does not exist')
    if found.constraint:
        raise SqlError(
            "55000", f'index "{found.name}" is already associated with a constraint', position=node.location + 1
        )
    if not found.unique:
        raise SqlError("42809", f'"{found.name}" is not a unique index')
    if primary:
        await set_not_null(change, table, [key.attnum for key in found.keys])
        row = change.rows["pg_index"].get(found.oid)
        assert row is not None
        await change.writer.update("pg_index", row, indisprimary=True)
    name = truncated(node.conname) if node.conname else found.name
    if name != found.name:
        change.session.notice(f'ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index "{found.name}" to "{name}"')
        own = change.rows["pg_class"].get(found.oid)
        assert own is not None
        await change.writer.update("pg_class", own, relname=name)
    await _key_constraint(change, table, name, "p" if primary else "u", [key.attnum for key in found.keys], found.oid)


async def set_not_null(change: Change, table: Relation, attnums: list[int]) -> None:
    """NOT NULL for columns, checked against the rows; 23502."""
    for attnum in attnums:
        column = table.columns[attnum - 1]
        if column.not_null:
            continue
        bad = await change.session.statements.fetch(
            f"SELECT 1 FROM {qualified(table.schema, table.name)} WHERE {quote_ident(column.name)} IS NULL LIMIT 1",
            catalog=change.catalog,
        )
        if bad:
            raise SqlError(
                "23502",
                f'column "{column.name}" of relation "{table.name}" contains null values',
                schema=table.schema,
                table=table.name,
                column=column.name,
            )
        row = change.rows["pg_attribute"].get(table.oid, attnum)
        assert row is not None
        await change.writer.update("pg_attribute", row, attnotnull=True)


# -- FOREIGN KEY


async def add_foreign_key(change: Change, table: Relation, node: Any, column: str | None, *, validate: bool) -> None:
    """FOREIGN KEY … REFERENCES …"""
    names = [part.sval for part in node.fk_attrs] if node.fk_attrs else [column or ""]
    columns = [
        _column(table, name, f'column "{name}" referenced in foreign key constraint does not exist') for name in names
    ]
    parent = change.relation(node.pktable.relname, node.pktable.schemaname, use=True)
    assert parent is not None
    if parent.kind != "r":
        raise SqlError("42809", f'referenced relation "{parent.name}" is not a table')
    if table.persistence == "p" and parent.persistence != "p":
        raise SqlError("42P16", "constraints on permanent tables may reference only permanent tables")
    if parent.oid != table.oid:
        await change.lock(parent.oid, SHARE_ROW)
    if node.fk_matchtype == "p":
        raise SqlError("0A000", "MATCH PARTIAL not yet implemented", position=node.location + 1)
    foreign, index = _referenced(parent, node)
    if len(foreign) != len(columns):
        raise SqlError("42830", "number of referencing and referenced columns for foreign key disagree")
    operators = [
        _equality(change, mine, theirs, index, node, table, names)
        for mine, theirs in zip(columns, foreign, strict=True)
    ]
    for action, clause in ((node.fk_upd_action, "ON UPDATE"), (node.fk_del_action, "ON DELETE")):
        for used in columns:
            if used.generated and action in ("n", "d", "c") and not (action == "c" and clause == "ON DELETE"):
                word = {"n": "SET NULL", "d": "SET DEFAULT", "c": "CASCADE"}[action]
                raise SqlError(
                    "42601",
                    f"invalid {clause} action for foreign key constraint containing generated column" if word else "",
                )
    if node.conname:
        name = truncated(node.conname)
        _check_new_name(change, table, name)
    else:
        name = free_constraint_name(change, table, "_".join(names), "fkey")
    await _insert_foreign_key(change, table, parent, node, name, columns, foreign, index, operators, validate)


async def _insert_foreign_key(
    change: Change,
    table: Relation,
    parent: Relation,
    node: Any,
    name: str,
    columns: list[Column],
    foreign: list[Column],
    index: Index,
    operators: list[tuple[int, int, int]],
    validate: bool,
) -> None:
    oid = await change.oid()
    delete_columns = [
        _column(table, part.sval, f'column "{part.sval}" referenced in ON DELETE SET action does not exist').attnum
        for part in node.fk_del_set_cols or ()
    ]
    await change.writer.insert(
        "pg_constraint",
        constraint_row(
            oid,
            name,
            table.namespace,
            "f",
            table.oid,
            conkey=[c.attnum for c in columns],
            confkey=[c.attnum for c in foreign],
            confrelid=parent.oid,
            conindid=index.oid,
            confupdtype=node.fk_upd_action or "a",
            confdeltype=node.fk_del_action or "a",
            confmatchtype=node.fk_matchtype or "s",
            condeferrable=bool(node.deferrable),
            condeferred=bool(node.initdeferred),
            convalidated=not node.skip_validation,
            conpfeqop=[across for across, _, _ in operators],
            conppeqop=[both for _, both, _ in operators],
            conffeqop=[own for _, _, own in operators],
            confdelsetcols=delete_columns or None,
        ),
    )
    for used in columns:
        await change.depend((CONSTRAINT, oid, 0), (CLASS, table.oid, used.attnum), "a")
    for used in foreign:
        await change.depend((CONSTRAINT, oid, 0), (CLASS, parent.oid, used.attnum), "n")
    await change.depend((CONSTRAINT, oid, 0), (CLASS, index.oid, 0), "n")
    for relation in (table.oid, parent.oid):
        own = change.rows["pg_class"].get(relation)
        if own is not None and not own["relhastriggers"]:
            await change.writer.update("pg_class", own, relhastriggers=True)
    if validate:
        await validate_foreign_key(change, name, table, parent, columns, foreign, node.fk_matchtype == "f")


def _referenced(parent: Relation, node: Any) -> tuple[list[Column], Index]:
    if not node.pk_attrs:
        index = next((index for index in parent.indexes if index.primary), None)
        if index is None:
            raise SqlError("42704", f'there is no primary key for referenced table "{parent.name}"')
        return [parent.columns[key.attnum - 1] for key in index.keys], index
    names = [part.sval for part in node.pk_attrs]
    columns = [
        _column(parent, name, f'column "{name}" referenced in foreign key constraint does not exist') for name in names
    ]
    wanted = sorted(column.attnum for column in columns)
    if len(set(wanted)) != len(wanted):
        raise SqlError("42830", "foreign key referenced-columns list must not contain duplicates")
    for index in sorted(parent.indexes, key=lambda index: not index.primary):
        if index.unique and not index.predicate and sorted(key.attnum for key in index.keys) == wanted:
            return columns, index
    raise SqlError("42830", f'there is no unique constraint matching given keys for referenced table "{parent.name}"')


def _equality(
    change: Change, mine: Column, theirs: Column, index: Index, node: Any, table: Relation, names: list[str]
) -> tuple[int, int, int]:
    """Operators of the key's B-tree family: referenced = referencing, referenced = referenced, referencing = referencing."""
    opclass = FACTS.opclass_oids[next(key.opclass for key in index.keys if key.attnum == theirs.attnum)]
    family, typ, members = opclass.family, opclass.intype, FACTS.btree_operators
    both = members[family, typ, typ, EQUAL]
    across, own = members.get((family, typ, mine.typ, EQUAL)), members.get((family, mine.typ, mine.typ, EQUAL))
    if across and own:
        return across, both, own
    if can_coerce(change.catalog, (theirs.typ, mine.typ), (typ, typ), "i"):
        return both, both, both
    name = node.conname or object_name(table.name, "_".join(names), "fkey")
    raise SqlError(
        "42804",
        f'foreign key constraint "{name}" cannot be implemented',
        detail=f'Key columns "{mine.name}" and "{theirs.name}" are of incompatible types: '
        f"{format_type(change.catalog, mine.typ)} and {format_type(change.catalog, theirs.typ)}.",
    )


async def validate_foreign_key(
    change: Change,
    name: str,
    table: Relation,
    parent: Relation,
    columns: list[Column],
    foreign: list[Column],
    full: bool,
) -> None:
    """23503 when a row has no parent."""
    mine = [f"c.{quote_ident(column.name)}" for column in columns]
    join = " AND ".join(f"p.{quote_ident(theirs.name)} = {own}" for theirs, own in zip(foreign, mine, strict=True))
    there = (" OR " if full else " AND ").join(f"{own} IS NOT NULL" for own in mine)
    rows = await change.session.statements.fetch(
        f"SELECT {', '.join(f'({own})::text' for own in mine)} FROM {qualified(table.schema, table.name)} c "
        f"WHERE ({there}) AND NOT EXISTS (SELECT 1 FROM {qualified(parent.schema, parent.name)} p WHERE {join}) LIMIT 1",
        catalog=change.catalog,
    )
    if rows:
        keys, values = ", ".join(column.name for column in columns), ", ".join(str(value) for value in rows[0])
        raise SqlError(
            "23503",
            f'insert or update on table "{table.name}" violates foreign key constraint "{name}"',
            detail=f'Key ({keys})=({values}) is not present in table "{parent.name}".',
            schema=table.schema,
            table=table.name,
            constraint=name,
        )


async def validate(change: Change, table: Relation, name: str) -> None:
    """ALTER TABLE … VALIDATE CONSTRAINT."""
    found: Constraint | None = next((item for item in table.constraints if item.name == name), None)
    if found is None:
        raise SqlError("42704", f'constraint "{name}" of relation "{table.name}" does not exist')
    if found.validated:
        return
    if found.kind == "c" and found.expr is not None:
        await validate_check(change, table, name, found.expr)
    elif found.kind == "f":
        parent = change.must_oid(found.foreign_relation)
        columns = [table.columns[attnum - 1] for attnum in found.columns]
        foreign = [parent.columns[attnum - 1] for attnum in found.foreign_columns]
        await validate_foreign_key(change, name, table, parent, columns, foreign, found.match == "f")
    row = change.rows["pg_constraint"].get(found.oid)
    assert row is not None
    await change.writer.update("pg_constraint", row, convalidated=True)


def keys_of(index: Index, table: Relation) -> list[Key]:
    """An index's keys, for another index like it."""
    return [Key(table.columns[key.attnum - 1], key.desc, key.nulls_first, key.opclass) for key in index.keys]
