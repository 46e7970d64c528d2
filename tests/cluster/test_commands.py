"""`sixfold cluster start | status | stop`, `sixfold psql`, and the daemons as commands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sixfold.server.processes import Process
from tests.support.postgres import free_port
from tests.support.sixfold import COMMAND, Cluster, alive, clustered, ready

pytestmark = pytest.mark.cluster
DAEMONS = {"node-a1", "node-a2", "node-b1", "node-b2", "node-c1", "node-c2", "writer", "reader-1"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustered(readers=1) as running:
        yield running


def sixfold(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60)


def complaint(*arguments: str) -> str:
    """The one line that a command which can't be done leaves."""
    done = sixfold(*arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("sixfold: ")
    return done.stderr


def test_start_starts_only_what_is_dead(cluster: Cluster) -> None:
    assert "all running" in cluster.command("start")
    pids = {name: cluster.pid(name) for name in DAEMONS}
    cluster.kill("node-b2", "reader-1")
    assert cluster.command("start", "node-b2").startswith("1 started")
    assert cluster.command("start").startswith("1 started")
    changed = {name for name in DAEMONS if cluster.pid(name) != pids[name]}
    assert changed == {"node-b2", "reader-1"}


def test_a_writer_names_the_nodes_it_waits_for(cluster: Cluster) -> None:
    log = cluster.folder / "log" / "writer.log"
    before = len(log.read_text())
    cluster.kill("writer", "node-a1", "node-b2", "node-c1")
    cluster.launch("writer")
    deadline = time.monotonic() + 15
    while "waiting for storage nodes" not in log.read_text()[before:]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    said = next(line for line in log.read_text()[before:].splitlines() if "waiting" in line)
    assert all(name in said for name in ("node-a1", "node-b2", "node-c1")) and "node-a2" not in said, said
    assert "3 started" in cluster.command("start")
    # Which waits for those that it starts; the writer was there.
    while not ready(cluster.port):
        assert time.monotonic() < deadline + 15
        time.sleep(0.05)
    with psycopg.connect(cluster.uri) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_status_says_who_is_there(cluster: Cluster) -> None:
    with psycopg.connect(cluster.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE told (a int)")
        deadline = time.monotonic() + 10
        while True:
            found = cluster.status()
            scls = {segment["node"]: segment["scl"] for segment in found["segments"]}
            if set(scls.values()) == {found["writer"]["vdl"]} and found["readers"][0]["vdl"] == found["writer"]["vdl"]:
                break
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
    assert found["writer"]["role"] == "writer"
    assert found["writer"]["sessions"] == 1
    assert len(scls) == 6
    assert {segment["epoch"] for segment in found["segments"]} == {found["writer"]["epoch"]}
    assert {node["zone"] for node in found["nodes"]} == {"zone-a", "zone-b", "zone-c"}
    assert 0 <= found["readers"][0]["lag_ms"] < 1000
    cluster.kill("node-c1")
    lines = {line.split()[0]: line for line in cluster.command("status").splitlines()}
    assert set(lines) == DAEMONS
    assert "down" in lines["node-c1"]
    assert "epoch" in lines["writer"] and "VDL" in lines["writer"]
    assert "SCL" in lines["node-a1"] and "lag" in lines["reader-1"]
    pid = cluster.pid("node-a2")
    cluster.signal(signal.SIGSTOP, "node-a2")
    try:
        lines = {line.split()[0]: line for line in cluster.command("status").splitlines()}
        assert f"hangs (pid {pid})" in lines["node-a2"] and "down" in lines["node-c1"]
    finally:
        cluster.signal(signal.SIGCONT, "node-a2")
    cluster.command("start")


def test_who_can_not_start_says_why_though_others_were_on_their_way(cluster: Cluster) -> None:
    assert cluster.command("stop").strip() == f"{len(DAEMONS)} stopped"
    assert cluster.command("stop").strip() == "none was running"
    address = tomllib.loads((cluster.folder / "conf" / "node-b1.toml").read_text())["address"]
    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        assert f"cannot listen on {address}" in complaint("cluster", "start", "--dir", str(cluster.folder))
    assert "started" in cluster.command("start")


def test_psql_finds_the_cluster(cluster: Cluster) -> None:
    done = sixfold("psql", "--dir", str(cluster.folder), "-XAtc", "SELECT 6 * 7")
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


def test_psql_is_passed_what_the_command_does_not_know(cluster: Cluster, tmp_path: Path) -> None:
    folder = ("--dir", str(cluster.folder))
    assert 'database "none" does not exist' in sixfold("psql", *folder, "none").stderr
    assert 'role "nobody" does not exist' in sixfold("psql", *folder, "-U", "nobody").stderr
    # Where a URI is given, it says where.
    done = sixfold("psql", "--dir", str(tmp_path), cluster.uri, "-XAt", "-v", "n=7", "-c", "SELECT 6 * 7")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_a_daemon_names_what_is_wrong_with_its_file(cluster: Cluster, tmp_path: Path) -> None:
    def changed(name: str, old: str, new: str) -> str:
        text = (cluster.folder / "conf" / f"{name}.toml").read_text()
        assert old in text
        path = tmp_path / f"{name}.toml"
        path.write_text(text.replace(old, new))
        return complaint("storage-node" if name.startswith("node") else "writer", "--config", str(path))

    assert "unknown field `memroy_bytes`" in changed("node-a1", "memory_bytes", "memroy_bytes")
    assert "$.layers_max" in changed("node-a1", "layers_max = 8", "layers_max = 0")
    assert '"here" is not an address' in changed("node-a1", 'address = "127.0.0.1:', 'address = "here" # ')
    assert '"there" is not an address' in changed("node-a1", 'peers = ["', 'peers = ["there", "')
    assert '"here" is not an address' in changed("writer", 'stream = "127.0.0.1:', 'stream = "here" # ')
    assert "topology '7x7' is none of 6x3, 3x3, 1" in changed("writer", '"6x3"', '"7x7"')
    assert "$.sql.port" in changed("writer", f"port = {cluster.port}", "port = 99999")
    assert "$.sql.cache" in changed("writer", "cache = ", "cache = 1 # ")
    (tmp_path / "latin").write_bytes(b'name = "n\xe9"\n')
    assert "can't decode byte 0xe9" in complaint("storage-node", "--config", str(tmp_path / "latin"))


def test_daemons_say_where_they_are(cluster: Cluster) -> None:
    logs = {name: (cluster.folder / "log" / f"{name}.log").read_text() for name in ("node-a1", "writer", "reader-1")}
    assert "storage node node-a1 listens on 127.0.0.1:" in logs["node-a1"]
    assert cluster.uri in logs["writer"]
    assert cluster.reader_uri("reader-1") in logs["reader-1"]


def test_what_can_not_be_done_is_one_line(cluster: Cluster, tmp_path: Path) -> None:
    folder = str(cluster.folder)
    missing = str(tmp_path / "none")
    assert "there is no cluster" in complaint("cluster", "status", "--dir", missing)
    assert "there is no cluster" in complaint("cluster", "stop", "--dir", missing)
    assert "there is no node-x" in complaint("cluster", "start", "node-x", "--dir", folder)
    assert "--port" in complaint("cluster", "start", "--dir", folder, "--port", "1")
    assert "--topology" in complaint("cluster", "start", "--dir", missing, "--topology", "7x7")
    assert "--cache: a cache of 5kB is too small" in complaint("cluster", "start", "--dir", missing, "--cache", "5kB")
    assert not Path(missing).exists()
    assert "missing: --name" in complaint("reader")
    assert "No such" in complaint("writer", "--nonsense")
    assert "is in use" in complaint("storage-node", "--config", f"{folder}/conf/node-a1.toml")
    # A second writer by mistake finds what is in its way before it could fence the first one off.
    epoch = cluster.status()["writer"]["epoch"]
    control, port = ("--control", f"127.0.0.1:{free_port()}"), ("--port", str(free_port()))
    for own in ((), control, control + port):
        assert "taken" in complaint("writer", "--config", f"{folder}/conf/writer.toml", *own)
    (tmp_path / "file").touch()
    stream = ("--stream", f"127.0.0.1:{free_port()}", "--data", str(tmp_path / "file"))
    assert "cannot use" in complaint("writer", "--config", f"{folder}/conf/writer.toml", *control, *port, *stream)
    assert cluster.status()["writer"]["epoch"] == epoch
    (tmp_path / "sixfold.toml").write_text('topology = "6x3"\n')
    assert "made by sixfold serve" in complaint("cluster", "start", "--dir", str(tmp_path))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert "taken" in complaint("cluster", "start", "--dir", missing, "--port", port)
        assert "taken" in complaint("serve", "--data", str(tmp_path / "data"), "--port", port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_daemon_cleanly(cluster: Cluster, number: signal.Signals) -> None:
    # Without TLS: libpq drops what it has not read yet when a TLS connection breaks.
    plain = "?sslmode=disable"
    with psycopg.connect(cluster.uri + plain) as connection, psycopg.connect(cluster.reader_uri("reader-1")):
        for name in ("reader-1", "writer", "node-a2"):
            pid = cluster.pid(name)
            before = (cluster.folder / "log" / f"{name}.log").read_text()
            cluster.signal(number, name)
            deadline = time.monotonic() + 5
            while alive(pid):
                assert time.monotonic() < deadline, f"{name} does not stop"
                time.sleep(0.01)
            said = (cluster.folder / "log" / f"{name}.log").read_text().removeprefix(before)
            assert "Traceback" not in said, said
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
    assert cluster.command("start").startswith("3 started")


def test_stop_and_start_keep_everything(cluster: Cluster) -> None:
    with psycopg.connect(cluster.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) AS i")
    pids = [cluster.pid(name) for name in DAEMONS]
    assert cluster.command("stop") == "8 stopped\n"
    assert not any(alive(pid) for pid in pids)
    assert cluster.status()["writer"] is None
    assert cluster.command("start").startswith("8 started")
    for uri in (cluster.uri, cluster.reader_uri("reader-1")):
        with psycopg.connect(uri) as connection:
            assert connection.execute("SELECT sum(i) FROM kept").fetchone() == (500500,)


def test_what_a_daemon_said_before_is_not_taken_for_its_last_words(tmp_path: Path) -> None:
    process = Process("writer", tmp_path)
    (tmp_path / "log").mkdir()
    process.log_file.write_text("it ran here before\n")
    pid = process.start(["--version"])
    os.waitpid(pid, 0)
    assert process.last_words().startswith("sixfold ")
    pid = process.start(["serve", "--port", "none"])
    os.waitpid(pid, 0)
    assert process.last_words().startswith("sixfold: Invalid value for '--port'")
