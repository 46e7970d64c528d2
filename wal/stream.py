"""The stream from the writer to its readers: flushes as they are sent to the storage, and VDL as it rises.

The writer side is `LogPublisher`, the reader side `LogTailer`. Messages, little-endian:

===  ==========================================================================================================
`F`  a flush: start u64, end u64, (length u32, batch)*
`V`  VDL u64, the writer's wall clock f64 when it knew
`O`  from the reader: oldest LSN that it may still ask for u64, VDL that it has applied u64, its lag in seconds f64
===  ==========================================================================================================

A reader applies nothing above VDL, so a flush that never becomes durable is never seen. One that was away for a moment goes on where
it was when the writer still has what it missed, else it begins anew at the current VDL with an empty cache.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sixfold.kernel import _kernel
from sixfold.wal.logs import Logger
from sixfold.wal.rpc import RemoteError, Rpc, dial
from sixfold.wal.runtime import Connection, ConnectionLost, Listener, Runtime

log = Logger("sixfold.wal")

_FLUSH = struct.Struct("<cQQ")
_LENGTH = struct.Struct("<I")
_VDL = struct.Struct("<cQd")
_FEEDBACK = struct.Struct("<cQQd")
# A reader with more than this unsent is cut off; it comes back and begins anew.
_BUFFERED_MAX = 64 << 20
# Flushes are kept this far back for readers that were away for a moment.
_BACKLOG_BYTES = 16 << 20
# A reader that went away holds garbage collection for this long, so that one that comes back can go on.
_GRACE_SECONDS = 5.0
_FEEDBACK_SECONDS = 0.1
# VDL is told at least this often, so that readers know that they are current.
_IDLE_SECONDS = 0.5
_RETRY_SECONDS = 0.1
_SILENCE_SECONDS = 5.0
# A reader that has been without its writer for so long says so.
_SAY_SECONDS = 3.0


@dataclass
class ReaderState:
    """A reader as its writer sees it."""

    name: str
    rpc: Rpc | None
    oldest: int
    vdl: int
    lag_seconds: float = 0.0
    seen: float = 0.0
    connected_at: float = 0.0


class LogPublisher:
    """The writer's side. `flush` and `advance` are called for every flush and every rise of VDL (see `before_first`)."""

    def __init__(
        self, runtime: Runtime, *, volume: int, epoch: int, vdl: int, tails: Callable[[], Sequence[Any]]
    ) -> None:
        self._runtime = runtime
        self._volume = volume
        self._epoch = epoch
        self._vdl = vdl
        self._tails = tails
        # (start, end, message), contiguous.
        self._backlog: deque[tuple[int, int, bytes]] = deque()
        self._backlog_bytes = 0
        self._listener: Listener | None = None
        self._told = 0.0
        self._told_vdl = 0
        self._scheduled = False
        self.readers: dict[str, ReaderState] = {}
        # Called when a reader has come, before it is told anything: nothing that it may see is pruned from then on.
        self.on_reader: Callable[[], None] = lambda: None
        # Called before a reader is told anything: `flush` and `advance` are called from then on.
        self.before_first: Callable[[], None] = lambda: None

    async def serve(self, address: str) -> Listener:
        """Take readers at this address."""
        self._listener = await self._runtime.net.serve(address, self._accept)
        self._runtime.clock.call_later(_IDLE_SECONDS, self._idle)
        return self._listener

    def flush(self, start: int, end: int, batches: Sequence[tuple[int, bytes]]) -> None:
        """A flush has been sent to the storage."""
        parts = [_FLUSH.pack(b"F", start, end)]
        for _, batch in batches:
            parts += (_LENGTH.pack(len(batch)), batch)
        message = b"".join(parts)
        self._backlog.append((start, end, message))
        self._backlog_bytes += len(message)
        while self._backlog_bytes > _BACKLOG_BYTES and self._backlog[0][1] <= self._vdl:
            self._backlog_bytes -= len(self._backlog.popleft()[2])
        self._send(message)

    def advance(self, vdl: int) -> None:
        """VDL rose. Told in the next turn of the loop, once for all rises of this one."""
        self._vdl = vdl
        if not self._scheduled and self.readers:
            self._scheduled = True
            self._runtime.clock.call_soon(self._tell)

    @property
    def oldest(self) -> int | None:
        """The lowest LSN that a reader may still ask for; None without readers."""
        now = self._runtime.clock.monotonic()
        for name in [n for n, r in self.readers.items() if r.rpc is None and now - r.seen > _GRACE_SECONDS]:
            del self.readers[name]
        return min((reader.oldest for reader in self.readers.values()), default=None)

    def status(self) -> list[dict[str, Any]]:
        """Each reader, for `aurora_replica_status()` and the console."""
        return [
            {
                "name": reader.name,
                "connected": reader.rpc is not None,
                "vdl": reader.vdl,
                "oldest": reader.oldest,
                "lag_ms": reader.lag_seconds * 1000.0,
            }
            for reader in self.readers.values()
        ]

    def close(self) -> None:
        """Let all readers go."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for reader in self.readers.values():
            if reader.rpc is not None:
                reader.rpc.close()

    def _send(self, message: bytes) -> None:
        for reader in self.readers.values():
            if reader.rpc is None:
                continue
            if reader.rpc.connection.buffered > _BUFFERED_MAX:
                reader.rpc.connection.abort()
            else:
                reader.rpc.send(message)

    def _tell(self) -> None:
        self._scheduled = False
        self._told = self._runtime.clock.monotonic()
        self._told_vdl = self._vdl
        self._send(_VDL.pack(b"V", self._vdl, self._runtime.clock.time()))

    def _idle(self) -> None:
        if self._listener is None:
            return
        now = self._runtime.clock.monotonic()
        for reader in self.readers.values():
            # It hangs, and must not hold garbage collection for ever; when it goes on it comes back.
            if reader.rpc is not None and now - reader.seen > _SILENCE_SECONDS:
                reader.rpc.connection.abort()
        if now - self._told >= _IDLE_SECONDS * 0.9:
            self._tell()
        self._runtime.clock.call_later(_IDLE_SECONDS, self._idle)

    def _accept(self, connection: Connection) -> None:
        client = _Subscriber(self)
        client.rpc = Rpc(
            self._runtime, connection, handler=client.handle, on_raw=client.raw, on_close=client.closed
        ).start()

    def subscribe(self, rpc: Rpc, params: dict[str, Any]) -> tuple[ReaderState, dict[str, Any], list[bytes]]:
        """A reader comes: its state, the answer, and the flushes that it needs first."""
        if params["volume"] != self._volume:
            raise RemoteError("unknown volume", f"volume {params['volume']} is not written here")
        self.before_first()
        name = params["name"]
        known = self.readers.get(name)
        if known is not None and known.rpc is not None:
            known.rpc.connection.abort()
        after = params.get("after") if params.get("epoch") == self._epoch else None
        sent = self._backlog[-1][1] if self._backlog else self._vdl
        first = self._backlog[0][0] if self._backlog else self._vdl
        resumed = (
            after is not None
            and first <= after <= sent
            and (after == sent or any(s == after for s, _, _ in self._backlog))
        )
        begin = after if resumed and after is not None else self._vdl
        now = self._runtime.clock.monotonic()
        oldest = known.oldest if known is not None and resumed else self._vdl
        state = ReaderState(name, rpc, oldest, params.get("vdl", 0) if resumed else self._vdl, 0.0, now, now)
        self.readers[name] = state
        self.on_reader()
        answer = {"epoch": self._epoch, "vdl": self._vdl, "resumed": resumed, "after": begin, "tails": self._tails()}
        return state, answer, [message for start, _, message in self._backlog if start >= begin]


class _Subscriber:
    """One connection of a reader to its writer."""

    def __init__(self, publisher: LogPublisher) -> None:
        self._publisher = publisher
        self._state: ReaderState | None = None
        self.rpc: Rpc

    async def handle(self, method: str, params: Any) -> Any:
        """Requests: subscribe."""
        if method != "subscribe":
            raise RemoteError("unknown", f"there is no request {method}")
        self._state, answer, messages = self._publisher.subscribe(self.rpc, params)
        # The first message of the stream repeats the answer: it stands in order with the flushes that follow.
        for message in messages:
            self.rpc.send(message)
        return answer

    def raw(self, message: bytes) -> None:
        """Feedback."""
        if message[:1] == b"O" and self._state is not None:
            _, oldest, vdl, lag = _FEEDBACK.unpack(message)
            state = self._state
            state.oldest, state.vdl, state.lag_seconds = max(state.oldest, oldest), vdl, lag
            state.seen = self._publisher._runtime.clock.monotonic()

    def closed(self) -> None:
        """The reader went away; its horizon counts for a while."""
        if self._state is not None and self._state.rpc is self.rpc:
            self._state.rpc = None
            self._state.seen = self._publisher._runtime.clock.monotonic()


class LogTailer:
    """The reader's side: feeds a kernel volume, keeps each group's tail for page reads, reports back.

    `reset(epoch, vdl)` must answer a volume (new, or emptied) that begins at `vdl`: it is called first, and whenever the stream has a gap.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: str,
        *,
        volume: int,
        name: str,
        reset: Callable[[int, int], Any],
        on_vdl: Callable[[int], None],
        horizon: Callable[[], int],
    ) -> None:
        self._runtime = runtime
        self._address = address
        self._volume_id = volume
        self._name = name
        self._reset = reset
        self._on_vdl = on_vdl
        self._horizon = horizon
        self._rpc: Rpc | None = None
        self._volume: Any = None
        self._tails: dict[int, int] = {}
        # Flushes above VDL: (end, groups).
        self._ahead: deque[tuple[int, tuple[int, ...]]] = deque()
        self._early: list[bytes] | None = None
        self.epoch = 0
        self.vdl = 0
        # End of the last flush received.
        self.received = 0
        self.lag_seconds = 0.0
        self.heard = 0.0
        self.last_error = ""
        self.last_error_time = 0.0
        self.closed = False
        self._tasks = [
            runtime.spawn(self._run(), f"log tailer {name}"),
            runtime.spawn(self._report(), "reader feedback"),
        ]

    def tail(self, group: int) -> int:
        """What a segment of the group must have to serve reads at `vdl`."""
        return self._tails.get(group, 0)

    @property
    def connected(self) -> bool:
        """Whether the stream runs."""
        return self._rpc is not None and not self._rpc.connection.closed and self._early is None

    @property
    def lag_ms(self) -> float:
        """How old what this reader shows is; grows while the writer is silent."""
        silence = self._runtime.clock.monotonic() - self.heard if self.heard else 0.0
        return 1000.0 * max(self.lag_seconds, silence - 2 * _IDLE_SECONDS)

    def close(self) -> None:
        """Stop."""
        self.closed = True
        for task in self._tasks:
            task.cancel()
        if self._rpc is not None:
            self._rpc.close()

    async def _run(self) -> None:
        clock = self._runtime.clock
        heard, said = clock.monotonic(), ""
        while not self.closed:
            if self._rpc is None or self._rpc.connection.closed:
                try:
                    await self._subscribe()
                except (ConnectionLost, RemoteError) as error:
                    self.last_error = str(error)
                    self.last_error_time = clock.time()
                    if clock.monotonic() - heard > _SAY_SECONDS and said != self.last_error:
                        said = self.last_error
                        log.warning("waiting for the writer's stream", writer=self._address, reason=said)
            elif self.heard and clock.monotonic() - self.heard > _SILENCE_SECONDS:
                self._rpc.connection.abort()
            else:
                heard, said = clock.monotonic(), ""
            await clock.sleep(_RETRY_SECONDS)

    async def _subscribe(self) -> None:
        self._early = []
        if self._rpc is not None:
            self._rpc.connection.abort()
        rpc = await dial(self._runtime, self._address, on_raw=self._message, timeout=2.0)
        self._rpc = rpc
        question = {
            "volume": self._volume_id,
            "name": self._name,
            "epoch": self.epoch,
            "after": self.received if self._volume is not None else None,
            "vdl": self.vdl,
        }
        try:
            answer = await rpc.call("subscribe", question, timeout=5.0)
        except (ConnectionLost, RemoteError):
            rpc.connection.abort()
            raise
        if answer["epoch"] < self.epoch:
            # It has slept through its successor's recovery: what it has would take this reader back in time.
            rpc.connection.abort()
            text = f"the writer at {self._address} is fenced off: its epoch is {answer['epoch']}, this reader has seen {self.epoch}"
            raise RemoteError("stale", text, self.epoch)
        if not answer["resumed"]:
            self.epoch = answer["epoch"]
            self.vdl = self.received = answer["vdl"]
            self._ahead.clear()
            self._tails = dict(answer["tails"])
            self._volume = self._reset(self.epoch, self.vdl)
        self.heard = self._runtime.clock.monotonic()
        early, self._early = self._early or [], None
        for message in early:
            self._message(message)
        self._on_vdl(self.vdl)

    def _message(self, message: bytes) -> None:
        if self._early is not None:
            self._early.append(message)
            return
        self.heard = self._runtime.clock.monotonic()
        kind = message[:1]
        if kind == b"F":
            self._flush(message)
        elif kind == b"V":
            _, vdl, told = _VDL.unpack(message)
            self._advance(vdl)
            self.lag_seconds = max(0.0, self._runtime.clock.time() - told)

    def _flush(self, message: bytes) -> None:
        _, start, end = _FLUSH.unpack_from(message)
        if end <= self.received:
            return
        if start != self.received:
            # A gap: this stream is of no use any more. The next subscription says from where to go on.
            if self._rpc is not None:
                self._rpc.connection.abort()
            return
        batches: list[bytes] = []
        at = _FLUSH.size
        while at < len(message):
            (length,) = _LENGTH.unpack_from(message, at)
            at += _LENGTH.size
            batches.append(message[at : at + length])
            at += length
        groups = tuple(_kernel.batch_header(batches[0])[8])
        self._volume.apply_stream(batches)
        self._ahead.append((end, groups))
        self.received = end

    def _advance(self, vdl: int) -> None:
        if vdl <= self.vdl or vdl > self.received:
            return
        while self._ahead and self._ahead[0][0] <= vdl:
            end, groups = self._ahead.popleft()
            for group in groups:
                self._tails[group] = end
        self.vdl = vdl
        self._volume.set_vdl(vdl)
        self._on_vdl(vdl)

    async def _report(self) -> None:
        while not self.closed:
            await self._runtime.clock.sleep(_FEEDBACK_SECONDS)
            if self._rpc is not None and self.connected:
                oldest = min(self._horizon(), self.vdl)
                self._rpc.send(_FEEDBACK.pack(b"O", oldest, self.vdl, self.lag_seconds))
