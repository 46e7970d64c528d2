"""SQL text to PostgreSQL 15's raw parse tree. The one module that imports pglast.

Nodes are pglast's own (`pglast.ast`), passed on as they are; locations in them are 0-based characters of the text.
`pglast.ast` and `pglast.enums` are re-exported as `ast` and `enums`, so that nobody else imports pglast.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pglast import ast, enums
from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS, UNRESERVED_KEYWORDS
from pglast.parser import ParseError, fingerprint, parse_sql, parse_sql_json, split

from sixfold.engine.errors import SqlError
from sixfold.engine.long_texts import check_length, made

# Classes of statements that have a plan.
PLANNED = frozenset(("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"))

__all__ = [
    "KEYWORDS",
    "LiteralPosition",
    "Statement",
    "ast",
    "check",
    "deparse",
    "enums",
    "fingerprint",
    "literal_position",
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
    # The grammar itself says of some clauses that PostgreSQL has not got them.
    code = "0A000" if message.endswith("not yet implemented") else "42601"
    return SqlError(code, message, hint=_HINTS.get(message), position=position)


# Errors of the grammar that come with a hint, which pglast does not pass on.
_HINTS = {
    "subquery in FROM must have an alias": "For example, FROM (SELECT ...) [AS] foo.",
    "VALUES in FROM must have an alias": "For example, FROM (VALUES ...) [AS] foo.",
}


# What must be quoted to be a name.
_QUOTED = frozenset(COL_NAME_KEYWORDS) | frozenset(TYPE_FUNC_NAME_KEYWORDS) | frozenset(RESERVED_KEYWORDS)


def quote_ident(name: str) -> str:
    """The name as it must stand in SQL text, quoted only where that is needed."""
    if (
        name
        and (name[0].isalpha() or name[0] == "_")
        and name.islower()
        and name.replace("_", "a").isalnum()
        and name.isascii()
        and name not in _QUOTED
    ):
        return name
    return '"' + name.replace('"', '""') + '"'


def _parsed(sql: str, how: Callable[[str], Any]) -> Any:
    if "\0" in sql:
        raise SqlError("22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    check_length(sql)
    try:
        return how(sql)
    except ParseError as exc:
        raise _error(exc, sql) from None


def check(sql: str) -> None:
    """Is it SQL? For a fraction of what the trees cost."""
    _parsed(sql, parse_sql_json)


def parse(sql: str) -> list[Statement]:
    """All statements of a text; an empty text has none."""
    raw = _parsed(sql, parse_sql)
    made(raw)
    return [Statement(r.stmt, r.stmt_location or 0, r.stmt_len or 0) for r in raw]


def parse_one(sql: str) -> Any:
    """The only statement's tree."""
    statements = parse(sql)
    if len(statements) != 1:
        raise SqlError("42601", "cannot insert multiple commands into a prepared statement")
    return statements[0].node


@lru_cache(4096)
def parse_expression(text: str) -> Any:
    """An expression kept as SQL text in the catalogue (defaults, checks); the tree is everybody's."""
    return own_expression(text)


def own_expression(text: str) -> Any:
    """The same, for those who change the tree."""
    return parse_one("SELECT " + text).targetList[0].val


def deparse(node: Any) -> str:
    """A tree as SQL text on one line."""
    # pglast's printers, which few sessions need, take a while to import.
    return str(importlib.import_module("pglast.stream").RawStream()(node))


# ---- where literals stand


class LiteralPosition(int):
    """The position of a literal, to be found when an error needs it: pglast's A_Const has none."""

    node: Any

    def __new__(cls, node: Any) -> LiteralPosition:
        made = super().__new__(cls, 1)
        made.node = node
        return made


def _literals(node: Any) -> list[Any]:
    if isinstance(node, tuple):
        return [found for item in node for found in _literals(item)]
    if type(node) is ast.A_Const:
        return [node]
    if isinstance(node, ast.Node):
        return [found for attribute in node for found in _literals(getattr(node, attribute))]
    return []


def _places(tree: Any) -> list[int]:
    if isinstance(tree, list):
        return [found for item in tree for found in _places(item)]
    if isinstance(tree, dict):
        return [
            found
            for key, value in tree.items()
            for found in ([value.get("location", 0)] if key == "A_Const" else _places(value))
        ]
    return []


def literal_position(sql: str, stmt: Any, literal: LiteralPosition) -> int | None:
    """1-based position of a literal of the statement: the same walk over the tree that still has locations."""
    try:
        statements = parse_sql(sql)
        shown = json.loads(parse_sql_json(sql))["stmts"]
    except ParseError:
        return None
    nodes = _literals(stmt)
    for raw, tree in zip(statements, shown, strict=True):
        if raw.stmt == stmt:
            places = _places(tree)
            for node, place in zip(nodes, places, strict=False):
                if node is literal.node:
                    return len(sql.encode()[:place].decode(errors="ignore")) + 1
    return None


def is_plannable(node: Any) -> bool:
    """Does the planner take it? SELECT INTO is a utility."""
    name = type(node).__name__
    if name == "SelectStmt":
        return into_clause(node) is None
    return name in PLANNED


def into_clause(node: Any) -> Any:
    """The INTO clause of a SELECT (of the leftmost arm of a UNION)."""
    while node.larg is not None:
        node = node.larg
    return node.intoClause
