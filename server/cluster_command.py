"""`sixfold cluster start | status | stop`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sixfold.server import cluster as clusters
from sixfold.server.config import DEFAULT_PORT, ConfigError
from sixfold.server.processes import Process, stop_all
from sixfold.server.sizes import parse_size
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


def _chosen(cluster: clusters.Cluster, names: list[str] | None) -> list[str]:
    unknown = [name for name in names or [] if name not in cluster.names()]
    if unknown:
        raise _fail(f"there is no {unknown[0]}; the daemons are {', '.join(cluster.names())}")
    return [name for name in cluster.names() if not names or name in names]


@app.command()
def start(
    names: Names = None,
    folder: Folder = Path("cluster"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The writer's SQL port.")] = DEFAULT_PORT,
    readers: Annotated[int, typer.Option(min=0, max=15, help="How many readers.")] = 0,
    topology: Annotated[str, typer.Option(help="6x3, 3x3 or 1.")] = "6x3",
    cache: Annotated[str, typer.Option(help="Cache of each compute process.")] = "256MB",
) -> None:
    """Start what is not running; makes the cluster when the folder has none."""
    if topology not in TOPOLOGIES:
        raise _fail(f"--topology {topology!r} is none of {', '.join(TOPOLOGIES)}")
    try:
        size = parse_size(cache)
    except ValueError as error:
        raise _fail(str(error)) from error
    if (folder / "cluster.toml").exists():
        cluster = _load(folder)
    else:
        cluster = clusters.create(folder.resolve(), port, readers, topology, size)
    started = []
    for name in _chosen(cluster, names):
        process = cluster.process(name)
        if process.pid() is None:
            process.start(cluster.arguments(name))
            started.append(process)
    failed = asyncio.run(wait_answering(cluster, [p.name for p in started], START_SECONDS))
    if failed:
        _complain(cluster.process(failed[0]), stopped=[])
    typer.echo(f"{len(started)} started, {cluster.uri}" if started else f"all running, {cluster.uri}")


def _complain(process: Process, stopped: list[Process]) -> None:
    stop_all(stopped)
    said = process.last_words()
    raise _fail(f"{process.name} does not answer" + (f"; it said:\n{said}" if said else ""))


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
    writer = found["writer"]
    if writer is None:
        lines.append("writer       down")
    else:
        lines.append(
            f"writer       pid {writer['pid']}  epoch {writer['epoch']}  VDL {writer['vdl']}  sessions {writer['sessions']}"
        )
    for node in found["nodes"]:
        state = f"pid {node['pid']}" if node["pid"] else "down"
        scls = [
            f"PG {s['group']} SCL {s['scl']} epoch {s['epoch']}" for s in found["segments"] if s["node"] == node["name"]
        ]
        lines.append(f"{node['name']:<12} {state}  {node['zone']}  {'; '.join(scls)}")
    for reader in found["readers"]:
        if reader["pid"] is None:
            lines.append(f"{reader['name']:<12} down")
        else:
            lines.append(
                f"{reader['name']:<12} pid {reader['pid']}  VDL {reader['vdl']}  lag {reader['lag_ms']:.1f} ms  port {reader['port']}"
            )
    return "\n".join(lines)


@app.command()
def stop(names: Names = None, folder: Folder = Path("cluster")) -> None:
    """Stop daemons: readers and the writer first, then the nodes."""
    cluster = _load(folder)
    chosen = _chosen(cluster, names)
    killed = stop_all([cluster.process(name) for name in chosen if not name.startswith("node-")])
    killed += stop_all([cluster.process(name) for name in chosen if name.startswith("node-")])
    if killed:
        typer.echo(f"killed, since they did not stop by themselves: {', '.join(killed)}", err=True)
    typer.echo(f"{len(chosen)} stopped")
