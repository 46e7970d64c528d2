"""SIGTERM with sessions in every state there is: it ends in time, with status 0, and what was committed is there afterwards."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from tests.server.test_bad_input import (
    message,
    raw,
    read_all,
    read_message,
    started,
    startup,
)
from tests.server.test_protocol import ask, query
from tests.server.test_tls import SSL_REQUEST, client_hello, secret, secured
from tests.support.sixfold import Served

# Two for closing what does not answer, and the rest for a machine that does other things too.
SECONDS = 10.0
Open = Callable[[Served, ExitStack], socket.socket]
STATES: dict[str, Open] = {}


def state(function: Open) -> Open:
    STATES[function.__name__.replace("_", " ")] = function
    return function


def sent(server: Served, stack: ExitStack, *texts: str) -> socket.socket:
    """A session whose statements are answered, but for the last one."""
    opened = stack.enter_context(started(server))
    for text in texts[:-1]:
        ask(opened, query(text))
    opened.sendall(query(texts[-1]))
    return opened


@state
def connected_and_silent(server: Served, stack: ExitStack) -> socket.socket:
    return stack.enter_context(raw(server))


@state
def half_a_startup_message(server: Served, stack: ExitStack) -> socket.socket:
    opened = stack.enter_context(raw(server))
    opened.sendall(startup()[:11])
    return opened


@state
def before_a_tls_handshake(server: Served, stack: ExitStack) -> socket.socket:
    opened = stack.enter_context(raw(server))
    opened.sendall(SSL_REQUEST)
    assert opened.recv(1) == b"S"
    return opened


@state
def in_a_tls_handshake(server: Served, stack: ExitStack) -> socket.socket:
    opened = before_a_tls_handshake(server, stack)
    opened.sendall(client_hello()[:40])
    return opened


@state
def tls_without_a_startup_message(server: Served, stack: ExitStack) -> socket.socket:
    return stack.enter_context(secured(server))


@state
def idle_over_tls(server: Served, stack: ExitStack) -> socket.socket:
    return stack.enter_context(secret(server))


@state
def idle(server: Served, stack: ExitStack) -> socket.socket:
    return stack.enter_context(started(server))


@state
def in_a_transaction(server: Served, stack: ExitStack) -> socket.socket:
    opened = idle(server, stack)
    ask(opened, query("BEGIN"))
    ask(opened, query("INSERT INTO kept VALUES (-1)"))
    return opened


@state
def in_a_failed_transaction(server: Served, stack: ExitStack) -> socket.socket:
    opened = in_a_transaction(server, stack)
    ask(opened, query("SELECT 1 / 0"))
    return opened


@state
def half_a_message(server: Served, stack: ExitStack) -> socket.socket:
    opened = idle(server, stack)
    opened.sendall(query("INSERT INTO kept VALUES (-2)")[:-7])
    return opened


@state
def half_a_pipeline(server: Served, stack: ExitStack) -> socket.socket:
    opened = idle(server, stack)
    text = b"\0INSERT INTO kept VALUES (-3)\0" + struct.pack("!h", 0)
    opened.sendall(message(b"P", text) + message(b"B", b"\0\0" + bytes(6)) + message(b"E", b"\0" + bytes(4)))
    opened.sendall(message(b"H", b""))
    return opened


@state
def asleep(server: Served, stack: ExitStack) -> socket.socket:
    return sent(server, stack, "SELECT pg_sleep(600)")


@state
def in_a_long_statement(server: Served, stack: ExitStack) -> socket.socket:
    return sent(server, stack, "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")


@state
def in_a_long_insert(server: Served, stack: ExitStack) -> socket.socket:
    return sent(server, stack, "INSERT INTO kept SELECT -g FROM generate_series(10, 100000000) g")


@state
def waiting_for_a_row(server: Served, stack: ExitStack) -> socket.socket:
    sent(server, stack, "BEGIN", "UPDATE kept SET a = a WHERE a = 1")
    time.sleep(0.1)
    return sent(server, stack, "UPDATE kept SET a = -4 WHERE a = 1")


@state
def waiting_for_a_table(server: Served, stack: ExitStack) -> socket.socket:
    sent(server, stack, "BEGIN", "LOCK TABLE locked")
    time.sleep(0.1)
    return sent(server, stack, "INSERT INTO locked VALUES (1)")


@state
def waiting_for_an_advisory_lock(server: Served, stack: ExitStack) -> socket.socket:
    sent(server, stack, "SELECT pg_advisory_lock(77)")
    time.sleep(0.1)
    return sent(server, stack, "SELECT pg_advisory_lock(77)")


@state
def copying_in(server: Served, stack: ExitStack) -> socket.socket:
    opened = sent(server, stack, "COPY kept FROM STDIN")
    assert read_message(opened)[0] == b"G"
    opened.sendall(message(b"d", b"-5\n-6\n"))
    return opened


@state
def copying_in_half_a_message(server: Served, stack: ExitStack) -> socket.socket:
    opened = copying_in(server, stack)
    opened.sendall(message(b"d", b"-7\n" * 1000)[:1500])
    return opened


@state
def copying_out_to_nobody(server: Served, stack: ExitStack) -> socket.socket:
    return sent(server, stack, "COPY (SELECT repeat('z', 1000) FROM generate_series(1, 1000000)) TO STDOUT")


@state
def answering_to_nobody(server: Served, stack: ExitStack) -> socket.socket:
    return sent(server, stack, "SELECT g, repeat('z', 1000) FROM generate_series(1, 1000000) g")


@state
def answering_to_nobody_over_tls(server: Served, stack: ExitStack) -> socket.socket:
    opened = idle_over_tls(server, stack)
    opened.sendall(query("SELECT g, repeat('z', 1000) FROM generate_series(1, 1000000) g"))
    return opened


@state
def asked_a_thousand_things_and_reading_nothing(server: Served, stack: ExitStack) -> socket.socket:
    opened = idle(server, stack)
    opened.sendall(b"".join(query("SELECT repeat('w', 10000)") for _ in range(1000)))
    return opened


@state
def listening(server: Served, stack: ExitStack) -> socket.socket:
    return sent(server, stack, "LISTEN shutdown_news", "SELECT 1")


@contextmanager
def prepared(folder: Path) -> Iterator[Served]:
    server = Served(folder, arguments=("--fsync", "off"))
    server.start()
    try:
        with psycopg.connect(server.uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (a int)")
            connection.execute("CREATE TABLE locked (a int)")
            connection.execute("INSERT INTO kept SELECT generate_series(1, 100)")
        yield server
    finally:
        server.stop()


def ends_in_time(server: Served) -> None:
    began = time.monotonic()
    assert server.stop() == 0, server.log[-3000:]
    assert time.monotonic() - began < SECONDS
    assert "Traceback" not in server.log, server.log[-3000:]


def nothing_of_them_is_there(server: Served) -> None:
    server.start()
    with psycopg.connect(server.uri) as connection:
        assert connection.execute("SELECT count(*), min(a) FROM kept").fetchone() == (100, 1)
        assert connection.execute("SELECT count(*) FROM locked").fetchone() == (0,)


# Those that listen to the server hear why they end.
TOLD = {
    "idle",
    "idle over tls",
    "in a transaction",
    "in a failed transaction",
    "asleep",
    "in a long statement",
    "waiting for a row",
    "waiting for a table",
    "listening",
}


def heard(opened: socket.socket) -> bytes:
    try:
        return read_all(opened)
    except ConnectionError:
        return b""


def test_every_state_ends_at_once_and_hears_why(tmp_path: Path) -> None:
    with prepared(tmp_path) as server, ExitStack() as stack:
        opened = {name: opening(server, stack) for name, opening in STATES.items()}
        time.sleep(0.5)
        ends_in_time(server)
        said = {name: heard(opened[name]) for name in TOLD}
        assert not [name for name in TOLD if b"C57P01\0" not in said[name]]
        nothing_of_them_is_there(server)
