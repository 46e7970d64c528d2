"""UPDATE and DELETE by a join over a table that is larger than the cache: its rows are changed in the order in which they are stored.

In the join's order the leaf of nearly each row would come from the storage: it has left the cache again before its next row's turn.
"""

from __future__ import annotations

from sixfold.engine.analyzer import oids
from sixfold.engine.catalog.model import Relation
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import PlanContext
from sixfold.engine.planner.joins import LEFT_ONLY
from sixfold.engine.planner.nodes import Node
from sixfold.engine.planner.paths import PAGE, sort_cost
from sixfold.engine.planner.statistics import column_width, table_pages

# A page that is read by itself, as PostgreSQL's random_page_cost.
RANDOM_PAGE = 4.0
PAGE_BYTES = 8192
# What a row takes in a hash table beside its values.
HASHED_ROW_BYTES = 32
HASH_MEM_MULTIPLIER = 2


def in_stored_order(
    ctx: PlanContext, node: Node, relation: Relation, width: int, row_id: int, rows: float, total: float
) -> tuple[Node, float]:
    """The rows to change, sorted by `row_id`, their column with the target's row ids, if that pays; and the cost. `width`: their columns."""
    if table_pages(relation) <= ctx.info.cache_pages or _has_just_been_read(ctx, node, width, row_id):
        return node, total
    row_bytes = sum(column_width(column) for column in relation.columns)
    spilled = 2.0 * PAGE * rows * row_bytes / PAGE_BYTES
    cost = sort_cost(rows) + spilled
    if cost >= rows * RANDOM_PAGE:
        return node, total
    key = nodes.SortKey(nodes.Col(row_id, oids.INT8), oids.INT8, False, False)
    ctx.estimate(sort := nodes.Sort(node, [key], None), rows, total + cost, total + cost)
    return sort, total + cost


def _has_just_been_read(ctx: PlanContext, node: Node, width: int, row_id: int) -> bool:
    """Is a row still in the cache when it comes out of the node? `row_id`: that one of its columns (`width`) which
    the table's scan puts out last."""
    while True:
        if isinstance(node, nodes.Scan | nodes.IndexScan):
            return row_id == len(node.columns)
        if isinstance(node, nodes.HashJoin | nodes.NestedLoop | nodes.MergeJoin):
            left_width = width if node.kind in LEFT_ONLY else width - node.right_width
            is_left = row_id < left_width
            if isinstance(node, nodes.HashJoin) and not (is_left and _stays_in_memory(ctx, node.right)):
                return False
            if is_left:
                node, width = node.left, left_width
            else:
                width, row_id = node.right_width, row_id - left_width
                node = node.right
        elif isinstance(node, nodes.With | nodes.Filter):
            node = node.input
        else:
            return False


def _stays_in_memory(ctx: PlanContext, hashed: Node) -> bool:
    """Else the rows beside it are put off, a part of the hash table at a time."""
    estimate = ctx.estimates.get(id(hashed))
    limit = HASH_MEM_MULTIPLIER * ctx.info.work_mem_kb * 1024
    return estimate is not None and estimate.rows * (estimate.width + HASHED_ROW_BYTES) <= limit
