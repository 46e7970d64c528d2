"""Requests and answers over a message connection, beside the raw messages of the hot paths.

A message's first byte is its kind. `Q` request, `S` answer, `E` error answer; every other kind goes to `on_raw` untouched.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from sixfold.wal.runtime import Connection, ConnectionLost, Runtime

_HEAD = struct.Struct("<cI")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()

Handler = Callable[[str, Any], Awaitable[Any]]


class RemoteError(Exception):
    """The other side refused: `code` is a word of the protocol, `data` what it says besides."""

    def __init__(self, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Rpc:
    """Both ends of one connection: calls the other side, and answers it through `handler`."""

    def __init__(
        self,
        runtime: Runtime,
        connection: Connection,
        *,
        handler: Handler | None = None,
        on_raw: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.connection = connection
        self._runtime = runtime
        self._handler = handler
        self._on_raw = on_raw
        self._on_close = on_close
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0

    def start(self) -> Rpc:
        """Deliver messages from now on."""
        self.connection.start(self._message, self._closed)
        return self

    async def call(self, method: str, params: Any = None, *, timeout: float = 10.0) -> Any:
        """Ask; raises RemoteError when refused, ConnectionLost when no answer comes in time."""
        if self.connection.closed:
            raise ConnectionLost(f"{self.connection.peer} is not connected")
        self._next = (self._next + 1) & 0xFFFFFFFF
        number = self._next
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        timer = self._runtime.clock.call_later(timeout, self._late, number)
        self.connection.send(_HEAD.pack(b"Q", number) + _encoder.encode((method, params)))
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(number, None)

    def send(self, message: bytes) -> None:
        """A raw message; its first byte must not be Q, S or E."""
        self.connection.send(message)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _late(self, number: int) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_exception(ConnectionLost(f"{self.connection.peer} did not answer in time"))

    def _message(self, message: bytes) -> None:
        kind = message[:1]
        if kind == b"Q":
            _, number = _HEAD.unpack_from(message)
            self._runtime.spawn(self._answer(number, message), f"rpc from {self.connection.peer}")
        elif kind in (b"S", b"E"):
            _, number = _HEAD.unpack_from(message)
            future = self._waiting.pop(number, None)
            if future is None or future.done():
                return
            body = _decoder.decode(message[_HEAD.size :])
            if kind == b"S":
                future.set_result(body)
            else:
                future.set_exception(RemoteError(*body))
        elif self._on_raw is not None:
            self._on_raw(message)

    async def _answer(self, number: int, message: bytes) -> None:
        try:
            method, params = _decoder.decode(message[_HEAD.size :])
            if self._handler is None:
                raise RemoteError("unknown", f"{method} is not served here")
            result = await self._handler(method, params)
        except RemoteError as error:
            self.connection.send(_HEAD.pack(b"E", number) + _encoder.encode((error.code, str(error), error.data)))
        except (OSError, KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            text = f"{type(error).__name__}: {error}"
            self.connection.send(_HEAD.pack(b"E", number) + _encoder.encode(("failed", text, None)))
        else:
            self.connection.send(_HEAD.pack(b"S", number) + _encoder.encode(result))

    def _closed(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ConnectionLost(f"the connection to {self.connection.peer} was lost"))
        if self._on_close is not None:
            self._on_close()


async def dial(
    runtime: Runtime,
    address: str,
    *,
    handler: Handler | None = None,
    on_raw: Callable[[bytes], None] | None = None,
    on_close: Callable[[], None] | None = None,
    timeout: float = 5.0,
) -> Rpc:
    """Connect and start, or raise ConnectionLost."""
    connection = await runtime.net.connect(address, timeout)
    return Rpc(runtime, connection, handler=handler, on_raw=on_raw, on_close=on_close).start()
