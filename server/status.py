"""What a cluster's daemons say of themselves, put together."""

from __future__ import annotations

import asyncio
from typing import Any

from sixfold.server.cluster import Cluster
from sixfold.server.control import ask_status
from sixfold.wal.real import real_runtime
from sixfold.wal.rpc import RemoteError
from sixfold.wal.runtime import Runtime

POLL_SECONDS = 0.01


async def _ask(runtime: Runtime, cluster: Cluster, name: str) -> dict[str, Any] | None:
    """None when the daemon does not run or does not answer."""
    if cluster.process(name).pid() is None:
        return None
    try:
        return await ask_status(runtime, cluster.control(name))
    except (ConnectionError, OSError, RemoteError):
        return None


async def cluster_status(cluster: Cluster) -> dict[str, Any]:
    """`writer`, `nodes`, `segments` and `readers`; a daemon that does not answer has pid None (a writer: None), and is in `silent`, with
    its pid, where it runs."""
    runtime = real_runtime(str(cluster.folder))
    names = cluster.names()
    answers = dict(zip(names, await asyncio.gather(*(_ask(runtime, cluster, name) for name in names)), strict=True))
    writer = answers["writer"]
    nodes, segments = [], []
    for name in names:
        if not name.startswith("node-"):
            continue
        said = answers[name]
        zone = cluster.zone(name)
        nodes.append({"name": name, "zone": zone, "pid": cluster.process(name).pid() if said else None} | _health(said))
        segments += _segments(name, zone, said)
    readers = [_reader(cluster, name, answers[name]) for name in cluster.shape.reader_ports]
    if writer is not None:
        writer["pid"] = cluster.process("writer").pid()
    pids = {name: cluster.process(name).pid() for name in names if answers[name] is None}
    silent = {name: pid for name, pid in pids.items() if pid is not None}
    told = {"uri": cluster.uri, "writer": writer, "nodes": nodes, "segments": segments, "readers": readers}
    return told | {"silent": silent}


def _health(said: dict[str, Any] | None) -> dict[str, Any]:
    """What a storage node says of its disk."""
    if said is None:
        return {}
    told = ("failure", "background_failures", "journal_bytes", "repairs", "scrubs", "damaged_files")
    return {key: said[key] for key in told} | {"damaged_reads": sum(v["damaged_reads"] for v in said["volumes"])}


def _segments(name: str, zone: str, said: dict[str, Any] | None) -> list[dict[str, Any]]:
    found = []
    for volume in said["volumes"] if said else []:
        for group, scl in volume["scls"]:
            found.append({"node": name, "zone": zone, "group": group, "scl": scl, "epoch": volume["epoch"]})
    return found


def _reader(cluster: Cluster, name: str, said: dict[str, Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": name,
        "port": cluster.shape.reader_ports[name],
        "pid": None,
        "vdl": None,
        "lag_ms": None,
        "epoch": None,
        "ready": False,
    }
    if said is not None:
        told |= said | {"pid": cluster.process(name).pid()}
    return told


async def wait_answering(cluster: Cluster, names: list[str], seconds: float) -> list[str]:
    """Wait until all of `names` answer; those that ended or took too long."""
    runtime = real_runtime(str(cluster.folder))
    deadline = runtime.clock.monotonic() + seconds
    left = list(names)
    while left and runtime.clock.monotonic() < deadline:
        answers = await asyncio.gather(*(_ask(runtime, cluster, name) for name in left))
        left = [name for name, said in zip(left, answers, strict=True) if said is None or not said.get("ready", True)]
        if any(cluster.process(name).pid() is None for name in left):
            break
        if left:
            await runtime.clock.sleep(POLL_SECONDS)
    return left
