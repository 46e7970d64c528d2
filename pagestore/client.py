"""The writer's side of the page store: sends batches to all members, counts acknowledgements, and never waits for a slow one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sixfold.kernel import _kernel
from sixfold.pagestore import wire
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

    def send(self, message: bytes) -> None:
        """Hand a flush over, unless the member is down or drowning."""
        rpc = self.rpc
        if rpc is None or not self.up:
            return
        if rpc.connection.buffered > _BUFFERED_MAX:
            self.dropped += 1
            self.last_error = "too slow: dropped from the stream"
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
        rpc = await dial(sender.runtime, address, on_raw=self._message, on_close=self._lost, timeout=2.0)
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
        # What no quorum has yet may live in this process only.
        for message in sender.outstanding():
            self.send(message)
        sender.moved()

    def _message(self, message: bytes) -> None:
        kind = message[0]
        if kind == 65:  # A
            if not self.up:
                self._early.append(message[9:])
            elif self.sender.tracker.ack(self.member, message[9:]):
                self.sender.moved()
        elif kind == 88:  # X
            _, _, epoch = wire.REFUSED_HEAD.unpack_from(message)
            self.last_error = message[wire.REFUSED_HEAD.size :].decode(errors="replace")
            if epoch > self.sender.epoch:
                self.sender.fence(epoch)
            elif self.rpc is not None:
                # It does not know our epoch's void ranges: say hello again.
                self.up = False
                self.rpc.connection.abort()

    def _lost(self) -> None:
        self.up = False


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
        self._vdl = recovered.vdl
        self._hinted = 0
        # Flushes above VDL, oldest first: (end, message).
        self._unacknowledged: deque[tuple[int, bytes]] = deque()
        self.streams = [Stream(self, member) for member in range(len(config.members))]
        self._tasks = [runtime.spawn(stream.run(), f"log stream {stream.member}") for stream in self.streams]
        self._tasks.append(runtime.spawn(self._hint(), "log hints"))

    @property
    def vdl(self) -> int:
        """Durable up to here."""
        return self._vdl

    @property
    def waiting(self) -> int:
        """Flushes that are not durable yet."""
        return len(self._unacknowledged)

    def pgmrpl(self) -> int:
        """The lowest LSN that anyone may still ask for; never falls."""
        if self._pgmrpl is not None:
            self._known_pgmrpl = max(self._known_pgmrpl, min(self._pgmrpl(), self._vdl))
        return self._known_pgmrpl

    def send(self, start: int, end: int, batches: Sequence[tuple[int, bytes]]) -> None:
        """Send a flush, as `Volume.take_flush` cut it, to every member that is up."""
        if self.closed:
            return
        self.tracker.flush(start, end, [group for group, _ in batches])
        message = wire.batches_message([batch for _, batch in batches])
        self._unacknowledged.append((end, message))
        for stream in self.streams:
            stream.send(message)

    def outstanding(self) -> list[bytes]:
        """Messages of all flushes that are not durable yet."""
        return [message for _, message in self._unacknowledged]

    def moved(self) -> None:
        """VDL may have risen."""
        vdl = self.tracker.vcl
        if vdl <= self._vdl or self.closed:
            return
        self._vdl = vdl
        while self._unacknowledged and self._unacknowledged[0][0] <= vdl:
            self._unacknowledged.popleft()
        self._on_vdl(vdl)

    def fence(self, epoch: int) -> None:
        """A newer epoch exists: this writer is over."""
        if self.fenced or self.closed:
            return
        self.fenced = True
        self.close()
        self._on_fenced(epoch)

    def close(self) -> None:
        """Stop sending."""
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
            if self._vdl + pgmrpl == self._hinted:
                continue
            self._hinted = self._vdl + pgmrpl
            message = wire.HINTS.pack(b"H", self.config.volume, self._vdl, pgmrpl)
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
    """Moves redo from a kernel volume to the sender. What somebody waits for goes at once when nothing is under way, else when that is
    durable; what nobody waits for yet (a transaction's changes before its commit) goes with it, or when much has gathered, or after a
    moment (docs/decisions/2026-11-21-redo-that-nobody-waits-for.md)."""

    # With a flush under way, another one goes out only when it is at least this long: commits gather meanwhile.
    GATHER_BYTES = 32 << 10
    UNDER_WAY_MAX = 16
    # How long redo lies that nobody waits for.
    LINGER_SECONDS = 0.005

    def __init__(self, runtime: Runtime, volume: Any, *, on_durable: Callable[[int], None]) -> None:
        self._runtime = runtime
        self._volume = volume
        self._on_durable = on_durable
        self._sender: LogSender | None = None
        self._scheduled = False
        self._lingering = False
        # Redo below this is to go out as soon as it may.
        self._wanted = 0
        # Called with (start, end, batches) of every flush that is sent: the stream to readers.
        self.on_flush: Callable[[int, int, list[tuple[int, bytes]]], None] | None = None

    def attach(self, sender: LogSender) -> None:
        """Begin to send."""
        self._sender = sender
        self._volume.set_limit(sender.vdl + sender.config.allocation_limit)
        self.urge()

    def urge(self) -> None:
        """Somebody waits for the redo so far: look in the next turn of the loop, so that what this turn commits goes together."""
        self._wanted = self._volume.tail
        self._schedule()

    def linger(self) -> None:
        """There may be redo that nobody waits for."""
        if self._gathered():
            self._schedule()
        elif not self._lingering:
            self._lingering = True
            self._runtime.clock.call_later(self.LINGER_SECONDS, self._lingered)

    def _lingered(self) -> None:
        self._lingering = False
        self.urge()

    def _gathered(self) -> bool:
        volume = self._volume
        return bool(volume.tail - volume.taken >= self.GATHER_BYTES)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._runtime.clock.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        sender = self._sender
        if sender is None or sender.closed:
            return
        volume = self._volume
        while (sender.waiting == 0 and self._wanted > volume.taken) or (
            sender.waiting < self.UNDER_WAY_MAX and self._gathered()
        ):
            flush = volume.take_flush()
            if flush is None:
                return
            sender.send(*flush)
            if self.on_flush is not None:
                self.on_flush(*flush)

    def durable(self, vdl: int) -> None:
        """VDL rose: the sender's `on_vdl`."""
        volume = self._volume
        volume.set_vdl(vdl)
        if self._sender is not None:
            volume.set_limit(vdl + self._sender.config.allocation_limit)
        self._on_durable(vdl)
        if self._wanted > volume.taken:
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
) -> tuple[LogPump, LogSender]:
    """Pump and sender for a kernel volume that was opened at `recovered.vdl`."""
    pump = LogPump(runtime, volume, on_durable=on_durable)
    sender = LogSender(runtime, config, recovered, on_vdl=pump.durable, on_fenced=on_fenced, pgmrpl=pgmrpl)
    pump.attach(sender)
    return pump, sender
