//! Computed columns.

use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::ProjectNode;
use crate::expr::{Env, Operator, State};
use std::sync::Arc;

pub struct ProjectState {
    node: Arc<ProjectNode>,
    input: Input,
    state: State,
}

impl ProjectState {
    pub fn new(node: Arc<ProjectNode>, input: Op) -> ProjectState {
        ProjectState {
            node,
            input: Input::new(input),
            state: State::default(),
        }
    }
}

impl Operator for ProjectState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if !self.input.fill(env)? {
            return Ok(None);
        }
        if let Some(moves) = self
            .node
            .moves
            .as_ref()
            .filter(|m| m.iter().all(|&i| i < self.input.batch().width()))
        {
            let mut batch = self.input.take();
            let columns = moves
                .iter()
                .map(|&i| std::mem::take(&mut batch.columns[i]))
                .collect();
            return Ok(Some(Batch {
                columns,
                len: batch.len,
            }));
        }
        let columns = self
            .node
            .exprs
            .eval(env, &mut self.state, self.input.batch())?;
        let len = self.input.take().len;
        Ok(Some(Batch { columns, len }))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)
    }
}
