"""Every script under scripts/ prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.areas import AREAS
from tests.golden.runner import Block, check, parse, write

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*/*.txt")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_script(path: Path, request: pytest.FixtureRequest) -> None:
    wrong = check(path, AREAS[path.parent.name](), bool(request.config.getoption("--rewrite")))
    assert wrong is None, wrong


def test_a_script_survives_reading_and_writing() -> None:
    text = "Prose.\n\n> one\n. more\n> two\n---\nout\n~\nlast\n\nOther.\n> three\n---\n"
    blocks = parse(text)
    assert blocks == [
        Block(["Prose.", ""], ["one\nmore", "two"], ["out", "", "last"]),
        Block(["Other."], ["three"], []),
    ]
    assert write(blocks) == text


def test_a_wrong_expectation_is_shown(tmp_path: Path) -> None:
    script = tmp_path / "x.txt"
    script.write_text("> a\n---\nb\n")
    assert check(script, lambda command: command.upper(), False) == "> a\nexpected:\nb\nprinted:\nA"
    assert check(script, lambda command: command.upper(), True) is None
    assert script.read_text() == "> a\n---\nA\n"
