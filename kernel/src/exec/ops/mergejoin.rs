//! Merge joins: both sides come sorted by the keys, and are read once, side by side. Right rows of one key are a group: rows of
//! the right batch, or, where the group goes on beyond it, kept apart (what is beyond work_mem in a temporary file) and read
//! again for each left row with that key. A row with a null among its keys has no partner.

use super::keyjoin::{KeyJoinNode, Keys};
use super::matched::{joined, Matched, NONE};
use super::{passing, Input, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::kept::{Kept, Room};
use crate::exec::keys::{compare_rows, Order};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, JoinKind, SortKey};
use crate::expr::{Env, Operator, Program, State};
use serde::Deserialize;
use std::cmp::Ordering;
use std::sync::Arc;

/// Both sides come sorted by their keys; how is said on the left. Not for kinds that ask about nulls (null_anti, mark).
#[derive(Debug, Deserialize)]
pub struct MergeJoin {
    pub kind: JoinKind,
    pub left: Node,
    pub right: Node,
    pub left_keys: Vec<SortKey>,
    pub right_keys: Vec<Expr>,
    pub on: Option<Expr>,
    pub left_width: usize,
    pub right_width: usize,
}

impl PlanNode for MergeJoin {
    fn width(&self) -> usize {
        self.kind.width(self.left_width, self.right_width)
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.left, &self.right]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        if matches!(self.kind, JoinKind::NullAnti | JoinKind::Mark) {
            return fail("XX000", "not a merge join's kind");
        }
        let (left, orders) = compiler.sort_keys(&self.left_keys)?;
        let keys = Keys {
            kind: self.kind,
            left,
            infos: orders.iter().map(|o| o.info).collect(),
            orders,
            right: compiler.program(&self.right_keys)?,
            on: compiler.optional(&self.on)?,
            left_width: self.left_width,
            right_width: self.right_width,
        };
        let join = keys.join(compiler, above, &self.left, &self.right)?;
        Ok(Arc::new(MergeJoinNode(Arc::new(join))))
    }
}

struct MergeJoinNode(Arc<KeyJoinNode>);

impl CompiledNode for MergeJoinNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let (left, right) = (opener.open(&self.0.left), opener.open(&self.0.right));
        Box::new(MergeJoinState::new(self.0.clone(), left, right))
    }
}

/// Pairs that are tested at once.
const PAIRS: usize = 4096;

/// One input, with the keys of the batch at work.
struct Side {
    input: Input,
    keys: Vec<Vector>,
    evaluated: bool,
    state: State,
    /// No rows, the columns of the first batch.
    shape: Batch,
}

impl Side {
    fn new(op: Op, width: usize) -> Side {
        Side {
            input: Input::new(op),
            keys: Vec::new(),
            evaluated: false,
            state: State::default(),
            shape: Batch::of_width(width),
        }
    }

    /// Makes sure of a row and of its keys; false at the end.
    fn fill(&mut self, program: &Program, env: &mut Env) -> Res<bool> {
        if !self.input.fill(env)? {
            return Ok(false);
        }
        if !self.evaluated {
            let state = &mut self.state;
            self.keys = self.input.eval(env, program.sites == 0, |env, batch| {
                program.eval(env, state, batch)
            })?;
            self.shape = self.input.batch().slice(0, 0);
            self.evaluated = true;
        }
        Ok(true)
    }

    /// Are all rows of the batch behind us?
    fn is_done(&self) -> bool {
        let batch = self.input.batch.as_ref();
        batch.is_some_and(|b| self.input.at >= b.len)
    }

    fn rows(&self) -> &Batch {
        self.input.batch.as_ref().unwrap_or(&self.shape)
    }

    fn forget(&mut self) {
        self.input.batch = None;
        self.evaluated = false;
    }

    fn has_null(&self) -> bool {
        self.keys.iter().any(|k| k.is_null(self.input.at))
    }

    /// The first row from `at` on that is beyond the key.
    fn end(&self, orders: &[Order], key: &[Vector], row: usize, mut at: usize) -> usize {
        while at < self.rows().len
            && compare_rows(orders, &self.keys, at, key, row) == Ordering::Equal
        {
            at += 1;
        }
        at
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.evaluated = false;
        self.input.rescan(env)
    }
}

/// Right rows of one key.
enum Group {
    /// Rows of the right batch.
    Here {
        from: usize,
        to: usize,
    },
    Kept(Box<KeptGroup>),
}

struct KeptGroup {
    key: Vec<Vector>,
    rows: Kept,
    complete: bool,
    /// The chunk at work.
    chunk: Option<(usize, Batch)>,
    /// RIGHT and FULL with further conditions: rows of each chunk that have a partner.
    partnered: Vec<Vec<bool>>,
    /// The chunk whose rows without a partner come next.
    rest: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Step forward on the side that is behind.
    Seek,
    /// The rest of a group that is kept.
    Collect,
    /// The left row beside its group.
    Pairs,
    /// The left side is beyond the group.
    Leave,
    /// The left side is at its end.
    Rest,
    Ended,
}

pub struct MergeJoinState {
    node: Arc<KeyJoinNode>,
    left: Side,
    right: Side,
    phase: Phase,
    group: Option<Group>,
    /// The left row's next partner: chunk and row.
    chunk: usize,
    entry: usize,
    matched: Option<Matched>,
    /// RIGHT and FULL: rows of the right batch that have a partner, or are a kept group's.
    partnered: Vec<bool>,
    /// Pairs with equal keys that are not tested yet, and they as rows.
    pairs: (Vec<u32>, Vec<u32>),
    beside: Option<Batch>,
    on_state: State,
    out: Batch,
}

impl MergeJoinState {
    pub fn new(node: Arc<KeyJoinNode>, left: Op, right: Op) -> MergeJoinState {
        MergeJoinState {
            left: Side::new(left, node.left_width),
            right: Side::new(right, node.right_width),
            node,
            phase: Phase::Seek,
            group: None,
            chunk: 0,
            entry: 0,
            matched: None,
            partnered: Vec::new(),
            pairs: Default::default(),
            beside: None,
            on_state: State::default(),
            out: Batch::default(),
        }
    }

    fn keeps_right(&self) -> bool {
        matches!(self.node.kind, JoinKind::Right | JoinKind::Full)
    }

    fn step(&mut self, env: &mut Env) -> Res<()> {
        match self.phase {
            Phase::Seek => self.seek(env),
            Phase::Collect => self.collect(env),
            Phase::Pairs => self.pairs(env),
            Phase::Leave => self.leave(env),
            Phase::Rest => self.rest(env),
            Phase::Ended => Ok(()),
        }
    }

    /// Makes sure of a left row; false at the end.
    fn fill_left(&mut self, env: &mut Env) -> Res<bool> {
        if self.left.is_done() {
            self.test(env)?;
            self.close_left();
        }
        let more = self.left.fill(&self.node.left_keys, env)?;
        if more && self.matched.is_none() {
            self.matched = Some(Matched::new(self.left.rows().len));
        }
        Ok(more)
    }

    /// Makes sure of a right row; false at the end.
    fn fill_right(&mut self, env: &mut Env) -> Res<bool> {
        if self.right.is_done() {
            self.test(env)?;
            self.close_right();
        }
        let more = self.right.fill(&self.node.right_keys, env)?;
        if more && self.keeps_right() {
            self.partnered.resize(self.right.rows().len, false);
        }
        Ok(more)
    }

    fn seek(&mut self, env: &mut Env) -> Res<()> {
        if !self.fill_left(env)? {
            self.phase = match self.group {
                Some(_) => Phase::Leave,
                None => Phase::Rest,
            };
            return Ok(());
        }
        if self.left.has_null() {
            self.left.input.at += 1;
            return Ok(());
        }
        if let Some(group) = &self.group {
            let (key, row) = match group {
                Group::Here { from, .. } => (&self.right.keys, *from),
                Group::Kept(group) => (&group.key, 0),
            };
            let at = self.left.input.at;
            let order = compare_rows(&self.node.orders, &self.left.keys, at, key, row);
            match order {
                Ordering::Equal => self.begin_row(),
                _ => self.phase = Phase::Leave,
            }
            return Ok(());
        }
        if !self.fill_right(env)? {
            if matches!(
                self.node.kind,
                JoinKind::Inner | JoinKind::Semi | JoinKind::Right
            ) {
                // No left row to come can have a partner.
                self.close_left();
                self.phase = Phase::Ended;
            } else {
                self.left.input.at = self.left.rows().len;
            }
            return Ok(());
        }
        self.advance(env)
    }

    /// Go on in both batches until two keys are equal.
    fn advance(&mut self, env: &mut Env) -> Res<()> {
        // One partner is enough to decide a row, and there is no further condition: no group is needed.
        let first_only =
            self.node.on.is_none() && matches!(self.node.kind, JoinKind::Semi | JoinKind::Anti);
        let (left, right) = (&mut self.left, &mut self.right);
        let (lefts, rights) = (left.rows().len, right.rows().len);
        let mut moved = 1;
        while left.input.at < lefts && right.input.at < rights {
            moved += 1;
            if left.has_null() {
                left.input.at += 1;
                continue;
            }
            if right.has_null() {
                right.input.at += 1;
                continue;
            }
            let (l, r) = (left.input.at, right.input.at);
            match compare_rows(&self.node.orders, &left.keys, l, &right.keys, r) {
                Ordering::Less => left.input.at += 1,
                Ordering::Greater => right.input.at += 1,
                Ordering::Equal if first_only => {
                    if let Some(matched) = &mut self.matched {
                        matched.rows[l] = true;
                    }
                    left.input.at += 1;
                }
                Ordering::Equal => {
                    let to = right.end(&self.node.orders, &right.keys, r, r + 1);
                    if to < rights {
                        right.input.at = to;
                        self.group = Some(Group::Here { from: r, to });
                        self.begin_row();
                    } else {
                        self.phase = Phase::Collect;
                    }
                    break;
                }
            }
        }
        env.charge(moved);
        Ok(())
    }

    fn begin_row(&mut self) {
        self.phase = Phase::Pairs;
        self.chunk = 0;
        self.entry = match self.group {
            Some(Group::Here { from, .. }) => from,
            _ => 0,
        };
    }

    /// A group that reaches the right batch's end: one more piece of it.
    fn collect(&mut self, env: &mut Env) -> Res<()> {
        if self.group.is_none() {
            let at = self.right.input.at;
            let key = self.right.keys.iter().map(|k| k.slice(at, at + 1));
            self.group = Some(Group::Kept(Box::new(KeptGroup {
                key: key.collect(),
                rows: Kept::default(),
                complete: false,
                chunk: None,
                partnered: Vec::new(),
                rest: 0,
            })));
        }
        if let Some(Group::Kept(group)) = &mut self.group {
            group.rows.settle(&Room::of(env))?;
            if group.complete {
                self.begin_row();
                return Ok(());
            }
        }
        let more = self.fill_right(env)?;
        let keeps_right = self.keeps_right();
        let Some(Group::Kept(group)) = &mut self.group else {
            return Ok(());
        };
        if !more {
            group.complete = true;
            return Ok(());
        }
        let (from, len) = (self.right.input.at, self.right.rows().len);
        let to = self.right.end(&self.node.orders, &group.key, 0, from);
        env.charge(to - from);
        group.complete = to < len;
        if to > from {
            if keeps_right {
                self.partnered[from..to].fill(true);
                if self.node.on.is_some() {
                    group.partnered.push(vec![false; to - from]);
                }
            }
            group.rows.push(self.right.rows().slice(from, to));
            self.right.input.at = to;
        }
        Ok(())
    }

    /// Pairs of the left row with one piece of its group.
    fn pairs(&mut self, env: &mut Env) -> Res<()> {
        if self.pairs.0.len() >= PAIRS {
            self.test(env)?;
        }
        if !self.load(env)? {
            self.left.input.at += 1;
            self.phase = Phase::Seek;
            return Ok(());
        }
        let to = match &self.group {
            Some(Group::Here { to, .. }) => *to,
            Some(Group::Kept(group)) => group.chunk.as_ref().map_or(0, |(_, rows)| rows.len),
            None => 0,
        };
        let end = to.min(self.entry + PAIRS - self.pairs.0.len());
        let left = self.left.input.at as u32;
        self.pairs
            .0
            .resize(self.pairs.0.len() + end - self.entry, left);
        self.pairs.1.extend(self.entry as u32..end as u32);
        self.entry = end;
        if end == to {
            (self.chunk, self.entry) = (self.chunk + 1, 0);
        }
        Ok(())
    }

    /// Makes sure of the group's rows that come next; false when the left row is done.
    fn load(&mut self, env: &mut Env) -> Res<bool> {
        let chunk = self.chunk;
        match &self.group {
            Some(Group::Kept(group)) if chunk < group.rows.batches() => {
                if group.chunk.as_ref().is_some_and(|(i, _)| *i == chunk) {
                    return Ok(true);
                }
            }
            Some(Group::Here { .. }) => return Ok(chunk == 0),
            _ => return Ok(false),
        }
        self.test(env)?;
        let decided = matches!(self.node.kind, JoinKind::Semi | JoinKind::Anti)
            && self
                .matched
                .as_ref()
                .is_some_and(|m| m.rows[self.left.input.at]);
        let Some(Group::Kept(group)) = &mut self.group else {
            return Ok(false);
        };
        if decided {
            return Ok(false);
        }
        group.chunk = group.rows.get(chunk)?.map(|rows| (chunk, rows));
        Ok(group.chunk.is_some())
    }

    /// The right rows that pairs are of.
    fn partners(&self) -> &Batch {
        match &self.group {
            Some(Group::Kept(group)) => match &group.chunk {
                Some((_, rows)) => rows,
                None => self.right.rows(),
            },
            _ => self.right.rows(),
        }
    }

    /// Test the pairs and put out what they make.
    fn test(&mut self, env: &mut Env) -> Res<()> {
        if self.pairs.0.is_empty() {
            return Ok(());
        }
        let kept = match &self.node.on {
            None => None,
            Some(on) => {
                if self.beside.is_none() {
                    let left = self.left.rows().gather(&self.pairs.0);
                    self.beside = Some(left.beside(self.partners().gather(&self.pairs.1)));
                }
                let rows = self.beside.as_ref().expect("made above");
                passing(on, env, &mut self.on_state, rows)?
            }
        };
        self.beside = None;
        let (mut left, mut right) = std::mem::take(&mut self.pairs);
        env.charge(left.len());
        if let Some(kept) = kept {
            left = kept.iter().map(|&k| left[k as usize]).collect();
            right = kept.iter().map(|&k| right[k as usize]).collect();
        }
        if self.keeps_right() {
            let flags = match &mut self.group {
                Some(Group::Kept(group)) => match &group.chunk {
                    Some((chunk, _)) => group.partnered.get_mut(*chunk),
                    // The pairs are older than the group.
                    None => Some(&mut self.partnered),
                },
                _ => Some(&mut self.partnered),
            };
            if let Some(flags) = flags {
                right.iter().for_each(|&r| flags[r as usize] = true);
            }
        }
        let Some(matched) = &mut self.matched else {
            return Ok(());
        };
        let (left, right) = matched.partners(self.node.kind, &left, &right)?;
        if !left.is_empty() {
            let rows = joined(
                &self.node.wanted,
                self.left.rows(),
                &left,
                self.partners(),
                &right,
            );
            self.out.take_in(rows);
        }
        Ok(())
    }

    /// The left batch has met all its partners: put out what each kind owes for its rows.
    fn close_left(&mut self) {
        if let Some(matched) = self.matched.take() {
            let rows = match self.node.kind {
                JoinKind::Left | JoinKind::Full | JoinKind::Scalar => matched.lonely(),
                JoinKind::Semi => matched.chosen(true),
                JoinKind::Anti => matched.chosen(false),
                _ => Vec::new(),
            };
            let left = self.left.rows();
            let narrow = matches!(self.node.kind, JoinKind::Semi | JoinKind::Anti);
            if narrow && !rows.is_empty() {
                self.out.take_in(left.gather(&rows));
            } else if !rows.is_empty() {
                let none = vec![NONE; rows.len()];
                let (wanted, shape) = (&self.node.wanted, &self.right.shape);
                self.out.take_in(joined(wanted, left, &rows, shape, &none));
            }
        }
        self.left.forget();
    }

    fn close_right(&mut self) {
        let partnered = std::mem::take(&mut self.partnered);
        if let Some(rows) = self.right.input.batch.take() {
            self.put_right(&rows, &partnered);
        }
        self.right.forget();
    }

    /// RIGHT and FULL: right rows without a partner.
    fn put_right(&mut self, rows: &Batch, partnered: &[bool]) {
        let lonely = |&i: &u32| !partnered[i as usize];
        let right: Vec<u32> = (0..partnered.len() as u32).filter(lonely).collect();
        if !right.is_empty() {
            let none = vec![NONE; right.len()];
            let (wanted, shape) = (&self.node.wanted, &self.left.shape);
            self.out.take_in(joined(wanted, shape, &none, rows, &right));
        }
    }

    /// What a group leaves, one chunk of it.
    fn leave(&mut self, env: &mut Env) -> Res<()> {
        if let Some(Group::Kept(group)) = &self.group {
            let chunk = group.rest;
            self.test(env)?;
            if let Some(Group::Kept(group)) = &mut self.group {
                if chunk < group.partnered.len() {
                    let rows = group.rows.get(chunk)?;
                    let partnered = std::mem::take(&mut group.partnered[chunk]);
                    group.rest += 1;
                    if let Some(rows) = rows {
                        env.charge(rows.len);
                        self.put_right(&rows, &partnered);
                    }
                    return Ok(());
                }
            }
        }
        self.group = None;
        self.phase = Phase::Seek;
        Ok(())
    }

    /// RIGHT and FULL: what is left of the right side has no partners.
    fn rest(&mut self, env: &mut Env) -> Res<()> {
        if self.keeps_right() && self.fill_right(env)? {
            env.charge(self.right.rows().len - self.right.input.at);
            self.right.input.at = self.right.rows().len;
        } else {
            self.phase = Phase::Ended;
        }
        Ok(())
    }
}

impl Operator for MergeJoinState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while self.phase != Phase::Ended && self.out.len < BATCH_ROWS / 2 {
            env.pulse()?;
            self.step(env)?;
        }
        let out = std::mem::take(&mut self.out);
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.left.rescan(env)?;
        self.right.rescan(env)?;
        self.phase = Phase::Seek;
        self.group = None;
        self.matched = None;
        self.partnered.clear();
        self.pairs = Default::default();
        self.beside = None;
        self.out = Batch::default();
        Ok(())
    }
}
