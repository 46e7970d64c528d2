"""The console command `sixfold`."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import shutil
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop

from sixfold.pagestore.config import NodeConfig
from sixfold.server.auth import AuthMethod
from sixfold.server.config import (
    DEFAULT_PORT,
    ConfigError,
    ReaderConfig,
    SqlConfig,
    WriterConfig,
    cache_size,
    merge,
)
from sixfold.wal.volume import TOPOLOGIES

app = typer.Typer(
    name="sixfold",
    help="An open, self-hosted database of the Amazon Aurora kind, in PostgreSQL's language.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _size(text: str) -> int:
    try:
        return cache_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _topology(text: str) -> str:
    if text not in TOPOLOGIES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(TOPOLOGIES)}")
    return text


def _switch(text: str) -> str:
    if text not in ("on", "off"):
        raise typer.BadParameter("say on or off")
    return text


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"{text!r} is not host:port")
    return text


Data = Annotated[Path, typer.Option("--data", help="Folder of the data.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="SQL port; 0 picks a free one.")]
Cache = Annotated[str, typer.Option("--cache", help="Cache of pages.")]
Auth = Annotated[AuthMethod | None, typer.Option("--auth", help="Default: trust on a loopback address.")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file; options given here override it.")]
Settings = Annotated[
    list[str] | None, typer.Option("-c", metavar="NAME=VALUE", help="A setting of the server; repeat it.")
]
Members = Annotated[
    list[str] | None, typer.Option("--member", help="NAME,ZONE,HOST:PORT of each storage node; repeat it.")
]


def finish(message: str, status: int = 1) -> NoReturn:
    """One line for the person at the keyboard, and an exit status."""
    typer.echo(f"sixfold: {message}", err=True)
    raise typer.Exit(status)


def _module(module: str) -> Any:
    """A command's own module: what it brings with it takes long to import, and the other commands do without."""
    return importlib.import_module(f"sixfold.server.{module}")


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a daemon to its end; what an operator must act on is one line."""
    gc.freeze()
    gc.enable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    except ConfigError as error:
        finish(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _version(asked: bool) -> None:
    if asked:
        # It takes a while to import, and few ask.
        metadata = importlib.import_module("importlib.metadata")
        typer.echo(f"sixfold {metadata.version('sixfold')}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
    ] = False,
) -> None:
    """An open, self-hosted database of the Amazon Aurora kind, in PostgreSQL's language."""


@app.command()
def serve(
    data: Data = Path("data"),
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    topology: Annotated[str, typer.Option(callback=_topology, help="Copies x zones: 6x3, 3x3 or 1.")] = "6x3",
    fsync: Annotated[str, typer.Option(callback=_switch, help="off: a crash of the machine may lose commits.")] = "on",
    cache: Cache = "256MB",
    auth: Auth = None,
    setting: Settings = None,
) -> None:
    """Serve an embedded cluster: one process, with the storage nodes inside it."""
    sql = SqlConfig(host=host, port=port, cache=_size(cache), auth=auth, settings=setting or [])
    embedded = _module("embedded")
    config = embedded.EmbeddedConfig(data=str(data), topology=topology, fsync=fsync == "on", sql=sql)
    run(embedded.run_embedded(config))


@app.command("storage-node")
def storage_node(
    config: Config = None,
    name: Annotated[str | None, typer.Option(help="Its name in the volume.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its zone.")] = None,
    listen: Annotated[str | None, typer.Option(help="host:port where it listens.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of its files.")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="host:port of each other node; repeat it.")] = None,
    fsync: Annotated[str | None, typer.Option(help="on or off.")] = None,
) -> None:
    """Run one storage node."""
    given: dict[str, Any] = {"name": name, "zone": zone, "peers": peer}
    given["address"] = _address(listen) if listen else None
    given["data"] = str(data) if data else None
    given["fsync"] = _switch(fsync) == "on" if fsync else None
    run(_module("storage_node").run_node(_merged(NodeConfig, config, given, ("name", "address", "data"))))


def _sql(
    host: str | None, port: int | None, cache: str | None, auth: str | None, settings: list[str] | None
) -> dict[str, Any]:
    """The `[sql]` part of a daemon's configuration, as far as it was said on the command line."""
    return {
        "host": host,
        "port": port,
        "cache": _size(cache) if cache else None,
        "auth": auth,
        "settings": settings,
    }


@app.command()
def writer(
    config: Config = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder for its certificate.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the SQL port.")] = None,
    port: Annotated[int | None, typer.Option(help="SQL port.")] = None,
    stream: Annotated[str | None, typer.Option(help="host:port where readers get the log.")] = None,
    control: Annotated[str | None, typer.Option(help="host:port where it tells its status.")] = None,
    member: Members = None,
    topology: Annotated[str | None, typer.Option(help="6x3, 3x3 or 1.")] = None,
    cache: Annotated[str | None, typer.Option(help="Cache of pages.")] = None,
    auth: Auth = None,
    setting: Settings = None,
) -> None:
    """Run the writer of a volume."""
    given: dict[str, Any] = {
        "data": str(data) if data else None,
        "stream": _address(stream) if stream else None,
        "control": _address(control) if control else None,
        "members": _members(member),
        "topology": _topology(topology) if topology else None,
        "sql": _sql(host, port, cache, auth, setting),
    }
    run(_module("daemons").run_writer(_merged(WriterConfig, config, given, ("data", "members"))))


@app.command()
def reader(
    config: Config = None,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder for its certificate.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the SQL port.")] = None,
    port: Annotated[int | None, typer.Option(help="SQL port.")] = None,
    writer: Annotated[str | None, typer.Option(help="host:port of the writer's stream.")] = None,
    control: Annotated[str | None, typer.Option(help="host:port where it tells its status.")] = None,
    member: Members = None,
    topology: Annotated[str | None, typer.Option(help="6x3, 3x3 or 1.")] = None,
    cache: Annotated[str | None, typer.Option(help="Cache of pages.")] = None,
    auth: Auth = None,
    setting: Settings = None,
) -> None:
    """Run a reader of a volume."""
    given: dict[str, Any] = {
        "name": name,
        "data": str(data) if data else None,
        "writer": _address(writer) if writer else None,
        "control": _address(control) if control else None,
        "members": _members(member),
        "topology": _topology(topology) if topology else None,
        "sql": _sql(host, port, cache, auth, setting),
    }
    run(_module("daemons").run_reader(_merged(ReaderConfig, config, given, ("name", "data", "members", "writer"))))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--dir", help="Folder of a cluster.")] = Path("cluster"),
    host: Annotated[str, typer.Option("--host", "-h", help="Address of the server.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", "-p", help="SQL port; that of the cluster in --dir, or 5432.")
    ] = None,
) -> None:
    """Open psql on the cluster; all else is passed on to it."""
    found = shutil.which("psql")
    if found is None:
        finish("psql is not installed; apt-get install postgresql-client")
    if port is None:
        port = _module("cluster_command").sql_port(folder)
    sys.stdout.flush()
    # By the environment, so that a database's name, a URI or psql's own options in what is passed on say otherwise.
    kept = {name: value for name, value in os.environ.items() if name not in ("PGSERVICE", "PGHOSTADDR")}
    where = {"PGHOST": host, "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
    os.execve(found, [found, *context.args], kept | where)


def _members(given: list[str] | None) -> list[dict[str, str]] | None:
    if not given:
        return None
    found = []
    for text in given:
        parts = text.split(",")
        if len(parts) != 3:
            raise typer.BadParameter(f"{text!r} is not NAME,ZONE,HOST:PORT")
        found.append({"name": parts[0], "zone": parts[1], "address": _address(parts[2])})
    return found


def _merged(kind: type[Any], path: Path | None, given: dict[str, Any], required: tuple[str, ...]) -> Any:
    """Options over the file over defaults."""
    try:
        return merge(kind, path, given, required)
    except ConfigError as error:
        finish(str(error), 2)


# Base of all that is wrong with a command line; typer has it under different names in different versions.
UsageError: Any = typer.BadParameter.__base__


def _prepare(asked: str) -> None:
    """The command that is asked for, or all of them. typer evaluates every option of every command that it knows: 10 ms."""
    commands = app.registered_commands
    chosen = [command for command in commands if asked == (command.name or getattr(command.callback, "__name__", ""))]
    if chosen:
        app.registered_commands = chosen
    else:
        cluster = _module("cluster_command").app
        app.add_typer(cluster, name="cluster", help="A cluster of real processes on this machine.")


def main() -> NoReturn:
    """Run the command; a bad option is one line."""
    _prepare(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        status = app(standalone_mode=False)
    except UsageError as error:
        text = error.format_message()
        typer.echo(text if "\n" in text else f"sixfold: {text}", err=True)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
