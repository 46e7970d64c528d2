"""Run mypy over the packages under the names that they install as.

The top-level folder `engine/` installs as `sixfold.engine`; mypy takes names from paths, so it is shown a folder of
links that has those names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mypy import main

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kernel", "wal", "pagestore", "engine", "server")


def link_packages() -> Path:
    base = ROOT / "build" / "types"
    names = base / "sixfold"
    names.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        link = names / package
        if not link.is_symlink():
            link.symlink_to(ROOT / package, target_is_directory=True)
    return base


def run() -> None:
    base = link_packages()
    sys.path.insert(0, str(base))
    args = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    for package in PACKAGES:
        args += ["-p", f"sixfold.{package}"]
    os.environ["MYPYPATH"] = str(base)
    os.chdir(base)
    main.main(args=args, clean_exit=True)


if __name__ == "__main__":
    run()
