"""Random walks of cursors, some of more rows than 64 kB hold; the same seed, the same text."""

from __future__ import annotations

import random

COUNTS = (0, 1, 2, 3, 7, 1000, 2999, 3000, 3001, 5000, -1, -2, -5, -3000)
DIRECTIONS = (
    *("next", "prior", "first", "last", "absolute {0}", "relative {0}", "{0}", "all", "forward", "forward {0}"),
    *("forward all", "backward", "backward {0}", "backward all"),
)


def walk(seed: int) -> list[str]:
    """One cursor's life."""
    r = random.Random(seed)
    rows, hold, scroll = r.choice([0, 1, 2, 5, 3000]), r.random() < 0.4, r.choice(["scroll", "no scroll", ""])
    query = (
        f"select g, repeat('x', 50) || g, case when g % 3 = 0 then null else g end from generate_series(1, {rows}) g"
    )
    statements = ["begin", f"declare c {scroll} cursor {'with hold' if hold else ''} for {query}"]
    committed = False
    for _ in range(12):
        if hold and not committed and r.random() < 0.2:
            statements.append("commit")
            committed = True
        direction = r.choice(DIRECTIONS).format(r.choice(COUNTS))
        statements.append(f"{r.choice(['fetch', 'fetch', 'move'])} {direction} from c")
    return [*statements, "close c" if committed else "rollback"]
