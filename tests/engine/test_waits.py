"""Pages that sessions miss: which of them are asked for together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sixfold.engine.waits import ONE_SCAN, READ_AHEAD, TOGETHER, Waits
from sixfold.wal.real import real_runtime


class Storage:
    """A volume that has no page, and the reader that brings some."""

    vdl = 100
    damaged = 1300

    def __init__(self) -> None:
        self.installed: list[int] = []
        self.failed: list[int] = []
        self.reads: list[tuple[list[int], bool]] = []

    def fetch_begin(self, no: int) -> int | None:
        return None if no in self.installed else self.vdl

    def fetch_begin_all(self, pages: Sequence[int]) -> tuple[int, list[int]]:
        return self.vdl, [no for no in pages if no not in self.installed]

    def install_pages(self, pages: Sequence[int], data: Sequence[bytes], lsn: int) -> None:
        for no, answer in zip(pages, data, strict=True):
            self.install_page(no, answer, lsn)

    def install_page(self, no: int, data: bytes, lsn: int) -> bool:
        assert lsn == self.vdl
        self.installed.append(no)
        return True

    def fetch_failed(self, no: int) -> None:
        self.failed.append(no)

    async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> list[bytes]:
        self.reads.append((list(pages), bulk))
        await asyncio.sleep(0)
        if self.damaged in pages:
            raise OSError("gone")
        return [b""] * len(pages)


def run(folder: str, needs: list[tuple[Any, ...]]) -> tuple[Storage, list[Any]]:
    storage = Storage()

    async def body() -> list[Any]:
        waits = Waits(storage, storage, storage, real_runtime(folder))  # type: ignore[arg-type]
        tasks = [waits.satisfy(None, need) for need in needs]  # type: ignore[arg-type]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waits._fetching
        return found

    return storage, asyncio.run(body())


def test_misses_of_one_turn_travel_together(tmp_path: Any) -> None:
    storage, _ = run(str(tmp_path), [("page", no % 20) for no in range(40)])
    assert [len(pages) for pages, _ in storage.reads] == [TOGETHER, TOGETHER, 20 - 2 * TOGETHER]
    assert not any(bulk for _, bulk in storage.reads)
    assert sorted(storage.installed) == list(range(20))


def test_read_ahead_goes_in_pieces_and_asks_for_no_page_twice(tmp_path: Any) -> None:
    ahead = list(range(20, 20 + 3 * READ_AHEAD))
    storage, _ = run(str(tmp_path), [("pages", [*ahead, *ahead]), ("pages", ahead[5:]), ("page", ahead[7])])
    assert storage.reads == [(ahead[at : at + READ_AHEAD], True) for at in range(0, len(ahead), READ_AHEAD)]
    assert sorted(storage.installed) == ahead


def test_who_waits_for_a_page_that_cannot_be_read_is_told(tmp_path: Any) -> None:
    storage, found = run(str(tmp_path), [("page", Storage.damaged), ("pages", [50, 51])])
    assert isinstance(found[0], OSError)
    assert found[1] is None
    assert storage.failed == [Storage.damaged]
    with pytest.raises(OSError, match="gone"):
        raise found[0]


@pytest.mark.parametrize(("pages", "awaited"), [(ONE_SCAN, 1), (3 * ONE_SCAN, 6)])
def test_a_scan_goes_on_with_the_first_read_and_several_threads_with_the_last(
    tmp_path: Any, pages: int, awaited: int
) -> None:
    class Slow(Storage):
        over = 0

        async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> list[bytes]:
            self.over += 1
            mine = self.over
            for _ in range(5 * mine):
                await asyncio.sleep(0.001)
            self.reads.append((list(pages), bulk))
            return [b""] * len(pages)

    storage = Slow()

    async def body() -> None:
        waits = Waits(storage, storage, storage, real_runtime(str(tmp_path)))  # type: ignore[arg-type]
        await waits.satisfy(None, ("pages", list(range(pages))))
        assert len(storage.reads) == awaited
        await waits.read_ahead(range(pages))

    asyncio.run(body())


def test_who_waits_for_many_pages_can_be_interrupted(tmp_path: Any) -> None:
    class Never(Storage):
        async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> list[bytes]:
            await asyncio.sleep(3600)
            return []

    class Client:
        session_id = 7

    async def body() -> None:
        waits = Waits(Never(), Never(), Never(), real_runtime(str(tmp_path)))  # type: ignore[arg-type]
        wait = waits.satisfy(Client(), ("pages", list(range(3 * ONE_SCAN))))  # type: ignore[arg-type]
        task = asyncio.ensure_future(wait)
        await asyncio.sleep(0.01)
        assert not task.done()
        waits.interrupt(7)
        await asyncio.wait_for(task, 5)

    asyncio.run(body())
