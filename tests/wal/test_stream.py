"""The stream from writer to readers: order, gaps, readers that go away and come back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from sixfold.wal import stream
from sixfold.wal.real import real_runtime, run
from sixfold.wal.stream import LogPublisher, LogTailer
from tests.raw import RawVolume


class Copy:
    """A reader's volume that only keeps what it is told."""

    def __init__(self, vdl: int) -> None:
        self.begin = self.vdl = vdl
        self.batches: list[bytes] = []

    def apply_stream(self, batches: list[bytes]) -> None:
        self.batches += batches

    def set_vdl(self, vdl: int) -> None:
        assert vdl > self.vdl
        self.vdl = vdl


class Pair:
    def __init__(self, path: Path) -> None:
        self.runtime = real_runtime(str(path))
        self.volume = RawVolume(1, 3, 10, 1000, {})
        self.tails = {0: 900}
        self.publisher = LogPublisher(
            self.runtime, volume=1, epoch=3, vdl=1000, tails=lambda: sorted(self.tails.items())
        )
        self.copies: list[Copy] = []

    async def start(self) -> LogTailer:
        listener = await self.publisher.serve("127.0.0.1:0")
        return LogTailer(
            self.runtime,
            listener.address,
            volume=1,
            name="r1",
            reset=self.reset,
            on_vdl=lambda vdl: None,
            horizon=lambda: self.copies[-1].vdl,
        )

    def reset(self, epoch: int, vdl: int) -> Copy:
        self.copies.append(Copy(vdl))
        return self.copies[-1]

    def write(self, *pages: int) -> int:
        self.volume.mtr([(page, 0, b"x") for page in pages])
        flush = self.volume.take_flush()
        assert flush is not None
        self.publisher.flush(*flush)
        for group, _ in flush[2]:
            self.tails[group] = flush[1]
        return flush[1]


async def until(condition) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen in time")


def test_a_reader_follows_and_applies_only_up_to_vdl(tmp_path: Path) -> None:
    async def main() -> None:
        pair = Pair(tmp_path)
        before = pair.write(1)
        tailer = await pair.start()
        await until(lambda: tailer.received == before)
        assert (tailer.vdl, tailer.tail(0), pair.copies[0].begin) == (1000, before, 1000)
        first = pair.write(1, 25)
        second = pair.write(33)
        pair.publisher.advance(first)
        await until(lambda: tailer.vdl == first)
        assert tailer.received == second
        assert (tailer.tail(0), tailer.tail(2), tailer.tail(3)) == (first, first, 0)
        assert len(pair.copies[0].batches) == 4
        await until(lambda: pair.publisher.readers["r1"].vdl == first)
        assert pair.publisher.oldest == first
        assert tailer.lag_ms < 1000
        tailer.close()
        pair.publisher.close()

    run(main())


def test_a_reader_that_was_away_for_a_moment_goes_on_without_a_reset(tmp_path: Path) -> None:
    async def main() -> None:
        pair = Pair(tmp_path)
        tailer = await pair.start()
        await until(lambda: bool(pair.copies))
        one = pair.write(1)
        await until(lambda: tailer.received == one)
        state = pair.publisher.readers["r1"]
        assert state.rpc is not None
        state.rpc.connection.abort()
        two = pair.write(2)
        pair.publisher.advance(two)
        await until(lambda: tailer.vdl == two)
        assert len(pair.copies) == 1
        assert len(pair.copies[0].batches) == 2
        tailer.close()
        pair.publisher.close()

    run(main())


def test_a_reader_that_hangs_is_let_go(tmp_path: Path) -> None:
    """Its connection is well, but it says nothing: what it may ask for would be kept for ever."""

    async def main() -> None:
        pair = Pair(tmp_path)
        tailer = await pair.start()
        await until(lambda: tailer.connected)
        tailer._tasks[1].cancel()
        state = pair.publisher.readers["r1"]
        await asyncio.sleep(0.6)
        assert state.rpc is not None
        state.seen -= 10
        await until(lambda: state.rpc is None)
        # It is there all the same, and goes on where it was.
        await until(lambda: pair.publisher.readers["r1"].rpc is not None)
        assert len(pair.copies) == 1
        tailer.close()
        pair.publisher.close()

    run(main())


def test_a_reader_without_its_writer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_SAY_SECONDS", 0.2)

    async def main() -> None:
        pair = Pair(tmp_path)
        tailer = await pair.start()
        await until(lambda: tailer.connected)
        pair.publisher.close()
        with capture_logs() as entries:
            await until(lambda: bool(entries))
            await asyncio.sleep(0.5)
        assert [entry["event"] for entry in entries] == ["waiting for the writer's stream"]
        assert "could not connect" in entries[0]["reason"]
        tailer.close()

    structlog.reset_defaults()
    run(main())


def test_a_reader_of_another_writer_begins_anew(tmp_path: Path) -> None:
    async def main() -> None:
        pair = Pair(tmp_path)
        tailer = await pair.start()
        await until(lambda: bool(pair.copies))
        pair.publisher._epoch = 4
        state = pair.publisher.readers["r1"]
        assert state.rpc is not None
        state.rpc.connection.abort()
        await until(lambda: len(pair.copies) == 2)
        assert tailer.epoch == 4
        tailer.close()
        pair.publisher.close()

    run(main())


def test_a_reader_does_not_go_back_to_a_writer_that_was_fenced_off(tmp_path: Path) -> None:
    """One that slept through its successor's recovery, at an address that the reader knows."""

    async def main() -> None:
        pair = Pair(tmp_path)
        tailer = await pair.start()
        await until(lambda: tailer.connected)
        listener = pair.publisher._listener
        assert listener is not None
        pair.publisher.close()
        older = LogPublisher(pair.runtime, volume=1, epoch=2, vdl=800, tails=lambda: [(0, 700)])
        await older.serve(listener.address)
        await until(lambda: "fenced off" in tailer.last_error)
        assert (len(pair.copies), tailer.epoch, tailer.vdl, tailer.connected) == (1, 3, 1000, False)
        older.close()
        newer = LogPublisher(pair.runtime, volume=1, epoch=4, vdl=2000, tails=lambda: [(0, 900)])
        await newer.serve(listener.address)
        await until(lambda: len(pair.copies) == 2)
        assert (tailer.epoch, tailer.vdl) == (4, 2000)
        tailer.close()

    run(main())


def test_what_a_reader_may_see_is_kept_from_the_moment_it_comes(tmp_path: Path) -> None:
    async def main() -> None:
        pair = Pair(tmp_path)
        bounds: list[int | None] = []
        pair.publisher.on_reader = lambda: bounds.append(pair.publisher.oldest)
        assert pair.publisher.oldest is None
        await pair.start()
        await until(lambda: pair.copies)
        # The writer was told before the reader was: it pruned nothing in between (a snapshot lost rows).
        assert bounds == [1000]

    run(main())
