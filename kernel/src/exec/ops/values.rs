//! VALUES: rows of expressions.

use crate::base::Oid;
use crate::base::Res;
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::nodes::*;
use crate::exec::plan::Expr;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use serde::Deserialize;
use std::sync::Arc;

/// Rows of expressions without input columns.
#[derive(Debug, Deserialize)]
pub struct Values {
    pub rows: Vec<Vec<Expr>>,
    pub types: Vec<Oid>,
}

impl PlanNode for Values {
    fn width(&self) -> usize {
        self.types.len()
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let rows = self.rows.iter().map(|r| compiler.program(r));
        Ok(Arc::new(ValuesNode {
            rows: rows.collect::<Res<_>>()?,
            types: self.types.clone(),
        }))
    }
}

pub struct ValuesNode {
    /// One program of one row each.
    rows: Vec<Program>,
    types: Vec<Oid>,
}

impl CompiledNode for ValuesNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(ValuesState::new(self))
    }

    fn is_values(&self) -> bool {
        true
    }
}

pub struct ValuesState {
    node: Arc<ValuesNode>,
    at: usize,
    out: Option<Batch>,
    state: State,
}

impl ValuesState {
    pub fn new(node: Arc<ValuesNode>) -> ValuesState {
        ValuesState {
            node,
            at: 0,
            out: None,
            state: State::default(),
        }
    }
}

impl Operator for ValuesState {
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
