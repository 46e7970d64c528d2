"""The one place that awaits what a kernel call needs: pages, other transactions, locks, durability, temporary files, slices.

`Waits.run` makes a call again and again until it is done. A session that waits for another one sleeps here until
`Volume.take_woken` names it or `interrupt` wakes it (cancel, time-out), and then makes its call again, which decides. Waits for
pages and for the log end like that too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sixfold.kernel._kernel import KernelError, Session, Volume
from sixfold.wal.runtime import Disk, File, Runtime

if TYPE_CHECKING:
    from sixfold.kernel._kernel import Need, SpillRequest, Step

T = TypeVar("T")

# A sleeper looks again after this long even when nobody woke it.
RECHECK_SECONDS = 5.0
# Pages that sessions miss in one turn of the loop are asked for together, so many at once; read-ahead in pieces of so many.
TOGETHER = 8
READ_AHEAD = 64
# More than one scan asks for at once: they are several threads', which go on together.
ONE_SCAN = 128
# The folder of temporary files.
TEMPORARY = "pgsql_tmp"
# No LSN.
NEVER = 1 << 64


class PageReader(Protocol):
    """Where pages come from (pagestore's client)."""

    async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> Sequence[memoryview]:
        """Each page as it was at `lsn`. `bulk`: nobody waits for just these; they are for `install_pages`."""


class Log(Protocol):
    """Where redo goes (wal's sender). On a reader: the tailer."""

    def linger(self) -> None:
        """The volume has redo to send (`volume.tail > volume.taken`), which nobody waits for yet."""

    async def durable(self, lsn: int) -> None:
        """Wait until `volume.vdl >= lsn`."""


class Waits:
    """Of one volume."""

    def __init__(self, volume: Volume, pages: PageReader, log: Log, runtime: Runtime) -> None:
        self.volume = volume
        self.runtime = runtime
        self._pages = pages
        self._log = log
        # Pages that are being read, and those that are asked for at the end of this turn of the loop.
        self._fetching: dict[int, asyncio.Future[None]] = {}
        self._missed: list[int] = []
        self._sleeping: dict[int, asyncio.Future[None]] = {}
        # Sessions woken before they went to sleep (their call ran in a worker thread).
        self._early: set[int] = set()
        # What `_finish` waits for: the lowest of the volume's abandoned commits.
        self._finishing = NEVER
        # lock_timeout by session, where it is set.
        self.lock_timeouts_ms: dict[int, int] = {}
        # Sessions that wait elsewhere (in the server's `Reactor`): True when it goes on with this one.
        self.elsewhere: Callable[[int], bool] | None = None
        self._spills: dict[tuple[int, int], File] = {}
        self._handlers: dict[str, Callable[[Session | None, Need], Awaitable[None]]] = {
            "page": self._page,
            "pages": self._pages_,
            "xid": self._sleep,
            "lock": self._sleep,
            "durable": self._durable,
            "spill": self._spill,
            "slice": self._slice,
        }

    def kinds(self) -> set[str]:
        """The kinds of need that are handled."""
        return set(self._handlers)

    async def satisfy(self, session: Session | None, need: Need) -> None:
        """Wait until the call is worth making again."""
        await self._handlers[need[0]](session, need)

    async def run(
        self, call: Callable[[], Step], *, session: Session | None = None, detached: Callable[[], Step] | None = None
    ) -> Any:
        """The call's value once it is done."""
        _, value = await self.step(call, session=session, detached=detached)
        return value

    async def step(
        self,
        call: Callable[[], Step],
        *,
        session: Session | None = None,
        detached: Callable[[], Step] | None = None,
        relieve: Callable[[], Awaitable[None]] | None = None,
    ) -> Step:
        """Until `done` or `suspended`. A slice that is used up goes on in a worker thread when there is a `detached` twin,
        after `relieve` has made room for output."""
        answer = call()
        while answer[0] == "need":
            need = answer[1]
            self.after_call()
            if need[0] == "slice":
                if relieve is not None:
                    await relieve()
                if detached is not None:
                    answer = await self.runtime.offload(detached)
                    continue
            elif need[0] == "spill" and session is not None and detached is not None:
                answer = await self.spilling(session, need, detached)
                continue
            await self.satisfy(session, need)
            answer = call()
        self.after_call()
        if session is not None:
            self.drop_spilled(session)
        return answer

    async def spilling(self, session: Session, need: Need, detached: Callable[[], T]) -> T:
        """Temporary files are written and read in the worker thread in which the call goes on, until it asks for something else: the
        event loop is not held up by them, and does not have to wake up for each."""
        return await self.runtime.offload(self._spill_and_go_on, session, need, detached)  # type: ignore[no-any-return]

    def _spill_and_go_on(self, session: Session, need: Need, detached: Callable[[], Any]) -> Any:
        while True:
            self._exchange(session, need[1])
            answer = detached()
            if answer[0] not in ("need", "wait") or answer[1][0] != "spill":
                return answer
            need = answer[1]

    def after_call(self) -> None:
        """Pass on what a kernel call leaves: redo to be sent, sessions to be woken. Cheap; after every call."""
        if self.volume.tail > self.volume.taken:
            self._log.linger()
        first = self.volume.abandoned
        if first is not None and first < self._finishing:
            self._finishing = first
            self.runtime.spawn(self._finish(first), "abandoned commit")
        for session_id in self.volume.take_woken():
            self.interrupt(session_id)

    async def _finish(self, lsn: int) -> None:
        """A session has stopped to wait for its commit, which still holds its locks."""
        await self._log.durable(lsn)
        self.volume.finish_abandoned()
        self._finishing = NEVER
        self.after_call()

    async def durable(self, lsn: int) -> None:
        """Wait until all up to there is durable."""
        await self._log.durable(lsn)

    def interrupt(self, session_id: int) -> None:
        """Let a sleeping session look again."""
        future = self._sleeping.get(session_id)
        if future is None:
            if self.elsewhere is None or not self.elsewhere(session_id):
                self._early.add(session_id)
        elif not future.done():
            future.set_result(None)

    def _too_late(self, session: Session) -> None:
        session.cancel("55P03", "canceling statement due to lock timeout")
        self.interrupt(session.session_id)

    def forget(self, session_id: int) -> None:
        """The session is idle or gone: what woke it early is old."""
        self._early.discard(session_id)

    def drop_spills(self, session_id: int) -> None:
        """Remove what a session left of temporary files."""
        for key in [key for key in self._spills if key[0] == session_id]:
            self._drop(key)

    async def _sleep(self, session: Session | None, need: Need) -> None:
        if session is None or session.session_id in self._early:
            if session is not None:
                self._early.discard(session.session_id)
            await self.runtime.clock.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping[session.session_id] = future
        clock = self.runtime.clock
        timers = [clock.call_later(RECHECK_SECONDS, self.interrupt, session.session_id)]
        limit_ms = self.lock_timeouts_ms.get(session.session_id, 0)
        if limit_ms:
            timers.append(clock.call_later(limit_ms / 1000, self._too_late, session))
        try:
            await future
        finally:
            for timer in timers:
                timer.cancel()
            self._sleeping.pop(session.session_id, None)

    async def _page(self, session: Session | None, need: Need) -> None:
        no = need[1]
        future = self._fetching.get(no)
        if future is None:
            future = self._fetching[no] = asyncio.get_running_loop().create_future()
            if not self._missed:
                self.runtime.clock.call_soon(self._read_missed)
            self._missed.append(no)
        await self._arrival(session, future)

    def _read_missed(self) -> None:
        missed, self._missed = self._missed, []
        starts: dict[int, list[int]] = {}
        for no in missed:
            lsn = self.volume.fetch_begin(no)
            if lsn is None:
                self._fetched(no, None)
            else:
                starts.setdefault(lsn, []).append(no)
        for lsn, some in starts.items():
            for at in range(0, len(some), TOGETHER):
                self.runtime.spawn(self._read(some[at : at + TOGETHER], lsn), "page read")

    async def _pages_(self, session: Session | None, need: Need) -> None:
        """All are asked for. A scan goes on when the first is there, so that it overlaps with the next ones; several threads when all are."""
        pages = need[1]
        self._begin_ahead(pages)
        for no in pages if len(pages) > ONE_SCAN else pages[:1]:
            future = self._fetching.get(no)
            if future is not None:
                await self._arrival(session, future)
                if not future.done():
                    return

    async def read_ahead(self, pages: Sequence[int]) -> None:
        """Bring pages into the cache that nobody waits for; one that can't be read is left out."""
        self._begin_ahead(pages)
        await asyncio.gather(*(self._fetching[no] for no in pages if no in self._fetching), return_exceptions=True)

    def _begin_ahead(self, pages: Sequence[int]) -> None:
        wanted = [no for no in dict.fromkeys(pages) if no not in self._fetching]
        lsn, wanted = self.volume.fetch_begin_all(wanted)
        for at in range(0, len(wanted), READ_AHEAD):
            some = wanted[at : at + READ_AHEAD]
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._fetching.update(dict.fromkeys(some, arrived))
            self.runtime.spawn(self._read_ahead(some, lsn, arrived), "page read")

    async def _read_ahead(self, pages: list[int], lsn: int, arrived: asyncio.Future[None]) -> None:
        """Many pages cost the event loop little: they have one future, and a worker thread brings them into the cache."""
        failure: BaseException | None = None
        try:
            answers = await self._pages.read(pages, lsn, bulk=True)
            await self.runtime.offload(self.volume.install_pages, pages, answers, lsn)
        except BaseException as error:
            failure = error
            for no in pages:
                self.volume.fetch_failed(no)
            if not isinstance(error, OSError | KernelError):
                raise
        finally:
            for no in pages:
                del self._fetching[no]
            _settle(arrived, failure)

    async def _read(self, pages: list[int], lsn: int) -> None:
        failure: BaseException | None = None
        left = set(pages)
        try:
            for no, data in zip(pages, await self._pages.read(pages, lsn), strict=True):
                self.volume.install_page(no, data, lsn)
                left.discard(no)
                self._fetched(no, None)
        except BaseException as error:
            failure = error
            if not isinstance(error, OSError | KernelError):
                raise
        finally:
            for no in sorted(left):
                self.volume.fetch_failed(no)
                self._fetched(no, failure)

    def _fetched(self, no: int, failure: BaseException | None) -> None:
        _settle(self._fetching.pop(no), failure)

    async def _arrival(self, session: Session | None, future: asyncio.Future[None]) -> None:
        """Wait for what others may wait for too, unless the session is interrupted."""
        if session is None:
            return await asyncio.shield(future)
        if session.session_id in self._early:
            self._early.discard(session.session_id)
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def arrived(_: asyncio.Future[None]) -> None:
            if not turn.done():
                turn.set_result(None)

        future.add_done_callback(arrived)
        self._sleeping[session.session_id] = turn
        try:
            await turn
        finally:
            future.remove_done_callback(arrived)
            self._sleeping.pop(session.session_id, None)
        return future.result() if future.done() else None

    async def _durable(self, session: Session | None, need: Need) -> None:
        if self.volume.vdl >= need[1]:
            await self.runtime.clock.sleep(0)
            return
        durable = asyncio.ensure_future(self._log.durable(need[1]))
        try:
            await self._arrival(session, durable)
        finally:
            durable.cancel()

    async def _slice(self, session: Session | None, need: Need) -> None:
        await self.runtime.clock.sleep(0)

    async def _spill(self, session: Session | None, need: Need) -> None:
        if session is None:
            raise RuntimeError("a call without a session asked for a temporary file")
        self._exchange(session, need[1])

    def _exchange(self, session: Session, request: SpillRequest) -> None:
        """Do what an operator wants of its temporary file; also those that it has done with go."""
        self.drop_spilled(session)
        left: SpillRequest | None = request
        try:
            while left is not None:
                left = session.spill_done(self._carry_out(session.session_id, left))
        except OSError as error:
            session.cancel("53100", f"could not use a temporary file: {error}")

    def _carry_out(self, session_id: int, request: SpillRequest) -> bytes | None:
        if request[0] == "write":
            for file, offset, data in request[1]:
                self._spill_file((session_id, file)).pwrite(offset, data)
            return None
        _, file, offset, length = request
        return self._spill_file((session_id, file)).pread(offset, length)

    def _spill_file(self, key: tuple[int, int]) -> File:
        if key not in self._spills:
            self.runtime.disk.mkdir(TEMPORARY)
            self._spills[key] = self.runtime.disk.open(f"{TEMPORARY}/{key[0]}.{key[1]}", create=True)
        return self._spills[key]

    def drop_spilled(self, session: Session) -> None:
        """Remove the temporary files that a statement has done with."""
        for file in session.take_dropped() if self._spills else ():
            self._drop((session.session_id, file))

    def _drop(self, key: tuple[int, int]) -> None:
        file = self._spills.pop(key, None)
        if file is not None:
            file.close()
            self.runtime.disk.unlink(file.path)


def clear_temporary(disk: Disk) -> None:
    """Remove the temporary files of a process that was killed. For who starts, and has the folder to itself."""
    for name in disk.listdir(TEMPORARY) if disk.exists(TEMPORARY) else ():
        disk.unlink(f"{TEMPORARY}/{name}")


def _settle(future: asyncio.Future[None], failure: BaseException | None) -> None:
    if future.done():
        return  # the process ends: all that waits is cancelled
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
        # Read ahead, and nobody came for it.
        future.exception()
