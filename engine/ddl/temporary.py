"""Temporary objects: a schema pg_temp_N for each session that makes any, dropped when the session ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.errors import SqlError

from .base import NAMESPACE, Change
from .dependencies import Dropper

if TYPE_CHECKING:
    from sixfold.engine.session import Session


async def target_namespace(change: Change, name: Any) -> tuple[int, str]:
    """(schema, persistence) for a new relation named by a RangeVar."""
    persistence = name.relpersistence or "p"
    temporary = persistence == "t" or name.schemaname == "pg_temp"
    if not temporary:
        location = getattr(name, "location", None)
        position = location + 1 if location is not None and location >= 0 else None
        return change.creation_namespace(name.schemaname, name.relname, position), persistence
    if name.schemaname not in (None, "pg_temp"):
        raise SqlError("42P16", "cannot create temporary relation in non-temporary schema")
    return await temporary_namespace(change), "t"


async def temporary_namespace(change: Change) -> int:
    """The session's own temporary schema; made at first use."""
    session = change.session
    if session.temp is None:
        oid = await change.oid()
        name = f"pg_temp_{session.pid}"
        old = change.rows["pg_namespace"].group(("nspname",), name)
        if old:
            # Left by a server that was killed.
            session.temp = old[0]["oid"]
            await _drop_contents(change)
            return old[0]["oid"]  # type: ignore[no-any-return]
        await change.writer.insert("pg_namespace", {"oid": oid, "nspname": name, "nspowner": 10, "nspacl": None})
        session.temp = oid
    return session.temp


async def empty_temporary_schema(session: Session) -> None:
    """DISCARD TEMP."""
    change = await Change.begin(session)
    await _drop_contents(change)
    change.end()


async def drop_temporary_schema(session: Session) -> None:
    """At the session's end, in a transaction of its own."""
    if session.temp is None:
        return
    session.kernel.begin_implicit()
    change = await Change.begin(session)
    await _drop_contents(change)
    row = change.rows["pg_namespace"].get(session.temp)
    if row is not None:
        await change.writer.delete("pg_namespace", row)
    session.temp = None
    await session.commit(implicit=True)


async def _drop_contents(change: Change) -> None:
    assert change.session.temp is not None
    dropper = Dropper(change)
    for row in change.rows["pg_class"].group(("relnamespace",), change.session.temp):
        dropper.add((1259, row["oid"], 0))
    await dropper.run(cascade=True, quiet=True)
    await change.forget_dependencies(NAMESPACE, change.session.temp)
