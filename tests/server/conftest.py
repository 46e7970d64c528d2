"""One embedded cluster for the client suites; tests keep apart by table names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sixfold import Served, served


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    with served("--fsync", "off") as running:
        yield running
