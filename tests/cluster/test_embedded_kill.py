"""`sixfold serve` is killed under load and started again on the same folder: every acknowledged transaction is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sixfold.pagestore.manifest import PATH as MANIFEST
from tests.cluster.ledger import Ledger
from tests.cluster.load import goes_on, pgbench, stop_load
from tests.support.sixfold import Served, served

pytestmark = pytest.mark.cluster


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def test_a_server_that_is_killed_loses_nothing(server: Served) -> None:
    stop_load(pgbench(server.port, "-i", "-q", "-s", "1"))
    ledger = Ledger(server.uri)
    ledger.prepare()
    ledger.start()
    try:
        for _ in range(3):
            load = pgbench(server.port, "-n", "-c", "4", "-T", "30", "-M", "prepared")
            goes_on(ledger)
            time.sleep(0.5)
            server.kill()
            load.communicate(timeout=60)
            server.start()
            goes_on(ledger)
    finally:
        ledger.stop()
    ledger.check()
    with psycopg.connect(server.uri) as connection:
        sums = connection.execute(
            "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),"
            " (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)"
        ).fetchone()
        assert sums is not None
        assert len(set(sums)) == 1, "half of a transaction is there"


def test_a_server_killed_while_it_makes_its_volume_starts_all_the_same() -> None:
    for delay_s in (0.15, 0.35, 0.55):
        with served(wait=False) as server:
            time.sleep(delay_s)
            server.kill()
            server.start()
            with psycopg.connect(server.uri) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


def ruin(server: Served, node: str) -> Path:
    """Both slots of a node's manifest are gone; its folder."""
    folder = server.folder / "data" / node
    (folder / MANIFEST).write_bytes(bytes(64 << 10))
    return folder


def says(server: Served, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in server.log:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)


def test_nodes_that_cannot_start_are_said_and_the_others_serve(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id int PRIMARY KEY)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    assert server.stop() == 0
    ruined = [ruin(server, "zone-a/node-1"), ruin(server, "zone-b/node-2")]
    server.start()
    says(server, "move this node's folder away and start it again")
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("INSERT INTO kept SELECT generate_series(1001, 2000)")
        # What the message says is enough, without a restart.
        for number, folder in enumerate(ruined):
            folder.rename(server.folder / f"away-{number}")
        says(server, "the storage node has started")
        connection.execute("INSERT INTO kept SELECT generate_series(2001, 3000)")
    deadline = time.monotonic() + 20
    while server.log.count("the storage node has started") < 2:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)
    assert server.stop() == 0
    # Two others may be missing now: those that came back are full, or will be by the others.
    server.start()
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT count(*), sum(id) FROM kept").fetchone() == (3000, 3000 * 3001 // 2)


def test_too_many_nodes_that_cannot_start_are_one_line(server: Served) -> None:
    assert server.stop() == 0
    for node in ("zone-a/node-1", "zone-b/node-2", "zone-c/node-1"):
        ruin(server, node)
    before = len(server.log)
    with pytest.raises(RuntimeError, match="sixfold serve ended"):
        server.start()
    said = server.log[before:].splitlines()
    assert len(said) == 1 and "move this node's folder away" in said[0], said
