"""Bytes that no driver would send: each ends in a clear error or a closed connection, with the server up."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Served


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(user: str = "postgres") -> bytes:
    body = struct.pack("!i", 196608) + b"user\0" + user.encode() + b"\0database\0postgres\0\0"
    return struct.pack("!i", len(body) + 4) + body


@contextmanager
def raw(server: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as opened:
        yield opened


@contextmanager
def started(server: Served) -> Iterator[socket.socket]:
    with raw(server) as opened:
        opened.sendall(startup())
        read_until_ready(opened)
        yield opened


def read_exactly(opened: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = opened.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_message(opened: socket.socket) -> tuple[bytes, bytes]:
    head = read_exactly(opened, 5)
    return head[:1], read_exactly(opened, struct.unpack("!i", head[1:])[0] - 4)


def read_until_ready(opened: socket.socket) -> list[tuple[bytes, bytes]]:
    messages = []
    while True:
        messages.append(read_message(opened))
        if messages[-1][0] == b"Z":
            return messages


def read_all(opened: socket.socket) -> bytes:
    data = b""
    while piece := opened.recv(65536):
        data += piece
    return data


def fields(body: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def error_of(messages: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return next(fields(body) for kind, body in messages if kind == b"E")


def still_answers(server: Served) -> None:
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)


def test_an_unknown_message_type_is_a_protocol_error(server: Served) -> None:
    with started(server) as opened:
        opened.sendall(message(b"!", b"what"))
        assert b"C08P01" in read_all(opened)
    still_answers(server)


def test_a_message_length_below_four_closes_the_connection(server: Served) -> None:
    with started(server) as opened:
        opened.sendall(b"Q" + struct.pack("!i", 2))
        assert b"C08P01" in read_all(opened)
    still_answers(server)


def test_a_message_length_of_two_gigabytes_is_refused_without_waiting_for_it(server: Served) -> None:
    with started(server) as opened:
        opened.sendall(b"Q" + struct.pack("!i", 0x7FFFFFFF) + b"SELECT")
        assert b"C08P01" in read_all(opened)
    still_answers(server)


def test_http_on_the_sql_port_is_refused(server: Served) -> None:
    with raw(server) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        read_all(opened)
    still_answers(server)


def test_an_old_protocol_is_refused_by_name(server: Served) -> None:
    with raw(server) as opened:
        opened.sendall(struct.pack("!ii", 8, 0x00020000))
        assert b"unsupported frontend protocol 2.0" in read_all(opened)
    still_answers(server)


def test_invalid_utf8_in_a_statement_is_22021(server: Served) -> None:
    with started(server) as opened:
        opened.sendall(message(b"Q", b"SELECT '\xff\xfe'\0"))
        assert error_of(read_until_ready(opened))["C"] == "22021"
        opened.sendall(message(b"Q", b"SELECT 1\0"))
        assert [kind for kind, _ in read_until_ready(opened)] == [b"T", b"D", b"C", b"Z"]


def test_a_nul_in_a_text_parameter_is_22021(server: Served) -> None:
    with started(server) as opened:
        bind = b"\0\0" + struct.pack("!hh", 0, 1) + struct.pack("!i", 3) + b"a\0b" + struct.pack("!h", 0)
        parts = message(b"P", b"\0SELECT $1::text\0" + struct.pack("!h", 0)) + message(b"B", bind)
        opened.sendall(parts + message(b"E", b"\0" + struct.pack("!i", 0)) + message(b"S", b""))
        assert error_of(read_until_ready(opened))["C"] == "22021"


def test_after_an_error_everything_is_skipped_to_sync(server: Served) -> None:
    with started(server) as opened:
        parse = message(b"P", b"\0SELECT nothing_there\0" + struct.pack("!h", 0))
        bind = message(b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0))
        opened.sendall(parse + bind + message(b"E", b"\0" + struct.pack("!i", 0)) + message(b"S", b""))
        messages = read_until_ready(opened)
        assert [kind for kind, _ in messages] == [b"E", b"Z"]
        assert error_of(messages)["C"] == "42703"


def test_a_statement_of_fifty_megabytes_is_answered(server: Served) -> None:
    with psycopg.connect(server.uri) as connection:
        text = "x" * (50 << 20)
        assert connection.execute(f"SELECT length('{text}')").fetchone() == (50 << 20,)  # type: ignore[call-overload]


def test_a_client_that_leaves_in_the_middle_of_a_message_is_forgotten(server: Served) -> None:
    for _ in range(20):
        with started(server) as opened:
            opened.sendall(b"Q" + struct.pack("!i", 100) + b"SELECT pg_sl")
    still_answers(server)


def test_a_half_closed_connection_gets_its_answer(server: Served) -> None:
    with started(server) as opened:
        opened.sendall(message(b"Q", b"SELECT 7\0"))
        opened.shutdown(socket.SHUT_WR)
        assert b"SELECT 1\0" in read_all(opened)
    still_answers(server)


def test_a_client_that_leaves_during_copy_leaves_no_rows(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE bad_copy (a int)")
    with started(server) as opened:
        opened.sendall(message(b"Q", b"COPY bad_copy FROM STDIN\0"))
        assert read_message(opened)[0] == b"G"
        opened.sendall(message(b"d", b"1\n2\n"))
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT count(*) FROM bad_copy").fetchone() == (0,)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_never_take_the_server_down(server: Served, seed: int) -> None:
    chance = random.Random(seed)
    with started(server) as opened:
        kind = chance.choice(b"QPBDECSFHdcfpX!")
        body = chance.randbytes(chance.randrange(0, 200))
        opened.sendall(message(bytes([kind]), body) + message(b"S", b"") + message(b"X", b""))
        opened.settimeout(10)
        read_all(opened)
    still_answers(server)


# What is said, and answered, before the nonsense begins.
BEFORE: dict[str, list[bytes]] = {
    "nothing": [],
    "a startup message": [startup()],
    "a transaction": [startup(), message(b"Q", b"BEGIN; CREATE TABLE bad_never (a int)\0")],
    "a failed transaction": [startup(), message(b"Q", b"BEGIN\0"), message(b"Q", b"nonsense\0")],
    "a parse without a sync": [startup(), message(b"P", b"x\0SELECT $1::int\0" + bytes(2)) + message(b"H", b"")],
    "an error that is skipped": [startup(), message(b"P", b"\0nonsense\0" + bytes(2)) + message(b"H", b"")],
    "a suspended portal": [
        startup(),
        message(b"P", b"\0SELECT generate_series(1, 100)\0" + bytes(2))
        + message(b"B", b"\0\0" + bytes(6))
        + message(b"E", b"\0" + struct.pack("!i", 2))
        + message(b"H", b""),
    ],
    "a copy": [startup(), message(b"Q", b"BEGIN; CREATE TEMP TABLE bad_copied (a int); COPY bad_copied FROM STDIN\0")],
    "a binary copy": [
        startup(),
        message(b"Q", b"BEGIN; CREATE TEMP TABLE bad_copied (a int); COPY bad_copied FROM STDIN (FORMAT binary)\0"),
    ],
}


@pytest.mark.parametrize("before", BEFORE)
def test_random_bytes_in_any_state_end_the_connection_at_most(server: Served, before: str) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        with raw(server) as opened:
            for said in BEFORE[before]:
                opened.sendall(said)
                opened.recv(65536)
            noise = chance.randbytes(chance.choice([1, 5, 40, 3000, 200_000]))
            if seed % 2:
                # As long as it says it is, and of a kind that there is: so what is in it is looked at.
                kind = chance.choice(b"QPBDECSFHdcfpX")
                noise = message(bytes([kind]), noise)
            opened.settimeout(20)
            try:
                opened.sendall(noise)
                opened.shutdown(socket.SHUT_WR)
                said = read_all(opened)
            except TimeoutError:
                raise
            except OSError:
                continue  # closed already
            assert b"CXX000" not in said, said
        still_answers(server)
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT to_regclass('bad_never')").fetchone() == (None,)


def conversation() -> list[tuple[bytes, bytes]]:
    """Messages of every kind that a client sends, well formed."""
    text = b"SELECT $1::int4, $2::text, $3::numeric[] FROM pg_class LIMIT 2\0"
    value = struct.pack("!i", 4) + b"\0\0\0\7" + struct.pack("!i", 1) + b"x" + struct.pack("!i", 5) + b"{1,2}"
    return [
        (b"Q", b"SELECT 'a', 1.5, ARRAY[1, NULL]\0"),
        (b"P", b"s\0" + text + struct.pack("!h3I", 3, 23, 25, 0)),
        (b"D", b"Ss\0"),
        (b"B", b"p\0s\0" + struct.pack("!h3hh", 3, 1, 0, 0, 3) + value + struct.pack("!h3h", 3, 1, 1, 1)),
        (b"D", b"Pp\0"),
        (b"E", b"p\0" + struct.pack("!i", 1)),
        (b"E", b"p\0" + struct.pack("!i", 0)),
        (b"C", b"Pp\0"),
        (b"C", b"Ss\0"),
        (b"F", struct.pack("!Ihhih", 1598, 0, 1, 1, 1)),
        (b"S", b""),
        (b"Q", b"COPY bad_mutated FROM STDIN (FORMAT binary)\0"),
        (b"d", b"PGCOPY\n\xff\r\n\0" + struct.pack("!iihii", 0, 0, 1, 4, 7) + struct.pack("!h", -1)),
        (b"c", b""),
        (b"Q", b"COPY bad_mutated FROM STDIN (FORMAT csv, HEADER)\0"),
        (b"d", b'a\n1\n"2"\n'),
        (b"c", b""),
        (b"S", b""),
    ]


def mutated(chance: random.Random) -> bytes:
    """A conversation with some bytes changed, cut out or put in; the lengths of its messages stay true."""
    said = b""
    for kind, body in conversation():
        if chance.random() < 0.4 and body:
            at = chance.randrange(len(body))
            change = chance.randrange(4)
            if change == 0:
                body = body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
            elif change == 1:
                body = body[:at]
            elif change == 2:
                body = body[:at] + chance.randbytes(chance.randrange(1, 9)) + body[at:]
            else:
                body = (
                    body[:at]
                    + chance.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
                    + body[at + 4 :]
                )
        said += message(kind, body)
    return said


@pytest.mark.parametrize("seed", range(60))
def test_mutated_messages_end_in_errors_of_the_client_not_of_the_server(server: Served, seed: int) -> None:
    chance = random.Random(seed)
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bad_mutated (a int)")
    with started(server) as opened:
        opened.sendall(mutated(chance) + message(b"c", b"") + message(b"S", b"") + message(b"X", b""))
        opened.settimeout(20)
        # What PostgreSQL too says of a type that is not there.
        said = read_all(opened).replace(b"CXX000\0Mcache lookup failed for type", b"")
        assert b"CXX000" not in said
    still_answers(server)


def test_a_name_of_a_role_that_is_not_there_is_28000(server: Served) -> None:
    with raw(server) as opened:
        opened.sendall(startup("nobody_of_that_name"))
        data = read_all(opened)
        assert b"C28000" in data
        assert b'role "nobody_of_that_name" does not exist' in data


def test_what_is_not_built_says_so(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        for sql in ("CREATE EXTENSION postgis", "CREATE PUBLICATION p", "PREPARE TRANSACTION 'x'"):
            with pytest.raises(errors.FeatureNotSupported):
                connection.execute(sql)  # type: ignore[call-overload]
