//! WITH RECURSIVE.

use super::seen::Seen;
use super::{shared, Op};
use crate::base::error::fail;
use crate::base::Oid;
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::compile::infos;
use crate::exec::kept::{Kept, Room};
use crate::exec::nodes::*;
use crate::expr::{Env, Operator};
use crate::types::registry::TypeInfo;
use serde::Deserialize;
use std::sync::Arc;

/// Recursive WITH: `step` reads the last round's rows by `WorkScan{id}`.
#[derive(Debug, Deserialize)]
pub struct Recursive {
    pub id: usize,
    pub start: Node,
    pub step: Node,
    pub distinct: bool,
    pub types: Vec<Oid>,
}

impl PlanNode for Recursive {
    fn width(&self) -> usize {
        self.types.len()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.start, &self.step]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        Ok(Arc::new(RecursiveNode {
            id: self.id,
            start: compiler.node(&self.start)?,
            step: compiler.node(&self.step)?,
            distinct: self.distinct,
            infos: infos(&self.types)?,
        }))
    }
}

pub struct RecursiveNode {
    id: usize,
    start: PNode,
    step: PNode,
    distinct: bool,
    infos: Vec<&'static TypeInfo>,
}

impl CompiledNode for RecursiveNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let (start, step) = (opener.open(&self.start), opener.open(&self.step));
        Box::new(RecursiveState::new(self, start, step))
    }
}

/// Reads the last round of a recursion.
#[derive(Debug, Deserialize)]
pub struct WorkScan {
    pub id: usize,
    pub width: usize,
}

impl PlanNode for WorkScan {
    fn width(&self) -> usize {
        self.width
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        compiler.set_volatile();
        Ok(Arc::new(WorkScanNode(self.id)))
    }
}

struct WorkScanNode(usize);

impl CompiledNode for WorkScanNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(WorkScanState::new(self.0))
    }
}

/// Rounds: each reads what the last one made, until one makes nothing new.
pub struct RecursiveState {
    node: Arc<RecursiveNode>,
    start: Op,
    step: Op,
    seen: Seen,
    /// Rows of the round under way, and those of them that are still to be given.
    round: Kept,
    out: Option<Batch>,
    phase: Phase,
    /// The step has run before.
    used: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Start,
    Step,
    /// The round has no more rows, but for those that may still turn out to be new.
    Ending,
    /// The work table is this round's, but the step has not begun again.
    Turned,
    Done,
}

impl RecursiveState {
    pub fn new(node: Arc<RecursiveNode>, start: Op, step: Op) -> RecursiveState {
        let seen = Seen::new(&node.infos);
        RecursiveState {
            node,
            start,
            step,
            seen,
            round: Kept::default(),
            out: None,
            phase: Phase::Start,
            used: false,
        }
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

    /// The next rows of the round; those that are new, when only those count, are kept.
    fn pull(&mut self, env: &mut Env) -> Res<()> {
        let source = match self.phase {
            Phase::Start => &mut self.start,
            _ => &mut self.step,
        };
        match source.next(env)? {
            None => self.phase = Phase::Ending,
            Some(batch) if self.node.distinct => {
                let fresh = self.seen.fresh(&batch)?;
                if !fresh.is_empty() {
                    self.keep(batch.gather(&fresh));
                }
            }
            Some(batch) if batch.len > 0 => self.keep(batch),
            Some(_) => {}
        }
        Ok(())
    }
}

impl Operator for RecursiveState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if let Some(batch) = self.give(env)? {
                return Ok(Some(batch));
            }
            if self.phase == Phase::Done {
                return Ok(None);
            }
            env.pulse()?;
            self.seen.settle(env)?;
            let ending = self.phase == Phase::Ending;
            if ending || self.seen.is_crowded(env) {
                match self.seen.resolve(env)? {
                    Some(batch) => self.keep(batch),
                    None if ending => {
                        let more = self.turn(env);
                        self.phase = if more { Phase::Turned } else { Phase::Done };
                    }
                    None => {}
                }
                continue;
            }
            if self.phase == Phase::Turned {
                if self.used {
                    self.step.rescan(env)?;
                }
                (self.used, self.phase) = (true, Phase::Step);
            }
            self.pull(env)?;
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.start.rescan(env)?;
        if self.used {
            self.step.rescan(env)?;
            self.used = false;
        }
        self.seen = Seen::new(&self.node.infos);
        self.round = Kept::default();
        self.out = None;
        self.phase = Phase::Start;
        Ok(())
    }
}

/// The last round's rows.
pub struct WorkScanState {
    id: usize,
    at: usize,
}

impl WorkScanState {
    pub fn new(id: usize) -> WorkScanState {
        WorkScanState { id, at: 0 }
    }
}

impl Operator for WorkScanState {
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
