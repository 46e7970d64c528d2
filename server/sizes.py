"""Sizes as people write them: `512MB`, `2GB`, `8192`."""

from __future__ import annotations

import re

UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes. ValueError with a sentence when it is not a size."""
    match = re.fullmatch(r"\s*(\d+)\s*([kKmMgGtT]?[bB]?)\s*", text)
    unit = match[2].upper() if match else ""
    if unit in ("K", "M", "G", "T"):
        unit += "B"
    if match is None or unit not in UNITS:
        raise ValueError(f"{text!r} is not a size; write it like 512MB or 2GB")
    return int(match[1]) * UNITS[unit]
