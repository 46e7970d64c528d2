"""SCRAM-SHA-256 as a client goes through it: the right password comes in, nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from sixfold.server.auth import AuthenticationFailed, ScramExchange, Verifier
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


NONCE = "abcdefghijklmnop"


def exchange() -> ScramExchange:
    return ScramExchange(Verifier.made_up("somebody", b"secret"), usable=True, nonce="SERVER")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=,r=",
        b"n,,n=,r=\xff",
        b"n,,n=,r=with space",
        "n,,n=,r=nonasciié".encode(),
        b"n,a=other,n=,r=abc",
        b"p=tls-server-end-point,,n=,r=abc",
        b"n,,m=extension,n=,r=abc",
        b"x,,n=,r=abc",
    ],
)
def test_a_malformed_first_message_is_refused(message: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        exchange().first(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"c=biws,r=abcdefghijklmnopSERVER",
        b"c=biws,r=abcdefghijklmnopSERVER,p=",
        b"c=biws,r=abcdefghijklmnopSERVER,p=AAAA",
        b"c=biws,r=abcdefghijklmnop,p=" + b"A" * 43 + b"=",
        b"c=biws,r=SERVERabcdefghijklmnop,p=" + b"A" * 43 + b"=",
        b"c=eSws,r=abcdefghijklmnopSERVER,p=" + b"A" * 43 + b"=",
        b"c=biws,r=abcdefghijklmnopSERVER,p=" + b"A" * 43 + b"=",
        b"c=biws,r=abcdefghijklmnopSERVER,p=!!!!",
    ],
)
def test_a_wrong_or_malformed_proof_is_refused(message: bytes) -> None:
    opened = exchange()
    assert opened.first(f"n,,n=,r={NONCE}".encode()).startswith(f"r={NONCE}SERVER,s=".encode())
    with pytest.raises(AuthenticationFailed):
        opened.final(message)


def test_a_proof_before_the_first_message_is_refused() -> None:
    with pytest.raises(AuthenticationFailed):
        exchange().final(b"c=biws,r=SERVER,p=" + b"A" * 43 + b"=")
