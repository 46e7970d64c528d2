//! Operators: the running side of plan nodes. Every one keeps in its struct what it must not do twice, so that a call
//! after `Err(Need)` goes on where the last one stopped.

mod aggregate;
mod aggstate;
mod append;
mod build;
mod cte;
mod delete;
mod distinct;
mod empty;
mod filter;
mod frame;
mod functionscan;
mod hashagg;
mod hashjoin;
mod hostscan;
mod indexscan;
mod inorder;
mod insert;
mod limit;
mod literals;
mod lock;
mod matched;
mod member;
mod mergejoin;
mod modify;
mod nestloop;
mod over;
mod parallel;
mod parsort;
mod partition;
mod project;
mod projectset;
mod queue;
mod recursive;
mod scan;
mod seen;
mod setcall;
mod setop;
mod single;
mod sort;
mod split;
mod update;
mod values;
mod window;
mod windowcall;

pub use member::Member;
pub use queue::{Queue, Queued};
pub use window::is_window_function;

use super::batch::Batch;
use super::deferral::Deferral;
use super::explain::Counters;
use super::kept::Kept;
use super::nodes::{KeyJoinNode, Kind, PNode};
use crate::base::Res;
use crate::expr::{Env, Operator};
use build::Build;
use std::sync::Arc;

/// What operators of one execution share: `Env::shared`.
#[derive(Default)]
pub struct Shared {
    pub ctes: Vec<Option<cte::Cte>>,
    pub work: Vec<Arc<Kept>>,
    /// Actions for the statement's end.
    pub queue: Queue,
    /// Actions for COMMIT.
    pub put_off: Queue,
    /// What is put off.
    pub deferral: Arc<Deferral>,
    /// It is COMMIT: nothing is put off.
    pub immediate: bool,
    /// Something was written since the command id last rose.
    pub dirty: bool,
    /// Rows that the statement has written.
    pub written: u64,
}

pub fn shared(env: &mut Env) -> &mut Shared {
    env.shared
        .downcast_mut::<Shared>()
        .expect("the executor put it there")
}

/// How operators are opened: with counters for EXPLAIN ANALYZE, or without.
#[derive(Clone)]
pub struct Opener {
    pub counters: Option<Arc<Counters>>,
    /// Scans take this part of so many.
    pub part: (usize, usize),
    /// Right sides that are built already, for several threads.
    pub built: Vec<(Arc<KeyJoinNode>, Arc<Build>)>,
}

pub type Op = Box<dyn Operator>;

impl Opener {
    pub fn open(&self, node: &PNode) -> Op {
        let operator = self.plain(&node.kind);
        match &self.counters {
            None => operator,
            Some(counters) => Box::new(super::explain::Counted::new(
                operator,
                node.id,
                counters.clone(),
            )),
        }
    }

    fn plain(&self, kind: &Kind) -> Op {
        match kind {
            Kind::Single => Box::new(single::SingleState::default()),
            Kind::Empty => Box::new(empty::EmptyState),
            Kind::Values(n) => Box::new(values::ValuesState::new(n.clone())),
            Kind::LiteralRows(n) => Box::new(literals::LiteralRowsState::new(n.clone())),
            Kind::FunctionScan(n) => Box::new(functionscan::FunctionScanState::new(n.clone())),
            Kind::HostScan(n) => Box::new(hostscan::HostScanState::new(n.clone())),
            Kind::Scan(n) => Box::new(scan::ScanState::new(n.clone(), self.part)),
            Kind::IndexScan(n) => Box::new(indexscan::IndexScanState::new(n.clone())),
            Kind::Filter(n) => Box::new(filter::FilterState::new(n.clone(), self.open(&n.input))),
            Kind::Project(n) => {
                Box::new(project::ProjectState::new(n.clone(), self.open(&n.input)))
            }
            Kind::ProjectSet(n) => Box::new(projectset::ProjectSetState::new(
                n.clone(),
                self.open(&n.input),
            )),
            Kind::NestedLoop(n) => Box::new(nestloop::NestedLoopState::new(
                n.clone(),
                self.open(&n.left),
                self.open(&n.right),
            )),
            Kind::HashJoin(n) => {
                let left = self.open(&n.left);
                if let Some((_, build)) = self.built.iter().find(|(node, _)| Arc::ptr_eq(node, n)) {
                    return Box::new(hashjoin::HashJoinState::shared(
                        n.clone(),
                        left,
                        build.clone(),
                    ));
                }
                let right = self.open(&n.right);
                Box::new(hashjoin::HashJoinState::new(n.clone(), left, right))
            }
            Kind::MergeJoin(n) => {
                let (left, right) = (self.open(&n.left), self.open(&n.right));
                Box::new(mergejoin::MergeJoinState::new(n.clone(), left, right))
            }
            Kind::Sort(n) => {
                let sort = Box::new(sort::SortState::new(n.clone(), self.open(&n.input)));
                match parsort::eligible(n) && self.counters.is_none() && self.part.1 == 1 {
                    true => Box::new(parsort::ParallelSort::new(n.clone(), sort)),
                    false => sort,
                }
            }
            Kind::Aggregate(n) => aggregate::open(n, self),
            Kind::Window(n) => Box::new(window::WindowState::new(n.clone(), self.open(&n.input))),
            Kind::Limit(n) => Box::new(limit::LimitState::new(n.clone(), self.open(&n.input))),
            Kind::Distinct(n) => {
                Box::new(distinct::DistinctState::new(n.clone(), self.open(&n.input)))
            }
            Kind::Append(n) => Box::new(append::AppendState::new(
                n.inputs.iter().map(|i| self.open(i)).collect(),
            )),
            Kind::SetOp(n) => Box::new(setop::SetOpState::new(
                n.clone(),
                self.open(&n.left),
                self.open(&n.right),
            )),
            Kind::With(n) => Box::new(cte::WithState::new(
                n.clone(),
                self.open(&n.cte),
                self.open(&n.input),
            )),
            Kind::CteScan(id) => Box::new(cte::CteScanState::new(*id)),
            Kind::Recursive(n) => Box::new(recursive::RecursiveState::new(
                n.clone(),
                self.open(&n.start),
                self.open(&n.step),
            )),
            Kind::WorkScan(id) => Box::new(recursive::WorkScanState::new(*id)),
            Kind::LockRows(n) => Box::new(lock::LockRowsState::new(n.clone(), self.open(&n.input))),
            Kind::Insert(n) => Box::new(insert::InsertState::new(n.clone(), self.open(&n.input))),
            Kind::Update(n) => Box::new(update::UpdateState::new(n.clone(), self.open(&n.input))),
            Kind::Delete(n) => Box::new(delete::DeleteState::new(n.clone(), self.open(&n.input))),
        }
    }
}

/// An input and the batch of it that is being worked on.
pub struct Input {
    pub op: Op,
    pub batch: Option<Batch>,
    /// Next row of `batch`.
    pub at: usize,
    ended: bool,
}

impl Input {
    pub fn new(op: Op) -> Input {
        Input {
            op,
            batch: None,
            at: 0,
            ended: false,
        }
    }

    /// Makes sure that there is a batch with a row left; false at the end.
    pub fn fill(&mut self, env: &mut Env) -> Res<bool> {
        loop {
            match &self.batch {
                Some(batch) if self.at < batch.len => return Ok(true),
                _ if self.ended => return Ok(false),
                _ => match self.op.next(env)? {
                    Some(batch) => {
                        self.batch = Some(batch);
                        self.at = 0;
                    }
                    None => {
                        self.batch = None;
                        self.ended = true;
                    }
                },
            }
        }
    }

    /// The batch that `fill` has made sure of.
    pub fn batch(&self) -> &Batch {
        self.batch.as_ref().expect("filled before")
    }

    pub fn take(&mut self) -> Batch {
        self.batch.take().expect("filled before")
    }

    pub fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.op.rescan(env)?;
        self.batch = None;
        self.at = 0;
        self.ended = false;
        Ok(())
    }
}
