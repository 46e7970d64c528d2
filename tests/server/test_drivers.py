"""psycopg and asyncpg, text and binary, over TCP: values, transactions, pipelines, COPY, cancel, TLS."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import ipaddress
import threading
import time
import uuid
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Served

VALUES: list[tuple[str, Any]] = [
    ("bool", True),
    ("int2", -7),
    ("int4", 2**31 - 1),
    ("int8", -(2**63)),
    ("float8", 1.5e300),
    ("numeric", decimal.Decimal("-12345678901234567890.123456789")),
    ("text", "žluťoučký kůň 🐎"),
    ("varchar(20)", "twenty at most"),
    ("bytea", bytes(range(256))),
    ("date", datetime.date(2024, 2, 29)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("timestamp", datetime.datetime(1999, 12, 31, 23, 59, 59, 123456)),
    ("timestamptz", datetime.datetime(2024, 6, 1, 12, 0, tzinfo=datetime.UTC)),
    ("interval", datetime.timedelta(days=3, seconds=5, microseconds=7)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("int4[]", [1, 2, None, 4]),
    ("text[]", ["a", 'quo"te', "comma,", None, ""]),
]


@pytest.fixture
def connection(server: Served) -> Any:
    with psycopg.connect(server.uri) as opened:
        yield opened


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(("name", "value"), VALUES, ids=[name for name, _ in VALUES])
def test_a_value_comes_back_through_psycopg(connection: Any, name: str, value: Any, binary: bool) -> None:
    cursor = connection.cursor(binary=binary)
    placeholder = "%b" if binary and name not in ("interval",) else "%s"
    assert cursor.execute(f"SELECT {placeholder}::{name}", (value,)).fetchone() == (value,)


def test_values_come_back_through_asyncpg(server: Served) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server.uri)
        try:
            for name, value in VALUES:
                assert await connection.fetchval(f"SELECT $1::{name}", value) == value, name
            assert await connection.fetchval("SELECT $1::jsonb", '{"a": [1, 2]}') == '{"a": [1, 2]}'
        finally:
            await connection.close()

    asyncio.run(run())


def test_a_prepared_statement_whose_columns_change_is_refused(server: Served) -> None:
    """As by PostgreSQL, and asyncpg and JDBC count on its words: they prepare again."""

    async def run() -> None:
        connection = await asyncpg.connect(server.uri)
        try:
            await connection.execute("CREATE TABLE drivers_columns (a int); INSERT INTO drivers_columns VALUES (1)")
            statement = await connection.prepare("SELECT * FROM drivers_columns")
            assert await statement.fetch() == [(1,)]
            await connection.execute("ALTER TABLE drivers_columns ADD b int DEFAULT 2")
            with pytest.raises(asyncpg.InvalidCachedStatementError):
                await statement.fetch()
            # One that the driver prepared by itself.
            assert await connection.fetch("SELECT * FROM drivers_columns WHERE a = $1", 1) == [(1, 2)]
            await connection.execute("ALTER TABLE drivers_columns ADD c int")
            assert await connection.fetch("SELECT * FROM drivers_columns WHERE a = $1", 1) == [(1, 2, None)]
            await connection.execute("ALTER TABLE drivers_columns DROP b, DROP c")
            assert await statement.fetch() == [(1,)]
        finally:
            await connection.close()

    asyncio.run(run())


def test_addresses_are_python_s(server: Served, connection: Any) -> None:
    address = ipaddress.ip_address("127.0.0.1")
    query = "SELECT inet_client_addr(), (SELECT client_addr FROM pg_stat_activity WHERE pid = pg_backend_pid())"
    assert connection.execute(query).fetchone() == (address, address)
    network = ipaddress.ip_network("2001:db8::/32")
    for binary in (False, True):
        found = connection.cursor(binary=binary).execute("SELECT %s::cidr, %s::inet", (network, address)).fetchone()
        assert found == (network, address)


def test_a_transaction_that_raises_leaves_nothing(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE drivers_tx (a int)")
        with pytest.raises(ZeroDivisionError), connection.transaction():
            connection.execute("INSERT INTO drivers_tx VALUES (1)")
            raise ZeroDivisionError
        assert connection.execute("SELECT count(*) FROM drivers_tx").fetchone() == (0,)


def test_savepoints_nest(connection: Any) -> None:
    connection.execute("CREATE TABLE drivers_sp (a int)")
    with connection.transaction():
        connection.execute("INSERT INTO drivers_sp VALUES (1)")
        with pytest.raises(errors.DivisionByZero), connection.transaction():
            connection.execute("INSERT INTO drivers_sp VALUES (2)")
            connection.execute("SELECT 1/0")
        connection.execute("INSERT INTO drivers_sp VALUES (3)")
    assert connection.execute("SELECT a FROM drivers_sp ORDER BY a").fetchall() == [(1,), (3,)]


def test_a_pipeline_answers_in_order(connection: Any) -> None:
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", (number,)) for number in range(50)]
    assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(50)]


def test_a_portal_is_read_in_pieces(connection: Any) -> None:
    with connection.cursor("pieces") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT generate_series(1, 100)")
        assert [row[0] for row in cursor] == list(range(1, 101))


def test_a_held_cursor_outlives_its_transaction(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        with connection.cursor("held", withhold=True) as cursor:
            cursor.execute("SELECT generate_series(1, 20)")
            assert [row[0] for row in cursor] == list(range(1, 21))
        with pytest.raises(errors.InvalidCursorName):
            connection.execute("FETCH ALL FROM held")


def test_a_parameter_may_be_the_name_of_a_relation_or_a_type(connection: Any) -> None:
    row = connection.execute(
        "SELECT %s::regclass::oid, %s::regtype::oid, %s::regclass", ("pg_catalog.pg_class", "integer", "1247")
    ).fetchone()
    assert row == (1259, 23, "pg_type")
    with pytest.raises(errors.UndefinedTable, match='relation "no_such" does not exist'):
        connection.execute("SELECT %s::regclass", ("no_such",))
    connection.rollback()


def test_a_session_can_be_ended_by_another_one_and_by_itself(server: Served, connection: Any) -> None:
    victim = psycopg.connect(server.uri, autocommit=True)
    assert connection.execute("SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,)).fetchone() == (True,)
    with pytest.raises(errors.AdminShutdown):
        victim.execute("SELECT 1")
    with psycopg.connect(server.uri, autocommit=True) as own, pytest.raises(errors.AdminShutdown):
        own.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_running_statement_ends_with_its_session(server: Served, connection: Any) -> None:
    victim = psycopg.connect(server.uri, autocommit=True)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            victim.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")
        except psycopg.Error as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    connection.execute("SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,))
    thread.join(timeout=10)
    assert [type(error) for error in ended] == [errors.AdminShutdown]


@pytest.mark.parametrize("options", ["", "(FORMAT csv)", "(FORMAT binary)"])
def test_copy_out_can_be_copied_in(connection: Any, options: str) -> None:
    connection.execute("CREATE TABLE drivers_copy (a int, b text, c numeric, d timestamptz)")
    connection.execute(
        "INSERT INTO drivers_copy VALUES (1, 'x,\"y\"', 1.50, now()), (2, NULL, NULL, NULL), (3, '', 0, NULL)"
    )
    with connection.cursor().copy(f"COPY drivers_copy TO STDOUT {options}") as out:
        data = b"".join(out)
    with connection.cursor().copy(f"COPY drivers_copy FROM STDIN {options}") as into:
        into.write(data)
    rows = connection.execute("SELECT a, b, c, d, count(*) FROM drivers_copy GROUP BY 1, 2, 3, 4").fetchall()
    assert [row[4] for row in rows] == [2, 2, 2]
    connection.rollback()


def test_a_copy_that_takes_many_slices_ends(connection: Any) -> None:
    connection.execute("CREATE TABLE drivers_long_copy (a int PRIMARY KEY, b text)")
    with connection.cursor().copy("COPY drivers_long_copy FROM STDIN") as into:
        for start in range(0, 60000, 1000):
            into.write("".join(f"{n}\t{'x' * 40}\n" for n in range(start, start + 1000)))
    assert connection.execute("SELECT count(*) FROM drivers_long_copy").fetchone() == (60000,)
    connection.rollback()


def test_what_follows_a_long_statement_in_a_pipeline_is_answered(connection: Any) -> None:
    connection.execute("CREATE TEMP TABLE drivers_after (a int)")
    with connection.pipeline():
        long = connection.execute("SELECT count(*) FROM generate_series(1, 3000000)")
        show = connection.execute("SHOW server_encoding")
        connection.execute("SET LOCAL work_mem = '8MB'")
        after = connection.execute("INSERT INTO drivers_after VALUES (1) RETURNING a")
    assert (long.fetchone(), show.fetchone(), after.fetchone()) == ((3000000,), ("UTF8",), (1,))
    connection.rollback()


def test_a_long_statement_is_cancelled(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(errors.QueryCanceled):
            connection.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")
        assert time.monotonic() - began < 5
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_runs_into_its_timeout(connection: Any) -> None:
    connection.execute("SET statement_timeout = '200ms'")
    with pytest.raises(errors.QueryCanceled, match="statement timeout"):
        connection.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")
    connection.rollback()


def test_others_are_answered_while_a_long_statement_runs(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as slow, psycopg.connect(server.uri, autocommit=True) as quick:

        def work() -> None:
            with pytest.raises(errors.QueryCanceled):
                slow.execute("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.2)
        taken = []
        for _ in range(50):
            began = time.monotonic()
            assert quick.execute("SELECT 1").fetchone() == (1,)
            taken.append(time.monotonic() - began)
        slow.cancel()
        thread.join()
        assert sorted(taken)[25] < 0.1


def test_error_fields_reach_the_driver(connection: Any) -> None:
    connection.execute(
        "CREATE TABLE drivers_err (id int PRIMARY KEY, n int NOT NULL CONSTRAINT positive CHECK (n > 0))"
    )
    connection.commit()
    connection.execute("INSERT INTO drivers_err VALUES (1, 1)")
    with pytest.raises(errors.UniqueViolation) as unique:
        connection.execute("INSERT INTO drivers_err VALUES (1, 2)")
    diag = unique.value.diag
    assert (diag.schema_name, diag.table_name, diag.constraint_name) == ("public", "drivers_err", "drivers_err_pkey")
    assert diag.message_detail == "Key (id)=(1) already exists."
    connection.rollback()
    with pytest.raises(errors.CheckViolation) as check:
        connection.execute("INSERT INTO drivers_err VALUES (2, -1)")
    assert check.value.diag.constraint_name == "positive"
    connection.rollback()
    with pytest.raises(errors.NotNullViolation) as null:
        connection.execute("INSERT INTO drivers_err VALUES (2, NULL)")
    assert null.value.diag.column_name == "n"
    connection.rollback()


def test_tls_encrypts_the_connection(server: Served) -> None:
    with psycopg.connect(server.uri, sslmode="require") as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT repeat('x', 100000)").fetchone() == ("x" * 100000,)


def test_a_hundred_connections_at_once(server: Served) -> None:
    async def run() -> list[int]:
        connections = await asyncio.gather(*(asyncpg.connect(server.uri) for _ in range(100)))
        try:
            return await asyncio.gather(*(c.fetchval("SELECT $1::int", i) for i, c in enumerate(connections)))
        finally:
            await asyncio.gather(*(c.close() for c in connections))

    assert asyncio.run(run()) == list(range(100))


def test_a_cursor_of_asyncpg_is_moved(server: Served) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(server.uri)
        async with connection.transaction():
            cursor = await connection.cursor("SELECT generate_series(1, 2000)")
            assert [row[0] for row in await cursor.fetch(2)] == [1, 2]
            assert await cursor.forward(3) == 3
            assert (await cursor.fetchrow())[0] == 6
            assert await cursor.forward(1500) == 1500
            assert (await cursor.fetchrow())[0] == 1507
            assert await cursor.forward(1000) == 493
            assert await cursor.fetchrow() is None
        await connection.close()

    asyncio.run(main())


def test_the_parameter_that_is_wrong_is_named(connection: Any) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as failed:
        connection.execute("SELECT %s::int, %s::int", ["1", "x"])
    assert failed.value.diag.context == "unnamed portal parameter $2 = '...'"
    connection.rollback()
    result = connection.pgconn.exec_params(b"SELECT $1::int4", [b"zz"], [23], [1])
    assert result.error_field(ord("W")) == b"unnamed portal parameter $1"


def test_prepared_statements_are_listed(connection: Any) -> None:
    connection.execute("SELECT 1 + %t", ["2"], prepare=True)
    found = connection.execute("SELECT statement, parameter_types, from_sql FROM pg_prepared_statements").fetchall()
    assert ("SELECT 1 + $1", ["integer"], False) in found


# What people paste: who blocks whom.
BLOCKING = """
SELECT waiting.pid, holding.pid, waiting.locktype FROM pg_locks waiting JOIN pg_locks holding
ON holding.locktype = waiting.locktype AND holding.database IS NOT DISTINCT FROM waiting.database
AND holding.relation IS NOT DISTINCT FROM waiting.relation AND holding.page IS NOT DISTINCT FROM waiting.page
AND holding.tuple IS NOT DISTINCT FROM waiting.tuple AND holding.transactionid IS NOT DISTINCT FROM waiting.transactionid
AND holding.classid IS NOT DISTINCT FROM waiting.classid AND holding.objid IS NOT DISTINCT FROM waiting.objid
AND holding.objsubid IS NOT DISTINCT FROM waiting.objsubid AND holding.pid <> waiting.pid
WHERE NOT waiting.granted AND holding.granted
"""


@pytest.mark.parametrize(
    ("holds", "wants", "kind"),
    [
        ("UPDATE locked SET b = 1 WHERE a = 1", "UPDATE locked SET b = 2 WHERE a = 1", "transactionid"),
        ("SELECT * FROM locked WHERE a = 1 FOR UPDATE", "SELECT * FROM locked WHERE a = 1 FOR SHARE", "tuple"),
        ("SELECT * FROM locked", "ALTER TABLE locked ADD c int", "relation"),
        ("SELECT pg_advisory_xact_lock(-5)", "SELECT pg_advisory_xact_lock(-5)", "advisory"),
        ("SELECT pg_advisory_xact_lock(5, -6)", "SELECT pg_advisory_xact_lock(5, -6)", "advisory"),
    ],
)
def test_who_blocks_whom_is_shown(server: Served, connection: Any, holds: str, wants: str, kind: str) -> None:
    connection.autocommit = True
    connection.execute("DROP TABLE IF EXISTS locked")
    connection.execute("CREATE TABLE locked (a int PRIMARY KEY, b int)")
    connection.execute("INSERT INTO locked VALUES (1, 0)")
    with psycopg.connect(server.uri) as first, psycopg.connect(server.uri) as second:
        first.execute(holds)
        waiter = threading.Thread(target=lambda: second.execute(wants))
        waiter.start()
        pids = (second.info.backend_pid, first.info.backend_pid)
        deadline = time.monotonic() + 20
        while not (found := connection.execute(BLOCKING).fetchall()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert found == [(*pids, kind)]
        assert connection.execute("SELECT pg_blocking_pids(%s), pg_blocking_pids(%s)", pids).fetchone() == (
            [pids[1]],
            [],
        )
        waits = "SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE pid = %s"
        assert connection.execute(waits, pids[:1]).fetchone() == ("Lock", kind)
        first.rollback()
        waiter.join(20)
        assert not waiter.is_alive()
        second.rollback()
    assert connection.execute(BLOCKING).fetchall() == []
