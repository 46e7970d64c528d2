"""ALTER TABLE, and RENAME, SET SCHEMA, OWNER of every kind of object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine import parser
from sixfold.engine.access import is_member
from sixfold.engine.analyzer.oids import BPCHAR
from sixfold.engine.analyzer.types import format_type, resolve_type
from sixfold.engine.catalog.model import Column, Relation
from sixfold.engine.deparse import columns_of, expression
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import enums, quote_ident
from sixfold.engine.plans import prepare_own
from sixfold.engine.reply import SilentReply
from sixfold.engine.stored import renamed_column
from sixfold.engine.utility import Context, entry, find

from . import physical, reloptions
from .base import (
    CLASS,
    CONSTRAINT,
    NAMESPACE,
    REWRITE,
    TYPE,
    Change,
    column_of,
    truncated,
    update_attribute,
    update_class,
)
from .columns import (
    Spec,
    add_columns,
    add_defaults,
    check_built,
    drop_default,
    is_volatile,
    read_column,
    set_default,
    type_names,
)
from .constraints import add_constraint, constraint_names, set_not_null, validate
from .dependencies import Dropper, describe
from .expressions import can_assign, check_default, check_using
from .indexes import rebuild, renew_attributes
from .roles import rename_role
from .schemas import new_owner, own_schema, rename_schema
from .sequences import Options, change_sequence, make_sequence, qualified, read_options
from .tables import run_plan

if TYPE_CHECKING:
    from sixfold.engine.session import Session

AT = enums.AlterTableType
OBJECT = enums.ObjectType
Step = Callable[[Change, Relation, Any], Awaitable[None]]
CASCADE = enums.DropBehavior.DROP_CASCADE


@entry("AlterTableStmt", "ALTER TABLE")
async def alter_table(session: Session, node: Any, context: Context) -> None:
    """ALTER TABLE, ALTER INDEX, ALTER VIEW, ALTER SEQUENCE (those parts that share its tree)."""
    change = await Change.begin(session)
    change.altering = (node, context.text)
    tag = {
        OBJECT.OBJECT_INDEX: "ALTER INDEX",
        OBJECT.OBJECT_VIEW: "ALTER VIEW",
        OBJECT.OBJECT_SEQUENCE: "ALTER SEQUENCE",
    }.get(node.objtype, "ALTER TABLE")
    table = change.relation(node.relation.relname, node.relation.schemaname, missing_ok=bool(node.missing_ok))
    if table is None:
        session.notice(f'relation "{node.relation.relname}" does not exist, skipping')
        context.reply.complete(tag)
        return
    await change.lock(table.oid)
    if table.kind in "rm":
        change.check_not_in_use(table, "ALTER TABLE")
    # PostgreSQL's passes: what drops goes first, then types, columns, constraints.
    order = {
        AT.AT_DropConstraint: 0,
        AT.AT_DropColumn: 0,
        AT.AT_AlterColumnType: 1,
        AT.AT_AddColumn: 2,
        AT.AT_AddConstraint: 4,
        AT.AT_AddIndex: 4,
    }
    for command in sorted(node.cmds, key=lambda item: order.get(item.subtype, 3)):
        step = STEPS.get(command.subtype)
        if step is None:
            raise not_built(f"{tag} … {command.subtype.name.removeprefix('AT_')}")
        with change.newest():
            await step(change, change.must_oid(table.oid), command)
    change.end()
    context.reply.complete(tag)


# -- columns


async def _add_column(change: Change, table: Relation, command: Any) -> None:
    session = change.session
    definition = command.def_
    if any(column.name == definition.colname and not column.dropped for column in table.columns):
        if command.missing_ok:
            session.notice(
                f'column "{definition.colname}" of relation "{table.name}" already exists, skipping', code="42701"
            )
            return
        raise SqlError("42701", f'column "{definition.colname}" of relation "{table.name}" already exists')
    spec, rest = read_column(session, definition, table.name)
    spec.attnum = len(table.columns) + 1
    required, spec.not_null = spec.not_null, False
    await add_columns(change, table.oid, [spec])
    await update_class(change, table.oid, relnatts=spec.attnum)
    table = change.must_oid(table.oid)
    await add_defaults(change, table, [spec])
    table = change.must_oid(table.oid)
    await _fill_new_column(change, table, spec)
    if required:
        await set_not_null(change, change.must_oid(table.oid), [spec.attnum])
    for item in rest:
        await add_constraint(change, change.must_oid(table.oid), item, spec.name)


async def _fill_new_column(change: Change, table: Relation, spec: Spec) -> None:
    """Old rows read a constant default as the column's missing value; one that varies is written into them."""
    column = table.columns[spec.attnum - 1]
    session = change.session
    if spec.identity:
        sequence = _sequence_of(change, table, spec.attnum)
        text = f"nextval('{qualified(sequence[0], sequence[1])}'::regclass)"
    elif column.default is None:
        return
    else:
        text = column.default
    if not spec.generated and not spec.identity and not is_volatile(parser.parse_expression(text)):
        name = format_type(change.catalog, column.typ, column.typmod)
        value = (await session.statements.fetch(f"SELECT ({text})::{name}::text", catalog=change.catalog))[0][0]
        if value is not None:
            await update_attribute(change, table, spec.attnum, atthasmissing=True, attmissingval=value)
        return
    change.end()
    value_text = "DEFAULT" if spec.generated else text
    await execute(change, f"UPDATE {qualified(table.schema, table.name)} SET {quote_ident(spec.name)} = {value_text}")


async def execute(change: Change, text: str) -> int:
    """A statement of the engine's own within this transaction; rows changed."""
    session = change.session
    prepared = prepare_own(session, text, change.catalog)
    rows = await run_plan(session, prepared)
    session.kernel.next_command()
    return rows


def _sequence_of(change: Change, table: Relation, attnum: int) -> tuple[str, str]:
    """An identity column's sequence."""
    for row in change.rows["pg_depend"].group(("refclassid", "refobjid"), CLASS, table.oid):
        if row["refobjsubid"] == attnum and row["classid"] == CLASS and row["deptype"] == "i":
            found = change.catalog.sequence(row["objid"])
            if found is not None:
                return found.schema, found.name
    raise SqlError("XX000", "no owned sequence found")


async def _drop_column(change: Change, table: Relation, command: Any) -> None:
    found = next((column for column in table.columns if column.name == command.name and not column.dropped), None)
    if found is None:
        if command.missing_ok:
            change.session.notice(f'column "{command.name}" of relation "{table.name}" does not exist, skipping')
            return
        raise SqlError("42703", f'column "{command.name}" of relation "{table.name}" does not exist')
    dropper = Dropper(change)
    # Multi-column constraints and indexes go with any of their columns.
    dropper.add((CLASS, table.oid, found.attnum))
    await dropper.run(cascade=command.behavior == CASCADE)


async def _column_default(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    if column.identity:
        raise SqlError(
            "42601",
            f'column "{column.name}" of relation "{table.name}" is an identity column',
            hint=None if command.def_ is not None else "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.",
        )
    if column.generated:
        raise SqlError(
            "42601",
            f'column "{column.name}" of relation "{table.name}" is a generated column',
            hint=None if command.def_ is not None else "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.",
        )
    if command.def_ is None:
        await drop_default(change, table.oid, column.attnum)
    else:
        await set_default(change, table, column.attnum, command.def_)


async def _drop_expression(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    if not column.generated:
        if command.missing_ok:
            change.session.notice(
                f'column "{column.name}" of relation "{table.name}" is not a stored generated column, skipping'
            )
            return
        raise SqlError("55000", f'column "{column.name}" of relation "{table.name}" is not a stored generated column')
    await drop_default(change, table.oid, column.attnum)


async def _set_not_null(change: Change, table: Relation, command: Any) -> None:
    await set_not_null(change, table, [column_of(table, command.name).attnum])


async def _drop_not_null(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    if column.identity:
        raise SqlError("42601", f'column "{column.name}" of relation "{table.name}" is an identity column')
    if any(index.primary and any(key.attnum == column.attnum for key in index.keys) for index in table.indexes):
        raise SqlError("42P16", f'column "{column.name}" is in a primary key')
    await update_attribute(change, table, column.attnum, attnotnull=False)


async def _column_type(change: Change, table: Relation, command: Any) -> None:
    """ALTER COLUMN TYPE: the rows are written again unless the stored form is the same."""
    column = column_of(table, command.name)
    definition = command.def_
    typ, typmod = resolve_type(change.catalog, definition.typeName)
    check_built(change.catalog, typ, definition.typeName)
    if column.generated:
        raise SqlError("0A000", "ALTER TABLE ALTER COLUMN TYPE of a generated column is not supported yet")
    for row in change.rows["pg_depend"].group(("refclassid", "refobjid"), CLASS, table.oid):
        if row["refobjsubid"] == column.attnum and row["classid"] == REWRITE:
            view = describe(change, (REWRITE, row["objid"], 0))
            raise SqlError(
                "0A000",
                "cannot alter type of a column used by a view or rule",
                detail=f'rule _RETURN on {view} depends on column "{column.name}"',
            )
    for other in table.columns:
        if other.generated and not other.dropped and column.name in columns_of(parser.parse_expression(other.default)):
            raise SqlError(
                "0A000",
                "cannot alter type of a column used by a generated column",
                detail=f'Column "{column.name}" is used by generated column "{other.name}".',
            )
    using = definition.raw_default
    if using is not None:
        check_using(change, table, column, using, typ.oid)
    if using is None and typ.oid != column.typ and not can_assign(change, column.typ, typ.oid):
        shown = format_type(change.catalog, typ.oid, typmod)
        raise SqlError(
            "42804",
            f'column "{column.name}" cannot be cast automatically to type {format_type(change.catalog, typ.oid)}',
            hint=f'You might need to specify "USING {quote_ident(column.name)}::{shown}".',
        )
    default = None if column.identity else column.default
    if default is not None and typ.oid != column.typ:
        check_default(change, column, typ.oid)
        await drop_default(change, table.oid, column.attnum)
    text = expression(using, type_names(change, table)) if using is not None else quote_ident(column.name)
    # Without the modifier: a cast that is written out cuts off, an assignment to the new column refuses.
    target = "bpchar" if typ.oid == BPCHAR else format_type(change.catalog, typ.oid, -1)
    if using is None and same_storage(column, typ.oid, typmod):
        await _retype(change, table, column, typ, typmod)
    else:
        await rewrite(
            change, table, {column.attnum: f"({text})::{target}"}, lambda: _retype(change, table, column, typ, typmod)
        )
    if default is not None and typ.oid != column.typ:
        await set_default(change, change.must_oid(table.oid), column.attnum, parser.parse_expression(default))


def same_storage(column: Column, typ: int, typmod: int) -> bool:
    """Do values stay as they are stored, and pass the new modifier?"""
    text = (25, 1043)
    if typ == column.typ:
        if typmod == column.typmod or typmod == -1:
            return True
        return typ == 1043 and column.typmod != -1 and typmod >= column.typmod
    return column.typ in text and typ in text and typmod == -1


async def _retype(change: Change, table: Relation, column: Column, typ: Any, typmod: int) -> None:
    await update_attribute(
        change,
        table,
        column.attnum,
        atttypid=typ.oid,
        atttypmod=typmod,
        attlen=typ.len,
        attbyval=typ.byval,
        attalign=typ.align,
        attstorage=typ.storage,
        attcollation=typ.collation,
        attndims=1 if typ.is_array else 0,
        atthasmissing=False,
        attmissingval=None,
    )
    await change.depend((CLASS, table.oid, column.attnum), (TYPE, typ.oid, 0))
    await renew_attributes(change, change.must_oid(table.oid), column.attnum)


async def rewrite(
    change: Change, table: Relation, exprs: dict[int, str], between: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Write all rows into a new tree, with expressions for some columns; `between` changes the catalogue after the
    rows have been read (into a temporary table of the engine's own) and before they are written."""
    live = [column for column in table.columns if not column.dropped and not column.generated]
    shown = ", ".join(
        f"{exprs.get(column.attnum, quote_ident(column.name))} AS {quote_ident(column.name)}" for column in live
    )
    names = ", ".join(quote_ident(column.name) for column in live)
    copy = change.free_name(table.namespace, "sixfold_rewrite", str(table.oid), "tmp")
    source, target = qualified(table.schema, table.name), qualified(table.schema, copy)
    await run_sql(change, f"CREATE TABLE {target} AS SELECT {shown} FROM {source}")
    if between is not None:
        await between()
    await empty(change, change.must_oid(table.oid))
    change.end()
    if live:
        await execute(change, f"INSERT INTO {source} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {target}")
    await run_sql(change, f"DROP TABLE {target}")


async def run_sql(change: Change, text: str) -> None:
    """A DDL statement of the engine's own."""
    session = change.session
    node = parser.parse_one(text)
    await find(node).run(session, node, Context(text, text, SilentReply(session)))


async def empty(change: Change, table: Relation) -> None:
    """New trees for a table and its indexes; the old ones go at commit."""
    change.drop_tree_of(table.oid, "r")
    storage = change.rows["sixfold_storage"].get(table.oid)
    assert storage is not None
    root, overflow = await change.new_table_tree()
    await change.writer.update("sixfold_storage", storage, root=root, overflow=overflow)
    for index in table.indexes:
        change.drop_tree_of(index.oid, "i")
        storage = change.rows["sixfold_storage"].get(index.oid)
        assert storage is not None
        await change.writer.update("sixfold_storage", storage, root=await change.new_index_tree())
    for column in table.columns:
        if column.missing is not None:
            await update_attribute(change, table, column.attnum, atthasmissing=False, attmissingval=None)


async def rebuild_indexes(change: Change, table: Relation) -> None:
    """All of a table's indexes anew."""
    for index in table.indexes:
        await rebuild(change, table.oid, index.oid)


# -- identity


async def _add_identity(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    if column.typ not in (20, 21, 23):
        raise SqlError("22023", "identity column type must be smallint, integer, or bigint")
    if not column.not_null:
        raise SqlError(
            "55000",
            f'column "{column.name}" of relation "{table.name}" must be declared NOT NULL before identity can be added',
        )
    if column.identity:
        raise SqlError("55000", f'column "{column.name}" of relation "{table.name}" is already an identity column')
    if column.default is not None:
        raise SqlError("55000", f'column "{column.name}" of relation "{table.name}" already has a default value')
    options = read_options(change.session, command.def_.options, Options(typ=column.typ))
    name = change.free_name(table.namespace, table.name, column.name, "seq")
    oid = await make_sequence(change, name, table.namespace, options, table.persistence, table.owner)
    await change.depend((CLASS, oid, 0), (CLASS, table.oid, column.attnum), "i")
    await update_attribute(change, table, column.attnum, attidentity=command.def_.generated_when)


async def _set_identity(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    if not column.identity:
        raise SqlError("55000", f'column "{column.name}" of relation "{table.name}" is not an identity column')
    schema, name = _sequence_of(change, table, column.attnum)
    rest = [option for option in command.def_ if option.defname != "generated"]
    for option in command.def_:
        if option.defname == "generated":
            await update_attribute(change, table, column.attnum, attidentity=chr(option.arg.ival))
    if rest:
        sequence = change.must(name, schema)
        await change_sequence(change, sequence.oid, rest)


async def _drop_identity(change: Change, table: Relation, command: Any) -> None:
    column = column_of(table, command.name)
    if not column.identity:
        if command.missing_ok:
            change.session.notice(
                f'column "{column.name}" of relation "{table.name}" is not an identity column, skipping'
            )
            return
        raise SqlError("55000", f'column "{column.name}" of relation "{table.name}" is not an identity column')
    schema, name = _sequence_of(change, table, column.attnum)
    sequence = change.must(name, schema)
    await update_attribute(change, table, column.attnum, attidentity="")
    await change.forget_dependencies(CLASS, sequence.oid)
    dropper = Dropper(change)
    dropper.add((CLASS, sequence.oid, 0))
    await dropper.run(cascade=True, quiet=True)


# -- constraints


async def _add_constraint(change: Change, table: Relation, command: Any) -> None:
    await add_constraint(change, table, command.def_)


async def _drop_constraint(change: Change, table: Relation, command: Any) -> None:
    found = next((item for item in table.constraints if item.name == command.name), None)
    if found is None:
        if command.missing_ok:
            change.session.notice(f'constraint "{command.name}" of relation "{table.name}" does not exist, skipping')
            return
        raise SqlError("42704", f'constraint "{command.name}" of relation "{table.name}" does not exist')
    if found.kind == "f" and found.foreign_relation != table.oid:
        await change.lock(found.foreign_relation)
        change.check_not_in_use(change.must_oid(found.foreign_relation), "ALTER TABLE")
    dropper = Dropper(change)
    dropper.add((CONSTRAINT, found.oid, 0))
    await dropper.run(cascade=command.behavior == CASCADE)


async def _validate(change: Change, table: Relation, command: Any) -> None:
    await validate(change, table, command.name)


async def _alter_constraint(change: Change, table: Relation, command: Any) -> None:
    found = next((item for item in table.constraints if item.name == command.def_.conname), None)
    if found is None:
        raise SqlError("42704", f'constraint "{command.def_.conname}" of relation "{table.name}" does not exist')
    if found.kind != "f":
        raise SqlError("42809", f'constraint "{found.name}" of relation "{table.name}" is not a foreign key constraint')
    row = change.rows["pg_constraint"].get(found.oid)
    assert row is not None
    await change.writer.update(
        "pg_constraint", row, condeferrable=bool(command.def_.deferrable), condeferred=bool(command.def_.initdeferred)
    )


# -- the rest


async def _owner(change: Change, table: Relation, command: Any) -> None:
    owner = new_owner(change.session, command.newowner)
    await update_class(change, table.oid, relowner=owner)
    for index in table.indexes:
        await update_class(change, index.oid, relowner=owner)


async def _options(change: Change, table: Relation, command: Any) -> None:
    """SET (…), RESET (…)."""
    row = change.rows["pg_class"].get(table.oid)
    assert row is not None
    options = reloptions.changed(row["reloptions"], command.def_, reset=command.subtype == AT.AT_ResetRelOptions)
    await change.writer.update("pg_class", row, reloptions=options)


STEPS: dict[Any, Step] = {
    AT.AT_AddColumn: _add_column,
    AT.AT_DropColumn: _drop_column,
    AT.AT_ColumnDefault: _column_default,
    AT.AT_DropExpression: _drop_expression,
    AT.AT_SetNotNull: _set_not_null,
    AT.AT_DropNotNull: _drop_not_null,
    AT.AT_AlterColumnType: _column_type,
    AT.AT_AddIdentity: _add_identity,
    AT.AT_SetIdentity: _set_identity,
    AT.AT_DropIdentity: _drop_identity,
    AT.AT_AddConstraint: _add_constraint,
    AT.AT_AddIndex: _add_constraint,
    AT.AT_DropConstraint: _drop_constraint,
    AT.AT_ValidateConstraint: _validate,
    AT.AT_AlterConstraint: _alter_constraint,
    AT.AT_ChangeOwner: _owner,
    AT.AT_SetRelOptions: _options,
    AT.AT_ResetRelOptions: _options,
    **physical.STEPS,
}


# -- RENAME, SET SCHEMA, OWNER


@entry("RenameStmt", "RENAME")
async def rename(session: Session, node: Any, context: Context) -> None:
    """ALTER … RENAME TO."""
    change = await Change.begin(session)
    kind = node.renameType
    new = truncated(node.newname)
    if kind == OBJECT.OBJECT_SCHEMA:
        await rename_schema(change, node.subname, new)
        tag = "ALTER SCHEMA"
    elif kind == OBJECT.OBJECT_ROLE:
        await rename_role(change, node.subname, new)
        tag = "ALTER ROLE"
    elif kind in (
        OBJECT.OBJECT_COLUMN,
        OBJECT.OBJECT_TABCONSTRAINT,
        OBJECT.OBJECT_TABLE,
        OBJECT.OBJECT_INDEX,
        OBJECT.OBJECT_SEQUENCE,
        OBJECT.OBJECT_VIEW,
    ):
        words = {OBJECT.OBJECT_INDEX: "INDEX", OBJECT.OBJECT_SEQUENCE: "SEQUENCE", OBJECT.OBJECT_VIEW: "VIEW"}
        tag = "ALTER " + words.get(node.relationType if kind == OBJECT.OBJECT_COLUMN else kind, "TABLE")
        table = change.relation(node.relation.relname, node.relation.schemaname, missing_ok=bool(node.missing_ok))
        if table is None:
            session.notice(f'relation "{node.relation.relname}" does not exist, skipping')
        else:
            await change.lock(table.oid)
            await _rename_part(change, table, node, new)
    else:
        raise not_built(f"RENAME of {kind.name.removeprefix('OBJECT_').lower()}")
    change.end()
    context.reply.complete(tag)


async def _rename_part(change: Change, table: Relation, node: Any, new: str) -> None:
    if node.renameType == OBJECT.OBJECT_COLUMN:
        await _rename_column(change, table, node.subname, new)
    elif node.renameType == OBJECT.OBJECT_TABCONSTRAINT:
        await _rename_constraint(change, table, node.subname, new)
    else:
        await rename_relation(change, table, new)


async def _rename_column(change: Change, table: Relation, old: str, new: str) -> None:
    column = next((c for c in table.columns if c.name == old and not c.dropped), None)
    if column is None:
        raise SqlError("42703", f'column "{old}" does not exist')
    if any(c.name == new and not c.dropped for c in table.columns):
        raise SqlError("42701", f'column "{new}" of relation "{table.name}" already exists')
    await update_attribute(change, table, column.attnum, attname=new)
    for row in change.rows["pg_constraint"].group(("conrelid",), table.oid):
        if row["contype"] == "c" and row["conbin"] and column.attnum in (row["conkey"] or ()):
            await change.writer.update("pg_constraint", row, conbin=_renamed(row["conbin"], old, new))
    for row in change.rows["pg_attrdef"].group(("adrelid",), table.oid):
        if table.columns[row["adnum"] - 1].generated:
            await change.writer.update("pg_attrdef", row, adbin=_renamed(row["adbin"], old, new))
    for row in change.rows["pg_depend"].group(("refclassid", "refobjid"), CLASS, table.oid):
        rule = (
            change.rows["pg_rewrite"].get(row["objid"])
            if row["classid"] == REWRITE and row["refobjsubid"] == column.attnum
            else None
        )
        if rule is not None and rule["ev_class"] != table.oid:
            await change.writer.update(
                "pg_rewrite", rule, ev_action=renamed_column(rule["ev_action"], table.oid, old, new)
            )


def _renamed(text: str, old: str, new: str) -> str:
    """An expression kept as text, with a column's new name."""
    tree = parser.own_expression(text)

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, parser.ast.Node):
            if isinstance(part, parser.ast.ColumnRef) and getattr(part.fields[-1], "sval", None) == old:
                part.fields = (*part.fields[:-1], parser.ast.String(new))
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | parser.ast.Node):
                    walk(value)

    walk(tree)
    return expression(tree)


async def _rename_constraint(change: Change, table: Relation, old: str, new: str) -> None:
    found = next((item for item in table.constraints if item.name == old), None)
    if found is None:
        raise SqlError("42704", f'constraint "{old}" for table "{table.name}" does not exist')
    if new in constraint_names(change, table.oid):
        raise SqlError("42710", f'constraint "{new}" for relation "{table.name}" already exists')
    row = change.rows["pg_constraint"].get(found.oid)
    assert row is not None
    await change.writer.update("pg_constraint", row, conname=new)
    if found.kind in "pu" and found.index:
        await update_class(change, found.index, relname=new)


async def rename_relation(change: Change, table: Relation, new: str) -> None:
    """A relation, its row type, and the constraint of an index."""
    change.check_free(table.namespace, new, row_type=table.kind not in "iS")
    await update_class(change, table.oid, relname=new)
    if table.row_type:
        row = change.rows["pg_type"].get(table.row_type)
        if row is not None:
            await change.writer.update("pg_type", row, typname=new)
    for row in change.rows["pg_constraint"].group(("conindid",), table.oid):
        if row["contype"] in "pu":
            await change.writer.update("pg_constraint", row, conname=new)


@entry("AlterObjectSchemaStmt", "SET SCHEMA")
async def set_schema(session: Session, node: Any, context: Context) -> None:
    """ALTER TABLE, VIEW, SEQUENCE … SET SCHEMA."""
    change = await Change.begin(session)
    if node.relation is None:
        raise not_built("SET SCHEMA of this kind of object")
    table = change.relation(node.relation.relname, node.relation.schemaname, missing_ok=bool(node.missing_ok))
    word = {OBJECT.OBJECT_VIEW: "VIEW", OBJECT.OBJECT_SEQUENCE: "SEQUENCE"}.get(node.objectType, "TABLE")
    if table is not None:
        namespace = change.namespace(node.newschema)
        await change.lock(table.oid)
        if namespace != table.namespace:
            change.check_free(namespace, table.name)
            await _move(change, table, namespace)
    change.end()
    context.reply.complete(f"ALTER {word}")


async def _move(change: Change, table: Relation, namespace: int) -> None:
    moved = [table.oid, *(index.oid for index in table.indexes)]
    for row in change.rows["pg_depend"].group(("refclassid", "refobjid"), CLASS, table.oid):
        if row["classid"] == CLASS and row["deptype"] in "ai" and row["objid"] not in moved:
            moved.append(row["objid"])
    for oid in moved:
        await update_class(change, oid, relnamespace=namespace)
        for row in change.rows["pg_depend"].group(("classid", "objid"), CLASS, oid):
            if row["refclassid"] == NAMESPACE:
                await change.writer.update("pg_depend", row, refobjid=namespace)
    for row in change.rows["pg_constraint"].group(("conrelid",), table.oid):
        await change.writer.update("pg_constraint", row, connamespace=namespace)
    typ = change.rows["pg_type"].get(table.row_type)
    for kind in (typ, change.rows["pg_type"].get(typ["typarray"]) if typ else None):
        if kind is not None:
            await change.writer.update("pg_type", kind, typnamespace=namespace)


@entry("AlterOwnerStmt", "OWNER TO")
async def set_owner(session: Session, node: Any, context: Context) -> None:
    """ALTER SCHEMA, DATABASE … OWNER TO."""
    change = await Change.begin(session)
    owner = new_owner(session, node.newowner)
    if node.objectType == OBJECT.OBJECT_SCHEMA:
        oid = own_schema(change, node.object.sval)
        row = change.rows["pg_namespace"].get(oid)
        assert row is not None
        await change.writer.update("pg_namespace", row, nspowner=owner)
    elif node.objectType == OBJECT.OBJECT_DATABASE:
        found = change.rows["pg_database"].group(("datname",), node.object.sval)
        if not found:
            raise SqlError("3D000", f'database "{node.object.sval}" does not exist')
        if not is_member(session, found[0]["datdba"]):
            raise SqlError("42501", f"must be owner of database {node.object.sval}")
        await change.writer.update("pg_database", found[0], datdba=owner)
    else:
        raise not_built("OWNER TO of this kind of object")
    change.end()
    context.reply.complete(f"ALTER {node.objectType.name.removeprefix('OBJECT_')}")
