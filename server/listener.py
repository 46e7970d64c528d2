"""The SQL port: accepts clients until it is closed, and ends those that are left."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

from sixfold.engine.database import Database
from sixfold.kernel._kernel import PanicException, Pump, Reactor
from sixfold.server.config import ConfigError
from sixfold.server.connection import Connection, Durability
from sixfold.server.policy import Policy
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Runtime

log = Logger("sixfold.server")

CLOSE_SECONDS = 2.0
# Clients' sockets are served by half of the processors, and by no more threads than kernel locks let work beside each other.
THREADS = max(1, min(4, (os.cpu_count() or 2) // 2))


# Descriptors that clients leave to the server's own files: journals, layers, temporary files, links to storage nodes and readers.
FILES = 256


def clients_max() -> int:
    """How many clients there may be. Takes all the descriptors that the system gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # then there are fewer
    return max(soft - FILES, soft // 2)


def sockets_max() -> int:
    """How many sockets of clients there are at most: some more, so that those beyond can be told why they are refused."""
    clients = clients_max()
    return clients + min(FILES, clients) // 4


class PortTaken(ConfigError):
    """The address can't be listened on; the message says why, in one line."""


class Listener:
    """Made by `listen`. `port` is the one that the system chose for port 0."""

    def __init__(
        self,
        reactor: Reactor,
        current: Callable[[], Database],
        durability: Durability,
        policy: Policy,
        runtime: Runtime,
    ) -> None:
        self._reactor = reactor
        self._current = current
        self._durability = durability
        self._policy = policy
        self._runtime = runtime
        self._members: set[Connection] = set()
        self._clients_max = clients_max()
        # By token; those that the reactor carries.
        self._carried: dict[int, Connection] = {}
        carrier = durability.carrier
        if carrier is not None:
            reactor.carry(carrier)
        else:
            durability.subscribe(reactor.durable)
        asyncio.get_running_loop().add_reader(reactor.fileno(), self._look)

    @property
    def port(self) -> int:
        return self._reactor.address[1]

    @property
    def connections(self) -> int:
        return len(self._members)

    def _look(self) -> None:
        """The reactor has something to say."""
        redo, notices = self._reactor.take()
        if redo:
            self._durability.urge()
        for kind, number, *rest in notices:
            try:
                self._deal(kind, number, rest)
            except (Exception, PanicException):
                # The others' notices must not be lost.
                log.exception("a connection is closed: it could not be served", notice=kind)
                if kind != "woken":
                    self._reactor.close(number, True)

    def _deal(self, kind: str, number: int, rest: list[Any]) -> None:
        if kind == "woken":
            self._current().waits.interrupt(number)
        elif kind == "accepted":
            self._accept(number, (rest[0], rest[1]))
        elif (connection := self._carried.get(number)) is None:
            return
        elif kind == "handed":
            connection.handed()
        elif kind == "drained":
            connection.drained()
        elif kind == "lost":
            del self._carried[number]
            connection.lost()

    def _accept(self, token: int, peer: tuple[str, int]) -> None:
        database = self._current()
        database.waits.elsewhere = self._reactor.wake
        connection = Connection(database, self._policy, self._runtime, self._members)
        self._carried[token] = connection
        # Who comes beyond is told so when it says who it is. Much beyond, the reactor closes it.
        connection.accepted(self._reactor, token, peer, crowded=len(self._members) >= self._clients_max)

    async def close(self) -> None:
        """Accept no more, tell every client 57P01, close."""
        self._reactor.stop_listening()
        await self._current().close()
        left = list(self._members)
        for connection in left:
            connection.close()
        if left:
            await asyncio.wait(
                [asyncio.ensure_future(connection.ended()) for connection in left], timeout=CLOSE_SECONDS
            )
        for connection in list(self._members):
            connection.abort()
        self._look()
        asyncio.get_running_loop().remove_reader(self._reactor.fileno())
        self._reactor.stop()


async def listen(
    current: Callable[[], Database], durability: Durability, policy: Policy, runtime: Runtime, host: str, port: int
) -> Listener:
    """Raises PortTaken."""
    try:
        reactor = Reactor(host, port, THREADS, Pump.GATHER_BYTES, sockets_max())
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {_reason(error)}") from error
    return Listener(reactor, current, durability, policy, runtime)


def check_address(host: str, port: int) -> None:
    """Raises PortTaken where `listen` would: when none of the host's addresses can be listened at."""
    failure: OSError | None = None
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        failure, addresses = error, []
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
                return
            except OSError as error:
                failure = error
    raise PortTaken(f"cannot listen on {host}:{port}: {_reason(failure)}") from failure


def _reason(error: OSError | None) -> str:
    if error is None:
        return "the host has no address"
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another process"
    return error.strerror or str(error)
