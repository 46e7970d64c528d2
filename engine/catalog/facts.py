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
def table(name: str) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    """Column names and rows of text."""
    lines = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8").split("\n")
    header = tuple(lines[0].split("\t"))
    # Most fields are plain: no call for those.
    return header, [
        tuple([field if "\\" not in field else unescape(field) for field in line.split("\t")])
        for line in lines[1:]
        if line
    ]


def exists(name: str) -> bool:
    """Is there a file for this catalogue?"""
    return (FOLDER / f"{name}.tsv").exists()


def rows(name: str) -> list[dict[str, str | None]]:
    """Rows as text."""
    header, body = table(name)
    return [dict(zip(header, row, strict=True)) for row in body]


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
    header, _ = table("pg_attribute")
    return tuple(_attribute(dict(zip(header, row, strict=True))) for row in _attributes().get(str(relation), ()))


@cache
def _attributes() -> dict[str | None, list[tuple[str | None, ...]]]:
    header, body = table("pg_attribute")
    at = header.index("attrelid")
    grouped: dict[str | None, list[tuple[str | None, ...]]] = {}
    for row in body:
        grouped.setdefault(row[at], []).append(row)
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
def column_types(name: str) -> dict[str, int]:
    """Column name to type OID of one system relation."""
    class_header, class_rows = table("pg_class")
    at_oid, at_name = class_header.index("oid"), class_header.index("relname")
    oid = next(int(str(row[at_oid])) for row in class_rows if row[at_name] == name)
    return {row["attname"]: row["atttypid"] for row in columns(oid)}


@cache
def typed(name: str) -> list[Row]:
    """Rows with Python values. The dictionaries are shared: do not change them."""
    types = column_types(name)
    header, body = table(name)
    readers = [FROM_TEXT.get(types.get(column, 25)) for column in header]
    return [
        {
            column: value if value is None or read is None else read(value)
            for column, value, read in zip(header, row, readers, strict=True)
        }
        for row in body
    ]
