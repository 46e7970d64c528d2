"""Load and query the flights with psycopg 3: `python -m examples.flights.with_psycopg postgresql://…`."""

from __future__ import annotations

import sys

import psycopg

from examples.flights import data


def load(uri: str) -> None:
    """Create the tables, COPY everything in, then index."""
    with psycopg.connect(uri) as connection:
        connection.execute(data.schema())  # type: ignore[call-overload]
        for table in data.TABLES:
            with connection.cursor() as cursor, cursor.copy(data.COPY.format(table)) as copy:  # type: ignore[call-overload]
                for block in data.blocks(data.table_csv(table)):
                    copy.write(block)
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(data.indexes())  # type: ignore[call-overload]


def answers(uri: str) -> dict[str, list[tuple[object, ...]]]:
    """Every query's rows, as Python values."""
    with psycopg.connect(uri, autocommit=True) as connection:
        return {name: connection.execute(sql).fetchall() for name, sql in data.queries()}  # type: ignore[call-overload]


def main() -> None:
    uri = sys.argv[1]
    load(uri)
    for name, rows in answers(uri).items():
        sys.stdout.write(f"{name}\n")
        for row in rows:
            sys.stdout.write("    " + " | ".join(str(value) for value in row) + "\n")


if __name__ == "__main__":
    main()
