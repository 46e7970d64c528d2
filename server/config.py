"""What a compute daemon is told: options of the command line over a TOML file over these defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from sixfold.server.auth import AuthMethod
from sixfold.server.sizes import parse_size
from sixfold.wal.real import split_address
from sixfold.wal.volume import PAGES_PER_GROUP, Member

DEFAULT_PORT = 5432
DEFAULT_CACHE = 256 << 20
CACHE_MIN = 1 << 20
# Options whose name is not the setting's.
OPTIONS = {"members": "member", "address": "listen"}
# In the folder of a `sixfold serve`: what was made there.
MARKER = "sixfold.toml"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")


def cache_size(text: str) -> int:
    """Bytes of a `--cache`. ValueError with a sentence."""
    size = parse_size(text)
    if size < CACHE_MIN:
        raise ValueError(f"a cache of {text} is too small; 1MB is the least")
    return size


class ConfigError(Exception):
    """The message says in one line what is wrong with an option or a file."""


class SqlConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a compute node answers clients, and how."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = DEFAULT_PORT
    #: Cache of pages, in bytes.
    cache: Annotated[int, msgspec.Meta(ge=CACHE_MIN)] = DEFAULT_CACHE
    #: None: trust on a loopback address, SCRAM elsewhere.
    auth: AuthMethod | None = None
    tls: bool = True
    #: Settings of the server, each `name=value`, as in postgresql.conf.
    settings: list[str] = msgspec.field(default_factory=list)

    @property
    def method(self) -> AuthMethod:
        if self.auth is not None:
            return self.auth
        return AuthMethod.TRUST if self.host in LOOPBACK else AuthMethod.SCRAM


class WriterConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`sixfold writer`. `data` keeps TLS and logs only: a compute node has no data of the volume."""

    data: str
    members: list[Member]
    volume_id: int = 1
    #: Where readers get the stream.
    stream: str = "127.0.0.1:5433"
    #: Where `cluster status` asks.
    control: str = "127.0.0.1:5435"
    sql: SqlConfig = msgspec.field(default_factory=SqlConfig)
    topology: str = "6x3"
    pages_per_group: int = PAGES_PER_GROUP


class ReaderConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`sixfold reader`: the writer's `stream` address, and the same members."""

    data: str
    name: str
    members: list[Member]
    writer: str
    volume_id: int = 1
    control: str = "127.0.0.1:5434"
    sql: SqlConfig = msgspec.field(default_factory=SqlConfig)
    topology: str = "6x3"
    pages_per_group: int = PAGES_PER_GROUP


def read_toml(path: Path, kind: type[T]) -> T:
    """Raises ConfigError."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), kind)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # no TOML, no UTF-8, or not what it should say
        raise ConfigError(f"{path}: {error}") from error


def merge(kind: type[T], path: Path | None, given: dict[str, Any], required: tuple[str, ...]) -> T:
    """Options over the file over defaults. Raises ConfigError when the file is bad or something required is in neither."""
    values = read_toml(path, dict[str, Any]) if path else {}
    for key, value in given.items():
        if isinstance(value, dict):
            values[key] = {**values.get(key, {}), **{k: v for k, v in value.items() if v is not None}}
        elif value is not None:
            values[key] = value
    missing = [f"--{OPTIONS.get(name, name)}" for name in required if not values.get(name)]
    if missing:
        raise ConfigError(f"missing: {', '.join(missing)}")
    try:
        config = msgspec.convert(values, kind)
        for address in _addresses(msgspec.to_builtins(config)):
            split_address(address)
    except ValueError as error:
        raise ConfigError(f"{path or 'options'}: {error}") from error
    return config


def _addresses(values: dict[str, Any]) -> Iterator[str]:
    """All that must be of the form host:port."""
    for key, value in values.items():
        if key in ("address", "stream", "control", "writer"):
            yield value
        elif key == "peers":
            yield from value
        elif key == "members":
            for member in value:
                yield from _addresses(member)


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
