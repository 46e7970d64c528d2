"""The planner's door: one call from a parse tree to a plan."""

from __future__ import annotations

from typing import Any

import msgspec

from sixfold.engine.catalog.model import CatalogReader
from sixfold.engine.errors import not_built
from sixfold.engine.planner import nodes


class SessionInfo(msgspec.Struct, frozen=True):
    """What planning must know of a session beyond its catalogue snapshot."""

    user: str = "postgres"
    database: str = "postgres"
    # False on a reader and in READ ONLY transactions is checked by the session, not here.
    enable_seqscan: bool = True
    enable_indexscan: bool = True
    enable_hashjoin: bool = True
    enable_mergejoin: bool = True
    enable_nestloop: bool = True
    enable_hashagg: bool = True
    enable_sort: bool = True
    work_mem_kb: int = 4096


class Estimate(msgspec.Struct):
    """What EXPLAIN shows of a node: PostgreSQL's startup cost, total cost, rows, width."""

    startup: float = 0.0
    total: float = 0.0
    rows: float = 1.0
    width: int = 0


class PlannedStatement(msgspec.Struct):
    """A planned SELECT, INSERT, UPDATE, DELETE, VALUES or TABLE."""

    plan: nodes.Plan
    # SELECT, INSERT, UPDATE, DELETE
    kind: str
    output: list[nodes.OutputColumn]
    # Types of $1… as given or inferred.
    params: list[int]
    # Relations (views too) that the plan was made from.
    relations: list[int]
    # By id(node) of the nodes in `plan` (which keeps them alive).
    estimates: dict[int, Estimate]

    @property
    def json(self) -> str:
        """The plan as the kernel reads it."""
        return nodes.to_json(self.plan)


def analyze_and_plan(
    stmt: Any, sql: str, catalog: CatalogReader, info: SessionInfo, param_types: tuple[int, ...] = ()
) -> PlannedStatement:
    """Analyze and plan one SELECT, VALUES, INSERT, UPDATE or DELETE. `stmt` is `parser.Statement.node`, `sql` the text
    that its locations count in; `param_types` has 0 for types to be inferred."""
    raise not_built("planning")
