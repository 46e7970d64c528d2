"""The servers that are compared, each started for the run and stopped by process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import BIN, Postgres, free_port, postgres, run_as

CACHE = "512MB"
SIXFOLD = [sys.executable, "-m", "sixfold.server"]
# Memory for PostgreSQL as its documentation advises for a machine of this size; durability at its defaults.
POSTGRES_SETTINGS = {"shared_buffers": CACHE, "max_wal_size": "4GB", "autovacuum": "on"}


@dataclass(frozen=True)
class Server:
    """Where a server listens; `pids` are the processes whose memory is its own."""

    name: str
    port: int
    user: str
    database: str
    pids: tuple[int, ...]
    folder: Path = Path()

    @property
    def uri(self) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}?sslmode=disable"

    def resident_bytes(self) -> int:
        total = 0
        for pid in self.pids:
            with suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total


def wait_port(port: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port}")


@contextmanager
def embedded(cache: str = CACHE, arguments: tuple[str, ...] = ()) -> Iterator[Server]:
    """`sixfold serve`: one process, six nodes inside it."""
    folder = Path(tempfile.mkdtemp(prefix="sixfold-bench-"))
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*SIXFOLD, "serve", "--data", str(folder / "data"), "--port", str(port), "--cache", cache, *arguments],
            stdout=log,
            stderr=log,
        )
    try:
        wait_port(port)
        yield Server("sixfold serve", port, "postgres", "postgres", (process.pid,))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def cluster(readers: int = 0, cache: str = CACHE) -> Iterator[Server]:
    """`sixfold cluster`: six storage nodes and a writer, each a process."""
    folder = Path(tempfile.mkdtemp(prefix="sixfold-bench-"))
    port = free_port()
    command = [*SIXFOLD, "cluster"]
    start = ["start", "--dir", str(folder), "--port", str(port), "--readers", str(readers), "--cache", cache]
    subprocess.run([*command, *start], check=True, stdout=subprocess.DEVNULL)
    try:
        wait_port(port)
        pids = tuple(int(f.read_text().split()[0]) for f in (folder / "run").glob("*.pid"))
        yield Server("sixfold cluster", port, "postgres", "postgres", pids, folder)
    finally:
        subprocess.run([*command, "stop", "--dir", str(folder)], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def single_postgres(**settings: str) -> Iterator[Server]:
    """PostgreSQL 15, fsync on, no standby."""
    with postgres({**POSTGRES_SETTINGS, **settings}) as server:
        pid = server.process.pid if server.process is not None else 0
        yield Server("PostgreSQL 15", server.port, "postgres", "postgres", (pid,))


@contextmanager
def postgres_with_standbys(count: int = 5) -> Iterator[Server]:
    """PostgreSQL 15 with synchronous standbys: a commit waits for any three of five, as ours for four of six copies."""
    names = [f"standby{i}" for i in range(count)]
    settings = {
        **POSTGRES_SETTINGS,
        "wal_level": "replica",
        "max_wal_senders": str(2 * count),
        "synchronous_commit": "on",
    }
    with ExitStack() as stack:
        primary = stack.enter_context(postgres(settings))
        for name in names:
            folder = Path(tempfile.mkdtemp(prefix="sixfold-standby-"))
            stack.callback(shutil.rmtree, folder, True)
            if os.getuid() == 0:
                shutil.chown(folder, "postgres", "postgres")
            conninfo = f"host=127.0.0.1 port={primary.port} user=postgres application_name={name}"
            run_as(
                [
                    str(BIN / "pg_basebackup"),
                    "-D",
                    str(folder / "data"),
                    "-d",
                    conninfo,
                    "-R",
                    "-X",
                    "stream",
                    "-c",
                    "fast",
                ]
            )
            standby = Postgres(folder, {**settings, "shared_buffers": "128MB"})
            standby.start()
            stack.callback(standby.stop)
        psql(primary.uri, f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 3 ({', '.join(names)})'")
        psql(primary.uri, "SELECT pg_reload_conf()")
        time.sleep(1)
        pid = primary.process.pid if primary.process is not None else 0
        yield Server("PostgreSQL 15 with five synchronous standbys", primary.port, "postgres", "postgres", (pid,))


def psql(uri: str, sql: str) -> str:
    """One statement through psql; its unaligned output."""
    done = subprocess.run(["psql", "-X", "-A", "-t", "-d", uri, "-c", sql], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()
