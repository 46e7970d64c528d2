//! The plan as Python hands it over: JSON, one struct a node, tagged by `op` (nodes) and `e` (expressions). Here is what nodes are
//! made of; each node is in its file of `ops/`. `engine/planner/nodes.py` is made from these declarations.
//!
//! Every node outputs rows of columns numbered from 0. `Col{i}` is column `i` of the node's input: for a join the
//! left input's columns, then the right's; for a scan with `columns` the scanned columns in that order and then the
//! row id. Types are PostgreSQL's OIDs. Functions are named as in pg_proc.prosrc (`int4pl`, `text_lt`, `numeric_add`).

use super::ops::Node;
use crate::base::{Oid, PageNo};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
pub struct OutputColumn {
    pub name: String,
    pub typ: Oid,
    pub typmod: i32,
    /// Of the table column it is, else 0.
    pub table: Oid,
    pub attnum: i16,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    pub oid: Oid,
    pub schema: String,
    pub name: String,
    pub root: PageNo,
    pub overflow: PageNo,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    pub typ: Oid,
    pub typmod: i32,
    pub dropped: bool,
    pub not_null: bool,
    /// Text form of attmissingval.
    pub missing: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    pub oid: Oid,
    pub name: String,
    pub root: PageNo,
    pub unique: bool,
    pub nulls_not_distinct: bool,
    pub keys: Vec<IndexKey>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct IndexKey {
    pub column: usize,
    pub desc: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

impl JoinKind {
    /// How many columns come out.
    pub fn width(self, left: usize, right: usize) -> usize {
        match self {
            JoinKind::Semi | JoinKind::Anti | JoinKind::NullAnti => left,
            JoinKind::Mark => left + 1,
            _ => left + right,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct SortKey {
    pub expr: Expr,
    pub typ: Oid,
    pub desc: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "e", rename_all = "snake_case")]
pub enum Expr {
    /// Text form, as the type's input function reads it; none is NULL.
    Const {
        typ: Oid,
        #[serde(default)]
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
        #[serde(default)]
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

#[derive(Debug, Clone, Deserialize)]
pub struct SubscriptItem {
    pub slice: bool,
    #[serde(default)]
    pub low: Option<Expr>,
    #[serde(default)]
    pub high: Option<Expr>,
}
