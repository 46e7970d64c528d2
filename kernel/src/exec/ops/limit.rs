//! LIMIT, OFFSET and WITH TIES.

use super::{Input, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::same_rows;
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, SortKey};
use crate::expr::{Env, Operator, Program, State};
use crate::types::registry::TypeInfo;
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// LIMIT and OFFSET; `with_ties` are the ORDER BY's keys, for WITH TIES.
#[derive(Debug, Deserialize)]
pub struct Limit {
    pub input: Node,
    pub count: Option<Expr>,
    pub offset: Option<Expr>,
    pub with_ties: Vec<SortKey>,
}

impl PlanNode for Limit {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        let (ties, orders) = compiler.sort_keys(&self.with_ties)?;
        Ok(Arc::new(LimitNode {
            input,
            count: compiler.optional(&self.count)?,
            offset: compiler.optional(&self.offset)?,
            ties,
            tie_infos: orders.iter().map(|o| o.info).collect(),
        }))
    }
}

pub struct LimitNode {
    input: PNode,
    count: Option<Program>,
    offset: Option<Program>,
    ties: Program,
    tie_infos: Vec<&'static TypeInfo>,
}

impl CompiledNode for LimitNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(LimitState::new(self, input))
    }
}

pub struct LimitState {
    node: Arc<LimitNode>,
    input: Input,
    states: [State; 3],
    /// Rows to skip and to give; evaluated once.
    skip: Option<u64>,
    left: Option<Option<u64>>,
    /// The last row's keys, for WITH TIES.
    last: Option<Vec<Vector>>,
    ended: bool,
}

fn amount(program: &Program, env: &mut Env, state: &mut State, what: &str) -> Res<Option<u64>> {
    match program.values(env, state)?.pop() {
        Some(Datum::Int(n)) if n < 0 => {
            let code = if what == "LIMIT" { "2201W" } else { "2201X" };
            fail(code, format!("{what} must not be negative"))
        }
        Some(Datum::Int(n)) => Ok(Some(n as u64)),
        _ => Ok(None),
    }
}

impl LimitState {
    pub fn new(node: Arc<LimitNode>, input: Op) -> LimitState {
        let (skip, left, last) = (None, None, None);
        LimitState {
            node,
            input: Input::new(input),
            states: Default::default(),
            skip,
            left,
            last,
            ended: false,
        }
    }

    fn prepare(&mut self, env: &mut Env) -> Res<()> {
        if self.skip.is_none() {
            self.skip = Some(match &self.node.offset {
                None => 0,
                Some(p) => amount(p, env, &mut self.states[0], "OFFSET")?.unwrap_or(0),
            });
        }
        if self.left.is_none() {
            self.left = Some(match &self.node.count {
                None => None,
                Some(p) => amount(p, env, &mut self.states[1], "LIMIT")?,
            });
        }
        Ok(())
    }

    /// Rows of the batch that have the same keys as the last row given.
    fn ties(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let Some(last) = &self.last else {
            return Ok(None);
        };
        if !self.input.fill(env)? {
            return Ok(None);
        }
        let batch = self.input.batch();
        let keys = self.node.ties.eval(env, &mut self.states[2], batch)?;
        let from = self.input.at;
        let mut to = from;
        while to < batch.len && same_rows(&self.node.tie_infos, last, 0, &keys, to) {
            to += 1;
        }
        if to < batch.len {
            self.ended = true;
        }
        let out = batch.slice(from, to);
        self.input.at = to;
        Ok((out.len > 0).then_some(out))
    }
}

impl Operator for LimitState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        self.prepare(env)?;
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.left == Some(Some(0)) {
                return self.ties(env);
            }
            if !self.input.fill(env)? {
                return Ok(None);
            }
            let batch = self.input.batch();
            let skip = self
                .skip
                .unwrap_or(0)
                .min((batch.len - self.input.at) as u64);
            let from = self.input.at + skip as usize;
            let to = match self.left.flatten() {
                Some(left) => from + left.min((batch.len - from) as u64) as usize,
                None => batch.len,
            };
            let ends = self.left.flatten() == Some((to - from) as u64) && to > from;
            if ends && !self.node.ties.is_empty() {
                let keys = self.node.ties.eval(env, &mut self.states[2], batch)?;
                self.last = Some(keys.iter().map(|k| k.slice(to - 1, to)).collect());
            }
            self.skip = self.skip.map(|s| s - skip);
            self.left = self.left.map(|l| l.map(|n| n - (to - from) as u64));
            if from == 0 && to == batch.len {
                return Ok(Some(self.input.take()));
            }
            let out = batch.slice(from, to);
            self.input.at = to;
            if out.len > 0 {
                return Ok(Some(out));
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        (self.skip, self.left, self.last, self.ended) = (None, None, None, false);
        Ok(())
    }
}
