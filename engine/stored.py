"""SQL text kept in the catalogue (defaults, views) names relations by OID, so that renaming one changes nothing.

A relation in FROM is kept as `pg_oid."16400" AS name`, a regclass constant as `'16400'::regclass`; both are shown with the names that
the reader's search path needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import parser
from .analyzer.names import split_name
from .catalog.snapshot import OID_SCHEMA, Catalog
from .errors import SqlError, not_built
from .parser import ast, quote_ident

REGCLASS = re.compile(r"'((?:[^']|'')*)'::regclass")
SEQUENCE_FUNCTIONS = frozenset(("nextval", "currval", "setval"))


def walk(node: Any, visit: Callable[[Any], None]) -> None:
    """Every node below and including this one."""
    if isinstance(node, tuple):
        for item in node:
            walk(item, visit)
    elif isinstance(node, ast.Node):
        visit(node)
        for name in node:
            value = getattr(node, name)
            if isinstance(value, tuple | ast.Node):
                walk(value, visit)


def kept_expression(catalog: Catalog, text: str) -> str:
    """An expression as it is kept."""

    def by_oid(match: re.Match[str]) -> str:
        name = match.group(1).replace("''", "'")
        if name.isdigit():
            return match.group()
        parts = split_name(name)
        found = catalog.relation(parts[-1], parts[-2] if len(parts) > 1 else None)
        if found is None:
            raise SqlError("42P01", f'relation "{name}" does not exist')
        return f"'{found.oid}'::regclass"

    return REGCLASS.sub(by_oid, text)


def shown_name(catalog: Catalog, oid: int) -> str | None:
    """A relation's name, with its schema where it is not visible without."""
    found = catalog.relation_by_oid(oid)
    if found is None:
        return None
    visible = catalog.relation(found.name)
    if visible is not None and visible.oid == oid:
        return quote_ident(found.name)
    return f"{quote_ident(found.schema)}.{quote_ident(found.name)}"


def shown_expression(catalog: Catalog, text: str) -> str:
    """A kept expression as it is shown."""

    def by_name(match: re.Match[str]) -> str:
        name = shown_name(catalog, int(match.group(1))) if match.group(1).isdigit() else None
        return match.group() if name is None else "'" + name.replace("'", "''") + "'::regclass"

    return REGCLASS.sub(by_name, text) if "::regclass" in text else text


def keep_query(catalog: Catalog, query: Any) -> None:
    """Change a view's query into the form in which it is kept."""
    ctes: set[str] = set()
    walk(query, lambda node: ctes.add(node.ctename) if isinstance(node, ast.CommonTableExpr) else None)

    def visit(node: Any) -> None:
        if isinstance(node, ast.RangeVar):
            if node.schemaname is None and node.relname in ctes:
                return
            found = catalog.relation(node.relname, node.schemaname)
            if found is None:
                return
            if node.alias is None:
                node.alias = ast.Alias(aliasname=node.relname)
            node.schemaname, node.relname, node.catalogname = OID_SCHEMA, str(found.oid), None
        elif isinstance(node, ast.ColumnRef) and len(node.fields) > 2:
            node.fields = node.fields[-2:]
        elif isinstance(node, ast.FuncCall) and node.funcname[-1].sval in SEQUENCE_FUNCTIONS and node.args:
            node.args = (_sequence(catalog, node.args[0]), *node.args[1:])

    walk(query, visit)


def _sequence(catalog: Catalog, arg: Any) -> Any:
    constant = arg.arg if isinstance(arg, ast.TypeCast) else arg
    if not isinstance(constant, ast.A_Const) or not isinstance(constant.val, ast.String):
        return arg
    parts = split_name(constant.val.sval)
    found = catalog.relation(parts[-1], parts[-2] if len(parts) > 1 else None)
    if found is None:
        return arg
    name = ast.TypeName(names=(ast.String("regclass"),), typemod=-1)
    return ast.TypeCast(arg=ast.A_Const(val=ast.String(str(found.oid)), isnull=False), typeName=name)


def shown_query(catalog: Catalog, text: str) -> str:
    """A view's query as it is shown."""
    query = parser.parse_one(text)

    def visit(node: Any) -> None:
        if isinstance(node, ast.RangeVar) and node.schemaname == OID_SCHEMA and node.relname.isdigit():
            found = catalog.relation_by_oid(int(node.relname))
            if found is None:
                return
            visible = catalog.relation(found.name)
            node.relname = found.name
            node.schemaname = None if visible is not None and visible.oid == found.oid else found.schema
            if node.alias is not None and node.alias.aliasname == found.name and not node.alias.colnames:
                node.alias = None

    walk(query, visit)
    return shown_expression(catalog, parser.deparse(query))


def renamed_column(text: str, relation: int, old: str, new: str) -> str:
    """A kept query after one of its relations' columns got another name. The query's own column names stay."""
    query = parser.parse_one(text)
    aliases: set[str] = set()

    def gather(node: Any) -> None:
        if isinstance(node, ast.RangeVar) and node.schemaname == OID_SCHEMA and node.relname == str(relation):
            aliases.add(node.alias.aliasname)
        elif isinstance(node, ast.JoinExpr) and any(part.sval == old for part in node.usingClause or ()):
            raise not_built("renaming a column by which a view joins with USING")

    def is_meant(node: Any) -> bool:
        if not isinstance(node, ast.ColumnRef) or getattr(node.fields[-1], "sval", None) != old:
            return False
        return len(node.fields) == 1 or node.fields[0].sval in aliases

    def change(node: Any) -> None:
        if isinstance(node, ast.ResTarget) and node.name is None and is_meant(node.val):
            node.name = old
        if is_meant(node):
            node.fields = (*node.fields[:-1], ast.String(new))

    walk(query, gather)
    walk(query, change)
    return parser.deparse(query)


def expand_star(query: Any, names: list[str]) -> bool:
    """Write a select list's only star out as columns; `names` are all columns of the result. False when it can not be done."""
    if query.larg is not None or not query.targetList:
        return not _stars(query)
    stars = _stars(query)
    if not stars:
        return True
    if len(stars) > 1 or query.op.name != "SETOP_NONE":
        return False
    at = stars[0]
    before = query.targetList[at].val.fields[:-1]
    count = len(names) - len(query.targetList) + 1
    columns = tuple(
        ast.ResTarget(val=ast.ColumnRef(fields=(*before, ast.String(name)))) for name in names[at : at + count]
    )
    query.targetList = (*query.targetList[:at], *columns, *query.targetList[at + 1 :])
    return True


def _stars(query: Any) -> list[int]:
    while query.larg is not None:
        query = query.larg
    found = []
    for at, target in enumerate(query.targetList or ()):
        fields = getattr(target.val, "fields", None)
        if fields and type(fields[-1]).__name__ == "A_Star":
            found.append(at)
    return found
