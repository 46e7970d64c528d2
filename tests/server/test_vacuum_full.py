"""VACUUM FULL and CLUSTER write a table anew: what others commit beside is kept, and who has a snapshot of before is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served("--fsync", "off", "--topology", "1") as running:
        yield running


@pytest.fixture(autouse=True)
def table(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept (id int PRIMARY KEY, word text)")
        connection.execute("INSERT INTO kept SELECT g, repeat('x', 100) FROM generate_series(1, 20000) AS g")


@pytest.mark.parametrize("statement", ["VACUUM FULL kept", "CLUSTER kept USING kept_pkey"])
def test_rows_that_are_inserted_beside_are_kept(server: Served, statement: str) -> None:
    ended = threading.Event()
    inserted: list[int] = []

    def insert() -> None:
        with psycopg.connect(server.uri, autocommit=True) as connection:
            while not ended.is_set():
                number = 1_000_000 + len(inserted)
                connection.execute("INSERT INTO kept VALUES (%s, 'beside')", (number,))
                inserted.append(number)

    inserting = threading.Thread(target=insert)
    inserting.start()
    try:
        with psycopg.connect(server.uri, autocommit=True) as connection:
            for _ in range(5):
                connection.execute(statement)  # type: ignore[call-overload]
    finally:
        ended.set()
        inserting.join()
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT count(*) FROM kept WHERE id < 1000000").fetchone() == (20000,)
        found = connection.execute("SELECT id FROM kept WHERE id >= 1000000 ORDER BY id").fetchall()
    assert [row[0] for row in found] == inserted


@pytest.mark.parametrize("statement", ["VACUUM FULL kept", "CLUSTER kept USING kept_pkey"])
def test_a_snapshot_of_before_gets_40001_and_no_empty_table(server: Served, statement: str) -> None:
    with (
        psycopg.connect(server.uri, autocommit=True) as old,
        psycopg.connect(server.uri, autocommit=True) as other,
    ):
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM pg_class")
        other.execute(statement)  # type: ignore[call-overload]
        with pytest.raises(errors.SerializationFailure, match="a table that was rewritten"):
            old.execute("SELECT count(*) FROM kept")
        old.execute("ROLLBACK")
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert old.execute("SELECT count(*) FROM kept").fetchone() == (20000,)
        old.execute("COMMIT")


def test_of_everything_leaves_the_catalogue_where_it_is(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("VACUUM FULL")
        connection.execute("VACUUM (FULL, ANALYZE) pg_class")
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (20000,)
