//! The transactions that run: their xids, levels of savepoints, and who they belong to. Nothing of it outlives the process:
//! an xid that is not here and has no CSN has aborted.

use super::locks::Mark;
use crate::base::{Lsn, SessionId, Xid};
use ahash::AHashMap;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the running table knows of an xid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub session: SessionId,
    /// Its commit record is in the log, but perhaps not durable yet.
    pub csn: Option<Lsn>,
}

/// One level: the transaction itself, or a savepoint.
#[derive(Debug, Clone, Default)]
struct Level {
    xid: Option<Xid>,
    /// How many of `Txn::inner` were there when the level began: the others share its fate.
    from: usize,
    /// Locks held when the level began.
    mark: Mark,
}

#[derive(Debug, Default)]
struct Txn {
    levels: Vec<Level>,
    /// Live xids but the transaction's own, oldest first: of savepoints, released ones too.
    inner: Vec<Xid>,
}

impl Txn {
    fn top(&self) -> Option<Xid> {
        self.levels.first()?.xid
    }

    /// All live xids. The transaction's own is the oldest: it is given out before any inside.
    fn xids(&self) -> Vec<Xid> {
        self.top().iter().chain(&self.inner).copied().collect()
    }

    /// The innermost level begins.
    fn open(&mut self, mark: Mark) {
        self.levels.push(Level {
            xid: None,
            from: self.inner.len(),
            mark,
        });
    }
}

#[derive(Debug, Default)]
struct State {
    xids: AHashMap<Xid, Entry>,
    sessions: AHashMap<SessionId, Txn>,
}

#[derive(Debug, Default)]
pub struct Running {
    state: RwLock<State>,
    /// No xid below this one runs.
    floor: AtomicU64,
}

impl Running {
    pub fn get(&self, xid: Xid) -> Option<Entry> {
        if xid.0 < self.floor.load(Ordering::Acquire) {
            return None;
        }
        self.state.read().xids.get(&xid).copied()
    }

    pub fn contains(&self, xid: Xid) -> bool {
        self.get(xid).is_some()
    }

    pub fn len(&self) -> usize {
        self.state.read().xids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The transaction's own xid, before any savepoint's.
    pub fn top(&self, session: SessionId) -> Option<Xid> {
        self.state.read().sessions.get(&session)?.top()
    }

    /// The xid that a write of `session` carries now, if it has one already.
    pub fn current(&self, session: SessionId) -> Option<Xid> {
        self.state.read().sessions.get(&session)?.levels.last()?.xid
    }

    /// How many xids the next write of `session` takes: its own, and the top one's first if that is missing.
    pub fn wanting(&self, session: SessionId) -> usize {
        let state = self.state.read();
        let Some(txn) = state.sessions.get(&session) else {
            return 1;
        };
        let top = usize::from(txn.levels.first().is_none_or(|l| l.xid.is_none()));
        let last =
            usize::from(txn.levels.len() > 1 && txn.levels.last().is_some_and(|l| l.xid.is_none()));
        top + last
    }

    /// Give out xids from `next` on, as many as `wanting` said. Returns the one that writes carry.
    pub fn assign(&self, session: SessionId, next: &mut u64) -> Xid {
        let mut state = self.state.write();
        if state.xids.is_empty() {
            self.floor.store(*next, Ordering::Release);
        }
        let State { xids, sessions } = &mut *state;
        let txn = sessions.entry(session).or_default();
        if txn.levels.is_empty() {
            txn.open(Mark::default());
        }
        let last = txn.levels.len() - 1;
        let mut current = Xid(0);
        for index in [0, last] {
            let Some(level) = txn.levels.get_mut(index) else {
                continue;
            };
            current = *level.xid.get_or_insert_with(|| {
                let xid = Xid(*next);
                *next += 1;
                xids.insert(xid, Entry { session, csn: None });
                if index > 0 {
                    txn.inner.push(xid);
                }
                xid
            });
        }
        current
    }

    /// All live xids of the session, oldest first.
    pub fn own(&self, session: SessionId) -> Vec<Xid> {
        let state = self.state.read();
        state.sessions.get(&session).map_or(Vec::new(), Txn::xids)
    }

    /// Begin a savepoint; returns its level (1 is the first).
    pub fn savepoint(&self, session: SessionId, mark: Mark) -> usize {
        let mut state = self.state.write();
        let txn = state.sessions.entry(session).or_default();
        if txn.levels.is_empty() {
            txn.open(Mark::default());
        }
        txn.open(mark);
        txn.levels.len() - 1
    }

    /// Release level `level` and all inside it: their xids belong to the level below now.
    pub fn release(&self, session: SessionId, level: usize) {
        let mut state = self.state.write();
        if let Some(txn) = state.sessions.get_mut(&session) {
            txn.levels.truncate(level.max(1));
        }
    }

    /// Roll back level `level` and all inside it; it begins anew. Returns its lock mark and the xids that have aborted.
    pub fn rollback_to(&self, session: SessionId, level: usize) -> Option<(Mark, Vec<Xid>)> {
        let mut state = self.state.write();
        let State { xids, sessions } = &mut *state;
        let txn = sessions.get_mut(&session)?;
        if level == 0 {
            return None;
        }
        let &Level { from, mark, .. } = txn.levels.get(level)?;
        let aborted = txn.inner.split_off(from);
        txn.levels.truncate(level);
        txn.open(mark);
        for xid in &aborted {
            xids.remove(xid);
        }
        self.raise_floor(xids);
        Some((mark, aborted))
    }

    /// How many levels there are above the transaction itself.
    pub fn depth(&self, session: SessionId) -> usize {
        self.state
            .read()
            .sessions
            .get(&session)
            .map_or(0, |t| t.levels.len().saturating_sub(1))
    }

    /// The commit record of these xids is in the log.
    pub fn committing(&self, own: &[Xid], csn: Lsn) {
        let mut state = self.state.write();
        for xid in own {
            if let Some(entry) = state.xids.get_mut(xid) {
                entry.csn = Some(csn);
            }
        }
    }

    /// The session's transaction is `heir`'s from now on; returns its xids.
    pub fn hand_over(&self, session: SessionId, heir: SessionId) -> Vec<Xid> {
        let mut state = self.state.write();
        let State { xids, sessions } = &mut *state;
        let Some(txn) = sessions.remove(&session) else {
            return Vec::new();
        };
        let own = txn.xids();
        for xid in &own {
            if let Some(entry) = xids.get_mut(xid) {
                entry.session = heir;
            }
        }
        sessions.insert(heir, txn);
        own
    }

    /// Forget the session's transaction; returns its xids.
    pub fn end(&self, session: SessionId) -> Vec<Xid> {
        let mut state = self.state.write();
        let State { xids, sessions } = &mut *state;
        let Some(txn) = sessions.remove(&session) else {
            return Vec::new();
        };
        let own = txn.xids();
        for xid in &own {
            xids.remove(xid);
        }
        if !own.is_empty() {
            self.raise_floor(xids);
        }
        own
    }

    /// All xids that run, savepoints' too, and whose they are.
    pub fn list(&self) -> Vec<(SessionId, Xid)> {
        let state = self.state.read();
        let all = state.xids.iter().map(|(xid, entry)| (entry.session, *xid));
        all.collect()
    }

    /// Only cheap when few run; with many, the floor is allowed to be old.
    fn raise_floor(&self, xids: &AHashMap<Xid, Entry>) {
        if xids.len() <= 64 {
            if let Some(lowest) = xids.keys().min() {
                self.floor.store(lowest.0, Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: SessionId = SessionId(1);

    #[test]
    fn savepoints_merge_or_abort() {
        let running = Running::default();
        let mark = Mark { keys: 3, rows: 9 };
        let mut next = 100;
        assert_eq!(running.savepoint(S, mark), 1);
        assert_eq!(running.wanting(S), 2);
        assert_eq!(running.assign(S, &mut next), Xid(101));
        assert_eq!(
            (running.top(S), running.current(S)),
            (Some(Xid(100)), Some(Xid(101)))
        );
        assert_eq!(running.savepoint(S, Mark::default()), 2);
        assert_eq!(running.assign(S, &mut next), Xid(102));
        running.release(S, 2);
        assert_eq!(running.own(S), [Xid(100), Xid(101), Xid(102)]);
        assert_eq!(
            running.rollback_to(S, 1),
            Some((mark, vec![Xid(101), Xid(102)]))
        );
        assert_eq!(running.own(S), [Xid(100)]);
        assert_eq!(running.wanting(S), 1);
        assert!(running.contains(Xid(100)) && !running.contains(Xid(102)));
        assert_eq!(running.assign(S, &mut next), Xid(103));
        running.committing(&running.own(S), Lsn(9));
        assert_eq!(
            running.get(Xid(103)),
            Some(Entry {
                session: S,
                csn: Some(Lsn(9))
            })
        );
        assert_eq!(running.end(S), vec![Xid(100), Xid(103)]);
        assert!(running.is_empty() && running.own(S).is_empty());
    }
}
