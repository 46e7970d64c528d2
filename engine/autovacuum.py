"""Autovacuum: VACUUM and ANALYZE of tables that have changed enough, by PostgreSQL's thresholds and settings.

A vacuum looks at the rows that are known to have something (`kernel/src/txn/leftovers.rs`); at all rows the first time in a process's
life, since what an earlier one knew is lost, and when updates have left more than the threshold in rows that nobody wrote again. It goes on
in slices with `autovacuum_vacuum_cost_delay` between them, and gives way to whoever waits for its lock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from sixfold.kernel._kernel import KernelError
from sixfold.wal.logs import Logger

from . import settings
from .activity import Counts, counts
from .catalog.model import Relation
from .catalog.system import USER_OID
from .ddl.base import SHARE_UPDATE, Change
from .ddl.maintenance import clean, clean_queued, measure, stored_catalogs
from .errors import SqlError

if TYPE_CHECKING:
    from .database import Database
    from .session import Session

log = Logger(__name__)

# The longest wait for a table's lock: somebody has it for long.
LOCK_WAIT_MS = 1000
# lock_not_available; the server ends.
PASSING = ("55P03", "57P01")
# Of a worker thread's time, between two pauses.
SLICE_US = 3000


class Limits(msgspec.Struct, frozen=True):
    """The autovacuum_* settings that decide for one table."""

    vacuum_threshold: float
    vacuum_scale_factor: float
    analyze_threshold: float
    analyze_scale_factor: float
    enabled: bool = True

    def over(self, options: list[str] | None) -> Limits:
        """With a table's storage parameters."""
        changed: dict[str, str | float] = {}
        for item in options or []:
            name, _, value = item.partition("=")
            field = name.removeprefix("autovacuum_")
            if name.startswith("autovacuum_") and field in self.__struct_fields__:
                changed[field] = settings.is_on(value) if field == "enabled" else value
        return msgspec.convert({**msgspec.structs.asdict(self), **changed}, Limits, strict=False)


class Due(msgspec.Struct, frozen=True):
    """What a table needs."""

    vacuum: bool
    # At every row; else at those that are known to have something.
    full: bool
    analyze: bool


def decide(found: Counts, rows: float, limits: Limits, *, known: bool) -> Due:
    """`rows`: as pg_class has them. `known`: a vacuum of this process has seen every row."""
    rows = max(rows, 0.0)
    threshold = limits.vacuum_threshold + limits.vacuum_scale_factor * rows
    vacuum = limits.enabled and found.dead > threshold
    analyze = limits.enabled and found.changed > limits.analyze_threshold + limits.analyze_scale_factor * rows
    return Due(vacuum, vacuum and (not known or found.forgotten or found.dead - found.queued > threshold), analyze)


class GaveWay(Exception):
    """Somebody waits for the table's lock: another time."""


class Autovacuum:
    """Of a writer's database; `start` and `stop`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Once the database is open."""
        self._task = self._database.runtime.spawn(self._run(), "autovacuum")

    def stop(self) -> None:
        """The writer ends."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._database.runtime.clock.sleep(self._database.number("autovacuum_naptime"))
            if settings.is_on(self._database.options.get("autovacuum", "on")):
                try:
                    await self.look()
                except OSError as error:
                    # The storage is away, or this writer is fenced off and does not know it yet.
                    log.warning("autovacuum could not look at all tables", reason=str(error))

    async def look(self) -> None:
        """Once over all tables."""
        await self._database.refresh()
        found = counts(self._database.volume)
        tables = self._tables()
        self._database.activity.forget({table.oid for table in tables})
        names = [name for name in Limits.__struct_fields__ if name != "enabled"]
        limits = msgspec.convert({name: self._database.number(f"autovacuum_{name}") for name in names}, Limits)
        for table in tables:
            if table.root in found:
                await self._table(table, found[table.root], limits)

    def _tables(self) -> list[Relation]:
        snapshot = self._database.snapshot
        rows = snapshot.rows["pg_class"].rows.values()
        oids = [row["oid"] for row in rows if row["relkind"] in "rm" and row["relpersistence"] != "t"]
        found = [snapshot.relation(oid) for oid in [*oids, *stored_catalogs(snapshot)]]
        return [table for table in found if table is not None]

    async def _table(self, table: Relation, found: Counts, limits: Limits) -> None:
        row = self._database.snapshot.rows["pg_class"].get(table.oid)
        limits = limits.over(row["reloptions"] if row else None)
        due = decide(found, table.rows, limits, known=self._database.activity.of(table.oid).is_vacuumed)
        due = msgspec.structs.replace(due, analyze=due.analyze and table.oid >= USER_OID)
        if not due.vacuum and not due.analyze:
            return
        session = await self._database.own_session()
        session.backend_type = "autovacuum worker"
        what = " ".join(word for word, wanted in (("VACUUM", due.vacuum), ("ANALYZE", due.analyze)) if wanted)
        session.query = f"autovacuum: {what} {table.schema}.{table.name}"
        session.query_start = session.now()
        try:
            await self._work(session, table.oid, due)
        except GaveWay:
            log.info("autovacuum gave way to a waiting lock", table=table.name)
        except (SqlError, KernelError) as error:
            if error.code not in PASSING:
                log.warning("autovacuum of a table failed", table=table.name, error=str(error))
        finally:
            await session.close()

    async def _work(self, session: Session, oid: int, due: Due) -> None:
        session.waits.lock_timeouts_ms[session.pid] = LOCK_WAIT_MS
        session.kernel.begin_implicit()
        change = await Change.begin(session)
        await change.lock(oid, SHARE_UPDATE, restart=False)
        # Only now does it stand still.
        table = self._database.snapshot.relation(oid)
        if table is None:
            return

        async def relieve() -> None:
            if self._database.volume.blocks_others(session.pid):
                raise GaveWay
            # -1 is vacuum_cost_delay, which is 0.
            delay_ms = max(0.0, self._database.number("autovacuum_vacuum_cost_delay"))
            await self._database.runtime.clock.sleep(delay_ms / 1000)

        if due.full:
            await clean(session, table, relieve=relieve, slice_us=SLICE_US)
        elif due.vacuum:
            await clean_queued(session, table, relieve, SLICE_US)
        if oid >= USER_OID:
            await measure(change, change.must_oid(oid), [] if due.analyze else None)
        await session.commit(implicit=True)
        upkeep = self._database.activity.of(oid)
        if due.vacuum:
            upkeep.vacuumed(session.now(), auto=True)
        if due.analyze:
            upkeep.analyzed(session.now(), auto=True)
