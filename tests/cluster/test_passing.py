"""Rows pass on to the next writer before their change is durable: nothing that anybody is told depends on what may still be lost.

Three storage nodes hang, so that no commit becomes durable until they go on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Cluster, clustered
from tests.support.waiting import HANGING, Call, Client, clients

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustered() as running:
        yield running


@pytest.fixture(autouse=True)
def accounts(cluster: Cluster) -> Iterator[None]:
    with psycopg.connect(cluster.uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS account, entry")
        connection.execute("CREATE TABLE account (id int PRIMARY KEY, amount int CHECK (amount >= 0))")
        connection.execute("CREATE TABLE entry (id int, amount int)")
        connection.execute("INSERT INTO account VALUES (1, 100), (2, 100)")
    yield
    cluster.resume(*HANGING)


def committing(cluster: Cluster, client: Client, *statements: str) -> Call:
    """The client's transaction has a commit record that is not durable."""
    client.at_once("BEGIN")
    for statement in statements:
        client.at_once(statement)
    cluster.pause(*HANGING)
    commit = client.call("COMMIT")
    assert commit.waits, (commit.outcome, commit.error)
    return commit


def goes_on(cluster: Cluster) -> None:
    cluster.resume(*HANGING)


TAKE = "UPDATE account SET amount = amount - 10 WHERE id = 1"


def test_a_writer_goes_on_and_what_it_reads_and_is_told_waits(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        first = committing(cluster, one, TAKE, "INSERT INTO entry VALUES (1, -10)")
        two.at_once("BEGIN")
        assert two.at_once(TAKE) == "UPDATE 1"
        assert two.at_once("INSERT INTO entry VALUES (2, -10)") == "INSERT 0 1"
        reading = two.call("SELECT amount, (SELECT count(*) FROM entry) FROM account WHERE id = 1")
        assert reading.waits and first.waits
        goes_on(cluster)
        # What it has built on is whole for it.
        assert reading.ended() == [(80, 2)]
        assert first.ended() == "COMMIT"
        assert two.at_once("COMMIT") == "COMMIT"
        assert one.run("SELECT amount FROM account WHERE id = 1") == [(80,)]


@pytest.mark.parametrize(
    "statement",
    [
        TAKE + " RETURNING amount",
        "SELECT amount FROM account WHERE id = 1 FOR UPDATE",
        "UPDATE account SET amount = (SELECT count(*) FROM entry) WHERE id = 1",
        "WITH taken AS (" + TAKE + " RETURNING 1) SELECT count(*) FROM taken",
        # All is well with its row, but the end of the transaction is the statement's answer.
        TAKE,
        "UPDATE account SET amount = 0 WHERE id = 1 AND amount = 100",
        "DELETE FROM account WHERE id = 1",
        "INSERT INTO account VALUES (3, 1)",
    ],
)
def test_who_is_told_something_waits(cluster: Cluster, statement: str) -> None:
    with clients(cluster, 2) as (one, two):
        first = committing(cluster, one, TAKE, "INSERT INTO account VALUES (3, 3)")
        second = two.call(statement)
        assert second.waits
        goes_on(cluster)
        first.ended()
        if "VALUES (3, 1)" in statement:
            with pytest.raises(errors.UniqueViolation):
                second.ended()
        else:
            second.ended()


@pytest.mark.parametrize("asked", ["nextval('ticket')", "setval('ticket', 7)"])
def test_what_a_sequence_gives_is_told_when_it_can_t_be_given_again(cluster: Cluster, asked: str) -> None:
    with clients(cluster, 2) as (one, two):
        one.at_once("CREATE SEQUENCE ticket")
        cluster.pause(*HANGING)
        first = one.call(f"SELECT {asked}")
        assert first.waits
        # One record is for many values.
        second = two.call("SELECT nextval('ticket')")
        assert second.waits
        goes_on(cluster)
        assert (first.ended(), second.ended()) == (([(1,)], [(2,)]) if "nextval" in asked else ([(7,)], [(8,)]))
        one.at_once("DROP SEQUENCE ticket")


def test_an_error_is_told_when_what_it_is_about_is_durable(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        first = committing(cluster, one, "UPDATE account SET amount = 5 WHERE id = 1")
        two.at_once("BEGIN")
        second = two.call(TAKE)
        assert second.waits
        goes_on(cluster)
        first.ended()
        with pytest.raises(errors.CheckViolation):
            second.ended()
        assert two.run("ROLLBACK") == "ROLLBACK"


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_end_is_told_when_what_was_built_on_is_durable(cluster: Cluster, end: str) -> None:
    with clients(cluster, 2) as (one, two):
        first = committing(cluster, one, "UPDATE account SET amount = 5 WHERE id = 1")
        two.at_once("BEGIN")
        # The row does not fit any more, which is known of the other one only.
        assert two.at_once("UPDATE account SET amount = 0 WHERE id = 1 AND amount > 50") == "UPDATE 0"
        second = two.call(end)
        assert second.waits
        goes_on(cluster)
        assert (first.ended(), second.ended()) == ("COMMIT", end)


def test_repeatable_read_waits_for_the_end(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        two.at_once("BEGIN ISOLATION LEVEL REPEATABLE READ")
        two.at_once("SELECT count(*) FROM account")
        first = committing(cluster, one, TAKE)
        second = two.call(TAKE)
        assert second.waits
        goes_on(cluster)
        first.ended()
        with pytest.raises(errors.SerializationFailure):
            second.ended()


def test_a_savepoint_takes_back_what_was_built_on_another(cluster: Cluster) -> None:
    with clients(cluster, 2) as (one, two):
        first = committing(cluster, one, TAKE)
        two.at_once("BEGIN")
        two.at_once("SAVEPOINT before")
        assert two.at_once(TAKE) == "UPDATE 1"
        back = two.call("ROLLBACK TO before")
        goes_on(cluster)
        assert (first.ended(), back.ended()) == ("COMMIT", "ROLLBACK")
        assert two.at_once("SELECT amount FROM account WHERE id = 1") == [(90,)]
        assert two.at_once("COMMIT") == "COMMIT"


def test_a_writer_that_dies_loses_both_or_neither(cluster: Cluster) -> None:
    with clients(cluster, 3) as (one, two, three):
        committing(cluster, one, TAKE, "INSERT INTO entry VALUES (1, -10)")
        two.at_once("BEGIN")
        assert two.at_once(TAKE) == "UPDATE 1"
        assert two.at_once("INSERT INTO entry VALUES (2, -10)") == "INSERT 0 1"
        assert two.call("COMMIT").waits
        three.at_once("BEGIN")
        assert three.at_once(TAKE) == "UPDATE 1"
        cluster.kill("writer")
        goes_on(cluster)
        cluster.launch("writer")
    deadline = time.monotonic() + 20
    while True:
        try:
            with psycopg.connect(cluster.uri, connect_timeout=2) as connection:
                amount = connection.execute("SELECT amount FROM account WHERE id = 1").fetchone()
                entries = connection.execute("SELECT array_agg(id ORDER BY id) FROM entry").fetchone()
                break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert (amount, entries) in [((100,), (None,)), ((90,), ([1],)), ((80,), ([1, 2],))]
