"""A client's plain TCP connection, whose bytes the kernel's `Reactor` carries."""

from __future__ import annotations

from typing import Any

from sixfold.kernel._kernel import Reactor


class PlainTransport:
    """What a `Connection` uses of asyncio's transports, over a connection of the reactor's. The wire's output goes out by `flush`."""

    def __init__(self, reactor: Reactor, token: int, peer: tuple[str, int]) -> None:
        self._reactor = reactor
        self.token = token
        self._peer = peer
        self._closing = False

    def flush(self) -> int:
        """Write what the wire holds; the number of bytes that the client has not taken."""
        return self._reactor.flush(self.token)

    def release(self, now: int) -> bytes | None:
        """See `Reactor.release`."""
        return self._reactor.release(self.token, now)

    def busy(self) -> bool:
        """See `Reactor.busy`."""
        return self._reactor.busy(self.token)

    def last_input(self) -> int:
        """See `Reactor.last_input`."""
        return self._reactor.last_input(self.token)

    def detach(self) -> int | None:
        """See `Reactor.detach`."""
        self._closing = True
        return self._reactor.detach(self.token)

    def is_closing(self) -> bool:
        """As asyncio's."""
        return self._closing

    def close(self) -> None:
        """As asyncio's: what was written still goes out."""
        self._closing = True
        self._reactor.close(self.token, False)

    def abort(self) -> None:
        """As asyncio's."""
        self._closing = True
        self._reactor.close(self.token, True)

    def get_extra_info(self, name: str) -> Any:
        """As asyncio's."""
        return self._peer if name == "peername" else None
