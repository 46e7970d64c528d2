"""Write engine/planner/nodes.py and expressions.py: the plan's classes for Python, from what the kernel declares.

`python -m tests.tools.plan_nodes` after a change of a plan node or an expression; a test says when that is due.

What is read: the structs and enums that derive `Deserialize` in kernel/src/exec/plan.rs and kernel/src/exec/ops/, with their
comments, and the list `nodes!` in kernel/src/exec/ops/mod.rs. A field that Python may leave out has `#[serde(default)]`. An enum
of names alone is a `str`.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXEC = ROOT / "kernel" / "src" / "exec"
PLANNER = ROOT / "engine" / "planner"

EXPRESSIONS = '''"""A plan's expressions. Made by `python -m tests.tools.plan_nodes` from kernel/src/exec/plan.rs."""

from __future__ import annotations

import msgspec


class Expr(msgspec.Struct, tag_field="e", omit_defaults=True):
    """Any expression."""
'''

NODES = '''"""The plan as it goes to the kernel. Made by `python -m tests.tools.plan_nodes` from kernel/src/exec/plan.rs and kernel/src/exec/ops/.

Every node outputs rows of columns numbered from 0; `Col` names a column of the node's input.
"""

from __future__ import annotations  # noqa: I001

from typing import Any

import msgspec

from .expressions import (
{imports}
)


class Node(msgspec.Struct, tag_field="op", omit_defaults=True):
    """Any plan node."""
'''

TAIL = '''

def to_json(value: Any) -> str:
    """JSON as the kernel reads it (a Plan, or an Expr for expressions prepared alone)."""
    return msgspec.json.encode(value).decode()
'''

# Python has one name space: here a node is not called as an expression is.
RENAMED = {"Distinct": "DistinctRows"}

SCALARS = {"bool": "bool", "String": "str"} | dict.fromkeys(
    ("usize", "u8", "u32", "u64", "i16", "i32", "Oid", "PageNo"), "int"
)

CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
ITEM = re.compile(
    r"(?P<doc>(?:^///[^\n]*\n)*)^#\[derive\([^)]*\bDeserialize\b[^)]*\)\]\n(?P<attributes>(?:^#\[[^\n]*\n)*)"
    r"^pub (?P<kind>struct|enum) (?P<name>\w+) \{(?:\}|\n(?P<body>.*?)^\})",
    re.MULTILINE | re.DOTALL,
)
MEMBER = re.compile(
    r"(?P<doc>(?:^ *///[^\n]*\n)*)(?P<attributes>(?:^ *#\[[^\n]*\n)*)"
    r"^(?P<indent> *)(?:pub )?(?:r#)?(?P<name>\w+)(?:: (?P<type>.*?),$|\((?P<wraps>\w+)\),$| \{\n(?P<body>.*?)^(?P=indent)\},$|,$)",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Member:
    name: str
    doc: list[str]
    rust: str = ""
    wraps: str = ""
    may_be_missing: bool = False
    fields: list[Member] = field(default_factory=list)


@dataclass
class Item:
    kind: str
    name: str
    doc: list[str]
    members: list[Member]
    tagged: bool

    def is_names(self) -> bool:
        """An enum of names alone."""
        return self.kind == "enum" and not any(m.wraps or m.fields for m in self.members)


def _doc(text: str) -> list[str]:
    return [line.strip().removeprefix("///").strip() for line in text.splitlines()]


def _members(body: str) -> list[Member]:
    left = MEMBER.sub("", body).strip()
    if left:
        raise SystemExit(f"not understood: {left}")
    return [
        Member(
            m["name"],
            _doc(m["doc"]),
            " ".join((m["type"] or "").split()),
            m["wraps"] or "",
            "serde(default)" in m["attributes"],
            _members(m["body"]) if m["body"] else [],
        )
        for m in MEMBER.finditer(body)
    ]


def items(path: Path) -> list[Item]:
    """What a file declares for plans."""
    return [
        Item(m["kind"], m["name"], _doc(m["doc"]), _members(m["body"] or ""), "tag = " in m["attributes"])
        for m in ITEM.finditer(path.read_text())
    ]


def node_names() -> list[str]:
    """The list of all plan nodes."""
    listed = re.search(r"^nodes! \{\n(.*?)^\}", (EXEC / "ops" / "mod.rs").read_text(), re.MULTILINE | re.DOTALL)
    if listed is None:
        raise SystemExit("kernel/src/exec/ops/mod.rs has no list of nodes")
    return re.findall(r"::(\w+),", listed[1])


def _split(types: str) -> list[str]:
    """By the commas that stand in no brackets."""
    parts, depth = [""], 0
    for letter in types:
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


class Writer:
    """Writes the classes of all items."""

    def __init__(self) -> None:
        self.plan = items(EXEC / "plan.rs")
        self.files = [items(path) for path in sorted((EXEC / "ops").rglob("*.rs"))]
        self.nodes = node_names()
        self.known = {item.name: item for file in (self.plan, *self.files) for item in file}
        missing = set(self.nodes) - set(self.known)
        if missing:
            raise SystemExit(f"listed as nodes, but nothing derives Deserialize: {', '.join(sorted(missing))}")

    def type(self, rust: str) -> str:
        """Python's type of a field."""
        if rust in SCALARS:
            return SCALARS[rust]
        if rust.startswith("("):
            return f"tuple[{', '.join(map(self.type, _split(rust[1:-1])))}]"
        if generic := re.fullmatch(r"(Option|Vec|Box)<(.*)>", rust):
            inner = self.type(generic[2])
            return {"Option": f"{inner} | None", "Vec": f"list[{inner}]", "Box": inner}[generic[1]]
        if rust == "Node":
            return rust
        if rust not in self.known:
            raise SystemExit(f"a plan can't have the type {rust}")
        return "str" if self.known[rust].is_names() else rust

    def field(self, member: Member) -> str:
        """One line, and its comment."""
        lines = [f"    # {line}".rstrip() for line in member.doc]
        kind = self.type(member.rust)
        if keyword.iskeyword(member.name):
            lines.append(f'    {member.name}_: {kind} = msgspec.field(name="{member.name}")')
        else:
            lines.append(f"    {member.name}: {kind}{' = None' if member.may_be_missing else ''}")
        return "\n".join(lines)

    def one(self, header: str, doc: list[str], fields: list[Member]) -> str:
        """One class."""
        text = f"\n\nclass {header}:\n"
        if len(doc) == 1:
            text += f'    """{doc[0]}"""\n'
        elif doc:
            text += '    """' + "\n    ".join(doc) + '\n    """\n'
        if doc and fields:
            text += "\n"
        if fields:
            text += "\n".join(self.field(f) for f in fields) + "\n"
        return text if doc or fields else text + "    pass\n"

    def item(self, item: Item) -> str:
        """The classes of one struct or enum."""
        if item.is_names():
            return ""
        if item.name in self.nodes:
            name = RENAMED.get(item.name, item.name)
            return self.one(f'{name}(Node, tag="{snake(item.name)}")', item.doc, item.members)
        if item.kind == "struct":
            return self.one(f"{item.name}(msgspec.Struct)", item.doc, item.members)
        if item.tagged:
            return "".join(
                self.one(f'{m.name}({item.name}, tag="{snake(m.name)}")', m.doc, m.fields) for m in item.members
            )
        doc = [*item.doc, "Exactly one of them."]
        fields = [Member(snake(m.name), m.doc, f"Option<{m.wraps}>", may_be_missing=True) for m in item.members]
        return self.one(f"{item.name}(msgspec.Struct, omit_defaults=True)", doc, fields)

    def all(self) -> dict[str, str]:
        """The files' texts by their names."""
        expressions, nodes = EXPRESSIONS, ""
        of_expressions = {
            word for m in self.known["Expr"].members for f in m.fields for word in re.findall(r"\w+", f.rust)
        }
        for item in (item for file in (self.plan, *self.files) for item in file):
            if item.name == "Expr" or item.name in of_expressions:
                expressions += self.item(item)
            else:
                nodes += self.item(item)
        names = CLASS.findall(expressions)
        nodes = NODES.format(imports="\n".join(f"    {name} as {name}," for name in sorted(names))) + nodes + TAIL
        names += CLASS.findall(nodes)
        if twice := {name for name in names if names.count(name) > 1}:
            raise SystemExit(f"two classes of one name: {', '.join(sorted(twice))}")
        return {"expressions.py": expressions, "nodes.py": nodes}


def snake(name: str) -> str:
    """As serde's rename_all = "snake_case"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    for name, text in Writer().all().items():
        (PLANNER / name).write_text(text)
