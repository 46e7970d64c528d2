"""Who a client is: trust, or SCRAM-SHA-256 against the verifier that pg_authid holds.

The exchange is RFC 5802's over PostgreSQL's SASL messages
(https://www.postgresql.org/docs/15/sasl-authentication.html). A user that does not exist, or has no password, goes
through the same exchange against a made-up verifier, so that names can't be probed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MECHANISM = "SCRAM-SHA-256"


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
    """The server's side of one exchange: `first` answers the client's first message, `final` its last."""

    def __init__(self, verifier: Verifier, *, usable: bool) -> None:
        # scramp takes a while to import; a server that trusts its clients never needs it.
        scramp: Any = importlib.import_module("scramp")
        self._error: type[Exception] = scramp.ScramException
        self._usable = usable
        self._server = scramp.ScramMechanism(MECHANISM).make_server(
            lambda _user: (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations)
        )

    def first(self, message: bytes) -> bytes:
        try:
            self._server.set_client_first(message.decode())
            return str(self._server.get_server_first()).encode()
        except (self._error, ValueError) as error:
            raise AuthenticationFailed(str(error)) from error

    def final(self, message: bytes) -> bytes:
        try:
            self._server.set_client_final(message.decode())
            answer = str(self._server.get_server_final()).encode()
        except (self._error, ValueError) as error:
            raise AuthenticationFailed(str(error)) from error
        if not self._usable:
            raise AuthenticationFailed("the role has no password")
        return answer


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
