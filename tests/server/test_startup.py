"""What a server imports before it answers: every heavy module is a part of every start."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from tests.support.sixfold import served

HEAVY = (
    "pydantic",
    "rich",
    "cryptography",
    "email",
    "urllib.request",
    "xml.sax",
    "sqlglot",
    "starlette",
    "multiprocessing",
    "structlog",
    "pglast.stream",
    "sixfold.server.cluster_command",
)
SCRIPT = f"""
import sys
import sixfold.server.__main__, sixfold.server.embedded
print([name for name in {HEAVY!r} if sys.modules.get(name)])
"""


def test_heavy_modules_are_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def cpu_seconds(pid: int) -> float:
    """Of the process so far: unlike the clock, it does not count what others do on this machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_first_answer_costs_little() -> None:
    with served() as server:
        costs = []
        for _ in range(3):
            server.stop()
            server.launch()
            assert server.process is not None
            deadline = time.monotonic() + 20
            while True:
                try:
                    with psycopg.connect(server.uri, connect_timeout=5) as connection:
                        connection.execute("SELECT 1")
                    break
                except psycopg.OperationalError:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            costs.append(cpu_seconds(server.process.pid))
        print(f"CPU seconds to the first answer on an existing folder: {sorted(costs)}")
        assert min(costs) < 0.6


def test_a_server_whose_folder_is_removed_ends() -> None:
    with served() as server:
        with psycopg.connect(server.uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (a int)")
        assert server.process is not None
        shutil.rmtree(server.folder / "data")
        assert server.process.wait(20) == 1
        assert "data was removed" in server.log.splitlines()[-1]
