"""What a server asks of its clients before they may send statements."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from sixfold.server.auth import AuthMethod


@dataclass(frozen=True)
class Policy:
    """`tls` None answers SSLRequest with N. `secret` keys the verifiers that unknown users are tried against."""

    method: AuthMethod
    tls: ssl.SSLContext | None
    secret: bytes
