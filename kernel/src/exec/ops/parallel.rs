//! Aggregation of a big table by several threads: each scans a part into states of its own, which are merged in the
//! parts' order. Only what is pure and can be merged runs this way, and a table of groups that outgrows work_mem is given
//! up for the ordinary operator, which can spill: nothing has been put out by then.

use super::aggregate::{AggCall, AggregateNode, Prepared};
use super::build::{Build, Building};
use super::hashagg::Table;
use super::keyjoin::KeyJoinNode;
use super::{Input, Op, Opener};
use crate::base::error::fail;
use crate::base::{pace, Need, Res, Stop};
use crate::exec::batch::Batch;
use crate::exec::keys::hash_rows;
use crate::exec::nodes::PNode;
use crate::expr::{Env, Operator, Program};
use std::sync::Arc;

/// Smaller tables are not worth a thread.
const ROWS: u64 = 50_000;
/// Deep expressions are evaluated here too.
const STACK_BYTES: usize = 64 << 20;
/// Rows that a thread works on before its round ends.
pub const ROUND: u64 = 131_072;

/// Is what this node reads cut into parts by one scan, with nothing but filters and projections between?
pub fn is_plain(node: &PNode) -> bool {
    let mut joins = Vec::new();
    node.scan_below(&mut joins).is_some() && joins.is_empty()
}

pub fn pure(program: &Program) -> bool {
    program.sites == 0 && !program.volatile
}

/// Could this aggregate run in parallel?
pub fn eligible(node: &AggregateNode) -> bool {
    let aggs = |a: &AggCall| {
        pure(&a.args) && a.filter.as_ref().is_none_or(pure) && !a.distinct && a.orders.is_empty()
    };
    !node.sorted
        && node.sets.is_none()
        && pure(&node.keys)
        && node.aggs.iter().all(aggs)
        && node.input.scan_below(&mut Vec::new()).is_some()
}

/// One thread's part.
struct Worker {
    env: Env,
    input: Input,
    prepared: Prepared,
    table: Table,
    done: bool,
}

impl Worker {
    /// Go on until the part is done, or something is needed.
    fn step(&mut self, node: &AggregateNode, budget: i64) -> Res<()> {
        self.env.budget = budget;
        // With more than its share of memory it ends its round, and all are given up.
        let most = match self.env.setup.spill {
            Some(_) => self.env.setup.hash_mem(),
            None => usize::MAX,
        };
        while self.table.bytes() <= most && self.input.fill(&mut self.env)? {
            let (keys, evaluated) = self.input.eval(&mut self.env, true, |env, batch| {
                self.prepared.eval(node, env, batch)
            })?;
            let len = self.input.take().len;
            if node.keys.is_empty() {
                self.table
                    .states
                    .update(node, &mut self.env, &evaluated, None, len)?;
                continue;
            }
            let hashes = hash_rows(&node.infos, &keys, len)?;
            let add = |(i, &hash): (usize, &u64)| self.table.groups.add(&keys, i, hash).0;
            let groups: Vec<u32> = hashes.iter().enumerate().map(add).collect();
            self.table.states.grow(node, self.table.groups.len())?;
            self.table
                .states
                .update(node, &mut self.env, &evaluated, Some(&groups), len)?;
        }
        self.done = self.table.bytes() <= most;
        Ok(())
    }
}

/// How many threads are worth their while for what this node reads.
pub fn threads(node: &PNode, env: &Env) -> Res<usize> {
    let (Some(scan), Some(access)) = (node.scan_below(&mut Vec::new()), &env.setup.access) else {
        return Ok(1);
    };
    if env.setup.workers < 2 || env.setup.instrument {
        return Ok(1);
    }
    let (_, rows) = access.size(&scan.table)?;
    if rows < ROWS {
        return Ok(1);
    }
    Ok(env.setup.workers.min((rows / (ROWS / 2)) as usize))
}

/// The environment of one thread.
pub fn environment(env: &Env) -> Env {
    let mut env = env.worker(Box::new(super::Shared::default()));
    env.setup.slice = ROUND;
    env
}

/// One step of each, side by side, but not on the event loop, where it is `Need::Slice` each time: a thread of its own goes on. What
/// they wait for is waited for together.
pub fn side_by_side<T: Send>(
    mut all: Vec<&mut T>,
    step: impl Fn(&mut T, i64) -> Res<()> + Sync,
) -> Res<()> {
    pace::aside()?;
    let Some(own) = all.pop() else { return Ok(()) };
    let (step, helper) = (&step, &pace::helper());
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| {
                std::thread::Builder::new()
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, move || {
                        let _pace = helper();
                        step(one, ROUND as i64)
                    })
            })
            .collect();
        let mut results = vec![step(own, ROUND as i64)];
        for thread in threads {
            results.push(
                thread
                    .ok()
                    .and_then(|thread| thread.join().ok())
                    .unwrap_or_else(|| fail("XX000", "a worker thread failed")),
            );
        }
        results
    });
    together(results)
}

type Built = Vec<(Arc<KeyJoinNode>, Arc<Build>)>;

enum Phase {
    /// Nothing is decided yet.
    Start,
    /// So many threads will share these right sides, and the one at work.
    Building(usize, Built, Option<Building>),
    Workers(Vec<Worker>),
    Giving(Table),
    /// One thread after all.
    Alone,
}

pub struct ParallelAggregate {
    node: Arc<AggregateNode>,
    alone: Op,
    phase: Phase,
}

impl ParallelAggregate {
    pub fn new(node: Arc<AggregateNode>, alone: Op) -> ParallelAggregate {
        ParallelAggregate {
            node,
            alone,
            phase: Phase::Start,
        }
    }

    /// How many threads, if more than one.
    fn workers(&self, env: &mut Env) -> Res<usize> {
        let mut table = Table::new(&self.node);
        table.states.grow(&self.node, 1)?;
        match table.states.mergeable() {
            true => threads(&self.node.input, env),
            false => Ok(1),
        }
    }

    fn begin(&self, env: &Env, parts: usize, built: &Built) -> Res<Vec<Worker>> {
        let mut out = Vec::with_capacity(parts);
        for part in 0..parts {
            let opener = Opener {
                counters: None,
                part: (part, parts),
                built: built.clone(),
            };
            let mut table = Table::new(&self.node);
            table
                .states
                .grow(&self.node, usize::from(self.node.keys.is_empty()))?;
            let env = environment(env);
            let input = Input::new(opener.open(&self.node.input));
            out.push(Worker {
                env,
                input,
                prepared: Prepared::default(),
                table,
                done: false,
            });
        }
        Ok(out)
    }

    /// One round of all workers that have work left.
    fn round(node: &AggregateNode, workers: &mut [Worker]) -> Res<()> {
        let left = workers.iter_mut().filter(|w| !w.done).collect();
        side_by_side(left, |worker, budget| worker.step(node, budget))
    }

    /// The parts' tables become one, in the parts' order.
    fn merge(&self, workers: Vec<Worker>) -> Res<Table> {
        let mut tables = workers.into_iter().map(|w| w.table);
        let Some(mut all) = tables.next() else {
            return Ok(Table::new(&self.node));
        };
        for table in tables {
            if self.node.keys.is_empty() {
                all.states.merge(table.states, &[0])?;
                continue;
            }
            let keys = &table.groups.keys;
            let hashes = hash_rows(&self.node.infos, &keys.columns, keys.len)?;
            let groups: Vec<u32> = hashes
                .iter()
                .enumerate()
                .map(|(i, &h)| all.groups.add(&keys.columns, i, h).0)
                .collect();
            all.states.grow(&self.node, all.groups.len())?;
            all.states.merge(table.states, &groups)?;
        }
        Ok(all)
    }

    /// Decide, or work for a round.
    fn advance(&mut self, env: &mut Env) -> Res<()> {
        match &mut self.phase {
            Phase::Start => {
                self.phase = match self.workers(env)? {
                    0 | 1 => Phase::Alone,
                    parts => Phase::Building(parts, Vec::new(), None),
                };
            }
            Phase::Building(parts, built, under_way) => {
                let mut joins = Vec::new();
                self.node.input.scan_below(&mut joins);
                let Some(join) = joins.get(built.len()) else {
                    let (parts, built) = (*parts, std::mem::take(built));
                    self.phase = Phase::Workers(self.begin(env, parts, &built)?);
                    return Ok(());
                };
                let building = under_way.get_or_insert_with(|| {
                    let opener = Opener {
                        counters: None,
                        part: (0, 1),
                        built: Vec::new(),
                    };
                    Building::new(join, opener.open(&join.right))
                });
                match building.run(env)? {
                    Some(build) => {
                        built.push((Arc::clone(join), build));
                        *under_way = None;
                    }
                    None => self.phase = Phase::Alone,
                }
            }
            Phase::Workers(workers) => {
                env.pulse()?;
                let result = Self::round(&self.node, workers);
                env.charge(ROUND as usize);
                // Each thread has its own share of memory.
                let most = env.setup.hash_mem();
                if env.setup.spill.is_some() && workers.iter().any(|w| w.table.bytes() > most) {
                    self.phase = Phase::Alone;
                    return Ok(());
                }
                result?;
                if workers.iter().all(|w| w.done) {
                    let workers = std::mem::take(workers);
                    self.phase = Phase::Giving(self.merge(workers)?);
                }
            }
            Phase::Giving(_) | Phase::Alone => {}
        }
        Ok(())
    }
}

/// What several threads wait for: an error comes first, then pages, all of them at once.
fn together(results: Vec<Res<()>>) -> Res<()> {
    let mut pages = Vec::new();
    let mut other = None;
    for result in results {
        match result {
            Ok(()) => {}
            Err(Stop::Need(Need::Page(page))) => pages.push(page),
            Err(Stop::Need(Need::Pages(more))) => pages.extend(more),
            Err(Stop::Need(need)) => other = Some(need),
            Err(error) => return Err(error),
        }
    }
    match (pages.as_slice(), other) {
        ([], None) => Ok(()),
        ([], Some(need)) => Err(need.into()),
        ([page], _) => Err(Need::Page(*page).into()),
        _ => Err(Need::Pages(pages).into()),
    }
}

impl Operator for ParallelAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            match &mut self.phase {
                Phase::Alone => return self.alone.next(env),
                Phase::Giving(table) if self.node.keys.is_empty() => {
                    return table.only(&self.node, env)
                }
                Phase::Giving(table) => return table.give(&self.node, env),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn each_thread_sees_a_cancel() {
        let (cancel, ended) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let step = |_: &mut usize, _: i64| {
            pace::check().inspect_err(|_| {
                ended.fetch_add(1, Ordering::SeqCst);
            })
        };
        let mut parts = [0, 1, 2];
        {
            let _pace = pace::enter(&cancel, true);
            let told = side_by_side(parts.iter_mut().collect(), step);
            assert!(matches!(told, Err(Stop::Need(Need::Slice))));
        }
        let _pace = pace::enter(&cancel, false);
        assert!(side_by_side(parts.iter_mut().collect(), step).is_ok());
        cancel.store(true, Ordering::SeqCst);
        assert!(side_by_side(parts.iter_mut().collect(), step).is_err());
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }
}
