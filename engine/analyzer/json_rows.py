"""json_to_record, json_populate_record and their kin in FROM: each column is read from the object by its name."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.scope import Scope
from sixfold.engine.analyzer.typerows import type_row
from sixfold.engine.analyzer.types import format_type, resolve_type
from sixfold.engine.parser import ast, parse_one, quote_ident

_KINDS = ("to_record", "to_recordset", "populate_record", "populate_recordset")
_FUNCTIONS = {f"{prefix}_{kind}": (prefix, kind) for prefix in ("json", "jsonb") for kind in _KINDS}


def json_rows(scope: Scope, node: Any) -> Any:
    """The subquery that a RangeFunction of these stands for; None where it is none of them."""
    func, definitions = node.functions[0]
    if len(node.functions) != 1 or type(func) is not ast.FuncCall or node.ordinality:
        return None
    prefix, kind = _FUNCTIONS.get(func.funcname[-1].sval, ("", ""))
    args: tuple[Any, ...] = func.args or ()
    populate = kind.startswith("populate")
    if not kind or len(args) != (2 if populate else 1):
        return None
    columns = _columns_of_null(scope, args[0]) if populate else _defined(scope, node.coldeflist or definitions)
    if columns is None:
        return None
    shown = ", ".join(
        f"{_value(scope, prefix, name, typ, typmod)} AS {quote_ident(name)}" for name, typ, typmod in columns
    )
    source = f"pg_catalog.{prefix}_array_elements(NULL)" if kind.endswith("set") else f"CAST(NULL AS {prefix})"
    query = parse_one(
        f"SELECT {shown} FROM {source} AS e(v)"
        if kind.endswith("set")
        else f"SELECT {shown} FROM (SELECT {source}) AS e(v)"
    )
    inner = query.fromClause[0]
    if kind.endswith("set"):
        inner.functions[0][0].args = (args[-1],)
    else:
        inner.subquery.targetList[0].val.arg = args[-1]
        inner.lateral = True
    alias = node.alias or ast.Alias(aliasname=func.funcname[-1].sval)
    return ast.RangeSubselect(lateral=True, subquery=query, alias=alias)


def _defined(scope: Scope, definitions: Any) -> list[tuple[str, int, int]] | None:
    if not definitions:
        return None
    found = []
    for d in definitions:
        typ, typmod = resolve_type(scope.catalog, d.typeName)
        found.append((d.colname, typ.oid, typmod))
    return found


def _columns_of_null(scope: Scope, base: Any) -> list[tuple[str, int, int]] | None:
    """The columns of `NULL::table`; a row that has values of its own is not built."""
    if type(base) is not ast.TypeCast or type(base.arg) is not ast.A_Const or not base.arg.isnull:
        return None
    typ = resolve_type(scope.catalog, base.typeName)[0]
    relation = scope.catalog.relation_by_oid(typ.relation) if typ.kind == "c" else None
    return [(c.name, c.typ, c.typmod) for c in relation.columns if not c.dropped] if relation is not None else None


def _value(scope: Scope, prefix: str, name: str, typ: int, typmod: int) -> str:
    """One field as SQL over `v`. JSON's null is SQL's, for a column of type json too."""
    key = "'" + name.replace("'", "''") + "'"
    shown = format_type(scope.catalog, typ, typmod)
    row = type_row(scope.catalog, typ)
    if typ in (oids.JSON, oids.JSONB):
        return f"CASE WHEN (v ->> {key}) IS NOT NULL THEN CAST(v -> {key} AS {shown}) END"
    if row.is_array:
        elem = format_type(scope.catalog, row.elem)
        ending = "" if row.elem in (oids.JSON, oids.JSONB) else "_text"
        items = f"SELECT CAST(x AS {elem}) FROM pg_catalog.{prefix}_array_elements{ending}(v -> {key}) AS t(x)"
        return f"CASE pg_catalog.{prefix}_typeof(v -> {key}) WHEN 'array' THEN ARRAY({items})::{shown} ELSE CAST(v ->> {key} AS {shown}) END"
    return f"CAST(v ->> {key} AS {shown})"
