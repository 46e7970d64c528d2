//! DISTINCT and DISTINCT ON.

use super::over::Over;
use super::split::LEFT;
use super::{Input, Op};
use crate::base::Oid;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::compile::infos;
use crate::exec::keys::{hash_rows, same_rows, Groups};
use crate::exec::nodes::*;
use crate::exec::plan::Expr;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::registry::TypeInfo;
use serde::Deserialize;
use std::sync::Arc;

/// Distinct on all columns, or on `keys` (DISTINCT ON over sorted input, first row kept).
#[derive(Debug, Deserialize)]
pub struct Distinct {
    pub input: Node,
    pub keys: Option<Vec<Expr>>,
    pub types: Vec<Oid>,
}

impl PlanNode for Distinct {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        Ok(Arc::new(DistinctNode {
            input: compiler.node(&self.input)?,
            keys: compiler.optional_list(&self.keys)?,
            infos: infos(&self.types)?,
        }))
    }
}

pub struct DistinctNode {
    input: PNode,
    /// DISTINCT ON: the input is sorted by these.
    keys: Option<Program>,
    infos: Vec<&'static TypeInfo>,
}

impl CompiledNode for DistinctNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(DistinctState::new(self, input))
    }
}

pub struct DistinctState {
    node: Arc<DistinctNode>,
    input: Input,
    /// The plan's input, while `input` is a partition of it.
    whole: Option<Input>,
    seen: Groups,
    /// DISTINCT ON: the last row's keys.
    last: Option<Vec<Vector>>,
    over: Over,
    state: State,
}

impl DistinctState {
    pub fn new(node: Arc<DistinctNode>, input: Op) -> DistinctState {
        let seen = Groups::new(node.infos.clone());
        DistinctState {
            node,
            input: Input::new(input),
            whole: None,
            seen,
            last: None,
            over: Over::default(),
            state: State::default(),
        }
    }

    /// Rows of the batch that are not like one before.
    fn fresh(&mut self, env: &mut Env) -> Res<Vec<u32>> {
        let batch = self.input.batch();
        let Some(keys) = &self.node.keys else {
            let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len)?;
            let (mut rows, mut over) = (Vec::new(), Vec::new());
            for (i, &hash) in hashes.iter().enumerate() {
                if self.seen.find(&batch.columns, i, hash).is_some() {
                    continue;
                }
                if self.over.is_full(env, &self.seen) {
                    over.push(i as u32);
                } else {
                    self.seen.insert(&batch.columns, i, hash);
                    rows.push(i as u32);
                }
            }
            self.over.put(env, LEFT, batch, &over, &self.node.infos)?;
            return Ok(rows);
        };
        let keys = keys.eval(env, &mut self.state, batch)?;
        let mut rows = Vec::new();
        for i in 0..batch.len {
            let same = match (i, &self.last) {
                (0, None) => false,
                (0, Some(last)) => same_rows(&self.node.infos, last, 0, &keys, 0),
                _ => same_rows(&self.node.infos, &keys, i - 1, &keys, i),
            };
            if !same {
                rows.push(i as u32);
            }
        }
        self.last = Some(
            keys.iter()
                .map(|k| k.slice(batch.len - 1, batch.len))
                .collect(),
        );
        Ok(rows)
    }
}

impl Operator for DistinctState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            self.over.write()?;
            if !self.input.fill(env)? {
                let Some(part) = self.over.next_part() else {
                    return Ok(None);
                };
                let input = std::mem::replace(&mut self.input, Input::new(part.left));
                self.whole.get_or_insert(input);
                self.seen = Groups::new(self.node.infos.clone());
                continue;
            }
            let rows = self.fresh(env)?;
            let batch = self.input.take();
            if rows.len() == batch.len {
                return Ok(Some(batch));
            }
            if !rows.is_empty() {
                return Ok(Some(batch.gather(&rows)));
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        if let Some(whole) = self.whole.take() {
            self.input = whole;
        }
        self.over = Over::default();
        self.input.rescan(env)?;
        self.seen = Groups::new(self.node.infos.clone());
        self.last = None;
        Ok(())
    }
}
