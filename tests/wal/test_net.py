"""The real Net: what a machine that is cut off costs."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from sixfold.wal.real import SILENCE_SECONDS, TcpConnection, real_runtime, run
from sixfold.wal.runtime import Connection


def test_both_ends_of_a_connection_notice_a_silent_machine(tmp_path: Path) -> None:
    """A cable that is pulled sends no RST. Tried with network namespaces: without this a writer did not find a zone again for as long
    as it had been away, and a second zone that went meanwhile stopped it."""

    async def main() -> None:
        runtime = real_runtime(str(tmp_path))
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        listener = await runtime.net.serve("127.0.0.1:0", accepted.set_result)
        dialed = await runtime.net.connect(listener.address)
        for connection in (dialed, await accepted):
            assert isinstance(connection, TcpConnection)
            # As it is handed over to the threads that carry the log.
            sock, _ = connection.detach()
            with sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * SILENCE_SECONDS
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= SILENCE_SECONDS
        listener.close()

    run(main())
