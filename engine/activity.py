"""What this process knows of its tables' upkeep: when each was vacuumed and analyzed. Gone with the process, as PostgreSQL's
statistics are after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from sixfold.kernel._kernel import Volume


class Counts(msgspec.Struct):
    """What was written to a table since the process began (`kernel/src/txn/leftovers.rs`)."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    # Rows more than when the process began, or all of them if they have been counted since (`measured`).
    live: int = 0
    # Versions that nobody needs, or soon nobody will: an estimate.
    dead: int = 0
    # Rows changed since the last ANALYZE.
    changed: int = 0
    # Rows that are known to have something for a vacuum.
    queued: int = 0
    # There are more of these than were kept.
    forgotten: bool = False
    measured: bool = False


class Upkeep(msgspec.Struct):
    """One table's. Times are microseconds since 1970; None: never."""

    last_vacuum: int | None = None
    last_autovacuum: int | None = None
    last_analyze: int | None = None
    last_autoanalyze: int | None = None
    vacuum_count: int = 0
    autovacuum_count: int = 0
    analyze_count: int = 0
    autoanalyze_count: int = 0

    def vacuumed(self, now: int, *, auto: bool = False) -> None:
        """VACUUM is done."""
        if auto:
            self.last_autovacuum, self.autovacuum_count = now, self.autovacuum_count + 1
        else:
            self.last_vacuum, self.vacuum_count = now, self.vacuum_count + 1

    def analyzed(self, now: int, *, auto: bool = False) -> None:
        """ANALYZE is done."""
        if auto:
            self.last_autoanalyze, self.autoanalyze_count = now, self.autoanalyze_count + 1
        else:
            self.last_analyze, self.analyze_count = now, self.analyze_count + 1

    @property
    def is_vacuumed(self) -> bool:
        """Since the process began."""
        return bool(self.vacuum_count or self.autovacuum_count)


class Activity:
    """Of all tables, by OID."""

    def __init__(self) -> None:
        self._tables: dict[int, Upkeep] = {}

    def of(self, oid: int) -> Upkeep:
        """A table's; kept from now on."""
        return self._tables.setdefault(oid, Upkeep())

    def forget(self, oids: set[int]) -> None:
        """All but these tables are gone."""
        for oid in self._tables.keys() - oids:
            del self._tables[oid]


def counts(volume: Volume) -> dict[int, Counts]:
    """By the tables' roots."""
    return {
        root: Counts(*written, live, dead, changed, queued, *state)
        for root, (written, live, dead, changed, queued, state) in volume.table_counts()
    }


def live_rows(estimate: float, found: Counts) -> int:
    """Rows now. `estimate`: as the catalogue has them."""
    return found.live if found.measured else max(0, int(max(estimate, 0.0)) + found.live)
