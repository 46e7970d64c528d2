"""One run: six nodes, writers that follow one another, a reader, clients, faults; then peace, and the checks.

The promises: every acknowledged MTR survives every recovery; nothing of an unacknowledged one is half there; two writers never both
commit; what a page read answers is what the log says at that LSN; a reader sees only states at the end of an MTR; all segments agree.
"""

from __future__ import annotations

import asyncio
import errno
import gc
from collections.abc import Sequence
from typing import Any

from sixfold.pagestore import journal, layers
from sixfold.pagestore.client import start_pump
from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.manifest import ManifestDamaged
from sixfold.pagestore.node import StorageNode
from sixfold.pagestore.reader import PageReader, ReadFailed, ReadTooOld
from sixfold.wal.recovery import Recovery, RecoveryFailed
from sixfold.wal.runtime import ConnectionLost
from sixfold.wal.stream import LogPublisher, LogTailer
from sixfold.wal.volume import TOPOLOGIES, Member, VolumeConfig, zone_names
from tests.raw import BODY, RawVolume
from tests.sim.disk import Platter
from tests.sim.history import Branch, History, Violation
from tests.sim.promises import Promises, PromisingNode
from tests.sim.segments import have_everything
from tests.sim.world import Host, World

VOLUME = 1
PAGES = 60
STREAM = "stream"


def value_of(data: bytes | memoryview) -> int:
    return int.from_bytes(data[BODY : BODY + 8], "little")


class SimWriter:
    """A writer process with a few clients."""

    def __init__(self, scenario: Scenario, host: Host) -> None:
        self.scenario = scenario
        self.host = host
        self.runtime = host.boot()
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        # LSNs at which clients will read again.
        self.snapshots: list[int] = []
        self.open = False
        self.fenced = False
        self.branch: Branch
        host.spawn(self.run(), "writer")

    async def run(self) -> None:
        scenario = self.scenario
        try:
            found = await Recovery(self.runtime, scenario.config, timeout=60).run(create=True)
        except RecoveryFailed as error:
            scenario.world.note(f"{self.host.name}: recovery failed: {error}")
            self.fenced = True
            return
        self.branch = scenario.history.opened(found.epoch, found.end, found.vdl)
        scenario.world.note(f"{self.host.name}: epoch {found.epoch} opened, end {found.end}, begins at {found.vdl}")
        config = scenario.config
        self.volume = RawVolume(VOLUME, found.epoch, config.pages_per_group, found.vdl, found.tails)
        self.volume.known |= set(scenario.history.values(found.vdl))
        self.publisher = LogPublisher(
            self.runtime, volume=VOLUME, epoch=found.epoch, vdl=found.vdl, tails=lambda: self.sender.tracker.tails()
        )
        self.pump, self.sender = start_pump(
            self.runtime,
            config,
            found,
            self.volume,
            on_durable=self.durable,
            on_fenced=self.on_fenced,
            pgmrpl=self.horizon,
        )
        tracker = self.sender.tracker
        self.pump.on_flush = self.publisher.flush
        self.reader = PageReader(self.runtime, config, tail=tracker.tail, scls=tracker.scls, timeout=10)
        await self.publisher.serve(STREAM)
        self.open = True
        for number in range(3):
            self.host.spawn(self.client(number), f"client {number}")

    def horizon(self) -> int:
        known = [self.volume.vdl, self.reader.oldest, self.publisher.oldest, *self.snapshots]
        return min(lsn for lsn in known if lsn is not None)

    def on_fenced(self, epoch: int) -> None:
        self.scenario.world.note(f"{self.host.name}: fenced by {epoch}")
        self.fenced = True
        self.open = False
        self.publisher.close()

    def durable(self, vdl: int) -> None:
        self.branch.durable = vdl
        self.publisher.advance(vdl)
        ready = [future for lsn, future in self.waiting if lsn <= vdl]
        self.waiting = [(lsn, future) for lsn, future in self.waiting if lsn > vdl]
        for future in ready:
            if not future.done():
                future.set_result(None)

    async def client(self, number: int) -> None:
        scenario, chance = self.scenario, self.host.chance
        while not self.fenced:
            if chance.random() < 0.3 and self.branch.mtrs:
                await self.read(chance.sample(range(PAGES), 3))
            else:
                await self.write(chance.sample(range(PAGES), chance.randint(1, 3)))
            await self.runtime.clock.sleep(chance.uniform(0.0, scenario.think_max))

    async def write(self, pages: list[int]) -> None:
        while self.volume.tail > self.volume.limit - 10_000:
            await self.runtime.clock.sleep(0.01)
        changes = [(page, self.scenario.next_value()) for page in pages]
        filler = bytes(self.host.chance.choice([0, 0, 50, 400]))
        lsn = self.volume.mtr([(page, 0, value.to_bytes(8, "little") + filler) for page, value in changes])
        self.scenario.history.wrote(self.branch, lsn, changes)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((lsn, future))
        self.pump.urge()
        await future
        self.scenario.history.acknowledge(self.branch, lsn)

    async def read(self, pages: list[int]) -> None:
        lsn = self.volume.vdl
        expected = self.scenario.history.values(lsn)
        self.snapshots.append(lsn)
        if self.host.chance.random() < 0.1:
            await self.runtime.clock.sleep(self.host.chance.uniform(0.1, 1.0))
        try:
            answers = await self.reader.read(pages, lsn)
        except (ReadFailed, ReadTooOld) as error:
            if isinstance(error, ReadTooOld) and not self.superseded():
                raise Violation(f"a page that the writer may ask for was collected: {error}") from error
            return
        finally:
            self.snapshots.remove(lsn)
        if not self.superseded():
            compare(pages, answers, expected, f"writer {self.branch.epoch} at {lsn}")

    def superseded(self) -> bool:
        """A later writer has recovered: what this one still sees does not count."""
        return self.scenario.history.branches[-1] is not self.branch


def compare(pages: list[int], answers: Sequence[bytes | memoryview], expected: dict[int, int], where: str) -> None:
    for page, data in zip(pages, answers, strict=True):
        if value_of(data) != expected.get(page, 0):
            raise Violation(f"{where}: page {page} holds {value_of(data)}, the log says {expected.get(page, 0)}")


class SimReader:
    """A reader process: its view must be a state that was durable."""

    class Copy:
        def __init__(self, vdl: int) -> None:
            self.vdl = vdl

        def apply_stream(self, batches: list[bytes]) -> None:
            pass

        def set_vdl(self, vdl: int) -> None:
            if vdl <= self.vdl:
                raise Violation("a reader went back in time")
            self.vdl = vdl

    def __init__(self, scenario: Scenario, host: Host) -> None:
        self.scenario = scenario
        self.host = host
        self.runtime = host.boot()
        self.reads = 0
        self.begun = 0
        self.tailer = LogTailer(
            self.runtime,
            STREAM,
            volume=VOLUME,
            name=host.name,
            reset=self.reset,
            on_vdl=lambda vdl: None,
            horizon=lambda: self.pages.oldest or self.tailer.vdl,
        )
        self.pages = PageReader(self.runtime, scenario.config, tail=self.tailer.tail, timeout=5)
        host.spawn(self.run(), "reader's client")

    def reset(self, epoch: int, vdl: int) -> SimReader.Copy:
        if epoch < self.begun:
            raise Violation(f"a reader went back from epoch {self.begun} to {epoch}")
        self.begun = epoch
        return SimReader.Copy(vdl)

    async def run(self) -> None:
        history, chance = self.scenario.history, self.host.chance
        while True:
            await self.runtime.clock.sleep(chance.uniform(0.01, 0.2))
            tailer = self.tailer
            if not tailer.connected or tailer.vdl == 0:
                continue
            lsn, epoch = tailer.vdl, tailer.epoch
            history.shown(epoch, lsn)
            expected = history.values(lsn)
            pages = chance.sample(range(PAGES), 4)
            try:
                answers = await self.pages.read(pages, lsn)
            except (ReadFailed, ReadTooOld):
                continue
            if history.branches[-1].epoch == epoch:
                compare(pages, answers, expected, f"reader at {lsn}")
                self.reads += 1


class Scenario:
    """A seed's run."""

    def __init__(self, seed: int, *, topology: str = "6x3", seconds: float = 8.0, focus: Sequence[str] = ()) -> None:
        # Names of the faults that there are; none: some, by chance.
        self.focus = focus
        self.world = World(seed)
        self.chance = self.world.chance
        self.seconds = seconds
        shape = TOPOLOGIES[topology]
        names = [(zone, f"{zone}/{node}") for zone, node in zone_names(shape)]
        self.config = VolumeConfig(
            VOLUME,
            [Member(name, zone, name) for zone, name in names],
            shape.write_quorum,
            shape.read_quorum,
            pages_per_group=self.chance.choice([7, 20, 1000]),
            allocation_limit=self.chance.choice([20_000, 200_000, 1 << 26]),
        )
        self.memory = self.chance.choice([4_000, 30_000, 1 << 20])
        self.think_max = self.chance.choice([0.001, 0.02])
        # Small steps, so that everything else comes between them.
        layers._STEP_BYTES, layers._STEPS_PER_CALL, layers._PAGES_PER_STEP = 300, 1, 2
        # Small files, so that they end, are trimmed and run out of room.
        journal.FILE_BYTES = self.chance.choice([3_000, 30_000, 8 << 20])
        journal.RESERVE_BYTES = self.chance.choice([2_048, 16_384])
        self.journal_bytes = self.chance.choice([10_000, 1 << 30])
        self.history = History()
        self.nodes: dict[str, StorageNode] = {}
        self.writers: list[SimWriter] = []
        self.reader: Any = None
        self.promises = {member.name: Promises(member.name) for member in self.config.members}
        self._value = 0
        # At most one node may lose what it had made durable without knowing it; disks are lost in its zone.
        self.rotten = self.chance.choice([None, *(member.name for member in self.config.members)])
        if len(self.config.members) < 6:
            self.rotten = None

    def next_value(self) -> int:
        self._value += 1
        return self._value

    def run(self) -> None:
        """Raises Violation. Garbage is collected at the end only: when else it would be depends on what ran before in this process."""
        gc.collect()
        gc.disable()
        try:
            self.world.loop.run(self.main())
        finally:
            gc.enable()

    async def main(self) -> None:
        for member in self.config.members:
            await self.start_node(member.name)
        self.start_writer()
        self.start_reader()
        await self.faults()
        await self.peace()
        await self.check()
        # A task that was cancelled and waits on for something that nobody will do is found now.
        gc.collect()
        self.no_failures()

    # -- processes

    async def start_node(self, name: str) -> None:
        host = self.world.host(name)
        runtime = host.boot()
        config = NodeConfig(
            name=name,
            address=name,
            peers=[member.name for member in self.config.members if member.name != name],
            memory_bytes=self.memory,
            journal_bytes=self.journal_bytes,
            layers_max=3,
            gossip_seconds=0.1,
            scrub_seconds=self.chance.choice([0.5, 5.0, 1000.0]),
        )

        async def start() -> None:
            while True:
                node = self.nodes[name] = PromisingNode(config, runtime, self.promises[name])
                try:
                    await node.start()
                    return
                except ManifestDamaged as error:
                    # What it says is what the operator does; only rot may bring it about.
                    if name != self.rotten:
                        raise
                    self.world.note(f"{name} does not start: {error}")
                    self.world.counts["a manifest is beyond repair"] += 1
                    host.kill()
                    host.platter = Platter()
                    self.later(0.1, lambda: self.restart(name))
                    return
                except OSError as error:
                    self.world.note(f"{name} does not start: {error}")
                    failing = error.errno == errno.EIO and host.runtime is runtime and host.alive
                    if not host.platter.full and not failing:
                        raise
                    await runtime.clock.sleep(0.2)

        starting = host.spawn(start(), f"start {name}")
        if not host.platter.full:
            await asyncio.wait([starting])
            if host.runtime is runtime and host.alive:
                starting.result()

    def start_reader(self) -> None:
        """The reader begins."""
        self.reader = SimReader(self, self.world.host("reader"))

    def start_writer(self) -> None:
        """A new writer on a host of its own; whatever was there before has not been told."""
        self.writers.append(SimWriter(self, self.world.host(f"writer-{len(self.writers) + 1}")))

    # -- faults

    async def faults(self) -> None:
        clock = self.world.loop
        actions: list[Any] = [
            (4, self.kill_node),
            (4, self.doom_node),
            (1, self.doom_writer),
            (2, self.kill_zone),
            (1, self.kill_all_nodes),
            (2, self.cut_power),
            (3, self.replace_writer),
            (2, self.pause_writer),
            (2, self.cut_node),
            (2, self.cut_writer),
            (3, self.shift_partition),
            (2, self.slow_node),
            (2, self.fill_disk),
            (2, self.break_sync),
            (1, self.rot),
            (1, self.lose_disk),
            (2, self.kill_reader),
            (3, self.drop_connection),
        ]
        # Some faults only: what needs several of a kind is found by the seeds that have little else.
        actions = self.chance.sample(actions, self.chance.choice([3, 5, 9, len(actions)]))
        if self.focus:
            actions = [(1, getattr(self, name)) for name in self.focus]
        weights = [weight for weight, _ in actions]
        await asyncio.sleep(self.chance.uniform(0.01, 0.5))
        end = clock.time() + self.seconds
        while clock.time() < end:
            (_, action) = self.chance.choices(actions, weights)[0]
            for _ in range(self.chance.randrange(6)):
                await asyncio.sleep(0)
            self.no_failures()
            await action()
            await asyncio.sleep(self.chance.choice([0.0, 0.05, 0.5, 1.0]) * self.chance.random())

    def later(self, seconds: float, work: Any) -> None:
        async def run() -> None:
            await asyncio.sleep(seconds)
            result = work()
            if asyncio.iscoroutine(result):
                await result

        self._later = getattr(self, "_later", [])
        self._later.append(asyncio.ensure_future(run()))

    async def restart(self, name: str) -> None:
        if not self.world.hosts[name].alive:
            self.world.note(f"start {name}")
            await self.start_node(name)

    def kill(self, name: str, everything: bool = False) -> None:
        self.world.note(f"kill {name}")
        self.world.hosts[name].kill(everything)
        self.later(self.chance.uniform(0.01, 2.0), lambda: self.restart(name))

    def any_node(self) -> str:
        return self.chance.choice(self.config.members).name

    async def kill_node(self) -> None:
        self.kill(self.any_node())

    async def doom_node(self) -> None:
        """It will die in the middle of something: between two writes of the manifest, before a sync, at a message."""
        name = self.any_node()
        host = self.world.hosts[name]
        host.on_doom = lambda: self.later(self.chance.uniform(0.01, 2.0), lambda: self.restart(name))
        host.doom = self.chance.choice([1, 3, 10, 50, 200])

    async def doom_writer(self) -> None:
        """The same, and there may be nobody for a while."""
        host = self.writers[-1].host
        host.on_doom = lambda: self.later(self.chance.uniform(0.0, 0.5), self.replace_dead_writer)
        host.doom = self.chance.choice([1, 3, 10, 50, 200])

    def replace_dead_writer(self) -> None:
        if not self.writers[-1].host.alive:
            self.start_writer()

    async def kill_zone(self) -> None:
        zone = self.chance.choice(sorted({member.zone for member in self.config.members}))
        for member in self.config.members:
            if member.zone == zone:
                self.kill(member.name)
        self.world.counts["a zone is down"] += 1

    async def kill_all_nodes(self) -> None:
        for member in self.config.members:
            self.kill(member.name)

    async def cut_power(self) -> None:
        """Everything is gone at one moment: a client may have been told something just before."""
        self.world.slow_disks = self.chance.choice([1.0, 20.0, 1000.0])
        host = self.writers[-1].host
        life = host.life

        def out() -> None:
            self.world.counts["the power is gone"] += 1
            host.kill()
            self.world.slow_disks = 1.0
            everything = self.chance.random() < 0.7
            for member in self.config.members:
                self.kill(member.name, everything)
            self.later(self.chance.uniform(0.0, 0.5), self.replace_dead_writer)

        host.on_doom = out
        host.doom = self.chance.randint(5, 60)
        # Where nothing is acknowledged, no message comes.
        self.later(self.chance.uniform(0.02, 0.3), lambda: out() if host.life == life else None)

    async def replace_writer(self) -> None:
        """Kill the writer, or don't: the new one fences it either way."""
        old = self.writers[-1]
        if self.chance.random() < 0.6:
            self.world.note(f"kill {old.host.name}")
            old.host.kill()
        await asyncio.sleep(self.chance.choice([0.0, 0.1]) * self.chance.random())
        self.world.note("a new writer")
        self.start_writer()

    async def pause_writer(self) -> None:
        """The old writer sleeps through its successor's recovery and wakes up later."""
        host = self.writers[-1].host
        if host.alive:
            self.world.note(f"pause {host.name}")
            host.pause()
            self.later(self.chance.uniform(0.05, 2.0), lambda: self.wake_writer(host))
            if self.chance.random() < 0.7:
                self.start_writer()

    def wake_writer(self, host: Host) -> None:
        newer = [writer for writer in self.writers if writer.open and writer.host is not host and writer.host.alive]
        if host.paused and newer and newer[-1] is self.writers[-1]:
            self.world.counts["an old writer wakes up after its successor's recovery"] += 1
        host.resume()

    def mend(self, name: str) -> None:
        self.world.cut = {pair for pair in self.world.cut if name not in pair}

    async def cut_node(self) -> None:
        name = self.any_node()
        self.world.note(f"cut {name} off")
        self.world.cut_off(name, both=self.chance.random() < 0.5)
        self.later(self.chance.uniform(0.05, 3.0), lambda: self.mend(name))

    async def cut_writer(self) -> None:
        name = self.writers[-1].host.name
        self.world.note(f"cut {name} off")
        self.world.cut_off(name)
        self.later(self.chance.uniform(0.05, 2.0), lambda: self.mend(name))

    async def shift_partition(self) -> None:
        """Some nodes miss what is written; then they are back, others are away, and a new writer must make do with what it reaches."""
        await self.opened(1.0)
        names = [member.name for member in self.config.members]
        self.chance.shuffle(names)
        half = len(names) // 2
        away, count = self.chance.choice([1, 2, 2, half]), self.chance.choice([1, 2, half])
        first, second = names[:away], names[away:][:count]
        self.world.note(f"cut {first} off, then {second}")
        self.isolate(first)
        await asyncio.sleep(self.chance.uniform(0.02, 0.3))
        self.world.counts["a partition moves"] += 1
        for name in first:
            self.mend(name)
        self.isolate(second)
        if self.chance.random() < 0.5:
            self.writers[-1].host.kill()
        self.start_writer()
        await asyncio.sleep(self.chance.uniform(0.02, 0.5))
        for name in second:
            self.mend(name)

    async def opened(self, seconds: float) -> None:
        """Wait until there is an open writer, but no longer than so."""
        for _ in range(int(seconds / 0.01)):
            if self.writers[-1].open:
                return
            await asyncio.sleep(0.01)

    def isolate(self, names: list[str]) -> None:
        """They reach each other only."""
        for name in names:
            for other in self.world.hosts:
                if other not in names:
                    self.world.cut |= {(name, other), (other, name)}

    async def slow_node(self) -> None:
        name = self.any_node()
        self.world.slow[name] = self.chance.choice([5.0, 50.0])
        self.later(self.chance.uniform(0.1, 2.0), lambda: self.world.slow.pop(name, None))

    async def fill_disk(self) -> None:
        name = self.any_node()
        self.world.note(f"disk of {name} is full")
        self.world.hosts[name].platter.full = True

        def empty() -> None:
            self.world.hosts[name].platter.full = False

        self.later(self.chance.uniform(0.1, 2.0), empty)

    async def break_sync(self) -> None:
        """Of one node, or of so many that what they have is needed."""
        names = [member.name for member in self.config.members]
        for name in self.chance.sample(names, self.chance.choice([1, 1, len(names) // 2 + 1])):
            self.world.note(f"a sync of {name} fails")
            self.world.hosts[name].platter.broken_syncs += 1

    async def rot(self) -> None:
        """A bit of a file flips: under a running node, or found by the one that starts next."""
        if self.rotten is not None and self.world.hosts[self.rotten].alive:
            host = self.world.hosts[self.rotten]
            self.promises[self.rotten].forgiven = True
            running = self.chance.random() < 0.5
            if not running:
                host.kill()
            kind = self.chance.choice([".log", ".layer", "manifest"])
            path = host.platter.flip_bit(self.chance, kind)
            self.world.note(f"bit rot on {self.rotten}: {path}")
            self.world.counts[f"a bit flips in a {kind}"] += path is not None
            if not running:
                await self.restart(self.rotten)

    async def lose_disk(self) -> None:
        """A new machine in the old one's place: empty. Or a zone's both."""
        if self.rotten is None:
            return
        zone = [member.zone for member in self.config.members if member.name == self.rotten]
        names = [member.name for member in self.config.members if member.zone in zone]
        for name in self.chance.choice([[self.rotten], names]):
            host = self.world.hosts[name]
            if host.alive:
                host.kill()
                host.platter = Platter()
                self.promises[name].forgiven = True
                self.world.note(f"{name} loses its disk")
                self.world.counts["a disk is lost"] += 1
                await self.restart(name)

    async def kill_reader(self) -> None:
        self.world.hosts["reader"].kill()
        self.start_reader()

    async def drop_connection(self) -> None:
        """What is on its way over it is lost."""
        host = self.chance.choice([host for host in self.world.hosts.values() if host.alive])
        if host.connections:
            busy = [connection for connection in host.connections if connection.buffered]
            connection = self.chance.choice(busy or host.connections)
            self.world.note(f"{host.name} loses its connection to {connection.peer}")
            connection.lose()

    # -- the end

    async def peace(self) -> None:
        """All faults end; the volume must become writable, and all segments equal."""
        await asyncio.gather(*getattr(self, "_later", []))
        self.world.heal()
        self.world.note("peace")
        for member in self.config.members:
            await self.restart(member.name)
        for writer in self.writers[:-1]:
            writer.host.kill()
        if not self.writers[-1].host.alive or self.writers[-1].fenced:
            self.start_writer()
        deadline = self.world.loop.time() + 120
        before: dict[SimWriter, int] = {}
        while True:
            writer = self.writers[-1]
            if writer.fenced:
                self.start_writer()
            elif writer.open and writer.branch.acknowledged > before.setdefault(writer, writer.branch.acknowledged):
                break
            await asyncio.sleep(0.1)
            self.fail_if(self.world.loop.time() > deadline, "no writer could open the volume and write to it in peace")
        writer.fenced = True
        while True:
            await asyncio.sleep(0.2)
            vdl, tails = writer.sender.vdl, dict(writer.sender.tracker.tails())
            if writer.volume.tail == vdl and await have_everything(self.nodes, VOLUME, tails):
                return
            stores = [node.volumes[VOLUME].store for node in self.nodes.values() if VOLUME in node.volumes]
            self.fail_if(
                self.world.loop.time() > deadline,
                f"segments do not become equal: tails {tails}, {[(s.scls(), s.epoch, s.voids_epoch) for s in stores]}",
            )

    def no_failures(self) -> None:
        """An error that nobody handled, in any task of a living host, ends the run: violations too."""
        failures = self.world.loop.failures
        if failures:
            raise Violation(f"{failures[:3]}")

    def fail_if(self, condition: bool, text: str) -> None:
        self.no_failures()
        if condition:
            raise Violation(text)

    async def check(self) -> None:
        """Every page, from every node, at the end and at a few LSNs before it."""
        writer = self.writers[-1]
        vdl = writer.sender.vdl
        tail = writer.sender.tracker.tail
        points = [vdl, *self.chance.sample(self.history.cpls(), min(5, len(self.history.cpls())))]
        pages = list(range(PAGES))
        for lsn in points:
            expected = self.history.values(lsn)
            for node in self.nodes.values():
                volume = node.volumes[VOLUME]
                if lsn < volume.store.floor:
                    continue
                for page in pages:
                    needs = tail(self.config.group_of(page))
                    answer = volume.read([(page, needs)], lsn)
                    if answer[0] == 2 and lsn < vdl:
                        continue
                    self.fail_if(answer[0] != 0, f"{node.config.name} can't read page {page} at {lsn}: {answer!r}")
                    compare([page], [answer[1:]], expected, f"{node.config.name} at {lsn}")
        self.no_failures()


__all__ = ["ConnectionLost", "Scenario", "Violation"]
