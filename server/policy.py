"""What a server asks of its clients before they may send statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sixfold.kernel._kernel import TlsConfig
from sixfold.server.auth import AuthMethod


class Tls(Protocol):
    """Where the TLS configuration comes from."""

    async def config(self) -> TlsConfig:
        """It may have to be made first. OSError or ValueError when it can't be."""


@dataclass(frozen=True)
class Policy:
    """`tls` None answers SSLRequest with N. `secret` keys the verifiers that unknown users are tried against."""

    method: AuthMethod
    tls: Tls | None
    secret: bytes
