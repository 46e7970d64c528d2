"""Statements that join many tables: their plans are made soon, and nobody waits for that."""

from __future__ import annotations

import time

import psycopg
import pytest

from tests.support.others import others_are_answered
from tests.support.sixfold import Served

# The best order of so few is looked for among all.
FEW, MANY = 9, 150


def tables(count: int) -> str:
    return ", ".join(f"many_joins m{i}" for i in range(count))


def statement(shape: str, count: int) -> str:
    """A statement that joins so many tables."""
    chain = " AND ".join(f"m{i}.id = m{i + 1}.v" for i in range(count - 1))
    star = " AND ".join(f"m0.v = m{i}.id" for i in range(1, count))
    joins = "".join(f" JOIN many_joins m{i} ON m{i}.id = m{i - 1}.v" for i in range(1, count))
    shapes = {
        "chain": f"{tables(count)} WHERE {chain}",
        "star": f"{tables(count)} WHERE {star}",
        "everything with everything": f"{tables(count)} WHERE {chain} AND {star}",
        "without conditions": tables(count),
        "inner joins": f"many_joins m0{joins}",
        "left joins": f"many_joins m0{joins.replace(' JOIN', ' LEFT JOIN')}",
        "semijoins": "many_joins m0 WHERE "
        + " AND ".join(f"EXISTS (SELECT FROM many_joins x{i} WHERE x{i}.id = m0.v)" for i in range(count)),
    }
    return f"SELECT count(*) FROM {shapes[shape]}"


@pytest.fixture(scope="module")
def connection(server: Served) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(server.uri, autocommit=True)
    connection.execute("CREATE TABLE many_joins (id int PRIMARY KEY, v int, t text)")
    connection.execute("INSERT INTO many_joins SELECT g, g, 'x' FROM generate_series(1, 100) g")
    connection.execute("ANALYZE many_joins")
    return connection


SHAPES = [
    "chain",
    "star",
    "everything with everything",
    "without conditions",
    "inner joins",
    "left joins",
    "semijoins",
]


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_plan_is_made_soon_and_nobody_waits_for_it(
    server: Served, connection: psycopg.Connection[tuple[object, ...]], shape: str, count: int
) -> None:
    text = statement(shape, count)
    with others_are_answered(server.uri, 0.5):
        end = time.monotonic() + 0.2
        while True:
            began = time.monotonic()
            # A text that the server does not know.
            lines = connection.execute(f"EXPLAIN {text} OFFSET {began}").fetchall()  # type: ignore[call-overload]
            assert time.monotonic() - began < 20
            if began > end:
                break
    assert len(lines) > count


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "without conditions"])
def test_so_many_tables_are_joined(connection: psycopg.Connection[tuple[object, ...]], shape: str) -> None:
    found = connection.execute(statement(shape, 40)).fetchone()  # type: ignore[call-overload]
    assert found == (100,)
