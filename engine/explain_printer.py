"""A plan as EXPLAIN shows it: conditions as SQL; what each node is called stands in `explain_nodes.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from .analyzer.types import format_type
from .catalog.snapshot import Catalog
from .facts import FACTS
from .parser import quote_ident
from .planner import nodes
from .planner.api import Estimate, PlannedStatement

Actual = tuple[int, int, int]
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


class Entry(msgspec.Struct):
    """How a kind of node is shown."""

    show: Callable[[Printer, Any], Shown]
    # It reads something that has columns: where there are several, columns are named with their tables.
    relation: bool
    # It is no node of PostgreSQL's: what it shows is the node below it.
    folded: bool


ENTRIES: dict[type[nodes.Node], Entry] = {}
Show = TypeVar("Show", bound=Callable[..., Shown])


def shows(kind: type[nodes.Node], *, relation: bool = False, folded: bool = False) -> Callable[[Show], Show]:
    """The function shows nodes of this kind."""

    def enter(show: Show) -> Show:
        ENTRIES[kind] = Entry(show, relation, folded)
        return show

    return enter


def _by_name(printer: Printer, node: nodes.Node) -> Shown:
    """A node that nobody has words for."""
    children = [printer.node(child) for child in children_of(node)]
    name = type(node).__name__
    return Shown(name, name, children=children, names=children[0].names if children else [])


WITHOUT_WORDS = Entry(_by_name, relation=False, folded=False)


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


def _entry(node: nodes.Node) -> Entry:
    return ENTRIES.get(type(node), WITHOUT_WORDS)


class Printer:
    """Prints one plan."""

    def __init__(self, planned: PlannedStatement, catalog: Catalog, actual: list[Actual] | None, verbose: bool) -> None:
        self._planned = planned
        self._catalog = catalog
        self._actual: dict[int, Actual] = {}
        self._verbose = verbose
        # Names of executor parameters, as far as NestedLoop nodes say.
        self.exec: dict[int, str] = {}
        self.ctes: dict[int, list[str]] = {}
        # Columns are named with their tables when there are several.
        self._qualify = sum(self._scans(root) for root in (planned.plan.root, *planned.plan.subplans)) > 1
        if actual is not None:
            order: list[nodes.Node] = []
            for root in (planned.plan.root, *planned.plan.subplans):
                self._walk(root, order)
            self._actual = {id(node): figures for node, figures in zip(order, actual, strict=False)}

    def _scans(self, node: nodes.Node) -> int:
        return _entry(node).relation + sum(self._scans(child) for child in children_of(node))

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
        entry = _entry(node)
        shown = entry.show(self, node)
        if not entry.folded or shown.estimate is None:
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
            return self.exec.get(e.n, f"${e.n}")
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

    # -- what nodes share

    def columns(self, table: nodes.Table, columns: list[int]) -> list[str]:
        """A scan's columns."""
        before = f"{quote_ident(table.name)}." if self._qualify else ""
        named = [quote_ident(table.columns[at].name) if at < len(table.columns) else "ctid" for at in columns]
        return [before + name for name in (*named, "ctid")]

    def on(self, table: nodes.Table) -> dict[str, Any]:
        """Facts of a node that works on a table."""
        return {"Relation Name": table.name, "Alias": table.name} | ({"Schema": table.schema} if self._verbose else {})

    def name(self, table: nodes.Table) -> str:
        """A table's name."""
        return f"{quote_ident(table.schema)}.{quote_ident(table.name)}" if self._verbose else quote_ident(table.name)

    def filtered(self, shown: Shown, test: Any) -> Shown:
        """With a line for what rows must pass."""
        if test is not None:
            shown.details.append(("Filter", self.expr(test, shown.names)))
        return shown

    def keys(self, keys: list[nodes.SortKey], names: list[str]) -> list[str]:
        """What a node sorts by."""
        found = []
        for key in keys:
            text = self.expr(key.expr, names)
            text += " DESC" if key.desc else ""
            if key.nulls_first != key.desc:
                text += " NULLS FIRST" if key.nulls_first else " NULLS LAST"
            found.append(text)
        return found
