"""Sessions over an engine in memory: the extended protocol, cancel, time-outs, what a session leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sixfold.engine.catalog.snapshot import Snapshot
from sixfold.engine.embedded import Connection, Result, message
from sixfold.engine.errors import SqlError
from tests.engine.memory import Script


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()
    yield made
    made.close()


def test_extended_protocol_runs_queries_and_utilities(script: Script) -> None:
    connection = script.connection()
    script.rows("create table t(a int primary key, b text)")
    assert script.wait(connection.execute("insert into t values ($1, $2)", ["1", "x"]))[-1].tag == "INSERT 0 1"
    assert script.wait(connection.execute("select b from t where a = $1", ["1"]))[-1].rows == [("x",)]
    assert script.wait(connection.execute("show work_mem"))[-1].rows == [("4MB",)]
    assert script.wait(connection.execute("create table u(a int)"))[-1].tag == "CREATE TABLE"
    assert script.wait(connection.execute("select * from u"))[-1].rows == []
    assert script.wait(connection.execute("select $1::regclass", ["t"]))[-1].rows == [("t",)]
    failed = script.wait(connection.execute("select nope"))
    assert failed[-1].error is not None and failed[-1].error["C"] == "42703"
    assert connection.status == "I"


def test_a_row_limit_suspends(script: Script) -> None:
    results = script.wait(script.connection().execute("select * from generate_series(1, 5)", max_rows=2))
    assert (results[-1].tag, results[-1].rows) == ("suspended", [("1",), ("2",)])


def test_ddl_changes_what_a_prepared_statement_means(script: Script) -> None:
    script.rows("create table t(a int)")
    script.rows("insert into t values (1)")
    assert script.rows("select * from t") == [("1",)]
    script.rows("alter table t add column b text default 'n'")
    assert script.rows("select * from t") == [("1", "n")]
    assert script.rows("select * from t", "other") == [("1", "n")]


def test_statement_timeout_ends_a_wait_and_a_scan(script: Script) -> None:
    script.rows("set statement_timeout = 100")
    assert script.error("select pg_sleep(10)") == "57014"
    assert script.error("select count(*) from generate_series(1, 100000000)") == "57014"
    assert script.rows("select 1") == [("1",)]


def test_cancel_ends_what_waits_for_a_lock(script: Script) -> None:
    script.rows("create table t(a int primary key)")
    script.rows("insert into t values (1)")
    script.rows("begin")
    script.rows("update t set a = 2 where a = 1")
    other = script.connection("other")

    async def cancelled() -> str:
        waiting = asyncio.ensure_future(other.query("update t set a = 3 where a = 1"))
        await asyncio.sleep(0.05)
        script.database.cancel(other.session.pid, other.session.secret)
        found = (await waiting)[-1].error
        return found["C"] if found else ""

    assert script.wait(cancelled()) == "57014"
    script.rows("commit")
    assert script.rows("select * from t", "other") == [("2",)]


def test_a_deadlock_ends_one_of_the_two(script: Script) -> None:
    script.rows("create table t(a int primary key, b int)")
    script.rows("insert into t values (1, 0), (2, 0)")
    for name, row in (("one", 1), ("two", 2)):
        script.rows("begin", name)
        script.rows(f"update t set b = 1 where a = {row}", name)
    one, two = script.connection("one"), script.connection("two")

    async def with_rollback() -> list[str]:
        first = asyncio.ensure_future(one.query("update t set b = 2 where a = 2"))
        await asyncio.sleep(0.05)
        second = await two.query("update t set b = 2 where a = 1")
        await two.query("rollback")
        answers = [(await first)[-1].error, second[-1].error]
        return [error["C"] for error in answers if error]

    assert script.wait(with_rollback()) == ["40P01"]


def test_temporary_tables_go_with_their_session(script: Script) -> None:
    script.rows("create temp table t(a int)", "other")
    assert script.rows("select count(*) from pg_class where relname = 't'") == [("1",)]
    script.wait(script.connections.pop("other").end())
    assert script.rows("select count(*) from pg_class where relname = 't'") == [("0",)]
    assert script.rows("select count(*) from pg_namespace where nspname like 'pg_temp%'") == [("0",)]


def test_a_session_idle_in_a_transaction_is_ended(script: Script) -> None:
    script.rows("create table t(a int)")
    script.rows("set idle_in_transaction_session_timeout = 100", "other")
    script.rows("begin", "other")
    script.rows("insert into t values (1)", "other")
    script.wait(asyncio.sleep(0.8))
    other = script.connections.pop("other")
    assert other.closed
    script.wait(other.end())
    assert script.rows("select * from t") == []
    script.rows("drop table t")


def test_notifications_come_at_commit(script: Script) -> None:
    other = script.connection("other")
    script.rows("listen ch", "other")
    script.rows("begin")
    script.rows("notify ch, 'one'")
    script.rows("select pg_notify('ch', 'two')")
    assert other.notifications == []
    script.rows("commit")
    script.rows("select 1", "other")
    assert [payload for _, _, payload in other.notifications] == ["one", "two"]


def test_a_failed_multi_statement_query_leaves_nothing(script: Script) -> None:
    results = script.query("create table t(a int); set work_mem = '8MB'; select 1/0")
    assert results[-1].error is not None
    assert script.error("select * from t") == "42P01"
    assert script.rows("show work_mem") == [("4MB",)]


def test_bad_text_is_an_error_and_the_session_goes_on(script: Script) -> None:
    connection = script.connection()
    script.wait(connection.send(message(b"Q", b"select '\xff'\0")))
    results = script.query("select 1")
    assert results[0].error is not None and results[0].error["C"] == "22021"
    assert results[1].rows == [("1",)]
    assert script.error("select 'a\u0000b'") in ("22021", "42601", "08P01")


def test_temporary_schemas_of_a_killed_server_go_when_it_opens_again(script: Script) -> None:
    script.rows("create temp table t(a int)", "other")
    script.wait(script.database.drop_left_temporary())
    assert script.rows("select count(*) from pg_class where relname = 't'") == [("0",)]
    assert script.rows("select count(*) from pg_namespace where nspname like 'pg_temp%'") == [("0",)]


def test_a_role_may_use_what_it_owns_and_nothing_else(script: Script) -> None:
    script.rows("create table secret(a int)")
    script.rows("create role joe login")
    joe = script.wait(Connection(script.database).start("joe"))

    def error(text: str) -> str:
        found = script.wait(joe.query(text))[-1].error
        return found["M"] if found else ""

    assert error("select * from secret") == "permission denied for table secret"
    assert error("insert into secret values (1)") == "permission denied for table secret"
    assert error("drop table secret") == "must be owner of table secret"
    assert error("create table t(a int)") == "permission denied for schema public"
    assert error("create schema s") == "permission denied for database postgres"
    assert error("select * from pg_authid") == "permission denied for table pg_authid"
    assert (
        error("alter role joe superuser") == "must be superuser to alter superuser roles or change superuser attribute"
    )
    assert error("set role postgres") == 'permission denied to set role "postgres"'
    assert error("create temp table mine(a int); insert into mine values (1); select * from mine") == ""
    script.rows("create schema hers authorization joe")
    assert error("create table hers.t(a int); insert into hers.t values (1)") == ""
    script.rows("grant joe to postgres")
    script.wait(joe.end())


def test_a_connection_may_not_ask_for_serializable(script: Script) -> None:
    for options in (
        {"options": "-c default_transaction_isolation=serializable"},
        {"default_transaction_isolation": "serializable"},
    ):
        with pytest.raises(SqlError, match="isolation level SERIALIZABLE is not supported yet"):
            script.wait(Connection(script.database).start(**options))


def test_many_sessions_may_notice_a_new_catalogue_at_once(script: Script) -> None:
    connections = [script.connection(str(number)) for number in range(8)]
    script.rows("create table t(a int)")
    current = script.database.snapshot
    # As on a reader: the snapshot is older than the volume's catalogue.
    script.database.snapshot = Snapshot(current.version - 1, current.rows, current.system)

    async def all_at_once() -> list[list[Result]]:
        return await asyncio.gather(*(connection.query("select count(*) from t") for connection in connections))

    assert [results[-1].rows for results in script.wait(all_at_once())] == [[("0",)]] * 8
    assert script.database.snapshot.version == script.database.volume.catalog_version
