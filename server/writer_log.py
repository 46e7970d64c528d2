"""Who waits for durability on a writer: a heap of (LSN, callback), served whenever VDL rises."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from sixfold.kernel._kernel import LogStreams, Volume
from sixfold.pagestore.client import LogPump


class WriterLog:
    """engine's `Log` over the pump that sends redo to the page store."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._pump: LogPump | None = None
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._subscribed: list[Callable[[], None]] = []

    def attach(self, pump: LogPump) -> None:
        """From now on redo is sent."""
        self._pump = pump
        pump.urge()
        if self._waiting:
            pump.watch(self._waiting[0][0])

    @property
    def carrier(self) -> LogStreams | None:
        """The threads that carry the log, if there are any."""
        return None if self._pump is None else self._pump.carrier

    def linger(self) -> None:
        """The volume may have redo to send; nobody waits for it yet."""
        if self._pump is not None:
            self._pump.linger()

    def urge(self) -> None:
        """Somebody waits for the redo so far."""
        if self._pump is not None:
            self._pump.urge()

    def when_durable(self, lsn: int, callback: Callable[[], None]) -> None:
        """Call back once, as soon as `volume.vdl >= lsn`, in the order of LSNs."""
        heapq.heappush(self._waiting, (lsn, next(self._numbers), callback))
        self.urge()
        if self._pump is not None:
            self._pump.watch(self._waiting[0][0])

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back whenever VDL has risen."""
        self._subscribed.append(callback)

    async def durable(self, lsn: int) -> None:
        """Wait until `volume.vdl >= lsn`."""
        if self._volume.vdl >= lsn:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_durable(lsn, lambda: resolve(future))
        await future

    def moved(self, vdl: int) -> None:
        """VDL rose: call those back whom it has reached."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= vdl:
            heapq.heappop(waiting)[2]()
        if waiting and self._pump is not None:
            self._pump.watch(waiting[0][0])
        for callback in self._subscribed:
            callback()


def resolve(future: asyncio.Future[None]) -> None:
    """Wake whoever waits, unless they gave up."""
    if not future.done():
        future.set_result(None)
