"""CREATE SEQUENCE, ALTER SEQUENCE, and the sequences of serial and identity columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sixfold.engine.analyzer.types import resolve_type
from sixfold.engine.catalog.model import Sequence
from sixfold.engine.catalog.rows import Row
from sixfold.engine.errors import SqlError
from sixfold.engine.utility import Context, entry

from .base import CLASS, NAMESPACE, Change, class_row, truncated
from .temporary import target_namespace

if TYPE_CHECKING:
    from sixfold.engine.session import Session

LIMITS = {21: (-32768, 32767, "smallint"), 23: (-(2**31), 2**31 - 1, "integer"), 20: (-(2**63), 2**63 - 1, "bigint")}


class Options(msgspec.Struct):
    """A sequence's parameters."""

    typ: int = 20
    start: int | None = None
    increment: int = 1
    low: int | None = None
    high: int | None = None
    cache: int = 1
    cycle: bool = False
    restart: int | bool | None = None
    # (table, column) names, () for OWNED BY NONE.
    owned_by: tuple[str, ...] | None = None


def _number(option: Any) -> int:
    arg = option.arg
    return int(arg.ival) if type(arg).__name__ == "Integer" else int(arg.fval)


def read_options(session: Session, options: Any, base: Options | None = None) -> Options:
    """Options of CREATE or ALTER SEQUENCE, checked."""
    found = base or Options()
    seen: set[str] = set()
    for option in options or ():
        name = option.defname
        if name in seen:
            raise SqlError("42601", "conflicting or redundant options")
        seen.add(name)
        _read(session, found, name, option)
    check_options(found)
    return found


def _read(session: Session, found: Options, name: str, option: Any) -> None:
    if name == "as":
        old = LIMITS[found.typ]
        found.typ = resolve_type(session.catalog(), option.arg)[0].oid
        if found.typ not in LIMITS:
            raise SqlError("22023", "sequence type must be smallint, integer, or bigint")
        found.high = None if found.high == old[1] else found.high
        found.low = None if found.low == old[0] else found.low
    elif name == "increment":
        found.increment = _number(option)
        if found.increment == 0:
            raise SqlError("22023", "INCREMENT must not be zero")
    elif name == "start":
        found.start = _number(option)
    elif name == "minvalue":
        found.low = _number(option) if option.arg is not None else None
    elif name == "maxvalue":
        found.high = _number(option) if option.arg is not None else None
    elif name == "cache":
        found.cache = _number(option)
        if found.cache <= 0:
            raise SqlError("22023", f"CACHE ({found.cache}) must be greater than zero")
    elif name == "cycle":
        found.cycle = bool(option.arg.boolval)
    elif name == "restart":
        found.restart = True if option.arg is None else _number(option)
    elif name == "owned_by":
        names = tuple(part.sval for part in option.arg)
        found.owned_by = () if names == ("none",) else names


def check_options(found: Options) -> None:
    """Fill in defaults; 22023 for what contradicts."""
    low, high, name = LIMITS[found.typ]
    if found.high is None:
        found.high = high if found.increment > 0 else -1
    if found.low is None:
        found.low = 1 if found.increment > 0 else low
    if found.high > high:
        raise SqlError("22023", f"MAXVALUE ({found.high}) is out of range for sequence data type {name}")
    if found.low < low:
        raise SqlError("22023", f"MINVALUE ({found.low}) is out of range for sequence data type {name}")
    if found.low >= found.high:
        raise SqlError("22023", f"MINVALUE ({found.low}) must be less than MAXVALUE ({found.high})")
    if found.start is None:
        found.start = found.low if found.increment > 0 else found.high
    if found.start < found.low:
        raise SqlError("22023", f"START value ({found.start}) cannot be less than MINVALUE ({found.low})")
    if found.start > found.high:
        raise SqlError("22023", f"START value ({found.start}) cannot be greater than MAXVALUE ({found.high})")
    if isinstance(found.restart, int) and not isinstance(found.restart, bool):
        if found.restart < found.low:
            raise SqlError("22023", f"RESTART value ({found.restart}) cannot be less than MINVALUE ({found.low})")
        if found.restart > found.high:
            raise SqlError("22023", f"RESTART value ({found.restart}) cannot be greater than MAXVALUE ({found.high})")


async def make_sequence(
    change: Change, name: str, namespace: int, options: Options, persistence: str = "p", owner: int | None = None
) -> int:
    """A new sequence's OID."""
    oid = await change.oid()
    volume = change.volume
    start, low, high = options.start, options.low, options.high
    assert start is not None and low is not None and high is not None
    page = await change.session.waits.run(
        lambda: volume.create_sequence(start, options.increment, low, high, options.cycle, options.cache)
    )
    change.work.drop_on_rollback.append((page, "sequence"))
    role = change.owner() if owner is None else owner
    await change.writer.insert(
        "pg_class",
        class_row(oid, name, namespace, "S", role, relnatts=3, relpages=1, reltuples=1.0, relpersistence=persistence),
    )
    await change.writer.insert(
        "pg_sequence",
        {
            "seqrelid": oid,
            "seqtypid": options.typ,
            "seqstart": start,
            "seqincrement": options.increment,
            "seqmax": high,
            "seqmin": low,
            "seqcache": options.cache,
            "seqcycle": options.cycle,
        },
    )
    await change.writer.insert("sixfold_storage", {"relid": oid, "root": page, "overflow": 0})
    await change.depend((CLASS, oid, 0), (NAMESPACE, namespace, 0))
    return oid


@entry("CreateSeqStmt", "CREATE SEQUENCE")
async def create_sequence(session: Session, node: Any, context: Context) -> None:
    """CREATE SEQUENCE."""
    change = await Change.begin(session)
    namespace, persistence = await target_namespace(change, node.sequence)
    name = truncated(node.sequence.relname)
    if node.if_not_exists and change.is_taken(namespace, name):
        session.notice(f'relation "{name}" already exists, skipping', code="42P07")
        context.reply.complete("CREATE SEQUENCE")
        return
    change.check_free(namespace, name)
    options = read_options(session, node.options)
    oid = await make_sequence(change, name, namespace, options, persistence)
    if options.owned_by:
        await own(change, oid, options.owned_by)
    change.end()
    context.reply.complete("CREATE SEQUENCE")


async def own(change: Change, oid: int, names: tuple[str, ...]) -> None:
    """OWNED BY table.column, or NONE."""
    for row in change.rows["pg_depend"].group(("classid", "objid"), CLASS, oid):
        if row["refclassid"] == CLASS:
            if row["deptype"] == "i":
                raise SqlError("0A000", "cannot change ownership of identity sequence")
            await change.writer.delete("pg_depend", row)
    if not names:
        return
    if len(names) < 2:
        raise SqlError("42601", "invalid OWNED BY option", hint="Specify OWNED BY table.column or OWNED BY NONE.")
    table = change.must(names[-2], names[-3] if len(names) > 2 else None, kinds="r")
    column = next((c for c in table.columns if c.name == names[-1] and not c.dropped), None)
    if column is None:
        raise SqlError("42703", f'column "{names[-1]}" of relation "{table.name}" does not exist')
    await change.depend((CLASS, oid, 0), (CLASS, table.oid, column.attnum), "a")


def options_of(row: Row) -> Options:
    """A sequence's present parameters."""
    return Options(
        typ=row["seqtypid"],
        start=row["seqstart"],
        increment=row["seqincrement"],
        low=row["seqmin"],
        high=row["seqmax"],
        cache=row["seqcache"],
        cycle=row["seqcycle"],
    )


@entry("AlterSeqStmt", "ALTER SEQUENCE")
async def alter_sequence(session: Session, node: Any, context: Context) -> None:
    """ALTER SEQUENCE."""
    change = await Change.begin(session)
    name = node.sequence
    found = change.relation(name.relname, name.schemaname, kinds="S", missing_ok=bool(node.missing_ok))
    if found is None:
        session.notice(f'relation "{name.relname}" does not exist, skipping', code="00000")
        context.reply.complete("ALTER SEQUENCE")
        return
    await change.lock(found.oid)
    await change_sequence(change, found.oid, node.options)
    change.end()
    context.reply.complete("ALTER SEQUENCE")


async def change_sequence(change: Change, oid: int, given: Any) -> None:
    """Change a sequence's parameters and its state."""
    session = change.session
    row = change.rows["pg_sequence"].get(oid)
    sequence = change.catalog.sequence(oid)
    assert row is not None and sequence is not None
    options = read_options(session, given, options_of(row))
    if options.owned_by is not None:
        await own(change, oid, options.owned_by)
    await change.writer.update(
        "pg_sequence",
        row,
        seqtypid=options.typ,
        seqstart=options.start,
        seqincrement=options.increment,
        seqmax=options.high,
        seqmin=options.low,
        seqcache=options.cache,
        seqcycle=options.cycle,
    )
    names = {option.defname for option in given or ()}
    if names - {"owned_by"}:
        await replace_state(change, sequence, options)


async def replace_state(change: Change, sequence: Sequence, options: Options) -> None:
    """A new page with the changed parameters, so that a rollback finds the old one."""
    session = change.session
    next_value, called = options.start, False
    if options.restart is None:
        last = await session.statements.fetch(
            f"SELECT last_value, is_called FROM {qualified(sequence.schema, sequence.name)}"
        )
        next_value, called = last[0]
    elif not isinstance(options.restart, bool):
        next_value = options.restart
    low, high = options.low, options.high
    assert next_value is not None and low is not None and high is not None
    first = next_value
    if called:
        first = next_value + options.increment
    first = min(max(first, low), high)
    page = await session.waits.run(
        lambda: change.volume.create_sequence(first, options.increment, low, high, options.cycle, options.cache)
    )
    change.work.drop_on_rollback.append((page, "sequence"))
    change.work.drop_on_commit.append((sequence.root, "sequence"))
    storage = change.rows["sixfold_storage"].get(sequence.oid)
    assert storage is not None
    await change.writer.update("sixfold_storage", storage, root=page)


def qualified(schema: str, name: str) -> str:
    """A name in SQL text of the engine's own."""
    return '"' + schema.replace('"', '""') + '"."' + name.replace('"', '""') + '"'
