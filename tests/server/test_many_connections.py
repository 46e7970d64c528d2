"""More clients than there are descriptors, a thousand that say nothing, and some that never will."""

from __future__ import annotations

import os
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.server.test_bad_input import (
    error_of,
    fields,
    raw,
    read_message,
    read_until_ready,
    started,
    startup,
    still_answers,
)
from tests.server.test_parallel_sessions import eventually
from tests.server.test_protocol import ask, query, values
from tests.server.test_tls import SSL_REQUEST, client_hello
from tests.support.sixfold import Served, served

IDLE = 1000
# What an idle connection may cost.
BYTES_EACH = 64 << 10


def memory(server: Served) -> int:
    assert server.process is not None
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def processor_seconds(server: Served) -> float:
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def few_descriptors(server: Served, more: int) -> Iterator[None]:
    """The server may open so many more."""
    assert server.process is not None
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken + more, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def comes_in(server: Served, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return still_answers(server)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline


def test_without_descriptors_the_server_waits_for_one_and_does_not_spin() -> None:
    with served("--fsync", "off") as server, ExitStack() as stack:
        first = stack.enter_context(started(server))
        ask(first, query("CREATE TABLE few (a int)"))
        with few_descriptors(server, 10):
            inside = [stack.enter_context(raw(server)) for _ in range(40)]
            time.sleep(0.5)
            began = processor_seconds(server)
            time.sleep(2.0)
            assert processor_seconds(server) - began < 0.6
            # Who is in is served, commits go on.
            for number in range(20):
                ask(first, query(f"INSERT INTO few VALUES ({number})"))
            assert values(ask(first, query("SELECT a FROM few"))) == [str(number).encode() for number in range(20)]
            # What needs a file of the server's for the first time is refused by name, or works.
            answer = ask(first, query("SELECT count(*), max(a) FROM few"))
            assert values(answer) == [b"20"] or error_of(answer)["C"] == "53000"
            served_now = 0
            for opened in inside:
                opened.sendall(startup())
            for opened in inside[:5]:
                read_until_ready(opened)
                served_now += 1
            assert served_now == 5
            for opened in inside:
                opened.close()
            # Those have given theirs back: the rest, and others, come in although there are no more than before.
            comes_in(server)
        comes_in(server)


def test_clients_leave_descriptors_to_the_server(tmp_path: Path) -> None:
    server = Served(tmp_path, arguments=("--fsync", "off"), prefix=("prlimit", "--nofile=240:240"))
    server.start()
    try:
        with ExitStack() as stack:
            first = stack.enter_context(started(server))
            refused = 0
            for _ in range(140):
                opened = stack.enter_context(raw(server))
                opened.sendall(startup())
                kind, body = read_message(opened)
                if kind == b"E":
                    assert fields(body)["C"] == "53300" and fields(body)["S"] == "FATAL"
                    refused += 1
            assert 15 < refused < 60
            # Much beyond.
            for _ in range(150):
                silent(server, stack)
            ask(first, query("CREATE TABLE left_over (a int)"))
            put = ask(first, query("INSERT INTO left_over SELECT generate_series(1, 100000)"))
            assert (b"C", b"INSERT 0 100000\x00") in put, put
            ask(first, query("SET work_mem = '64kB'"))
            assert values(ask(first, query("SELECT count(DISTINCT a) FROM left_over"))) == [b"100000"]
        comes_in(server)
        assert "Traceback" not in server.log
    finally:
        assert server.stop() == 0


def test_a_thousand_idle_connections_cost_little() -> None:
    # One that has nothing else to do.
    with served("--fsync", "off") as server, ExitStack() as stack:
        # What the first ones make is for all.
        for _ in range(50):
            stack.enter_context(started(server))
        before = memory(server)
        opened = [stack.enter_context(started(server)) for _ in range(IDLE)]
        each = (memory(server) - before) / IDLE
        print(f"an idle connection costs {each / 1024:.1f} kB")
        assert each < BYTES_EACH
        began = processor_seconds(server)
        time.sleep(1.0)
        assert processor_seconds(server) - began < 0.3
        for one in opened[::97]:
            assert values(ask(one, query("SELECT 'here'"))) == [b"here"]
        still_answers(server)


def silent(server: Served, stack: ExitStack) -> socket.socket:
    return stack.enter_context(raw(server))


def byte_by_byte(server: Served, stack: ExitStack) -> socket.socket:
    opened = silent(server, stack)
    opened.sendall(startup()[:9])
    return opened


def silent_before_tls(server: Served, stack: ExitStack) -> socket.socket:
    opened = silent(server, stack)
    opened.sendall(SSL_REQUEST)
    assert opened.recv(1) == b"S"
    return opened


def in_a_handshake(server: Served, stack: ExitStack) -> socket.socket:
    opened = silent_before_tls(server, stack)
    opened.sendall(client_hello()[:50])
    return opened


def without_its_password(server: Served, stack: ExitStack) -> socket.socket:
    opened = silent(server, stack)
    opened.sendall(startup())
    assert opened.recv(1) == b"R"
    return opened


def test_who_does_not_log_in_in_time_is_closed() -> None:
    ways = (silent, byte_by_byte, silent_before_tls, in_a_handshake, without_its_password)
    with (
        served("--fsync", "off", "--auth", "scram-sha-256", "-c", "authentication_timeout=2") as server,
        ExitStack() as stack,
    ):
        began = time.monotonic()
        waiting = [way(server, stack) for way in ways]
        for opened, way in zip(waiting, ways, strict=True):
            opened.settimeout(15)
            if way is byte_by_byte:
                # Something now and then is no reason to wait longer.
                time.sleep(0.5)
                opened.sendall(startup()[9:10])
            try:
                while opened.recv(4096):
                    pass
            except ConnectionError:
                pass
        assert 1.5 < time.monotonic() - began < 10


def test_who_has_logged_in_is_not_closed_by_that_time() -> None:
    with served("--fsync", "off", "-c", "authentication_timeout=1") as server, started(server) as opened:
        time.sleep(2.0)
        assert values(ask(opened, query("SHOW authentication_timeout"))) == [b"1s"]


@pytest.mark.parametrize("wrong", ["0", "-1", "soon"])
def test_a_time_out_of_no_use_is_refused(wrong: str) -> None:
    with pytest.raises(RuntimeError, match="authentication_timeout"), served("-c", f"authentication_timeout={wrong}"):
        pass


def test_a_client_whose_machine_is_gone_is_noticed(server: Served) -> None:
    """Its end never comes: the system asks after it, as PostgreSQL has it do."""
    with psycopg.connect(server.uri) as connection:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as known:
            client = known.getsockname()[1]
        ends = [f"0100007F:{server.port:04X}", f"0100007F:{client:04X}"]

        def timer() -> str:
            """Field `tr` of the server's end: 01 while something is not confirmed, 02 for the keepalive timer, else 00."""
            listed = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            return next(fields[5][:2] for fields in listed if fields[1:3] == ends)

        eventually(lambda: timer() == "02", "the keepalive timer")
