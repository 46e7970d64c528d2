"""Function calls: plain, aggregate, window, set-returning; and SQL-language functions, which are expanded in place."""

from __future__ import annotations

from typing import Any

import msgspec

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.aggregates import aggregate_call, window_call
from sixfold.engine.analyzer.coerce import coerce, coerce_type, resolve_polymorphic
from sixfold.engine.analyzer.exprs import field_of, handles, position_of, transform
from sixfold.engine.analyzer.host import HOST_SETS, is_host
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.overload import Resolved, find_function, function_call_text
from sixfold.engine.analyzer.records import fields_of
from sixfold.engine.analyzer.scope import Scope, pos
from sixfold.engine.analyzer.typerows import type_row
from sixfold.engine.analyzer.types import format_type, name_of, resolve_type
from sixfold.engine.analyzer.walk import type_of
from sixfold.engine.catalog.model import Function
from sixfold.engine.errors import SqlError, not_built, stack_depth
from sixfold.engine.parser import ast, enums, parse, parse_expression
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

ARGUMENTS_MAX = 100
_NO_SETS = {
    "where": "WHERE",
    "having": "HAVING",
    "filter": "FILTER",
    "on": "JOIN conditions",
    "limit": "LIMIT",
    "offset": "OFFSET",
    "returning": "RETURNING",
    "update": "UPDATE",
    "values": "VALUES",
    "check": "check constraints",
    "default": "DEFAULT expressions",
    "index": "index expressions",
    "predicate": "index predicates",
    "generated": "column generation expressions",
    "window": "window definitions",
    "frame": "window definitions",
    "execute": "EXECUTE parameters",
    "using": "transform expressions",
}


class Call:
    """A function call's resolved parts."""

    __slots__ = ("args", "function", "name", "position", "result", "schema", "types")

    def __init__(
        self, function: Function, name: str, args: list[Expr], types: list[int], result: int, position: int | None
    ) -> None:
        self.function = function
        self.name = name
        self.args = args
        self.types = types
        self.result = result
        self.position = position


def _arguments(scope: Scope, node: Any) -> tuple[list[Expr], list[str], list[int | None]]:
    args: list[Expr] = []
    names: list[str] = []
    places: list[int | None] = []
    for item in node.args or ():
        if type(item) is ast.NamedArgExpr:
            if item.name in names:
                raise SqlError("42601", f'argument name "{item.name}" used more than once', position=pos(item))
            names.append(item.name)
            args.append(transform(scope, item.arg))
        else:
            if names:
                raise SqlError("42601", "positional argument cannot follow named argument", position=pos(item))
            args.append(transform(scope, item))
        places.append(position_of(item))
    return args, names, places


def _is_out(arg: Expr) -> bool:
    """A parameter of type void is JDBC's way to write an OUT parameter: it is no argument."""
    return isinstance(arg, nodes.Param) and arg.typ == oids.VOID


@handles(ast.FuncCall)
def _function(scope: Scope, node: Any) -> Expr:
    name = node.funcname[-1].sval
    schema = node.funcname[-2].sval if len(node.funcname) > 1 else None
    position = pos(node)
    within = node.agg_within_group
    # An aggregate's own arguments are analyzed as such, so that nested ones are found.
    if len(node.args or ()) > ARGUMENTS_MAX:
        raise SqlError("54023", f"cannot pass more than {ARGUMENTS_MAX} arguments to a function", position=position)
    args, names, places = _arguments(scope, node)
    order_args: list[Expr] = []
    if within:
        order_args = [transform(scope, s.node) for s in node.agg_order]
        args = args + order_args
        places += [position_of(s.node) for s in node.agg_order]
    plain = not (node.agg_star or node.agg_distinct or node.agg_order or node.agg_filter or node.over)
    if plain and len(args) == 1 and not names and not node.func_variadic:
        projected = _projection(scope, name, schema, args[0])
        if projected is not None:
            return projected
    if not names and any(_is_out(a) for a in args):
        kept = [i for i, a in enumerate(args) if not _is_out(a)]
        args, places = [args[i] for i in kept], [places[i] for i in kept]
    actual = [type_of(a) for a in args]
    _check_variadic(scope, node, args, places)
    resolved = find_function(scope, name, schema, actual, names, bool(node.func_variadic), position)
    if resolved.coercion:
        return _cast_call(scope, node, resolved, name, args[0], places[0])
    call = _complete(scope, resolved, name, args, places, position)
    _check_kind(scope, node, call, name_of(node.funcname))
    kind = call.function.kind
    if kind == "p":
        shown = function_call_text(scope.catalog, name, schema, actual, names)
        raise SqlError("42809", f"{shown} is a procedure", hint="To call a procedure, use CALL.", position=position)
    if node.over is not None:
        return window_call(scope, node, call.function, call.args, call.types, call.result)
    if kind == "a":
        return aggregate_call(scope, node, call.function, call.args, call.types, call.result)
    return plain_call(scope, call)


def _projection(scope: Scope, name: str, schema: str | None, arg: Expr) -> Expr | None:
    """`name(row)` for `row.name`."""
    if schema is not None or not isinstance(arg, tree.NamedRow):
        return None
    if scope.catalog.functions(name):
        return None
    try:
        return field_of(scope, arg, name, None)
    except SqlError:
        return None


def _check_variadic(scope: Scope, node: Any, args: list[Expr], places: list[int | None]) -> None:
    if node.func_variadic and args:
        typ = type_of(args[-1])
        if typ != UNKNOWN and not type_row(scope.catalog, typ).is_array:
            raise SqlError("42804", "VARIADIC argument must be an array", position=places[-1])


def _cast_call(scope: Scope, node: Any, resolved: Resolved, name: str, arg: Expr, place: int | None) -> Expr:
    for given, word in (
        (node.agg_star, "(*) specified"), (node.agg_distinct, "DISTINCT specified"), (node.over, "OVER specified"),
    ):  # fmt: skip
        if given:
            raise SqlError("42809", f"{word}, but {name} is not an aggregate function", position=pos(node))
    cast = coerce(scope, arg, resolved.coercion, -1, "e", place, explicit=True)
    if cast is None:
        raise SqlError("42846", f"cannot cast to {format_type(scope.catalog, resolved.coercion)}", position=pos(node))
    return cast


def _complete(
    scope: Scope, resolved: Resolved, name: str, args: list[Expr], places: list[int | None], position: int | None
) -> Call:
    """Defaults added, named arguments put in order, types resolved, arguments coerced."""
    function, candidate = resolved.function, resolved.candidate
    assert function is not None and candidate is not None, "a call that is no cast has its function"
    declared = list(candidate.args)
    if candidate.order is not None or candidate.defaults:
        args, declared, places = _with_defaults(scope, function, candidate, args, declared, places)
    actual = [type_of(a) for a in args]
    result = function.rettype
    if any(d in oids.POLYMORPHIC for d in declared) or result in oids.POLYMORPHIC:
        try:
            declared, result = resolve_polymorphic(scope.catalog, declared, actual, result)
        except SqlError as error:
            error.position = error.position or position
            raise
    if function.src == "pg_typeof":
        return Call(function, name, [nodes.Const(oids.REGTYPE, str(actual[0]))], actual, result, position)
    coerced = [
        coerce_type(scope, a, t, d, -1, "i", p) for a, t, d, p in zip(args, actual, declared, places, strict=True)
    ]
    types = [type_of(a) if d == oids.ANY else d for a, d in zip(coerced, declared, strict=True)]
    if any(t == UNKNOWN for t in types):
        # "any" takes unknown literals as text.
        coerced = [
            coerce_type(scope, a, UNKNOWN, oids.TEXT, -1, "i") if t == UNKNOWN else a
            for a, t in zip(coerced, types, strict=True)
        ]
        types = [oids.TEXT if t == UNKNOWN else t for t in types]
    if function.name in _JSON_MAKERS:
        for i, arg in enumerate(args):
            shown = _named_json(scope, arg)
            if shown is not None:
                coerced[i], types[i] = shown, oids.JSON
    if function.variadic == oids.ANY and function.kind == "f" and not candidate.variadic and args:
        # VARIADIC was written: the kernel has such functions under names of their own.
        if actual[-1] == UNKNOWN:
            raise SqlError("42804", "VARIADIC argument must be an array", position=places[-1])
        function = msgspec.structs.replace(function, src=f"{function.src}/variadic")
    if candidate.variadic and function.variadic != oids.ANY:
        fixed = len(function.args) - 1
        elem = types[fixed]
        array = type_row(scope.catalog, elem).array
        packed = nodes.Array(coerced[fixed:], elem, array, False)
        coerced = [*coerced[:fixed], packed]
        types = [*types[:fixed], array]
    return Call(function, name, coerced, types, result, position)


# Functions that show a row's field names; the kernel's rows have none.
_JSON_MAKERS = frozenset(
    {
        "row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg", "json_build_object", "jsonb_build_object",
        "json_build_array", "jsonb_build_array", "json_object_agg", "jsonb_object_agg",
    }
)  # fmt: skip


def _named_json(scope: Scope, row: Expr) -> Expr | None:
    """A row as JSON with its fields' names, rows in it too; None where it has none of its own."""
    fields = fields_of(scope.context, row)
    if fields is None:
        return None
    args = row.args if isinstance(row, tree.NamedRow | nodes.Row) else None
    if args is None:
        args = [nodes.Field(row, i, typ) for i, (_, typ) in enumerate(fields)]
    parts = [_named_json(scope, arg) for arg in args]
    if any(part is not None for part in parts):
        args = [part or arg for part, arg in zip(parts, args, strict=True)]
        absent = row.absent if isinstance(row, tree.NamedRow) else None
        if not isinstance(row, tree.NamedRow | nodes.Row):
            absent = nodes.IsNull(row, False)
        row = tree.NamedRow(args, [type_of(arg) for arg in args], [n for n, _ in fields], oids.RECORD, absent)
    elif isinstance(row, nodes.Row):
        return None
    names = "{" + ",".join('"' + n.replace("\\", "\\\\").replace('"', '\\"') + '"' for n, _ in fields) + "}"
    return nodes.Func("row_to_json_named", [nodes.Const(1009, names), row], [1009, oids.RECORD], oids.JSON)


def _with_defaults(
    scope: Scope, function: Function, candidate: Any, args: list[Expr], declared: list[int], places: list[int | None]
) -> tuple[list[Expr], list[int], list[int | None]]:
    order = candidate.order or list(range(len(args)))
    count = len(function.args)
    slots: list[Expr | None] = [None] * count
    spots: list[int | None] = [None] * count
    for place, arg, spot in zip(order, args, places, strict=True):
        slots[place] = arg
        spots[place] = spot
    first = count - len(function.defaults)
    for i in range(count):
        if slots[i] is None:
            inner = Scope(scope.context, None, scope.query)
            inner.kind = "default"
            slots[i] = transform(inner, parse_expression(function.defaults[i - first]))
    return [s for s in slots if s is not None], list(function.args), spots


def _check_kind(scope: Scope, node: Any, call: Call, shown: str) -> None:
    kind = call.function.kind
    position = pos(node)

    def refuse(what: str, needed: str = "an aggregate function") -> SqlError:
        return SqlError("42809", f"{what}, but {shown} is not {needed}", position=position)

    if kind == "a":
        ordered = call.function.aggkind in ("o", "h")
        if ordered and not node.agg_within_group:
            raise SqlError("42809", f"WITHIN GROUP is required for ordered-set aggregate {shown}", position=position)
        if not ordered and node.agg_within_group:
            raise SqlError(
                "42809", f"{shown} is not an ordered-set aggregate, so it cannot have WITHIN GROUP", position=position
            )
        if ordered and node.over is not None:
            raise SqlError("0A000", f"OVER is not supported for ordered-set aggregate {shown}", position=position)
        return
    if node.agg_star:
        raise refuse(f"{shown}(*) specified")
    if node.agg_distinct:
        raise refuse("DISTINCT specified")
    if node.agg_within_group:
        raise refuse("WITHIN GROUP specified")
    if node.agg_order:
        raise refuse("ORDER BY specified")
    if kind == "w":
        if node.over is None:
            raise SqlError("42809", f"window function {shown} requires an OVER clause", position=position)
        return
    if node.agg_filter:
        raise refuse("FILTER specified")
    if node.over is not None:
        raise refuse("OVER specified", "a window function nor an aggregate function")


def plain_call(scope: Scope, call: Call) -> Expr:
    """A call of a function that is neither aggregate nor window function."""
    function = call.function
    if function.name in ("row_to_json", "to_json") and call.types[:1] == [oids.JSON] and len(call.args) == 1:
        return call.args[0]
    if function.src == "pg_typeof":
        return call.args[0]
    if function.retset:
        return _set_call(scope, call)
    if function.language == "sql" and function.body is not None:
        return inline(scope, function, call.args)
    if is_host(function.src):
        return nodes.Host(function.src, call.args, call.types, call.result)
    if function.language not in ("internal", "c"):
        raise not_built(f"functions in language {function.language}", call.position)
    return nodes.Func(function.src, call.args, call.types, call.result)


def result_columns(scope: Scope, function: Function, result: int, types: list[int]) -> list[tuple[str, int]]:
    """The columns of a function's result, by OUT parameters or by its row type; empty for a plain value."""
    if function.out:
        columns = []
        for name, typ in function.out:
            if typ in oids.POLYMORPHIC:
                typ = resolve_polymorphic(scope.catalog, function.args, types, typ)[1]
            columns.append((name, typ))
        return columns
    row = type_row(scope.catalog, result)
    if row.kind == "c":
        relation = scope.catalog.relation_by_oid(row.relation)
        if relation is not None:
            return [(c.name, c.typ) for c in relation.columns if not c.dropped]
    return []


def _set_call(scope: Scope, call: Call) -> Expr:
    if scope.kind in _NO_SETS:
        raise SqlError(
            "0A000", f"set-returning functions are not allowed in {_NO_SETS[scope.kind]}", position=call.position
        )
    if scope.in_aggregate:
        raise SqlError(
            "0A000", "aggregate function calls cannot contain set-returning function calls", position=call.position
        )
    if call.function.language == "sql" or (call.function.src in HOST_SETS and scope.kind == "select"):
        return _lateral_call(scope, call)
    columns = result_columns(scope, call.function, call.result, call.types)
    types = [t for _, t in columns] or [call.result]
    scope.query.has_srfs = True
    scope.query.sets.append(call.position)
    result = call.result if len(types) == 1 else oids.RECORD
    names = [n for n, _ in columns] if len(columns) > 1 else []
    return tree.SetRef(call.function.src, call.args, call.types, types[0] if len(types) == 1 else result, types, names)


def _lateral_call(scope: Scope, call: Call) -> Expr:
    """A set-returning function written in SQL, or Python's, in a select list: it joins FROM, and the call is its row.

    Equal calls are one. PostgreSQL runs several sets side by side; different ones can't be told apart from a join here.
    """
    if scope.kind != "select":
        raise not_built(f"the set-returning function {call.name} here", call.position)
    for known, row in scope.lateral_calls:
        if known.function is call.function and known.args == call.args:
            return row
    if scope.lateral_calls or scope.query.has_srfs:
        raise not_built("different set-returning functions in one select list", call.position)
    rte = _lateral_entry(scope, call)
    rte.lateral = True
    scope.query.rtes.append(rte)
    scope.query.from_items.append(tree.FromRel(rte))
    columns, names = rte.columns, [c.name for c in rte.columns]
    values: list[Expr] = [tree.Var(rte.id, i, c.typ, c.typmod) for i, c in enumerate(columns)]
    made = values[0] if len(values) == 1 else tree.NamedRow(values, [c.typ for c in columns], names)
    scope.lateral_calls.append((call, made))
    return made


def _lateral_entry(scope: Scope, call: Call) -> tree.Rte:
    if call.function.language != "sql":
        given = result_columns(scope, call.function, call.result, call.types) or [(call.name, call.result)]
        rte = scope.context.new_rte("function", call.name, [tree.RteColumn(n, t) for n, t in given])
        types = [t for _, t in given]
        rte.calls = [tree.FuncCall(call.function.src, call.args, call.types, types, True, None, host=True)]
        return rte
    query = set_query(scope, call.function, call.args)
    names = [n for n, _ in call.function.out] or [call.name]
    columns = [tree.RteColumn(n, t.typ, t.typmod) for n, t in zip(names, query.visible(), strict=True)]
    rte = scope.context.new_rte("subquery", call.name, columns)
    rte.query = query
    return rte


# ---- SQL functions


def set_query(scope: Scope, function: Function, args: list[Expr]) -> tree.Query:
    """The query of a set-returning function written in SQL."""
    body = (function.body or "").strip()
    if body.upper().startswith("BEGIN ATOMIC"):
        body = body[len("BEGIN ATOMIC") : -len("END")].strip().rstrip(";")
    context = scope.context
    saved, context.arguments = context.arguments, args
    try:
        query = context.subquery(Scope(context, None, scope.query), parse(body)[0].node)
    finally:
        context.arguments = saved
    query.parent = scope.query
    return query


def inline(scope: Scope, function: Function, args: list[Expr]) -> Expr:
    """An SQL function's body in place of its call."""
    context = scope.context
    body = (function.body or "").strip()
    if body.upper().startswith("BEGIN ATOMIC"):
        body = body[len("BEGIN ATOMIC") : -len("END")].strip().rstrip(";")
    elif body.upper().startswith("RETURN "):
        body = "SELECT " + body[len("RETURN ") :]
    if context.depth > 20:
        raise stack_depth()
    statements = parse(body)
    if len(statements) != 1 or type(statements[0].node) is not ast.SelectStmt:
        raise not_built(f"the function {function.name}")
    select = statements[0].node
    saved = context.arguments
    context.arguments = args
    context.depth += 1
    try:
        inner = Scope(context, None, scope.query)
        inner.kind = "function"
        if select.fromClause is None and select.valuesLists is None and select.op == enums.SetOperation.SETOP_NONE:
            expr = transform(inner, select.targetList[0].val)
        else:
            query = context.subquery(inner, select)
            target = query.visible()[0]
            expr = tree.SubLink("scalar", context.sublinks.add(query), target.typ, target.typmod)
    finally:
        context.arguments = saved
        context.depth -= 1
    cast = coerce(scope, expr, function.rettype, -1, "a")
    if cast is None:
        raise SqlError(
            "42P13",
            f"return type mismatch in function declared to return {format_type(scope.catalog, function.rettype)}",
        )
    return cast


# ---- special forms


_CLOCK = {
    "SVFOP_CURRENT_DATE": ("timestamptz_date", oids.DATE),
    "SVFOP_CURRENT_TIME": ("timestamptz_timetz", oids.TIMETZ),
    "SVFOP_CURRENT_TIME_N": ("timestamptz_timetz", oids.TIMETZ),
    "SVFOP_CURRENT_TIMESTAMP": ("", oids.TIMESTAMPTZ),
    "SVFOP_CURRENT_TIMESTAMP_N": ("", oids.TIMESTAMPTZ),
    "SVFOP_LOCALTIME": ("timestamptz_time", oids.TIME),
    "SVFOP_LOCALTIME_N": ("timestamptz_time", oids.TIME),
    "SVFOP_LOCALTIMESTAMP": ("timestamptz_timestamp", oids.TIMESTAMP),
    "SVFOP_LOCALTIMESTAMP_N": ("timestamptz_timestamp", oids.TIMESTAMP),
}

_NAMES = {
    "SVFOP_CURRENT_ROLE": "current_user",
    "SVFOP_CURRENT_USER": "current_user",
    "SVFOP_USER": "current_user",
    "SVFOP_SESSION_USER": "session_user",
    "SVFOP_CURRENT_CATALOG": "current_database",
    "SVFOP_CURRENT_SCHEMA": "current_schema",
}


@handles(ast.SQLValueFunction)
def _sql_value(scope: Scope, node: Any) -> Expr:
    op = node.op.name
    host = _NAMES.get(op)
    if host is not None:
        return nodes.Host(host, [], [], oids.NAME)
    func, typ = _CLOCK[op]
    now: Expr = nodes.Func("now", [], [], oids.TIMESTAMPTZ)
    expr = nodes.Func(func, [now], [oids.TIMESTAMPTZ], typ) if func else now
    typmod = node.typmod if node.typmod is not None else -1
    if op.endswith("_N") and typmod >= 0:
        return nodes.Typmod(expr, typ, min(typmod, 6), True)
    return expr


@handles(ast.GroupingFunc)
def _grouping(scope: Scope, node: Any) -> Expr:
    if len(node.args) > 31:
        raise SqlError("54023", "GROUPING must have fewer than 32 arguments", position=pos(node))
    return tree.GroupingRef([transform(scope, a) for a in node.args], scope.query.number)


@handles(ast.CurrentOfExpr)
def _current_of(scope: Scope, node: Any) -> Expr:
    raise not_built("WHERE CURRENT OF", pos(node))


@handles(ast.XmlExpr, ast.XmlSerialize)
def _xml(scope: Scope, node: Any) -> Expr:
    raise SqlError(
        "0A000",
        "unsupported XML feature",
        detail="This functionality requires the server to be built with libxml support.",
        position=pos(node),
    )


def cast_to_named_type(scope: Scope, expr: Expr, type_name: Any, position: int | None) -> Expr:
    """An expression cast to a TypeName (column definition lists)."""
    typ, typmod = resolve_type(scope.catalog, type_name)
    cast = coerce(scope, expr, typ.oid, typmod, "e", position, explicit=True)
    if cast is None:
        raise SqlError(
            "42846",
            f"cannot cast type {format_type(scope.catalog, type_of(expr))} to {format_type(scope.catalog, typ.oid)}",
        )
    return cast
