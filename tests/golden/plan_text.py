"""A plan as a text tree, for golden scripts: a line a node, expressions in short form."""

from __future__ import annotations

import json
from typing import Any

from sixfold.engine.planner import nodes

_SKIP = {"op", "right_width", "left_width", "table", "types", "key_types", "partition_types", "estimate"}


def plan_text(plan: nodes.Plan) -> str:
    """The tree, its subplans, and the locks."""
    shown: dict[str, Any] = json.loads(nodes.to_json(plan))
    lines: list[str] = []
    _node(shown["root"], 0, lines)
    for i, subplan in enumerate(shown["subplans"]):
        lines.append(f"subplan {i}")
        _node(subplan, 1, lines)
    return "\n".join(lines)


def _node(node: dict[str, Any], depth: int, lines: list[str]) -> None:
    parts = [node["op"]]
    if "table" in node:
        parts.append(node["table"]["name"])
    for key, value in node.items():
        if key in _SKIP or value is None or value == [] or value is False or _is_node(value):
            continue
        if key == "index":
            parts.append(f"by {node['table']['indexes'][value]['name']}")
        elif isinstance(value, list) and _is_node(value[0]):
            continue
        else:
            parts.append(f"{key}={_value(value)}")
    lines.append("  " * depth + " ".join(parts))
    for value in node.values():
        if _is_node(value):
            _node(value, depth + 1, lines)
        elif isinstance(value, list) and value and _is_node(value[0]):
            for item in value:
                _node(item, depth + 1, lines)


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "op" in value and isinstance(value["op"], str) and "e" not in value


def _value(value: Any) -> str:
    if isinstance(value, dict):
        if "e" in value:
            return _expr(value)
        if "values" in value and "inclusive" in value:
            return (
                _list(value["values"])
                + ("" if value["inclusive"] else " exclusive")
                + (" null" if any(value["nulls"]) else "")
            )
        if "overflow" in value:
            return str(value["name"])
        if "desc" in value and "expr" in value:
            return (
                _expr(value["expr"])
                + (" desc" if value["desc"] else "")
                + (" nulls first" if value["nulls_first"] else "")
            )
        if "func" in value:
            return _call(value)
        return (
            "{"
            + " ".join(f"{k}={_value(v)}" for k, v in value.items() if v is not None and v != [] and v is not False)
            + "}"
        )
    if isinstance(value, list):
        return _list(value)
    return str(value)


def _list(values: list[Any]) -> str:
    return "[" + ", ".join(_value(v) for v in values) + "]"


def _call(value: dict[str, Any]) -> str:
    text = (
        f"{value['func']}({'distinct ' if value.get('distinct') else ''}{', '.join(_expr(a) for a in value['args'])})"
    )
    if value.get("order"):
        text += f" order {_list(value['order'])}"
    if value.get("filter"):
        text += f" filter {_expr(value['filter'])}"
    return text


def _expr(e: dict[str, Any]) -> str:
    kind = e["e"]
    if kind == "const":
        return "null" if e.get("text") is None else repr(e["text"])
    if kind == "col":
        return f"#{e['i']}"
    if kind == "param":
        return f"${e['n'] + 1}"
    if kind == "exec":
        return f"@{e['n']}"
    if kind in ("func", "host"):
        return ("host " if kind == "host" else "") + f"{e['func']}({', '.join(_expr(a) for a in e['args'])})"
    if kind in ("and", "or"):
        return "(" + f" {kind} ".join(_expr(a) for a in e["args"]) + ")"
    if kind == "not":
        return f"not {_expr(e['arg'])}"
    if kind == "sub":
        inside = [e["kind"], f"subplan {e['subplan']}"]
        if e["params"]:
            inside.append("with " + ", ".join(f"@{n}={_expr(v)}" for n, v in e["params"]))
        if e.get("test"):
            inside.append("test " + _expr(e["test"]))
        return "(" + " ".join(inside) + ")"
    rest = []
    for key, value in e.items():
        if key not in ("e", "typ", "elem", "types") and value is not None and value is not False:
            rest.append(_value(value) if key in ("arg", "args", "left", "right") else f"{key}={_value(value)}")
    return f"{kind}({', '.join(rest)})"
