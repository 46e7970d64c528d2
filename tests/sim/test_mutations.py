"""Each rule that the simulator guards, broken on purpose, is found by a seed: else a run without a failure would mean nothing."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.sim.mutations import MUTATIONS, run_broken

SEEDS = 96
AT_ONCE = 8
SECONDS = 2.0


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_seed_finds_it_when(name: str) -> None:
    with ProcessPoolExecutor() as pool:
        for first in range(0, SEEDS, AT_ONCE):
            work = [pool.submit(run_broken, name, seed, SECONDS) for seed in range(first, first + AT_ONCE)]
            failures = [failure for one in work if (failure := one.result().failure)]
            # A promise is broken, and not what breaks it.
            assert not any("AttributeError" in failure or "TypeError" in failure for failure in failures), failures
            if failures:
                return
    raise AssertionError(f"{SEEDS} seeds see nothing wrong")
