"""Random joins over tables with duplicates and nulls in their keys, for merge joins; the same seed, the same text."""

from __future__ import annotations

import random

KINDS = ("join", "left join", "right join", "full join")
SETTINGS = (
    ("enable_hashjoin", "enable_nestloop"),
    ("enable_hashjoin", "enable_nestloop", "enable_seqscan"),
    ("enable_hashjoin", "enable_nestloop", "enable_sort"),
    ("enable_hashjoin",),
    (),
)


def tables(seed: int) -> list[str]:
    """Three tables and their rows: k has few values and many duplicates, one value is in most rows of m."""
    rng = random.Random(seed)
    statements = []
    for name, rows, keys, heavy in (("l", 90, 30, 0.0), ("r", 140, 30, 0.0), ("m", 60, 8, 0.7)):
        statements.append(f"create table {name}(k int, k2 bigint, t text, d date, n int)")
        for n in range(rows):
            k = "null" if rng.random() < 0.12 else str(3 if rng.random() < heavy else rng.randrange(keys))
            k2 = "null" if rng.random() < 0.05 else str(rng.randrange(4))
            text = "null" if rng.random() < 0.1 else "'" + rng.choice("abcdé") * rng.randrange(1, 4) + "'"
            day = f"date '2020-01-01' + {rng.randrange(20)}"
            statements.append(f"insert into {name} values ({k}, {k2}, {text}, {day}, {n})")
    statements += [
        "create index on l(k, k2)",
        "create index on r(k)",
        "create index on r(t desc, k)",
        "create index on m(k2, k)",
        "create index on m(k desc nulls last)",
        "analyze l",
        "analyze r",
        "analyze m",
    ]
    return statements


def off(settings: tuple[str, ...]) -> list[str]:
    """Forbid these ways, and nothing else."""
    return ["reset all", *(f"set {name} = off" for name in settings)]


class Joins:
    """Statements, one after the other."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def equality(self, a: str, b: str) -> str:
        """What to join by."""
        r = self.random
        keys = [f"{a}.k = {b}.k", f"{a}.k2 = {b}.k2", f"{a}.t = {b}.t", f"{a}.k = {b}.k2", f"{a}.d = {b}.d"]
        chosen = r.sample(keys, r.choice([1, 1, 1, 2]))
        if r.random() < 0.3:
            chosen.append(r.choice([f"{a}.n < {b}.n", f"({a}.n + {b}.n) % 3 = 1", f"{a}.n <> 5", f"{b}.n > 20"]))
        return " and ".join(chosen)

    def statement(self) -> str:
        """One SELECT."""
        r = self.random
        a, b = r.sample(["l", "r", "m"], 2)
        kind = r.random()
        if kind < 0.45:
            text = f"select {a}.*, {b}.* from {a} {r.choice(KINDS)} {b} on {self.equality(a, b)}"
        elif kind < 0.65:
            word = r.choice(["exists", "not exists"])
            text = f"select {a}.* from {a} where {word} (select 1 from {b} where {self.equality(a, b)})"
        elif kind < 0.85:
            (c,) = {"l", "r", "m"} - {a, b}
            one, two = r.choice(KINDS[:2]), r.choice(KINDS)
            text = (
                f"select {a}.n, {b}.n, {c}.n from {a} {one} {b} on {self.equality(a, b)} "
                f"{two} {c} on {self.equality(r.choice([a, b]), c)}"
            )
        else:
            text = f"select {a}.k, {b}.k, {a}.n, {b}.n from {a} join {b} using (k)"
        if r.random() < 0.3 and "where" not in text:
            text += f" where {a}.n % 2 = 0"
        if r.random() < 0.3:
            others = ["n"] if "exists" in text else ["n", "k2"]
            text += f" order by {a}.k{r.choice(['', ' desc'])}, {', '.join(f'{a}.{o}' for o in others)}"
            text += "" if "exists" in text else "".join(f", {t}.n" for t in ("l", "r", "m") if f"{t}." in text)
        return text
