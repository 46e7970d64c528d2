"""Who and where the session is, its settings, transactions, and other sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine.access import is_member
from sixfold.engine.asynchronous import take
from sixfold.engine.errors import SqlError
from sixfold.engine.settings import SERVER_VERSION, find
from sixfold.engine.show import assign, queue_notification, shown
from sixfold.kernel._kernel import KernelError, type_input

if TYPE_CHECKING:
    from sixfold.engine.session import Session

# Microseconds between 1970 and 2000.
INET = 869
EPOCH = 946_684_800_000_000
ADVISORY = [
    f"pg_{word}{kind}_{size}"
    for word in ("advisory_", "try_advisory_")
    for kind in ("lock", "xact_lock", "lock_shared", "xact_lock_shared")
    for size in ("int8", "int4")
] + [f"pg_advisory_unlock{kind}_{size}" for kind in ("", "_shared") for size in ("int8", "int4")]


def version(session: Session) -> str:
    """version()"""
    return f"PostgreSQL {SERVER_VERSION} on x86_64-pc-linux-gnu, compiled by rustc, 64-bit"


def current_user(session: Session) -> str:
    return session.user


def session_user(session: Session) -> str:
    return session.session_user


def current_database(session: Session) -> str:
    return session.database_name


def current_schema(session: Session) -> str | None:
    found = session.schemas()
    return session.snapshot.namespace_name(found[0]) if found else None


def current_schemas(session: Session, implicit: bool) -> list[str | None]:
    oids = session.catalog().search_path() if implicit else session.schemas()
    return [session.snapshot.namespace_name(oid) for oid in oids]


def backend_pid(session: Session) -> int:
    return session.pid


def setting(session: Session, name: str, missing_ok: bool = False) -> str | None:
    """current_setting"""
    try:
        return shown(session, find(name).name)
    except SqlError:
        if missing_ok:
            return None
        raise


def network(address: str | None) -> Any:
    """An IP address as inet; null for what is none (a name)."""
    try:
        return type_input(INET, address.partition("%")[0]) if address else None
    except KernelError:
        return None


def set_config(session: Session, name: str | None, value: str | None, local: bool | None) -> str | None:
    """set_config: checked now, done when the query has ended."""
    if name is None:
        raise SqlError("22004", "SET requires parameter name")
    guc = find(name)
    is_local = bool(local)
    session.statements.afterwards.append(lambda: assign(session, guc.name, value, local=is_local))
    if value is None:
        return session.settings.reset_value(guc.name)
    return session.settings.checked(guc.name, value)


def notify(session: Session, channel: str | None, payload: str | None) -> str:
    """pg_notify"""
    session.statements.afterwards.append(lambda: queue_notification(session, channel or "", payload or ""))
    return ""


def _other(session: Session, pid: int) -> Session | None:
    found = session.database.sessions.get(pid)
    if found is None:
        message = f"PID {pid} is not a PostgreSQL server process"
        session.statements.afterwards.append(lambda: session.notice(message, severity="WARNING", code="01000"))
    elif not is_member(session, (session.snapshot.role(found.session_user) or {"oid": 10})["oid"]):
        raise SqlError("42501", "must be a member of the role whose process is being canceled or terminated")
    return found


def cancel_backend(session: Session, pid: int) -> bool:
    """pg_cancel_backend"""
    other = _other(session, pid)
    if other is not None:
        session.statements.afterwards.append(other.cancel)
    return other is not None


def terminate_backend(session: Session, pid: int, timeout: int = 0) -> bool:
    """pg_terminate_backend"""
    other = _other(session, pid)
    if other is not None:
        session.statements.afterwards.append(other.terminate)
    return other is not None


def blocking_pids(session: Session, pid: int) -> list[int]:
    """Whom the session with this pid waits for."""
    return session.database.volume.blockers(pid) if pid in session.database.sessions else []


def _awaited(name: str) -> Callable[..., Any]:
    """A function that was awaited before the query ran; `name` is SQL's."""
    return lambda session, *args: take(session, name)


def _sql_name(src: str) -> str:
    return src.removesuffix("_int8").removesuffix("_int4")


def my_temp_schema(session: Session) -> int:
    return session.temp or 0


def is_other_temp_schema(session: Session, oid: int) -> bool:
    name = session.snapshot.namespace_name(oid) or ""
    return name.startswith("pg_temp_") and oid != session.temp


STRICT: dict[str, Callable[..., Any]] = {
    "current_user": current_user,
    "session_user": session_user,
    "current_database": current_database,
    "current_schema": current_schema,
    "current_schemas": current_schemas,
    "pg_backend_pid": backend_pid,
    "pgsql_version": version,
    "show_config_by_name": setting,
    "show_config_by_name_missing_ok": setting,
    "pg_my_temp_schema": my_temp_schema,
    "pg_is_other_temp_schema": is_other_temp_schema,
    "pg_postmaster_start_time": lambda session: session.database.started_at - EPOCH,
    "pg_conf_load_time": lambda session: session.database.started_at - EPOCH,
    "pg_is_in_recovery": lambda session: session.database.read_only,
    "pg_current_wal_lsn": lambda session: session.database.volume.tail,
    "pg_current_wal_insert_lsn": lambda session: session.database.volume.tail,
    "pg_current_wal_flush_lsn": lambda session: session.database.volume.vdl,
    "pg_last_wal_replay_lsn": lambda session: session.database.volume.vdl if session.database.read_only else None,
    "pg_last_wal_receive_lsn": lambda session: session.database.volume.vdl if session.database.read_only else None,
    "pg_cancel_backend": cancel_backend,
    "pg_terminate_backend": terminate_backend,
    "pg_blocking_pids": blocking_pids,
    "pg_jit_available": lambda session: False,
    "pg_trigger_depth": lambda session: 0,
    "row_security_active": lambda session, oid: False,
    "pg_notification_queue_usage": lambda session: 0.0,
    "pg_reload_conf": lambda session: True,
    "pg_client_encoding": lambda session: session.settings.get("client_encoding"),
    "getdatabaseencoding": lambda session: "UTF8",
    "pg_char_to_encoding": lambda session, name: (
        6
        if name.lower().replace("-", "").replace("_", "") in ("utf8", "unicode")
        else 0
        if name.lower() == "sql_ascii"
        else -1
    ),
    "PG_char_to_encoding": lambda session, name: (
        6
        if name.lower().replace("-", "").replace("_", "") in ("utf8", "unicode")
        else 0
        if name.lower() == "sql_ascii"
        else -1
    ),
    "PG_encoding_to_char": lambda session, number: {6: "UTF8", 0: "SQL_ASCII"}.get(number, ""),
    "pg_encoding_max_length_sql": lambda session, number: {6: 4, 0: 1}.get(number),
    "pg_sleep": _awaited("pg_sleep"),
    "pg_advisory_unlock_all": _awaited("pg_advisory_unlock_all"),
    **{src: _awaited(_sql_name(src)) for src in ADVISORY},
}
LAX: dict[str, Callable[..., Any]] = {
    "set_config_by_name": set_config,
    "pg_notify": notify,
    "inet_client_addr": lambda session: network(session.address),
    "inet_client_port": lambda session: session.port,
    "inet_server_addr": lambda session: network(session.settings.get("listen_addresses")) if session.address else None,
    "inet_server_port": lambda session: session.settings.number("port") if session.address else None,
    "pg_current_xact_id": lambda session: take_any(session, "pg_current_xact_id", "txid_current"),
    "pg_current_xact_id_if_assigned": lambda session: take_any(
        session, "pg_current_xact_id_if_assigned", "txid_current_if_assigned"
    ),
    "pg_last_xact_replay_timestamp": lambda session: None,
}


def take_any(session: Session, *names: str) -> Any:
    """The awaited answer under either of a function's SQL names."""
    for name in names:
        if session.statements.answers.get(name):
            return take(session, name)
    return take(session, names[0])
