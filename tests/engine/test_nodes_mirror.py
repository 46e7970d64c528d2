"""engine/planner/nodes.py says the same as kernel/src/exec/plan.rs, struct by struct and field by field."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from sixfold.engine.planner import nodes

PLAN_RS = Path(__file__).resolve().parents[2] / "kernel" / "src" / "exec" / "plan.rs"
# Python's name where Rust's is taken: Node::Distinct beside Expr::Distinct.
RENAMED = {("Node", "Distinct"): "DistinctRows"}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _body(source: str, header: str) -> str:
    start = source.index(header) + len(header)
    depth, end = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(source[end], 0)
        end += 1
    return source[start : end - 1]


def _below(base: type) -> set[type]:
    return {kind for below in base.__subclasses__() for kind in (below, *_below(below))}


def _source() -> str:
    return re.sub(r"//[^\n]*|#\[[^\]]*\]", "", PLAN_RS.read_text())


def _fields(body: str) -> list[str]:
    return re.findall(r"(?:pub\s+)?(?:r#)?(\w+)\s*:", re.sub(r"<[^<>]*>|\([^()]*\)", "", re.sub(r"<[^<>]*>", "", body)))


def _variants(body: str) -> dict[str, list[str] | None]:
    """Variant → fields; None for a variant that wraps a struct of its own."""
    result: dict[str, list[str] | None] = {}
    position = 0
    while match := re.compile(r"\s*(\w+)\s*(\{|\(|,|$)").match(body, position):
        name, opener = match.groups()
        if not name:
            break
        if opener == "{":
            inner = _body(body[match.start() :], "{")
            result[name] = _fields(inner)
            position = body.index("{", match.start()) + len(inner) + 2
        elif opener == "(":
            result[name] = None
            position = body.index(")", match.start()) + 1
        else:
            result[name] = []
            position = match.end() - 1
        comma = re.compile(r"\s*,").match(body, position)
        position = comma.end() if comma else position
    return result


def _python_fields(kind: type[msgspec.Struct]) -> list[str]:
    return [f.encode_name for f in msgspec.structs.fields(kind)]


def test_structs_have_the_same_fields() -> None:
    source = _source()
    structs = {m.group(1): _fields(_body(source, m.group(0))) for m in re.finditer(r"pub struct (\w+) \{", source)}
    assert {"Plan", "Insert", "After", "SortKey"} <= set(structs)
    for name, fields in structs.items():
        assert _python_fields(getattr(nodes, name)) == fields, name


def test_enums_have_the_same_variants_and_tags() -> None:
    source = _source()
    for enum, base, tag in (("Node", nodes.Node, "op"), ("Expr", nodes.Expr, "e")):
        variants = _variants(_body(source, f"pub enum {enum} {{"))
        assert len(variants) > 20
        seen = set()
        for name, fields in variants.items():
            kind = getattr(nodes, RENAMED.get((enum, name), name))
            assert issubclass(kind, base), name
            config = kind.__struct_config__
            assert (config.tag_field, config.tag) == (tag, _snake(name)), name
            if fields is not None:
                assert _python_fields(kind) == fields, name
            seen.add(kind)
        assert seen == {kind for kind in _below(base) if kind.__module__ == nodes.__name__}


def test_only_fields_that_may_be_missing_are_left_out() -> None:
    """Fields with a default are `Option`s in Rust: serde reads a missing one as None."""
    source = _source()
    for enum, base in (("Node", nodes.Node), ("Expr", nodes.Expr)):
        body = _body(source, f"pub enum {enum} {{")
        for kind in base.__subclasses__():
            if kind.__module__ != nodes.__name__:
                continue
            for f in msgspec.structs.fields(kind):
                if f.default is not msgspec.NODEFAULT:
                    assert re.search(rf"\b{f.encode_name}:\s*Option<", body), (kind.__name__, f.name)
