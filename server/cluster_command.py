"""`sixfold cluster start | status | stop`."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from sixfold.server import cluster as clusters
from sixfold.server.config import DEFAULT_PORT, MARKER, ConfigError, cache_size
from sixfold.server.processes import stop_all
from sixfold.server.status import cluster_status, wait_answering
from sixfold.wal.volume import TOPOLOGIES

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Option("--dir", help="Folder of the cluster.")]
Names = Annotated[list[str] | None, typer.Argument(help="Daemons, such as node-a1, writer, reader-1; all by default.")]
START_SECONDS = 20.0


def _fail(message: str) -> typer.Exit:
    typer.echo(f"sixfold: {message}", err=True)
    return typer.Exit(1)


def _load(folder: Path) -> clusters.Cluster:
    try:
        return clusters.load(folder.resolve())
    except ConfigError as error:
        raise _fail(str(error)) from error


def sql_port(folder: Path) -> int:
    """The writer's SQL port of the cluster in a folder; the default one when there is none."""
    return _load(folder).shape.port if (folder / "cluster.toml").exists() else DEFAULT_PORT


def _chosen(cluster: clusters.Cluster, names: list[str] | None) -> list[str]:
    unknown = [name for name in names or [] if name not in cluster.names()]
    if unknown:
        raise _fail(f"there is no {unknown[0]}; the daemons are {', '.join(cluster.names())}")
    return [name for name in cluster.names() if not names or name in names]


@app.command()
def start(
    names: Names = None,
    folder: Folder = Path("cluster"),
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=f"The writer's SQL port; {DEFAULT_PORT}.")] = None,
    readers: Annotated[int | None, typer.Option(min=0, max=15, help="How many readers; 0.")] = None,
    topology: Annotated[str | None, typer.Option(help="6x3, 3x3 or 1; 6x3.")] = None,
    cache: Annotated[str | None, typer.Option(help="Cache of each compute process; 256MB.")] = None,
) -> None:
    """Start what is not running; makes the cluster when the folder has none."""
    if topology is not None and topology not in TOPOLOGIES:
        raise _fail(f"--topology {topology!r} is none of {', '.join(TOPOLOGIES)}")
    try:
        size = cache_size(cache or "256MB")
    except ValueError as error:
        raise _fail(f"--cache: {error}") from error
    with _alone(folder):
        if names or (folder / "cluster.toml").exists():
            cluster = _load(folder)
            _same(cluster.shape, port=port, readers=readers, topology=topology, cache=size if cache else None)
        else:
            cluster = _create(folder, port or DEFAULT_PORT, readers or 0, topology or "6x3", size)
        started = _start(cluster, names)
    typer.echo(f"{started} started, {cluster.uri}" if started else f"all running, {cluster.uri}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One command at a time starts daemons of a cluster."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "cluster.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _fail(f"cannot use {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _same(shape: clusters.Shape, **given: Any) -> None:
    """An existing cluster keeps what it was made with."""
    for name, value in given.items():
        kept = getattr(shape, name)
        if value is not None and value != kept:
            raise _fail(f"this cluster was made with --{name} {kept}, not {value}")


def _create(folder: Path, port: int, readers: int, topology: str, cache: int) -> clusters.Cluster:
    if (folder / MARKER).exists():
        raise _fail(f"{folder} was made by sixfold serve; start it with: sixfold serve --data {folder}")
    if not clusters.port_is_free(port):
        raise _fail(f"cannot listen on {clusters.HOST}:{port}: the port is taken by another process")
    try:
        return clusters.create(folder.resolve(), port, readers, topology, cache)
    except ConfigError as error:
        raise _fail(str(error)) from error
    except OSError as error:
        raise _fail(f"cannot use {folder}: {error.strerror}") from error


def _start(cluster: clusters.Cluster, names: list[str] | None) -> int:
    """Start those that are not running, and wait until they answer. How many."""
    dead = [process for process in map(cluster.process, _chosen(cluster, names)) if process.pid() is None]
    for process in dead:
        process.start(cluster.arguments(process.name))
    silent = asyncio.run(wait_answering(cluster, [process.name for process in dead], START_SECONDS))
    if silent:
        # Whoever has ended says why; others may have been on their way.
        said = [(process.pid() is not None, process) for process in dead if process.name in silent]
        runs, process = min(said, key=lambda known: known[0])
        words = process.last_words().removeprefix("sixfold: ")
        raise _fail(words if words and not runs else f"{process.name} does not answer" + f": {words}" * bool(words))
    return len(dead)


@app.command()
def status(
    folder: Folder = Path("cluster"),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Roles, epochs, VDL, each segment's SCL, each reader's lag."""
    found = asyncio.run(cluster_status(_load(folder)))
    typer.echo(json.dumps(found) if as_json else _table(found))


def _table(found: dict[str, Any]) -> str:
    lines = []

    def absent(name: str) -> str:
        return f"hangs (pid {found['silent'][name]})" if name in found["silent"] else "down"

    writer = found["writer"]
    if writer is None:
        lines.append(f"writer       {absent('writer')}")
    else:
        lines.append(
            f"writer       pid {writer['pid']}  epoch {writer['epoch']}  VDL {writer['vdl']}  sessions {writer['sessions']}"
        )
    for node in found["nodes"]:
        state = f"pid {node['pid']}" if node["pid"] else absent(node["name"])
        scls = [
            f"PG {s['group']} SCL {s['scl']} epoch {s['epoch']}" for s in found["segments"] if s["node"] == node["name"]
        ]
        failing = node.get("failure") or "; ".join(node.get("background_failures", {}).values())
        lines.append(
            f"{node['name']:<12} {state}  {node['zone']}  {'; '.join(scls)}"
            + (f"  failing: {failing}" if failing else "")
        )
    for reader in found["readers"]:
        if reader["lag_ms"] is None:
            lines.append(f"{reader['name']:<12} {absent(reader['name'])}")
        else:
            shown = f"epoch {reader['epoch']}  VDL {reader['vdl']}  lag {reader['lag_ms']:.1f} ms"
            lines.append(f"{reader['name']:<12} pid {reader['pid']}  {shown}  port {reader['port']}")
    return "\n".join(lines)


@app.command()
def stop(names: Names = None, folder: Folder = Path("cluster")) -> None:
    """Stop daemons: readers and the writer first, then the nodes."""
    cluster = _load(folder)
    chosen = _chosen(cluster, names)
    running = [name for name in chosen if cluster.process(name).pid() is not None]
    killed = stop_all([cluster.process(name) for name in chosen if not name.startswith("node-")])
    killed += stop_all([cluster.process(name) for name in chosen if name.startswith("node-")])
    if killed:
        typer.echo(f"killed, since they did not stop by themselves: {', '.join(killed)}", err=True)
    typer.echo(f"{len(running)} stopped" if running else "none was running")
