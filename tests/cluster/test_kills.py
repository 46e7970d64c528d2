"""Real processes, SIGKILL, pgbench beside: every acknowledged transaction is there afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster.ledger import Ledger
from tests.cluster.load import answers, goes_on, pgbench, stop_load, transactions_per_second
from tests.support.sixfold import Cluster, clustered

pytestmark = pytest.mark.cluster
NODES = ("node-a1", "node-a2", "node-b1", "node-b2", "node-c1", "node-c2")


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


def caught_up(cluster: Cluster, seconds: float = 20.0) -> None:
    """Every segment has had, at one moment, all that was durable a moment before."""
    deadline = time.monotonic() + seconds
    vdl = cluster.status()["writer"]["vdl"]
    while True:
        scls = {segment["node"]: segment["scl"] for segment in cluster.status()["segments"]}
        if len(scls) == len(NODES) and min(scls.values()) >= vdl:
            return
        assert time.monotonic() < deadline, f"VDL was {vdl}, {scls}"
        time.sleep(0.1)


def test_two_storage_nodes_are_killed_and_come_back(cluster: Cluster, ledger: Ledger) -> None:
    stop_load(pgbench(cluster.port, "-i", "-q", "-s", "1"))
    load = pgbench(cluster.port, "-n", "-c", "4", "-T", "6", "-M", "prepared")
    goes_on(ledger)
    cluster.kill("node-a1", "node-c2")
    goes_on(ledger)
    cluster.command("start")
    goes_on(ledger)
    caught_up(cluster)
    # What the two missed is theirs now: another two may go, and they are needed.
    cluster.kill("node-b1", "node-b2")
    goes_on(ledger)
    stop_load(load)
    ledger.stop()
    ledger.check()


def test_a_whole_zone_is_killed(cluster: Cluster, ledger: Ledger) -> None:
    stop_load(pgbench(cluster.port, "-i", "-q", "-s", "1"))
    load = pgbench(cluster.port, "-n", "-c", "4", "-T", "3", "-M", "prepared")
    goes_on(ledger)
    cluster.kill("node-b1", "node-b2")
    goes_on(ledger)
    stop_load(load)
    # The writer, too, with only four nodes left.
    cluster.kill("writer")
    cluster.command("start", "writer")
    goes_on(ledger)
    cluster.command("start")
    caught_up(cluster)
    ledger.stop()
    ledger.check()


def test_the_writer_is_killed_and_started_again(cluster: Cluster, ledger: Ledger) -> None:
    stop_load(pgbench(cluster.port, "-i", "-q", "-s", "1"))
    took = []
    for _ in range(3):
        load = pgbench(cluster.port, "-n", "-c", "4", "-T", "30", "-M", "prepared")
        time.sleep(0.5)
        goes_on(ledger)
        cluster.kill("writer")
        load.communicate(timeout=60)
        cluster.launch("writer")
        took.append(answers(cluster.uri))
        goes_on(ledger)
    ledger.stop()
    ledger.check()
    print(f"the writer answers after {sorted(round(seconds, 2) for seconds in took)} s")
    # From the start of the process. The best of three: this machine may be running other tests.
    assert min(took) < 1.0


def test_everything_is_killed_at_once(cluster: Cluster, ledger: Ledger) -> None:
    for _ in range(2):
        goes_on(ledger)
        cluster.kill(*NODES, "writer")
        cluster.command("start")
        goes_on(ledger)
    ledger.stop()
    ledger.check()


def test_nodes_that_hang_do_not_slow_the_writer(cluster: Cluster) -> None:
    stop_load(pgbench(cluster.port, "-i", "-q", "-s", "2"))
    whole = transactions_per_second(cluster.port, "-c", "8", "-T", "3")
    cluster.pause("node-a1", "node-b2")
    try:
        hanging = transactions_per_second(cluster.port, "-c", "8", "-T", "3")
    finally:
        cluster.resume("node-a1", "node-b2")
    caught_up(cluster)
    print(f"{whole:.0f} transactions a second with all nodes, {hanging:.0f} with two that hang")
    # With two of six away the slowest sync of the other four decides, where the fourth of six hid the two slowest: that is all that it
    # may cost (measured: neither writer nor nodes spend more time on a transaction).
    assert hanging > whole * 0.4
