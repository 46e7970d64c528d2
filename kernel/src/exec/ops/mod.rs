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
mod keyjoin;
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

pub use keyjoin::KeyJoinNode;
pub use member::Member;
pub use modify::{AfterNode, Expect};
pub use queue::{Queue, Queued};
pub use scan::ScanNode;
pub use single::{Single, SingleNode};

use super::batch::{Batch, BATCH_ROWS};
use super::deferral::Deferral;
use super::explain::Counters;
use super::kept::Kept;
use super::nodes::{PNode, PlanNode};
use crate::base::{pace, Res};
use crate::expr::{Env, Operator, Program, State};
use build::Build;
use serde::Deserialize;
use std::ops::Deref;
use std::sync::Arc;

/// `Node`: any plan node, which JSON tags by `op` with its name in lower case.
macro_rules! nodes {
    ($($module:ident::$name:ident,)*) => {
        #[derive(Debug, Deserialize)]
        #[serde(tag = "op", rename_all = "snake_case")]
        pub enum Node {
            $($name(Box<$module::$name>),)*
        }

        impl Deref for Node {
            type Target = dyn PlanNode;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Node::$name(node) => node.as_ref(),)*
                }
            }
        }
    };
}

// All plan nodes. `engine/planner/nodes.py` is made from this list and what the files say.
nodes! {
    aggregate::Aggregate,
    append::Append,
    cte::With,
    cte::CteScan,
    delete::Delete,
    distinct::Distinct,
    empty::Empty,
    filter::Filter,
    functionscan::FunctionScan,
    hashjoin::HashJoin,
    hostscan::HostScan,
    indexscan::IndexScan,
    insert::Insert,
    limit::Limit,
    literals::LiteralRows,
    lock::LockRows,
    mergejoin::MergeJoin,
    nestloop::NestedLoop,
    project::Project,
    projectset::ProjectSet,
    recursive::Recursive,
    recursive::WorkScan,
    scan::Scan,
    setop::SetOp,
    single::Single,
    sort::Sort,
    update::Update,
    values::Values,
    window::Window,
}

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
        let operator = node.node.clone().open(self);
        match &self.counters {
            None => operator,
            Some(counters) => Box::new(super::explain::Counted::new(
                operator,
                node.id,
                counters.clone(),
            )),
        }
    }

    /// Is there one thread for all rows, and nobody counting?
    pub fn is_whole(&self) -> bool {
        self.counters.is_none() && self.part.1 == 1
    }
}

/// An input and the batch of it that is being worked on.
pub struct Input {
    pub op: Op,
    pub batch: Option<Batch>,
    /// Next row of `batch`.
    pub at: usize,
    ended: bool,
    /// Rows that come before those of `op`: the last first.
    rest: Vec<Batch>,
    /// Rows that are worked on at once.
    width: usize,
}

/// Bytes of long values that work on one batch may make: else it is done on fewer rows.
const WIDE: usize = 16 << 20;

/// Work on a batch that must stay whole: on fewer rows at a time where it would make too many bytes of long values; `pure`: it can be
/// done anew. `each` takes the first row's number and what was made of it and those after it.
pub fn in_parts<T>(
    env: &mut Env,
    pure: bool,
    batch: &Batch,
    work: &mut dyn FnMut(&mut Env, &Batch) -> Res<T>,
    each: &mut dyn FnMut(usize, T),
) -> Res<()> {
    if !pure || batch.len <= 1 {
        each(0, work(env, batch)?);
        return Ok(());
    }
    if let Some((value, _)) = pace::making_at_most(WIDE, || work(env, batch))? {
        each(0, value);
        return Ok(());
    }
    let width = batch.len.div_ceil(8);
    for from in (0..batch.len).step_by(width) {
        pace::check()?;
        let part = batch.slice(from, batch.len.min(from + width));
        in_parts(env, pure, &part, work, &mut |at, value| {
            each(from + at, value)
        })?;
    }
    Ok(())
}

/// Rows of a batch that must stay whole for which the expression is true; `None`: all of them.
pub fn passing(
    program: &Program,
    env: &mut Env,
    state: &mut State,
    batch: &Batch,
) -> Res<Option<Vec<u32>>> {
    let mut kept = Some(Vec::new());
    let mut test = |env: &mut Env, part: &Batch| Ok((part.len, program.filter(env, state, part)?));
    in_parts(env, program.sites == 0, batch, &mut test, &mut |from,
                                                              (
        len,
        rows,
    )| {
        if rows.is_none() && len == batch.len {
            kept = None;
        } else if let Some(kept) = &mut kept {
            let rows = rows.unwrap_or_else(|| (0..len as u32).collect());
            kept.extend(rows.into_iter().map(|row| row + from as u32));
        }
    })?;
    Ok(kept)
}

impl Input {
    pub fn new(op: Op) -> Input {
        Input {
            op,
            batch: None,
            at: 0,
            ended: false,
            rest: Vec::new(),
            width: BATCH_ROWS,
        }
    }

    /// Work on the batch that `fill` has made sure of, which may become a shorter one; `pure`: it can be done anew.
    pub fn eval<T>(
        &mut self,
        env: &mut Env,
        pure: bool,
        mut work: impl FnMut(&mut Env, &Batch) -> Res<T>,
    ) -> Res<T> {
        loop {
            let batch = self.batch();
            if !pure || batch.len <= 1 {
                return work(env, batch);
            }
            if let Some((value, made)) = pace::making_at_most(WIDE, || work(env, batch))? {
                if made < WIDE / 4 {
                    self.width = (self.width * 2).min(BATCH_ROWS);
                }
                return Ok(value);
            }
            self.width = batch.len.div_ceil(8);
            self.batch = self.batch.take().map(|batch| self.cut(batch));
        }
    }

    fn cut(&mut self, mut batch: Batch) -> Batch {
        if batch.len > self.width && self.width < BATCH_ROWS {
            self.rest.push(batch.slice(self.width, batch.len));
            batch.truncate(self.width);
        }
        batch
    }

    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let next = match self.rest.pop() {
            None if self.ended => None,
            None => self.op.next(env)?,
            rest => rest,
        };
        Ok(next.map(|batch| self.cut(batch)))
    }

    /// Makes sure that there is a batch with a row left; false at the end.
    pub fn fill(&mut self, env: &mut Env) -> Res<bool> {
        loop {
            match &self.batch {
                Some(batch) if self.at < batch.len => return Ok(true),
                _ if self.ended => return Ok(false),
                _ => match self.next(env)? {
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
        self.rest.clear();
        self.at = 0;
        self.ended = false;
        Ok(())
    }
}
