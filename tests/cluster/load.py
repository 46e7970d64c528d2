"""pgbench beside what a test does."""

from __future__ import annotations

import subprocess


def pgbench(port: int, *arguments: str) -> subprocess.Popen[str]:
    """Started, not waited for."""
    command = ["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", *arguments, "postgres"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_load(load: subprocess.Popen[str]) -> str:
    """Wait for its end, which must be a good one; what it printed."""
    printed, complaints = load.communicate(timeout=120)
    assert load.returncode == 0, complaints
    assert "aborted" not in complaints and "ERROR" not in complaints, complaints
    return printed
