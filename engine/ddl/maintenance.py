"""VACUUM, ANALYZE, CLUSTER, CHECKPOINT."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_superuser, is_member
from sixfold.engine.catalog.model import Column, Relation
from sixfold.engine.catalog.snapshot import Snapshot
from sixfold.engine.catalog.statistics import statistic_row
from sixfold.engine.catalog.store import kernel_table
from sixfold.engine.catalog.system import USER_OID, served
from sixfold.engine.errors import SqlError
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import quote_ident
from sixfold.engine.planner import nodes
from sixfold.engine.utility import Context, entry
from sixfold.kernel._kernel import Table, summarise

from .alter import rewrite
from .base import ACCESS_EXCLUSIVE, SHARE_UPDATE, Change
from .sequences import qualified

if TYPE_CHECKING:
    from sixfold.engine.session import Session

# Rows that ANALYZE looks at: 300 for each unit of the statistics target, as PostgreSQL.
ROWS_PER_TARGET = 300


@entry("VacuumStmt", "VACUUM")
async def vacuum(session: Session, node: Any, context: Context) -> None:
    """VACUUM [FULL] [ANALYZE] [tables], ANALYZE [tables]."""
    options = {option.defname: _flag(option) for option in node.options or ()}
    full = options.get("full", False)
    analyze = not node.is_vacuumcmd or options.get("analyze", False)
    if node.is_vacuumcmd and session.kernel.status != "I":
        raise SqlError("25001", "VACUUM cannot run inside a transaction block")
    change = await Change.begin(session)
    seen = session.database.activity
    for named, columns in _tables(change, node):
        # The catalogue's own tables stay where they are.
        anew = full and named.oid >= USER_OID
        await change.lock(named.oid, ACCESS_EXCLUSIVE if anew else SHARE_UPDATE, restart=False)
        table = change.catalog.relation_by_oid(named.oid)
        if table is None:
            # It was dropped meanwhile.
            if node.rels:
                raise SqlError("42P01", f'relation "{named.name}" does not exist')
            continue
        if anew:
            await write_anew(change, table)
        elif node.is_vacuumcmd:
            await clean(session, table, indexes=options.get("index_cleanup", False))
        if table.oid >= USER_OID:
            await measure(change, change.must_oid(table.oid), columns if analyze else None)
        if node.is_vacuumcmd:
            seen.of(table.oid).vacuumed(session.now())
        if analyze and table.oid >= USER_OID:
            seen.of(table.oid).analyzed(session.now())
    change.end()
    context.reply.complete("VACUUM" if node.is_vacuumcmd else "ANALYZE")


async def clean(
    session: Session,
    table: Relation,
    *,
    indexes: bool = False,
    relieve: Callable[[], Awaitable[None]] | None = None,
    slice_us: int = 100_000,
) -> None:
    """Take out of a table, which is locked, what nobody can see. `relieve` is awaited between slices."""
    volume, waits = session.database.volume, session.waits

    async def between() -> None:
        if session.statements.cancelled is not None:
            raise session.statements.cancelled
        if relieve is not None:
            await relieve()

    await clean_queued(session, table, between, slice_us)
    job = volume.vacuum_table(Table(nodes.to_json(kernel_table(table))), indexes)
    await waits.step(job.run, session=session.kernel, detached=lambda: job.run_detached(slice_us), relieve=between)
    # Values that the rows pointed to.
    await clean_queued(session, table, between, slice_us)


async def clean_queued(
    session: Session, table: Relation, between: Callable[[], Awaitable[None]], slice_us: int
) -> None:
    """The same for the rows only that are known to have something: cheap, whatever the table's size."""
    job = session.database.volume.vacuum_queued(table.root)
    await session.waits.step(
        job.run, session=session.kernel, detached=lambda: job.run_detached(slice_us), relieve=between
    )


def _flag(option: Any) -> bool:
    arg = option.arg
    if arg is None:
        return True
    value = getattr(arg, "sval", None)
    if value is not None:
        return value.lower() in ("true", "on", "1", "yes")
    return bool(getattr(arg, "boolval", getattr(arg, "ival", True)))


def verb(node: Any) -> str:
    """What a VACUUM or ANALYZE does."""
    return "vacuum" if node.is_vacuumcmd else "analyze"


def _tables(change: Change, node: Any) -> list[tuple[Relation, list[str]]]:
    if not node.rels:
        oids = [
            row["oid"]
            for row in change.rows["pg_class"].rows.values()
            if row["relkind"] == "r" and row["relpersistence"] != "t"
        ]
        role = change.session.snapshot.role(change.session.user)
        if node.is_vacuumcmd and role is not None and role["rolsuper"]:
            oids += stored_catalogs(change.session.snapshot)
        tables = [change.must_oid(oid) for oid in oids]
        return [(table, []) for table in tables if is_member(change.session, table.owner)]
    found: list[tuple[Relation, list[str]]] = []
    for item in node.rels:
        name = item.relation
        table = change.catalog.relation(name.relname, name.schemaname)
        if table is None:
            raise SqlError("42P01", f'relation "{name.relname}" does not exist')
        if table.kind not in ("r", "m"):
            change.session.notice(
                f'skipping "{table.name}" --- cannot {verb(node)} non-tables or special system tables',
                severity="WARNING",
                code="01000",
            )
        elif not is_member(change.session, table.owner):
            change.session.notice(
                f'permission denied to {verb(node)} "{table.name}", skipping it', severity="WARNING", code="01000"
            )
        elif table.host is None and (table.oid >= USER_OID or node.is_vacuumcmd):
            columns = [part.sval for part in item.va_cols or ()]
            for column in columns:
                if not any(c.name == column and not c.dropped for c in table.columns):
                    raise SqlError("42703", f'column "{column}" of relation "{table.name}" does not exist')
            found.append((table, columns))
    return found


def stored_catalogs(snapshot: Snapshot) -> list[int]:
    """Catalogues that are tables like any others."""
    found = (snapshot.relation(oid) for oid in served().values())
    return [relation.oid for relation in found if relation is not None and relation.host is None and relation.root]


async def measure(change: Change, table: Relation, columns: list[str] | None) -> None:
    """Pages and rows into pg_class; with `columns` (empty: all) statistics into pg_statistic."""
    session = change.session
    pages, rows = await session.waits.run(lambda: change.volume.table_size(Table(nodes.to_json(kernel_table(table)))))
    if columns is not None:
        counted = await session.statements.fetch(
            f"SELECT count(*) FROM {qualified(table.schema, table.name)}", catalog=change.catalog
        )
        rows = counted[0][0]
        await _statistics(change, table, columns, rows)
        change.volume.analyzed(table.root, rows)
    await _sizes(change, table.oid, pages, rows)
    for index in table.indexes:
        await _sizes(change, index.oid, max(1, pages // 4), rows)


async def _sizes(change: Change, oid: int, pages: int, rows: int) -> None:
    row = change.rows["pg_class"].get(oid)
    assert row is not None
    if (row["relpages"], row["reltuples"]) != (pages, float(rows)):
        await change.writer.update("pg_class", row, relpages=min(pages, 2**31 - 1), reltuples=float(rows))


async def _statistics(change: Change, table: Relation, columns: list[str], rows: int) -> None:
    target = change.session.settings.number("default_statistics_target")
    wanted = [c for c in table.columns if not c.dropped and (not columns or c.name in columns)]
    if not wanted or not rows:
        return
    shown = ", ".join(f"({quote_ident(column.name)})::text" for column in wanted)
    every = max(1, rows // (ROWS_PER_TARGET * target))
    source = qualified(table.schema, table.name)
    # A part of the rows, spread over the table.
    query = f"SELECT {shown} FROM {source}" + (f" WHERE random() < {1.0 / every:.9f}" if every > 1 else "")
    sample = await change.session.statements.fetch(query, catalog=change.catalog)
    for at, column in enumerate(wanted):
        await _column_statistics(change, table, column, [row[at] for row in sample], rows)


async def _column_statistics(
    change: Change, table: Relation, column: Column, values: list[str | None], rows: int
) -> None:
    null_frac, width, distinct, common, histogram = await change.session.waits.runtime.offload(
        summarise, values, float(rows), _ordering(column)
    )
    equal, less = _operators(change, column)
    own = change.rows["pg_attribute"].get(table.oid, column.attnum)
    told = dict(item.split("=", 1) for item in (own["attoptions"] if own else None) or ()).get("n_distinct")
    row = statistic_row(
        table.oid,
        column.attnum,
        null_frac,
        width,
        float(told) if told is not None else distinct,
        common,
        histogram,
        equal,
        less,
    )
    old = change.rows["pg_statistic"].get(table.oid, column.attnum, False)
    if old is not None:
        await change.writer.delete("pg_statistic", old)
    await change.writer.insert("pg_statistic", row)


def _operators(change: Change, column: Column) -> tuple[int, int]:
    typ = 25 if column.typ in (1043, 19) else column.typ
    equal = next((o.oid for o in FACTS.operators("=") if o.left == o.right == typ), 0)
    less = next((o.oid for o in FACTS.operators("<") if o.left == o.right == typ), 0)
    return equal, less


def _ordering(column: Column) -> str | None:
    """How texts of the column's values sort as the values do; None when that takes more than text."""
    if column.typ in (20, 21, 23, 26):
        return "int"
    if column.typ in (700, 701, 1700):
        return "float"
    if column.typ in (25, 1043, 1042, 19, 1082, 1114, 1184, 2950, 16):
        return "text"
    return None


@entry("ClusterStmt", "CLUSTER")
async def cluster(session: Session, node: Any, context: Context) -> None:
    """CLUSTER: the table is written again (rows stand by row id here; no order is kept)."""
    if node.relation is not None:
        change = await Change.begin(session)
        table = change.must(node.relation.relname, node.relation.schemaname, kinds="r")
        if node.indexname is not None and not any(index.name == node.indexname for index in table.indexes):
            raise SqlError("42704", f'index "{node.indexname}" for table "{table.name}" does not exist')
        await change.lock(table.oid)
        change.check_not_in_use(table, "CLUSTER")
        await write_anew(change, table)
        change.end()
    context.reply.complete("CLUSTER")


async def write_anew(change: Change, table: Relation) -> None:
    """The rows of a table that is locked against everybody, in new trees. Who has a snapshot of before, which finds nothing in them, is
    told so: 40001."""
    with change.newest():
        await rewrite(change, table, {})
    change.work.written_anew.append(table.oid)


@entry("CheckPointStmt", "CHECKPOINT", read_only=True)
async def checkpoint(session: Session, node: Any, context: Context) -> None:
    """CHECKPOINT: there are none here, what is committed is durable."""
    check_superuser(session, "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT")
    context.reply.complete("CHECKPOINT")
