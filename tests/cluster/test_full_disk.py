"""Disks that take no more: some nodes', then too many, then everything that a server has; and again with room.

RLIMIT_FSIZE of a running process makes each of its writes fail as a full disk does, whoever runs the test.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Served, clustered, served

pytestmark = pytest.mark.cluster
ROWS = "INSERT INTO full_disk SELECT g, repeat(md5(g::text), 20) FROM generate_series(%s::int, %s::int) g"


@contextmanager
def full(*pids: int) -> Iterator[None]:
    """The disks of these processes are full for the length of a block."""
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_, hard) in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limit in zip(pids, before, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


class Inserting(threading.Thread):
    """One commit on its way."""

    def __init__(self, uri: str, number: int) -> None:
        super().__init__()
        self._uri = uri
        self._number = number
        self.committed = False

    def run(self) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(ROWS, (self._number, self._number))
            self.committed = True


def count(uri: str) -> int:
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute("SELECT count(*) FROM full_disk").fetchone()
    assert found is not None
    return int(found[0])


def prepare(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE full_disk (id int PRIMARY KEY, t text)")
        connection.execute(ROWS, (1, 1000))


def test_two_full_nodes_stop_nothing_and_a_third_only_commits() -> None:
    with clustered() as cluster:
        prepare(cluster.uri)
        pids = [cluster.pid(name) for name in ("node-a1", "node-b1", "node-c1")]
        with full(*pids[:2]):
            with psycopg.connect(cluster.uri, autocommit=True) as connection:
                for start in range(2001, 12001, 1000):
                    connection.execute(ROWS, (start, start + 999))
            with full(pids[2]):
                waiting = Inserting(cluster.uri, 50000)
                waiting.start()
                waiting.join(2)
                assert not waiting.committed
                assert count(cluster.uri) == 11000
                failing = {node["name"]: node["failure"] for node in cluster.status()["nodes"]}
                assert {name for name, failure in failing.items() if failure} == {"node-a1", "node-b1", "node-c1"}
                assert "failing: " in cluster.command("status")
            waiting.join(20)
            assert waiting.committed
        with psycopg.connect(cluster.uri, autocommit=True) as connection:
            connection.execute(ROWS, (60001, 61000))
        # Not that it could not: its log could not be written either.
        log = cluster.folder / "log" / "node-a1.log"
        deadline = time.monotonic() + 10
        while "the journal can be written again" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        assert "failing" not in cluster.command("status")
        # What the two could not write they have by now from their peers: the others may go.
        cluster.command("stop")
        cluster.command("start")
        assert count(cluster.uri) == 12001


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def test_a_server_whose_disk_is_full_answers_and_goes_on_when_there_is_room(server: Served) -> None:
    prepare(server.uri)
    assert server.process is not None
    with full(server.process.pid):
        assert count(server.uri) == 1000
        waiting = Inserting(server.uri, 50000)
        waiting.start()
        waiting.join(2)
        assert not waiting.committed
        # Who only reads, and who says what is wrong, is answered.
        assert count(server.uri) == 1000
        with psycopg.connect(server.uri, autocommit=True) as connection, pytest.raises(errors.UndefinedTable):
            connection.execute("SELECT * FROM never_made")
    waiting.join(20)
    assert waiting.committed
    server.kill()
    server.start()
    assert count(server.uri) == 1001


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM (SELECT t FROM full_disk, generate_series(1, 20) ORDER BY t || id OFFSET 1) x",
        "SELECT count(*) FROM (SELECT t || g FROM full_disk, generate_series(1, 20) g GROUP BY 1) x",
        "SELECT count(*) FROM full_disk a JOIN full_disk b ON a.t || a.id = b.t || b.id",
    ],
    ids=["sort", "aggregate", "join"],
)
def test_a_temporary_file_without_room_ends_its_statement_only(server: Served, query: str) -> None:
    prepare(server.uri)
    assert server.process is not None
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("SET work_mem = '64kB'")
        expected = connection.execute(query).fetchone()  # type: ignore[call-overload]
        with full(server.process.pid):
            with pytest.raises(errors.DiskFull):
                connection.execute(query)  # type: ignore[call-overload]
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.execute(query).fetchone() == expected  # type: ignore[call-overload]
    assert not list((server.folder / "data" / "pgsql_tmp").iterdir())
