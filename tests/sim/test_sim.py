"""A few hundred seeds, and that a seed is all there is to a run. `python -m tests.sim --seeds N` runs as many as wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.sim.__main__ import Outcome, run_bank, run_seed

SEEDS = int(os.environ.get("SIM_SEEDS", "200"))
SECONDS = 2.0
ROOT = Path(__file__).resolve().parents[2]


# Each must have happened where seeds found nothing wrong.
FAULTS = (
    "a bit flips in a .layer",
    "a bit flips in a .log",
    "a bit flips in a manifest",
    "a disk is full",
    "a disk is lost",
    "a folder's change is lost",
    "a message comes out of order",
    "a message comes twice",
    "a message is lost",
    "a partition holds messages up",
    "a partition moves",
    "a process dies at an operation",
    "a process is killed",
    "a sync fails",
    "a sync of the manifest fails",
    "a write is torn",
    "a zone is down",
    "an old writer wakes up after its successor's recovery",
    "an unsynced write is kept",
    "an unsynced write is lost",
    "the power is gone",
)


def check(results: list[Outcome], options: str) -> None:
    """None has failed, and something was done."""
    failed = [
        f"{one.verdict}\n  repeat with: python -m tests.sim {options}--seed {one.seed} --seconds {SECONDS}"
        for one in results
        if one.failure
    ]
    assert not failed, "\n".join(failed)
    assert sum(one.acknowledged for one in results) > 10 * len(results)


def test_no_seed_breaks_a_promise() -> None:
    with ProcessPoolExecutor() as pool:
        results = list(pool.map(run_seed, range(SEEDS), [SECONDS] * SEEDS))
    check(results, "")
    counts = sum((one.counts for one in results), Counter[str]())
    missing = [fault for fault in FAULTS if counts[fault] == 0]
    assert not missing, f"faults that no seed has met: {missing}"


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
    check(results, "--bank ")
