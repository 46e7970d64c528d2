//! Computed columns.

use super::keyjoin::KeyJoinNode;
use super::parallel::pure;
use super::scan::ScanNode;
use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::nodes::*;
use crate::exec::plan::Expr;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Computed columns.
#[derive(Debug, Deserialize)]
pub struct Project {
    pub input: Node,
    pub exprs: Vec<Expr>,
}

impl PlanNode for Project {
    fn width(&self) -> usize {
        self.exprs.len()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let exprs = compiler.program(&self.exprs)?;
        let input = compiler.below(&self.input, Some(exprs.looks_at.clone()))?;
        let moves = exprs
            .columns()
            .filter(|c| c.iter().collect::<BTreeSet<_>>().len() == c.len());
        Ok(Arc::new(ProjectNode {
            input,
            exprs,
            moves,
        }))
    }
}

pub struct ProjectNode {
    input: PNode,
    exprs: Program,
    /// All expressions are columns, none used twice: they are moved.
    moves: Option<Vec<usize>>,
}

impl CompiledNode for ProjectNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(ProjectState::new(self, input))
    }

    fn scan_below<'n>(&'n self, joins: &mut Vec<&'n Arc<KeyJoinNode>>) -> Option<&'n ScanNode> {
        match pure(&self.exprs) {
            true => self.input.scan_below(joins),
            false => None,
        }
    }

    fn is_values(&self) -> bool {
        self.input.is_values()
    }
}

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
        let exprs = &self.node.exprs;
        let columns = self.input.eval(env, exprs.sites == 0, |env, batch| {
            exprs.eval(env, &mut self.state, batch)
        })?;
        let len = self.input.take().len;
        Ok(Some(Batch { columns, len }))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)
    }
}
