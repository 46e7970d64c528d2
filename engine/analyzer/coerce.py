"""Type conversion as PostgreSQL's chapter 10 says: what may be cast where, and the expression that does it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.host import is_host
from sixfold.engine.analyzer.names import lookup_reg
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.polymorphic import Solver
from sixfold.engine.analyzer.scope import Scope
from sixfold.engine.analyzer.typerows import BUILT, base_type, base_type_and_typmod, category, type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import contains, type_of, typmod_of
from sixfold.engine.catalog.model import Cast, CatalogReader, Type
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr
from sixfold.kernel._kernel import KernelError

# Pseudo-types whose constants no input function reads.
_FREE_FORM = frozenset((oids.CSTRING, oids.UNKNOWN, oids.VOID, oids.ANYARRAY))
_MOMENTS = re.compile(r"\b(?:now|today|tomorrow|yesterday)\b", re.I)

# How a cast may come about: implicitly, by assignment, by an explicit cast.
_RANK = {"i": 0, "a": 1, "e": 2}


class Pathway:
    """How to get from one type to another. `method`: relabel, func, io, array."""

    __slots__ = ("cast", "element", "method")

    def __init__(self, method: str, cast: Cast | None = None, element: Pathway | None = None) -> None:
        self.method = method
        self.cast = cast
        self.element = element


_RELABEL = Pathway("relabel")
_IO = Pathway("io")


def find_pathway(catalog: CatalogReader, target: int, source: int, context: str) -> Pathway | None:
    """find_coercion_pathway: by pg_cast, element by element, or by way of text."""
    source, target = base_type(catalog, source), base_type(catalog, target)
    if source == target:
        return _RELABEL
    cast = catalog.cast(source, target)
    if cast is not None:
        if _RANK[context] < _RANK[cast.context]:
            return None
        if cast.method == "f":
            return Pathway("func", cast)
        return _IO if cast.method == "i" else _RELABEL
    target_type, source_type = type_row(catalog, target), type_row(catalog, source)
    if target not in (oids.OIDVECTOR, oids.INT2VECTOR) and target_type.is_array and source_type.is_array:
        element = find_pathway(catalog, target_type.elem, source_type.elem, context)
        if element is not None:
            return _RELABEL if element.method == "relabel" else Pathway("array", element=element)
        return None
    if context != "i":
        if target_type.category == "S":
            return _IO
        if context == "e" and source_type.category == "S":
            return _IO
    return None


def is_binary_coercible(catalog: CatalogReader, source: int, target: int) -> bool:
    """May a value of `source` stand as it is where `target` is asked for?"""
    if source == target or target in (oids.ANY, oids.ANYELEMENT, oids.ANYCOMPATIBLE):
        return True
    source = base_type(catalog, source)
    if source == target:
        return True
    typ = type_row(catalog, source)
    if target in (oids.ANYARRAY, oids.ANYCOMPATIBLEARRAY) and typ.is_array:
        return True
    if target in (oids.ANYNONARRAY, oids.ANYCOMPATIBLENONARRAY) and not typ.is_array:
        return True
    if target == oids.ANYENUM and typ.kind == "e":
        return True
    if target in (oids.ANYRANGE, oids.ANYCOMPATIBLERANGE) and typ.kind == "r":
        return True
    if target == oids.RECORD and typ.kind == "c":
        return True
    cast = catalog.cast(source, target)
    return cast is not None and cast.method == "b" and cast.context == "i"


def can_coerce(catalog: CatalogReader, sources: Sequence[int], targets: Sequence[int], context: str) -> bool:
    """can_coerce_type, over argument lists."""
    generic = False
    for source, target in zip(sources, targets, strict=True):
        if source == target or target == oids.ANY:
            continue
        if target in oids.POLYMORPHIC:
            generic = True
            continue
        if source == UNKNOWN:
            continue
        if find_pathway(catalog, target, source, context) is not None:
            continue
        source_type = type_row(catalog, source)
        if source == oids.RECORD and type_row(catalog, target).kind == "c":
            continue
        if target == oids.RECORD and source_type.kind == "c":
            continue
        if target == oids.RECORDARRAY and source_type.is_array and type_row(catalog, source_type.elem).kind == "c":
            continue
        return False
    return not generic or polymorphic_consistent(catalog, targets, sources)


# ---- making the expression


def coerce(
    scope: Scope,
    expr: Expr,
    target: int,
    typmod: int,
    context: str,
    position: int | None = None,
    explicit: bool = False,
) -> Expr | None:
    """coerce_to_target_type: None when there is no such cast. `explicit` cuts too long values silently."""
    source = type_of(expr)
    if source != target and not can_coerce(scope.catalog, (source,), (target,), context):
        return None
    result = coerce_type(scope, expr, source, target, typmod, context, position)
    return coerce_typmod(scope, result, target, typmod, explicit)


def coerce_typmod(scope: Scope, expr: Expr, target: int, typmod: int, explicit: bool) -> Expr:
    """Apply a length, where the expression does not have it already."""
    base, typmod = base_type_and_typmod(scope.catalog, target, typmod) if typmod < 0 else (target, typmod)
    if typmod < 0 or typmod == typmod_of(expr):
        return expr
    typ = type_row(scope.catalog, base)
    if typ.is_array:
        cast = nodes.Typmod(nodes.Col(0, typ.elem), typ.elem, typmod, explicit)
        return tree.ArrayCast(expr, cast, typ.elem, typ.elem, target)
    return nodes.Typmod(expr, target, typmod, explicit)


def coerce_type(
    scope: Scope, expr: Expr, source: int, target: int, typmod: int, context: str, position: int | None = None
) -> Expr:
    """coerce_type: the cast is known to be possible."""
    if target == source or target in (
        oids.ANY,
        oids.ANYELEMENT,
        oids.ANYNONARRAY,
        oids.ANYCOMPATIBLE,
        oids.ANYCOMPATIBLENONARRAY,
    ):
        return expr
    catalog = scope.catalog
    if target in oids.POLYMORPHIC and source != UNKNOWN:
        return _relabel(expr, base_type(catalog, source))
    if source == UNKNOWN:
        kind = type(expr)
        if kind is nodes.Const:
            return _literal(scope, expr, target, typmod, position)  # type: ignore[arg-type]
        if kind is nodes.Param:
            return _infer(scope, expr, target, position)  # type: ignore[arg-type]
        if kind is tree.Relabel and isinstance(expr.arg, nodes.Const):  # type: ignore[attr-defined]
            return _literal(scope, expr.arg, target, typmod, position)  # type: ignore[attr-defined]
    pathway = find_pathway(catalog, target, source, context)
    if pathway is not None:
        base = base_type(catalog, target)
        result = build_cast(scope, pathway, expr, source, base, context == "e")
        return to_domain(scope, result, base, target)
    if source == oids.RECORD and type_row(catalog, target).kind == "c":
        return _record_to_composite(scope, expr, target, context, position)
    if target in (oids.RECORD, oids.RECORDARRAY):
        return _relabel(expr, target)
    raise SqlError(
        "XX000",
        f"failed to find conversion function from {format_type(catalog, source)} to {format_type(catalog, target)}",
    )


def _relabel(expr: Expr, target: int) -> Expr:
    return expr if type_of(expr) == target else tree.Relabel(expr, target)


def _literal(scope: Scope, expr: nodes.Const, target: int, typmod: int, position: int | None) -> Expr:
    base, base_typmod = base_type_and_typmod(scope.catalog, target, typmod)
    text = expr.text
    row = scope.catalog.type_by_oid(base)
    if base in oids.REG_TYPES and text is not None:
        result: Expr = reg_literal(scope, base, text, position)
    elif row is not None and row.is_array and row.elem in oids.REG_TYPES and text is not None:
        parts = [p.strip().strip('"') for p in text.strip().strip("{}").split(",") if p.strip()]
        result = nodes.Array([reg_literal(scope, row.elem, p, position) for p in parts], row.elem, base, False)
    elif base == oids.INTERVAL and base_typmod >= 0 and text is not None:
        # The fields that a typmod names say what a bare number means.
        result = nodes.CastIo(nodes.Const(oids.TEXT, text), oids.TEXT, base, base_typmod)
    else:
        settled = None if text is None else _read(scope, base, text, position)
        if text is not None and _is_of_the_moment(scope, base, text):
            result = nodes.CastIo(nodes.Const(oids.TEXT, text), oids.TEXT, base, -1)
        else:
            result = nodes.Const(base, settled)
    if base != target:
        result = coerce_typmod(scope, result, base, base_typmod, False)
    return to_domain(scope, result, base, target)


def _infer(scope: Scope, expr: nodes.Param, target: int, position: int | None) -> Expr:
    shown = ""
    now = scope.context.params.types[expr.n]
    if now not in (UNKNOWN, target):
        shown = f"{format_type(scope.catalog, now)} versus {format_type(scope.catalog, target)}"
    scope.context.params.infer(expr.n, target, shown, position)
    return nodes.Param(expr.n, target)


def to_domain(scope: Scope, expr: Expr, base: int, target: int) -> Expr:
    """A value as one of a domain. The domain's constraints are checked where it is stored."""
    if base == target:
        return expr
    _, typmod = base_type_and_typmod(scope.catalog, target)
    if typmod >= 0:
        expr = coerce_typmod(scope, expr, base, typmod, False)
    return tree.Relabel(expr, target)


def build_cast(scope: Scope, pathway: Pathway, expr: Expr, source: int, target: int, explicit: bool) -> Expr:
    """The expression for a pathway between base types."""
    base_source = base_type(scope.catalog, source)
    if pathway.method == "relabel":
        return _relabel(expr, target)
    if pathway.method == "io":
        return io_cast(scope, expr, base_source, target)
    if pathway.method == "array":
        assert pathway.element is not None, "an array pathway has its elements' pathway"
        from_elem = type_row(scope.catalog, base_source).elem
        to_elem = type_row(scope.catalog, target).elem
        cast = build_cast(scope, pathway.element, nodes.Col(0, from_elem), from_elem, to_elem, explicit)
        return tree.ArrayCast(expr, cast, from_elem, to_elem, target)
    cast_row = pathway.cast
    assert cast_row is not None, "a function pathway has its cast"
    return function_cast(scope, cast_row, expr, base_source, target, explicit)


# Casts that leave a constant's text as it is.
_PLAIN_CASTS = frozenset(
    {(oids.INT2, oids.INT4), (oids.INT2, oids.INT8), (oids.INT4, oids.INT8)}
    | {(source, oids.NUMERIC) for source in (oids.INT2, oids.INT4, oids.INT8)}
)


def function_cast(scope: Scope, cast: Cast, expr: Expr, source: int, target: int, explicit: bool) -> Expr:
    """A call of a cast's function; one that is written in SQL is expanded."""
    if type(expr) is nodes.Const and (source, target) in _PLAIN_CASTS:
        return nodes.Const(target, expr.text)
    function = scope.catalog.function_by_oid(cast.proc)
    args: list[Expr] = [expr]
    types = [source]
    if function is not None:
        types = list(function.args[: cast.nargs])
        if function.body is not None and function.language == "sql":
            return scope.context.inline(scope, function, args)
    if cast.nargs >= 2:
        args.append(nodes.Const(oids.INT4, "-1"))
    if cast.nargs >= 3:
        args.append(nodes.Const(oids.BOOL, "t" if explicit else "f"))
    if (source in oids.REG_TYPES or target in oids.REG_TYPES) and is_host(cast.func):
        return nodes.Host(cast.func, args, types, target)
    if source == oids.INT2 and oids.is_oid(target):
        return _relabel(nodes.Func(cast.func, args, types, oids.INT4), target)
    return nodes.Func(cast.func, args, types, target)


def io_cast(scope: Scope, expr: Expr, source: int, target: int, typmod: int = -1) -> Expr:
    """By way of text; object names ask the catalogue."""
    if source >= 10000 and type_row(scope.catalog, source).kind == "c":
        source = oids.RECORD
    if source in oids.REG_TYPES:
        text = nodes.Host(type_row(scope.catalog, source).name + "out", [expr], [source], oids.TEXT)
        return text if target == oids.TEXT else _relabel(text, target)
    if target in oids.REG_TYPES:
        return nodes.Host(type_row(scope.catalog, target).name + "in", [expr], [oids.TEXT], target)
    return nodes.CastIo(expr, source, target, typmod)


def reg_literal(scope: Scope, typ: int, text: str, position: int | None) -> Expr:
    """'name'::regclass and its like: looked up now where that is possible."""
    oid = lookup_reg(scope, typ, text, position)
    if oid is None:
        return nodes.Host(type_row(scope.catalog, typ).name + "in", [nodes.Const(oids.TEXT, text)], [oids.TEXT], typ)
    return nodes.Const(typ, str(oid))


def _read(scope: Scope, typ: int, text: str, position: int | None) -> str:
    """A constant's text, checked by its type's input function now, so that errors have a position; times are written as they read
    under any session's settings."""
    row = scope.catalog.type_by_oid(typ)
    if row is not None and row.kind == "p" and typ not in _FREE_FORM:
        raise SqlError("0A000", f"cannot accept a value of type {row.name}", position=position)
    if typ == oids.RECORD or (row is not None and row.kind == "c"):
        raise not_built("input of composite types", position)
    if typ in _FREE_FORM:
        return text
    if typ not in BUILT:
        raise not_built(f"type {format_type(scope.catalog, typ)}", position)
    try:
        if _element(row, typ) in oids.DATETIME:
            return scope.context.reading.settled(typ, text)
        scope.context.reading.check(typ, text)
    except KernelError as error:
        raise SqlError(
            error.code,
            error.message,
            detail=error.detail,
            hint=error.hint,
            position=position,
            context=error.context,
        ) from None
    return text


def _element(row: Type | None, typ: int) -> int:
    return row.elem if row is not None and row.is_array else typ


def _is_of_the_moment(scope: Scope, typ: int, text: str) -> bool:
    """'today' and its like mean something else each day: such a constant is read when the statement runs."""
    return _element(scope.catalog.type_by_oid(typ), typ) in oids.DATETIME and _MOMENTS.search(text) is not None


def _record_to_composite(scope: Scope, expr: Expr, target: int, context: str, position: int | None) -> Expr:
    row = type_row(scope.catalog, target)
    relation = scope.catalog.relation_by_oid(row.relation)
    if relation is None or not isinstance(expr, nodes.Row):
        raise SqlError("42846", f"cannot cast type record to {format_type(scope.catalog, target)}", position=position)
    columns = [c for c in relation.columns if not c.dropped]
    if len(columns) != len(expr.args):
        raise SqlError(
            "42846",
            f"cannot cast type record to {format_type(scope.catalog, target)}",
            detail="Input has too few columns." if len(expr.args) < len(columns) else "Input has too many columns.",
            position=position,
        )
    args = []
    for column, arg in zip(columns, expr.args, strict=True):
        cast = coerce(scope, arg, column.typ, column.typmod, context, position)
        if cast is None:
            raise SqlError(
                "42846", f"cannot cast type record to {format_type(scope.catalog, target)}", position=position
            )
        args.append(cast)
    return tree.Relabel(nodes.Row(args, [c.typ for c in columns]), target)


# ---- common types (UNION, CASE, ARRAY …)


class HasCatalog(Protocol):
    """Whatever knows its catalogue."""

    catalog: CatalogReader


def common_type(
    scope: HasCatalog,
    exprs: Sequence[Expr],
    what: str | None,
    positions: Sequence[int | None],
    types: Sequence[int] | None = None,
) -> int:
    """select_common_type. `what` names the construct in the error; None: answer 0 instead of an error."""
    catalog = scope.catalog
    if types is None:
        types = [type_of(e) for e in exprs]
    first = types[0]
    if first != UNKNOWN and all(t == first for t in types):
        return first
    best = base_type(catalog, first)
    best_category, best_preferred = category(catalog, best) if best != UNKNOWN else ("X", False)
    for typ, position in zip(types[1:], positions[1:], strict=True):
        new = base_type(catalog, typ)
        if new in (UNKNOWN, best):
            continue
        new_category, new_preferred = category(catalog, new)
        if best == UNKNOWN:
            best, best_category, best_preferred = new, new_category, new_preferred
        elif new_category != best_category:
            if what is None:
                return 0
            raise SqlError(
                "42804",
                f"{what} types {format_type(catalog, best)} and {format_type(catalog, new)} cannot be matched",
                position=position,
            )
        elif (
            not best_preferred
            and can_coerce(catalog, (best,), (new,), "i")
            and not can_coerce(catalog, (new,), (best,), "i")
        ):
            best, best_category, best_preferred = new, new_category, new_preferred
    return oids.TEXT if best == UNKNOWN else best


def coerce_to_common(scope: Scope, expr: Expr, target: int, what: str, position: int | None) -> Expr:
    """coerce_to_common_type."""
    source = type_of(expr)
    if source == target:
        return expr
    if not can_coerce(scope.catalog, (source,), (target,), "i"):
        raise SqlError(
            "42846",
            f"{what} could not convert type {format_type(scope.catalog, source)} to {format_type(scope.catalog, target)}",
            position=position,
        )
    return coerce_type(scope, expr, source, target, -1, "i", position)


def common_typmod(exprs: Sequence[Expr], typ: int) -> int:
    """The typmod that all share, else -1."""
    first = typmod_of(exprs[0])
    for e in exprs:
        if type_of(e) != typ or typmod_of(e) != first:
            return -1
    return first


def coerce_to_boolean(scope: Scope, expr: Expr, construct: str, position: int | None) -> Expr:
    """The argument of WHERE, AND, …"""
    typ = type_of(expr)
    if typ != oids.BOOL:
        cast = coerce(scope, expr, oids.BOOL, -1, "a", position)
        if cast is None:
            raise SqlError(
                "42804",
                f"argument of {construct} must be type boolean, not type {format_type(scope.catalog, typ)}",
                position=position,
            )
        expr = cast
    if scope.query.has_srfs and returns_set(expr):
        raise SqlError("42804", f"argument of {construct} must not return a set", position=position)
    return expr


def returns_set(expr: Expr) -> bool:
    """Is a set-returning function somewhere in it?"""
    return contains(expr, lambda e: type(e) is tree.SetRef)


def coerce_to_type(scope: Scope, expr: Expr, target: int, construct: str, position: int | None) -> Expr:
    """The argument of LIMIT and others that want one type."""
    typ = type_of(expr)
    if typ == target:
        return expr
    cast = coerce(scope, expr, target, -1, "a", position)
    if cast is None:
        raise SqlError(
            "42804",
            f"argument of {construct} must be type {format_type(scope.catalog, target)}, not type {format_type(scope.catalog, typ)}",
            position=position,
        )
    return cast


# ---- polymorphic types


class _CatalogOnly:
    """Enough of a scope for `common_type`."""

    def __init__(self, catalog: CatalogReader) -> None:
        self.catalog = catalog


def _common_of(catalog: CatalogReader, types: Sequence[int]) -> int:
    return common_type(_CatalogOnly(catalog), (), None, [None] * len(types), types)


def polymorphic_consistent(catalog: CatalogReader, declared: Sequence[int], actual: Sequence[int]) -> bool:
    """check_generic_type_consistency."""
    try:
        resolve_polymorphic(catalog, declared, list(actual), 0, checking=True)
    except SqlError:
        return False
    return True


def resolve_polymorphic(
    catalog: CatalogReader, declared: Sequence[int], actual: list[int], rettype: int, checking: bool = False
) -> tuple[list[int], int]:
    """enforce_generic_type_consistency: the declared argument types with the polymorphic ones replaced, and the result type."""
    return Solver(catalog, checking, _common_of).solve(declared, actual, rettype)
