"""PostgreSQL 15's fixed catalogue contents, read from `engine/facts/system/*.tsv` when first asked for.

`rows(name)` gives a catalogue's rows as dictionaries of text (None is null); `typed(name)` gives them with Python values
by column type. Files are COPY text below a line of column names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "facts" / "system"
UNESCAPE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "\\": "\\"}

# pg_attribute's columns that are not text.
ATTRIBUTE_NUMBERS = (
    "attrelid",
    "atttypid",
    "attstattarget",
    "attlen",
    "attnum",
    "attndims",
    "attcacheoff",
    "atttypmod",
    "attinhcount",
    "attcollation",
)
ATTRIBUTE_FLAGS = ("attbyval", "attnotnull", "atthasdef", "atthasmissing", "attisdropped", "attislocal")

# A stored or fixed catalogue row: column name to value.
Row = dict[str, Any]


def unescape(field: str) -> str | None:
    """One field of COPY text."""
    if "\\" not in field:
        return field
    if field == "\\N":
        return None
    out: list[str] = []
    chars = iter(field)
    for char in chars:
        if char == "\\":
            char = next(chars, "\\")
            char = UNESCAPE.get(char, char)
        out.append(char)
    return "".join(out)


@cache
def _lines(name: str) -> tuple[tuple[str, ...], list[str]]:
    """Column names, and lines of COPY text."""
    header, *lines = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return tuple(header.split("\t")), lines


def _fields(line: str) -> tuple[str | None, ...]:
    fields = line.split("\t")
    if "\\" not in line:
        return tuple(fields)
    # Most fields are plain or null: no call for those.
    return tuple([None if field == "\\N" else unescape(field) if "\\" in field else field for field in fields])


@cache
def table(name: str) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    """Column names and rows of text."""
    header, lines = _lines(name)
    return header, [_fields(line) for line in lines]


def exists(name: str) -> bool:
    """Is there a file for this catalogue?"""
    return (FOLDER / f"{name}.tsv").exists()


def rows(name: str) -> list[dict[str, str | None]]:
    """Rows as text."""
    header, body = table(name)
    return [dict(zip(header, row, strict=True)) for row in body]


def pairs(name: str, one: str, other: str) -> list[tuple[str, str]]:
    """Two columns of all rows, as text; neither is ever null."""
    header, body = table(name)
    at_one, at_other = header.index(one), header.index(other)
    return [(str(row[at_one]), str(row[at_other])) for row in body]


def _bool(text: str) -> bool:
    return text == "t"


def _int_list(text: str) -> list[int]:
    """int2vector and oidvector ('1 2') as well as arrays of integers ('{1,2}')."""
    return [int(part) for part in text.strip("{}").replace(",", " ").split()]


def _text_list(text: str) -> list[str]:
    """Arrays of text; the facts have no quoted elements but simple ones."""
    return [part.strip('"') for part in text.strip("{}").split(",")] if text != "{}" else []


# How a column's text becomes the Python value that catalogue rows hold, by type OID; others stay text.
FROM_TEXT: dict[int, Callable[[str], Any]] = {
    16: _bool,
    20: int,
    21: int,
    23: int,
    26: int,
    28: int,
    24: int,
    700: float,
    701: float,
    22: _int_list,
    30: _int_list,
    1005: _int_list,
    1028: _int_list,
    1007: _int_list,
    1009: _text_list,
    1002: _text_list,
}


@cache
def columns(relation: int) -> tuple[Row, ...]:
    """pg_attribute's rows of one system relation, in order, typed."""
    header, _ = _lines("pg_attribute")
    lines = _attributes().get(str(relation), ())
    return tuple(_attribute(dict(zip(header, _fields(line), strict=True))) for line in lines)


@cache
def _attributes() -> dict[str, list[str]]:
    """Lines of pg_attribute by their first column, attrelid: few of them are ever read."""
    grouped: dict[str, list[str]] = {}
    for line in _lines("pg_attribute")[1]:
        grouped.setdefault(line.partition("\t")[0], []).append(line)
    return grouped


def _attribute(row: Row) -> Row:
    for name in ATTRIBUTE_NUMBERS:
        row[name] = int(row[name])
    for name in ATTRIBUTE_FLAGS:
        row[name] = row[name] == "t"
    return row


@cache
def relations() -> dict[str, Row]:
    """pg_class's rows of system relations by name, typed."""
    return {row["relname"]: row for row in typed("pg_class")}


@cache
def relation(name: str) -> Row | None:
    """One of them, without the work for the others."""
    header, body = table("pg_class")
    at = header.index("relname")
    return next((_typed("pg_class", row) for row in body if row[at] == name), None)


@cache
def relation_oids() -> dict[str, int]:
    """Name to OID of all system relations."""
    return {name: int(oid) for name, oid in pairs("pg_class", "relname", "oid")}


@cache
def column_types(name: str) -> dict[str, int]:
    """Column name to type OID of one system relation."""
    return {row["attname"]: row["atttypid"] for row in columns(relation_oids()[name])}


@cache
def _readers(name: str) -> list[tuple[str, Callable[[str], Any] | None]]:
    types = column_types(name)
    return [(column, FROM_TEXT.get(types.get(column, 25))) for column in table(name)[0]]


def _typed(name: str, row: tuple[str | None, ...]) -> Row:
    return {
        column: value if value is None or read is None else read(value)
        for value, (column, read) in zip(row, _readers(name), strict=True)
    }


@cache
def typed(name: str) -> list[Row]:
    """Rows with Python values. The dictionaries are shared: do not change them."""
    return [_typed(name, row) for row in table(name)[1]]
