"""pgbench: its tables, its built-in scripts, all query modes."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.sixfold import Served


def pgbench(server: Served, *arguments: str) -> str:
    command = ["pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", *arguments, "postgres"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def loaded(server: Served) -> Served:
    pgbench(server, "-i", "-q", "-s", "1")
    return server


@pytest.mark.parametrize("clients", ["1", "8", "32"])
@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("script", ["tpcb-like", "simple-update", "select-only"])
def test_a_built_in_script_runs_without_an_error(loaded: Served, script: str, mode: str, clients: str) -> None:
    output = pgbench(loaded, "-n", "-b", script, "-M", mode, "-c", clients, "-t", "10")
    expected = int(clients) * 10
    assert f"number of transactions actually processed: {expected}/{expected}" in output


def test_the_books_balance_afterwards(loaded: Served) -> None:
    # simple-update, run before, leaves tellers and branches out.
    pgbench(loaded, "-i", "-q", "-s", "1")
    pgbench(loaded, "-n", "-c", "8", "-t", "50", "-M", "prepared")
    sums = (
        "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), "
        "(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)"
    )
    done = subprocess.run(["psql", "-XAt", "-d", loaded.uri, "-c", sums], capture_output=True, text=True, check=True)
    assert len(set(done.stdout.strip().split("|"))) == 1
