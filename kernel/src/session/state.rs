//! The session's state machine: blocks, implicit transactions, savepoints, commit.
//!
//! Rules: a call that answers `Need` has changed nothing that a second call would do again. After an error of a statement the caller
//! calls `fail`. Locks are released when the commit is durable, and at once by an abort.

use super::backend::Backend;
use super::cancel::{Cancel, ADMIN_SHUTDOWN, COMPLETION_UNKNOWN};
use super::host::Host;
use super::run::Held;
use super::settings::Kept;
use super::spill::Desk;
use super::txn::{Isolation, Put, Savepoint, Txn};
use crate::base::error::{fail, Res};
use crate::base::{Lsn, Need, Oid, SessionId, SqlError, Stop, Xid};
use crate::exec::access::View;
use crate::exec::run::{Execution, Prepared};
use crate::func::ctx::Rng;
use crate::txn::locks::{Level as Keep, OnConflict};
use crate::txn::modes::LockKey;
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub struct Session {
    pub id: SessionId,
    pub backend: Arc<dyn Backend>,
    pub kept: Kept,
    pub cancel: Arc<Cancel>,
    pub host: Arc<Host>,
    /// Temporary files.
    pub spill: Arc<Desk>,
    /// Bytes for the client.
    pub out: Vec<u8>,
    pub default_isolation: Isolation,
    pub default_read_only: bool,
    /// Python's number while this transaction has changed the catalogue, and the version of the committed one under the changes.
    pub catalog_version: Option<(u64, u64)>,
    /// What runs now is part of DDL, which is about what there is, whatever the transaction's snapshot.
    pub newest: bool,
    /// Transaction statements go through Python.
    pub intercept: bool,
    /// Counts transactions ended, so that portals know when theirs is over.
    pub ended: u64,
    /// Source of statements' seeds; renewed by `set_entropy`.
    pub seed: Rng,
    /// Microseconds of some clock, for EXPLAIN ANALYZE.
    pub clock: Option<fn() -> u64>,
    /// How the last `commit` ended: COMMIT or ROLLBACK.
    pub last_commit: &'static str,
    /// The last transaction's commit record that was not waited for until it was durable.
    pub abandoned: Option<Lsn>,
    /// A wait for the log was given up whose end the client should have been told.
    pub(super) given_up: bool,
    pub(super) fresh: Arc<dyn Fn() -> Lsn + Send + Sync>,
    pub(super) txn: Option<Txn>,
    /// The deferred actions that COMMIT is running.
    checking: Option<(Execution, Option<Held>)>,
    closed: bool,
}

impl Session {
    pub fn new(id: SessionId, backend: Arc<dyn Backend>) -> Session {
        let newest = backend.clone();
        Session {
            id,
            host: Arc::new(Host::new(id, backend.clone())),
            seed: Rng::new(id.0),
            clock: None,
            last_commit: "COMMIT",
            abandoned: None,
            given_up: false,
            fresh: Arc::new(move || newest.peek_snapshot()),
            backend,
            kept: Kept::default(),
            cancel: Arc::default(),
            spill: Arc::default(),
            out: Vec::new(),
            default_isolation: Isolation::default(),
            default_read_only: false,
            catalog_version: None,
            newest: false,
            intercept: false,
            ended: 0,
            txn: None,
            checking: None,
            closed: false,
        }
    }

    /// As ReadyForQuery says it.
    pub fn status(&self) -> u8 {
        match &self.txn {
            Some(txn) if txn.explicit && txn.failed => b'E',
            Some(txn) if txn.explicit => b'T',
            _ => b'I',
        }
    }

    pub fn failed(&self) -> bool {
        self.txn.as_ref().is_some_and(|txn| txn.failed)
    }

    pub fn active(&self) -> bool {
        self.txn.is_some()
    }

    pub fn in_block(&self) -> bool {
        self.txn.as_ref().is_some_and(|txn| txn.explicit)
    }

    /// A commit record is written and not durable yet.
    pub fn committing(&self) -> bool {
        self.txn
            .as_ref()
            .is_some_and(|txn| txn.committing.is_some())
    }

    /// What must be durable before the end of this transaction is told.
    fn told(&self) -> Lsn {
        self.passed().max(self.host.logged())
    }

    /// What was said of the transaction at hand must not be sent yet. `ending`: all has been said but its end.
    pub fn holds_back(&self, ending: bool) -> bool {
        let built_on = if ending { self.told() } else { self.passed() };
        self.committing() || (!self.in_block() && self.backend.durable() < built_on)
    }

    pub fn xid(&self) -> Option<Xid> {
        self.txn.as_ref()?;
        self.backend.top(self.id)
    }

    pub fn isolation(&self) -> Isolation {
        self.txn
            .as_ref()
            .map_or(self.default_isolation, |txn| txn.isolation)
    }

    pub fn read_only(&self) -> bool {
        self.backend.read_only()
            || self
                .txn
                .as_ref()
                .map_or(self.default_read_only, |txn| txn.read_only)
    }

    /// What plans must have been compiled against.
    pub fn catalog_version(&self) -> u64 {
        let committed = self.backend.catalog_version();
        match self.catalog_version {
            None => committed,
            Some((own, base)) if base == committed => own,
            // Others have changed it too: no plan fits before Python has put the changes over theirs.
            Some(_) => 0,
        }
    }

    /// BEGIN. `false`: a block was open already (a warning 25001). An implicit transaction becomes the block. What is given counts
    /// where a transaction is open too, as far as SET TRANSACTION could change it.
    pub fn begin(&mut self, isolation: Option<Isolation>, read_only: Option<bool>) -> Res<bool> {
        let new = !self.in_block();
        match &mut self.txn {
            Some(txn) => txn.explicit = true,
            None => {
                let isolation = isolation.unwrap_or(self.default_isolation);
                let read_only = read_only.unwrap_or(self.default_read_only);
                self.open(isolation, read_only, true);
            }
        }
        self.set_characteristics(isolation, read_only)?;
        Ok(new)
    }

    fn open(&mut self, isolation: Isolation, read_only: bool, explicit: bool) {
        self.kept.begin_transaction();
        (self.abandoned, self.given_up) = (None, false);
        self.txn = Some(Txn::new(isolation, read_only, explicit));
    }

    /// The transaction, begun now if none is open.
    pub(super) fn txn(&mut self) -> &mut Txn {
        if self.txn.is_none() {
            self.open(self.default_isolation, self.default_read_only, false);
        }
        self.txn.as_mut().expect("opened just now")
    }

    pub fn begin_implicit(&mut self) {
        self.txn();
    }

    /// Statements of a failed block are 25P02.
    pub fn check_usable(&self) -> Res<()> {
        match self.failed() {
            true => fail(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ),
            false => Ok(()),
        }
    }

    /// The transaction's id, assigned now if it has none.
    pub fn assign_xid(&mut self) -> Res<Xid> {
        self.check_usable()?;
        self.begin_implicit();
        let current = self.backend.assign_xid(self.id)?;
        Ok(self.backend.top(self.id).unwrap_or(current))
    }

    /// The highest CSN of others that this transaction has built on.
    fn passed(&self) -> Lsn {
        let passed = |txn: &Txn| Lsn(txn.passed.load(Ordering::SeqCst));
        self.txn.as_ref().map_or(Lsn::ZERO, passed)
    }

    /// Need::Durable until all that this transaction has built on is durable. A cancel ends that too.
    pub fn settle(&mut self) -> Res<()> {
        self.wait_durable(self.passed())
    }

    fn wait_durable(&mut self, lsn: Lsn) -> Res<()> {
        if self.backend.durable() >= lsn {
            return Ok(());
        }
        let cancelled = self.cancel.check();
        self.given_up |= cancelled.is_err() && (self.committing() || !self.in_block());
        cancelled.and_then(|()| Err(Need::Durable(lsn).into()))
    }

    /// Through whose eyes a statement that begins now sees, and what holds its snapshot (nothing, where the transaction does).
    /// The snapshot has what the transaction has built on.
    pub fn take_view(&mut self) -> Res<(View, Option<Held>)> {
        self.settle()?;
        self.take_view_for(false)
    }

    /// The view of a statement that reads nothing; or (`passing`) of one that may take rows over from those who are committing.
    pub(super) fn take_view_for(&mut self, passing: bool) -> Res<(View, Option<Held>)> {
        self.check_usable()?;
        let (id, backend) = (self.id, self.backend.clone());
        let newest = self.newest;
        let txn = self.txn();
        txn.used = true;
        let strict = txn.isolation.keeps_snapshot() && !newest;
        let (snapshot, held) = match &txn.snapshot {
            Some(held) if !newest => (held.snapshot, None),
            _ => {
                let held = Held::new(backend.clone(), id);
                let snapshot = held.snapshot;
                match strict {
                    true => {
                        txn.snapshot = Some(held);
                        (snapshot, None)
                    }
                    false => (snapshot, Some(held)),
                }
            }
        };
        // Its own changes so far carry lower command ids than what this statement will write with.
        let view = View {
            session: id,
            snapshot,
            command: txn.command,
            strict,
            crosscheck: None,
            passed: (passing && !strict).then(|| txn.passed.clone()),
        };
        Ok((view, held))
    }

    /// The LSN that the running or next statement sees.
    pub fn snapshot(&self) -> Lsn {
        match self.txn.as_ref().and_then(|txn| txn.snapshot.as_ref()) {
            Some(held) => held.snapshot,
            None => self.backend.peek_snapshot(),
        }
    }

    /// A statement is done: what it wrote with `command` is visible to the next.
    pub fn advance(&mut self, command: u32) {
        if let Some(txn) = &mut self.txn {
            txn.command = txn.command.max(command.saturating_add(1));
        }
    }

    pub fn next_command(&mut self) {
        if let Some(txn) = &mut self.txn {
            txn.command += 1;
        }
    }

    /// This transaction changes the catalogue.
    pub fn bump_catalog(&mut self) {
        self.txn().catalog = true;
    }

    pub fn put_off(&mut self, put: Put) {
        if !put.actions.is_empty() {
            self.txn().deferred.push_back(put);
        }
    }

    /// COMMIT: "COMMIT", or "ROLLBACK" for a failed block. An error has rolled back, or has `abandoned`. Call again after `Need`.
    pub fn commit(&mut self) -> Res<&'static str> {
        self.last_commit = "COMMIT";
        if self.txn.is_none() {
            return Ok("COMMIT");
        }
        if self.failed() {
            self.settle()?;
            self.rollback();
            self.last_commit = "ROLLBACK";
            return Ok("ROLLBACK");
        }
        match self.try_commit() {
            Ok(()) => Ok("COMMIT"),
            Err(stop @ Stop::Need(_)) => Err(stop),
            Err(stop) => {
                self.rollback();
                Err(stop)
            }
        }
    }

    fn try_commit(&mut self) -> Res<()> {
        if self
            .txn
            .as_ref()
            .is_some_and(|txn| txn.committing.is_none())
        {
            self.cancel.check()?;
            self.run_deferred()?;
        }
        let (id, backend) = (self.id, self.backend.clone());
        let Some(txn) = &mut self.txn else {
            return Ok(());
        };
        if txn.committing.is_none() {
            txn.committing = backend.commit(id, txn.catalog)?;
        }
        match txn.committing {
            Some(lsn) => {
                if let Err(stop) = self.wait_durable(lsn) {
                    return Err(self.unless_cancelled(stop, lsn));
                }
            }
            None => self.wait_durable(self.told())?,
        }
        self.forget();
        backend.finish(id);
        Ok(())
    }

    /// The wait for a commit record that is in the log: it may become durable after all.
    fn unless_cancelled(&mut self, stop: Stop, lsn: Lsn) -> Stop {
        let Stop::Error(error) = stop else {
            return stop;
        };
        self.abandon(lsn);
        Stop::Error(outcome_unknown(error))
    }

    fn abandon(&mut self, lsn: Lsn) {
        self.forget();
        self.backend.abandon(self.id, lsn);
        self.abandoned = Some(lsn);
    }

    pub fn commit_implicit(&mut self) -> Res<()> {
        match self.in_block() {
            true => Ok(()),
            false => self.commit().map(|_| ()),
        }
    }

    /// Actions put off to COMMIT or SET CONSTRAINTS, one plan's after the other.
    pub fn run_deferred(&mut self) -> Res<()> {
        loop {
            if let Some((execution, _)) = &mut self.checking {
                while execution
                    .next(0)
                    .map_err(|stop| self.cancel.explain(stop))?
                    .is_some()
                {}
                let command = execution.command();
                self.checking = None;
                self.advance(command);
            }
            let Some(put) = self.txn.as_mut().and_then(|txn| txn.deferred.pop_front()) else {
                return Ok(());
            };
            let (view, held) = match self.take_view() {
                Ok(taken) => taken,
                Err(stop) => {
                    self.txn().deferred.push_front(put);
                    return Err(stop);
                }
            };
            let setup = self.setup(view, false);
            self.checking = Some((Execution::deferred(put.plan, put.actions, setup), held));
        }
    }

    /// The transaction is over for the session.
    fn forget(&mut self) {
        self.txn = None;
        self.checking = None;
        self.ended += 1;
    }

    pub fn rollback(&mut self) {
        self.backend.locks().cancel_wait(self.id);
        match self.txn.as_ref().map(|txn| txn.committing) {
            None => {}
            // Too late: the record is in the log. (A session that goes away while it waits.)
            Some(Some(lsn)) => self.abandon(lsn),
            Some(None) => {
                self.forget();
                self.backend.abort(self.id);
            }
        }
    }

    /// A statement has failed: an implicit transaction ends, a block goes on in name only.
    pub fn fail(&mut self) {
        self.backend.locks().cancel_wait(self.id);
        self.checking = None;
        let Some(txn) = &mut self.txn else {
            return;
        };
        if !txn.explicit {
            return self.rollback();
        }
        if txn.failed {
            return;
        }
        txn.failed = true;
        match txn.savepoints.len() {
            inner @ 1.. => {
                txn.restore_deferred(inner - 1);
                self.backend.rollback_to(self.id, inner);
            }
            0 => {
                txn.deferred.clear();
                txn.snapshot = None;
                self.ended += 1;
                self.backend.abort(self.id);
            }
        }
    }

    pub fn savepoint(&mut self, name: &str) -> Res<()> {
        self.need_block("SAVEPOINT")?;
        self.check_usable()?;
        self.backend.savepoint(self.id);
        let txn = self.txn();
        let deferred = txn.deferred.len();
        txn.savepoints.push(Savepoint {
            name: name.to_owned(),
            deferred,
            before: None,
            deferral: txn.deferral.clone(),
        });
        txn.command += 1;
        Ok(())
    }

    pub fn release(&mut self, name: &str) -> Res<()> {
        self.need_block("RELEASE SAVEPOINT")?;
        self.check_usable()?;
        let at = self.find_savepoint(name)?;
        self.txn().release(at);
        self.backend.release(self.id, at + 1);
        Ok(())
    }

    pub fn rollback_to(&mut self, name: &str) -> Res<()> {
        self.need_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        let txn = self.txn();
        txn.restore_deferred(at);
        txn.savepoints.truncate(at + 1);
        if let Some(savepoint) = txn.savepoints.last() {
            txn.deferral = savepoint.deferral.clone();
        }
        txn.failed = false;
        txn.command += 1;
        self.backend.rollback_to(self.id, at + 1);
        Ok(())
    }

    fn need_block(&self, what: &str) -> Res<()> {
        match self.in_block() {
            true => Ok(()),
            false => fail(
                "25P01",
                format!("{what} can only be used in transaction blocks"),
            ),
        }
    }

    fn find_savepoint(&mut self, name: &str) -> Res<usize> {
        match self.txn().find(name) {
            Some(at) => Ok(at),
            None => fail("3B001", format!("savepoint \"{name}\" does not exist")),
        }
    }

    /// SET TRANSACTION.
    pub fn set_characteristics(
        &mut self,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    ) -> Res<()> {
        let savepoints = !self.txn().savepoints.is_empty();
        let txn = self.txn();
        if let Some(isolation) = isolation.filter(|&isolation| isolation != txn.isolation) {
            if txn.used {
                return fail(
                    "25001",
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                );
            }
            if savepoints {
                return fail(
                    "25001",
                    "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction",
                );
            }
            txn.isolation = isolation;
        }
        match read_only {
            Some(false) if txn.read_only && txn.used => fail(
                "25001",
                "transaction read-write mode must be set before any query",
            ),
            Some(read_only) => {
                txn.read_only = read_only;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A lock on a relation till the transaction's end.
    pub fn lock_relation(&mut self, oid: Oid, mode: u8, nowait: bool) -> Res<()> {
        self.cancel.check()?;
        self.txn();
        let how = if nowait {
            OnConflict::Refuse
        } else {
            OnConflict::Queue
        };
        match self.backend.locks().acquire(
            self.id,
            LockKey::Relation(oid),
            mode,
            Keep::Transaction,
            how,
        )? {
            true => Ok(()),
            false => fail(
                "55P03",
                format!("could not obtain lock on relation with OID {oid}"),
            ),
        }
    }

    /// The locks of a plan's relations.
    pub fn lock_plan(&mut self, plan: &Prepared) -> Res<()> {
        for &(relation, mode) in &plan.locks {
            self.lock_relation(relation, mode, false)?;
        }
        Ok(())
    }

    pub fn has_savepoints(&self) -> bool {
        self.txn
            .as_ref()
            .is_some_and(|txn| !txn.savepoints.is_empty())
    }

    /// `true`: granted. `false` only when not told to wait.
    pub fn lock_advisory(
        &mut self,
        key: LockKey,
        shared: bool,
        level: Keep,
        wait: bool,
    ) -> Res<bool> {
        self.cancel.check()?;
        self.txn();
        let how = if wait {
            OnConflict::Queue
        } else {
            OnConflict::Refuse
        };
        self.backend
            .locks()
            .acquire(self.id, key, advisory_mode(shared), level, how)
    }

    pub fn unlock_advisory(&mut self, key: LockKey, shared: bool) -> bool {
        self.backend
            .locks()
            .unlock(self.id, key, advisory_mode(shared))
    }

    pub fn unlock_advisory_all(&mut self) {
        self.backend.locks().unlock_everything(self.id);
    }

    /// A buffer that was sent: its memory is used again.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.out.is_empty() && buffer.capacity() <= (64 << 10) {
            buffer.clear();
            self.out = buffer;
        }
    }

    /// The client is gone.
    pub fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.rollback();
            self.backend.end_session(self.id);
        }
    }
}

/// A commit's wait was given up with this.
fn outcome_unknown(error: Box<SqlError>) -> Box<SqlError> {
    let detail = "The commit record is written, but not yet acknowledged by a write quorum of storage nodes: \
                  whether the transaction has committed is unknown until they answer.";
    if error.code == *ADMIN_SHUTDOWN {
        return error.detail(detail);
    }
    let why = error.message.strip_prefix("canceling statement ");
    let why = why.map_or_else(|| format!("because of: {}", error.message), str::to_owned);
    let message = format!("canceling the wait for storage nodes {why}");
    SqlError::new(COMPLETION_UNKNOWN, message).detail(detail)
}

/// ShareLock and ExclusiveLock, as PostgreSQL takes them.
fn advisory_mode(shared: bool) -> u8 {
    if shared {
        5
    } else {
        7
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}
