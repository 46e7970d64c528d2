//! One row without columns.

use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::*;
use crate::expr::{Env, Operator};
use serde::Deserialize;
use std::sync::Arc;

/// One row, no columns.
#[derive(Debug, Deserialize)]
pub struct Single {}

impl PlanNode for Single {
    fn width(&self) -> usize {
        0
    }

    fn compile(&self, _: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        Ok(Arc::new(SingleNode))
    }
}

pub struct SingleNode;

impl CompiledNode for SingleNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::<SingleState>::default()
    }

    fn is_values(&self) -> bool {
        true
    }
}

#[derive(Default)]
pub struct SingleState {
    done: bool,
}

impl Operator for SingleState {
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
