//! No rows.

use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::*;
use crate::expr::{Env, Operator};
use serde::Deserialize;
use std::sync::Arc;

/// No rows.
#[derive(Debug, Deserialize)]
pub struct Empty {
    pub width: usize,
}

impl PlanNode for Empty {
    fn width(&self) -> usize {
        self.width
    }

    fn compile(&self, _: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        Ok(Arc::new(EmptyNode))
    }
}

struct EmptyNode;

impl CompiledNode for EmptyNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(EmptyState)
    }
}

pub struct EmptyState;

impl Operator for EmptyState {
    fn next(&mut self, _: &mut Env) -> Res<Option<Batch>> {
        Ok(None)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        Ok(())
    }
}
