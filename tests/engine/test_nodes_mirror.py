"""engine/planner/nodes.py and expressions.py are what the kernel's declarations make of them today."""

from __future__ import annotations

from pathlib import Path

import pytest

from sixfold.engine.planner import nodes
from tests.tools.plan_nodes import PLANNER, RENAMED, Writer, items, node_names, snake


@pytest.mark.parametrize("name", ["nodes.py", "expressions.py"])
def test_the_classes_are_fresh(name: str) -> None:
    assert (PLANNER / name).read_text() == Writer().all()[name], "stale: python -m tests.tools.plan_nodes"


def test_every_node_of_the_kernel_has_its_class() -> None:
    listed = {(RENAMED.get(name, name), snake(name)) for name in node_names()}
    assert len(listed) > 20
    assert listed == {(kind.__name__, kind.__struct_config__.tag) for kind in nodes.Node.__subclasses__()}


DECLARED = """
/// Rows by chance: each is kept
/// with a probability.
#[derive(Debug, Deserialize)]
pub struct Sample {
    pub input: Node,
    /// Between 0 and 1.
    pub share: Vec<(usize, Option<Expr>)>,
    #[serde(default)]
    pub r#not: Option<usize>,
}

pub struct SampleNode {
    input: PNode,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Bernoulli,
    System,
}
"""


def test_what_is_read_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sample.rs"
    path.write_text(DECLARED)
    sample, method = items(path)
    assert (sample.name, method.name, method.is_names()) == ("Sample", "Method", True)
    writer = Writer()
    writer.nodes.append("Sample")
    sample.members.pop()
    assert (
        writer.item(sample)
        == '''

class Sample(Node, tag="sample"):
    """Rows by chance: each is kept
    with a probability.
    """

    input: Node
    # Between 0 and 1.
    share: list[tuple[int, Expr | None]]
'''
    )


def test_a_type_that_no_plan_can_have_is_an_error() -> None:
    with pytest.raises(SystemExit, match="HashMap"):
        Writer().type("HashMap<usize, Expr>")
