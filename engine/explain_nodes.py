"""What EXPLAIN calls each plan node: PostgreSQL's words for ours. One function a node, which `@shows` enters.

Projections and filters are no nodes of PostgreSQL's: a Project shows its input, a Filter is a line of the node below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .catalog.snapshot import Catalog
from .explain_printer import Actual, Printer, Shown, shows
from .parser import quote_ident
from .planner import nodes
from .planner.api import PlannedStatement

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


@shows(nodes.Scan, relation=True)
def scan(printer: Printer, node: nodes.Scan) -> Shown:
    shown = Shown(
        "Seq Scan",
        f"Seq Scan on {printer.name(node.table)}",
        facts=printer.on(node.table),
        names=printer.columns(node.table, node.columns),
    )
    return printer.filtered(shown, node.filter)


@shows(nodes.IndexScan, relation=True)
def index_scan(printer: Printer, node: nodes.IndexScan) -> Shown:
    index = node.table.indexes[node.index]
    names = [quote_ident(node.table.columns[key.column].name) for key in index.keys]
    backward = " Backward" if node.backward else ""
    shown = Shown(
        "Index Scan",
        f"Index Scan{backward} using {quote_ident(index.name)} on {printer.name(node.table)}",
        names=printer.columns(node.table, node.columns),
    )
    shown.facts = {
        "Scan Direction": "Backward" if node.backward else "Forward",
        "Index Name": index.name,
        **printer.on(node.table),
    }
    tests = _bounds(printer, node, index, names)
    if tests:
        shown.details.append(("Index Cond", tests[0] if len(tests) == 1 else "(" + " AND ".join(tests) + ")"))
    return printer.filtered(shown, node.filter)


def _bounds(printer: Printer, node: nodes.IndexScan, index: nodes.Index, names: list[str]) -> list[str]:
    low = [printer.expr(value, []) for value in node.low.values] if node.low else []
    high = [printer.expr(value, []) for value in node.high.values] if node.high else []
    exact = bool(node.low and node.low.inclusive and node.high and node.high.inclusive)
    tests: list[str] = []
    for at, name in enumerate(names):
        one = low[at] if at < len(low) else None
        two = high[at] if at < len(high) else None
        if one is not None and one == two and exact:
            tests.append(f"({name} = {one})")
            continue
        bounds = (node.low, node.high)
        if index.keys[at].desc:
            one, two, bounds = two, one, (node.high, node.low)
        if one is not None:
            tests.append(f"({name} {'>=' if _takes_equal(bounds[0], at) else '>'} {one})")
        if two is not None:
            tests.append(f"({name} {'<=' if _takes_equal(bounds[1], at) else '<'} {two})")
    if node.any is not None:
        at = min(len(low), len(names) - 1)
        tests.append(f"({names[at]} = ANY ({printer.expr(node.any, [])}))")
    return tests


def _takes_equal(bound: nodes.Bound | None, at: int) -> bool:
    return bound is not None and (bound.inclusive or at + 1 < len(bound.values))


@shows(nodes.Single)
def single(printer: Printer, node: nodes.Single) -> Shown:
    return Shown("Result", "Result")


@shows(nodes.Empty)
def empty(printer: Printer, node: nodes.Empty) -> Shown:
    return Shown("Result", "Result", details=[("One-Time Filter", "false")])


@shows(nodes.Values)
def values(printer: Printer, node: nodes.Values) -> Shown:
    if len(node.rows) == 1:
        return Shown("Result", "Result", names=[f"column{at + 1}" for at in range(len(node.types))])
    return _values_scan(printer, node)


def _values_scan(printer: Printer, node: nodes.Values | nodes.LiteralRows) -> Shown:
    names = [f"column{at + 1}" for at in range(len(node.types))]
    return Shown("Values Scan", 'Values Scan on "*VALUES*"', facts={"Alias": "*VALUES*"}, names=names)


@shows(nodes.LiteralRows)
def literal_rows(printer: Printer, node: nodes.LiteralRows) -> Shown:
    return _values_scan(printer, node)


@shows(nodes.FunctionScan, relation=True)
def function_scan(printer: Printer, node: nodes.FunctionScan) -> Shown:
    name = node.calls[0].func
    return Shown(
        "Function Scan", f"Function Scan on {name}", facts={"Function Name": name, "Alias": name}, names=[name] * 8
    )


@shows(nodes.HostScan, relation=True)
def host_scan(printer: Printer, node: nodes.HostScan) -> Shown:
    return Shown(
        "Function Scan",
        f"Function Scan on {node.name}",
        facts={"Function Name": node.name},
        names=[f"column{at + 1}" for at in range(len(node.types))],
    )


@shows(nodes.CteScan, relation=True)
def cte_scan(printer: Printer, node: nodes.CteScan) -> Shown:
    return Shown(
        "CTE Scan",
        f"CTE Scan on cte{node.id}",
        facts={"CTE Name": f"cte{node.id}"},
        names=printer.ctes.get(node.id, []),
    )


@shows(nodes.WorkScan)
def work_scan(printer: Printer, node: nodes.WorkScan) -> Shown:
    return Shown("WorkTable Scan", f"WorkTable Scan on cte{node.id}", names=printer.ctes.get(node.id, []))


@shows(nodes.Filter, folded=True)
def filtered(printer: Printer, node: nodes.Filter) -> Shown:
    return printer.filtered(printer.node(node.input), node.test)


@shows(nodes.Project, folded=True)
def projected(printer: Printer, node: nodes.Project) -> Shown:
    shown = printer.node(node.input)
    shown.names = [printer.expr(e, shown.names) for e in node.exprs]
    shown.details.append(("Output", list(shown.names)))
    return shown


@shows(nodes.ProjectSet)
def project_set(printer: Printer, node: nodes.ProjectSet) -> Shown:
    child = printer.node(node.input)
    names = [_item(printer, item, child.names) for item in node.exprs]
    return Shown("ProjectSet", "ProjectSet", children=[child], names=names)


def _item(printer: Printer, item: nodes.ProjectItem, names: list[str]) -> str:
    return f"{item.set.func}(…)" if item.set is not None else printer.expr(item.expr, names)


@shows(nodes.Sort)
def sort(printer: Printer, node: nodes.Sort) -> Shown:
    child = printer.node(node.input)
    return Shown(
        "Sort",
        "Sort",
        details=[("Sort Key", printer.keys(node.keys, child.names))],
        children=[child],
        names=child.names,
    )


@shows(nodes.Aggregate)
def aggregate(printer: Printer, node: nodes.Aggregate) -> Shown:
    child = printer.node(node.input)
    keys = [printer.expr(e, child.names) for e in node.keys]
    strategy, title = (
        ("Sorted", "GroupAggregate")
        if node.sorted and keys
        else ("Hashed", "HashAggregate")
        if keys
        else ("Plain", "Aggregate")
    )
    names = keys + [_aggregate_call(printer, agg, child.names) for agg in node.aggs]
    shown = Shown(
        "Aggregate", title, facts={"Strategy": strategy, "Partial Mode": "Simple"}, children=[child], names=names
    )
    if keys:
        shown.details.append(("Group Key", keys))
    return shown


def _aggregate_call(printer: Printer, agg: nodes.Agg, names: list[str]) -> str:
    args = ", ".join(printer.expr(arg, names) for arg in agg.args) or "*"
    return f"{agg.func}({'DISTINCT ' if agg.distinct else ''}{args})"


@shows(nodes.Window)
def window(printer: Printer, node: nodes.Window) -> Shown:
    child = printer.node(node.input)
    return Shown(
        "WindowAgg",
        "WindowAgg",
        children=[child],
        names=[*child.names, *(f"{call.func}() OVER (?)" for call in node.calls)],
    )


@shows(nodes.Limit)
def limit(printer: Printer, node: nodes.Limit) -> Shown:
    child = printer.node(node.input)
    return Shown("Limit", "Limit", children=[child], names=child.names)


@shows(nodes.DistinctRows)
def distinct_rows(printer: Printer, node: nodes.DistinctRows) -> Shown:
    child = printer.node(node.input)
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


@shows(nodes.LockRows)
def lock_rows(printer: Printer, node: nodes.LockRows) -> Shown:
    child = printer.node(node.input)
    return Shown("LockRows", "LockRows", children=[child], names=child.names)


@shows(nodes.With)
def with_(printer: Printer, node: nodes.With) -> Shown:
    cte = printer.node(node.cte)
    printer.ctes[node.id] = cte.names
    shown = printer.node(node.input)
    cte.label = f"CTE cte{node.id}"
    cte.facts |= {"Parent Relationship": "InitPlan", "Subplan Name": cte.label}
    shown.children.insert(0, cte)
    return shown


def _joined(
    printer: Printer,
    node: nodes.NestedLoop | nodes.HashJoin | nodes.MergeJoin,
    kind: str,
    title: str,
    keys: Callable[[list[str], list[str]], tuple[str, str]] | None = None,
) -> Shown:
    """`keys` says what the join's keys are shown as, given both sides' names. Each side is shown once: it may be deep."""
    left = printer.node(node.left)
    if isinstance(node, nodes.NestedLoop):
        for number, e in node.params:
            printer.exec[number] = printer.expr(e, left.names)
    right = printer.node(node.right)
    both = left.names + right.names
    inner = right
    if isinstance(node, nodes.HashJoin):
        inner = Shown("Hash", "Hash", right.estimate, right.actual, children=[right], names=right.names)
    shown = Shown(
        kind, title, facts={"Join Type": (JOINS[node.kind].strip() or "Inner")}, children=[left, inner], names=both
    )
    if keys is not None:
        shown.details.append(keys(left.names, right.names))
    if node.on is not None:
        shown.details.append(("Join Filter", printer.expr(node.on, both)))
    return shown


@shows(nodes.NestedLoop)
def nested_loop(printer: Printer, node: nodes.NestedLoop) -> Shown:
    title = f"Nested Loop{JOINS[node.kind]} Join" if JOINS[node.kind] else "Nested Loop"
    return _joined(printer, node, "Nested Loop", title)


def _equal(printer: Printer, pairs: Iterable[tuple[nodes.Expr, nodes.Expr]], left: list[str], right: list[str]) -> str:
    tests = [f"({printer.expr(one, left)} = {printer.expr(two, right)})" for one, two in pairs]
    return tests[0] if len(tests) == 1 else "(" + " AND ".join(tests) + ")"


@shows(nodes.HashJoin)
def hash_join(printer: Printer, node: nodes.HashJoin) -> Shown:
    pairs = list(zip(node.left_keys, node.right_keys, strict=True))
    title = f"Hash{JOINS[node.kind]} Join"
    return _joined(printer, node, "Hash Join", title, lambda *names: ("Hash Cond", _equal(printer, pairs, *names)))


@shows(nodes.MergeJoin)
def merge_join(printer: Printer, node: nodes.MergeJoin) -> Shown:
    pairs = [(key.expr, right) for key, right in zip(node.left_keys, node.right_keys, strict=True)]
    title = f"Merge{JOINS[node.kind]} Join"
    return _joined(printer, node, "Merge Join", title, lambda *names: ("Merge Cond", _equal(printer, pairs, *names)))


@shows(nodes.Append)
def append(printer: Printer, node: nodes.Append) -> Shown:
    children = [printer.node(child) for child in node.inputs]
    return Shown("Append", "Append", children=children, names=children[0].names if children else [])


@shows(nodes.SetOp)
def set_op(printer: Printer, node: nodes.SetOp) -> Shown:
    left, right = printer.node(node.left), printer.node(node.right)
    if node.kind == "union":
        return Shown("Append", "Append", children=[left, right], names=left.names)
    word = f"HashSetOp {node.kind.capitalize()}{' All' if node.all else ''}"
    return Shown("SetOp", word, facts={"Strategy": "Hashed"}, children=[left, right], names=left.names)


@shows(nodes.Recursive)
def recursive(printer: Printer, node: nodes.Recursive) -> Shown:
    start = printer.node(node.start)
    printer.ctes[node.id] = start.names
    return Shown("Recursive Union", "Recursive Union", children=[start, printer.node(node.step)], names=start.names)


def _modified(printer: Printer, node: nodes.Insert | nodes.Update | nodes.Delete, word: str) -> Shown:
    child = printer.node(node.input)
    names = [quote_ident(column.name) for column in node.table.columns]
    return Shown(
        "ModifyTable",
        f"{word} on {printer.name(node.table)}",
        facts={"Operation": word, **printer.on(node.table)},
        children=[child],
        names=[*names, "ctid", *child.names],
    )


@shows(nodes.Insert)
def insert(printer: Printer, node: nodes.Insert) -> Shown:
    shown = _modified(printer, node, "Insert")
    if node.conflict is not None:
        shown.details.append(("Conflict Resolution", "NOTHING" if node.conflict.set is None else "UPDATE"))
    return shown


@shows(nodes.Update)
def update(printer: Printer, node: nodes.Update) -> Shown:
    return _modified(printer, node, "Update")


@shows(nodes.Delete)
def delete(printer: Printer, node: nodes.Delete) -> Shown:
    return _modified(printer, node, "Delete")


def show_plan(
    planned: PlannedStatement, catalog: Catalog, actual: list[Actual] | None, *, verbose: bool = False
) -> Shown:
    """The plan as EXPLAIN prints it."""
    return Printer(planned, catalog, actual, verbose).plan()
