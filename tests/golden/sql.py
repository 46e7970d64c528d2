"""Commands of SQL scripts: result columns, errors, plans; all over the tables of schema.sql."""

from __future__ import annotations

from pathlib import Path

from sixfold.engine.analyzer.types import format_type
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import parse
from sixfold.engine.planner.api import PlannedStatement, SessionInfo, analyze_and_plan
from tests.engine.memory_catalog import MemoryCatalog
from tests.golden.plan_text import plan_text
from tests.golden.runner import Run

SCHEMA = Path(__file__).parent / "schema.sql"


def catalog() -> MemoryCatalog:
    """The tables of schema.sql."""
    made = MemoryCatalog()
    made.ddl(SCHEMA.read_text())
    return made


def planned(tables: MemoryCatalog, sql: str) -> PlannedStatement:
    """One statement, planned."""
    return analyze_and_plan(parse(sql)[0].node, sql, tables, SessionInfo())


def columns() -> Run:
    """Names and types of result columns, and types of parameters."""
    tables = catalog()

    def run(sql: str) -> str:
        try:
            plan = planned(tables, sql)
        except SqlError as error:
            return error_text(error)
        lines = [f"{c.name} {format_type(tables, c.typ, c.typmod)}" for c in plan.output]
        lines += [f"${i + 1} {format_type(tables, t)}" for i, t in enumerate(plan.params)]
        return "\n".join(lines) or "no columns"

    return run


def error_text(error: SqlError) -> str:
    """An error as scripts show it."""
    where = f" at {error.position}" if error.position is not None else ""
    lines = [f"{error.code}{where}: {error.message}"]
    if error.detail:
        lines.append(f"DETAIL: {error.detail}")
    if error.hint:
        lines.append(f"HINT: {error.hint}")
    return "\n".join(lines)


def errors() -> Run:
    """SQLSTATE, position, message, detail and hint."""
    tables = catalog()

    def run(sql: str) -> str:
        try:
            planned(tables, sql)
        except SqlError as error:
            return error_text(error)
        return "no error"

    return run


def plans() -> Run:
    """Plan trees. `rows t 1000 10` sets a table's estimates (rows, pages)."""
    tables = catalog()

    def run(sql: str) -> str:
        if sql.startswith("rows "):
            _, name, rows, pages = sql.split()
            tables.estimate(name, float(rows), int(pages))
            return ""
        try:
            return plan_text(planned(tables, sql).plan)
        except SqlError as error:
            return error_text(error)

    return run
