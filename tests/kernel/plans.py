"""A kernel without an engine: a volume whose redo is durable when asked, plans as JSON, a client's bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from sixfold.kernel._kernel import Plan, Queries, Session, Volume, Wire

INT4, INT8, TEXT, BOOL = 23, 20, 25, 16


class Store:
    """A volume, with every need satisfied on the spot."""

    def __init__(self) -> None:
        self.volume = Volume.create(volume_id=1, epoch=1, cache_bytes=1 << 24)
        self.settle(self.volume.prepare)
        self.flush()

    def flush(self) -> None:
        while self.volume.take_flush() is not None:
            pass
        self.volume.set_vdl(self.volume.tail)

    def satisfy(self, need: tuple[Any, ...]) -> None:
        match need[0]:
            case "durable":
                self.flush()
                assert self.volume.vdl >= need[1]
            case "slice":
                pass
            case _:
                raise AssertionError(f"unexpected need {need}")

    def settle(self, call: Callable[[], tuple[str, Any]]) -> Any:
        while True:
            kind, value = call()
            if kind != "need":
                return value
            self.satisfy(value)

    def run(self, session: Session, plan: Plan, params: tuple[Any, ...] = ()) -> Any:
        portal = session.portal(plan, params)
        return self.settle(portal.fetch)


def column(name: str, typ: int, *, not_null: bool = False) -> dict[str, Any]:
    return {"name": name, "typ": typ, "typmod": -1, "dropped": False, "not_null": not_null, "missing": None}


def table(
    store: Store, name: str, columns: list[dict[str, Any]], *, key: int | None = 0, oid: int = 20000
) -> dict[str, Any]:
    root, overflow = store.settle(store.volume.create_table)
    indexes = []
    if key is not None:
        index = store.settle(store.volume.create_index)
        keys = [{"column": key, "desc": False, "nulls_first": False}]
        indexes.append(
            {
                "oid": oid + 1,
                "name": f"{name}_pkey",
                "root": index,
                "unique": True,
                "nulls_not_distinct": False,
                "keys": keys,
            }
        )
    return {
        "oid": oid,
        "schema": "public",
        "name": name,
        "root": root,
        "overflow": overflow,
        "columns": columns,
        "indexes": indexes,
    }


def col(i: int, typ: int) -> dict[str, Any]:
    return {"e": "col", "i": i, "typ": typ}


def param(n: int, typ: int) -> dict[str, Any]:
    return {"e": "param", "n": n, "typ": typ}


def plan(
    root: dict[str, Any],
    output: list[tuple[str, int]],
    params: list[int],
    tag: str,
    *,
    writes: bool = False,
    locks: Any = (),
) -> Plan:
    columns = [{"name": name, "typ": typ, "typmod": -1, "table": 0, "attnum": 0} for name, typ in output]
    return Plan.compile(
        json.dumps(
            {
                "root": root,
                "output": columns,
                "params": params,
                "exec_params": 0,
                "subplans": [],
                "locks": list(locks),
                "tag": tag,
                "command": tag.partition(" ")[0],
                "writes": writes,
                "catalog_version": 0,
            }
        )
    )


def types(target: dict[str, Any]) -> list[int]:
    return [item["typ"] for item in target["columns"]]


def insert(target: dict[str, Any], source: dict[str, Any] | None = None) -> Plan:
    given = types(target)
    values = {"op": "values", "rows": [[param(n, typ) for n, typ in enumerate(given)]], "types": given}
    node = {
        "op": "insert",
        "table": target,
        "input": source or values,
        "checks": [],
        "conflict": None,
        "returning": None,
        "after": [],
    }
    return plan(node, [], [] if source else given, "INSERT", writes=True, locks=[(target["oid"], 3)])


def select(target: dict[str, Any]) -> Plan:
    """The row with a key."""
    given = types(target)
    bound = {"values": [param(0, given[0])], "inclusive": True, "nulls": [False]}
    node = {
        "op": "index_scan",
        "table": target,
        "index": 0,
        "low": bound,
        "high": bound,
        "any": None,
        "backward": False,
        "columns": list(range(len(given))),
        "filter": None,
    }
    node = {"op": "project", "input": node, "exprs": [col(i, typ) for i, typ in enumerate(given)]}
    return plan(
        node,
        [(item["name"], item["typ"]) for item in target["columns"]],
        given[:1],
        "SELECT",
        locks=[(target["oid"], 1)],
    )


def everything(target: dict[str, Any]) -> Plan:
    given = types(target)
    node = {"op": "scan", "table": target, "columns": list(range(len(given))), "filter": None}
    node = {"op": "project", "input": node, "exprs": [col(i, typ) for i, typ in enumerate(given)]}
    return plan(
        node, [(item["name"], item["typ"]) for item in target["columns"]], [], "SELECT", locks=[(target["oid"], 1)]
    )


# -- the client's side ----------------------------------------------------------------------------------------------


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def bind(
    statement: str,
    params: list[bytes | None],
    *,
    portal: str = "",
    formats: list[int] | None = None,
    results: list[int] | None = None,
) -> bytes:
    body = portal.encode() + b"\0" + statement.encode() + b"\0"
    body += struct.pack(f">H{len(formats or [])}H", len(formats or []), *(formats or []))
    body += struct.pack(">H", len(params))
    for value in params:
        body += struct.pack(">i", -1) if value is None else struct.pack(">I", len(value)) + value
    body += struct.pack(f">H{len(results or [])}H", len(results or []), *(results or []))
    return message(b"B", body)


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message(b"E", portal.encode() + b"\0" + struct.pack(">I", limit))


def describe(kind: str, name: str = "") -> bytes:
    return message(b"D", kind.encode() + name.encode() + b"\0")


SYNC = message(b"S")


def split(data: bytes) -> list[tuple[str, bytes]]:
    """Messages of a server's answer."""
    found = []
    while data:
        size = struct.unpack(">I", data[1:5])[0]
        found.append((data[:1].decode(), data[5 : 1 + size]))
        data = data[1 + size :]
    return found


def kinds(data: bytes) -> str:
    return "".join(kind for kind, _ in split(data))


def values(body: bytes) -> list[bytes | None]:
    """Of a DataRow."""
    count, at, found = struct.unpack(">H", body[:2])[0], 2, []
    for _ in range(count):
        (length,) = struct.unpack(">i", body[at : at + 4])
        at += 4
        found.append(None if length < 0 else body[at : at + length])
        at += max(length, 0)
    return found


def fields(body: bytes) -> dict[str, str]:
    """Of an ErrorResponse."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


class Client:
    """A connection past its start."""

    def __init__(self, store: Store, number: int = 1, queries: Queries | None = None) -> None:
        self.store = store
        self.session = Session(store.volume, number)
        self.queries = queries or Queries()
        self.wire = Wire(self.session, self.queries, startup=False)

    def say(self, data: bytes) -> bytes:
        """Send and answer until idle; durability comes at once."""
        self.wire.feed(data, 1_000_000)
        return self.until("idle")

    def until(self, wanted: str) -> bytes:
        out = b""
        while True:
            event = self.wire.step()
            out += self.wire.take_output()
            if event[0] == wanted:
                return out
            match event[0]:
                case "wait":
                    self.store.satisfy(event[1])
                case "error" | "drain":
                    pass
                case _:
                    raise AssertionError(f"unexpected event {event}")
