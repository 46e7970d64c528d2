"""Page reads: one segment that is complete, the quickest; another one when the answer is late; the others when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sixfold.pagestore import wire
from sixfold.wal.rpc import Rpc, dial
from sixfold.wal.runtime import ConnectionLost, Runtime
from sixfold.wal.volume import VolumeConfig

_FIRST_GUESS_SECONDS = 0.001
_HEDGE_FACTOR = 4.0
_HEDGE_SECONDS_MIN = 0.01
_DOWN_SECONDS = 0.5
# One read in so many goes to another member than the quickest, so that its latency stays known.
_PROBE_EVERY = 128


class ReadFailed(OSError):
    """No member could serve the page: an operator's business."""


class ReadTooOld(OSError):
    """The read point lies below what the storage keeps."""


class Source:
    """One member, as a place to read from."""

    def __init__(self, reader: PageReader, member: int) -> None:
        self.reader = reader
        self.member = member
        self.latency = _FIRST_GUESS_SECONDS
        self.down_until = 0.0
        self.waiting: dict[int, asyncio.Future[list[bytes | tuple[int, int]]]] = {}
        self._rpc: Rpc | None = None
        self._dialing: asyncio.Task[Rpc | None] | None = None

    async def read(self, pages: Sequence[tuple[int, int]], lsn: int, bulk: bool) -> list[bytes | tuple[int, int]]:
        """Ask this member once."""
        reader = self.reader
        clock = reader.runtime.clock
        rpc = self._rpc
        if rpc is None or rpc.connection.closed:
            rpc = await self._connect()
        number = reader.next_number()
        future: asyncio.Future[list[bytes | tuple[int, int]]] = asyncio.get_running_loop().create_future()
        self.waiting[number] = future
        begun = clock.monotonic()
        flags = wire.BULK if bulk else 0
        rpc.send(wire.read_request(number, reader.config.volume, lsn, pages, flags))
        try:
            answer = await future
        finally:
            self.waiting.pop(number, None)
        taken = (clock.monotonic() - begun) / max(1, len(pages) / 8)
        self.latency += (taken - self.latency) * 0.1
        return answer

    async def _connect(self) -> Rpc:
        if self._dialing is None or self._dialing.done():
            reader = self.reader
            address = reader.config.members[self.member].address
            self._dialing = reader.runtime.spawn(self._dial(address), f"page reads from {address}")
        # Shielded: whoever gives up must not take the connection from the others.
        rpc = await asyncio.shield(self._dialing)
        if rpc is None:
            raise ConnectionLost(f"{self.reader.config.members[self.member].name} can't be reached")
        return rpc

    async def _dial(self, address: str) -> Rpc | None:
        try:
            self._rpc = await dial(self.reader.runtime, address, on_raw=self._message, on_close=self._lost, timeout=2.0)
        except ConnectionLost:
            return None
        return self._rpc

    def _message(self, message: bytes) -> None:
        if message[:1] == b"P":
            number, answers = wire.parse_pages(message)
            future = self.waiting.get(number)
            if future is not None and not future.done():
                future.set_result(answers)

    def _lost(self) -> None:
        self.down_until = self.reader.runtime.clock.monotonic() + _DOWN_SECONDS
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(ConnectionLost("storage node went away"))

    def close(self) -> None:
        """Close the connection."""
        if self._rpc is not None:
            self._rpc.close()


class PageReader:
    """Reads pages at an LSN. `tail(group)` is the end of the group's last batch at or below VDL; `scls(group)` what the writer knows
    of each member (a reader has no such knowledge and asks)."""

    def __init__(
        self,
        runtime: Runtime,
        config: VolumeConfig,
        *,
        tail: Callable[[int], int],
        scls: Callable[[int], Sequence[int]] | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.runtime = runtime
        self.config = config
        self._tail = tail
        self._scls = scls
        self._timeout = timeout
        self._number = 0
        self._reads = 0
        self._in_flight: dict[int, int] = {}
        self.sources = [Source(self, member) for member in range(len(config.members))]

    def next_number(self) -> int:
        """A request number that no answer is awaited for."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        return self._number

    @property
    def oldest(self) -> int | None:
        """The lowest LSN of any read under way: PGMRPL must not pass it."""
        return min(self._in_flight.values(), default=None)

    async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> list[bytes]:
        """Each page's 8192 bytes as they were at `lsn`. ReadTooOld, or ReadFailed when no member can serve one."""
        wanted = [(page, self._tail(self.config.group_of(page))) for page in pages]
        ticket = self.next_number()
        self._in_flight[ticket] = lsn
        try:
            async with asyncio.timeout(self._timeout):
                found: dict[int, bytes] = {}
                while True:
                    missing = [page for page in wanted if page[0] not in found]
                    if not missing:
                        return [found[page] for page in pages]
                    await self._round(missing, lsn, bulk, found)
        except TimeoutError as error:
            raise ReadFailed(f"no storage node could serve pages {list(pages)} at {lsn}") from error
        finally:
            del self._in_flight[ticket]

    async def _round(self, pages: list[tuple[int, int]], lsn: int, bulk: bool, found: dict[int, bytes]) -> None:
        """Ask members, best first, until one has answered all; a late one gets company."""
        candidates = self._candidates(pages)
        tasks: dict[asyncio.Task[list[bytes | tuple[int, int]]], Source] = {}
        too_old = 0
        failed = 0
        try:
            while candidates or tasks:
                if candidates:
                    source = candidates.pop(0)
                    tasks[self.runtime.spawn(self._ask(source, pages, lsn, bulk), "page read")] = source
                patience = max(_HEDGE_SECONDS_MIN, source.latency * _HEDGE_FACTOR) * (8 if bulk else 1)
                for answers in await self._wait(tasks, patience if candidates else None):
                    for (page, _), answer in zip(pages, answers, strict=False):
                        if isinstance(answer, bytes):
                            found[page] = answer
                        elif answer[0] == wire.TOO_OLD:
                            too_old = max(too_old, answer[1])
                        elif answer[0] == wire.FAILED:
                            failed += 1
                if all(page in found for page, _ in pages):
                    return
        finally:
            for task in tasks:
                task.cancel()
        if too_old > lsn:
            raise ReadTooOld(f"the storage keeps nothing below {too_old}, and {lsn} was asked for")
        await self.runtime.clock.sleep(0.02)

    async def _wait(
        self, tasks: dict[asyncio.Task[list[bytes | tuple[int, int]]], Source], patience: float | None
    ) -> list[list[bytes | tuple[int, int]]]:
        """Answers that came, at least one unless patience ran out."""
        late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = None
        if patience is not None:
            timer = self.runtime.clock.call_later(patience, lambda: None if late.done() else late.set_result(None))
        waited: list[asyncio.Future[Any]] = [*tasks, late]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if timer is not None:
            timer.cancel()
        late.cancel()
        done = [task for task in tasks if task.done()]
        for task in done:
            del tasks[task]
        return [task.result() for task in done if not task.cancelled()]

    async def _ask(
        self, source: Source, pages: Sequence[tuple[int, int]], lsn: int, bulk: bool
    ) -> list[bytes | tuple[int, int]]:
        try:
            return await source.read(pages, lsn, bulk)
        except ConnectionLost:
            source.down_until = self.runtime.clock.monotonic() + _DOWN_SECONDS
            return []

    def _candidates(self, pages: Sequence[tuple[int, int]]) -> list[Source]:
        """Members to ask, best first: known complete and up, by latency; now and then another one leads."""
        now = self.runtime.clock.monotonic()
        known: dict[int, Sequence[int]] = {}
        if self._scls is not None:
            known = {group: self._scls(group) for group in {self.config.group_of(page) for page, _ in pages}}

        def complete(source: Source) -> bool:
            return all(
                known[group][source.member] >= tail
                for page, tail in pages
                if (group := self.config.group_of(page)) in known
            )

        ranked = sorted(self.sources, key=lambda s: (not complete(s), s.down_until > now, s.latency, s.member))
        self._reads += 1
        if self._reads % _PROBE_EVERY == 0 and len(ranked) > 1:
            other = self.runtime.random.randrange(1, len(ranked))
            if complete(ranked[other]) and ranked[other].down_until <= now:
                ranked.insert(0, ranked.pop(other))
        return ranked

    def close(self) -> None:
        """Close all connections."""
        for source in self.sources:
            source.close()
