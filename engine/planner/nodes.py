"""The plan as it goes to the kernel: msgspec mirrors of kernel/src/exec/plan.rs, field by field (a test compares).
Every node outputs rows of columns numbered from 0; see the Rust file for what each field means.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Expr(msgspec.Struct, tag_field="e", omit_defaults=True):
    """Any expression."""


class Node(msgspec.Struct, tag_field="op", omit_defaults=True):
    """Any plan node."""


class Const(Expr, tag="const"):
    """Text form as the type's input function reads it; None is NULL."""

    typ: int
    text: str | None = None


class Col(Expr, tag="col"):
    """Column `i` of the node's input."""

    i: int
    typ: int


class Param(Expr, tag="param"):
    """$n, from 0."""

    n: int
    typ: int


class Exec(Expr, tag="exec"):
    """Executor parameter."""

    n: int
    typ: int


class Func(Expr, tag="func"):
    """A function by prosrc."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    at: int | None = None


class And(Expr, tag="and"):
    """Conjunction."""

    args: list[Expr]


class Or(Expr, tag="or"):
    """Disjunction."""

    args: list[Expr]


class Not(Expr, tag="not"):
    """Negation."""

    arg: Expr


class IsNull(Expr, tag="is_null"):
    """IS [NOT] NULL."""

    arg: Expr
    not_: bool = msgspec.field(name="not")


class BoolTest(Expr, tag="bool_test"):
    """IS [NOT] TRUE / FALSE / UNKNOWN."""

    arg: Expr
    test: str
    not_: bool = msgspec.field(name="not")


class Distinct(Expr, tag="distinct"):
    """IS [NOT] DISTINCT FROM."""

    func: str
    left: Expr
    right: Expr
    not_: bool = msgspec.field(name="not")
    typ: int


class Case(Expr, tag="case"):
    """CASE."""

    whens: list[tuple[Expr, Expr]]
    other: Expr | None
    typ: int


class Coalesce(Expr, tag="coalesce"):
    """COALESCE."""

    args: list[Expr]
    typ: int


class NullIf(Expr, tag="null_if"):
    """NULLIF."""

    func: str
    left: Expr
    right: Expr
    typ: int


class Greatest(Expr, tag="greatest"):
    """GREATEST."""

    args: list[Expr]
    typ: int


class Least(Expr, tag="least"):
    """LEAST."""

    args: list[Expr]
    typ: int


class AnyAll(Expr, tag="any_all"):
    """left OP ANY/ALL (array)."""

    func: str
    left: Expr
    array: Expr
    elem: int
    all: bool


class Array(Expr, tag="array"):
    """ARRAY[…]."""

    args: list[Expr]
    elem: int
    typ: int
    nested: bool


class SubscriptItem(msgspec.Struct):
    """One subscript or slice."""

    slice: bool
    low: Expr | None = None
    high: Expr | None = None


class Subscript(Expr, tag="subscript"):
    """array[…]."""

    arg: Expr
    index: list[SubscriptItem]
    typ: int
    elem: int


class Row(Expr, tag="row"):
    """ROW(…)."""

    args: list[Expr]
    types: list[int]


class Field(Expr, tag="field"):
    """(record).field, by index."""

    arg: Expr
    i: int
    typ: int


class RowCompare(Expr, tag="row_compare"):
    """(a, b) < (c, d)."""

    op: str
    left: list[Expr]
    right: list[Expr]
    types: list[int]


class CastIo(Expr, tag="cast_io"):
    """By way of text."""

    arg: Expr
    from_: int = msgspec.field(name="from")
    to: int
    typmod: int


class CastArray(Expr, tag="cast_array"):
    """Element by element; `cast` over column 0."""

    arg: Expr
    cast: Expr
    from_elem: int
    to_elem: int


class Typmod(Expr, tag="typmod"):
    """Length coercion."""

    arg: Expr
    typ: int
    typmod: int
    explicit: bool


class Sub(Expr, tag="sub"):
    """A subplan in place."""

    subplan: int
    kind: str
    params: list[tuple[int, Expr]]
    test: Expr | None
    result: list[int]
    typ: int
    keys: list[tuple[Expr, Expr, int]]


class Host(Expr, tag="host"):
    """A function that lives in Python."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int


# ---- tables


class Column(msgspec.Struct):
    """A table's column; its place is attnum - 1."""

    name: str
    typ: int
    typmod: int
    dropped: bool
    not_null: bool
    missing: str | None


class IndexKey(msgspec.Struct):
    """`column` is a place in Table.columns."""

    column: int
    desc: bool
    nulls_first: bool


class Index(msgspec.Struct):
    """A B-tree index."""

    oid: int
    name: str
    root: int
    unique: bool
    nulls_not_distinct: bool
    keys: list[IndexKey]


class Table(msgspec.Struct):
    """A stored table."""

    oid: int
    schema: str
    name: str
    root: int
    overflow: int
    columns: list[Column]
    indexes: list[Index]


# ---- parts of nodes


class OutputColumn(msgspec.Struct):
    """A result column."""

    name: str
    typ: int
    typmod: int
    table: int
    attnum: int


class Bound(msgspec.Struct):
    """Values of leading key columns."""

    values: list[Expr]
    inclusive: bool
    nulls: list[bool]


class SortKey(msgspec.Struct):
    """ORDER BY item."""

    expr: Expr
    typ: int
    desc: bool
    nulls_first: bool


class SetCall(msgspec.Struct):
    """A set-returning function's call."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    types: list[int]


class ProjectItem(msgspec.Struct, omit_defaults=True):
    """Exactly one of the two (serde's externally tagged enum)."""

    expr: Expr | None = None
    set: SetCall | None = None


class Agg(msgspec.Struct):
    """An aggregate call."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    distinct: bool
    filter: Expr | None
    order: list[SortKey]


class FrameBound(msgspec.Struct):
    """unbounded, current, preceding, following."""

    kind: str
    offset: Expr | None


class Frame(msgspec.Struct):
    """Window frame."""

    mode: str
    start: FrameBound
    end: FrameBound
    exclude: str


class WindowCall(msgspec.Struct):
    """A window function's call."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    filter: Expr | None
    frame: Frame


class RowLock(msgspec.Struct):
    """FOR UPDATE/SHARE of one table."""

    table: Table
    row: int
    mode: str
    wait: str
    columns: list[tuple[int, int]]
    recheck: Expr | None


class Check(msgspec.Struct):
    """A CHECK constraint over the new row."""

    test: Expr
    constraint: str
    code: str | None
    message: str | None


class OnConflict(msgspec.Struct):
    """ON CONFLICT."""

    arbiters: list[int]
    set: list[tuple[int, Expr]] | None
    filter: Expr | None


class After(msgspec.Struct):
    """What happens for each changed row once the statement is done."""

    subplan: int
    params: list[tuple[int, Expr]]
    when: Expr | None
    expect: str
    code: str
    message: str
    detail: str
    constraint: str
    table: str
    schema: str
    oid: int
    deferrable: bool
    deferred: bool
    still: int | None = None


class Single(Node, tag="single"):
    """One row, no columns."""


class Empty(Node, tag="empty"):
    """No rows."""

    width: int


class Values(Node, tag="values"):
    """Rows of expressions."""

    rows: list[list[Expr]]
    types: list[int]


class LiteralRows(Node, tag="literal_rows"):
    """Rows that are read from a parameter's text."""

    text: int
    columns: list[list[tuple[str, int | None]]]
    outputs: list[tuple[int | None, list[Expr]]]
    types: list[int]


class FunctionScan(Node, tag="function_scan"):
    """Set-returning functions in FROM."""

    calls: list[SetCall]
    ordinality: bool


class HostScan(Node, tag="host_scan"):
    """Rows that Python makes."""

    name: str
    types: list[int]
    args: list[Expr]


class Scan(Node, tag="scan"):
    """All rows of a table."""

    table: Table
    columns: list[int]
    filter: Expr | None


class IndexScan(Node, tag="index_scan"):
    """A range of an index."""

    table: Table
    index: int
    low: Bound | None
    high: Bound | None
    any: Expr | None
    backward: bool
    columns: list[int]
    filter: Expr | None


class Filter(Node, tag="filter"):
    """WHERE, HAVING."""

    input: Node
    test: Expr


class Project(Node, tag="project"):
    """Computed columns."""

    input: Node
    exprs: list[Expr]


class ProjectSet(Node, tag="project_set"):
    """Set-returning functions in a select list."""

    input: Node
    exprs: list[ProjectItem]


class NestedLoop(Node, tag="nested_loop"):
    """The right side is run again for each left row."""

    kind: str
    left: Node
    right: Node
    on: Expr | None
    params: list[tuple[int, Expr]]
    right_width: int


class HashJoin(Node, tag="hash_join"):
    """Hash join; the right side is hashed."""

    kind: str
    left: Node
    right: Node
    left_keys: list[Expr]
    right_keys: list[Expr]
    key_types: list[int]
    on: Expr | None
    left_width: int
    right_width: int


class MergeJoin(Node, tag="merge_join"):
    """Merge join of inputs that are sorted by their keys; how is said on the left."""

    kind: str
    left: Node
    right: Node
    left_keys: list[SortKey]
    right_keys: list[Expr]
    on: Expr | None
    left_width: int
    right_width: int


class Sort(Node, tag="sort"):
    """Sort, or top-N with `limit`."""

    input: Node
    keys: list[SortKey]
    limit: Expr | None


class Aggregate(Node, tag="aggregate"):
    """Grouping."""

    input: Node
    keys: list[Expr]
    key_types: list[int]
    aggs: list[Agg]
    sorted: bool
    sets: list[list[int]] | None


class Window(Node, tag="window"):
    """Window functions."""

    input: Node
    partition: list[Expr]
    partition_types: list[int]
    order: list[SortKey]
    calls: list[WindowCall]


class Limit(Node, tag="limit"):
    """LIMIT, OFFSET, WITH TIES."""

    input: Node
    count: Expr | None
    offset: Expr | None
    with_ties: list[SortKey]


class DistinctRows(Node, tag="distinct"):
    """DISTINCT, DISTINCT ON (Rust: Node::Distinct)."""

    input: Node
    keys: list[Expr] | None
    types: list[int]


class Append(Node, tag="append"):
    """One input after the other."""

    inputs: list[Node]


class SetOp(Node, tag="set_op"):
    """UNION, INTERSECT, EXCEPT."""

    kind: str
    all: bool
    left: Node
    right: Node
    types: list[int]


class With(Node, tag="with"):
    """A materialised CTE."""

    id: int
    cte: Node
    input: Node
    writes: bool


class Recursive(Node, tag="recursive"):
    """WITH RECURSIVE."""

    id: int
    start: Node
    step: Node
    distinct: bool
    types: list[int]


class WorkScan(Node, tag="work_scan"):
    """Reads the last round of a recursion."""

    id: int
    width: int


class CteScan(WorkScan, tag="cte_scan"):
    """Reads a CTE."""


class LockRows(Node, tag="lock_rows"):
    """FOR UPDATE/SHARE."""

    input: Node
    locks: list[RowLock]
    outer: list[tuple[Expr, list[int]]]


class Insert(Node, tag="insert"):
    """INSERT."""

    table: Table
    input: Node
    checks: list[Check]
    conflict: OnConflict | None
    returning: list[Expr] | None
    after: list[After]


class Update(Node, tag="update"):
    """UPDATE."""

    table: Table
    input: Node
    row: int
    set: list[tuple[int, Expr]]
    old: list[tuple[int, int]]
    recheck: Expr | None
    checks: list[Check]
    returning: list[Expr] | None
    after: list[After]


class Delete(Node, tag="delete"):
    """DELETE."""

    table: Table
    input: Node
    row: int
    old: list[tuple[int, int]]
    recheck: Expr | None
    returning: list[Expr] | None
    after: list[After]


class Plan(msgspec.Struct):
    """A whole plan."""

    root: Node
    output: list[OutputColumn]
    params: list[int]
    exec_params: int
    subplans: list[Node]
    locks: list[tuple[int, int]]
    tag: str
    command: str
    writes: bool
    catalog_version: int


def to_json(value: Any) -> str:
    """JSON as kernel/src/exec/plan.rs reads it (a Plan, or an Expr for expressions prepared alone)."""
    return msgspec.json.encode(value).decode()
