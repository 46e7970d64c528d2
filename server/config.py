"""What a compute daemon is told: options of the command line over a TOML file over these defaults."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from sixfold.server.auth import AuthMethod

DEFAULT_PORT = 5432
DEFAULT_CACHE = 256 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")


class ConfigError(Exception):
    """The message says in one line what is wrong with an option or a file."""


class SqlConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a compute node answers clients, and how."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    #: Cache of pages, in bytes.
    cache: int = DEFAULT_CACHE
    #: None: trust on a loopback address, SCRAM elsewhere.
    auth: AuthMethod | None = None
    tls: bool = True

    @property
    def method(self) -> AuthMethod:
        if self.auth is not None:
            return self.auth
        return AuthMethod.TRUST if self.host in LOOPBACK else AuthMethod.SCRAM


class Member(msgspec.Struct, forbid_unknown_fields=True):
    """One storage node of the volume, as compute nodes reach it."""

    name: str
    zone: str
    address: str


class WriterConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`sixfold writer`. `data` keeps TLS and logs only: a compute node has no data of the volume."""

    data: str
    members: list[Member]
    volume_id: int = 1
    #: Where readers get the stream, and `cluster status` its answers.
    stream: str = "127.0.0.1:5433"
    sql: SqlConfig = msgspec.field(default_factory=SqlConfig)
    pages_per_group: int = 1310720
    #: The role that the first start makes gets this password (SCRAM verifiers only are kept).
    superuser: str = "postgres"


class ReaderConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`sixfold reader`: the writer's `stream` address, and the same members."""

    data: str
    name: str
    members: list[Member]
    writer: str
    volume_id: int = 1
    control: str = "127.0.0.1:5434"
    sql: SqlConfig = msgspec.field(default_factory=SqlConfig)
    pages_per_group: int = 1310720


def read_toml(path: Path, kind: type[T]) -> T:
    """Raises ConfigError."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), kind)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


def write_toml(path: Path, config: msgspec.Struct) -> None:
    """What `read_toml` reads back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_toml(msgspec.to_builtins(config)))


def _toml(values: dict[str, object]) -> bytes:
    """Tables of plain values, lists of tables: what our configurations are made of."""
    plain, tables, lists = [], [], []
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, dict):
            tables.append(f"\n[{key}]\n" + _toml(value).decode())
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lists += [f"\n[[{key}]]\n" + _toml(item).decode() for item in value]
        else:
            plain.append(f"{key} = {msgspec.json.encode(value).decode()}\n")
    return "".join(plain + tables + lists).encode()
