"""The writer's log stream to one member."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from sixfold.pagestore import client, wire
from sixfold.pagestore.client import LogSender
from sixfold.wal.real import RealClock
from sixfold.wal.recovery import Recovered
from sixfold.wal.runtime import Runtime
from sixfold.wal.volume import TOPOLOGIES, local_members, make_config


def test_an_acknowledgement_right_behind_the_hello_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that came by gossip is acknowledged just after the answer to hello, which knows nothing of it yet."""
    acknowledged = wire.ACK_HEAD.pack(b"A", 1) + (0).to_bytes(4, "little") + (30).to_bytes(8, "little")

    async def dial(runtime: Runtime, address: str, *, on_raw: Any, **options: Any) -> Any:
        async def call(method: str, params: Any, timeout: float = 0) -> Any:
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            # Both messages are in one read of the socket.
            answer.set_result([(0, 20)])
            on_raw(acknowledged)
            return await answer

        connection = SimpleNamespace(closed=False, buffered=0, abort=lambda: None)
        return SimpleNamespace(call=call, send=lambda message: None, close=lambda: None, connection=connection)

    async def main() -> int:
        config = make_config("6x3", local_members(TOPOLOGIES["6x3"]))
        runtime = Runtime(RealClock(), None, None, random.Random(1))  # type: ignore[arg-type]
        recovered = Recovered(1, "me", 20, 20, [], {0: 20}, {})
        sender = LogSender(runtime, config, recovered, on_vdl=lambda vdl: None, on_fenced=lambda epoch: None)
        sender.send(20, 30, [(0, b"batch")])
        for _ in range(20):
            await asyncio.sleep(0)
        vdl = sender.vdl
        sender.close()
        return vdl

    monkeypatch.setattr(client, "dial", dial)
    assert asyncio.run(main()) == 30


def test_a_member_that_comes_back_with_less_counts_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lost its disk: what recovery knew of it is not so any more."""

    async def dial(runtime: Runtime, address: str, *, on_raw: Any, **options: Any) -> Any:
        async def call(method: str, params: Any, timeout: float = 0) -> Any:
            return [(0, 0 if address.startswith("zone-a") else 20)]

        connection = SimpleNamespace(closed=False, buffered=0, abort=lambda: None)
        return SimpleNamespace(call=call, send=lambda message: None, close=lambda: None, connection=connection)

    async def main() -> list[int]:
        config = make_config("6x3", local_members(TOPOLOGIES["6x3"]))
        runtime = Runtime(RealClock(), None, None, random.Random(1))  # type: ignore[arg-type]
        recovered = Recovered(1, "me", 20, 20, [], {0: 20}, {member: {0: 20} for member in range(6)})
        sender = LogSender(runtime, config, recovered, on_vdl=lambda vdl: None, on_fenced=lambda epoch: None)
        for _ in range(20):
            await asyncio.sleep(0)
        scls = sender.tracker.scls(0)
        sender.close()
        return scls

    monkeypatch.setattr(client, "dial", dial)
    assert asyncio.run(main()) == [0, 0, 20, 20, 20, 20]
