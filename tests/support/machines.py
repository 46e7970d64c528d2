"""Machines of a network of their own: network namespaces of this machine (ip-netns(8)), each with one address, joined by a bridge in
another namespace. A machine can be cut off as a pulled cable does it: nobody is told, packets are lost. Needs root and Debian's iproute2.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.pagestore.config import NodeConfig
from sixfold.server.auth import AuthMethod
from sixfold.server.cluster import places
from sixfold.server.config import ReaderConfig, SqlConfig, WriterConfig, write_toml
from sixfold.wal.volume import Member

CLONE_NEWNET = 0x40000000
# A hardware address that no machine has.
NOBODY = "02:00:00:00:00:01"
SQL_PORT, NODE_PORT, STREAM_PORT, CONTROL_PORT = 5432, 7001, 5433, 5435
NODES = tuple(places("6x3"))


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def available() -> bool:
    """Whether this user may make network namespaces here, with bridges in them."""
    name = f"sixfold-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
    except (OSError, RuntimeError):
        return False
    try:
        _ip("-n", name, "link", "add", "bridge", "type", "bridge")
    except RuntimeError:
        return False
    finally:
        _ip("netns", "del", name)
    return True


@dataclass
class Machine:
    """One daemon of a cluster, with its own address."""

    name: str
    number: int
    folder: Path
    config: NodeConfig | WriterConfig | ReaderConfig | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"10.77.0.{self.number}"

    @property
    def namespace(self) -> str:
        return f"sixfold-{os.getpid()}-{self.name}"

    @property
    def uri(self) -> str:
        return f"postgresql://postgres@{self.host}:{SQL_PORT}/postgres"

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes in the block are of this machine."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(path: str, home: int | None = None) -> None:
            place = os.open(path, os.O_RDONLY) if home is None else home
            try:
                if libc.setns(place, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {path}")
            finally:
                os.close(place)

        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter(f"/run/netns/{self.namespace}")
        try:
            yield
        finally:
            enter("home", home)

    def start(self) -> None:
        kind = {NodeConfig: "storage-node", WriterConfig: "writer", ReaderConfig: "reader"}[type(self.config)]
        conf = self.folder / f"{self.name}.toml"
        write_toml(conf, self.config)
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-m", "sixfold.server", kind]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--config", str(conf)], stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        """`ip netns exec` becomes the daemon: the pid is its own."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


@dataclass
class Network:
    """Six storage nodes and compute nodes, each on a machine; nothing of it is reachable from outside."""

    folder: Path
    machines: dict[str, Machine] = field(default_factory=dict)

    @property
    def hub(self) -> str:
        return f"sixfold-{os.getpid()}-hub"

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def build(self, compute: tuple[str, ...]) -> None:
        _ip("netns", "add", self.hub)
        _ip("-n", self.hub, "link", "add", "hub", "type", "bridge")
        _ip("-n", self.hub, "link", "set", "hub", "up")
        for number, name in enumerate((*NODES, *compute), start=1):
            self._connect(Machine(name, number, self.folder))
        members = self._members()
        for name in NODES:
            peers = [member.address for member in members if member.name != name]
            at = f"{self[name].host}:{NODE_PORT}"
            zone, folder = places("6x3")[name]
            self[name].config = NodeConfig(
                name=name, zone=zone, address=at, peers=peers, data=str(self.folder / folder)
            )

    def _members(self) -> list[Member]:
        return [Member(name, places("6x3")[name][0], f"{self[name].host}:{NODE_PORT}") for name in NODES]

    def _connect(self, machine: Machine) -> None:
        self.machines[machine.name] = machine
        space = machine.namespace
        _ip("netns", "add", space)
        _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", self.hub, "link", "add", machine.name, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", self.hub, "link", "set", machine.name, "master", "hub", "up")
        _ip("-n", space, "addr", "add", f"{machine.host}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")

    def writer(self, name: str) -> Machine:
        """The machine of this name, to be a writer."""
        machine = self[name]
        machine.config = WriterConfig(
            members=self._members(), stream=f"{machine.host}:{STREAM_PORT}", **self._compute(machine)
        )
        return machine

    def reader(self, name: str, writer: str) -> Machine:
        machine = self[name]
        machine.config = ReaderConfig(
            name=name, members=self._members(), writer=f"{self[writer].host}:{STREAM_PORT}", **self._compute(machine)
        )
        return machine

    def _compute(self, machine: Machine) -> dict[str, Any]:
        sql = SqlConfig(host=machine.host, port=SQL_PORT, auth=AuthMethod.TRUST)
        return {"data": str(self.folder / machine.name), "control": f"{machine.host}:{CONTROL_PORT}", "sql": sql}

    def cut(self, *names: str) -> None:
        """Nothing goes to these machines or comes from them, and nobody is told."""
        for name in names:
            _ip("-n", self.hub, "link", "set", name, "down")

    def mend(self, *names: str) -> None:
        for name in names:
            _ip("-n", self.hub, "link", "set", name, "up")

    def mute(self, name: str, towards: str) -> None:
        """What `name` sends to that machine gets lost; what that one sends arrives."""
        _ip(
            "-n",
            self[name].namespace,
            "neigh",
            "replace",
            self[towards].host,
            "lladdr",
            NOBODY,
            "dev",
            "eth0",
            "nud",
            "permanent",
        )

    def unmute(self, name: str, towards: str) -> None:
        _ip("-n", self[name].namespace, "neigh", "del", self[towards].host, "dev", "eth0")

    def close(self) -> None:
        for machine in reversed(self.machines.values()):
            if machine.process is not None:
                machine.signal(signal.SIGCONT)
            machine.stop()
        for space in [*(machine.namespace for machine in self.machines.values()), self.hub]:
            with suppress(RuntimeError):
                _ip("netns", "del", space)


@contextmanager
def networked(*compute: str) -> Iterator[Network]:
    """A network with six storage nodes that run, and machines for compute nodes."""
    network = Network(Path(tempfile.mkdtemp(prefix="sixfold-network-")))
    try:
        network.build(compute)
        for name in NODES:
            network[name].start()
        yield network
    finally:
        network.close()
        shutil.rmtree(network.folder, ignore_errors=True)
