"""SCRAM-SHA-256 as a client goes through it: the right password comes in, nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.sixfold import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served("--fsync", "off") as running:
        with psycopg.connect(running.uri, autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres PASSWORD 'correct horse'")
            connection.execute("CREATE ROLE mute LOGIN")
        running.stop()
        running.arguments = (*running.arguments, "--auth", "scram-sha-256")
        running.start()
        yield running


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_the_right_password_comes_in(server: Served, sslmode: str) -> None:
    with psycopg.connect(server.uri, password="correct horse", sslmode=sslmode) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("postgres",)


@pytest.mark.parametrize("user", ["postgres", "mute", "nobody"])
def test_anything_else_is_refused_in_the_same_words(server: Served, user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{user}"'):
        psycopg.connect(server.uri, user=user, password="wrong")


def test_without_a_password_nobody_comes_in(server: Served) -> None:
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(server.uri)
