"""`python -m bench [NAME …] [--rounds N] [--seconds S] [--record]`: run, print, and with --record write RESULTS.md."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import measures
from bench.measures import Options, Result

RESULTS = Path(__file__).parent / "RESULTS.md"

MEASURES: dict[str, Callable[[Options], list[Result]]] = {
    "select": measures.point_selects,
    "tpcb-embedded": measures.tpcb_embedded,
    "tpcb-cluster": measures.tpcb_cluster,
    "copy": measures.copy_and_aggregate,
    "join": measures.join_and_aggregate,
    "bulk": measures.bulk_statements,
    "cold": measures.just_started,
    "redo": measures.redo_bytes,
    "lag": measures.reader_lag,
    "log": measures.log_costs,
    "memory": measures.memory,
}


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine() -> str:
    model = next(
        (ln.split(":")[1].strip() for ln in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in ln), "?"
    )
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    return f"{cores} cores of {model}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


def table(results: list[Result]) -> str:
    lines = ["| what | ours | PostgreSQL 15 | ratio | to reach | |", "|---|---|---|---|---|---|"]
    for r in results:
        lines.append(
            f"| {r.what} | {r.shown(r.ours)} | {r.shown(r.theirs)} | {r.ratio_text} | {r.goal} | {r.verdict} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], help="which measures; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="write bench/RESULTS.md")
    arguments = parser.parse_args()
    options = Options(arguments.rounds, arguments.seconds)
    results: list[Result] = []
    for name in arguments.names or MEASURES:
        sys.stderr.write(f"{name} …\n")
        found = MEASURES[name](options)
        for r in found:
            sys.stderr.write(
                f"    {r.what}: {r.shown(r.ours)} / {r.shown(r.theirs)} = {r.ratio_text} ({r.goal}) {r.verdict}\n"
            )
        results += found
    text = table(results)
    sys.stdout.write(text + "\n")
    if arguments.record:
        head = f"Commit {commit()}; {machine()}; medians of {options.rounds} rounds of {options.seconds} s.\n"
        notes = RESULTS.read_text().partition("## Notes")[2] if RESULTS.exists() else "\n"
        RESULTS.write_text(f"# Results\n\nWritten by `make bench ARGS=--record`. {head}\n{text}\n\n## Notes{notes}")


if __name__ == "__main__":
    main()
