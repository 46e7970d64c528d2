//! Locks of one writer process: relations, rows, advisory keys, and waits for the end of another transaction.
//! A session waits for at most one thing; of those that wait, who came first is served first; a wait that would close a ring of waiting
//! sessions is refused with 40P01 before it begins. Everything lives in memory: a failover ends its transactions.

mod rings;
mod rows;

use super::modes::{conflicts, name, LockKey};
use super::row_locks::{self, RowLocks, Taken};
use crate::base::{Need, Res, SessionId, Stop, Xid};
use ahash::AHashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How an acquisition may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Queue and answer `Need::Lock`.
    Queue,
    /// Answer `Ok(false)` and stay out of the queue.
    Refuse,
}

/// Who holds one key, as bits of modes (bit m = mode m).
#[derive(Debug, Clone, Copy)]
struct Holder {
    session: SessionId,
    /// Until the transaction's end or a rollback to a savepoint before the acquisition.
    txn: u16,
    /// Until unlocked or the session's end (advisory).
    held: u16,
}

impl Holder {
    fn bits(&self) -> u16 {
        self.txn | self.held
    }
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    session: SessionId,
    mode: u8,
    /// Becomes a session-level lock when granted.
    level: Level,
}

/// How long a lock is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Transaction,
    Session,
}

#[derive(Debug, Default)]
struct Entry {
    holders: SmallVec<[Holder; 2]>,
    queue: VecDeque<Waiter>,
}

impl Entry {
    /// Where `session` stands in the queue: before the first that waits for what it holds, since behind it were a deadlock.
    fn place(&self, session: SessionId, key: &LockKey) -> usize {
        let mine = self.holders.iter().find(|h| h.session == session);
        let held = mine.map_or(0, Holder::bits);
        let waits_for_me = |w: &Waiter| held & conflicts(key, w.mode) != 0;
        let first = self.queue.iter().position(waits_for_me);
        first.unwrap_or(self.queue.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Key(LockKey, u8),
    Xid(Xid, SessionId),
}

/// Transaction-level acquisitions in order, so that a savepoint is two lengths.
#[derive(Debug, Default)]
struct Journal {
    keys: Vec<(LockKey, u8)>,
    rows: row_locks::Journal,
}

/// How far a journal went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    pub keys: usize,
    pub rows: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Of rows only those that somebody waits for, or has waited for.
    entries: AHashMap<LockKey, Entry>,
    /// Locks of rows that have no entry.
    rows: RowLocks,
    journals: AHashMap<SessionId, Journal>,
    /// How often a session holds a session-level lock.
    counts: AHashMap<(SessionId, LockKey, u8), u32>,
    waiting: AHashMap<SessionId, Waiting>,
    xid_waiters: AHashMap<Xid, SmallVec<[SessionId; 2]>>,
    woken: Vec<SessionId>,
}

/// What one row of pg_locks is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Key(LockKey),
    /// A transaction's end: its own session has it, others wait for it.
    Xid(Xid),
}

/// One row of pg_locks.
#[derive(Debug, Clone)]
pub struct LockInfo {
    pub session: SessionId,
    pub on: On,
    pub mode: &'static str,
    pub granted: bool,
}

/// The lock table. Thread-safe; every call holds one mutex for microseconds.
#[derive(Debug, Default)]
pub struct Locks {
    state: Mutex<State>,
    /// Row locks, so that writers can pass by when nobody locks rows.
    rows: AtomicUsize,
}

impl Locks {
    pub fn new() -> Locks {
        Locks::default()
    }

    /// No session holds or wants any row lock: a write can skip the question.
    pub fn no_row_locks(&self) -> bool {
        self.rows.load(Ordering::Acquire) == 0
    }

    /// Take `mode` on `key`. `Ok(true)` means held. A conflict queues (`Need::Lock`) or is answered `Ok(false)`.
    /// Asking again after being woken finds the lock held; asking again while queued keeps the place.
    pub fn acquire(
        &self,
        session: SessionId,
        key: LockKey,
        mode: u8,
        level: Level,
        how: OnConflict,
    ) -> Res<bool> {
        let mut state = self.state.lock();
        if state.already(session, key, mode, level) {
            return Ok(true);
        }
        if let Some(Waiting::Key(k, m)) = state.waiting.get(&session) {
            if (*k, *m) == (key, mode) {
                return Err(Need::Lock.into());
            }
        }
        state.leave_queue(session, self);
        if let LockKey::Row(oid, id) = key {
            if !state.entries.contains_key(&key) {
                match state.take_row(session, oid, id, mode, self) {
                    Taken::Already | Taken::New => return Ok(true),
                    Taken::Conflict if how == OnConflict::Refuse => return Ok(false),
                    Taken::Conflict => state.give_entry(oid, id, self),
                }
            }
        }
        // Only who may wait is asked in before others.
        let refused = how == OnConflict::Refuse && state.is_awaited(session, key, mode);
        if !refused && state.grantable(session, key, mode) {
            state.grant(session, key, mode, level, self);
            return Ok(true);
        }
        if how == OnConflict::Refuse {
            return Ok(false);
        }
        self.count_new(&state, key);
        let waiter = Waiter {
            session,
            mode,
            level,
        };
        let entry = state.entries.entry(key).or_default();
        entry.queue.insert(entry.place(session, &key), waiter);
        state.waiting.insert(session, Waiting::Key(key, mode));
        if let Some(ring) = state.find_ring(session) {
            let error = state.deadlock(&ring);
            state.leave_queue(session, self);
            return Err(Stop::Error(error));
        }
        Err(Need::Lock.into())
    }

    /// Would `mode` on `key` conflict with what another session holds? Nothing is taken or queued.
    pub fn conflicts(&self, session: SessionId, key: LockKey, mode: u8) -> bool {
        let state = self.state.lock();
        !state.grantable(session, key, mode)
    }

    /// Does `session` hold a mode at least as strong for its purpose (exactly this mode, either level)?
    pub fn holds(&self, session: SessionId, key: LockKey, mode: u8) -> bool {
        self.state.lock().held_bits(session, key) & (1 << mode) != 0
    }

    /// Begin to wait for the end of `xid`, which `owner` runs. Always an error: `Need::Xid`, or a deadlock.
    /// `running` is asked under the lock, so that an end in between is not missed.
    pub fn wait_xid<T>(
        &self,
        session: SessionId,
        xid: Xid,
        owner: SessionId,
        running: impl Fn() -> bool,
    ) -> Res<T> {
        let mut state = self.state.lock();
        if state.waiting.get(&session) == Some(&Waiting::Xid(xid, owner)) && running() {
            return Err(Need::Xid(xid).into());
        }
        state.leave_queue(session, self);
        state.waiting.insert(session, Waiting::Xid(xid, owner));
        state.xid_waiters.entry(xid).or_default().push(session);
        if !running() {
            state.end_xid(xid);
            return Err(Need::Xid(xid).into());
        }
        if let Some(ring) = state.find_ring(session) {
            let error = state.deadlock(&ring);
            state.leave_queue(session, self);
            return Err(Stop::Error(error));
        }
        Err(Need::Xid(xid).into())
    }

    /// `xid` is no longer in the running table: wake those who wait for it.
    pub fn xid_ended(&self, xid: Xid) {
        self.state.lock().end_xid(xid);
    }

    /// The commit record of `session` is in the log: who waits for its xids looks again, and others may queue for rows in its stead.
    pub fn committing(&self, session: SessionId, xids: &[Xid]) {
        let mut state = self.state.lock();
        for xid in xids {
            state.end_xid(*xid);
        }
        let is_turn = |(key, _): &(LockKey, u8)| matches!(key, LockKey::Turn(..));
        let Some(Journal { keys, .. }) = state.journals.get_mut(&session) else {
            return;
        };
        if !keys.iter().any(is_turn) {
            return;
        }
        let (turns, others) = std::mem::take(keys).into_iter().partition(is_turn);
        *keys = others;
        let turns: Vec<(LockKey, u8)> = turns;
        for (key, mode) in turns {
            state.drop_bit(session, key, mode, Level::Transaction, self);
        }
    }

    /// The transaction-level locks of `session`, which waits for nothing, are `heir`'s from now on.
    pub fn hand_over(&self, session: SessionId, heir: SessionId) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let journal = state.journals.remove(&session).unwrap_or_default();
        state.rows.hand_over(session, heir, &journal.rows);
        for entry in state.entries.values_mut() {
            let mut bits = 0;
            for holder in entry.holders.iter_mut().filter(|h| h.session == session) {
                bits |= std::mem::take(&mut holder.txn);
            }
            entry.holders.retain(|h| h.bits() != 0);
            if bits != 0 {
                entry.holders.push(Holder {
                    session: heir,
                    txn: bits,
                    held: 0,
                });
            }
        }
        state.journals.insert(heir, journal);
    }

    /// A mark for `release_to`.
    pub fn mark(&self, session: SessionId) -> Mark {
        let mut state = self.state.lock();
        let mark = |journal: &mut Journal| Mark {
            keys: journal.keys.len(),
            rows: journal.rows.mark(),
        };
        let journal = state.journals.get_mut(&session);
        journal.map_or(Mark::default(), mark)
    }

    /// Give back the transaction-level locks taken after `mark` (rollback to a savepoint).
    pub fn release_to(&self, session: SessionId, mark: Mark) {
        let mut state = self.state.lock();
        state.release_to(session, mark, self);
    }

    /// Give one transaction-level lock back before the transaction's end. Its place in the journal stays: savepoints count them.
    pub fn drop_early(&self, session: SessionId, key: LockKey, mode: u8) {
        let mut state = self.state.lock();
        if state.held_bits(session, key) & (1 << mode) != 0 {
            state.drop_bit(session, key, mode, Level::Transaction, self);
        }
    }

    /// The transaction's end: all its locks. Session-level ones stay.
    pub fn release_all(&self, session: SessionId) {
        let mut state = self.state.lock();
        if state.waiting.contains_key(&session) {
            state.leave_queue(session, self);
        }
        state.release_to(session, Mark::default(), self);
        state.journals.remove(&session);
    }

    /// The session's end: everything, session-level locks included.
    pub fn end_session(&self, session: SessionId) {
        self.release_all(session);
        self.unlock_everything(session);
        self.state.lock().woken.retain(|s| *s != session);
    }

    /// pg_advisory_unlock: `false` when the session does not hold it.
    pub fn unlock(&self, session: SessionId, key: LockKey, mode: u8) -> bool {
        let mut state = self.state.lock();
        let Some(count) = state.counts.get_mut(&(session, key, mode)) else {
            return false;
        };
        *count -= 1;
        if *count & !GRANTED_LATER == 0 {
            state.counts.remove(&(session, key, mode));
            state.drop_bit(session, key, mode, Level::Session, self);
        }
        true
    }

    /// pg_advisory_unlock_all.
    pub fn unlock_everything(&self, session: SessionId) {
        let mut state = self.state.lock();
        let mine: Vec<(LockKey, u8)> = state
            .counts
            .keys()
            .filter(|(s, _, _)| *s == session)
            .map(|(_, key, mode)| (*key, *mode))
            .collect();
        for (key, mode) in mine {
            state.counts.remove(&(session, key, mode));
            state.drop_bit(session, key, mode, Level::Session, self);
        }
    }

    /// Stop waiting (cancel, timeout): leaves its queue. Harmless when not waiting.
    pub fn cancel_wait(&self, session: SessionId) {
        let mut state = self.state.lock();
        state.leave_queue(session, self);
        state.woken.retain(|s| *s != session);
        // Granted while the cancel was on its way: nobody will come back for it.
        let orphan = |((s, _, _), count): &(&(SessionId, LockKey, u8), &u32)| {
            *s == session && **count & GRANTED_LATER != 0
        };
        let orphans: Vec<_> = state
            .counts
            .iter()
            .filter(orphan)
            .map(|(k, _)| *k)
            .collect();
        for (session, key, mode) in orphans {
            state.counts.remove(&(session, key, mode));
            state.drop_bit(session, key, mode, Level::Session, self);
        }
    }

    /// Sessions whose wait is over since the last call; each should call again what answered `Need`.
    pub fn take_woken(&self) -> Vec<SessionId> {
        std::mem::take(&mut self.state.lock().woken)
    }

    /// pg_locks, but for what a running transaction has of itself. As in PostgreSQL, rows are shown when somebody has to wait.
    pub fn list(&self) -> Vec<LockInfo> {
        let state = self.state.lock();
        let mut out = Vec::new();
        for (session, waiting) in &state.waiting {
            if let Waiting::Xid(xid, _) = waiting {
                out.push(LockInfo {
                    session: *session,
                    on: On::Xid(*xid),
                    mode: "ShareLock",
                    granted: false,
                });
            }
        }
        for (key, entry) in &state.entries {
            for holder in &entry.holders {
                for mode in (0..16u8).filter(|m| holder.bits() & (1 << m) != 0) {
                    out.push(LockInfo {
                        session: holder.session,
                        on: On::Key(*key),
                        mode: name(key, mode),
                        granted: true,
                    });
                }
            }
            for waiter in &entry.queue {
                out.push(LockInfo {
                    session: waiter.session,
                    on: On::Key(*key),
                    mode: name(key, waiter.mode),
                    granted: false,
                });
            }
        }
        out
    }

    /// pg_blocking_pids: the sessions that `session` waits for.
    pub fn blockers(&self, session: SessionId) -> Vec<SessionId> {
        let state = self.state.lock();
        let mut out = Vec::new();
        state.edges(session, &mut out);
        out
    }

    /// Does somebody wait for a lock that `session` holds?
    pub fn blocks_others(&self, session: SessionId) -> bool {
        let state = self.state.lock();
        let holds = |entry: &Entry| entry.holders.iter().any(|h| h.session == session);
        let mut entries = state.entries.values();
        entries.any(|entry| !entry.queue.is_empty() && holds(entry))
    }

    /// A key is about to get its entry: keep the counters that let others pass by.
    fn count_new(&self, state: &State, key: LockKey) {
        if !state.entries.contains_key(&key) {
            if let LockKey::Row(..) = key {
                self.rows.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn count_gone(&self, key: LockKey) {
        if let LockKey::Row(..) = key {
            self.rows.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl State {
    fn held_bits(&self, session: SessionId, key: LockKey) -> u16 {
        let entry = self.entries.get(&key);
        if let (None, LockKey::Row(oid, id)) = (entry, key) {
            let holders = self.rows.holders(oid, id);
            let own = holders.iter().find(|(s, _)| *s == session);
            return own.map_or(0, |(_, bits)| *bits);
        }
        entry
            .and_then(|e| e.holders.iter().find(|h| h.session == session))
            .map_or(0, Holder::bits)
    }

    /// Held already: nothing to do (a session-level lock counts once more).
    fn already(&mut self, session: SessionId, key: LockKey, mode: u8, level: Level) -> bool {
        let bits = self
            .entries
            .get(&key)
            .and_then(|e| e.holders.iter().find(|h| h.session == session));
        let Some(holder) = bits else { return false };
        match level {
            Level::Transaction => holder.txn & (1 << mode) != 0,
            Level::Session => {
                let held = holder.held & (1 << mode) != 0;
                if held {
                    // A lock granted from the queue was counted by the grant; its asker comes back once.
                    let count = self.counts.entry((session, key, mode)).or_insert(0);
                    if *count & GRANTED_LATER == 0 {
                        *count += 1;
                    } else {
                        *count &= !GRANTED_LATER;
                    }
                }
                held
            }
        }
    }

    fn grantable(&self, session: SessionId, key: LockKey, mode: u8) -> bool {
        let mask = conflicts(&key, mode);
        let Some(entry) = self.entries.get(&key) else {
            let LockKey::Row(oid, id) = key else {
                return true;
            };
            let holders = self.rows.holders(oid, id);
            return !holders
                .iter()
                .any(|(s, bits)| *s != session && bits & mask != 0);
        };
        let others = |h: &&Holder| h.session != session;
        if entry
            .holders
            .iter()
            .filter(others)
            .any(|h| h.bits() & mask != 0)
        {
            return false;
        }
        // Rows' queues are passed by all that agree with the holders: a foreign key's check does not wait because somebody else
        // would delete the parent.
        matches!(key, LockKey::Row(..))
            || !entry
                .queue
                .iter()
                .take(entry.place(session, &key))
                .any(|w| w.session != session && mask & (1 << w.mode) != 0)
    }

    /// Does another wait for a lock on `key` that conflicts with `mode`? Rows' waiters do not count.
    fn is_awaited(&self, session: SessionId, key: LockKey, mode: u8) -> bool {
        let mask = conflicts(&key, mode);
        let waits = |w: &Waiter| w.session != session && mask & (1 << w.mode) != 0;
        let entry = self.entries.get(&key);
        !matches!(key, LockKey::Row(..)) && entry.is_some_and(|e| e.queue.iter().any(waits))
    }

    fn grant(&mut self, session: SessionId, key: LockKey, mode: u8, level: Level, owner: &Locks) {
        owner.count_new(self, key);
        let entry = self.entries.entry(key).or_default();
        let index = match entry.holders.iter().position(|h| h.session == session) {
            Some(index) => index,
            None => {
                entry.holders.push(Holder {
                    session,
                    txn: 0,
                    held: 0,
                });
                entry.holders.len() - 1
            }
        };
        if let Some(holder) = entry.holders.get_mut(index) {
            match level {
                Level::Transaction => {
                    holder.txn |= 1 << mode;
                    let journal = self.journals.entry(session).or_default();
                    match key {
                        LockKey::Row(oid, id) => journal.rows.push(oid, id, mode),
                        _ => journal.keys.push((key, mode)),
                    }
                }
                Level::Session => {
                    holder.held |= 1 << mode;
                    *self.counts.entry((session, key, mode)).or_insert(0) += 1;
                }
            }
        }
    }

    fn drop_bit(
        &mut self,
        session: SessionId,
        key: LockKey,
        mode: u8,
        level: Level,
        owner: &Locks,
    ) {
        if let (LockKey::Row(oid, id), false) = (key, self.entries.contains_key(&key)) {
            return self.drop_row(session, oid, id, mode, owner);
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            for holder in entry.holders.iter_mut().filter(|h| h.session == session) {
                match level {
                    Level::Transaction => holder.txn &= !(1 << mode),
                    Level::Session => holder.held &= !(1 << mode),
                }
            }
            entry.holders.retain(|h| h.bits() != 0);
        }
        self.serve(key, owner);
    }

    fn release_to(&mut self, session: SessionId, mark: Mark, owner: &Locks) {
        let Some(journal) = self.journals.get_mut(&session) else {
            return;
        };
        let released = journal.keys.split_off(mark.keys.min(journal.keys.len()));
        let rows = journal.rows.split_off(mark.rows);
        for (key, mode) in released.into_iter().rev() {
            self.drop_bit(session, key, mode, Level::Transaction, owner);
        }
        if mark.rows == 0 && rows.len() > BULK_ROWS {
            return self.release_rows(session, &rows, owner);
        }
        for (oid, id, mode) in rows.iter() {
            let key = LockKey::Row(oid, id);
            self.drop_bit(session, key, mode, Level::Transaction, owner);
        }
    }

    /// Grant from the head of the queue as far as it goes; drop the entry when nobody is left.
    fn serve(&mut self, key: LockKey, owner: &Locks) {
        loop {
            let Some(entry) = self.entries.get_mut(&key) else {
                return;
            };
            let Some(position) = next_grant(&key, entry) else {
                break;
            };
            let Some(waiter) = entry.queue.remove(position) else {
                break;
            };
            self.waiting.remove(&waiter.session);
            self.grant(waiter.session, key, waiter.mode, waiter.level, owner);
            if waiter.level == Level::Session {
                if let Some(count) = self.counts.get_mut(&(waiter.session, key, waiter.mode)) {
                    *count |= GRANTED_LATER;
                }
            }
            self.woken.push(waiter.session);
        }
        if self
            .entries
            .get(&key)
            .is_some_and(|e| e.holders.is_empty() && e.queue.is_empty())
        {
            self.entries.remove(&key);
            owner.count_gone(key);
        }
    }

    /// Forget what `session` waits for.
    fn leave_queue(&mut self, session: SessionId, owner: &Locks) {
        match self.waiting.remove(&session) {
            None => {}
            Some(Waiting::Key(key, _)) => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.queue.retain(|w| w.session != session);
                }
                self.serve(key, owner);
            }
            Some(Waiting::Xid(xid, _)) => {
                if let Some(list) = self.xid_waiters.get_mut(&xid) {
                    list.retain(|s| *s != session);
                    if list.is_empty() {
                        self.xid_waiters.remove(&xid);
                    }
                }
            }
        }
    }

    fn end_xid(&mut self, xid: Xid) {
        for session in self.xid_waiters.remove(&xid).unwrap_or_default() {
            self.waiting.remove(&session);
            self.woken.push(session);
        }
    }
}

/// So many rows are given back one by one.
const BULK_ROWS: usize = 64;

/// In a session-level count: granted from the queue, and its asker has not come back yet.
const GRANTED_LATER: u32 = 1 << 31;

/// The first waiter that conflicts neither with other holders nor with waiters before it.
fn next_grant(key: &LockKey, entry: &Entry) -> Option<usize> {
    let mut ahead = 0u16;
    for (position, waiter) in entry.queue.iter().enumerate() {
        let mask = conflicts(key, waiter.mode);
        let blocked = entry
            .holders
            .iter()
            .any(|h| h.session != waiter.session && h.bits() & mask != 0);
        if !blocked && ahead & mask == 0 {
            return Some(position);
        }
        ahead |= 1 << waiter.mode;
    }
    None
}
