//! Window functions over input that is sorted by partition, then order. One partition at a time is held in memory.

use super::frame::{Frame, Peers};
use super::{Input, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::keys::{same_rows, Order};
use crate::exec::nodes::{WindowCallNode, WindowNode};
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::sync::Arc;

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
fn plain_name(func: &str) -> &str {
    let name = func.strip_prefix("window_").unwrap_or(func);
    name.split("_with_").next().unwrap_or(name)
}

#[derive(Default)]
struct CallState {
    args: State,
    filter: State,
    offsets: [State; 2],
}

pub struct Window {
    node: Arc<WindowNode>,
    input: Input,
    /// Partition and order keys of the input batch.
    keys: Option<(Vec<Vector>, Vec<Vector>)>,
    key_states: [State; 2],
    /// The partition so far, with its keys (of the first row) and order keys.
    rows: Batch,
    first: Vec<Vector>,
    order: Vec<Vector>,
    complete: bool,
    states: Vec<CallState>,
    results: Vec<Vector>,
    given: usize,
    ended: bool,
}

impl Window {
    pub fn new(node: Arc<WindowNode>, input: Op) -> Window {
        let states = node.calls.iter().map(|_| CallState::default()).collect();
        Window {
            node,
            input: Input::new(input),
            keys: None,
            key_states: Default::default(),
            rows: Batch::default(),
            first: Vec::new(),
            order: Vec::new(),
            complete: false,
            states,
            results: Vec::new(),
            given: 0,
            ended: false,
        }
    }

    /// Read until the partition is complete; false when there is none left.
    fn read(&mut self, env: &mut Env) -> Res<bool> {
        while !self.complete {
            if !self.input.fill(env)? {
                self.ended = true;
                self.complete = self.rows.len > 0;
                return Ok(self.complete);
            }
            let batch = self.input.batch();
            if self.keys.is_none() {
                let partition = self
                    .node
                    .partition
                    .eval(env, &mut self.key_states[0], batch)?;
                let order = self.node.order.eval(env, &mut self.key_states[1], batch)?;
                self.keys = Some((partition, order));
            }
            let (partition, order) = self.keys.as_ref().expect("made above");
            let from = self.input.at;
            if self.rows.len == 0 {
                self.first = partition.iter().map(|v| v.slice(from, from + 1)).collect();
                self.order = order.iter().map(|v| v.slice(0, 0)).collect();
            }
            let mut to = from;
            while to < batch.len
                && same_rows(&self.node.partition_infos, &self.first, 0, partition, to)
            {
                to += 1;
            }
            self.rows.append(&batch.slice(from, to));
            for (column, more) in self.order.iter_mut().zip(order) {
                column.append(&more.slice(from, to));
            }
            self.complete = to < batch.len;
            if to == batch.len {
                self.keys = None;
            }
            self.input.at = to;
        }
        Ok(true)
    }

    fn peers(&self) -> Peers {
        let infos: Vec<_> = self.node.orders.iter().map(|o| o.info).collect();
        let mut peers = Peers {
            group: Vec::with_capacity(self.rows.len),
            starts: vec![0],
        };
        for row in 0..self.rows.len {
            if row > 0 && !same_rows(&infos, &self.order, row - 1, &self.order, row) {
                peers.starts.push(row);
            }
            peers.group.push(peers.starts.len() - 1);
        }
        peers.starts.push(self.rows.len);
        peers
    }

    fn compute(&mut self, env: &mut Env) -> Res<()> {
        if self.results.len() == self.node.calls.len() {
            return Ok(());
        }
        let peers = self.peers();
        while let Some(call) = self.node.calls.get(self.results.len()) {
            let state = &mut self.states[self.results.len()];
            let key = match (self.node.orders.as_slice(), self.order.as_slice()) {
                ([order], [column]) => Some((order, column)),
                _ => None,
            };
            let part = Part {
                rows: &self.rows,
                peers: &peers,
                key,
            };
            let result = part.call(call, env, state)?;
            self.results.push(result);
        }
        Ok(())
    }

    /// The next rows of the finished partition.
    fn give(&mut self) -> Option<Batch> {
        let to = (self.given + BATCH_ROWS).min(self.rows.len);
        if self.given >= to {
            return None;
        }
        let mut out = self.rows.slice(self.given, to);
        out.columns
            .extend(self.results.iter().map(|r| r.slice(self.given, to)));
        self.given = to;
        Some(out)
    }

    fn forget(&mut self) {
        self.rows = Batch::default();
        self.results.clear();
        (self.given, self.complete) = (0, false);
    }
}

impl Operator for Window {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if !self.complete && self.ended {
                return Ok(None);
            }
            if !self.read(env)? {
                return Ok(None);
            }
            self.compute(env)?;
            if let Some(batch) = self.give() {
                return Ok(Some(batch));
            }
            self.forget();
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        self.keys = None;
        self.ended = false;
        self.forget();
        Ok(())
    }
}

/// One partition.
struct Part<'a> {
    rows: &'a Batch,
    peers: &'a Peers,
    key: Option<(&'a Order, &'a Vector)>,
}

impl Part<'_> {
    fn call(&self, call: &WindowCallNode, env: &mut Env, state: &mut CallState) -> Res<Vector> {
        if call.aggregate.is_some() {
            return self.aggregate(call, env, state);
        }
        let args = call.args.eval(env, &mut state.args, self.rows)?;
        let mut out = Vector::of_type(call.info.typ, self.rows.len);
        match plain_name(&call.func) {
            "lag" => self.shift(&args, -1, &mut out),
            "lead" => self.shift(&args, 1, &mut out),
            "ntile" => self.ntile(&args, &mut out)?,
            "first_value" | "last_value" | "nth_value" => {
                self.framed(call, &args, env, state, &mut out)?
            }
            name => self.ranks(name, &mut out),
        }
        Ok(out)
    }

    fn ranks(&self, name: &str, out: &mut Vector) {
        let total = self.rows.len;
        for row in 0..total {
            let first = self.peers.first(row);
            out.push(match name {
                "row_number" => Datum::Int(row as i64 + 1),
                "rank" => Datum::Int(first as i64 + 1),
                "dense_rank" => Datum::Int(self.peers.group[row] as i64 + 1),
                "percent_rank" if total <= 1 => Datum::Float(0.0),
                "percent_rank" => Datum::Float(first as f64 / (total - 1) as f64),
                _ => Datum::Float(self.peers.end(row) as f64 / total as f64),
            });
        }
    }

    fn shift(&self, args: &[Vector], direction: i64, out: &mut Vector) {
        for row in 0..self.rows.len {
            let offset = match args.get(1).map(|a| a.get(row)) {
                None => 1,
                Some(Datum::Int(n)) => n,
                Some(_) => {
                    out.push_null();
                    continue;
                }
            };
            let at = (row as i64).saturating_add(offset.saturating_mul(direction));
            match usize::try_from(at).ok().filter(|&at| at < self.rows.len) {
                Some(at) => out.push_from(&args[0], at),
                None => out.push(args.get(2).map_or(Datum::Null, |d| d.get(row))),
            }
        }
    }

    fn ntile(&self, args: &[Vector], out: &mut Vector) -> Res<()> {
        let total = self.rows.len as i64;
        let buckets = match args.first().map(|a| a.get(0)) {
            Some(Datum::Int(n)) if n <= 0 => {
                return fail("22014", "argument of ntile must be greater than zero")
            }
            Some(Datum::Int(n)) => n,
            _ => {
                (0..total).for_each(|_| out.push_null());
                return Ok(());
            }
        };
        let (size, larger) = (total / buckets, total % buckets);
        for row in 0..total {
            let in_larger = larger * (size + 1);
            let bucket = if row < in_larger {
                row / (size + 1)
            } else {
                larger + (row - in_larger) / size.max(1)
            };
            out.push(Datum::Int(bucket + 1));
        }
        Ok(())
    }

    fn framed(
        &self,
        call: &WindowCallNode,
        args: &[Vector],
        env: &mut Env,
        state: &mut CallState,
        out: &mut Vector,
    ) -> Res<()> {
        let frame = Frame::new(&call.frame, env, &mut state.offsets, self.key)?;
        let name = plain_name(&call.func);
        for row in 0..self.rows.len {
            let (from, to) = frame.range(env, self.peers, row)?;
            let visible = |&other: &usize| !frame.excludes(self.peers, row, other);
            let at = match name {
                "first_value" => (from..to).find(visible),
                "last_value" => (from..to).rev().find(visible),
                _ => match args.get(1).map(|a| a.get(row)) {
                    Some(Datum::Int(n)) if n <= 0 => {
                        return fail("22016", "argument of nth_value must be greater than zero")
                    }
                    Some(Datum::Int(n)) => (from..to).filter(visible).nth(n as usize - 1),
                    _ => None,
                },
            };
            match at {
                Some(at) => out.push_from(&args[0], at),
                None => out.push_null(),
            }
        }
        Ok(())
    }

    fn aggregate(
        &self,
        call: &WindowCallNode,
        env: &mut Env,
        state: &mut CallState,
    ) -> Res<Vector> {
        let args = call.args.eval(env, &mut state.args, self.rows)?;
        let passes: Option<Vector> = match &call.filter {
            None => None,
            Some(filter) => Some(filter.column(env, &mut state.filter, self.rows)?),
        };
        let frame = Frame::new(&call.frame, env, &mut state.offsets, self.key)?;
        let Some(aggregate) = call.aggregate else {
            return fail("XX000", "not an aggregate");
        };
        let mut out = Vector::of_type(call.info.typ, self.rows.len);
        let mut state = (aggregate.make)(&call.info)?;
        let (mut done, mut last) = (0, None);
        for row in 0..self.rows.len {
            let (from, to) = frame.range(env, self.peers, row)?;
            if frame.grows() {
                // The frame only grows: go on with the state of the row before.
                if last.is_none() || to != done {
                    self.push(call, env, &args, &passes, &mut *state, done..to, |_| true)?;
                    done = done.max(to);
                    last = Some(state.finish(&mut env.ctx(&call.info))?);
                }
            } else {
                env.tick(1)
                    .or_else(|stop| if stop.is_need() { Ok(()) } else { Err(stop) })?;
                state = (aggregate.make)(&call.info)?;
                let visible = |other: usize| !frame.excludes(self.peers, row, other);
                self.push(call, env, &args, &passes, &mut *state, from..to, visible)?;
                last = Some(state.finish(&mut env.ctx(&call.info))?);
            }
            out.push(last.clone().unwrap_or_default());
        }
        Ok(out)
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &self,
        call: &WindowCallNode,
        env: &mut Env,
        args: &[Vector],
        passes: &Option<Vector>,
        state: &mut dyn crate::func::agg::Accumulator,
        rows: std::ops::Range<usize>,
        visible: impl Fn(usize) -> bool,
    ) -> Res<()> {
        let mut ctx = env.ctx(&call.info);
        let mut values = Vec::with_capacity(args.len());
        for row in rows {
            let passes = passes.as_ref().is_none_or(|p| p.truth(row) == Some(true));
            if passes && visible(row) {
                values.clear();
                values.extend(args.iter().map(|a| a.get(row)));
                state.push(&mut ctx, &values)?;
            }
        }
        Ok(())
    }
}
