"""`sixfold serve`: one process with the storage nodes inside it, each with its own folder and files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import typer

from sixfold.engine.waits import clear_temporary
from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.server.config import MARKER, ConfigError, SqlConfig, read_toml, write_toml
from sixfold.server.listener import Listener
from sixfold.server.locking import lock_folder
from sixfold.server.service import announce, open_listener, prepare, server_settings
from sixfold.server.signals import stop_event
from sixfold.server.writer import Writer
from sixfold.wal.real import real_runtime
from sixfold.wal.recovery import RecoveryFailed
from sixfold.wal.volume import TOPOLOGIES


class EmbeddedConfig(msgspec.Struct, kw_only=True):
    """Options of `sixfold serve`."""

    data: str
    topology: str
    fsync: bool
    sql: SqlConfig


class Marker(msgspec.Struct, forbid_unknown_fields=True):
    """`sixfold.toml` in the data folder: what was made there."""

    topology: str
    format: int = 1


async def run_embedded(config: EmbeddedConfig) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigError and PortTaken."""
    stop = stop_event()
    options = server_settings(config.sql)
    folder = _folder(config.data)
    lock = lock_folder(folder, "sixfold serve")
    try:
        new = _check_marker(folder, config.topology)
        runtime = real_runtime(str(folder), durable=config.fsync)
        policy = prepare(config.sql, runtime, folder)
        clear_temporary(runtime.disk)
        nodes = EmbeddedNodes(runtime, config.topology)
        try:
            await nodes.start(all_of_them=new)
        except OSError as error:
            raise ConfigError(f"cannot use {error.filename or folder}: {error.strerror or error}") from error
        try:
            writer = await Writer.open(
                runtime, nodes.config, config.sql.cache, create=new, options=options, carried=True
            )
        except RecoveryFailed as error:
            await nodes.stop()
            raise ConfigError(f"{folder}: {error}") from error
        try:
            if new:
                write_toml(folder / MARKER, Marker(config.topology))
            listener = await open_listener(writer.current, writer.log, policy, config.sql, runtime)
            _announce(listener, config)
            await _until(stop, writer.fenced, nodes.gone)
            await listener.close()
            if nodes.gone.is_set():
                raise ConfigError(f"{folder} was removed")
        finally:
            await writer.close()
            await nodes.stop()
    finally:
        os.close(lock)


def _announce(listener: Listener, config: EmbeddedConfig) -> None:
    announce(config.sql, listener)
    survives = TOPOLOGIES[config.topology].survives
    typer.echo(f"topology {config.topology}: {survives}" + ("" if config.fsync else "; fsync is off"), err=True)


async def _until(*events: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _folder(data: str) -> Path:
    return Path(os.path.abspath(data))


def _check_marker(folder: Path, topology: str) -> bool:
    """Is this folder new? ConfigError when it was made with another topology, or is a cluster's."""
    path = folder / MARKER
    if (folder / "cluster.toml").exists():
        raise ConfigError(f"{folder} is a cluster's; start it with: sixfold cluster start --dir {folder}")
    if not path.exists():
        return True
    marker = read_toml(path, Marker)
    if marker.topology != topology:
        raise ConfigError(f"{folder} was made with --topology {marker.topology}, not {topology}")
    return False
