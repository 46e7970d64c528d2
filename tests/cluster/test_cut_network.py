"""Machines that are cut off and say nothing, each in a network namespace of its own: commits go on, nothing that was acknowledged is
lost, and a writer that was replaced while it was cut off acknowledges nothing more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.cluster.ledger import Ledger
from tests.cluster.load import answers, goes_on
from tests.support import machines
from tests.support.machines import Machine, Network, networked

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not machines.available(), reason="this user may not make network namespaces (ip-netns, as root)"
    ),
]
# As wal.real.SILENCE_SECONDS, and a bit: after so long a connection to a machine that is cut off is over.
NOTICED_SECONDS = 7


@pytest.fixture
def network() -> Iterator[Network]:
    with networked("writer", "writer-2", "reader-1") as running:
        begin(running.writer("writer"))
        yield running


def begin(writer: Machine) -> float:
    """Start it; seconds until it answers."""
    writer.start()
    with writer.inside():
        return answers(writer.uri, 40, "pg_database")


@contextmanager
def ledger(writer: Machine, prepare: bool = True, first_client: int = 0) -> Iterator[Ledger]:
    kept = Ledger(writer.uri, first_client=first_client, inside=writer.inside)
    if prepare:
        kept.prepare()
    kept.start()
    try:
        yield kept
    finally:
        kept.stop()


def test_one_zone_and_then_another_is_cut_off(network: Network) -> None:
    with ledger(network["writer"]) as kept:
        goes_on(kept)
        for zone in (("node-a1", "node-a2"), ("node-b1", "node-b2"), ("node-c1", "node-c2")):
            network.cut(*zone)
            goes_on(kept)
            time.sleep(NOTICED_SECONDS)
            goes_on(kept)
            network.mend(*zone)
            # They come back by themselves and get what they missed: the next zone could not go otherwise.
            time.sleep(3)
        goes_on(kept)
    kept.check()
    print(f"longest gap {kept.longest_gap_s:.2f} s")
    assert kept.longest_gap_s < 3


def test_a_writer_that_is_cut_off_is_replaced(network: Network) -> None:
    old, new = network["writer"], network.writer("writer-2")
    with ledger(old) as before:
        goes_on(before)
        network.cut("writer")
        time.sleep(0.5)
        acknowledged = before.count()
        begin(new)
        with ledger(new, prepare=False, first_client=100) as after:
            goes_on(after)
            network.mend("writer")
            goes_on(after)
            assert old.process is not None
            old.process.wait(timeout=30)
            assert "a newer writer has taken this volume over" in old.log, old.log[-2000:]
            # What four nodes had before they knew of the new writer is durable, though they could not say it then.
            assert before.count() <= acknowledged + before.clients
    before.stop()
    after.check()
    before.uri, before.inside = new.uri, new.inside
    before.check()


def test_a_writer_that_hears_and_is_not_heard(network: Network) -> None:
    """By two nodes: the others do. By all but three: nothing is acknowledged until they hear it again."""
    with ledger(network["writer"]) as kept:
        goes_on(kept)
        for node in ("node-a1", "node-b1"):
            network.mute("writer", node)
        time.sleep(1)
        goes_on(kept)
        network.mute("writer", "node-c1")
        time.sleep(1)
        stopped = kept.count()
        time.sleep(NOTICED_SECONDS)
        assert kept.count() == stopped
        for node in ("node-a1", "node-b1", "node-c1"):
            network.unmute("writer", node)
        goes_on(kept, 20)
    kept.check()


def test_a_reader_that_is_cut_off_comes_back(network: Network) -> None:
    writer, reader = network["writer"], network.reader("reader-1", "writer")
    with ledger(writer) as kept:
        begin(reader)
        goes_on(kept)
        network.cut("reader-1")
        time.sleep(NOTICED_SECONDS)
        goes_on(kept)
        behind = kept.count()
        network.mend("reader-1")
        deadline = time.monotonic() + 30
        while seen(reader) < behind:
            assert time.monotonic() < deadline, reader.log[-2000:]
            time.sleep(0.1)
    kept.check()


def seen(reader: Machine) -> int:
    """How many transactions a reader shows, whole ones."""
    try:
        with reader.inside(), psycopg.connect(reader.uri, connect_timeout=5) as connection:
            found = connection.execute(
                "SELECT (SELECT count(*) FROM ledger), (SELECT sum(amount) FROM balances)"
            ).fetchone()
    except psycopg.OperationalError:
        return 0
    assert found is not None and found[1] == 0
    return int(found[0])
