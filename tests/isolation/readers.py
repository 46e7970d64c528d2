"""Random scripts of sessions on the writer and on a reader. What a reader shows must be what had been committed when its snapshot was taken:
after each step the tables are read on the writer, and the reader has the writer's LSN before each of its own steps.

Where DDL has come between a REPEATABLE READ snapshot and a statement, the reader may refuse with an error of class 40 or 72; where it has
changed a table's shape only, it may show the snapshot's rows in the new shape, as PostgreSQL does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from psycopg import errors

from tests.isolation.play import LIMIT, SCHEMA, Stuck, Target
from tests.isolation.random_sessions import Writer

Row = tuple[str | None, ...]
TABLES = ("t", "c", "o")
#: Of a table that another session keeps to itself nothing has been committed since it was read last.
LOCKED = "55P03"


@dataclass(frozen=True)
class State:
    """What is committed of a table: its rows in order, or the SQLSTATE of reading it. `shape` tells tables apart that DDL has changed."""

    rows: tuple[Row, ...]
    error: str = ""
    shape: tuple[tuple[str, ...], ...] = ()

    @property
    def tree(self) -> str:
        """Where its rows are; another one after TRUNCATE and its like."""
        return self.shape[0][0] if self.shape else ""


World = dict[str, State]


@dataclass(frozen=True)
class Query:
    """A query of a reader's, the tables that it reads, and what it answers, out of their rows."""

    sql: str
    tables: tuple[str, ...]
    answer: Callable[..., list[Row]]
    ordered: bool = False


def number(value: str | None) -> int:
    return -1 if value is None else int(value)


def total(rows: list[Row], column: int) -> str | None:
    values = [int(value) for row in rows if (value := row[column]) is not None]
    return str(sum(values)) if values else None


def queries(rng: random.Random, base: int) -> Query:
    """Any query whose answer is told by its tables' rows."""
    n = str(rng.randint(1, 4))
    name = rng.choice(TABLES)
    k, m = rng.choice((("k", 0), ("v", 2), ("u", 1))), str(rng.randint(1, 3))
    wanted = str(int(n) + 10) if k[0] == "u" else n
    return rng.choice(
        (
            Query(f"select * from {name}", (name,), lambda rows: rows),
            Query("table o", ("o",), lambda rows: rows),
            Query(f"select * from t where {k[0]} = {wanted}", ("t",), lambda rows: [r for r in rows if r[k[1]] == wanted]),
            Query(f"select * from c where k = {n}", ("c",), lambda rows: [r for r in rows if r[0] == n]),
            Query(
                "select count(*), sum(v) from t", ("t",), lambda rows: [(str(len(rows)), total(rows, 2))]
            ),
            Query(
                f"select * from t order by k desc limit {m}", ("t",),
                lambda rows: sorted(rows, key=lambda r: -number(r[0]))[: int(m)], ordered=True,
            ),
            Query(
                f"select t.k, c.k from t join c on c.f = t.k + {base}", ("t", "c"),
                lambda t, c: [(x[0], y[0]) for x in t for y in c if y[1] is not None and number(x[0]) + base == number(y[1])],
            ),
            Query(
                "select k from t where not exists (select 1 from c where c.k = t.k)", ("t", "c"),
                lambda t, c: [(x[0],) for x in t if x[0] not in {y[0] for y in c}],
            ),
            Query(
                "select (select count(*) from t), (select count(*) from c), (select sum(v) from c)", ("t", "c"),
                lambda t, c: [(str(len(t)), str(len(c)), total(c, 2))],
            ),
        )
    )  # fmt: skip


def play(seed: int) -> tuple[str, list[tuple[str, str]], int]:
    """What sets the tables up, the writer's steps, what is added to t.k in c.f."""
    rng = random.Random(seed)
    writer = Writer(seed)
    writer.kind = rng.choice(("rows", "keys", "parents", "mixed", "mixed"))
    script = writer.play()
    steps = []
    for step in script.steps:
        steps.append(step)
        if rng.random() < 0.15:
            extra = rng.choice(
                ("vacuum", "vacuum t", "truncate o", "drop table o", "create table o(k int primary key, v int)",
                 "insert into o select g, g from generate_series(20, 22) g", "alter table o add y int default 3", "truncate c",
                 "delete from o", "update o set v = v + 1", "create index on o(v)", "alter table o alter v type bigint",
                 "drop table o; create table o(k int primary key, v int); insert into o values (1, 5)",
                 "update t set w = w + 1", "analyze")
            )  # fmt: skip
            steps.append(("z", extra))
    return script.setup, steps, writer.base


@dataclass
class Reading:
    """A session on the reader."""

    name: str
    connection: psycopg.Connection[Row]
    #: In a transaction: whether it has one snapshot, and the world of that.
    strict: bool = False
    world: World | None = None
    #: Cursors that are open: their query, the world it began in, and how many rows have been fetched.
    cursors: dict[str, tuple[Query, World, list[Row]]] = field(default_factory=dict)
    prepared: dict[str, Query] = field(default_factory=dict)
    open: bool = False

    def end(self) -> None:
        self.open, self.strict, self.world, self.cursors = False, False, None, {}


class Watch:
    """One play on a writer, with readers beside."""

    def __init__(self, target: Target, reader_uri: str, seed: int) -> None:
        self.target = target
        self.rng = random.Random(seed + 1_000_000)
        self.reader_uri = reader_uri
        self.eye = self.connect(reader_uri)
        self.readings: dict[str, Reading] = {}
        self.world: World = {}
        self.story: list[str] = []
        self.base = 0
        self.counts: dict[str, int] = {}

    def connect(self, uri: str) -> psycopg.Connection[Row]:
        connection = psycopg.connect(uri, autocommit=True)
        connection.execute(f"set search_path = {SCHEMA}; set statement_timeout = '20s'")
        connection.prepare_threshold = None
        return connection

    def close(self) -> None:
        self.eye.close()
        for reading in self.readings.values():
            reading.connection.close()

    def state(self, name: str, before: State | None) -> State:
        """What is committed of a table, or was when somebody took it for himself."""
        ask = self.target.watcher
        shape = ask.exec_(
            "set lock_timeout = '15ms'; select root, attname, atttypid from sixfold_storage join pg_attribute on attrelid = relid"
            f" where relid = to_regclass('{name}') and attnum > 0 and not attisdropped order by attnum".encode()
        )
        found = ask.exec_(f"select * from {name} order by 1".encode())
        ask.exec_(b"set lock_timeout = 0")
        code = found.error_field(67)
        if code is not None and code.decode() == LOCKED and before is not None:
            return before
        columns = tuple(
            tuple((shape.get_value(row, column) or b"").decode() for column in range(shape.nfields))
            for row in range(shape.ntuples)
        )
        if code is not None:
            return State((), code.decode(), columns)
        rows = tuple(
            tuple(
                None if (cell := found.get_value(row, column)) is None else cell.decode()
                for column in range(found.nfields)
            )
            for row in range(found.ntuples)
        )
        return State(rows, "", columns)

    def look(self) -> None:
        """What is committed now, on the reader too."""
        self.world = {name: self.state(name, self.world.get(name)) for name in TABLES}
        (lsn,) = self.target.ask("select pg_current_wal_flush_lsn()")
        deadline = time.monotonic() + LIMIT
        while self.eye.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise Stuck("the reader does not get the writer's stream")
            time.sleep(0.001)

    def run(self, seed: int) -> str | None:
        """The story, if a reader has shown something wrong."""
        self.target.reset()
        setup, left, self.base = play(seed)
        self.target.setup(setup)
        while left:
            busy = {name for name, session in self.target.sessions.items() if session.busy}
            ready = next((i for i, (name, _) in enumerate(left) if name not in busy), None)
            if ready is None:
                break
            name, statement = left.pop(ready)
            self.story += [f"> {name}: {statement}", *(f"    {line}" for line in self.target.step(name, statement))]
            self.look()
            for _ in range(self.rng.choice((0, 1, 1, 2, 3))):
                wrong = self.read(self.rng.choice("rs"))
                if wrong is not None:
                    return "\n".join([*self.story, wrong])
        return None

    # ---- one step of a reader's

    def read(self, name: str) -> str | None:
        if name not in self.readings:
            self.readings[name] = Reading(name, self.connect(self.reader_uri))
        reading, rng = self.readings[name], self.rng
        act = rng.random()
        if not reading.open and act < 0.3:
            reading.open, reading.strict = True, rng.random() < 0.7
            level = "repeatable read" if reading.strict else "read committed"
            return self.plainly(reading, f"begin isolation level {level}")
        if reading.open and act < 0.12:
            sql = rng.choice(("commit", "rollback"))
            reading.end()
            return self.plainly(reading, sql)
        if reading.open and act < 0.3 and len(reading.cursors) < 2:
            return self.declare(reading)
        if reading.cursors and act < 0.6:
            return self.fetch(reading)
        if act < 0.75 and reading.prepared and rng.random() < 0.5:
            text = rng.choice(sorted(reading.prepared))
            query = reading.prepared[text]
            return self.ask(reading, f"execute {text}", query)
        query = queries(rng, self.base)
        if act < 0.75 and len(reading.prepared) < 3 and not reading.open:
            text = f"p{len(reading.prepared)}"
            wrong = self.plainly(reading, f"prepare {text} as {query.sql}", self.world, query)
            if wrong is None and self.story[-1].endswith("done"):
                reading.prepared[text] = query
            return wrong
        return self.ask(reading, query.sql, query)

    def told(self, reading: Reading, sql: str, what: object) -> None:
        self.story += [f"> {reading.name}: {sql}", f"    {what}"]

    def plainly(self, reading: Reading, sql: str, world: World | None = None, query: Query | None = None) -> str | None:
        try:
            reading.connection.execute(sql)
        except errors.Error as error:
            known = {(world or {})[name].error for name in query.tables} - {""} if query and world else set()
            self.told(reading, sql, f"{error.sqlstate}")
            return None if error.sqlstate in known else f"{reading.name}: {error.sqlstate} {error}"
        self.told(reading, sql, "done")
        return None

    def seen(self, reading: Reading) -> World:
        """What a statement that begins now is to show."""
        if not reading.strict:
            return self.world
        if reading.world is None:
            reading.world = self.world
        return reading.world

    def ask(self, reading: Reading, sql: str, query: Query) -> str | None:
        world = self.seen(reading)
        try:
            found = [tuple(row) for row in self.text(reading.connection.execute(sql))]
        except errors.Error as error:
            return self.refused(reading, sql, query, world, error)
        self.told(reading, sql, found)
        return self.compared(query, world, found)

    def text(self, cursor: psycopg.Cursor[Row]) -> list[Row]:
        return [tuple(None if value is None else str(value) for value in row) for row in cursor.fetchall()]

    def declare(self, reading: Reading) -> str | None:
        query = queries(self.rng, self.base)
        name = f"c{len(reading.cursors)}{self.rng.randint(0, 99)}"
        if name in reading.cursors:
            return None
        sql = f"declare {name} cursor for {query.sql}"
        world = self.seen(reading)
        try:
            reading.connection.execute(sql)
        except errors.Error as error:
            return self.refused(reading, sql, query, world, error)
        self.told(reading, sql, "done")
        reading.cursors[name] = (query, world, [])
        return None

    def fetch(self, reading: Reading) -> str | None:
        name = self.rng.choice(sorted(reading.cursors))
        query, world, got = reading.cursors[name]
        count = self.rng.choice((1, 2, 100))
        sql = f"fetch {count} from {name}"
        try:
            rows = self.text(reading.connection.execute(sql))
        except errors.Error as error:
            return self.refused(reading, sql, query, world, error)
        self.told(reading, sql, rows)
        got += rows
        return self.compared(query, world, got) if len(rows) < count else None

    def compared(self, query: Query, world: World, found: list[Row]) -> str | None:
        self.counts["answers"] = self.counts.get("answers", 0) + 1
        states = [world[name] for name in query.tables]
        wrong = [state.error for state in states if state.error]
        if wrong:
            return f"expected {wrong[0]}, got {found}"
        expected = query.answer(*(list(state.rows) for state in states))
        order: Callable[[list[Row]], list[Row]] = list if query.ordered else lambda rows: sorted(rows, key=repr)
        if order(found) == order(expected):
            return None
        reshaped = any(world[name].shape != self.world[name].shape for name in query.tables)
        width = {len(row) for row in expected}
        if reshaped and width != {len(row) for row in found} and self.cut(found, expected, order):
            return None
        return f"expected {expected}, got {found}"

    def cut(self, found: list[Row], expected: list[Row], order: Callable[[list[Row]], list[Row]]) -> bool:
        """The same rows in another shape?"""
        width = min([len(row) for row in [*found, *expected]] or [0])
        return order([row[:width] for row in found]) == order([row[:width] for row in expected])

    def refused(self, reading: Reading, sql: str, query: Query, world: World, error: errors.Error) -> str | None:
        self.counts[str(error.sqlstate)] = self.counts.get(str(error.sqlstate), 0) + 1
        self.told(reading, sql, f"{error.sqlstate} {error.diag.message_primary}")
        was_open = reading.open
        if was_open:
            reading.connection.execute("rollback")
            reading.end()
        code = error.sqlstate or "gone"
        moved = any(world[name].tree != self.world[name].tree for name in query.tables)
        if code in {world[name].error for name in query.tables}:
            return None
        if sql.startswith("execute") and code == "0A000" and "cached plan" in str(error):
            return None
        if moved and (code[:2] in ("40", "72") or code in {self.world[name].error for name in query.tables}):
            return None
        return f"{reading.name}: {sql}: {code} {error}"
