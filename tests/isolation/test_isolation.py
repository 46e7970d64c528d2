"""Concurrent sessions: golden scenarios, whose answers are PostgreSQL 15's, and random ones beside one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.isolation.__main__ import REFERENCE, SURE_HERE, SURE_THERE, compare
from tests.isolation.play import Target
from tests.isolation.scenarios import played, rewrite, scenarios
from tests.support.postgres import available, postgres
from tests.support.sixfold import served

needs_postgres = [
    pytest.mark.postgres,
    pytest.mark.skipif(not available(), reason="postgresql-15 is not installed"),
]


@pytest.fixture(scope="module")
def here() -> Iterator[Target]:
    """Sixfold."""
    with served("--fsync", "off") as server:
        target = Target(server.uri, SURE_HERE)
        yield target
        target.close()


@pytest.fixture(scope="module")
def there(request: pytest.FixtureRequest) -> Iterator[Target]:
    """PostgreSQL 15. With --rewrite it writes the scenarios' answers first."""
    with postgres(REFERENCE) as server:
        target = Target(server.uri, SURE_THERE)
        if request.config.getoption("--rewrite"):
            rewrite(target)
        yield target
        target.close()


@pytest.mark.parametrize(("file", "title"), scenarios(), ids=lambda part: part)
def test_sessions_do_what_the_script_says(here: Target, file: str, title: str) -> None:
    block = scenarios()[file, title]
    assert played(here, block) == block.expected


@pytest.mark.parametrize(
    ("file", "title"), [pytest.param(*key, marks=needs_postgres) for key in scenarios()], ids=lambda part: part
)
def test_the_script_says_what_postgresql_does(there: Target, file: str, title: str) -> None:
    block = scenarios()[file, title]
    assert played(there, block) == block.expected


@pytest.mark.parametrize("first", [pytest.param(0, marks=needs_postgres)])
def test_random_sessions_do_what_they_do_on_postgresql(here: Target, there: Target, first: int) -> None:
    counts: Counter[str] = Counter()
    wrong = [
        found for seed in range(first, first + 20) for found, race in [compare(there, here, seed, counts)] if found
    ]
    assert not wrong, "\n\n".join(wrong)
    assert counts["waits"] > 2
