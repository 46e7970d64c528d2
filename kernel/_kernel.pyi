"""The kernel's Python face: complete signatures of the compiled module ``sixfold.kernel._kernel``.

Three rules hold everywhere:

* **Steps.** A call that may have to wait returns a `Step`: ``("done", value)``, ``("suspended", rows)`` or ``("need", need)``.
  On ``need`` nothing has been changed: satisfy the need and make *the same call again* (same object, same arguments).
  Calls that never wait return their value plainly.
* **Needs** are small tuples; ``engine`` has one place that awaits each kind:

  ===================================  ==========================================================================
  ``("page", no)``                     a page that the cache lacks: ``lsn = volume.fetch_begin(no)``, read page@LSN
                                       from the page store, ``volume.install_page(no, data, lsn)``
  ``("pages", [no, ...])``             the same for several; go on when the first is there, fetch the rest behind
  ``("xid", xid)``                     the end of that transaction; `Volume.take_woken` names this session then
  ``("lock",)``                        a queued lock; `Volume.take_woken` names this session when it is granted
  ``("durable", lsn)``                 ``volume.vdl >= lsn`` (a commit, or room in the cache / below the limit)
  ``("spill", request)``               a temporary-file operation, see `SpillRequest`; answer with ``spill_done``
  ``("slice",)``                       the time slice is used up; let others run and call again, best by the
                                       ``*_detached`` twin in a worker thread
  ===================================  ==========================================================================

* **Errors** are `KernelError` with PostgreSQL's fields. After one from a statement call `Session.fail`
  (`Wire.step` does that by itself for what it runs).

Threads: every object may be used from any thread, one call at a time; a second concurrent call raises ``RuntimeError``
(busy), except for `Session.cancel`, which is always safe. ``*_detached`` twins run without the GIL.

Values in Python (``fetch``, ``params``, host functions), by PostgreSQL type: bool → ``bool``; int2/4/8, oid, "char", xid, reg* →
``int``; float4/8 → ``float``; numeric → ``decimal.Decimal``; text, varchar, bpchar, name, json, cstring, unknown → ``str``; bytea →
``bytes``; jsonb → ``str`` (its text); date → ``int`` days and time/timestamp/timestamptz → ``int`` µs since 2000-01-01 (UTC);
timetz → ``(µs, zone)``; interval → ``(months, days, µs)``; uuid → ``bytes`` (16); arrays → ``list`` (nested by dimension; int2vector
and oidvector too); records → ``tuple``; NULL → ``None``. Times given *to* the kernel as `now` are µs since 1970-01-01 UTC.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, final

Need: TypeAlias = tuple[Any, ...]
Step: TypeAlias = tuple[str, Any]
Event: TypeAlias = tuple[Any, ...]
#: ("write", [(file, offset, data), …]) | ("read", file, offset, length): `file` is an int that the kernel chose, unique within the session.
SpillRequest: TypeAlias = tuple[Any, ...]

class PanicException(BaseException):
    """A defect in the kernel: it has panicked outside of a statement."""

class KernelError(Exception):
    """An SQL error. ``args == (code, message)``; fields that do not apply are None."""

    code: str
    message: str
    detail: str | None
    hint: str | None
    #: 1-based character position in the statement.
    position: int | None
    context: str | None
    schema: str | None
    table: str | None
    column: str | None
    datatype: str | None
    constraint: str | None
    #: Who must act: "statement" (fails each time), "retry" (the client may run the transaction again), "operator".
    actor: Literal["statement", "retry", "operator"]

@final
class Volume:
    """One compute node's view of a cluster volume: page cache, log tail, transactions, locks, tables. Role "writer" or "reader"."""

    @staticmethod
    def create(*, volume_id: int, epoch: int, cache_bytes: int, pages_per_group: int = 1310720) -> Volume:
        """A new, empty volume, with this process as its writer. Page 0 and the first space map are in the log tail."""

    @staticmethod
    def open(
        *, volume_id: int, epoch: int, cache_bytes: int, vdl: int, tail: int, pages_per_group: int = 1310720
    ) -> Volume:
        """The writer of an existing volume after recovery: durable up to `vdl`, to be continued at `tail` (above the void range)."""

    @staticmethod
    def open_reader(
        *, volume_id: int, epoch: int, cache_bytes: int, vdl: int, pages_per_group: int = 1310720
    ) -> Volume:
        """A reader that begins at `vdl`; redo above it comes by `apply_stream`."""

    def promote(self, epoch: int, vdl: int, tail: int) -> None:
        """Reader becomes writer; the cache stays warm. All its sessions must have ended."""

    def prepare(self) -> Step:
        """Read what the volume needs before its first transaction (page 0, high-water marks). Done: None. Call until done after any open."""
    # -- the log: writer ---------------------------------------------------------------------------------------
    def take_flush(self, max_bytes: int = 1048576) -> tuple[int, int, list[tuple[int, bytes]]] | None:
        """Cut whole MTRs from the tail: (start, end, [(group, framed batch)]), about `max_bytes`; None when nothing is new."""

    def set_prev(self, group: int, end: int) -> None:
        """After recovery and after `set_epoch`: the end of the group's last batch, for the next one's back link."""

    def set_vdl(self, lsn: int) -> None:
        """Everything up to `lsn` is durable: commits become visible, pages may be evicted. On a reader: apply the
        streamed MTRs up to there, to pages held. Never goes back."""

    def set_limit(self, lsn: int) -> None:
        """The allocation limit: writes above it answer ``("durable", ...)``."""

    def set_epoch(self, epoch: int) -> None: ...
    @property
    def volume_id(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def role(self) -> Literal["writer", "reader"]: ...
    @property
    def vdl(self) -> int: ...
    @property
    def tail(self) -> int:
        """End of the redo written so far; ``tail > taken`` means that `take_flush` has something."""

    @property
    def taken(self) -> int:
        """End of the last flush that `take_flush` gave out."""
    # -- the log: reader ---------------------------------------------------------------------------------------
    def apply_stream(self, batches: Sequence[bytes]) -> None:
        """The batches of one or more flushes, in order, as `take_flush` framed them. Held until `set_vdl` passes them."""
    # -- pages -------------------------------------------------------------------------------------------------
    def fetch_begin(self, no: int) -> int | None:
        """The LSN at which to read page `no` now; from here on redo for it is kept. None: the cache holds it already."""

    def fetch_begin_all(self, pages: Sequence[int]) -> tuple[int, list[int]]:
        """The same for many: the LSN, and those that the cache does not hold."""

    @property
    def cache_size(self) -> tuple[int, int]:
        """(pages in the cache, its capacity)"""

    def cached_pages(self) -> bytes:
        """Numbers of all pages in the cache, rising: eight little-endian bytes each."""

    def install_page(self, no: int, data: bytes | memoryview, lsn: int | None = None) -> bool:
        """Page `no` as read at `lsn`, which `fetch_begin` named (8192 bytes, checksum is verified: XX001). Installing twice is
        harmless. False: the answer is older than what the cache needs by now (or nobody asked): fetch again if still needed."""

    def install_pages(self, pages: Sequence[int], data: Sequence[bytes | memoryview], lsn: int) -> None:
        """The same for many, packed ones too; for a worker thread."""

    def fetch_failed(self, no: int) -> None:
        """The fetch was given up; stop keeping redo for it."""

    def page(self, no: int) -> bytes | None:
        """The cached page's bytes (console, tests, invariants), or None."""

    # -- waiting sessions, horizons, housekeeping --------------------------------------------------------------
    def take_woken(self) -> list[int]:
        """Session ids whose lock was granted or whose xid ended since the last call. Ask after every call that ends a
        transaction or releases locks, and after `set_vdl`."""

    @property
    def abandoned(self) -> int | None:
        """Commits that nobody waits for any more hold their locks until ``finish_abandoned``: what must be durable before its next call."""

    def finish_abandoned(self) -> None:
        """End those that are durable now. Ask `take_woken` afterwards."""

    def horizon(self) -> int:
        """The oldest snapshot LSN that sessions here use (VDL when none): what a reader reports to its writer."""

    def set_external_horizon(self, lsn: int) -> None:
        """The oldest snapshot LSN of all readers: the writer prunes nothing that it may see."""

    def vacuum_table(self, table: Table, indexes: bool = False) -> Job:
        """VACUUM of one table: rows, index entries if wanted, moved-out values."""

    def vacuum_queued(self, root: int) -> Job:
        """Clean up what ended transactions left in the table with this root, as far as nobody can see it any more."""

    def table_counts(self) -> list[tuple[int, tuple[tuple[int, int, int], int, int, int, int, tuple[bool, bool]]]]:
        """Of each table written to since this process began, by root: ((rows inserted, updated, deleted), rows more than before,
        dead versions, rows changed since the last analyze, entries for `vacuum_queued`, (were some forgotten, is "rows more" all rows))."""

    def blocks_others(self, session: int) -> bool:
        """Does somebody wait for a lock that the session holds?"""

    def locks(self) -> list[tuple[int, tuple[str, int, int], str, bool]]:
        """pg_locks: (session, (kind, …), mode, granted). Kinds: relation (OID), tuple (OID of its relation, row id), transactionid
        (xid), advisory (key, 1 for an int8 or 2 for two int4)."""

    def blockers(self, session: int) -> list[int]:
        """The sessions that this one waits for."""

    def analyzed(self, root: int, live: int) -> None:
        """ANALYZE has found so many rows."""

    @property
    def catalog_version(self) -> int:
        """Of the last durable DDL commit (kept on page 0)."""

    def stats(self) -> dict[str, int]:
        """Counters: cache_pages, cache_capacity, cache_bytes, redo_bytes, commits, rollbacks, running (xids), snapshots, locks, …"""

    def root(self, index: int) -> Step:
        """Done: named root `index` (0..63) of page 0; 0 when never set."""

    def set_root(self, index: int, value: int) -> Step:
        """A mini-transaction of its own (bootstrap of the catalogue)."""

    def note_moved(self, relations: Sequence[int]) -> None:
        """These relations' trees are others than in the catalogue before: a transaction with an older snapshot gets 40001 for them."""

    def set_sequence(self, oid: int, page: int | None) -> None:
        """Where nextval finds the sequence that SQL names by this OID. Not told: asked for by ``ask("sequence", oid)``."""
    # -- trees; each is redo of its own, not undone by a rollback: drop what a rolled-back DDL made ---------------
    def create_table(self) -> Step:
        """Done: (root, overflow)."""

    def create_index(self) -> Step:
        """Done: root of an empty index tree."""

    def unsettle(self, roots: list[int]) -> Step:
        """These trees are about to be dropped: call it before the commit that does it. A tree that was just made is unsettled already."""

    def settle(self, roots: list[int]) -> Step:
        """The catalogue names these trees for good."""

    def unsettled(self) -> Step:
        """Done: roots of trees that whoever opens the volume must settle, or drop when the catalogue does not name them."""

    def drop_tree(
        self, root: int, kind: Literal["table", "overflow", "index", "sequence"], resumed: bool = False
    ) -> Job:
        """Frees a tree's pages (once no reader can ask for them); run it after the dropping commit is durable. `resumed`: an
        earlier process may have freed some of them."""

    def create_sequence(
        self, start: int, increment: int, minimum: int, maximum: int, cycle: bool = False, cache: int = 1
    ) -> Step:
        """Done: the sequence's page. `start` is what the first nextval answers. `cache` is checked, and only kept by the catalogue."""

    def alter_sequence(
        self, page: int, start: int, increment: int, minimum: int, maximum: int, cycle: bool = False, cache: int = 1
    ) -> Step: ...
    def sequence_value(self, page: int) -> Step:
        """Done: (last_value, is_called)."""

    def alloc_oid(self) -> Step:
        """Done: a fresh OID, never given out again."""

    def overflow_size(self, table: Table) -> Step:
        """Done: about how many pages a table's moved-out values take."""

    def table_size(self, table: Table) -> Step:
        """Done: (pages, rows), cheap and rough."""

@final
class Job:
    """Work on a tree that goes in slices: `run` until it answers done."""

    def run(self, budget_us: int = 2000) -> Step:
        """Done: slices worked in all."""

    def run_detached(self, budget_us: int = 100000) -> Step:
        """`run` with the GIL released."""

@final
class Table:
    """A table's storage definition, from the JSON of `exec/plan.rs` Table (planner nodes.Table)."""

    def __new__(cls, json: str | bytes) -> Table: ...
    @property
    def oid(self) -> int: ...

@final
class Reading:
    """How a session's DateStyle, TimeZone and IntervalStyle read the constants of a statement; immutable."""

    def __new__(
        cls, date_style: str = "ISO, MDY", time_zone: str = "UTC", interval_style: str = "postgres"
    ) -> Reading: ...
    def check(self, oid: int, text: str) -> None:
        """KernelError if the type's input function does."""

    def settled(self, oid: int, text: str, now: int = 0) -> str:
        """The value as text that means the same under the settings with which plans are compiled."""

@final
class Plan:
    """A prepared plan; immutable, shared by all sessions."""

    @staticmethod
    def compile(json: str | bytes | Sequence[bytes], session: Session | None = None) -> Plan:
        """From the JSON of `exec/plan.rs`, maybe in parts. Unknown functions are KernelError 42883, malformed plans XX000. A cancel of
        the session ends it."""

    @property
    def columns(self) -> list[tuple[str, int, int, int, int]]:
        """(name, type, typmod, table, attnum) of each result column."""

    @property
    def params(self) -> list[int]: ...
    @property
    def writes(self) -> bool: ...
    @property
    def tag(self) -> str: ...
    @property
    def catalog_version(self) -> int: ...

@final
class Folded:
    """A statement whose long VALUES and lists of literals have been made short."""

    @property
    def text(self) -> str: ...
    @property
    def types(self) -> list[int]:
        """Types of the parameters that were put in, numbered behind the client's; 0: to be inferred."""

    @property
    def first(self) -> int:
        """How many parameters the client has."""

    @property
    def values(self) -> list[tuple[int, int, list[list[tuple[str, int | None]]]]]:
        """VALUES: (index into `types` of its text, which the place of its text follows; number of rows; by column the shapes of its cells:
        key, and index into `types` of its literal). The short text shows them: row n has each column's shape n, or its first."""

    @property
    def arrays(self) -> list[int]:
        """Which of the parameters stand for an ARRAY[…]."""

    def position(self, text: str, position: int) -> int:
        """A 1-based position in the short text as one in the statement's."""

@final
class Unfolded:
    """What folding has left out, as parameters. Can be used once."""

@final
class Statement:
    """What a prepared or cached statement means. `token` is yours: it comes back in events (an int, 0 = none)."""

    @staticmethod
    def plan(plan: Plan, *, bound: Unfolded | None = None, token: int = 0) -> Statement:
        """Runs in the kernel. `bound`: values of the last parameters, which are not the client's."""

    @staticmethod
    def begin(
        isolation: Literal["read committed", "repeatable read", "serializable"] | None = None,
        read_only: bool | None = None,
        *,
        tag: str = "BEGIN",
        token: int = 0,
    ) -> Statement: ...
    @staticmethod
    def commit(*, token: int = 0) -> Statement: ...
    @staticmethod
    def rollback(*, token: int = 0) -> Statement: ...
    @staticmethod
    def savepoint(name: str, *, token: int = 0) -> Statement: ...
    @staticmethod
    def release(name: str, *, token: int = 0) -> Statement: ...
    @staticmethod
    def rollback_to(name: str, *, token: int = 0) -> Statement: ...
    @staticmethod
    def empty() -> Statement:
        """EmptyQueryResponse."""

    @staticmethod
    def host(
        token: int,
        *,
        params: Sequence[int] = (),
        columns: Sequence[tuple[str, int, int, int, int]] = (),
        allowed_in_failed: bool = False,
    ) -> Statement:
        """Runs in Python, by an ``("execute", ...)`` event: utility statements, EXPLAIN, SHOW, COPY.
        `columns` answers Describe (empty: NoData)."""

    @property
    def token(self) -> int: ...
    @property
    def columns(self) -> list[tuple[str, int, int, int, int]]:
        """What Describe says; empty for NoData."""

@final
class Session:
    """A client's transaction state. Also usable without a Wire (catalogue reads, background work)."""

    def __new__(cls, volume: Volume, session_id: int) -> Session: ...
    @property
    def session_id(self) -> int: ...
    # -- transactions ------------------------------------------------------------------------------------------
    @property
    def status(self) -> Literal["I", "T", "E"]:
        """As in ReadyForQuery: no block, in a block, in a failed block. An implicit transaction is "I"."""

    @property
    def active(self) -> bool:
        """A transaction is open, implicit ones included."""

    @property
    def xid(self) -> int | None:
        """Top transaction id; None before the first write."""

    @property
    def abandoned(self) -> int | None:
        """The commit record of this or the last transaction, if its wait was given up: the outcome is unknown until that is durable."""

    def assign_xid(self) -> Step:
        """Give the transaction an xid now (pg_current_xact_id). Done: the xid."""

    @property
    def snapshot(self) -> int:
        """The LSN that the running or next statement sees."""

    def begin(
        self,
        isolation: Literal["read committed", "repeatable read", "serializable"] | None = None,
        read_only: bool | None = None,
    ) -> bool:
        """Open a block (an implicit transaction becomes it). False: one was open (PostgreSQL warns 25001); what is
        given counts as in SET TRANSACTION. None: the session's defaults, or what the open transaction has."""

    def begin_implicit(self) -> None:
        """Open an implicit transaction unless one is open; `portal` does this by itself."""

    def commit(self, budget_us: int = 2000) -> Step:
        """End the block or the implicit transaction: deferred checks, commit record, ("need", ("durable", lsn)), then
        locks are released. Done: "COMMIT", or "ROLLBACK" when the block had failed. An error has rolled back."""

    def commit_detached(self, budget_us: int = 100000) -> Step: ...
    def commit_implicit(self, budget_us: int = 2000) -> Step:
        """`commit` if an implicit transaction is open, else done at once (the end of a simple Query, a Sync)."""

    def commit_implicit_detached(self, budget_us: int = 100000) -> Step: ...
    def rollback(self) -> None:
        """End the block or implicit transaction without a trace; locks are released, the session's portals are closed."""

    def fail(self) -> None:
        """A statement has failed: an implicit transaction is rolled back, a block becomes "E"."""

    def savepoint(self, name: str) -> None:
        """25P01 outside a block."""

    def release(self, name: str) -> None:
        """3B001 when there is none of that name."""

    def rollback_to(self, name: str) -> None:
        """Also leaves "E"."""

    def next_command(self) -> None:
        """Make this transaction's own changes so far visible to what follows (between statements of one Query; `portal` does it)."""

    def set_characteristics(self, isolation: str | None = None, read_only: bool | None = None) -> None:
        """SET TRANSACTION: 25001 after the first snapshot (isolation), 25001 for read-write after a read."""

    def set_defaults(self, isolation: str | None = None, read_only: bool | None = None) -> None:
        """default_transaction_isolation, default_transaction_read_only."""

    @property
    def isolation(self) -> str:
        """Of the open transaction, else the default."""

    @property
    def read_only(self) -> bool: ...
    def set_constraints(self, oids: Sequence[int] | None, deferred: bool, budget_us: int = 2000) -> Step:
        """SET CONSTRAINTS (None: ALL); IMMEDIATE runs what is pending now. Done: None."""

    def set_constraints_detached(self, oids: Sequence[int] | None, deferred: bool, budget_us: int = 100000) -> Step: ...
    def drop_checks(self, oid: int) -> None:
        """This constraint is dropped: its checks that were put off are too."""

    def put_off_checks(self) -> list[tuple[int, bool]]:
        """Constraints that have checks put off: of changes of the referencing table (True), of the referenced one (False)."""

    catalog_version: tuple[int, int] | None
    """None: the volume's. While this transaction has changed the catalogue: a number of Python's own, and the version of the
    committed catalogue under the changes; when that moves on, every plan is stale."""

    newest: bool
    """True while DDL reads and checks tables: it is about what there is, whatever the transaction's snapshot."""

    intercept: bool
    """True: COMMIT, ROLLBACK and savepoint statements, and implicit commits, come to Python as events (set while the
    transaction has on-commit work, such as DDL)."""

    def bump_catalog(self) -> None:
        """This transaction changes the catalogue: its commit raises `Volume.catalog_version` (once it is durable)."""
    # -- locks -------------------------------------------------------------------------------------------------
    def lock_relation(self, oid: int, mode: int, nowait: bool = False) -> Step:
        """PostgreSQL's modes 1 (ACCESS SHARE) … 8 (ACCESS EXCLUSIVE), till the transaction's end. `nowait`: 55P03."""

    def lock_plan(self, plan: Plan) -> Step:
        """The locks of a plan's relations, till the transaction's end."""

    def lock_advisory(
        self, key: int, *, shared: bool = False, transaction: bool = False, wait: bool = True, pair: bool = False
    ) -> Step:
        """`pair`: key is (int4 << 32 | int4). Done: granted? (False only without `wait`)."""

    def unlock_advisory(self, key: int, *, shared: bool = False, pair: bool = False) -> bool: ...
    def unlock_advisory_all(self) -> None: ...
    # -- settings, time, cancel --------------------------------------------------------------------------------
    def set(self, name: str, value: str) -> None:
        """What the kernel reads: DateStyle, TimeZone, IntervalStyle, extra_float_digits, bytea_output, client_encoding,
        work_mem, lock_timeout… Others are ignored. 22023 for a bad value."""

    def get(self, name: str) -> str | None:
        """The canonical value of one of those ("ISO, MDY"), None when the kernel doesn't keep it."""

    def set_now(self, micros: int) -> None:
        """The clock, µs since 1970-01-01 UTC: now() is the value at the transaction's begin, statement_timestamp() at the statement's."""

    def set_entropy(self, seed: int) -> None:
        """Seed of random() and gen_random_uuid() (64 bits from the caller's source of randomness)."""

    def set_host(
        self,
        call: Callable[[str, list[list[Any]], int], list[Any]] | None,
        scan: Callable[[str, list[Any]], Sequence[Sequence[Any]]] | None,
        ask: Callable[[str, list[Any]], Any] | None,
    ) -> None:
        """`call(prosrc, columns, rows)` answers one value a row for `Host` expressions; `columns[i][row]` are arguments.
        `scan(name, args)` answers `HostScan` rows ("copy" is the kernel's own). `ask(what, args)` answers what functions want to
        know of the session: "current_setting" (name; None: no such), "set_config" (name, value, local), "current_user",
        "session_user", "current_database", "current_schema", "version", "pg_backend_pid", "sequence" (oid → page),
        "sequence_name" (oid). All may run in a worker thread; what they raise ends the statement (`code` and `message`
        of the exception are used if it has them). Values come without types here: int for all integers and date/times, etc."""

    def cancel(self, code: str = "57014", message: str = "canceling statement due to user request") -> None:
        """Thread-safe. The running (or, if it waits, the next resumed) statement fails with this. Forgotten when a new one begins."""

    def clear_cancel(self) -> None: ...
    def spill_done(self, data: bytes | None = None) -> SpillRequest | None:
        """The answer to the last ("spill", request): what was read, or None for a write. Answers what is left to be done of it, in requests
        of a few megabytes. If the operation failed (disk full), `cancel`
        with its error (53100) instead, and go on."""

    def take_dropped(self) -> list[int]:
        """Temporary files that may be deleted now; ask after a statement that spilled, and at the end."""

    def close(self) -> None:
        """Roll back, release session locks, forget portals. Idempotent."""
    def fold(self, text: str, given: int) -> Folded | None:
        """A statement of very many literals made short, in a worker thread; None: there is nothing to gain, or it does not lex. `given`:
        how many parameters the client has declared."""

    def outline(self, text: str, piece: int) -> tuple[int, list[int]]:
        """How deep a text's tree gets by chains (1 + 1 + …), at least; and the characters at which it may be cut into pieces of whole
        statements, of `piece` bytes or more. In a worker thread."""

    def bind(self, text: str, folded: Folded, plan: Plan, used: Sequence[int]) -> Unfolded:
        """What folding has left out of `text`, for the parameters of the plan; in a worker thread. `used`: those that the statement has."""

    # -- running plans -----------------------------------------------------------------------------------------
    def portal(
        self,
        plan: Plan,
        params: Sequence[Any] = (),
        *,
        formats: Sequence[int] = (),
        copy: CopyFormat | None = None,
        bound: Unfolded | None = None,
    ) -> Portal:
        """Start a plan: takes locks and the snapshot at its first run. `params` are Python values of the plan's param types (or `str` in
        the type's input form, where the type's value is not a str). `formats` as in Bind: none = all text, one, or one a column."""

    def cursor(self, plan: Plan, params: Sequence[Any] = (), *, scroll: bool = True) -> Cursor:
        """A cursor over a plan's rows, which takes locks and the snapshot at its first step, even if that is to read none. `scroll`: it may go back."""

    def build_index(self, table: Table, index: int, memory: int) -> Job:
        """Fill `table.indexes[index]` (an empty tree) from the table's rows, with so many bytes of them in memory; 23505 for duplicates. Hold
        SHARE or stronger."""

    @property
    def output_size(self) -> int:
        """Bytes waiting in the output buffer (`Wire.take_output`)."""

@final
class Portal:
    """A running plan. Dropping it ends it."""

    def run(self, max_rows: int = 0, budget_us: int = 2000) -> Step:
        """Append DataRow (or CopyData) messages to the session's output: done(rows in all) / suspended(rows of this run,
        when `max_rows` were sent) / need. A full output buffer answers ``("need", ("slice",))``: take the output first."""

    def run_detached(self, max_rows: int = 0, budget_us: int = 100000) -> Step:
        """`run` with the GIL released."""

    def fetch(self, max_rows: int = 0, budget_us: int = 2000) -> Step:
        """done/suspended(list of tuples, Python values). Rows read before a need are kept for the answer after it."""

    def fetch_detached(self, max_rows: int = 0, budget_us: int = 100000) -> Step: ...
    @property
    def rows(self) -> int:
        """Rows sent, or changed by INSERT/UPDATE/DELETE."""

    @property
    def tag(self) -> str:
        """The whole command tag: "SELECT 3", "INSERT 0 1"."""

    @property
    def columns(self) -> list[tuple[str, int, int, int, int]]: ...
    def explain(self) -> str:
        """For EXPLAIN ANALYZE, after `set_timing`: rows, loops and µs of every plan node, JSON in the plan's shape."""

    def set_timing(self, on: bool) -> None:
        """Before the first run."""

    def close(self) -> None: ...

@final
class Cursor:
    """A cursor of SQL's: rows by number, kept within work_mem and then in a temporary file."""

    def read(self, upto: int) -> None:
        """What `step` is to do: read rows up to this number, as many as there are, and keep them."""

    def begin(
        self,
        first: int,
        count: int,
        *,
        back: bool = False,
        to: Literal["nowhere", "client", "python"] = "nowhere",
        formats: Sequence[int] = (),
    ) -> None:
        """What `step` is to do: hand over `count` rows from number `first` on (from 0), forwards or backwards. Rows that a cursor
        without `scroll` has passed are gone."""

    def step(self, budget_us: int = 2000) -> Step:
        """done(rows handed over) / need. A full output buffer answers ``("need", ("slice",))``: take the output first."""

    def step_detached(self, budget_us: int = 100000) -> Step: ...
    def take_fetched(self) -> list[tuple[Any, ...]]:
        """The rows for `to="python"`."""

    @property
    def rows(self) -> int:
        """Rows that have been read."""

    def close(self) -> None:
        """End the plan and forget its rows."""

@final
class CopyFormat:
    """COPY's options, checked as PostgreSQL does (22023, 0A000)."""

    def __new__(
        cls,
        format: Literal["text", "csv", "binary"] = "text",
        *,
        delimiter: str | None = None,
        null: str | None = None,
        header: bool = False,
        header_match: bool = False,
        quote: str | None = None,
        escape: str | None = None,
        force_quote: Sequence[int] | None = None,
        force_not_null: Sequence[int] = (),
        force_null: Sequence[int] = (),
        names: Sequence[str] = (),
    ) -> CopyFormat:
        """`force_*` are column indexes of the COPY column list (force_quote None: none; all: every index). `names`: for HEADER."""

@final
class CopyIn:
    """COPY FROM: parses rows and runs `plan` over them, a batch at a time. The plan is an Insert whose input reads
    ``HostScan(name="copy", types=[...])``: one column for each of the COPY column list."""

    def __new__(
        cls,
        session: Session,
        plan: Plan,
        format: CopyFormat,
        table: str,
        types: Sequence[int],
        typmods: Sequence[int] = (),
    ) -> CopyIn:
        """`types` (and `typmods`) of the COPY column list, as in the plan's HostScan. `table` and the format's `names` are for error
        context: ``COPY t, line 3, column b: "x"``."""

    def feed(self, data: bytes) -> None:
        """Queue bytes (not aligned to rows). Follow with `run`."""

    def finish(self) -> None:
        """No more bytes come."""

    def run(self, budget_us: int = 2000) -> Step:
        """done(rows so far) when the queue is used up (after `finish`: when all is inserted) / need."""

    def run_detached(self, budget_us: int = 100000) -> Step: ...
    @property
    def rows(self) -> int: ...

@final
class Queries:
    """Statements by text, shared by the Wires of one database. `scope` is an int of yours for what else decides a text's
    meaning (search_path, role, settings)."""

    def __new__(cls, capacity: int = 10000) -> Queries: ...
    def register_query(
        self,
        scope: int,
        key: bytes,
        statement: Statement,
        lift: Sequence[tuple[int, int]] = (),
        fixed: Sequence[tuple[int, str]] = (),
    ) -> None:
        """For simple Query texts with this `normalise` key. `lift`: (literal index, param index): the literal's text goes through the
        param type's input function. `fixed`: (literal index, text) that must be equal, for those which shaped the plan.
        Every literal must be in one of the two. One key may have several entries that differ in `fixed`."""

    def register_parse(self, scope: int, text: str, param_oids: Sequence[int], statement: Statement) -> None:
        """For Parse messages with exactly this text and these declared parameter types."""

    def clear(self) -> None: ...
    def __len__(self) -> int: ...

@final
class Wire:
    """One client connection's protocol state: bytes in, bytes and events out.

    Loop: ``feed(data, now)``; then ``step()`` until it answers idle; after each step write ``take_output()`` to the socket if not empty.
    Events:

    =========================================================  =======================================================
    ``("idle",)``                                              all input is used up
    ``("wait", need)``                                         await the need, then `step` (for a slice: `step_detached`)
    ``("drain",)``                                             much output: take and write it, wait until the socket drains, `step`
    ``("ssl",)`` ``("gssenc",)``                               `raw` b"S" or b"N", then `done` (after b"S": start TLS; `buffered` must be 0)
    ``("cancel", pid, secret)``                                CancelRequest; then close
    ``("startup", params)``                                    dict of str; authenticate (`auth`), then `started`, or `error(severity="FATAL")`
    ``("password", body)``                                     a 'p' message: password or SASL bytes; then `done`
    ``("parse", name, text, param_oids)``                      unknown text: `register_statement`, then `step`; or `error`
    ``("query", text, key, literals)``                         unknown simple Query. Either `Queries.register_query`, then `step`
                                                               (the kernel runs it), or run it in Python with `Session.portal`
                                                               and the writers below, then `done` (commits what is implicit,
                                                               sends ReadyForQuery), or `error`
    ``("long_query", shown, text, key, literals, cut)``        the same where a text is long by its strings, which are left out: those
                                                               literals (``cut``, by their places) are ``''``. Unless all of them
                                                               are lifted, go on with what `whole_query` says. ``shown``: how it begins
    ``("stale", name, token, text)``                           a statement whose plan is too old (name None: a cached simple
                                                               Query or Parse text): register it again, then `step`
    ``("execute", portal, token, params, formats, max_rows)``  a host statement (or an intercepted transaction
                                                               statement): run it, write rows and `complete`, then `done`
    ``("end",)``                                               an implicit transaction of an intercepted session ends here: call
                                                               `Session.commit_implicit` with your on-commit work, then `done`
    ``("copy_done", rows)``                                    a COPY FROM begun with `copy_in` has all its rows: `complete`, then `done`
    ``("error", error, fatal)``                                a KernelError has been written to the client and the transaction
                                                               dealt with; for logs and statistics; `step` again; fatal: close
    ``("terminate",)``                                         the client says goodbye; close
    ``("message", type, body)``                                anything else (FunctionCall): `error` or `done`
    =========================================================  =======================================================

    A message that raised an event is kept until `done` or `error`; `step` without either tries it again (after a
    registration). In a failed block the kernel itself answers 25P02 to statements that it knows; for what Python runs,
    Python checks `Session.status`.
    """

    def __new__(
        cls, session: Session, queries: Queries, *, max_message: int = 1073741824, startup: bool = True
    ) -> Wire:
        """`startup=False` begins after authentication (pooled connections, tests)."""

    def feed(self, data: bytes, now: int) -> None:
        """Bytes from the client; `now` as in `Session.set_now`. Also allowed while `step_detached` runs: the next step sees them."""

    def step(self, budget_us: int = 2000) -> Event: ...
    def step_detached(self, budget_us: int = 100000) -> Event:
        """`step` with the GIL released."""

    def whole_query(self) -> Event:
        """After "long_query": the ("query", …) with the whole text. In a worker thread."""

    def take_output(self) -> bytes:
        """What may be sent. While a commit is not durable, nothing that depends on it is among it."""

    def take_event(self) -> Event | None:
        """Of a connection that a `Reactor` has handed over: what it could not deal with. None: `step` says."""

    sleeps: bool
    """The reactor may keep the session's waits for others: there is no lock_timeout or statement_timeout to be kept."""

    scope: int
    """See `Queries`."""

    @property
    def messages(self) -> int:
        """How many messages were begun: what goes on after `drain` is of the same one as before, or not."""

    @property
    def buffered(self) -> int:
        """Input bytes not yet used."""
    # -- answers to events -------------------------------------------------------------------------------------
    def done(self) -> None:
        """The event's message is dealt with. After a query: an open implicit transaction must be committed (or is left, read-only) and
        ReadyForQuery is sent. After an execute: go on."""

    def error(
        self,
        code: str,
        message: str,
        *,
        severity: Literal["ERROR", "FATAL", "PANIC"] = "ERROR",
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        internal_position: int | None = None,
        internal_query: str | None = None,
        context: str | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        datatype: str | None = None,
        constraint: str | None = None,
        routine: str | None = None,
    ) -> None:
        """ErrorResponse with all that follows: `Session.fail`, skip to Sync or ReadyForQuery, the event's message is used up.
        Outside an event: just the message (FATAL before a close)."""

    def register_statement(self, name: str, statement: Statement, text: str, param_oids: Sequence[int] = ()) -> None:
        """A prepared statement, by Parse or PREPARE. In a "parse" event the kernel then sends ParseComplete at the next `step`.
        `param_oids`: types of $1… (default: the plan's)."""

    def drop_statement(self, name: str) -> bool:
        """DEALLOCATE. False: there is none."""

    def drop_all_statements(self) -> None: ...
    def statement(self, name: str) -> tuple[Statement, str, list[int]] | None:
        """(statement, text, param types)."""

    def statements(self) -> list[tuple[str, str, list[int]]]:
        """(name, text, param types) of all that have names; a host call may ask."""

    def open_portal(self, name: str, statement: Statement) -> None:
        """A cursor of SQL's is a portal too: Describe and Execute by its name mean `statement`, until the transaction's end."""

    def bound_portal(self, name: str) -> bool:
        """Is there one that Bind has made under this name?"""

    def move_portal(self, name: str, count: int, budget_us: int = 2000) -> Step:
        """Done: by how many rows the protocol's portal of this name was moved, unsent; at most `count` (0: all)."""

    def move_portal_detached(self, name: str, count: int, budget_us: int = 100000) -> Step: ...
    def reads(self, relation: int) -> bool:
        """Is there a query of this relation under a name that Bind has given?"""

    def close_portal(self, name: str) -> None: ...
    def close_portals(self) -> None: ...
    # -- writers -----------------------------------------------------------------------------------------------
    def raw(self, data: bytes) -> None: ...
    def auth(self, kind: int, data: bytes = b"") -> None:
        """AuthenticationRequest: 0 ok, 3 cleartext, 5 md5, 10 SASL (NUL-terminated mechanisms, then NUL), 11 continue, 12 final."""

    def started(self, pid: int, secret: int, parameters: Sequence[tuple[str, str]]) -> None:
        """AuthenticationOk, ParameterStatus for each, BackendKeyData, ReadyForQuery; the startup event is done."""

    def parameter_status(self, name: str, value: str) -> None: ...
    def notice(
        self,
        severity: Literal["DEBUG", "LOG", "INFO", "NOTICE", "WARNING"],
        code: str,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        context: str | None = None,
    ) -> None: ...
    def notification(self, pid: int, channel: str, payload: str) -> None:
        """NotificationResponse; between messages or at the end of a transaction. Waits for nobody: it goes out with the next output."""

    def row_description(
        self, columns: Sequence[tuple[str, int, int, int, int]], formats: Sequence[int] = ()
    ) -> None: ...
    def data_rows(self, types: Sequence[int], rows: Sequence[Sequence[Any]], formats: Sequence[int] = ()) -> int:
        """DataRow for each row of Python values (`str` is also taken as the type's output form). Answers the number of rows."""

    def complete(self, tag: str) -> None:
        """CommandComplete."""

    def empty(self) -> None:
        """EmptyQueryResponse."""

    def suspended(self) -> None:
        """PortalSuspended."""

    def copy_in(self, copy: CopyIn) -> None:
        """CopyInResponse; the connection's CopyData goes to `copy` from now on, until ("copy_done", rows). Within a query or execute event;
        follow with `step`."""

    def copy_out(self, format: CopyFormat, columns: int) -> None:
        """CopyOutResponse; then run a portal made with ``copy=format``, then `copy_out_done`."""

    def copy_out_done(self, format: CopyFormat, types: Sequence[int], rows: int) -> None:
        """CopyDone, and binary's trailer before it. With `rows` 0 also what a portal's first row would have sent first: the header."""

def normalise(text: str) -> tuple[bytes, list[tuple[str, str, int, int]]]:
    """(key, literals): the text without comments and superfluous space, with literals replaced by their kind; equal keys mean texts that
    differ in literals only. A literal is (kind, value, its first character, the one after it): kind "int4", "int8", "numeric" (the number's text) or "string" (the
    string's value, escapes done); position counts characters from 0, as pglast's locations do in ASCII text."""

def type_input(oid: int, text: str, typmod: int = -1) -> Any:
    """A type's input function under default settings, as a Python value."""

def type_output(oid: int, value: Any) -> str:
    """A type's output function under default settings."""

def summarise(
    values: Sequence[str | None], rows: float, ordering: str | None
) -> tuple[float, int, float, list[tuple[str, float]], list[str]]:
    """What a sample says of a column of so many rows: null_frac, width, stadistinct, common values with their shares, bounds of a histogram
    (where the values can be put in order: "int", "float", "text"). For a worker thread."""

def functions() -> list[str]:
    """prosrc names that the kernel implements."""

def types() -> list[int]:
    """OIDs of the types whose values the kernel knows."""

def need_kinds() -> list[str]:
    """Every kind of `Need`; a test shows that the engine handles each."""

def set_clock(clock: Callable[[], int] | None) -> None:
    """µs of some clock, asked for around every plan node under EXPLAIN ANALYZE with timing; none: times are 0."""

def version() -> str: ...

# -- wal and pagestore --------------------------------------------------------------------------------------------

@final
class Batcher:
    """Cuts flushes into batches, one for each protection group (`Volume.take_flush` has one inside)."""

    def __new__(cls, volume: int, epoch: int, pages_per_group: int) -> Batcher: ...
    def set_prev(self, group: int, end: int) -> None:
        """After recovery: the end of the group's last batch."""

    def cut(self, start: int, flush: bytes, vdl: int, pgmrpl: int) -> list[tuple[int, bytes]]:
        """(group, framed batch) of one flush, whole MTRs that begin at LSN `start`."""

def batch_header(batch: bytes) -> tuple[int, int, int, int, int, int, int, int, list[int]]:
    """(volume, epoch, group, prev, start, end, vdl, pgmrpl, groups of the flush); XX001 when it is damaged."""

@final
class QuorumTracker:
    """Follows flushes from sent to durable: PGCL by group, VCL (= VDL) of the volume."""

    def __new__(cls, clauses: Sequence[tuple[int, int]], members: int, vcl: int) -> QuorumTracker:
        """`clauses`: (bit mask of members, how many of them); all must be met."""

    def flush(self, start: int, end: int, groups: Sequence[int]) -> None: ...
    def ack(self, member: int, entries: bytes) -> bool:
        """(group u32, SCL u64) little-endian, repeated. True when VCL moved."""

    def set_scl(self, member: int, group: int, scl: int) -> bool:
        """What a member says it has when it connects; may be lower than known."""

    def set_tail(self, group: int, tail: int) -> None: ...
    @property
    def vcl(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def outstanding(self) -> int: ...
    def pgcl(self, group: int) -> int: ...
    def tail(self, group: int) -> int:
        """What a segment of the group must have to serve reads at VCL."""

    def tails(self) -> list[tuple[int, int]]: ...
    def scls(self, group: int) -> list[int]: ...

def quorum_reached(clauses: Sequence[tuple[int, int]], scls: Sequence[int]) -> int: ...

@final
class SegmentStore:
    """One volume's segments on one storage node."""

    LAYER_FOOTER: int
    def __new__(cls, volume: int, pages_per_group: int) -> SegmentStore: ...
    def accept(self, batch: bytes, fresh: bool) -> str:
        """joined, held, known, stale, void, unknown, foreign, conflict, no room. `fresh`: from a writer, whose epoch must be current."""

    def all_durable(self) -> None: ...
    def durable_scls(self) -> list[tuple[int, int]]: ...
    def scls(self) -> list[tuple[int, int]]: ...
    def scl(self, group: int) -> int: ...
    def frozen(self, group: int) -> int: ...
    def install_epoch(self, epoch: int) -> bool: ...
    def install_voids(self, epoch: int, voids: Sequence[tuple[int, int, int]]) -> bool: ...
    @property
    def epoch(self) -> int: ...
    @property
    def voids_epoch(self) -> int: ...
    @property
    def voids(self) -> list[tuple[int, int, int]]: ...
    @property
    def vdl(self) -> int: ...
    @property
    def pgmrpl(self) -> int: ...
    @property
    def floor(self) -> int: ...
    @property
    def memory(self) -> int: ...
    def set_hints(self, vdl: int, pgmrpl: int) -> None: ...
    def metas(self, above: int) -> list[tuple[int, int, int, int, int, list[int]]]: ...
    def holes(self) -> list[tuple[int, int, int]]: ...
    def batches_after(self, group: int, scl: int, max: int) -> list[bytes] | None: ...
    def next_wanted(self, least: int = 0) -> tuple[int, int] | None: ...
    def freeze_begin(self, id: int) -> bool: ...
    def freeze_step(self, budget: int) -> bytes | None: ...
    def freeze_finish(self) -> bytes | None: ...
    def freeze_install(self) -> None: ...
    def forget_step(self, count: int) -> bool: ...
    def freeze_failed(self) -> None: ...
    def merge_begin(self, ids: Sequence[int], id: int) -> None: ...
    def merge_step(
        self, pieces: Sequence[tuple[int, int, bytes]], budget: int
    ) -> bytes | list[tuple[int, int, int]] | None: ...
    def merge_finish(self) -> bytes | None: ...
    def merge_install(self) -> None: ...
    def merge_failed(self) -> None: ...
    def open_layer(self, id: int, footer: bytes, index: bytes) -> None: ...
    @staticmethod
    def layer_index(footer: bytes) -> tuple[int, int]: ...
    @staticmethod
    def layer_blocks(footer: bytes, index: bytes) -> list[tuple[int, int, int]]:
        """(offset, length, CRC32C) of each block."""

    @property
    def layers(self) -> list[int]: ...
    def stats(self) -> list[tuple[str, int]]: ...

class PageRead:
    """Pages at an LSN, (page, tail) each: as long as there are `needs`, each is to be `feed`."""

    def __new__(cls, store: SegmentStore, pages: Sequence[tuple[int, int]], lsn: int, packed: bool = False) -> PageRead:
        """`packed`: whoever asks takes packed pages."""

    def needs(self) -> list[tuple[int, int, int]]:
        """(layer, offset, length): blocks that stand together in a layer file are one of them."""

    def feed(self, layer: int, offset: int, bytes: bytes) -> None: ...
    def answer(self, head: bytes) -> bytes:
        """`head`, and behind it each page's part of a `P` message."""

def journal_scan(bytes: bytes) -> tuple[list[tuple[int, int, int, int, int]], int, int]: ...
def checksum(bytes: bytes) -> int:
    """CRC32C."""

class TlsConfig:
    """A server's certificate chain and private key, for TLS 1.2 and 1.3."""

    def __new__(cls, certificates: bytes, key: bytes) -> TlsConfig:
        """Both in PEM. ValueError when they are not, or do not belong together."""

class Reactor:
    """A listening socket and threads that serve its clients without the GIL: they read, let `Wire` answer, and write. What only Python
    can do is handed over: then Python owns the connection, and uses its `Wire`, until `release`. Tokens number connections."""

    def __new__(cls, host: str, port: int, threads: int, gather_bytes: int, connections_max: int) -> Reactor:
        """Who comes when there are `connections_max` sockets is closed at once. Raises OSError (EADDRINUSE, …)."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""

    def fileno(self) -> int:
        """Readable when `take` has something."""

    def take(self) -> tuple[bool, list[tuple[Any, ...]]]:
        """Is there redo to send (a commit waits, or `gather_bytes` have gathered); and ``("accepted", token, host, port)``: `attach` or `close` it; ``("handed", token)``;
        ``("lost", token)``: it has gone, the session is Python's to close; ``("drained", token)``: what `flush` left is written;
        ``("woken", session_id)``: a session that Python keeps is to go on."""

    def attach(self, token: int, wire: Wire, session: Session) -> None:
        """Begin to serve an accepted connection."""

    def release(self, token: int, now: int) -> bytes | None:
        """Python has done with the connection. Bytes: the client has sent more, go on with them; None: the reactor owns it."""

    def flush(self, token: int) -> int:
        """Write what the wire has; the number of bytes that wait for the client."""

    def wake(self, session: int) -> bool:
        """The session is to go on with what it waits for. False: the reactor does not keep it."""

    def durable(self) -> None:
        """VDL has risen: commits may be answered."""

    def carry(self, streams: LogStreams) -> None:
        """Who waits for the log asks these streams from now on, and is woken by them."""

    def busy(self, token: int) -> bool:
        """Does a statement run or wait in the reactor?"""

    def last_input(self, token: int) -> int:
        """When the client sent something last, in microseconds since 1970."""

    def close(self, token: int, at_once: bool) -> None:
        """Close the connection, after what it still has to say or at once."""

    def secure(self, token: int, config: TlsConfig) -> bool:
        """TLS from here on, after what the wire still has to say in plain. False: the connection is gone."""

    def stop_listening(self) -> None: ...
    def stop(self) -> None:
        """Close everything and end the threads."""

class Intake:
    """A storage node's way from a batch to its acknowledgement. What is accepted while a write is under way goes out with the next one."""

    sequence: int
    """Of the next journal entry."""

    def __new__(cls, file_bytes: int, reserve_bytes: int, pending_bytes: int) -> Intake: ...
    def set_volume(self, volume: int, store: SegmentStore) -> None:
        """Batches of this volume go to `store`, which must have all that is durable; what is accepted and not durable is put into it."""

    def accept(self, batch: bytes, fresh: bool) -> str | None:
        """See `SegmentStore.accept`; what is new goes to the journal too. None: no such volume, or no room."""

    def message(self, message: bytes) -> list[bytes]:
        """A writer's `B` or `M` message; the `X` messages that it is answered."""

    @property
    def wants_file(self) -> bool: ...
    def set_file(self) -> None:
        """Writes go to a new file from now on."""

    def ends(self) -> list[tuple[int, int, int]]:
        """(volume, group, highest batch end) of the file that is being written."""

    def take_ends(self) -> list[tuple[int, int, int]]: ...
    @property
    def has_work(self) -> bool:
        """Whether there is something to write, and no write is under way."""

    def begin(self) -> tuple[int, bytes, tuple[int, int] | None] | None:
        """(offset, bytes, where and how many zeros to reserve); None when there is nothing, or a file is wanted first."""

    def written(self) -> tuple[list[tuple[int, bytes]], bool]:
        """The write is durable: (volume, `A` message) to be told, and whether acknowledgements wait for room from now on."""

    def failed(self) -> None:
        """The write failed: it is made again in another file."""

    def pause(self, paused: bool) -> None: ...
    def hold_above(self, limit: int | None) -> None:
        """With more bytes than this in memory acknowledgements wait."""

    def release(self, force: bool) -> list[tuple[int, bytes]]:
        """(volume, `A` message) that waited and may be told now."""

    @property
    def accepted(self) -> int:
        """Entries since the start."""

    @property
    def durable(self) -> int:
        """How many of them are durable."""

    @property
    def is_writing(self) -> bool: ...
    @property
    def position(self) -> int:
        """Where the last sound entry of the file that is being written ends."""

    @property
    def writes(self) -> int: ...

class Lane:
    """A storage node's foreground in a thread without Python: takes writers' messages, writes, syncs, acknowledges."""

    def __new__(cls, name: str, intake: Intake, durable: bool, queue_bytes: int) -> Lane: ...
    def fileno(self) -> int:
        """Readable when `take` has something."""

    def take(self) -> list[tuple[str, Any]]:
        """("file", None) one is wanted; ("failed", OSError); ("durable", None) as watched; ("holding", None); ("told", (volume, message)); ("left", (volume, ticket))."""

    def set_file(self, path: str) -> None:
        """Writes go to this file from now on, which is there already. Raises OSError."""

    def door(self) -> int:
        """Where a connection is sent (SCM_RIGHTS, with one byte) before `link`."""

    def link(self, volume: int, ticket: int, greeting: bytes) -> bool:
        """Serve that connection, the writer's with this ticket, in a thread. False: the ticket is not valid. Raises OSError."""

    def kick(self) -> None:
        """There may be something to write."""

    def watch(self, count: int) -> None:
        """Tell when so many entries are durable."""

    def set_writer(self, volume: int, ticket: int | None) -> None:
        """Only who shows this ticket gets the volume's acknowledgements."""

    def tell(self, volume: int, message: bytes) -> None: ...
    def stop(self) -> None: ...

class Pump:
    """When redo goes out, and what is under way."""

    GATHER_BYTES: int
    def __new__(cls, vdl: int) -> Pump: ...
    def urge(self, lsn: int) -> None:
        """Somebody waits for redo up to there."""

    def is_wanted(self, taken: int) -> bool: ...
    def is_due(self, taken: int, tail: int) -> bool: ...
    def sent(self, end: int, message: bytes) -> None: ...
    def moved(self, vcl: int) -> bool: ...
    @property
    def vdl(self) -> int: ...
    def outstanding(self) -> list[bytes]:
        """Messages of flushes above VDL, oldest first."""

class LogStreams:
    """The writer's side of the log in threads without Python."""

    def __new__(
        cls, volume: Volume, tracker: QuorumTracker, pump: Pump, members: int, allocation_limit: int
    ) -> LogStreams: ...
    def fileno(self) -> int:
        """Readable when VDL has reached what is watched, a member has refused, or (after `attend`) at every rise."""

    def take(
        self,
    ) -> tuple[list[tuple[int, bytes]], list[tuple[int, bool]], list[tuple[int, int, list[tuple[int, bytes]]]]]:
        """Refusals by member; members whose link is over, and whether they were too slow; flushes as `Volume.take_flush` gives them, after `attend`."""

    def attach(self, member: int, lane: Lane, volume: int, ticket: int) -> bool:
        """Flushes go there from now on. False: the ticket is not valid."""

    def door(self) -> int:
        """Where a connection is sent (SCM_RIGHTS, with one byte) before `link`."""

    def link(self, member: int, first: bytes) -> None:
        """That connection leads to the member; `first` has been read of it. Raises OSError."""

    def send(self, message: bytes) -> None:
        """To every member."""

    def detach(self, member: int) -> None: ...
    def urge(self) -> None: ...
    def pump(self) -> None: ...
    def moved(self) -> None:
        """The tracker has learnt something elsewhere."""

    def watch(self, lsn: int) -> None: ...
    def attend(self) -> tuple[int, list[tuple[int, int, list[tuple[int, bytes]]]]]:
        """Signal at every rise and keep flushes from now on: VDL, and the flushes above it so far."""

    def close(self) -> None: ...

def batches_message(batches: Sequence[bytes]) -> bytes:
    """A `B` message for one batch, an `M` message for more."""
