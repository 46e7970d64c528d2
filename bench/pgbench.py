"""pgbench, and what it says."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from bench.servers import Server


@dataclass(frozen=True)
class Run:
    tps: float
    latency_ms: float
    failed: int
    # Every transaction's latency, when it was asked for.
    latencies_ms: tuple[float, ...] = ()

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def init(server: Server, scale: int) -> None:
    run(server, ["-i", "-q", "-s", str(scale)])


def measure(server: Server, arguments: list[str], seconds: int) -> Run:
    output = run(server, ["-n", "-T", str(seconds), *arguments])
    tps = re.search(r"^tps = ([\d.]+)", output, re.M)
    latency = re.search(r"^latency average = ([\d.]+)", output, re.M)
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.M)
    if tps is None or latency is None:
        raise RuntimeError(output)
    return Run(float(tps[1]), float(latency[1]), int(failed[1]) if failed else 0)


def run(server: Server, arguments: list[str]) -> str:
    command = ["pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, *arguments, server.database]
    # Without TLS on either side: PostgreSQL's initdb leaves it off, ours offers it, and libpq takes what is offered.
    environment = {**os.environ, "PGSSLMODE": "disable"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode or "ERROR" in done.stderr:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr
