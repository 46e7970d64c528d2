//! DISTINCT, DISTINCT ON, UNION, INTERSECT and EXCEPT.

use super::split::{Part, Split, LEFT, LEVELS, RIGHT};
use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::{hash_rows, same_rows, Groups};
use crate::exec::nodes::{DistinctNode, SetOpNode};
use crate::exec::plan::SetOpKind;
use crate::expr::{Env, Operator, State};
use crate::types::registry::TypeInfo;
use std::sync::Arc;

pub struct Distinct {
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

impl Distinct {
    pub fn new(node: Arc<DistinctNode>, input: Op) -> Distinct {
        let seen = Groups::new(node.infos.clone());
        Distinct {
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
            let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
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
            self.over.put(env, LEFT, batch, &over, &self.node.infos);
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

/// Rows that came when their table of distinct rows was full and that are not in it: they go to temporary files, in
/// partitions that are worked on one after the other, each like an input of its own. A table that is full takes no
/// more rows, so all equal rows are on the same side.
#[derive(Default)]
struct Over {
    split: Option<Split>,
    parts: Vec<Part>,
    level: u32,
}

impl Over {
    fn is_full(&self, env: &Env, table: &Groups) -> bool {
        env.setup.spill.is_some() && self.level < LEVELS && table.bytes() > env.setup.work_mem
    }

    fn put(
        &mut self,
        env: &Env,
        side: usize,
        batch: &Batch,
        rows: &[u32],
        infos: &[&'static TypeInfo],
    ) {
        if rows.is_empty() {
            return;
        }
        if self.split.is_none() {
            self.split = Split::new(self.level, env);
        }
        if let Some(split) = &mut self.split {
            let batch = batch.gather(rows);
            let places = split.places(&batch.columns, infos, batch.len);
            split.add(side, batch, &places);
        }
    }

    /// What was put; after `Need` call again.
    fn write(&mut self) -> Res<()> {
        self.split.as_mut().map_or(Ok(()), Split::write)
    }

    /// The input is at its end: what comes next.
    fn next_part(&mut self) -> Option<Part> {
        self.parts
            .extend(self.split.take().into_iter().flat_map(Split::parts));
        let part = self.parts.pop()?;
        self.level = part.level;
        Some(part)
    }
}

/// The right side's rows are counted, then the left side's are let through or not.
pub struct SetOp {
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

impl SetOp {
    pub fn new(node: Arc<SetOpNode>, left: Op, right: Op) -> SetOp {
        let rows = Groups::new(node.infos.clone());
        SetOp {
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
            let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
            let mut over = Vec::new();
            for (i, &hash) in hashes.iter().enumerate() {
                match self.entry(env, &batch.columns, i, hash) {
                    Some(entry) => self.counts[entry] += 1,
                    None => over.push(i as u32),
                }
            }
            self.over.put(env, RIGHT, &batch, &over, &self.node.infos);
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

    fn pass(&mut self, env: &Env, batch: Batch) -> Option<Batch> {
        if self.node.kind == SetOpKind::Union && self.node.all {
            return Some(batch);
        }
        let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
        let (mut rows, mut over) = (Vec::new(), Vec::new());
        for (i, &hash) in hashes.iter().enumerate() {
            match self.entry(env, &batch.columns, i, hash) {
                Some(entry) if self.lets_through(entry) => rows.push(i as u32),
                Some(_) => {}
                None => over.push(i as u32),
            }
        }
        self.over.put(env, LEFT, &batch, &over, &self.node.infos);
        match rows.len() {
            0 => None,
            n if n == batch.len => Some(batch),
            _ => Some(batch.gather(&rows)),
        }
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
            if let Some(batch) = self.pass(env, batch) {
                return Ok(Some(batch));
            }
        }
    }
}

impl Operator for SetOp {
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
