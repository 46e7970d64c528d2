"""`sixfold storage-node`: needs nothing of the engine."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import run_storage_node
from sixfold.server.config import ConfigError
from sixfold.server.control import reason
from sixfold.server.locking import lock_folder
from sixfold.server.signals import stop_event
from sixfold.wal import logs
from sixfold.wal.real import real_runtime


async def run_node(config: NodeConfig) -> None:
    """One storage node, until it is told to stop."""
    stop = stop_event()
    logs.load()
    lock = lock_folder(Path(config.data), "sixfold storage-node")
    try:
        runtime = real_runtime(config.data, durable=config.fsync)
        await run_storage_node(
            config, runtime, stop, lambda: typer.echo(f"storage node {config.name} listens on {config.address}")
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"storage node {config.name}: {reason(config.address, error)}") from error
    finally:
        os.close(lock)
