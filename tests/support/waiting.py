"""Clients of a cluster whose log stands still: what waits, and what does not."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.support.sixfold import Cluster

# Half of the storage nodes: without them there is no write quorum.
HANGING = ("node-a1", "node-b1", "node-c1")
# Long enough for a statement that waits for nothing.
SOON = 1.0


class Call:
    """Something that may have to wait."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.outcome: Any = None
        self.error: Exception | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._work()
        except Exception as error:  # the test looks at it
            self.error = error

    @property
    def waits(self) -> bool:
        self._thread.join(SOON)
        return self._thread.is_alive()

    def over(self, within_s: float = 30) -> None:
        self._thread.join(within_s)
        assert not self._thread.is_alive()

    def ended(self, within_s: float = 30) -> Any:
        self.over(within_s)
        if self.error is not None:
            raise self.error
        return self.outcome


class Client:
    """A session in which each statement commits unless a block is open."""

    def __init__(self, cluster: Cluster, prepare: bool = True) -> None:
        self.connection = psycopg.connect(cluster.uri, autocommit=True)
        # The extended-query protocol, or the simple one.
        self.prepare = prepare

    def call(self, statement: str) -> Call:
        return Call(lambda: self.run(statement))

    def run(self, statement: str) -> Any:
        prepare = self.prepare
        cursor = self.connection.execute(statement, () if prepare else None, prepare=prepare)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else cursor.statusmessage

    def disconnect(self, call: Call) -> None:
        """Reset the connection, as when a client is killed with answers that it has not read. `call` waits on it."""
        with socket.socket(fileno=os.dup(self.connection.fileno())) as plug:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plug.shutdown(socket.SHUT_RDWR)
            # libpq's connection is not for two threads at once.
            call.over()
            self.connection.close()

    def at_once(self, statement: str) -> Any:
        call = self.call(statement)
        assert not call.waits, statement
        return call.ended()


@contextmanager
def clients(cluster: Cluster, count: int) -> Iterator[list[Client]]:
    opened = [Client(cluster) for _ in range(count)]
    try:
        yield opened
    finally:
        cluster.resume(*HANGING)
        for one in opened:
            one.connection.close()
