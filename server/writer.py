"""The writer of a volume: recovery, the kernel's volume, the log, the database over them."""

from __future__ import annotations

import asyncio
from typing import Any

from sixfold.engine.autovacuum import Autovacuum
from sixfold.engine.database import Database
from sixfold.kernel._kernel import KernelError, Volume
from sixfold.pagestore.client import LogPump, LogSender, start_pump
from sixfold.pagestore.reader import PageReader
from sixfold.server.prewarm import Prewarm
from sixfold.server.writer_log import WriterLog
from sixfold.wal.logs import Logger
from sixfold.wal.recovery import Recovered, Recovery, RecoveryFailed
from sixfold.wal.runtime import Runtime
from sixfold.wal.stream import LogPublisher
from sixfold.wal.volume import VolumeConfig

log = Logger("sixfold.server")

# How often the kernel learns what readers may still ask for.
HORIZON_SECONDS = 0.1
LSN_MAX = (1 << 64) - 1


class Writer:
    """Made by `Writer.open`. `fenced` is set when a newer writer has taken over: this one must end."""

    def __init__(self, runtime: Runtime, config: VolumeConfig, recovered: Recovered, cache_bytes: int) -> None:
        self.runtime = runtime
        self.config = config
        self.recovered = recovered
        self.fenced = asyncio.Event()
        self.volume = self._open_volume(cache_bytes)
        self.log = WriterLog(self.volume)
        self.pump: LogPump
        self.sender: LogSender
        self.pages: PageReader
        self.publisher: LogPublisher
        self.database: Database
        self.autovacuum: Autovacuum
        self.prewarm = Prewarm(config.volume)
        self._closed = False
        self._complete = False

    @classmethod
    async def open(
        cls,
        runtime: Runtime,
        config: VolumeConfig,
        cache_bytes: int,
        *,
        create: bool,
        options: dict[str, str],
        carried: bool = False,
    ) -> Writer:
        """Become the writer. `create`: the volume may not exist yet. `carried`: see `start_pump`. Raises RecoveryFailed."""
        recovered = await Recovery(runtime, config).run(create=create)
        writer = cls(runtime, config, recovered, cache_bytes)
        writer.pump, writer.sender = start_pump(
            runtime,
            config,
            recovered,
            writer.volume,
            on_durable=writer._durable,
            on_fenced=writer._fenced,
            pgmrpl=writer.horizon,
            carried=carried,
        )
        tracker = writer.sender.tracker
        writer.publisher = LogPublisher(
            runtime, volume=config.volume, epoch=recovered.epoch, vdl=recovered.vdl, tails=tracker.tails
        )
        writer.pump.on_flush = writer.publisher.flush
        writer.publisher.before_first = writer.pump.attend
        writer.pages = PageReader(runtime, config, tail=tracker.tail, scls=tracker.scls)
        writer.log.attach(writer.pump)
        runtime.spawn(writer._keep_horizon(), "readers' horizon")
        writer.database = await writer._open_database(options)
        writer._complete = True
        writer.autovacuum = Autovacuum(writer.database)
        writer.autovacuum.start()
        writer.prewarm.begin(writer.database)
        return writer

    async def _open_database(self, options: dict[str, str]) -> Database:
        """Unless a newer writer takes the volume over meanwhile: then what this one waits for never comes."""
        opening = asyncio.ensure_future(Database.open(self.volume, self.pages, self.log, self.runtime, options=options))
        fenced = asyncio.ensure_future(self.fenced.wait())
        try:
            await asyncio.wait([opening, fenced], return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                await self.close()
                raise RecoveryFailed("a newer writer has taken the volume over", fenced=True)
            try:
                return opening.result()
            except KernelError as error:
                raise RecoveryFailed(f"the volume cannot be opened: {error.args[1]}") from error
        finally:
            opening.cancel()
            fenced.cancel()

    def _open_volume(self, cache_bytes: int) -> Volume:
        found, config = self.recovered, self.config
        common: dict[str, Any] = {
            "volume_id": config.volume,
            "epoch": found.epoch,
            "cache_bytes": cache_bytes,
            "pages_per_group": config.pages_per_group,
        }
        if found.end == 0:
            return Volume.create(**common)
        volume = Volume.open(**common, vdl=found.vdl, tail=found.vdl)
        for group, tail in found.tails.items():
            volume.set_prev(group, tail)
        return volume

    def current(self) -> Database:
        """The database for new connections."""
        return self.database

    def horizon(self) -> int:
        """PGMRPL: what this node's sessions and page reads may still ask for."""
        bounds = [self.volume.horizon()]
        if self._complete:
            bounds += [lsn for lsn in (self.pages.oldest, self.publisher.oldest) if lsn is not None]
        return min(bounds)

    async def _keep_horizon(self) -> None:
        """The writer prunes nothing that a reader may see."""
        self.publisher.on_reader = self._bound_horizon
        while not self._closed:
            self._bound_horizon()
            await self.runtime.clock.sleep(HORIZON_SECONDS)

    def _bound_horizon(self) -> None:
        oldest = self.publisher.oldest
        self.volume.set_external_horizon(LSN_MAX if oldest is None else oldest)

    def _durable(self, vdl: int) -> None:
        self.log.moved(vdl)
        self.publisher.advance(vdl)
        if self._complete:
            self.database.woken()

    def _fenced(self, epoch: int) -> None:
        log.error("a newer writer has taken this volume over; this one ends", epoch=epoch)
        self.fenced.set()

    def status(self) -> dict[str, Any]:
        """For `cluster status`."""
        return {
            "role": "writer",
            "epoch": self.recovered.epoch,
            "vdl": self.volume.vdl,
            "tail": self.volume.tail,
            "sessions": len(self.database.sessions),
            "members": self.sender.status(),
            "readers": self.publisher.status(),
        }

    async def close(self) -> None:
        """Stop sending. Whatever was acknowledged is durable already."""
        if not self._closed:
            self._closed = True
            if self._complete:
                self.autovacuum.stop()
                self.prewarm.end()
            self.publisher.close()
            self.sender.close()
            self.pages.close()
