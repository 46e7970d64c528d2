"""Daemons of a cluster on one machine: started detached, known by pid files, stopped by process id.

A pid file holds `<pid> <start time in clock ticks since boot>`: a recycled pid is not mistaken for the daemon.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Process:
    """A daemon that may be running: its name, and where its pid file and log are."""

    name: str
    folder: Path
    # Where in its log this run begins.
    log_start: int = 0

    @property
    def pid_file(self) -> Path:
        return self.folder / "run" / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        return self.folder / "log" / f"{self.name}.log"

    def pid(self) -> int | None:
        """The running daemon's process id; None when it is not running."""
        try:
            pid_text, started = self.pid_file.read_text().split()
        except (OSError, ValueError):
            return None
        pid = int(pid_text)
        return pid if start_time(pid) == started else None

    def start(self, arguments: list[str]) -> int:
        """Start `sixfold <arguments>` in a session of its own and note its pid."""
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self.log_start = log.tell()
            child = subprocess.Popen(
                [sys.executable, "-m", "sixfold.server", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        started = start_time(child.pid)
        self.pid_file.write_text(f"{child.pid} {started}")
        return child.pid

    def signal(self, number: int) -> bool:
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def last_words(self) -> str:
        """The last line that it has said since it was started here; empty when it has said nothing."""
        try:
            said = self.log_file.read_bytes()[self.log_start :]
        except OSError:
            return ""
        return "".join(said.decode(errors="replace").splitlines()[-1:])


def start_time(pid: int) -> str | None:
    """Field 22 of /proc/<pid>/stat; None when there is no such process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def stop_all(processes: list[Process], seconds: float = 10.0) -> list[str]:
    """SIGTERM to all, SIGKILL to those that are still there after `seconds`. Returns the names of the killed."""
    waiting = [p for p in processes if p.signal(signal.SIGTERM)]
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        waiting = [p for p in waiting if p.pid() is not None]
        pause(0.02)
    for process in waiting:
        process.signal(signal.SIGKILL)
    for process in processes:
        if process.pid() is None:
            process.pid_file.unlink(missing_ok=True)
    return [p.name for p in waiting]


def pause(seconds: float) -> None:
    """Wait in a command-line process, where there is no event loop."""
    signal.sigtimedwait([], seconds)
