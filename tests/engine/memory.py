"""An engine in memory: a volume whose log is durable at once, for tests of everything above the log."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Awaitable
from typing import TypeVar

from sixfold.engine.database import Database
from sixfold.engine.embedded import Connection, Memory, Result
from sixfold.kernel._kernel import Volume
from sixfold.wal.real import RealClock, RealDisk
from sixfold.wal.runtime import Net, Runtime

T = TypeVar("T")
CACHE_BYTES = 256 << 20


class NoNet:
    """Nothing in memory talks to anyone."""


async def database() -> Database:
    """A new database."""
    volume = Volume.create(volume_id=1, epoch=1, cache_bytes=CACHE_BYTES)
    log = Memory(volume)
    net: Net = NoNet()  # type: ignore[assignment]
    folder = tempfile.mkdtemp(prefix="sixfold-engine-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    runtime = Runtime(RealClock(), net, RealDisk(folder))
    return await Database.open(volume, log, log, runtime)


class Script:
    """A database and its connections, driven from code that does not await."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.database = self.wait(database())
        self.connections: dict[str, Connection] = {}

    def wait(self, work: Awaitable[T]) -> T:
        """Run the loop until this is done."""
        return self.loop.run_until_complete(work)

    def connection(self, name: str = "") -> Connection:
        """The connection of this name; made at first use."""
        if name not in self.connections:
            self.connections[name] = self.wait(Connection(self.database).start())
        return self.connections[name]

    def query(self, text: str, name: str = "") -> list[Result]:
        """A simple Query."""
        return self.wait(self.connection(name).query(text))

    def rows(self, text: str, name: str = "") -> list[tuple[str | None, ...]]:
        """Rows of one statement that must succeed."""
        return self.wait(self.connection(name).fetch(text))

    def error(self, text: str, name: str = "") -> str:
        """SQLSTATE of one statement that must fail."""
        results = self.query(text, name)
        found = results[-1].error
        assert found is not None, f"{text} did not fail"
        return found["C"]

    def close(self) -> None:
        """End all sessions."""
        self.wait(self.database.close())
        self.loop.close()
