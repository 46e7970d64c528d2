"""A few hundred seeds, and that a seed is all there is to a run. `python -m tests.sim --seeds N` runs as many as wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.sim.__main__ import run_bank, run_seed

SEEDS = int(os.environ.get("SIM_SEEDS", "200"))
SECONDS = 2.0
ROOT = Path(__file__).resolve().parents[2]


def test_no_seed_breaks_a_promise() -> None:
    with ProcessPoolExecutor() as pool:
        results = list(pool.map(run_seed, range(SEEDS), [SECONDS] * SEEDS))
    failed = [
        f"{failure.strip().splitlines()[-1]}\n  repeat with: python -m tests.sim --seed {seed} --seconds {SECONDS}"
        for seed, failure, _, _ in results
        if failure
    ]
    assert not failed, "\n".join(failed)
    assert sum(acknowledged for _, _, _, acknowledged in results) > 10 * SEEDS


def story(hash_seed: str, *options: str) -> str:
    """What a run prints: the faults, and a checksum over every message and every write."""
    command = [sys.executable, "-m", "tests.sim", "--seed", "11", "--seconds", "2", *options]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("options", [(), ("--bank",)], ids=["pages", "bank"])
def test_a_seed_replays_exactly(options: tuple[str, ...]) -> None:
    first = story("1", *options)
    assert "acknowledged" in first and "trace" in first
    assert story("2", *options) == first


def test_no_transfer_is_lost() -> None:
    """SQL over the same faults, and a reader whose snapshots must be prefixes of the order of commits."""
    seeds = SEEDS // 5
    with ProcessPoolExecutor() as pool:
        results = list(pool.map(run_bank, range(seeds), [SECONDS] * seeds))
    failed = [
        f"{failure.strip().splitlines()[-1]}\n  repeat with: python -m tests.sim --bank --seed {seed} --seconds {SECONDS}"
        for seed, failure, _, _ in results
        if failure
    ]
    assert not failed, "\n".join(failed)
    assert sum(acknowledged for _, _, _, acknowledged in results) > 10 * seeds
