"""Statements that change many rows at once, and a server that has just been started: seconds on both servers, taken in turn."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import psycopg

from bench import pgbench, queries, servers
from bench.servers import Server
from tests.support.postgres import postgres
from tests.support.sixfold import served

ROWS = 300_000
CHANGED = 100_000
SHORT_SECONDS = 0.2
SHORT_ROUNDS = 7
SOURCE = f"""
    CREATE TABLE source AS SELECT i AS id, (i * 7919::bigint % 1000003)::int AS k, md5(i::text) AS v
    FROM generate_series(1, {ROWS}) i
"""
TABLE = "CREATE TABLE changed (id int PRIMARY KEY, k int, v text)"
FILL = f"INSERT INTO changed SELECT * FROM source WHERE id <= {CHANGED}"

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Statement:
    """`sql` is measured; `before` makes the table `changed` that it works on."""

    what: str
    sql: str
    before: tuple[str, ...] = (TABLE, FILL)


STATEMENTS = (
    Statement(f"DELETE of {CHANGED:,} rows", "DELETE FROM changed"),
    Statement(f"UPDATE of {CHANGED:,} rows", "UPDATE changed SET v = v || 'x'"),
    Statement(
        f"UPDATE of an indexed column of {CHANGED:,} rows",
        "UPDATE changed SET k = k + 1",
        (TABLE, FILL, "CREATE INDEX ON changed (k)"),
    ),
    Statement(f"INSERT … SELECT of {ROWS:,} rows", "INSERT INTO changed SELECT * FROM source", (TABLE,)),
    Statement(f"CREATE INDEX on {ROWS:,} ints", "CREATE INDEX ON source (k)", ()),
    Statement(f"CREATE INDEX on {ROWS:,} texts", "CREATE INDEX ON source (v)", ()),
    Statement(f"ANALYZE of {ROWS:,} rows", "ANALYZE source", ()),
)


def timed(statement: Statement, connection: Connection) -> float:
    connection.execute("DROP TABLE IF EXISTS changed")
    for sql in statement.before:
        connection.execute(sql)
    began = time.perf_counter()
    connection.execute(statement.sql)
    return time.perf_counter() - began


def copy_in_random_order(connection: Connection) -> float:
    ids = list(range(ROWS))
    random.Random(1).shuffle(ids)
    blocks = ["".join(f"{i}\t{i % 97}\tvalue of {i}\n" for i in ids[at : at + 10_000]) for at in range(0, ROWS, 10_000)]
    connection.execute("DROP TABLE IF EXISTS changed")
    connection.execute(TABLE)
    began = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy("COPY changed FROM STDIN") as copy:
        for block in blocks:
            copy.write(block.encode())
    return time.perf_counter() - began


def statements(rounds: int) -> list[tuple[str, float, float]]:
    """(what, our seconds, PostgreSQL's)."""
    found = []
    with (
        servers.single_postgres() as theirs,
        servers.embedded() as ours,
        queries.connected(ours) as mine,
        queries.connected(theirs) as other,
    ):
        for connection in (mine, other):
            connection.execute(SOURCE)
        for statement in STATEMENTS:
            found.append((statement.what, *medians(partial(timed, statement), mine, other, rounds)))
        what = f"COPY of {ROWS:,} rows, keys in random order"
        found.append((what, *medians(copy_in_random_order, mine, other, rounds)))
    return found


def medians(
    call: Callable[[Connection], float], mine: Connection, other: Connection, rounds: int
) -> tuple[float, float]:
    taken = [(call(mine), call(other))]
    # What is over soon is as long as whatever runs beside it lets it be: three times say little.
    wanted = rounds * SHORT_ROUNDS if max(taken[0]) < SHORT_SECONDS else rounds
    taken += [(call(mine), call(other)) for _ in range(wanted - 1)]
    ours, theirs = zip(*taken, strict=True)
    return statistics.median(ours), statistics.median(theirs)


class Process(Protocol):
    """A server that keeps its data."""

    def stop(self) -> object: ...

    def start(self) -> None: ...


@dataclass(frozen=True)
class Cold:
    """Of a server that was just started on existing data."""

    scan_seconds: float
    tps: float


def cold(scale: int) -> tuple[Cold, Cold]:
    """Ours and PostgreSQL's: an aggregate over `pgbench_accounts` with nothing in the cache, and `pgbench -S` in the first two seconds."""
    with served("--cache", servers.CACHE) as ours:
        mine = started(ours, ours.port, scale)
    with postgres(servers.POSTGRES_SETTINGS) as theirs:
        return mine, started(theirs, theirs.port, scale)


def started(process: Process, port: int, scale: int) -> Cold:
    server = Server("", port, "postgres", "postgres", ())
    pgbench.init(server, scale)
    restart(process)
    tps = pgbench.measure(server, ["-S", "-M", "prepared", "-c", "8", "-j", "1"], 2).tps
    restart(process)
    with queries.connected(server) as connection:
        began = time.perf_counter()
        connection.execute("SELECT count(*), sum(abalance) FROM pgbench_accounts").fetchall()
        return Cold(time.perf_counter() - began, tps)


def restart(process: Process) -> None:
    process.stop()
    process.start()
