"""Asks a running PostgreSQL 15 (libpq environment variables) for aggregates over small columns and writes aggregates.golden.
A line is JSON: [name, argument OIDs, result OID, rows of argument texts, result text or null].
"""

from __future__ import annotations

import json
import random
import sys

import psycopg
from catalogue import POOLS

EXTREMES = [
    "int4",
    "numeric",
    "float8",
    "text",
    "date",
    "timestamptz",
    "interval",
    "timetz",
    "int4[]",
    "pg_lsn",
    "time",
]
ONE = {
    "count": list(POOLS),
    "sum": ["int2", "int4", "int8", "numeric", "float8", "interval"],
    "avg": ["int2", "int4", "int8", "numeric", "float8", "interval"],
    "min": EXTREMES,
    "max": EXTREMES,
    **{
        name: ["int2", "int4", "int8", "numeric", "float8"]
        for name in ("variance", "var_pop", "var_samp", "stddev", "stddev_pop", "stddev_samp")
    },
    **{name: ["int2", "int4", "int8"] for name in ("bit_and", "bit_or", "bit_xor")},
    "bool_and": ["bool"],
    "bool_or": ["bool"],
    "every": ["bool"],
    "array_agg": ["int4", "text", "numeric", "interval"],
    "json_agg": ["int4", "text", "date", "jsonb", "int4[]", "float8"],
    "jsonb_agg": ["int4", "text", "date", "jsonb", "int4[]", "float8"],
}
TWO = {
    "string_agg": ["text", "bytea"],
    "json_object_agg": ["text"],
    "jsonb_object_agg": ["text"],
    **{
        name: ["float8"]
        for name in (
            "corr",
            "covar_pop",
            "covar_samp",
            "regr_avgx",
            "regr_avgy",
            "regr_count",
            "regr_intercept",
            "regr_r2",
            "regr_slope",
            "regr_sxx",
            "regr_sxy",
            "regr_syy",
        )
    },
}


def main() -> None:
    with psycopg.connect(autocommit=True) as conn, open("aggregates.golden", "w", encoding="utf-8") as out:
        conn.execute("set timezone = 'America/New_York'")

        def ask(name: str, types: list[str], rows: list[list[str | None]]) -> None:
            oids = [
                conn.execute("select %s::regtype::oid::int8", ['"char"' if t == "char" else t]).fetchone()[0]
                for t in types
            ]
            cast = ['"char"' if t == "char" else t for t in types]
            tuples = ", ".join(
                "("
                + ", ".join([str(at), *("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in row)])
                + ")"
                for at, row in enumerate(rows)
            )
            columns = ", ".join(f"c{i}::{t}" for i, t in enumerate(cast))
            names = ", ".join(["n", *(f"c{i}" for i in range(len(types)))])
            sql = f"select format('%s', x), x is null, pg_typeof(x)::oid::int8 from (select {name}({columns} order by n) as x from (values {tuples}) v({names})) q"
            try:
                text, null, typ = conn.execute(sql).fetchone()
            except psycopg.Error as error:
                sys.stderr.write(f"{name} {types}: {error}\n")
                return
            out.write(json.dumps([name, oids, typ, rows, None if null else text], ensure_ascii=False) + "\n")

        for name, kinds in ONE.items():
            for kind in kinds:
                pool = [
                    v
                    for v in POOLS.get(kind, [])
                    if not (kind in ("float8",) and (abs(float(v)) > 1e100 or v in ("1e-300", "NaN")))
                    and not (kind == "int8" and len(v) > 18 and name == "sum")
                ]
                if not pool:
                    continue
                rng = random.Random(name + kind)
                for size in (1, 2, 5, 9):
                    rows: list[list[str | None]] = [[rng.choice([*pool, None])] for _ in range(size)]
                    ask(name, [kind], rows)
                    ask(name, [kind], [[v] for v in rng.sample(pool, min(size, len(pool)))])
        for name, kinds in TWO.items():
            for kind in kinds:
                second = "int4" if name.endswith("object_agg") else kind
                rng = random.Random(name)
                pool = POOLS[kind] if kind != "float8" else ["1", "2.5", "-3", "0", "10", "0.1", "7"]
                other = POOLS[second] if second != "float8" else pool
                for size in (1, 2, 4, 7):
                    ask(
                        name,
                        [kind, second],
                        [
                            [rng.choice(pool), rng.choice([*other, None] if kind != "float8" or size > 2 else other)]
                            for _ in range(size)
                        ],
                    )


if __name__ == "__main__":
    sys.exit(main())
