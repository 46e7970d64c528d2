"""The plan as it goes to the kernel. Made by `python -m tests.tools.plan_nodes` from kernel/src/exec/plan.rs and kernel/src/exec/ops/.

Every node outputs rows of columns numbered from 0; `Col` names a column of the node's input.
"""

from __future__ import annotations  # noqa: I001

from typing import Any

import msgspec

from .expressions import (
    And as And,
    AnyAll as AnyAll,
    Array as Array,
    BoolTest as BoolTest,
    Case as Case,
    CastArray as CastArray,
    CastIo as CastIo,
    Coalesce as Coalesce,
    Col as Col,
    Const as Const,
    Distinct as Distinct,
    Exec as Exec,
    Expr as Expr,
    Field as Field,
    Func as Func,
    Greatest as Greatest,
    Host as Host,
    IsNull as IsNull,
    Least as Least,
    Not as Not,
    NullIf as NullIf,
    Or as Or,
    Param as Param,
    Row as Row,
    RowCompare as RowCompare,
    Sub as Sub,
    Subscript as Subscript,
    SubscriptItem as SubscriptItem,
    Typmod as Typmod,
)


class Node(msgspec.Struct, tag_field="op", omit_defaults=True):
    """Any plan node."""


class Plan(msgspec.Struct):
    root: Node
    # Result columns; empty for a statement that returns no rows.
    output: list[OutputColumn]
    # Types of $1…
    params: list[int]
    # How many executor parameters (`Exec`) the plan uses.
    exec_params: int
    # Plans that expressions refer to by index (`Sub`), and that `After` runs.
    subplans: list[Node]
    # Relations to lock before running, with PostgreSQL's mode number 1 (ACCESS SHARE) … 8 (ACCESS EXCLUSIVE).
    locks: list[tuple[int, int]]
    # SELECT, INSERT, UPDATE, DELETE, … : what the command tag begins with.
    tag: str
    # What a read-only transaction says it can't execute.
    command: str
    writes: bool
    # Compiled against this catalogue version; older plans are planned again by Python.
    catalog_version: int


class OutputColumn(msgspec.Struct):
    name: str
    typ: int
    typmod: int
    # Of the table column it is, else 0.
    table: int
    attnum: int


class Table(msgspec.Struct):
    oid: int
    schema: str
    name: str
    root: int
    overflow: int
    columns: list[Column]
    indexes: list[Index]


class Column(msgspec.Struct):
    name: str
    typ: int
    typmod: int
    dropped: bool
    not_null: bool
    # Text form of attmissingval.
    missing: str | None


class Index(msgspec.Struct):
    oid: int
    name: str
    root: int
    unique: bool
    nulls_not_distinct: bool
    keys: list[IndexKey]


class IndexKey(msgspec.Struct):
    column: int
    desc: bool
    nulls_first: bool


class SortKey(msgspec.Struct):
    expr: Expr
    typ: int
    desc: bool
    nulls_first: bool


class Aggregate(Node, tag="aggregate"):
    """Output: group keys, then aggregates. `sorted`: input is sorted by the keys. `sets`: grouping sets, as lists of
    key indexes (keys outside the set read as null).
    """

    input: Node
    keys: list[Expr]
    key_types: list[int]
    aggs: list[Agg]
    sorted: bool
    sets: list[list[int]] | None


class Agg(msgspec.Struct):
    # pg_proc name and argument types pick the aggregate: `sum(int4)` is func "sum", arg_types [23].
    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    distinct: bool
    filter: Expr | None
    order: list[SortKey]


class Append(Node, tag="append"):
    """One input after the other."""

    inputs: list[Node]


class With(Node, tag="with"):
    """WITH: `cte` is run once, at first use (or at the start when it writes), and read by `CteScan` anywhere below."""

    id: int
    cte: Node
    input: Node
    writes: bool


class CteScan(Node, tag="cte_scan"):
    """Reads a CTE."""

    id: int
    width: int


class Delete(Node, tag="delete"):
    table: Table
    input: Node
    row: int
    old: list[tuple[int, int]]
    recheck: Expr | None
    # Over the old row's columns (attnum order), the row id, then all input columns.
    returning: list[Expr] | None
    after: list[After]


class DistinctRows(Node, tag="distinct"):
    """Distinct on all columns, or on `keys` (DISTINCT ON over sorted input, first row kept)."""

    input: Node
    keys: list[Expr] | None
    types: list[int]


class Empty(Node, tag="empty"):
    """No rows."""

    width: int


class Filter(Node, tag="filter"):
    """WHERE, HAVING."""

    input: Node
    test: Expr


class FunctionScan(Node, tag="function_scan"):
    """A set-returning function: generate_series, unnest (several at once are zipped), json_array_elements…"""

    calls: list[SetCall]
    ordinality: bool


class HashJoin(Node, tag="hash_join"):
    """The right side is hashed."""

    kind: str
    left: Node
    right: Node
    left_keys: list[Expr]
    right_keys: list[Expr]
    key_types: list[int]
    on: Expr | None
    left_width: int
    right_width: int


class HostScan(Node, tag="host_scan"):
    """Rows that Python makes when asked (pg_settings, pg_stat_activity …), by name."""

    name: str
    types: list[int]
    args: list[Expr]


class IndexScan(Node, tag="index_scan"):
    """A range of an index."""

    table: Table
    index: int
    low: Bound | None
    high: Bound | None
    # `key = ANY(array)` on the column after the equal prefix: one probe an element.
    any: Expr | None
    backward: bool
    columns: list[int]
    filter: Expr | None


class Bound(msgspec.Struct):
    """Values of leading key columns; no input columns. A null value makes the scan empty unless `nulls` says it is sought."""

    values: list[Expr]
    inclusive: bool
    nulls: list[bool]


class Insert(Node, tag="insert"):
    """Input rows have a value for every table column, in attnum order."""

    table: Table
    input: Node
    checks: list[Check]
    conflict: OnConflict | None
    # RETURNING, over the new row's columns in attnum order and then the row id; none: no rows come out.
    returning: list[Expr] | None
    after: list[After]


class OnConflict(msgspec.Struct):
    # OIDs of the indexes that may conflict; empty: any unique index (DO NOTHING only).
    arbiters: list[int]
    # None: DO NOTHING. Otherwise (table column, expression) over: the existing row's columns, then EXCLUDED's.
    set: list[tuple[int, Expr]] | None
    filter: Expr | None


class Limit(Node, tag="limit"):
    """LIMIT and OFFSET; `with_ties` are the ORDER BY's keys, for WITH TIES."""

    input: Node
    count: Expr | None
    offset: Expr | None
    with_ties: list[SortKey]


class LiteralRows(Node, tag="literal_rows"):
    """VALUES of very many literals (`base::folding`): the rows are read from a parameter's text."""

    # Number, from 0, of the parameter that is the text; the next one says how many characters stand before it.
    text: int
    # What each column's cells look like: the key by which a cell is known, and of what type its literal is read.
    columns: list[list[tuple[str, int | None]]]
    # A column that comes out: by the shape of the cell in some column, or always the first. Expressions see the literals of
    # the row, one for each shape that has one.
    outputs: list[tuple[int | None, list[Expr]]]
    types: list[int]


class LockRows(Node, tag="lock_rows"):
    """FOR UPDATE/SHARE: `row` is the column with the row id; on a changed row `recheck` is tested over the input row
    with the table's columns (`columns`: input column → table column) replaced.
    """

    input: Node
    locks: list[RowLock]
    # Outer joins below: a condition, and the input columns that are null where it does not hold.
    outer: list[tuple[Expr, list[int]]]


class RowLock(msgspec.Struct):
    table: Table
    row: int
    mode: str
    # "block", "nowait", "skip".
    wait: str
    # (input column, table column)
    columns: list[tuple[int, int]]
    recheck: Expr | None


class MergeJoin(Node, tag="merge_join"):
    """Both sides come sorted by their keys; how is said on the left. Not for kinds that ask about nulls (null_anti, mark)."""

    kind: str
    left: Node
    right: Node
    left_keys: list[SortKey]
    right_keys: list[Expr]
    on: Expr | None
    left_width: int
    right_width: int


class Check(msgspec.Struct):
    """A CHECK constraint over the new row's columns: false is `code`/`message`. NOT NULL is checked from the table's columns."""

    test: Expr
    constraint: str
    # For domains and WITH CHECK OPTION; default 23514.
    code: str | None
    message: str | None


class After(msgspec.Struct):
    """What happens for each changed row once the statement is done, in order: foreign keys now, triggers later."""

    # Subplan to run, with executor parameters set from `params`: (number, expression over new row's columns, then
    # old row's; the missing half reads as nulls).
    subplan: int
    params: list[tuple[int, Expr]]
    # Run only when this holds over (new row, old row): "the key changed and is not null".
    when: Expr | None
    # "none": whatever it returns; "rows": no row is the error (child without parent); "no_rows": a row is the error
    # (parent still referenced).
    expect: str
    # The error when `expect` fails. `$1`… in `detail` stand for the parameters' text.
    code: str
    message: str
    detail: str
    constraint: str
    table: str
    schema: str
    # Of the constraint.
    oid: int
    # At the statement's end always, or as SET CONSTRAINTS says.
    deferrable: bool
    # What holds unless it says so: at the statement's end, or at COMMIT.
    deferred: bool
    # Subplan with the same parameters: when it gives no row, nobody is concerned any more and `expect` need not hold.
    still: int | None = None


class NestedLoop(Node, tag="nested_loop"):
    """`on` sees left columns then right columns. The right side is run again for each left row, with `params`
    (executor parameter number, expression over the left row) set.
    """

    kind: str
    left: Node
    right: Node
    on: Expr | None
    params: list[tuple[int, Expr]]
    right_width: int


class Project(Node, tag="project"):
    """Computed columns."""

    input: Node
    exprs: list[Expr]


class ProjectSet(Node, tag="project_set"):
    """Set-returning functions in a select list: the input row is repeated, as PostgreSQL's ProjectSet does."""

    input: Node
    exprs: list[ProjectItem]


class ProjectItem(msgspec.Struct, omit_defaults=True):
    """Exactly one of them."""

    expr: Expr | None = None
    set: SetCall | None = None


class Recursive(Node, tag="recursive"):
    """Recursive WITH: `step` reads the last round's rows by `WorkScan{id}`."""

    id: int
    start: Node
    step: Node
    distinct: bool
    types: list[int]


class WorkScan(Node, tag="work_scan"):
    """Reads the last round of a recursion."""

    id: int
    width: int


class Scan(Node, tag="scan"):
    """All rows of a table."""

    table: Table
    columns: list[int]
    filter: Expr | None


class SetCall(msgspec.Struct):
    func: str
    args: list[Expr]
    arg_types: list[int]
    # One type a result column.
    types: list[int]


class SetOp(Node, tag="set_op"):
    """UNION, INTERSECT, EXCEPT."""

    kind: str
    all: bool
    left: Node
    right: Node
    types: list[int]


class Single(Node, tag="single"):
    """One row, no columns."""


class Sort(Node, tag="sort"):
    """ORDER BY; with `limit` only the first rows."""

    input: Node
    keys: list[SortKey]
    limit: Expr | None


class Update(Node, tag="update"):
    """Input: anything; `row` is the column with the row id. `set` has one expression for every table column that changes,
    over the input row. `old` says where the input has table columns: (input column, table column); all of them are there.
    """

    table: Table
    input: Node
    row: int
    set: list[tuple[int, Expr]]
    old: list[tuple[int, int]]
    # The whole WHERE and join condition over the input row, for READ COMMITTED's second look.
    recheck: Expr | None
    checks: list[Check]
    # Over the new row's columns (attnum order), the row id, then all input columns.
    returning: list[Expr] | None
    after: list[After]


class Values(Node, tag="values"):
    """Rows of expressions without input columns."""

    rows: list[list[Expr]]
    types: list[int]


class Window(Node, tag="window"):
    """Input sorted by partition then order; output: input columns, then the windows."""

    input: Node
    partition: list[Expr]
    partition_types: list[int]
    order: list[SortKey]
    calls: list[WindowCall]


class WindowCall(msgspec.Struct):
    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    filter: Expr | None
    frame: Frame


class Frame(msgspec.Struct):
    # "rows", "range" or "groups".
    mode: str
    # "unbounded", "current", or "preceding"/"following" with an offset.
    start: FrameBound
    end: FrameBound
    # "no others", "current row", "group", "ties".
    exclude: str


class FrameBound(msgspec.Struct):
    kind: str
    offset: Expr | None


def to_json(value: Any) -> str:
    """JSON as the kernel reads it (a Plan, or an Expr for expressions prepared alone)."""
    return msgspec.json.encode(value).decode()
