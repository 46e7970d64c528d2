"""What is measured, against what, and what is to be reached (docs name the issue's figures)."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass

from bench import bulk, log_path, pgbench, queries, servers
from bench.servers import SIXFOLD, Server

SCALE = 10


@dataclass(frozen=True)
class Options:
    rounds: int
    seconds: int


@dataclass(frozen=True)
class Result:
    """`ours` and `theirs` in `unit`; `ratio` is ours / theirs as speed (above 1: ours is faster) unless there is no `theirs`."""

    what: str
    unit: str
    ours: float
    theirs: float | None
    goal: str
    ratio: float | None
    reached: bool

    def shown(self, value: float | None) -> str:
        if value is None:
            return "–"
        return f"{value:,.0f} {self.unit}" if abs(value) >= 100 else f"{value:.3g} {self.unit}"

    @property
    def ratio_text(self) -> str:
        return "–" if self.ratio is None else f"{self.ratio:.2f}"

    @property
    def verdict(self) -> str:
        return "reached" if self.reached else "**short**"


def faster(what: str, unit: str, ours: float, theirs: float, least: float, *, lower_is_better: bool = False) -> Result:
    ratio = theirs / ours if lower_is_better else ours / theirs
    return Result(what, unit, ours, theirs, f"≥ {least}", ratio, ratio >= least)


def alternate(options: Options, one: Server, other: Server, arguments: list[str]) -> tuple[float, float]:
    """Median tps of both, rounds taken in turn so that a noisy minute hits both."""
    mine, theirs = [], []
    for _ in range(options.rounds):
        mine.append(pgbench.measure(one, arguments, options.seconds).tps)
        theirs.append(pgbench.measure(other, arguments, options.seconds).tps)
    return statistics.median(mine), statistics.median(theirs)


def point_selects(options: Options) -> list[Result]:
    """pgbench -S -M prepared -c 8 -j 1 at scale 10, embedded and cluster."""
    arguments = ["-S", "-M", "prepared", "-c", "8", "-j", "1"]
    results = []
    with servers.single_postgres() as theirs:
        pgbench.init(theirs, SCALE)
        for name, kind in (("embedded", servers.embedded), ("cluster", servers.cluster)):
            with kind() as ours:
                pgbench.init(ours, SCALE)
                mine, other = alternate(options, ours, theirs, arguments)
            results.append(faster(f"`pgbench {' '.join(arguments)}`, {name}", "tps", mine, other, 1.0))
    return results


def tpcb_embedded(options: Options) -> list[Result]:
    """TPC-B on `sixfold serve` against one PostgreSQL, fsync on for both."""
    arguments = ["-M", "prepared", "-c", "8"]
    with servers.single_postgres() as theirs, servers.embedded() as ours:
        pgbench.init(theirs, SCALE)
        pgbench.init(ours, SCALE)
        mine, other = alternate(options, ours, theirs, arguments)
    return [faster("`pgbench -M prepared -c 8`, embedded against a single PostgreSQL", "tps", mine, other, 0.7)]


def tpcb_cluster(options: Options) -> list[Result]:
    """TPC-B on six processes against PostgreSQL with five synchronous standbys; one client's commit latency."""
    arguments = ["-M", "prepared", "-c", "8"]
    with servers.postgres_with_standbys() as theirs, servers.cluster() as ours:
        pgbench.init(theirs, SCALE)
        pgbench.init(ours, SCALE)
        mine, other = alternate(options, ours, theirs, arguments)
        latencies = (commit_latency_ms(ours), commit_latency_ms(theirs))
    goal = "≤ 1 ms"
    return [
        faster("`pgbench -M prepared -c 8`, cluster against five synchronous standbys", "tps", mine, other, 2.0),
        Result(
            "commit of one client, cluster, median", "ms", latencies[0], latencies[1], goal, latencies[1] / latencies[0],
            latencies[0] <= 1.0,
        ),
    ]  # fmt: skip


def commit_latency_ms(server: Server, count: int = 1000) -> float:
    """Median of an autocommitted one-row insert by one psycopg connection."""
    with queries.connected(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_commits")
        connection.execute("CREATE TABLE bench_commits (id int, note text)")
        taken = []
        for number in range(count):
            began = time.perf_counter()
            connection.execute("INSERT INTO bench_commits VALUES (%s, 'x')", (number,), prepare=True)
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def copy_and_aggregate(options: Options) -> list[Result]:
    """COPY of a million rows, then an aggregate over them, warm."""
    with servers.single_postgres() as theirs, servers.embedded() as ours:
        copies = [(queries.copy_accounts(ours), queries.copy_accounts(theirs)) for _ in range(options.rounds)]
        mine, rows = queries.timed(ours, queries.AGGREGATE)
        other, expected = queries.timed(theirs, queries.AGGREGATE)
    if rows != expected:
        raise RuntimeError(f"answers differ: {rows} and {expected}")
    copied = [statistics.median(taken) for taken in zip(*copies, strict=True)]
    return [
        faster("COPY of 1,000,000 pgbench_accounts rows", "s", copied[0], copied[1], 0.7, lower_is_better=True),
        faster(
            f"`{queries.AGGREGATE.replace('bench', 'pgbench')}`",
            "ms",
            mine * 1e3,
            other * 1e3,
            1.0,
            lower_is_better=True,
        ),
    ]


def join_and_aggregate(options: Options) -> list[Result]:
    """Flights joined with planes, aggregated by carrier."""
    with servers.single_postgres() as theirs, servers.embedded() as ours:
        for server in (theirs, ours):
            queries.load_flights(server)
        mine, rows = queries.timed(ours, queries.JOIN)
        other, expected = queries.timed(theirs, queries.JOIN)
    if rows != expected:
        raise RuntimeError("answers differ")
    return [faster("flights join planes, by carrier", "ms", mine * 1e3, other * 1e3, 1.0, lower_is_better=True)]


def bulk_statements(options: Options) -> list[Result]:
    """Statements that change many rows, one connection, embedded."""
    return [
        faster(what, "ms", mine * 1e3, other * 1e3, 0.5, lower_is_better=True)
        for what, mine, other in bulk.statements(options.rounds)
    ]


def just_started(_: Options) -> list[Result]:
    """The first queries after a start on existing data."""
    mine, other = bulk.cold(SCALE)
    return [
        faster("`pgbench -S`, the first 2 s after a restart", "tps", mine.tps, other.tps, 0.5),
        faster(
            f"aggregate over pgbench_accounts at scale {SCALE}, the first query after a restart",
            "ms",
            mine.scan_seconds * 1e3,
            other.scan_seconds * 1e3,
            0.5,
            lower_is_better=True,
        ),
    ]


def redo_bytes(_: Options) -> list[Result]:
    """Log bytes of a TPC-B transaction, from the servers' own counters. PostgreSQL without full-page images, which our log never has: that
    is its best case, long after a checkpoint."""
    transactions = 5000
    arguments = ["-M", "prepared", "-c", "4", "-t", str(transactions // 4)]
    with servers.single_postgres(full_page_writes="off") as theirs, servers.embedded() as ours:
        per_transaction = []
        for server in (ours, theirs):
            pgbench.init(server, SCALE)
            pgbench.run(server, ["-n", *arguments])
            before = log_position(server)
            pgbench.run(server, ["-n", *arguments])
            per_transaction.append((log_position(server) - before) / transactions)
    mine, other = per_transaction
    goal = "fewer bytes"
    return [Result("log bytes of a TPC-B transaction", "bytes", mine, other, goal, other / mine, mine < other)]


def log_position(server: Server) -> int:
    """Bytes of log written so far; both count them from the volume's beginning."""
    return int(servers.psql(server.uri, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def reader_lag(options: Options) -> list[Result]:
    """p99 of a reader's lag under TPC-B of eight clients, as `cluster status` tells it."""
    samples: list[float] = []
    with servers.cluster(readers=1) as ours:
        pgbench.init(ours, SCALE)
        folder = ours.folder
        load = threading.Thread(
            target=pgbench.measure, args=(ours, ["-M", "prepared", "-c", "8"], options.seconds * options.rounds)
        )
        load.start()
        while load.is_alive():
            status = subprocess.run(
                [*SIXFOLD, "cluster", "status", "--dir", str(folder), "--json"], capture_output=True, check=True
            )
            samples += [reader["lag_ms"] for reader in json.loads(status.stdout)["readers"]]
            time.sleep(0.02)
        load.join()
    p99 = sorted(samples)[int(len(samples) * 0.99)]
    return [Result("reader lag under that load, p99", "ms", p99, None, "≤ 20 ms", None, p99 <= 20)]


def log_costs(_: Options) -> list[Result]:
    """A commit with 1 and with 1,000 protection groups; a page read after 10 and after 10,000 records."""
    commits, reads = log_path.compare()
    found = []
    for what, (few, many) in (
        ("a commit with 1,000 protection groups against 1 (left: 1,000, right: 1; both ours)", commits),
        ("a page read after 10,000 records against 10 (left: 10,000, right: 10; both ours)", reads),
    ):
        found.append(Result(what, "µs", many, few, "the same (≥ 0.8)", few / many, few / many >= 0.8))
    return found


def memory(options: Options) -> list[Result]:
    """Resident memory of the embedded server after loads, queries and TPC-B."""
    cache_mb = 256
    with servers.embedded(f"{cache_mb}MB") as ours:
        pgbench.init(ours, SCALE)
        queries.copy_accounts(ours)
        queries.timed(ours, queries.AGGREGATE)
        pgbench.measure(ours, ["-M", "prepared", "-c", "8"], options.seconds)
        used = ours.resident_bytes() / 2**20
    bound = 1.5 * cache_mb + 300
    return [
        Result(
            f"memory of the embedded server, cache {cache_mb} MB",
            "MiB",
            used,
            None,
            f"≤ {bound:.0f} MiB",
            None,
            used <= bound,
        )
    ]
