"""Random scripts against a PostgreSQL 15 and Sixfold: `python -m tests.isolation --seeds 1000 [--first N]`; differences are printed. With
`--readers` against a cluster, whose reader must show what its writer has committed."""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import ExitStack

from tests.isolation.play import Stuck, Target
from tests.isolation.random_sessions import Outcome, difference, perform, play
from tests.isolation.readers import Watch
from tests.support.postgres import postgres
from tests.support.sixfold import clustered, served

#: PostgreSQL looks for deadlocks when a session has waited for so long; a session that waits longer than `SURE` goes on waiting.
DEADLOCK = "8ms"
SURE_THERE = 0.03
SURE_HERE = 0.006
REFERENCE = {"fsync": "off", "deadlock_timeout": DEADLOCK, "autovacuum": "off", "enable_seqscan": "off"}


def performed(target: Target, seed: int) -> Outcome:
    try:
        return perform(target, play(seed))
    except Stuck as stuck:
        return Outcome([("", "", [f"stuck: {stuck}"])])


def seen(outcome: Outcome) -> Counter[str]:
    """How many steps waited, and which errors there were."""
    lines = [line for _, _, step in outcome.steps for line in step]
    errors = (line.split("ERROR ")[1][:5] for line in lines if ": ERROR " in line)
    return Counter([*errors, *("waits" for line in lines if line.endswith(" waits"))])


def compare(there: Target, here: Target, seed: int, counts: Counter[str]) -> tuple[str | None, bool]:
    """What differs, in three tries; and whether chance had a part in it."""
    for _ in range(3):
        expected, got = performed(there, seed), performed(here, seed)
        found = difference(expected, got)
        counts.update(seen(expected))
        if found is None:
            return None, False
    return found, expected.race is not None


def watch(writer: Target, reader_uri: str, seed: int, counts: Counter[str]) -> str | None:
    """What a reader has shown that is wrong, and how it came to that."""
    play = Watch(writer, reader_uri, seed)
    try:
        return play.run(seed)
    except Stuck as stuck:
        return "\n".join([*play.story, f"stuck: {stuck}"])
    finally:
        counts.update(play.counts)
        play.close()


def watch_readers(seeds: range) -> None:
    counts: Counter[str] = Counter()
    wrong = 0
    with clustered(readers=1) as cluster:
        writer = Target(cluster.uri, SURE_HERE)
        for seed in seeds:
            found = watch(writer, cluster.reader_uri("reader-1"), seed, counts)
            if found is not None:
                wrong += 1
                print(f"=== seed {seed}\n{found}\n", flush=True)
        writer.close()
    print(f"{len(seeds)} scripts, {wrong} of them wrong on the reader")
    print(*(f"{name} {count}" for name, count in counts.most_common()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--there", help="a PostgreSQL that runs already")
    parser.add_argument("--here", help="a Sixfold that runs already")
    parser.add_argument("--readers", action="store_true")
    arguments = parser.parse_args()
    if arguments.readers:
        watch_readers(range(arguments.first, arguments.first + arguments.seeds))
        return
    with ExitStack() as stack:
        uri = arguments.there or stack.enter_context(postgres(REFERENCE)).uri
        there = Target(uri, SURE_THERE)
        here = Target(arguments.here or stack.enter_context(served("--fsync", "off")).uri, SURE_HERE)
        wrong = chance = 0
        counts: Counter[str] = Counter()
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            found, race = compare(there, here, seed, counts)
            if found is not None:
                wrong, chance = wrong + 1, chance + race
                print(f"=== seed {seed}{' (race)' if race else ''}\n{play(seed).setup}\n{found}\n", flush=True)
        there.close()
        here.close()
    print(f"{arguments.seeds} scripts, {wrong} differ, {chance} of them where two sessions were let go at once")
    print(*(f"{name} {count}" for name, count in counts.most_common()))


if __name__ == "__main__":
    main()
