"""A cluster of real processes on one machine: six storage nodes, a writer, readers; each can be killed and started by itself.

`cluster.toml` in the cluster's folder is what it should be; `conf/` has one file a daemon, `run/` the process ids, `log/` what they say.
"""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sixfold.pagestore.config import NodeConfig
from sixfold.server.config import (
    DEFAULT_CACHE,
    ConfigError,
    ReaderConfig,
    SqlConfig,
    WriterConfig,
    read_toml,
    write_toml,
)
from sixfold.server.processes import Process
from sixfold.wal.volume import TOPOLOGIES, Member, zone_names

HOST = "127.0.0.1"


class Shape(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What `cluster.toml` says."""

    port: int
    topology: str = "6x3"
    readers: int = 0
    cache: int = DEFAULT_CACHE
    stream: str
    #: Daemon name → the address of its own (nodes: log, pages and status; compute: status).
    addresses: dict[str, str]
    #: SQL port of each reader.
    reader_ports: dict[str, int]


@dataclass(frozen=True)
class Cluster:
    """A folder with a `cluster.toml`."""

    folder: Path
    shape: Shape

    @property
    def uri(self) -> str:
        return f"postgresql://postgres@{HOST}:{self.shape.port}/postgres"

    def names(self) -> list[str]:
        """Every daemon, in the order in which they start."""
        return [*places(self.shape.topology), "writer", *self.shape.reader_ports]

    def process(self, name: str) -> Process:
        return Process(name, self.folder)

    def arguments(self, name: str) -> list[str]:
        kind = "storage-node" if name.startswith("node-") else "writer" if name == "writer" else "reader"
        return [kind, "--config", str(self.conf(name))]

    def control(self, name: str) -> str:
        """Where the daemon tells its status."""
        return self.shape.addresses[name]

    def zone(self, name: str) -> str:
        return places(self.shape.topology)[name][0]

    def conf(self, name: str) -> Path:
        return self.folder / "conf" / f"{name}.toml"


def places(topology: str) -> dict[str, tuple[str, str]]:
    """Daemon name → (zone, folder): `node-a1` keeps its files in `zone-a/node-1`."""
    found = zone_names(TOPOLOGIES[topology])
    return {f"node-{zone[-1]}{node[-1]}": (zone, f"{zone}/{node}") for zone, node in found}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that the system gives to outgoing connections: while a daemon is down, a
    connection that somebody opens must not take its port."""
    found: list[int] = []
    for port in random.sample(range(10000, _first_ephemeral()), 10 * count):
        if port_is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise ConfigError(f"there are not {count} free ports on {HOST}")


def _first_ephemeral() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768


def port_is_free(port: int) -> bool:
    """Whether a daemon could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def load(folder: Path) -> Cluster:
    """An existing cluster. Raises ConfigError."""
    path = folder / "cluster.toml"
    if not path.exists():
        raise ConfigError(f"there is no cluster in {folder}; make one with: sixfold cluster start --dir {folder}")
    return Cluster(folder, read_toml(path, Shape))


def create(folder: Path, port: int, readers: int, topology: str, cache: int) -> Cluster:
    """A new cluster's configuration; nothing is started."""
    names = [f"reader-{i + 1}" for i in range(readers)]
    daemons = [*places(topology), "writer", *names]
    ports = iter(free_ports(len(daemons) + 1 + len(names)))
    addresses = {name: f"{HOST}:{next(ports)}" for name in daemons}
    shape = Shape(
        port=port,
        topology=topology,
        readers=readers,
        cache=cache,
        stream=f"{HOST}:{next(ports)}",
        addresses=addresses,
        reader_ports={name: next(ports) for name in names},
    )
    cluster = Cluster(folder, shape)
    for name in places(topology):
        _write_node(cluster, name)
    _write_compute(cluster)
    write_toml(folder / "cluster.toml", shape)
    return cluster


def members(cluster: Cluster) -> list[Member]:
    shape = cluster.shape
    return [Member(name, zone, shape.addresses[name]) for name, (zone, _) in places(shape.topology).items()]


def _write_node(cluster: Cluster, name: str) -> None:
    zone, folder = places(cluster.shape.topology)[name]
    config = NodeConfig(
        name=name,
        zone=zone,
        address=cluster.shape.addresses[name],
        data=str(cluster.folder / folder),
        peers=[member.address for member in members(cluster) if member.name != name],
    )
    write_toml(cluster.conf(name), config)


def _write_compute(cluster: Cluster) -> None:
    shape, all_members = cluster.shape, members(cluster)
    sql = SqlConfig(host=HOST, port=shape.port, cache=shape.cache)
    writer = WriterConfig(
        data=str(cluster.folder / "writer"),
        topology=shape.topology,
        members=all_members,
        stream=shape.stream,
        control=shape.addresses["writer"],
        sql=sql,
    )
    write_toml(cluster.conf("writer"), writer)
    for name, port in shape.reader_ports.items():
        reader = ReaderConfig(
            data=str(cluster.folder / name),
            name=name,
            topology=shape.topology,
            members=all_members,
            writer=shape.stream,
            control=shape.addresses[name],
            sql=SqlConfig(host=HOST, port=port, cache=shape.cache),
        )
        write_toml(cluster.conf(name), reader)
