"""A client inside the process: the whole path from protocol bytes to protocol bytes, without a socket. For tests and tools."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from .database import Database
from .session import Session, SessionEnded


class Result(msgspec.Struct):
    """What one statement answered. Values are text, or bytes in binary format."""

    tag: str = ""
    columns: list[tuple[str, int]] = msgspec.field(default_factory=list)
    rows: list[tuple[str | None, ...]] = msgspec.field(default_factory=list)
    notices: list[dict[str, str]] = msgspec.field(default_factory=list)
    # Error fields by letter: C the SQLSTATE, M the message, D, H, P …
    error: dict[str, str] | None = None
    copied: bytes = b""


class Memory:
    """A log that is durable at once: redo is taken and forgotten. `volume` must never evict a page."""

    def __init__(self, volume: Any) -> None:
        self._volume = volume

    def linger(self) -> None:
        """Take what there is; it counts as durable."""
        flush = self._volume.take_flush()
        while flush is not None:
            self._volume.set_vdl(flush[1])
            flush = self._volume.take_flush()

    async def durable(self, lsn: int) -> None:
        """It is."""
        self.linger()

    async def read(self, pages: Sequence[int], lsn: int, *, bulk: bool = False) -> Sequence[memoryview]:
        """Pages that were evicted are gone."""
        raise OSError(f"pages {list(pages)} are not in memory")


class Connection:
    """One session with the bytes that it has sent."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.session: Session = database.accept(self, startup=False)
        self.parameters: dict[str, str] = {}
        self.notifications: list[tuple[int, str, str]] = []
        self.status = "I"
        self.closed = False
        self._output = bytearray()
        self._last_input = 0

    async def start(self, user: str = "postgres", database: str = "postgres", **options: str) -> Connection:
        """Log in."""
        await self.session.start({"user": user, "database": database, **options})
        await self.flush()
        self._results()
        return self

    # -- Client

    async def flush(self) -> None:
        """See `Client`."""
        self._output += self.session.wire.take_output()

    def wake(self) -> None:
        """See `Client`."""
        self._output += self.session.wire.take_output()

    def close(self) -> None:
        """See `Client`."""
        self.closed = True

    def busy(self) -> bool:
        """See `Client`: every event is the engine's."""
        return False

    def last_input(self) -> int:
        """See `Client`."""
        return self._last_input

    # -- use

    async def send(self, data: bytes) -> None:
        """Protocol messages in, until the wire is idle."""
        wire = self.session.wire
        self._last_input = self.session.now()
        wire.feed(data, self._last_input)
        event = wire.step()
        self.database.after_call()
        while event[0] not in ("idle", "terminate"):
            await self.flush()
            if event[0] == "error":
                if event[2]:
                    self.closed = True
            elif event[0] == "drain":
                self.session.deadline.go_on()
            else:
                try:
                    await self.session.handle(event)
                except SessionEnded:
                    self.closed = True
                    break
            event = wire.step()
            self.database.after_call()
        self.session.deadline.disarm()
        await self.flush()

    async def query(self, text: str, copy: bytes | None = None) -> list[Result]:
        """A simple Query; `copy` answers COPY FROM STDIN."""
        await self.send(message(b"Q", text.encode() + b"\0"))
        if copy is not None:
            for at in range(0, len(copy), 65536):
                await self.send(message(b"d", copy[at : at + 65536]))
            await self.send(message(b"c", b""))
        return self._results()

    async def execute(
        self, text: str, params: Sequence[str | None] = (), oids: Sequence[int] = (), max_rows: int = 0
    ) -> list[Result]:
        """Parse, Bind, Describe, Execute, Sync with text parameters."""
        parse = b"\0" + text.encode() + b"\0" + struct.pack(f"!h{len(oids)}I", len(oids), *oids)
        values = b"".join(
            struct.pack("!i", -1) if value is None else struct.pack("!i", len(value.encode())) + value.encode()
            for value in params
        )
        bind = b"\0\0" + struct.pack("!hh", 0, len(params)) + values + struct.pack("!h", 0)
        await self.send(
            message(b"P", parse)
            + message(b"B", bind)
            + message(b"D", b"P\0")
            + message(b"E", b"\0" + struct.pack("!i", max_rows))
            + message(b"S", b"")
        )
        return self._results()

    async def fetch(self, text: str) -> list[tuple[str | None, ...]]:
        """Rows of one statement; a RuntimeError for an error."""
        results = await self.query(text)
        for result in results:
            if result.error is not None:
                raise RuntimeError(f"{result.error['C']}: {result.error['M']}")
        return results[-1].rows if results else []

    async def end(self) -> None:
        """Close the session."""
        await self.session.close()

    def _results(self) -> list[Result]:
        results: list[Result] = []
        current = Result()
        for kind, body in messages(bytes(self._output)):
            if kind == b"T":
                current.columns = row_description(body)
            elif kind == b"D":
                current.rows.append(data_row(body))
            elif kind == b"C":
                current.tag = body[:-1].decode()
                results.append(current)
                current = Result()
            elif kind == b"E":
                current.error = fields(body)
                results.append(current)
                current = Result()
            elif kind == b"N":
                current.notices.append(fields(body))
            elif kind in (b"I", b"s"):
                current.tag = "" if kind == b"I" else "suspended"
                results.append(current)
                current = Result()
            elif kind == b"d":
                current.copied += body
            elif kind == b"S":
                name, value = body[:-1].decode().split("\0")
                self.parameters[name] = value
            elif kind == b"A":
                channel, payload = body[4:-1].decode().split("\0")
                self.notifications.append((struct.unpack("!i", body[:4])[0], channel, payload))
            elif kind == b"Z":
                self.status = body.decode()
        self._output.clear()
        return results


def message(kind: bytes, body: bytes) -> bytes:
    """A frontend message."""
    return kind + struct.pack("!i", len(body) + 4) + body


def messages(data: bytes) -> list[tuple[bytes, bytes]]:
    """Backend messages."""
    found, at = [], 0
    while at < len(data):
        length = struct.unpack_from("!i", data, at + 1)[0]
        found.append((data[at : at + 1], data[at + 5 : at + 1 + length]))
        at += 1 + length
    return found


def row_description(body: bytes) -> list[tuple[str, int]]:
    """(name, type) of each column."""
    columns, at = [], 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        end = body.index(b"\0", at)
        columns.append((body[at:end].decode(), struct.unpack_from("!I", body, end + 7)[0]))
        at = end + 19
    return columns


def data_row(body: bytes) -> tuple[str | None, ...]:
    """Text values of a row."""
    values: list[str | None] = []
    at = 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        length = struct.unpack_from("!i", body, at)[0]
        at += 4
        values.append(None if length < 0 else body[at : at + length].decode(errors="replace"))
        at += max(length, 0)
    return tuple(values)


def fields(body: bytes) -> dict[str, str]:
    """Fields of an error or notice."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}
