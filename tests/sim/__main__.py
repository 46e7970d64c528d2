"""`python -m tests.sim --seeds N [--seed S] [--first F]`: run seeds; a failing one prints its story and the command that repeats it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

import structlog

from tests.sim.bank import BankScenario
from tests.sim.scenario import Scenario

# Daemons' own complaints would carry the time of day.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def run_seed(seed: int, seconds: float = 8.0) -> tuple[int, str | None, list[str], int]:
    """(seed, what failed, its story, acknowledged MTRs)."""
    topology = "3x3" if seed % 10 == 7 else "6x3"
    scenario = Scenario(seed, topology=topology, seconds=seconds)
    try:
        scenario.run()
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        return seed, text, scenario.world.log, scenario.history.acknowledged
    return seed, None, [*scenario.world.log, f"trace {scenario.world.trace:08x}"], scenario.history.acknowledged


def run_bank(seed: int, seconds: float = 4.0) -> tuple[int, str | None, list[str], int]:
    """The same with SQL."""
    bank = BankScenario(seed, seconds=seconds)
    try:
        bank.run()
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        return seed, text, bank.world.log, len(bank.ledger.acknowledged)
    story = [
        *bank.world.log,
        f"the reader has looked {bank.looks + bank.reader.looks} times",
        f"trace {bank.world.trace:08x}",
    ]
    return seed, None, story, len(bank.ledger.acknowledged)


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
        seed, failure, story, acknowledged = run_one(options.seed, options.seconds)
        print("\n".join(story))
        print(f"seed {seed}: {acknowledged} acknowledged MTRs: {failure or 'all is well'}")
        return 1 if failure else 0
    begun = time.monotonic()
    failed = total = 0
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for seed, failure, _, acknowledged in pool.map(run_one, seeds, [options.seconds] * len(seeds)):
            total += acknowledged
            if failure:
                failed += 1
                print(f"seed {seed} failed: {failure.strip().splitlines()[-1]}")
                print(
                    f"  repeat with: python -m tests.sim --seed {seed} --seconds {options.seconds}{' --bank' * options.bank}"
                )
    print(f"{options.seeds} seeds, {failed} failed, {total} acknowledged MTRs, {time.monotonic() - begun:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
