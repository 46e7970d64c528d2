//! Aggregation over everything and over sorted input; by hash: `hashagg.rs`.

use super::aggstate::{is_pure, Arguments, Evaluated, States};
use super::hashagg::HashAggregate;
use super::parallel::{self, ParallelAggregate};
use super::{Input, Op, Opener};
use crate::base::Oid;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::compile::{infos, order};
use crate::exec::keys::same_rows;
use crate::exec::keys::Order;
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, SortKey};
use crate::expr::compile::ordered;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::func::{agg, CallInfo};
use crate::types::registry::TypeInfo;
use serde::Deserialize;
use std::sync::Arc;

/// Output: group keys, then aggregates. `sorted`: input is sorted by the keys. `sets`: grouping sets, as lists of
/// key indexes (keys outside the set read as null).
#[derive(Debug, Deserialize)]
pub struct Aggregate {
    pub input: Node,
    pub keys: Vec<Expr>,
    pub key_types: Vec<Oid>,
    pub aggs: Vec<Agg>,
    pub sorted: bool,
    pub sets: Option<Vec<Vec<usize>>>,
}

#[derive(Debug, Deserialize)]
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

impl Agg {
    fn compile(&self, compiler: &mut PlanCompiler) -> Res<AggCall> {
        let orders = self.order.iter().map(order);
        let orders = orders.collect::<Res<_>>()?;
        let args = self.args.iter().chain(self.order.iter().map(|k| &k.expr));
        let args = compiler.program(args)?;
        let arg_infos = match self.distinct {
            true => self
                .arg_types
                .iter()
                .map(|&t| ordered(t))
                .collect::<Res<_>>()?,
            false => Vec::new(),
        };
        Ok(AggCall {
            aggregate: agg::lookup(&self.func, &self.arg_types)?,
            info: CallInfo::new(&self.arg_types, self.typ),
            args,
            arg_count: self.args.len(),
            distinct: self.distinct,
            arg_infos,
            orders,
            filter: compiler.optional(&self.filter)?,
        })
    }
}

impl PlanNode for Aggregate {
    fn width(&self) -> usize {
        self.keys.len() + self.aggs.len()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let keys = compiler.program(&self.keys)?;
        let aggs = self.aggs.iter().map(|a| a.compile(compiler));
        let aggs = aggs.collect::<Res<Vec<_>>>()?;
        let mut wanted = keys.looks_at.clone();
        for agg in &aggs {
            wanted.extend(&agg.args.looks_at);
            wanted.extend(agg.filter.iter().flat_map(|f| &f.looks_at));
        }
        Ok(Arc::new(AggregateNode {
            input: compiler.below(&self.input, Some(wanted))?,
            keys,
            infos: infos(&self.key_types)?,
            aggs,
            sorted: self.sorted,
            sets: self.sets.clone(),
        }))
    }
}

pub struct AggCall {
    pub aggregate: &'static agg::Aggregate,
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

impl CompiledNode for AggregateNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        let operator: Op = if self.keys.is_empty() && self.sets.is_none() {
            Box::new(PlainAggregate::new(self.clone(), input))
        } else if self.sorted && self.sets.is_none() {
            Box::new(SortedAggregate::new(self.clone(), input))
        } else {
            Box::new(HashAggregate::new(self.clone(), input))
        };
        match parallel::eligible(&self) && opener.counters.is_none() {
            true => Box::new(ParallelAggregate::new(self, operator)),
            false => operator,
        }
    }
}

/// One row, whatever comes in.
struct PlainAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    arguments: Arguments,
    states: Option<States>,
    done: bool,
}

impl PlainAggregate {
    fn new(node: Arc<AggregateNode>, input: Op) -> PlainAggregate {
        PlainAggregate {
            node,
            input: Input::new(input),
            arguments: Arguments::default(),
            states: None,
            done: false,
        }
    }
}

impl Operator for PlainAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        if self.states.is_none() {
            let mut states = States::new(&self.node);
            states.grow(&self.node, 1)?;
            self.states = Some(states);
        }
        let states = self.states.as_mut().expect("made above");
        loop {
            states.settle(env)?;
            if !self.input.fill(env)? {
                break;
            }
            let evaluated = self.input.eval(env, is_pure(&self.node), |env, batch| {
                self.arguments.eval(&self.node, env, batch)
            })?;
            let len = self.input.take().len;
            states.update(&self.node, env, &evaluated, None, len)?;
        }
        let columns = states.finish(&self.node, env, 0, 1)?;
        self.done = true;
        Ok(Some(Batch { columns, len: 1 }))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        (self.states, self.done) = (None, false);
        Ok(())
    }
}

/// Keys and arguments of a batch, evaluated.
#[derive(Default)]
pub struct Prepared {
    /// And how many rows they are of: work that is begun anew may be on fewer.
    keys: Option<(Vec<Vector>, usize)>,
    state: State,
    arguments: Arguments,
}

impl Prepared {
    pub fn eval(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        batch: &Batch,
    ) -> Res<(Vec<Vector>, Vec<Evaluated>)> {
        if self
            .keys
            .as_ref()
            .is_none_or(|(_, rows)| *rows != batch.len)
        {
            self.keys = Some((node.keys.eval(env, &mut self.state, batch)?, batch.len));
        }
        let evaluated = self.arguments.eval(node, env, batch)?;
        Ok((self.keys.take().unwrap_or_default().0, evaluated))
    }
}

/// Groups come one after the other: only the last one is open.
struct SortedAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    prepared: Prepared,
    keys: Batch,
    states: States,
    /// Groups that are to be given.
    closed: usize,
    done: bool,
}

impl SortedAggregate {
    fn new(node: Arc<AggregateNode>, input: Op) -> SortedAggregate {
        let (keys, states) = (Batch::of_width(node.keys.len()), States::new(&node));
        SortedAggregate {
            node,
            input: Input::new(input),
            prepared: Prepared::default(),
            keys,
            states,
            closed: 0,
            done: false,
        }
    }

    fn take_in(&mut self, env: &mut Env) -> Res<()> {
        let (keys, evaluated) = self.input.eval(env, is_pure(&self.node), |env, batch| {
            self.prepared.eval(&self.node, env, batch)
        })?;
        let len = self.input.take().len;
        let mut groups = Vec::with_capacity(len);
        for i in 0..len {
            let last = self.keys.len;
            let same =
                last > 0 && same_rows(&self.node.infos, &self.keys.columns, last - 1, &keys, i);
            if !same {
                for (column, key) in self.keys.columns.iter_mut().zip(&keys) {
                    column.push_from(key, i);
                }
                self.keys.len += 1;
            }
            groups.push(self.keys.len as u32 - 1);
        }
        self.states.grow(&self.node, self.keys.len)?;
        self.states
            .update(&self.node, env, &evaluated, Some(&groups), len)
    }

    /// Groups `0..to` as rows.
    fn give(&mut self, env: &mut Env, to: usize) -> Res<Batch> {
        let values = self.states.finish(&self.node, env, 0, to)?;
        let mut out = self.keys.slice(0, to);
        out.columns.extend(values);
        Ok(out)
    }
}

impl Operator for SortedAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while self.closed > 0 || !self.done {
            if self.closed > 0 {
                let closed = self.closed;
                let out = self.give(env, closed)?;
                self.keys = self.keys.slice(closed.min(self.keys.len), self.keys.len);
                self.states.keep_last();
                self.closed = 0;
                return Ok(Some(out));
            }
            self.states.settle(env)?;
            if self.input.fill(env)? {
                self.take_in(env)?;
                self.closed = self.keys.len - 1;
                if self.closed > 0 {
                    self.states.hold_last();
                }
            } else {
                self.done = true;
                self.closed = self.keys.len;
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        self.keys = Batch::of_width(self.node.keys.len());
        self.states = States::new(&self.node);
        (self.closed, self.done) = (0, false);
        Ok(())
    }
}
