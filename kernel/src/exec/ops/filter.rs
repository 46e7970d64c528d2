//! WHERE and HAVING.

use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::FilterNode;
use crate::expr::{Env, Operator, State};
use std::sync::Arc;

pub struct FilterState {
    node: Arc<FilterNode>,
    input: Input,
    state: State,
}

impl FilterState {
    pub fn new(node: Arc<FilterNode>, input: Op) -> FilterState {
        FilterState {
            node,
            input: Input::new(input),
            state: State::default(),
        }
    }
}

impl Operator for FilterState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while self.input.fill(env)? {
            let kept = self
                .node
                .test
                .filter(env, &mut self.state, self.input.batch())?;
            let batch = self.input.take();
            match kept {
                None => return Ok(Some(batch)),
                Some(rows) if rows.is_empty() => {}
                Some(rows) => return Ok(Some(batch.gather(&rows))),
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)
    }
}
