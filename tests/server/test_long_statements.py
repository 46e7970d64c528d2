"""Statements of very many literals: what they mean is what PostgreSQL says, and nobody waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from tests.support.others import others_are_answered
from tests.support.postgres import available, postgres
from tests.support.sixfold import Served

Connection = psycopg.Connection[TupleRow]

ROWS = 3000
TABLE = """CREATE TABLE long_rows (a int, b text, c numeric(12, 2), d date, e boolean, f double precision DEFAULT 1.5,
    g int GENERATED ALWAYS AS (a * 2) STORED)"""
COLUMNS = "(a, b, c, d, e)"


def rows(cell: Callable[[int], str], columns: str = COLUMNS, count: int = ROWS) -> str:
    return f"INSERT INTO long_rows {columns} VALUES " + ", ".join(cell(n) for n in range(count))


def mixed(n: int) -> str:
    text = ("NULL", "'it''s'", "E'tab\\there'", "$$dollar$$", f"'row {n}'", "'ä€𝄞'")[n % 6]
    number = ("1", "-2.50", "NULL", "+3", "1e3", "-2147483648", "2147483648", "'7.1'")[n % 8]
    day = ("'2020-02-29'", "'2021-01-01'::date", "null", "DEFAULT")[n % 4]
    return f"({n - 5}, {text}, {number}, {day}, {('true', 'FALSE', 'NULL')[n % 3]})"


def comments(n: int) -> str:
    return f"( {n} -- a ) comment, with 'quotes'\n , /* (and, this) */ 'x' , {n}.5,\n'2020-01-01',true)"


def same(n: int) -> str:
    return f"({n}, 'x', 1, '2020-01-01', true)"


def bad(what: str, at: int = ROWS - 2) -> Callable[[int], str]:
    return lambda n: what if n == at else same(n)


STATEMENTS = {
    "all kinds of cells": rows(mixed),
    "space and comments": rows(comments),
    "fewer columns": rows(lambda n: f"({n}, 'b')", "(a, b)"),
    "other order": rows(lambda n: f"('b{n}', {n})", "(b, a)"),
    "default": rows(lambda n: f"({n}, DEFAULT)" if n % 7 else f"({n}, {n}.25)", "(a, f)"),
    "functions": rows(lambda n: f"({n}, upper('x'), 1 + 1, current_date - current_date + date '2000-01-01', 1 = 1)"),
    "returning": rows(same) + " RETURNING a, b, c, d, e, f, g",
    "on conflict": rows(same) + " ON CONFLICT DO NOTHING",
    "cte": f"WITH w(x, y) AS (VALUES {', '.join(f'({n}, {n}.5)' for n in range(ROWS))}) SELECT sum(x), sum(y) FROM w",
    "values": "VALUES " + ", ".join(f"({n}, 'v{n}', NULL, {('1', '2.5')[n % 2]})" for n in range(ROWS)),
    "from": f"SELECT pg_typeof(x), pg_typeof(y), x, y FROM (VALUES {', '.join(f'({n}, {n})' for n in range(2999))}, (1, 2.5)) v(x, y)",
    "in": f"SELECT a FROM long_base WHERE a IN ({', '.join(str(n * 3) for n in range(ROWS))}) ORDER BY a",
    "not in": f"SELECT a FROM long_base WHERE NOT a NOT IN ({', '.join(str(n * 3) for n in range(ROWS))}) ORDER BY a",
    "not in with null": f"SELECT count(*) FROM long_base WHERE a NOT IN ({', '.join(str(-n) for n in range(ROWS))}, NULL)",
    "in texts": f"SELECT b FROM long_base WHERE b IN ({', '.join(repr(f't{n * 2}') for n in range(ROWS))}) ORDER BY b",
    "in dates": "SELECT d FROM long_base WHERE d IN (" + ", ".join(f"'20{n % 100:02}-01-{n % 28 + 1}'" for n in range(ROWS)) + ")",
    "in numbers": f"SELECT a FROM long_base WHERE a IN ({', '.join(f'{n}.0' for n in range(ROWS))}, 5000000000) ORDER BY 1",
    "array": f"SELECT array_length(ARRAY[{', '.join(str(n) for n in range(ROWS))}], 1), ARRAY[{', '.join(str(n) for n in range(ROWS))}]",
    "array of dates": "SELECT ARRAY[" + ", ".join("'2020-01-01'" for _ in range(ROWS)) + "]::date[]",
    "array of texts": "SELECT pg_typeof(ARRAY[" + ", ".join(f"'{n}'" for n in range(ROWS)) + ", NULL])",
    "two statements": rows(same) + "; SELECT count(*) FROM long_rows WHERE a IN (" + ", ".join(map(str, range(ROWS))) + ")",
    "not a query": f"CREATE TABLE long_made AS SELECT x FROM (VALUES {', '.join(f'({n})' for n in range(ROWS))}) v(x)",
    "a sum": f"SELECT {' + '.join(['a'] * 1500)} FROM long_base WHERE a < 3 ORDER BY 1",
    "a longer sum": "SELECT 1" + " + 1" * 100_000,
    "casts": "SELECT a" + "::int" * 2000 + " FROM long_base WHERE a = 7",
    "nots": "SELECT " + "NOT " * 2000 + "a = 7 FROM long_base WHERE a = 7",
    "unions": " UNION ALL ".join(f"SELECT {n}" for n in range(1500)),
    "ors": "SELECT a FROM long_base WHERE " + " OR ".join(f"(a = {n} AND b <> 'x{n}')" for n in range(ROWS)) + " ORDER BY a",
    "case": "SELECT CASE " + " ".join(f"WHEN a = {n} THEN 'v{n}'" for n in range(ROWS)) + " END FROM long_base ORDER BY a LIMIT 9",
    "no such column among many": "SELECT a FROM long_base WHERE " + " OR ".join(f"a = {n}" for n in range(ROWS)) + " OR é = 1",
    "many statements": "; ".join(f"INSERT INTO long_rows (a, b) VALUES ({n}, 'x;y')" for n in range(2500)),
    "many statements, one wrong": "; ".join(f"SELECT 1/({n} - 2499)" for n in range(5000)),
    "many statements, one wrong by its name": "; ".join(f"SELECT 'é{n}', a{n} FROM (SELECT 1) t(a0)" for n in range(3000)),
    "many statements, one that is none": "; ".join(f"INSERT INTO long_rows (a) VALUES ({n})" for n in range(2500)) + "; SELEC 1",
    "many statements and transactions": "BEGIN; " + "INSERT INTO long_rows (a) VALUES (1); " * 2500 + "ROLLBACK; SELECT 7",
    "bad number": rows(bad("(1, 'x', 'one', '2020-01-01', true)")),
    "bad date": rows(bad("(1, 'äöü€𝄞', 1, '2020-02-30', true)")),
    "too large": rows(bad("(5000000000, 'x', 1, '2020-01-01', true)")),
    "wrong type": rows(bad("(1, 'x', 1, 2020, true)")),
    "wrong type first": rows(bad("(1, 'x', 1, 2020, true)", 0)),
    "too short a row": rows(bad("(1, 'x', 1)")),
    "too long a row": rows(bad("(1, 'x', 1, '2020-01-01', true, 2)")),
    "too many columns": rows(same, "(a)"),
    "no such column": rows(bad("(nothing, 'x', 1, '2020-01-01', true)")),
    "syntax": rows(bad("(1, 'x' 'y', 1, '2020-01-01', true)")),
    "not closed": rows(same) + ", (1, 2",
    "no string's end": rows(same) + ", (1, 'x",
    "no such table": rows(same).replace("long_rows", "long_nothing"),
    "bad in": f"SELECT a FROM long_base WHERE a IN ({', '.join(repr(str(n)) for n in range(ROWS))}, 'x')",
    "text in numbers": f"SELECT a FROM long_base WHERE b IN ({', '.join(str(n) for n in range(ROWS))})",
}  # fmt: skip


def answer(connection: Connection, statement: str) -> Any:
    """Rows and status; or the error's code, message and place. And what is in the table then."""
    try:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(statement)  # type: ignore[call-overload]
        found: list[Any] = []
        while True:
            columns = [(c.name, c.type_code) for c in cursor.description or ()]
            found.append((cursor.statusmessage, columns, cursor.fetchall() if columns else None))
            if not cursor.nextset():
                break
    except psycopg.Error as error:
        found = [error.sqlstate, error.diag.message_primary, error.diag.statement_position]
    table = connection.execute("SELECT a, b, c, d, e, f, g FROM long_rows ORDER BY a, b, c").fetchall()
    connection.execute("TRUNCATE long_rows")
    return found, table


def prepare(connection: Connection) -> None:
    connection.execute("SET client_min_messages = warning")
    for table in ("long_rows", "long_base", "long_made"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")  # type: ignore[call-overload]
    connection.execute(TABLE)  # type: ignore[call-overload]
    connection.execute(
        "CREATE TABLE long_base AS SELECT g a, 't' || g b, date '2020-01-01' + g d FROM generate_series(0, 5000) g"
    )


@pytest.fixture(scope="module")
def both(server: Served) -> Iterator[tuple[Connection, Connection]]:
    if not available():
        pytest.skip("no PostgreSQL 15 to compare with")
    with (
        postgres() as reference,
        psycopg.connect(reference.uri, autocommit=True) as theirs,
        psycopg.connect(server.uri, autocommit=True) as ours,
    ):
        prepare(theirs)
        prepare(ours)
        yield ours, theirs


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_long_statement_means_what_it_means_to_postgresql(both: tuple[Connection, Connection], name: str) -> None:
    ours, theirs = both
    assert answer(ours, STATEMENTS[name]) == answer(theirs, STATEMENTS[name])


def test_it_can_be_prepared_with_parameters_of_its_own(both: tuple[Connection, Connection]) -> None:
    text = f"SELECT a, %s::text FROM long_base WHERE a > %s AND a IN ({', '.join(str(n * 7) for n in range(ROWS))}) ORDER BY a"
    for connection in both:
        for low in (10, 4000):
            found = connection.execute(text, ("x", low), prepare=True).fetchall()  # type: ignore[call-overload]
            assert found == [(n, "x") for n in range(0, 5001, 7) if n > low]


def test_a_text_that_does_not_fold_is_not_taken_for_the_next_one(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        for first in (1, 2):
            total = "+".join(f"({n} + {first})" for n in range(50))
            text = f"SELECT {first}, {', '.join(f'abs({n}) + {n}' for n in range(1000))}, {total}"
            row = connection.execute(text).fetchone()  # type: ignore[call-overload]
            assert row is not None
            assert (row[0], row[-1]) == (first, 1225 + 50 * first)


def test_nobody_waits_for_a_long_statement(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        prepare(connection)
        values = ", ".join(f"({n}, 'row number {n}')" for n in range(200_000))
        with others_are_answered(server.uri, 0.5, at_least=10):
            assert connection.execute(f"INSERT INTO long_rows (a, b) VALUES {values}").rowcount == 200_000  # type: ignore[call-overload]
            numbers = ", ".join(map(str, range(0, 1_000_000, 2)))
            found = connection.execute(f"SELECT count(*) FROM long_rows WHERE a IN ({numbers})").fetchone()  # type: ignore[call-overload]
            assert found == (100_000,)


ORS = " OR ".join(f"(a = {n} AND b <> 'x{n}')" for n in range(30_000))


def test_nobody_waits_for_a_text_that_does_not_fold(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        prepare(connection)
        with others_are_answered(server.uri, 0.5, at_least=10):
            found = connection.execute(f"SELECT count(*) FROM long_base WHERE {ORS}").fetchone()  # type: ignore[call-overload]
            assert found == (5001,)
            connection.execute("; ".join(f"SELECT {n}" for n in range(5000)))  # type: ignore[call-overload]
            connection.execute(f"CREATE TABLE long_made AS SELECT * FROM long_base WHERE {ORS}")  # type: ignore[call-overload]


def test_a_long_text_is_cancelled_wherever_it_is(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        prepare(connection)
        many = "; ".join(f"SELECT {n}" for n in range(50_000))
        for timeout in (1, 50, 300, 700, 1500):
            for text in (
                f"SELECT count(*) FROM long_base WHERE {ORS}",
                f"EXPLAIN SELECT * FROM long_base WHERE {ORS}",
                many,
            ):
                connection.execute(f"SET statement_timeout = {timeout}")  # type: ignore[call-overload]
                began = time.monotonic()
                with pytest.raises(psycopg.errors.QueryCanceled):
                    connection.execute(text)  # type: ignore[call-overload]
                assert time.monotonic() - began < timeout / 1000 + 5
                connection.execute("SET statement_timeout = 0")
                assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_long_text_is_planned_once_whatever_others_do(server: Served) -> None:
    """And again when its own table is not what it was: others change it while it is planned."""
    ended = threading.Event()

    def change() -> None:
        with psycopg.connect(server.uri, autocommit=True) as other:
            while not ended.is_set():
                other.execute("CREATE TEMP TABLE long_other (a int); DROP TABLE long_other; ANALYZE long_base")

    with psycopg.connect(server.uri, autocommit=True) as connection:
        prepare(connection)
        connection.execute("SET statement_timeout = '60s'")
        changing = threading.Thread(target=change)
        changing.start()
        try:
            found = connection.execute(f"SELECT count(*) FROM long_base WHERE {ORS}").fetchone()  # type: ignore[call-overload]
            assert found == (5001,)
        finally:
            ended.set()
            changing.join()


def test_a_long_text_sees_the_columns_that_its_table_has_when_it_is_locked(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection, psycopg.connect(server.uri) as other:
        connection.execute("CREATE TABLE long_columns AS SELECT a, 'x' AS b FROM generate_series(0, 5000) a")
        other.execute("ALTER TABLE long_columns ADD c int DEFAULT 7")
        committing = threading.Timer(1, other.commit)
        committing.start()
        # It is planned with two columns, and waits for the lock.
        text = f"SELECT * FROM long_columns WHERE {ORS} ORDER BY a LIMIT 1"
        assert connection.execute(text).fetchone() == (0, "x", 7)  # type: ignore[call-overload]
        committing.join()
        connection.execute("DROP TABLE long_columns")


@pytest.mark.parametrize("typ", ["int", "numeric", "float8", "text", "bpchar", "timestamptz", "jsonb", "uuid"])
def test_lists_are_looked_up_and_not_compared_one_by_one(server: Served, typ: str) -> None:
    """IN and NOT IN, over constants, parameters and what a subquery has gathered: 100,000 values in 20,000."""
    value = {
        "timestamptz": "timestamptz '2020-01-01' + g * interval '1 min'",
        "jsonb": "to_jsonb(g)",
        "uuid": "md5(g::text)::uuid",
    }.get(typ, f"g::text::{typ}")
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '20s'")
        connection.execute(f"CREATE TEMP TABLE looked_up AS SELECT {value} AS v FROM generate_series(1, 100000) g")  # type: ignore[call-overload]
        values = [str(row[0]) for row in connection.execute("SELECT v::text FROM looked_up LIMIT 20000")]
        listed = ", ".join(f"'{value}'" for value in values)
        for where, count in (
            (f"v IN ({listed})", 20_000),
            (f"v NOT IN ({listed})", 80_000),
            (f"v = ANY (ARRAY[{listed}]::{typ}[])", 20_000),
            ("v <> ALL (ARRAY(SELECT v FROM looked_up LIMIT 20000))", 80_000),
            ("v = ANY (ARRAY(SELECT v FROM looked_up LIMIT 20000))", 20_000),
            ("v <> ALL (array_append(ARRAY(SELECT v FROM looked_up LIMIT 20000), NULL))", 0),
        ):
            found = connection.execute(f"SELECT count(*) FROM looked_up WHERE {where}").fetchone()  # type: ignore[call-overload]
            assert found == (count,), where[:60]
        for operator, count in (("= ANY", 20_000), ("<> ALL", 80_000)):
            connection.execute(
                f"PREPARE looked_up ({typ}[]) AS SELECT count(*) FROM looked_up WHERE v {operator} ($1)"  # type: ignore[call-overload]
            )
            found = connection.execute(f"EXECUTE looked_up (ARRAY[{listed}]::{typ}[])").fetchone()  # type: ignore[call-overload]
            assert found == (count,)
            connection.execute("DEALLOCATE looked_up")


def test_a_cancel_does_not_wait_for_the_parser(server: Served) -> None:
    """Which is one call of C, and takes seconds for such a text."""
    text = "SELECT " + ", ".join(f"length('x' || a::text) + {n}" for n in range(300_000)) + " FROM long_base"
    with psycopg.connect(server.uri, autocommit=True) as connection, others_are_answered(server.uri, 2, at_least=10):
        prepare(connection)
        for timeout in (500, 700, 900):
            connection.execute(f"SET statement_timeout = {timeout}")  # type: ignore[call-overload]
            began = time.monotonic()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(text)  # type: ignore[call-overload]
            assert time.monotonic() - began < timeout / 1000 + 1.5
            connection.execute("SET statement_timeout = 0")
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_views_and_tables_of_long_lists_take_no_longer_than_lists_are_long(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        prepare(connection)
        connection.execute("SET statement_timeout = '60s'")
        numbers = ", ".join(map(str, range(30_000)))
        with others_are_answered(server.uri, 0.5, at_least=10):
            connection.execute(f"CREATE VIEW long_view AS SELECT a FROM long_base WHERE a IN ({numbers})")  # type: ignore[call-overload]
            connection.execute(f"CREATE TABLE long_made AS SELECT a FROM long_base WHERE a IN ({numbers})")  # type: ignore[call-overload]
            assert connection.execute("SELECT count(*) FROM long_view").fetchone() == (5001,)
        connection.execute("DROP VIEW long_view")


def test_a_view_of_a_long_text_is_read_by_a_short_one(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        prepare(connection)
        connection.execute(
            f"CREATE VIEW long_view AS SELECT a FROM long_base WHERE {ORS[:20_000].rpartition(' OR ')[0]}"
        )  # type: ignore[call-overload]
        for _ in range(3):
            row = connection.execute("SELECT count(*) > 100 FROM long_view").fetchone()
            assert row == (True,)
        connection.execute("DROP VIEW long_view")


def test_one_of_many_statements_is_read_by_itself(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        text = "SELECT 'é';" * 8000 + "SELECT pg_sleep(0) IS NULL, txid_current() > 0;" + "SELECT 'ü';" * 2000
        cursor = connection.execute(text)
        for _ in range(8000):
            assert cursor.nextset()
        assert len(cursor.fetchall()) == 1 and cursor.nextset() and cursor.fetchall() == [("ü",)]
