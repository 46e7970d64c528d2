"""Results of type regclass, regtype and their kin: numbers inside, names in text format.

The kernel has no catalogue to name them from, so plans with such result columns are run by Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .host.names import STRICT

if TYPE_CHECKING:
    from .reply import Column
    from .session import Session

OUTPUT = {
    24: "regprocout",
    2202: "regprocedureout",
    2203: "regoperout",
    2204: "regoperatorout",
    2205: "regclassout",
    2206: "regtypeout",
    4096: "regroleout",
    4089: "regnamespaceout",
    4191: "regcollationout",
}
# Array types to their elements'.
ARRAYS = {1008: 24, 2207: 2202, 2208: 2203, 2209: 2204, 2210: 2205, 2211: 2206, 4097: 4096, 4090: 4089, 4192: 4191}


def has_names(columns: Sequence[Column]) -> bool:
    """Does a result have such columns?"""
    return any(column[1] in OUTPUT or column[1] in ARRAYS for column in columns)


def _is_binary(formats: Sequence[int], at: int) -> bool:
    return bool(formats[at if len(formats) > 1 else 0]) if formats else False


def written_types(columns: Sequence[Column], formats: Sequence[int]) -> list[int]:
    """The types as which the wire writes the columns: names are text."""
    return [
        25 if (column[1] in OUTPUT or column[1] in ARRAYS) and not _is_binary(formats, at) else column[1]
        for at, column in enumerate(columns)
    ]


def named_rows(
    session: Session, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], formats: Sequence[int]
) -> list[tuple[Any, ...]]:
    """The rows with names instead of numbers in columns of text format."""
    writers: list[Callable[[Any], Any] | None] = []
    for at, column in enumerate(columns):
        writers.append(None if _is_binary(formats, at) else _writer(session, column[1]))
    return [
        tuple(
            value if write is None or value is None else write(value) for write, value in zip(writers, row, strict=True)
        )
        for row in rows
    ]


def _writer(session: Session, typ: int) -> Callable[[Any], Any] | None:
    if typ in OUTPUT:
        output = STRICT[OUTPUT[typ]]
        return lambda value: output(session, value)
    if typ in ARRAYS:
        element = STRICT[OUTPUT[ARRAYS[typ]]]
        return lambda values: array_text([None if value is None else element(session, value) for value in values])
    return None


def array_text(values: Sequence[str | None]) -> str:
    """A one-dimensional array of texts as PostgreSQL writes it."""
    parts: list[str] = []
    for value in values:
        if value is None:
            parts.append("NULL")
        elif not value or value.upper() == "NULL" or any(char in value for char in '{},"\\ \t\n'):
            parts.append('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"')
        else:
            parts.append(value)
    return "{" + ",".join(parts) + "}"
