"""A storage node that has lost its folder, with real processes: its peers fill it, and then it can carry the volume alone."""

from __future__ import annotations

import shutil
import time

import psycopg
import pytest

from tests.cluster.load import answers, pgbench, stop_load
from tests.support.sixfold import Cluster, clustered

pytestmark = pytest.mark.cluster
# Its folder after ten million bytes of rows each.
SCALE = 7
LOST = "node-b2"
OTHERS = ("node-a1", "node-a2", "node-b1", "node-c1", "node-c2")
QUERIES = (
    "SELECT count(*), sum(abalance), sum(aid), count(DISTINCT bid) FROM pgbench_accounts",
    "SELECT count(*), sum(tbalance) FROM pgbench_tellers",
    "SELECT count(*), sum(delta), max(mtime) FROM pgbench_history",
    "SELECT count(*) FROM pgbench_accounts a JOIN pgbench_accounts b ON a.aid = b.aid WHERE b.aid > 0",
)


def everything(uri: str) -> list[object]:
    with psycopg.connect(uri, autocommit=True) as connection:
        return [connection.execute(query).fetchone() for query in QUERIES]  # type: ignore[call-overload]


def complete(cluster: Cluster, name: str, seconds: float) -> float:
    """Wait until a node has what the writer has; how long it took."""
    began = time.monotonic()
    while True:
        status = cluster.status()
        scls = {segment["node"]: segment["scl"] for segment in status["segments"]}
        if scls.get(name, 0) >= status["writer"]["vdl"]:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"VDL {status['writer']['vdl']}, {scls}"
        time.sleep(0.2)


def test_a_node_that_lost_its_folder_is_filled_and_carries_the_volume_alone() -> None:
    with clustered() as cluster:
        stop_load(pgbench(cluster.port, "-i", "-q", "-s", str(SCALE)))
        stop_load(pgbench(cluster.port, "-n", "-c", "4", "-t", "500", "-M", "prepared"))
        expected = everything(cluster.uri)
        cluster.kill(LOST)
        shutil.rmtree(cluster.folder / "zone-b" / "node-2")
        stop_load(pgbench(cluster.port, "-n", "-c", "4", "-t", "100", "-M", "prepared"))
        expected = everything(cluster.uri)
        cluster.command("start")
        print(f"filled after {complete(cluster, LOST, 60):.1f} s")
        # A writer without a cache, and then nobody else to ask.
        cluster.kill("writer", "node-a1", "node-c1")
        cluster.launch("writer")
        answers(cluster.uri, table="pgbench_branches")
        assert everything(cluster.uri) == expected
        stop_load(pgbench(cluster.port, "-n", "-c", "2", "-t", "50", "-M", "prepared"))
        expected = everything(cluster.uri)
        cluster.command("start")
        for name in OTHERS:
            complete(cluster, name, 30)
        cluster.kill("writer")
        cluster.launch("writer")
        answers(cluster.uri, table="pgbench_branches")
        cluster.kill(*OTHERS)
        assert everything(cluster.uri) == expected
        cluster.command("start")
        stop_load(pgbench(cluster.port, "-n", "-c", "2", "-t", "50", "-M", "prepared"))
        complete(cluster, "node-a1", 30)
