//! One input after the other.

use super::Op;
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::*;
use crate::expr::{Env, Operator};
use serde::Deserialize;
use std::sync::Arc;

/// One input after the other.
#[derive(Debug, Deserialize)]
pub struct Append {
    pub inputs: Vec<Node>,
}

impl PlanNode for Append {
    fn width(&self) -> usize {
        self.inputs.first().map_or(0, |input| input.width())
    }

    fn inputs(&self) -> Vec<&Node> {
        self.inputs.iter().collect()
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let inputs = self.inputs.iter().map(|input| compiler.node(input));
        Ok(Arc::new(AppendNode(inputs.collect::<Res<_>>()?)))
    }
}

struct AppendNode(Vec<PNode>);

impl CompiledNode for AppendNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let inputs = self.0.iter().map(|input| opener.open(input));
        Box::new(AppendState::new(inputs.collect()))
    }
}

pub struct AppendState {
    inputs: Vec<Op>,
    at: usize,
    /// Inputs already begun again, while a rescan is under way.
    rescanned: usize,
}

impl AppendState {
    pub fn new(inputs: Vec<Op>) -> AppendState {
        AppendState {
            inputs,
            at: 0,
            rescanned: 0,
        }
    }
}

impl Operator for AppendState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while let Some(input) = self.inputs.get_mut(self.at) {
            if let Some(batch) = input.next(env)? {
                return Ok(Some(batch));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        while let Some(input) = self.inputs.get_mut(self.rescanned) {
            input.rescan(env)?;
            self.rescanned += 1;
        }
        (self.at, self.rescanned) = (0, 0);
        Ok(())
    }
}
