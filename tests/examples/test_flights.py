"""The flights example, as its README says, against Sixfold and against PostgreSQL 15: every row is the same."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.flights import with_asyncpg, with_psycopg
from tests.support.postgres import Postgres, postgres
from tests.support.sixfold import Served, served

FOLDER = Path(with_psycopg.__file__).parent


@pytest.fixture(scope="module")
def ours() -> Iterator[Served]:
    with served("--fsync", "off") as server:
        with_psycopg.load(server.uri)
        yield server


@pytest.fixture(scope="module")
def theirs() -> Iterator[Postgres]:
    with postgres() as server:
        with_psycopg.load(server.uri)
        yield server


def test_psycopg_gets_the_same_answers(ours: Served, theirs: Postgres) -> None:
    assert with_psycopg.answers(ours.uri) == with_psycopg.answers(theirs.uri)


def test_asyncpg_gets_the_same_answers(ours: Served, theirs: Postgres) -> None:
    assert asyncio.run(with_asyncpg.answers(ours.uri)) == asyncio.run(with_asyncpg.answers(theirs.uri))


def test_node_pg_gets_the_same_answers(ours: Served, theirs: Postgres, tmp_path: Path) -> None:
    for name in ("package.json", "with_node.js", "queries.sql"):
        shutil.copy(FOLDER / name, tmp_path / name)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=tmp_path, check=True)

    def answers(uri: str) -> dict[str, list[list[str]]]:
        done = subprocess.run(["node", "with_node.js", uri], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, list[list[str]]] = json.loads(done.stdout)
        return found

    assert answers(ours.uri) == answers(theirs.uri)
