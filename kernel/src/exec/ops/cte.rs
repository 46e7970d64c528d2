//! WITH and recursive WITH.

use super::{shared, Input, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::keys::{hash_rows, Groups};
use crate::exec::nodes::{RecursiveNode, WithNode};
use crate::expr::{Env, Operator};
use std::sync::Arc;

/// A CTE's rows so far, and what makes more of them. Readers pull it on, one batch at a time.
pub struct CteState {
    op: Option<Op>,
    rows: Vec<Batch>,
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
    let state = cte(env, id)?;
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
        Some(batch) => state.rows.push(batch),
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
                rows: Vec::new(),
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
            state.rows.clear();
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
            let state = cte(env, self.id)?;
            if let Some(batch) = state.rows.get(self.at) {
                let batch = batch.clone();
                env.tick(batch.len)?;
                self.at += 1;
                return Ok(Some(batch));
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
    /// Rows of the round under way.
    round: Vec<Batch>,
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
            round: Vec::new(),
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
        let more = !round.is_empty();
        let work = &mut shared(env).work;
        if work.len() <= self.node.id {
            work.resize_with(self.node.id + 1, Default::default);
        }
        work[self.node.id] = Arc::new(round);
        more
    }
}

impl Operator for Recursive {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while !self.started {
            if !self.start.fill(env)? {
                self.started = true;
                break;
            }
            let batch = self.start.take();
            if let Some(batch) = self.fresh(batch) {
                self.round.push(batch.clone());
                return Ok(Some(batch));
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
                        self.round.push(batch.clone());
                        return Ok(Some(batch));
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
        self.round.clear();
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
        let Some(batch) = work.get(self.at) else {
            return Ok(None);
        };
        env.tick(batch.len)?;
        self.at += 1;
        Ok(Some(batch.clone()))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.at = 0;
        Ok(())
    }
}
