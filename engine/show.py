"""SET, RESET, SHOW, DISCARD, LISTEN, NOTIFY, UNLISTEN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .ddl.temporary import empty_temporary_schema
from .errors import SqlError, not_built
from .parser import enums
from .reply import Column, column
from .settings import check, find, join_list, known
from .utility import Context, entry, transaction_modes

if TYPE_CHECKING:
    from .session import Session

SET = enums.VariableSetKind


@entry("VariableSetStmt", "SET", read_only=True)
async def set_variable(session: Session, node: Any, context: Context) -> None:
    """SET, SET LOCAL, RESET, SET TRANSACTION, SET SESSION CHARACTERISTICS."""
    if node.kind == SET.VAR_RESET_ALL:
        session.begin_work()
        session.settings.reset_all()
        context.reply.complete("RESET")
        return
    if node.kind == SET.VAR_SET_MULTI:
        _set_modes(session, node)
    else:
        name = find(node.name).name
        value = written(node) if node.kind == SET.VAR_SET_VALUE else None
        if node.kind == SET.VAR_SET_CURRENT:
            value = session.settings.get(name)
        if node.is_local and session.kernel.status == "I":
            session.notice("SET LOCAL can only be used in transaction blocks", severity="WARNING", code="25P01")
        assign(session, name, value, local=bool(node.is_local))
    context.reply.complete("RESET" if node.kind == SET.VAR_RESET else "SET")


def assign(session: Session, name: str, value: str | None, *, local: bool = False) -> None:
    """Set one variable by SET or set_config."""
    if name in ("transaction_isolation", "transaction_read_only", "transaction_deferrable"):
        _transaction_variable(session, name, value)
        return
    if name in ("role", "session_authorization") and value not in (None, "none"):
        _check_role(session, name, str(value))
    if name == "session_authorization" and value is None:
        value = session.settings.reset_value(name) or session.session_user
    session.begin_work()
    session.settings.set(name, value, local=local)


def _check_role(session: Session, setting: str, name: str) -> None:
    role = session.snapshot.role(name)
    if role is None:
        raise SqlError("22023", f'role "{name}" does not exist')
    me = session.snapshot.role(session.session_user)
    if setting == "session_authorization":
        login = session.snapshot.role(session.settings.reset_value(setting) or session.session_user)
        if name != session.session_user and not (login is not None and login["rolsuper"]):
            raise SqlError("42501", f'permission denied to set session authorization "{name}"')
        return
    if me is not None and not me["rolsuper"] and name != session.session_user:
        members = session.snapshot.rows["pg_auth_members"].get(role["oid"], me["oid"])
        if members is None:
            raise SqlError("42501", f'permission denied to set role "{name}"')


def _transaction_variable(session: Session, name: str, value: str | None) -> None:
    if name == "transaction_isolation":
        session.kernel.set_characteristics(check(find(name), value or "read committed"), None)
    elif name == "transaction_read_only":
        _read_only(session, (value or "off").lower() in ("on", "true", "1", "yes"))


def _read_only(session: Session, read_only: bool) -> None:
    if session.database.read_only and not read_only:
        raise SqlError("0A000", "cannot set transaction read-write mode during recovery")
    session.kernel.set_characteristics(None, read_only)


def _set_modes(session: Session, node: Any) -> None:
    if node.name == "TRANSACTION SNAPSHOT":
        raise not_built("SET TRANSACTION SNAPSHOT")
    modes = transaction_modes(node.args)
    if node.name == "TRANSACTION":
        if session.kernel.status == "I":
            session.notice("SET TRANSACTION can only be used in transaction blocks", severity="WARNING", code="25P01")
        if "isolation" in modes:
            session.kernel.set_characteristics(modes["isolation"], None)
        if "read_only" in modes:
            _read_only(session, modes["read_only"])
        return
    session.begin_work()
    if "isolation" in modes:
        session.settings.set("default_transaction_isolation", modes["isolation"])
    if "read_only" in modes:
        session.settings.set("default_transaction_read_only", "on" if modes["read_only"] else "off")


def written(node: Any) -> str:
    """The value of a SET, as it was written."""
    guc = find(node.name)
    words: list[str] = []
    for arg in node.args:
        if type(arg).__name__ == "TypeCast":
            words.append(_interval_zone(arg))
            continue
        value = arg.val
        kind = type(value).__name__
        words.append(
            value.sval
            if kind == "String"
            else value.fval
            if kind == "Float"
            else ("on" if value.boolval else "off")
            if kind == "Boolean"
            else str(value.ival)
        )
    if len(words) == 1 and guc.name not in ("search_path",):
        return words[0]
    return join_list(guc, words)


def _interval_zone(arg: Any) -> str:
    """SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE."""
    text = str(arg.arg.val.sval)
    return text if text.startswith(("-", "+")) or ":" not in text else "+" + text


def _show_columns(session: Session, node: Any, text: str) -> Sequence[Column]:
    if node.name == "all":
        return [column("name"), column("setting"), column("description")]
    return [column(find(node.name).name)]


@entry("VariableShowStmt", "SHOW", read_only=True, columns=_show_columns)
async def show(session: Session, node: Any, context: Context) -> None:
    """SHOW name, SHOW ALL."""
    columns = _show_columns(session, node, context.text)
    if node.name == "all":
        names = sorted((guc.name for guc in known().values() if guc.listed), key=str.lower)
        rows = [(name, shown(session, name), "") for name in names]
        await context.reply.rows(columns, rows)
    else:
        await context.reply.rows(columns, [(shown(session, node.name),)])
    context.reply.complete("SHOW")


def shown(session: Session, name: str) -> str:
    """A variable as SHOW prints it; those of the transaction are the kernel's."""
    lower = name.lower()
    if lower in ("transaction_isolation", "transaction_read_only"):
        try:
            isolation, read_only = session.kernel.isolation, session.kernel.read_only
        except RuntimeError:
            # Asked by a function of a running query.
            isolation, read_only = session.observed
        return str(isolation) if lower == "transaction_isolation" else "on" if read_only else "off"
    return session.settings.show(name)


@entry("DiscardStmt", "DISCARD", read_only=True)
async def discard(session: Session, node: Any, context: Context) -> None:
    """DISCARD ALL, PLANS, SEQUENCES, TEMP."""
    mode = enums.DiscardMode
    names = {
        mode.DISCARD_ALL: "ALL",
        mode.DISCARD_PLANS: "PLANS",
        mode.DISCARD_SEQUENCES: "SEQUENCES",
        mode.DISCARD_TEMP: "TEMP",
    }
    if node.target == mode.DISCARD_ALL:
        if session.kernel.status != "I":
            raise SqlError("25001", "DISCARD ALL cannot run inside a transaction block")
        session.drop_cursors(list(session.cursors))
        session.begin_work()
        session.settings.set(
            "session_authorization", session.settings.reset_value("session_authorization") or session.session_user
        )
        session.settings.reset_all()
        session.wire.drop_all_statements()
        session.begin_work().listens.append(("*", False))
        session.kernel.unlock_advisory_all()
    if node.target in (mode.DISCARD_ALL, mode.DISCARD_TEMP) and session.temp is not None:
        await empty_temporary_schema(session)
    context.reply.complete(f"DISCARD {names[node.target]}")


@entry("ListenStmt", "LISTEN", read_only=True)
async def listen(session: Session, node: Any, context: Context) -> None:
    """LISTEN takes effect at commit."""
    session.begin_work().listens.append((node.conditionname, True))
    context.reply.complete("LISTEN")


@entry("UnlistenStmt", "UNLISTEN", read_only=True)
async def unlisten(session: Session, node: Any, context: Context) -> None:
    """UNLISTEN takes effect at commit."""
    session.begin_work().listens.append((node.conditionname or "*", False))
    context.reply.complete("UNLISTEN")


@entry("NotifyStmt", "NOTIFY")
async def notify(session: Session, node: Any, context: Context) -> None:
    """NOTIFY is delivered at commit."""
    queue_notification(session, node.conditionname, node.payload or "")
    context.reply.complete("NOTIFY")


def queue_notification(session: Session, channel: str, payload: str) -> None:
    """NOTIFY and pg_notify."""
    if not channel:
        raise SqlError("22023", "channel name cannot be empty")
    if len(channel.encode()) > 63:
        raise SqlError("22023", "channel name too long")
    if len(payload.encode()) >= 8000:
        raise SqlError("22023", "payload string too long")
    session.begin_work().notifications[(channel, payload)] = None
