"""Another client of a server, which asks little and is to be answered soon whatever else goes on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

PAUSE_SECONDS = 0.003


@contextmanager
def others_are_answered(uri: str, within_s: float, at_least: int = 1) -> Iterator[None]:
    """While the block runs, small statements of another connection are answered at least so often, and never later than that (on a
    machine whose cores are wanted by more than one each, as many times later): one that the server knows, and each time one that it has
    never seen."""
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
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert max(waited) < within_s * crowd, f"{max(waited):.2f} s, with {crowd:.1f} for each core"
