"""State of the server as relations: sessions, settings, cursors, locks, time zones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from sixfold.engine.catalog.bootstrap import PUBLIC_ACL
from sixfold.engine.catalog.model import PUBLIC
from sixfold.engine.settings import known
from sixfold.engine.show import shown

from .identity import EPOCH, network

if TYPE_CHECKING:
    from sixfold.engine.session import Session

Rows = Iterable[dict[str, Any]]
# pg_database, pg_authid, pg_auth_members, pg_tablespace, pg_shdescription, pg_db_role_setting: of all databases.
SHARED = frozenset((1262, 1260, 1261, 1213, 2396, 2964))


def _database_oid(session: Session, name: str) -> int:
    found = session.snapshot.rows["pg_database"].group(("datname",), name)
    return int(found[0]["oid"]) if found else 0


def locks(session: Session) -> Rows:
    """pg_locks. Locks on rows are shown while somebody has them, not only while they are waited for: they live in memory here."""
    database = _database_oid(session, session.database_name)
    for pid, (kind, thing, more), mode, granted in session.database.volume.locks():
        if pid not in session.database.sessions:
            continue
        row: dict[str, Any] = {"locktype": kind, "pid": pid, "mode": mode, "granted": granted, "fastpath": False}
        if kind == "transactionid":
            row["transactionid"] = thing & 0xFFFFFFFF
        elif kind == "advisory":
            row |= {"database": database, "classid": thing >> 32, "objid": thing & 0xFFFFFFFF, "objsubid": more}
        else:
            row |= {"database": 0 if thing in SHARED else database, "relation": thing}
        if kind == "tuple":
            # A row id in the two numbers that PostgreSQL's has.
            row |= {"page": more >> 15 & 0x7FFFFFFF, "tuple": more & 0x7FFF}
        yield row


def prepared_statements(session: Session) -> Rows:
    """pg_prepared_statements. When the protocol's were made is not kept, nor how often each was planned."""
    for name, text, types in session.wire.statements():
        made = session.prepares.get(name)
        if made is not None and made.query != text:
            made = None
        yield {
            "name": name,
            "statement": made.text if made else text,
            "prepare_time": made.at - EPOCH if made else None,
            "parameter_types": types,
            "from_sql": made is not None,
        }


def stat_activity(session: Session) -> Rows:
    """pg_stat_activity"""
    me = session.snapshot.role(session.user)
    waiting: dict[int, str] = {}
    xids: dict[int, int] = {}
    for pid, (kind, thing, _), _, granted in session.database.volume.locks():
        if not granted:
            waiting[pid] = kind
        elif kind == "transactionid":
            xids[pid] = min(thing, xids.get(pid, thing))
    for other in session.database.sessions.values():
        role = session.snapshot.role(other.session_user)
        may_see = other.session_user == session.user or (me is not None and me["rolsuper"])
        yield {
            "datid": _database_oid(session, other.database_name),
            "datname": other.database_name,
            "pid": other.pid,
            "usesysid": role["oid"] if role else None,
            "usename": other.session_user,
            "application_name": other.settings.get("application_name"),
            "client_addr": network(other.address),
            "client_port": other.port,
            "backend_start": other.started_at - EPOCH,
            "query_start": other.query_start - EPOCH if other.query_start else None,
            "state_change": other.query_start - EPOCH if other.query_start else None,
            "xact_start": other.query_start - EPOCH if other.query_start and other.state != "idle" else None,
            "state": "active" if other is session else other.state,
            "query": other.query if may_see else "<insufficient privilege>",
            "wait_event_type": "Lock" if other.pid in waiting else "Client" if other.state.startswith("idle") else None,
            "wait_event": waiting.get(other.pid, "ClientRead" if other.state.startswith("idle") else None),
            "backend_xid": xids[other.pid] & 0xFFFFFFFF if other.pid in xids else None,
            "backend_type": other.backend_type,
        }


def settings(session: Session) -> Rows:
    """pg_settings"""
    for guc in sorted((guc for guc in known().values() if guc.listed), key=lambda guc: guc.name.lower()):
        values = session.settings
        yield {
            "name": guc.name,
            "setting": shown(session, guc.name) if guc.name.startswith("transaction_") else values.get(guc.name),
            "unit": guc.unit,
            "category": guc.category,
            "short_desc": "",
            "context": guc.context,
            "vartype": guc.kind,
            "source": values.source(guc.name),
            "min_val": None if guc.low is None else f"{guc.low:g}" if guc.kind == "real" else str(int(guc.low)),
            "max_val": None if guc.high is None else f"{guc.high:g}" if guc.kind == "real" else str(int(guc.high)),
            "enumvals": list(guc.values) or None,
            "boot_val": guc.boot,
            "reset_val": values.reset_value(guc.name),
            "pending_restart": False,
        }


def cursors(session: Session) -> Rows:
    """pg_cursors"""
    for cursor in session.cursors.values():
        yield {
            "name": cursor.name,
            "statement": cursor.text,
            "is_holdable": cursor.hold,
            "is_binary": cursor.binary,
            "is_scrollable": cursor.scroll,
            "creation_time": cursor.created - EPOCH,
        }


def time_zones(session: Session) -> Rows:
    """pg_timezone_names"""
    now = datetime.now(UTC)
    for name in sorted(available_timezones()):
        local = now.astimezone(ZoneInfo(name))
        offset, dst = local.utcoffset(), local.dst()
        micros = int(offset.total_seconds()) * 1_000_000 if offset else 0
        yield {"name": name, "abbrev": local.tzname(), "utc_offset": (0, 0, micros), "is_dst": bool(dst)}


def stat_database(session: Session) -> Rows:
    """pg_stat_database, as far as the kernel counts."""
    counts = session.database.volume.stats()
    for row in session.snapshot.rows["pg_database"].rows.values():
        mine = row["datname"] == session.database_name
        yield {
            "datid": row["oid"],
            "datname": row["datname"],
            "numbackends": sum(
                1 for other in session.database.sessions.values() if other.database_name == row["datname"]
            ),
            "xact_commit": counts.get("commits", 0) if mine else 0,
            "xact_rollback": counts.get("rollbacks", 0) if mine else 0,
            "blks_read": counts.get("cache_misses", 0) if mine else 0,
            "blks_hit": counts.get("cache_hits", 0) if mine else 0,
        }


def initial_privileges(session: Session) -> Rows:
    """pg_init_privs"""
    yield {"objoid": PUBLIC, "classoid": 2615, "objsubid": 0, "privtype": "i", "initprivs": PUBLIC_ACL}


def nothing(session: Session) -> Rows:
    """What there is none of, or what the kernel does not show."""
    return ()


def stat_ssl(session: Session) -> Rows:
    """pg_stat_ssl. Versions and ciphers are not kept."""
    for other in session.database.sessions.values():
        yield {"pid": other.pid, "ssl": other.encrypted}


def stat_gssapi(session: Session) -> Rows:
    """pg_stat_gssapi"""
    for other in session.database.sessions.values():
        yield {"pid": other.pid, "gss_authenticated": False, "encrypted": False}


ACTIVITY: dict[str, Callable[[Session], Rows]] = {
    "pg_init_privs": initial_privileges,
    "pg_stat_activity": stat_activity,
    "pg_settings": settings,
    "pg_cursors": cursors,
    "pg_timezone_names": time_zones,
    "pg_stat_database": stat_database,
    "pg_locks": locks,
    "pg_stat_ssl": stat_ssl,
    "pg_stat_gssapi": stat_gssapi,
    "pg_prepared_statements": prepared_statements,
    "pg_timezone_abbrevs": nothing,
    "pg_file_settings": nothing,
    "pg_config": nothing,
}
