"""What `make build` says where something that it needs is missing or too old."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
NEW = "rustc 1.85.0 (4d91de4e4 2025-02-17)"


@pytest.mark.parametrize(
    ("rust", "python", "said"),
    [
        ("", 0, "Rust is missing or older than 1.85"),
        ("rustc 1.63.0", 0, "Rust is missing or older than 1.85"),
        ("rustc 1.84.1 (e71f9a9a9 2025-01-27)", 0, "Rust is missing or older than 1.85"),
        (NEW, 1, "Python 3.11 or newer is missing"),
        ("rustc 2.0.0", 1, "Python 3.11 or newer is missing"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, rust: str, python: int, said: str) -> None:
    make = shutil.which("make")
    assert make is not None
    shutil.copy(MAKEFILE, tmp_path)
    # No more is on the path than what is said here, and what a shell script needs.
    for name, script in {"rustc": f"echo {rust!r}", "cargo": "", "python3": f"exit {python}"}.items():
        if rust or name == "python3":
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
    for name in ("awk", "find", "sh"):
        (tmp_path / name).symlink_to(os.path.realpath(shutil.which(name) or name))
    done = subprocess.run(
        [make, "build"], cwd=tmp_path, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stdout.startswith(f"make build: {said}")
    assert done.stdout.count("\n") == 1
