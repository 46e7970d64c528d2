"""A reader of a volume: tails the writer's stream into its cache, serves read-only SQL at the VDL it has applied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sixfold.engine.database import Database
from sixfold.engine.errors import SqlError
from sixfold.kernel._kernel import KernelError, LogStreams, Volume
from sixfold.pagestore.reader import PageReader
from sixfold.server.config import ReaderConfig
from sixfold.server.prewarm import Prewarm
from sixfold.server.service import server_settings
from sixfold.server.writer_log import resolve
from sixfold.wal.logs import Logger
from sixfold.wal.runtime import Runtime
from sixfold.wal.stream import LogTailer
from sixfold.wal.volume import VolumeConfig

# Between attempts to open a database over a new volume.
OPEN_SECONDS = 0.2

log = Logger("sixfold.server")


class ReaderLog:
    """engine's `Log` on a reader: nothing is sent, and what is visible is durable."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._vdl = 0
        self._subscribed: list[Callable[[], None]] = []

    def linger(self) -> None:
        """A reader has no redo of its own."""

    def urge(self) -> None:
        """A reader has no redo of its own."""

    def when_durable(self, lsn: int, callback: Callable[[], None]) -> None:
        """Call back once the stream has brought VDL to `lsn`."""
        if lsn <= self._vdl:
            self._runtime.clock.call_soon(callback)
        else:
            self._waiting.append((lsn, callback))

    @property
    def carrier(self) -> LogStreams | None:
        """See `Durability`: the loop follows the writer's stream."""
        return None

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back whenever VDL has risen."""
        self._subscribed.append(callback)

    async def durable(self, lsn: int) -> None:
        """Wait until the stream has brought VDL to `lsn`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_durable(lsn, lambda: resolve(future))
        await future

    def moved(self, vdl: int) -> None:
        """VDL rose."""
        self._vdl = vdl
        if self._waiting:
            due = [callback for lsn, callback in self._waiting if lsn <= vdl]
            self._waiting = [(lsn, callback) for lsn, callback in self._waiting if lsn > vdl]
            for callback in due:
                callback()
        for callback in self._subscribed:
            callback()


class Reader:
    """After a gap in the stream it begins anew: new cache, new database, old sessions ended."""

    def __init__(self, runtime: Runtime, config: ReaderConfig, volume: VolumeConfig) -> None:
        self._runtime = runtime
        self._config = config
        self._options = server_settings(config.sql)
        self.log = ReaderLog(runtime)
        self.volume: Volume
        self.database: Database
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()
        self.tailer = LogTailer(
            runtime,
            config.writer,
            volume=config.volume_id,
            name=config.name,
            reset=self._reset,
            on_vdl=self._advanced,
            horizon=self._horizon,
        )
        self.pages = PageReader(runtime, volume, tail=self.tailer.tail)
        self._prewarm = Prewarm(config.volume_id)
        self._keeper = runtime.spawn(self._keep(), "reader database")

    async def opened(self) -> bool:
        """Returns when SQL can be served: the writer was heard, and the catalogue was read."""
        return await self._ready.wait()

    def current(self) -> Database:
        """The database for new connections."""
        return self.database

    def _reset(self, epoch: int, vdl: int) -> Volume:
        self.volume = Volume.open_reader(
            volume_id=self._config.volume_id,
            epoch=epoch,
            cache_bytes=self._config.sql.cache,
            vdl=vdl,
            pages_per_group=self._config.pages_per_group,
        )
        self._changed.set()
        return self.volume

    async def _keep(self) -> None:
        """Open a database over every new volume."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            before = getattr(self, "database", None)
            try:
                # Clients that come meanwhile still find the one before, which shows what it showed last.
                self.database = await Database.open(
                    self.volume, self.pages, self.log, self._runtime, options=self._options
                )
            except (OSError, SqlError, KernelError) as error:
                log.error("the catalogue can't be read yet", reason=getattr(error, "message", str(error)))
                self._changed.set()
                await self._runtime.clock.sleep(OPEN_SECONDS)
                continue
            self._ready.set()
            self._prewarm.begin(self.database)
            if before is not None:
                log.warning("the stream had a gap: this reader begins anew")
                await before.close()

    def _advanced(self, vdl: int) -> None:
        self.log.moved(vdl)
        if self._ready.is_set():
            self.database.woken()

    def _horizon(self) -> int:
        oldest = self.pages.oldest
        horizon = self.volume.horizon()
        return horizon if oldest is None else min(horizon, oldest)

    def status(self) -> dict[str, Any]:
        """For `cluster status`."""
        return {
            "role": "reader",
            "epoch": self.tailer.epoch,
            "vdl": self.tailer.vdl,
            "received": self.tailer.received,
            "lag_ms": self.tailer.lag_ms,
            "connected": self.tailer.connected,
            "last_error": self.tailer.last_error,
            "sessions": len(self.database.sessions) if self._ready.is_set() else 0,
        }

    async def close(self) -> None:
        """Stop tailing."""
        self._keeper.cancel()
        self._prewarm.end()
        self.tailer.close()
        self.pages.close()
