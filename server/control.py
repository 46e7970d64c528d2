"""The port on which a compute daemon tells its status: requests of `wal/rpc.py`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from sixfold.wal.rpc import RemoteError, Rpc
from sixfold.wal.runtime import Connection, Listener, Runtime


async def serve_status(runtime: Runtime, address: str, status: Callable[[], dict[str, Any]]) -> Listener:
    """Answer `status` requests. OSError when the address can't be bound."""

    async def handle(method: str, params: Any) -> Any:
        if method != "status":
            raise RemoteError("unknown", f"there is no request {method}")
        return status()

    def accept(connection: Connection) -> None:
        Rpc(runtime, connection, handler=handle).start()

    return await runtime.net.serve(address, accept)


async def ask_status(runtime: Runtime, address: str, timeout: float = 2.0) -> dict[str, Any]:
    """Raises ConnectionLost when nobody answers."""
    connection = await runtime.net.connect(address, timeout=timeout)
    rpc = Rpc(runtime, connection).start()
    try:
        answer: dict[str, Any] = await rpc.call("status", timeout=timeout)
        return answer
    finally:
        rpc.close()


def reason(address: str, error: Exception) -> str:
    """What an operator must know of an address that can't be used, or a file."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"cannot listen on {address}: the port is taken by another process"
    return str(error)
