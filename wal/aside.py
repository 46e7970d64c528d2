"""Long work in Python, beside the event loop: in a thread of its own, which can be interrupted at any point. Who waits for it goes on
at once then; the thread ends when the call of C that it is in does.

The interpreter passes the GIL on every SWITCH_SECONDS, so the loop goes on beside it, a little slower. What would hold the GIL for longer
must not happen there or afterwards: a full garbage collection while a large tree lives (`without_full_collections`), a large tree that is
freed at once (`sixfold.engine.trees`), one call of C that takes long.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from .runtime import Interrupted

SWITCH_SECONDS = 0.001
# Trees that lean to one side are walked by recursion: PostgreSQL takes about 4,000 levels, some functions deep each.
STACK_BYTES = 256 << 20
POOL_STACK_BYTES = 64 << 20
RECURSION = 100_000
# An interrupt that fell where exceptions are ignored (a destructor) is sent again after this long.
AGAIN_SECONDS = 0.1
NEVER = 1 << 30


class _Collections:
    """How many want no full collections."""

    def __init__(self) -> None:
        self.count = 0
        self.usual = gc.get_threshold()


_collections = _Collections()


@contextmanager
def without_full_collections() -> Iterator[None]:
    """Young objects are collected all the same. Only on the loop's thread."""
    if _collections.count == 0:
        _collections.usual = gc.get_threshold()
        gc.set_threshold(_collections.usual[0], _collections.usual[1], NEVER)
    _collections.count += 1
    try:
        yield
    finally:
        _collections.count -= 1
        if _collections.count == 0:
            gc.set_threshold(*_collections.usual)


def prepare_process() -> None:
    """Once in a process whose loop has such work done. What is planned there may be deep where it runs, too."""
    sys.setswitchinterval(SWITCH_SECONDS)
    sys.setrecursionlimit(RECURSION)
    threading.stack_size(POOL_STACK_BYTES)


class Thread:
    """`Aside` in a thread of its own. From the loop's thread only."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._ident: int | None = None
        self._over = False
        self._interrupted = False
        self._done: asyncio.Future[Any] | None = None
        self._calm = ExitStack()

    async def run(self) -> Any:
        """See Aside."""
        loop = asyncio.get_running_loop()
        self._done = done = loop.create_future()
        self._calm.enter_context(without_full_collections())
        before = threading.stack_size(STACK_BYTES)
        try:
            threading.Thread(target=self._main, args=(loop,), name="aside", daemon=True).start()
        except RuntimeError:
            self._calm.close()
            raise
        finally:
            threading.stack_size(before)
        try:
            return await done
        except asyncio.CancelledError:
            self.interrupt()
            raise

    def is_over(self) -> bool:
        """See Aside."""
        return self._over

    def interrupt(self) -> None:
        """See Aside."""
        with self._lock:
            self._interrupted = True
            if self._over:
                return
            if self._ident is not None:
                _raise_in(self._ident, Interrupted)
        self._deliver(None, Interrupted())
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, self.interrupt)

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        outcome: tuple[Any, BaseException | None] | None = None
        while True:
            try:
                outcome = outcome or self._attempt()
                with self._lock:
                    # None is raised from here on: one that is under way is taken back.
                    _raise_in(threading.get_ident(), None)
                    self._over = True
                break
            except Interrupted as error:
                outcome = (None, error)
        # Who was interrupted may keep this for long.
        del self._work
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._ended, *outcome)

    def _ended(self, value: Any, error: BaseException | None) -> None:
        self._calm.close()
        self._deliver(value, error)

    def _deliver(self, value: Any, error: BaseException | None) -> None:
        """The first outcome counts: whoever waits may have been told already."""
        if self._done is None or self._done.done():
            return
        if error is None:
            self._done.set_result(value)
        else:
            self._done.set_exception(error)

    def _attempt(self) -> tuple[Any, BaseException | None]:
        with self._lock:
            if self._interrupted:
                raise Interrupted
            self._ident = threading.get_ident()
        try:
            return self._work(), None
        except Exception as error:
            return None, error


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
