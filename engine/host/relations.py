"""Rows of system relations that Python makes: PostgreSQL's fixed catalogues, state of the server, and views of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sixfold.engine.catalog import facts
from sixfold.engine.catalog.system import FIXED, WITHOUT_ROWS, columns_of, served
from sixfold.engine.errors import not_built
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import KEYWORDS

from .activity import ACTIVITY
from .information import INFORMATION
from .sysviews import SYSVIEWS

if TYPE_CHECKING:
    from sixfold.engine.session import Session

Maker = Callable[["Session"], Iterable[dict[str, Any]]]
MAKERS: dict[str, Maker] = {**ACTIVITY, **INFORMATION, **SYSVIEWS}
CHAR, CHARS = 18, 1002


@cache
def _shape(name: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    columns = columns_of(served()[name])
    return tuple(column.name for column in columns), tuple(column.typ for column in columns)


def _value(value: Any, typ: int) -> Any:
    if value is None:
        return None
    if typ == CHAR and isinstance(value, str):
        return ord(value) if value else 0
    if typ == CHARS:
        return [ord(item) for item in value]
    if typ == 1009 and not isinstance(value, list):
        return list(value)
    return value


@cache
def fixed_rows(name: str) -> list[tuple[Any, ...]]:
    """Rows of a catalogue that never changes."""
    names, types = _shape(name)
    return [
        tuple(_value(row[column], typ) for column, typ in zip(names, types, strict=True)) for row in facts.typed(name)
    ]


def scan_relation(session: Session, name: str, args: list[Any]) -> Sequence[Sequence[Any]]:
    """Rows of a relation or set-returning function by name."""
    if name in FIXED:
        return fixed_rows(name)
    if name in WITHOUT_ROWS:
        return []
    if name.startswith("sequence:"):
        return _sequence(session, int(name.partition(":")[2]))
    if name in MAKERS:
        names, types = _shape(name)
        return [
            tuple(_value(row.get(column), typ) for column, typ in zip(names, types, strict=True))
            for row in MAKERS[name](session)
        ]
    function = FUNCTIONS.get(name)
    if function is not None:
        return function(session, *args)
    if name in served():
        return []
    raise not_built(f"the relation or function {name}")


def _sequence(session: Session, oid: int) -> list[tuple[int, int, bool]]:
    found = session.snapshot.sequence(oid)
    if found is None:
        return []
    kind, value = session.database.volume.sequence_value(found.root)
    if kind != "done":
        return [(found.start, 0, False)]
    return [(value[0], 32 if value[1] else 0, value[1])]


@cache
def _keywords() -> list[tuple[Any, ...]]:
    words = {
        "U": "unreserved",
        "C": "unreserved (cannot be function or type name)",
        "T": "reserved (can be function or type name)",
        "R": "reserved",
    }
    return [
        (word, ord(kind), kind != "C", words[kind], "can be bare label")
        for kind, group in KEYWORDS.items()
        for word in sorted(group)
    ]


def _listening(session: Session) -> list[tuple[str]]:
    return [(name,) for name in sorted(session.listening)]


def _nothing(session: Session, *args: Any) -> list[tuple[Any, ...]]:
    return []


def _options(session: Session, options: list[str] | None) -> list[tuple[Any, ...]]:
    return [(name, value if equal else None) for name, equal, value in (item.partition("=") for item in options or [])]


def _ancestors(session: Session, oid: int | None) -> list[tuple[int]]:
    """pg_partition_ancestors, pg_partition_tree: nothing is partitioned."""
    return []


def _settings(session: Session) -> Sequence[Sequence[Any]]:
    return scan_relation(session, "pg_settings", [])


def _activity(session: Session, pid: int | None) -> list[tuple[Any, ...]]:
    """pg_stat_get_activity: of one session, or of all (null, or -1 as older clients say)."""
    columns = FACTS.functions("pg_stat_get_activity")[0].out
    return [
        tuple(_value(row.get(column), typ) for column, typ in columns)
        for row in MAKERS["pg_stat_activity"](session)
        if pid in (None, -1, row["pid"])
    ]


def _same(name: str) -> Callable[..., Sequence[Sequence[Any]]]:
    return lambda session, *args: scan_relation(session, name, [])


# Functions about what Sixfold does not have.
WITHOUT = (
    "pg_available_extensions",
    "pg_available_extension_versions",
    "pg_show_all_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_stat_get_wal_senders",
    "pg_get_replication_slots",
    "aclexplode",
    "pg_get_publication_tables",
    "pg_prepared_xact",
    "pg_stat_get_progress_info",
)
FUNCTIONS: dict[str, Callable[..., Sequence[Sequence[Any]]]] = {
    "pg_get_keywords": lambda session: _keywords(),
    "show_all_settings": _settings,
    "pg_lock_status": _same("pg_locks"),
    "pg_stat_get_activity": _activity,
    "pg_options_to_table": _options,
    "pg_partition_ancestors": _ancestors,
    "pg_partition_tree": _ancestors,
    "pg_timezone_names": _same("pg_timezone_names"),
    "pg_timezone_abbrevs": _same("pg_timezone_abbrevs"),
    "pg_prepared_statement": _same("pg_prepared_statements"),
    "pg_cursor": _same("pg_cursors"),
    "pg_listening_channels": _listening,
    **dict.fromkeys(WITHOUT, _nothing),
}
