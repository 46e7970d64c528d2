"""Runs one session's statements: decides what the kernel may run by itself and runs the rest.

SELECT, INSERT, UPDATE and DELETE are planned and given to the kernel's statement cache; BEGIN, COMMIT and their like are the
kernel's too, unless the transaction has work for Python. Everything else is a utility statement (`utility.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from sixfold.kernel._kernel import KernelError, Portal, Statement, Unfolded, normalise
from sixfold.wal.aside import without_full_collections

from . import asynchronous, parser, utility
from .commands import drop_temporary_schema, hold_open_cursors
from .errors import SqlError, stack_depth
from .folding import COMMAS, MANY, FoldedText, fold
from .host import ask_host, call_host, scan_host
from .lifting import Literal, lift
from .long_literals import LONG_TEXT, Meaning, Places, register_long
from .long_texts import CHAIN_MAX, PIECE, SHORT, TURN_SECONDS
from .parser import ast, is_plannable
from .plans import Prepared, check_same_columns, prepare, prepare_own
from .regtypes import has_names, named_rows, written_types
from .reply import Column, Reply
from .stored import walk
from .transactions import intercepted, kernel_statement
from .trees import let_go
from .work import Restart

if TYPE_CHECKING:
    from sixfold.kernel._kernel import Event

    from .session import Session

# Tokens of statements that Python runs are a session's own from here on; below are transaction statements, which all share.
OWN_TOKENS = 1 << 20
UNNAMED_KEPT = 1000
# Characters of a statement that pg_stat_activity shows (track_activity_query_size).
QUERY_SHOWN = 1024
# Rows that Python asks for at once.
FETCH_ROWS = 500
BEGIN, START, COMMIT, ROLLBACK = 0, 1, 2, 3


class Read(msgspec.Struct):
    """What a simple Query's text is: something that the kernel runs by itself, one plan, or statements."""

    statements: list[parser.Statement] = []
    meaning: Meaning | None = None
    prepared: Prepared | None = None


class Utility(msgspec.Struct):
    """A prepared statement that Python runs."""

    node: Any
    text: str
    params: tuple[int, ...] = ()
    # Not a utility at all, but a query whose functions Python must await.
    planned: bool = False


class Statements:
    """See the module's docstring."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._utilities: OrderedDict[int, Utility] = OrderedDict()
        self._unnamed: list[int] = []
        self._next_token = OWN_TOKENS
        # Set by a cancel for what Python itself waits for.
        self.cancelled: SqlError | None = None
        # Answers of functions that were awaited before their query runs, by prosrc; and what functions left to be done after it.
        self.answers: dict[str, list[Any]] = {}
        self.afterwards: list[Any] = []
        self.waking: Any = None
        # What completes the COPY FROM STDIN that the wire reads now, given the number of rows.
        self.copying: Callable[[int], None] | None = None
        # Did the last message come as a simple Query?
        self._simple = False
        # The command tag of the last statement of a simple Query: it is said when the next one begins, or when all is committed.
        self._tag: str | None = None
        # When others had their turn last.
        self._turn_began = 0.0

    # -- events

    async def handle(self, event: Event) -> None:
        """One event of the wire, other than waits."""
        kind = event[0]
        self.cancelled = None
        if kind in ("query", "long_query", "execute", "parse"):
            self.copying = None
            self._simple = kind.endswith("query")
            self._tag = None
        if kind == "query":
            await self._query(event[1], event[2], event[3])
        elif kind == "long_query":
            await self._long_query(*event[1:])
        elif kind == "parse":
            await self._parse(event[1], event[2], event[3])
        elif kind == "stale":
            await self._stale(event[1], event[3])
        elif kind == "execute":
            await self._execute(event)
        elif kind == "end":
            await self.session.commit(implicit=True)
            self.session.wire.done()
        elif kind == "copy_done":
            await self._copy_done(event[1])
        elif kind == "message":
            raise SqlError("0A000", "function calls by the fast-path message are not supported yet")

    def interrupt(self, code: str, message: str) -> None:
        """Cancel what Python waits for (pg_sleep, COPY)."""
        self.cancelled = SqlError(code, message)
        if self.waking is not None:
            self.waking()

    # -- simple Query

    async def _query(self, text: str, key: bytes, literals: Sequence[Literal]) -> None:
        session = self.session
        session.query, session.query_start = text[:QUERY_SHOWN], session.now()
        if len(text) > SHORT:
            with without_full_collections():
                cuts = await self._outline(text)
                if cuts:
                    await self._query_pieces(text, cuts)
                else:
                    await self._query_one_piece(text, key, literals)
        else:
            await self._query_one_piece(text, key, literals)

    async def _long_query(
        self, shown: str, text: str, key: bytes, literals: Sequence[Literal], cut: Sequence[int]
    ) -> None:
        session = self.session
        session.query, session.query_start = shown, session.now()
        if not await register_long(session, text, key, literals, cut):
            whole = await session.waits.runtime.offload(session.wire.whole_query)
            await self._query(*whole[1:])

    async def _query_one_piece(self, text: str, key: bytes, literals: Sequence[Literal]) -> None:
        session = self.session
        if key == MANY:
            if (folded := await fold(session, text)) is not None and self._runs_folded(folded):
                await self._run_folded(folded, len(folded.statements) > 1)
                await self._finish()
                return
        elif len(text) > LONG_TEXT and await register_long(self.session, text, key, literals):
            return
        snapshot = session.snapshot
        read = await session.think(text, lambda: self._read(text, key, literals))
        if read.meaning is not None:
            self._register(key, *read.meaning)
            return
        if read.prepared is not None:
            prepared = read.prepared
            if not await self.settled(prepared, snapshot):
                prepared = await self.ready(text, lambda: prepare(session, parser.parse_one(text), text))
            await self.run_plan(prepared, Reply(session))
        elif not read.statements:
            session.wire.empty()
        await self._run_all(read.statements, text, len(read.statements) > 1)
        if self.copying is None:
            await self._finish()

    def _read(self, text: str, key: bytes, literals: Sequence[Literal]) -> Read:
        """What a text means. Changes nothing."""
        statements = parser.parse(text)
        if len(statements) == 1:
            node = statements[0].node
            if "$" in text:
                refuse_parameters(node)
            # All texts of very many literals have one key.
            if key != MANY and (meaning := self._meaning(node, text, literals)) is not None:
                let_go(statements)
                return Read(meaning=meaning)
            if len(text) > SHORT and is_plannable(node) and not asynchronous.needs_python(text):
                if self.session.kernel.status == "E":
                    raise utility.in_failed_block()
                let_go(statements)
                return Read(prepared=prepare(self.session, node, text))
        return Read(statements)

    async def _outline(self, text: str) -> list[int]:
        """Where a long text may be cut between statements."""
        depth, cuts = await self.session.waits.runtime.offload(self.session.kernel.outline, text, PIECE)
        if depth > CHAIN_MAX:
            raise stack_depth()
        return [cut for cut in cuts if cut < len(text)]

    async def _query_pieces(self, text: str, cuts: Sequence[int]) -> None:
        """A text of many statements: they are parsed piece by piece, and nothing runs before all have been."""
        for run in (False, True):
            for at, end in zip((0, *cuts), (*cuts, len(text)), strict=True):
                try:
                    await self._piece(text[at:end], run)
                except (SqlError, KernelError) as error:
                    if error.position:
                        error.position += at
                    raise
        if self.copying is None:
            await self._finish()

    async def _piece(self, text: str, run: bool) -> None:
        session = self.session
        if text.count(",") > COMMAS and (folded := await fold(session, text)) is not None and self._runs_folded(folded):
            if run:
                await self._run_folded(folded, True)
        elif run:
            await self._run_all(await session.think(text, lambda: parser.parse(text)), text, True)
        else:
            await session.think(text, lambda: parser.check(text))
        await self._turn()

    async def _run_all(self, statements: list[parser.Statement], text: str, several: bool) -> None:
        for statement in statements:
            if self.copying is not None:
                raise SqlError("0A000", "statements after COPY FROM STDIN in one Query are not supported yet")
            await self._one(statement, text, several)
            if several:
                await self._turn()
        if len(text) > SHORT:
            await self.session.think(text, lambda: let_go(statements))

    async def _turn(self) -> None:
        """Between statements: a cancel is seen, and others have their turn now and then."""
        session, clock = self.session, self.session.waits.runtime.clock
        if self.cancelled is not None:
            self._say_tag()
            raise self.cancelled
        if clock.monotonic() - self._turn_began > TURN_SECONDS:
            await clock.sleep(0)
            await session.relieve()
            self._turn_began = clock.monotonic()

    def _runs_folded(self, folded: FoldedText) -> bool:
        """False: it must go the ordinary way."""
        return not folded.folded.first and all(
            is_plannable(s.node) or not folded.used(s.node) for s in folded.statements
        )

    async def _run_folded(self, folded: FoldedText, several: bool) -> None:
        """A text of very many literals."""
        session = self.session
        for statement in folded.statements:
            self._say_tag()
            if not folded.used(statement.node):
                await self._one(statement, folded.text, several)
                continue
            if session.kernel.active:
                session.kernel.next_command()
            if session.kernel.status == "E":
                raise utility.in_failed_block()
            session.kernel.set_now(session.now())
            prepared, bound = await self._unfold(folded, statement)
            await self.run_plan(prepared, Reply(session), node=statement.node, text=folded.text, bound=bound)

    async def _unfold(self, folded: FoldedText, statement: parser.Statement) -> tuple[Prepared, Unfolded]:
        """The plan of a folded statement, and the values that were left out of it."""
        types, rows = folded.types_in(statement.node), folded.rows()

        def plan() -> Prepared:
            return folded.placed(
                lambda: prepare(self.session, statement.node, folded.text, types, at=statement.location, folded=rows)
            )

        prepared = await self.ready(folded.text, plan)
        return prepared, await folded.bind(statement.node, prepared)

    async def _finish(self) -> None:
        """The end of a simple Query."""
        session = self.session
        if session.kernel.status == "I" and session.kernel.active:
            await session.commit(implicit=True)
        self._say_tag()
        session.wire.done()

    def complete(self, tag: str) -> None:
        """A statement is complete."""
        if self._simple:
            self._say_tag()
            self._tag = tag
        else:
            self.session.wire.complete(tag)

    def _say_tag(self) -> None:
        if self._tag is not None:
            self.session.wire.complete(self._tag)
            self._tag = None

    async def _one(self, statement: parser.Statement, text: str, several: bool) -> None:
        self._say_tag()
        if several and type(statement.node).__name__ in utility.NOT_IN_BLOCK:
            raise SqlError(
                "25001",
                f"{utility.command_name(statement.node)} cannot be executed from a function or multi-command string",
            )
        if self.session.kernel.active:
            self.session.kernel.next_command()
        if "$" in text:
            refuse_parameters(statement.node)
        await self.run(statement.node, text, Reply(self.session), own_text=statement.text(text))

    def _meaning(self, node: Any, text: str, literals: Sequence[Literal]) -> Meaning | None:
        """What the kernel may run by itself, now and later. None: not this."""
        session = self.session
        name = type(node).__name__
        if session.kernel.status == "E" and name != "TransactionStmt":
            raise utility.in_failed_block()
        fixed = [(index, literal[1]) for index, literal in enumerate(literals)]
        if name == "TransactionStmt":
            statement = kernel_statement(node, session.database.read_only)
            return None if statement is None or session.work is not None else (statement, [], fixed)
        if not is_plannable(node) or asynchronous.needs_python(text):
            return None
        found = self._lifted(text, literals)
        lifted: list[tuple[int, int]] = []
        if found is not None:
            prepared, lifted = found
            done = {index for index, _ in lifted}
            fixed = [(index, value) for index, value in fixed if index not in done]
        else:
            prepared = prepare(session, node, text)
        if has_names(prepared.columns):
            return None
        return Statement.plan(prepared.plan), lifted, fixed

    def _register(self, key: bytes, meaning: Statement, lifted: Places, fixed: Sequence[tuple[int, str]]) -> None:
        self.session.database.queries.register_query(self.session.scope, key, meaning, lifted, fixed)

    def _lifted(self, text: str, literals: Sequence[Literal]) -> tuple[Prepared, list[tuple[int, int]]] | None:
        changed = lift(text, literals)
        if changed is None:
            return None
        node, with_parameters, lifted, types = changed
        try:
            cached = len(text) <= SHORT
            return prepare(self.session, node, with_parameters, tuple(types), cached=cached), lifted
        except (SqlError, KernelError):
            return None

    # -- extended protocol

    async def _parse(self, name: str, text: str, param_oids: Sequence[int]) -> None:
        if text.count(",") > COMMAS and await self._parse_folded(name, text, tuple(param_oids)):
            return
        if len(text) > SHORT:
            await self._outline(text)
        found = await self.session.think(text, lambda: self._parsed(text, tuple(param_oids), name))
        statement, types, shared = found or (Statement.empty(), param_oids, False)
        self.session.wire.register_statement(name, statement, text, types)
        if shared:
            self.session.database.queries.register_parse(self.session.scope, text, param_oids, statement)

    def _parsed(self, text: str, param_oids: tuple[int, ...], name: str) -> tuple[Statement, list[int], bool] | None:
        """As `_prepared`; None: the text is empty."""
        statements = parser.parse(text)
        if len(statements) > 1:
            raise SqlError("42601", "cannot insert multiple commands into a prepared statement")
        if not statements:
            return None
        node = statements[0].node
        let_go(statements)
        return self._prepared(node, text, param_oids, name)

    async def _parse_folded(self, name: str, text: str, param_oids: tuple[int, ...]) -> bool:
        """A text of very many literals. False: it must go the ordinary way."""
        folded = await fold(self.session, text, param_oids)
        if folded is None or len(folded.statements) != 1 or not is_plannable(folded.statements[0].node):
            return False
        if self.session.kernel.status == "E":
            raise utility.in_failed_block()
        prepared, bound = await self._unfold(folded, folded.statements[0])
        if asynchronous.needs_python(folded.text) or has_names(prepared.columns):
            return False
        statement = Statement.plan(prepared.plan, bound=bound)
        types = prepared.planned.params[: folded.folded.first]
        self.session.wire.register_statement(name, statement, text, types)
        return True

    def _prepared(
        self, node: Any, text: str, param_oids: tuple[int, ...], name: str
    ) -> tuple[Statement, list[int], bool]:
        """(what it means, parameter types, may others share it)"""
        session = self.session
        if session.kernel.status == "E" and type(node).__name__ != "TransactionStmt":
            raise utility.in_failed_block()
        if is_plannable(node):
            prepared = prepare(session, node, text, param_oids)
            if not asynchronous.needs_python(text) and not has_names(prepared.columns):
                return Statement.plan(prepared.plan), prepared.planned.params, True
            own = Utility(node, text, tuple(prepared.planned.params), planned=True)
            return self._host(own, prepared.columns, name), prepared.planned.params, False
        if type(node).__name__ == "TransactionStmt":
            statement = kernel_statement(node, session.database.read_only)
            if statement is not None:
                return statement, [], True
        types = utility.param_types(session, node, text, param_oids)
        return self._host(Utility(node, text, types), utility.columns(session, node, text), name), list(types), False

    def _host(self, what: Utility, columns: Sequence[Column], name: str) -> Statement:
        token = self._next_token
        self._next_token += 1
        self._utilities[token] = what
        if not name:
            self._unnamed.append(token)
            if len(self._unnamed) > UNNAMED_KEPT:
                self._utilities.pop(self._unnamed.pop(0), None)
        return Statement.host(
            token, params=what.params, columns=columns, allowed_in_failed=type(what.node).__name__ == "TransactionStmt"
        )

    def host_statement(self, node: Any, columns: Sequence[Column]) -> Statement:
        """A statement that Python runs, for a portal that is not of a Parse."""
        return self._host(Utility(node, ""), columns, "")

    async def _stale(self, name: str | None, text: str) -> None:
        """Plan again what was planned under another catalogue."""
        session = self.session
        if name is None:
            # A cached text: the wire asks again as if it were new, once its entry is replaced.
            key, literals = normalise(text)
            if len(text) > LONG_TEXT and await register_long(self.session, text, key, literals):
                return
            await self._replace_cached(text, key, literals)
            return
        known = session.wire.statement(name)
        oids = tuple(known[2]) if known else ()
        found = await session.think(text, lambda: self._parsed(text, oids, name))
        if found is None:
            raise SqlError("26000", f'prepared statement "{name}" does not exist')
        statement, types, _ = found
        if known is not None:
            check_same_columns(known[0].columns, statement.columns)
        session.wire.register_statement(name, statement, text, types)

    async def _replace_cached(self, text: str, key: bytes, literals: Sequence[Literal]) -> None:
        session = self.session

        def again() -> tuple[Meaning | None, Prepared | None]:
            statements = parser.parse(text)
            if len(statements) != 1:
                return None, None
            node = statements[0].node
            let_go(statements)
            meaning = self._meaning(node, text, literals)
            if meaning is None:
                raise SqlError("0A000", "cached statement can not be planned again")
            return meaning, prepare(session, node, text) if is_plannable(node) else None

        meaning, prepared = await session.think(text, again)
        if meaning is not None:
            self._register(key, *meaning)
        if prepared is not None and not prepared.planned.params:
            session.database.queries.register_parse(session.scope, text, [], Statement.plan(prepared.plan))

    async def _execute(self, event: Event) -> None:
        _, _, token, params, formats, max_rows = event
        session = self.session
        reply = Reply(session, describe=False, formats=formats, max_rows=max_rows)
        if token < OWN_TOKENS:
            await self.run(intercepted(token), "", reply)
        else:
            what = self._utilities.get(token)
            if what is None:
                raise SqlError("26000", "prepared statement does not exist")
            session.query, session.query_start = what.text[:QUERY_SHOWN], session.now()
            await self.run(what.node, what.text, reply, params=params, param_types=what.params, own_text=what.text)
        if self.copying is None:
            session.wire.done()

    # -- running

    async def run(
        self,
        node: Any,
        text: str,
        reply: Reply,
        *,
        params: Sequence[Any] = (),
        param_types: tuple[int, ...] = (),
        own_text: str = "",
    ) -> None:
        """Run one statement here, with its result to `reply`."""
        session = self.session
        session.kernel.set_now(session.now())
        if session.kernel.status == "E" and type(node).__name__ != "TransactionStmt":
            raise utility.in_failed_block()
        if is_plannable(node):
            # The text around it may be long, and of many statements.
            own = own_text or text
            prepared = await self.ready(own, lambda: prepare(session, node, text, param_types, own=own))
            asked = node if asynchronous.needs_python(own) else None
            await self.run_plan(prepared, reply, params, node=asked, text=text)
            return
        context = utility.Context(text, own_text or text, reply, params, param_types)
        while True:
            try:
                await utility.run(session, node, context)
                return
            except Restart:
                session.rescope()

    async def ready(self, text: str, plan: Callable[[], Prepared]) -> Prepared:
        """A plan for this text that is `settled`."""
        while True:
            snapshot = self.session.snapshot
            prepared = await self.session.think(text, plan)
            if await self.settled(prepared, snapshot):
                return prepared

    async def settled(self, prepared: Prepared, snapshot: Any) -> bool:
        """Lock the relations of a plan that was made when `snapshot` was the session's. False: they were changed before they were locked,
        so it may be wrong. (Other changes don't count: a plan that takes long would never be done beside sessions with DDL.)"""
        session = self.session
        await session.waits.run(lambda: session.kernel.lock_plan(prepared.plan), session=session.kernel)
        await session.refresh()
        return session.snapshot is snapshot or session.snapshot.same(snapshot, prepared.relations)

    async def run_plan(
        self,
        prepared: Prepared,
        reply: Reply,
        params: Sequence[Any] = (),
        *,
        node: Any = None,
        text: str = "",
        bound: Unfolded | None = None,
    ) -> None:
        """Run a plan with its rows to the client."""
        session = self.session
        if node is not None and asynchronous.needs_python(text):
            self.answers = await asynchronous.evaluate(session, node, text, params, tuple(prepared.planned.params))
        reply.header(prepared.columns)
        session.observed = (session.kernel.isolation, session.kernel.read_only)
        portal = session.kernel.portal(prepared.plan, params, formats=reply.formats, bound=bound)
        try:
            if has_names(prepared.columns):
                async for rows in self._parts(portal):
                    named = named_rows(session, prepared.columns, rows, reply.formats)
                    session.wire.data_rows(written_types(prepared.columns, reply.formats), named, reply.formats)
                    await session.relieve()
                # The portal's own tag counts the last part.
                reply.complete(f"{portal.tag.rpartition(' ')[0]} {portal.rows}")
            else:
                await reply.portal(portal)
                reply.complete(portal.tag)
        finally:
            portal.close()
            self.answers = {}
            after, self.afterwards = self.afterwards, []
            for call in after:
                call()

    async def fetch(self, text: str, params: Sequence[Any] = (), *, catalog: Any = None) -> list[tuple[Any, ...]]:
        """Rows of a query of the engine's own, as Python values, in this session's transaction."""
        return await self.fetch_plan(prepare_own(self.session, text, catalog), params)

    async def fetch_plan(self, prepared: Prepared, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a plan as Python values."""
        session = self.session
        portal = session.kernel.portal(prepared.plan, params)
        rows: list[tuple[Any, ...]] = []
        try:
            async for part in self._parts(portal):
                rows += part
        finally:
            portal.close()
        return rows

    async def _parts(self, portal: Portal) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows as Python values, some at a time: many at once would hold the interpreter while they are made."""
        session, more = self.session, True
        while more:
            state, part = await session.waits.step(
                lambda: portal.fetch(FETCH_ROWS),
                session=session.kernel,
                detached=lambda: portal.fetch_detached(FETCH_ROWS),
            )
            yield part
            if more := state == "suspended":
                await session.waits.runtime.clock.sleep(0)

    async def hold_cursors(self) -> None:
        """Before COMMIT: WITH HOLD cursors keep their rows."""
        await hold_open_cursors(self.session)

    async def drop_temporary(self) -> None:
        """The session ends: its temporary schema goes."""
        await drop_temporary_schema(self.session)

    # -- COPY FROM STDIN: the wire reads the rows

    async def _copy_done(self, rows: int) -> None:
        finish, self.copying = self.copying, None
        if finish is not None:
            finish(rows)
        if self._simple:
            await self._finish()
        else:
            self.session.wire.done()

    # -- called by the kernel

    def host_call(self, name: str, columns: list[list[Any]], rows: int) -> list[Any]:
        """Values of a host function for each row."""
        return call_host(self.session, name, columns, rows)

    def host_ask(self, what: str, args: list[Any]) -> Any:
        """What a kernel function wants to know of the session."""
        return ask_host(self.session, what, args)

    def host_scan(self, name: str, args: list[Any]) -> Sequence[Sequence[Any]]:
        """Rows of a host relation or function."""
        return scan_host(self.session, name, args)


def refuse_parameters(node: Any) -> None:
    """A simple Query has no values for $1…; PREPARE's statement gets them later."""

    def visit(part: Any) -> None:
        if type(part) is ast.ParamRef:
            raise SqlError("42P02", f"there is no parameter ${part.number}", position=part.location + 1)

    if type(node) is not ast.PrepareStmt:
        walk(node, visit)
