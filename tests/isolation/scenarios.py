"""The scripts of several sessions under scripts/: golden scripts whose commands are `setup: SQL` and `session: SQL`, one block a scenario.
What stands below a block is what PostgreSQL 15 answers."""

from __future__ import annotations

from pathlib import Path

from tests.golden.runner import Block, parse, write
from tests.isolation.play import Target

SCRIPTS = Path(__file__).parent / "scripts"


def scenarios() -> dict[tuple[str, str], Block]:
    """By file and title."""
    return {
        (path.stem, " ".join(block.prose).strip()): block
        for path in sorted(SCRIPTS.glob("*.txt"))
        for block in parse(path.read_text())
    }


def played(target: Target, block: Block) -> list[str]:
    """What the commands print now."""
    target.reset()
    lines: list[str] = []
    for command in block.commands:
        name, _, statement = command.partition(": ")
        if name == "setup":
            target.setup(statement)
        else:
            lines += target.step(name.rstrip("!"), statement, name.endswith("!"))
    return lines


def rewrite(target: Target) -> None:
    """Write what PostgreSQL answers."""
    for path in sorted(SCRIPTS.glob("*.txt")):
        blocks = parse(path.read_text())
        path.write_text(write([Block(b.prose, b.commands, played(target, b)) for b in blocks]))
