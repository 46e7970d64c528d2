//! WHERE and HAVING.

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
use std::sync::Arc;

/// WHERE, HAVING.
#[derive(Debug, Deserialize)]
pub struct Filter {
    pub input: Node,
    pub test: Expr,
}

impl PlanNode for Filter {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        let test = compiler.program([&self.test])?;
        let input = compiler.below(&self.input, above.and(&test))?;
        Ok(Arc::new(FilterNode { input, test }))
    }
}

pub struct FilterNode {
    input: PNode,
    test: Program,
}

impl CompiledNode for FilterNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(FilterState::new(self, input))
    }

    fn scan_below<'n>(&'n self, joins: &mut Vec<&'n Arc<KeyJoinNode>>) -> Option<&'n ScanNode> {
        match pure(&self.test) {
            true => self.input.scan_below(joins),
            false => None,
        }
    }
}

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
            let test = &self.node.test;
            let kept = self.input.eval(env, test.sites == 0, |env, batch| {
                test.filter(env, &mut self.state, batch)
            })?;
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
