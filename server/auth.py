"""Who a client is: trust, or SCRAM-SHA-256 against the verifier that pg_authid holds.

The exchange is RFC 5802's over PostgreSQL's SASL messages
(https://www.postgresql.org/docs/15/sasl-authentication.html), with channel binding to the server's certificate where the
connection is encrypted (SCRAM-SHA-256-PLUS, tls-server-end-point of RFC 5929). A user that does not exist, or has no password, goes
through the same exchange against a made-up verifier, so that names can't be probed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum

MECHANISM = "SCRAM-SHA-256"
MECHANISM_BOUND = "SCRAM-SHA-256-PLUS"
BINDING = "p=tls-server-end-point"


class AuthMethod(StrEnum):
    """What is asked of a client before it may send statements."""

    TRUST = "trust"
    SCRAM = "scram-sha-256"


@dataclass(frozen=True)
class Verifier:
    """`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as pg_authid.rolpassword has it."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def read(cls, text: str) -> Verifier | None:
        """None when this is not a SCRAM verifier."""
        try:
            mechanism, parameters, keys = text.split("$")
            iterations, salt = parameters.split(":")
            stored, server = keys.split(":")
            if mechanism != MECHANISM:
                return None
            return cls(int(iterations), _unbase64(salt), _unbase64(stored), _unbase64(server))
        except ValueError:
            return None

    @classmethod
    def made_up(cls, user: str, secret: bytes) -> Verifier:
        """For a user without a password: the same answer each time, right for no password."""

        def derive(what: str) -> bytes:
            return hmac.new(secret, f"{what}:{user}".encode(), hashlib.sha256).digest()

        return cls(4096, derive("salt")[:16], derive("stored"), derive("server"))


class AuthenticationFailed(Exception):
    """Wrong password or broken exchange; the client learns no more than 28P01."""


class ScramExchange:
    """The server's side of one exchange: `first` answers the client's first message, `final` its last.

    libpq sends an empty user name inside of SASL (the startup message has it), which SCRAM libraries refuse. `binding`: hash of the
    certificate that this connection's client must have seen; None where the mechanism with channel binding was not offered.
    """

    def __init__(
        self, verifier: Verifier, *, usable: bool, binding: bytes | None = None, nonce: str | None = None
    ) -> None:
        self._verifier = verifier
        self._usable = usable
        self._binding = binding
        self._nonce = nonce or secrets.token_urlsafe(18)
        self._bound = b""
        self._first = ""

    def first(self, message: bytes, mechanism: str = MECHANISM) -> bytes:
        try:
            flag, identity, bare = message.decode().split(",", 2)
            user, client_nonce = bare.split(",")[:2]
        except ValueError as error:
            raise AuthenticationFailed("malformed SCRAM message") from error
        self._bound = f"{flag},,".encode() + self._channel(mechanism, flag)
        if identity:
            raise AuthenticationFailed("authorization identities are not supported")
        if not user.startswith("n=") or not client_nonce.startswith("r=") or len(client_nonce) == 2:
            raise AuthenticationFailed("malformed SCRAM message")
        if not all("!" <= character <= "~" for character in client_nonce):
            raise AuthenticationFailed("non-printable characters in SCRAM nonce")
        self._nonce = client_nonce[2:] + self._nonce
        salt = base64.b64encode(self._verifier.salt).decode()
        answer = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        self._first = f"{bare},{answer}"
        return answer.encode()

    def _channel(self, mechanism: str, flag: str) -> bytes:
        """What the client's last message must be bound to besides its header."""
        if mechanism == MECHANISM_BOUND:
            if self._binding is None or flag != BINDING:
                raise AuthenticationFailed("no such channel binding")
            return self._binding
        if flag == "y" and self._binding is not None:
            # It could bind, and did not see our offer: somebody in between took it out.
            raise AuthenticationFailed("the client believes that this server can't bind channels, but it can")
        if flag not in ("n", "y"):
            raise AuthenticationFailed("channel binding needs SCRAM-SHA-256-PLUS")
        return b""

    def final(self, message: bytes) -> bytes:
        try:
            without_proof, _, proof_text = message.decode().rpartition(",p=")
            proof = _unbase64(proof_text)
        except ValueError as error:
            raise AuthenticationFailed("malformed SCRAM message") from error
        binding = base64.b64encode(self._bound).decode()
        if not self._first or without_proof.split(",")[:2] != [f"c={binding}", f"r={self._nonce}"]:
            raise AuthenticationFailed("malformed SCRAM message")
        signed = f"{self._first},{without_proof}".encode()
        signature = hmac.digest(self._verifier.stored_key, signed, "sha256")
        if len(proof) != len(signature):
            raise AuthenticationFailed("malformed SCRAM message")
        key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        right = hmac.compare_digest(hashlib.sha256(key).digest(), self._verifier.stored_key)
        if not (right and self._usable):
            raise AuthenticationFailed("wrong password, or the role has none")
        return b"v=" + base64.b64encode(hmac.digest(self._verifier.server_key, signed, "sha256"))


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
