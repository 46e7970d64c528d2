"""Functions that wait or change the session: pg_sleep, advisory locks, transaction ids, set_config, pg_notify.

The kernel calls host functions in the middle of a plan, where nothing can be awaited. So a query that names one of these is run by Python:
calls in the select list of a query without FROM are awaited first (`evaluate`), and the plan's own call takes the answer. What changes the
session (set_config, pg_notify) is called like any other host function and done when the plan has ended.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from . import parser
from .errors import SqlError, not_built
from .parser import ast
from .plans import prepare

if TYPE_CHECKING:
    from .session import Session

# Searched for one by one, which is many times faster than one expression of all.
NAMES = (
    "pg_sleep",
    "pg_advisory",
    "pg_try_advisory",
    "txid_current",
    "pg_current_xact_id",
    "set_config",
    "pg_notify",
    "pg_export_snapshot",
    "setseed",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "transaction_isolation",
    "transaction_read_only",
    "pg_settings",
    "pg_show_all_settings",
)
AWAITED = re.compile(
    r"pg_sleep(_for|_until)?|pg_(try_)?advisory_(xact_)?(un)?lock(_shared|_all)?|txid_current|pg_current_xact_id|txid_current_if_assigned|pg_current_xact_id_if_assigned"
)
XACT_ID = "pg_current_xact_id"


def needs_python(text: str) -> bool:
    """Does a query's text name such a function?"""
    lowered = text.lower()
    return any(name in lowered for name in NAMES)


async def evaluate(
    session: Session, node: Any, text: str, params: Sequence[Any], types: tuple[int, ...]
) -> dict[str, list[Any]]:
    """Await the calls of a query's select list: answers by function name, in order."""
    calls = _calls(node)
    answers: dict[str, list[Any]] = {}
    if calls and node.fromClause:
        raise not_built(f"{calls[0].funcname[-1].sval}() in a query with FROM")
    for call in calls:
        name = call.funcname[-1].sval
        values: tuple[Any, ...] = ()
        if call.args:
            query = ast.SelectStmt(
                targetList=tuple(ast.ResTarget(val=arg) for arg in call.args), op=parser.enums.SetOperation.SETOP_NONE
            )
            prepared = await session.think(
                text, partial(prepare, session, query, text, types, catalog=session.catalog())
            )
            values = (await session.statements.fetch_plan(prepared, params))[0]
        answers.setdefault(name, []).append(await _await(session, name, values))
    return answers


def take(session: Session, name: str) -> Any:
    """The answer that was awaited for this call."""
    waiting = session.statements.answers.get(name)
    if not waiting:
        raise not_built(f"{name}() here")
    return waiting.pop(0)


def _calls(node: Any) -> list[Any]:
    found: list[Any] = []

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, ast.Node):
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | ast.Node):
                    walk(value)
            if isinstance(part, ast.FuncCall) and AWAITED.fullmatch(part.funcname[-1].sval):
                found.append(part)

    if type(node).__name__ == "SelectStmt":
        walk(node.targetList)
    return found


async def _await(session: Session, name: str, args: tuple[Any, ...]) -> Any:
    if any(value is None for value in args):
        return None
    if name.startswith("pg_sleep"):
        return await _sleep(session, name, args[0])
    if name.startswith(("txid", XACT_ID)):
        if name.endswith("if_assigned"):
            return session.kernel.xid
        if session.kernel.read_only:
            raise SqlError("25006", f"cannot execute {name}() in a read-only transaction")
        return await session.waits.run(session.kernel.assign_xid, session=session.kernel)
    return await _advisory(session, name, args)


async def _sleep(session: Session, name: str, amount: Any) -> str:
    clock = session.database.runtime.clock
    if name == "pg_sleep":
        seconds = float(amount)
    elif name == "pg_sleep_for":
        months, days, micros = amount
        seconds = micros / 1e6 + (days + 30 * months) * 86400.0
    else:
        seconds = amount / 1e6 + 946684800 - clock.time()
    await pause(session, seconds)
    return ""


async def pause(session: Session, seconds: float) -> None:
    """Sleep unless cancelled."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    timer = session.database.runtime.clock.call_later(max(seconds, 0), wake)
    session.statements.waking = wake
    try:
        await done
    finally:
        timer.cancel()
        session.statements.waking = None
    if session.statements.cancelled is not None:
        raise session.statements.cancelled


async def _advisory(session: Session, name: str, args: tuple[Any, ...]) -> Any:
    kernel = session.kernel
    if name == "pg_advisory_unlock_all":
        kernel.unlock_advisory_all()
        session.waits.after_call()
        return ""
    pair = len(args) == 2
    key = ((args[0] & 0xFFFFFFFF) << 32) | (args[1] & 0xFFFFFFFF) if pair else args[0]
    if key >= 1 << 63:
        key -= 1 << 64
    shared = "shared" in name
    if "unlock" in name:
        held = kernel.unlock_advisory(key, shared=shared, pair=pair)
        session.waits.after_call()
        if not held:
            kind = "ShareLock" if shared else "ExclusiveLock"
            session.notice(f"you don't own a lock of type {kind}", severity="WARNING", code="01000")
        return held
    granted = await session.waits.run(
        lambda: kernel.lock_advisory(key, shared=shared, transaction="xact" in name, wait="try" not in name, pair=pair),
        session=kernel,
    )
    return granted if "try" in name else ""
