"""The same faults under SQL: the engine, its catalogue and transactions over the simulated cluster, and money that must not be lost.

Clients move money between accounts and write each transfer down in the same transaction. Whatever was acknowledged must be in the table
after every failover, nothing that was rolled back or cut off may be, and the sum of all balances is the same in every snapshot.
"""

from __future__ import annotations

import asyncio
import bisect
import json

from sixfold.engine.embedded import Connection, Result
from sixfold.engine.errors import SqlError
from sixfold.kernel._kernel import KernelError
from sixfold.server.config import ReaderConfig, SqlConfig
from sixfold.server.reader import Reader
from sixfold.server.writer import Writer
from sixfold.wal.recovery import RecoveryFailed
from tests.sim.history import Violation
from tests.sim.scenario import STREAM, VOLUME, Scenario
from tests.sim.segments import have_everything
from tests.sim.world import Host

ACCOUNTS = 8
BALANCE = 1000
CACHE_BYTES = 2 << 20
# More than such a volume has.
PAGES_COMPARED = 600
# Autovacuum comes often, and for little.
OPTIONS = {
    "autovacuum_naptime": "1",
    "autovacuum_vacuum_threshold": "5",
    "autovacuum_analyze_threshold": "20",
}
SETUP = (
    "create table accounts (id int primary key, balance int not null)",
    "create table transfers (id int primary key, source int, target int, amount int)",
    f"insert into accounts select i, {BALANCE} from generate_series(1, {ACCOUNTS}) i",
)


class Ledger:
    """What clients were told."""

    def __init__(self) -> None:
        self.ready = False
        self.tried: dict[int, tuple[int, int, int]] = {}
        self.acknowledged: set[int] = set()


class Observations:
    """Sets of transfers that snapshots have shown, on any node: each must be a prefix of one order of commits, so any two of them
    contain each other. (Two nodes that show two commits in different orders would show sets that do not.)"""

    def __init__(self) -> None:
        self._seen: list[frozenset[int]] = []

    def add(self, seen: frozenset[int], where: str) -> None:
        at = bisect.bisect_left(self._seen, len(seen), key=len)
        for other in self._seen[max(0, at - 1) : at + 1]:
            small, large = sorted((seen, other), key=len)
            if not small <= large:
                raise Violation(f"{where} shows {sorted(seen - other)} without {sorted(other - seen)}")
        if at == len(self._seen) or self._seen[at] != seen:
            self._seen.insert(at, seen)

    @property
    def all(self) -> frozenset[int]:
        """What the newest snapshot has shown."""
        return self._seen[-1] if self._seen else frozenset()


LOOK = (
    "select (select array_agg(balance order by id) from accounts), "
    "(select coalesce(array_agg(id order by id), '{}') from transfers)"
)


class BankWriter:
    """A writer process with its database and a few clients."""

    def __init__(self, bank: BankScenario, host: Host) -> None:
        self.bank = bank
        self.host = host
        self.runtime = host.boot()
        self.open = False
        self.fenced = False
        self.writer: Writer
        host.spawn(self.run(), "writer")

    async def run(self) -> None:
        try:
            self.writer = await Writer.open(
                self.runtime, self.bank.config, CACHE_BYTES, create=True, options=dict(OPTIONS)
            )
        except (RecoveryFailed, OSError) as error:
            self.bank.world.note(f"{self.host.name}: {error}")
            self.fenced = True
            return
        self.host.spawn(self.watch(), "fencing")
        self.bank.world.note(f"{self.host.name}: epoch {self.writer.recovered.epoch} opened")
        session = await Connection(self.writer.database).start()
        try:
            if not self.bank.ledger.ready:
                await self.setup(session)
        except (SqlError, OSError) as error:
            self.bank.world.note(f"{self.host.name}: {error}")
            self.fenced = True
            return
        await self.writer.publisher.serve(STREAM)
        self.open = True
        for number in range(3):
            self.host.spawn(self.client(), f"client {number}")

    async def watch(self) -> None:
        await self.writer.fenced.wait()
        self.fenced = True
        self.open = False

    async def setup(self, session: Connection) -> None:
        found = await self.ask(session, "select count(*) from pg_class where relname = 'accounts'")
        if found.rows == [("0",)]:
            await self.ask(session, "begin")
            for text in SETUP:
                await self.ask(session, text)
            await self.ask(session, "commit")
        self.bank.ledger.ready = True

    async def ask(self, session: Connection, text: str) -> Result:
        """One statement, whose answer is waited for as a client would."""
        results = await session.query(text)
        while not results:
            await self.runtime.clock.sleep(0.001)
            session.wake()
            results = session._results()
        if results[-1].error is not None:
            raise SqlError(results[-1].error["C"], results[-1].error["M"])
        return results[-1]

    async def client(self) -> None:
        chance = self.host.chance
        session = await Connection(self.writer.database).start()
        while not self.fenced:
            try:
                what = chance.random()
                if what < 0.3:
                    await self.look(session)
                elif what < 0.33:
                    await self.scratch(session)
                else:
                    await self.transfer(session)
            except (SqlError, KernelError, OSError) as error:
                self.bank.world.note(f"{self.host.name}: {error}")
                if session.status != "I":
                    await session.query("rollback")
            await self.runtime.clock.sleep(chance.uniform(0.0, 0.02))

    async def transfer(self, session: Connection) -> None:
        chance, ledger = self.host.chance, self.bank.ledger
        source, target = chance.sample(range(1, ACCOUNTS + 1), 2)
        amount = chance.randint(1, 50)
        number = len(ledger.tried) + 1
        ledger.tried[number] = (source, target, amount)
        await self.ask(session, "begin")
        await self.ask(session, f"update accounts set balance = balance - {amount} where id = {source}")
        await self.ask(session, f"update accounts set balance = balance + {amount} where id = {target}")
        await self.ask(session, f"insert into transfers values ({number}, {source}, {target}, {amount})")
        if chance.random() < 0.1:
            del ledger.tried[number]
            ledger.tried[-number] = (0, 0, 0)
            await self.ask(session, "rollback")
            return
        if (await self.ask(session, "commit")).tag == "COMMIT":
            ledger.acknowledged.add(number)

    async def scratch(self, session: Connection) -> None:
        """A table that comes and goes, in one transaction or in several."""
        name = f"scratch_{self.host.chance.getrandbits(40)}"
        words = [
            f"create table {name}(a int primary key, b text)",
            f"insert into {name} select generate_series(1, 300)",
        ]
        words += [self.host.chance.choice([f"drop table {name}", f"truncate {name}", "select 1"])]
        if self.host.chance.random() < 0.5:
            words = ["begin", *words, self.host.chance.choice(["commit", "rollback"])]
        for text in words:
            await self.ask(session, text)

    async def look(self, session: Connection) -> None:
        known = len(self.bank.ledger.acknowledged)
        result = await self.ask(session, LOOK)
        if self.bank.writers[-1] is not self:
            return
        seen = self.bank.consistent(result, self.host.name)
        if len(seen) < known:
            raise Violation(f"a snapshot shows {len(seen)} transfers, {known} were acknowledged before")
        self.bank.observations.add(seen, self.host.name)


class BankReader:
    """A reader process with its database, and a client that looks."""

    def __init__(self, bank: BankScenario, host: Host) -> None:
        self.bank = bank
        self.host = host
        self.runtime = host.boot()
        self.looks = 0
        config = ReaderConfig(
            data="",
            name=host.name,
            members=bank.config.members,
            writer=STREAM,
            volume_id=bank.config.volume,
            pages_per_group=bank.config.pages_per_group,
            sql=SqlConfig(cache=CACHE_BYTES),
        )
        self.reader = Reader(self.runtime, config, bank.config)
        host.spawn(self.run(), "reader's client")

    async def run(self) -> None:
        await self.reader.opened()
        database = self.reader.current()
        session = await Connection(database).start()
        last: frozenset[int] = frozenset()
        while True:
            await self.runtime.clock.sleep(self.host.chance.uniform(0.005, 0.1))
            if self.reader.current() is not database:
                database = self.reader.current()
                session = await Connection(database).start()
            if not self.bank.ledger.ready:
                continue
            result = await session.query(LOOK)
            if not result or result[-1].error is not None:
                # Its page was collected, the storage is away, the catalogue is older than the tables, or the session was ended.
                session = await Connection(database).start()
                continue
            seen = self.bank.consistent(result[-1], self.host.name)
            if not last <= seen:
                raise Violation(f"the reader went back in time: {sorted(last - seen)} are gone")
            last = seen
            self.bank.observations.add(seen, self.host.name)
            self.looks += 1


class BankScenario(Scenario):
    """A seed's run of the bank."""

    def __init__(self, seed: int, *, topology: str = "6x3", seconds: float = 4.0) -> None:
        super().__init__(seed, topology=topology, seconds=seconds)
        self.ledger = Ledger()
        self.observations = Observations()
        self.looks = 0
        self.bankers: list[BankWriter] = []

    def no_failures(self) -> None:
        # A writer that is fenced off but does not know it yet may ask for what its successor lets the storage forget.
        failures = self.world.loop.failures
        failures[:] = [text for text in failures if not text.startswith("task page read failed: ReadTooOld")]
        super().no_failures()

    def consistent(self, result: Result, where: str) -> frozenset[int]:
        """The transfers of a snapshot, whose balances must follow from them."""
        (row,) = result.rows
        balances, seen = (json.loads((value or "{}").replace("{", "[").replace("}", "]")) for value in row)
        expected = [BALANCE] * ACCOUNTS
        for number in seen:
            source, target, amount = self.ledger.tried.get(number, (1, 1, 0))
            expected[source - 1] -= amount
            expected[target - 1] += amount
        if balances != expected:
            raise Violation(f"{where} shows balances {balances} with transfers {seen[-5:]}, which make {expected}")
        return frozenset(seen)

    def start_reader(self) -> None:
        if isinstance(self.reader, BankReader):
            self.looks += self.reader.looks
        self.reader = BankReader(self, self.world.host("reader"))

    def start_writer(self) -> None:
        self.bankers.append(BankWriter(self, self.world.host(f"writer-{len(self.bankers) + 1}")))
        self.writers = self.bankers  # type: ignore[assignment]

    async def peace(self) -> None:
        await asyncio.gather(*getattr(self, "_later", []))
        self.world.heal()
        self.world.note("peace")
        for member in self.config.members:
            await self.restart(member.name)
        for banker in self.bankers[:-1]:
            banker.host.kill()
        if not self.bankers[-1].host.alive:
            self.start_writer()
        deadline = self.world.loop.time() + 120
        before: dict[int, int] = {}
        while True:
            banker, count = self.bankers[-1], len(self.ledger.acknowledged)
            if banker.fenced:
                self.start_writer()
            elif banker.open and count > before.setdefault(id(banker), count):
                break
            await asyncio.sleep(0.1)
            self.fail_if(self.world.loop.time() > deadline, "no writer could open the volume and write to it in peace")
        banker.fenced = True
        await asyncio.sleep(1.0)

    async def check_segments(self) -> None:
        """All segments have everything, and agree page for page."""
        writer = self.bankers[-1].writer
        writer.autovacuum.stop()
        deadline = self.world.loop.time() + 60
        while True:
            await asyncio.sleep(0.2)
            vdl, tails = writer.volume.vdl, dict(writer.sender.tracker.tails())
            if writer.volume.tail == vdl and await have_everything(self.nodes, VOLUME, tails):
                break
            self.fail_if(self.world.loop.time() > deadline, "segments do not become equal")
        for page in range(PAGES_COMPARED):
            needs = tails.get(self.config.group_of(page), 0)
            answers = {node.volumes[VOLUME].read([(page, needs)], vdl) for node in self.nodes.values()}
            self.fail_if(len(answers) != 1 or answers.pop()[0] != 0, f"segments differ in page {page} at {vdl}")

    async def check(self) -> None:
        await self.check_tables()
        await self.check_segments()
        self.no_failures()

    async def check_tables(self) -> None:
        banker, ledger = self.bankers[-1], self.ledger
        session = await Connection(banker.writer.database).start()
        found = {
            int(row[0] or 0): tuple(int(value or 0) for value in row[1:])
            for row in (await banker.ask(session, "select * from transfers")).rows
        }
        lost = sorted(ledger.acknowledged - set(found))
        self.fail_if(bool(lost), f"acknowledged transfers are gone: {lost[:10]}")
        database = banker.writer.database
        for _ in range(100):
            unsettled = await database.waits.run(database.volume.unsettled)
            if not unsettled:
                break
            await banker.runtime.clock.sleep(0.1)
        self.fail_if(bool(unsettled), f"trees that nobody settles or drops: {unsettled}")
        shown = sorted(self.observations.all - set(found))
        self.fail_if(bool(shown), f"transfers that snapshots have shown are gone: {shown[:10]}")
        invented = sorted(number for number, row in found.items() if ledger.tried.get(number) != row)
        self.fail_if(bool(invented), f"transfers that nobody committed: {invented[:10]}")
        balances = dict.fromkeys(range(1, ACCOUNTS + 1), BALANCE)
        for source, target, amount in found.values():
            balances[source] -= amount
            balances[target] += amount
        rows = (await banker.ask(session, "select id, balance from accounts order by id")).rows
        self.fail_if(
            [(int(i or 0), int(b or 0)) for i, b in rows] != sorted(balances.items()),
            f"balances {rows} do not follow from the transfers, {balances}",
        )
