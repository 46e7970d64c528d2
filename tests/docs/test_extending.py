"""docs/extending.md shows how things are added with excerpts of the code: each must be found there, whatever its line breaks."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "extending.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
# A line that says: something is left out here.
LEFT_OUT = re.compile(r"^\s*(?://|#) …$", re.M)
SUFFIX = {"rust": "*.rs", "python": "*.py"}


def normal(text: str) -> str:
    """Without white space, and without the commas that only formatting puts at the end of a list."""
    return re.sub(r",([)\]}]|$)", r"\1", re.sub(r"\s+", "", text))


@cache
def sources(language: str) -> str:
    # -co: with the files of a tree in which something is being added.
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", SUFFIX[language]]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    parts = [name for name in names if not name.startswith("tests/docs/") and (ROOT / name).is_file()]
    return "\0".join(normal((ROOT / name).read_text()) for name in parts)


def excerpts(text: str) -> list[tuple[str, str]]:
    return [
        (language, piece.strip("\n"))
        for language, block in FENCE.findall(text)
        for piece in LEFT_OUT.split(block)
        if piece.strip()
    ]


def is_in_the_code(language: str, piece: str) -> bool:
    return normal(piece) in sources(language)


@pytest.mark.parametrize(("language", "piece"), excerpts(PAGE.read_text()), ids=lambda value: value.strip()[:40])
def test_every_example_is_in_the_code(language: str, piece: str) -> None:
    assert language in SUFFIX, "say what language it is"
    assert is_in_the_code(language, piece), f"not in the code:\n{piece}"


def test_what_is_not_in_the_code_is_seen() -> None:
    page = '```rust\n    pure("network_sub",\n// …\n```\n```python\nWORK = (\n```\n```rust\n    pure("int5pl",\n```\n'
    assert [is_in_the_code(*excerpt) for excerpt in excerpts(page)] == [True, True, False]


SECTIONS = {
    "A function": "rust", "An operator": "rust", "An aggregate": "rust", "A type": "rust", "A plan node": "rust",
    "A redo record": "rust", "Background work of a storage node": "python",
}  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_what_is_added_often_has_an_example(section: str) -> None:
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.S | re.M)
    assert found is not None and SECTIONS[section] in [language for language, _ in excerpts(found[1])]
