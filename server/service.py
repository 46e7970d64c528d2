"""From a database to an open SQL port."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import os
from collections.abc import Callable
from pathlib import Path

import typer

from sixfold.engine import settings
from sixfold.engine.database import Database
from sixfold.engine.errors import SqlError
from sixfold.server.config import ConfigError, SqlConfig
from sixfold.server.connection import Durability
from sixfold.server.listener import Listener, check_address, listen
from sixfold.server.policy import Policy, Secured
from sixfold.wal import logs
from sixfold.wal.runtime import Runtime

LOGS_AFTER_SECONDS = 0.5


def prepare(sql: SqlConfig, runtime: Runtime, folder: Path) -> Policy:
    """Who may come in, and a look whether there is anything in the way of an SQL port: before a volume is opened, since a writer that can't
    serve must not fence off one that does. Raises PortTaken, ConfigError."""
    check_address(sql.host, sql.port)
    return Policy(sql.method, LazyTls(folder / "tls", runtime) if sql.tls else None, _secret(folder))


async def open_listener(
    current: Callable[[], Database], durability: Durability, policy: Policy, sql: SqlConfig, runtime: Runtime
) -> Listener:
    """Raises PortTaken."""
    return await listen(current, durability, policy, runtime, sql.host, sql.port)


def announce(sql: SqlConfig, listener: Listener) -> None:
    """It answers clients: their connection URI, for the person who started it."""
    typer.echo(f"postgresql://postgres@{sql.host}:{listener.port}/postgres")
    loop = asyncio.get_running_loop()
    # Not before the first client that waited for this has its answer.
    loop.call_later(LOGS_AFTER_SECONDS, loop.run_in_executor, None, logs.load)


def server_settings(sql: SqlConfig) -> dict[str, str]:
    """Name to canonical value. Raises ConfigError."""
    found: dict[str, str] = {}
    for item in sql.settings:
        name, equals, value = item.partition("=")
        try:
            if not equals:
                raise SqlError("22023", f"{item!r} is not name=value")
            guc = settings.find(name.strip())
            found[guc.name] = settings.check(guc, value.strip())
        except SqlError as error:
            raise ConfigError(error.message) from error
    return found


class LazyTls:
    """The server's TLS configuration, made when the first client asks for it: most local clients never do."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._folder = folder
        self._runtime = runtime
        self._config: Secured | None = None
        self._making = asyncio.Lock()

    async def config(self) -> Secured:
        """See `Tls.config`."""
        async with self._making:
            if self._config is None:
                self._config = await asyncio.to_thread(self._make)
            return self._config

    def _make(self) -> Secured:
        # `cryptography` takes a while to import.
        tls = importlib.import_module("sixfold.server.tls")
        now = datetime.datetime.fromtimestamp(self._runtime.clock.time(), datetime.UTC)
        config: Secured = tls.server_config(self._folder, now)
        return config


def _secret(folder: Path) -> bytes:
    """Keys the verifiers that unknown users are tried against; kept, so that answers do not change with a restart."""
    path = folder / "secret"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(32))
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot use {error.filename or folder}: {error.strerror}") from error
