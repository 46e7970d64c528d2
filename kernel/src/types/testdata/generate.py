"""Asks a running PostgreSQL 15 (libpq environment variables) what it makes of many literals, and writes types.golden.

A line is JSON: [type, oid, typmod, settings, input, "ok", text, binary form in hex] or [..., "error", code, message, detail].
"""

from __future__ import annotations

import json
import random
import sys

import psycopg

SETTINGS: dict[str, str] = {
    "": "",
    "sql": "datestyle=SQL,DMY;intervalstyle=sql_standard",
    "postgres": "datestyle=Postgres,MDY;intervalstyle=postgres_verbose;bytea_output=escape;extra_float_digits=0",
    "german": "datestyle=German,DMY;intervalstyle=iso_8601;timezone=Europe/Berlin",
    "york": "datestyle=ISO,YMD;timezone=America/New_York",
}

INTS = ["0", "1", "-1", " 42 ", "+7", "007", "32767", "32768", "-32768", "-32769", "2147483647", "2147483648", "-2147483648",
        "-2147483649", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "", " ",
        "x", "1x", "1.5", "--1", "- 1", "1e3", "0x10", "4294967295", "4294967296", "-4294967295", "99999999999999999999999"]
FLOATS = ["0", "-0", "1", "1.5", "-2.25", "1e20", "1e15", "1e14", "123456789012345678", "0.0001", "0.00001", "1e-7", "1e300", "1e400",
          "-1e400", "1e-400", "1e-310", "5e-324", "1e-46", "3.4e38", "3.5e38", "1e38", "nan", "NaN", "inf", "-Infinity", "+inf", "infinit", "",
          " 1 ", "1 2", "1e", "e1", ".5", "5.", ".", "0.1", "0.2", "0.3", "3.14159265358979", "2.718281828459045", "1234567.891", "1e6", "1e5",
          "100000", "1000000", "9999999", "16777217", "0.30000000000000004", "1.17549435e-38", "x", "1,5", "1_0", "-.5e-3"]
NUMERICS = ["0", "-0", "0.00", "1", "-1", "1.50", "-1.50", "123456789.987654321", "1e10", "1e-10", "1.5e3", "15e-1", ".5", "5.", ".", "1e",
            "1e+", "e5", "NaN", "nan", "Infinity", "-inf", "+Infinity", "infinit", "", " ", " 12.30 ", "1 2", "--1", "+5", "1e131071",
            "1e131072", "1e-16383", "1e-16384", "1e99999999999", "1e-99999999999", "12345678901234567890123456789012345678901234567890",
            "0.000000000000000000000000000000000000000000001", "-99999999999999999999.99999999999", "9223372036854775807", "9223372036854775808",
            "-9223372036854775808", "-9223372036854775809", "10000", "100000000", "0.0001", "0.00001", "10000.0001", "9999.9999", "999.9",
            "99.95", "99.994", "99.995", "999.995", "-999.994", "0.005", "0.0049", "1_000", "0x1", "1.2.3"]
DATES = ["1999-01-08", "January 8, 1999", "1/8/1999", "1/18/1999", "18/1/1999", "01/02/03", "1999-Jan-08", "Jan-08-1999", "08-Jan-1999", "99-Jan-08",
         "08-Jan-99", "Jan-08-99", "19990108", "990108", "1999.008", "J2451187", "January 8, 99 BC", "0001-01-01", "0001-01-01 BC", "4714-11-24 BC",
         "4714-11-23 BC", "5874897-12-31", "5874898-01-01", "infinity", "-infinity", "epoch", "2000-02-29", "2001-02-29", "1900-02-29", "2000-13-01",
         "2000-00-10", "2000-01-32", "2000-01-00", "", " ", "x", "2000", "2000-01", "1/2", "20000101", "2000-1-1", "0000-01-01", "12345-01-01",
         "Fri Jan 8 1999", "8 Jan 1999", "1999 Jan 8", "Jan 8 1999", "Jan 1999", "2000-01-01 25:00", "1999-01-08 04:05:06", "1999-01-08T04:05:06Z",
         "2024-02-30", "infinity ", "1.1.2000", "31.12.1999", "2000/12/31", "00-01-01", "70-01-01", "69-01-01", "99-12-31", "2000-366", "2000-060",
         "2000001", "1999-01-08 BC", "y2001m02d04", "2001-02-04 foo", "Sept 5 2001", "5 september 2001 AD", "2001-09-05 bc", "2451187", "200001"]
TIMES = ["04:05:06.789", "04:05:06", "04:05", "040506", "0405", "04:05 AM", "04:05 PM", "12:00 AM", "12:00 PM", "13:00 PM", "00:00", "24:00", "24:00:01",
         "25:00", "23:59:60", "23:59:61", "23:60", "04:05:06.1234567", "04:05:06.9999999", "allballs", "04:05:06-08", "04:05:06+05:30", "04:05 EST",
         "04:05:06 America/New_York", "2003-04-12 04:05:06 America/New_York", "", "x", "4", "4:5:6", "040506.789", "040506-08", "T040506", "t04:05",
         "04:05:06 PST8PDT", "15:44:17.71393", "04:05:06 +16", "04:05:06-1530", "04:05:06-15:59:59", "noon", "1:2:3 pm", "04:05:06 BC", "2003-04-12 04:05:06"]
STAMPS = ["1999-01-08 04:05:06", "1999-01-08 04:05:06 -8:00", "January 8 04:05:06 1999 PST", "2003-04-12 04:05:06 America/New_York", "infinity", "-infinity",
          "epoch", "2000-01-01", "2000-01-01 00:00:00.000001", "2000-01-01 00:00:00.0000004", "2000-01-01 00:00:00.0000006", "4714-11-24 00:00 BC",
          "4714-11-23 23:59 BC", "294276-12-31 23:59:59.999999", "294277-01-01", "1999-01-08T04:05:06", "1999-01-08T04:05:06Z", "1999-01-08T040506",
          "19990108T040506", "19990108 040506", "19990108T040506-08", "1999-01-08 24:00", "1999-01-08 24:00:01", "1999-01-08 04:05:60", "1999-01-08 04:60",
          "2021-03-14 02:30:00 America/New_York", "2021-11-07 01:30:00 America/New_York", "2021-03-14 02:30", "2021-11-07 01:30", "2021-03-28 02:30",
          "2021-10-31 02:30", "2021-07-01 12:00 CEST", "2021-01-01 12:00 CET", "2021-01-01 12:00 MSK", "2011-01-01 12:00 MSK", "2021-01-01 12:00 foo",
          "2021-01-01 12:00 Europe/Nowhere", "2021-01-01 12:00+02", "2021-01-01 12:00+0230", "2021-01-01 12:00+02:30:15", "2021-01-01 12:00+16",
          "2021-01-01 12:00 z", "2021-01-01 12:00 UTC", "2021-01-01 12:00 GMT+3", "2021-01-01 12:00 PDT", "2021-01-01 3 PM", "2021-01-01 03:00 PM",
          "2021-01-01 15:00 PM", "Thu Jan 01 15:00:00 2021", "Thu Jan 01 15:00:00 2021 PST", "01-02-2021 10:11:12", "2021-13-01", "2021-02-30",
          "", " ", "x", "12:00", "2021-01-01 12:00 BC", "0044-03-15 12:00:00 BC", "10000-01-01", "99999-06-15 12:34:56.7", "1850-01-01 12:00", "1970-01-01 00:00:00+00",
          "2021-01-01 12:00:00.123456789", "2021-01-01 12:00 -0530", "20210101", "2021-01-01 12", "2021-1-1 1:2:3.4", "January 8, 1999 4:05 am", "J2451187 12:00", "2021.123",
          "2021-01-01 12:00:00 MET DST", "1999-01-08 04:05:06.789-8", "2021-06-01 12:00 EST5EDT", "2050-07-01 12:00", "3000-07-01 00:00 Europe/Berlin", "200000-07-01 00:00 Europe/Berlin"]
INTERVALS = ["1", "1 day", "-1 day", "1 day 2 hours", "1-2", "-1-2", "1-2 3", "1 2:03", "1 +2:03", "1 -2:03:04", "-1 2:03", "1 year 2 months 3 days 4 hours 5 minutes 6 seconds",
             "1 year 2 mons -3 days 04:05:06.789", "P1Y2M3DT4H5M6S", "P0001-02-03T04:05:06", "P-1Y2M", "PT1.5H", "P1.5M", "P1W", "PT36H", "P", "PT", "P1", "P1Y1Y", "P20000102T030405",
             "1.5 years", "1.5 months", "1.5 weeks", "1.5 days", "1.5 hours", "1.5 minutes", "1.5 seconds", "0.5 decade", "1 century", "1 millennium", "2 decades ago", "1 day ago",
             "@ 1 minute", "1 mon 1 mon", "1 year 1 year", "1h 2m 3s", "1 us", "1 ms", "1.5 ms", "10 microseconds", "1 fortnight", "1 week 1 day", "1 quarter", "infinity", "", " ", "x",
             "04:05", "04:05:06.5", "100:00:00", "-04:05", "+04:05", "04:60", "4:05:61", "2147483647 months", "2147483648 months", "178956970 years", "178956971 years", "9223372036854775807 us",
             "9223372036854775808 us", "2147483647 days", "2147483648 days", "3000000000 hours", "1 day -1 hour", "-1 day +1 hour", "1 mon -1 day", "-1 mon 1 day", "-1 year -2 mons +3 days -04:05:06",
             "00:00:00.000001", "-00:00:01", "0", "0 days", "1 day 0.000001 sec", "1.123456789 sec", "999 days 23:59:59.999999", "1-13", "1 10-2", "5 sec 3", "1 y 2 d", "6 months 15.5 days", "0.1 months", "-0.1 years"]
TEXTS = ["", " ", "a", "abc", "abc  ", "abcd", "ab   x", "äöü", "äöüß", "日本語", "a'b", "a\"b", "a\\b", "a,b", "NULL", "null", "{}", "line\nbreak", "tab\t", "x" * 70]
BYTEAS = ["", "abc", "\\x", "\\x00ff", "\\xABcd", "\\x0", "\\x0g", "\\x 00 11", "\\000\\001", "a\\\\b", "\\777", "\\400", "\\1", "ab\\", "ä", "\\x00 ", "a\\101b", "\\x0 0"]
UUIDS = ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
         "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "", "x", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
         "a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
BOOLS = ["t", "f", "true", "FALSE", "tr", "fals", "yes", "no", "y", "n", "on", "off", "o", "of", "1", "0", " t ", "", "10", "truee", "2"]
JSONS = ["{}", "[]", "null", "true", "false", "1", "-1.50", "1e5", "1E-3", "0.0", "-0", "01", "1.", ".5", "-", "+1", "1e", "\"a\"", "\"a\\n\\u00e9\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\u0000\"",
         "\"\\x\"", "\"\\u12\"", "\"abc", "\"a\nb\"", "{\"a\":1}", "{\"b\":1,\"a\":2,\"aa\":3,\"a\":4}", "{\"a\":{\"b\":[1,2,{\"c\":null}]}}", "[1, 2 , 3]", "[1,2", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
         "{a:1}", "{1:2}", "{\"a\" 1}", "[1 2]", "[1}", "{\"a\":1]", "nul", "True", "tru e", "", " ", "1 2", "{} x", "[[[]]]", " { \"x\" : [ ] } ", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "123456789012345678901234567890.123", "1e1000",
         "[\"a\", 1.10, true, null, {\"k\": \"v\"}]", "{\"\":0}", "'a'", "\"tab\\there\"", "{\"long\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", oops}",
         "[\n1,\n2,\nx]", "\"\\ud83dx\"", "\"\\ud83d\\ud83d\"", "\"\\u0001\"", "\"\u007f\"", "[1,2]]", "truefalse", "@", "{\"a\":1 \"b\":2}", "[]]"]
ARRAYS = ["{}", "{1,2,3}", "{ 1 , 2 }", "{1,NULL,3}", "{null}", "{{1,2},{3,4}}", "{{1,2},{3}}", "{{1},2}", "{1,{2}}", "[2:3]={1,2}", "[0:1][1:2]={{1,2},{3,4}}", "[2:3]={1}", "[3:2]={1}", "[1]={5}", "{", "}", "", "x", "{1", "{1,}", "{,1}",
          "{1}}", "{1} x", "{{}}", "{{},{}}", "{\"1\",\"2\"}", "{x}", " {1} ", "[1:2] = {1,2}", "{1 2}", "{{{{{{1}}}}}}", "{{{{{{{1}}}}}}}", "{1,2}{3}", "[a:b]={1}", "[1:2={1,2}", "{-5,10,0}", "{99999999999}"]
TEXT_ARRAYS = ["{}", "{a,b}", "{\"a b\",\"c,d\"}", "{a b, c }", "{\"\",NULL,\"NULL\",null}", "{\"a\\\"b\",\"c\\\\d\"}", "{a\\,b}", "{\\ a\\ }", "{\"x\"y}", "{x\"y\"}", "{\"x\" , \"y\"}", "{{a,b},{c,d}}", "{ä,日}", "{\"{\"}", "{\"unterminated}", "{a\\", "{''}", "{ a  b }"]
VECTORS = ["", "1 2 3", " 1  2 ", "x", "1 70000"]
CHARS = ["", "a", "ab", "\\", "1"]
LSNS = ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "G/0", "0", "/", "0/123456789", " 0/1"]
TIDS = ["(0,1)", "(4294967295,65535)", "(0)", "0,1", "( 1 , 2 )", "(0,65536)"]

# PostgreSQL 15 wraps around here, or rounds out of the type's range.
STRANGE = {("interval day to second(2)", "9223372036854775807 us"), ("timestamp(2)", "294276-12-31 23:59:59.999999")}

CASES: list[tuple[str, list[str], list[str]]] = [
    ("bool", BOOLS, [""]), ("int2", INTS, [""]), ("int4", INTS, [""]), ("int8", INTS, [""]), ("oid", INTS, [""]), ("xid8", ["0", "1", "18446744073709551615"], [""]),
    ("float4", FLOATS, ["", "postgres"]), ("float8", FLOATS, ["", "postgres"]), ("numeric", NUMERICS, [""]), ("numeric(5,2)", NUMERICS, [""]),
    ("numeric(3,-2)", NUMERICS, [""]), ("numeric(3,5)", NUMERICS, [""]), ("date", DATES, list(SETTINGS)), ("time", TIMES, ["", "german"]), ("time(2)", TIMES, [""]),
    ("timetz", TIMES, ["", "york"]), ("timetz(0)", TIMES, [""]), ("timestamp", STAMPS + DATES, list(SETTINGS)), ("timestamp(2)", STAMPS, [""]), ("timestamptz", STAMPS + DATES, list(SETTINGS)),
    ("timestamptz(0)", STAMPS, ["york"]), ("interval", INTERVALS, ["", "sql", "postgres", "german"]), ("interval year", INTERVALS, [""]), ("interval day to second(2)", INTERVALS, [""]),
    ("interval minute to second", INTERVALS, [""]), ("interval hour", INTERVALS, [""]), ("interval year to month", INTERVALS, [""]), ("interval minute", INTERVALS, [""]),
    ("text", TEXTS, [""]), ("varchar", TEXTS, [""]), ("varchar(3)", TEXTS, [""]), ("char(3)", TEXTS, [""]), ("bpchar", TEXTS, [""]), ("name", TEXTS, [""]), ('"char"', CHARS, [""]), ("bytea", BYTEAS, ["", "postgres"]),
    ("uuid", UUIDS, [""]), ("json", JSONS, [""]), ("jsonb", JSONS, [""]), ("int4[]", ARRAYS, [""]), ("int8[]", ARRAYS, [""]), ("text[]", ARRAYS + TEXT_ARRAYS, [""]), ("varchar(2)[]", TEXT_ARRAYS, [""]),
    ("numeric[]", ARRAYS, [""]), ("float8[]", ARRAYS, [""]), ("bool[]", ["{t,f,NULL}", "{x}", "{true}"], [""]), ("timestamptz[]", ["{2020-01-01,\"2020-01-01 12:00\"}"], ["", "sql"]), ("date[]", ["{2020-01-01}"], [""]),
    ("jsonb[]", ["{\"{\\\"a\\\": 1}\",NULL}"], [""]), ("uuid[]", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"], [""]), ("bytea[]", ["{\"\\\\x00ff\",abc}"], [""]), ("interval[]", ["{1 day,\"1 mon 2:03\"}"], [""]),
    ("int2vector", VECTORS, [""]), ("oidvector", VECTORS, [""]), ("pg_lsn", LSNS, [""]), ("tid", TIDS, [""]),
]


def more(name: str) -> list[str]:
    """Values at random, the same each time."""
    rng = random.Random(name)
    if name == "float8":
        return [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308)) for _ in range(150)]
    if name == "float4":
        return [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-40, 38)) for _ in range(150)]
    if name == "numeric":
        return [f"{rng.choice(['', '-'])}{rng.randrange(10 ** rng.randint(0, 40))}.{'0' * rng.randint(0, 9)}{rng.randrange(10 ** rng.randint(0, 20))}" for _ in range(150)]
    if name in ("timestamp", "timestamptz"):
        return [f"{rng.randint(1, 9999):04}-{rng.randint(1, 12)}-{rng.randint(1, 28)} {rng.randint(0, 23)}:{rng.randint(0, 59)}:{rng.randint(0, 59)}.{rng.randrange(10 ** 6):06}{rng.choice(['', ' BC'])}" for _ in range(60)]
    if name == "interval":
        return [f"{rng.randint(-50, 50)} mons {rng.randint(-500, 500)} days {rng.uniform(-1e5, 1e5):.6f} seconds" for _ in range(60)]
    return []


def main() -> None:
    with psycopg.connect(autocommit=True) as conn, open("types.golden", "w", encoding="utf-8") as out:
        for name, literals, styles in CASES:
            probe = conn.execute(f"create temp table probe (x {name})")
            oid, typmod = conn.execute("select atttypid, atttypmod from pg_attribute where attrelid = 'probe'::regclass and attname = 'x'").fetchone()
            send = conn.execute("select typsend::text from pg_type where oid = %s", [oid]).fetchone()[0]
            probe = conn.execute("drop table probe")
            assert probe is not None
            for style in styles:
                conn.execute("reset all")
                conn.execute("set timezone = 'UTC'")
                for pair in filter(None, SETTINGS[style].split(";")):
                    key, value = pair.split("=", 1)
                    conn.execute(f"set {key} = {value}" if key == "datestyle" else f"set {key} = '{value}'")
                for text in dict.fromkeys(literals + more(name)):
                    if (name, text) in STRANGE:
                        continue
                    literal = "'" + text.replace("'", "''") + "'"
                    try:
                        got = conn.execute(f"select format('%s', x), encode({send}(x), 'hex') from (select {literal}::{name} as x) q").fetchone()
                        line = [name, oid, typmod, style, text, "ok", *got]
                    except psycopg.Error as error:
                        diag = error.diag
                        line = [name, oid, typmod, style, text, "error", diag.sqlstate, diag.message_primary, diag.message_detail]
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
