"""Sessions that really run beside each other: what each is told adds up, and nothing of a session stays behind when it ends."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.sixfold import Served, served

CLIENTS = 8
RETRIED = ("40P01", "40001", "55P03", "57014")


@pytest.fixture(scope="module")
def busy() -> Iterator[Served]:
    """A server of its own: its descriptors are counted."""
    with served("--fsync", "off") as running:
        yield running


@asynccontextmanager
async def clients(server: Served, count: int = CLIENTS) -> AsyncIterator[list[Any]]:
    opened = [await asyncpg.connect(server.uri) for _ in range(count)]
    try:
        yield opened
    finally:
        for one in opened:
            if not one.is_closed():
                await one.close(timeout=10)


async def setup(server: Served, *statements: str) -> None:
    async with clients(server, 1) as (one,):
        for statement in statements:
            await one.execute(statement)


async def value(server: Served, query: str) -> Any:
    async with clients(server, 1) as (one,):
        return await one.fetchval(query)


async def side_by_side(opened: list[Any], work: Callable[[int, Any], Awaitable[Any]]) -> list[Any]:
    async with asyncio.timeout(90):
        return list(await asyncio.gather(*(work(number, one) for number, one in enumerate(opened))))


def run(test: Awaitable[None]) -> None:
    async def whole() -> None:
        await test

    asyncio.run(whole())


def test_rows_that_are_inserted_side_by_side_are_all_there(busy: Served) -> None:
    async def test() -> None:
        await setup(busy, "CREATE TABLE side (client int, number int)")

        async def work(client: int, one: Any) -> None:
            insert = await one.prepare("INSERT INTO side VALUES ($1, $2)")
            for number in range(500):
                await insert.fetch(client, number)

        async with clients(busy) as opened:
            await side_by_side(opened, work)
        assert await value(busy, "SELECT count(DISTINCT (client, number)) FROM side") == CLIENTS * 500

    run(test())


def test_of_each_key_one_insert_wins(busy: Served) -> None:
    async def test() -> None:
        await setup(busy, "CREATE TABLE once (k int PRIMARY KEY, client int)")

        async def work(client: int, one: Any) -> int:
            insert, won = await one.prepare("INSERT INTO once VALUES ($1, $2)"), 0
            for key in range(300):
                try:
                    await insert.fetch(key, client)
                    won += 1
                except asyncpg.UniqueViolationError:
                    pass
            return won

        async with clients(busy) as opened:
            won = await side_by_side(opened, work)
        assert sum(won) == 300
        assert await value(busy, "SELECT count(*) FROM once") == 300

    run(test())


def test_counters_of_on_conflict_do_update_add_up(busy: Served) -> None:
    async def test() -> None:
        await setup(busy, "CREATE TABLE counted (k int PRIMARY KEY, n int)")

        async def work(client: int, one: Any) -> None:
            count = await one.prepare(
                "INSERT INTO counted VALUES ($1, 1) ON CONFLICT (k) DO UPDATE SET n = counted.n + 1"
            )
            for number in range(200):
                await count.fetch(number % 5)

        async with clients(busy) as opened:
            await side_by_side(opened, work)
        assert await value(busy, "SELECT array_agg(n ORDER BY k) FROM counted") == [CLIENTS * 40] * 5

    run(test())


def test_a_queue_hands_out_each_row_once(busy: Served) -> None:
    async def test() -> None:
        await setup(
            busy,
            "CREATE TABLE queue (id int PRIMARY KEY, done bool NOT NULL)",
            "INSERT INTO queue SELECT i, false FROM generate_series(1, 400) i",
        )

        async def work(client: int, one: Any) -> list[int]:
            taken: list[int] = []
            while True:
                async with one.transaction():
                    row = await one.fetchval(
                        "SELECT id FROM queue WHERE NOT done ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
                    )
                    if row is not None:
                        await one.execute("UPDATE queue SET done = true WHERE id = $1", row)
                        taken.append(row)
                # Others' last rows may have come back.
                if row is None and await one.fetchval("SELECT count(*) FROM queue WHERE NOT done") == 0:
                    return taken

        async with clients(busy) as opened:
            taken = await side_by_side(opened, work)
        assert sorted(row for some in taken for row in some) == list(range(1, 401))

    run(test())


def test_sequences_and_foreign_keys_hold_side_by_side(busy: Served) -> None:
    async def test() -> None:
        await setup(
            busy,
            "CREATE TABLE parent (id int PRIMARY KEY)",
            "CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent)",
            "INSERT INTO parent SELECT i FROM generate_series(1, 20) i",
        )

        async def work(client: int, one: Any) -> None:
            chance = random.Random(client)
            for _ in range(150):
                key = chance.randint(1, 20)
                try:
                    if client % 2:
                        await one.execute("INSERT INTO child (parent) VALUES ($1)", key)
                    elif chance.random() < 0.5:
                        await one.execute("DELETE FROM parent WHERE id = $1", key)
                    else:
                        await one.execute("INSERT INTO parent VALUES ($1)", key)
                except (asyncpg.ForeignKeyViolationError, asyncpg.UniqueViolationError):
                    pass

        async with clients(busy) as opened:
            await side_by_side(opened, work)
        lost = "SELECT count(*) FROM child WHERE NOT EXISTS (SELECT FROM parent WHERE parent.id = child.parent)"
        assert await value(busy, lost) == 0
        assert await value(busy, "SELECT count(*) = count(DISTINCT id) FROM child") is True

    run(test())


def test_the_sum_that_a_snapshot_sees_is_constant_while_transfers_run(busy: Served) -> None:
    async def test() -> None:
        await setup(
            busy,
            "CREATE TABLE bank (id int PRIMARY KEY, balance int NOT NULL)",
            "INSERT INTO bank SELECT i, 100 FROM generate_series(1, 50) i",
        )
        over = asyncio.Event()

        async def transfer(client: int, one: Any) -> None:
            chance = random.Random(client)
            for _ in range(150):
                low, high = sorted(chance.sample(range(1, 51), 2))
                async with one.transaction():
                    await one.execute("UPDATE bank SET balance = balance - 1 WHERE id = $1", low)
                    await one.execute("UPDATE bank SET balance = balance + 1 WHERE id = $1", high)

        async def look(one: Any, isolation: str) -> int:
            looked = 0
            while not over.is_set():
                async with one.transaction(isolation=isolation):
                    for _ in range(1 if isolation == "read_committed" else 3):
                        assert await one.fetchval("SELECT sum(balance) FROM bank") == 5000
                        looked += 1
            return looked

        async with clients(busy, CLIENTS + 2) as opened:
            lookers = [
                asyncio.create_task(look(opened[-1], "repeatable_read")),
                asyncio.create_task(look(opened[-2], "read_committed")),
            ]
            await side_by_side(opened[:-2], transfer)
            over.set()
            assert min(await asyncio.gather(*lookers)) > 3

    run(test())


def test_ddl_beside_prepared_statements_gives_no_wrong_answer(busy: Served) -> None:
    """Every index that was made meanwhile has every row."""

    async def test() -> None:
        await setup(busy, "CREATE TABLE hot (id serial PRIMARY KEY, k int, gone int)")
        over = asyncio.Event()

        async def write(client: int, one: Any) -> int:
            written = 0
            insert = await one.prepare("INSERT INTO hot (k) VALUES ($1)")
            while not over.is_set():
                await insert.fetch(written % 10)
                await one.execute(f"INSERT INTO hot (k) VALUES ({written % 10})")
                written += 2
            return written

        async with clients(busy) as opened:
            writers = asyncio.gather(*(write(number, one) for number, one in enumerate(opened[1:])))
            for number in range(12):
                await opened[0].execute(f"CREATE INDEX hot_{number} ON hot (k)")
                await opened[0].execute(f"ALTER TABLE hot ADD COLUMN c{number} int DEFAULT {number}")
                await asyncio.sleep(0.02)
                if number % 2:
                    await opened[0].execute(f"DROP INDEX hot_{number - 1}")
                    await opened[0].execute(f"ALTER TABLE hot DROP COLUMN c{number - 1}")
            over.set()
            written = sum(await writers)
            one = opened[0]
            assert await one.fetchval("SELECT count(*) FROM hot") == written
            by_scan = await one.fetch("SELECT k, count(*) FROM hot GROUP BY k ORDER BY k")
            await one.execute("SET enable_seqscan = off")
            for row in by_scan:
                assert await one.fetchval(f"SELECT count(*) FROM hot WHERE k = {row[0]}") == row[1]

    run(test())


async def waits(task: asyncio.Task[Any]) -> None:
    await asyncio.sleep(0.3)
    assert not task.done()


WAITING = [
    ("prepared", "INSERT INTO changed (id, v) VALUES (2, 42)"),
    ("simple", "INSERT INTO changed (id, v) VALUES (2, 42)"),
    ("python", "INSERT INTO changed (id, v) VALUES (2, 42); SELECT 1"),
    ("explain", "EXPLAIN ANALYZE INSERT INTO changed (id, v) VALUES (2, 42)"),
]


@pytest.mark.parametrize(("how", "statement"), WAITING, ids=[how for how, _ in WAITING])
def test_a_statement_that_waited_for_ddl_is_planned_again(busy: Served, how: str, statement: str) -> None:
    async def test() -> None:
        await setup(
            busy,
            "DROP TABLE IF EXISTS changed",
            "CREATE TABLE changed (id int PRIMARY KEY, v int, w int)",
            "INSERT INTO changed VALUES (1, 1, 1)",
        )
        async with clients(busy, 2) as (one, other):
            prepared = await other.prepare(statement) if how == "prepared" else None

            def go() -> asyncio.Task[Any]:
                return asyncio.create_task(prepared.fetch() if prepared else other.execute(statement))

            await one.execute("BEGIN; CREATE INDEX changed_v ON changed (v); ALTER TABLE changed DROP COLUMN w")
            await waits(task := go())
            await one.execute("COMMIT")
            await task
            await one.execute("SET enable_seqscan = off")
            assert await one.fetchval("SELECT id FROM changed WHERE v = 42") == 2
            await one.execute("DELETE FROM changed WHERE id = 2")
            await one.execute("BEGIN; ALTER TABLE changed ALTER v TYPE text")
            await waits(task := go())
            await one.execute("COMMIT")
            # 42 is no text, except where a literal is read anew.
            try:
                await task
            except asyncpg.DatatypeMismatchError:
                pass
            assert set(await one.fetchrow("SELECT max(v), min(v) FROM changed")) <= {"1", "42"}
            await one.execute("BEGIN; DROP TABLE changed")
            await waits(task := go())
            await one.execute("COMMIT")
            with pytest.raises(asyncpg.UndefinedTableError):
                await task

    run(test())


def test_ddl_that_waited_for_ddl_begins_again(busy: Served) -> None:
    async def test() -> None:
        await setup(busy, "CREATE TABLE twice (id int)", "INSERT INTO twice VALUES (1)")
        async with clients(busy, 2) as (one, other):
            await one.execute("BEGIN; ALTER TABLE twice ADD COLUMN a int")
            task = asyncio.create_task(other.execute("ALTER TABLE twice ADD COLUMN b int"))
            await waits(task)
            await one.execute("COMMIT")
            await task
            assert list(dict(await one.fetchrow("SELECT * FROM twice"))) == ["id", "a", "b"]
            await one.execute("BEGIN; DROP TABLE twice")
            task = asyncio.create_task(other.execute("CREATE INDEX ON twice (id)"))
            await waits(task)
            await one.execute("COMMIT")
            with pytest.raises(asyncpg.UndefinedTableError):
                await task

    run(test())


def test_a_transaction_with_ddl_sees_what_others_have_committed(busy: Served) -> None:
    async def test() -> None:
        await setup(busy, "CREATE TABLE theirs (id int, v int)")
        async with clients(busy, 2) as (one, other):
            insert = await one.prepare("INSERT INTO theirs VALUES ($1, $1)")
            await one.execute("BEGIN; CREATE TABLE mine (id int)")
            await other.execute("CREATE INDEX theirs_v ON theirs (v)")
            await insert.fetch(7)
            await one.execute(
                "SAVEPOINT s; CREATE TABLE gone (id int); INSERT INTO theirs VALUES (8, 8); ROLLBACK TO s"
            )
            await insert.fetch(9)
            await one.execute("INSERT INTO mine VALUES (1); COMMIT")
            await other.execute("SET enable_seqscan = off")
            for number, found in ((7, 1), (8, None), (9, 1)):
                assert await other.fetchval(f"SELECT 1 FROM theirs WHERE v = {number}") == found

    run(test())


class Raw:
    """A client that sends and leaves as it likes."""

    def __init__(self, server: Served) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.settimeout(20)
        body = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        seen = b""
        while b"Z\0\0\0\x05I" not in seen:
            got = self.socket.recv(65536)
            if not got:
                raise ConnectionError("the server has closed the connection")  # somebody ended the session
            seen += got
        at = seen.index(b"K\0\0\0\x0c")
        self.pid = struct.unpack("!i", seen[at + 5 : at + 9])[0]

    def query(self, text: str) -> None:
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def eventually(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def nothing_is_left(server: Served, table: str, files: int) -> None:
    """No session, no lock, no descriptor of those that are gone."""

    def sessions() -> bool:
        return bool(
            asyncio.run(value(server, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
            == 1
        )

    eventually(sessions, "a session is left")
    began = time.monotonic()
    asyncio.run(setup(server, "SET lock_timeout = '2s'", f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS last int"))
    assert time.monotonic() - began < 2
    eventually(lambda: descriptors(server) <= files, f"{descriptors(server)} descriptors, {files} before")


def descriptors(server: Served) -> int:
    """Sockets: storage nodes open files of their own while they work."""
    assert server.process is not None
    folder = Path(f"/proc/{server.process.pid}/fd")
    found = 0
    for entry in folder.iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def test_clients_that_vanish_in_any_state_leave_nothing(busy: Served) -> None:
    asyncio.run(
        setup(busy, "CREATE TABLE left_behind (id int PRIMARY KEY, v int)", "INSERT INTO left_behind VALUES (1, 0)")
    )
    time.sleep(0.2)
    files = descriptors(busy)
    for leave in (Raw.reset, lambda raw: raw.socket.close()):
        for text in (
            "",
            "SELECT pg_sleep(30)",
            "BEGIN; UPDATE left_behind SET v = v + 1 WHERE id = 1",
            "SELECT count(*) FROM generate_series(1, 300000000)",
            "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
            "UPDATE left_behind SET v = v + 1 WHERE id = 1",
            "COPY left_behind FROM STDIN",
        ):
            if leave is not Raw.reset and ("300000000" in text or "pg_sleep" in text):
                continue  # nothing tells that nobody waits for it, as in PostgreSQL
            raw = Raw(busy)
            if text:
                raw.query(text)
                time.sleep(0.1)
            leave(raw)
    holder = Raw(busy)
    holder.query("BEGIN; UPDATE left_behind SET v = 0 WHERE id = 1")
    time.sleep(0.3)
    sleepers = [Raw(busy) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.query("UPDATE left_behind SET v = v + 1 WHERE id = 1")
    time.sleep(0.3)
    for sleeper in sleepers[1:]:
        sleeper.reset()
    holder.reset()
    sleepers[0].reset()
    nothing_is_left(busy, "left_behind", files)


def test_a_session_is_ended_in_any_state(busy: Served) -> None:
    asyncio.run(setup(busy, "CREATE TABLE ended (id int PRIMARY KEY, v int)", "INSERT INTO ended VALUES (1, 0)"))
    time.sleep(0.2)
    files = descriptors(busy)
    holder = Raw(busy)
    holder.query("BEGIN; UPDATE ended SET v = 0 WHERE id = 1")
    time.sleep(0.2)
    for text in (
        "",
        "BEGIN",
        "SELECT pg_sleep(30)",
        "UPDATE ended SET v = 1 WHERE id = 1",
        "COPY ended FROM STDIN",
        "SELECT count(*) FROM generate_series(1, 300000000)",
        "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
    ):
        raw = Raw(busy)
        if text:
            raw.query(text)
            time.sleep(0.2)
        assert asyncio.run(value(busy, f"SELECT pg_terminate_backend({raw.pid})")) is True
        gone = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {raw.pid}"
        eventually(lambda gone=gone: asyncio.run(value(busy, gone)) == 0, text)  # type: ignore[misc]
        seen = b""
        try:
            while piece := raw.socket.recv(1 << 20):
                seen += piece
        except ConnectionError:
            pass
        if "repeat" not in text:
            assert b"57P01" in seen, text
        raw.socket.close()
    holder.socket.close()
    nothing_is_left(busy, "ended", files)


def test_a_busy_session_is_ended_between_its_statements_too(busy: Served) -> None:
    async def test() -> None:
        async with clients(busy, 1) as (killer,):
            for _ in range(30):
                victim = await asyncpg.connect(busy.uri)
                pid, over = victim.get_server_pid(), asyncio.Event()

                async def talk(one: Any, over: asyncio.Event) -> None:
                    prepared = await one.prepare("SELECT 1")
                    with pytest.raises(
                        (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)
                    ):
                        while True:
                            await prepared.fetch()
                    over.set()

                task = asyncio.create_task(talk(victim, over))
                await asyncio.sleep(random.random() / 50)
                assert await killer.fetchval("SELECT pg_terminate_backend($1)", pid)
                await asyncio.wait_for(over.wait(), 10)
                await task

    run(test())


def test_notifications_reach_sessions_in_every_state(busy: Served) -> None:
    async def test() -> None:
        async with clients(busy, 6) as (sender, *listeners):
            heard: list[int] = [0] * len(listeners)

            def listen(at: int) -> Callable[..., None]:
                def hear(*_: object) -> None:
                    heard[at] += 1

                return hear

            for at, one in enumerate(listeners):
                await one.add_listener("news", listen(at))
            over = asyncio.Event()

            async def work(one: Any, statement: str) -> None:
                while not over.is_set():
                    await one.fetch(statement)

            # One idle, the others at work: in a thread, in the engine, in long slices.
            statements = (
                "SELECT 1",
                "SELECT pg_sleep(0.01)",
                "SELECT count(*) FROM generate_series(1, 200000)",
                "SHOW work_mem",
            )
            tasks = [asyncio.create_task(work(one, text)) for one, text in zip(listeners[1:], statements, strict=True)]
            for _ in range(300):
                await sender.execute("NOTIFY news, 'x'")
            over.set()
            await asyncio.gather(*tasks)
            for _ in range(100):
                if min(heard) == 300:
                    break
                await asyncio.sleep(0.05)
            assert heard == [300] * len(listeners)

    run(test())


def test_time_outs_of_sessions_that_wait(busy: Served) -> None:
    async def test() -> None:
        await setup(busy, "CREATE TABLE timed (id int PRIMARY KEY, v int)", "INSERT INTO timed VALUES (1, 0)")
        async with clients(busy, 2) as (holder, one):
            await holder.execute("BEGIN; UPDATE timed SET v = 1")
            update = await one.prepare("UPDATE timed SET v = 2 WHERE id = 1")
            for name, error in (
                ("statement_timeout", asyncpg.QueryCanceledError),
                ("lock_timeout", asyncpg.LockNotAvailableError),
            ):
                await one.execute(f"SET {name} = '300ms'")
                began = time.monotonic()
                with pytest.raises(error):
                    await update.fetch()
                assert 0.25 < time.monotonic() - began < 2
                await one.execute(f"RESET {name}")
            with pytest.raises(asyncio.TimeoutError):
                await update.fetch(timeout=0.5)
            await holder.execute("ROLLBACK")
            await update.fetch()
            # A long statement is not idleness.
            await one.execute("SET idle_in_transaction_session_timeout = '1s'")
            await one.execute("BEGIN")
            await one.execute("SELECT pg_sleep(1.5)")
            await asyncio.sleep(0.5)
            await one.execute("SELECT 1")
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
                await asyncio.sleep(2)
                await one.execute("SELECT 1")

    run(test())


SECONDS = 8.0


def test_a_ledger_adds_up_whatever_happens_to_its_clients(busy: Served) -> None:
    """TPC-B-like work on few rows: lock waits, deadlocks, cancels, killed clients, notifications."""
    accounts = 6
    asyncio.run(
        setup(
            busy,
            "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL)",
            "CREATE TABLE entry (account int NOT NULL, amount bigint NOT NULL)",
            f"INSERT INTO account SELECT i, 0 FROM generate_series(1, {accounts}) i",
        )
    )
    time.sleep(0.2)
    files = descriptors(busy)
    counts = {"done": 0, "refused": 0, "killed": 0}

    async def post(one: Any, chance: random.Random) -> None:
        pair = chance.sample(range(1, accounts + 1), 2)
        async with one.transaction():
            for account in pair:
                amount = chance.randint(-100, 100)
                await one.execute("UPDATE account SET balance = balance + $2 WHERE id = $1", account, amount)
                await one.execute("INSERT INTO entry VALUES ($1, $2)", account, amount)
            if chance.random() < 0.1:
                await one.execute("NOTIFY ledger")

    async def work(number: int, until: float) -> None:
        chance = random.Random(number)
        one = None
        while time.monotonic() < until:
            try:
                if one is None or one.is_closed():
                    one = await asyncpg.connect(busy.uri)
                    if number % 3 == 0:
                        await one.add_listener("ledger", lambda *_: None)
                limit = 0.02 if chance.random() < 0.1 else None  # asyncpg cancels
                await asyncio.wait_for(post(one, chance), limit)
                counts["done"] += 1
            except (TimeoutError, asyncpg.PostgresError) as error:
                state = getattr(error, "sqlstate", None)
                assert state is None or state in (*RETRIED, "57P01", "25P01", "25P02", "08003", "08006"), repr(error)
                counts["refused"] += 1
                if state == "25P01" and one is not None:
                    # A time limit has ended a BEGIN; asyncpg believes that it is in that transaction ever after.
                    one.terminate()
                    one = None
            except (asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError):
                one = None
            if one is not None and chance.random() < 0.03:
                one.terminate()
                counts["killed"] += 1
                one = None
        if one is not None and not one.is_closed():
            await one.close(timeout=10)

    async def pipelines(number: int, until: float) -> None:
        """Simple queries by the dozen, and then the client is gone."""
        chance = random.Random(number)
        while time.monotonic() < until:
            try:
                raw = await asyncio.to_thread(Raw, busy)
                for _ in range(12):
                    account, amount = chance.randint(1, accounts), chance.randint(-9, 9)
                    raw.query(
                        f"BEGIN; UPDATE account SET balance = balance + ({amount}) WHERE id = {account};"
                        f" INSERT INTO entry VALUES ({account}, {amount}); COMMIT"
                    )
            except ConnectionError:
                continue
            await asyncio.sleep(chance.random() / 20)
            if chance.random() < 0.5:
                raw.reset()
            else:
                raw.socket.close()

    async def kill(until: float) -> None:
        async with clients(busy, 1) as (one,):
            while time.monotonic() < until:
                await asyncio.sleep(0.2)
                await one.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
                )

    async def test() -> None:
        until = time.monotonic() + SECONDS
        async with asyncio.timeout(SECONDS + 60):
            await asyncio.gather(
                *(work(n, until) for n in range(12)), pipelines(99, until), pipelines(98, until), kill(until)
            )

    asyncio.run(test())
    assert counts["done"] > 50
    assert counts["killed"] > 0
    nothing_is_left(busy, "account", files)
    nothing_is_left(busy, "entry", files)
    differs = """SELECT count(*) FROM account
        WHERE balance <> (SELECT coalesce(sum(amount), 0) FROM entry WHERE entry.account = account.id)"""
    assert asyncio.run(value(busy, differs)) == 0
    assert "Traceback" not in busy.log, busy.log[-4000:]


def test_who_builds_on_a_commit_sees_all_of_it(busy: Served) -> None:
    """Few rows and many writers: each takes rows over from others that are committing. In the middle of a transfer the sum lacks what it
    has taken, never what another one has."""

    async def test() -> None:
        await setup(
            busy,
            "CREATE TABLE purse (id int PRIMARY KEY, amount int)",
            "INSERT INTO purse SELECT n, 1000 FROM generate_series(1, 4) n",
            "CREATE TABLE transfer (giver int, taker int, amount int)",
        )
        done = [0] * CLIENTS

        async def work(client: int, one: Any) -> None:
            chance = random.Random(client)
            change = await one.prepare("UPDATE purse SET amount = amount + $2 WHERE id = $1")
            total = await one.prepare("SELECT sum(amount) FROM purse")
            note = await one.prepare("INSERT INTO transfer VALUES ($1, $2, $3)")
            until = time.monotonic() + 3
            while time.monotonic() < until:
                giver, taker = chance.sample(range(1, 5), 2)
                amount = chance.randrange(1, 50)
                try:
                    async with one.transaction():
                        await change.fetch(giver, -amount)
                        if chance.random() < 0.5:
                            assert await total.fetchval() == 4000 - amount
                        await note.fetch(giver, taker, amount)
                        await change.fetch(taker, amount)
                        if chance.random() < 0.3:
                            assert await total.fetchval() == 4000
                        if chance.random() < 0.1:
                            raise KeyError
                    done[client] += 1
                except asyncpg.DeadlockDetectedError:
                    pass
                except KeyError:
                    pass

        async with clients(busy) as opened:
            await side_by_side(opened, work)
        assert await value(busy, "SELECT count(*) FROM transfer") == sum(done) > 100
        assert (
            await value(
                busy,
                "SELECT count(*) FROM purse p WHERE amount = 1000"
                " - (SELECT coalesce(sum(amount), 0) FROM transfer WHERE giver = p.id)"
                " + (SELECT coalesce(sum(amount), 0) FROM transfer WHERE taker = p.id)",
            )
            == 4
        )

    run(test())
