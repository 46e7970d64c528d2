"""SQL text to PostgreSQL 15's raw parse tree. The one module that imports pglast.

Nodes are pglast's own (`pglast.ast`), passed on as they are; locations in them are 0-based characters of the text.
`pglast.ast` and `pglast.enums` are re-exported as `ast` and `enums`, so that nobody else imports pglast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pglast import ast, enums
from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS, UNRESERVED_KEYWORDS
from pglast.parser import ParseError, fingerprint, parse_sql, split
from pglast.stream import RawStream

from sixfold.engine.errors import SqlError

__all__ = [
    "KEYWORDS",
    "Statement",
    "ast",
    "deparse",
    "enums",
    "fingerprint",
    "parse",
    "parse_expression",
    "parse_one",
    "split",
]

# By pg_get_keywords' letters.
KEYWORDS = {"U": UNRESERVED_KEYWORDS, "C": COL_NAME_KEYWORDS, "T": TYPE_FUNC_NAME_KEYWORDS, "R": RESERVED_KEYWORDS}


class Statement:
    """One statement of a text: its tree, and where it stands."""

    __slots__ = ("length", "location", "node")

    def __init__(self, node: Any, location: int, length: int) -> None:
        self.node = node
        self.location = location
        self.length = length

    def text(self, sql: str) -> str:
        """The statement's own text, without the semicolon."""
        end = self.location + self.length if self.length else len(sql)
        return sql[self.location : end].strip()


def _error(exc: ParseError, sql: str) -> SqlError:
    message = str(exc.args[0])
    position: int | None = None
    if len(exc.args) > 1 and isinstance(exc.args[1], int):
        # pglast takes the (character) position for one in bytes and converts it; this converts it back.
        position = len(sql[: exc.args[1]].encode()) + 1
    if message.endswith("at end of input"):
        position = len(sql) + 1
    return SqlError("42601", message, position=position)


def parse(sql: str) -> list[Statement]:
    """All statements of a text; an empty text has none."""
    if "\0" in sql:
        raise SqlError("22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    try:
        raw = parse_sql(sql)
    except ParseError as exc:
        raise _error(exc, sql) from None
    return [Statement(r.stmt, r.stmt_location or 0, r.stmt_len or 0) for r in raw]


def parse_one(sql: str) -> Any:
    """The only statement's tree."""
    statements = parse(sql)
    if len(statements) != 1:
        raise SqlError("42601", "cannot insert multiple commands into a prepared statement")
    return statements[0].node


@lru_cache(4096)
def parse_expression(text: str) -> Any:
    """An expression kept as SQL text in the catalogue (defaults, checks)."""
    return parse_one("SELECT " + text).targetList[0].val


def deparse(node: Any) -> str:
    """A tree as SQL text on one line."""
    return str(RawStream()(node))
