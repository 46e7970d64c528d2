"""Transactions of very many savepoints: each costs as much as the first one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.support.sixfold import served

COUNT = 40_000
# So many rounds are sent at once.
BATCH = 100
Round = list[tuple[str, tuple[int, ...]]]
INSERT = "INSERT INTO t VALUES (%s)"


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection]:
    with served("--fsync", "off", "--topology", "1") as server, psycopg.connect(server.uri, autocommit=True) as one:
        one.execute("CREATE TABLE t (k int PRIMARY KEY)")
        yield one


def growth(connection: psycopg.Connection, each: Callable[[int], Round], rounds: int = COUNT) -> float:
    """How much longer one of the last rounds takes than one of the first."""
    taken = []
    for first in range(0, rounds, BATCH):
        began = time.perf_counter()
        with connection.pipeline():
            for number in range(first, first + BATCH):
                for statement, params in each(number):
                    connection.execute(statement, params, prepare=False)  # type: ignore[call-overload]
        taken.append(time.perf_counter() - began)
    part = len(taken) // 10
    # The first ones find nothing warm.
    return statistics.median(taken[-part:]) / statistics.median(taken[part : 2 * part])


def count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


# Where each savepoint made a list of all anew it was 2.5 and more.
FLAT = 1.8


def test_one_after_another(connection: psycopg.Connection) -> None:
    """What a client or a language with exceptions does: savepoint, change, release; the transaction changes something too."""

    def each(n: int) -> Round:
        return [("SAVEPOINT s", ()), (INSERT, (n + 1,)), ("RELEASE s", ()), (INSERT, (-n - 1,))]

    with connection.transaction(force_rollback=True):
        assert growth(connection, each) < FLAT
        assert count(connection) == 2 * COUNT
    assert count(connection) == 0


def test_one_in_another_and_out_again(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("SAVEPOINT o")
        assert growth(connection, lambda n: [("SAVEPOINT s", ()), (INSERT, (n,))]) < FLAT
        assert growth(connection, lambda n: [("RELEASE s", ())], COUNT // 2) < FLAT
        # The others go at once, and with them what they have taken over.
        connection.execute("ROLLBACK TO o")
        connection.execute(INSERT, (-1,))
    assert count(connection) == 1
    connection.execute("DELETE FROM t")


def test_rolled_back_again_and_again(connection: psycopg.Connection) -> None:
    def each(n: int) -> Round:
        tried: Round = [("SAVEPOINT s", ()), (INSERT, (-n - 1,)), ("ROLLBACK TO s", ())]
        return [*tried, (INSERT, (n,)), ("RELEASE s", ())]

    with connection.transaction():
        connection.execute("SAVEPOINT o")
        assert growth(connection, each, COUNT // 2) < FLAT
        assert count(connection) == COUNT // 2
        connection.execute("ROLLBACK TO o")
        assert count(connection) == 0
        assert growth(connection, lambda n: [("ROLLBACK TO o", ()), (INSERT, (n,))], COUNT // 2) < FLAT
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
