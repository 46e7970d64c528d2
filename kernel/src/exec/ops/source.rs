//! Operators that make rows from nothing, from expressions, from set-returning functions and from Python.

use super::{Input, Op};
use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::nodes::{
    FunctionScanNode, HostScanNode, Item, ProjectSetNode, SetCallNode, ValuesNode,
};
use crate::expr::{Env, Operator, State};
use crate::func::set::SetRows;
use crate::types::{oids, Datum};
use std::sync::Arc;

/// One row without columns.
#[derive(Default)]
pub struct Single {
    done: bool,
}

impl Operator for Single {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        env.tick(1)?;
        self.done = true;
        Ok(Some(Batch::unit()))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.done = false;
        Ok(())
    }
}

pub struct Nothing;

impl Operator for Nothing {
    fn next(&mut self, _: &mut Env) -> Res<Option<Batch>> {
        Ok(None)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        Ok(())
    }
}

pub struct Values {
    node: Arc<ValuesNode>,
    at: usize,
    out: Option<Batch>,
    state: State,
}

impl Values {
    pub fn new(node: Arc<ValuesNode>) -> Values {
        Values {
            node,
            at: 0,
            out: None,
            state: State::default(),
        }
    }
}

impl Operator for Values {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.out.is_none() {
            env.tick(self.node.rows.len().saturating_sub(self.at).min(BATCH_ROWS))?;
            let capacity = (self.node.rows.len() - self.at).min(BATCH_ROWS);
            self.out = Some(Batch::of_types(&self.node.types, capacity));
        }
        let out = self.out.as_mut().expect("made above");
        while let (Some(row), true) = (self.node.rows.get(self.at), out.len < BATCH_ROWS) {
            let values = row.values(env, &mut self.state)?;
            self.state = State::default();
            self.at += 1;
            out.push_values(values);
        }
        Ok(self.out.take().filter(|b| b.len > 0))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        (self.at, self.out) = (0, None);
        Ok(())
    }
}

/// A set-returning call under way.
struct Running {
    rows: Option<Box<dyn SetRows>>,
}

impl Running {
    fn start(call: &SetCallNode, args: &[Datum], env: &mut Env) -> Res<Running> {
        if call.function.strict && args.iter().any(Datum::is_null) {
            return Ok(Running { rows: None });
        }
        let rows = (call.function.start)(&mut env.ctx(&call.info), args)?;
        Ok(Running { rows: Some(rows) })
    }

    /// The next row's values, or nothing at the end.
    fn next(&mut self, call: &SetCallNode, env: &mut Env) -> Res<Option<Vec<Datum>>> {
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        let mut out = Vec::with_capacity(call.types.len());
        if rows.next(&mut env.ctx(&call.info), &mut out)? {
            return Ok(Some(widen(out, call.types.len())));
        }
        self.rows = None;
        Ok(None)
    }
}

/// A record stands for its fields when several columns are wanted.
fn widen(mut row: Vec<Datum>, width: usize) -> Vec<Datum> {
    if let ([Datum::Record(record)], true) = (&row[..], width > 1) {
        row = record.values.clone();
    }
    row.resize(width, Datum::Null);
    row
}

pub struct FunctionScan {
    node: Arc<FunctionScanNode>,
    running: Vec<Running>,
    states: Vec<State>,
    count: i64,
    ended: bool,
}

impl FunctionScan {
    pub fn new(node: Arc<FunctionScanNode>) -> FunctionScan {
        let states = node.calls.iter().map(|_| State::default()).collect();
        FunctionScan {
            node,
            running: Vec::new(),
            states,
            count: 0,
            ended: false,
        }
    }

    fn start(&mut self, env: &mut Env) -> Res<()> {
        while let Some(call) = self.node.calls.get(self.running.len()) {
            let args = call
                .args
                .values(env, &mut self.states[self.running.len()])?;
            self.running.push(Running::start(call, &args, env)?);
        }
        Ok(())
    }

    /// One row of all calls side by side; a call that has ended gives nulls.
    fn row(&mut self, env: &mut Env) -> Res<Option<Vec<Datum>>> {
        let mut any = false;
        let mut row = Vec::new();
        for (call, running) in self.node.calls.iter().zip(&mut self.running) {
            match running.next(call, env)? {
                Some(values) => {
                    any = true;
                    row.extend(values);
                }
                None => row.resize(row.len() + call.types.len(), Datum::Null),
            }
        }
        self.count += 1;
        if self.node.ordinality {
            row.push(Datum::Int(self.count));
        }
        Ok(any.then_some(row))
    }
}

impl Operator for FunctionScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.ended {
            return Ok(None);
        }
        env.tick(BATCH_ROWS)?;
        self.start(env)?;
        let mut types: Vec<_> = self
            .node
            .calls
            .iter()
            .flat_map(|c| c.types.iter().copied())
            .collect();
        if self.node.ordinality {
            types.push(oids::INT8);
        }
        let mut out = Batch::of_types(&types, 64);
        while out.len < BATCH_ROWS {
            match self.row(env)? {
                Some(row) => out.push_values(row),
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.running.clear();
        (self.count, self.ended) = (0, false);
        Ok(())
    }
}

pub struct HostScan {
    node: Arc<HostScanNode>,
    state: State,
    args: Option<Vec<Datum>>,
    rows: Option<std::vec::IntoIter<Vec<Datum>>>,
}

impl HostScan {
    pub fn new(node: Arc<HostScanNode>) -> HostScan {
        HostScan {
            node,
            state: State::default(),
            args: None,
            rows: None,
        }
    }
}

impl Operator for HostScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.args.is_none() {
            self.args = Some(self.node.args.values(env, &mut self.state)?);
        }
        env.tick(BATCH_ROWS)?;
        if self.rows.is_none() {
            let args = self.args.as_deref().unwrap_or_default();
            let host = env.setup.host.clone();
            self.rows = Some(host.scan(&self.node.name, args)?.into_iter());
        }
        let mut out = Batch::of_types(&self.node.types, 64);
        for mut row in self.rows.as_mut().expect("made above").take(BATCH_ROWS) {
            if row.len() != self.node.types.len() {
                return fail(
                    "XX000",
                    format!("{} made a row of {} columns", self.node.name, row.len()),
                );
            }
            for (value, typ) in row.iter_mut().zip(&self.node.types) {
                as_vector(value, *typ);
            }
            out.push_values(row);
        }
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        (self.args, self.rows) = (None, None);
        Ok(())
    }
}

/// A host's lists count from 1; int2vector and oidvector count from 0.
fn as_vector(value: &mut Datum, typ: Oid) {
    if let (Datum::Array(array), oids::INT2VECTOR | oids::OIDVECTOR) = (value, typ) {
        for dim in &mut Arc::make_mut(array).dims {
            dim.1 = 0;
        }
    }
}

/// Each input row as often as its longest set; shorter sets give nulls.
pub struct ProjectSet {
    node: Arc<ProjectSetNode>,
    input: Input,
    states: Vec<State>,
    /// Plain expressions over the input batch.
    plain: Option<Vec<Vector>>,
    /// Arguments of each set over the input batch.
    args: Vec<Vec<Vector>>,
    running: Vec<Running>,
    open: bool,
}

impl ProjectSet {
    pub fn new(node: Arc<ProjectSetNode>, input: Op) -> ProjectSet {
        let states = (0..=node.sets.len()).map(|_| State::default()).collect();
        ProjectSet {
            node,
            input: Input::new(input),
            states,
            plain: None,
            args: Vec::new(),
            running: Vec::new(),
            open: false,
        }
    }

    fn prepare(&mut self, env: &mut Env) -> Res<()> {
        let batch = self.input.batch();
        if self.plain.is_none() {
            self.plain = Some(self.node.exprs.eval(env, &mut self.states[0], batch)?);
            self.args.clear();
        }
        while let Some(set) = self.node.sets.get(self.args.len()) {
            let state = &mut self.states[self.args.len() + 1];
            self.args.push(set.args.eval(env, state, batch)?);
        }
        Ok(())
    }

    /// Rows of the input row at `at` go to `out` until it is full; true when the input row is done.
    fn expand(&mut self, env: &mut Env, out: &mut Batch) -> Res<bool> {
        let at = self.input.at;
        if !self.open {
            self.running.clear();
            for (set, args) in self.node.sets.iter().zip(&self.args) {
                let row: Vec<Datum> = args.iter().map(|v| v.get(at)).collect();
                self.running.push(Running::start(set, &row, env)?);
            }
            self.open = true;
        }
        while out.len < BATCH_ROWS {
            let mut values = Vec::with_capacity(self.running.len());
            let mut any = false;
            for (set, running) in self.node.sets.iter().zip(&mut self.running) {
                let row = running.next(set, env)?;
                any |= row.is_some();
                values.push(row.map_or(Datum::Null, |r| single(r, set)));
            }
            if !any {
                self.open = false;
                return Ok(true);
            }
            let plain = self.plain.as_ref().expect("prepared");
            for (item, column) in self.node.items.iter().zip(&mut out.columns) {
                match item {
                    Item::Expr(e) => column.push_from(&plain[*e], at),
                    Item::Set(s) => column.push(values[*s].clone()),
                }
            }
            out.len += 1;
        }
        Ok(false)
    }
}

/// A set in a select list is one column: several result columns make a record.
fn single(mut row: Vec<Datum>, set: &SetCallNode) -> Datum {
    if set.types.len() == 1 {
        return row.pop().unwrap_or_default();
    }
    Datum::Record(Arc::new(crate::types::Record {
        types: Arc::from(set.types.as_slice()),
        values: row,
    }))
}

impl Operator for ProjectSet {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let mut out = Batch::of_width(self.node.items.len());
        while self.input.fill(env)? {
            env.tick(1)?;
            self.prepare(env)?;
            while self.input.at < self.input.batch().len {
                if !self.expand(env, &mut out)? {
                    return Ok(Some(out));
                }
                self.input.at += 1;
            }
            self.plain = None;
            if out.len > 0 {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        (self.plain, self.open) = (None, false);
        Ok(())
    }
}
