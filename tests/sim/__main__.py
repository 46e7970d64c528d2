"""`python -m tests.sim --seeds N [--seed S] [--first F]`: run seeds; a failing one prints its story and the command that repeats it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import structlog

from tests.sim.bank import BankScenario
from tests.sim.scenario import Scenario

# Daemons' own complaints would carry the time of day.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@dataclass
class Outcome:
    """What a seed's run came to."""

    seed: int
    # What failed, with its traceback.
    failure: str | None
    story: list[str]
    # MTRs, or transfers.
    acknowledged: int
    # Which faults happened, and how often.
    counts: Counter[str]

    @property
    def verdict(self) -> str:
        """One line."""
        return (self.failure or "all is well").strip().splitlines()[-1]


def run_seed(seed: int, seconds: float = 8.0, focus: Sequence[str] = ()) -> Outcome:
    """A run of pages and MTRs."""
    topology = "3x3" if seed % 10 == 7 else "6x3"
    scenario = Scenario(seed, topology=topology, seconds=seconds, focus=focus)
    return _outcome(scenario, list, lambda: scenario.history.acknowledged)


def run_bank(seed: int, seconds: float = 4.0) -> Outcome:
    """The same with SQL."""
    bank = BankScenario(seed, seconds=seconds)
    looks = lambda: [f"the reader has looked {bank.looks + bank.reader.looks} times"]  # noqa: E731
    return _outcome(bank, looks, lambda: len(bank.ledger.acknowledged))


def _outcome(scenario: Scenario, more: Callable[[], list[str]], acknowledged: Callable[[], int]) -> Outcome:
    failure = None
    try:
        scenario.run()
    except Exception as error:
        failure = "".join(traceback.format_exception(error))
    world = scenario.world
    story = [*world.log, *more(), f"trace {world.trace:08x}"]
    return Outcome(scenario.world.seed, failure, story, acknowledged(), world.counts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, help="this one only, with its story")
    parser.add_argument("--seconds", type=float, default=8.0, help="virtual seconds of faults in each")
    parser.add_argument("--bank", action="store_true", help="with SQL: transfers between accounts")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()
    run_one = run_bank if options.bank else run_seed
    if options.seed is not None:
        one = run_one(options.seed, options.seconds)
        print("\n".join(one.story))
        print(f"seed {one.seed}: {one.acknowledged} acknowledged MTRs: {one.failure or 'all is well'}")
        return 1 if one.failure else 0
    begun = time.monotonic()
    failed = total = 0
    counts: Counter[str] = Counter()
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for one in pool.map(run_one, seeds, [options.seconds] * len(seeds)):
            total += one.acknowledged
            counts += one.counts
            if one.failure:
                failed += 1
                print(f"seed {one.seed} failed: {one.verdict}")
                again = f"python -m tests.sim --seed {one.seed} --seconds {options.seconds}{' --bank' * options.bank}"
                print(f"  repeat with: {again}", flush=True)
    for fault, count in sorted(counts.items()):
        print(f"{count:9}  {fault}")
    print(f"{options.seeds} seeds, {failed} failed, {total} acknowledged MTRs, {time.monotonic() - begun:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
