"""The planner's door: one call from a parse tree to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sixfold.engine.analyzer.analyze import analyze, new_context
from sixfold.engine.analyzer.oids import RECORD
from sixfold.engine.analyzer.scope import PLAIN
from sixfold.engine.analyzer.select import lock_strength
from sixfold.engine.analyzer.tree import Query
from sixfold.engine.catalog.model import CatalogReader
from sixfold.engine.long_texts import done_with
from sixfold.engine.parser import ast
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import PlanContext
from sixfold.engine.planner.dml import plan_dml
from sixfold.engine.planner.encode import encode
from sixfold.engine.planner.folded import FoldedRows
from sixfold.engine.planner.select import plan_query
from sixfold.engine.planner.subqueries import lower_sublink
from sixfold.kernel._kernel import Reading


class SessionInfo(msgspec.Struct, frozen=True):
    """What planning must know of a session beyond its catalogue snapshot."""

    user: str = "postgres"
    database: str = "postgres"
    enable_seqscan: bool = True
    enable_indexscan: bool = True
    enable_hashjoin: bool = True
    enable_mergejoin: bool = True
    enable_nestloop: bool = True
    enable_hashagg: bool = True
    enable_sort: bool = True
    work_mem_kb: int = 4096
    cache_pages: int = 1 << 20
    reading: Reading = PLAIN


class Estimate(msgspec.Struct):
    """What EXPLAIN shows of a node: PostgreSQL's startup cost, total cost, rows, width."""

    startup: float = 0.0
    total: float = 0.0
    rows: float = 1.0
    width: int = 0


class PlannedStatement(msgspec.Struct):
    """A planned SELECT, INSERT, UPDATE, DELETE, VALUES or TABLE."""

    # Without nodes where nobody needs it any more: it may be large.
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

    def encoded(self, *, large: bool = False) -> list[bytes]:
        """The plan as the kernel reads it, in parts if it may be large."""
        return encode(self.plan, large)


_KINDS = {"select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}


def output_of(query: Query, catalog: CatalogReader) -> list[nodes.OutputColumn]:
    """RowDescription's columns; empty for a statement that returns no rows. Rows of tables go out as records."""
    targets = (query.dml.returning or []) if query.dml is not None else query.visible()
    return [nodes.OutputColumn(t.name, _shown(catalog, t.typ), t.typmod, t.table, t.attnum) for t in targets]


def _shown(catalog: CatalogReader, typ: int) -> int:
    if typ < 10000:
        return typ
    row = catalog.type_by_oid(typ)
    return RECORD if row is not None and row.kind == "c" else typ


def _command(kind: str, stmt: Any) -> str:
    """What a read-only transaction says it can't execute."""
    locks = stmt.lockingClause if isinstance(stmt, ast.SelectStmt) else None
    return f"SELECT {lock_strength(locks[0])[1]}" if locks else kind


def analyze_and_plan(
    stmt: Any,
    sql: str,
    catalog: CatalogReader,
    info: SessionInfo,
    param_types: tuple[int, ...] = (),
    folded: Sequence[FoldedRows] = (),
) -> PlannedStatement:
    """Analyze and plan one SELECT, VALUES, INSERT, UPDATE or DELETE. `stmt` is `parser.Statement.node`, `sql` the text
    that its locations count in; `param_types` has 0 for types to be inferred; `folded`: VALUES that it shows some rows of."""
    context = new_context(catalog, sql, param_types, info.user, info.database, info.reading)
    query = analyze(context, stmt)
    done_with(query)
    output = output_of(query, catalog)
    ctx = PlanContext(context, info, Estimate)
    done_with(context, ctx)
    ctx.folded = folded
    ctx.next_with = context.ctes
    ctx.plan_query = lambda q: plan_query(ctx, q)
    ctx.plan_dml = lambda q: plan_dml(ctx, q)
    ctx.lower_sublink = lower_sublink
    built = plan_query(ctx, query)
    kind = _KINDS[query.kind]
    plan = nodes.Plan(
        built.node,
        output,
        list(context.params.types),
        ctx.exec_params,
        ctx.subplans,
        sorted(context.locks.items()),
        kind,
        _command(kind, stmt),
        ctx.writes,
        catalog.version,
    )
    return PlannedStatement(plan, kind, output, list(context.params.types), list(context.relations), ctx.estimates)
