"""Who waits for storage nodes that do not answer can be cancelled, timed out and ended, is never told more than is known, and
what becomes of the commit is seen by all when they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Cluster, clustered
from tests.support.waiting import HANGING, SOON, Call, Client, clients

pytestmark = pytest.mark.cluster

USER, TIME = "user request", "statement timeout"
CHANGE = "UPDATE account SET amount = amount - 10 WHERE id = 1"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustered() as running:
        yield running


@pytest.fixture(autouse=True)
def accounts(cluster: Cluster) -> Iterator[None]:
    with psycopg.connect(cluster.uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS account, made, entry")
        connection.execute("CREATE TABLE account (id int PRIMARY KEY, amount int)")
        connection.execute("INSERT INTO account VALUES (1, 100), (2, 100)")
    yield
    cluster.resume(*HANGING)


def pause(cluster: Cluster, *warm: Client) -> None:
    """Nothing is durable from here on. What is asked for meanwhile is in the cache."""
    for one in warm:
        one.run("SELECT * FROM account")
        one.run("SELECT pg_sleep(0)")
    cluster.pause(*HANGING)


def unknown(call: Call, why: str) -> None:
    with pytest.raises(
        errors.StatementCompletionUnknown, match=f"canceling the wait for storage nodes due to {why}"
    ) as raised:
        call.ended(SOON)
    assert "whether the transaction has committed is unknown" in str(raised.value.diag.message_detail)


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def amount(one: Client) -> int:
    return int(one.at_once("SELECT amount FROM account WHERE id = 1")[0][0])


@pytest.mark.parametrize("prepare", [True, False], ids=["extended", "simple"])
@pytest.mark.parametrize("why", [USER, TIME])
@pytest.mark.parametrize("block", [False, True], ids=["statement", "block"])
def test_a_commit(cluster: Cluster, prepare: bool, why: str, block: bool) -> None:
    with clients(cluster, 2) as (one, two):
        one.prepare = prepare
        if why == TIME:
            one.run("SET statement_timeout = 700")
        pause(cluster, one, two)
        if block:
            one.at_once("BEGIN")
            one.at_once(CHANGE)
        began = time.monotonic()
        commit = one.call("COMMIT" if block else CHANGE)
        if why == USER:
            assert commit.waits
            one.connection.cancel_safe()
        unknown(commit, why)
        assert why == USER or 0.6 < time.monotonic() - began < 1.2
        # It is usable, and nobody sees what may be lost.
        assert one.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert (amount(one), amount(two)) == (100, 100)
        # Its row is not free for who needs it to be durable.
        second = two.call(CHANGE + " RETURNING amount")
        assert second.waits
        cluster.resume(*HANGING)
        assert second.ended() == [(80,)]
        assert amount(one) == 80


def test_again_and_again(cluster: Cluster) -> None:
    with clients(cluster, 3) as (one, two, three):
        pause(cluster, one, two, three)
        for _ in range(3):
            for client in (one, two):
                call = client.call(CHANGE)
                assert call.waits
                client.connection.cancel_safe()
                unknown(call, USER)
        assert amount(three) == 100
        cluster.resume(*HANGING)
        eventually(lambda: amount(three) == 40)


@pytest.mark.parametrize("end", ["terminate", "disconnect"])
@pytest.mark.parametrize("block", [False, True], ids=["statement", "block"])
def test_the_end_of_a_session(cluster: Cluster, end: str, block: bool) -> None:
    with clients(cluster, 3) as (one, two, three):
        pause(cluster, one, two, three)
        if block:
            one.at_once("BEGIN")
            one.at_once(CHANGE)
        commit = one.call("COMMIT" if block else CHANGE)
        assert commit.waits
        pid = one.connection.info.backend_pid
        if end == "terminate":
            assert two.at_once(f"SELECT pg_terminate_backend({pid})") == [(True,)]
            with pytest.raises(errors.AdminShutdown, match="terminating connection due to administrator command"):
                commit.ended(SOON)
        else:
            one.disconnect(commit)
        eventually(lambda: two.at_once(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == [(0,)])
        second = two.call("SELECT amount FROM account WHERE id = 1 FOR UPDATE")
        assert second.waits
        assert amount(three) == 100
        cluster.resume(*HANGING)
        assert second.ended() == [(90,)]


@pytest.mark.parametrize(
    ("next_one", "end"),
    [("SELECT amount FROM account WHERE id = 1", "cancel"), ("ROLLBACK", "cancel"), ("ROLLBACK", "terminate")],
)
def test_a_wait_for_what_a_transaction_has_built_on(cluster: Cluster, next_one: str, end: str) -> None:
    with clients(cluster, 3) as (one, two, three):
        pause(cluster, one, two, three)
        first = one.call(CHANGE)
        assert first.waits
        two.at_once("BEGIN")
        assert two.at_once(CHANGE) == "UPDATE 1"
        second = two.call(next_one)
        assert second.waits
        if end == "cancel":
            two.connection.cancel_safe()
            with pytest.raises(errors.QueryCanceled, match="canceling statement due to user request"):
                second.ended(SOON)
            assert two.connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        else:
            three.at_once(f"SELECT pg_terminate_backend({two.connection.info.backend_pid})")
            with pytest.raises(errors.AdminShutdown):
                second.ended(SOON)
        cluster.resume(*HANGING)
        first.ended()
        assert amount(three) == 90


MADE = "SELECT count(*) FROM pg_class WHERE relname = 'made'"


@pytest.mark.parametrize("prepare", [True, False], ids=["extended", "simple"])
@pytest.mark.parametrize(
    ("statement", "block"),
    [
        ("CREATE TABLE made AS SELECT 5 AS a", False),
        ("CREATE TABLE made (a int)", True),
        ("ALTER TABLE account RENAME TO made", True),
    ],
)
def test_a_change_of_the_catalogue(cluster: Cluster, prepare: bool, statement: str, block: bool) -> None:
    with clients(cluster, 2) as (one, two):
        one.prepare = prepare
        for client in (one, two):
            client.run(MADE)
        one.run("BEGIN")
        one.run(statement)
        one.run("ROLLBACK")
        pause(cluster, one, two)
        if block:
            one.at_once("BEGIN")
            one.at_once("SET LOCAL work_mem = '1MB'")
            one.at_once(statement)
        call = one.call("COMMIT" if block else statement)
        assert call.waits
        one.connection.cancel_safe()
        unknown(call, USER)
        assert (one.at_once(MADE), two.at_once(MADE)) == ([(0,)], [(0,)])
        cluster.resume(*HANGING)
        eventually(lambda: two.at_once(MADE) == [(1,)])
        eventually(lambda: one.at_once(MADE) == [(1,)])
        one.run("DELETE FROM made")
        assert two.at_once("SELECT * FROM made") == []
        two.run("DROP TABLE made")


def test_notifications_and_temporary_tables(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        two.run("LISTEN news")
        pause(cluster, one, two)
        one.at_once("BEGIN")
        one.at_once("CREATE TEMP TABLE scratch AS SELECT 7 AS a")
        one.at_once("NOTIFY news, 'it has happened'")
        commit = one.call("COMMIT")
        assert commit.waits
        one.connection.cancel_safe()
        unknown(commit, USER)
        assert list(two.connection.notifies(timeout=0.2)) == []
        cluster.resume(*HANGING)
        heard = list(two.connection.notifies(timeout=20, stop_after=1))
        assert [one.payload for one in heard] == ["it has happened"]
        eventually(lambda: one.at_once("SELECT count(*) FROM pg_class WHERE relname = 'scratch'") == [(1,)])
        assert one.run("SELECT a FROM scratch") == [(7,)]


def test_copy(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        pause(cluster, one, two)

        def copy() -> None:
            with one.connection.cursor().copy("COPY account FROM STDIN") as data:
                data.write("7\t7\n")

        call = Call(copy)
        assert call.waits
        one.connection.cancel_safe()
        unknown(call, USER)
        assert two.at_once("SELECT * FROM account WHERE id = 7") == []
        cluster.resume(*HANGING)
        eventually(lambda: two.at_once("SELECT * FROM account WHERE id = 7") == [(7, 7)])


def test_much_redo_waits_for_room_and_can_be_cancelled(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        one.run("CREATE TABLE entry (a int, b text)")
        pause(cluster, one, two)
        call = one.call("INSERT INTO entry SELECT g, repeat('x', 500) FROM generate_series(1, 100000000) g")
        time.sleep(3 * SOON)
        one.connection.cancel_safe()
        with pytest.raises(errors.QueryCanceled):
            call.ended(3 * SOON)
        assert amount(one) == 100
        cluster.resume(*HANGING)
        assert two.at_once("SELECT count(*) FROM entry") == [(0,)]


def test_the_writer_ends_while_commits_wait(cluster: Cluster) -> None:
    with clients(cluster, 3) as (one, two, three):
        pause(cluster, one, two, three)
        first = one.call(CHANGE)
        two.at_once("BEGIN")
        two.at_once(CHANGE)
        second = two.call("COMMIT")
        assert first.waits and second.waits
        writer = cluster.pid("writer")
        began = time.monotonic()
        cluster.terminate("writer")
        assert time.monotonic() - began < 5, writer
        for call in (first, second):
            with pytest.raises(psycopg.OperationalError) as raised:
                call.ended()
            assert raised.value.sqlstate == "57P01", raised.value
        cluster.resume(*HANGING)
        cluster.launch("writer")

    def answered() -> bool:
        try:
            with psycopg.connect(cluster.uri, connect_timeout=2) as connection:
                found = connection.execute("SELECT amount FROM account WHERE id = 1").fetchone()
        except psycopg.OperationalError:
            return False
        assert found in [(100,), (90,), (80,)]
        return True

    eventually(answered)
