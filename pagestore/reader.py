"""Page reads: one segment that is complete, the quickest; another one when the answer is late; the others when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sixfold.pagestore import wire
from sixfold.wal.rpc import Rpc, dial
from sixfold.wal.runtime import ConnectionLost, Runtime, Timer
from sixfold.wal.volume import VolumeConfig

_FIRST_GUESS_SECONDS = 0.001
_HEDGE_FACTOR = 4.0
_HEDGE_SECONDS_MIN = 0.01
# A read that may wait behind others is given more time before it gets company.
_BULK_PATIENCE = 8
# A member that could not be reached is tried again this often, while others are asked.
_DOWN_SECONDS = 0.5
# Between rounds in which nobody could serve every page.
_ROUND_SECONDS = 0.02
# One read in so many goes to another member than the quickest, so that its latency stays known.
_PROBE_EVERY = 128

# (page, end of its group's last batch at or below the read point)
Wanted = Sequence[tuple[int, int]]
# A page's bytes, or (status, number) as `wire` has them.
Answers = Sequence[memoryview | tuple[int, int]]


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
        # It could not be reached, or was lost.
        self.down = False
        self._retry: Timer | None = None
        # Pages that it was asked for and has not answered.
        self._sent = 0
        # Who waits for the answer of a request: (callback, when it was sent, pages).
        self._waiting: dict[int, tuple[Callable[[Answers], None], float, int]] = {}
        self._rpc: Rpc | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._unsent: list[tuple[Wanted, int, bool, Callable[[Answers], None]]] = []

    @property
    def pending(self) -> int:
        """How many pages somebody waits for."""
        return self._sent + sum(len(pages) for pages, *_ in self._unsent)

    def ask(self, pages: Wanted, lsn: int, bulk: bool, done: Callable[[Answers], None]) -> None:
        """Ask this member once. `done` is called once, later: without answers when the member can't be reached."""
        rpc = self._rpc
        if rpc is None or rpc.connection.closed:
            self._unsent.append((pages, lsn, bulk, done))
            self._connect()
            return
        number = self.reader.next_number()
        self._waiting[number] = (done, self.reader.runtime.clock.monotonic(), len(pages))
        self._sent += len(pages)
        flags = wire.BULK | wire.PACKED if bulk else 0
        rpc.send(wire.read_request(number, self.reader.config.volume, lsn, pages, flags))

    def _connect(self) -> None:
        if self._dialing is None or self._dialing.done():
            address = self.reader.config.members[self.member].address
            self._dialing = self.reader.runtime.spawn(self._dial(address), f"page reads from {address}")

    async def _dial(self, address: str) -> None:
        try:
            self._rpc = await dial(self.reader.runtime, address, on_raw=self._message, on_close=self._lost, timeout=2.0)
            self.down = False
        except ConnectionLost:
            self._away()
        unsent, self._unsent = self._unsent, []
        for pages, lsn, bulk, done in unsent:
            if self._rpc is None or self._rpc.connection.closed:
                done(())
            else:
                self.ask(pages, lsn, bulk, done)

    def _message(self, message: bytes) -> None:
        if message[:1] != b"P":
            return
        number, answers = wire.parse_pages(message)
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            done, begun, pages = waiting
            self._sent -= pages
            self.took((self.reader.runtime.clock.monotonic() - begun) / max(1, pages / 8))
            done(answers)

    def took(self, seconds: float) -> None:
        """An answer has taken so long, or already takes so long: a member that says nothing at all must not stay the quickest."""
        self.latency += (seconds - self.latency) * 0.1

    def _away(self) -> None:
        """Nobody's read is to find out that it is back."""
        self.down = True
        if self._retry is None and not self.reader.closed:
            self._retry = self.reader.runtime.clock.call_later(_DOWN_SECONDS, self._again)

    def _again(self) -> None:
        self._retry = None
        self.down = self._rpc is None or self._rpc.connection.closed
        if self.down:
            self._connect()

    def _lost(self) -> None:
        self._away()
        waiting, self._waiting = self._waiting, {}
        self._sent = 0
        for done, _, _ in waiting.values():
            done(())

    def close(self) -> None:
        """Close the connection."""
        if self._retry is not None:
            self._retry.cancel()
        if self._rpc is not None:
            self._rpc.close()


class Round:
    """Members are asked, best first, until all pages are found or nobody is left; a late one gets company."""

    def __init__(
        self,
        reader: PageReader,
        tails: dict[int, int],
        wanted: Wanted,
        lsn: int,
        bulk: bool,
        found: dict[int, memoryview],
        deadline: float,
    ) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.too_old = 0
        self._reader = reader
        self._wanted = wanted
        self._lsn = lsn
        self._bulk = bulk
        self._found = found
        self._deadline = deadline
        self._candidates = reader.candidates(tails, bulk)
        self._asked = 0
        self._timer: Timer | None = None
        self._ask()

    def _ask(self) -> None:
        source = self._candidates.pop(0)
        self._asked += 1
        source.ask(self._wanted, self._lsn, self._bulk, self._answered)
        clock = self._reader.runtime.clock
        if self._candidates:
            # By the quickest that there is: one that has been silent for long is not given longer and longer.
            quickest = min(other.latency for other in (source, *self._candidates))
            late = max(_HEDGE_SECONDS_MIN, quickest * _HEDGE_FACTOR)
            patience = late * (_BULK_PATIENCE if self._bulk else 1)
            self._timer = clock.call_later(patience, self._late, source, late)
        else:
            self._timer = clock.call_later(max(0.0, self._deadline - clock.monotonic()), self.end)

    def _late(self, source: Source, seconds: float) -> None:
        self._timer = None
        if not self.over.done():
            source.took(seconds)
            self._ask()

    def _answered(self, answers: Answers) -> None:
        if self.over.done():
            return
        self._asked -= 1
        for (page, _), answer in zip(self._wanted, answers, strict=False):
            if not isinstance(answer, tuple):
                self._found[page] = answer
            elif answer[0] == wire.TOO_OLD:
                self.too_old = max(self.too_old, answer[1])
        if all(map(self._found.__contains__, [page for page, _ in self._wanted])):
            self.end()
        elif self._candidates:
            self._stop_timer()
            self._ask()
        elif not self._asked:
            self.end()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Whatever still comes is too late."""
        self._stop_timer()
        if not self.over.done():
            self.over.set_result(None)


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
        self.closed = False
        self.sources = [Source(self, member) for member in range(len(config.members))]

    def next_number(self) -> int:
        """A request number that no answer is awaited for."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        return self._number

    @property
    def oldest(self) -> int | None:
        """The lowest LSN of any read under way: PGMRPL must not pass it."""
        return min(self._in_flight.values(), default=None)

    async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> list[memoryview]:
        """Each page's 8192 bytes as they were at `lsn`. ReadTooOld, or ReadFailed when no member can serve one. `bulk`: nobody waits
        for just this page; it goes to whoever has least to do, behind what is waited for, and may come packed."""
        clock = self.runtime.clock
        deadline = clock.monotonic() + self._timeout
        found: dict[int, memoryview] = {}
        ticket = self.next_number()
        self._in_flight[ticket] = lsn
        try:
            while True:
                size = self.config.pages_per_group
                tails = {group: self._tail(group) for group in {page // size for page in pages}}
                wanted = [(page, tails[page // size]) for page in pages if page not in found]
                asked = Round(self, tails, wanted, lsn, bulk, found, deadline)
                try:
                    await asked.over
                finally:
                    asked.end()
                if all(map(found.__contains__, pages)):
                    return [found[page] for page in pages]
                if asked.too_old > lsn:
                    raise ReadTooOld(f"the storage keeps nothing below {asked.too_old}, and {lsn} was asked for")
                if clock.monotonic() >= deadline:
                    raise ReadFailed(f"no storage node could serve pages {list(pages)} at {lsn}")
                await clock.sleep(_ROUND_SECONDS)
        finally:
            del self._in_flight[ticket]

    def candidates(self, tails: dict[int, int], bulk: bool) -> list[Source]:
        """Members to ask for pages of these groups, best first: known complete and up, by latency; now and then another one leads.
        Those that have little to do come first for a read in bulk."""
        known: list[tuple[Sequence[int], int]] = []
        if self._scls is not None:
            known = [(self._scls(group), tail) for group, tail in tails.items()]

        def rank(source: Source) -> tuple[bool, bool, int, float, int]:
            lacks = any(scls[source.member] < tail for scls, tail in known)
            return lacks, source.down, source.pending if bulk else 0, source.latency, source.member

        ranked = sorted((rank(source), source.member) for source in self.sources)
        sources = [self.sources[member] for _, member in ranked]
        self._reads += 1
        if self._reads % _PROBE_EVERY == 0 and len(ranked) > 1:
            other = self.runtime.random.randrange(1, len(ranked))
            lacks, down, *_ = ranked[other][0]
            if not lacks and not down:
                sources.insert(0, sources.pop(other))
        return sources

    def close(self) -> None:
        """Close all connections."""
        self.closed = True
        for source in self.sources:
            source.close()
