//! The plan as Python hands it over: JSON, one struct a node, tagged by `op` (nodes) and `e` (expressions).
//! `engine/planner/nodes.py` holds the same shapes; a test compares the two field by field.
//!
//! Every node outputs rows of columns numbered from 0. `Col{i}` is column `i` of the node's input: for a join the
//! left input's columns, then the right's; for a scan with `columns` the scanned columns in that order and then the
//! row id. Types are PostgreSQL's OIDs. Functions are named as in pg_proc.prosrc (`int4pl`, `text_lt`, `numeric_add`).

use crate::base::{Oid, PageNo};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub root: Node,
    /// Result columns; empty for a statement that returns no rows.
    pub output: Vec<OutputColumn>,
    /// Types of $1…
    pub params: Vec<Oid>,
    /// How many executor parameters (`Exec`) the plan uses.
    pub exec_params: usize,
    /// Plans that expressions refer to by index (`Sub`), and that `After` runs.
    pub subplans: Vec<Node>,
    /// Relations to lock before running, with PostgreSQL's mode number 1 (ACCESS SHARE) … 8 (ACCESS EXCLUSIVE).
    pub locks: Vec<(Oid, u8)>,
    /// SELECT, INSERT, UPDATE, DELETE, … : what the command tag begins with.
    pub tag: String,
    /// What a read-only transaction says it can't execute.
    pub command: String,
    pub writes: bool,
    /// Compiled against this catalogue version; older plans are planned again by Python.
    pub catalog_version: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputColumn {
    pub name: String,
    pub typ: Oid,
    pub typmod: i32,
    /// Of the table column it is, else 0.
    pub table: Oid,
    pub attnum: i16,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)]
pub enum Node {
    /// One row, no columns.
    Single {},
    /// No rows.
    Empty {
        width: usize,
    },
    /// Rows of expressions without input columns.
    Values {
        rows: Vec<Vec<Expr>>,
        types: Vec<Oid>,
    },
    /// VALUES of very many literals (`base::folding`): the rows are read from a parameter's text.
    LiteralRows {
        /// Number, from 0, of the parameter that is the text; the next one says how many characters stand before it.
        text: usize,
        /// What each column's cells look like: the key by which a cell is known, and of what type its literal is read.
        columns: Vec<Vec<(String, Option<Oid>)>>,
        /// A column that comes out: by the shape of the cell in some column, or always the first. Expressions see the literals of
        /// the row, one for each shape that has one.
        outputs: Vec<(Option<usize>, Vec<Expr>)>,
        types: Vec<Oid>,
    },
    /// A set-returning function: generate_series, unnest (several at once are zipped), json_array_elements…
    FunctionScan {
        calls: Vec<SetCall>,
        ordinality: bool,
    },
    /// Rows that Python makes when asked (pg_settings, pg_stat_activity …), by name.
    HostScan {
        name: String,
        types: Vec<Oid>,
        args: Vec<Expr>,
    },
    Scan {
        table: Table,
        columns: Vec<usize>,
        filter: Option<Expr>,
    },
    IndexScan {
        table: Table,
        index: usize,
        low: Option<Bound>,
        high: Option<Bound>,
        /// `key = ANY(array)` on the column after the equal prefix: one probe an element.
        any: Option<Expr>,
        backward: bool,
        columns: Vec<usize>,
        filter: Option<Expr>,
    },
    Filter {
        input: Box<Node>,
        test: Expr,
    },
    Project {
        input: Box<Node>,
        exprs: Vec<Expr>,
    },
    /// Set-returning functions in a select list: the input row is repeated, as PostgreSQL's ProjectSet does.
    ProjectSet {
        input: Box<Node>,
        exprs: Vec<ProjectItem>,
    },
    /// `on` sees left columns then right columns. The right side is run again for each left row, with `params`
    /// (executor parameter number, expression over the left row) set.
    NestedLoop {
        kind: JoinKind,
        left: Box<Node>,
        right: Box<Node>,
        on: Option<Expr>,
        params: Vec<(usize, Expr)>,
        right_width: usize,
    },
    HashJoin {
        kind: JoinKind,
        left: Box<Node>,
        right: Box<Node>,
        left_keys: Vec<Expr>,
        right_keys: Vec<Expr>,
        key_types: Vec<Oid>,
        on: Option<Expr>,
        left_width: usize,
        right_width: usize,
    },
    /// Both sides come sorted by their keys; how is said on the left. Not for kinds that ask about nulls (null_anti, mark).
    MergeJoin {
        kind: JoinKind,
        left: Box<Node>,
        right: Box<Node>,
        left_keys: Vec<SortKey>,
        right_keys: Vec<Expr>,
        on: Option<Expr>,
        left_width: usize,
        right_width: usize,
    },
    Sort {
        input: Box<Node>,
        keys: Vec<SortKey>,
        limit: Option<Expr>,
    },
    /// Output: group keys, then aggregates. `sorted`: input is sorted by the keys. `sets`: grouping sets, as lists of
    /// key indexes (keys outside the set read as null).
    Aggregate {
        input: Box<Node>,
        keys: Vec<Expr>,
        key_types: Vec<Oid>,
        aggs: Vec<Agg>,
        sorted: bool,
        sets: Option<Vec<Vec<usize>>>,
    },
    /// Input sorted by partition then order; output: input columns, then the windows.
    Window {
        input: Box<Node>,
        partition: Vec<Expr>,
        partition_types: Vec<Oid>,
        order: Vec<SortKey>,
        calls: Vec<WindowCall>,
    },
    Limit {
        input: Box<Node>,
        count: Option<Expr>,
        offset: Option<Expr>,
        with_ties: Vec<SortKey>,
    },
    /// Distinct on all columns, or on `keys` (DISTINCT ON over sorted input, first row kept).
    Distinct {
        input: Box<Node>,
        keys: Option<Vec<Expr>>,
        types: Vec<Oid>,
    },
    Append {
        inputs: Vec<Node>,
    },
    SetOp {
        kind: SetOpKind,
        all: bool,
        left: Box<Node>,
        right: Box<Node>,
        types: Vec<Oid>,
    },
    /// WITH: `cte` is run once, at first use (or at the start when it writes), and read by `CteScan` anywhere below.
    With {
        id: usize,
        cte: Box<Node>,
        input: Box<Node>,
        writes: bool,
    },
    CteScan {
        id: usize,
        width: usize,
    },
    /// Recursive WITH: `step` reads the last round's rows by `WorkScan{id}`.
    Recursive {
        id: usize,
        start: Box<Node>,
        step: Box<Node>,
        distinct: bool,
        types: Vec<Oid>,
    },
    WorkScan {
        id: usize,
        width: usize,
    },
    /// FOR UPDATE/SHARE: `row` is the column with the row id; on a changed row `recheck` is tested over the input row
    /// with the table's columns (`columns`: input column → table column) replaced.
    LockRows {
        input: Box<Node>,
        locks: Vec<RowLock>,
        /// Outer joins below: a condition, and the input columns that are null where it does not hold.
        outer: Vec<(Expr, Vec<usize>)>,
    },
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    pub oid: Oid,
    pub schema: String,
    pub name: String,
    pub root: PageNo,
    pub overflow: PageNo,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub typ: Oid,
    pub typmod: i32,
    pub dropped: bool,
    pub not_null: bool,
    /// Text form of attmissingval.
    pub missing: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    pub oid: Oid,
    pub name: String,
    pub root: PageNo,
    pub unique: bool,
    pub nulls_not_distinct: bool,
    pub keys: Vec<IndexKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexKey {
    pub column: usize,
    pub desc: bool,
    pub nulls_first: bool,
}

/// Values of leading key columns; no input columns. A null value makes the scan empty unless `nulls` says it is sought.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bound {
    pub values: Vec<Expr>,
    pub inclusive: bool,
    pub nulls: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with (without) a partner; only left columns come out.
    Semi,
    Anti,
    /// NOT IN: as Anti, but a null on either side leaves nothing / drops the row.
    NullAnti,
    /// Left row plus one bool column: does a partner exist? Null when only a null comparison says "unknown" (IN).
    Mark,
    /// Left row plus the right row's columns, or nulls; more than one partner is 21000 (scalar subquery).
    Scalar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SortKey {
    pub expr: Expr,
    pub typ: Oid,
    pub desc: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetCall {
    pub func: String,
    pub args: Vec<Expr>,
    pub arg_types: Vec<Oid>,
    /// One type a result column.
    pub types: Vec<Oid>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectItem {
    Expr(Expr),
    Set(SetCall),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Agg {
    /// pg_proc name and argument types pick the aggregate: `sum(int4)` is func "sum", arg_types [23].
    pub func: String,
    pub args: Vec<Expr>,
    pub arg_types: Vec<Oid>,
    pub typ: Oid,
    pub distinct: bool,
    pub filter: Option<Expr>,
    pub order: Vec<SortKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowCall {
    pub func: String,
    pub args: Vec<Expr>,
    pub arg_types: Vec<Oid>,
    pub typ: Oid,
    pub filter: Option<Expr>,
    pub frame: Frame,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Frame {
    /// "rows", "range" or "groups".
    pub mode: String,
    /// "unbounded", "current", or "preceding"/"following" with an offset.
    pub start: FrameBound,
    pub end: FrameBound,
    /// "no others", "current row", "group", "ties".
    pub exclude: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrameBound {
    pub kind: String,
    pub offset: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowLock {
    pub table: Table,
    pub row: usize,
    pub mode: LockMode,
    /// "block", "nowait", "skip".
    pub wait: String,
    /// (input column, table column)
    pub columns: Vec<(usize, usize)>,
    pub recheck: Option<Expr>,
}

/// Input rows have a value for every table column, in attnum order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Insert {
    pub table: Table,
    pub input: Node,
    pub checks: Vec<Check>,
    pub conflict: Option<OnConflict>,
    /// RETURNING, over the new row's columns in attnum order and then the row id; none: no rows come out.
    pub returning: Option<Vec<Expr>>,
    pub after: Vec<After>,
}

/// Input: anything; `row` is the column with the row id. `set` has one expression for every table column that changes,
/// over the input row. `old` says where the input has table columns: (input column, table column); all of them are there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Update {
    pub table: Table,
    pub input: Node,
    pub row: usize,
    pub set: Vec<(usize, Expr)>,
    pub old: Vec<(usize, usize)>,
    /// The whole WHERE and join condition over the input row, for READ COMMITTED's second look.
    pub recheck: Option<Expr>,
    pub checks: Vec<Check>,
    /// Over the new row's columns (attnum order), the row id, then all input columns.
    pub returning: Option<Vec<Expr>>,
    pub after: Vec<After>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delete {
    pub table: Table,
    pub input: Node,
    pub row: usize,
    pub old: Vec<(usize, usize)>,
    pub recheck: Option<Expr>,
    /// Over the old row's columns (attnum order), the row id, then all input columns.
    pub returning: Option<Vec<Expr>>,
    pub after: Vec<After>,
}

/// A CHECK constraint over the new row's columns: false is `code`/`message`. NOT NULL is checked from the table's columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    pub test: Expr,
    pub constraint: String,
    /// For domains and WITH CHECK OPTION; default 23514.
    pub code: Option<String>,
    pub message: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnConflict {
    /// OIDs of the indexes that may conflict; empty: any unique index (DO NOTHING only).
    pub arbiters: Vec<Oid>,
    /// None: DO NOTHING. Otherwise (table column, expression) over: the existing row's columns, then EXCLUDED's.
    pub set: Option<Vec<(usize, Expr)>>,
    pub filter: Option<Expr>,
}

/// What happens for each changed row once the statement is done, in order: foreign keys now, triggers later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct After {
    /// Subplan to run, with executor parameters set from `params`: (number, expression over new row's columns, then
    /// old row's; the missing half reads as nulls).
    pub subplan: usize,
    pub params: Vec<(usize, Expr)>,
    /// Run only when this holds over (new row, old row): "the key changed and is not null".
    pub when: Option<Expr>,
    /// "none": whatever it returns; "rows": no row is the error (child without parent); "no_rows": a row is the error
    /// (parent still referenced).
    pub expect: String,
    /// The error when `expect` fails. `$1`… in `detail` stand for the parameters' text.
    pub code: String,
    pub message: String,
    pub detail: String,
    pub constraint: String,
    pub table: String,
    pub schema: String,
    /// Of the constraint.
    pub oid: Oid,
    /// At the statement's end always, or as SET CONSTRAINTS says.
    pub deferrable: bool,
    /// What holds unless it says so: at the statement's end, or at COMMIT.
    pub deferred: bool,
    /// Subplan with the same parameters: when it gives no row, nobody is concerned any more and `expect` need not hold.
    pub still: Option<usize>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "snake_case")]
pub enum Expr {
    /// Text form, as the type's input function reads it; none is NULL.
    Const {
        typ: Oid,
        text: Option<String>,
    },
    Col {
        i: usize,
        typ: Oid,
    },
    /// $n, from 0.
    Param {
        n: usize,
        typ: Oid,
    },
    /// Executor parameter, set by NestedLoop, Sub and After.
    Exec {
        n: usize,
        typ: Oid,
    },
    /// `func` is prosrc; `typ` the (already resolved) result type. Strictness and purity are the kernel's knowledge.
    Func {
        func: String,
        args: Vec<Expr>,
        arg_types: Vec<Oid>,
        typ: Oid,
        at: Option<u32>,
    },
    And {
        args: Vec<Expr>,
    },
    Or {
        args: Vec<Expr>,
    },
    Not {
        arg: Box<Expr>,
    },
    IsNull {
        arg: Box<Expr>,
        not: bool,
    },
    /// IS [NOT] TRUE / FALSE / UNKNOWN: `test` is "true", "false" or "unknown".
    BoolTest {
        arg: Box<Expr>,
        test: String,
        not: bool,
    },
    /// `func` is the type's equality function.
    Distinct {
        func: String,
        left: Box<Expr>,
        right: Box<Expr>,
        not: bool,
        typ: Oid,
    },
    Case {
        whens: Vec<(Expr, Expr)>,
        other: Option<Box<Expr>>,
        typ: Oid,
    },
    Coalesce {
        args: Vec<Expr>,
        typ: Oid,
    },
    /// NULLIF: `func` is equality.
    NullIf {
        func: String,
        left: Box<Expr>,
        right: Box<Expr>,
        typ: Oid,
    },
    Greatest {
        args: Vec<Expr>,
        typ: Oid,
    },
    Least {
        args: Vec<Expr>,
        typ: Oid,
    },
    /// left OP ANY/ALL (array): `func` compares left with one element of type `elem`.
    AnyAll {
        func: String,
        left: Box<Expr>,
        array: Box<Expr>,
        elem: Oid,
        all: bool,
    },
    Array {
        args: Vec<Expr>,
        elem: Oid,
        typ: Oid,
        nested: bool,
    },
    /// array[subscript…] or a slice (each bound optional).
    Subscript {
        arg: Box<Expr>,
        index: Vec<SubscriptItem>,
        typ: Oid,
        elem: Oid,
    },
    Row {
        args: Vec<Expr>,
        types: Vec<Oid>,
    },
    Field {
        arg: Box<Expr>,
        i: usize,
        typ: Oid,
    },
    /// Row comparison (a, b) < (c, d): `op` one of = <> < <= > >=.
    RowCompare {
        op: String,
        left: Vec<Expr>,
        right: Vec<Expr>,
        types: Vec<Oid>,
    },
    /// By way of text: output function, then input function.
    CastIo {
        arg: Box<Expr>,
        from: Oid,
        to: Oid,
        typmod: i32,
    },
    /// Element by element; `cast` over column 0 = the element.
    CastArray {
        arg: Box<Expr>,
        cast: Box<Expr>,
        from_elem: Oid,
        to_elem: Oid,
    },
    /// Length coercion: varchar(n), char(n), numeric(p,s), timestamp(p) …; `explicit` truncates silently.
    Typmod {
        arg: Box<Expr>,
        typ: Oid,
        typmod: i32,
        explicit: bool,
    },
    /// A subplan in place, where a join can't serve: `kind` "scalar", "exists", "array", "any" (`test` compares, with the
    /// subplan's columns as Exec parameters from `result`), with `params` (number, expression) set first. Where "any" is
    /// equality of `keys`, they are given too: of the row, of the subplan's rows, and their type.
    Sub {
        subplan: usize,
        kind: String,
        params: Vec<(usize, Expr)>,
        test: Option<Box<Expr>>,
        result: Vec<usize>,
        typ: Oid,
        keys: Vec<(Expr, Expr, Oid)>,
    },
    /// A function that lives in Python, called once a batch.
    Host {
        func: String,
        args: Vec<Expr>,
        arg_types: Vec<Oid>,
        typ: Oid,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubscriptItem {
    pub slice: bool,
    pub low: Option<Expr>,
    pub high: Option<Expr>,
}
