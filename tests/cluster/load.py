"""pgbench beside what a test does."""

from __future__ import annotations

import re
import subprocess
import time

import psycopg

from tests.cluster.ledger import Ledger


def pgbench(port: int, *arguments: str) -> subprocess.Popen[str]:
    """Started, not waited for."""
    command = ["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", *arguments, "postgres"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_load(load: subprocess.Popen[str]) -> str:
    """Wait for its end, which must be a good one; what it printed."""
    printed, complaints = load.communicate(timeout=120)
    assert load.returncode == 0, complaints
    assert "aborted" not in complaints and "ERROR" not in complaints, complaints
    return printed


def transactions_per_second(port: int, *arguments: str) -> float:
    """Of a run of pgbench's TPC-B."""
    printed = stop_load(pgbench(port, "-n", "-M", "prepared", *arguments))
    found = re.search(r"^tps = ([0-9.]+)", printed, re.MULTILINE)
    assert found is not None, printed
    return float(found[1])


def goes_on(ledger: Ledger, seconds: float = 10.0) -> None:
    """More is acknowledged than before."""
    before = ledger.count()
    deadline = time.monotonic() + seconds
    while ledger.count() <= before + 20:
        assert time.monotonic() < deadline, f"nothing is acknowledged any more: {ledger.unexpected[:3]}"
        time.sleep(0.01)


def answers(uri: str, seconds: float = 10.0, table: str = "balances") -> float:
    """Seconds until a first query is answered."""
    began = time.monotonic()
    while True:
        try:
            with psycopg.connect(uri, connect_timeout=2) as connection:
                connection.execute(f"SELECT count(*) FROM {table}")  # type: ignore[call-overload]
                return time.monotonic() - began
        except psycopg.OperationalError:
            assert time.monotonic() - began < seconds, "the writer does not answer"
            time.sleep(0.002)
