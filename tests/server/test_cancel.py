"""Whatever runs can be cancelled and timed out at any point, and others are answered meanwhile."""

from __future__ import annotations

import socket
import threading
import time

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import TupleRow

from tests.server.test_bad_input import error_of, message, started
from tests.server.test_protocol import SYNC, ask, bind, execute, kinds, parse, query, read_until_ready
from tests.support.others import others_are_answered
from tests.support.sixfold import Served

Connection = psycopg.Connection[TupleRow]

# After this the statement is interrupted; it must end this much later, and nobody may have waited so long. PostgreSQL needs some
# milliseconds and so do we; the rest is for machines that do other things too.
AFTER, LATE = 0.3, 1.0

STATEMENTS = {
    "sort": "SELECT count(*) FROM (SELECT t || g FROM cancel_rows, generate_series(1, 200) g ORDER BY 1 DESC OFFSET 1) x",
    "aggregate": "SELECT count(*) FROM (SELECT t || g FROM cancel_rows, generate_series(1, 500) g GROUP BY 1) x",
    "hash join": "SELECT count(*) FROM cancel_rows a, generate_series(1, 500) g JOIN cancel_rows b ON b.t = (g || b.t)",
    "distinct": "SELECT count(*) FROM (SELECT DISTINCT t || g FROM cancel_rows, generate_series(1, 500) g) x",
    "set operation": "SELECT count(*) FROM (SELECT t || g FROM cancel_rows, generate_series(1, 500) g EXCEPT SELECT 'x') x",
    "window": "SELECT count(*) FROM (SELECT sum(v) OVER (ORDER BY t) FROM cancel_rows, generate_series(1, 500)) x",
    "nested loop": "SELECT count(*) FROM cancel_rows a JOIN cancel_rows b ON a.v * 2 > b.v * 2 + 1 AND a.t || b.t = ''",
    "recursion": "WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "cross join": "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    "series": "SELECT count(*) FROM generate_series(1, 1000000000000)",
    "ordered aggregate": "SELECT length(string_agg(t || g, ',' ORDER BY t)) FROM cancel_rows, generate_series(1, 200) g",
    "insert": "INSERT INTO cancel_out SELECT g, g FROM generate_series(1, 100000000) g",
    "delete": "DELETE FROM cancel_rows a USING generate_series(1, 100000) g WHERE a.t || g = ''",
    "create table as": "CREATE TABLE cancel_made AS SELECT g FROM generate_series(1, 100000000) g",
    "regular expression": "SELECT count(*) FROM regexp_matches(repeat('ab c', 50000000), 'a.', 'g')",
    "like": "SELECT repeat('a', 500000) LIKE '%' || repeat('a', 100000) || 'b%'",
    "factorials": "SELECT count(factorial(9000 + g)) FROM generate_series(1, 100000) g",
    "powers": "SELECT count((1.01 + g * 0.0000001) ^ 20000.12345) FROM generate_series(1, 100000) g",
    "repeat": "SELECT count(md5(repeat(md5(g::text), 5000000))) FROM generate_series(1, 1000) g",
    "split": "SELECT count(*) FROM generate_series(1, 100), string_to_table(repeat('a,', 5000000), ',')",
    "one match": "SELECT regexp_match(repeat('abcdefghij', 20000000), '(.*)(.*)(.*)(.*)j(.*)')",
    "bad pattern": "SELECT repeat('aé ', 30000000) ~ '(\\w+ )+\\mz'",
    "letters": "SELECT length(initcap(repeat('abc dé', 40000000)))",
    "trim": "SELECT length(btrim(repeat('abcdefghij', 40000000), 'jihgfedcba'))",
    "json": "SELECT length(('[' || repeat('{\"a\":1,\"b\":[1,2,\"xyz\"]},', 2000000) || '1]')::jsonb::text)",
    "array": "SELECT length(('{' || repeat('12,', 20000000) || '1}')::int[]::text)",
    "parallel aggregate": "SELECT max(sqrt(id::numeric) ^ 1.5) FROM cancel_many",
    "parallel aggregate of long values": "SELECT count(regexp_replace(repeat(t, 2000), '(a|b)+c', 'x', 'g')) FROM cancel_many",
    "parallel sort": "SELECT id FROM cancel_many ORDER BY repeat(t, 20000) DESC LIMIT 3",
    "arrays in an array": "SELECT cardinality(array_agg(array_fill(g, array[100000]))) FROM generate_series(1, 100000) g",
    "long arrays": "SELECT sum(cardinality((array_fill(g, array[3000000]))[2:])) FROM generate_series(1, 100000) g",
    "arrays in one another": "SELECT count(*) FROM generate_series(1, 100000) g WHERE array_fill(0, array[200000]) <@ array_fill(g, array[3000000])",
    "json in json": "SELECT j || '[7]' @> (j || '[8]') FROM (SELECT jsonb_agg(jsonb_build_object('a', g)) j FROM generate_series(1, 50000) g) x",
    "digits": "SELECT count((repeat('7', 60000) || g)::numeric) FROM generate_series(1, 100000) g",
    "a frame that moves": "SELECT count(*) FROM (SELECT string_agg(t, '') OVER (ORDER BY id ROWS 10000 PRECEDING) FROM cancel_rows) x",
    "keys that are long arrays": "SELECT count(*) FROM cancel_long a JOIN cancel_long b ON a.a = b.a, generate_series(1, 300) g"
    " WHERE a.t || g = b.t || g",
    "keys that are long texts": "SELECT count(*) FROM cancel_rows a JOIN cancel_rows b ON repeat(a.t, 1000000) = b.t",
    "condition on long texts": "SELECT count(*) FROM cancel_rows a LEFT JOIN cancel_rows b ON repeat(a.t, 1000000) > repeat(b.t, 1000000)",
    "hash join with a condition on long texts": "SELECT count(*) FROM cancel_rows a LEFT JOIN cancel_rows b"
    " ON a.v % 10 = b.v % 10 AND repeat(a.t, 1000000) || b.v = repeat(b.t, 1000000)",
    "sets of a set": "SELECT count(*) FROM (SELECT generate_series(1, generate_series(1, 1000000))) x",
    "sleep": "SELECT pg_sleep(1000)",
}


@pytest.fixture(scope="module")
def rows(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE cancel_out (a int, b int)")
        # So many that they are shared by threads.
        connection.execute("CREATE TABLE cancel_many AS SELECT g id, 'text ' || g t FROM generate_series(1, 300000) g")
        connection.execute(
            "CREATE TABLE cancel_long AS SELECT array_agg(g) a, repeat('x', 10000000) t FROM generate_series(1, 400000) g"
        )
        connection.execute(
            "CREATE TABLE cancel_rows AS SELECT g id, g * 7919 % 20011 v, 'text ' || g t FROM generate_series(1, 20000) g"
        )


@pytest.mark.parametrize("small", [False, True], ids=["in memory", "spilled"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_it_ends_when_it_is_cancelled(server: Served, rows: None, name: str, small: bool) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection, others_are_answered(server.uri, LATE):
        connection.execute("SET work_mem = '64kB'" if small else "SET work_mem = '1GB'")
        interrupted(connection, STATEMENTS[name])
        assert connection.execute("SELECT 2").fetchone() == (2,)


@pytest.mark.parametrize("name", STATEMENTS)
def test_it_ends_when_its_time_is_over(server: Served, rows: None, name: str) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection, others_are_answered(server.uri, LATE):
        connection.execute(f"SET statement_timeout = {int(AFTER * 1000)}")  # type: ignore[call-overload]
        began = time.monotonic()
        with pytest.raises(errors.QueryCanceled, match="canceling statement due to statement timeout"):
            connection.execute(STATEMENTS[name])  # type: ignore[call-overload]
        assert time.monotonic() - began < AFTER + LATE


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_it_ends_when_its_time_is_over_while_its_rows_are_sent(server: Served, extended: bool) -> None:
    """The client takes them all the time."""
    with started(server) as opened:
        ask(opened, query(f"SET statement_timeout = {int(AFTER * 1000)}"))
        text = "SELECT g, repeat('x', 100) FROM generate_series(1, 10000000) g"
        began = time.monotonic()
        said = ask(opened, parse(text) + bind() + execute() + SYNC if extended else query(text))
        assert error_of(said)["C"] == "57014"
        assert time.monotonic() - began < AFTER + 3 * LATE
        # Each of many messages has its own time.
        some = query("SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g")
        began = time.monotonic()
        while time.monotonic() - began < 3 * AFTER:
            opened.sendall(some * 3)
            for _ in range(3):
                assert kinds(read_until_ready(opened)).endswith("DCZ")


# Each step of it makes more than a client is sent at once.
WIDE = "SELECT " + ", ".join(f"t t{i}" for i in range(1600)) + " FROM cancel_rows, generate_series(1, 1000)"


def taken(opened: socket.socket) -> bytes:
    """The last that was sent, once it is over."""
    last = b""
    while part := opened.recv(1 << 20):
        last = last[-10000:] + part
        if b"57014" in last:
            break
    return last


def test_who_takes_wide_rows_as_fast_as_they_come_holds_nobody_up_and_is_cancelled(server: Served, rows: None) -> None:
    with started(server) as opened, psycopg.connect(server.uri, autocommit=True) as other:
        found = [body for kind, body in ask(opened, query("SELECT pg_backend_pid()")) if kind == b"D"]
        opened.sendall(query(WIDE))
        last: list[bytes] = []
        taking = threading.Thread(target=lambda: last.append(taken(opened)))
        taking.start()
        with others_are_answered(server.uri, LATE, at_least=10):
            time.sleep(2 * AFTER)
        began = time.monotonic()
        other.execute("SELECT pg_cancel_backend(%s)", (int(found[0][6:]),))
        taking.join()
        assert b"57014" in last[0]
        assert time.monotonic() - began < LATE


def test_a_client_that_goes_while_it_is_sent_wide_rows_leaves_nothing_running(server: Served, rows: None) -> None:
    with started(server) as opened, psycopg.connect(server.uri, autocommit=True) as other:
        found = [body for kind, body in ask(opened, query("SELECT pg_backend_pid()")) if kind == b"D"]
        opened.sendall(query(WIDE))
        for _ in range(50):
            opened.recv(1 << 20)
        opened.close()
        deadline = time.monotonic() + 5
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (int(found[0][6:]),)).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_it_ends_when_its_client_has_gone(server: Served, rows: None) -> None:
    connection = psycopg.connect(server.uri, autocommit=True)
    pid = connection.info.backend_pid

    def run() -> None:
        with pytest.raises(psycopg.Error):
            connection.execute(STATEMENTS["cross join"])  # type: ignore[call-overload]

    running = threading.Thread(target=run)
    running.start()
    time.sleep(AFTER)
    connection.pgconn.finish()
    running.join()
    with psycopg.connect(server.uri, autocommit=True) as other:
        deadline = time.monotonic() + 5
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_four_heavy_statements_do_not_hold_others_up(server: Served, rows: None) -> None:
    heavy = [psycopg.connect(server.uri, autocommit=True) for _ in range(4)]
    for connection in heavy:
        connection.execute("SET statement_timeout = 1500")
    names = ("cross join", "aggregate", "sort", "nested loop")

    def run(connection: Connection, name: str) -> None:
        with pytest.raises(errors.QueryCanceled):
            connection.execute(STATEMENTS[name])  # type: ignore[call-overload]

    with others_are_answered(server.uri, LATE):
        threads = [threading.Thread(target=run, args=pair) for pair in zip(heavy, names, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for connection in heavy:
        connection.close()


def interrupted(connection: Connection, text: str) -> None:
    """It is cancelled while it runs, and ends soon."""
    asked = []

    def cancel() -> None:
        asked.append(time.monotonic())
        connection.cancel_safe(timeout=20)

    timer = threading.Timer(AFTER, cancel)
    timer.start()
    with pytest.raises(errors.QueryCanceled, match="canceling statement due to user request"):
        connection.execute(text)  # type: ignore[call-overload]
    assert time.monotonic() - asked[0] < LATE
    timer.join()


@pytest.mark.parametrize("how", ["SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS cancel_check IMMEDIATE", "COMMIT"])
@pytest.mark.parametrize("python", [False, True], ids=["in the kernel", "by the engine"])
def test_checks_that_were_put_off_are_cancelled_and_nobody_waits_for_them(
    server: Served, how: str, python: bool
) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS cancel_child, cancel_parent")
        connection.execute("CREATE TABLE cancel_parent (id int PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE cancel_child (id int CONSTRAINT cancel_check REFERENCES cancel_parent INITIALLY DEFERRED)"
        )
        connection.execute("INSERT INTO cancel_parent SELECT generate_series(1, 400000)")
        connection.execute("BEGIN")
        if python:
            connection.execute("LISTEN cancelled")  # its COMMIT is the engine's
        connection.execute("INSERT INTO cancel_child SELECT id FROM cancel_parent")
        with others_are_answered(server.uri, LATE):
            interrupted(connection, how)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO cancel_child SELECT id FROM cancel_parent WHERE id % 10 = 0")
        connection.execute(how)
        connection.execute("COMMIT")
        assert connection.execute("SELECT count(*) FROM cancel_child").fetchone() == (40000,)
        connection.execute("DROP TABLE cancel_child, cancel_parent")


def test_moving_a_portal_is_timed_out_and_nobody_waits_for_it(server: Served) -> None:
    """MOVE of SQL's, and a portal that Bind has made."""
    with started(server) as opened:
        ask(opened, query("BEGIN"))
        series = parse("SELECT g, md5(g::text) FROM generate_series(1, 1000000000) g")
        ask(opened, series + bind(portal="moved") + message(b"S", b""))
        with others_are_answered(server.uri, LATE):
            assert ask(opened, query("MOVE 300000 IN moved"))[0] == (b"C", b"MOVE 300000\0")
            ask(opened, query(f"SET statement_timeout = {int(AFTER * 1000)}"))
            began = time.monotonic()
            assert error_of(ask(opened, query("MOVE ALL IN moved")))["C"] == "57014"
            assert time.monotonic() - began < AFTER + LATE
        ask(opened, query("ROLLBACK"))
        assert kinds(ask(opened, query("SELECT 2"))) == "TDCZ"


def test_a_frame_that_moves_is_not_begun_anew_for_each_row(server: Served, rows: None) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        # It would be ten thousand million values.
        connection.execute("SET statement_timeout = '20s'")
        found = connection.execute(
            "SELECT sum(most), sum(least), sum(n), sum(v) FROM (SELECT max(id) OVER w most, min(id) OVER w least, count(id) OVER w n,"
            " sum(id) OVER w v FROM cancel_many WINDOW w AS (ORDER BY id ROWS BETWEEN 50000 PRECEDING AND CURRENT ROW)) x"
        )
        n, w = 300_000, 50_000
        least = w + sum(range(1, n - w + 1))
        count = sum(range(1, w + 1)) + (n - w) * (w + 1)
        total = sum(i * (min(w, n - i) + 1) for i in range(1, n + 1))
        assert found.fetchone() == (n * (n + 1) // 2, least, count, total)


def test_an_array_that_is_cast_is_cast_once(server: Served, rows: None) -> None:
    many = [str(number) for number in range(50_000)]
    with psycopg.connect(server.uri, autocommit=True) as connection:
        # For each row it would be a thousand million casts.
        connection.execute("SET statement_timeout = '20s'")
        found = connection.execute("SELECT count(*) FROM cancel_rows WHERE id = ANY (%s::text[]::int[])", (many,))
        assert found.fetchone() == (20000,)
