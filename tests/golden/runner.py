"""Golden scripts: commands and their printed results in one text file, readable without this code.

A script is blocks. A block is prose (optional), commands, a line `---`, and what the commands print; a blank line ends it:

    What this shows, in a sentence.

    > select 1
    ---
    ?column? integer

A command begins with `> `; following lines that begin with `. ` continue it. A blank line in the output is written as `~`.
`--rewrite` writes what the commands print now; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

#: Runs one command and answers what it prints.
Run = Callable[[str], str]

FENCE = "---"
BLANK = "~"


@dataclass
class Block:
    """Prose, commands and their expected output."""

    prose: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)


def parse(text: str) -> list[Block]:
    """The blocks of a script."""
    blocks: list[Block] = []
    block = Block()
    state = "prose"
    for line in text.splitlines():
        if state == "output":
            if line:
                block.expected.append("" if line == BLANK else line)
                continue
            blocks.append(block)
            block, state = Block(), "prose"
        elif line == FENCE:
            if not block.commands:
                raise ValueError("output without a command")
            state = "output"
        elif line.startswith("> "):
            block.commands.append(line[2:])
        elif line.startswith(". ") and block.commands:
            block.commands[-1] += "\n" + line[2:]
        elif block.commands:
            raise ValueError(f"neither command nor {FENCE}: {line!r}")
        else:
            block.prose.append(line)
    if state == "output" or block.commands or any(block.prose):
        blocks.append(block)
    return blocks


def write(blocks: list[Block]) -> str:
    """The script's text."""
    lines: list[str] = []
    for block in blocks:
        lines += block.prose
        for command in block.commands:
            first, *rest = command.split("\n")
            lines.append("> " + first)
            lines += [". " + line for line in rest]
        if block.commands:
            lines.append(FENCE)
            lines += [line or BLANK for line in block.expected]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def execute(blocks: list[Block], run: Run) -> list[Block]:
    """The same blocks with what their commands print now."""
    done = []
    for block in blocks:
        printed: list[str] = []
        for command in block.commands:
            printed += run(command).splitlines()
        done.append(Block(block.prose, block.commands, printed))
    return done


def check(path: Path, run: Run, rewrite: bool) -> str | None:
    """None when the script's expectations hold (or were rewritten), else what differs."""
    text = path.read_text()
    blocks = parse(text)
    done = execute(blocks, run)
    if rewrite:
        new = write(done)
        if new != text:
            path.write_text(new)
        return None
    wrong = []
    for before, after in zip(blocks, done, strict=True):
        if before.expected != after.expected:
            wrong.append(
                "\n".join(
                    [*("> " + c for c in before.commands), "expected:", *before.expected, "printed:", *after.expected]
                )
            )
    return "\n\n".join(wrong) or None
