"""The same queries with asyncpg, whose results are all binary: `python -m examples.flights.with_asyncpg postgresql://…`."""

from __future__ import annotations

import asyncio
import sys

import asyncpg

from examples.flights import data


async def answers(uri: str) -> dict[str, list[tuple[object, ...]]]:
    """Every query's rows, as Python values."""
    connection = await asyncpg.connect(uri)
    try:
        return {name: [tuple(row) for row in await connection.fetch(sql)] for name, sql in data.queries()}
    finally:
        await connection.close()


def main() -> None:
    for name, rows in asyncio.run(answers(sys.argv[1])).items():
        sys.stdout.write(f"{name}: {len(rows)} rows\n")


if __name__ == "__main__":
    main()
