"""`sixfold writer` and `sixfold reader`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sixfold.engine.waits import clear_temporary
from sixfold.server.config import ConfigError, ReaderConfig, WriterConfig
from sixfold.server.control import reason, serve_status
from sixfold.server.listener import check_address
from sixfold.server.policy import Policy
from sixfold.server.reader import Reader
from sixfold.server.service import announce, open_listener, prepare, server_settings
from sixfold.server.signals import stop_event
from sixfold.server.writer import Writer
from sixfold.wal.real import real_runtime, split_address
from sixfold.wal.recovery import RecoveryFailed
from sixfold.wal.runtime import Listener, Runtime
from sixfold.wal.volume import TOPOLOGIES, VolumeConfig, make_config

T = TypeVar("T")
# What a writer says of itself before it is one.
RECOVERING: dict[str, Any] = {
    "role": "writer",
    "epoch": None,
    "vdl": None,
    "tail": None,
    "sessions": 0,
    "members": [],
    "readers": [],
}


def _volume(config: WriterConfig | ReaderConfig) -> VolumeConfig:
    if config.topology not in TOPOLOGIES:
        raise ConfigError(f"topology {config.topology!r} is none of {', '.join(TOPOLOGIES)}")
    try:
        return make_config(config.topology, config.members, config.volume_id, config.pages_per_group)
    except ValueError as error:
        raise ConfigError(f"members: {error}") from error


def _runtime(folder: str) -> Runtime:
    try:
        return real_runtime(folder)
    except OSError as error:
        raise ConfigError(f"cannot use {folder}: {error.strerror}") from error


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The work's result; None when it was told to stop before that."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.wait([working])
    return None


async def _serve_status(runtime: Runtime, address: str, status: Callable[[], dict[str, Any]]) -> Listener:
    try:
        return await serve_status(runtime, address, status)
    except (OSError, ValueError) as error:
        raise ConfigError(reason(address, error)) from error


async def run_writer(config: WriterConfig) -> None:
    """The writer, until it is told to stop or fenced off."""
    options = server_settings(config.sql)
    stop, ready = stop_event(), asyncio.Event()
    runtime = _runtime(config.data)
    volume = _volume(config)
    opened: Writer | None = None

    def status() -> dict[str, Any]:
        return (opened.status() if opened else dict(RECOVERING)) | {"ready": ready.is_set()}

    # Before anything else: a second one that is started by mistake must not fence the first one off.
    policy = prepare(config.sql, runtime, Path(config.data))
    check_address(*split_address(config.stream))
    control = await _serve_status(runtime, config.control, status)
    clear_temporary(runtime.disk)
    try:
        # A volume that no node knows is made; where it exists this changes nothing.
        opened = await _unless(
            stop, Writer.open(runtime, volume, config.sql.cache, create=True, options=options, carried=True)
        )
    except RecoveryFailed as error:
        raise ConfigError(f"writer: {error}") from error
    if opened is not None:
        await _serve_writer(config, policy, opened, stop, ready)
    control.close()


async def _serve_writer(
    config: WriterConfig, policy: Policy, writer: Writer, stop: asyncio.Event, ready: asyncio.Event
) -> None:
    try:
        listener = await open_listener(writer.current, writer.log, policy, config.sql, writer.runtime)
        try:
            stream = await writer.publisher.serve(config.stream)
        except (OSError, ValueError) as error:
            raise ConfigError(reason(config.stream, error)) from error
        ready.set()
        announce(config.sql, listener)
        done = [asyncio.ensure_future(event.wait()) for event in (stop, writer.fenced)]
        await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.cancel()
        stream.close()
        await listener.close()
    finally:
        await writer.close()


async def run_reader(config: ReaderConfig) -> None:
    """A reader, until it is told to stop."""
    stop, ready = stop_event(), asyncio.Event()
    runtime = _runtime(config.data)
    policy = prepare(config.sql, runtime, Path(config.data))
    reader = Reader(runtime, config, _volume(config))
    control = await _serve_status(runtime, config.control, lambda: reader.status() | {"ready": ready.is_set()})
    clear_temporary(runtime.disk)
    try:
        if await _unless(stop, reader.opened()):
            listener = await open_listener(reader.current, reader.log, policy, config.sql, runtime)
            ready.set()
            announce(config.sql, listener)
            await stop.wait()
            await listener.close()
    finally:
        control.close()
        await reader.close()
