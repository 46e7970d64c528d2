"""Trees that a crash leaves half made or half dropped are given back by the next process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sixfold.engine.database import Database
from tests.engine.memory import Script


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()
    yield made
    made.close()


def unsettled(script: Script) -> set[int]:
    return set(script.wait(script.database.waits.run(script.database.volume.unsettled)))


def settle(script: Script) -> None:
    """Until background work has ended."""
    for _ in range(200):
        script.wait(script.database.runtime.clock.sleep(0.001))
        if not unsettled(script):
            return
    raise AssertionError(f"unsettled: {unsettled(script)}")


def reopen(script: Script) -> None:
    """As after a crash: another database over what the log has."""
    old = script.database
    script.connections.clear()
    log = old.waits._log
    script.database = script.wait(Database.open(old.volume, old.waits._pages, log, old.runtime))


def test_what_ddl_makes_and_drops_is_settled(script: Script) -> None:
    settle(script)
    script.rows("create table t(a int primary key, b serial)")
    script.rows("insert into t select generate_series(1, 5000)")
    script.rows("truncate t")
    script.rows("begin")
    script.rows("savepoint s")
    script.rows("create table u(a int)")
    script.rows("rollback to s")
    script.rows("create table v(a int)")
    script.rows("commit")
    script.rows("drop table v")
    script.rows("begin")
    script.rows("drop table t")
    script.rows("rollback")
    script.rows("alter table t alter column a type bigint")
    settle(script)
    script.rows("insert into t values (1)")
    assert script.rows("select * from t") == [("1", "5001")]


def test_a_crash_between_commit_and_drop_leaves_nothing(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.rows("create table kept(a int primary key)")
    script.rows("insert into kept select generate_series(1, 1000)")
    script.rows("create table t(a int primary key)")
    script.rows("insert into t select generate_series(1, 5000)")
    settle(script)
    # The process dies before its background work begins.
    monkeypatch.setattr(Database, "end_trees", lambda self, trees: None)
    script.rows("drop table t")
    script.rows("begin")
    script.rows("create table half(a int primary key)")
    script.rows("insert into half values (1)")
    script.connections[""].session.abandon()
    script.rows("create table whole(a int)")
    assert len(unsettled(script)) == 3 + 3 + 2
    monkeypatch.undo()
    reopen(script)
    settle(script)
    assert script.rows("select count(*), sum(a) from kept") == [("1000", "500500")]
    script.rows("insert into whole values (7)")
    assert script.rows("select * from whole") == [("7",)]
    assert script.error("select * from half") == "42P01"
