"""Foreign keys of many rows: what waits for the statement's end or for COMMIT is more than work_mem, and goes through temporary files."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.support.sixfold import Served

ROWS = 30_000


@pytest.mark.parametrize("deferred", [False, True], ids=["at the end", "at COMMIT"])
def test_checks_beyond_work_mem(server: Served, deferred: bool) -> None:
    when = "INITIALLY DEFERRED" if deferred else ""
    with psycopg.connect(server.uri) as connection:
        connection.execute("SET work_mem = '64kB'")
        connection.execute("CREATE TABLE spilled_parent (id text PRIMARY KEY)")
        connection.execute(f"CREATE TABLE spilled_child (id text REFERENCES spilled_parent {when})")
        connection.execute(f"INSERT INTO spilled_parent SELECT repeat('k', 90) || g FROM generate_series(1, {ROWS}) g")
        connection.commit()
        connection.execute("INSERT INTO spilled_child SELECT id FROM spilled_parent")
        connection.commit()
        assert connection.execute("SELECT count(*) FROM spilled_child").fetchone() == (ROWS,)
        with pytest.raises(errors.ForeignKeyViolation, match="spilled_child"):
            connection.execute("INSERT INTO spilled_child SELECT id FROM spilled_parent UNION ALL SELECT 'none'")
            connection.commit()
        connection.rollback()
        with pytest.raises(errors.ForeignKeyViolation, match="spilled_child"):
            connection.execute("DELETE FROM spilled_parent")
            connection.commit()
        connection.rollback()
        connection.execute("DROP TABLE spilled_child, spilled_parent")
        connection.commit()
