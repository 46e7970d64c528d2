"""What the documents name is there: paths, links, and the commands of README's tour."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
FOLDERS = ("kernel", "wal", "pagestore", "engine", "server", "tests", "bench", "examples", "docs")
#: Written by a command, not kept from the beginning.
GENERATED = frozenset({"bench/RESULTS.md"})
SUFFIXES = ("py", "rs", "md", "toml", "sql", "tsv", "json", "txt", "pyi")
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


def named_paths(text: str) -> list[str]:
    """Inline code that looks like a path of this repository."""
    found = []
    for code in INLINE_CODE.findall(text):
        path = code.rstrip("/")
        if re.search(r"[\s(){}<>*…]", path) or "NAME" in path or "NNN" in path or "AREA" in path:
            continue
        if path.split("/")[0] in FOLDERS and ("/" in code):
            found.append(path)
    return found


def bare_files(text: str) -> list[str]:
    """Inline code that looks like a file's name alone."""
    return [code for code in INLINE_CODE.findall(text) if re.fullmatch(rf"\w+\.({'|'.join(SUFFIXES)})", code)]


@cache
def file_names() -> frozenset[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return frozenset(name.rpartition("/")[2] for name in listed.stdout.split())


def anchors(page: Path) -> set[str]:
    """Headings as links name them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_path_that_is_named_exists(page: Path) -> None:
    missing = [path for path in named_paths(prose(page)) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_file_that_is_named_exists_somewhere(page: Path) -> None:
    # Files of a running cluster, of Cargo, and of PostgreSQL.
    others = {"cluster.toml", "sixfold.toml"}
    assert not [name for name in bare_files(prose(page)) if name not in file_names() | others]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_relative_link_resolves(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        target, _, anchor = link.partition("#")
        if ":" in target or target in GENERATED:
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert not broken


@cache
def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sixfold.server", *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"sixfold {' '.join(command)}: {done.stderr}"
    return done.stdout


def commands(page: Path) -> list[list[str]]:
    """The `sixfold …` lines of a page's shell blocks."""
    found = []
    for language, block in FENCE.findall(page.read_text()):
        if language == "sh":
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].rpartition("/")[2] == "sixfold":
                    found.append(words[1:])
    return found


def split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """(subcommand, its options)"""
    length = 2 if words[0] == "cluster" else 1
    return words[:length], [word.partition("=")[0] for word in words[length:] if word.startswith("--")]


def test_the_tour_has_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 4


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=shown)
def test_commands_and_options_of_shell_blocks_exist(page: Path) -> None:
    for words in commands(page):
        command, options = split_command(words)
        text = help_of(*command)
        assert not [option for option in options if option not in re.findall(r"--[\w-]+", text)], words


def test_operations_names_every_command_and_no_other() -> None:
    listed = re.findall(r"^  ([a-z][a-z-]*)  +\S", help_of(), re.M)
    assert listed
    text = (ROOT / "docs" / "operations.md").read_text()
    assert not [name for name in listed if f"sixfold {name}" not in text]
    assert not set(re.findall(r"`sixfold ([a-z-]+)", text)) - set(listed)


def test_a_path_that_is_not_there_is_seen() -> None:
    assert named_paths("`engine/nowhere.py` and `kernel/src/` and `make test`") == ["engine/nowhere.py", "kernel/src"]
    assert not (ROOT / "engine" / "nowhere.py").exists()
