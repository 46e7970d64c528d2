"""Autovacuum in a server: it comes by itself, can be switched off, and works with nothing in the cache."""

from __future__ import annotations

import time

import psycopg

from tests.support.sixfold import served

UPKEEP = "SELECT n_dead_tup, last_autovacuum IS NOT NULL, last_autoanalyze IS NOT NULL FROM pg_stat_user_tables WHERE relname = 't'"


def fill(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
    connection.execute("INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 5000) AS i")
    connection.execute("DELETE FROM t WHERE a > 1000")


def test_it_comes_by_itself_and_after_a_restart() -> None:
    with served("-c", "autovacuum_naptime=1") as server:
        with psycopg.connect(server.uri, autocommit=True) as connection:
            fill(connection)
            deadline = time.monotonic() + 30
            while connection.execute(UPKEEP).fetchone() != (0, True, True):
                assert time.monotonic() < deadline, connection.execute(UPKEEP).fetchone()
                time.sleep(0.1)
        server.stop()
        server.start()
        with psycopg.connect(server.uri, autocommit=True) as connection:
            connection.execute("VACUUM t")
            connection.execute("UPDATE t SET b = 'y'")
            deadline = time.monotonic() + 30
            while connection.execute(UPKEEP).fetchone() != (0, True, True):
                assert time.monotonic() < deadline, connection.execute(UPKEEP).fetchone()
                time.sleep(0.1)
            assert connection.execute("SELECT count(*) FROM t WHERE b = 'y'").fetchone() == (1000,)
            connection.execute("VACUUM (INDEX_CLEANUP ON)")
        assert "autovacuum" not in server.log


def test_it_can_be_switched_off() -> None:
    with (
        served("-c", "autovacuum_naptime=1", "-c", "autovacuum=off") as server,
        psycopg.connect(server.uri, autocommit=True) as connection,
    ):
        fill(connection)
        assert connection.execute("SHOW autovacuum").fetchone() == ("off",)
        time.sleep(2.5)
        assert connection.execute(UPKEEP).fetchone() == (4000, False, False)


def test_a_setting_that_is_none_is_said_in_one_line() -> None:
    with served("-c", "autovacuum_naptime=soon", wait=False) as server:
        assert server.process is not None
        assert server.process.wait(timeout=20) != 0
        assert 'invalid value for parameter "autovacuum_naptime": "soon"' in server.log
        server.process = None
