"""Calls the functions of a running PostgreSQL 15 (libpq environment variables; LC_CTYPE C.UTF-8, LC_COLLATE C) with values from
pools and writes catalogue.golden. A line is JSON: [prosrc, argument OIDs, result OID, arguments, "ok", result] or
[..., "error", code, message]; arguments and results are text or null. Functions that the kernel doesn't have are passed over by
the test, so all that the catalogue has over the pools' types are asked.
"""

from __future__ import annotations

import json
import random
import re
import sys
from typing import Any

import psycopg

POOLS: dict[str, list[str]] = {
    "bool": ["t", "f"],
    "int2": ["0", "1", "-1", "7", "32767", "-32768", "100"],
    "int4": ["0", "1", "-1", "2", "3", "5", "-7", "2147483647", "-2147483648", "100", "12"],
    "int8": ["0", "1", "-1", "9", "9223372036854775807", "-9223372036854775808", "1000000000000", "2", "-5"],
    "oid": ["0", "1", "4294967295", "26"],
    "float4": ["0", "1.5", "-2.25", "3.4e38", "NaN", "Infinity", "1e-40", "0.1", "42"],
    "float8": [
        "0",
        "1",
        "-1",
        "0.5",
        "-2.25",
        "1e300",
        "NaN",
        "-Infinity",
        "1e-300",
        "0.1",
        "42",
        "2.5",
        "3.5",
        "30",
        "60",
        "1e10",
    ],
    "numeric": [
        "0",
        "1",
        "-1",
        "0.5",
        "-2.25",
        "1e20",
        "NaN",
        "Infinity",
        "-Infinity",
        "0.000001",
        "123456789.123456789",
        "2",
        "10",
        "1.10",
        "3.14159",
        "100",
        "-7",
        "99999999999999999999.5",
    ],
    "text": [
        "",
        "a",
        "abc",
        "Hello World",
        "  padded  ",
        "äöü Straße",
        "a,b,,c",
        "a%b_c\\d",
        "xyzzy",
        "12345",
        "foo.bar",
        "O'Reilly",
        "ABC",
        "日本語",
    ],
    "bpchar": ["", "abc  ", "abc", "x"],
    "name": ["", "abc", "pg_class", "Weird Name"],
    "bytea": ["", "\\x00ff10", "abc", "\\x0102030405"],
    "char": ["a", "", "z"],
    "date": [
        "2000-01-01",
        "1999-12-31",
        "2024-02-29",
        "infinity",
        "-infinity",
        "0044-03-15 BC",
        "2021-07-04",
        "1970-01-01",
        "5874897-12-31",
    ],
    "time": ["00:00", "12:34:56.789", "23:59:59.999999", "24:00", "01:02:03"],
    "timetz": ["12:34:56.789+02", "00:00-08", "23:59:59+05:30"],
    "timestamp": [
        "2000-01-01 00:00:00",
        "2024-02-29 12:34:56.789012",
        "infinity",
        "-infinity",
        "1999-12-31 23:59:59.999999",
        "0044-03-15 12:00 BC",
        "2021-03-14 02:30:00",
        "2021-11-07 01:30",
        "294276-12-31 23:59:59",
    ],
    "timestamptz": [
        "2000-01-01 00:00:00+00",
        "2024-02-29 12:34:56.789012+00",
        "infinity",
        "2021-03-14 07:30:00+00",
        "2021-11-07 06:30+00",
        "1850-01-01 00:00+00",
        "2021-07-04 16:00+00",
    ],
    "interval": [
        "0",
        "1 day",
        "-1 day",
        "1 mon",
        "1 year 2 mons 3 days 04:05:06.789",
        "-1 mon 15 days 12:00",
        "36 hours",
        "40 days",
        "01:30:00",
        "-00:00:00.000001",
        "100 years",
        "2 mons -45 days 30:00",
    ],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"],
    "json": [
        "{}",
        "[]",
        "null",
        "1",
        '"s"',
        '{"a": 1, "b": [1, 2, {"c": null}], "d": "x\\ny"}',
        '[1, "a", null, {"k": true}]',
        '{"a":1,"a":2}',
    ],
    "jsonb": [
        "{}",
        "[]",
        "null",
        "1",
        '"s"',
        '{"a": 1, "b": [1, 2, {"c": null}], "d": "x"}',
        '[1, "a", null, {"k": true}]',
        "[1, 2, 3]",
        '{"a": 1}',
        '{"b": [1, 2]}',
        "true",
        "12.50",
        "-7",
    ],
    "pg_lsn": ["0/0", "16/B374D848"],
    "text[]": ["{}", "{a}", "{a,b}", "{a,NULL}", "{b,c,0}", "{b,2,c}", "{{a,1},{b,2}}", "{k,v,k2,v2}", "{-1}", "{d}"],
    "int4[]": ["{}", "{1,2,3}", "{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={5,6}", "{3}"],
    "_text": [],
    "_int4": [],
}
UNITS = [
    "microseconds",
    "milliseconds",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "decade",
    "century",
    "millennium",
    "epoch",
    "dow",
    "doy",
    "isodow",
    "isoyear",
    "julian",
    "timezone",
    "timezone_hour",
    "timezone_minute",
    "foo",
    "now",
    "DAY",
]
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "EST", "CEST", "MSK", "Nowhere/Land", "Asia/Kathmandu"]
PATTERNS = [
    "a",
    "^a",
    "[a-c]+",
    "(b)(c)?",
    "\\d+",
    "l+o",
    "o|W",
    "",
    "x*",
    ".",
    "\\mW",
    "[[:upper:]]",
    "(a",
    "a{2,1}",
    "[z-a]",
    "h.*o",
    "\\s",
    "(?i)HELLO",
    "é?",
]
LIKES = ["%", "a%", "_bc", "%b%", "A%", "a\\%b\\_c\\\\d", "%\\", "", "_%o", "%World"]
FLAGS = ["", "g", "i", "gi", "n", "x", "c", "z"]
# Better values for some functions' arguments: by name, then position.
SPECIAL: dict[str, dict[int, list[str]]] = {
    "date_trunc": {0: UNITS, 2: ZONES},
    "date_part": {0: UNITS},
    "extract": {0: UNITS},
    "timezone": {0: ZONES},
    "encode": {1: ["hex", "base64", "escape", "foo"]},
    "decode": {1: ["hex", "base64", "escape"], 0: ["", "YWJj", "616263", "\\141\\\\", "zz", "YQ==", "YWI="]},
    "like": {1: LIKES},
    "notlike": {1: LIKES},
    "like_escape": {1: ["", "\\", "!", "xx"], 0: LIKES},
    "texticlike": {1: LIKES},
    "texticnlike": {1: LIKES},
    "nameiclike": {1: LIKES},
    "nameicnlike": {1: LIKES},
    "bpchariclike": {1: LIKES},
    "bpcharicnlike": {1: LIKES},
    "textregexeq": {1: PATTERNS},
    "textregexne": {1: PATTERNS},
    "texticregexeq": {1: PATTERNS},
    "texticregexne": {1: PATTERNS},
    "regexp_match": {1: PATTERNS, 2: FLAGS},
    "regexp_replace": {1: PATTERNS, 2: ["X", "[\\1]", "\\&\\&", "\\\\"], 3: FLAGS, 5: FLAGS},
    "regexp_split_to_array": {1: PATTERNS, 2: FLAGS},
    "regexp_count": {1: PATTERNS, 3: FLAGS},
    "regexp_instr": {1: PATTERNS, 5: FLAGS},
    "regexp_substr": {1: PATTERNS, 4: FLAGS},
    "regexp_like": {1: PATTERNS, 2: FLAGS},
    "substring": {1: [*PATTERNS, '%#"l+#"%'], 2: ["#"]},
    "similar_to_escape": {1: ["", "#"], 0: LIKES},
    "similar_escape": {1: ["", "#"], 0: LIKES},
    "repeat": {1: ["0", "1", "3", "-1"]},
    "lpad": {1: ["0", "2", "8", "-1"]},
    "rpad": {1: ["0", "2", "8", "-1"]},
    "chr": {0: ["65", "0", "-1", "228", "55296", "1114112"]},
    "split_part": {1: [",", ".", "", "l", "zz"], 2: ["1", "2", "-1", "0", "9"]},
    "string_to_array": {1: [",", "", "."], 2: ["", "a"]},
    "to_char": {},
    "trim_scale": {},
    "make_date": {0: ["2024", "0", "-44", "5874898"], 1: ["1", "2", "13", "0"], 2: ["1", "29", "30", "0"]},
    "make_time": {0: ["0", "23", "24", "25"], 1: ["0", "59", "60"], 2: ["0", "59.999999", "60", "61", "-1"]},
    "make_timestamp": {0: ["2024", "-44"], 1: ["2", "11"], 2: ["29", "7"], 3: ["1", "2"], 4: ["30"], 5: ["0", "12.5"]},
    "make_timestamptz": {
        0: ["2021", "2024"],
        1: ["3", "11"],
        2: ["14", "7"],
        3: ["1", "2"],
        4: ["30"],
        5: ["0", "12.5"],
        6: [*ZONES, "+03", "-05:30"],
    },
    "make_interval": {i: ["0", "1", "-3", "100"] for i in range(6)} | {6: ["0", "1.5", "-0.000001"]},
    "factorial": {0: ["0", "1", "5", "20", "30", "-1"]},
    "numeric_fac": {0: ["0", "5"]},
    "get_byte": {1: ["0", "1", "9", "-1"]},
    "set_byte": {1: ["0", "1", "9"]},
    "get_bit": {1: ["0", "9", "99"]},
    "set_bit": {1: ["0", "9", "99"], 2: ["0", "1", "2"]},
    "round": {1: ["0", "2", "-2", "5", "30"]},
    "trunc": {1: ["0", "2", "-2", "5", "30"]},
    "convert_from": {1: ["UTF8", "LATIN1"]},
    "convert_to": {1: ["UTF8", "LATIN1"]},
    "quote_ident": {0: ["abc", "select", "Abc", "a b", "", 'a"b', "1a", "name", "text"]},
    "unistr": {0: ["\\0041b", "\\+01F600", "\\u00e4", "\\\\", "\\d83d\\de00", "\\zz", "x\\"]},
    "format": {},
    "width_bucket": {3: ["0", "1", "10", "2147483647"]},
    "date_bin": {0: ["15 min", "1 day", "-1 day", "1 mon", "2 days 03:00"]},
    "isfinite": {},
    "regexp_matches": {1: PATTERNS, 2: FLAGS},
    "jsonb_set": {1: ["{a}", "{b,0}", "{b,5}", "{b,-9}", "{b,2,c}", "{x}", "{1}", "{b,x}"]},
    "jsonb_insert": {1: ["{a}", "{b,0}", "{b,-1}", "{b,2,c}", "{x}", "{1}"]},
    "jsonb_delete_path": {1: ["{a}", "{b,0}", "{b,2,c}", "{x}", "{-1}"]},
    "jsonb_set_lax": {1: ["{a}", "{b,0}"], 4: ["use_json_null", "delete_key", "return_target", "raise_exception", "x"]},
    "translate": {1: ["abc", "lo"], 2: ["x", "xyz"]},
    "position": {1: ["a", "lo", "", "ö"]},
    "strpos": {1: ["a", "lo", "", "ö"]},
    "replace": {1: ["a", "l", "", "zz"], 2: ["", "X"]},
    "overlay": {2: ["1", "2", "0", "9"], 3: ["0", "2", "99"]},
    "substr": {1: ["1", "2", "-1", "0", "9"], 2: ["0", "2", "-1", "99"]},
    "left": {1: ["0", "2", "-2", "99"]},
    "right": {1: ["0", "2", "-2", "99"]},
    "power": {},
    "array_fill": {1: ["{2}", "{2,2}", "{}", "{0}"], 2: ["{0}", "{1,5}"]},
    "trim_array": {1: ["0", "1", "2", "9", "-1"]},
    "setseed": {},
    "starts_with": {1: ["", "a", "He", "ä"]},
    "concat_ws": {},
    "ascii": {},
    "length": {1: ["UTF8"]},
    "varchar": {1: ["-1", "4", "5", "7"]},
    "bpchar": {1: ["-1", "4", "5", "7"]},
    "numeric": {1: ["-1", "327686", "655364"]},
    "timestamp": {1: ["0", "3", "6"]},
    "timestamptz": {1: ["0", "3", "6"]},
    "time": {1: ["0", "3", "6"]},
    "timetz": {1: ["0", "3", "6"]},
    "interval": {1: ["-1", "2147418114", "327679"]},
    "to_number": {},
    "array_length": {1: ["1", "2", "0", "3"]},
    "array_lower": {1: ["1", "2", "0"]},
    "array_upper": {1: ["1", "2", "0"]},
    "to_date": {},
    "to_timestamp": {},
    "numeric_pl_pg_lsn": {},
    "jsonb_object_field": {1: ["a", "b", "d", "x"]},
    "jsonb_object_field_text": {1: ["a", "b", "d", "x"]},
    "json_object_field": {1: ["a", "b", "d", "x"]},
    "json_object_field_text": {1: ["a", "b", "d", "x"]},
    "jsonb_array_element": {1: ["0", "1", "3", "-1", "9"]},
    "jsonb_array_element_text": {1: ["0", "1", "3", "-1", "9"]},
    "json_array_element": {1: ["0", "1", "3", "-1", "9"]},
    "json_array_element_text": {1: ["0", "1", "3", "-1", "9"]},
    "jsonb_exists": {1: ["a", "s", "x"]},
    "jsonb_delete": {1: ["a", "b", "0", "1", "-1", "9"]},
    "parse_ident": {0: ["a.b", '"A".b', "a.", "1x"]},
}
# Polymorphic functions with the types to try: (call, argument types, prosrc).
POLYMORPHIC: list[tuple[str, list[str], str]] = [
    ("array_append", ["int4[]", "int4"], "array_append"),
    ("array_prepend", ["int4", "int4[]"], "array_prepend"),
    ("array_cat", ["int4[]", "int4[]"], "array_cat"),
    ("array_cat", ["text[]", "text[]"], "array_cat"),
    ("array_length", ["int4[]", "int4"], "array_length"),
    ("array_lower", ["int4[]", "int4"], "array_lower"),
    ("array_upper", ["int4[]", "int4"], "array_upper"),
    ("array_ndims", ["int4[]"], "array_ndims"),
    ("array_dims", ["int4[]"], "array_dims"),
    ("cardinality", ["int4[]"], "array_cardinality"),
    ("arraycontains", ["int4[]", "int4[]"], "arraycontains"),
    ("arraycontained", ["int4[]", "int4[]"], "arraycontained"),
    ("arrayoverlap", ["int4[]", "int4[]"], "arrayoverlap"),
    ("arraycontains", ["text[]", "text[]"], "arraycontains"),
    ("array_position", ["int4[]", "int4"], "array_position"),
    ("array_position", ["int4[]", "int4", "int4"], "array_position_start"),
    ("array_positions", ["int4[]", "int4"], "array_positions"),
    ("array_remove", ["int4[]", "int4"], "array_remove"),
    ("array_replace", ["int4[]", "int4", "int4"], "array_replace"),
    ("array_fill", ["int4", "int4[]"], "array_fill"),
    ("array_fill", ["int4", "int4[]", "int4[]"], "array_fill_with_lower_bounds"),
    ("trim_array", ["int4[]", "int4"], "trim_array"),
    ("array_to_string", ["int4[]", "text"], "array_to_text"),
    ("array_to_string", ["int4[]", "text", "text"], "array_to_text_null"),
    ("array_eq", ["int4[]", "int4[]"], "array_eq"),
    ("array_lt", ["int4[]", "int4[]"], "array_lt"),
    ("btarraycmp", ["int4[]", "int4[]"], "btarraycmp"),
    ("width_bucket", ["int4", "int4[]"], "width_bucket_array"),
    *[("to_json", [t], "to_json") for t in POOLS if not t.startswith("_")],
    *[("to_jsonb", [t], "to_jsonb") for t in POOLS if not t.startswith("_")],
    ("array_to_json", ["int4[]"], "array_to_json"),
    ("array_to_json", ["int4[]", "bool"], "array_to_json_pretty"),
    ("concat", ["text", "int4", "date", "bool", "numeric"], "text_concat"),
    ("concat_ws", ["text", "int4", "text", "timestamptz"], "text_concat_ws"),
    ("json_build_object", ["text", "int4", "text", "jsonb"], "json_build_object"),
    ("jsonb_build_object", ["text", "float8", "int4", "text[]"], "jsonb_build_object"),
    ("json_build_array", ["int4", "text", "timestamp", "bool", "json"], "json_build_array"),
    ("jsonb_build_array", ["numeric", "text", "date", "bool", "jsonb"], "jsonb_build_array"),
    ("jsonb_extract_path", ["jsonb", "text[]"], "jsonb_extract_path"),
    ("quote_literal", ["int4"], "quote_literal"),
    ("quote_nullable", ["text"], "quote_nullable"),
    ("textanycat", ["text", "int4"], "textanycat"),
    ("anytextcat", ["date", "text"], "anytextcat"),
]
FORMATS = [
    "",
    "YYYY-MM-DD HH24:MI:SS.US",
    "Day, DD Mon YYYY",
    "FMDay FMMonth FMDD",
    "HH12:MI AM",
    "hh:mi p.m.",
    "YY Y,YYY BC",
    "IYYY-IW-ID",
    "DDD D W WW Q",
    "J CC",
    "TZ OF TZH:TZM",
    "MS FF1 FF3 FF6 SSSS",
    "MONTH mon RM rm",
    '"quoted" YYYYth',
    "DDth FMDDTH",
    "DY dy",
    'HH24:MI\\"SS',
]
NUMBERS = [
    "9",
    "999",
    "0000",
    "999.99",
    "FM999.00",
    "999,999",
    "S999",
    "999S",
    "MI999",
    "999PR",
    "L999",
    "FM9.9999",
    "9.99EEEE",
    "RN",
    "FMRN",
    "99V9",
    "SG999",
    "999th",
    "B999",
    "00.00",
    "9G999D99",
    "FM90.099",
    "PL999",
    "999MI",
    '"x"99',
]
PARSED = [
    ("to_date", a, b)
    for a, b in [
        ("2024-02-29", "YYYY-MM-DD"),
        ("29 Feb 2024", "DD Mon YYYY"),
        ("20240229", "YYYYMMDD"),
        ("2024-13-01", "YYYY-MM-DD"),
        ("2024-02-30", "YYYY-MM-DD"),
        ("99-1-1", "YY-MM-DD"),
        ("44 BC", "YYYY BC"),
        ("2024-060", "YYYY-DDD"),
        ("2024-W09-4", 'IYYY-"W"IW-ID'),
        ("x", "YYYY"),
        ("February 5, 2001", "FMMonth DD, YYYY"),
        ("2451187", "J"),
    ]
] + [
    ("to_timestamp", a, b)
    for a, b in [
        ("2024-02-29 12:34:56", "YYYY-MM-DD HH24:MI:SS"),
        ("2024-02-29 12:34:56.789", "YYYY-MM-DD HH24:MI:SS.MS"),
        ("02:30 PM", "HH12:MI AM"),
        ("2024-02-29 25:00", "YYYY-MM-DD HH24:MI"),
        ("05 Dec 2000", "DD Mon YYYY"),
        ("2021-07-04 12:00 +02", "YYYY-MM-DD HH24:MI TZH"),
        ("15:30", "HH12:MI"),
        ("20240229123456", "YYYYMMDDHH24MISS"),
        ("12.123456", "SS.US"),
    ]
]
TO_NUMBER = [
    ("12,345.67", "99,999.99"),
    ("-12.5", "S99.9"),
    ("1234", "9999"),
    ("<12>", "99PR"),
    ("$12", "L99"),
    ("12-", "99MI"),
    ("", "99"),
    ("abc", "999"),
    ("0.5", "9.9"),
    ("1 234", "9G999"),
]

EXCLUDE = re.compile(
    r"^(pg_(?!lsn)|has_|lo_|be_|txid|current_|inet_|set_config|hash|bt.*(sortsupport|equalimage|skip|vector)|.*(in|out|recv|send)$|.*typmod|col_description|obj_desc|shobj|nextval|currval|setval|lastval|to_reg|xpath|.*(sel|joinsel|support|accum|combine|transfn|finalfn|serialize)$"
    r"|setseed|random|now|statement_timestamp|clock_timestamp|timeofday|age$|table_to|schema_to|database_to|query_to|cursor_to|ts_|.*tsquery|.*tsvector|numeric_(avg|sum|stddev|var|poly)|int8_avg|int._sum|int8inc_|float._(avg|var|stddev|covar|regr|corr)"
    r"|.*_larger|.*_smaller|.*larger$|.*smaller$|normalize|is_normalized|pg_size|version|getdatabase|row_security|brin|gin|gist|spg|in_range|.*_image.*|binary_upgrade|amvalidate|shift|to_ascii|json_populate|satisfies|oidvectortypes|format_type|substring$)"
)


def call(
    conn: psycopg.Connection[Any],
    name: str,
    types: list[str],
    args: list[str | None],
    out: Any,
    prosrc: str,
    oids: list[int],
) -> None:
    literal = [
        ("NULL" if a is None else "'" + a.replace("'", "''") + "'") + "::" + ('"char"' if t == "char" else t)
        for a, t in zip(args, types, strict=True)
    ]
    variadic = name in ("jsonb_extract_path", "jsonb_extract_path_text", "json_extract_path", "json_extract_path_text")
    if variadic:
        literal[-1] = "variadic " + literal[-1]
    expression = f'pg_catalog."{name}"({", ".join(literal)})'
    try:
        row = conn.execute(
            f"select case when x is null and not (x is distinct from null) then null else format('%s', x) end, pg_typeof(x)::oid::int8 from (select {expression} as x) q"
        ).fetchone()
        assert row is not None
        line = [prosrc, oids, row[1], args, "ok", row[0]]
    except psycopg.Error as error:
        if (
            error.diag.sqlstate in ("42883", "42725", "42P18", "0A000") and "not unique" in str(error)
        ) or "does not exist" in str(error):
            return
        line = [prosrc, oids, 0, args, "error", error.diag.sqlstate, error.diag.message_primary]
    out.write(json.dumps(line, ensure_ascii=False) + "\n")


def values(rng: random.Random, name: str, types: list[str], at: int) -> str:
    pool = SPECIAL.get(name, {}).get(at) or POOLS[types[at]]
    return rng.choice(pool)


def combinations(name: str, types: list[str], prosrc: str) -> list[list[str | None]]:
    rng = random.Random(prosrc + ",".join(types))
    pools = [SPECIAL.get(name, {}).get(i) or POOLS[t] for i, t in enumerate(types)]
    most = 1
    for pool in pools:
        most *= len(pool)
    wanted = (
        60
        if name
        in (
            "date_trunc",
            "date_part",
            "extract",
            "regexp_replace",
            "substring",
            "power",
            "jsonb_contains",
            "numeric_div",
            "to_json",
            "to_jsonb",
        )
        else 9
        if re.search(r"(eq|ne|lt|le|gt|ge|cmp)(_|$)", prosrc)
        else 14
    )
    seen: dict[tuple[str, ...], None] = {}
    while len(seen) < min(most, wanted):
        seen[tuple(values(rng, name, types, i) for i in range(len(types)))] = None
    return [list(args) for args in seen]


def main() -> None:
    with psycopg.connect(autocommit=True) as conn, open("catalogue.golden", "w", encoding="utf-8") as out:
        conn.execute("set timezone = 'America/New_York'")
        oid_of = {
            t: conn.execute("select %s::regtype::oid::int8", ['"char"' if t == "char" else t]).fetchone()[0]
            for t in POOLS
        }
        known = {oid: t for t, oid in oid_of.items() if not t.startswith("_")}
        rows = conn.execute("""
            select proname, case when l.lanname = 'sql' then proname else prosrc end, proargtypes::oid[]::int8[], proisstrict
            from pg_proc p join pg_language l on l.oid = prolang
            where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and not proretset and provolatile <> 'v' and pronargs > 0
            order by 2, p.oid""").fetchall()
        for name, prosrc, arg_oids, strict in rows:
            if (
                (EXCLUDE.match(name) and name != "substring")
                or name in ("to_char", "to_date", "to_timestamp", "to_number")
                or not all(oid in known for oid in arg_oids)
            ):
                continue
            types = [known[oid] for oid in arg_oids]
            for args in combinations(name, types, prosrc):
                call(conn, name, types, args, out, prosrc, arg_oids)
            if not strict:
                for at in range(len(types)):
                    args = combinations(name, types, prosrc)[0]
                    args[at] = None
                    call(conn, name, types, args, out, prosrc, arg_oids)
        for name, types, prosrc in POLYMORPHIC:
            for args in combinations(name, types, prosrc):
                call(conn, name, types, args, out, prosrc, [oid_of[t] for t in types])
        chars = [
            ("timestamp", "timestamp_to_char"),
            ("timestamptz", "timestamptz_to_char"),
            ("interval", "interval_to_char"),
        ]
        for typ, prosrc in chars:
            for form in FORMATS:
                for value in POOLS[typ][:6]:
                    call(conn, "to_char", [typ, "text"], [value, form], out, prosrc, [oid_of[typ], oid_of["text"]])
        for typ, prosrc in [
            ("numeric", "numeric_to_char"),
            ("int4", "int4_to_char"),
            ("float8", "float8_to_char"),
            ("int8", "int8_to_char"),
        ]:
            for form in NUMBERS:
                for value in ["0", "1", "-1", "12", "-485", "1234567"] + (
                    ["0.5", "-2.25", "3.14159", "123.456"] if typ in ("numeric", "float8") else []
                ):
                    call(conn, "to_char", [typ, "text"], [value, form], out, prosrc, [oid_of[typ], oid_of["text"]])
        for name, value, form in PARSED:
            call(conn, name, ["text", "text"], [value, form], out, name, [oid_of["text"]] * 2)
        for value, form in TO_NUMBER:
            call(conn, "to_number", ["text", "text"], [value, form], out, "numeric_to_number", [oid_of["text"]] * 2)


if __name__ == "__main__":
    sys.exit(main())
