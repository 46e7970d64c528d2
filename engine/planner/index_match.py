"""Which conditions an index can answer, and the bounds for it.

Bounds are prefixes of the key columns in the index's own order: for a descending column `<` bounds the range from below.
"""

from __future__ import annotations

from functools import cache

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.tree import Var
from sixfold.engine.analyzer.walk import strip, type_of
from sixfold.engine.catalog.model import Column, Index, Relation
from sixfold.engine.facts import FACTS
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr
from sixfold.engine.planner.quals import btree_functions, comparisons, has_sublink, is_volatile, references

_RANGES = {oids.INT2: (-(1 << 15), (1 << 15) - 1), oids.INT4: (-(1 << 31), (1 << 31) - 1)}
_INTS = (oids.INT2, oids.INT4, oids.INT8)


class Match:
    """What an index answers of a list of conditions. Expressions are not lowered yet."""

    __slots__ = ("any", "equal", "high", "index", "low", "nulls", "place", "rel", "rest", "selective", "used")

    def __init__(self, rel: int, place: int, index: Index) -> None:
        self.rel = rel
        self.place = place
        self.index = index
        # Values of the leading columns that are equal to something; `nulls` where IS NULL is asked for.
        self.equal: list[Expr] = []
        self.nulls: list[bool] = []
        self.any: Expr | None = None
        # Bounds in index order for the column after them: (value, inclusive).
        self.low: tuple[Expr, bool] | None = None
        self.high: tuple[Expr, bool] | None = None
        # Conditions that the bounds make true, and all that they were made from.
        self.rest: list[Expr] = []
        self.used: list[Expr] = []
        self.selective = False

    @property
    def unique(self) -> bool:
        """At most one row."""
        return (
            self.index.unique and self.any is None and len(self.equal) == len(self.index.keys) and not any(self.nulls)
        )


@cache
def key_family(opclass: int, typ: int) -> int:
    """The operator family of an index column."""
    if opclass:
        known = FACTS.opclass_oids.get(opclass)
        if known is not None:
            return known.family
    lookup = oids.TEXT if typ == oids.VARCHAR else typ
    default = FACTS.default_btree.get(lookup)
    if default is None:
        row = FACTS.types.get(lookup)
        generic = oids.ANYARRAY if row is not None and row.is_array else oids.ANYENUM
        default = FACTS.default_btree.get(generic)
    return default.family if default is not None else 0


@cache
def _widening(source: int, target: int) -> str | None:
    """prosrc of an implicit cast that keeps order."""
    safe = {
        (oids.INT2, oids.INT4), (oids.INT2, oids.INT8), (oids.INT4, oids.INT8), (oids.FLOAT4, oids.FLOAT8),
        (oids.DATE, oids.TIMESTAMP), (oids.DATE, oids.TIMESTAMPTZ), (oids.TIMESTAMP, oids.TIMESTAMPTZ),
    }  # fmt: skip
    if (source, target) not in safe:
        return None
    cast = FACTS.casts.get((source, target))
    return cast.func if cast is not None else None


def bound_value(value: Expr, source: int, column: Column, strategy: int) -> Expr | None:
    """The value as one of the key column's type; None where that can't be said exactly."""
    target = column.typ
    if source == target or {source, target} <= {oids.TEXT, oids.VARCHAR}:
        return value
    if source in (oids.TEXT, oids.VARCHAR) and FACTS.types.get(target) is None:
        return None
    func = _widening(source, target)
    if func is not None:
        return nodes.Func(func, [value], [source], target)
    if source in _INTS and target in _RANGES:
        return _narrow(value, source, target, strategy)
    row_source, row_target = FACTS.types.get(source), FACTS.types.get(target)
    if row_source is not None and row_target is not None and row_source.is_array and source == target:
        return value
    return None


def _narrow(value: Expr, source: int, target: int, strategy: int) -> Expr | None:
    low, high = _RANGES[target]
    constant = strip(value)
    if type(constant) is nodes.Const:
        if constant.text is None:
            return nodes.Const(target, None)
        number = int(constant.text)
        if low <= number <= high:
            return nodes.Const(target, str(number))
        return nodes.Const(target, None) if strategy == 3 else None
    if strategy != 3:
        return None
    # Out of the column's range nothing is equal: a null bound makes the scan empty.
    le = {oids.INT8: "int8le", oids.INT4: "int4le"}[source]
    fits = nodes.And(
        [
            nodes.Func(le, [nodes.Const(source, str(low)), value], [source, source], oids.BOOL),
            nodes.Func(le, [value, nodes.Const(source, str(high))], [source, source], oids.BOOL),
        ]
    )
    cast = FACTS.casts[(source, target)].func
    return nodes.Case([(fits, nodes.Func(cast, [value], [source], target))], nodes.Const(target, None), target)


def match_index(relation: Relation, rel: int, place: int, quals: list[Expr]) -> Match | None:
    """The best use of one index for these conditions; None when it is of no use."""
    index = relation.indexes[place]
    if index.exprs or index.predicate is not None or not index.valid:
        return None
    match = Match(rel, place, index)
    match.rest = list(quals)
    for key in index.keys:
        if key.attnum <= 0:
            break
        column = relation.columns[key.attnum - 1]
        family = key_family(key.opclass, column.typ)
        candidates = _candidates(quals, rel, key.attnum - 1)
        if _equal(match, candidates, column, family):
            continue
        if _any(match, candidates, column, family):
            break
        _range(match, candidates, column, family, key.desc, key.nulls_first)
        break
    match.selective = bool(match.equal or match.any is not None or match.low or match.high)
    return match if match.selective else None


def _candidates(quals: list[Expr], rel: int, col: int) -> list[Expr]:
    result = []
    for qual in quals:
        kind = type(qual)
        if kind is nodes.Func:
            if any(_is(strip(a), rel, col) for a in qual.args):  # type: ignore[attr-defined]
                result.append(qual)
        elif kind is nodes.AnyAll:
            if not qual.all and _is(strip(qual.left), rel, col):  # type: ignore[attr-defined]
                result.append(qual)
        elif kind is nodes.IsNull and not qual.not_ and _is(strip(qual.arg), rel, col):  # type: ignore[attr-defined]
            result.append(qual)
    return result


def _is(expr: Expr, rel: int, col: int) -> bool:
    return type(expr) is Var and expr.rel == rel and expr.col == col


def _usable(value: Expr, rel: int) -> bool:
    return not references(value, rel) and not is_volatile(value) and not has_sublink_of(value, rel)


def has_sublink_of(value: Expr, rel: int) -> bool:
    """Subqueries in bounds are left to filters."""
    return has_sublink(value)


def _equal(match: Match, candidates: list[Expr], column: Column, family: int) -> bool:
    for qual in candidates:
        if type(qual) is nodes.IsNull:
            match.equal.append(nodes.Const(column.typ, None))
            match.nulls.append(True)
            _consume(match, qual, True)
            return True
        for c in comparisons(qual):
            if (
                c.strategy != 3
                or family not in c.families
                or not _is(c.var, match.rel, column.attnum - 1)
                or not _usable(c.value, match.rel)
            ):
                continue
            value = bound_value(c.value, c.value_type, column, 3)
            if value is not None:
                match.equal.append(value)
                match.nulls.append(False)
                _consume(match, qual, True)
                return True
    return False


def _any(match: Match, candidates: list[Expr], column: Column, family: int) -> bool:
    for qual in candidates:
        if type(qual) is not nodes.AnyAll:
            continue
        rows = btree_functions().get(qual.func)
        left = strip(qual.left)
        if rows is None or type(left) is not Var or not any(r[0] == family and r[3] == 3 for r in rows):
            continue
        same = qual.elem == column.typ or {qual.elem, column.typ} <= {oids.TEXT, oids.VARCHAR}
        if same and _usable(qual.array, left.rel):
            match.any = qual.array
            _consume(match, qual, True)
            return True
    return False


def _consume(match: Match, qual: Expr, exact: bool) -> None:
    match.used.append(qual)
    if exact:
        match.rest = [q for q in match.rest if q is not qual]


def _range(match: Match, candidates: list[Expr], column: Column, family: int, desc: bool, nulls_first: bool) -> None:
    consumed: list[Expr] = []
    for qual in candidates:
        for c in comparisons(qual):
            if (
                c.strategy == 3
                or family not in c.families
                or not _is(c.var, match.rel, column.attnum - 1)
                or not _usable(c.value, match.rel)
            ):
                continue
            value = bound_value(c.value, c.value_type, column, c.strategy)
            if value is None:
                continue
            below = c.strategy in (4, 5)
            inclusive = c.strategy in (2, 4)
            if below != desc:
                if match.low is None:
                    match.low = (value, inclusive)
                    consumed.append(qual)
            elif match.high is None:
                match.high = (value, inclusive)
                consumed.append(qual)
            break
    if not consumed:
        _prefix(match, candidates, column, family, desc)
        return
    # A side without a bound reaches the nulls, if they stand there; then the condition stays as a filter.
    open_to_nulls = not column.not_null and (
        (match.high is None and not nulls_first) or (match.low is None and nulls_first)
    )
    for qual in consumed:
        _consume(match, qual, not open_to_nulls)


def _prefix(match: Match, candidates: list[Expr], column: Column, family: int, desc: bool) -> None:
    """`LIKE 'abc%'`: a range of texts; the condition itself stays."""
    if column.typ not in (oids.TEXT, oids.VARCHAR) or desc:
        return
    for qual in candidates:
        if type(qual) is not nodes.Func or qual.func != "textlike" or strip(qual.args[0]) is qual.args[1]:
            continue
        pattern = strip(qual.args[1])
        if type(pattern) is not nodes.Const or not pattern.text or type(strip(qual.args[0])) is not Var:
            continue
        prefix = ""
        for char in pattern.text:
            if char in "%_\\":
                break
            prefix += char
        after = _successor(prefix)
        if not prefix or after is None:
            return
        match.low = (nodes.Const(column.typ, prefix), True)
        match.high = (nodes.Const(column.typ, after), False)
        _consume(match, qual, False)
        return


def _successor(prefix: str) -> str | None:
    """The least text above everything that begins with `prefix`, in byte order."""
    for i in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[i])
        following = 0xE000 if code + 1 == 0xD800 else code + 1
        if following <= 0x10FFFF:
            return prefix[:i] + chr(following)
    return None


def bounds(match: Match, lower: object) -> tuple[nodes.Bound | None, nodes.Bound | None]:
    """The bounds with their values lowered by `lower`."""
    change = lower  # Callable[[Expr], Expr]
    equal = [change(v) for v in match.equal]  # type: ignore[operator]

    def bound(side: tuple[Expr, bool] | None) -> nodes.Bound | None:
        if side is not None:
            return nodes.Bound([*equal, change(side[0])], side[1], [*match.nulls, False])  # type: ignore[operator]
        if equal:
            return nodes.Bound(list(equal), True, list(match.nulls))
        return None

    return bound(match.low), bound(match.high)


__all__ = ["Match", "bound_value", "bounds", "key_family", "match_index", "type_of"]
