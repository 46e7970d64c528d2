"""Asks a running PostgreSQL 15 (libpq environment variables) what it makes of literals.json, and writes types.golden.

A line is JSON: [type, oid, typmod, settings, input, "ok", text, binary form in hex] or [..., "error", code, message, detail].
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import psycopg

SETTINGS: dict[str, str] = {
    "": "",
    "sql": "datestyle=SQL,DMY;intervalstyle=sql_standard",
    "postgres": "datestyle=Postgres,MDY;intervalstyle=postgres_verbose;bytea_output=escape;extra_float_digits=0",
    "german": "datestyle=German,DMY;intervalstyle=iso_8601;timezone=Europe/Berlin",
    "york": "datestyle=ISO,YMD;timezone=America/New_York",
}


# PostgreSQL 15 wraps around here, or rounds out of the type's range.
STRANGE = {("interval day to second(2)", "9223372036854775807 us"), ("timestamp(2)", "294276-12-31 23:59:59.999999")}


def more(name: str) -> list[str]:
    """Values at random, the same each time."""
    rng = random.Random(name)
    if name == "float8":
        return [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308)) for _ in range(150)]
    if name == "float4":
        return [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-40, 38)) for _ in range(150)]
    if name == "numeric":
        return [
            f"{rng.choice(['', '-'])}{rng.randrange(10 ** rng.randint(0, 40))}.{'0' * rng.randint(0, 9)}{rng.randrange(10 ** rng.randint(0, 20))}"
            for _ in range(150)
        ]
    if name in ("timestamp", "timestamptz"):
        return [
            f"{rng.randint(1, 9999):04}-{rng.randint(1, 12)}-{rng.randint(1, 28)} {rng.randint(0, 23)}:{rng.randint(0, 59)}:{rng.randint(0, 59)}.{rng.randrange(10**6):06}{rng.choice(['', ' BC'])}"
            for _ in range(60)
        ]
    if name == "interval":
        return [
            f"{rng.randint(-50, 50)} mons {rng.randint(-500, 500)} days {rng.uniform(-1e5, 1e5):.6f} seconds"
            for _ in range(60)
        ]
    return []


def settings(conn: psycopg.Connection[Any], style: str) -> None:
    conn.execute("reset all")
    conn.execute("set timezone = 'UTC'")
    for pair in filter(None, SETTINGS[style].split(";")):
        key, value = pair.split("=", 1)
        conn.execute(f"set {key} = {value}" if key == "datestyle" else f"set {key} = '{value}'")


def ask(conn: psycopg.Connection[Any], name: str, send: str, text: str) -> list[Any]:
    literal = "'" + text.replace("'", "''") + "'"
    sql = f"select format('%s', x), encode({send}(x), 'hex') from (select {literal}::{name} as x) q"
    try:
        return ["ok", *conn.execute(sql).fetchone()]
    except psycopg.Error as error:
        diag = error.diag
        return ["error", diag.sqlstate, diag.message_primary, diag.message_detail]


def main() -> None:
    source = json.loads(Path("literals.json").read_text())
    with psycopg.connect(autocommit=True) as conn, Path("types.golden").open("w", encoding="utf-8") as out:
        for case in source["cases"]:
            name = case["type"]
            literals = case.get("literals") or [text for each in case["lists"] for text in source["lists"][each]]
            conn.execute(f"create temp table probe (x {name})")
            oid, typmod = conn.execute(
                "select atttypid, atttypmod from pg_attribute where attrelid = 'probe'::regclass and attname = 'x'"
            ).fetchone()
            send = conn.execute("select typsend::text from pg_type where oid = %s", [oid]).fetchone()[0]
            conn.execute("drop table probe")
            for style in case["settings"]:
                settings(conn, style)
                for text in dict.fromkeys(literals + more(name)):
                    if (name, text) not in STRANGE:
                        line = [name, oid, typmod, style, text, *ask(conn, name, send, text)]
                        out.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
