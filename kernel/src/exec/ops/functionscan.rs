//! Set-returning functions in FROM.

use super::setcall::Running;
use super::setcall::{SetCall, SetCallNode};
use crate::base::Res;
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::nodes::*;
use crate::expr::{Env, Operator, State};
use crate::types::{oids, Datum};
use serde::Deserialize;
use std::sync::Arc;

/// A set-returning function: generate_series, unnest (several at once are zipped), json_array_elements…
#[derive(Debug, Deserialize)]
pub struct FunctionScan {
    pub calls: Vec<SetCall>,
    pub ordinality: bool,
}

impl PlanNode for FunctionScan {
    fn width(&self) -> usize {
        let columns = self.calls.iter().map(|c| c.types.len());
        columns.sum::<usize>() + usize::from(self.ordinality)
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let calls = self.calls.iter().map(|c| c.compile(compiler));
        Ok(Arc::new(FunctionScanNode {
            calls: calls.collect::<Res<_>>()?,
            ordinality: self.ordinality,
        }))
    }
}

pub struct FunctionScanNode {
    calls: Vec<SetCallNode>,
    ordinality: bool,
}

impl CompiledNode for FunctionScanNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(FunctionScanState::new(self))
    }
}

pub struct FunctionScanState {
    node: Arc<FunctionScanNode>,
    running: Vec<Running>,
    states: Vec<State>,
    count: i64,
    ended: bool,
}

impl FunctionScanState {
    pub fn new(node: Arc<FunctionScanNode>) -> FunctionScanState {
        let states = node.calls.iter().map(|_| State::default()).collect();
        FunctionScanState {
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

impl Operator for FunctionScanState {
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
