"""A plan's nodes as EXPLAIN names them: PostgreSQL's words for ours, with conditions as SQL.

Projections and filters are no nodes of PostgreSQL's: a Project shows its input, a Filter is a line of the node below it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .analyzer.types import format_type
from .catalog.snapshot import Catalog
from .facts import FACTS
from .parser import quote_ident
from .planner import nodes
from .planner.api import Estimate, PlannedStatement

Actual = tuple[int, int, int]
JOINS = {
    "inner": "",
    "left": " Left",
    "right": " Right",
    "full": " Full",
    "semi": " Semi",
    "anti": " Anti",
    "null_anti": " Anti",
    "mark": " Semi",
    "scalar": " Left",
}
QUOTED_TYPES = frozenset((25, 1043, 1042, 19, 1082, 1083, 1114, 1184, 1266, 1186, 2950, 114, 3802, 17, 18))


class Shown(msgspec.Struct):
    """One node as it is printed."""

    kind: str
    title: str
    estimate: Estimate | None = None
    actual: Actual | None = None
    label: str = ""
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    details: list[tuple[str, Any]] = msgspec.field(default_factory=list)
    children: list[Shown] = msgspec.field(default_factory=list)
    # Names of the node's columns, for conditions above it.
    names: list[str] = msgspec.field(default_factory=list)


def children_of(node: nodes.Node) -> list[nodes.Node]:
    """Inputs, in the order in which the kernel counts nodes: depth first, fields in their order."""
    found: list[nodes.Node] = []
    for field in type(node).__struct_fields__:
        value = getattr(node, field)
        if isinstance(value, nodes.Node):
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, nodes.Node)]
    return found


class Printer:
    """Prints one plan."""

    def __init__(self, planned: PlannedStatement, catalog: Catalog, actual: list[Actual] | None, verbose: bool) -> None:
        self._planned = planned
        self._catalog = catalog
        self._actual: dict[int, Actual] = {}
        self._verbose = verbose
        # Names of executor parameters, as far as NestedLoop nodes say.
        self._exec: dict[int, str] = {}
        self._ctes: dict[int, list[str]] = {}
        # Columns are named with their tables when there are several.
        self._qualify = sum(self._scans(root) for root in (planned.plan.root, *planned.plan.subplans)) > 1
        if actual is not None:
            order: list[nodes.Node] = []
            for root in (planned.plan.root, *planned.plan.subplans):
                self._walk(root, order)
            self._actual = {id(node): figures for node, figures in zip(order, actual, strict=False)}

    def _scans(self, node: nodes.Node) -> int:
        own = isinstance(node, nodes.Scan | nodes.IndexScan | nodes.FunctionScan | nodes.HostScan | nodes.CteScan)
        return own + sum(self._scans(child) for child in children_of(node))

    def _walk(self, node: nodes.Node, order: list[nodes.Node]) -> None:
        order.append(node)
        for child in children_of(node):
            self._walk(child, order)

    def plan(self) -> Shown:
        """The whole."""
        top = self.node(self._planned.plan.root)
        used = [node for number, node in enumerate(self._planned.plan.subplans)]
        for number, node in enumerate(used, 1):
            if not self._is_after(number - 1):
                child = self.node(node)
                child.label = f"SubPlan {number}"
                child.facts |= {"Parent Relationship": "SubPlan", "Subplan Name": child.label}
                top.children.append(child)
        return top

    def _is_after(self, number: int) -> bool:
        """Is this subplan a foreign key's check, which PostgreSQL shows as a trigger?"""
        root = self._planned.plan.root
        while isinstance(root, nodes.Project | nodes.With):
            root = root.input
        return any(after.subplan == number for after in getattr(root, "after", []))

    def node(self, node: nodes.Node) -> Shown:
        """One node with all below it."""
        method: Callable[[Any], Shown] = getattr(self, "_" + type(node).__name__.lower(), self._other)
        shown = method(node)
        if not isinstance(node, nodes.Project | nodes.Filter) or shown.estimate is None:
            shown.estimate = self._planned.estimates.get(id(node), shown.estimate)
            shown.actual = self._actual.get(id(node), shown.actual)
        return shown

    # -- expressions

    def expr(self, e: Any, names: list[str]) -> str:
        """An expression as SQL."""
        kind = type(e).__name__
        if kind == "Col":
            return names[e.i] if e.i < len(names) else f"column{e.i + 1}"
        if kind == "Const":
            return self._const(e)
        if kind == "Param":
            return f"${e.n + 1}"
        if kind == "Exec":
            return self._exec.get(e.n, f"${e.n}")
        if kind in ("And", "Or"):
            return "(" + f" {kind.upper()} ".join(self.expr(arg, names) for arg in e.args) + ")"
        if kind == "Not":
            return f"(NOT {self.expr(e.arg, names)})"
        if kind == "IsNull":
            return f"({self.expr(e.arg, names)} IS {'NOT ' if e.not_ else ''}NULL)"
        if kind == "BoolTest":
            return f"({self.expr(e.arg, names)} IS {'NOT ' if e.not_ else ''}{e.test.upper()})"
        if kind in ("Func", "Host"):
            return self._call(e, names)
        if kind in ("CastIo", "Typmod"):
            target = e.to if kind == "CastIo" else e.typ
            return f"({self.expr(e.arg, names)})::{format_type(self._catalog, target, e.typmod)}"
        if kind == "Distinct":
            return (
                f"({self.expr(e.left, names)} IS {'NOT ' if e.not_ else ''}DISTINCT FROM {self.expr(e.right, names)})"
            )
        if kind == "AnyAll":
            operator = FACTS.operators_by_func.get(e.func)
            return f"({self.expr(e.left, names)} {operator.name if operator else '='} {'ALL' if e.all else 'ANY'} ({self.expr(e.array, names)}))"
        return self._rest(e, kind, names)

    def _rest(self, e: Any, kind: str, names: list[str]) -> str:
        if kind == "Sub":
            return f"(SubPlan {e.subplan + 1})"
        if kind == "Case":
            whens = " ".join(f"WHEN {self.expr(test, names)} THEN {self.expr(value, names)}" for test, value in e.whens)
            return f"CASE {whens} ELSE {self.expr(e.other, names) if e.other is not None else 'NULL'} END"
        words = {"Coalesce": "COALESCE", "Greatest": "GREATEST", "Least": "LEAST", "Row": "ROW"}
        if kind in words:
            return f"{words[kind]}({', '.join(self.expr(arg, names) for arg in e.args)})"
        if kind == "Array":
            return f"ARRAY[{', '.join(self.expr(arg, names) for arg in e.args)}]"
        if kind == "NullIf":
            return f"NULLIF({self.expr(e.left, names)}, {self.expr(e.right, names)})"
        if kind == "RowCompare":
            left, right = (", ".join(self.expr(arg, names) for arg in side) for side in (e.left, e.right))
            return f"(ROW({left}) {e.op} ROW({right}))"
        if kind == "Subscript":
            return f"{self.expr(e.arg, names)}[{', '.join(self.expr(item.low, names) if item.low is not None else ':' for item in e.index)}]"
        if kind == "Field":
            return f"({self.expr(e.arg, names)}).f{e.i + 1}"
        if kind == "CastArray":
            return self.expr(e.arg, names)
        return kind.lower()

    def _const(self, e: Any) -> str:
        if e.text is None:
            return f"NULL::{format_type(self._catalog, e.typ)}"
        if e.typ == 16:
            return "true" if e.text in ("t", "true") else "false"
        if e.typ in (23,) and not e.text.startswith("-"):
            return str(e.text)
        if e.typ == 1700 and "." in e.text and not e.text.startswith("-"):
            return str(e.text)
        quoted = e.text.replace("'", "''")
        return f"'{quoted}'::{format_type(self._catalog, e.typ)}"

    def _call(self, e: Any, names: list[str]) -> str:
        args = [self.expr(arg, names) for arg in e.args]
        operator = FACTS.operators_by_func.get(e.func)
        if operator is not None and len(args) == 2 and operator.left:
            return f"({args[0]} {operator.name} {args[1]})"
        if operator is not None and len(args) == 1 and not operator.left:
            return f"({operator.name} {args[0]})"
        cast = next((c for c in FACTS.casts.values() if c.func == e.func and c.target == e.typ), None)
        if cast is not None and args:
            return f"({args[0]})::{format_type(self._catalog, e.typ)}"
        return f"{e.func}({', '.join(args)})"

    # -- scans

    def _columns(self, table: nodes.Table, columns: list[int]) -> list[str]:
        before = f"{quote_ident(table.name)}." if self._qualify else ""
        named = [quote_ident(table.columns[at].name) if at < len(table.columns) else "ctid" for at in columns]
        return [before + name for name in (*named, "ctid")]

    def _on(self, table: nodes.Table) -> dict[str, Any]:
        return {"Relation Name": table.name, "Alias": table.name} | ({"Schema": table.schema} if self._verbose else {})

    def _name(self, table: nodes.Table) -> str:
        return f"{quote_ident(table.schema)}.{quote_ident(table.name)}" if self._verbose else quote_ident(table.name)

    def _scan(self, node: Any) -> Shown:
        shown = Shown(
            "Seq Scan",
            f"Seq Scan on {self._name(node.table)}",
            facts=self._on(node.table),
            names=self._columns(node.table, node.columns),
        )
        return self._filtered(shown, node.filter)

    def _filtered(self, shown: Shown, test: Any) -> Shown:
        if test is not None:
            shown.details.append(("Filter", self.expr(test, shown.names)))
        return shown

    def _indexscan(self, node: Any) -> Shown:
        index = node.table.indexes[node.index]
        names = [quote_ident(node.table.columns[key.column].name) for key in index.keys]
        backward = " Backward" if node.backward else ""
        shown = Shown(
            "Index Scan",
            f"Index Scan{backward} using {quote_ident(index.name)} on {self._name(node.table)}",
            names=self._columns(node.table, node.columns),
        )
        shown.facts = {
            "Scan Direction": "Backward" if node.backward else "Forward",
            "Index Name": index.name,
            **self._on(node.table),
        }
        tests = self._bounds(node, index, names)
        if tests:
            shown.details.append(("Index Cond", tests[0] if len(tests) == 1 else "(" + " AND ".join(tests) + ")"))
        return self._filtered(shown, node.filter)

    def _bounds(self, node: Any, index: Any, names: list[str]) -> list[str]:
        low = [self.expr(value, []) for value in node.low.values] if node.low else []
        high = [self.expr(value, []) for value in node.high.values] if node.high else []
        tests: list[str] = []
        for at, name in enumerate(names):
            one = low[at] if at < len(low) else None
            two = high[at] if at < len(high) else None
            if one is not None and one == two and node.low.inclusive and node.high.inclusive:
                tests.append(f"({name} = {one})")
                continue
            if index.keys[at].desc:
                one, two = two, one
            bounds = (node.high, node.low) if index.keys[at].desc else (node.low, node.high)
            if one is not None:
                tests.append(f"({name} {'>=' if bounds[0].inclusive or at + 1 < len(bounds[0].values) else '>'} {one})")
            if two is not None:
                tests.append(f"({name} {'<=' if bounds[1].inclusive or at + 1 < len(bounds[1].values) else '<'} {two})")
        if node.any is not None:
            at = min(len(low), len(names) - 1)
            tests.append(f"({names[at]} = ANY ({self.expr(node.any, [])}))")
        return tests

    def _single(self, node: Any) -> Shown:
        return Shown("Result", "Result")

    def _empty(self, node: Any) -> Shown:
        return Shown("Result", "Result", details=[("One-Time Filter", "false")])

    def _values(self, node: Any) -> Shown:
        if len(node.rows) == 1:
            return Shown("Result", "Result", names=[f"column{at + 1}" for at in range(len(node.types))])
        return self._values_scan(node)

    def _values_scan(self, node: Any) -> Shown:
        names = [f"column{at + 1}" for at in range(len(node.types))]
        return Shown("Values Scan", 'Values Scan on "*VALUES*"', facts={"Alias": "*VALUES*"}, names=names)

    def _literalrows(self, node: Any) -> Shown:
        return self._values_scan(node)

    def _functionscan(self, node: Any) -> Shown:
        name = node.calls[0].func
        return Shown(
            "Function Scan", f"Function Scan on {name}", facts={"Function Name": name, "Alias": name}, names=[name] * 8
        )

    def _hostscan(self, node: Any) -> Shown:
        return Shown(
            "Function Scan",
            f"Function Scan on {node.name}",
            facts={"Function Name": node.name},
            names=[f"column{at + 1}" for at in range(len(node.types))],
        )

    def _ctescan(self, node: Any) -> Shown:
        return Shown(
            "CTE Scan",
            f"CTE Scan on cte{node.id}",
            facts={"CTE Name": f"cte{node.id}"},
            names=self._ctes.get(node.id, []),
        )

    def _workscan(self, node: Any) -> Shown:
        return Shown("WorkTable Scan", f"WorkTable Scan on cte{node.id}", names=self._ctes.get(node.id, []))

    # -- one input

    def _filter(self, node: Any) -> Shown:
        return self._filtered(self.node(node.input), node.test)

    def _project(self, node: Any) -> Shown:
        shown = self.node(node.input)
        shown.names = [self.expr(e, shown.names) for e in node.exprs]
        shown.details.append(("Output", list(shown.names)))
        return shown

    def _projectset(self, node: Any) -> Shown:
        child = self.node(node.input)
        names = [
            self.expr(item.expr, child.names) if item.expr is not None else f"{item.set.func}(…)" for item in node.exprs
        ]
        return Shown("ProjectSet", "ProjectSet", children=[child], names=names)

    def _keys(self, keys: list[Any], names: list[str]) -> list[str]:
        found = []
        for key in keys:
            text = self.expr(key.expr, names)
            text += " DESC" if key.desc else ""
            if key.nulls_first != key.desc:
                text += " NULLS FIRST" if key.nulls_first else " NULLS LAST"
            found.append(text)
        return found

    def _sort(self, node: Any) -> Shown:
        child = self.node(node.input)
        return Shown(
            "Sort",
            "Sort",
            details=[("Sort Key", self._keys(node.keys, child.names))],
            children=[child],
            names=child.names,
        )

    def _aggregate(self, node: Any) -> Shown:
        child = self.node(node.input)
        keys = [self.expr(e, child.names) for e in node.keys]
        strategy, title = (
            ("Sorted", "GroupAggregate")
            if node.sorted and keys
            else ("Hashed", "HashAggregate")
            if keys
            else ("Plain", "Aggregate")
        )
        names = keys + [self._aggregate_call(agg, child.names) for agg in node.aggs]
        shown = Shown(
            "Aggregate", title, facts={"Strategy": strategy, "Partial Mode": "Simple"}, children=[child], names=names
        )
        if keys:
            shown.details.append(("Group Key", keys))
        return shown

    def _aggregate_call(self, agg: Any, names: list[str]) -> str:
        args = ", ".join(self.expr(arg, names) for arg in agg.args) or "*"
        return f"{agg.func}({'DISTINCT ' if agg.distinct else ''}{args})"

    def _window(self, node: Any) -> Shown:
        child = self.node(node.input)
        return Shown(
            "WindowAgg",
            "WindowAgg",
            children=[child],
            names=[*child.names, *(f"{call.func}() OVER (?)" for call in node.calls)],
        )

    def _limit(self, node: Any) -> Shown:
        child = self.node(node.input)
        return Shown("Limit", "Limit", children=[child], names=child.names)

    def _distinctrows(self, node: Any) -> Shown:
        child = self.node(node.input)
        if node.keys is not None:
            return Shown("Unique", "Unique", children=[child], names=child.names)
        return Shown(
            "Aggregate",
            "HashAggregate",
            facts={"Strategy": "Hashed"},
            details=[("Group Key", list(child.names))],
            children=[child],
            names=child.names,
        )

    def _lockrows(self, node: Any) -> Shown:
        child = self.node(node.input)
        return Shown("LockRows", "LockRows", children=[child], names=child.names)

    def _with(self, node: Any) -> Shown:
        cte = self.node(node.cte)
        self._ctes[node.id] = cte.names
        shown = self.node(node.input)
        cte.label = f"CTE cte{node.id}"
        cte.facts |= {"Parent Relationship": "InitPlan", "Subplan Name": cte.label}
        shown.children.insert(0, cte)
        return shown

    # -- several inputs

    def _joined(
        self,
        node: Any,
        kind: str,
        title: str,
        conditions: list[tuple[str, Any]],
        wrap: str | None = None,
        keys: tuple[str, list[Any]] | None = None,
    ) -> Shown:
        left = self.node(node.left)
        for number, e in getattr(node, "params", ()):
            self._exec[number] = self.expr(e, left.names)
        right = self.node(node.right)
        if keys is not None:
            conditions = [(keys[0], self._equal(keys[1], node.right_keys, left.names, right.names)), *conditions]
        both = left.names[: self._width(node.left, left)] + right.names
        inner = (
            Shown("Hash", "Hash", estimate=right.estimate, actual=right.actual, children=[right], names=right.names)
            if wrap
            else right
        )
        shown = Shown(
            kind, title, facts={"Join Type": (JOINS[node.kind].strip() or "Inner")}, children=[left, inner], names=both
        )
        for name, e in conditions:
            if e is not None:
                shown.details.append((name, e if isinstance(e, str) else self.expr(e, both)))
        return shown

    def _width(self, node: Any, shown: Shown) -> int:
        return len(shown.names)

    def _nestedloop(self, node: Any) -> Shown:
        return self._joined(node, "Nested Loop", f"Nested Loop{self._join_word(node.kind)}", [("Join Filter", node.on)])

    def _join_word(self, kind: str) -> str:
        return f"{JOINS[kind]} Join" if JOINS[kind] else ""

    def _equal(self, left_keys: list[Any], right_keys: list[Any], left: list[str], right: list[str]) -> str:
        pairs = [
            f"({self.expr(one, left)} = {self.expr(two, right)})"
            for one, two in zip(left_keys, right_keys, strict=True)
        ]
        return pairs[0] if len(pairs) == 1 else "(" + " AND ".join(pairs) + ")"

    def _hashjoin(self, node: Any) -> Shown:
        title = f"Hash{JOINS[node.kind]} Join"
        keys = ("Hash Cond", node.left_keys)
        return self._joined(node, "Hash Join", title, [("Join Filter", node.on)], "Hash", keys)

    def _mergejoin(self, node: Any) -> Shown:
        title = f"Merge{JOINS[node.kind]} Join"
        keys = ("Merge Cond", [key.expr for key in node.left_keys])
        return self._joined(node, "Merge Join", title, [("Join Filter", node.on)], None, keys)

    def _append(self, node: Any) -> Shown:
        children = [self.node(child) for child in node.inputs]
        return Shown("Append", "Append", children=children, names=children[0].names if children else [])

    def _setop(self, node: Any) -> Shown:
        left, right = self.node(node.left), self.node(node.right)
        if node.kind == "union":
            return Shown("Append", "Append", children=[left, right], names=left.names)
        word = f"HashSetOp {node.kind.capitalize()}{' All' if node.all else ''}"
        return Shown("SetOp", word, facts={"Strategy": "Hashed"}, children=[left, right], names=left.names)

    def _recursive(self, node: Any) -> Shown:
        start = self.node(node.start)
        self._ctes[node.id] = start.names
        return Shown("Recursive Union", "Recursive Union", children=[start, self.node(node.step)], names=start.names)

    # -- changes

    def _modified(self, node: Any, word: str) -> Shown:
        child = self.node(node.input)
        names = [quote_ident(column.name) for column in node.table.columns]
        return Shown(
            "ModifyTable",
            f"{word} on {self._name(node.table)}",
            facts={"Operation": word, **self._on(node.table)},
            children=[child],
            names=[*names, "ctid", *child.names],
        )

    def _insert(self, node: Any) -> Shown:
        shown = self._modified(node, "Insert")
        if node.conflict is not None:
            shown.details.append(("Conflict Resolution", "NOTHING" if node.conflict.set is None else "UPDATE"))
        return shown

    def _update(self, node: Any) -> Shown:
        return self._modified(node, "Update")

    def _delete(self, node: Any) -> Shown:
        return self._modified(node, "Delete")

    def _other(self, node: Any) -> Shown:
        children = [self.node(child) for child in children_of(node)]
        return Shown(
            type(node).__name__, type(node).__name__, children=children, names=children[0].names if children else []
        )


def show_plan(
    planned: PlannedStatement, catalog: Catalog, actual: list[Actual] | None, *, verbose: bool = False
) -> Shown:
    """The plan as EXPLAIN prints it."""
    return Printer(planned, catalog, actual, verbose).plan()
