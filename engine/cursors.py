"""DECLARE, FETCH, MOVE, CLOSE; PREPARE, EXECUTE, DEALLOCATE.

A cursor lives in its transaction. Unless it is NO SCROLL, rows that have been fetched are kept for scrolling back; a WITH HOLD cursor reads all its
rows at commit. Kept rows are the kernel's (`session/cursor.rs`), in a temporary file where they are more than work_mem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sixfold.kernel._kernel import Cursor as KernelCursor
from sixfold.kernel._kernel import Statement

from . import parser
from .analyzer.types import resolve_type
from .errors import SqlError, not_built
from .parser import ast, enums
from .plans import Prepared, check_same_columns, prepare
from .regtypes import has_names, named_rows, written_types
from .reply import Column, Reply
from .utility import Context, entry

if TYPE_CHECKING:
    from .session import Session

CURSOR_OPT_BINARY, CURSOR_OPT_SCROLL, CURSOR_OPT_NO_SCROLL, CURSOR_OPT_HOLD = 1, 2, 4, 32
FETCH = enums.FetchDirection
ALL = (1 << 63) - 1
# Rows with names in place of numbers are made so many at a time.
NAMED_ROWS = 1000
PLANNED = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt")


class Cursor:
    """An open cursor. `at` is the current row, from 1; 0 is before the first."""

    def __init__(
        self, name: str, text: str, prepared: Prepared, options: int, created: int, kernel: KernelCursor
    ) -> None:
        self.name = name
        self.text = text
        self.prepared = prepared
        self.kernel = kernel
        self.at = 0
        self.scroll = not options & CURSOR_OPT_NO_SCROLL
        self.hold = bool(options & CURSOR_OPT_HOLD)
        self.binary = bool(options & CURSOR_OPT_BINARY)
        self.created = created
        # Materialised: it outlives its transaction.
        self.held = False
        # A fetch has ended with an error.
        self.failed = False

    async def read(self, session: Session, upto: int = ALL) -> None:
        """Have rows up to number `upto`, if there are so many."""
        self.kernel.read(upto)
        await self._steps(session)

    async def _steps(self, session: Session) -> int:
        kernel = self.kernel
        answer = await session.waits.step(
            kernel.step, session=session.kernel, detached=kernel.step_detached, relieve=session.relieve
        )
        rows: int = answer[1]
        return rows

    async def _rows(self, session: Session, first: int, count: int, reply: Reply | None, *, back: bool = False) -> int:
        """Rows from number `first` on go to the client (no reply: nowhere). How many there were."""
        columns = self.prepared.columns
        if reply is not None and reply.describe:
            session.wire.row_description(columns, reply.formats)
        if count <= 0:
            return 0
        if reply is not None and has_names(columns):
            return await self._named(session, first, count, reply, back)
        if reply is None:
            self.kernel.begin(first - 1, count, back=back)
        else:
            self.kernel.begin(first - 1, count, back=back, to="client", formats=reply.formats)
        return await self._steps(session)

    async def _named(self, session: Session, first: int, count: int, reply: Reply, back: bool) -> int:
        columns, done, more = self.prepared.columns, 0, True
        while more:
            part = min(count - done, NAMED_ROWS)
            self.kernel.begin(first - 1 + (-done if back else done), part, back=back, to="python")
            rows = named_rows(session, columns, await self._fetched(session), reply.formats)
            session.wire.data_rows(written_types(columns, reply.formats), rows, reply.formats)
            await session.relieve()
            done += len(rows)
            more = len(rows) == part and done < count
        return done

    async def _fetched(self, session: Session) -> list[tuple[Any, ...]]:
        await self._steps(session)
        return self.kernel.take_fetched()

    async def move(self, session: Session, direction: Any, count: int, reply: Reply | None) -> int:
        """One FETCH, or MOVE (without a reply), of so many rows."""
        if direction == FETCH.FETCH_BACKWARD:
            direction, count = FETCH.FETCH_FORWARD, -count
        if direction == FETCH.FETCH_ABSOLUTE:
            return await self._seek(session, count if count >= 0 else await self._from_end(session, count), reply)
        if count < 0 and not (reply is None and count == -ALL and self.at == 0):
            self._backward()
        if count == 0:
            return await self._again(session, reply)
        if direction == FETCH.FETCH_RELATIVE:
            return await self._seek(session, self.at + count, reply)
        if count > 0:
            found = await self._rows(session, self.at + 1, min(count, ALL - self.at), reply)
            self.at = self.at + count if found == count else self.kernel.rows + 1
            return found
        first = max(self.at + count, 1)
        found = await self._rows(session, self.at - 1, self.at - first, reply, back=True)
        self.at = first if found == -count else 0
        return found

    async def _again(self, session: Session, reply: Reply | None) -> int:
        """The current row."""
        here = int(0 < self.at <= self.kernel.rows)
        if here and reply is not None:
            self._backward()
        return await self._rows(session, self.at, here, reply)

    async def _from_end(self, session: Session, count: int) -> int:
        self._backward()
        await self.read(session)
        return max(self.kernel.rows + 1 + count, 0)

    async def _seek(self, session: Session, target: int, reply: Reply | None) -> int:
        target = max(target, 0)
        if target <= self.at and self.at:
            self._backward()
        elif target > self.at + 1:
            await self._rows(session, self.at + 1, target - 1 - self.at, None)
        found = await self._rows(session, target, int(target > 0), reply)
        self.at = target if found or not target else self.kernel.rows + 1
        return found

    def _backward(self) -> None:
        if not self.scroll:
            raise SqlError(
                "55000", "cursor can only scan forward", hint="Declare it with SCROLL option to enable backward scan."
            )


async def hold_open_cursors(session: Session) -> None:
    """Before COMMIT."""
    for cursor in session.cursors.values():
        if cursor.hold and not cursor.held and not cursor.failed:
            await cursor.read(session)
            cursor.held = True


@entry("DeclareCursorStmt", "DECLARE CURSOR", read_only=True)
async def declare(session: Session, node: Any, context: Context) -> None:
    """DECLARE CURSOR."""
    hold = bool(node.options & CURSOR_OPT_HOLD)
    if session.kernel.status == "I" and not hold:
        raise SqlError("25P01", "DECLARE CURSOR can only be used in transaction blocks")
    if node.portalname in session.cursors:
        raise SqlError("42P03", f'cursor "{node.portalname}" already exists')
    prepared = await session.statements.ready(
        context.text, lambda: prepare(session, node.query, context.text, context.param_types, at=-3)
    )
    if prepared.planned.kind != "SELECT":
        raise SqlError("42P11", "DECLARE CURSOR must specify a SELECT statement")
    kernel = session.kernel.cursor(prepared.plan, context.params, scroll=not node.options & CURSOR_OPT_NO_SCROLL)
    cursor = Cursor(node.portalname, context.own_text, prepared, node.options, session.now(), kernel)
    # It shows what there is now.
    await cursor.read(session, 0)
    session.cursors[node.portalname] = cursor
    session.begin_work()
    # The protocol's Describe and Execute know cursors by their names too.
    ahead = ast.FetchStmt(direction=FETCH.FETCH_FORWARD, howMany=ALL, portalname=node.portalname, ismove=False)
    session.wire.open_portal(node.portalname, session.statements.host_statement(ahead, prepared.columns))
    context.reply.complete("DECLARE CURSOR")


def _cursor(session: Session, name: str) -> Cursor:
    found = session.cursors.get(name)
    if found is None:
        raise SqlError("34000", f'cursor "{name}" does not exist')
    return found


def _fetch_columns(session: Session, node: Any, text: str) -> Sequence[Column]:
    if node.ismove or (node.portalname not in session.cursors and session.wire.bound_portal(node.portalname)):
        return ()
    return _cursor(session, node.portalname).prepared.columns


@entry("FetchStmt", "FETCH", read_only=True, columns=_fetch_columns)
async def fetch(session: Session, node: Any, context: Context) -> None:
    """FETCH and MOVE."""
    if node.portalname not in session.cursors and session.wire.bound_portal(node.portalname):
        await _move_portal(session, node, context)
        return
    cursor = _cursor(session, node.portalname)
    ahead = context.reply.max_rows if node.howMany == ALL and context.reply.max_rows else node.howMany
    if cursor.binary and not context.reply.formats:
        context.reply.formats = (1,)
    if cursor.failed:
        raise SqlError("55000", f'portal "{cursor.name}" cannot be run')
    cursor.failed = True
    found = await cursor.move(session, node.direction, ahead, None if node.ismove else context.reply)
    cursor.failed = False
    context.reply.complete(f"{'MOVE' if node.ismove else 'FETCH'} {found}")


async def _move_portal(session: Session, node: Any, context: Context) -> None:
    """MOVE of a portal that the protocol's Bind has made."""
    if not node.ismove or node.direction != FETCH.FETCH_FORWARD or node.howMany < 0:
        raise not_built("FETCH from a portal of the protocol, or moving it but forward,")
    moved = 0
    if node.howMany:
        count = 0 if node.howMany == ALL else node.howMany
        moved = await session.waits.run(
            lambda: session.wire.move_portal(node.portalname, count),
            session=session.kernel,
            detached=lambda: session.wire.move_portal_detached(node.portalname, count),
        )
    context.reply.complete(f"MOVE {moved}")


@entry("ClosePortalStmt", "CLOSE", read_only=True)
async def close(session: Session, node: Any, context: Context) -> None:
    """CLOSE name, CLOSE ALL."""
    if node.portalname is None:
        session.drop_cursors(list(session.cursors))
        context.reply.complete("CLOSE CURSOR ALL")
        return
    if session.wire.bound_portal(node.portalname):
        session.wire.close_portal(node.portalname)
    else:
        _cursor(session, node.portalname)
        session.drop_cursors([node.portalname])
    context.reply.complete("CLOSE CURSOR")


# -- prepared statements


@dataclass(frozen=True)
class Prepare:
    """A PREPARE: its text, the query in it, and when it was."""

    text: str
    query: str
    at: int


_HEAD = re.compile(r'\s*PREPARE\s+("(?:[^"]|"")*"|[^\s(]+)\s*(\((?:[^()]|\([^()]*\))*\))?\s+AS\b', re.IGNORECASE)


@entry("PrepareStmt", "PREPARE", read_only=True)
async def prepare_statement(session: Session, node: Any, context: Context) -> None:
    """PREPARE name (types) AS query."""
    if session.wire.statement(node.name) is not None:
        raise SqlError("42P05", f'prepared statement "{node.name}" already exists')
    if type(node.query).__name__ not in PLANNED:
        raise not_built("PREPARE of a utility statement")
    match = _HEAD.match(context.own_text)
    if match is None:
        raise not_built("PREPARE written like this")
    text = context.own_text[match.end() :].strip()
    types = tuple(type_oid(session, name) for name in node.argtypes or ())
    try:
        prepared = await session.think(text, lambda: prepare(session, parser.parse_one(text), text, types))
    except SqlError as error:
        if error.position is not None:
            error.position += context.text.find(text)
        raise
    session.wire.register_statement(node.name, Statement.plan(prepared.plan), text, prepared.planned.params)
    session.prepares[node.name] = Prepare(context.own_text, text, session.now())
    context.reply.complete("PREPARE")


def type_oid(session: Session, name: Any) -> int:
    """OID of a type as written."""
    return resolve_type(session.catalog(), name)[0].oid


def known_text(session: Session, name: str) -> str:
    """A prepared statement's text."""
    known = session.wire.statement(name)
    return known[1] if known is not None else ""


def prepared_statement(session: Session, name: str, *, whole: bool = False) -> Prepared:
    """What a prepared statement means now."""
    known = session.wire.statement(name)
    if known is None:
        raise SqlError("26000", f'prepared statement "{name}" does not exist')
    statement, text, types = known
    node = parser.parse_one(text)
    if type(node).__name__ not in PLANNED:
        raise not_built("EXECUTE of a utility statement")
    prepared = prepare(session, node, text, tuple(types), whole=whole)
    check_same_columns(statement.columns, prepared.columns)
    return prepared


def _execute_columns(session: Session, node: Any, text: str) -> Sequence[Column]:
    return prepared_statement(session, node.name).columns


async def execute_params(session: Session, node: Any, context: Context, prepared: Prepared) -> Sequence[Any]:
    """Values of EXECUTE's arguments."""
    wanted, given = len(prepared.planned.params), len(node.params or ())
    if wanted != given:
        raise SqlError(
            "42601",
            f'wrong number of parameters for prepared statement "{node.name}"',
            detail=f"Expected {wanted} parameters but got {given}.",
        )
    if not given:
        return ()
    targets = []
    for arg, typ in zip(node.params, prepared.planned.params, strict=True):
        row = session.catalog().type_by_oid(typ)
        schema = session.catalog().namespace_name(row.namespace) if row else None
        cast = ast.TypeName(
            names=(ast.String(schema or "pg_catalog"), ast.String(row.name if row else "text")), typemod=-1
        )
        targets.append(ast.ResTarget(val=ast.TypeCast(arg=arg, typeName=cast)))
    query = ast.SelectStmt(targetList=tuple(targets), op=enums.SetOperation.SETOP_NONE)
    found = await session.think(
        context.text, lambda: prepare(session, query, context.text, context.param_types, catalog=session.catalog())
    )
    return (await session.statements.fetch_plan(found, context.params))[0]


@entry("ExecuteStmt", "EXECUTE", read_only=True, columns=_execute_columns)
async def execute(session: Session, node: Any, context: Context) -> None:
    """EXECUTE name (arguments)."""
    prepared = await session.statements.ready(
        known_text(session, node.name), lambda: prepared_statement(session, node.name)
    )
    params = await execute_params(session, node, context, prepared)
    await session.statements.run_plan(prepared, context.reply, params)


@entry("DeallocateStmt", "DEALLOCATE", read_only=True)
async def deallocate(session: Session, node: Any, context: Context) -> None:
    """DEALLOCATE name, DEALLOCATE ALL."""
    if node.name is None:
        session.wire.drop_all_statements()
        session.prepares.clear()
        context.reply.complete("DEALLOCATE ALL")
        return
    if not session.wire.drop_statement(node.name):
        raise SqlError("26000", f'prepared statement "{node.name}" does not exist')
    session.prepares.pop(node.name, None)
    context.reply.complete("DEALLOCATE")
