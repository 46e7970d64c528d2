"""What a server asks of its clients before they may send statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sixfold.kernel._kernel import TlsConfig
from sixfold.server.auth import AuthMethod


@dataclass(frozen=True)
class Secured:
    """What a connection is encrypted with. `binding`: the certificate's hash for channel binding (RFC 5929, tls-server-end-point); None
    where its signature has no hash function of its own."""

    config: TlsConfig
    binding: bytes | None


class Tls(Protocol):
    """Where the TLS configuration comes from."""

    async def config(self) -> Secured:
        """It may have to be made first. OSError or ValueError when it can't be."""


@dataclass(frozen=True)
class Policy:
    """`tls` None answers SSLRequest with N. `secret` keys the verifiers that unknown users are tried against."""

    method: AuthMethod
    tls: Tls | None
    secret: bytes
