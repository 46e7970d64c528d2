//! Compiled plan nodes: immutable, shared by all executions of a plan.

use super::access::TableDef;
use super::keys::Order;
use super::plan::{JoinKind, LockMode, SetOpKind};
use crate::base::Oid;
use crate::expr::code::Call;
use crate::expr::Program;
use crate::func::set::SetFunction;
use crate::func::CallInfo;
use crate::types::registry::TypeInfo;
use std::sync::Arc;

pub struct PNode {
    /// Number in the plan, for EXPLAIN ANALYZE.
    pub id: usize,
    /// Gives the same rows when run again in the same execution: reads no executor parameters, is not volatile.
    pub repeatable: bool,
    pub kind: Kind,
}

#[derive(Clone)]
pub enum Kind {
    Single,
    Empty,
    Values(Arc<ValuesNode>),
    LiteralRows(Arc<LiteralRowsNode>),
    FunctionScan(Arc<FunctionScanNode>),
    HostScan(Arc<HostScanNode>),
    Scan(Arc<ScanNode>),
    IndexScan(Arc<IndexScanNode>),
    Filter(Arc<FilterNode>),
    Project(Arc<ProjectNode>),
    ProjectSet(Arc<ProjectSetNode>),
    NestedLoop(Arc<NestedLoopNode>),
    HashJoin(Arc<KeyJoinNode>),
    MergeJoin(Arc<KeyJoinNode>),
    Sort(Arc<SortNode>),
    Aggregate(Arc<AggregateNode>),
    Window(Arc<WindowNode>),
    Limit(Arc<LimitNode>),
    Distinct(Arc<DistinctNode>),
    Append(Arc<AppendNode>),
    SetOp(Arc<SetOpNode>),
    With(Arc<WithNode>),
    CteScan(usize),
    Recursive(Arc<RecursiveNode>),
    WorkScan(usize),
    LockRows(Arc<LockRowsNode>),
    Insert(Arc<InsertNode>),
    Update(Arc<UpdateNode>),
    Delete(Arc<DeleteNode>),
}

pub struct ValuesNode {
    /// One program of one row each.
    pub rows: Vec<Program>,
    pub types: Vec<Oid>,
}

pub struct LiteralShapeNode {
    pub key: Vec<u8>,
    /// Which value of the row its literal is, and its type.
    pub value: Option<(usize, &'static TypeInfo)>,
}

pub struct LiteralRowsNode {
    pub text: usize,
    pub columns: Vec<Vec<LiteralShapeNode>>,
    /// Types of the literals of a row.
    pub values: Vec<Oid>,
    /// The column whose cell's shape decides, and a program for each shape.
    pub outputs: Vec<(Option<usize>, Vec<Program>)>,
    pub types: Vec<Oid>,
}

pub struct SetCallNode {
    pub function: &'static SetFunction,
    pub info: CallInfo,
    pub args: Program,
    pub types: Vec<Oid>,
}

pub struct FunctionScanNode {
    pub calls: Vec<SetCallNode>,
    pub ordinality: bool,
}

pub struct HostScanNode {
    pub name: String,
    pub types: Vec<Oid>,
    pub args: Program,
}

pub struct ScanNode {
    pub table: Arc<TableDef>,
    pub columns: Vec<usize>,
    /// The columns' types, then the row id's.
    pub types: Vec<Oid>,
    pub filter: Option<Program>,
}

pub struct BoundNode {
    pub values: Program,
    pub inclusive: bool,
    pub nulls: Vec<bool>,
}

pub struct IndexScanNode {
    pub scan: ScanNode,
    pub index: usize,
    pub low: Option<BoundNode>,
    pub high: Option<BoundNode>,
    pub any: Option<Program>,
    /// Type of the key column that `any` probes.
    pub any_type: Option<&'static TypeInfo>,
    pub backward: bool,
}

pub struct FilterNode {
    pub input: PNode,
    pub test: Program,
}

pub struct ProjectNode {
    pub input: PNode,
    pub exprs: Program,
    /// All expressions are columns, none used twice: they are moved.
    pub moves: Option<Vec<usize>>,
}

pub enum Item {
    /// Index into `ProjectSetNode::exprs`.
    Expr(usize),
    /// Index into `ProjectSetNode::sets`.
    Set(usize),
}

pub struct ProjectSetNode {
    pub input: PNode,
    pub items: Vec<Item>,
    pub exprs: Program,
    pub sets: Vec<SetCallNode>,
}

pub struct NestedLoopNode {
    pub kind: JoinKind,
    pub left: PNode,
    pub right: PNode,
    pub on: Option<Program>,
    pub params: Program,
    pub param_numbers: Vec<usize>,
    pub left_width: usize,
    pub right_width: usize,
}

/// A hash join, or a merge join.
pub struct KeyJoinNode {
    pub kind: JoinKind,
    pub left: PNode,
    pub right: PNode,
    pub left_keys: Program,
    pub right_keys: Program,
    pub infos: Vec<&'static TypeInfo>,
    /// Merge joins: how both sides are sorted by their keys.
    pub orders: Vec<Order>,
    pub on: Option<Program>,
    pub left_width: usize,
    pub right_width: usize,
    /// Which columns of both sides somebody above looks at; empty: all. The others' values are not to be relied on.
    pub wanted: Vec<bool>,
}

pub struct SortNode {
    pub input: PNode,
    pub keys: Program,
    pub orders: Vec<Order>,
    pub limit: Option<Program>,
}

pub struct AggCall {
    pub aggregate: &'static crate::func::agg::Aggregate,
    pub info: CallInfo,
    /// Arguments, then the ORDER BY's expressions.
    pub args: Program,
    pub arg_count: usize,
    pub distinct: bool,
    /// Types of the arguments, for DISTINCT.
    pub arg_infos: Vec<&'static TypeInfo>,
    pub orders: Vec<Order>,
    pub filter: Option<Program>,
}

pub struct AggregateNode {
    pub input: PNode,
    pub keys: Program,
    pub infos: Vec<&'static TypeInfo>,
    pub aggs: Vec<AggCall>,
    pub sorted: bool,
    pub sets: Option<Vec<Vec<usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FrameMode {
    Rows,
    Range,
    Groups,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BoundKind {
    UnboundedPreceding,
    Preceding,
    Current,
    Following,
    UnboundedFollowing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Exclude {
    Nothing,
    Current,
    Group,
    Ties,
}

pub struct FrameNode {
    pub mode: FrameMode,
    pub start: BoundKind,
    pub end: BoundKind,
    pub start_offset: Option<Program>,
    pub end_offset: Option<Program>,
    pub exclude: Exclude,
    /// RANGE with an offset: order column plus offset, order column minus offset, as functions of the two types.
    pub range: Option<RangeFrame>,
}

pub struct RangeFrame {
    pub plus: Call,
    pub minus: Call,
}

pub struct WindowCallNode {
    pub func: String,
    pub args: Program,
    pub info: CallInfo,
    pub aggregate: Option<&'static crate::func::agg::Aggregate>,
    pub filter: Option<Program>,
    pub frame: FrameNode,
}

pub struct WindowNode {
    pub input: PNode,
    pub partition: Program,
    pub partition_infos: Vec<&'static TypeInfo>,
    pub order: Program,
    pub orders: Vec<Order>,
    pub calls: Vec<WindowCallNode>,
}

pub struct LimitNode {
    pub input: PNode,
    pub count: Option<Program>,
    pub offset: Option<Program>,
    pub ties: Program,
    pub tie_infos: Vec<&'static TypeInfo>,
}

pub struct DistinctNode {
    pub input: PNode,
    /// DISTINCT ON: the input is sorted by these.
    pub keys: Option<Program>,
    pub infos: Vec<&'static TypeInfo>,
}

pub struct AppendNode {
    pub inputs: Vec<PNode>,
}

pub struct SetOpNode {
    pub kind: SetOpKind,
    pub all: bool,
    pub left: PNode,
    pub right: PNode,
    pub infos: Vec<&'static TypeInfo>,
}

pub struct WithNode {
    pub id: usize,
    pub cte: PNode,
    pub input: PNode,
    pub writes: bool,
}

pub struct RecursiveNode {
    pub id: usize,
    pub start: PNode,
    pub step: PNode,
    pub distinct: bool,
    pub infos: Vec<&'static TypeInfo>,
}

pub struct RowLockNode {
    pub table: Arc<TableDef>,
    pub row: usize,
    pub mode: LockMode,
    pub wait: super::access::Wait,
    pub columns: Vec<(usize, usize)>,
    pub recheck: Option<Program>,
}

pub struct LockRowsNode {
    pub input: PNode,
    pub locks: Vec<RowLockNode>,
    pub outer: Vec<(Program, Vec<usize>)>,
}

pub struct CheckNode {
    pub constraint: String,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// What every change of a row must pass.
pub struct Rules {
    /// One expression a check, over the new row's columns.
    pub tests: Program,
    pub checks: Vec<CheckNode>,
    pub after: Vec<Arc<AfterNode>>,
}

pub struct AfterNode {
    pub subplan: usize,
    pub params: Program,
    pub param_numbers: Vec<usize>,
    pub when: Option<Program>,
    pub expect: Expect,
    pub code: String,
    pub message: String,
    pub detail: String,
    pub constraint: String,
    pub table: String,
    pub schema: String,
    /// Of the constraint.
    pub oid: Oid,
    pub deferrable: bool,
    pub deferred: bool,
    pub still: Option<usize>,
    /// Types of the parameters, for the detail's text.
    pub types: Vec<Oid>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Rows,
    NoRows,
}

pub struct ConflictNode {
    pub arbiters: Vec<Oid>,
    /// Table columns and their new values.
    pub set: Option<(Vec<usize>, Program)>,
    pub filter: Option<Program>,
}

pub struct InsertNode {
    pub table: Arc<TableDef>,
    pub input: PNode,
    pub rules: Rules,
    pub conflict: Option<ConflictNode>,
    pub returning: Option<Program>,
    pub top: bool,
}

pub struct UpdateNode {
    pub table: Arc<TableDef>,
    pub input: PNode,
    pub row: usize,
    pub columns: Vec<usize>,
    pub set: Program,
    pub old: Vec<(usize, usize)>,
    pub recheck: Option<Program>,
    pub rules: Rules,
    pub returning: Option<Program>,
    pub top: bool,
}

pub struct DeleteNode {
    pub table: Arc<TableDef>,
    pub input: PNode,
    pub row: usize,
    pub old: Vec<(usize, usize)>,
    pub recheck: Option<Program>,
    pub rules: Rules,
    pub returning: Option<Program>,
    pub top: bool,
}
