//! Window functions over input that is sorted by partition, then order. A row is given as soon as all that its calls look at has
//! come; rows that no call looks at any more are forgotten, the others kept in a `Partition`, which spills.

use super::frame::Ahead;
use super::partition::{chunk_rows, Partition};
use super::windowcall::{Place, Running};
use super::Op;
use crate::base::Oid;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::compile::infos;
use crate::exec::kept::Room;
use crate::exec::keys::same_rows;
use crate::exec::keys::Order;
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, SortKey};
use crate::expr::code::Call;
use crate::expr::compile::call;
use crate::expr::{Env, Operator, Program, State};
use crate::func::{agg, CallInfo};
use crate::types::oids;
use crate::types::registry::TypeInfo;
use serde::Deserialize;
use std::sync::Arc;

/// Input sorted by partition then order; output: input columns, then the windows.
#[derive(Debug, Deserialize)]
pub struct Window {
    pub input: Node,
    pub partition: Vec<Expr>,
    pub partition_types: Vec<Oid>,
    pub order: Vec<SortKey>,
    pub calls: Vec<WindowCall>,
}

#[derive(Debug, Deserialize)]
pub struct WindowCall {
    pub func: String,
    pub args: Vec<Expr>,
    pub arg_types: Vec<Oid>,
    pub typ: Oid,
    pub filter: Option<Expr>,
    pub frame: Frame,
}

#[derive(Debug, Deserialize)]
pub struct Frame {
    /// "rows", "range" or "groups".
    pub mode: String,
    /// "unbounded", "current", or "preceding"/"following" with an offset.
    pub start: FrameBound,
    pub end: FrameBound,
    /// "no others", "current row", "group", "ties".
    pub exclude: String,
}

#[derive(Debug, Deserialize)]
pub struct FrameBound {
    pub kind: String,
    pub offset: Option<Expr>,
}

impl PlanNode for Window {
    fn width(&self) -> usize {
        self.input.width() + self.calls.len()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        let partition = compiler.program(&self.partition)?;
        let order_type = self.order.first().map(|k| k.typ);
        let (order, orders) = compiler.sort_keys(&self.order)?;
        let calls = self.calls.iter().map(|c| c.compile(compiler, order_type));
        Ok(Arc::new(WindowNode {
            input,
            partition,
            calls: calls.collect::<Res<_>>()?,
            partition_infos: infos(&self.partition_types)?,
            order,
            orders,
        }))
    }
}

impl WindowCall {
    fn compile(&self, compiler: &mut PlanCompiler, order: Option<Oid>) -> Res<WindowCallNode> {
        let aggregate = match is_window_function(&self.func) {
            true => None,
            false => Some(agg::lookup(&self.func, &self.arg_types)?),
        };
        Ok(WindowCallNode {
            func: self.func.clone(),
            args: compiler.program(&self.args)?,
            info: CallInfo::new(&self.arg_types, self.typ),
            aggregate,
            filter: compiler.optional(&self.filter)?,
            frame: self.frame.compile(compiler, order)?,
        })
    }
}

impl Frame {
    fn compile(&self, compiler: &mut PlanCompiler, order: Option<Oid>) -> Res<FrameNode> {
        let mode = match self.mode.as_str() {
            "rows" => FrameMode::Rows,
            "groups" => FrameMode::Groups,
            _ => FrameMode::Range,
        };
        let exclude = match self.exclude.as_str() {
            "current row" => Exclude::Current,
            "group" => Exclude::Group,
            "ties" => Exclude::Ties,
            _ => Exclude::Nothing,
        };
        let offsets = self.start.offset.is_some() || self.end.offset.is_some();
        let range = match (mode, order) {
            (FrameMode::Range, Some(order)) if offsets => range_frame(order)?,
            _ => None,
        };
        Ok(FrameNode {
            mode,
            start: self.start.bound(true),
            end: self.end.bound(false),
            start_offset: compiler.optional(&self.start.offset)?,
            end_offset: compiler.optional(&self.end.offset)?,
            exclude,
            range,
        })
    }
}

impl FrameBound {
    fn bound(&self, start: bool) -> BoundKind {
        match (self.kind.as_str(), start) {
            ("unbounded" | "unbounded preceding", true) | ("unbounded preceding", false) => {
                BoundKind::UnboundedPreceding
            }
            ("unbounded" | "unbounded following", false) | ("unbounded following", true) => {
                BoundKind::UnboundedFollowing
            }
            ("preceding", _) => BoundKind::Preceding,
            ("following", _) => BoundKind::Following,
            _ => BoundKind::Current,
        }
    }
}

/// How RANGE offsets are added to the order column; integers and floats need no functions.
fn range_frame(order: Oid) -> Res<Option<RangeFrame>> {
    let (plus, minus, typ, offset) = match order {
        oids::NUMERIC => ("numeric_add", "numeric_sub", order, oids::NUMERIC),
        oids::DATE | oids::TIMESTAMP => (
            "timestamp_pl_interval",
            "timestamp_mi_interval",
            oids::TIMESTAMP,
            oids::INTERVAL,
        ),
        oids::TIMESTAMPTZ => (
            "timestamptz_pl_interval",
            "timestamptz_mi_interval",
            order,
            oids::INTERVAL,
        ),
        oids::TIME => (
            "time_pl_interval",
            "time_mi_interval",
            order,
            oids::INTERVAL,
        ),
        oids::INTERVAL => ("interval_pl", "interval_mi", order, oids::INTERVAL),
        _ => return Ok(None),
    };
    Ok(Some(RangeFrame {
        plus: call(plus, &[typ, offset], typ)?,
        minus: call(minus, &[typ, offset], typ)?,
    }))
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
    pub aggregate: Option<&'static agg::Aggregate>,
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

impl CompiledNode for WindowNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(WindowState::new(self, input))
    }
}

/// Functions that are this file's own; all others are aggregates over the frame. Both pg_proc names serve.
pub fn is_window_function(func: &str) -> bool {
    matches!(
        plain_name(func),
        "row_number"
            | "rank"
            | "dense_rank"
            | "percent_rank"
            | "cume_dist"
            | "ntile"
            | "lag"
            | "lead"
            | "first_value"
            | "last_value"
            | "nth_value"
    )
}

/// `window_lag_with_offset` and `lag` are the same function.
pub fn plain_name(func: &str) -> &str {
    let name = func.strip_prefix("window_").unwrap_or(func);
    name.split("_with_").next().unwrap_or(name)
}

/// Everything that is evaluated over the input, but for the partition keys: the order keys, then each call's arguments and filter.
fn programs(node: &WindowNode) -> Vec<&Program> {
    let calls = node.calls.iter();
    let of_calls = calls.flat_map(|c| [Some(&c.args), c.filter.as_ref()]);
    let mut all = vec![&node.order];
    all.extend(of_calls.flatten());
    all
}

/// Where a partition's rows have what: columns that the input has already are not made again.
struct Layout {
    order: Vec<usize>,
    calls: Vec<Place>,
    /// Which programs make columns; these follow the input's, in order.
    makes: Vec<bool>,
    input: usize,
}

impl Layout {
    fn new(node: &WindowNode, input: usize) -> Layout {
        let (mut width, mut makes) = (input, Vec::new());
        let mut place = |program: &Program| -> Vec<usize> {
            let known = program.columns().filter(|c| c.iter().all(|&i| i < input));
            makes.push(known.is_none());
            known.unwrap_or_else(|| {
                let made = program.codes.len();
                width += made;
                (width - made..width).collect()
            })
        };
        let order = place(&node.order);
        let calls = node.calls.iter().map(|call| Place {
            args: place(&call.args),
            filter: call.filter.as_ref().and_then(|f| place(f).pop()),
        });
        Layout {
            order,
            calls: calls.collect(),
            makes,
            input,
        }
    }
}

/// An input batch, by and by with all columns of the layout.
struct Rows {
    batch: Batch,
    partition: Option<Vec<Vector>>,
    /// Programs that are done.
    evaluated: usize,
    at: usize,
}

/// Rows of one chunk that are about to be given.
struct Work {
    /// Number of the chunk's first row.
    start: usize,
    rows: Arc<Batch>,
    to: usize,
    results: Vec<Vector>,
}

pub struct WindowState {
    node: Arc<WindowNode>,
    input: Op,
    input_ended: bool,
    rows: Option<Rows>,
    layout: Option<Layout>,
    key_state: State,
    states: Vec<State>,
    part: Option<Partition>,
    /// Partition keys of the partition's first row.
    first: Vec<Vector>,
    calls: Vec<Running>,
    /// What must have come before a row can be given.
    ahead: Ahead,
    given: usize,
    work: Option<Work>,
    out: Batch,
    ended: bool,
}

impl WindowState {
    pub fn new(node: Arc<WindowNode>, input: Op) -> WindowState {
        let calls: Vec<Running> = node.calls.iter().map(Running::new).collect();
        let ahead = calls.iter().map(Running::ahead).max();
        WindowState {
            input,
            input_ended: false,
            rows: None,
            layout: None,
            key_state: State::default(),
            states: programs(&node).iter().map(|_| State::default()).collect(),
            part: None,
            first: Vec::new(),
            calls,
            ahead: ahead.unwrap_or(Ahead::Row),
            given: 0,
            work: None,
            out: Batch::default(),
            ended: false,
            node,
        }
    }

    fn step(&mut self, env: &mut Env) -> Res<()> {
        if self.work.is_some() {
            return self.work(env);
        }
        let Some(part) = &mut self.part else {
            return self.read(env);
        };
        part.settle(&Room::of(env))?;
        let ready = match self.ahead {
            _ if part.complete => part.len(),
            Ahead::Row => part.len(),
            Ahead::Next => part.len().saturating_sub(1),
            Ahead::Peers => part.open_group(),
            Ahead::All => 0,
        };
        if self.given < ready {
            let (start, rows) = part.chunk(self.given)?;
            self.work = Some(Work {
                start,
                to: ready.min(start + rows.len),
                rows,
                results: self.calls.iter().map(Running::results).collect(),
            });
            return Ok(());
        }
        if part.complete {
            self.part = None;
            return Ok(());
        }
        self.read(env)
    }

    /// A little more input: a batch, or a chunk of it for the partition, or its end.
    fn read(&mut self, env: &mut Env) -> Res<()> {
        if self.rows.as_ref().is_none_or(|r| r.at >= r.batch.len) {
            self.rows = None;
            if !self.input_ended {
                match self.input.next(env)? {
                    None => self.input_ended = true,
                    Some(batch) => {
                        let (node, width) = (&self.node, batch.width());
                        self.layout.get_or_insert_with(|| Layout::new(node, width));
                        self.rows = Some(Rows {
                            batch,
                            partition: None,
                            evaluated: 0,
                            at: 0,
                        });
                    }
                }
                return Ok(());
            }
            match &mut self.part {
                Some(part) => part.complete = true,
                None => self.ended = true,
            }
            return Ok(());
        }
        self.evaluate(env)?;
        env.charge(self.take_rows());
        Ok(())
    }

    fn evaluate(&mut self, env: &mut Env) -> Res<()> {
        let (Some(rows), Some(layout)) = (&mut self.rows, &self.layout) else {
            return Ok(());
        };
        if rows.partition.is_none() {
            let keys = self
                .node
                .partition
                .eval(env, &mut self.key_state, &rows.batch)?;
            rows.partition = Some(keys);
        }
        let programs = programs(&self.node);
        while let Some(program) = programs.get(rows.evaluated) {
            if layout.makes[rows.evaluated] {
                let state = &mut self.states[rows.evaluated];
                let made = program.eval(env, state, &rows.batch)?;
                rows.batch.columns.extend(made);
            }
            rows.evaluated += 1;
        }
        Ok(())
    }

    /// Rows of the batch go to the partition at work or to a new one; how many.
    fn take_rows(&mut self) -> usize {
        let (Some(rows), Some(layout)) = (&mut self.rows, &self.layout) else {
            return 0;
        };
        let keys = rows.partition.as_deref().unwrap_or_default();
        let from = rows.at;
        if self.part.is_none() {
            self.first = keys.iter().map(|v| v.slice(from, from + 1)).collect();
            self.part = Some(Partition::new(&self.node.orders, layout.order.clone()));
            self.given = 0;
            self.calls.iter_mut().for_each(Running::restart);
        }
        let infos = &self.node.partition_infos;
        let most = from + chunk_rows(&rows.batch, from);
        let mut to = from;
        while to < most && same_rows(infos, &self.first, 0, keys, to) {
            to += 1;
        }
        rows.at = to;
        let Some(part) = &mut self.part else {
            return 0;
        };
        part.complete = to < most;
        if from == 0 && to == rows.batch.len {
            part.push(std::mem::take(&mut rows.batch));
        } else if from < to {
            part.push(rows.batch.slice(from, to));
        }
        to - from
    }

    fn work(&mut self, env: &mut Env) -> Res<()> {
        let (Some(work), Some(part), Some(layout)) = (&mut self.work, &mut self.part, &self.layout)
        else {
            return Ok(());
        };
        let calls = self.calls.iter_mut().zip(&layout.calls).enumerate();
        for (i, (call, place)) in calls {
            let node = &self.node.calls[i];
            while self.given + work.results[i].len() < work.to {
                env.pulse()?;
                let row = self.given + work.results[i].len();
                let here = (work.start, &*work.rows);
                let value = call.value(node, &self.node.orders, place, env, part, here, row)?;
                env.charge(1);
                work.results[i].push(value);
            }
        }
        let mut rows = Batch {
            columns: work.rows.columns[..layout.input]
                .iter()
                .map(|c| c.slice(self.given - work.start, work.to - work.start))
                .collect(),
            len: work.to - self.given,
        };
        rows.columns.append(&mut work.results);
        self.given = work.to;
        self.work = None;
        self.out.take_in(rows);
        let low = self.calls.iter().map(|c| c.low(self.given)).min();
        part.trim(low.unwrap_or(self.given));
        Ok(())
    }
}

impl Operator for WindowState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while !self.ended && self.out.len < BATCH_ROWS {
            env.pulse()?;
            self.step(env)?;
        }
        let out = std::mem::take(&mut self.out);
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        self.rows = None;
        self.part = None;
        self.work = None;
        self.out = Batch::default();
        (self.input_ended, self.ended) = (false, false);
        Ok(())
    }
}
