"""Parts of the engine alone: settings, lifting, rows in memory, waits, deparsing."""

from __future__ import annotations

import pytest

from sixfold.engine import parser
from sixfold.engine.catalog.rows import Rows
from sixfold.engine.deparse import expression
from sixfold.engine.errors import SqlError
from sixfold.engine.lifting import lift
from sixfold.engine.settings import Settings, check, find, parse_list, shown
from sixfold.engine.stored import renamed_column
from sixfold.engine.waits import Waits
from sixfold.kernel._kernel import need_kinds, normalise
from tests.engine.memory import Script


def test_every_need_has_a_handler() -> None:
    script = Script()
    waits: Waits = script.database.waits
    assert waits.kinds() == set(need_kinds())
    script.close()


@pytest.mark.parametrize(
    ("text", "lifted"),
    [
        ("select a from t where b = 5", ["5"]),
        ("select a from t where b = -5", ["5"]),
        ("update t set a = a + 7, c = 'x' where b between 1 and 2", ["7", "x", "1", "2"]),
        ("insert into t values (1, 'it''s', 2.5), (2, 'b', 1)", ["1", "it's", "2.5", "2", "b", "1"]),
        ("select a from t where b = 1 order by 2 limit 3", ["1"]),
        ("select a, 4 from t where c in (8, 9)", ["4", "8", "9"]),
        ("select a, 4 from t group by 1, 2", []),
        ("select a from t where c like 'x%'", []),
        ("select a from t where c > 5", []),
        ("select nextval('s'), abs(3)", ["3"]),
        ("select '2020-01-01'::date, 'pg_class'::regclass, 'x'::varchar(3)", ["2020-01-01"]),
        ("select interval '1 day'", []),
        ("select 1", ["1"]),
        ("begin", []),
    ],
)
def test_literals_are_lifted_only_where_they_shape_nothing(text: str, lifted: list[str]) -> None:
    _, literals = normalise(text)
    found = lift(text, literals)
    assert [literals[index][1] for index, _ in (found[2] if found else [])] == lifted


@pytest.mark.parametrize(
    ("name", "text", "value", "printed"),
    [
        ("work_mem", "64MB", "65536", "64MB"),
        ("work_mem", "1000", "1000", "1000kB"),
        ("statement_timeout", "1.5s", "1500", "1500ms"),
        ("enable_seqscan", "OF", "off", "off"),
        ("DateStyle", "german", "German, DMY", "German, DMY"),
        ("TimeZone", "europe/berlin", "Europe/Berlin", "Europe/Berlin"),
        ("TimeZone", "-3", "<-03>+03", "<-03>+03"),
        ("client_min_messages", "WARNING", "warning", "warning"),
        ("shared_buffers", "1GB", "131072", "1GB"),
    ],
)
def test_settings_have_units_and_canonical_forms(name: str, text: str, value: str, printed: str) -> None:
    guc = find(name)
    assert check(guc, text) == value
    assert shown(guc, value) == printed


@pytest.mark.parametrize(
    ("name", "text"), [("work_mem", "1"), ("work_mem", "1x"), ("jit", "maybe"), ("TimeZone", "nowhere/x")]
)
def test_bad_settings_are_22023(name: str, text: str) -> None:
    with pytest.raises(SqlError) as caught:
        check(find(name), text)
    assert caught.value.code == "22023"


def test_settings_follow_transactions_and_savepoints() -> None:
    told: list[tuple[str, str]] = []
    settings = Settings({"work_mem": "100"}, lambda name, value: told.append((name, value)))
    settings.begin()
    settings.set("work_mem", "200")
    settings.savepoint()
    settings.set("work_mem", "300", local=True)
    settings.rollback_to(1)
    assert settings.get("work_mem") == "200"
    settings.set("work_mem", "400", local=True)
    settings.commit()
    assert settings.get("work_mem") == "200"
    settings.begin()
    settings.set("work_mem", None)
    assert settings.get("work_mem") == "100"
    settings.rollback()
    assert settings.get("work_mem") == "200"
    assert told == [("work_mem", value) for value in ("200", "300", "200", "400", "200", "100", "200")]


def test_search_path_names_are_folded_unless_quoted() -> None:
    assert parse_list('"$user", Public, "A b"') == ["$user", "public", "A b"]


def test_forks_of_rows_do_not_see_each_other() -> None:
    rows = Rows()
    rows.apply(("pg_namespace", (1,), {"oid": 1, "nspname": "a", "nspowner": 10, "nspacl": None}))
    fork = rows.fork()
    fork.apply(("pg_namespace", (1,), None))
    rows.apply(("pg_namespace", (2,), {"oid": 2, "nspname": "b", "nspowner": 10, "nspacl": None}))
    assert [row["oid"] for row in rows["pg_namespace"].rows.values()] == [1, 2]
    assert fork["pg_namespace"].group(("nspname",), "a") == ()
    assert fork["pg_namespace"].rows == {}


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a > 0 and b is not null", "((a > 0) AND (b IS NOT NULL))"),
        ("n > 0", "(n > (0)::numeric)"),
        ("b in ('x', 'y')", "(b = ANY (ARRAY['x'::text, 'y'::text]))"),
        ("b like 'x%'", "(b ~~ 'x%'::text)"),
        ("a between 1 and 2", "((a >= 1) AND (a <= 2))"),
        ("coalesce(b, 'z')", "COALESCE(b, 'z'::text)"),
        ("nextval('s')", "nextval('s'::regclass)"),
        ("current_timestamp", "CURRENT_TIMESTAMP"),
        ("a::bigint", "(a)::bigint"),
        ("not (a = -1)", "(NOT (a = '-1'::integer))"),
    ],
)
def test_expressions_are_shown_as_postgresql_shows_them(text: str, printed: str) -> None:
    types = {"a": "integer", "b": "text", "n": "numeric"}
    assert expression(parser.parse_expression(text), types.get) == printed


def test_a_renamed_column_keeps_the_views_own_name() -> None:
    text = 'SELECT x.a, b FROM pg_oid."5" AS x, pg_oid."6" AS y WHERE x.a = y.a'
    assert (
        renamed_column(text, 5, "a", "z") == 'SELECT x.z AS a, b FROM pg_oid."5" AS x, pg_oid."6" AS y WHERE x.z = y.a'
    )
