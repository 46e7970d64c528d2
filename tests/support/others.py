"""Another client of a server, which asks little and is to be answered soon whatever else goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

PAUSE_SECONDS = 0.003


@contextmanager
def others_are_answered(uri: str, within_s: float, at_least: int = 1) -> Iterator[None]:
    """While the block runs, small statements of another connection are answered at least so often, and never later than that: one that
    the server knows, and each time one that it has never seen."""
    waited: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        with psycopg.connect(uri, autocommit=True) as other:
            while not ended.is_set():
                for text in ("SELECT 1", f"SELECT 1 AS number_{time.monotonic_ns()}"):
                    began = time.monotonic()
                    other.execute(text)  # type: ignore[call-overload]
                    waited.append(time.monotonic() - began)
                time.sleep(PAUSE_SECONDS)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()
    assert len(waited) >= at_least
    assert max(waited) < within_s
