"""One client's session: everything that a statement can see or change.

A `Session` has the kernel's `Session` and the connection's `Wire`. The server feeds bytes to the wire, answers what comes before
authentication (SSLRequest, CancelRequest, startup, password) itself, then calls `start`; each later event that is not
`idle`, `drain` or `terminate` goes to `handle`:

    event = wire.step()            # after wire.feed(data, now); database.after_call() after each step
    while event[0] not in ("idle", "terminate"):
        ...write wire.take_output(); for "drain": wait until the socket drains...
        await session.handle(event)
        event = wire.step()

`handle` never raises for a client's mistake. It raises `SessionEnded` when the connection must be closed after its output
has been written (FATAL).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sixfold.kernel._kernel import KernelError, PanicException, Reading, Wire
from sixfold.kernel._kernel import Session as KernelSession
from sixfold.pagestore.reader import ReadFailed, ReadTooOld
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Aside, Interrupted

from .access import is_superuser
from .catalog.model import PG_CATALOG
from .catalog.snapshot import Catalog, Snapshot
from .deadline import Deadline
from .errors import SqlError, stack_depth
from .long_texts import SHORT, TooLong, inline
from .planner.api import SessionInfo
from .settings import REPORTED, Settings, parse_list
from .trees import tidily
from .work import Ddl, Work

if TYPE_CHECKING:
    from sixfold.kernel._kernel import Event

    from .cursors import Cursor, Prepare
    from .database import Database
    from .statements import Statements

log = Logger(__name__)

T = TypeVar("T")

# GUCs that decide how texts of times are read, and how a text is planned, besides the search path and the role.
READING = ("DateStyle", "TimeZone", "IntervalStyle")
PLANNING = (
    "enable_seqscan",
    "enable_indexscan",
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_hashagg",
    "enable_sort",
    *READING,
)
ADMIN_SHUTDOWN, TERMINATED = "57P01", "terminating connection due to administrator command"
IDLE_TIMEOUTS = ("idle_in_transaction_session_timeout", "idle_session_timeout")
# While one of these is set, the engine must see every wait for another session.
WAIT_TIMEOUTS = ("lock_timeout", "statement_timeout")
# How often it is looked whether an interrupted `Aside` has ended, when the next one is to begin.
ASIDE_LOOK_SECONDS = 0.01
STATES = {"I": "idle", "T": "idle in transaction", "E": "idle in transaction (aborted)"}
# Events that the wire's next step says again, or that need no answer; any other one is lost unless it is dealt with.
SAID_AGAIN = ("idle", "drain", "error")
ISOLATION = ("transaction_isolation", "transaction_read_only", "transaction_deferrable")


class Client(Protocol):
    """What a session needs of the connection that it answers. Implemented by the server (and by `engine/embedded.py`)."""

    async def flush(self) -> None:
        """Write `wire.take_output()` to the socket and wait until the client has taken enough. ConnectionError when it is gone.
        During COPY FROM STDIN the server goes on feeding the wire; the engine does not read."""

    def wake(self) -> None:
        """Output has been put into the wire while the session is idle (a notification, a FATAL): write it, without waiting."""

    def close(self) -> None:
        """Close the connection after writing what the wire holds (session terminated by another one or by a time-out)."""

    def busy(self) -> bool:
        """Does a statement run that the engine has not been asked about (`Reactor`)?"""

    def last_input(self) -> int:
        """When the client last sent something or a statement of its ended, in the clock's microseconds; 0: never."""


def _unexpected(error: BaseException) -> SqlError:
    if isinstance(error, RecursionError):
        return stack_depth()
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return SqlError("53000", "out of file descriptors; release and retry")
    return SqlError("XX000", f"internal error: {type(error).__name__}: {error}")


class SessionEnded(Exception):
    """The session has said FATAL; close the connection once its output is written."""


class Session:
    """Made by `Database.accept`; `start` after authentication; `close` at the end, always."""

    def __init__(self, database: Database, pid: int, secret: int, client: Client, *, startup: bool = True) -> None:
        self.database = database
        self.waits = database.waits
        self.pid = pid
        self.secret = secret
        self.client = client
        self.kernel = KernelSession(database.volume, pid)
        self.wire = Wire(self.kernel, database.queries, startup=startup)
        self.wire.sleeps = True
        self.settings = Settings({}, self._setting_changed)
        self.user = database.superuser
        self.session_user = self.user
        self.database_name = "postgres"
        self.address: str | None = None
        self.port: int | None = None
        self.work: Work | None = None
        # OID of this session's temporary schema, once it has one.
        self.temp: int | None = None
        # The schema that CREATE SCHEMA with elements is making: first in the search path meanwhile.
        self.creating: int | None = None
        self.cursors: dict[str, Cursor] = {}
        self.encrypted = False  # its connection is TLS's
        self.prepares: dict[str, Prepare] = {}  # what PREPARE has made
        self.listening: set[str] = set()
        # Isolation level and read-only as they were when the running query began: the kernel can not be asked inside it.
        self.observed: tuple[str, bool] = ("read committed", False)
        self.statements: Statements = database.make_statements(self)
        self.started_at = self.now()
        # What pg_stat_activity shows.
        self.query = ""
        self.query_start: int | None = None
        self._state = "idle"
        self.backend_type = "client backend"
        self.deadline = Deadline(self)
        self._scope: tuple[Any, ...] = ()
        self._catalog: tuple[Snapshot, str, int | None, Catalog] | None = None
        self._closed = False
        # Work on a long text, beside the loop.
        self._aside: Aside | None = None
        self._last_aside: Aside | None = None
        self._terminated = False
        self.kernel.set_entropy(database.runtime.random.getrandbits(64))
        self.kernel.set_now(self.now())
        self._restore_host()

    # -- start and end

    async def start(self, parameters: dict[str, str], address: str | None = None, port: int | None = None) -> None:
        """After authentication: what the startup message says; ends with `wire.started`. Raises SqlError (3D000, 28000, 22023), a FATAL."""
        await self.database.refresh()
        self.address, self.port = address, port
        self.user = self.session_user = parameters.get("user", self.database.superuser)
        self.database_name = parameters.get("database") or self.user
        self._check_login()
        role = self.database.snapshot.role(self.user)
        fixed = {"is_superuser": "on" if role and role["rolsuper"] else "off", "session_authorization": self.user}
        if self.database.read_only:
            fixed |= {"in_hot_standby": "on", "transaction_read_only": "on", "default_transaction_read_only": "on"}
        for name, value in fixed.items():
            self.settings.set_default(name, value, internal=True)
        for name, value in self.database.options.items():
            self.settings.set_default(name, value, internal=True)
        for name, value in self._role_settings().items():
            self.settings.set_default(name, value)
        for name, value in parse_options(parameters.get("options", "")):
            self.settings.set_default(name, value)
        for name, value in parameters.items():
            if name not in ("user", "database", "options", "replication") and not name.startswith("_pq_."):
                # asyncpg quotes client_encoding.
                self.settings.set_default(name, value.strip("'") if name == "client_encoding" else value)
        for name in (
            "DateStyle",
            "TimeZone",
            "IntervalStyle",
            "extra_float_digits",
            "bytea_output",
            "client_encoding",
            "work_mem",
            "lock_timeout",
        ):
            self.kernel.set(name, self.settings.get(name))
        self.waits.lock_timeouts_ms[self.pid] = self.settings.number("lock_timeout")
        self._tell_timeouts()
        self.database.watch_idle(self)
        self._set_defaults()
        self.rescope()
        self.wire.started(self.pid, self.secret, [(name, self.settings.get(name)) for name in REPORTED])

    def _check_login(self) -> None:
        rows = self.database.snapshot.rows
        role = self.database.snapshot.role(self.user)
        if role is None:
            raise SqlError("28000", f'role "{self.user}" does not exist', severity="FATAL")
        if not role["rolcanlogin"]:
            raise SqlError("28000", f'role "{self.user}" is not permitted to log in', severity="FATAL")
        found = rows["pg_database"].group(("datname",), self.database_name)
        if not found:
            raise SqlError("3D000", f'database "{self.database_name}" does not exist', severity="FATAL")
        if not found[0]["datallowconn"]:
            raise SqlError(
                "55000", f'database "{self.database_name}" is not currently accepting connections', severity="FATAL"
            )

    def _role_settings(self) -> dict[str, str]:
        """ALTER ROLE … SET and ALTER DATABASE … SET."""
        rows = self.database.snapshot.rows
        role = self.database.snapshot.role(self.user)
        found = rows["pg_database"].group(("datname",), self.database_name)
        result: dict[str, str] = {}
        for key in (
            (found[0]["oid"], 0),
            (0, role["oid"] if role else 0),
            (found[0]["oid"], role["oid"] if role else 0),
        ):
            row = rows["pg_db_role_setting"].get(*key)
            for item in (row["setconfig"] or []) if row else []:
                name, _, value = item.partition("=")
                result[name] = value
        return result

    async def close(self) -> None:
        """Roll back, release locks, drop temporary objects. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.deadline.disarm()
        self.drop_cursors(list(self.cursors))
        self.database.unlisten(self, "*")
        self.abandon()
        # What ended the session must not end its clearing up.
        self.kernel.clear_cancel()
        try:
            if self.temp is not None and not self.database.read_only:
                # The end of the connection has cancelled what ran; this must not be.
                self.kernel.clear_cancel()
                self.statements.cancelled = None
                await self.statements.drop_temporary()
        finally:
            self.kernel.close()
            self.waits.after_call()
            self.waits.forget(self.pid)
            self.waits.lock_timeouts_ms.pop(self.pid, None)
            self.waits.drop_spills(self.pid)
            self.database.forget(self)

    # -- events

    async def handle(self, event: Event) -> None:
        """Deal with one event of the wire."""
        self._state = "active"
        drains = False
        try:
            if event[0] == "wait":
                event = await self._wait(event[1])
                drains = event[0] == "drain"
                if event[0] in SAID_AGAIN:
                    return
            await self.refresh()
            self.deadline.arm()
            await self.statements.handle(event)
        except (SqlError, KernelError) as error:
            self.fail(error)
        except (ConnectionError, SessionEnded):
            raise
        except (Exception, PanicException) as error:
            log.exception("a statement failed in the engine", query=self.query)
            self.fail(_unexpected(error))
        finally:
            if not drains:
                self.deadline.disarm()
            self._settle()
            self.waits.after_call()
            self._state = STATES[self.kernel.status]
        if self._terminated:
            # The statement had ended before it could be interrupted.
            self.fail(SqlError(ADMIN_SHUTDOWN, TERMINATED))

    async def _wait(self, need: Any) -> Event:
        """Until the wire has something else to say: that."""
        self.deadline.go_on()
        while True:
            if need[0] == "slice":
                await self.client.flush()
                event: Event = await self.waits.runtime.offload(self.wire.step_detached)
            elif need[0] == "spill":
                event = await self.waits.spilling(self.kernel, need, self.wire.step_detached)
            else:
                try:
                    await self.waits.satisfy(self.kernel, need)
                except ReadTooOld:
                    # The wire still holds the statement: it must end there, or it would ask for its page again.
                    self.kernel.cancel("72000", "snapshot too old")
                except ReadFailed as error:
                    self.kernel.cancel("58030", f"could not read from the page store: {error}")
                event = self.wire.step()
            self.waits.after_call()
            if event[0] == "terminate" or (event[0] == "error" and event[2]):
                raise SessionEnded(event[0])
            if event[0] != "wait":
                self.waits.drop_spilled(self.kernel)
                return event
            need = event[1]

    async def relieve(self) -> None:
        """Send what has gathered, if it is much."""
        if self.kernel.output_size > 65536:
            await self.client.flush()

    def fail(self, error: SqlError | KernelError) -> None:
        """Tell the client; the transaction is dealt with by the kernel."""
        severity: Any = getattr(error, "severity", "ERROR") if error.code != ADMIN_SHUTDOWN else "FATAL"
        self.wire.error(
            error.code,
            error.message,
            severity=severity,
            detail=error.detail,
            hint=error.hint,
            position=error.position,
            context=error.context,
            schema=error.schema,
            table=error.table,
            column=error.column,
            datatype=error.datatype,
            constraint=error.constraint,
            routine=getattr(error, "routine", None),
        )
        if severity == "FATAL":
            raise SessionEnded(error.message)

    def notice(
        self,
        message: str,
        *,
        severity: str = "NOTICE",
        code: str = "00000",
        detail: str | None = None,
        hint: str | None = None,
    ) -> None:
        """NoticeResponse, if client_min_messages lets it through."""
        ranks = ("debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error")
        wanted = self.settings.get("client_min_messages")
        if severity == "INFO" or ranks.index(severity.lower().replace("debug", "debug1")) >= ranks.index(wanted):
            self.wire.notice(severity, code, message, detail=detail, hint=hint)  # type: ignore[arg-type]

    @property
    def state(self) -> str:
        """As in pg_stat_activity."""
        if self._state == "active" or self.client.busy():
            return "active"
        try:
            return STATES[self.kernel.status]
        except RuntimeError:
            return "active"  # a thread has just gone into it

    @property
    def last_input(self) -> int:
        """When the client last sent something or a statement of its ended, in the clock's microseconds."""
        return max(self.client.last_input(), self.started_at)

    async def think(self, text: str, work: Callable[[], T]) -> T:
        """Parsing, analysing or planning of this text, which must change nothing outside: on the loop when it is short, else beside it."""
        if len(text) <= SHORT:
            try:
                return inline(work)
            except TooLong:
                pass
        # One at a time, also when they are interrupted again and again.
        while self._last_aside is not None and not self._last_aside.is_over() and self.statements.cancelled is None:
            await self.waits.runtime.clock.sleep(ASIDE_LOOK_SECONDS)
        if self.statements.cancelled is not None:
            raise self.statements.cancelled
        self._aside = self.waits.runtime.aside(lambda: tidily(work))
        try:
            found: T = await self._aside.run()
            return found
        except Interrupted:
            self._last_aside = self._aside
            raise self.statements.cancelled or SqlError("57014", "canceling statement due to user request") from None
        finally:
            self._aside = None

    # -- time-outs and cancel

    def cancel(self) -> None:
        """Ask the running statement to end with 57014. Safe at any time, from the loop's thread."""
        self.interrupt("57014", "canceling statement due to user request")

    def interrupt(self, code: str, message: str) -> None:
        """End the running statement with this."""
        self.kernel.cancel(code, message)
        self.statements.interrupt(code, message)
        if self._aside is not None:
            self._aside.interrupt()
        self.waits.interrupt(self.pid)

    def terminate(self) -> None:
        """pg_terminate_backend, shutdown. A running statement ends with FATAL; whoever runs it closes the connection."""
        if self.state != "active":
            try:
                self.wire.error(ADMIN_SHUTDOWN, TERMINATED, severity="FATAL")
                self.client.close()
                return
            except RuntimeError:
                pass  # a thread has just gone into it
        self._terminated = True
        self.interrupt(ADMIN_SHUTDOWN, TERMINATED)

    def idle_limit_ms(self) -> int:
        """How long the session may be idle as it is now; 0: for ever."""
        return self.settings.number(IDLE_TIMEOUTS[0] if self.kernel.status != "I" else IDLE_TIMEOUTS[1])

    def end_idle(self) -> None:
        """Idle for too long."""
        code, message = "57P05", "terminating connection due to idle-session timeout"
        if self.kernel.status != "I":
            code, message = "25P03", "terminating connection due to idle-in-transaction timeout"
        self.wire.error(code, message, severity="FATAL")
        self.client.close()

    # -- transactions

    def begin_work(self) -> Work:
        """The transaction has something to do at its end: from now on Python sees the end."""
        if self.work is None:
            self.kernel.begin_implicit()
            self.work = Work()
            self.settings.begin()
            self.kernel.intercept = True
        return self.work

    def _settle(self) -> None:
        """The transaction may have ended in the kernel by an error: forget what hung on it."""
        if self.work is not None and not self.kernel.active:
            self._end_work(committed=False)
        if not self.kernel.active:
            self.drop_cursors([name for name, cursor in self.cursors.items() if not cursor.held])
        self.waits.drop_spilled(self.kernel)

    def drop_cursors(self, names: Sequence[str]) -> None:
        """They are over, and what they keep goes."""
        for name in names:
            self.wire.close_portal(name)
            self.cursors.pop(name).kernel.close()

    async def commit(self, *, implicit: bool = False) -> str:
        """COMMIT with all that hangs on it. Answers the command tag."""
        work = self.work
        if work is not None and self.kernel.status != "E":
            for run in list(work.before_commit):
                await run()
        await self.statements.hold_cursors()
        if work is not None and work.drop_on_commit:
            roots = [root for root, _ in work.drop_on_commit]
            await self.waits.run(lambda: self.database.volume.unsettle(roots))
        call, detached = self.kernel.commit, self.kernel.commit_detached
        if implicit:
            call, detached = self.kernel.commit_implicit, self.kernel.commit_implicit_detached
        with_ddl = work is not None and work.ddl is not None and bool(work.ddl.changes)
        self.database.committing += with_ddl
        try:
            tag = await self.waits.run(call, session=self.kernel, detached=detached)
            self._end_work(committed=tag != "ROLLBACK")
        finally:
            self.database.committing -= with_ddl
        self._settle()
        if work is not None and tag != "ROLLBACK":
            for after in work.at_commit:
                await after()
        return str(tag or "COMMIT")

    def rollback(self) -> None:
        """ROLLBACK with all that hangs on it."""
        self.kernel.rollback()
        self._end_work(committed=False)
        self._settle()

    def abandon(self) -> None:
        """The connection is gone."""
        if self.kernel.active:
            self.kernel.rollback()
        self._end_work(committed=False)

    def _end_work(self, *, committed: bool) -> None:
        work, self.work = self.work, None
        if work is None:
            return
        self.kernel.intercept = False
        self.kernel.catalog_version = None
        if committed:
            if work.ddl is not None and work.ddl.changes:
                self.database.publish(work.ddl.changes, work.written_anew)
            self.settings.commit()
            for channel, on in work.listens:
                if on:
                    self.database.listen(self, channel)
                else:
                    self.database.unlisten(self, channel)
            self.database.notify(self, list(work.notifications))
        else:
            self.settings.rollback()
        if self.kernel.abandoned is not None:
            # It may be committed after all, but the session goes on as if it were not.
            self.waits.runtime.spawn(self.database.end_abandoned(self, self.kernel.abandoned, work), "abandoned work")
        else:
            self.database.end_trees([*work.drop_on_rollback, *work.drop_on_commit])
        self.temp_changed()
        self.rescope()

    def temp_changed(self) -> None:
        """A rollback may have taken the temporary schema away."""
        if self.temp is not None and self.snapshot.rows["pg_namespace"].get(self.temp) is None:
            self.temp = None

    async def begin_ddl(self) -> Ddl:
        """The transaction changes the catalogue."""
        await self.refresh()
        if self.kernel.read_only:
            raise SqlError("25006", "cannot execute this command in a read-only transaction")
        work = self.begin_work()
        if work.ddl is None:
            self.kernel.bump_catalog()
            work.ddl = Ddl(self.database.snapshot)
            # Also for statements that find nothing to do (IF NOT EXISTS): what follows is planned against the new snapshot.
            self.rescope()
        return work.ddl

    # -- catalogue

    @property
    def snapshot(self) -> Snapshot:
        """The catalogue as this session's transaction sees it."""
        if self.work is not None and self.work.ddl is not None:
            return self.work.ddl.snapshot
        return self.database.snapshot

    async def refresh(self) -> None:
        """Make sure that `snapshot` has what others have committed."""
        await self.database.refresh()
        ddl = self.work.ddl if self.work is not None else None
        if ddl is not None and ddl.base is not self.database.snapshot:
            ddl.rebase(self.database.snapshot)
            self.rescope()

    def catalog(self) -> Catalog:
        """The same through the search path."""
        snapshot, path = self.snapshot, self.settings.get("search_path")
        if self.creating is not None:
            return Catalog(snapshot, self._effective(snapshot, path), self.temp)
        if self._catalog is None or self._catalog[:3] != (snapshot, path, self.temp):
            self._catalog = (snapshot, path, self.temp, Catalog(snapshot, self._effective(snapshot, path), self.temp))
        return self._catalog[3]

    def schemas(self) -> list[int]:
        """The search path's existing schemas without implicit ones: where new objects go, current_schemas(false)."""
        snapshot = self.snapshot
        return [
            oid
            for oid in self._named(snapshot, self.settings.get("search_path"))
            if oid != self.temp or "pg_temp" in self.settings.get("search_path")
        ]

    def _named(self, snapshot: Snapshot, path: str) -> list[int]:
        found: list[int] = [self.creating] if self.creating is not None else []
        for name in parse_list(path):
            oid = self.temp if name == "pg_temp" else snapshot.namespace_oid(self.user if name == "$user" else name)
            if oid is not None and oid not in found:
                found.append(oid)
        return found

    def _effective(self, snapshot: Snapshot, path: str) -> tuple[int, ...]:
        named = self._named(snapshot, path)
        implicit = [PG_CATALOG] if PG_CATALOG not in named else []
        if self.temp is not None and self.temp not in named:
            implicit.insert(0, self.temp)
        return (*implicit, *named)

    def info(self) -> SessionInfo:
        """What the planner must know of the session."""
        flag = self.settings.flag
        return SessionInfo(
            user=self.user,
            database=self.database_name,
            enable_seqscan=flag("enable_seqscan"),
            enable_indexscan=flag("enable_indexscan"),
            enable_hashjoin=flag("enable_hashjoin"),
            enable_mergejoin=flag("enable_mergejoin"),
            enable_nestloop=flag("enable_nestloop"),
            enable_hashagg=flag("enable_hashagg"),
            enable_sort=flag("enable_sort"),
            work_mem_kb=self.settings.number("work_mem"),
            cache_pages=self.database.volume.cache_size[1],
            reading=self.reading,
        )

    @property
    def reading(self) -> Reading:
        """How this session's settings read constants."""
        return _reading(*(self.settings.get(name) for name in READING))

    def rescope(self) -> None:
        """What decides a text's meaning may have changed: tell the wire which cached statements are ours."""
        private = self.pid if self.temp is not None else 0
        if self.work is not None and self.work.ddl is not None:
            private = self.snapshot.version
            self.kernel.catalog_version = (private, self.work.ddl.base.version)
        self.kernel.set("is_superuser", "on" if is_superuser(self) else "off")
        settings = tuple(self.settings.get(name) for name in PLANNING)
        scope = (self.user, self.settings.get("search_path"), private, settings)
        if scope != self._scope:
            self._scope = scope
            self.wire.scope = self.database.scope(scope)

    @property
    def scope(self) -> int:
        """The number under which this session's statements are cached."""
        return int(self.wire.scope)

    # -- settings

    def _setting_changed(self, name: str, value: str) -> None:
        if name not in ISOLATION:
            self.kernel.set(name, value)
        if name in REPORTED:
            self.wire.parameter_status(name, value)
        if name.startswith("default_transaction_"):
            self._set_defaults()
        if name in IDLE_TIMEOUTS:
            self.database.watch_idle(self)
        if name == "lock_timeout":
            self.waits.lock_timeouts_ms[self.pid] = int(value)
        if name in WAIT_TIMEOUTS:
            self._tell_timeouts()
        if name in ("role", "session_authorization"):
            self._switch_user()
        if name in PLANNING or name in ("search_path", "role", "session_authorization"):
            self.rescope()

    def _tell_timeouts(self) -> None:
        self.wire.sleeps = not any(self.settings.number(timeout) for timeout in WAIT_TIMEOUTS)

    def _set_defaults(self) -> None:
        read_only = self.settings.flag("default_transaction_read_only") or self.database.read_only
        self.kernel.set_defaults(self.settings.get("default_transaction_isolation"), read_only)

    def _switch_user(self) -> None:
        self.session_user = self.settings.get("session_authorization") or self.session_user
        role = self.settings.get("role")
        self.user = self.session_user if role == "none" else role

    def now(self) -> int:
        """Microseconds since 1970."""
        return int(self.database.runtime.clock.time() * 1_000_000)

    def _restore_host(self) -> None:
        self.kernel.set_host(self.statements.host_call, self.statements.host_scan, self.statements.host_ask)


@lru_cache(maxsize=100)
def _reading(date_style: str, time_zone: str, interval_style: str) -> Reading:
    return Reading(date_style, time_zone, interval_style)


def parse_options(text: str) -> Sequence[tuple[str, str]]:
    """`options=-c a=b --c=d` of the startup message; a backslash keeps a space."""
    words = [word.replace("\\ ", " ").replace("\\\\", "\\") for word in re.findall(r"(?:\\.|\S)+", text)]
    found: list[tuple[str, str]] = []
    pending = iter(words)
    for word in pending:
        if word == "-c":
            word = next(pending, "")
        elif word.startswith("-c"):
            word = word[2:]
        elif word.startswith("--"):
            word = word[2:].replace("-", "_", word.partition("=")[0].count("-"))
        else:
            raise SqlError("42601", f"invalid command-line argument for server process: {word}", severity="FATAL")
        name, equal, value = word.partition("=")
        if not equal:
            raise SqlError("42601", f"-c {name} requires a value", severity="FATAL")
        found.append((name, value))
    return found
