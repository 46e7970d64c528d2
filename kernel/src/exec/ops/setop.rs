//! UNION, INTERSECT and EXCEPT.

use super::over::Over;
use super::split::{LEFT, RIGHT};
use super::{Input, Op};
use crate::base::Oid;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::compile::infos;
use crate::exec::keys::{hash_rows, Groups};
use crate::exec::nodes::*;
use crate::expr::{Env, Operator};
use crate::types::registry::TypeInfo;
use serde::Deserialize;
use std::sync::Arc;

/// UNION, INTERSECT, EXCEPT.
#[derive(Debug, Deserialize)]
pub struct SetOp {
    pub kind: SetOpKind,
    pub all: bool,
    pub left: Node,
    pub right: Node,
    pub types: Vec<Oid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

impl PlanNode for SetOp {
    fn width(&self) -> usize {
        self.types.len()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.left, &self.right]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        Ok(Arc::new(SetOpNode {
            kind: self.kind,
            all: self.all,
            left: compiler.node(&self.left)?,
            right: compiler.node(&self.right)?,
            infos: infos(&self.types)?,
        }))
    }
}

pub struct SetOpNode {
    kind: SetOpKind,
    all: bool,
    left: PNode,
    right: PNode,
    infos: Vec<&'static TypeInfo>,
}

impl CompiledNode for SetOpNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let (left, right) = (opener.open(&self.left), opener.open(&self.right));
        Box::new(SetOpState::new(self, left, right))
    }
}

/// The right side's rows are counted, then the left side's are let through or not.
pub struct SetOpState {
    node: Arc<SetOpNode>,
    left: Input,
    right: Input,
    /// The plan's inputs, while `left` and `right` are partitions of them.
    whole: Option<(Input, Input)>,
    rows: Groups,
    /// How many of each distinct row the right side has left to match (ALL), or whether it was put out (not ALL).
    counts: Vec<u64>,
    given: Vec<bool>,
    over: Over,
    counted: bool,
    left_done: bool,
}

impl SetOpState {
    pub fn new(node: Arc<SetOpNode>, left: Op, right: Op) -> SetOpState {
        let rows = Groups::new(node.infos.clone());
        SetOpState {
            node,
            left: Input::new(left),
            right: Input::new(right),
            whole: None,
            rows,
            counts: Vec::new(),
            given: Vec::new(),
            over: Over::default(),
            counted: false,
            left_done: false,
        }
    }

    /// The row's entry; none: the table is full.
    fn entry(&mut self, env: &Env, columns: &[Vector], i: usize, hash: u64) -> Option<usize> {
        if let Some(entry) = self.rows.find(columns, i, hash) {
            return Some(entry as usize);
        }
        if self.over.is_full(env, &self.rows) {
            return None;
        }
        self.counts.push(0);
        self.given.push(false);
        Some(self.rows.insert(columns, i, hash) as usize)
    }

    fn count(&mut self, env: &mut Env) -> Res<()> {
        while self.node.kind != SetOpKind::Union {
            self.over.write()?;
            if !self.right.fill(env)? {
                break;
            }
            let batch = self.right.take();
            let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len)?;
            let mut over = Vec::new();
            for (i, &hash) in hashes.iter().enumerate() {
                match self.entry(env, &batch.columns, i, hash) {
                    Some(entry) => self.counts[entry] += 1,
                    None => over.push(i as u32),
                }
            }
            self.over.put(env, RIGHT, &batch, &over, &self.node.infos)?;
        }
        self.counted = true;
        Ok(())
    }

    fn lets_through(&mut self, entry: usize) -> bool {
        let on_right = self.counts[entry] > 0;
        match (self.node.kind, self.node.all) {
            (SetOpKind::Union, true) => true,
            (SetOpKind::Union, false) => !std::mem::replace(&mut self.given[entry], true),
            (SetOpKind::Intersect, false) => {
                on_right && !std::mem::replace(&mut self.given[entry], true)
            }
            (SetOpKind::Except, false) => {
                !on_right && !std::mem::replace(&mut self.given[entry], true)
            }
            (kind, true) => {
                self.counts[entry] -= u64::from(on_right);
                on_right == (kind == SetOpKind::Intersect)
            }
        }
    }

    fn pass(&mut self, env: &Env, batch: Batch) -> Res<Option<Batch>> {
        if self.node.kind == SetOpKind::Union && self.node.all {
            return Ok(Some(batch));
        }
        let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len)?;
        let (mut rows, mut over) = (Vec::new(), Vec::new());
        for (i, &hash) in hashes.iter().enumerate() {
            match self.entry(env, &batch.columns, i, hash) {
                Some(entry) if self.lets_through(entry) => rows.push(i as u32),
                Some(_) => {}
                None => over.push(i as u32),
            }
        }
        self.over.put(env, LEFT, &batch, &over, &self.node.infos)?;
        Ok(match rows.len() {
            0 => None,
            n if n == batch.len => Some(batch),
            _ => Some(batch.gather(&rows)),
        })
    }

    /// Go on with the next partition, if there is one.
    fn turn(&mut self) -> bool {
        let Some(part) = self.over.next_part() else {
            return false;
        };
        let left = std::mem::replace(&mut self.left, Input::new(part.left));
        let right = std::mem::replace(&mut self.right, Input::new(part.right));
        self.whole.get_or_insert((left, right));
        self.clear();
        true
    }

    fn clear(&mut self) {
        self.rows = Groups::new(self.node.infos.clone());
        self.counts.clear();
        self.given.clear();
        (self.counted, self.left_done) = (false, false);
    }

    /// The next rows of this partition.
    fn rows(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if !self.counted {
            self.count(env)?;
        }
        loop {
            self.over.write()?;
            let batch = if !self.left_done && self.left.fill(env)? {
                self.left.take()
            } else {
                self.left_done = true;
                if self.node.kind != SetOpKind::Union || !self.right.fill(env)? {
                    return Ok(None);
                }
                self.right.take()
            };
            if let Some(batch) = self.pass(env, batch)? {
                return Ok(Some(batch));
            }
        }
    }
}

impl Operator for SetOpState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            let batch = self.rows(env)?;
            if batch.is_some() || !self.turn() {
                return Ok(batch);
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        if let Some((left, right)) = self.whole.take() {
            (self.left, self.right) = (left, right);
        }
        self.over = Over::default();
        self.left.rescan(env)?;
        self.right.rescan(env)?;
        self.clear();
        Ok(())
    }
}
