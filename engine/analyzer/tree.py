"""The resolved query tree: what analysis leaves and planning starts from.

Expressions are the plan's own (`planner.nodes`) with a few more that only live here: `Var` and what contains queries. Each
range-table entry of a statement, at whatever depth, has its own number, so that a `Var` means the same thing wherever it
stands: an outer reference is a `Var` of an entry that is not the query's own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sixfold.engine.catalog.model import Function, Relation
from sixfold.engine.planner.nodes import Expr, Frame

# Column numbers of a Var that are no columns of the table: the row id, and the whole row.
ROW_ID = -1
WHOLE_ROW = -2


class Var(Expr, tag="var"):
    """Column `col` (from 0) of range-table entry `rel`."""

    rel: int
    col: int
    typ: int
    typmod: int = -1


class Relabel(Expr, tag="relabel"):
    """A binary-coercible cast: the same value under another type."""

    arg: Expr
    typ: int
    typmod: int = -1


class ArrayCast(Expr, tag="array_cast"):
    """A cast element by element; `cast` is over column 0."""

    arg: Expr
    cast: Expr
    from_elem: int
    to_elem: int
    typ: int


class NamedRow(Expr, tag="named_row"):
    """A row whose fields have names: a table's whole row, a set-returning function's result."""

    args: list[Expr]
    types: list[int]
    names: list[str]
    typ: int = 2249
    # Where it holds, there is no row at all: an outer join found none.
    absent: Expr | None = None


class AggRef(Expr, tag="agg_ref"):
    """An aggregate call; it belongs to query number `query`."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    distinct: bool
    filter: Expr | None
    order: list[SortItem]
    query: int
    star: bool = False
    direct: int = 0


class GroupingRef(Expr, tag="grouping"):
    """GROUPING(…)."""

    args: list[Expr]
    query: int


class WindowRef(Expr, tag="window_ref"):
    """A window function's call over window clause number `window`."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    filter: Expr | None
    window: int
    frame: Frame
    agg: bool = False


class SetRef(Expr, tag="set_ref"):
    """A set-returning function's call in a select list."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    # Result columns; more than one makes a record.
    types: list[int]
    names: list[str] = []


class SubLink(Expr, tag="sub_link"):
    """A subquery in an expression. `kind`: scalar, exists, array, any, all, row_compare.

    any/all/row_compare: `left` are the left side's expressions (coerced), `right` the query's columns (coerced) as
    expressions over `Slot`s, `funcs` the operators' functions, `op` the operator's name.
    """

    kind: str
    number: int
    typ: int
    typmod: int = -1
    op: str = "="
    left: list[Expr] = []
    right: list[Expr] = []
    funcs: list[str] = []
    types: list[int] = []


class Slot(Expr, tag="slot"):
    """Result column `i` of the SubLink's query around it."""

    i: int
    typ: int


class SortItem(msgspec.Struct):
    """An ORDER BY item."""

    expr: Expr
    desc: bool
    nulls_first: bool
    typ: int


class Target(msgspec.Struct):
    """An item of the select list. `junk`: only there for ORDER BY, DISTINCT ON."""

    expr: Expr
    name: str
    typ: int
    typmod: int = -1
    junk: bool = False
    # Table and attnum that the column comes from, for RowDescription.
    table: int = 0
    attnum: int = 0
    # Where it stands in the statement.
    position: int | None = None


class RteColumn(msgspec.Struct):
    """A column that a range-table entry offers."""

    name: str
    typ: int
    typmod: int = -1
    table: int = 0
    attnum: int = 0
    dropped: bool = False
    # Not among those that `*` stands for.
    hidden: bool = False


class FuncCall(msgspec.Struct):
    """A function in FROM."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    types: list[int]
    retset: bool
    # Expression form, where the function returns no set.
    expr: Expr | None
    rows: float = 1.0
    host: bool = False


class Rte:
    """A range-table entry. `kind`: relation, subquery, function, values, cte, work."""

    __slots__ = (
        "alias", "calls", "columns", "cte", "id", "kind", "lateral", "lock", "ordinality", "query", "relation", "rows",
        "sample", "used",
    )  # fmt: skip

    def __init__(self, number: int, kind: str, alias: str, columns: list[RteColumn]) -> None:
        self.id = number
        self.kind = kind
        self.alias = alias
        self.columns = columns
        self.relation: Relation | None = None
        self.query: Query | None = None
        self.calls: list[FuncCall] = []
        self.ordinality = False
        self.rows: list[list[Expr]] = []
        self.cte: Cte | None = None
        self.lateral = False
        self.lock: str | None = None
        self.sample: Any = None
        self.used: set[int] = set()


class FromRel:
    """A range-table entry in FROM."""

    __slots__ = ("rte",)

    def __init__(self, rte: Rte) -> None:
        self.rte = rte


class FromJoin:
    """A join in FROM. `kind`: inner, left, right, full."""

    __slots__ = ("kind", "left", "on", "right")

    def __init__(self, kind: str, left: FromItem, right: FromItem, on: Expr | None) -> None:
        self.kind = kind
        self.left = left
        self.right = right
        self.on = on


class FromGroup:
    """A subquery's FROM and WHERE in its place: an inner join of its items, filtered."""

    __slots__ = ("items", "where")

    def __init__(self, items: list[FromItem], where: Expr | None) -> None:
        self.items = items
        self.where = where


FromItem = FromRel | FromJoin | FromGroup


class Cte:
    """A common table expression."""

    __slots__ = ("columns", "materialized", "name", "number", "query", "recursive", "references", "union_all", "work")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.query: Query | None = None
        self.columns: list[RteColumn] = []
        # True, False, or None where the statement does not say.
        self.materialized: bool | None = None
        self.recursive = False
        self.references = 0
        self.union_all = False
        self.work: Rte | None = None


class WindowClause(msgspec.Struct):
    """PARTITION BY and ORDER BY of a window."""

    name: str
    partition: list[Expr]
    order: list[SortItem]
    frame: Frame


class SetOperation:
    """UNION, INTERSECT, EXCEPT of two queries with the same column types."""

    __slots__ = ("all", "kind", "left", "right")

    def __init__(self, kind: str, everything: bool, left: Query, right: Query) -> None:
        self.kind = kind
        self.all = everything
        self.left = left
        self.right = right


class Lock(msgspec.Struct):
    """FOR UPDATE/SHARE of one entry."""

    rel: int
    mode: str
    wait: str


class Query:
    """One query level."""

    __slots__ = (
        "ctes", "distinct", "dml", "from_items", "group", "grouping_sets", "has_aggs", "has_srfs", "having", "kind",
        "limit", "limit_ties", "locks", "number", "offset", "order", "parent", "rtes", "setop", "sets", "targets", "values", "where",
        "windows",
    )  # fmt: skip

    def __init__(self, number: int, kind: str = "select") -> None:
        self.number = number
        self.kind = kind
        self.targets: list[Target] = []
        self.from_items: list[FromItem] = []
        self.rtes: list[Rte] = []
        self.where: Expr | None = None
        self.group: list[Expr] = []
        # Lists of indexes into `group`.
        self.grouping_sets: list[list[int]] | None = None
        self.having: Expr | None = None
        self.has_aggs = False
        self.has_srfs = False
        # Positions of set-returning functions outside of FROM.
        self.sets: list[int | None] = []
        self.windows: list[WindowClause] = []
        # None, True (all columns), or DISTINCT ON's expressions.
        self.distinct: bool | list[Expr] | None = None
        self.order: list[SortItem] = []
        self.limit: Expr | None = None
        self.offset: Expr | None = None
        self.limit_ties = False
        self.setop: SetOperation | None = None
        self.ctes: list[Cte] = []
        self.locks: list[Lock] = []
        self.values: list[list[Expr]] = []
        self.dml: Dml | None = None
        self.parent: Query | None = None

    def visible(self) -> list[Target]:
        """The targets that come out."""
        return [t for t in self.targets if not t.junk]


class Conflict:
    """ON CONFLICT."""

    __slots__ = ("arbiters", "assign", "excluded", "where")

    def __init__(self) -> None:
        self.arbiters: list[int] = []
        # None: DO NOTHING.
        self.assign: list[tuple[int, Expr]] | None = None
        self.where: Expr | None = None
        self.excluded: Rte | None = None


class Dml:
    """What INSERT, UPDATE and DELETE have beyond FROM and WHERE.

    insert: `columns` are the places of the given columns, `source` the query whose targets are their values (coerced);
    `fill` gives the expression of every other column. update: `assign` has (place, expression).
    RETURNING's Vars name `target` (the new row; for DELETE the old one).
    """

    __slots__ = (
        "assign",
        "checks",
        "columns",
        "conflict",
        "fill",
        "generated",
        "multi",
        "relation",
        "returning",
        "source",
        "target",
    )

    def __init__(self, relation: Relation, target: Rte) -> None:
        self.relation = relation
        self.target = target
        self.columns: list[int] = []
        self.source: Query | None = None
        self.fill: dict[int, Expr] = {}
        self.assign: list[tuple[int, Expr]] = []
        self.conflict: Conflict | None = None
        self.returning: list[Target] | None = None
        # CHECK constraints and generated columns, over Vars of `target`.
        self.checks: list[tuple[Expr, str, str | None, str | None]] = []
        self.generated: list[tuple[int, Expr]] = []


class SubQueryTable:
    """The queries of a statement's SubLinks, by number; they are kept out of expressions so that those stay comparable."""

    __slots__ = ("queries",)

    def __init__(self) -> None:
        self.queries: list[Query] = []

    def add(self, query: Query) -> int:
        """A new number."""
        self.queries.append(query)
        return len(self.queries) - 1


class Analyzed(msgspec.Struct):
    """A statement after analysis."""

    query: Query
    sublinks: SubQueryTable
    params: list[int]
    # OIDs of relations looked at, views too.
    relations: set[int]
    rte_count: int
    functions: list[Function] = []
