"""`Work`: what a transaction owes Python at its end: catalogue changes, settings, notifications, trees to drop.

It is made when the first such thing happens. From then on the kernel hands COMMIT, ROLLBACK and savepoints to Python
(`Session.intercept`). Savepoints set before that are not known here by name; rolling back to one of them undoes everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from .catalog.rows import Change, Key, Row, Rows
from .catalog.snapshot import Snapshot
from .catalog.store import Store

# Catalogue versions that only one transaction sees; far above those of committed catalogues.
_private_versions = itertools.count(1 << 48)

Tree = tuple[int, str]


class Restart(Exception):
    """The catalogue has changed while a statement waited for a lock, and before it changed anything: it is to be run again."""


class Ddl:
    """A transaction's own catalogue: a fork of the committed one with its changes."""

    def __init__(self, base: Snapshot) -> None:
        self.base = base
        self.rows: Rows = base.rows.fork()
        self.system = base.system
        self.changes: list[Change] = []
        self._snapshot: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The catalogue as the transaction sees it now."""
        if self._snapshot is None:
            self._snapshot = Snapshot(next(_private_versions), self.rows, self.system)
            # Later changes must not show through this snapshot.
            self.rows = self.rows.fork()
        return self._snapshot

    def apply(self, change: Change) -> None:
        """One change that has been made in the trees too."""
        self.changes.append(change)
        self.rows.apply(change)
        self._snapshot = None

    def mark(self) -> int:
        """For `back`."""
        return len(self.changes)

    def back(self, mark: int) -> None:
        """Forget changes made since the mark."""
        del self.changes[mark:]
        self.rebase(self.base)

    def rebase(self, base: Snapshot) -> None:
        """Others have changed the catalogue: the changes are over theirs now, as they will be when they are committed."""
        self.base = base
        self.rows = base.rows.fork()
        for change in self.changes:
            self.rows.apply(change)
        self._snapshot = None


class Savepoint:
    """State at a savepoint."""

    def __init__(self, name: str, depth: int, ddl: int | None, counts: tuple[int, ...]) -> None:
        self.name = name
        self.depth = depth
        self.ddl = ddl
        self.counts = counts


class Work:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.ddl: Ddl | None = None
        self.savepoints: list[Savepoint] = []
        # Trees to free when the transaction commits, and those that it made.
        self.drop_on_commit: list[Tree] = []
        self.drop_on_rollback: list[Tree] = []
        # Tables with the same rows in other trees.
        self.written_anew: list[int] = []
        # (channel, payload) of NOTIFY, without duplicates, in order.
        self.notifications: dict[tuple[str, str], None] = {}
        # LISTEN (name, True), UNLISTEN (name, False; "*" for all), in order.
        self.listens: list[tuple[str, bool]] = []
        self.at_commit: list[Callable[[], Awaitable[None]]] = []
        # Rows of ON COMMIT DROP / DELETE ROWS temporary tables go before the commit.
        self.before_commit: list[Callable[[], Awaitable[None]]] = []

    def _counts(self) -> tuple[int, ...]:
        return (
            len(self.drop_on_commit),
            len(self.listens),
            len(self.notifications),
            len(self.at_commit),
            len(self.before_commit),
            len(self.written_anew),
        )

    def savepoint(self, name: str) -> None:
        """SAVEPOINT."""
        ddl = self.ddl.mark() if self.ddl else None
        self.savepoints.append(Savepoint(name, len(self.savepoints) + 1, ddl, self._counts()))

    def find(self, name: str) -> int:
        """How many savepoints remain open below and including this one; 0 when it is older than the work."""
        for at in range(len(self.savepoints) - 1, -1, -1):
            if self.savepoints[at].name == name:
                return at + 1
        return 0

    def release(self, name: str) -> int:
        """RELEASE: answers how many stay open."""
        depth = max(self.find(name) - 1, 0)
        del self.savepoints[depth:]
        return depth

    def rollback_to(self, name: str, base: Snapshot) -> int:
        """ROLLBACK TO: answers the savepoint's depth (0: everything)."""
        depth = self.find(name)
        counts: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
        mark = None
        if depth:
            counts, mark = self.savepoints[depth - 1].counts, self.savepoints[depth - 1].ddl
        del self.savepoints[depth:]
        if self.ddl is not None:
            if mark is not None:
                self.ddl.back(mark)
            else:
                self.ddl = Ddl(base)
        del self.drop_on_commit[counts[0] :]
        del self.listens[counts[1] :]
        self.notifications = dict(list(self.notifications.items())[: counts[2]])
        del self.at_commit[counts[3] :]
        del self.before_commit[counts[4] :]
        del self.written_anew[counts[5] :]
        return depth


class CatalogWriter:
    """Catalogue changes of one transaction: each goes to the trees and to the transaction's own snapshot."""

    def __init__(self, store: Store, kernel: Any, ddl: Ddl) -> None:
        self._store = store
        self._kernel = kernel
        self._ddl = ddl

    @property
    def rows(self) -> Rows:
        """Rows as changed so far."""
        return self._ddl.rows

    async def insert(self, name: str, row: Row) -> None:
        """Add a row."""
        await self._store.insert(self._kernel, name, row)
        self._note(name, self.rows[name].key_of(row), row)

    async def update(self, name: str, row: Row, **change: Any) -> Row:
        """Replace columns of a row; answers the new row."""
        new = {**row, **change}
        key: Key = self.rows[name].key_of(row)
        await self._store.update(self._kernel, name, key, new)
        new_key = self.rows[name].key_of(new)
        if new_key != key:
            self._note(name, key, None)
        self._note(name, new_key, new)
        return new

    async def delete(self, name: str, row: Row) -> None:
        """Remove a row."""
        key = self.rows[name].key_of(row)
        await self._store.delete(self._kernel, name, key)
        self._note(name, key, None)

    def _note(self, name: str, key: Key, row: Row | None) -> None:
        self._ddl.apply((name, key, row))
        # The next change of this statement must see this one.
        self._kernel.next_command()
