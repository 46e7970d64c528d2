"""pg_catalog's views of the catalogue: pg_roles, pg_tables, pg_indexes, pg_stats …"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sixfold.engine.access import is_member
from sixfold.engine.activity import Counts, counts, live_rows
from sixfold.engine.catalog import facts
from sixfold.engine.catalog.model import Relation
from sixfold.engine.catalog.system import served

from .definitions import get_indexdef, get_viewdef, sequence_last_value
from .identity import EPOCH

if TYPE_CHECKING:
    from sixfold.engine.session import Session

Rows = Iterable[dict[str, Any]]


def relations(session: Session, kinds: str = "rvSm", *, system: bool = True) -> Iterator[Relation]:
    """All relations of some kinds, the system's first."""
    if system:
        for oid in served().values():
            found = session.snapshot.relation(oid)
            if found is not None and found.kind in kinds:
                yield found
    for row in list(session.snapshot.rows["pg_class"].rows.values()):
        if row["relkind"] in kinds:
            found = session.snapshot.relation(row["oid"])
            if found is not None:
                yield found


def _owner(session: Session, relation: Relation) -> str | None:
    return session.snapshot.role_name(relation.owner)


def _role_settings(session: Session, role: int) -> list[str] | None:
    row = session.snapshot.rows["pg_db_role_setting"].get(0, role)
    return row["setconfig"] if row else None


def roles(session: Session) -> Rows:
    """pg_roles"""
    for row in session.snapshot.rows["pg_authid"].rows.values():
        yield {**row, "rolpassword": "********", "rolconfig": _role_settings(session, row["oid"])}


def _users(session: Session, *, hide: bool) -> Rows:
    for row in session.snapshot.rows["pg_authid"].rows.values():
        if row["rolcanlogin"]:
            yield {
                "usename": row["rolname"],
                "usesysid": row["oid"],
                "usecreatedb": row["rolcreatedb"],
                "usesuper": row["rolsuper"],
                "userepl": row["rolreplication"],
                "usebypassrls": row["rolbypassrls"],
                "passwd": "********" if hide else row["rolpassword"],
                "valuntil": row["rolvaliduntil"],
                "useconfig": _role_settings(session, row["oid"]),
            }


def users(session: Session) -> Rows:
    """pg_user"""
    return _users(session, hide=True)


def shadow(session: Session) -> Rows:
    """pg_shadow, for superusers."""
    me = session.snapshot.role(session.user)
    return _users(session, hide=me is None or not me["rolsuper"])


def groups(session: Session) -> Rows:
    """pg_group"""
    members = session.snapshot.rows["pg_auth_members"]
    for row in session.snapshot.rows["pg_authid"].rows.values():
        if not row["rolcanlogin"]:
            yield {
                "groname": row["rolname"],
                "grosysid": row["oid"],
                "grolist": [member["member"] for member in members.group(("roleid",), row["oid"])],
            }


def tables(session: Session) -> Rows:
    """pg_tables"""
    known = facts.relations()
    for relation in relations(session, "r"):
        if relation.oid < 16384 and known.get(relation.name, {}).get("relkind") == "v":
            continue
        row = session.snapshot.rows["pg_class"].get(relation.oid)
        yield {
            "schemaname": relation.schema,
            "tablename": relation.name,
            "tableowner": _owner(session, relation),
            "hasindexes": bool(relation.indexes),
            "hasrules": False,
            "hastriggers": bool(row and row["relhastriggers"]),
            "rowsecurity": False,
        }


def views(session: Session) -> Rows:
    """pg_views, of users."""
    for relation in relations(session, "v"):
        yield {
            "schemaname": relation.schema,
            "viewname": relation.name,
            "viewowner": _owner(session, relation),
            "definition": get_viewdef(session, relation.oid),
        }


def indexes(session: Session) -> Rows:
    """pg_indexes"""
    for relation in relations(session, "rm"):
        for index in relation.indexes:
            yield {
                "schemaname": relation.schema,
                "tablename": relation.name,
                "indexname": index.name,
                "indexdef": get_indexdef(session, index.oid),
            }


def sequences(session: Session) -> Rows:
    """pg_sequences"""
    for relation in relations(session, "S", system=False):
        found = session.snapshot.sequence(relation.oid)
        if found is not None:
            yield {
                "schemaname": found.schema,
                "sequencename": found.name,
                "sequenceowner": _owner(session, relation),
                "data_type": found.typ,
                "start_value": found.start,
                "min_value": found.min,
                "max_value": found.max,
                "increment_by": found.increment,
                "cycle": found.cycle,
                "cache_size": found.cache,
                "last_value": sequence_last_value(session, found.oid) if is_member(session, relation.owner) else None,
            }


def _array(values: tuple[str, ...]) -> str | None:
    """Values as an array's text."""
    if not values:
        return None
    return (
        "{"
        + ",".join(
            json.dumps(value, ensure_ascii=False) if not value or any(char in value for char in '{},"\\ ') else value
            for value in values
        )
        + "}"
    )


def stats(session: Session) -> Rows:
    """pg_stats: of tables that the role may read."""
    for relation in relations(session, "r", system=False):
        if not is_member(session, relation.owner):
            continue
        for column in relation.columns:
            if column.n_distinct is not None and not column.dropped:
                yield {
                    "schemaname": relation.schema,
                    "tablename": relation.name,
                    "attname": column.name,
                    "inherited": False,
                    "null_frac": column.null_frac,
                    "avg_width": column.avg_width,
                    "n_distinct": column.n_distinct,
                    "most_common_vals": _array(column.common_values),
                    "most_common_freqs": list(column.common_freqs) or None,
                    "histogram_bounds": _array(column.histogram),
                }


def _table_stats(session: Session, *, system: bool, user: bool) -> Rows:
    written = counts(session.database.volume)
    for relation in relations(session, "rm"):
        if relation.host is None and ((relation.oid < 16384 and system) or (relation.oid >= 16384 and user)):
            found = written.get(relation.root, Counts())
            upkeep = session.database.activity.of(relation.oid)
            times = ("last_vacuum", "last_autovacuum", "last_analyze", "last_autoanalyze")
            numbers = ("vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count")
            yield {
                "relid": relation.oid,
                "schemaname": relation.schema,
                "relname": relation.name,
                "n_tup_ins": found.inserted,
                "n_tup_upd": found.updated,
                "n_tup_del": found.deleted,
                "n_live_tup": live_rows(relation.rows, found),
                "n_dead_tup": found.dead,
                "n_mod_since_analyze": found.changed,
                **{name: None if (at := getattr(upkeep, name)) is None else at - EPOCH for name in times},
                **{name: getattr(upkeep, name) for name in numbers},
            }


def _index_stats(session: Session, *, system: bool, user: bool) -> Rows:
    for relation in relations(session, "rm"):
        if (relation.oid < 16384 and system) or (relation.oid >= 16384 and user):
            for index in relation.indexes:
                yield {
                    "relid": relation.oid,
                    "indexrelid": index.oid,
                    "schemaname": relation.schema,
                    "relname": relation.name,
                    "indexrelname": index.name,
                }


def _of(relations: Rows, *columns: str) -> Rows:
    """Names of relations whose blocks and rows within a transaction nobody counts."""
    return ({name: row[name] for name in columns} for row in relations)


def _named_tables(session: Session, *, system: bool, user: bool) -> Rows:
    return _of(_table_stats(session, system=system, user=user), "relid", "schemaname", "relname")


def _sequence_stats(session: Session, *, system: bool, user: bool) -> Rows:
    if user:
        for relation in relations(session, "S", system=False):
            yield {"relid": relation.oid, "schemaname": relation.schema, "relname": relation.name}


def _three(prefix: str, suffix: str, rows: Callable[..., Rows]) -> dict[str, Callable[[Session], Rows]]:
    """A view of all, of users' and of the system's."""
    return {
        f"{prefix}_all_{suffix}": lambda session: rows(session, system=True, user=True),
        f"{prefix}_user_{suffix}": lambda session: rows(session, system=False, user=True),
        f"{prefix}_sys_{suffix}": lambda session: rows(session, system=True, user=False),
    }


SYSVIEWS: dict[str, Callable[[Session], Rows]] = {
    "pg_roles": roles,
    "pg_user": users,
    "pg_shadow": shadow,
    "pg_group": groups,
    "pg_tables": tables,
    "pg_views": views,
    "pg_indexes": indexes,
    "pg_sequences": sequences,
    "pg_stats": stats,
    **_three("pg_stat", "tables", _table_stats),
    **_three("pg_stat", "indexes", _index_stats),
    **_three("pg_stat_xact", "tables", _named_tables),
    **_three("pg_statio", "tables", _named_tables),
    **_three("pg_statio", "indexes", _index_stats),
    **_three("pg_statio", "sequences", _sequence_stats),
}
