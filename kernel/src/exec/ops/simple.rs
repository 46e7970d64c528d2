//! Filter, Project and Append.

use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::{FilterNode, ProjectNode};
use crate::expr::{Env, Operator, State};
use std::sync::Arc;

pub struct Filter {
    node: Arc<FilterNode>,
    input: Input,
    state: State,
}

impl Filter {
    pub fn new(node: Arc<FilterNode>, input: Op) -> Filter {
        Filter {
            node,
            input: Input::new(input),
            state: State::default(),
        }
    }
}

impl Operator for Filter {
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

pub struct Project {
    node: Arc<ProjectNode>,
    input: Input,
    state: State,
}

impl Project {
    pub fn new(node: Arc<ProjectNode>, input: Op) -> Project {
        Project {
            node,
            input: Input::new(input),
            state: State::default(),
        }
    }
}

impl Operator for Project {
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

pub struct Append {
    inputs: Vec<Op>,
    at: usize,
    /// Inputs already begun again, while a rescan is under way.
    rescanned: usize,
}

impl Append {
    pub fn new(inputs: Vec<Op>) -> Append {
        Append {
            inputs,
            at: 0,
            rescanned: 0,
        }
    }
}

impl Operator for Append {
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
