"""Random scripts of two to four sessions over a few small tables: what they do is chosen by a seed.

Rows are few, so that sessions meet; statements name rows by a key more often than not, since where many rows are locked in no order, which
is first depends on the storage.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.isolation.play import Target, tables

ACTIONS = ("no action", "restrict", "cascade", "set null", "set default")
LOCKS = ("update", "no key update", "share", "key share")
LEVELS = ("read committed", "read committed", "repeatable read")
MODES = (
    "access share",
    "row share",
    "row exclusive",
    "share update exclusive",
    "share",
    "share row exclusive",
    "exclusive",
    "access exclusive",
)


@dataclass
class Play:
    """A script: statements that set the tables up, steps in order, and the tables."""

    setup: str
    steps: list[tuple[str, str]]
    tables: list[str]


@dataclass
class Outcome:
    """What each step printed, as it was made (a session that waits is passed over until it does not), and the final tables. From
    `race` on two sessions were let go by one step, so which of them was first is chance."""

    steps: list[tuple[str, str, list[str]]] = field(default_factory=list)
    race: int | None = None
    final: list[str] = field(default_factory=list)


def perform(target: Target, play: Play) -> Outcome:
    """Play it; sessions end with what they have left to do."""
    target.reset()
    target.setup(play.setup)
    outcome = Outcome()
    left = list(play.steps)
    while left:
        ready = [i for i, (name, _) in enumerate(left) if name not in target.sessions or not target.sessions[name].busy]
        if not ready:
            outcome.steps.append(("", "", ["all wait"]))
            return outcome
        name, statement = left.pop(ready[0])
        lines = target.step(name, statement)
        woken = {line.partition(":")[0] for line in lines if not line.startswith((name + ":", name + " "))}
        if len(woken) > 1 and outcome.race is None:
            outcome.race = len(outcome.steps)
        outcome.steps.append((name, statement, lines))
    outcome.final = tables(target, play.tables)
    return outcome


def difference(there: Outcome, here: Outcome) -> str | None:
    """The story up to the first step that differs."""
    story = []
    for (name, statement, expected), (_, _, got) in zip(there.steps, here.steps, strict=False):
        story.append(f"> {name}: {statement}")
        if expected != got:
            return "\n".join([*story, "PostgreSQL:", *expected, "Sixfold:", *got])
        story += [f"    {line}" for line in expected]
    if len(there.steps) != len(here.steps):
        return "\n".join([*story, f"{len(there.steps)} steps there, {len(here.steps)} here"])
    if there.final != here.final:
        return "\n".join([*story, "PostgreSQL:", *there.final, "Sixfold:", *here.final])
    return None


class Writer:
    """Makes one script."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kind = self.random.choice(("rows", "rows", "keys", "parents", "parents", "mixed", "mixed"))

    def play(self) -> Play:
        rng = self.random
        setup, names = self.schema()
        who = "abcd"[: rng.choice((2, 2, 2, 3, 3, 4))]
        queues: dict[str, list[str]] = {name: self.session() for name in who}
        steps = []
        while queues:
            name = rng.choice(sorted(queues))
            for _ in range(rng.choice((1, 1, 2))):
                if queues.get(name):
                    steps.append((name, queues[name].pop(0)))
            if not queues[name]:
                del queues[name]
        return Play(setup, steps, names)

    # ---- tables

    def schema(self) -> tuple[str, list[str]]:
        rng = self.random
        parts = [
            "create table t(k int primary key, u int unique, v int, w int default 0)",
            "insert into t values (1, 11, 1, 0), (2, 12, 2, 0), (3, 13, 1, 0)",
            "create sequence s",
            "create table o(k int primary key, v int)",
            "insert into o values (1, 0), (2, 0), (3, 0)",
        ]
        if rng.random() < 0.6:
            parts.append("create index on t(v)")
        defer = rng.choice(("", "", " deferrable", " deferrable initially deferred"))
        actions = f" on delete {rng.choice(ACTIONS)} on update {rng.choice(ACTIONS)}{defer}"
        target = rng.choice(("t", "t", "t(u)"))
        default = 11 if target == "t(u)" else 2
        parts.append(
            f"create table c(k int primary key, f int default {default} references {target}{actions}, v int default 0)"
        )
        base = 10 if target == "t(u)" else 0
        if rng.random() < 0.5:
            parts.append("create index on c(f)")
        parts.append(f"insert into c values (1, {base + 1}, 0), (2, {base + 1}, 0), (3, {base + 2}, 0)")
        self.base = base
        return "; ".join(parts), ["t", "c"]

    # ---- sessions

    def session(self) -> list[str]:
        rng = self.random
        steps: list[str] = []
        for _ in range(rng.choice((1, 1, 2))):
            if rng.random() < 0.8:
                steps += self.transaction()
            else:
                steps.append(self.statement())
        return steps

    def transaction(self) -> list[str]:
        rng = self.random
        only = " read only" if rng.random() < 0.02 else ""
        steps = [f"begin isolation level {rng.choice(LEVELS)}{only}"]
        saved: list[str] = []
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.12:
                saved.append(f"s{len(saved)}")
                steps.append(f"savepoint {saved[-1]}")
            steps.append(self.statement())
            if saved and rng.random() < 0.4:
                steps.append(f"{rng.choice(('rollback to', 'rollback to', 'release'))} {saved[-1]}")
                if steps[-1].startswith("release"):
                    saved.pop()
        steps.append(rng.choice(("commit", "commit", "commit", "rollback")))
        return steps

    # ---- statements

    def statement(self) -> str:
        rng = self.random
        kinds = {
            "rows": (self.update, self.update, self.delete, self.locking, self.locking, self.reading, self.joined),
            "keys": (self.insert, self.insert, self.upsert, self.upsert, self.update, self.delete, self.key),
            "parents": (self.child, self.child, self.key, self.delete, self.child_change, self.locking, self.reading),
            "mixed": (
                self.update,
                self.insert,
                self.upsert,
                self.child,
                self.locking,
                self.joined,
                self.table,
                self.with_query,
                self.advisory,
                self.reading,
            ),
        }[self.kind]
        text = rng.choice(kinds)()
        return f"extended {text}" if rng.random() < 0.3 and ";" not in text else text

    def number(self) -> int:
        return self.random.randint(1, 4)

    def where(self, name: str = "t") -> str:
        """A condition: of one row mostly."""
        rng, n = self.random, self.number()
        return rng.choice(
            (
                f"{name}.k = {n}",
                f"{name}.k = {n}",
                f"{name}.k = {n}",
                f"{name}.u = {n + 10}",
                f"{name}.v = {n % 3}",
                f"{name}.v > {n - 2} and {name}.k = {self.number()}",
                f"{name}.k in ({n}, {n % 4 + 1})",
                f"exists (select 1 from c where c.f = {name}.k + {self.base}) and {name}.k = {n}",
                f"{name}.k = (select max(k) from t)",
                f"{name}.v = (select min(v) from t) and {name}.k < {n}",
                f"{name}.k in (select f - {self.base} from c where c.k = {n})",
                "true",
            )
        )

    def returning(self, name: str = "t") -> str:
        return self.random.choice(("", "", f" returning {name}.*"))

    def update(self) -> str:
        rng = self.random
        values = rng.choice(
            ("v = v + 1", "v = v * 2, w = w + 1", "w = w + 1", f"v = {self.number()}", "v = (select max(v) from t) + 1")
        )
        return f"update t set {values} where {self.where()}{self.returning()}"

    def key(self) -> str:
        rng, n = self.random, self.number()
        values = rng.choice((f"k = {n}", f"k = k + {n}", f"u = {n + 10}", "u = null", "u = u + 1", f"k = {n}, u = u"))
        return f"update t set {values} where {rng.choice((f'k = {self.number()}', f'u = {self.number() + 10}'))}{self.returning()}"

    def delete(self) -> str:
        return f"delete from t where {self.where()}{self.returning()}"

    def joined(self) -> str:
        rng, n = self.random, self.number()
        link = f"c.f = t.k + {self.base}"
        return rng.choice(
            (
                f"update t set v = t.v + c.k from c where {link} and c.k = {n}",
                f"update t set v = t.v + 1, w = c.v from c where {link} and c.k = {n} and t.v < 3 returning t.k, t.v, c.v",
                f"update c set v = c.v + t.v from t where {link} and c.k = {n} and t.v > 0 returning c.*, t.v",
                f"delete from t using c where {link} and c.k = {n} and t.v = {n % 3}",
                f"update t set v = o.v + 10 from t o where t.k = {n} and o.k = {n % 3 + 1}",
                f"select t.k, t.v, c.v from t join c on {link} where c.k = {n} for {rng.choice(LOCKS)} of t",
                f"select t.k, t.v, c.v from t join c on {link} where t.v > 0 and c.k = {n} for {rng.choice(LOCKS)}",
                f"select t.k, t.v, c.v from t left join c on {link} and c.v = t.w where t.k = {n} for {rng.choice(LOCKS)} of t",
                f"select c.k, c.v from c where f in (select k + {self.base} from t where v > 0) and k = {n} for {rng.choice(LOCKS)}",
                f"select k, v from (select * from t where k = {n}) x where v > 0 for {rng.choice(LOCKS)}",
            )
        )

    def with_query(self) -> str:
        n = self.number()
        return self.random.choice(
            (
                f"with x as (update t set v = v + 1 where k = {n} returning *) select * from x",
                f"with x as (delete from c where k = {n} returning *) insert into c select k + 10, f, v from x",
                f"with x as (select * from t where k = {n} for update) update t set w = x.v from x where t.k = x.k returning t.*",
                f"with x as (select k, v from t where k = {n}) update t set w = x.v, v = t.v + 1 from x where t.k = x.k returning t.*",
                f"with x as (update t set v = v + 1 where k = {n} returning k) update c set v = v + 1 where k in (select k from x)",
            )
        )

    def locking(self) -> str:
        rng = self.random
        wait = rng.choice(("", "", "", " nowait", " skip locked"))
        order = " order by t.k" if rng.random() < 0.7 else ""
        limit = " limit 1" if order and rng.random() < 0.3 else ""
        return f"select * from t where {self.where()}{order}{limit} for {rng.choice(LOCKS)}{wait}"

    def reading(self) -> str:
        return self.random.choice(
            (
                "select * from t",
                "select * from c",
                "select count(*), sum(v) from t",
                f"select t.k, c.k from t join c on c.f = t.k + {self.base}",
                f"select * from t where {self.where()}",
                "select nextval('s')",
            )
        )

    def insert(self) -> str:
        n = self.number()
        u = self.random.choice(("null", str(self.number() + 10)))
        return f"insert into t values ({n}, {u}, {n % 3}){self.returning()}"

    def upsert(self) -> str:
        rng, n = self.random, self.number()
        u = rng.choice(("null", str(self.number() + 10)))
        action = rng.choice(
            (
                " do nothing",
                "(k) do nothing",
                "(u) do nothing",
                "(k) do update set v = t.v + 1, w = excluded.v",
                "(k) do update set u = excluded.u",
                "(u) do update set v = t.v + 1 where t.v < 3",
                f"(k) do update set k = t.k + {n}",
            )
        )
        return f"insert into t values ({n}, {u}, {n % 3}) on conflict{action}{self.returning()}"

    def child(self) -> str:
        n = self.number()
        f = self.random.choice(("null", *(str(self.number() + self.base) for _ in range(4))))
        return f"insert into c values ({n + self.random.choice((0, 3, 6))}, {f}){self.returning('c')}"

    def child_change(self) -> str:
        rng, n = self.random, self.number()
        return rng.choice(
            (
                f"update c set f = {n + self.base} where k = {self.number()}",
                f"update c set v = v + 1 where k = {n}",
                f"delete from c where k = {n}",
                f"delete from c where f = {n + self.base}",
                "set constraints all immediate",
                "set constraints all deferred",
                f"update t set v = v + 1 where k = {n}",
            )
        )

    def table(self) -> str:
        rng = self.random
        return rng.choice(
            (
                f"lock table o in {rng.choice(MODES)} mode{rng.choice(('', '', ' nowait'))}",
                "truncate o",
                "alter table o alter v set default 5",
                "create index on o(v)",
                f"alter table o add column x{self.number()} int default 7",
                "alter table o drop column if exists x1",
                "alter table o add check (v < 100)",
                "drop table o",
                "select * from o",
                f"select * from o where k = {self.number()} for update",
                f"update o set v = v + 1 where k = {self.number()}",
                f"insert into o values ({self.number() + 5}, 1)",
                f"delete from o where k = {self.number()}",
            )
        )

    def advisory(self) -> str:
        n = self.random.randint(1, 2)
        return self.random.choice(
            (
                f"select pg_advisory_xact_lock({n})",
                f"select pg_advisory_lock({n})",
                f"select pg_try_advisory_lock({n})",
                f"select pg_advisory_unlock({n})",
                f"select pg_advisory_xact_lock_shared({n})",
                f"select pg_try_advisory_xact_lock_shared({n})",
                "select pg_advisory_unlock_all()",
            )
        )


def play(seed: int) -> Play:
    """The script of a seed."""
    return Writer(seed).play()
