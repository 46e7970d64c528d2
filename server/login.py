"""The exchange between a startup message and AuthenticationOk."""

from __future__ import annotations

import struct

from sixfold.engine.database import Database
from sixfold.kernel._kernel import Wire
from sixfold.server.auth import MECHANISM, MECHANISM_BOUND, AuthenticationFailed, AuthMethod, ScramExchange, Verifier
from sixfold.server.policy import Policy

AUTHENTICATION_OK, SASL, SASL_CONTINUE, SASL_FINAL = 0, 10, 11, 12


class Refused(Exception):
    """The client may not come in: FATAL with this SQLSTATE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail: str | None = None
        self.hint: str | None = None


class Login:
    """One client's exchange. `step` is given None first, then each password message; True: it is in. `binding`: see `Secured`; None where
    the connection is not encrypted."""

    def __init__(self, policy: Policy, parameters: dict[str, str], binding: bytes | None = None) -> None:
        self.parameters = parameters
        self._binding = binding
        self._policy = policy
        self._exchange: ScramExchange | None = None
        self._begun = False

    @property
    def user(self) -> str:
        return self.parameters.get("user", "")

    async def step(self, body: bytes | None, database: Database, wire: Wire) -> bool:
        if not self.user:
            raise Refused("28000", "no PostgreSQL user name specified in startup packet")
        if body is None:
            return await self._offer(database, wire)
        if self._exchange is None:
            raise Refused("08P01", "unexpected password message")
        try:
            if not self._begun:
                self._begun = True
                mechanism, first = _initial_response(body, self._mechanisms())
                wire.auth(SASL_CONTINUE, self._exchange.first(first, mechanism))
                wire.done()
                return False
            wire.auth(SASL_FINAL, self._exchange.final(body))
            wire.done()
            return True
        except AuthenticationFailed:
            raise Refused("28P01", f'password authentication failed for user "{self.user}"') from None

    async def _offer(self, database: Database, wire: Wire) -> bool:
        if self._policy.method is AuthMethod.TRUST:
            return True
        role = await database.login(self.user)
        verifier = Verifier.read(role.verifier) if role is not None and role.verifier else None
        usable = verifier is not None
        verifier = verifier or Verifier.made_up(self.user, self._policy.secret)
        self._exchange = ScramExchange(verifier, usable=usable, binding=self._binding)
        wire.auth(SASL, b"".join(name.encode() + b"\0" for name in self._mechanisms()) + b"\0")
        wire.done()
        return False

    def _mechanisms(self) -> list[str]:
        """What is offered, the best first."""
        return [MECHANISM] if self._binding is None else [MECHANISM_BOUND, MECHANISM]


def _initial_response(body: bytes, offered: list[str]) -> tuple[str, bytes]:
    """SASLInitialResponse: mechanism, length (-1: none), data."""
    name, _, rest = body.partition(b"\0")
    mechanism = name.decode(errors="replace")
    if mechanism not in offered:
        raise Refused("28000", "client selected an invalid SASL authentication mechanism")
    if len(rest) < 4:
        raise Refused("08P01", "malformed SASLInitialResponse message")
    (length,) = struct.unpack("!i", rest[:4])
    if length < 0 or length != len(rest) - 4:
        raise Refused("08P01", "malformed SASLInitialResponse message")
    return mechanism, rest[4:]
