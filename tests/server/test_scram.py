"""SCRAM-SHA-256 as a client goes through it: the right password comes in, nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from sixfold.server.auth import MECHANISM, MECHANISM_BOUND, AuthenticationFailed, ScramExchange, Verifier
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


@pytest.mark.parametrize("password", ["correct horse", "wrong"])
def test_a_client_may_insist_on_channel_binding(server: Served, password: str) -> None:
    opened = {"password": password, "channel_binding": "require"}
    if password == "wrong":
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.uri, sslmode="require", **opened)
        return
    with psycopg.connect(server.uri, sslmode="require", **opened) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("postgres",)
    with pytest.raises(psycopg.OperationalError, match="channel binding required, but SSL not in use"):
        psycopg.connect(server.uri, sslmode="disable", **opened)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA1"])
def test_the_binding_is_the_hash_of_the_operators_certificate(server: Served, algorithm: str) -> None:
    """SHA-384 where the certificate is signed with it, SHA-256 for SHA-1: libpq computes the same."""
    folder = server.folder / "data" / "tls"
    kept = {path: path.read_bytes() for path in (folder / "server.crt", folder / "server.key")}
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=sixfold",
        f"-{algorithm.lower()}",
    ]
    subprocess.run(
        [*command, "-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")],
        check=True,
        capture_output=True,
    )
    server.stop()
    server.start()
    try:
        with psycopg.connect(
            server.uri, password="correct horse", sslmode="require", channel_binding="require"
        ) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
        server.stop()
        server.start()


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


def proven(client_first: str, mechanism: str, bound: bytes, binding: bytes | None) -> bytes:
    """The server's last message to a client that knows the password and binds to this."""
    salt, password = b"salt" * 4, b"correct horse"
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, 4096)
    key = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(key).digest()
    verifier = Verifier(4096, salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    opened = ScramExchange(verifier, usable=True, binding=binding, nonce="SERVER")
    server_first = opened.first(client_first.encode(), mechanism).decode()
    bare = client_first.split(",", 2)[2]
    last = f"c={base64.b64encode(bound).decode()},r={NONCE}SERVER"
    signature = hmac.digest(stored, f"{bare},{server_first},{last}".encode(), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
    return opened.final(f"{last},p={proof}".encode())


BOUND = "p=tls-server-end-point,,"
CERTIFICATE = b"hash of the certificate"


def test_who_saw_this_servers_certificate_comes_in() -> None:
    first = f"{BOUND}n=,r={NONCE}"
    assert proven(first, MECHANISM_BOUND, BOUND.encode() + CERTIFICATE, CERTIFICATE).startswith(b"v=")
    assert proven(f"n,,n=,r={NONCE}", MECHANISM, b"n,,", CERTIFICATE).startswith(b"v=")


@pytest.mark.parametrize(
    ("header", "mechanism", "bound", "binding"),
    [
        (BOUND, MECHANISM_BOUND, BOUND.encode() + b"another certificate", CERTIFICATE),
        (BOUND, MECHANISM_BOUND, BOUND.encode(), CERTIFICATE),
        (BOUND, MECHANISM_BOUND, BOUND.encode(), None),
        ("p=tls-unique,,", MECHANISM_BOUND, b"p=tls-unique,," + CERTIFICATE, CERTIFICATE),
        ("n,,", MECHANISM_BOUND, b"n,,", CERTIFICATE),
        (BOUND, MECHANISM, BOUND.encode() + CERTIFICATE, CERTIFICATE),
        # It could bind, and believes that this server does not offer it: somebody in between.
        ("y,,", MECHANISM, b"y,,", CERTIFICATE),
    ],
)
def test_a_password_that_came_through_somebody_in_between_is_refused(
    header: str, mechanism: str, bound: bytes, binding: bytes | None
) -> None:
    with pytest.raises(AuthenticationFailed):
        proven(f"{header}n=,r={NONCE}", mechanism, bound, binding)
