"""The SQL port: accepts clients until it is closed, and ends those that are left."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from sixfold.engine.database import Database
from sixfold.server.config import ConfigError
from sixfold.server.connection import Connection, Durability
from sixfold.server.policy import Policy
from sixfold.wal.runtime import Runtime

BACKLOG = 1024
CLOSE_SECONDS = 2.0


class PortTaken(ConfigError):
    """The address can't be listened on; the message says why, in one line."""


class Listener:
    """Made by `listen`. `address` has the port that the system chose for port 0."""

    def __init__(self, server: asyncio.Server, current: Callable[[], Database], members: set[Connection]) -> None:
        self._server = server
        self._current = current
        self._members = members

    @property
    def port(self) -> int:
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    @property
    def connections(self) -> int:
        return len(self._members)

    async def close(self) -> None:
        """Accept no more, tell every client 57P01, close."""
        self._server.close()
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


async def listen(
    current: Callable[[], Database], durability: Durability, policy: Policy, runtime: Runtime, host: str, port: int
) -> Listener:
    """Raises PortTaken."""
    members: set[Connection] = set()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            lambda: Connection(current(), durability, policy, runtime, members),
            host,
            port,
            backlog=BACKLOG,
            reuse_address=True,
        )
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {_reason(error)}") from error
    for listening in server.sockets:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Listener(server, current, members)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another process"
    return error.strerror or str(error)
