"""Transactions of very many savepoints: each costs as much as the first one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import pq

from tests.support.sixfold import served

COUNT = 10_000
PART = 1_000


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection]:
    with served("--fsync", "off", "--topology", "1") as server, psycopg.connect(server.uri, autocommit=True) as one:
        one.execute("CREATE TABLE t (k int PRIMARY KEY)")
        yield one


def growth(connection: psycopg.Connection, each: Callable[[int], bytes], count: int = COUNT) -> float:
    """How much longer one of the last of `count` statements takes than one of the first."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        result = connection.pgconn.exec_(each(number))
        taken.append(time.perf_counter() - began)
        assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message
    # The first ones find nothing warm.
    return statistics.median(taken[-PART:]) / statistics.median(taken[PART : 2 * PART])


def count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


# A list that is copied for each would make it ten times as long.
FLAT = 3.0


def test_one_after_another(connection: psycopg.Connection) -> None:
    """What a client or a language with exceptions does: savepoint, change, release; the transaction changes something too."""
    with connection.transaction(force_rollback=True):
        rounds = b"savepoint s; insert into t values (%d); release s; insert into t values (-%d)"
        assert growth(connection, lambda n: rounds % (n + 1, n + 1)) < FLAT
        assert count(connection) == 2 * COUNT
    assert count(connection) == 0


def test_one_in_another_and_out_again(connection: psycopg.Connection) -> None:
    with connection.transaction():
        assert growth(connection, lambda n: b"savepoint s%d; insert into t values (%d)" % (n, n)) < FLAT
        assert growth(connection, lambda n: b"release s%d" % (COUNT - 1 - n), COUNT // 2) < FLAT
        # The others go at once, and with them what they have taken over.
        connection.execute("RELEASE s1")
        connection.execute("ROLLBACK TO s0")
        connection.execute("INSERT INTO t VALUES (-1)")
    assert count(connection) == 1
    connection.execute("DELETE FROM t")


def test_rolled_back_again_and_again(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("SAVEPOINT o")
        rounds = b"savepoint s; insert into t values (%d); rollback to s; insert into t values (%d); release s"
        assert growth(connection, lambda n: rounds % (-n, n)) < FLAT
        assert count(connection) == COUNT
        connection.execute("ROLLBACK TO o")
        assert count(connection) == 0
        assert growth(connection, lambda n: b"rollback to o; insert into t values (%d)" % n) < FLAT
    assert count(connection) == 1


@pytest.mark.parametrize("prepare", [False, True])
def test_the_same_statements_run_in_the_kernel_and_where_a_transaction_has_more_to_bring_back(
    connection: psycopg.Connection, prepare: bool
) -> None:
    """Settings and DDL are Python's: from then on savepoints are too."""

    def run(statement: str) -> object:
        cursor = connection.execute(statement, prepare=prepare)  # type: ignore[call-overload]
        return cursor.fetchone()[0] if cursor.description else cursor.statusmessage

    for _ in range(3):
        assert [run(s) for s in ("BEGIN", "SAVEPOINT a", "INSERT INTO t VALUES (-5)")] == [
            "BEGIN",
            "SAVEPOINT",
            "INSERT 0 1",
        ]
        assert [run(s) for s in ("ROLLBACK TO a", "SELECT count(*) FROM t WHERE k = -5")] == ["ROLLBACK", 0]
        assert [run(s) for s in ("CREATE TABLE made (k int)", "SAVEPOINT b", "SET LOCAL work_mem = '7MB'")][
            1
        ] == "SAVEPOINT"
        run("DROP TABLE made")
        assert run("ROLLBACK TO b") == "ROLLBACK"
        assert [run(s) for s in ("SELECT count(*) FROM made", "SHOW work_mem")] == [0, "4MB"]
        assert run("RELEASE b") == "RELEASE"
        assert run("ROLLBACK TO a") == "ROLLBACK"
        with pytest.raises(psycopg.errors.UndefinedTable):
            run("SELECT count(*) FROM made")
        assert [run(s) for s in ("ROLLBACK TO a", "RELEASE a", "COMMIT")] == ["ROLLBACK", "RELEASE", "COMMIT"]
