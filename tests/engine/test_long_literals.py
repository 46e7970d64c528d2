"""Texts that are long by their strings: Python does not see these where they may be parameters, and sees all of them where not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sixfold.engine import parser
from tests.engine.memory import Script

LONG = "ä''b" * 500_000
VALUE = LONG.replace("''", "'")


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()
    yield made
    made.close()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the texts that are parsed."""
    lengths: list[int] = []
    original = parser.parse_sql

    def parse_sql(text: str) -> object:
        lengths.append(len(text))
        return original(text)

    monkeypatch.setattr(parser, "parse_sql", parse_sql)
    return lengths


def test_a_string_that_may_be_a_parameter_is_never_parsed(script: Script, parsed: list[int]) -> None:
    script.rows("create table t(a int, b text)")
    for number in (1, 2):
        script.rows(f"insert into t values ({number}, '{LONG}')")
        # The plan is another one's now.
        script.rows(f"alter table t add column c{number} int")
    script.rows(f"update t set b = '{LONG}' || 'x' where a = 2 and b = '{LONG}'")
    assert script.rows("select a, b from t order by a") == [("1", VALUE), ("2", VALUE + "x")]
    assert parsed and max(parsed) < 200


def test_one_that_may_not_is_read_with_the_whole_text(script: Script, parsed: list[int]) -> None:
    assert script.rows(f"select length('{LONG}'), 1") == [(str(len(VALUE)), "1")]
    assert script.rows(f"select length('{LONG}x'), 1") == [(str(len(VALUE) + 1), "1")]
    assert max(parsed) > len(LONG)
    script.rows("begin")
    assert script.error(f"select '{LONG}'::text, nothing") == "42703"
    assert script.error(f"select '{LONG}'::text") == "25P02"
    script.rows("rollback")
    assert script.error(f"selec '{LONG}'") == "42601"


def test_its_beginning_is_shown_to_others(script: Script) -> None:
    connection = script.connection()
    script.rows("create table t(a text)")
    script.rows(f"insert into t values ('{LONG}')")
    assert connection.session.query == f"insert into t values ('{LONG}"[:1024]
