//! One transaction as its session holds it: levels (savepoints), xids, the snapshot, what is put off to COMMIT.

use super::run::Held;
use crate::base::Lsn;
use crate::exec::deferral::Deferral;
use crate::exec::{Prepared, Queue};
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Kept by name only: runs as READ COMMITTED, as in PostgreSQL.
    ReadUncommitted,
    #[default]
    ReadCommitted,
    /// The strictest that there is: SERIALIZABLE is refused before it comes here.
    RepeatableRead,
}

impl Isolation {
    pub fn parse(name: &str) -> Option<Isolation> {
        Some(match name.to_ascii_lowercase().as_str() {
            "read uncommitted" => Isolation::ReadUncommitted,
            "read committed" => Isolation::ReadCommitted,
            "repeatable read" => Isolation::RepeatableRead,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
        }
    }

    /// One snapshot for the whole transaction?
    pub fn keeps_snapshot(self) -> bool {
        self == Isolation::RepeatableRead
    }
}

/// Work for COMMIT, with the plan that it belongs to.
#[derive(Clone)]
pub struct Put {
    pub plan: Arc<Prepared>,
    pub actions: Queue,
}

/// A savepoint; its xids and locks are the backend's, under the number of its level.
pub struct Savepoint {
    pub name: String,
    /// Deferred work put off before it.
    pub deferred: usize,
    /// That work, once some of it has been done or dropped.
    pub before: Option<VecDeque<Put>>,
    /// What SET CONSTRAINTS had said before it.
    pub deferral: Arc<Deferral>,
}

pub struct Txn {
    pub isolation: Isolation,
    pub read_only: bool,
    /// BEGIN was said.
    pub explicit: bool,
    /// A statement has failed; only ROLLBACK, COMMIT and ROLLBACK TO are answered.
    pub failed: bool,
    /// REPEATABLE READ: taken by the first statement.
    pub snapshot: Option<Held>,
    /// A query has run (SET TRANSACTION comes too late).
    pub used: bool,
    pub command: u32,
    /// Outermost first: the one at index i is the backend's level i + 1.
    pub savepoints: Vec<Savepoint>,
    pub deferred: VecDeque<Put>,
    pub deferral: Arc<Deferral>,
    /// The catalogue has changed: the commit raises its version.
    pub catalog: bool,
    /// The commit record's LSN, while it is not durable.
    pub committing: Option<Lsn>,
    /// The highest CSN of those whose rows it has taken over. Before that is durable it reads nothing and is told no end.
    pub passed: Arc<AtomicU64>,
}

impl Txn {
    pub fn new(isolation: Isolation, read_only: bool, explicit: bool) -> Txn {
        Txn {
            isolation,
            read_only,
            explicit,
            failed: false,
            snapshot: None,
            used: false,
            command: 0,
            savepoints: Vec::new(),
            deferred: VecDeque::new(),
            deferral: Arc::default(),
            catalog: false,
            committing: None,
            passed: Arc::default(),
        }
    }

    /// Some of the deferred work is about to go: a savepoint brings it back.
    pub fn keep_deferred(&mut self) {
        if let Some(last) = self.savepoints.last_mut() {
            if last.before.is_none() && last.deferred > 0 {
                let before = self.deferred.iter().take(last.deferred);
                last.before = Some(before.cloned().collect());
            }
        }
    }

    /// What was put off when this savepoint was set.
    pub fn restore_deferred(&mut self, at: usize) {
        let mut inside = self.savepoints.iter_mut().skip(at);
        if let Some(before) = inside.find_map(|savepoint| savepoint.before.take()) {
            self.deferred = before;
        }
        let deferred = self.savepoints.get(at).map(|savepoint| savepoint.deferred);
        self.deferred.truncate(deferred.unwrap_or(0));
    }

    /// This savepoint and those inside are no more.
    pub fn release(&mut self, at: usize) {
        let mut gone = self.savepoints.drain(at..);
        let before = gone.find_map(|savepoint| savepoint.before);
        drop(gone);
        if let (Some(last), Some(mut before)) = (self.savepoints.last_mut(), before) {
            if last.before.is_none() && last.deferred > 0 {
                before.truncate(last.deferred);
                last.before = Some(before);
            }
        }
    }

    /// The innermost savepoint of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.savepoints
            .iter()
            .rposition(|savepoint| savepoint.name == name)
    }
}
