"""Clients that remember what was acknowledged to them, so that a test can ask for it after a crash."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import psycopg


@dataclass
class Ledger:
    """Each client inserts (client, number) and moves an amount between two accounts, in one transaction."""

    uri: str
    clients: int = 4
    # Where several ledgers share the tables, each has numbers of its own for its clients.
    first_client: int = 0
    # Where its threads make their connections.
    inside: Callable[[], AbstractContextManager[None]] = nullcontext
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    # Sent, but the connection broke before an answer: may be there or not.
    unknown: set[tuple[int, int]] = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)
    longest_gap_s: float = 0.0
    _numbers: dict[int, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self) -> None:
        with self.inside(), psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE ledger (client int, number int, PRIMARY KEY (client, number))")
            connection.execute("CREATE TABLE balances (id int PRIMARY KEY, amount int NOT NULL)")
            connection.execute("INSERT INTO balances SELECT id, 0 FROM generate_series(1, 20) AS id")

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._run, args=(self.first_client + i,)) for i in range(self.clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def count(self) -> int:
        with self._lock:
            return len(self.acknowledged)

    def _run(self, client: int) -> None:
        self._numbers[client] = 0
        while not self._stop.is_set():
            try:
                with self.inside(), psycopg.connect(self.uri, autocommit=True, connect_timeout=5) as connection:
                    self._transactions(connection, client, self._numbers[client])
            except psycopg.OperationalError:
                time.sleep(0.01)
            except psycopg.Error as error:
                self.unexpected.append(f"{error.sqlstate}: {error}")
                return

    def _transactions(self, connection: psycopg.Connection[tuple[object, ...]], client: int, number: int) -> None:
        last = time.monotonic()
        while not self._stop.is_set():
            number += 1
            key = (client, number)
            with self._lock:
                self.unknown.add(key)
            one, other = 1 + (client * 7 + number) % 20, 1 + (client * 3 + number * 5) % 20
            first, second = sorted((one, other))
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO ledger VALUES (%s, %s)", key)
                    connection.execute("UPDATE balances SET amount = amount - 1 WHERE id = %s", (first,))
                    connection.execute("UPDATE balances SET amount = amount + 1 WHERE id = %s", (second,))
            except psycopg.OperationalError:
                self._numbers[client] = number
                raise
            now = time.monotonic()
            with self._lock:
                self.unknown.discard(key)
                self.acknowledged.add(key)
                self.longest_gap_s = max(self.longest_gap_s, now - last)
            last = now

    def check(self) -> None:
        """Every acknowledged transaction is there, whole; nothing else is but what was under way."""
        with self.inside(), psycopg.connect(self.uri) as connection:
            rows = connection.execute(
                "SELECT client, number FROM ledger WHERE client >= %s AND client < %s",
                (self.first_client, self.first_client + self.clients),
            ).fetchall()
            total = connection.execute("SELECT sum(amount) FROM balances").fetchone()
        there = {(int(str(a)), int(str(b))) for a, b in rows}
        assert len(there) == len(rows), "a row is there twice"
        assert self.acknowledged <= there, f"lost: {sorted(self.acknowledged - there)[:10]}"
        assert there <= self.acknowledged | self.unknown, f"from nowhere: {sorted(there - self.acknowledged)[:10]}"
        assert total == (0,), "half of a transaction is there"
        assert not self.unexpected, self.unexpected[:3]
