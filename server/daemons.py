"""`sixfold storage-node`, `sixfold writer`, `sixfold reader`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.node import run_storage_node
from sixfold.server.config import ConfigError, ReaderConfig, WriterConfig
from sixfold.server.control import serve_status
from sixfold.server.reader import Reader
from sixfold.server.service import open_listener
from sixfold.server.signals import stop_event
from sixfold.server.writer import Writer
from sixfold.wal.real import real_runtime
from sixfold.wal.recovery import RecoveryFailed
from sixfold.wal.volume import VolumeConfig, make_config


async def run_node(config: NodeConfig) -> None:
    """One storage node, until it is told to stop."""
    stop = stop_event()
    try:
        await run_storage_node(config, real_runtime(config.data, durable=config.fsync), stop)
    except OSError as error:
        raise ConfigError(f"storage node {config.name}: {error}") from error


def _volume(config: WriterConfig | ReaderConfig) -> VolumeConfig:
    try:
        return make_config(config.topology, config.members, config.volume_id, config.pages_per_group)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"members: {error}") from error


async def run_writer(config: WriterConfig) -> None:
    """The writer, until it is told to stop or fenced off."""
    stop = stop_event()
    folder = Path(config.data)
    runtime = real_runtime(config.data)
    try:
        # A volume that no node knows is made; where it exists this changes nothing.
        writer = await Writer.open(runtime, _volume(config), config.sql.cache, create=True, options={})
    except RecoveryFailed as error:
        raise ConfigError(f"writer: {error}") from error
    listener = await open_listener(writer.current, writer.log, config.sql, runtime, folder)
    control = await serve_status(runtime, config.control, writer.status)
    stream = await writer.publisher.serve(config.stream)
    done = [asyncio.ensure_future(event.wait()) for event in (stop, writer.fenced)]
    await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
    control.close()
    stream.close()
    await listener.close()
    await writer.close()
    for task in done:
        task.cancel()


async def run_reader(config: ReaderConfig) -> None:
    """A reader, until it is told to stop."""
    stop = stop_event()
    runtime = real_runtime(config.data)
    reader = await Reader.open(runtime, config, _volume(config))
    listener = await open_listener(reader.current, reader.log, config.sql, runtime, Path(config.data))
    control = await serve_status(runtime, config.control, reader.status)
    await stop.wait()
    control.close()
    await listener.close()
    await reader.close()
