"""Names in string literals: 'schema.table'::regclass, 'int[]'::regtype and their kin."""

from __future__ import annotations

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.scope import Scope
from sixfold.engine.analyzer.types import resolve_type
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import parse_expression


def split_name(text: str, position: int | None = None) -> list[str]:
    """A qualified name's parts, folded and unquoted."""
    parts: list[str] = []
    rest = text.strip()
    while True:
        if rest.startswith('"'):
            end = 1
            part = ""
            while True:
                close = rest.find('"', end)
                if close < 0:
                    raise SqlError("42602", "invalid name syntax", position=position)
                part += rest[end:close]
                if rest[close + 1 : close + 2] != '"':
                    break
                part += '"'
                end = close + 2
            rest = rest[close + 1 :].lstrip()
        else:
            part, dot, after = rest.partition(".")
            rest = dot + after
            part = part.rstrip().lower()
        if not part:
            raise SqlError("42602", "invalid name syntax", position=position)
        parts.append(part)
        if not rest:
            return parts
        if not rest.startswith("."):
            raise SqlError("42602", "invalid name syntax", position=position)
        rest = rest[1:].lstrip()


def lookup_reg(scope: Scope, typ: int, text: str, position: int | None) -> int | None:
    """The OID that the text names; None where this kind is left to the server."""
    if text.isdigit():
        return int(text)
    if text == "-" and typ != oids.REGTYPE:
        return 0
    if typ == oids.REGCLASS:
        return _relation(scope, text, position)
    if typ == oids.REGTYPE:
        return _type(scope, text, position)
    if typ == oids.REGNAMESPACE:
        name = split_name(text, position)[0]
        found = scope.catalog.namespace_oid(name)
        if found is None:
            raise SqlError("3F000", f'schema "{name}" does not exist', position=position)
        return found
    if typ == oids.REGPROC:
        return _function(scope, text, position)
    return None


def _relation(scope: Scope, text: str, position: int | None) -> int:
    parts = split_name(text, position)
    if len(parts) > 3:
        raise SqlError("42601", f"improper relation name (too many dotted names): {text}", position=position)
    schema = parts[-2] if len(parts) > 1 else None
    relation = scope.catalog.relation(parts[-1], schema)
    if relation is None:
        shown = ".".join(parts)
        raise SqlError("42P01", f'relation "{shown}" does not exist', position=position)
    return relation.oid


def _type(scope: Scope, text: str, position: int | None) -> int:
    try:
        cast = parse_expression(f"NULL::{text}")
    except SqlError as error:
        raise SqlError(error.code, error.message, position=position) from None
    try:
        typ, _ = resolve_type(scope.catalog, cast.typeName)
    except SqlError as error:
        error.position = position
        raise
    return typ.oid


def _function(scope: Scope, text: str, position: int | None) -> int:
    parts = split_name(text, position)
    found = scope.catalog.functions(parts[-1], parts[-2] if len(parts) > 1 else None)
    if not found:
        raise SqlError("42883", f'function "{text}" does not exist', position=position)
    if len(found) > 1:
        raise SqlError("42725", f'more than one function named "{text}"', position=position)
    return found[0].oid
