"""What sessions on a reader see of a writer's changes, step by step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from tests.isolation.__main__ import SURE_HERE, watch
from tests.isolation.play import Target
from tests.support.sixfold import Cluster, clustered

pytestmark = pytest.mark.cluster
ROWS = 5_000
SUM = ROWS * (ROWS + 1) // 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustered(readers=1) as running:
        connect(running).close()
        yield running


def connect(cluster: Cluster) -> psycopg.Connection[tuple[int, ...]]:
    """A session on the reader, as soon as there can be one."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return psycopg.connect(cluster.reader_uri("reader-1"), connect_timeout=2)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the reader does not answer"
            time.sleep(0.02)


def test_random_sessions_of_a_reader_show_what_was_committed(cluster: Cluster) -> None:
    target = Target(cluster.uri, SURE_HERE)
    counts: Counter[str] = Counter()
    found = [watch(target, cluster.reader_uri("reader-1"), seed, counts) for seed in range(15)]
    target.close()
    assert not any(found), "\n\n".join(story for story in found if story)
    assert counts["answers"] > 100


WRITES = {
    "rows change and are cleaned up": ("UPDATE big SET v = v + 1; DELETE FROM big WHERE k > 100", "VACUUM big"),
    "TRUNCATE, and its pages are used again": ("TRUNCATE big", "INSERT INTO big SELECT g, -g FROM generate_series(1, 7000) g"),
    "DROP TABLE, and its pages are used again": ("DROP TABLE big", "CREATE TABLE big AS SELECT g k, -g v FROM generate_series(1, 7000) g"),
    "ALTER TABLE that rewrites": ("ALTER TABLE big ALTER v TYPE bigint",),
    "an index that is new, and one that is gone": ("UPDATE big SET v = v + 100000; DROP INDEX big_v", "CREATE INDEX ON big (v); ANALYZE big"),
    "a rewrite that is rolled back": ("BEGIN; TRUNCATE big; INSERT INTO big VALUES (1, 1); ROLLBACK",),
}  # fmt: skip
#: After these a transaction with an older snapshot can't go on.
MOVING = {name for name in WRITES if "TRUNCATE, " in name or "TABLE" in name}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_open_on_a_reader_goes_on_or_says_why_not(cluster: Cluster, name: str) -> None:
    with psycopg.connect(cluster.uri, autocommit=True) as writer:
        writer.execute("DROP TABLE IF EXISTS big")
        writer.execute("CREATE TABLE big (k int PRIMARY KEY, v int)")
        writer.execute("CREATE INDEX big_v ON big (v)")
        writer.execute(f"INSERT INTO big SELECT g, g FROM generate_series(1, {ROWS}) g")
        with connect(cluster) as cursors, connect(cluster) as old, connect(cluster) as fresh:
            caught_up(writer, fresh)
            for column, cursor in (("k", "by_key"), ("v", "by_index"), ("1", "by_nothing")):
                cursors.execute(f"DECLARE {cursor} CURSOR FOR SELECT k FROM big WHERE v > 0 ORDER BY {column}")
            cursors.execute("SAVEPOINT s")
            started = cursors.execute("FETCH 7 FROM by_key").fetchall()
            old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            old.execute("SELECT 1")
            for statements in WRITES[name]:
                writer.execute(statements)
            caught_up(writer, fresh)

            rows = [*started, *cursors.execute("FETCH ALL FROM by_key").fetchall()]
            assert [row[0] for row in rows] == list(range(1, ROWS + 1))
            for cursor in ("by_index", "by_nothing"):
                found = cursors.execute(f"FETCH ALL FROM {cursor}").fetchall()
                assert (len(found), sum(row[0] for row in found)) == (ROWS, SUM)

            if name in MOVING:
                with pytest.raises(psycopg.errors.SerializationFailure) as caught:
                    old.execute("SELECT count(*) FROM big")
                assert caught.value.diag.message_primary == "canceling statement due to conflict with recovery"
            else:
                assert old.execute("SELECT count(*), sum(v) FROM big").fetchone() == (ROWS, SUM)
                old.execute("SET LOCAL enable_seqscan = off")
                assert old.execute("SELECT count(*) FROM big WHERE v BETWEEN 11 AND 20").fetchone() == (10,)
            old.rollback()
            now = "SELECT count(*), sum(k), sum(v) FROM big"
            assert old.execute(now).fetchone() == writer.execute(now).fetchone()


def caught_up(writer: psycopg.Connection[tuple[int, ...]], reader: psycopg.Connection[tuple[int, ...]]) -> None:
    """The reader has all that the writer has committed."""
    lsn = writer.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
    deadline = time.monotonic() + 20
    while reader.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn).fetchone() != (True,):
        assert time.monotonic() < deadline, "the reader does not get the writer's stream"
        time.sleep(0.002)
    reader.rollback()
