"""CREATE TABLE, CREATE TABLE AS, SELECT INTO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sixfold.engine.catalog.model import Relation
from sixfold.engine.deparse import position_of
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, enums, quote_ident
from sixfold.engine.plans import Prepared, prepare
from sixfold.engine.utility import Context, entry

from . import reloptions
from .base import CLASS, NAMESPACE, TYPE, Change, class_row, truncated
from .columns import Spec, add_columns, add_defaults, check_names, read_column
from .constraints import add_constraint, constraint_names, insert_check, keys_of
from .dependencies import Dropper
from .indexes import depend_on_columns, index_name_parts, make_index
from .sequences import options_of, qualified
from .temporary import target_namespace

if TYPE_CHECKING:
    from sixfold.engine.session import Session

TABLESPACES = ("pg_default", "pg_global")
LIKE_COMMENTS, LIKE_CONSTRAINTS, LIKE_DEFAULTS, LIKE_GENERATED, LIKE_IDENTITY, LIKE_INDEXES = 1, 4, 8, 16, 32, 64
CONSTR = enums.ConstrType


async def make_row_type(change: Change, relation: int, name: str, namespace: int, owner: int) -> int:
    """The composite type of a table's or view's rows, and its array type."""
    oid, array = await change.oid(), await change.oid()
    base = {
        "typnamespace": namespace,
        "typowner": owner,
        "typlen": -1,
        "typbyval": False,
        "typispreferred": False,
        "typisdefined": True,
        "typdelim": ",",
        "typmodin": 0,
        "typmodout": 0,
        "typalign": "d",
        "typstorage": "x",
        "typnotnull": False,
        "typbasetype": 0,
        "typtypmod": -1,
        "typndims": 0,
        "typcollation": 0,
        "typdefaultbin": None,
        "typdefault": None,
        "typacl": None,
    }
    # record_in, record_out, record_recv, record_send; array_in and its like.
    composite = {
        "typtype": "c",
        "typcategory": "C",
        "typrelid": relation,
        "typsubscript": 0,
        "typelem": 0,
        "typarray": array,
        "typinput": 2290,
        "typoutput": 2291,
        "typreceive": 2402,
        "typsend": 2403,
        "typanalyze": 0,
    }
    arrays = {
        "typtype": "b",
        "typcategory": "A",
        "typrelid": 0,
        "typsubscript": 6179,
        "typelem": oid,
        "typarray": 0,
        "typinput": 750,
        "typoutput": 751,
        "typreceive": 2400,
        "typsend": 2401,
        "typanalyze": 3816,
    }
    array_name = "_" + name
    while change.rows["pg_type"].group(("typnamespace", "typname"), namespace, truncated(array_name)):
        array_name = "_" + array_name
    await change.writer.insert("pg_type", {"oid": oid, "typname": name, **base, **composite})
    await change.writer.insert("pg_type", {"oid": array, "typname": truncated(array_name), **base, **arrays})
    await change.depend((TYPE, oid, 0), (CLASS, relation, 0), "i")
    await change.depend((TYPE, array, 0), (TYPE, oid, 0), "i")
    return oid


async def make_table(
    change: Change,
    name: str,
    namespace: int,
    specs: list[Spec],
    persistence: str = "p",
    options: list[str] | None = None,
) -> Relation:
    """An empty table with columns and defaults; constraints come after."""
    check_names(specs)
    for number, spec in enumerate(specs, 1):
        spec.attnum = number
    oid = await change.oid()
    root, overflow = await change.new_table_tree()
    owner = change.owner()
    row_type = await make_row_type(change, oid, name, namespace, owner)
    row = class_row(
        oid,
        name,
        namespace,
        "r",
        owner,
        reltype=row_type,
        relnatts=len(specs),
        relpersistence=persistence,
        reloptions=options,
    )
    await change.writer.insert("pg_class", row)
    await change.writer.insert("sixfold_storage", {"relid": oid, "root": root, "overflow": overflow})
    await change.depend((CLASS, oid, 0), (NAMESPACE, namespace, 0))
    await add_columns(change, oid, specs)
    await change.lock(oid)
    await add_defaults(change, change.must_oid(oid), specs)
    return change.must_oid(oid)


@entry("CreateStmt", "CREATE TABLE")
async def create_table(session: Session, node: Any, context: Context) -> None:
    """CREATE TABLE."""
    if node.inhRelations or node.partbound is not None:
        raise not_built("INHERITS and PARTITION OF")
    if node.partspec is not None:
        raise not_built("PARTITION BY")
    if node.ofTypename is not None:
        raise not_built("CREATE TABLE OF a type")
    change = await Change.begin(session)
    change.source = (node, context.text)
    namespace, persistence = await target_namespace(change, node.relation)
    name = truncated(node.relation.relname)
    if node.if_not_exists and change.is_taken(namespace, name):
        session.notice(f'relation "{name}" already exists, skipping', code="42P07")
        context.reply.complete("CREATE TABLE")
        return
    change.check_free(namespace, name)
    specs: list[Spec] = []
    constraints: list[tuple[Any, str | None]] = []
    likes: list[tuple[Relation, int]] = []
    for element in node.tableElts or ():
        kind = type(element).__name__
        if kind == "ColumnDef":
            spec, rest = read_column(session, element, name)
            specs.append(spec)
            constraints += [(item, spec.name) for item in _merge_attributes(rest)]
        elif kind == "Constraint":
            constraints.append((element, None))
        elif kind == "TableLikeClause":
            source = _like_source(change, element.relation)
            specs += _like_columns(change, source, element.options)
            likes.append((source, element.options))
    table = await make_table(change, name, namespace, specs, persistence, _options(node.options, node.tablespacename))
    await _add_all(change, table, constraints)
    for source, options in likes:
        await _like_rest(change, change.must_oid(table.oid), source, options)
    if node.oncommit.name not in ("ONCOMMIT_NOOP", "ONCOMMIT_PRESERVE_ROWS"):
        _on_commit(change, table, node.oncommit.name, persistence)
    change.end()
    context.reply.complete("CREATE TABLE")


async def _add_all(change: Change, table: Relation, constraints: list[tuple[Any, str | None]]) -> None:
    """Keys first, since foreign keys of the same statement may name them."""
    order = {CONSTR.CONSTR_PRIMARY: 0, CONSTR.CONSTR_UNIQUE: 1, CONSTR.CONSTR_CHECK: 2}
    for node, column in sorted(constraints, key=lambda item: order.get(item[0].contype, 3)):
        await add_constraint(change, change.must_oid(table.oid), node, column, validate=False)


def _merge_attributes(rest: list[Any]) -> list[Any]:
    """DEFERRABLE and its like stand as items of their own after a column's constraint."""
    kept: list[Any] = []
    for item in rest:
        kind = item.contype
        if kind == CONSTR.CONSTR_ATTR_DEFERRABLE:
            kept[-1].deferrable = True
        elif kind == CONSTR.CONSTR_ATTR_DEFERRED:
            kept[-1].deferrable = kept[-1].initdeferred = True
        elif kind not in (CONSTR.CONSTR_ATTR_NOT_DEFERRABLE, CONSTR.CONSTR_ATTR_IMMEDIATE):
            kept.append(item)
    return kept


def _options(given: Any, tablespace: str | None) -> list[str] | None:
    """WITH (…) and TABLESPACE of a table."""
    if tablespace and tablespace not in TABLESPACES:
        raise SqlError("42704", f'tablespace "{tablespace}" does not exist')
    return reloptions.listed(reloptions.read(given))


def _on_commit(change: Change, table: Relation, kind: str, persistence: str) -> None:
    if persistence != "t":
        raise SqlError("42P16", "ON COMMIT can only be used on temporary tables")
    if kind == "ONCOMMIT_DELETE_ROWS":
        raise not_built("ON COMMIT DELETE ROWS")

    async def drop() -> None:
        dropper = Dropper(change)
        dropper.add((CLASS, table.oid, 0))
        await dropper.run(cascade=True, quiet=True)

    change.work.before_commit.append(drop)


def _like_source(change: Change, node: Any) -> Relation:
    try:
        return change.must(node.relname, node.schemaname, use=True)
    except SqlError as error:
        error.position = position_of(node)
        raise


def _like_columns(change: Change, source: Relation, options: int) -> list[Spec]:
    specs: list[Spec] = []
    for column in source.columns:
        if column.dropped:
            continue
        typ = change.catalog.type_by_oid(column.typ)
        assert typ is not None
        spec = Spec(column.name, typ, column.typmod, column.collation, column.not_null)
        if (
            column.default is not None
            and not column.identity
            and options & (LIKE_GENERATED if column.generated else LIKE_DEFAULTS)
        ):
            spec.default_text, spec.generated = column.default, column.generated
        if column.identity and options & LIKE_IDENTITY:
            spec.identity = column.identity
            owned = next(
                (
                    row
                    for row in change.rows["pg_depend"].group(("refclassid", "refobjid"), CLASS, source.oid)
                    if row["refobjsubid"] == column.attnum and row["deptype"] == "i" and row["classid"] == CLASS
                ),
                None,
            )
            sequence = change.rows["pg_sequence"].get(owned["objid"]) if owned else None
            spec.sequence = options_of(sequence) if sequence else None
        specs.append(spec)
    return specs


async def _like_rest(change: Change, table: Relation, source: Relation, options: int) -> None:
    """INCLUDING CONSTRAINTS, INDEXES."""
    names = {column.attnum: column.name for column in source.columns}
    for item in source.constraints if options & LIKE_CONSTRAINTS else ():
        if item.kind == "c" and item.expr is not None:
            taken = constraint_names(change, table.oid)
            if item.name not in taken:
                await insert_check(change, table, item.name, item.expr, [names[attnum] for attnum in item.columns])
    for index in source.indexes if options & LIKE_INDEXES else ():
        if index.constraint:
            fake = ast.Constraint(
                contype=CONSTR.CONSTR_PRIMARY if index.primary else CONSTR.CONSTR_UNIQUE,
                keys=tuple(ast.String(names[key.attnum]) for key in index.keys),
            )
            await add_constraint(change, change.must_oid(table.oid), fake)
            continue
        keys = keys_of(index, source)
        for key in keys:
            key.column = next(column for column in table.columns if column.name == key.column.name)
        name = change.free_name(table.namespace, table.name, index_name_parts(keys), "idx")
        oid = await make_index(change, table, name, keys, unique=index.unique)
        await depend_on_columns(change, table, oid, keys)


# -- CREATE TABLE AS, SELECT INTO


@entry("CreateTableAsStmt", "CREATE TABLE AS")
async def create_table_as(session: Session, node: Any, context: Context) -> None:
    """CREATE TABLE … AS query."""
    if node.objtype == enums.ObjectType.OBJECT_MATVIEW:
        raise not_built("CREATE MATERIALIZED VIEW")
    await table_from_query(session, node.into, node.query, context, bool(node.if_not_exists), "CREATE TABLE AS")


@entry("SelectStmt", "SELECT INTO")
async def select_into(session: Session, node: Any, context: Context) -> None:
    """SELECT … INTO table: other SELECTs never come here."""
    first = node
    while first.larg is not None:
        first = first.larg
    into, first.intoClause = first.intoClause, None
    try:
        await table_from_query(session, into, node, context, False, "SELECT INTO")
    finally:
        first.intoClause = into


async def table_from_query(
    session: Session, into: Any, query: Any, context: Context, if_not_exists: bool, name_of_command: str
) -> None:
    """A table of a query's columns, with its rows."""
    change = await Change.begin(session)
    namespace, persistence = await target_namespace(change, into.rel)
    name = truncated(into.rel.relname)
    if if_not_exists and change.is_taken(namespace, name):
        session.notice(f'relation "{name}" already exists, skipping', code="42P07")
        context.reply.complete("CREATE TABLE AS")
        return
    change.check_free(namespace, name)
    if type(query).__name__ == "ExecuteStmt":
        raise not_built("CREATE TABLE AS EXECUTE")
    prepared = await session.think(
        context.text, lambda: prepare(session, query, context.text, context.param_types, at=-4)
    )
    given = [part.sval for part in into.colNames or ()]
    if len(given) > len(prepared.planned.output):
        raise SqlError("42601", "too many column names were specified")
    specs: list[Spec] = []
    for number, column in enumerate(prepared.planned.output):
        typ = change.catalog.type_by_oid(25 if column.typ == 705 else column.typ)
        assert typ is not None
        column_name = given[number] if number < len(given) else column.name
        if typ.kind == "p":
            raise SqlError("42P16", f'column "{column_name}" has pseudo-type {typ.name}')
        specs.append(Spec(truncated(column_name), typ, column.typmod, typ.collation))
    table = await make_table(change, name, namespace, specs, persistence, _options(into.options, into.tableSpaceName))
    change.end()
    count = 0
    if not into.skipData:
        count = await insert_from(session, table, query, context)
    context.reply.complete("CREATE TABLE AS" if into.skipData else f"SELECT {count}")


async def insert_from(session: Session, table: Relation, query: Any, context: Context) -> int:
    """INSERT the query's rows; their number."""
    target = ast.RangeVar(relname=table.name, schemaname=table.schema, inh=True, relpersistence="p")
    insert = ast.InsertStmt(relation=target, selectStmt=query, override=enums.OverridingKind.OVERRIDING_NOT_SET)
    prepared = await session.statements.ready(
        context.text, lambda: prepare(session, insert, context.text, context.param_types, catalog=session.catalog())
    )
    return await run_plan(session, prepared, context.params)


async def run_plan(session: Session, prepared: Prepared, params: Sequence[Any] = ()) -> int:
    """A plan that writes; the number of its rows."""
    portal = session.kernel.portal(prepared.plan, params)
    try:
        await session.waits.run(portal.run, session=session.kernel, detached=portal.run_detached)
        return portal.rows
    finally:
        # An error's traceback keeps the portal, and so its temporary files.
        portal.close()


def quoted(table: Relation) -> str:
    """The table in SQL text."""
    return qualified(table.schema, table.name)


def column_list(table: Relation) -> str:
    """Its live columns in SQL text."""
    return ", ".join(quote_ident(column.name) for column in table.columns if not column.dropped)
