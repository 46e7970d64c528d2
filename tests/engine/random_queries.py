"""Random SELECTs over the tables of queries/schema.sql: joins of all kinds, subqueries, grouping; the same seed, the same text."""

from __future__ import annotations

import random

TABLES: dict[str, list[str]] = {
    "t1": ["a", "b", "d"],
    "t2": ["a", "b", "x"],
    "t3": ["x", "y"],
    "t4": ["k"],
    "t5": ["i", "j"],
    "v1": ["a", "b", "d"],
}
TEXTS = {"b"}
# (alias, columns)
Source = tuple[str, list[str]]


class Generator:
    """Statements, one after the other."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.aliases = 0

    def statement(self) -> str:
        """One SELECT."""
        r = self.random
        text, sources = self.from_list(0, r.choice([0, 1, 2, 2, 3]))
        where = self.conjunction(sources) if r.random() < 0.9 else "true"
        n = [self.number(sources) for _ in range(3)]
        kind = r.random()
        if kind < 0.5:
            return f"select {n[0]}, {n[1]} from {text} where {where}"
        if kind < 0.6:
            return f"select {n[0]} as c, {n[1]} from {text} where {where} order by 1, 2 limit 7"
        if kind < 0.75:
            return f"select {n[0]} as g, count(*), sum({n[1]}), max({n[2]}) from {text} where {where} group by 1"
        if kind < 0.82:
            return f"select distinct {n[0]} from {text} where {where}"
        if kind < 0.9:
            return f"select min({n[0]}), max({n[1]}), count({n[2]}) from {text} where {where}"
        inner, own = self.from_list(1, 1)
        count = f"(select count(*) from {inner} where {self.conjunction(own, 1, sources)})"
        return f"select {n[0]}, {count} from {text} where {where}"

    def number(self, sources: list[Source]) -> str:
        alias, column = self.random.choice([(a, c) for a, cs in sources for c in cs if c not in TEXTS])
        return f"{alias}.{column}"

    def text(self, sources: list[Source]) -> str | None:
        found = [f"{a}.{c}" for a, cs in sources for c in cs if c in TEXTS]
        return self.random.choice(found) if found else None

    def conjunction(self, sources: list[Source], depth: int = 0, outer: list[Source] | None = None) -> str:
        return " and ".join(
            self.condition(sources, depth, outer or []) for _ in range(self.random.choice([1, 1, 2, 3]))
        )

    def condition(self, sources: list[Source], depth: int, outer: list[Source]) -> str:
        r = self.random
        everything = sources + outer if outer and r.random() < 0.5 else sources
        kind = r.random()
        number = self.number(sources)
        if kind < 0.22:
            return f"{number} {r.choice(['=', '=', '<', '>', '<=', '>=', '<>'])} {r.randint(0, 12)}"
        if kind < 0.45:
            return f"{number} {r.choice(['=', '=', '<', '>'])} {self.number(everything)}"
        text = self.text(sources)
        if kind < 0.52 and text:
            return f"{text} = '{r.choice(['b1', 'b2', 'b3'])}'"
        if kind < 0.58:
            return f"{number} is {r.choice(['', 'not '])}null"
        if kind < 0.63:
            return f"{number} in ({r.randint(0, 9)}, {r.randint(0, 9)}, {r.randint(0, 9)})"
        if kind < 0.68:
            return f"{number} between {r.randint(0, 5)} and {r.randint(5, 12)}"
        if kind < 0.74:
            return f"({self.condition(sources, depth, outer)} or {self.condition(sources, depth, outer)})"
        if kind < 0.78:
            return f"not ({self.condition(sources, depth, outer)})"
        if depth < 2:
            return self.subquery(sources, depth + 1, outer, number)
        return f"{number} > {r.randint(0, 5)}"

    def subquery(self, sources: list[Source], depth: int, outer: list[Source], number: str) -> str:
        r = self.random
        kind = r.random()
        text, own = self.from_list(depth, 1)
        around = sources + outer
        if kind < 0.36:
            return f"{r.choice(['', 'not '])}exists (select 1 from {text} where {self.conjunction(own, depth, around)})"
        if kind < 0.72:
            where = self.conjunction(own, depth, around if r.random() < 0.4 else [])
            return f"{number} {r.choice(['in', 'in', 'not in'])} (select {self.number(own)} from {text} where {where})"
        call = f"{r.choice(['max', 'min', 'count', 'sum'])}({self.number(own)})"
        return f"{number} {r.choice(['=', '<', '>'])} (select {call} from {text} where {self.conjunction(own, depth, around)})"

    def source(self, depth: int) -> tuple[str, Source]:
        r = self.random
        self.aliases += 1
        alias = f"q{self.aliases}"
        if r.random() < 0.12 and depth < 2:
            text, own = self.from_list(depth + 1, 2)
            a, d = self.number(own), self.number(own)
            kind = r.random()
            if kind < 0.5:
                inner = f"select {a} as a, {d} as d, 7 as e from {text} where {self.conjunction(own, depth + 1)}"
                return f"({inner}) {alias}", (alias, ["a", "d", "e"])
            if kind < 0.8:
                inner = (
                    f"select {a} as a, count(*) as d from {text} where {self.conjunction(own, depth + 1)} group by 1"
                )
                return f"({inner}) {alias}", (alias, ["a", "d"])
            return f"(select distinct {a} as a, {d} as d from {text}) {alias}", (alias, ["a", "d"])
        table = r.choice(["t1", "t1", "t2", "t2", "t3", "t4", "t5", "v1"])
        return f"{table} {alias}", (alias, TABLES[table])

    def from_list(self, depth: int, more_max: int) -> tuple[str, list[Source]]:
        r = self.random
        text, first = self.source(depth)
        sources = [first]
        for _ in range(r.randint(0, more_max)):
            right, other = self.source(depth)
            equal = f"{self.number(sources)} = {self.number([other])}"
            together = [*sources, other]
            extra = f" and {self.condition(together, 2, [])}" if r.random() < 0.35 else ""
            kind = r.random()
            if kind < 0.2:
                text = f"{text} cross join {right}"
            elif kind < 0.5:
                text = f"{text} join {right} on {equal}{extra}"
            elif kind < 0.8:
                text = f"{text} {r.choice(['left', 'left', 'right'])} join {right} on {equal}{extra}"
            elif kind < 0.88:
                text = f"{text} full join {right} on {equal}"
            else:
                text = f"({text}) left join {right} on {self.condition(together, 2, [])}"
            sources = together
        return text, sources
