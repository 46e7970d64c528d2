"""Hosts, their clocks, and the network between them. A host can be killed at any moment, paused, cut off, and started again."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

from sixfold.wal.runtime import Connection, ConnectionLost, Runtime
from tests.sim.disk import Platter, SimDisk
from tests.sim.loop import SimLoop

# A cut or pause is looked at again after this long.
_POLL = 0.02
# Kinds of raw messages that may come twice or out of order without breaking the protocol: batches, acknowledgements, hints.
_UNORDERED = b"BMAH"


class World:
    """Everything outside the components."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.loop = SimLoop()
        self.hosts: dict[str, Host] = {}
        self.served: dict[str, tuple[Host, int, Callable[[Connection], None]]] = {}
        # Pairs of hosts that can't reach each other (each order is a direction).
        self.cut: set[tuple[str, str]] = set()
        self.delay_max = self.chance.choice([0.0005, 0.002, 0.01])
        self.duplicates = self.chance.choice([0.0, 0.02])
        self.slow: dict[str, float] = {}
        self.slow_disks = 1.0
        self.log: list[str] = []
        # How often each fault has really happened.
        self.counts: Counter[str] = Counter()
        # A checksum over everything that was delivered, written and synced, and when: runs of one seed have the same.
        self.trace = 0

    def host(self, name: str) -> Host:
        """The host of this name, made when it is new."""
        if name not in self.hosts:
            self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def note(self, text: str) -> None:
        """For the story of a failing seed."""
        self.log.append(f"{self.loop.now:9.4f}  {text}")

    def traced(self, what: str, data: bytes = b"") -> None:
        """Something has happened."""
        self.trace = zlib.crc32(data, zlib.crc32(f"{self.loop.now!r} {what}".encode(), self.trace))

    def blocked(self, source: Host, target: Host) -> bool:
        return target.paused or (source.name, target.name) in self.cut

    def message_delay(self, source: Host, target: Host) -> float:
        slow = max(self.slow.get(source.name, 1.0), self.slow.get(target.name, 1.0))
        return self.chance.uniform(0.00005, self.delay_max) * slow

    def sync_delay(self, host: Host) -> float:
        return self.chance.uniform(0.00005, 0.003) * self.slow.get(host.name, 1.0) * self.slow_disks

    def cut_off(self, name: str, both: bool = True) -> None:
        """The host neither hears nor (with `both`) is heard."""
        for other in self.hosts:
            if other != name:
                self.cut.add((other, name))
                if both:
                    self.cut.add((name, other))

    def heal(self) -> None:
        """Everybody reaches everybody, at full speed, with room on every disk."""
        self.cut.clear()
        self.slow.clear()
        self.slow_disks = 1.0
        for host in self.hosts.values():
            host.platter.full = False
            host.platter.broken_syncs = 0
            host.doom = 0
            host.resume()


class SimClock:
    """A host's clock: callbacks of a dead life never run, those of a paused one wait."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._life = host.life

    def monotonic(self) -> float:
        return self._host.world.loop.now

    def time(self) -> float:
        return 1_700_000_000.0 + self._host.world.loop.now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = self._host.world.loop.create_future()
        timer = self.call_later(seconds, lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        return self._host.world.loop.call_later(max(seconds, 0.0), self._run, callback, *args)

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        self._host.world.loop.call_soon(self._run, callback, *args)

    def _run(self, callback: Callable[..., Any], *args: Any) -> None:
        host = self._host
        if host.life != self._life:
            return
        if host.paused:
            host.stalled.append((callback, args))
            return
        callback(*args)


class SimRuntime(Runtime):
    """A Runtime of one life of a host."""

    host: Host
    life: int

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self.host.life == self.life:
            super()._ended(task)
        elif not task.cancelled():
            task.exception()


class Host:
    """One machine: a disk that lasts, and one life after the other."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.life = 0
        self.alive = False
        self.paused = False
        self.stalled: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.platter = Platter()
        self.connections: list[SimConnection] = []
        self.chance = random.Random(world.chance.random())
        # It dies at this many more of its disk's operations and arriving messages; then `on_doom` is called.
        self.doom = 0
        self.on_doom: Callable[[], None] = lambda: None
        self.clock: SimClock
        self.runtime: SimRuntime

    def boot(self) -> SimRuntime:
        """Begin a new life."""
        self.life += 1
        self.alive = True
        self.clock = SimClock(self)
        runtime = SimRuntime(
            self.clock, SimNet(self), SimDisk(self, self.platter), random.Random(self.chance.random()), _inline
        )
        runtime.host, runtime.life = self, self.life
        self.runtime = runtime
        return runtime

    def kill(self, everything: bool = False) -> None:
        """The process is gone, and with it what was not synced: some of it, or `everything`."""
        if not self.alive:
            return
        runtime = self.runtime
        self.world.counts["a process is killed"] += 1
        self.life += 1
        self.alive = False
        self.doom = 0
        self.paused = False
        self.stalled.clear()
        connections, self.connections = self.connections, []
        for connection in connections:
            connection.die()
        for address in [address for address, (host, _, _) in self.world.served.items() if host is self]:
            del self.world.served[address]
        for task in sorted(runtime._tasks, key=lambda task: task.get_name()):
            task.cancel()
        self.platter.crash(self.chance, self.world.counts, everything)

    def step(self) -> bool:
        """Something is about to happen here. True: the process has died before it."""
        if self.doom == 0:
            return False
        self.doom -= 1
        if self.doom:
            return False
        self.world.note(f"{self.name} dies in the middle of what it does")
        self.world.counts["a process dies at an operation"] += 1
        self.kill()
        self.on_doom()
        return True

    def pause(self) -> None:
        self.paused = self.alive

    def resume(self) -> None:
        """Everything that waited happens now, in order."""
        if not self.paused:
            return
        self.paused = False
        stalled, self.stalled = self.stalled, []
        for callback, args in stalled:
            self.clock.call_soon(callback, *args)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A task that dies with this life."""
        return self.runtime.spawn(work, name)


async def _inline(work: Callable[..., Any], *args: Any) -> Any:
    # A worker thread takes its time: others run meanwhile.
    await asyncio.sleep(0)
    return work(*args)


class SimListener:
    def __init__(self, world: World, address: str) -> None:
        self._world = world
        self.address = address

    def close(self) -> None:
        self._world.served.pop(self.address, None)


class SimNet:
    """One host's view of the network."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._life = host.life

    async def serve(self, address: str, accept: Callable[[Connection], None]) -> SimListener:
        self._host.world.served[address] = (self._host, self._life, accept)
        return SimListener(self._host.world, address)

    async def connect(self, address: str, timeout: float = 5.0) -> SimConnection:
        host, world = self._host, self._host.world
        deadline = world.loop.now + timeout
        await host.clock.sleep(world.chance.uniform(0.0001, world.delay_max))
        while True:
            found = world.served.get(address)
            if found is None:
                raise ConnectionLost(f"connection to {address} refused")
            target, life, accept = found
            if not world.blocked(host, target) and not world.blocked(target, host):
                break
            if world.loop.now >= deadline:
                raise ConnectionLost(f"connection to {address} timed out")
            await host.clock.sleep(_POLL)
        if target.life != life or host.life != self._life:
            raise ConnectionLost(f"connection to {address} refused")
        here, there = SimConnection(host, address), SimConnection(target, host.name)
        here.other, there.other = there, here
        host.connections.append(here)
        target.connections.append(there)
        accept(there)
        return here


class SimConnection:
    """One end. `_inbox` is what travels towards it, in order."""

    offered = None

    def __init__(self, host: Host, peer: str) -> None:
        self.host = host
        self.peer = peer
        self.other: SimConnection
        self.closed = False
        self._told = False
        self._inbox: deque[tuple[float, bytes | None]] = deque()
        # Messages sent from here.
        self._sent = 0
        self._inbox_bytes = 0
        self._pumping = False
        self._early: list[bytes] | None = []
        self._on_message: Callable[[bytes], None] | None = None
        self._on_close: Callable[[], None] | None = None

    @property
    def buffered(self) -> int:
        return self.other._inbox_bytes

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._on_message, self._on_close = on_message, on_close
        early, self._early = self._early or [], None
        for message in early:
            on_message(message)
        if self.closed:
            self._tell()

    def send(self, message: bytes) -> None:
        if self.closed or not self.host.alive:
            return
        self.other._post(self.host, message)
        self._sent += 1
        world = self.host.world
        if world.duplicates and message[:1] in _UNORDERED and world.chance.random() < world.duplicates:
            later = world.chance.uniform(0, 10 * world.delay_max)
            self.host.clock.call_later(later, self._again, message, self._sent)

    def _again(self, message: bytes, number: int) -> None:
        if not self.closed:
            self.host.world.counts["a message comes twice"] += 1
            self.host.world.counts["a message comes out of order"] += self._sent > number
            self.other._post(self.host, message)

    def offer(self, way: object) -> None:
        """Each host is a process of its own."""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.other._post(self.host, None)
            self.host.clock.call_soon(self._tell)

    abort = close

    def lose(self) -> None:
        """The connection breaks: what is on its way is lost, and both ends learn of it."""
        for end in (self, self.other):
            self.host.world.counts["a message is lost"] += sum(item[1] is not None for item in end._inbox)
            end._inbox = deque(item for item in end._inbox if item[1] is None)
            end._inbox_bytes = 0
        self.close()
        self.other.close()

    def die(self) -> None:
        """The process on this end is gone; the other end learns it later."""
        self.closed = True
        self._on_message = self._on_close = None
        self.other._post(self.host, None)

    def _post(self, source: Host, message: bytes | None) -> None:
        world = self.host.world
        when = world.loop.now + world.message_delay(source, self.host)
        if self._inbox:
            when = max(when, self._inbox[-1][0])
        self._inbox.append((when, message))
        self._inbox_bytes += len(message or b"")
        if not self._pumping:
            self._pumping = True
            world.loop.call_at(when, self._pump, source)

    def _pump(self, source: Host) -> None:
        world = self.host.world
        while self._inbox:
            when, message = self._inbox[0]
            blocked = world.blocked(source, self.host)
            if when > world.loop.now or blocked:
                world.counts["a partition holds messages up"] += blocked and not self.host.paused
                world.loop.call_at(max(when, world.loop.now + _POLL * (when <= world.loop.now)), self._pump, source)
                return
            self._inbox.popleft()
            self._inbox_bytes -= len(message or b"")
            self._deliver(message)
        self._pumping = False

    def _deliver(self, message: bytes | None) -> None:
        self.host.world.traced(f"{self.peer} to {self.host.name}", message or b"")
        if not self.closed and self.host.step():
            return
        if message is None:
            self.closed = True
            self._tell()
        elif self._early is not None:
            self._early.append(message)
        elif self._on_message is not None and not self._told and not self.closed:
            self._on_message(message)

    def _tell(self) -> None:
        if not self._told and self._on_close is not None:
            self._told = True
            if self in self.host.connections:
                self.host.connections.remove(self)
            self._on_close()
