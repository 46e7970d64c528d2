//! The best rows of a big table, by several threads: each sorts a part down to the limit, and what they have found is sorted once
//! more. The parts' rows stand in the parts' order before that, so rows with equal keys come as one thread would give them.

use super::parallel::{environment, is_plain, pure, side_by_side, threads, ROUND};
use super::sort::{SortNode, SortState};
use super::{Op, Opener};
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::sync::Arc;

/// With a higher limit the last sort would be most of the work.
const LIMIT_MAX: i64 = 20_000;

/// Could this sort run in parallel?
pub fn eligible(node: &SortNode) -> bool {
    node.limit.as_ref().is_some_and(pure) && pure(&node.keys) && is_plain(&node.input)
}

/// One thread's part.
struct Part {
    env: Env,
    sort: SortState,
    found: Vec<Batch>,
    done: bool,
}

impl Part {
    fn step(&mut self, budget: i64) -> Res<()> {
        self.env.budget = budget;
        while let Some(batch) = self.sort.next(&mut self.env)? {
            self.found.push(batch);
        }
        self.done = true;
        Ok(())
    }
}

/// Batches that are there already.
struct Given(std::vec::IntoIter<Batch>);

impl Operator for Given {
    fn next(&mut self, _: &mut Env) -> Res<Option<Batch>> {
        Ok(self.0.next())
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        Ok(())
    }
}

enum Phase {
    /// Nothing is decided yet.
    Start,
    Parts(Vec<Part>),
    Last(Box<SortState>),
    /// One thread after all.
    Alone,
}

pub struct ParallelSort {
    node: Arc<SortNode>,
    alone: Op,
    phase: Phase,
}

impl ParallelSort {
    pub fn new(node: Arc<SortNode>, alone: Op) -> ParallelSort {
        ParallelSort {
            node,
            alone,
            phase: Phase::Start,
        }
    }

    fn workers(&self, env: &mut Env) -> Res<usize> {
        let Some(limit) = &self.node.limit else {
            return Ok(1);
        };
        match limit.values(env, &mut State::default())?.pop() {
            Some(Datum::Int(0..=LIMIT_MAX)) => threads(&self.node.input, env),
            _ => Ok(1),
        }
    }

    fn begin(&self, env: &Env, parts: usize) -> Vec<Part> {
        let part = |part| {
            let opener = Opener {
                counters: None,
                part: (part, parts),
                built: Vec::new(),
            };
            Part {
                env: environment(env),
                sort: SortState::new(self.node.clone(), opener.open(&self.node.input)),
                found: Vec::new(),
                done: false,
            }
        };
        (0..parts).map(part).collect()
    }

    /// Decide, or work for a round.
    fn advance(&mut self, env: &mut Env) -> Res<()> {
        match &mut self.phase {
            Phase::Start => {
                self.phase = match self.workers(env)? {
                    0 | 1 => Phase::Alone,
                    parts => Phase::Parts(self.begin(env, parts)),
                };
            }
            Phase::Parts(parts) => {
                env.pulse()?;
                let left: Vec<&mut Part> = parts.iter_mut().filter(|p| !p.done).collect();
                let result = side_by_side(left, Part::step);
                env.charge(ROUND as usize);
                result?;
                if parts.iter().all(|p| p.done) {
                    let found: Vec<Batch> = parts.drain(..).flat_map(|p| p.found).collect();
                    let given = Box::new(Given(found.into_iter()));
                    self.phase = Phase::Last(Box::new(SortState::new(self.node.clone(), given)));
                }
            }
            Phase::Last(_) | Phase::Alone => {}
        }
        Ok(())
    }
}

impl Operator for ParallelSort {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            match &mut self.phase {
                Phase::Alone => return self.alone.next(env),
                Phase::Last(sort) => return sort.next(env),
                _ => self.advance(env)?,
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        if matches!(self.phase, Phase::Alone) {
            self.alone.rescan(env)?;
        }
        self.phase = Phase::Start;
        Ok(())
    }
}
