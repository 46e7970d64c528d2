"""A storage node that hangs for long: what it was not sent is dropped by the writer, kept by its peers, and its own again afterwards."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import psycopg
import pytest

from tests.cluster.test_kills import caught_up
from tests.support.sixfold import Cluster, clustered

pytestmark = pytest.mark.cluster
HANGING = ("node-a1", "node-b2")
# Each node may have 32 MB unsent; more than that is written.
ROWS, ROW_BYTES = 90, 1 << 20
# Two backlogs, which end before they are full, and what a process of this kind varies by.
GROWTH_MAX = 140 << 20


def write(uri: str, first: int) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for number in range(first, first + ROWS):
            # Incompressible.
            connection.execute("INSERT INTO backlog VALUES (%s, %b)", (number, os.urandom(ROW_BYTES)))


def memory(cluster: Cluster) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{cluster.pid('writer')}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def dropped(cluster: Cluster) -> dict[str, int]:
    return {member["name"]: member["dropped"] for member in cluster.status()["writer"]["members"]}


def test_the_backlog_of_a_node_that_hangs_is_bounded_and_its_peers_make_up_for_it() -> None:
    with clustered() as cluster:
        with psycopg.connect(cluster.uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE backlog (id int PRIMARY KEY, b bytea)")
            connection.execute("ALTER TABLE backlog ALTER b SET STORAGE EXTERNAL")
        # The cache is full of pages then, and so the same afterwards.
        for turn in range(3):
            write(cluster.uri, turn * ROWS)
        before = memory(cluster)
        cluster.pause(*HANGING)
        try:
            for turn in range(3, 5):
                write(cluster.uri, turn * ROWS)
            assert all(dropped(cluster)[name] >= 1 for name in HANGING)
            grown = memory(cluster) - before
            print(f"the writer has grown by {grown >> 20} MB")
            assert grown < GROWTH_MAX
        finally:
            cluster.resume(*HANGING)
        began = time.monotonic()
        caught_up(cluster, 90)
        print(f"caught up after {time.monotonic() - began:.1f} s")
        # They are needed now.
        cluster.kill("node-a2", "node-c1")
        with psycopg.connect(cluster.uri, autocommit=True) as connection:
            connection.execute("INSERT INTO backlog VALUES (-1, '')")
            found = connection.execute("SELECT count(*), sum(length(b)) FROM backlog").fetchone()
            assert found == (5 * ROWS + 1, 5 * ROWS * ROW_BYTES)
