"""What an index build and many row locks take of the server's memory, and what a build leaves behind when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Served, served

ROWS = 600_000


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server with a small cache that is full, so that what grows is what statements take."""
    with served("--fsync", "off", "--topology", "1", "--cache", "16MB") as running:
        with connect(running) as connection:
            connection.execute("CREATE TABLE wide (id int PRIMARY KEY, t text)")
            connection.execute(
                f"INSERT INTO wide SELECT g, md5(g::text) || repeat('x', 200) FROM generate_series(1, {ROWS}) g"
            )
            connection.execute("CREATE TABLE narrow (id int PRIMARY KEY, a int)")
            connection.execute(
                f"INSERT INTO narrow SELECT g, g * 7919::bigint % {ROWS} FROM generate_series(1, {ROWS}) g"
            )
        yield running


def connect(server: Served) -> psycopg.Connection:
    """A client with little memory."""
    connection = psycopg.connect(server.uri, autocommit=True)
    connection.execute("SET work_mem = '1MB'")
    connection.execute("SET maintenance_work_mem = '1MB'")
    return connection


def peak(server: Served, connection: psycopg.Connection, statement: str) -> float:
    """By how many MB the server grows while it runs the statement."""
    assert server.process is not None
    process = Path(f"/proc/{server.process.pid}")

    def status(field: str) -> float:
        lines = (process / "status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))

    connection.execute("SELECT count(t) FROM wide")
    (process / "clear_refs").write_text("5")
    before = status("VmRSS")
    connection.execute(statement)  # type: ignore[call-overload]
    return status("VmHWM") - before


def temporary(server: Served) -> list[Path]:
    """The server's temporary files."""
    folder = server.folder / "data" / "pgsql_tmp"
    return list(folder.iterdir()) if folder.exists() else []


# Kept in memory their entries are 170 MB; what the storage node keeps of so much redo varies by 70.
@pytest.mark.parametrize(
    "statement",
    ["CREATE INDEX built ON wide (t)", "ALTER TABLE wide ADD CONSTRAINT built UNIQUE (t, id)", "REINDEX INDEX wide_t"],
    ids=["create", "unique", "reindex"],
)
def test_an_index_is_built_within_maintenance_work_mem(server: Served, statement: str) -> None:
    with connect(server) as connection:
        connection.execute("CREATE INDEX IF NOT EXISTS wide_t ON wide (t)")
        assert peak(server, connection, statement) < 110
        assert not temporary(server)
        count = "SELECT count(*) FROM wide WHERE t >= 'f7' AND t < 'f8'"
        connection.execute("SET enable_seqscan = off")
        found = connection.execute(count).fetchone()
        connection.execute("SET enable_indexscan = off")
        connection.execute("SET enable_seqscan = on")
        assert connection.execute(count).fetchone() == found
        connection.execute("ALTER TABLE wide DROP CONSTRAINT IF EXISTS built")
        connection.execute("DROP INDEX IF EXISTS built")


def test_a_build_that_ends_early_leaves_no_temporary_file(server: Served) -> None:
    with connect(server) as connection:
        with pytest.raises(errors.UniqueViolation) as duplicate:
            connection.execute(
                "INSERT INTO wide SELECT id + 1000000, t FROM wide WHERE id = 300000; CREATE UNIQUE INDEX ON wide (t)"
            )
        assert duplicate.value.diag.message_primary == 'could not create unique index "wide_t_idx"'
        assert not temporary(server)

        canceller = threading.Timer(0.5, connection.cancel)
        canceller.start()
        with pytest.raises(errors.QueryCanceled):
            while True:
                connection.execute("CREATE INDEX gone ON wide (t, id)")
                connection.execute("DROP INDEX gone")
        canceller.join()
        assert not temporary(server)

        other = connect(server)
        pid = other.info.backend_pid

        def build() -> None:
            with pytest.raises(psycopg.OperationalError):
                while True:
                    other.execute("CREATE INDEX gone ON wide (t, id)")
                    other.execute("DROP INDEX gone")

        building = threading.Thread(target=build)
        building.start()
        deadline = time.monotonic() + 30
        while not temporary(server) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert temporary(server)
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        building.join()
        deadline = time.monotonic() + 10
        while temporary(server) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not temporary(server)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE broken AS SELECT t, 1 / (id - 500000) FROM wide ORDER BY 1, 2",
        "SELECT t, 1 / (id - 500000) INTO broken FROM wide ORDER BY 1, 2",
        "INSERT INTO narrow SELECT id, 1 / (id - 500000) FROM wide ORDER BY t, 2",
    ],
    ids=["create table as", "select into", "insert"],
)
def test_a_statement_that_fails_leaves_no_temporary_file(server: Served, statement: str) -> None:
    with connect(server) as connection:
        with pytest.raises(errors.DivisionByZero):
            connection.execute(statement)  # type: ignore[call-overload]
        assert not temporary(server)


# 300 bytes each would be 180 MB.
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM (SELECT id FROM narrow FOR UPDATE) x",
        "SELECT count(*) FROM (SELECT id FROM narrow ORDER BY a FOR SHARE) x",
        "INSERT INTO refers SELECT id FROM narrow",
    ],
    ids=["in order", "in no order", "foreign key"],
)
def test_row_locks_take_a_few_bytes(server: Served, statement: str) -> None:
    with connect(server) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS refers (id int REFERENCES narrow)")
        connection.execute("BEGIN")
        assert peak(server, connection, statement) < 60
        # They are held.
        with connect(server) as other:
            other.execute("SET lock_timeout = '20ms'")
            with pytest.raises(errors.LockNotAvailable):
                other.execute("DELETE FROM narrow WHERE id = 77777")
        connection.execute("ROLLBACK")
        with connect(server) as other:
            other.execute("UPDATE narrow SET a = a WHERE id = 77777")
