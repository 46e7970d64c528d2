"""What operators are told: structlog's events. It is imported with the first of them, or soon after a server has begun to answer:
what is to be told then may be that no file can be opened any more."""

from __future__ import annotations

import importlib
from typing import Any


class Logger:
    """One component's events: a sentence, and what it is about by name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **about: Any) -> None:
        """Something that an operator may want to know."""
        self._structlog().info(event, **about)

    def warning(self, event: str, **about: Any) -> None:
        """Something goes on in a lesser way."""
        self._structlog().warning(event, **about)

    def error(self, event: str, **about: Any) -> None:
        """An operator must act."""
        self._structlog().error(event, **about)

    def exception(self, event: str, **about: Any) -> None:
        """The exception being handled is a bug of ours."""
        self._structlog().exception(event, **about)

    def _structlog(self) -> Any:
        return load().get_logger(self._name)


def load() -> Any:
    """structlog, imported by now."""
    return importlib.import_module("structlog")
