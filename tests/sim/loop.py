"""An event loop whose time is virtual: nothing ever waits, the clock jumps to the next timer. One seed, one run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.sim.disk import Died

T = TypeVar("T")


class Deadlock(Exception):
    """Nothing is ready, no timer is set, and the run has not ended."""


class _Jump:
    """Stands where the selector does: waiting is moving the clock."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("every task waits for something that nobody will do")
        self._loop.now += max(timeout, 0.0)
        return []


class SimLoop(asyncio.BaseEventLoop):
    """Callbacks run in the order in which they became ready, timers by time; both depend on the seed's choices only."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        self.failures: list[str] = []
        self.set_exception_handler(self._failed)

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Died):
            return
        self.failures.append(f"{context.get('message')}: {type(error).__name__ if error else ''} {error or ''}")

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(main)
        finally:
            tasks = asyncio.all_tasks(self)
            for task in tasks:
                task.cancel()
            if tasks:
                self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            asyncio.set_event_loop(None)
            self.close()
