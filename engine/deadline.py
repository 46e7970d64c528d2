"""statement_timeout: when the running statement of a session is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sixfold.wal.runtime import Timer

if TYPE_CHECKING:
    from .session import Session


class Deadline:
    """Of one session. It counts for one message of its wire, also while that waits or its output does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._timer: Timer | None = None
        # The message that the timer is of.
        self._message = 0

    def arm(self) -> None:
        """Something new begins."""
        self.disarm()
        session = self._session
        self._message = session.wire.messages
        milliseconds = session.settings.number("statement_timeout")
        if milliseconds:
            message = "canceling statement due to statement timeout"
            clock = session.waits.runtime.clock
            self._timer = clock.call_later(milliseconds / 1000, session.interrupt, "57014", message)

    def go_on(self) -> None:
        """Something goes on, or begins."""
        if self._timer is None or self._message != self._session.wire.messages:
            self.arm()

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
