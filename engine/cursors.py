"""DECLARE, FETCH, MOVE, CLOSE; PREPARE, EXECUTE, DEALLOCATE.

A cursor is a portal of the transaction. Rows that have been fetched are kept for scrolling back; a WITH HOLD cursor reads all its rows at commit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sixfold.kernel._kernel import Portal, Statement

from . import parser
from .analyzer.types import resolve_type
from .errors import SqlError, not_built
from .parser import ast, enums
from .plans import Prepared, check_same_columns, prepare
from .reply import Column
from .utility import Context, entry

if TYPE_CHECKING:
    from .session import Session

CURSOR_OPT_BINARY, CURSOR_OPT_SCROLL, CURSOR_OPT_NO_SCROLL, CURSOR_OPT_HOLD = 1, 2, 4, 32
FETCH = enums.FetchDirection
ALL = (1 << 63) - 1
PLANNED = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt")


class Cursor:
    """An open cursor. `at` is the current row, from 1; 0 is before the first."""

    def __init__(self, name: str, text: str, prepared: Prepared, portal: Portal, options: int, created: int) -> None:
        self.name = name
        self.text = text
        self.prepared = prepared
        self.portal: Portal | None = portal
        self.rows: list[tuple[Any, ...]] = []
        self.at = 0
        self.scroll = not options & CURSOR_OPT_NO_SCROLL
        self.hold = bool(options & CURSOR_OPT_HOLD)
        self.binary = bool(options & CURSOR_OPT_BINARY)
        self.declared_scroll = bool(options & CURSOR_OPT_SCROLL)
        self.created = created
        # Materialised: it outlives its transaction.
        self.held = False

    async def read(self, session: Session, upto: int) -> None:
        """Have rows up to number `upto`, if there are so many."""
        while self.portal is not None and len(self.rows) < upto:
            want = 0 if upto >= ALL else upto - len(self.rows)
            portal = self.portal
            kind, rows = await session.waits.step(
                partial(portal.fetch, want), session=session.kernel, detached=partial(portal.fetch_detached, want)
            )
            self.rows += rows
            if kind == "done":
                portal.close()
                self.portal = None

    async def move(self, session: Session, direction: Any, count: int) -> list[tuple[Any, ...]]:
        """Rows of one FETCH, with the cursor moved."""
        if direction == FETCH.FETCH_BACKWARD:
            direction, count = FETCH.FETCH_FORWARD, -count
        if direction in (FETCH.FETCH_ABSOLUTE, FETCH.FETCH_RELATIVE):
            return await self._seek(session, direction, count)
        if count >= 0:
            if count == 0:
                return self.rows[self.at - 1 : self.at] if 0 < self.at <= len(self.rows) else []
            await self.read(session, min(self.at + count, ALL))
            found = self.rows[self.at : self.at + count]
            self.at = self.at + count if len(found) == count else len(self.rows) + 1
            return found
        self._backward()
        first = max(self.at + count, 1)
        found = self.rows[first - 1 : self.at - 1]
        self.at = first if len(found) == -count else 0
        return found[::-1]

    async def _seek(self, session: Session, direction: Any, count: int) -> list[tuple[Any, ...]]:
        target = self.at + count if direction == FETCH.FETCH_RELATIVE else count
        if direction == FETCH.FETCH_ABSOLUTE and count < 0:
            await self.read(session, ALL)
            target = len(self.rows) + 1 + count
        if target < self.at:
            self._backward()
        await self.read(session, max(target, 0))
        self.at = max(0, min(target, len(self.rows) + 1))
        return self.rows[self.at - 1 : self.at] if 0 < self.at <= len(self.rows) else []

    def _backward(self) -> None:
        if not self.scroll:
            raise SqlError(
                "55000", "cursor can only scan forward", hint="Declare it with SCROLL option to enable backward scan."
            )


async def hold_open_cursors(session: Session) -> None:
    """Before COMMIT."""
    for cursor in session.cursors.values():
        if cursor.hold and not cursor.held:
            await cursor.read(session, ALL)
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
    portal = session.kernel.portal(prepared.plan, context.params)
    session.cursors[node.portalname] = Cursor(
        node.portalname, context.own_text, prepared, portal, node.options, session.now()
    )
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
    return () if node.ismove else _cursor(session, node.portalname).prepared.columns


@entry("FetchStmt", "FETCH", read_only=True, columns=_fetch_columns)
async def fetch(session: Session, node: Any, context: Context) -> None:
    """FETCH and MOVE."""
    cursor = _cursor(session, node.portalname)
    ahead = context.reply.max_rows if node.howMany == ALL and context.reply.max_rows else node.howMany
    rows = await cursor.move(session, node.direction, ahead)
    if node.ismove:
        context.reply.complete(f"MOVE {len(rows)}")
        return
    if cursor.binary and not context.reply.formats:
        context.reply.formats = (1,)
    await context.reply.rows(cursor.prepared.columns, rows)
    context.reply.complete(f"FETCH {len(rows)}")


@entry("ClosePortalStmt", "CLOSE", read_only=True)
async def close(session: Session, node: Any, context: Context) -> None:
    """CLOSE name, CLOSE ALL."""
    if node.portalname is None:
        for name in session.cursors:
            session.wire.close_portal(name)
        session.cursors.clear()
        context.reply.complete("CLOSE CURSOR ALL")
        return
    _cursor(session, node.portalname)
    session.wire.close_portal(node.portalname)
    del session.cursors[node.portalname]
    context.reply.complete("CLOSE CURSOR")


# -- prepared statements

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
        context.reply.complete("DEALLOCATE ALL")
        return
    if not session.wire.drop_statement(node.name):
        raise SqlError("26000", f'prepared statement "{node.name}" does not exist')
    context.reply.complete("DEALLOCATE")
