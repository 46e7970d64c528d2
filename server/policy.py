"""What a server asks of its clients before they may send statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from sixfold.server.auth import AuthMethod


class Tls(Protocol):
    """Where a TLS context comes from."""

    async def context(self) -> Any:
        """An ssl.SSLContext."""


@dataclass(frozen=True)
class Policy:
    """`tls` None answers SSLRequest with N. `secret` keys the verifiers that unknown users are tried against."""

    method: AuthMethod
    tls: Tls | None
    secret: bytes
