"""Values of many megabytes: in by every way, out by every way, and where PostgreSQL's limits are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import TupleRow

from tests.support.others import others_are_answered
from tests.support.sixfold import Served, served

SIZE = 20 << 20
# Nothing that compresses, with what COPY, literals and escapes must quote.
NOISE = os.urandom(1 << 16)
TEXT = "".join(chr(33 + byte % 90) for byte in NOISE) * (SIZE >> 16)
BYTES = NOISE * (SIZE >> 16)

Connection = psycopg.Connection[TupleRow]


@pytest.fixture
def connection(server: Served) -> Iterator[Connection]:
    with psycopg.connect(server.uri, autocommit=True) as opened:
        opened.execute("CREATE TABLE IF NOT EXISTS big_values (id int PRIMARY KEY, t text, b bytea)")
        opened.execute("TRUNCATE big_values")
        yield opened


def by_parameters(connection: Connection) -> None:
    connection.execute("INSERT INTO big_values VALUES (1, %s, %b)", (TEXT, BYTES))


def by_literals(connection: Connection) -> None:
    psycopg.ClientCursor(connection).execute("INSERT INTO big_values VALUES (1, %s, %s)", (TEXT, BYTES))


def by_copy(connection: Connection, size: int = 1 << 17) -> None:
    line = ("1\t" + TEXT.replace("\\", "\\\\") + "\t\\\\x" + BYTES.hex() + "\n").encode()
    with connection.cursor().copy("COPY big_values FROM STDIN") as copy:
        for at in range(0, len(line), size):
            copy.write(line[at : at + size])


def by_csv(connection: Connection) -> None:
    line = ('1,"' + TEXT.replace('"', '""') + '",\\x' + BYTES.hex() + "\n").encode()
    with connection.cursor().copy("COPY big_values FROM STDIN (FORMAT csv)") as copy:
        copy.write(line)


def by_binary_copy(connection: Connection) -> None:
    with connection.cursor().copy("COPY big_values FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "bytea"])
        copy.write_row((1, TEXT, BYTES))


@pytest.mark.parametrize("put", [by_parameters, by_literals, by_copy, by_csv, by_binary_copy])
def test_a_long_value_goes_in_and_comes_out(connection: Connection, put: Callable[[Connection], None]) -> None:
    put(connection)
    for binary in (False, True):
        row = connection.execute("SELECT t, b FROM big_values", binary=binary).fetchone()
        assert row is not None
        assert row[0] == TEXT
        assert row[1] == BYTES
    with connection.cursor().copy("COPY big_values (t) TO STDOUT") as copy:
        copied = b"".join(bytes(piece) for piece in copy)
    assert copied.decode() == TEXT.replace("\\", "\\\\") + "\n"


def test_a_long_value_is_changed_and_taken_out(connection: Connection) -> None:
    by_parameters(connection)
    connection.execute("UPDATE big_values SET t = t || '!', b = b || b")
    row = connection.execute(
        "SELECT length(t), right(t, 2), length(b), md5(b) = md5(%b || %b) FROM big_values", (BYTES, BYTES)
    )
    assert row.fetchone() == (SIZE + 1, TEXT[-1] + "!", 2 * SIZE, True)
    connection.execute("UPDATE big_values SET id = 2")
    connection.execute("DELETE FROM big_values WHERE length(t) > 1")
    connection.execute("VACUUM big_values")
    assert connection.execute("SELECT count(*) FROM big_values").fetchone() == (0,)


def test_others_are_answered_while_a_long_value_goes_in(server: Served, connection: Connection) -> None:
    with others_are_answered(server.uri, 1.5, at_least=20):
        by_literals(connection)
        connection.execute("TRUNCATE big_values")
        by_copy(connection, 1 << 20)


def test_two_long_values_of_a_row_with_a_small_cache() -> None:
    """Neither fits into the cache, and both are wanted at once."""
    with (
        served("--fsync", "off", "--topology", "1", "--cache", "8MB") as small,
        psycopg.connect(small.uri) as connection,
    ):
        connection.execute("SET statement_timeout = '60s'")
        connection.execute("CREATE TABLE two_values (t text, b bytea)")
        connection.execute("INSERT INTO two_values VALUES (%s, %b)", (TEXT, BYTES))
        row = connection.execute("SELECT length(t), length(b), md5(b) FROM two_values").fetchone()
        assert row == (len(TEXT), SIZE, hashlib.md5(BYTES, usedforsecurity=False).hexdigest())
        connection.execute("UPDATE two_values SET t = t || '!'")
        row = connection.execute("SELECT right(t, 2), right(encode(b, 'hex'), 2) FROM two_values").fetchone()
        assert row == (TEXT[-1] + "!", BYTES[-1:].hex())


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELECT repeat('x', 1100000000)", errors.ProgramLimitExceeded, "requested length too large"),
        ("SELECT length(repeat('ab', 300000000) || repeat('c', 600000000))", errors.InternalError_, "invalid memory alloc"),
        ("SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))", errors.ProgramLimitExceeded, "out of memory"),
        ("SELECT string_agg(repeat('x', 100000000), '') FROM generate_series(1, 20)", errors.ProgramLimitExceeded, "out of memory"),
        ("SELECT decode(repeat('00', 400000000), 'hex') || decode(repeat('00', 300000000), 'hex')", errors.InternalError_, "invalid memory alloc"),
        ("SELECT decode(repeat('00', 500000000), 'hex') || repeat('x', 100000000)::bytea", errors.InternalError_, "size 1200000003"),
        ("SELECT repeat('x', 600000000), repeat('y', 600000000)", errors.ProgramLimitExceeded, "out of memory"),
    ],
)  # fmt: skip
def test_beyond_a_gigabyte_is_postgresql_s_error(
    connection: Connection, query: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        connection.execute(query)  # type: ignore[call-overload]
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_huge_value_lives_its_life(server: Served, connection: Connection) -> None:
    """SIXFOLD_HUGE_MB=950 makes it as long as PostgreSQL lets a value be; that takes some gigabytes of memory, and minutes."""
    size = int(os.environ.get("SIXFOLD_HUGE_MB", "64")) * 1_000_000
    first = (NOISE * (size // len(NOISE) + 1))[:size]
    second = first[::-1]

    def found() -> tuple[object, ...] | None:
        return connection.execute("SELECT id, length(b), md5(b) FROM big_values").fetchone()

    def room() -> int:
        row = connection.execute("SELECT pg_total_relation_size('big_values')").fetchone()
        assert row is not None
        return int(row[0])

    def row_of(number: int, value: bytes) -> tuple[object, ...]:
        return number, size, hashlib.md5(value, usedforsecurity=False).hexdigest()

    connection.execute("INSERT INTO big_values (id, b) VALUES (1, %b)", (first,))
    assert found() == row_of(1, first)
    part = connection.execute("SELECT substr(b, %s, 100) FROM big_values", (size - 99,)).fetchone()
    assert part == (first[-100:],)
    whole = connection.execute("SELECT b FROM big_values", binary=True).fetchone()
    assert whole == (first,)
    # A value that stays is not written again.
    once = room()
    assert size * 0.9 < once < size * 1.3
    connection.execute("UPDATE big_values SET id = 2")
    assert room() < once + size // 10
    with psycopg.connect(server.uri) as other:
        other.execute("UPDATE big_values SET b = %b", (second,))
        other.rollback()
    assert found() == row_of(2, first)
    connection.execute("UPDATE big_values SET b = %b", (second,))
    assert found() == row_of(2, second)
    with connection.cursor().copy("COPY big_values (b) TO STDOUT (FORMAT binary)") as copy:
        assert sum(len(piece) for piece in copy) == size + 21 + 4 + 2
    connection.execute("DELETE FROM big_values")
    connection.execute("VACUUM big_values")
    assert room() < size // 10
