//! Transactions: identifiers, states, snapshots and locks. One [`Txns`] a compute process.
//!
//! Life of a writing transaction: `assign` (at its first write) → rows carry the xid → `commit` writes the CSNs, the xid is
//! "committing" → the commit LSN is durable → `finish` ends it: locks are released, waiters woken. Until then nobody's snapshot
//! reaches the CSN; only a writer that needs nothing but the row goes on with it at once (`View::passed`). Without a commit record it has aborted, whatever happens.
//! A session may stop waiting after `commit` (`abandon`): the transaction goes on without it, and keeps what it holds until it is durable.

pub mod csn;
pub mod leftovers;
pub mod locks;
pub mod modes;
mod row_locks;
pub mod running;
pub mod snapshots;

#[cfg(test)]
mod lock_tests;
#[cfg(test)]
mod tests;

use crate::base::error::fail;
use crate::base::{Lsn, Oid, Res, SessionId, Xid};
use crate::redo::Record;
use crate::store::{Field, Role, Volume};
use csn::{Commits, PER_PAGE};
use leftovers::Leftovers;
use locks::Locks;
use parking_lot::Mutex;
use running::Running;
use snapshots::Snapshots;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The first OID that objects of users get.
const FIRST_OID: u64 = 16384;
/// OIDs reserved at once.
const OID_STEP: u64 = 1024;
/// Holders from here on are abandoned transactions, not sessions.
const FIRST_HEIR: u64 = 1 << 62;

/// What is known of an xid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Of a transaction that has not ended; `csn`: its commit record is in the log, perhaps not durable yet.
    Running {
        session: SessionId,
        csn: Option<Lsn>,
    },
    Committed(Lsn),
    Aborted,
}

#[derive(Debug, Default)]
struct Next {
    xid: u64,
    /// Xids below it have their commit page.
    xid_end: u64,
    oid: u64,
    oid_end: u64,
}

#[derive(Debug, Default)]
pub struct Counters {
    pub commits: AtomicU64,
    pub rollbacks: AtomicU64,
}

pub struct Txns {
    volume: Arc<Volume>,
    pub locks: Locks,
    pub running: Running,
    pub snapshots: Snapshots,
    pub counters: Counters,
    pub leftovers: Leftovers,
    commits: Commits,
    next: Mutex<Next>,
    catalog: Mutex<Catalog>,
    abandoned: Mutex<Abandoned>,
    /// The lowest LSN in `abandoned`; `u64::MAX`: there is none.
    abandoned_first: AtomicU64,
}

/// Transactions with a commit record that nobody waits for: what must be durable, and who holds their xids and locks now.
#[derive(Debug, Default)]
struct Abandoned {
    waiting: BTreeSet<(Lsn, SessionId)>,
    made: u64,
}

/// The catalogue's version: of what is durable, and of commits that are on their way.
#[derive(Debug, Default)]
struct Catalog {
    version: u64,
    coming: VecDeque<(Lsn, u64)>,
}

impl Txns {
    pub fn new(volume: Arc<Volume>) -> Txns {
        Txns {
            volume,
            locks: Locks::new(),
            running: Running::default(),
            snapshots: Snapshots::default(),
            counters: Counters::default(),
            leftovers: Leftovers::default(),
            commits: Commits::default(),
            next: Mutex::default(),
            catalog: Mutex::default(),
            abandoned: Mutex::default(),
            abandoned_first: AtomicU64::new(u64::MAX),
        }
    }

    pub fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    /// Read the marks of page 0. Call until done, after any open and after a promotion.
    pub fn prepare(&self) -> Res<()> {
        let xid = self.volume.field(Field::Xid)?;
        let oid = self.volume.field(Field::Oid)?.max(FIRST_OID);
        let version = self.volume.field(Field::Catalog)?;
        let mut next = self.next.lock();
        if self.running.is_empty() {
            *self.catalog.lock() = Catalog {
                version,
                coming: VecDeque::new(),
            };
            // Xid 0 is "frozen": the very first page begins with 1.
            *next = Next {
                xid: xid.max(1),
                xid_end: xid,
                oid,
                oid_end: oid,
            };
            if xid <= 1 {
                next.xid_end = 0;
            }
            self.commits.clear();
        }
        Ok(())
    }

    // -- snapshots --------------------------------------------------------------------------------------------

    /// A snapshot of what is durable now; in use until `release_snapshot`.
    pub fn take_snapshot(&self) -> Lsn {
        self.snapshots.take(|| self.volume.vdl())
    }

    pub fn release_snapshot(&self, lsn: Lsn) {
        self.snapshots.release(lsn);
    }

    /// The lowest snapshot in use here; what a reader reports to its writer.
    pub fn local_horizon(&self) -> Lsn {
        self.snapshots.local(|| self.volume.vdl())
    }

    /// No snapshot at or above it needs what it does not see; told to the volume too.
    pub fn horizon(&self) -> Lsn {
        let horizon = self.snapshots.horizon(|| self.volume.vdl());
        self.volume.set_horizon(horizon);
        horizon
    }

    pub fn set_external_horizon(&self, lsn: Lsn) {
        self.snapshots.set_external(lsn);
    }

    // -- identifiers ------------------------------------------------------------------------------------------

    /// The xid that writes of `session` carry now; given out if there is none yet.
    pub fn assign(&self, session: SessionId) -> Res<Xid> {
        if let Some(xid) = self.running.current(session) {
            return Ok(xid);
        }
        let mut next = self.next.lock();
        let wanting = self.running.wanting(session) as u64;
        while next.xid + wanting > next.xid_end {
            self.extend(&mut next)?;
        }
        Ok(self.running.assign(session, &mut next.xid))
    }

    fn extend(&self, next: &mut Next) -> Res<()> {
        let mut mtr = self.volume.begin()?;
        let first = next.xid_end.div_ceil(PER_PAGE) * PER_PAGE;
        self.commits.extend(&mut mtr, first)?;
        mtr.commit();
        if next.xid < first {
            next.xid = first;
        }
        next.xid_end = first + PER_PAGE;
        Ok(())
    }

    /// A fresh OID, never given out again.
    pub fn alloc_oid(&self) -> Res<Oid> {
        let mut next = self.next.lock();
        if next.oid >= next.oid_end {
            let end = next.oid + OID_STEP;
            if end > u64::from(u32::MAX) {
                return fail("54000", "all OIDs are used up");
            }
            let mut mtr = self.volume.begin()?;
            mtr.field(Field::Oid)?;
            mtr.set_field(Field::Oid, end)?;
            mtr.commit();
            next.oid_end = end;
        }
        next.oid += 1;
        Ok(Oid((next.oid - 1) as u32))
    }

    // -- states -----------------------------------------------------------------------------------------------

    pub fn status(&self, xid: Xid) -> Res<Status> {
        if xid == Xid::FROZEN {
            return Ok(Status::Committed(Lsn::ZERO));
        }
        if let Some(entry) = self.running.get(xid) {
            return Ok(Status::Running {
                session: entry.session,
                csn: entry.csn,
            });
        }
        // On the writer an xid that no longer runs and has no state has aborted for good. (It left the running table after
        // its state was written.)
        let settled = self.volume.role() == Role::Writer;
        Ok(match self.commits.get(&self.volume, xid, settled)? {
            Some(csn) => Status::Committed(csn),
            None => Status::Aborted,
        })
    }

    /// Wait until `xid`, which `owner` runs, has ended; or, for a view that `passes` it, has its commit record. Always an error: the
    /// need, or a deadlock.
    pub fn wait_for<T>(
        &self,
        session: SessionId,
        xid: Xid,
        owner: SessionId,
        passes: bool,
    ) -> Res<T> {
        self.locks.wait_xid(session, xid, owner, || {
            let entry = self.running.get(xid);
            entry.is_some_and(|entry| entry.session == owner && (!passes || entry.csn.is_none()))
        })
    }

    // -- the end of a transaction -----------------------------------------------------------------------------

    /// Write the commit record, if the transaction has written. `catalog`: the catalogue changed, so its version rises in the
    /// same MTR. The answer is what must be durable before `finish`; `None`: nothing to wait for.
    pub fn commit(&self, session: SessionId, catalog: bool) -> Res<Option<Lsn>> {
        let own = self.running.own(session);
        if own.is_empty() {
            return Ok(None);
        }
        if let Some(running::Entry { csn: Some(_), .. }) =
            own.first().and_then(|x| self.running.get(*x))
        {
            return fail("XX000", "the transaction has a commit record already");
        }
        let mut mtr = self.volume.begin()?;
        let pages = self.commits.prepare(&mtr, &own)?;
        if catalog {
            mtr.field(Field::Catalog)?;
        }
        let (mut csn, mut raised) = (Lsn::ZERO, None);
        for (no, indexes) in pages {
            csn = mtr.log(no, &Record::SetCsn { indexes })?;
        }
        if catalog {
            let version = mtr.field(Field::Catalog)?;
            mtr.set_field(Field::Catalog, version + 1)?;
            raised = Some(version + 1);
        }
        // The states of one transaction on two pages differ by a few bytes of the same MTR: no snapshot lies between.
        self.running.committing(&own, csn);
        // Versions come in the order of their commits.
        let mut versions = raised.map(|version| (version, self.catalog.lock()));
        let end = mtr.commit();
        if let Some((version, versions)) = &mut versions {
            versions.coming.push_back((end, *version));
        }
        drop(versions);
        self.locks.committing(session, &own);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(Some(end))
    }

    /// After the commit LSN is durable (or there was none): the transaction is over, its locks are free.
    pub fn finish(&self, session: SessionId) {
        let csn = self
            .running
            .top(session)
            .and_then(|xid| self.running.get(xid))
            .and_then(|entry| entry.csn);
        let xids = self.running.end(session);
        self.leftovers.ended(session, csn, &xids);
        for xid in xids {
            self.locks.xid_ended(xid);
        }
        self.locks.release_all(session);
    }

    /// After `commit`, in the place of `finish`: the session does not wait for `end`. The transaction keeps its xids and locks
    /// until `finish_abandoned` finds it durable.
    pub fn abandon(&self, session: SessionId, end: Lsn) {
        let mut abandoned = self.abandoned.lock();
        abandoned.made += 1;
        let heir = SessionId(FIRST_HEIR + abandoned.made);
        let xids = self.running.hand_over(session, heir);
        self.leftovers.hand_over(session, heir);
        self.locks.cancel_wait(session);
        self.locks.hand_over(session, heir);
        abandoned.waiting.insert((end, heir));
        self.note_abandoned(&abandoned);
        // Who waits for it waits for `heir`, of which no ring of waiting sessions goes on.
        for xid in xids {
            self.locks.xid_ended(xid);
        }
    }

    fn note_abandoned(&self, abandoned: &Abandoned) {
        let first = abandoned.waiting.first();
        let first = first.map_or(u64::MAX, |(lsn, _)| lsn.0);
        self.abandoned_first.store(first, Ordering::Release);
    }

    /// What must be durable before the next `finish_abandoned`.
    pub fn abandoned(&self) -> Option<Lsn> {
        match self.abandoned_first.load(Ordering::Acquire) {
            u64::MAX => None,
            first => Some(Lsn(first)),
        }
    }

    /// `finish` for those abandoned transactions that are durable now.
    pub fn finish_abandoned(&self) {
        let durable = self.volume.vdl();
        let mut abandoned = self.abandoned.lock();
        while let Some(&(end, heir)) = abandoned.waiting.first().filter(|one| one.0 <= durable) {
            abandoned.waiting.remove(&(end, heir));
            self.finish(heir);
        }
        self.note_abandoned(&abandoned);
    }

    /// The transaction has not happened. Returns its xids. Harmless when there is none.
    pub fn rollback(&self, session: SessionId) -> Vec<Xid> {
        let xids = self.running.end(session);
        self.leftovers.ended(session, None, &xids);
        for xid in &xids {
            self.locks.xid_ended(*xid);
        }
        self.locks.release_all(session);
        self.counters.rollbacks.fetch_add(1, Ordering::Relaxed);
        xids
    }

    /// Begin a savepoint; the answer is its level, 1 for the first.
    pub fn savepoint(&self, session: SessionId) -> usize {
        self.running.savepoint(session, self.locks.mark(session))
    }

    /// RELEASE: level and all above it belong to the level below.
    pub fn release(&self, session: SessionId, level: usize) {
        self.running.release(session, level);
    }

    /// ROLLBACK TO: what happened since has not; the savepoint stays. False when there is no such level.
    pub fn rollback_to(&self, session: SessionId, level: usize) -> bool {
        let Some((mark, xids)) = self.running.rollback_to(session, level) else {
            return false;
        };
        for xid in xids {
            self.locks.xid_ended(xid);
        }
        self.locks.cancel_wait(session);
        self.locks.release_to(session, mark);
        true
    }

    /// The client is gone: roll back, give back session-level locks too.
    pub fn end_session(&self, session: SessionId) {
        let xids = self.running.end(session);
        self.leftovers.ended(session, None, &xids);
        if !xids.is_empty() {
            self.counters.rollbacks.fetch_add(1, Ordering::Relaxed);
        }
        for xid in xids {
            self.locks.xid_ended(xid);
        }
        self.locks.end_session(session);
    }

    /// Version of the catalogue in the newest snapshot: of the last DDL commit that is durable (a reader: applied).
    pub fn catalog_version(&self) -> u64 {
        let mut catalog = self.catalog.lock();
        if self.volume.role() == Role::Reader {
            if let Ok(version) = self.volume.field(Field::Catalog) {
                catalog.version = version;
            }
            return catalog.version;
        }
        let durable = self.volume.vdl();
        while let Some((lsn, version)) = catalog.coming.front().copied() {
            if lsn > durable {
                break;
            }
            catalog.version = version;
            catalog.coming.pop_front();
        }
        catalog.version
    }
}
