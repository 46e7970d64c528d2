"""What a statement takes of the server's memory does not grow with its rows: each of these took 250 MB and more when it kept them all."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.support.sixfold import Served

MOST_MB = 150
MILLION = "generate_series(1, 1000000) g"


def status(server: Served, field: str) -> float:
    """A figure of /proc/<pid>/status, in MB."""
    assert server.process is not None
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(field + ":"))


@pytest.mark.parametrize(
    "statements",
    [
        [
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY g), mode() WITHIN GROUP (ORDER BY g) FROM generate_series(1, 4000000) g"
        ],
        ["SELECT count(*) FROM json_array_elements(('[' || repeat('1,', 3000000) || '1]')::json)"],
        ["SELECT count(*) FROM string_to_table(repeat('a,', 4000000), ',')"],
        ["SELECT count(*) FROM regexp_split_to_table(repeat('a,', 4000000), ',')"],
        [
            "BEGIN",
            f"DECLARE c SCROLL CURSOR FOR SELECT repeat('x', 300) || g FROM {MILLION}",
            "MOVE LAST FROM c",
            "COMMIT",
        ],
        ["BEGIN", f"DECLARE c CURSOR WITH HOLD FOR SELECT repeat('x', 300) || g FROM {MILLION}", "COMMIT", "CLOSE c"],
        [
            f"SELECT count(*) FROM generate_series(1, 5) x WHERE x > 3 OR x NOT IN (SELECT g * 10000000000 FROM {MILLION})"
        ],
        [
            f"SELECT count(*) FROM generate_series(1, 2) x WHERE repeat('y', 300) < ALL (SELECT repeat('z', 300) || g FROM {MILLION})"
        ],
        # Long values of many rows, none of which is asked for twice.
        ["SELECT sum(length(repeat('x', 4000000) || g)) FROM generate_series(1, 400) g"],
        ["SELECT g % 7, max(length(repeat('x', 4000000) || g)) FROM generate_series(1, 400) g GROUP BY 1"],
        [
            "SELECT count(*) FROM (SELECT repeat('x', 4000000) || g t FROM generate_series(1, 400) g OFFSET 0) x WHERE t > 'y'"
        ],
        ["SELECT count(*) FROM generate_series(1, 400) g WHERE repeat('x', 4000000) || g > 'y'"],
        ["SELECT g FROM generate_series(1, 400) g ORDER BY length(repeat('x', 4000000) || g), g OFFSET 399"],
        ["SELECT sum(cardinality((array_fill(g, array[200000]))[2:])) FROM generate_series(1, 400) g"],
        ["SELECT count(*) FROM (SELECT unnest(array_fill(g, array[100000])) FROM generate_series(1, 100) g) x"],
    ],
    ids=[
        "percentile",
        "json elements",
        "string to table",
        "regexp split",
        "scroll",
        "hold",
        "not in",
        "less than all",
        "long texts",
        "long texts of groups",
        "long texts of a subquery",
        "long texts in a condition",
        "long texts to sort by",
        "long arrays",
        "long arrays as rows",
    ],
)
def test_peak(server: Served, statements: list[str]) -> None:
    assert server.process is not None
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("SET work_mem = '1MB'")
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
        before = status(server, "VmRSS")
        for statement in statements:
            connection.execute(statement)
        assert status(server, "VmHWM") - before < MOST_MB
