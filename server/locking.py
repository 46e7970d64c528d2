"""One process a data folder: held until the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sixfold.server.config import ConfigError


def lock_folder(folder: Path, command: str) -> int:
    """A descriptor to keep open. ConfigError when the folder can't be used, or another process of `command` has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "sixfold.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"cannot use {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(f"{folder} is in use by another {command}") from error
    return descriptor
