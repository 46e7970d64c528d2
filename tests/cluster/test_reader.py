"""Readers: read-only SQL at consistent snapshots over the writer's stream, through restarts of either side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.cluster.ledger import Ledger
from tests.cluster.load import pgbench, stop_load
from tests.support.sixfold import Cluster, clustered

pytestmark = pytest.mark.cluster
SUM = "SELECT sum(amount), (SELECT count(*) FROM ledger) FROM balances"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustered(readers=1) as running:
        with psycopg.connect(running.uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE seen (id int PRIMARY KEY, word text)")
        Ledger(running.uri).prepare()
        yield running


@pytest.fixture
def ledger(cluster: Cluster) -> Iterator[Ledger]:
    kept = Ledger(cluster.uri, first_client=10 * int(time.monotonic() * 10) % 1_000_000)
    kept.start()
    try:
        yield kept
    finally:
        kept.stop()


def reader(cluster: Cluster, seconds: float = 10.0) -> psycopg.Connection[tuple[object, ...]]:
    """A session on the reader, as soon as there can be one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(cluster.reader_uri("reader-1"), autocommit=True, connect_timeout=2)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the reader does not answer"
            time.sleep(0.02)


def shows(cluster: Cluster, number: int, seconds: float = 10.0) -> float:
    """Write a row on the writer and wait until the reader shows it."""
    with psycopg.connect(cluster.uri, autocommit=True) as writer:
        writer.execute("INSERT INTO seen VALUES (%s, 'here')", (number,))
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        try:
            with reader(cluster) as session:
                if session.execute("SELECT word FROM seen WHERE id = %s", (number,)).fetchone() == ("here",):
                    return time.monotonic() - began
        except psycopg.OperationalError:
            pass
        time.sleep(0.01)
    raise AssertionError("the reader does not show what the writer has committed")


def test_a_reader_shows_what_is_committed_and_writes_nothing(cluster: Cluster) -> None:
    assert shows(cluster, 1) < 2.0
    with reader(cluster) as session:
        assert session.execute("SHOW transaction_read_only").fetchone() == ("on",)
        assert session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        for statement in (
            "INSERT INTO seen VALUES (99, 'no')",
            "UPDATE seen SET word = 'no'",
            "DELETE FROM seen",
            "CREATE TABLE no (a int)",
            "TRUNCATE seen",
            "DROP TABLE seen",
        ):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute(statement)
        assert session.execute("SELECT count(*) FROM seen").fetchone() == (1,)
    (told,) = cluster.status()["readers"]
    assert told["lag_ms"] < 1000
    assert told["vdl"] is not None


def test_ddl_reaches_the_reader_and_its_open_sessions(cluster: Cluster) -> None:
    with reader(cluster) as session, psycopg.connect(cluster.uri, autocommit=True) as writer:
        writer.execute("CREATE TABLE later (a int)")
        writer.execute("INSERT INTO later VALUES (7)")
        deadline = time.monotonic() + 5
        while True:
            try:
                assert session.execute("SELECT a FROM later").fetchall() in ([(7,)], [])
                if session.execute("SELECT a FROM later").fetchall():
                    break
            except psycopg.errors.UndefinedTable:
                pass
            assert time.monotonic() < deadline
        writer.execute("ALTER TABLE later ADD COLUMN b text DEFAULT 'new'")
        while session.execute("SELECT * FROM later").fetchall() != [(7, "new")]:
            assert time.monotonic() < deadline


def test_ddl_reaches_a_reader_that_has_read_more_than_its_cache_holds() -> None:
    with clustered(1, "--cache", "8MB") as small, psycopg.connect(small.uri, autocommit=True) as writer:
        texts = "SELECT string_agg(md5((g * 1000 + k)::text), '') FROM generate_series(1, 150) k"
        writer.execute(f"CREATE TABLE large AS SELECT g, ({texts}) AS t FROM generate_series(1, 5000) g")
        with reader(small) as session:
            for number in range(3):
                writer.execute("DROP TABLE IF EXISTS anew")
                writer.execute("CREATE TABLE anew (a int)")
                writer.execute("INSERT INTO anew VALUES (%s)", (number,))
                deadline = time.monotonic() + 10
                while True:
                    try:
                        if session.execute("SELECT a FROM anew").fetchall() == [(number,)]:
                            break
                    except psycopg.errors.UndefinedTable:
                        pass
                    assert time.monotonic() < deadline, "the reader does not see the new table"
                assert session.execute("SELECT count(t), sum(length(t)) FROM large").fetchone() == (5000, 5000 * 4800)


def test_every_snapshot_of_the_reader_is_a_prefix_of_the_commits(cluster: Cluster, ledger: Ledger) -> None:
    began, reads, highest = time.monotonic(), 0, {}
    with reader(cluster) as session:
        while time.monotonic() < began + 4:
            with session.transaction():
                session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                before = session.execute(SUM).fetchone()
                rows = session.execute(
                    "SELECT client, count(*), max(number) FROM ledger WHERE client >= %s AND client < %s GROUP BY client",
                    (ledger.first_client, ledger.first_client + ledger.clients),
                ).fetchall()
                assert session.execute(SUM).fetchone() == before
            assert before is not None and before[0] == 0, "half of a transaction is seen"
            for client, count, number in rows:
                assert count == number, f"client {client}: a commit is seen without one before it"
                assert int(str(number)) >= highest.get(client, 0), "time goes back"
                highest[client] = int(str(number))
            reads += 1
    assert reads > 20
    assert sum(highest.values()) > 100, "the reader stands still"
    ledger.stop()
    ledger.check()


def test_pgbench_reads_on_the_reader_while_pgbench_writes(cluster: Cluster) -> None:
    stop_load(pgbench(cluster.port, "-i", "-q", "-s", "1"))
    time.sleep(0.5)
    writes = pgbench(cluster.port, "-n", "-c", "4", "-T", "5", "-M", "prepared")
    reads = pgbench(cluster.reader_port("reader-1"), "-n", "-S", "-c", "4", "-T", "5", "-M", "prepared")
    time.sleep(2)
    lag = cluster.status()["readers"][0]["lag_ms"]
    stop_load(reads)
    stop_load(writes)
    assert lag < 500


def test_a_reader_that_is_killed_comes_back(cluster: Cluster, ledger: Ledger) -> None:
    cluster.kill("reader-1")
    time.sleep(0.2)
    assert "1 started" in cluster.command("start")
    assert shows(cluster, 2) < 5.0
    with reader(cluster) as session:
        assert session.execute(SUM).fetchone()[0] == 0  # type: ignore[index]


class Visitors:
    """Clients that come to the reader all the time, each for one query: they get the right answer or an error, soon."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._stop = threading.Event()
        self.answered = 0
        self.wrong: list[object] = []
        self.longest_s = 0.0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                with psycopg.connect(self._uri, autocommit=True, connect_timeout=5) as session:
                    found = session.execute(SUM).fetchone()
                if found is None or found[0] != 0:
                    self.wrong.append(found)
                self.answered += 1
            except psycopg.Error as error:
                if not isinstance(error, psycopg.OperationalError):
                    self.wrong.append(error)
                time.sleep(0.005)
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_reader_goes_on_with_the_writer_that_comes_back(cluster: Cluster, ledger: Ledger) -> None:
    visitors = Visitors(cluster.reader_uri("reader-1"))
    for number in (3, 4, 5):
        epoch = cluster.status()["readers"][0]["epoch"]
        cluster.kill("writer")
        with reader(cluster) as session:
            assert session.execute(SUM).fetchone()[0] == 0  # type: ignore[index]
        cluster.command("start", "writer")
        assert shows(cluster, number) < 5.0
        assert cluster.status()["readers"][0]["epoch"] > epoch
    visitors.stop()
    assert not visitors.wrong, visitors.wrong[:3]
    assert visitors.answered > 50
    assert visitors.longest_s < 5.0
    ledger.stop()
    ledger.check()
