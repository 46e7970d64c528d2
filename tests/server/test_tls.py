"""TLS as the protocol has it, and as a client gets it wrong: byte by byte, over sockets of our own."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.server.test_bad_input import (
    error_of,
    fields,
    message,
    raw,
    read_all,
    read_exactly,
    read_message,
    read_until_ready,
    startup,
    still_answers,
)
from tests.server.test_protocol import ask, query, values
from tests.support.sixfold import Served

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


@contextmanager
def secured(server: Served, using: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
    """TLS, before any startup message."""
    with raw(server) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with (using or context()).wrap_socket(plain) as encrypted:
            yield encrypted


@contextmanager
def secret(server: Served) -> Iterator[ssl.SSLSocket]:
    """A session over TLS."""
    with secured(server) as encrypted:
        encrypted.sendall(startup())
        read_until_ready(encrypted)
        yield encrypted


def closed_without_a_session(opened: socket.socket) -> None:
    try:
        said = read_all(opened)
    except ConnectionError:
        said = b""
    assert b"Z\0\0\0\5I" not in said


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_spoken(server: Served, version: ssl.TLSVersion) -> None:
    using = context()
    using.minimum_version = using.maximum_version = version
    with secured(server, using) as opened:
        opened.sendall(startup())
        read_until_ready(opened)
        assert values(ask(opened, query("SELECT 42"))) == [b"42"]
        assert opened.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_an_older_version_is_refused(server: Served) -> None:
    using = context()
    using.minimum_version = ssl.TLSVersion.TLSv1
    using.maximum_version = ssl.TLSVersion.TLSv1_1
    using.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)), secured(server, using):
        pass
    still_answers(server)


@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at once", "later"])
def test_plain_bytes_stuffed_before_the_handshake_are_refused(server: Served, pause: float) -> None:
    """CVE-2021-23214: what somebody in between puts there must never be taken for the client's."""
    stuffed = startup() + query("CREATE TABLE tls_stuffed (a int)")
    with raw(server) as opened:
        opened.sendall(SSL_REQUEST + stuffed if not pause else SSL_REQUEST)
        if pause:
            assert opened.recv(1) == b"S"
            opened.sendall(stuffed)
        closed_without_a_session(opened)
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT to_regclass('tls_stuffed')").fetchone() == (None,)


def test_a_second_sslrequest_inside_tls_is_declined(server: Served) -> None:
    with secured(server) as opened:
        opened.sendall(SSL_REQUEST)
        assert read_exactly(opened, 1) == b"N"
        opened.sendall(startup())
        assert read_until_ready(opened)[-1] == (b"Z", b"I")


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("seed", range(15))
def test_a_handshake_that_is_cut_or_damaged_ends_its_connection_only(server: Served, seed: int) -> None:
    chance = random.Random(seed)
    hello = client_hello()
    at = chance.randrange(len(hello))
    with raw(server) as opened:
        opened.sendall(SSL_REQUEST)
        assert opened.recv(1) == b"S"
        if seed % 3 == 0:
            opened.sendall(hello[:at])
        elif seed % 3 == 1:
            opened.sendall(hello[:at] + bytes([hello[at] ^ 1 << chance.randrange(8)]) + hello[at + 1 :])
        else:
            opened.sendall(hello)
            opened.recv(65536)
            opened.sendall(chance.randbytes(chance.randrange(1, 400)))
        opened.shutdown(socket.SHUT_WR)
        closed_without_a_session(opened)
    still_answers(server)


def test_damaged_records_after_the_handshake_end_the_session_only(server: Served) -> None:
    for seed in range(8):
        chance = random.Random(seed)
        with secret(server) as opened:
            opened.sendall(query("BEGIN"))
            read_until_ready(opened)
            plain = socket.socket(fileno=opened.detach())
        with plain:
            plain.sendall(b"\x17\x03\x03" + struct.pack("!H", 64) + chance.randbytes(64))
            plain.settimeout(10)
            closed_without_a_session(plain)
    still_answers(server)


def test_close_notify_is_said_and_heard(server: Served) -> None:
    with secret(server) as opened:
        opened.sendall(message(b"X", b""))
        # Ends without an error only after the server's close_notify.
        assert opened.recv(100) == b""
    with secret(server) as opened:
        opened.unwrap()
    with secret(server) as opened:
        pid = values(ask(opened, query("SELECT pg_backend_pid()")))[0]
        # The socket goes away without a word.
        plain = socket.socket(fileno=opened.detach())
        plain.close()
    gone(server, pid)


def gone(server: Served, pid: bytes) -> None:
    deadline = time.monotonic() + 10
    with psycopg.connect(server.uri, autocommit=True) as watching:
        while watching.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (int(pid),)).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_client_that_disappears_in_a_transaction_keeps_no_locks(server: Served) -> None:
    with psycopg.connect(server.uri, autocommit=True) as other:
        other.execute("CREATE TABLE tls_gone (a int)")
        with secret(server) as opened:
            ask(opened, query("BEGIN"))
            ask(opened, query("LOCK TABLE tls_gone IN ACCESS EXCLUSIVE MODE"))
            socket.socket(fileno=opened.detach()).close()
        other.execute("SET lock_timeout = '10s'")
        other.execute("INSERT INTO tls_gone VALUES (1)")


def test_a_cancel_request_comes_over_tls_too(server: Served) -> None:
    with secured(server) as opened:
        opened.sendall(startup())
        (key,) = [body for kind, body in read_until_ready(opened) if kind == b"K"]
        opened.sendall(query("SELECT pg_sleep(30)"))
        time.sleep(0.2)
        began = time.monotonic()
        with secured(server) as canceller:
            canceller.sendall(struct.pack("!ii", 16, 80877102) + key)
            assert canceller.recv(1) == b""
        assert error_of(read_until_ready(opened))["C"] == "57014"
        assert time.monotonic() - began < 5


def test_notifications_reach_an_idle_session_over_tls(server: Served) -> None:
    with secret(server) as listener, secret(server) as sender:
        ask(listener, query("LISTEN tls_news"))
        for number in range(50):
            ask(sender, query(f"NOTIFY tls_news, '{number}'"))
            kind, body = read_message(listener)
            assert (kind, body[4:]) == (b"A", f"tls_news\0{number}\0".encode())
        # One that is in a transaction hears it afterwards.
        ask(listener, query("BEGIN"))
        ask(sender, query("NOTIFY tls_news, 'late'"))
        kinds = [kind for kind, _ in ask(listener, query("COMMIT"))]
        if b"A" not in kinds:
            assert read_message(listener)[0] == b"A"


def test_big_rows_in_both_directions(server: Served) -> None:
    with secret(server) as opened:
        opened.settimeout(60)
        (big,) = values(ask(opened, query("SELECT repeat('0123456789abcdef', 1 << 20)")))
        assert big == b"0123456789abcdef" * (1 << 20)
        text = "x" * (16 << 20)
        assert values(ask(opened, query(f"SELECT md5('{text}'), length('{text[:100]}')")))
        rows = values(ask(opened, query("SELECT g FROM generate_series(1, 200000) g")))
        assert rows == [str(g).encode() for g in range(1, 200001)]


def test_a_client_that_reads_slowly_gets_everything(server: Served) -> None:
    with secret(server) as opened:
        opened.settimeout(60)
        opened.sendall(query("SELECT g, repeat('y', 1000) FROM generate_series(1, 8000) g"))
        time.sleep(0.5)
        assert values(read_until_ready(opened)) == [str(g).encode() for g in range(1, 8001)]


def test_bytes_may_come_one_by_one_and_many_statements_at_once(server: Served) -> None:
    with secret(server) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in query("SELECT 'one by one'"):
            opened.sendall(bytes([byte]))
        assert values(read_until_ready(opened)) == [b"one by one"]
        opened.sendall(b"".join(query(f"SELECT {number}") for number in range(500)))
        found = [values(read_until_ready(opened)) for _ in range(500)]
        assert found == [[str(number).encode()] for number in range(500)]


def test_copy_in_and_out_over_tls(server: Served) -> None:
    uri = server.uri + "?sslmode=require"
    with psycopg.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE tls_copy (a int, b text)")
        with cursor.copy("COPY tls_copy FROM STDIN") as copy:
            for number in range(50_000):
                copy.write_row((number, f"row {number}" * 5))
        total = 0
        with cursor.copy("COPY tls_copy TO STDOUT") as copy:
            for _ in copy.rows():
                total += 1
        assert total == 50_000


def test_sessions_over_tls_side_by_side(server: Served) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                with secret(server) as opened:
                    for step in range(20):
                        wanted = f"{number} {turn} {step}"
                        assert values(ask(opened, query(f"SELECT '{wanted}'"))) == [wanted.encode()]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_error_before_the_session_is_told_inside_tls(server: Served) -> None:
    with secured(server) as opened:
        opened.sendall(startup("nobody_of_that_name"))
        # With trust PostgreSQL looks for the role when authentication is over.
        assert read_message(opened) == (b"R", b"\0\0\0\0")
        kind, body = read_message(opened)
        assert (kind, fields(body)["C"]) == (b"E", "28000")
        assert opened.recv(10) == b""
