"""One per compute process: the volume, the catalogue's committed snapshot, the statement cache and the sessions."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec

from sixfold.kernel._kernel import Queries, Volume, set_clock
from sixfold.kernel._kernel import Session as KernelSession
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Runtime, Timer

from . import settings
from .activity import Activity
from .catalog.bootstrap import FIRST_ROOT, bootstrap
from .catalog.rows import Change
from .catalog.snapshot import Snapshot
from .catalog.store import Store, find_roots
from .plans import PlanCache
from .session import IDLE_TIMEOUTS, Client, Session
from .statements import Statements
from .waits import Log, PageReader, Waits
from .work import Tree, Work

__all__ = ["Client", "Database", "Log", "Login", "PageReader", "Session"]

log = Logger(__name__)

# Kernel session ids below this are the database's own.
FIRST_PID = 1000
CATALOG_SESSION = 1
STATEMENTS_CACHED = 10000
# How long `close` waits for running statements to notice that they are cancelled.
CLOSE_STEPS, CLOSE_STEP_SECONDS = 100, 0.02
IDLE_CHECK_SECONDS = 0.25
# Catalogue versions from here on are a transaction's own (`work.py`).
PRIVATE_SCOPE = 1 << 48


class Nobody:
    """The client of a session of the engine's own."""

    async def flush(self) -> None:
        """Nobody reads."""

    def wake(self) -> None:
        """Nobody reads."""

    def close(self) -> None:
        """There is no connection."""

    def busy(self) -> bool:
        """It is there as long as its work."""
        return True

    def last_input(self) -> int:
        """Nobody sends anything."""
        return 0


class Login(msgspec.Struct):
    """What authentication needs of a role."""

    name: str
    can_login: bool
    superuser: bool
    # SCRAM-SHA-256 verifier as in pg_authid.rolpassword.
    verifier: str | None
    connection_limit: int
    # Microseconds since 2000-01-01 UTC.
    valid_until: int | None


class Database:
    """Opened on a volume that is prepared or fresh; `accept` makes sessions."""

    def __init__(self, volume: Volume, waits: Waits, superuser: str, options: dict[str, str]) -> None:
        self.volume = volume
        self.waits = waits
        self.runtime: Runtime = waits.runtime
        self.superuser = superuser
        self.options = options
        self.queries = Queries(STATEMENTS_CACHED)
        self.plans = PlanCache()
        self.sessions: dict[int, Session] = {}
        self.started_at = int(self.runtime.clock.time() * 1_000_000)
        # Commits of DDL that the kernel may have done and `publish` has not seen.
        self.committing = 0
        self.store: Store
        self.snapshot: Snapshot
        self.activity = Activity()
        self._own = KernelSession(volume, CATALOG_SESSION)
        self._pids = itertools.count(FIRST_PID)
        self._scopes: dict[tuple[Any, ...], int] = {}
        self._scope_numbers = itertools.count(1)
        self._channels: dict[str, set[Session]] = {}
        self._closing = False
        # One reload at a time: they share a kernel session.
        self._reloading = asyncio.Lock()
        # Sessions with an idle time-out, and the timer that looks at them.
        self._idle: set[Session] = set()
        self._idle_timer: Timer | None = None

    @classmethod
    async def open(
        cls,
        volume: Volume,
        pages: PageReader,
        log: Log,
        runtime: Runtime,
        *,
        superuser: str = "postgres",
        password: str | None = None,
        options: dict[str, str] | None = None,
    ) -> Database:
        """Bootstraps the catalogue when the volume is new (a writer's), with `superuser` and its SCRAM verifier `password`.
        `options`: server-wide GUC defaults (`port`, …)."""
        set_clock(lambda: int(runtime.clock.monotonic() * 1_000_000))
        waits = Waits(volume, pages, log, runtime)
        database = cls(volume, waits, superuser, options or {})
        await waits.run(volume.prepare)
        if volume.role == "writer" and volume.catalog_version == 0:
            await database.recover_trees(set())
            database.store = await bootstrap(waits, volume, database._own, superuser, password)
        else:
            first = [await waits.run(lambda number=number: volume.root(FIRST_ROOT + number)) for number in range(3)]  # type: ignore[misc]
            database.store = Store(waits, await find_roots(waits, database._own, (first[0], first[1]), first[2]))
        await database.reload()
        database.superuser = database.snapshot.role_name(10) or superuser
        if not database.read_only:
            await database.drop_left_temporary()
            await database.recover_trees(database.named_trees())
        return database

    async def drop_left_temporary(self) -> None:
        """Temporary schemas of sessions that a killed server had."""
        left = [
            row["oid"]
            for row in self.snapshot.rows["pg_namespace"].rows.values()
            if row["nspname"].startswith("pg_temp_")
        ]
        if left:
            await self._drop_temporary(left)

    async def _drop_temporary(self, left: list[int]) -> None:
        session = await self.own_session()
        for oid in left:
            session.temp = oid
            await session.statements.drop_temporary()
        await session.close()

    async def own_session(self) -> Session:
        """A superuser's session that no client has."""
        session = self.accept(Nobody(), startup=False)
        await session.start({"user": self.superuser, "database": "postgres"})
        return session

    @property
    def read_only(self) -> bool:
        """Is this a reader?"""
        return self.volume.role == "reader"

    # -- sessions

    def number(self, name: str) -> float:
        """A setting of the whole server, in its own unit."""
        return float(self.options.get(name, settings.known()[name].boot))

    def accept(self, client: Client, *, startup: bool = True) -> Session:
        """A new connection; `session.wire` is ready to be fed. `startup=False`: already past authentication."""
        session = Session(self, next(self._pids), self.runtime.random.getrandbits(31), client, startup=startup)
        self.sessions[session.pid] = session
        return session

    def make_statements(self, session: Session) -> Statements:
        """The part of a session that runs statements."""
        return Statements(session)

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self.sessions.pop(session.pid, None)

    async def login(self, user: str) -> Login | None:
        """The role, for authentication; None when there is none."""
        await self.refresh()
        row = self.snapshot.role(user)
        if row is None:
            return None
        return Login(
            row["rolname"],
            row["rolcanlogin"],
            row["rolsuper"],
            row["rolpassword"],
            row["rolconnlimit"],
            row["rolvaliduntil"],
        )

    def cancel(self, pid: int, secret: int) -> None:
        """CancelRequest: does nothing when pid or secret are wrong."""
        session = self.sessions.get(pid)
        if session is not None and session.secret == secret:
            session.cancel()

    def after_call(self) -> None:
        """To be called after every `Wire.step`/`exchange` that the server makes, and after `volume.set_vdl`: sends redo, resumes
        sessions that waited. Cheap."""
        self.waits.after_call()

    woken = after_call

    async def close(self) -> None:
        """End all sessions with 57P01. One whose statement does not end in time is left to the process's end."""
        self._closing = True
        left = list(self.sessions.values())
        for session in left:
            session.terminate()
        for _ in range(CLOSE_STEPS):
            left = [session for session in left if session.pid in self.sessions]
            for session in left:
                if session.state != "active":
                    await session.close()
            if not any(session.state == "active" for session in left):
                break
            await self.runtime.clock.sleep(CLOSE_STEP_SECONDS)
        self._own.close()

    def scope(self, key: tuple[Any, ...]) -> int:
        """A small number for what decides a text's meaning."""
        if key[2] >= PRIVATE_SCOPE:
            # Of one transaction with DDL: never asked for again.
            return next(self._scope_numbers)
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = next(self._scope_numbers)
        return found

    # -- the committed catalogue

    async def refresh(self) -> None:
        """Make sure that `snapshot` is the volume's."""
        while self.volume.catalog_version != self.snapshot.version:
            if self.committing:
                await self.runtime.clock.sleep(0)
            else:
                async with self._reloading:
                    if self.volume.catalog_version != self.snapshot.version:
                        await self.reload()

    async def reload(self) -> None:
        """Read the catalogue's rows."""
        while True:
            version = self.volume.catalog_version
            self._own.begin("repeatable read", True)
            try:
                rows = await self.store.load(self._own)
            finally:
                self._own.rollback()
            if version == self.volume.catalog_version:
                snapshot = Snapshot(version, rows, self.store.system)
                if self.read_only and hasattr(self, "snapshot"):
                    self.volume.note_moved(snapshot.moved(self.snapshot))
                self.snapshot = snapshot
                return

    def publish(self, changes: list[Change], moved: list[int]) -> None:
        """A transaction's catalogue changes are committed, and these relations' rows are in other trees: nobody knows those trees yet."""
        if moved:
            self.volume.note_moved(moved)
        rows = self.snapshot.rows.fork()
        for change in changes:
            rows.apply(change)
        self.snapshot = Snapshot(self.volume.catalog_version, rows, self.store.system)

    async def end_abandoned(self, session: Session, lsn: int, work: Work) -> None:
        """What is left of a transaction when it is durable whose session does not wait for that."""
        await self.waits.durable(lsn)
        if work.written_anew:
            self.volume.note_moved(work.written_anew)
        await self.refresh()
        self.end_trees([*work.drop_on_rollback, *work.drop_on_commit])
        self.notify(session, list(work.notifications))
        found = self.snapshot.rows["pg_namespace"].group(("nspname",), f"pg_temp_{session.pid}")
        if found and session.pid not in self.sessions:
            await self._drop_temporary([found[0]["oid"]])
        elif found and session.temp is None:
            session.temp = found[0]["oid"]
            session.rescope()

    def named_trees(self) -> set[int]:
        """Roots that the committed catalogue names."""
        roots = {root for tree in self.store.roots.values() for root in tree}
        for row in self.snapshot.rows["sixfold_storage"].rows.values():
            roots |= {row["root"], row["overflow"]}
        return roots

    def end_trees(self, trees: list[Tree]) -> None:
        """A transaction that made or dropped these has ended: what the catalogue does not name now is freed, in the background."""
        if not trees or self.volume.role != "writer":
            return
        named = self.named_trees()
        self.runtime.spawn(
            self._end_trees(
                [root for root, _ in trees if root in named],
                [tree for tree in dict.fromkeys(trees) if tree[0] not in named],
            ),
            "end trees",
        )

    async def _end_trees(self, settled: list[int], gone: list[Tree], *, resumed: bool = False) -> None:
        try:
            if settled:
                await self.waits.run(lambda: self.volume.settle(settled))
            for root, kind in gone:
                job = self.volume.drop_tree(root, kind, resumed)  # type: ignore[arg-type]
                await self.waits.run(job.run, detached=job.run_detached)
        except OSError as error:
            # Of a writer that is fenced off and does not know it yet, or whose storage is away for long.
            log.warning("trees are left to whoever opens the volume next", trees=gone, reason=str(error))

    async def recover_trees(self, named: set[int]) -> None:
        """What earlier processes left half made or half dropped; to be called before anybody makes trees."""
        left: list[int] = await self.waits.run(self.volume.unsettled)
        await self._end_trees([root for root in left if root in named], [])
        gone: list[Tree] = [(root, "table") for root in left if root not in named]
        self.runtime.spawn(self._end_trees([], gone, resumed=True), "drop trees")

    # -- idle sessions

    def watch_idle(self, session: Session) -> None:
        """The session may have an idle time-out now."""
        limits = [session.settings.number(name) for name in IDLE_TIMEOUTS]
        if any(limits):
            self._idle.add(session)
            if self._idle_timer is None:
                self._idle_timer = self.runtime.clock.call_later(IDLE_CHECK_SECONDS, self._check_idle)
        else:
            self._idle.discard(session)

    def _check_idle(self) -> None:
        now = int(self.runtime.clock.time() * 1_000_000)
        for session in list(self._idle):
            if session.state == "active" or session.pid not in self.sessions:
                continue
            limit_ms = session.idle_limit_ms()
            if limit_ms and now - session.last_input > limit_ms * 1000:
                self._idle.discard(session)
                session.end_idle()
        self._idle &= set(self.sessions.values())
        self._idle_timer = None
        if self._idle and not self._closing:
            self._idle_timer = self.runtime.clock.call_later(IDLE_CHECK_SECONDS, self._check_idle)

    # -- LISTEN, NOTIFY

    def listen(self, session: Session, channel: str) -> None:
        """LISTEN has been committed."""
        session.listening.add(channel)
        self._channels.setdefault(channel, set()).add(session)

    def unlisten(self, session: Session, channel: str) -> None:
        """UNLISTEN has been committed; "*" is all."""
        for name in list(session.listening) if channel == "*" else [channel]:
            session.listening.discard(name)
            listeners = self._channels.get(name, set())
            listeners.discard(session)
            if not listeners:
                self._channels.pop(name, None)

    def notify(self, sender: Session, messages: list[tuple[str, str]]) -> None:
        """Deliver to sessions of this process."""
        for channel, payload in messages:
            for session in list(self._channels.get(channel, ())):
                session.wire.notification(sender.pid, channel, payload)
                # Where the engine runs a statement, its end writes this too; a thread of the server's may just be done.
                if session is not sender and (session.client.busy() or session.state != "active"):
                    session.client.wake()
