"""Page reads while a member does not answer: who is asked instead, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sixfold.pagestore import wire
from sixfold.pagestore.reader import PageReader
from sixfold.wal.runtime import ConnectionLost
from sixfold.wal.volume import TOPOLOGIES, local_members, make_config
from tests.sim.world import World

CONFIG = make_config("6x3", local_members(TOPOLOGIES["6x3"]))
PAGE = bytes(8192)


class Member:
    """A connection to a storage node that has every page."""

    closed = False
    buffered = 0
    peer = "member"

    def __init__(self, net: Net, address: str) -> None:
        self.net, self.address = net, address

    def start(self, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self.on_message, self.on_close = on_message, on_close

    def send(self, message: bytes) -> None:
        number, _, _, _, pages = wire.parse_read(message)
        answer = wire.PAGES_HEAD.pack(b"P", number) + (b"\0" + PAGE) * len(pages)
        quickest = self.address == self.net.quickest
        if not (quickest and self.net.silent):
            asyncio.get_running_loop().call_later(0.0005 if quickest else 0.001, self.on_message, answer)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.close()
        self.on_close()


class Net:
    """All members answer, one quicker than the others; then packets to that one get lost."""

    def __init__(self, quickest: str) -> None:
        self.quickest = quickest
        self.silent = False
        self.made: list[Member] = []

    async def connect(self, address: str, timeout: float = 5.0) -> Any:
        if address == self.quickest and self.silent:
            await asyncio.sleep(timeout)
            raise ConnectionLost("timed out")
        self.made.append(Member(self, address))
        return self.made[-1]

    def fall_silent(self, noticed: bool) -> None:
        """`noticed`: TCP has given its connection up."""
        self.silent = True
        for member in self.made:
            if member.address == self.quickest and noticed:
                member.abort()


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("noticed", [False, True], ids=["hangs", "cut off"])
def test_a_member_that_says_nothing_is_not_asked_first_again_and_again(bulk: bool, noticed: bool) -> None:
    world = World(1)
    runtime = world.host("reader").boot()
    net = Net(CONFIG.members[0].address)
    reader = PageReader(replace(runtime, net=net), CONFIG, tail=lambda _: 0)
    clock = runtime.clock

    async def read(until: float) -> int:
        count = 0
        while clock.monotonic() < until:
            assert await reader.read([7, 8], 100, bulk=bulk) == [PAGE, PAGE]
            count += 1
        return count

    async def all_read() -> int:
        return sum(await asyncio.gather(*(read(clock.monotonic() + 3.0) for _ in range(4))))

    before = world.loop.run_until_complete(all_read())
    net.fall_silent(noticed)
    # Who waits when it happens, and a probe now and then.
    after = world.loop.run_until_complete(all_read())
    assert after > before / 3, f"{before} reads, then {after}"
