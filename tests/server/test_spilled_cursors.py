"""Cursors of more rows than work_mem: where the rows are, and when they go."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from tests.support.sixfold import Served, served

QUERY = "SELECT g, repeat('x', 100) || g FROM generate_series(1, 40000) g"


def temporary(server: Served) -> list[Path]:
    """The server's temporary files."""
    folder = server.folder / "data" / "pgsql_tmp"
    return list(folder.iterdir()) if folder.exists() else []


def bytes_of(server: Served) -> int:
    """What is in them."""
    return sum(path.stat().st_size for path in temporary(server))


def connect(server: Served) -> psycopg.Connection:
    """A client with little memory."""
    connection = psycopg.connect(server.uri, autocommit=True)
    connection.execute("SET work_mem = '64kB'")
    return connection


def declare(connection: psycopg.Connection, options: str, name: str = "c") -> None:
    """A cursor, and a look at its last row."""
    connection.execute(f"DECLARE {name} {options} FOR {QUERY}")
    assert connection.execute(f"FETCH ABSOLUTE 40000 FROM {name}").fetchall()[0][0] == 40000


def test_rows_that_a_cursor_keeps_go_with_it(server: Served) -> None:
    connection = connect(server)
    for end in ("CLOSE c", "CLOSE ALL", "COMMIT", "ROLLBACK"):
        connection.execute("BEGIN")
        declare(connection, "SCROLL CURSOR")
        assert bytes_of(server) > 3_000_000
        assert connection.execute("FETCH ABSOLUTE 20000 FROM c").fetchall()[0][0] == 20000
        assert [row[0] for row in connection.execute("FETCH BACKWARD 2 FROM c")] == [19999, 19998]
        connection.execute(end)
        assert not temporary(server), end
        connection.execute("ROLLBACK")
    for end in ("CLOSE c", "DISCARD ALL", None):
        connection.execute("SET work_mem = '64kB'")
        connection.execute("BEGIN")
        declare(connection, "CURSOR WITH HOLD")
        connection.execute("COMMIT")
        assert bytes_of(server) > 3_000_000
        assert [row[0] for row in connection.execute("FETCH BACKWARD 2 FROM c")] == [39999, 39998]
        if end is None:
            connection.close()
            deadline = time.monotonic() + 20
            while temporary(server) and time.monotonic() < deadline:
                time.sleep(0.05)
        else:
            connection.execute(end)
        assert not temporary(server), end


def test_what_need_not_be_kept_is_not(server: Served) -> None:
    with connect(server) as connection:
        connection.execute("BEGIN")
        declare(connection, "NO SCROLL CURSOR")
        assert not temporary(server)


def test_rows_that_a_change_returns_wait_in_a_file(server: Served) -> None:
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE returned AS SELECT g AS id, repeat('y', 100) AS t FROM generate_series(1, 100000) g"
        )
        seen, most = 0, 0
        for _, text in cursor.stream("UPDATE returned SET t = t || id RETURNING id, t"):
            if seen == 0:
                most = bytes_of(server)
            seen += len(text) > 100
        assert (seen, most > 8_000_000) == (100_000, True)
        assert not temporary(server)
        cursor.execute("DROP TABLE returned")


def test_files_of_a_server_that_was_killed_go_at_the_next_start() -> None:
    with served("--fsync", "off") as server:
        connection = connect(server)
        connection.execute("BEGIN")
        declare(connection, "CURSOR WITH HOLD")
        connection.execute("COMMIT")
        assert temporary(server)
        server.kill()
        assert temporary(server)
        server.start()
        assert not temporary(server)
