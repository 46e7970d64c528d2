"""Which operator or function a call means: PostgreSQL's chapter 10, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.coerce import can_coerce, coerce_type, find_pathway, resolve_polymorphic
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.scope import Scope
from sixfold.engine.analyzer.typerows import base_type, category, type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.catalog.model import CatalogReader, Function, Operator
from sixfold.engine.errors import SqlError
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr


class Candidate:
    """One function or operator with the argument types that it has in this call."""

    __slots__ = ("args", "defaults", "item", "order", "variadic")

    def __init__(self, item: Any, args: tuple[int, ...], variadic: bool = False, defaults: int = 0) -> None:
        self.item = item
        self.args = args
        self.variadic = variadic
        self.defaults = defaults
        # Place of each call argument in the function's own order, where named notation was used.
        self.order: list[int] | None = None


def select_candidate(catalog: CatalogReader, actual: Sequence[int], candidates: list[Candidate]) -> Candidate | None:
    """func_select_candidate: the one that fits best; None when that is not clear."""
    base = [t if t == UNKNOWN else base_type(catalog, t) for t in actual]
    known = [i for i, t in enumerate(base) if t != UNKNOWN]
    unknown = len(base) - len(known)

    def best(score: Any, pool: list[Candidate]) -> list[Candidate]:
        scores = [score(c) for c in pool]
        top = max(scores)
        return [c for c, s in zip(pool, scores, strict=True) if s == top]

    candidates = best(lambda c: sum(c.args[i] == base[i] for i in known), candidates)
    if len(candidates) == 1:
        return candidates[0]
    slot = {i: category(catalog, base[i])[0] for i in known}

    def preferred(c: Candidate) -> int:
        count = 0
        for i in known:
            if c.args[i] == base[i]:
                count += 1
            else:
                cat, pref = category(catalog, c.args[i])
                count += pref and cat == slot[i]
        return count

    candidates = best(preferred, candidates)
    if len(candidates) == 1:
        return candidates[0]
    if not unknown:
        return None
    candidates = _by_unknown_categories(catalog, base, candidates)
    if len(candidates) == 1:
        return candidates[0]
    if unknown < len(base):
        types = {base[i] for i in known}
        if len(types) == 1:
            guess = [next(iter(types))] * len(base)
            fitting = [c for c in candidates if can_coerce(catalog, guess, c.args, "i")]
            if len(fitting) == 1:
                return fitting[0]
    return None


def _by_unknown_categories(catalog: CatalogReader, base: list[int], candidates: list[Candidate]) -> list[Candidate]:
    wanted: dict[int, tuple[str, bool]] = {}
    for i, typ in enumerate(base):
        if typ != UNKNOWN:
            continue
        chosen: str | None = None
        has_preferred = conflict = False
        for c in candidates:
            cat, pref = category(catalog, c.args[i])
            if chosen is None:
                chosen, has_preferred = cat, pref
            elif cat == chosen:
                has_preferred |= pref
            elif cat == "S":
                chosen, has_preferred = cat, pref
            else:
                conflict = True
        if conflict and chosen != "S":
            return candidates
        wanted[i] = (chosen or "X", has_preferred)

    def keeps(c: Candidate) -> bool:
        for i, (cat, has_preferred) in wanted.items():
            own, pref = category(catalog, c.args[i])
            if own != cat or (has_preferred and not pref):
                return False
        return True

    return [c for c in candidates if keeps(c)] or candidates


# ---- operators

_OPERATOR_CACHE: dict[tuple[str, int, int], Operator] = {}


def find_operator(scope: Scope, name: str, schema: str | None, left: int, right: int, position: int | None) -> Operator:
    """oper() and left_oper() (`left` 0)."""
    catalog = scope.catalog
    key = (name, left, right)
    cacheable = schema is None and left < 10000 and right < 10000
    if cacheable:
        found = _OPERATOR_CACHE.get(key)
        if found is not None:
            return found
    operators = [o for o in catalog.operators(name, schema) if bool(o.left) == bool(left)]
    builtin = all(o.namespace == 11 for o in operators)
    found = _exact_operator(catalog, operators, left, right)
    if found is None:
        actual = [left, right] if left else [right]
        pool = [Candidate(o, (o.left, o.right) if left else (o.right,)) for o in operators]
        pool = [c for c in pool if can_coerce(catalog, actual, c.args, "i")]
        if not pool:
            raise _no_operator(catalog, name, schema, left, right, position)
        if len(pool) == 1:
            found = pool[0].item
        else:
            if left and UNKNOWN in actual:
                # An unknown operand is taken for the other's type where that decides nothing exactly.
                actual = list(actual)
            chosen = select_candidate(catalog, actual, pool)
            if chosen is None:
                raise SqlError(
                    "42725",
                    f"operator is not unique: {_call(catalog, name, schema, left, right)}",
                    hint="Could not choose a best candidate operator. You might need to add explicit type casts.",
                    position=position,
                )
            found = chosen.item
    assert found is not None, "an operator was chosen"
    if cacheable and builtin:
        _OPERATOR_CACHE[key] = found
    return found


def _exact_operator(catalog: CatalogReader, operators: list[Operator], left: int, right: int) -> Operator | None:
    if left:
        a, b = left, right
        if a == UNKNOWN and b != UNKNOWN:
            a = b
        elif b == UNKNOWN and a != UNKNOWN:
            b = a
        pairs = [(a, b)]
        if UNKNOWN in (left, right):
            # A domain beside an unknown: its base type.
            base = base_type(catalog, a) if a != UNKNOWN else a
            if base != a:
                pairs.append((base, base))
    else:
        pairs = [(0, right)]
    for pair in pairs:
        for o in operators:
            if (o.left, o.right) == pair:
                return o
    return None


def _call(catalog: CatalogReader, name: str, schema: str | None, left: int, right: int) -> str:
    shown = f"{schema}.{name}" if schema else name
    if left:
        return f"{format_type(catalog, left)} {shown} {format_type(catalog, right)}"
    return f"{shown} {format_type(catalog, right)}"


def _no_operator(
    catalog: CatalogReader, name: str, schema: str | None, left: int, right: int, position: int | None
) -> SqlError:
    hint = "No operator matches the given name and argument types. You might need to add explicit type casts."
    if not left:
        hint = "No operator matches the given name and argument type. You might need to add an explicit type cast."
    shown = _call(catalog, name, schema, left, right)
    return SqlError("42883", f"operator does not exist: {shown}", hint=hint, position=position)


def operator_call(
    scope: Scope, name: str, left: Expr | None, right: Expr, position: int | None, schema: str | None = None,
    left_position: int | None = None, right_position: int | None = None,
) -> Expr:  # fmt: skip
    """make_op: the operator's function over coerced operands."""
    left_type = type_of(left) if left is not None else 0
    right_type = type_of(right)
    operator = find_operator(scope, name, schema, left_type, right_type, position)
    return apply_operator(scope, operator, left, right, left_position or position, right_position or position)


def apply_operator(
    scope: Scope,
    operator: Operator,
    left: Expr | None,
    right: Expr,
    left_position: int | None,
    right_position: int | None,
) -> Expr:
    """A call of a known operator."""
    catalog = scope.catalog
    declared = [operator.left, operator.right] if left is not None else [operator.right]
    actual = [type_of(left), type_of(right)] if left is not None else [type_of(right)]
    result = operator.result
    if any(d in oids.POLYMORPHIC for d in declared):
        declared, result = resolve_polymorphic(catalog, declared, actual, result)
    if left is not None:
        args = [
            coerce_type(scope, left, actual[0], declared[0], -1, "i", left_position),
            coerce_type(scope, right, actual[1], declared[1], -1, "i", right_position),
        ]
    else:
        args = [coerce_type(scope, right, actual[0], declared[0], -1, "i", right_position)]
    return call_by_src(scope, operator.func, operator.proc, args, declared, result)


def call_by_src(scope: Scope, src: str, proc: int, args: list[Expr], types: list[int], result: int) -> Expr:
    """A function's call, expanded when the function is an SQL one."""
    if src in _SQL_OPERATORS:
        function = scope.catalog.function_by_oid(proc)
        if function is not None and function.body is not None:
            return scope.context.inline(scope, function, args)
    return nodes.Func(src, args, types, result)


# Operators whose functions are written in SQL.
_SQL_OPERATORS = frozenset(
    {
        "textanycat", "anytextcat", "timedate_pl", "timetzdate_pl", "interval_pl_time", "interval_pl_date",
        "interval_pl_timetz", "interval_pl_timestamp", "interval_pl_timestamptz", "integer_pl_date", "int8pl_inet",
        "numeric_pl_pg_lsn", "path_contain_pt",
    }
)  # fmt: skip


# ---- functions


class Resolved:
    """What a function call means."""

    __slots__ = ("candidate", "coercion", "function")

    def __init__(self, function: Function | None, candidate: Candidate | None, coercion: int = 0) -> None:
        self.function = function
        self.candidate = candidate
        # Type OID when the call is a cast in disguise: int4('1').
        self.coercion = coercion


def find_function(
    scope: Scope,
    name: str,
    schema: str | None,
    actual: list[int],
    names: list[str],
    variadic: bool,
    position: int | None,
) -> Resolved:
    """func_get_detail, with its errors."""
    catalog = scope.catalog
    functions = catalog.functions(name, schema)
    pool = [c for f in functions for c in _candidates(f, actual, names, variadic)]
    pool = _without_hidden(pool)
    for c in pool:
        if list(c.args) == actual:
            return Resolved(c.item, c)
    if len(actual) == 1 and not names:
        cast = _coercion_call(scope, name, schema, actual[0])
        if cast:
            return Resolved(None, None, cast)
    fitting = [c for c in pool if can_coerce(catalog, actual, c.args, "i")]
    if not fitting:
        raise no_function(catalog, name, schema, actual, names, position, None)
    if len(fitting) == 1:
        return Resolved(fitting[0].item, fitting[0])
    chosen = select_candidate(catalog, actual, fitting)
    if chosen is None:
        raise SqlError(
            "42725",
            f"function {function_call_text(catalog, name, schema, actual, names)} is not unique",
            hint="Could not choose a best candidate function. You might need to add explicit type casts.",
            position=position,
        )
    return Resolved(chosen.item, chosen)


def _candidates(f: Function, actual: list[int], names: list[str], variadic: bool) -> list[Candidate]:
    count = len(actual)
    declared = f.args
    if names:
        return _named(f, count, names)
    result: list[Candidate] = []
    if f.variadic and not variadic:
        fixed = len(declared) - 1
        if count >= len(declared):
            result.append(Candidate(f, declared[:fixed] + (f.variadic,) * (count - fixed), True))
        elif count < len(declared) and len(declared) - count <= len(f.defaults):
            result.append(Candidate(f, declared[:count], False, len(declared) - count))
        return result
    if count == len(declared):
        result.append(Candidate(f, declared))
    elif count < len(declared) <= count + len(f.defaults):
        result.append(Candidate(f, declared[:count], False, len(declared) - count))
    return result


def _named(f: Function, count: int, names: list[str]) -> list[Candidate]:
    positional = count - len(names)
    order = list(range(positional))
    for name in names:
        if name not in f.names:
            return []
        place = f.names.index(name)
        if place in order:
            return []
        order.append(place)
    required = len(f.args) - len(f.defaults)
    if any(i not in order for i in range(required)) or count > len(f.args):
        return []
    candidate = Candidate(f, tuple(f.args[i] for i in order), False, len(f.args) - count)
    candidate.order = order
    return [candidate]


def _without_hidden(pool: list[Candidate]) -> list[Candidate]:
    """Of several with the same argument types the one with least expansion."""
    if len(pool) < 2:
        return pool
    best: dict[tuple[int, ...], Candidate] = {}
    for c in pool:
        now = best.get(c.args)
        if now is None or (now.variadic, now.defaults) > (c.variadic, c.defaults):
            best[c.args] = c
    return list(best.values())


def _coercion_call(scope: Scope, name: str, schema: str | None, source: int) -> int:
    typ = scope.catalog.type_by_name(name, schema)
    if typ is None or typ.kind == "p":
        return 0
    if source == UNKNOWN:
        return typ.oid
    pathway = find_pathway(scope.catalog, typ.oid, source, "e")
    if pathway is None:
        return 0
    if pathway.method == "relabel":
        return typ.oid
    if pathway.method == "io" and not (
        (source == oids.RECORD or type_row(scope.catalog, source).kind == "c")
        and type_row(scope.catalog, typ.oid).category == "S"
    ):
        return typ.oid
    return 0


def function_call_text(
    catalog: CatalogReader, name: str, schema: str | None, actual: Sequence[int], names: Sequence[str] = ()
) -> str:
    """`f(integer, unknown)` as errors show it."""
    shown = []
    positional = len(actual) - len(names)
    for i, typ in enumerate(actual):
        text = format_type(catalog, typ)
        shown.append(f"{names[i - positional]} => {text}" if i >= positional else text)
    return f"{schema + '.' if schema else ''}{name}({', '.join(shown)})"


def no_function(
    catalog: CatalogReader,
    name: str,
    schema: str | None,
    actual: list[int],
    names: list[str],
    position: int | None,
    what: str | None,
) -> SqlError:
    """42883."""
    if schema is not None and catalog.namespace_oid(schema) is None:
        return SqlError("3F000", f'schema "{schema}" does not exist', position=position)
    call = function_call_text(catalog, name, schema, actual, names)
    hint = "No function matches the given name and argument types. You might need to add explicit type casts."
    return SqlError("42883", f"{what or 'function'} {call} does not exist", hint=hint, position=position)
