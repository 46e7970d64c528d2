"""Random IN, ANY and ALL over small tables with nulls, and over big ones; the same seed, the same text."""

from __future__ import annotations

import random

COLUMNS = ("a", "b", "c", "d")
FORMS = (
    "select x.*, {0} from x",
    "select * from x where x.a = 3 or {0}",
    "select * from x where {0}",
    "select x.*, case when x.a = 1 then null else {0} end from x",
    "select x.*, ({0}) is null from x where {1} or x.b = 1",
    "select x.*, y.a from x left join y on y.a = x.a and (x.b = 2 or {0})",
    "select count(*), count(*) filter (where {0}) from x",
)


def tables(seed: int) -> list[str]:
    """x, y and z of a few rows."""
    rng = random.Random(seed)
    statements = []
    for name in "xyz":
        statements.append(f"drop table if exists {name}")
        statements.append(f"create table {name}(a int, b bigint, c text, d numeric)")
        for _ in range(rng.choice([0, 1, 3, 6])):
            a, b, c, d = (rng.choice(["null", "1", "2", "3"]) for _ in COLUMNS)
            statements.append(f"insert into {name} values ({a}, {b}, {c if c == 'null' else repr(c)}, {d})")
    return statements


class Members:
    """Statements, one after the other."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def _condition(self) -> str:
        r = self.random
        table = r.choice("yz")
        where = r.choice(["", "", "where s.a = 1", "where s.a = x.a", "where s.b <> x.b", "where s.a is not null"])
        columns = r.sample(COLUMNS, r.choice([1, 1, 1, 2, 2, 3]))
        left, right = [f"x.{c}" for c in columns], [f"s.{c}" for c in columns]
        if r.random() < 0.1:
            left[0] = {"a": "1", "b": "null::bigint", "c": "'2'", "d": "2.0"}[columns[0]]
        if columns[0] in "ad" and r.random() < 0.3:
            right[0] = {"a": "s.b", "d": "s.a"}[columns[0]]
        listed = ", ".join(right)
        query = f"select {r.choice(['', 'distinct '])}{listed} from {table} s {where}"
        if "x." not in where and r.random() < 0.3:
            query += f" union all select {listed} from {table} s"
        operators = ["in", "not in", "in", "not in", "= any", "<> all", "<> any", "= all"]
        if len(columns) == 1:
            operators += ["< all", "> any", "<= any", ">= all"]
        one = left[0] if len(columns) == 1 else f"({', '.join(left)})"
        text = f"{one} {r.choice(operators)} ({query})"
        return f"not ({text})" if r.random() < 0.2 else text

    def statement(self) -> str:
        """One SELECT."""
        return self.random.choice(FORMS).format(self._condition(), self._condition())


# More rows than 64 kB hold, in keys of one and of two columns, with nulls on either side and without.
BIG = (
    "create table many(id int, g int, t text)",
    "insert into many select i, case when i % 1000 <> 0 then i % 7 end, 'a text of some length ' || i from generate_series(1, 12000) i",
    "create table few(id int, g int, t text)",
    "insert into few select i * 10 - 5, case when i % 9 <> 0 then i % 7 end, 'a text of some length ' || i * 10 from generate_series(1, 2000) i",
    "insert into few values (null, 1, null), (5, null, null), (null, null, null)",
    "set work_mem = '64kB'",
    "select count(*), sum(id) from few where id = -1 or t in (select t from many where id % 3 = 0)",
    "select count(*), sum(id) from few where id = -1 or t not in (select t from many where id % 3 = 0)",
    "select count(*), sum(id) from few where id = -1 or t not in (select nullif(t, 'a text of some length 9') from many)",
    "select count(*), sum(id) from few where (id, g) in (select id, g from many) or g is null",
    "select count(*), sum(id) from few where (id, g) not in (select id, g from many)",
    "select count(*), sum(id) from few where (id, g) not in (select id, g from many where g is not null)",
    "select (id, t) in (select id, t from many), (id, t) in (select id, t from many where id < 0), count(*) from few group by 1, 2 order by 1, 2",
    "select (id + 5, g, t) in (select id, g, t from many where g = 3) m, count(*) from few group by 1 order by 1",
    "select count(*) from few where id < 100 and t < all (select t from many where id % 2 = 0)",
    "select count(*) from few where id < 100 and id > any (select id from many)",
    "select count(*) from few where id < 60 and id + 12000 > all (select id from many where id > 60 - few.id)",
    "select id from few f where id < 100 and (select count(*) from few o where o.id < 200 and (o.g = f.g or o.t in "
    "(select t from many where g = f.g))) > 5 order by id",
    "reset work_mem",
)
