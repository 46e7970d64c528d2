//! DISTINCT, DISTINCT ON, UNION, INTERSECT and EXCEPT.

use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::{hash_rows, same_rows, Groups};
use crate::exec::nodes::{DistinctNode, SetOpNode};
use crate::exec::plan::SetOpKind;
use crate::expr::{Env, Operator, State};
use std::sync::Arc;

pub struct Distinct {
    node: Arc<DistinctNode>,
    input: Input,
    seen: Groups,
    /// DISTINCT ON: the last row's keys.
    last: Option<Vec<Vector>>,
    state: State,
}

impl Distinct {
    pub fn new(node: Arc<DistinctNode>, input: Op) -> Distinct {
        let seen = Groups::new(node.infos.clone());
        Distinct {
            node,
            input: Input::new(input),
            seen,
            last: None,
            state: State::default(),
        }
    }

    /// Rows of the batch that are not like one before.
    fn fresh(&mut self, env: &mut Env) -> Res<Vec<u32>> {
        let batch = self.input.batch();
        let Some(keys) = &self.node.keys else {
            let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
            let mut rows = Vec::new();
            for (i, &hash) in hashes.iter().enumerate() {
                if self.seen.add(&batch.columns, i, hash).1 {
                    rows.push(i as u32);
                }
            }
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

impl Operator for Distinct {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while self.input.fill(env)? {
            let rows = self.fresh(env)?;
            let batch = self.input.take();
            if rows.len() == batch.len {
                return Ok(Some(batch));
            }
            if !rows.is_empty() {
                return Ok(Some(batch.gather(&rows)));
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        self.seen = Groups::new(self.node.infos.clone());
        self.last = None;
        Ok(())
    }
}

/// The right side's rows are counted, then the left side's are let through or not.
pub struct SetOp {
    node: Arc<SetOpNode>,
    left: Input,
    right: Input,
    rows: Groups,
    /// How many of each distinct row the right side has left to match (ALL), or whether it was put out (not ALL).
    counts: Vec<u64>,
    given: Vec<bool>,
    counted: bool,
    left_done: bool,
}

impl SetOp {
    pub fn new(node: Arc<SetOpNode>, left: Op, right: Op) -> SetOp {
        let rows = Groups::new(node.infos.clone());
        SetOp {
            node,
            left: Input::new(left),
            right: Input::new(right),
            rows,
            counts: Vec::new(),
            given: Vec::new(),
            counted: false,
            left_done: false,
        }
    }

    fn count(&mut self, env: &mut Env) -> Res<()> {
        while self.node.kind != SetOpKind::Union && self.right.fill(env)? {
            let batch = self.right.take();
            let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
            for (i, &hash) in hashes.iter().enumerate() {
                let (entry, new) = self.rows.add(&batch.columns, i, hash);
                if new {
                    self.counts.push(0);
                    self.given.push(false);
                }
                self.counts[entry as usize] += 1;
            }
        }
        self.counted = true;
        Ok(())
    }

    fn lets_through(&mut self, columns: &[Vector], i: usize, hash: u64) -> bool {
        let (entry, new) = self.rows.add(columns, i, hash);
        if new {
            self.counts.push(0);
            self.given.push(false);
        }
        let entry = entry as usize;
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

    fn pass(&mut self, batch: Batch) -> Option<Batch> {
        let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
        let rows: Vec<u32> = (0..batch.len as u32)
            .filter(|&i| self.lets_through(&batch.columns, i as usize, hashes[i as usize]))
            .collect();
        match rows.len() {
            0 => None,
            n if n == batch.len => Some(batch),
            _ => Some(batch.gather(&rows)),
        }
    }
}

impl Operator for SetOp {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if !self.counted {
            self.count(env)?;
        }
        while !self.left_done {
            if !self.left.fill(env)? {
                self.left_done = true;
                break;
            }
            let batch = self.left.take();
            if let Some(batch) = self.pass(batch) {
                return Ok(Some(batch));
            }
        }
        while self.node.kind == SetOpKind::Union && self.right.fill(env)? {
            let batch = self.right.take();
            if let Some(batch) = self.pass(batch) {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.left.rescan(env)?;
        self.right.rescan(env)?;
        self.rows = Groups::new(self.node.infos.clone());
        self.counts.clear();
        self.given.clear();
        (self.counted, self.left_done) = (false, false);
        Ok(())
    }
}
