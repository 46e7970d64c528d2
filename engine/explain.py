"""EXPLAIN: a plan as PostgreSQL prints one, in text, JSON, XML or YAML."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .cursors import execute_params, known_text, prepared_statement
from .deparse import position_of
from .errors import SqlError, not_built
from .explain_nodes import show_plan
from .explain_printer import Actual, Shown
from .plans import Prepared, prepare
from .reply import JSON, TEXT, Column, column
from .utility import Context, entry
from .work import Restart

if TYPE_CHECKING:
    from .session import Session

PLANNED = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt")
FLAGS = ("analyze", "verbose", "costs", "settings", "buffers", "wal", "timing", "summary")


def read_options(node: Any) -> dict[str, Any]:
    """Options with their defaults."""
    found: dict[str, Any] = {"costs": True, "format": "text"}
    for option in node.options or ():
        name = option.defname
        arg = option.arg
        if name == "format":
            style = arg.sval.lower()
            if style not in ("text", "json", "xml", "yaml"):
                raise SqlError("22023", f'unrecognized value for EXPLAIN option "format": "{arg.sval}"')
            found["format"] = style
        elif name in FLAGS:
            word = getattr(arg, "sval", None)
            found[name] = (
                True
                if arg is None
                else word.lower() in ("true", "on", "1")
                if word is not None
                else bool(getattr(arg, "boolval", getattr(arg, "ival", 0)))
            )
        else:
            raise SqlError("42601", f'unrecognized EXPLAIN option "{name}"', position=position_of(option))
    for name in ("wal", "timing"):
        if found.get(name) and not found.get("analyze"):
            raise SqlError("22023", f"EXPLAIN option {name.upper()} requires ANALYZE")
    found.setdefault("timing", found.get("analyze", False))
    found.setdefault("summary", found.get("analyze", False))
    return found


def _columns(session: Session, node: Any, text: str) -> Sequence[Column]:
    style = read_options(node)["format"]
    return [column("QUERY PLAN", JSON if style == "json" else TEXT)]


@entry("ExplainStmt", "EXPLAIN", read_only=True, columns=_columns)
async def explain(session: Session, node: Any, context: Context) -> None:
    """EXPLAIN [ANALYZE] statement."""
    options = read_options(node)
    before = session.database.runtime.clock.monotonic()
    snapshot = session.snapshot
    prepared, params, into = await _prepare(session, node.query, context)
    planning = (session.database.runtime.clock.monotonic() - before) * 1000
    actual: list[Actual] | None = None
    spent = 0.0
    if options.get("analyze"):
        if into:
            raise not_built("EXPLAIN ANALYZE of CREATE TABLE AS")
        if not await session.statements.settled(prepared, snapshot):
            raise Restart
        actual, spent = await _run(session, prepared, params, options)
    top = show_plan(prepared.planned, session.catalog(), actual, verbose=bool(options.get("verbose")))
    lines = _print(
        top,
        options,
        planning if options["summary"] else None,
        spent if options["summary"] and actual is not None else None,
    )
    await context.reply.rows(_columns(session, node, context.text), [(line,) for line in lines])
    context.reply.complete("EXPLAIN")


async def _prepare(session: Session, query: Any, context: Context) -> tuple[Prepared, Sequence[Any], bool]:
    kind = type(query).__name__
    if kind == "ExecuteStmt":
        text = known_text(session, query.name)
        prepared = await session.think(text, lambda: prepared_statement(session, query.name, whole=True))
        return prepared, await execute_params(session, query, context, prepared), False
    into = kind == "CreateTableAsStmt"
    if kind in ("CreateTableAsStmt", "DeclareCursorStmt"):
        query, kind = query.query, type(query.query).__name__
    if kind not in PLANNED:
        raise SqlError("42601", f'syntax error at or near "{kind}"')
    prepared = await session.think(
        context.text, lambda: prepare(session, query, context.text, context.param_types, at=-7, whole=True)
    )
    return prepared, context.params, into


async def _run(
    session: Session, prepared: Prepared, params: Sequence[Any], options: dict[str, Any]
) -> tuple[list[Actual], float]:
    """Run it for its figures; the rows are thrown away."""
    clock = session.database.runtime.clock
    portal = session.kernel.portal(prepared.plan, params)
    portal.set_timing(True)
    started = clock.monotonic()
    kind = "suspended"
    try:
        while kind == "suspended":
            kind, _ = await session.waits.step(
                lambda: portal.fetch(1000), session=session.kernel, detached=lambda: portal.fetch_detached(1000)
            )
        spent = (clock.monotonic() - started) * 1000
        return [(node["rows"], node["loops"], node["time"]) for node in json.loads(portal.explain())], spent
    finally:
        portal.close()


def _print(top: Shown, options: dict[str, Any], planning: float | None, execution: float | None) -> list[str]:
    if options["format"] == "text":
        lines = text_lines(top, options)
        if planning is not None:
            lines.append(f"Planning Time: {planning:.3f} ms")
        if execution is not None:
            lines.append(f"Execution Time: {execution:.3f} ms")
        return lines
    whole: dict[str, Any] = {"Plan": json_node(top, options)}
    if planning is not None:
        whole["Planning Time"] = Fixed(planning, 3)
    if execution is not None:
        whole |= {"Triggers": [], "Execution Time": Fixed(execution, 3)}
    if options["format"] == "json":
        return [json_text([whole])]
    if options["format"] == "yaml":
        return ["\n".join(_yaml([whole], 0))]
    return ['<explain xmlns="http://www.postgresql.org/2009/explain">\n' + _xml("Query", whole, 1) + "\n</explain>"]


def text_lines(node: Shown, options: dict[str, Any], depth: int = 0) -> list[str]:
    """A node with what is below it."""
    head = node.title
    if options["costs"] and node.estimate is not None:
        e = node.estimate
        head += f"  (cost={e.startup:.2f}..{e.total:.2f} rows={max(round(e.rows), 0 if e.rows == 0 else 1)} width={e.width})"
    if node.actual is not None:
        rows, loops, micros = node.actual
        if loops == 0:
            head += " (never executed)"
        elif options["timing"]:
            each = micros / 1000 / loops
            head += f" (actual time={each:.3f}..{each:.3f} rows={round(rows / loops)} loops={loops})"
        else:
            head += f" (actual rows={round(rows / loops)} loops={loops})"
    indent = "" if depth == 0 else "  " + "      " * (depth - 1) + "->  "
    below = "  " + "      " * depth
    lines = [indent + head]
    if node.label:
        lines.insert(0, "  " + "      " * (depth - 1) + node.label)
        lines[1] = "  " + "      " * (depth - 1) + "  ->  " + head
        below += "  "
    for name, value in node.details:
        if name != "Output" or options.get("verbose"):
            lines.append(f"{below}{name}: {value if isinstance(value, str) else ', '.join(value)}")
    for child in node.children:
        lines += text_lines(child, options, depth + 1)
    return lines


# Facts that PostgreSQL prints before those of where the node runs.
EARLY = ("Strategy", "Partial Mode", "Operation", "Parent Relationship", "Subplan Name")


def json_node(node: Shown, options: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
    """A node as JSON has it."""
    facts = dict(node.facts)
    if parent is not None:
        facts.setdefault("Parent Relationship", parent)
    result: dict[str, Any] = {"Node Type": node.kind, **{name: facts.pop(name) for name in EARLY if name in facts}}
    result |= {"Parallel Aware": False, "Async Capable": False, **facts}
    if options["costs"] and node.estimate is not None:
        e = node.estimate
        result |= {"Startup Cost": Fixed(e.startup, 2), "Total Cost": Fixed(e.total, 2)}
        result |= {"Plan Rows": max(round(e.rows), 1), "Plan Width": e.width}
    if node.actual is not None:
        rows, loops, micros = node.actual
        if options["timing"]:
            each = Fixed(micros / 1000 / max(loops, 1), 3)
            result |= {"Actual Startup Time": each, "Actual Total Time": each}
        result |= {"Actual Rows": round(rows / max(loops, 1)), "Actual Loops": loops}
    for name, value in node.details:
        if name != "Output" or options.get("verbose"):
            result[name] = value
    if node.children:
        names = ("Outer", "Inner") if node.kind in ("Hash Join", "Merge Join", "Nested Loop") else ("Outer",)
        if node.kind == "Append":
            names = ("Member",)
        result["Plans"] = [
            json_node(child, options, names[min(at, len(names) - 1)]) for at, child in enumerate(node.children)
        ]
    return result


class Fixed(float):
    """A number that is printed with a fixed number of digits."""

    digits: int

    def __new__(cls, value: float, digits: int) -> Fixed:
        self = super().__new__(cls, value)
        self.digits = digits
        return self

    def __str__(self) -> str:
        return f"{float(self):.{self.digits}f}"


def json_text(value: Any, depth: int = 0) -> str:
    """JSON as PostgreSQL lays it out: lists of plain values on one line."""
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        inner = ",\n".join(f"{pad}{json.dumps(key)}: {json_text(item, depth + 1)}" for key, item in value.items())
        return "{\n" + inner + "\n" + "  " * depth + "}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = ",\n".join(pad + json_text(item, depth + 1) for item in value)
        return "[\n" + inner + "\n" + "  " * depth + "]"
    if isinstance(value, list):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    return str(value) if isinstance(value, Fixed) else json.dumps(value, ensure_ascii=False)


def _yaml(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    lines: list[str] = []
    if isinstance(value, list):
        for item in value:
            inner = _yaml(item, depth + 1)
            lines.append(f"{pad}- " + inner[0].lstrip())
            lines += inner[1:]
        return lines
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, dict | list) and item:
                lines.append(f"{pad}{name}: ")
                lines += _yaml(item, depth + 1)
            else:
                lines.append(f"{pad}{name}: {json_text(item)}")
        return lines
    return [pad + json.dumps(value)]


def _xml(name: str, value: Any, depth: int) -> str:
    pad, tag = "  " * depth, name.replace(" ", "-")
    if isinstance(value, dict):
        return (
            f"{pad}<{tag}>\n"
            + "\n".join(_xml(key, item, depth + 1) for key, item in value.items())
            + f"\n{pad}</{tag}>"
        )
    if isinstance(value, list):
        inner = "Plan" if name == "Plans" else "Item"
        return f"{pad}<{tag}>\n" + "\n".join(_xml(inner, item, depth + 1) for item in value) + f"\n{pad}</{tag}>"
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    # Few ask for it; xml.sax would bring half of the library with it.
    escape = importlib.import_module("html").escape
    return f"{pad}<{tag}>{escape(shown, quote=False)}</{tag}>"
