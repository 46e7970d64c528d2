"""The analyzer, the planner and the executor answer as a real PostgreSQL 15 does: columns, errors, rows, changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from sixfold.engine.embedded import Connection
from sixfold.engine.errors import SqlError
from tests.engine import random_members
from tests.engine.memory import Script
from tests.engine.random_cursors import walk
from tests.engine.random_joins import SETTINGS, Joins, off, tables
from tests.engine.random_members import Members
from tests.engine.random_queries import Generator
from tests.golden import sql
from tests.golden.runner import parse
from tests.support.postgres import available, postgres

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not available(), reason="postgresql-15 is not installed"),
]

QUERIES = Path(__file__).parent / "queries"
SCRIPTS = Path(sql.__file__).parent / "scripts"
SEEDS = range(300)
USER_OID = 16384

Answer = tuple[object, ...]


@pytest.fixture(scope="module")
def reference() -> Iterator[psycopg.Connection]:
    """A connection to PostgreSQL."""
    with (
        postgres({"fsync": "off"}) as server,
        # Scripts say DEALLOCATE ALL: the client must have prepared nothing by itself.
        psycopg.connect(server.uri, autocommit=True, prepare_threshold=None) as connection,
    ):
        yield connection


@pytest.fixture
def clean(reference: psycopg.Connection) -> psycopg.Connection:
    """PostgreSQL with nothing in `public`."""
    reference.execute("drop schema if exists public cascade")
    reference.execute("create schema public")
    return reference


def lines(name: str) -> list[str]:
    """The statements of a file, one a line."""
    return [line for line in (QUERIES / name).read_text().splitlines() if line.strip()]


def commands(area: str) -> list[str]:
    """The commands of an area's golden scripts."""
    return [
        c
        for path in sorted((SCRIPTS / area).glob("*.txt"))
        for block in parse(path.read_text())
        for c in block.commands
    ]


@pytest.fixture
def script() -> Iterator[Script]:
    """Sixfold."""
    made = Script()
    yield made
    made.close()


# ---- analysis: what Parse and Describe say


def described(connection: psycopg.Connection, statement: str) -> Answer:
    """PostgreSQL's columns and parameter types, or its error."""
    result = connection.pgconn.prepare(b"", statement.encode())
    if result.status != ExecStatus.COMMAND_OK:

        def get(field: DiagnosticField) -> str | None:
            value = result.error_field(field)
            return value.decode() if value else None

        position = get(DiagnosticField.STATEMENT_POSITION)
        return (
            get(DiagnosticField.SQLSTATE),
            get(DiagnosticField.MESSAGE_PRIMARY),
            get(DiagnosticField.MESSAGE_DETAIL),
            get(DiagnosticField.MESSAGE_HINT),
            int(position) if position else None,
        )
    result = connection.pgconn.describe_prepared(b"")
    columns = [
        ((result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i), result.ftablecol(i))
        for i in range(result.nfields)
    ]
    return columns, [result.param_type(i) for i in range(result.nparams)]


@pytest.mark.parametrize("area", ["columns", "errors"])
def test_scripts_say_what_postgresql_says(clean: psycopg.Connection, area: str) -> None:
    clean.execute(sql.SCHEMA.read_text())
    tables = sql.catalog()
    wrong = []
    for statement in commands(area):
        expected = described(clean, statement)
        answer: Answer
        try:
            plan = sql.planned(tables, statement)
            answer = ([(c.name, c.typ, c.typmod, c.attnum) for c in plan.output], plan.params)
        except SqlError as error:
            answer = (error.code, error.message, error.detail, error.hint, error.position)
        if answer != expected:
            wrong.append(f"{statement}\n  PostgreSQL {expected}\n  Sixfold    {answer}")
    assert not wrong, "\n".join(wrong)


# ---- answers


def asked(connection: psycopg.Connection, statement: str) -> Answer:
    """What PostgreSQL answers a simple Query: rows as text and the tag, or the error."""
    result = connection.pgconn.exec_(statement.encode())
    if result.status == ExecStatus.FATAL_ERROR:
        fields = (DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY, DiagnosticField.MESSAGE_DETAIL)
        return tuple(value.decode() if (value := result.error_field(f)) else None for f in fields)
    rows = [
        tuple(value.decode() if (value := result.get_value(r, c)) is not None else None for c in range(result.nfields))
        for r in range(result.ntuples)
    ]
    return ordered(statement, rows), (result.command_status or b"").decode()


def answered(script: Script, statement: str) -> Answer:
    """The same of Sixfold."""
    result = script.query(statement)[-1]
    if result.error is not None:
        return tuple(result.error.get(letter) for letter in "CMD")
    return ordered(statement, result.rows), result.tag


def ordered(statement: str, rows: list[tuple[str | None, ...]]) -> list[tuple[str | None, ...]]:
    """Rows in their order where the statement asks for one."""
    return rows if "order by" in statement.lower().rsplit(")", 1)[-1] else sorted(rows, key=repr)


def compare(connection: psycopg.Connection, statements: list[str]) -> list[str]:
    """Differences, after every statement ran on both."""
    script = Script()
    wrong = []
    try:
        for statement in statements:
            expected, answer = asked(connection, statement), answered(script, statement)
            if expected != answer:
                wrong.append(f"{statement}\n  PostgreSQL {str(expected)[:600]}\n  Sixfold    {str(answer)[:600]}")
    finally:
        script.close()
    return wrong


def test_queries_answer_as_postgresql(clean: psycopg.Connection) -> None:
    setup = [*lines("schema.sql"), *lines("rows.sql")]
    wrong = compare(clean, [*setup, *lines("shapes.sql"), *lines("functions.sql")])
    assert not wrong, "\n".join(wrong)


FIELDS = {
    "C": DiagnosticField.SQLSTATE,
    "M": DiagnosticField.MESSAGE_PRIMARY,
    "D": DiagnosticField.MESSAGE_DETAIL,
    "H": DiagnosticField.MESSAGE_HINT,
    "P": DiagnosticField.STATEMENT_POSITION,
    "W": DiagnosticField.CONTEXT,
    "s": DiagnosticField.SCHEMA_NAME,
    "t": DiagnosticField.TABLE_NAME,
    "c": DiagnosticField.COLUMN_NAME,
    "d": DiagnosticField.DATATYPE_NAME,
    "n": DiagnosticField.CONSTRAINT_NAME,
}


def asked_fully(connection: psycopg.Connection, statement: str) -> Answer:
    """As `asked`, with columns, hints and positions."""
    return outcome(statement, connection.pgconn.exec_(statement.encode()))


def outcome(statement: str, result: PGresult) -> Answer:
    """A result's columns, rows and tag, or its error's fields."""
    if result.status == ExecStatus.FATAL_ERROR:
        found = {letter: result.error_field(field) for letter, field in FIELDS.items()}
        return tuple((letter, value.decode()) for letter, value in found.items() if value)
    columns = [((result.fname(i) or b"").decode(), result.ftype(i)) for i in range(result.nfields)]
    rows = [
        tuple(value.decode() if (value := result.get_value(r, c)) is not None else None for c in range(result.nfields))
        for r in range(result.ntuples)
    ]
    return columns, ordered(statement, rows), (result.command_status or b"").decode()


def answered_fully(script: Script, statement: str) -> Answer:
    """The same of Sixfold."""
    result = script.query(statement)[-1]
    if result.error is not None:
        return tuple((letter, result.error[letter]) for letter in FIELDS if letter in result.error)
    return result.columns, ordered(statement, result.rows), result.tag


@pytest.mark.parametrize("name", sorted(path.name for path in (QUERIES / "compared").glob("*.sql")))
def test_statements_answer_as_postgresql_to_the_letter(clean: psycopg.Connection, script: Script, name: str) -> None:
    clean.execute("drop schema if exists s1 cascade")
    wrong = []
    for statement in lines(f"compared/{name}"):
        text = statement.removesuffix(";")
        expected, answer = asked_fully(clean, text), answered_fully(script, text)
        if expected != answer:
            wrong.append(f"{text}\n  PostgreSQL {str(expected)[:600]}\n  Sixfold    {str(answer)[:600]}")
    clean.execute("reset all")
    assert not wrong, "\n".join(wrong)


PARAMETERS_SCHEMA = (
    "create table t(a int primary key, b text, c numeric(10,2), d timestamptz, e int[], f jsonb, g date)",
    "insert into t values (1, 'x', 1.234, '2020-01-01 10:00+02', '{1,2,null}', '{\"a\":[1]}', '2020-02-29'), (2, null, null, null, null, null, null)",
)


def test_parameters_mean_what_postgresql_takes_them_for(clean: psycopg.Connection, script: Script) -> None:
    for statement in PARAMETERS_SCHEMA:
        clean.execute(statement)
        script.query(statement)
    wrong = []
    for line in lines("parameters.txt"):
        text, *values = line.split(" | ")
        given = [None if value == "∅" else value for value in values]
        result = clean.pgconn.exec_params(text.encode(), [None if v is None else v.encode() for v in given])
        expected = outcome(text, result)
        answer = script.wait(script.connection().execute(text, given))[-1]
        ours: Answer = (answer.columns, ordered(text, answer.rows), answer.tag)
        if answer.error is not None:
            ours = tuple((letter, answer.error[letter]) for letter in FIELDS if letter in answer.error)
        if ours != expected:
            wrong.append(f"{line}\n  PostgreSQL {str(expected)[:300]}\n  Sixfold    {str(ours)[:300]}")
    assert not wrong, "\n".join(wrong)


OWNED_BY_OTHERS = (
    "create table secret(a serial primary key, b text)",
    "insert into secret(b) values ('x')",
    "analyze secret",
    "create table pub(a int)",
    "create sequence sq",
    "create view sv as select * from secret",
    "create schema app",
    "drop role if exists joe",
    "drop role if exists ann",
    "create role joe login",
    "create role ann",
)


def test_a_role_is_refused_what_postgresql_refuses(clean: psycopg.Connection, script: Script) -> None:
    clean.execute("drop schema if exists app cascade")
    clean.execute("grant usage on schema public to public")
    for statement in OWNED_BY_OTHERS:
        clean.execute(statement)
        script.query(statement)
    ours = script.connections["joe"] = script.wait(Connection(script.database).start("joe"))
    wrong = []
    uri = f"postgresql://joe@127.0.0.1:{clean.info.port}/postgres"
    with psycopg.connect(uri, autocommit=True) as theirs:
        for statement in lines("privileges.sql"):
            text = statement.removesuffix(";")
            expected, result = asked(theirs, text), script.wait(ours.query(text))[-1]
            answer = (
                tuple(result.error.get(letter) for letter in "CMD")
                if result.error is not None
                else (ordered(text, result.rows), result.tag)
            )
            if expected != answer:
                wrong.append(f"{text}\n  PostgreSQL {str(expected)[:300]}\n  Sixfold    {str(answer)[:300]}")
    assert not wrong, "\n".join(wrong)


def test_random_queries_answer_as_postgresql(clean: psycopg.Connection) -> None:
    setup = [*lines("schema.sql"), *lines("rows.sql")]
    wrong = compare(clean, [*setup, *(Generator(seed).statement() for seed in SEEDS)])
    assert not wrong, "\n".join(wrong)


def test_random_merge_joins_answer_as_postgresql(clean: psycopg.Connection) -> None:
    statements = tables(1)
    for number, settings in enumerate(SETTINGS):
        statements += off(settings)
        statements += [Joins(1000 * number + seed).statement() for seed in range(60)]
    wrong = compare(clean, statements)
    clean.execute("reset all")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seed", range(6))
def test_subqueries_in_place(clean: psycopg.Connection, seed: int) -> None:
    """IN, ANY and ALL, hashed or row by row, with nulls on either side."""
    members = Members(seed)
    wrong = compare(clean, [*random_members.tables(seed), *(members.statement() for _ in range(150))])
    assert not wrong, "\n".join(wrong)


def test_subqueries_in_place_of_many_rows(clean: psycopg.Connection) -> None:
    """The same beyond work_mem."""
    wrong = compare(clean, list(random_members.BIG))
    assert not wrong, "\n".join(wrong)


def test_cursors(clean: psycopg.Connection) -> None:
    """Forwards and backwards, beyond work_mem and after COMMIT."""
    statements = ["set work_mem = '64kB'"]
    for seed in range(80):
        statements += walk(seed)
    wrong = compare(clean, [*statements, "reset all"])
    assert not wrong, "\n".join(wrong)


# Partitions of 2,000 rows and one of 6,000, in 64 kB.
SPILLED_SETUP = (
    "create table big(id int primary key, g int, k int, n numeric, pad text)",
    "insert into big select i, i % 5 / 2, (i * 7919) % 300, i * 0.5, repeat('x', i % 60) from generate_series(1, 10000) i",
    "update big set k = null where id % 41 = 0",
    "analyze big",
    "set work_mem = '64kB'",
)
FRAMES = (
    "rows between unbounded preceding and current row",
    "rows between 3 preceding and 2 following",
    "rows between 1500 preceding and 1400 preceding",
    "rows between 20 following and 25 following exclude current row",
    "range between 1 preceding and 1 following",
    "range between unbounded preceding and 2 preceding",
    "range between 3 following and 4 following exclude group",
    "groups between 1 preceding and current row exclude ties",
    "groups between 2 following and 3 following",
    "rows between unbounded preceding and unbounded following",
)


def test_windows_beyond_work_mem_answer_as_postgresql(clean: psycopg.Connection) -> None:
    statements = list(SPILLED_SETUP)
    for frame in FRAMES:
        for order in ("k nulls first", "k desc"):
            calls = "count(*), sum(n), min(id), max(pad)"
            if frame.startswith("rows"):
                # Which of several peers is the first one, is not said.
                order += ", id"
                calls += ", first_value(id), last_value(pad), nth_value(n, 3)"
            calls = calls.replace("), ", ") over w, ") + " over w"
            statements.append(f"select id, {calls} from big window w as (partition by g order by {order} {frame})")
    ranks = "row_number(), rank(), dense_rank(), ntile(7), lag(pad), lead(n), lag(id, 1900), lead(id, id % 3, -1), cume_dist()"
    ranks = ranks.replace("), ", ") over w, ") + " over w, percent_rank() over (partition by g order by k)"
    statements.append(f"select id, {ranks} from big window w as (partition by g order by k, id)")
    statements.append("select id, sum(n) over (), count(pad) filter (where k > 9) over (partition by g) from big")
    wrong = compare(clean, statements)
    clean.execute("reset all")
    assert not wrong, "\n".join(wrong)


RECURSIONS = (
    "select x + 1 from t where x < 20000",
    "select (x * 3 + 1) % 30011 from t",
    "select y from t cross join lateral (values ((x * 2) % 20011), ((x * 2 + 1) % 20011), (x)) v(y)",
)


def test_recursions_beyond_work_mem_answer_as_postgresql(clean: psycopg.Connection) -> None:
    statements = ["set work_mem = '64kB'"]
    for step in RECURSIONS:
        statements.append(f"with recursive t(x) as (select 1 union {step}) select x from t")
        pair = step.replace("select ", "select 'a text that is not so short', ", 1)
        statements.append(
            f"with recursive t(p, x) as (select 'begin'::text, 1 union {pair}) select p, count(*), sum(x) from t group by 1"
        )
    wrong = compare(clean, statements)
    clean.execute("reset all")
    assert not wrong, "\n".join(wrong)


def test_changes_leave_what_postgresql_leaves(clean: psycopg.Connection) -> None:
    tables = ("p", "c", "node", "leaf", "k2", "c2", "c3", "u", "w")
    statements = lines("changes_schema.sql")
    for statement in lines("changes.sql"):
        statements.append(statement)
        if not statement.startswith("select"):
            statements += [f"select * from {table}" for table in tables]
    wrong = compare(clean, statements)
    assert not wrong, "\n".join(wrong)
