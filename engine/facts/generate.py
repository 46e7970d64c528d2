"""Writes the JSON files of this folder from a running PostgreSQL 15.

    python -m sixfold.engine.facts.generate "host=… port=… user=…"

The connection may also come from the environment (PGHOST …). Only facts are taken: what types, functions, operators and
casts there are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg

GENERATOR = "engine/facts/generate.py"
HERE = Path(__file__).parent

TYPES = """
select t.oid::int8, typname, typnamespace::int8, typtype, typcategory, typispreferred, typelem::int8, typarray::int8,
       typbasetype::int8, typtypmod, typlen, typnotnull, typdelim, typrelid::int8, typcollation::int8, typdefault,
       typsubscript::text = 'array_subscript_handler', typbyval, typalign, typstorage,
       case when typinput = 0 then '' else typinput::text end, case when typoutput = 0 then '' else typoutput::text end
from pg_type t
where t.oid < 10000 and typrelid = 0 and typnamespace = 11
  and not exists (select from pg_type e where e.oid = t.typelem and e.typrelid <> 0) order by t.oid
"""

FUNCTIONS = """
select p.oid::int8, proname, proargtypes::oid[]::int8[], prorettype::int8, prokind, proretset,
       case when l.lanname = 'sql' then proname else prosrc end, proisstrict, provolatile, proparallel,
       provariadic::int8,
       array(select pg_get_function_arg_default(p.oid, n)
             from generate_series(coalesce(array_length(proargmodes, 1), pronargs) - 0, 1, -1) n
             where pg_get_function_arg_default(p.oid, n) is not null) as defaults,
       proargnames, proargmodes, proallargtypes::int8[], l.lanname,
       case when l.lanname = 'sql' then coalesce(pg_get_function_sqlbody(p.oid), prosrc) end, pronamespace::int8, prorows,
       coalesce(a.aggkind::text, ''), coalesce(a.aggnumdirectargs, 0)
from pg_proc p join pg_language l on l.oid = p.prolang left join pg_aggregate a on a.aggfnoid = p.oid
where pronamespace in (11, 'information_schema'::regnamespace) and p.oid < 16384 order by proname, p.oid
"""

OPERATORS = """
select o.oid::int8, oprname, oprleft::int8, oprright::int8, oprresult::int8, p.prosrc, p.oid::int8, oprcom::int8,
       oprnegate::int8, oprcanhash, oprcanmerge, oprnamespace::int8,
       case when oprrest = 0 then '' else oprrest::text end, case when oprjoin = 0 then '' else oprjoin::text end,
       l.lanname, p.proname
from pg_operator o join pg_proc p on p.oid = o.oprcode join pg_language l on l.oid = p.prolang
where oprnamespace = 11 and o.oid < 16384 order by oprname, o.oid
"""

CASTS = """
select castsource::int8, casttarget::int8, coalesce(p.prosrc, ''), castfunc::int8, castcontext, castmethod,
       coalesce(p.pronargs, 1), l.lanname, p.proname
from pg_cast c left join pg_proc p on p.oid = c.castfunc left join pg_language l on l.oid = p.prolang
where c.oid < 16384 order by 1, 2
"""

OPCLASSES = """
select c.oid::int8, opcname, a.amname, opcfamily::int8, opcintype::int8, opcdefault, opckeytype::int8, f.opfname
from pg_opclass c join pg_am a on a.oid = c.opcmethod join pg_opfamily f on f.oid = c.opcfamily order by c.oid
"""

AMOPS = """
select amopfamily::int8, amoplefttype::int8, amoprighttype::int8, amopstrategy, amopopr::int8, a.amname
from pg_amop o join pg_am a on a.oid = o.amopmethod where a.amname in ('btree', 'hash') and amoppurpose = 's' order by 1, 2, 3, 4
"""

COLLATIONS = """
select oid::int8, collname, collprovider, collisdeterministic, collencoding, collcollate, collctype from pg_collation
where collname in ('default', 'C', 'POSIX', 'ucs_basic') order by oid
"""


def function_row(row: tuple[Any, ...]) -> list[Any]:
    """A row of `Function` from a row of FUNCTIONS."""
    head, (defaults, names, modes, everything, language, body, *tail) = list(row[:11]), row[11:]
    inputs = list(names or [])
    out: list[list[Any]] = []
    if modes is not None:
        names = list(names or [""] * len(modes))
        inputs = [n for n, m in zip(names, modes, strict=True) if m in "ibv"]
        out = [[n, t] for n, m, t in zip(names, modes, everything or head[2], strict=True) if m in "obt"]
    if not any(inputs):
        inputs = []
    return [*head, list(reversed(defaults)), inputs, out, language, body, *tail]


def write(name: str, fields: dict[str, list[Any] | dict[str, Any]]) -> None:
    """One JSON file, a row a line, so that a difference between two versions can be read."""
    parts = [f'"generator": {json.dumps(GENERATOR)}']
    for key, rows in fields.items():
        if isinstance(rows, dict):
            body = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in rows.items())
            parts.append(f"{json.dumps(key)}: {{\n{body}\n}}")
        else:
            body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
            parts.append(f"{json.dumps(key)}: [\n{body}\n]")
    (HERE / name).write_text("{" + ",\n".join(parts) + "}\n")


def main(conninfo: str) -> None:
    """Ask the server, write the files."""
    with psycopg.connect(conninfo) as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        write(
            "types.json", {"types": [list(r) for r in rows(TYPES)], "collations": [list(r) for r in rows(COLLATIONS)]}
        )
        functions: dict[str, list[Any]] = {}
        for row in rows(FUNCTIONS):
            # Outside pg_catalog: under the qualified name.
            name = row[1] if row[17] == 11 else f"information_schema.{row[1]}"
            functions.setdefault(name, []).append(function_row(row))
        write("functions.json", {"functions": functions})
        operators: dict[str, list[Any]] = {}
        for row in rows(OPERATORS):
            # SQL functions are known by their own name, as in functions.json.
            source = row[15] if row[14] == "sql" else row[5]
            operators.setdefault(row[1], []).append([*row[:5], source, *row[6:14]])
        casts = [[*r[:2], r[8] if r[7] == "sql" else r[2], *r[3:7]] for r in rows(CASTS)]
        opclasses = [list(r) for r in rows(OPCLASSES)]
        write(
            "operators.json",
            {"operators": operators, "casts": casts, "opclasses": opclasses, "amops": [list(r) for r in rows(AMOPS)]},
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
