"""The writer's side of the page store: sends batches to all members, counts acknowledgements, and never waits for a slow one.

What goes out when is the kernel's `Pump`'s to say, what is durable its `QuorumTracker`'s. Where storage nodes are within reach of threads
without Python, `LogStreams` carries the log; else the event loop does. Connections are made and lost here in both cases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sixfold.kernel import _kernel
from sixfold.pagestore import wire
from sixfold.wal.real import TcpConnection, hand_over
from sixfold.wal.recovery import Recovered, tracker
from sixfold.wal.rpc import RemoteError, Rpc, dial
from sixfold.wal.runtime import ConnectionLost, Runtime
from sixfold.wal.volume import VolumeConfig

# A member with more than this unsent is dropped from the stream; gossip heals it.
_BUFFERED_MAX = 32 << 20
_RECONNECT_SECONDS = 0.1
# While nothing is written, nodes still learn VDL and PGMRPL this often.
_HINT_SECONDS = 0.2


class Stream:
    """One member's log stream."""

    def __init__(self, sender: LogSender, member: int) -> None:
        self.sender = sender
        self.member = member
        self.rpc: Rpc | None = None
        self.up = False
        self.dropped = 0
        self.last_error = ""
        # Acknowledgements that came behind the answer to hello, before that answer was read: they know more than it does.
        self._early: list[bytes] = []
        # The member's threads serve this connection from now on.
        self._joined: asyncio.Future[None] | None = None

    async def _attach(self) -> None:
        """From now on flushes go to this member, those first that no quorum has: they may live in this process only."""
        sender, rpc = self.sender, self.rpc
        assert rpc is not None
        if sender.carrier is None:
            for message in sender.pump.outstanding():
                self.send(message)
            return
        if isinstance(rpc.connection, TcpConnection):
            self._joined = asyncio.get_running_loop().create_future()
            rpc.send(wire.JOIN.pack(b"J", sender.config.volume))
            async with asyncio.timeout(5.0):
                await self._joined
            sender.carrier.link(self.member, hand_over(rpc.connection, sender.carrier.door()))
            return
        offered = rpc.connection.offered
        if offered is None or not sender.carrier.attach(self.member, offered[0], sender.config.volume, offered[1]):
            raise ConnectionLost("another writer has come meanwhile")

    def send(self, message: bytes) -> None:
        """Hand a flush over, unless the member is down or drowning."""
        rpc = self.rpc
        if rpc is None or not self.up:
            return
        if rpc.connection.buffered > _BUFFERED_MAX:
            self.too_slow()
            self.up = False
            rpc.connection.abort()
            return
        rpc.send(message)

    async def run(self) -> None:
        """Keep connected for as long as the sender lives."""
        sender = self.sender
        clock = sender.runtime.clock
        while not sender.closed:
            if not self.up and (self.rpc is None or self.rpc.connection.closed):
                try:
                    await self._connect()
                except RemoteError as error:
                    self.last_error = str(error)
                    if error.code == "stale":
                        sender.fence(int(error.data or 0))
                        return
                    if error.code == "unknown volume":
                        await self._create()
                    if self.rpc is not None:
                        # Whatever was refused is tried again, on a new connection.
                        self.rpc.close()
                except ConnectionLost as error:
                    self.last_error = str(error)
            await clock.sleep(_RECONNECT_SECONDS)

    async def _create(self) -> None:
        """The member lost its disk, or is new: it begins empty and fills by gossip."""
        config = self.sender.config
        if self.rpc is not None:
            try:
                params = {"volume": config.volume, "pages_per_group": config.pages_per_group}
                await self.rpc.call("create", params)
            except (ConnectionLost, RemoteError) as error:
                self.last_error = str(error)

    async def _connect(self) -> None:
        sender = self.sender
        address = sender.config.members[self.member].address
        self._early.clear()
        rpc = await dial(sender.runtime, address, on_raw=self._message, on_close=self.lost, timeout=2.0)
        self.rpc = rpc
        params = {
            "volume": sender.config.volume,
            "epoch": sender.epoch,
            "owner": sender.owner,
            "voids": sender.voids,
            "tails": sender.tracker.tails(),
            "vdl": sender.tracker.vcl,
            "pgmrpl": sender.pgmrpl(),
        }
        try:
            scls = await rpc.call("hello", params, timeout=5.0)
        except ConnectionLost:
            rpc.connection.abort()
            raise
        if rpc.connection.closed:
            # Lost between the answer's arrival and now.
            raise ConnectionLost(f"the connection to {address} was lost")
        for group, scl in scls:
            sender.tracker.set_scl(self.member, group, scl)
        for entries in self._early:
            sender.tracker.ack(self.member, entries)
        self.up = True
        try:
            await self._attach()
        except (ConnectionLost, OSError, TimeoutError) as error:
            self.up = False
            rpc.connection.abort()
            raise ConnectionLost(str(error) or f"{address} did not answer in time") from error
        sender.moved()

    def _message(self, message: bytes) -> None:
        kind = message[0]
        if kind == 65:  # A
            if not self.up:
                self._early.append(message[9:])
            elif self.sender.tracker.ack(self.member, message[9:]):
                self.sender.moved()
        elif kind == 88:  # X
            self.refused(message)
        elif kind == 74 and self._joined is not None and not self._joined.done():  # J
            self._joined.set_result(None)

    def refused(self, message: bytes) -> None:
        """The member does not take what it was sent."""
        _, _, epoch = wire.REFUSED_HEAD.unpack_from(message)
        self.last_error = message[wire.REFUSED_HEAD.size :].decode(errors="replace")
        if epoch > self.sender.epoch:
            self.sender.fence(epoch)
        elif self.rpc is not None:
            # It does not know our epoch's void ranges: say hello again.
            self.lost()
            self.rpc.connection.abort()

    def too_slow(self) -> None:
        """The member did not take what it was sent."""
        self.dropped += 1
        self.last_error = "too slow: dropped from the stream"

    def lost(self) -> None:
        """The connection is over."""
        self.up = False
        if self._joined is not None and not self._joined.done():
            self._joined.set_exception(ConnectionLost("the connection was lost"))
        if self.sender.carrier is not None:
            self.sender.carrier.detach(self.member)


class LogSender:
    """Sends flushes and learns when they are durable. `on_vdl` is called whenever VDL rises, `on_fenced` once, with the newer epoch."""

    def __init__(
        self,
        runtime: Runtime,
        config: VolumeConfig,
        recovered: Recovered,
        *,
        on_vdl: Callable[[int], None],
        on_fenced: Callable[[int], None],
        pgmrpl: Callable[[], int] | None = None,
    ) -> None:
        self.runtime = runtime
        self.config = config
        self.epoch = recovered.epoch
        self.owner = recovered.owner
        self.voids = recovered.voids
        self.tracker: _kernel.QuorumTracker = tracker(config, recovered)
        self.closed = False
        self.fenced = False
        self._on_vdl = on_vdl
        self._on_fenced = on_fenced
        self._pgmrpl = pgmrpl
        self._known_pgmrpl = 0
        self.pump = _kernel.Pump(recovered.vdl)
        # Threads that carry the log, where there are any.
        self.carrier: _kernel.LogStreams | None = None
        self._hinted = 0
        self.streams = [Stream(self, member) for member in range(len(config.members))]
        self._tasks = [runtime.spawn(stream.run(), f"log stream {stream.member}") for stream in self.streams]
        self._tasks.append(runtime.spawn(self._hint(), "log hints"))

    @property
    def vdl(self) -> int:
        """Durable up to here."""
        return self.pump.vdl

    def pgmrpl(self) -> int:
        """The lowest LSN that anyone may still ask for; never falls."""
        if self._pgmrpl is not None:
            self._known_pgmrpl = max(self._known_pgmrpl, min(self._pgmrpl(), self.vdl))
        return self._known_pgmrpl

    def send(self, start: int, end: int, batches: Sequence[tuple[int, bytes]]) -> None:
        """Send a flush, as `Volume.take_flush` cut it, to every member that is up."""
        if self.closed:
            return
        self.tracker.flush(start, end, [group for group, _ in batches])
        message = _kernel.batches_message([batch for _, batch in batches])
        self.pump.sent(end, message)
        for stream in self.streams:
            stream.send(message)

    def moved(self) -> None:
        """VDL may have risen."""
        if self.closed:
            return
        if self.carrier is not None:
            self.carrier.moved()
        elif self.pump.moved(self.tracker.vcl):
            self._on_vdl(self.pump.vdl)

    def fence(self, epoch: int) -> None:
        """A newer epoch exists: this writer is over."""
        if self.fenced or self.closed:
            return
        self.fenced = True
        self.close()
        self._on_fenced(epoch)

    def close(self) -> None:
        """Stop sending."""
        if self.carrier is not None and not self.closed:
            asyncio.get_running_loop().remove_reader(self.carrier.fileno())
            self.carrier.close()
        self.closed = True
        for task in self._tasks:
            task.cancel()
        for stream in self.streams:
            stream.up = False
            if stream.rpc is not None:
                stream.rpc.close()

    async def _hint(self) -> None:
        """Tell VDL and PGMRPL when no batch carries them."""
        while not self.closed:
            await self.runtime.clock.sleep(_HINT_SECONDS)
            pgmrpl = self.pgmrpl()
            if self.vdl + pgmrpl == self._hinted:
                continue
            self._hinted = self.vdl + pgmrpl
            message = wire.HINTS.pack(b"H", self.config.volume, self.vdl, pgmrpl)
            if self.carrier is not None:
                self.carrier.send(message)
                continue
            for stream in self.streams:
                if stream.up and stream.rpc is not None:
                    stream.rpc.send(message)

    def status(self) -> list[dict[str, Any]]:
        """Each member as the writer sees it."""
        return [
            {
                "name": self.config.members[stream.member].name,
                "zone": self.config.members[stream.member].zone,
                "up": stream.up,
                "dropped": stream.dropped,
                "last_error": stream.last_error,
            }
            for stream in self.streams
        ]


class LogPump:
    """Moves redo from a kernel volume to the sender, when the kernel's `Pump` says so (docs/decisions/2026-11-21-redo-that-nobody-waits-for.md)."""

    # How long redo lies that nobody waits for.
    LINGER_SECONDS = 0.005

    def __init__(
        self, runtime: Runtime, volume: Any, sender: LogSender, *, on_durable: Callable[[int], None], carried: bool
    ) -> None:
        self._runtime = runtime
        self._volume = volume
        self._on_durable = on_durable
        self._sender = sender
        self._scheduled = False
        self._lingering = False
        self._attends = False
        # Called with (start, end, batches) of every flush that is sent: the stream to readers.
        self.on_flush: Callable[[int, int, list[tuple[int, bytes]]], None] | None = None
        volume.set_limit(sender.vdl + sender.config.allocation_limit)
        if carried:
            limit = sender.config.allocation_limit
            carrier = _kernel.LogStreams(volume, sender.tracker, sender.pump, len(sender.config.members), limit)
            sender.carrier = carrier
            asyncio.get_running_loop().add_reader(carrier.fileno(), self._look)
        self.urge()

    @property
    def carrier(self) -> _kernel.LogStreams | None:
        """The threads that carry the log, if there are any."""
        return self._sender.carrier

    def urge(self) -> None:
        """Somebody waits for the redo so far: look in the next turn of the loop, so that what this turn commits goes together."""
        if self.carrier is not None:
            self.carrier.urge()
            return
        self._sender.pump.urge(self._volume.tail)
        self._schedule()

    def linger(self) -> None:
        """There may be redo that nobody waits for."""
        if self._sender.pump.is_due(self._volume.taken, self._volume.tail):
            self._schedule()
        elif not self._lingering:
            self._lingering = True
            self._runtime.clock.call_later(self.LINGER_SECONDS, self._lingered)

    def watch(self, lsn: int) -> None:
        """`on_durable` is called once VDL has reached `lsn`, though it need not be for every rise."""
        if self.carrier is not None:
            self.carrier.watch(lsn)
            if self._volume.vdl >= lsn:
                self._runtime.clock.call_soon(self._look)

    def attend(self) -> None:
        """`on_flush` and `on_durable` are called for every flush and every rise from now on, first for what is under way."""
        if self.carrier is None or self._attends:
            return
        self._attends = True
        vdl, flushes = self.carrier.attend()
        self._on_durable(vdl)
        for flush in flushes:
            if self.on_flush is not None:
                self.on_flush(*flush)

    def _lingered(self) -> None:
        self._lingering = False
        self.urge()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._runtime.clock.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        sender = self._sender
        if sender.closed:
            return
        if sender.carrier is not None:
            sender.carrier.pump()
            return
        volume = self._volume
        while sender.pump.is_due(volume.taken, volume.tail):
            flush = volume.take_flush()
            if flush is None:
                return
            sender.send(*flush)
            if self.on_flush is not None:
                self.on_flush(*flush)

    def _look(self) -> None:
        """The threads have something to say."""
        sender = self._sender
        if sender.carrier is None or sender.closed:
            return
        # First: the flushes up to here are among those that are taken after it.
        vdl = self._volume.vdl
        refusals, lost, flushes = sender.carrier.take()
        for flush in flushes:
            if self.on_flush is not None:
                self.on_flush(*flush)
        self._on_durable(vdl)
        for member, message in refusals:
            sender.streams[member].refused(message)
        for member, slow in lost:
            if slow:
                sender.streams[member].too_slow()
            sender.streams[member].lost()

    def durable(self, vdl: int) -> None:
        """VDL rose: the sender's `on_vdl`."""
        volume = self._volume
        volume.set_vdl(vdl)
        volume.set_limit(vdl + self._sender.config.allocation_limit)
        self._on_durable(vdl)
        if self._sender.pump.is_wanted(volume.taken):
            self._schedule()
        elif volume.tail > volume.taken:
            self.linger()


def start_pump(
    runtime: Runtime,
    config: VolumeConfig,
    recovered: Recovered,
    volume: Any,
    *,
    on_durable: Callable[[int], None],
    on_fenced: Callable[[int], None],
    pgmrpl: Callable[[], int] | None = None,
    carried: bool = False,
) -> tuple[LogPump, LogSender]:
    """Pump and sender for a kernel volume that was opened at `recovered.vdl`. `carried`: by threads."""
    sender = LogSender(
        runtime, config, recovered, on_vdl=lambda vdl: pump.durable(vdl), on_fenced=on_fenced, pgmrpl=pgmrpl
    )
    pump = LogPump(runtime, volume, sender, on_durable=on_durable, carried=carried)
    return pump, sender
