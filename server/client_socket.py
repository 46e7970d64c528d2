"""A client's socket, whose bytes the kernel's `Reactor` carries."""

from __future__ import annotations

from sixfold.kernel._kernel import Reactor, TlsConfig


class ClientSocket:
    """One connection of the reactor's."""

    def __init__(self, reactor: Reactor, token: int, peer: tuple[str, int]) -> None:
        self._reactor = reactor
        self.token = token
        # Address and port of the other side.
        self.peer = peer

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

    def secure(self, config: TlsConfig) -> bool:
        """See `Reactor.secure`."""
        return self._reactor.secure(self.token, config)

    def close(self) -> None:
        """Close; what was written still goes out."""
        self._reactor.close(self.token, False)

    def abort(self) -> None:
        """Close at once."""
        self._reactor.close(self.token, True)
