"""Which code runs the scripts of each folder under scripts/: one entry a folder.

A factory is called once a script and answers a function from a command to what it prints.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.golden import engine, quorum, sql
from tests.golden.runner import Run

AREAS: dict[str, Callable[[], Run]] = {
    "columns": sql.columns,
    "engine": engine.session,
    "errors": sql.errors,
    "plans": sql.plans,
    "quorum": quorum.tracker,
    "reads": quorum.reads,
    "recovery": quorum.recovery,
    "segments": quorum.segments,
}
