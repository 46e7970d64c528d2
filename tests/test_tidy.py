"""What a machine can see of how the code is written: sizes, banned calls, one door for pyo3, no machine paths.

A list of exceptions may only get shorter.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70

# Longer than a file or a function should be; each entry is a debt.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()

BANNED_PYTHON = {
    r"\btime\.sleep\(": "await clock.sleep",
    r"^\s*except:\s*$": "name the exception",
    r"\bprint\(": "structlog, or typer.echo in the CLI",
    r"\bNotImplementedError\b": "the real error (0A000)",
}
BANNED_RUST = {
    r"\bunimplemented!\(": "base::error::unsupported",
    r"\btodo!\(": "base::error::unsupported",
    r"std::fs::": "no I/O in the kernel",
    r"std::net::": "no I/O in the kernel",
    r"SystemTime::now|Instant::now": "no clock in the kernel",
    r"\bprintln!\(|\bdbg!\(": "the kernel is silent",
}


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split() if (path := ROOT / name).is_file()]


def is_test(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return (
        parts[0] == "tests"
        or "testdata" in parts
        or path.stem in ("tests", "test")
        or "tests" in parts[:-1]
        or path.stem.endswith("_tests")
    )


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_short_enough_to_hold_in_the_head() -> None:
    long = {
        shown(path)
        for pattern in ("*.py", "*.rs")
        for path in tracked(pattern)
        if not is_test(path) and len(path.read_text().splitlines()) > FILE_LINES_MAX
    }
    assert long == LONG_FILES


def python_functions(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((f"{shown(path)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1))
    return found


RUST_FN = re.compile(r"^(\s*)(?:pub(?:\([^)]*\))?\s+)?(?:const\s+)?(?:unsafe\s+)?fn\s+(\w+)")


def rust_functions(path: Path) -> list[tuple[str, int]]:
    """Function lengths by indentation: rustfmt puts a function's closing brace under its first letter."""
    found = []
    lines = path.read_text().splitlines()
    for start, line in enumerate(lines):
        match = RUST_FN.match(line)
        if not match or line.rstrip().endswith(";") or line.rstrip().endswith("}"):
            continue
        closing = match.group(1) + "}"
        for end in range(start + 1, len(lines)):
            if lines[end] == closing:
                found.append((f"{shown(path)}:{match.group(2)}", end - start + 1))
                break
    return found


def test_functions_are_short() -> None:
    long = set()
    for path in tracked("*.py"):
        if not is_test(path):
            long |= {name for name, lines in python_functions(path) if lines > FUNCTION_LINES_MAX}
    for path in tracked("*.rs"):
        if not is_test(path):
            long |= {name for name, lines in rust_functions(path) if lines > FUNCTION_LINES_MAX}
    assert long == LONG_FUNCTIONS


def banned(paths: list[Path], rules: dict[str, str]) -> list[str]:
    found = []
    for path in paths:
        text = path.read_text()
        if path.suffix == ".rs":
            text = text.split("#[cfg(test)]")[0]
        for number, line in enumerate(text.splitlines(), 1):
            code = line.split("//")[0] if path.suffix == ".rs" else line
            for pattern, instead in rules.items():
                if re.search(pattern, code):
                    found.append(f"{shown(path)}:{number}: {line.strip()} — use: {instead}")
    return found


def test_banned_calls() -> None:
    packages = ("kernel", "wal", "pagestore", "engine", "server")
    python = [p for p in tracked("*.py") if p.relative_to(ROOT).parts[0] in packages]
    rust = [p for p in tracked("*.rs") if not is_test(p)]
    # The kernel may do no I/O; crates of other folders are there to do it.
    kernel = [path for path in rust if path.relative_to(ROOT).parts[0] == "kernel"]
    found = banned(python, BANNED_PYTHON) + banned(kernel, BANNED_RUST)
    assert not found, "\n".join(found)


def test_pyo3_is_named_only_under_kernel_src_py() -> None:
    wrong = [
        shown(path)
        for path in tracked("*.rs")
        if "pyo3" in path.read_text() and path.relative_to(ROOT).parts[:3] != ("kernel", "src", "py")
    ]
    assert not wrong


def test_unsafe_is_denied() -> None:
    wrong = [
        shown(p) for p in tracked("*.rs") if re.search(r"\bunsafe\s*(\{|fn|impl)|allow\(unsafe_code\)", p.read_text())
    ]
    assert not wrong


def test_nothing_names_a_path_of_somebodys_machine() -> None:
    pattern = re.compile(r"/(?:home|root|work|Users)/\w")
    wrong = []
    for path in tracked("*"):
        if path.suffix in (".json", ".lock", ".csv", ".png", ".gz") or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                wrong.append(f"{shown(path)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)
