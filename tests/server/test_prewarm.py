"""A compute node that starts again has soon in its cache what it had there before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sixfold.engine.embedded import Connection
from sixfold.pagestore.embedded import EmbeddedNodes
from sixfold.server.prewarm import PATH
from sixfold.server.writer import Writer
from sixfold.wal.real import real_runtime
from sixfold.wal.runtime import Runtime

CACHE_BYTES = 32 << 20
FILL = "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 9) AS v FROM generate_series(1, 20000) i"


async def opened(runtime: Runtime, nodes: EmbeddedNodes, *, create: bool = False, cache: int = CACHE_BYTES) -> Writer:
    return await Writer.open(runtime, nodes.config, cache, create=create, options={})


async def holds(writer: Writer, least: int, seconds: float = 20.0) -> int:
    """Pages in the cache, once there are so many or time is over."""
    deadline = time.monotonic() + seconds
    while True:
        await asyncio.sleep(0.02)
        held = writer.volume.cache_size[0]
        if held >= least or time.monotonic() > deadline:
            return held


def with_pages(folder: Path, body: Callable[[Runtime, EmbeddedNodes, int], Awaitable[None]]) -> None:
    """`body` begins after a clean stop with that many pages in the cache."""

    async def run() -> None:
        runtime = real_runtime(str(folder), durable=False)
        nodes = EmbeddedNodes(runtime, "1")
        await nodes.start()
        writer = await opened(runtime, nodes, create=True)
        session = await Connection(writer.database).start()
        assert (await session.query(FILL))[0].error is None
        held = writer.volume.cache_size[0]
        assert held > 800
        await writer.database.close()
        await writer.close()
        await body(runtime, nodes, held)
        await nodes.stop()

    asyncio.run(run())


def test_the_cache_is_warm_again_without_a_query(tmp_path: Path) -> None:
    async def body(runtime: Runtime, nodes: EmbeddedNodes, held: int) -> None:
        writer = await opened(runtime, nodes)
        # A few pages were allocated and never written, or are gone.
        assert await holds(writer, held) >= held * 0.95
        session = await Connection(writer.database).start()
        assert await session.fetch("SELECT count(*), sum(length(v)) FROM t") == [("20000", "5760000")]
        await writer.close()

    with_pages(tmp_path, body)


def test_a_smaller_cache_is_not_filled_to_the_brim(tmp_path: Path) -> None:
    async def body(runtime: Runtime, nodes: EmbeddedNodes, held: int) -> None:
        writer = await opened(runtime, nodes, cache=4 << 20)
        capacity = writer.volume.cache_size[1]
        assert capacity < held
        await holds(writer, int(capacity * 0.8))
        await asyncio.sleep(0.2)
        assert capacity * 0.5 < writer.volume.cache_size[0] <= capacity * 0.95
        await writer.close()

    with_pages(tmp_path, body)


@pytest.mark.parametrize("at", [2, 6, 500])
def test_a_damaged_file_is_no_file(tmp_path: Path, at: int) -> None:
    async def body(runtime: Runtime, nodes: EmbeddedNodes, held: int) -> None:
        path = tmp_path / PATH
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        writer = await opened(runtime, nodes)
        assert await holds(writer, held, 0.5) < held / 2
        await writer.close()
        assert path.read_bytes() != data

    with_pages(tmp_path, body)
