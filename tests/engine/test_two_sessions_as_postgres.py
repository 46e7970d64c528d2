"""Two sessions at once leave and answer what they do on a real PostgreSQL 15: foreign keys, unique keys and changed rows, under READ
COMMITTED and REPEATABLE READ.

A scenario is a list of steps, `session: statement`; after `session~` the statement must wait, and its answer is taken when it comes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import psycopg
import pytest

from sixfold.engine.embedded import Result
from tests.engine.memory import Script
from tests.engine.test_same_as_postgres import Answer, asked
from tests.support.postgres import Postgres, available, postgres

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not available(), reason="postgresql-15 is not installed"),
]

SCENARIOS = Path(__file__).parent / "queries" / "two_sessions.txt"
LEVELS = ("read committed", "repeatable read")
WAITING = 0.15


def scenarios() -> dict[str, list[tuple[str, bool, str]]]:
    """By title: (session, must wait, statement)."""
    found: dict[str, list[tuple[str, bool, str]]] = {}
    steps: list[tuple[str, bool, str]] = []
    for line in SCENARIOS.read_text().splitlines():
        if line.startswith("# "):
            steps = found.setdefault(line[2:], [])
        elif line.strip():
            who, _, statement = line.partition(": ")
            steps.append((who.rstrip("~"), who.endswith("~"), statement))
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """PostgreSQL."""
    with postgres({"fsync": "off", "deadlock_timeout": "10s"}) as started:
        yield started


class Reference:
    """Sessions of PostgreSQL, each statement in a thread of its own."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.sessions: dict[str, psycopg.Connection] = {}

    def send(self, who: str, statement: str) -> Future[Answer]:
        if who not in self.sessions:
            self.sessions[who] = psycopg.connect(self.uri, autocommit=True)
        answer: Future[Answer] = Future()

        def run() -> None:
            answer.set_result(asked(self.sessions[who], statement))

        threading.Thread(target=run, daemon=True).start()
        return answer

    def waits(self, answer: Future[Answer]) -> bool:
        """Does it wait?"""
        try:
            answer.result(WAITING)
        except TimeoutError:
            return True
        return False

    def result(self, answer: Future[Answer]) -> Answer:
        return answer.result(20)

    def close(self) -> None:
        for session in self.sessions.values():
            session.close()


class Ours:
    """The same over an engine in memory."""

    def __init__(self) -> None:
        self.script = Script()

    def send(self, who: str, statement: str) -> asyncio.Task[list[Result]]:
        connection = self.script.connection(who)
        return self.script.loop.create_task(connection.query(statement))

    def waits(self, answer: asyncio.Task[list[Result]]) -> bool:
        done, _ = self.script.wait(asyncio.wait({answer}, timeout=WAITING))
        return not done

    def result(self, answer: asyncio.Task[list[Result]]) -> Answer:
        result = self.script.wait(asyncio.wait_for(answer, 20))[-1]
        if result.error is not None:
            return tuple(result.error.get(letter) for letter in "CMD")
        return sorted(result.rows, key=repr), result.tag

    def close(self) -> None:
        self.script.close()


def played(target: Reference | Ours, steps: list[tuple[str, bool, str]], level: str) -> list[Answer]:
    """What every step answered; one that should have waited and did not says so."""
    waiting: dict[str, tuple[int, object]] = {}
    answers: list[Answer] = []

    def settle(who: str) -> None:
        if who in waiting:
            place, sent = waiting.pop(who)
            answers[place] += target.result(sent)  # type: ignore[arg-type]

    for who, waits, statement in steps:
        settle(who)
        sent = target.send(who, statement.replace("LEVEL", level))
        if waits and target.waits(sent):  # type: ignore[arg-type]
            waiting[who] = (len(answers), sent)
            answers.append(("waited",))
        else:
            answers.append(target.result(sent))  # type: ignore[arg-type]
    for who in list(waiting):
        settle(who)
    return answers


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("title", scenarios())
def test_two_sessions_end_as_on_postgresql(server: Postgres, title: str, level: str) -> None:
    steps = scenarios()[title]
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("drop schema if exists public cascade")
        connection.execute("create schema public")
    reference, ours = Reference(server.uri), Ours()
    try:
        expected, answers = played(reference, steps, level), played(ours, steps, level)
    finally:
        reference.close()
        ours.close()
    wrong = [
        f"{who}: {statement}\n  PostgreSQL {there}\n  Sixfold    {here}"
        for (who, _, statement), there, here in zip(steps, expected, answers, strict=True)
        if there != here
    ]
    assert not wrong, "\n".join(wrong)
