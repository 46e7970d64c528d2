"""The protocol's own promises, message by message: pipelines, portals, Flush, Describe, COPY's ends, cancel keys, byte by byte input."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.server.test_bad_input import (
    error_of,
    message,
    raw,
    read_all,
    read_message,
    read_until_ready,
    started,
    startup,
    still_answers,
)
from tests.support.sixfold import Served

SYNC = message(b"S", b"")
FLUSH = message(b"H", b"")


def parse(text: str, name: str = "", types: tuple[int, ...] = ()) -> bytes:
    return message(
        b"P", name.encode() + b"\0" + text.encode() + b"\0" + struct.pack(f"!h{len(types)}I", len(types), *types)
    )


def bind(*values: bytes | None, name: str = "", portal: str = "", formats: tuple[int, ...] = ()) -> bytes:
    body = portal.encode() + b"\0" + name.encode() + b"\0" + struct.pack("!hh", 0, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack(f"!h{len(formats)}h", len(formats), *formats))


def execute(portal: str = "", rows: int = 0) -> bytes:
    return message(b"E", portal.encode() + b"\0" + struct.pack("!i", rows))


def describe(kind: str, name: str = "") -> bytes:
    return message(b"D", kind.encode() + name.encode() + b"\0")


def close(kind: str, name: str = "") -> bytes:
    return message(b"C", kind.encode() + name.encode() + b"\0")


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def kinds(messages: list[tuple[bytes, bytes]]) -> str:
    return "".join(kind.decode() for kind, _ in messages)


def values(messages: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The first column of each DataRow."""
    return [body[6 : 6 + struct.unpack("!i", body[2:6])[0]] for kind, body in messages if kind == b"D"]


def ask(opened: socket.socket, data: bytes) -> list[tuple[bytes, bytes]]:
    opened.sendall(data)
    return read_until_ready(opened)


def test_startup_answers_parameters_a_key_and_ready(server: Served) -> None:
    with raw(server) as opened:
        messages = ask(opened, startup())
    assert kinds(messages).replace("S", "") == "RKZ"
    told = dict(body[:-1].split(b"\0") for kind, body in messages if kind == b"S")
    for name in (b"server_version", b"server_encoding", b"client_encoding", b"DateStyle", b"TimeZone", b"is_superuser"):
        assert name in told
    assert told[b"integer_datetimes"] == told[b"standard_conforming_strings"] == b"on"


def test_bytes_may_come_one_by_one(server: Served) -> None:
    with raw(server) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in startup():
            opened.sendall(bytes([byte]))
        read_until_ready(opened)
        for byte in query("SELECT 7") + parse("SELECT $1::int + 1") + bind(b"41") + execute() + SYNC:
            opened.sendall(bytes([byte]))
        assert values(read_until_ready(opened)) == [b"7"]
        assert values(read_until_ready(opened)) == [b"42"]


def test_a_thousand_statements_in_one_packet(server: Served) -> None:
    with started(server) as opened:
        one = parse("SELECT $1::int")
        opened.sendall(b"".join(one + bind(str(n).encode()) + execute() for n in range(1000)) + SYNC)
        messages = read_until_ready(opened)
    assert values(messages) == [str(n).encode() for n in range(1000)]
    assert kinds(messages) == "12DC" * 1000 + "Z"


def test_flush_answers_without_ready(server: Served) -> None:
    with started(server) as opened:
        opened.sendall(parse("SELECT 1", "flushed") + describe("S", "flushed") + FLUSH)
        assert [read_message(opened)[0] for _ in range(3)] == [b"1", b"t", b"T"]
        assert kinds(ask(opened, bind(name="flushed") + execute() + SYNC)) == "2DCZ"


def test_describe_of_a_statement_tells_parameters_and_columns(server: Served) -> None:
    with started(server) as opened:
        messages = ask(opened, parse("SELECT $1::int8 AS a, $2 || 'x' AS b") + describe("S") + SYNC)
        assert kinds(messages) == "1tTZ"
        assert messages[1][1] == struct.pack("!hII", 2, 20, 25)
        assert messages[2][1].startswith(struct.pack("!h", 2) + b"a\0" + struct.pack("!IhIhih", 0, 0, 20, 8, -1, 0))
        assert kinds(ask(opened, parse("CREATE TABLE protocol_none (a int)") + describe("S") + SYNC)) == "1tnZ"


def test_a_portal_is_suspended_and_goes_on(server: Served) -> None:
    with started(server) as opened:
        ask(opened, query("BEGIN"))
        head = parse("SELECT g FROM generate_series(1, 5) g") + bind(portal="p")
        messages = ask(opened, head + execute("p", 2) + SYNC)
        assert (kinds(messages), values(messages)) == ("12DDsZ", [b"1", b"2"])
        messages = ask(opened, execute("p", 2) + execute("p", 2) + execute("p", 2) + SYNC)
        assert (kinds(messages), values(messages)) == ("DDsDCCZ", [b"3", b"4", b"5"])
        assert error_of(ask(opened, close("P", "p") + execute("p") + SYNC))["C"] == "34000"


def test_a_portal_ends_with_its_transaction(server: Served) -> None:
    with started(server) as opened:
        ask(opened, parse("SELECT 1") + bind(portal="gone") + SYNC)
        assert error_of(ask(opened, execute("gone") + SYNC))["C"] == "34000"


def test_a_closed_statement_is_gone_and_closing_nothing_is_fine(server: Served) -> None:
    with started(server) as opened:
        assert kinds(ask(opened, parse("SELECT 1", "s") + close("S", "s") + close("S", "never") + SYNC)) == "133Z"
        error = error_of(ask(opened, bind(name="s") + SYNC))
        assert (error["C"], error["M"]) == ("26000", 'prepared statement "s" does not exist')
        assert kinds(ask(opened, parse("SELECT 1", "s") + SYNC)) == "1Z"
        assert error_of(ask(opened, parse("SELECT 2", "s") + SYNC))["C"] == "42P05"


def test_an_error_undoes_what_the_same_sync_had_done(server: Served) -> None:
    with started(server) as opened:
        ask(opened, query("CREATE TABLE protocol_sync (a int)"))
        insert = parse("INSERT INTO protocol_sync VALUES (1)") + bind() + execute()
        messages = ask(
            opened, insert + parse("SELECT 1/g FROM generate_series(0, 0) g") + bind() + execute() + insert + SYNC
        )
        assert kinds(messages) == "12C12EZ"
        assert values(ask(opened, query("SELECT count(*) FROM protocol_sync"))) == [b"0"]
        assert ask(opened, insert + SYNC + insert + SYNC)[-1] == (b"Z", b"I")
        read_until_ready(opened)
        assert values(ask(opened, query("SELECT count(*) FROM protocol_sync"))) == [b"2"]


def test_ready_tells_the_state_of_the_block(server: Served) -> None:
    with started(server) as opened:
        states = [ask(opened, query(text))[-1][1] for text in ("BEGIN", "SELECT 1/0", "SELECT 1", "ROLLBACK")]
        assert states == [b"T", b"E", b"E", b"I"]
        states = [
            ask(opened, parse(text) + bind() + execute() + SYNC)[-1][1]
            for text in ("BEGIN", "SELECT 1/0", "COMMIT", "SELECT 1")
        ]
        assert states == [b"T", b"E", b"I", b"I"]


def test_an_empty_query_and_an_empty_statement(server: Served) -> None:
    with started(server) as opened:
        for text in ("", " ; ", "-- nothing"):
            assert kinds(ask(opened, query(text))) == "IZ"
            assert kinds(ask(opened, parse(text) + bind() + describe("P") + execute() + SYNC)) == "12nIZ"


def test_several_statements_answer_one_after_the_other(server: Served) -> None:
    with started(server) as opened:
        messages = ask(opened, query("SELECT 1; SELECT 2; SELECT nothing; SELECT 3"))
        assert (kinds(messages), values(messages)) == ("TDCTDCEZ", [b"1", b"2"])
        assert error_of(ask(opened, parse("SELECT 1; SELECT 2") + SYNC))["C"] == "42601"


BAD = "INSERT INTO late VALUES (5)"
COPIED = message(b"d", b"5\n") + message(b"c", b"")
MANY_ROWS = "INSERT INTO late VALUES " + ", ".join(["(1)"] * 3000) + ", (5)"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (query(BAD), "EZ"),
        (query(f"SELECT 1; {BAD}"), "TDCEZ"),
        (query(f"{BAD}; SELECT 1"), "CTDEZ"),
        (query(f"BEGIN; {BAD}; COMMIT; SELECT 1"), "CCEZ"),
        (query(f"{BAD} RETURNING a"), "TDEZ"),
        (query("WITH bad AS (" + BAD + " RETURNING a) SELECT a, pg_notify('x', '') FROM bad"), "TDEZ"),
        (query(MANY_ROWS), "EZ"),
        (query(f"SELECT 1; {MANY_ROWS}"), "TDCEZ"),
        (query("COPY late FROM STDIN") + COPIED, "GEZ"),
        (query(f"SELECT 1; {BAD}; SELECT 1/(SELECT 0)"), "TDCCTEZ"),
        (parse(BAD) + bind() + execute() + SYNC, "12CEZ"),
        (parse(BAD) + bind() + execute() + parse("SELECT 1") + bind() + execute() + SYNC, "12C12DCEZ"),
        (parse("COPY late FROM STDIN") + bind() + execute() + SYNC + COPIED + SYNC, "12GCEZ"),
    ],
)
def test_a_query_is_complete_when_it_is_committed(server: Served, data: bytes, answer: str) -> None:
    with started(server) as opened:
        ask(
            opened,
            query(
                "DROP TABLE IF EXISTS late, known; CREATE TABLE known (a int PRIMARY KEY); INSERT INTO known VALUES (1)"
            ),
        )
        ask(opened, query("CREATE TABLE late (a int REFERENCES known DEFERRABLE INITIALLY DEFERRED)"))
        # When the server knows the text, too.
        for _ in range(3):
            found = ask(opened, data)
            assert kinds(found) == answer
            assert error_of(found)["C"] == ("22012" if b"1/(" in data else "23503")
            assert values(ask(opened, query("SELECT count(*) FROM late"))) == [b"0"]


def test_binary_results_and_binary_parameters(server: Served) -> None:
    with started(server) as opened:
        body = b"\0\0" + struct.pack("!hhhi", 1, 1, 1, 4) + struct.pack("!i", 41) + struct.pack("!hh", 1, 1)
        messages = ask(opened, parse("SELECT $1::int4 + 1") + message(b"B", body) + execute() + SYNC)
        assert values(messages) == [struct.pack("!i", 42)]


@pytest.mark.parametrize("size", [3, 5, 0])
def test_a_binary_parameter_of_a_wrong_size_is_refused(server: Served, size: int) -> None:
    with started(server) as opened:
        body = b"\0\0" + struct.pack("!hhhi", 1, 1, 1, size) + b"\0" * size + struct.pack("!h", 0)
        error = error_of(ask(opened, parse("SELECT $1::int4") + message(b"B", body) + execute() + SYNC))
        assert error["C"] in ("22P03", "08P01")


def test_a_wrong_number_of_parameters_is_08p01(server: Served) -> None:
    with started(server) as opened:
        error = error_of(ask(opened, parse("SELECT $1::int") + bind() + SYNC))
        assert error["C"] == "08P01"
        assert error["M"] == 'bind message supplies 0 parameters, but prepared statement "" requires 1'


def test_copy_in_can_be_failed_by_the_client(server: Served) -> None:
    with started(server) as opened:
        ask(opened, query("CREATE TABLE protocol_copy (a int)"))
        opened.sendall(query("COPY protocol_copy FROM STDIN"))
        assert read_message(opened)[0] == b"G"
        error = error_of(ask(opened, message(b"d", b"1\n") + message(b"f", b"changed my mind\0")))
        assert (error["C"], error["M"]) == ("57014", "COPY from stdin failed: changed my mind")
        opened.sendall(query("COPY protocol_copy FROM STDIN"))
        assert read_message(opened)[0] == b"G"
        error = error_of(ask(opened, message(b"d", b"one\n") + message(b"d", b"2\n") + message(b"c", b"")))
        assert error["C"] == "22P02"
        assert values(ask(opened, query("SELECT count(*) FROM protocol_copy"))) == [b"0"]


def test_copy_messages_outside_of_copy_are_ignored(server: Served) -> None:
    with started(server) as opened:
        stray = message(b"d", b"1\n") + message(b"c", b"") + message(b"f", b"x\0")
        assert kinds(ask(opened, stray + query("SELECT 1"))) == "TDCZ"


def test_a_line_of_copy_may_be_cut_anywhere(server: Served) -> None:
    with started(server) as opened:
        ask(opened, query("CREATE TABLE protocol_cut (a int, b text)"))
        opened.sendall(query("COPY protocol_cut FROM STDIN"))
        assert read_message(opened)[0] == b"G"
        data = "".join(f"{n}\tžluť\\t{n}\n" for n in range(100)).encode()
        opened.sendall(b"".join(message(b"d", data[at : at + 3]) for at in range(0, len(data), 3)))
        assert kinds(ask(opened, message(b"c", b""))) == "CZ"
        assert values(ask(opened, query("SELECT count(*) FROM protocol_cut WHERE b = 'žluť' || chr(9) || a"))) == [
            b"100"
        ]


def test_a_cancel_request_with_a_wrong_key_does_nothing(server: Served) -> None:
    with raw(server) as opened:
        messages = ask(opened, startup())
        pid, secret = struct.unpack("!II", next(body for kind, body in messages if kind == b"K"))
        opened.sendall(query("SELECT pg_sleep(0.5)"))
        with raw(server) as other:
            other.sendall(struct.pack("!iiII", 16, 80877102, pid, secret ^ 1))
            assert read_all(other) == b""
        assert kinds(read_until_ready(opened)) == "TDCZ"
        opened.sendall(query("SELECT pg_sleep(20)"))
        with raw(server) as other:
            other.sendall(struct.pack("!iiII", 16, 80877102, pid, secret))
            assert read_all(other) == b""
        assert error_of(read_until_ready(opened))["C"] == "57014"


def test_a_startup_without_a_user_is_28000(server: Served) -> None:
    with raw(server) as opened:
        body = struct.pack("!i", 196608) + b"database\0postgres\0\0"
        opened.sendall(struct.pack("!i", len(body) + 4) + body)
        assert b"C28000" in read_all(opened)


def test_a_newer_minor_protocol_is_negotiated_down(server: Served) -> None:
    with raw(server) as opened:
        body = struct.pack("!i", (3 << 16) + 2) + b"user\0postgres\0database\0postgres\0_pq_.wish\0on\0\0"
        messages = ask(opened, struct.pack("!i", len(body) + 4) + body)
        assert messages[0] == (b"v", struct.pack("!ii", 3 << 16, 1) + b"_pq_.wish\0")


def test_gss_is_declined_and_plain_bytes_after_sslrequest_are_not_let_through(server: Served) -> None:
    with raw(server) as opened:
        opened.sendall(struct.pack("!ii", 8, 80877104))
        assert opened.recv(1) == b"N"
        assert kinds(ask(opened, startup()))[-1] == "Z"
    with raw(server) as opened:
        opened.sendall(struct.pack("!ii", 8, 80877103) + startup())
        assert b"Z\0\0\0\5I" not in read_all(opened)
    with raw(server) as opened:
        opened.sendall(struct.pack("!ii", 8, 80877103))
        assert opened.recv(1) == b"S"
        opened.sendall(startup())
        assert b"Z\0\0\0\5I" not in read_all(opened)
    still_answers(server)


def test_a_notification_reaches_another_session(server: Served) -> None:
    with started(server) as listener, started(server) as sender:
        ask(listener, query("LISTEN protocol_news"))
        ask(sender, query("NOTIFY protocol_news, 'it is so'"))
        kind, body = read_message(listener)
        assert (kind, body[4:]) == (b"A", b"protocol_news\0it is so\0")


def test_a_changed_setting_is_told(server: Served) -> None:
    with started(server) as opened:
        messages = ask(opened, query("SET application_name = 'me'"))
        assert (b"S", b"application_name\0me\0") in messages
        messages = ask(opened, query("SET TimeZone = 'Europe/Prague'"))
        assert (b"S", b"TimeZone\0Europe/Prague\0") in messages
