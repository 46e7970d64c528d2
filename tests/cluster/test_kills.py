"""Real processes, SIGKILL, pgbench beside: every acknowledged transaction is there afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.cluster.ledger import Ledger
from tests.support.sixfold import Cluster, clustered

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with clustered() as running:
        yield running


@pytest.fixture
def ledger(cluster: Cluster) -> Iterator[Ledger]:
    kept = Ledger(cluster.uri)
    kept.prepare()
    kept.start()
    try:
        yield kept
    finally:
        kept.stop()


def pgbench(cluster: Cluster, *arguments: str) -> subprocess.Popen[str]:
    command = ["pgbench", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres", *arguments, "postgres"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def goes_on(ledger: Ledger, seconds: float = 5.0) -> None:
    """More is acknowledged than before."""
    before = ledger.count()
    deadline = time.monotonic() + seconds
    while ledger.count() <= before + 20:
        assert time.monotonic() < deadline, "nothing is acknowledged any more"
        time.sleep(0.01)


def answers_within(cluster: Cluster, seconds: float) -> float:
    began = time.monotonic()
    while True:
        try:
            with psycopg.connect(cluster.uri, connect_timeout=2) as connection:
                connection.execute("SELECT count(*) FROM balances")
                return time.monotonic() - began
        except psycopg.OperationalError:
            assert time.monotonic() - began < seconds, "the writer does not answer"
            time.sleep(0.005)


def test_two_storage_nodes_are_killed_and_come_back(cluster: Cluster, ledger: Ledger) -> None:
    assert pgbench(cluster, "-i", "-q", "-s", "1").wait() == 0
    load = pgbench(cluster, "-n", "-c", "4", "-T", "6", "-M", "prepared")
    goes_on(ledger)
    cluster.kill("node-a1", "node-c2")
    goes_on(ledger)
    cluster.command("start")
    goes_on(ledger)
    # The two that came back have caught up: other two may go.
    deadline = time.monotonic() + 20
    while len({segment["scl"] for segment in cluster.status()["segments"]}) > 2:
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    cluster.kill("node-b1", "node-b2")
    goes_on(ledger)
    _, complaints = load.communicate(timeout=60)
    assert load.returncode == 0, complaints
    ledger.stop()
    ledger.check()


def test_a_whole_zone_is_killed(cluster: Cluster, ledger: Ledger) -> None:
    goes_on(ledger)
    cluster.kill("node-b1", "node-b2")
    goes_on(ledger)
    ledger.stop()
    ledger.check()


def test_the_writer_is_killed_and_started_again(cluster: Cluster, ledger: Ledger) -> None:
    for _ in range(3):
        goes_on(ledger)
        cluster.kill("writer")
        cluster.command("start", "writer")
        answers_within(cluster, 5.0)
        goes_on(ledger)
    ledger.stop()
    ledger.check()


def test_everything_is_killed_at_once(cluster: Cluster, ledger: Ledger) -> None:
    goes_on(ledger)
    cluster.kill("node-a1", "node-a2", "node-b1", "node-b2", "node-c1", "node-c2", "writer")
    cluster.command("start")
    answers_within(cluster, 10.0)
    goes_on(ledger)
    ledger.stop()
    ledger.check()
