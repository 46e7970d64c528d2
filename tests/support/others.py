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
    """While the block runs, `SELECT 1` of another connection is answered at least so often, and never later than that."""
    waited: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        with psycopg.connect(uri, autocommit=True) as other:
            while not ended.is_set():
                began = time.monotonic()
                other.execute("SELECT 1")
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
