"""PostgreSQL's JDBC driver is answered as by a PostgreSQL 15: metadata, prepared statements, batches, cursors, COPY."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Postgres, available, postgres
from tests.support.sixfold import served

# Debian's libpostgresql-jdbc-java.
DRIVER = Path("/usr/share/java/postgresql.jar")
PROGRAM = Path(__file__).parent / "jdbc" / "Answers.java"

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not available(), reason="postgresql-15 is not installed"),
    pytest.mark.skipif(
        not DRIVER.exists() or shutil.which("javac") is None, reason="the JDBC driver or Java is missing"
    ),
]
# The second prepares everything by name from the first time on.
OPTIONS = ["", "&prepareThreshold=1", "&preferQueryMode=simple", "&reWriteBatchedInserts=true&autosave=always"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jdbc")
    subprocess.run(["javac", "-cp", str(DRIVER), "-d", str(folder), str(PROGRAM)], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def theirs() -> Iterator[Postgres]:
    with postgres({"fsync": "off"}) as running:
        yield running


def answers(compiled: Path, uri: str, options: str) -> list[str]:
    address = uri.replace("postgresql://postgres@", "jdbc:postgresql://") + "?user=postgres" + options
    command = ["java", "-cp", f"{compiled}:{DRIVER}", "Answers", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("options", OPTIONS)
def test_jdbc_is_answered_as_by_postgresql(compiled: Path, theirs: Postgres, options: str) -> None:
    with served("--fsync", "off") as ours:
        found = answers(compiled, ours.uri, options)
    with psycopg.connect(theirs.uri) as connection:
        connection.execute("drop table if exists jchild, jparent cascade")
    expected = answers(compiled, theirs.uri, options)
    assert len(expected) > 80
    assert [pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]] == []
    assert len(found) == len(expected)
