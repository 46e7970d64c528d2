"""One entry of `WORK` is all that background work needs: it is begun and ended with its node, and status tells its errors."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sixfold.pagestore import background
from sixfold.pagestore.background import WORK, Background, Work
from sixfold.pagestore.embedded import EmbeddedNodes
from tests.pagestore.test_carried import until
from tests.pagestore.test_embedded import with_cluster


def test_added_work_lives_with_its_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lived: list[str] = []

    async def live(of: Background) -> None:
        name = of._node.config.name
        lived.append(f"{name} begins")
        try:
            await asyncio.Event().wait()
        finally:
            lived.append(f"{name} ends")

    monkeypatch.setattr(background, "WORK", (*WORK, Work("added", live)))

    async def body(cluster: EmbeddedNodes) -> None:
        nodes = cluster.nodes.values()
        wanted = sorted(f"{node.config.name} begins" for node in nodes)
        await until("begun", lambda: sorted(lived) == wanted)
        assert all(node.status()["background_failures"] == {} for node in nodes)

    with_cluster(tmp_path, body)
    begun = [line for line in lived if line.endswith("begins")]
    assert len(begun) == 6 and sorted(lived) == sorted([*begun, *(line.replace("begins", "ends") for line in begun)])


def test_status_tells_errors_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(of: Background) -> None:
        raise ValueError("it was not thought of")

    async def go_on(of: Background) -> None:
        await asyncio.Event().wait()

    full = OSError("no space left on device")
    added = (Work("dying", die), Work("trying", go_on, failure=lambda _: full))
    monkeypatch.setattr(background, "WORK", (*WORK, *added))

    async def body(cluster: EmbeddedNodes) -> None:
        wanted = {"dying": "it was not thought of", "trying": "no space left on device"}
        nodes = cluster.nodes.values()
        await until("told", lambda: all(node.status()["background_failures"] == wanted for node in nodes))

    with_cluster(tmp_path, body)
