"""What PostgreSQL 15 answers for the calls in *.calls: `generate.py DSN` writes a .golden file beside each.

A .calls file has blocks: a line `= signature | argument types [| settings]`, then one JSON array of argument texts a line.
`signature` is a regprocedure; the argument types are those of the call (they differ for polymorphic functions). A golden
line is [prosrc, argument type OIDs, result type OID, settings, arguments, outcome, …]: "ok" and a text or null, "rows" and
a list of rows, "error" and SQLSTATE, message, detail, hint.
"""

import json
import sys
from pathlib import Path
from typing import Any

import psycopg

HERE = Path(__file__).parent
SETTINGS = {
    "": {},
    "berlin": {"timezone": "Europe/Berlin"},
    "york": {"timezone": "America/New_York"},
    "verbose": {"intervalstyle": "postgres_verbose"},
}


def outcome(db: psycopg.Connection[Any], sql: str, args: list[str | None], retset: bool, boolean: bool) -> list[Any]:
    try:
        rows = db.execute(sql, args).fetchall()
    except psycopg.Error as error:
        d = error.diag
        return ["error", d.sqlstate, d.message_primary, d.message_detail, d.message_hint]
    if retset:
        return ["rows", [list(row) for row in rows]]
    value = rows[0][0]
    return ["ok", {"true": "t", "false": "f"}.get(value, value) if boolean else value]


def result_type(db: psycopg.Connection[Any], call: str) -> int:
    """Asked of the parser: nothing is computed."""
    pieces = call.split("%s")
    numbered = "".join(f"{piece}${n}" for n, piece in enumerate(pieces[:-1], 1)) + pieces[-1]
    db.pgconn.prepare(b"", f"select {numbered}".encode())
    return db.pgconn.describe_prepared(b"").ftype(0)


def run(db: psycopg.Connection[Any], source: Path) -> list[str]:
    lines = []
    for line in source.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("="):
            signature, types, *rest = [part.strip() for part in line[1:].split("|")]
            settings = rest[0] if rest else ""
            proc, name, retset, outs, variadic = db.execute(
                "select prosrc, proname, proretset, coalesce(array_length(proallargtypes, 1) - pronargs, 1),"
                " provariadic <> 0"
                " from pg_proc where oid = %s::regprocedure",
                [signature],
            ).fetchone()
            kinds = [t.strip() for t in types.split(";") if t.strip()]
            oids = [db.execute("select %s::regtype::oid::int8", [t]).fetchone()[0] for t in kinds]
            places = [f"%s::text::{t}" for t in kinds]
            if variadic:
                places[-1] = "variadic " + places[-1]
            call = f'"{name}"({", ".join(places)})'
            db.execute("reset all")
            for key, value in SETTINGS[settings].items():
                db.execute(f"set {key} = '{value}'")
            continue
        args = json.loads(line)
        if retset:
            columns = ", ".join(f"f.c{n}::text" for n in range(outs))
            sql = f"select {columns} from {call} f({', '.join(f'c{n}' for n in range(outs))})"
        else:
            sql = f"select {call}::text"
        typ = 0 if retset else result_type(db, call)
        found = outcome(db, sql, args, retset, typ == 16)
        lines.append(json.dumps([proc, oids, typ, settings, args, *found], ensure_ascii=False))
    return lines


def main() -> None:
    with psycopg.connect(sys.argv[1], autocommit=True) as db:
        for source in sorted(HERE.glob("*.calls")):
            if len(sys.argv) < 3 or source.stem in sys.argv[2:]:
                source.with_suffix(".golden").write_text("\n".join(run(db, source)) + "\n")


if __name__ == "__main__":
    main()
