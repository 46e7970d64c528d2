"""What operators are told: structlog's events. It is imported with the first of them, or soon after a server has begun to answer:
most starts are over before anything is to be told."""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from typing import Any


class Logger:
    """One component's events: a sentence, and what it is about by name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **about: Any) -> None:
        """Something that an operator may want to know."""
        self._tell("info", event, about)

    def warning(self, event: str, **about: Any) -> None:
        """Something goes on in a lesser way."""
        self._tell("warning", event, about)

    def error(self, event: str, **about: Any) -> None:
        """An operator must act."""
        self._tell("error", event, about)

    def exception(self, event: str, **about: Any) -> None:
        """The exception being handled is a bug of ours."""
        self._tell("exception", event, about)

    def _tell(self, kind: str, event: str, about: dict[str, Any]) -> None:
        try:
            getattr(load().get_logger(self._name), kind)(event, **about)
        except (ImportError, OSError):
            # What is to be told may be just this: no file can be opened any more, or the disk of the log is full too.
            more = f"\n{traceback.format_exc()}" if kind == "exception" else ""
            with contextlib.suppress(OSError):
                sys.stderr.write(f"[{kind}] {event} {about}{more}\n")


def load() -> Any:
    """structlog, imported by now."""
    return importlib.import_module("structlog")
