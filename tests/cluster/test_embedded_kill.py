"""`sixfold serve` is killed under load and started again on the same folder: every acknowledged transaction is there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

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
