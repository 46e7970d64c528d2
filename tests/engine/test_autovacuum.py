"""Autovacuum: when it comes, what it takes away, and whom it gives way to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sixfold.engine.activity import Counts
from sixfold.engine.autovacuum import Autovacuum, Due, Limits, decide
from tests.engine.memory import Script

LIMITS = Limits(50, 0.2, 50, 0.1)
NOTHING = Due(False, False, False)


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()
    yield made
    made.close()


def look(script: Script) -> None:
    script.wait(Autovacuum(script.database).look())


def upkeep(script: Script, table: str) -> tuple[str | None, ...]:
    columns = "n_live_tup, n_dead_tup, last_autovacuum is not null, last_autoanalyze is not null"
    (row,) = script.rows(f"select {columns} from pg_stat_user_tables where relname = '{table}'")
    return row


def test_thresholds_are_postgresqls() -> None:
    assert decide(Counts(dead=250, changed=150), 1000, LIMITS, known=True) == NOTHING
    assert decide(Counts(dead=251, queued=251), 1000, LIMITS, known=True) == Due(True, False, False)
    assert decide(Counts(changed=151), 1000, LIMITS, known=True) == Due(False, False, True)
    # Never analyzed: no rows are known.
    assert decide(Counts(dead=51, queued=51), -1, LIMITS, known=True).vacuum
    assert decide(Counts(dead=251), 1000, LIMITS.over(["autovacuum_enabled=off"]), known=True) == NOTHING
    assert decide(Counts(dead=251), 1000, LIMITS.over(["autovacuum_vacuum_threshold=500"]), known=True) == NOTHING


def test_a_full_vacuum_is_for_what_is_not_known() -> None:
    assert decide(Counts(dead=300, queued=300), 1000, LIMITS, known=False).full
    assert decide(Counts(dead=300, queued=300, forgotten=True), 1000, LIMITS, known=True).full
    # Updates that no later write came by for.
    assert decide(Counts(dead=600, queued=300), 1000, LIMITS, known=True).full


def test_deleted_rows_go_and_statistics_come(script: Script) -> None:
    script.rows("create table t(a int primary key, b text)")
    script.rows("insert into t select i, repeat('x', 100) from generate_series(1, 5000) i")
    look(script)
    assert upkeep(script, "t") == ("5000", "0", "f", "t")
    assert script.rows("select reltuples from pg_class where relname = 't'") == [("5000",)]
    size = int(script.rows("select pg_relation_size('t')")[0][0] or 0)
    script.rows("delete from t where a > 500")
    assert upkeep(script, "t") == ("500", "4500", "f", "t")
    look(script)
    assert upkeep(script, "t") == ("500", "0", "t", "t")
    assert int(script.rows("select pg_relation_size('t')")[0][0] or 0) < size / 4
    assert script.rows("select count(*), sum(a) from t") == [("500", "125250")]


def test_versions_of_rows_that_are_not_written_again_go(script: Script) -> None:
    script.rows("create table t(a int primary key, b int)")
    script.rows("insert into t select i, 0 from generate_series(1, 2000) i")
    look(script)
    script.rows("update t set b = 1")
    script.rows("begin")
    script.rows("insert into t select i, 0 from generate_series(2001, 2100) i")
    script.rows("rollback")
    assert upkeep(script, "t")[1] == "2100"
    look(script)
    assert upkeep(script, "t") == ("2000", "0", "t", "t")
    assert script.rows("select count(*), sum(b) from t") == [("2000", "2000")]


def test_a_hot_row_leaves_nothing(script: Script) -> None:
    script.rows("create table t(a int primary key, b int)")
    script.rows("insert into t values (1, 0)")
    for _ in range(300):
        script.rows("update t set b = b + 1 where a = 1")
    assert int(upkeep(script, "t")[1] or 0) <= 2


def test_a_snapshot_in_use_keeps_its_rows(script: Script) -> None:
    script.rows("create table t(a int primary key)")
    script.rows("insert into t select generate_series(1, 1000)")
    script.rows("begin isolation level repeatable read", "old")
    assert script.rows("select count(*) from t", "old") == [("1000",)]
    script.rows("delete from t where a > 10")
    look(script)
    assert script.rows("select count(*), max(a) from t", "old") == [("1000", "1000")]
    script.rows("commit", "old")
    look(script)
    assert upkeep(script, "t")[:2] == ("10", "0")


def test_it_gives_way_to_whoever_waits_for_its_lock(script: Script) -> None:
    script.rows("create table t(a int primary key)")
    script.rows("insert into t select generate_series(1, 20000)")
    script.rows("delete from t where a % 2 = 0")
    script.database.options["autovacuum_vacuum_cost_delay"] = "20"

    async def race() -> None:
        vacuum = asyncio.ensure_future(Autovacuum(script.database).look())
        await asyncio.sleep(0.02)
        assert any(s.query.startswith("autovacuum: VACUUM") for s in script.database.sessions.values())
        await asyncio.wait_for(script.connections["other"].fetch("alter table t add column b int"), 2)
        await vacuum

    script.connection("other")
    script.wait(race())
    assert script.rows("select count(*), count(b) from t") == [("10000", "0")]
    assert upkeep(script, "t")[2] == "f"


def test_vacuum_takes_all_that_it_can(script: Script) -> None:
    script.rows("create table t(a int primary key, b int)")
    script.rows("insert into t select i, i from generate_series(1, 3000) i")
    script.rows("update t set b = 0")
    script.rows("delete from t where a > 1000")
    script.rows("vacuum t")
    (row,) = script.rows("select n_live_tup, n_dead_tup, vacuum_count from pg_stat_user_tables where relname = 't'")
    assert row == ("1000", "0", "1")
    script.rows("vacuum (index_cleanup on, analyze)")
    assert script.rows("select count(*), sum(b) from t") == [("1000", "0")]


def test_catalogues_are_cleaned_too(script: Script) -> None:
    for round_ in range(40):
        script.rows(f"create temporary table u{round_}(a int, b int, c int)")
        script.rows(f"drop table u{round_}")
    dead = "select n_dead_tup from pg_stat_sys_tables where relname = 'pg_attribute'"
    assert int(script.rows(dead)[0][0] or 0) > 100
    look(script)
    assert int(script.rows(dead)[0][0] or 0) == 0
