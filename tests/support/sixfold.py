"""Sixfold as its users start it: `sixfold serve` and `sixfold cluster`, as real processes on free ports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.server import cluster as clusters
from tests.support.postgres import free_port

COMMAND = [sys.executable, "-m", "sixfold.server"]


@dataclass
class Served:
    """One `sixfold serve` process."""

    folder: Path
    port: int = field(default_factory=free_port)
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    # What starts it: `prlimit …`.
    prefix: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def launch(self) -> None:
        """Start it without waiting."""
        command = [
            *self.prefix,
            *COMMAND,
            "serve",
            "--data",
            str(self.folder / "data"),
            "--port",
            str(self.port),
            *self.arguments,
        ]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def start(self, seconds: float = 20.0) -> None:
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"sixfold serve ended:\n{self.log[-4000:]}")
            if ready(self.port):
                return
            time.sleep(0.01)
        raise RuntimeError(f"sixfold serve did not answer:\n{self.log[-4000:]}")

    def kill(self) -> None:
        """SIGKILL: what it had acknowledged must be there afterwards."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        return status


def ready(port: int) -> bool:
    """Whether a server answers a startup message there."""
    return subprocess.run(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0


@contextmanager
def served(*arguments: str, wait: bool = True) -> Iterator[Served]:
    """A fresh embedded cluster for the length of a block."""
    folder = Path(tempfile.mkdtemp(prefix="sixfold-test-"))
    server = Served(folder, arguments=arguments)
    try:
        if wait:
            server.start()
        else:
            server.launch()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Cluster:
    """`sixfold cluster` in a folder of its own."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def uri(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, "cluster", *arguments, "--dir", str(self.folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            logs = "\n".join(p.read_text(errors="replace")[-1500:] for p in (self.folder / "log").glob("*.log"))
            raise RuntimeError(f"sixfold cluster {' '.join(arguments)}: {done.stderr}{done.stdout}\n{logs}")
        return done.stdout

    def launch(self, name: str) -> None:
        """Start a daemon as `cluster start` does, without waiting for it."""
        process = clusters.load(self.folder).process(name)
        process.start(clusters.load(self.folder).arguments(name))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("status", "--json"))
        return found

    def reader_port(self, name: str) -> int:
        return int(tomllib.loads((self.folder / "cluster.toml").read_text())["reader_ports"][name])

    def reader_uri(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.reader_port(name)}/postgres"

    def pid(self, name: str) -> int:
        return int((self.folder / "run" / f"{name}.pid").read_text().split()[0])

    def kill(self, *names: str) -> None:
        """SIGKILL all at once; returns when they are gone."""
        pids = [self.pid(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def signal(self, number: int, name: str) -> None:
        os.kill(self.pid(name), number)

    def terminate(self, name: str) -> None:
        """SIGTERM; returns when it has ended."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while alive(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def pause(self, *names: str) -> None:
        """SIGSTOP: they neither answer nor close their connections."""
        pids = [self.pid(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        # On a busy machine other threads of a process go on until the one that gets the signal has had its turn.
        deadline = time.monotonic() + 10
        while not all(stopped(pid) for pid in pids):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def resume(self, *names: str) -> None:
        for name in names:
            os.kill(self.pid(name), signal.SIGCONT)


def stopped(pid: int) -> bool:
    """Whether all threads of a process are."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state in "tT" for state in states)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def clustered(readers: int = 0, *options: str) -> Iterator[Cluster]:
    """Six storage nodes, a writer and readers, for the length of a block."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="sixfold-cluster-")))
    try:
        cluster.command("start", "--port", str(cluster.port), "--readers", str(readers), *options)
        yield cluster
    finally:
        cluster.command("stop")
        shutil.rmtree(cluster.folder, ignore_errors=True)
