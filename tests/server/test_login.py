"""Who gets in and how a server begins and ends: SCRAM, restarts, one folder a server, one line for an operator's mistake."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from sixfold.server import embedded
from sixfold.server.config import ConfigError, SqlConfig
from sixfold.wal.recovery import RecoveryFailed
from tests.support.postgres import free_port
from tests.support.sixfold import COMMAND, Served

PASSWORD = "it is s3cret, 'quoted' and žluťoučký"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="sixfold-login-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[Served]:
    """Roles are made over a trusted start; then the same folder is served with SCRAM."""
    server = Served(folder, arguments=("--fsync", "off", "--auth", "trust"))
    server.start()
    try:
        with psycopg.connect(server.uri, autocommit=True) as connection:
            quoted = PASSWORD.replace("'", "''")
            connection.execute(f"CREATE ROLE alice LOGIN PASSWORD '{quoted}'")  # type: ignore[call-overload]
            connection.execute("CREATE ROLE bare LOGIN")
            connection.execute("CREATE ROLE group_only PASSWORD 'x'")
            connection.execute("ALTER ROLE postgres PASSWORD 'root'")
            connection.execute("CREATE TABLE kept (a int PRIMARY KEY, b text)")
            connection.execute("INSERT INTO kept VALUES (1, 'one'), (2, NULL)")
        assert server.stop() == 0
        server.arguments = ("--fsync", "off", "--auth", "scram-sha-256")
        server.start()
        yield server
    finally:
        server.stop()


def connect(server: Served, user: str, password: str | None, **more: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host="127.0.0.1", port=server.port, user=user, password=password, dbname="postgres", autocommit=True, **more
    )  # type: ignore[arg-type]


def refusal(server: Served, user: str, password: str) -> str:
    """What psql prints: libpq keeps no SQLSTATE of a failed login."""
    uri = f"host=127.0.0.1 port={server.port} user={user} password='{password}' dbname=postgres"
    done = subprocess.run(
        ["psql", "-X", "-w", "-d", uri, "-v", "VERBOSITY=verbose", "-c", "SELECT 1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    return done.stderr.strip().rpartition("FATAL:  ")[2]


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_the_right_password_lets_in_and_data_outlived_the_restart(guarded: Served, sslmode: str) -> None:
    with connect(guarded, "alice", PASSWORD, sslmode=sslmode) as connection:
        assert connection.execute("SELECT current_user, session_user").fetchone() == ("alice", "alice")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("DELETE FROM kept")
    with connect(guarded, "postgres", "root", sslmode=sslmode) as connection:
        assert connection.execute("SELECT a, b FROM kept ORDER BY a").fetchall() == [(1, "one"), (2, None)]


def test_wrong_password_no_password_and_no_such_role_are_told_the_same(guarded: Served) -> None:
    for user in ("alice", "bare", "nobody_of_that_name"):
        assert refusal(guarded, user, "wrong") == f'password authentication failed for user "{user}"'


def test_a_failed_login_is_28p01(guarded: Served) -> None:
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "alice"'):
        connect(guarded, "alice", "wrong")
    uri = f"postgresql://alice:wrong@127.0.0.1:{guarded.port}/postgres"
    assert sqlstate_of_asyncpg(uri) == "28P01"


def sqlstate_of_asyncpg(uri: str) -> str | None:
    import asyncio

    import asyncpg

    async def run() -> str | None:
        try:
            await asyncpg.connect(uri)
        except asyncpg.PostgresError as error:
            return str(error.sqlstate)
        return None

    return asyncio.run(run())


def test_a_role_that_may_not_log_in_is_told_so_after_its_password(guarded: Served) -> None:
    assert refusal(guarded, "group_only", "x") == 'role "group_only" is not permitted to log in'


def test_a_database_that_is_not_there_is_3d000(guarded: Served) -> None:
    uri = f"postgresql://postgres:root@127.0.0.1:{guarded.port}/nowhere"
    assert sqlstate_of_asyncpg(uri) == "3D000"


def test_a_changed_password_counts_at_once(guarded: Served) -> None:
    with connect(guarded, "postgres", "root") as connection:
        connection.execute("CREATE ROLE fickle LOGIN PASSWORD 'first'")
        connect(guarded, "fickle", "first").close()
        connection.execute("ALTER ROLE fickle PASSWORD 'second'")
        connect(guarded, "fickle", "second").close()
        assert "authentication failed" in refusal(guarded, "fickle", "first")
        connection.execute("DROP ROLE fickle")
        assert "authentication failed" in refusal(guarded, "fickle", "second")


def test_the_catalogue_never_shows_a_password(guarded: Served) -> None:
    with connect(guarded, "postgres", "root") as connection:
        assert connection.execute("SELECT passwd FROM pg_shadow WHERE usename = 'alice'").fetchone() != (PASSWORD,)
        stored = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").fetchone()
        assert stored is not None
        assert str(stored[0]).startswith("SCRAM-SHA-256$4096:")
        assert connection.execute("SELECT rolpassword FROM pg_roles WHERE rolname = 'alice'").fetchone() == (
            "********",
        )


# -- what an operator may do wrong: one line and an exit status


def mistake(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, "serve", *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_second_server_on_a_folder_is_refused(guarded: Served) -> None:
    data = guarded.folder / "data"
    status, said = mistake("--data", str(data), "--port", str(free_port()))
    assert (status, said) == (1, f"sixfold: {data} is in use by another sixfold serve\n")
    connect(guarded, "alice", PASSWORD).close()


def test_a_taken_port_is_refused(guarded: Served, tmp_path: Path) -> None:
    status, said = mistake("--data", str(tmp_path / "other"), "--port", str(guarded.port))
    expected = f"sixfold: cannot listen on 127.0.0.1:{guarded.port}: the port is taken by another process\n"
    assert (status, said) == (1, expected)
    # Before it has made anything.
    assert not (tmp_path / "other" / "zone-a").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "99999"),
        ("--port", "x"),
        ("--topology", "5x5"),
        ("--fsync", "maybe"),
        ("--cache", "much"),
        ("--cache", "5kB"),
        ("--auth", "ident"),
        ("--no-such-option",),
    ],
    ids=lambda given: given[0],
)
def test_a_bad_option_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    status, said = mistake("--data", str(tmp_path / "data"), *arguments)
    assert status == 2
    assert arguments[0] in said or arguments[-1] in said
    assert "Traceback" not in said
    assert not (tmp_path / "data").exists()


def test_a_node_s_file_that_can_not_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data" / "zone-b").mkdir(parents=True)
    (tmp_path / "data" / "zone-b" / "node-2").write_text("in the way")
    status, said = mistake("--data", str(tmp_path / "data"), "--port", str(free_port()))
    assert status == 1
    assert said.startswith(f"sixfold: cannot use {tmp_path / 'data'}")
    assert said.count("\n") == 1


def test_a_folder_that_can_not_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    status, said = mistake("--data", str(tmp_path / "file"), "--port", str(free_port()))
    assert status == 1
    assert said.startswith("sixfold: cannot use ")
    assert said.count("\n") == 1


def test_an_address_that_is_not_ours_is_one_line(tmp_path: Path) -> None:
    status, said = mistake("--data", str(tmp_path / "data"), "--host", "192.0.2.1", "--port", str(free_port()))
    assert status == 1
    assert said.startswith("sixfold: cannot listen on 192.0.2.1:")
    assert said.count("\n") == 1


def test_another_topology_than_the_folder_was_made_with_is_one_line(tmp_path: Path) -> None:
    server = Served(tmp_path, arguments=("--fsync", "off", "--topology", "1"))
    server.start()
    assert server.stop() == 0
    status, said = mistake("--data", str(tmp_path / "data"), "--topology", "6x3", "--port", str(free_port()))
    assert (status, said) == (1, f"sixfold: {tmp_path / 'data'} was made with --topology 1, not 6x3\n")


def test_a_volume_that_can_not_be_recovered_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise RecoveryFailed("what a read quorum had is gone from it")

    monkeypatch.setattr(embedded.Writer, "open", fails)
    config = embedded.EmbeddedConfig(data=str(tmp_path), topology="6x3", fsync=False, sql=SqlConfig())
    with pytest.raises(ConfigError, match="^" + re.escape(f"{tmp_path}: what a read quorum had is gone from it")):
        asyncio.run(embedded.run_embedded(config))


# -- the end


def test_the_folder_of_a_cluster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text("port = 5432\n")
    status, said = mistake("--data", str(tmp_path))
    assert (status, said) == (
        1,
        f"sixfold: {tmp_path} is a cluster's; start it with: sixfold cluster start --dir {tmp_path}\n",
    )


def test_sigterm_ends_it_with_status_0_and_tells_clients_57p01(tmp_path: Path) -> None:
    server = Served(tmp_path, arguments=("--fsync", "off"))
    server.start()
    idle = psycopg.connect(server.uri, autocommit=True)
    idle.execute("CREATE TABLE half (a int)")
    busy = psycopg.connect(server.uri)
    busy.execute("INSERT INTO half VALUES (1)")
    assert server.stop() == 0
    for connection in (idle, busy):
        with pytest.raises(errors.AdminShutdown, match="terminating connection due to administrator command"):
            connection.execute("SELECT 1")
        connection.close()
    server.start()
    try:
        with psycopg.connect(server.uri) as again:
            assert again.execute("SELECT count(*) FROM half").fetchone() == (0,)
    finally:
        assert server.stop() == 0


def test_sigterm_ends_it_while_a_statement_runs(tmp_path: Path) -> None:
    server = Served(tmp_path, arguments=("--fsync", "off"))
    server.start()
    sleeper = subprocess.Popen(
        ["psql", "-X", "-d", server.uri, "-c", "SELECT pg_sleep(60)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    counter = subprocess.Popen(
        [
            "psql",
            "-X",
            "-d",
            server.uri,
            "-c",
            "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with psycopg.connect(server.uri, autocommit=True) as watching:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            row = watching.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'").fetchone()
            if row == (3,):
                break
            time.sleep(0.05)
    assert server.stop() == 0
    for client in (sleeper, counter):
        assert b"terminating connection due to administrator command" in client.communicate(timeout=10)[1]
        assert client.returncode == 2


def test_what_was_acknowledged_outlives_sigkill(tmp_path: Path) -> None:
    server = Served(tmp_path)
    server.start()
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE sure (a int PRIMARY KEY)")
        for number in range(100):
            connection.execute("INSERT INTO sure VALUES (%s)", (number,))
        server.kill()
    server.start()
    try:
        with psycopg.connect(server.uri) as again:
            assert again.execute("SELECT count(*), sum(a) FROM sure").fetchone() == (100, 4950)
    finally:
        assert server.stop() == 0
