"""Imports go one way: kernel, wal, pagestore, engine, server; nothing imports upwards."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT: dict[str, set[str]] = {
    "kernel": {"kernel"},
    "wal": {"kernel", "wal"},
    "pagestore": {"kernel", "wal", "pagestore"},
    "engine": {"kernel", "wal", "pagestore", "engine"},
    "server": {"kernel", "wal", "pagestore", "engine", "server"},
}


def imported(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                # Relative: within the package, which the path's depth bounds (Python refuses to go above it).
                continue
            base = node.module or ""
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    wrong = []
    for path in sources(package):
        for name in imported(ast.parse(path.read_text())):
            parts = name.split(".")
            if parts[0] == "sixfold" and len(parts) > 1 and parts[1] not in MAY_IMPORT[package]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if parts[0] in ("tests", "bench", "examples"):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_pglast_is_imported_in_one_module_only() -> None:
    users = [
        str(path.relative_to(ROOT))
        for package in MAY_IMPORT
        for path in sources(package)
        if any(name.split(".")[0] == "pglast" for name in imported(ast.parse(path.read_text())))
    ]
    assert users in ([], ["engine/parser.py"])
