"""What operators are told, also when not even the library for it can be loaded."""

from __future__ import annotations

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
