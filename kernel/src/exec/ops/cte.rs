//! WITH and recursive WITH.

use super::{shared, Input, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::kept::{Kept, Room};
use crate::exec::keys::{hash_rows, Groups};
use crate::exec::nodes::{RecursiveNode, WithNode};
use crate::expr::{Env, Operator};
use std::sync::Arc;

/// A CTE's rows so far, and what makes more of them. Readers pull it on, one batch at a time.
pub struct CteState {
    op: Option<Op>,
    rows: Kept,
    done: bool,
}

fn cte(env: &mut Env, id: usize) -> Res<&mut CteState> {
    match shared(env).ctes.get_mut(id).and_then(Option::as_mut) {
        Some(state) => Ok(state),
        None => fail("XX000", format!("plan reads CTE {id} outside its WITH")),
    }
}

/// One more batch of a CTE; false at the end.
fn advance(env: &mut Env, id: usize) -> Res<bool> {
    let room = Room::of(env);
    let state = cte(env, id)?;
    if state.rows.is_settling() {
        state.rows.settle(&room)?;
        return Ok(true);
    }
    if state.done {
        return Ok(false);
    }
    let Some(mut op) = state.op.take() else {
        return fail("XX000", format!("CTE {id} reads itself"));
    };
    let result = op.next(env);
    let state = cte(env, id)?;
    state.op = Some(op);
    match result? {
        Some(batch) => {
            state.rows.push(batch);
            state.rows.settle(&room)?;
        }
        None => state.done = true,
    }
    Ok(!state.done)
}

pub struct With {
    node: Arc<WithNode>,
    cte: Option<Op>,
    input: Op,
    ready: bool,
}

impl With {
    pub fn new(node: Arc<WithNode>, cte: Op, input: Op) -> With {
        With {
            node,
            cte: Some(cte),
            input,
            ready: false,
        }
    }
}

impl Operator for With {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if let Some(op) = self.cte.take() {
            let ctes = &mut shared(env).ctes;
            if ctes.len() <= self.node.id {
                ctes.resize_with(self.node.id + 1, || None);
            }
            ctes[self.node.id] = Some(CteState {
                op: Some(op),
                rows: Kept::default(),
                done: false,
            });
        }
        if self.node.writes && !self.ready {
            while advance(env, self.node.id)? {}
            self.ready = true;
        }
        self.input.next(env)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        if self.cte.is_none() && !self.node.cte.repeatable {
            let id = self.node.id;
            let Some(mut op) = cte(env, id)?.op.take() else {
                return fail("XX000", format!("CTE {id} reads itself"));
            };
            let result = op.rescan(env);
            let state = cte(env, id)?;
            state.op = Some(op);
            result?;
            state.rows = Kept::default();
            state.done = false;
            self.ready = false;
        }
        self.input.rescan(env)
    }
}

pub struct CteScan {
    id: usize,
    at: usize,
}

impl CteScan {
    pub fn new(id: usize) -> CteScan {
        CteScan { id, at: 0 }
    }
}

impl Operator for CteScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.at < cte(env, self.id)?.rows.batches() {
                env.pulse()?;
                let batch = cte(env, self.id)?.rows.get(self.at)?;
                env.charge(batch.as_ref().map_or(1, |b| b.len));
                self.at += 1;
                return Ok(batch);
            }
            if !advance(env, self.id)? {
                return Ok(None);
            }
        }
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.at = 0;
        Ok(())
    }
}

/// Rounds: each reads what the last one made, until one makes nothing new.
pub struct Recursive {
    node: Arc<RecursiveNode>,
    start: Input,
    step: Op,
    seen: Groups,
    /// Rows of the round under way, and those of them that are still to be given.
    round: Kept,
    out: Option<Batch>,
    started: bool,
    /// The step has been begun for the current work table.
    stepping: bool,
    used: bool,
    /// The work table is this round's, but the step has not begun again.
    turned: bool,
    done: bool,
}

impl Recursive {
    pub fn new(node: Arc<RecursiveNode>, start: Op, step: Op) -> Recursive {
        let seen = Groups::new(node.infos.clone());
        Recursive {
            node,
            start: Input::new(start),
            step,
            seen,
            round: Kept::default(),
            out: None,
            started: false,
            stepping: false,
            used: false,
            turned: false,
            done: false,
        }
    }

    /// Rows that are new, when only those count.
    fn fresh(&mut self, batch: Batch) -> Option<Batch> {
        if !self.node.distinct {
            return Some(batch);
        }
        let hashes = hash_rows(&self.node.infos, &batch.columns, batch.len);
        let rows: Vec<u32> = (0..batch.len as u32)
            .filter(|&i| {
                self.seen
                    .add(&batch.columns, i as usize, hashes[i as usize])
                    .1
            })
            .collect();
        (!rows.is_empty()).then(|| batch.gather(&rows))
    }

    /// What this round has made becomes the work table; false when it made nothing.
    fn turn(&mut self, env: &mut Env) -> bool {
        let round = std::mem::take(&mut self.round);
        let more = round.batches() > 0;
        let work = &mut shared(env).work;
        if work.len() <= self.node.id {
            work.resize_with(self.node.id + 1, Default::default);
        }
        work[self.node.id] = Arc::new(round);
        more
    }

    /// Keep rows for the next round; `give` gives them.
    fn keep(&mut self, batch: Batch) {
        self.round.push(batch.clone());
        self.out = Some(batch);
    }

    fn give(&mut self, env: &Env) -> Res<Option<Batch>> {
        if self.out.is_some() {
            self.round.settle(&Room::of(env))?;
        }
        Ok(self.out.take())
    }
}

impl Operator for Recursive {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if let Some(batch) = self.give(env)? {
            return Ok(Some(batch));
        }
        while !self.started {
            if !self.start.fill(env)? {
                self.started = true;
                break;
            }
            let batch = self.start.take();
            if let Some(batch) = self.fresh(batch) {
                self.keep(batch);
                return self.give(env);
            }
        }
        while !self.done {
            env.pulse()?;
            if !self.stepping {
                if !self.turned && !self.turn(env) {
                    self.done = true;
                    break;
                }
                self.turned = true;
                if self.used {
                    self.step.rescan(env)?;
                }
                (self.used, self.turned, self.stepping) = (true, false, true);
            }
            match self.step.next(env)? {
                Some(batch) => {
                    if let Some(batch) = self.fresh(batch) {
                        self.keep(batch);
                        return self.give(env);
                    }
                }
                None => self.stepping = false,
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.start.rescan(env)?;
        if self.used {
            self.step.rescan(env)?;
            self.used = false;
        }
        self.seen = Groups::new(self.node.infos.clone());
        self.round = Kept::default();
        self.out = None;
        (self.started, self.stepping, self.turned, self.done) = (false, false, false, false);
        Ok(())
    }
}

/// The last round's rows.
pub struct WorkScan {
    id: usize,
    at: usize,
}

impl WorkScan {
    pub fn new(id: usize) -> WorkScan {
        WorkScan { id, at: 0 }
    }
}

impl Operator for WorkScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let Some(work) = shared(env).work.get(self.id).cloned() else {
            return fail(
                "XX000",
                format!("plan reads work table {} outside its recursion", self.id),
            );
        };
        env.pulse()?;
        let batch = work.get(self.at)?;
        env.charge(batch.as_ref().map_or(0, |b| b.len));
        self.at += usize::from(batch.is_some());
        Ok(batch)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.at = 0;
        Ok(())
    }
}
