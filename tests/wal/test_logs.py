"""What operators are told, also when not even the library for it can be loaded."""

from __future__ import annotations

import contextlib
import importlib

import pytest
import structlog
from structlog.testing import capture_logs

from sixfold.wal.logs import Logger


def test_an_event_is_structlog_s() -> None:
    structlog.reset_defaults()
    with capture_logs() as entries:
        Logger("sixfold.test").warning("the disk is slow", node="a1")
    assert entries == [{"event": "the disk is slow", "log_level": "warning", "node": "a1"}]


def test_what_can_not_be_logged_is_written_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(name: str) -> None:
        raise OSError(24, "Too many open files", name)

    monkeypatch.setattr(importlib, "import_module", fails)
    try:
        raise ValueError("what went wrong")
    except ValueError:
        Logger("sixfold.test").exception("a statement failed", query="SELECT 1")
    said = capsys.readouterr().err
    assert said.startswith("[exception] a statement failed {'query': 'SELECT 1'}")
    assert "what went wrong" in said


def test_what_can_not_be_written_anywhere_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk with the logs is full, and that is what is to be told."""
    structlog.reset_defaults()
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr("sys.stderr", full)
        Logger("sixfold.test").error("the disk is full", node="a1")
        monkeypatch.undo()
        # What is still in its buffer is not to be tried again.
        with contextlib.suppress(OSError):
            full.close()
