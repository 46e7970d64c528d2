"""Plays scripts of several sessions against a server of PostgreSQL's protocol, and says what every step did: its rows and tag, its
SQLSTATE, or that it waits. Whether a step waits is asked of pg_locks, by a connection that takes no part.

A step is `session: statement`. `a: extended statement` sends it by the extended protocol, parameters none. After `a!:` the answer is waited
for, whatever it waits for: a time limit ends it.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg import pq

#: The watcher's own schema is left alone; everything else is in this one, anew for each script.
SCHEMA = "iso"
EXTENDED = "extended "
WAITING = "select distinct pid from pg_locks where not granted"
LIMIT = 20.0


class Stuck(Exception):
    """A step neither ended nor waited for a lock."""


@dataclass
class Session:
    """One connection and what it is busy with."""

    name: str
    conn: pq.PGconn
    busy: bool = False
    announced: bool = False
    lines: list[str] = field(default_factory=list)

    def send(self, statement: str) -> None:
        self.busy, self.announced, self.lines = True, False, []
        if statement.startswith(EXTENDED):
            self.conn.send_query_params(statement.removeprefix(EXTENDED).encode(), None)
        else:
            self.conn.send_query(statement.encode())

    def advance(self) -> bool:
        """Read what has come; is the step over?"""
        if not self.busy:
            return True
        try:
            self.conn.consume_input()
        except Exception:
            return self._gone()
        while not self.conn.is_busy():
            result = self.conn.get_result()
            if result is None:
                self.busy = False
                return True
            self.lines += shown(result)
            if result.status == pq.ExecStatus.FATAL_ERROR and self.conn.status == pq.ConnStatus.BAD:
                return self._gone()
        return False

    def _gone(self) -> bool:
        if not self.lines:
            self.lines.append("connection closed")
        self.busy = False
        return True


def shown(result: pq.abc.PGresult) -> list[str]:
    """Rows as `a|b`, sorted unless they are one; null is ∅. Then the tag where there is more to say than the rows do; or the error."""
    if result.status == pq.ExecStatus.TUPLES_OK:
        rows = sorted(
            "|".join(_cell(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        )
        tag = (result.command_status or b"").decode()
        return rows + ([f"({tag})"] if not tag.startswith(("SELECT", "FETCH", "SHOW")) or not rows else [])
    if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY):
        return [(result.command_status or b"").decode()]
    code = result.error_field(pq.DiagnosticField.SQLSTATE)
    text = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
    if code is None:
        return ["connection closed"]
    return [f"ERROR {code.decode()}: {(text or b'').decode()}"]


def _cell(value: bytes | None) -> str:
    return "∅" if value is None else value.decode()


class Target:
    """A server. `sure`: how long all that wait must have done so before it is taken for good, which must be more than its deadlock_timeout."""

    def __init__(self, uri: str, sure: float) -> None:
        self.uri = uri.encode()
        self.sure = sure
        self.watcher = self._connect()
        self.sessions: dict[str, Session] = {}

    def _connect(self) -> pq.PGconn:
        conn = pq.PGconn.connect(self.uri)
        if conn.status != pq.ConnStatus.OK:
            raise ConnectionError(conn.get_error_message())
        conn.notice_handler = None
        _must(conn, f"set search_path = {SCHEMA}")
        _must(conn, "set client_min_messages = error")
        return conn

    def reset(self) -> None:
        """No sessions but the watcher, and an empty schema."""
        pids = [session.conn.backend_pid for session in self.sessions.values()]
        for session in self.sessions.values():
            if session.busy:
                pq.PGcancel.cancel(session.conn.get_cancel())
            session.conn.finish()
        self.sessions = {}
        deadline = time.monotonic() + LIMIT
        known = ",".join(map(str, pids)) or "0"
        while self.ask(f"select pid from pg_stat_activity where pid in ({known})"):
            if time.monotonic() > deadline:
                raise Stuck("a session does not end")
            time.sleep(0.001)
        _must(self.watcher, f"drop schema if exists {SCHEMA} cascade")
        _must(self.watcher, f"create schema {SCHEMA}")

    def setup(self, statements: str) -> None:
        """On the watcher's connection."""
        _must(self.watcher, statements)

    def ask(self, query: str) -> list[str]:
        """Rows of a query of the watcher's."""
        result = _must(self.watcher, query)
        return shown(result)[: result.ntuples]

    def session(self, name: str) -> Session:
        """The session of this name; opened at first use."""
        if name not in self.sessions:
            self.sessions[name] = Session(name, self._connect())
        return self.sessions[name]

    def step(self, name: str, statement: str, patient: bool = False) -> list[str]:
        """What happens: this session's answer or that it waits, then what others answer that had been waiting."""
        session = self.session(name)
        if session.busy:
            raise ValueError(f"{name} still waits")
        session.send(statement)
        self.settle(session if patient else None)
        lines: list[str] = []
        for one in sorted(self.sessions.values(), key=lambda s: (s.name != name, s.name)):
            if one.busy and one is session:
                lines.append(f"{one.name} waits")
                one.announced = True
            elif not one.busy and one.lines:
                lines += [f"{one.name}: {line}" for line in one.lines]
                one.lines = []
        return lines

    def settle(self, ends: Session | None = None) -> None:
        """Until every busy session has ended its step, or waits (but for the one that must end)."""
        deadline = time.monotonic() + LIMIT
        since = None
        while busy := [session for session in self.sessions.values() if not session.advance()]:
            ready, _, _ = select.select([session.conn.socket for session in busy], [], [], 0.001)
            if ready:
                since = None
                continue
            now = time.monotonic()
            if now > deadline:
                raise Stuck(", ".join(session.name for session in busy))
            waiting = set(self.ask(WAITING))
            if ends in busy or not all(str(session.conn.backend_pid) in waiting for session in busy):
                since = None
            elif since is None:
                since = now
            elif now - since >= self.sure:
                return

    def close(self) -> None:
        for session in self.sessions.values():
            session.conn.finish()
        self.sessions = {}
        self.watcher.finish()


def _must(conn: pq.PGconn, statement: str) -> pq.abc.PGresult:
    result = conn.exec_(statement.encode())
    if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        raise ValueError(f"{statement}: {result.error_message.decode()}")
    return result


def tables(target: Target, names: Iterable[str]) -> list[str]:
    """What the tables have in the end."""
    return [f"{name}: {row}" for name in names for row in target.ask(f"table {name}")]
