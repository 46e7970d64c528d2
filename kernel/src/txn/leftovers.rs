//! What transactions leave behind for vacuum: rows to look at once nobody can see their old versions any more. Nothing of it
//! needs to survive the process: a full vacuum finds the same.

use crate::base::{Lsn, PageNo, RowId, SessionId, Xid};
use ahash::AHashMap;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Why rows are to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Inserted: garbage if the transaction aborts.
    Insert,
    /// Deleted: garbage once everybody sees it.
    Delete,
    /// Updated with another index key: an index entry is garbage either way.
    Rekey,
    /// No rows: moved-out values `from..=to` that nothing points to any more.
    Value,
}

/// Rows `from..=to` of the table with root `table`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leftover {
    pub table: PageNo,
    pub from: RowId,
    pub to: RowId,
    pub why: Why,
    pub xid: Xid,
}

/// Most entries kept for later; beyond it the oldest are forgotten (a full vacuum finds them).
const LIMIT: usize = 1 << 22;

#[derive(Debug, Default)]
struct State {
    open: AHashMap<SessionId, Vec<Leftover>>,
    /// Ready when the horizon has reached the LSN.
    queue: VecDeque<(Lsn, Leftover)>,
    /// Ready at once.
    now: VecDeque<Leftover>,
    forgotten: u64,
}

#[derive(Debug, Default)]
pub struct Leftovers {
    state: Mutex<State>,
}

impl Leftovers {
    /// `session` has written a row.
    pub fn note(&self, session: SessionId, table: PageNo, row: RowId, why: Why, xid: Xid) {
        self.note_all(
            session,
            Leftover {
                table,
                from: row,
                to: row,
                why,
                xid,
            },
        );
    }

    /// `session` has written some rows.
    pub fn note_all(&self, session: SessionId, left: Leftover) {
        let mut state = self.state.lock();
        let list = state.open.entry(session).or_default();
        if let Some(last) = list.last_mut() {
            if (last.table, last.why, last.xid) == (left.table, left.why, left.xid) {
                if last.to.0 + 1 == left.from.0 {
                    last.to = left.to;
                    return;
                }
                if left.from == left.to && last.to == left.to {
                    return;
                }
            }
        }
        list.push(left);
    }

    /// Garbage already: whatever becomes of the transaction.
    pub fn push(&self, ready: Lsn, left: Leftover) {
        let mut state = self.state.lock();
        state.add(ready, left);
        state.trim();
    }

    /// The session's transaction has ended: `csn` when it has committed, with these xids.
    pub fn ended(&self, session: SessionId, csn: Option<Lsn>, xids: &[Xid]) {
        let mut state = self.state.lock();
        let Some(list) = state.open.remove(&session) else {
            return;
        };
        for left in list {
            let committed = csn.filter(|_| xids.contains(&left.xid));
            let garbage = match (committed, left.why) {
                (Some(_), Why::Insert) | (None, Why::Delete) => None,
                (Some(csn), _) => Some(csn),
                (None, _) => Some(Lsn::ZERO),
            };
            if let Some(ready) = garbage {
                state.add(ready, left);
            }
        }
        state.trim();
    }

    /// The next thing to clean up, if it is ready. Give what is not done back with `push`.
    pub fn pop(&self, horizon: Lsn) -> Option<Leftover> {
        let mut state = self.state.lock();
        if let Some(left) = state.now.pop_front() {
            return Some(left);
        }
        if state.queue.front().is_some_and(|(lsn, _)| *lsn <= horizon) {
            return state.queue.pop_front().map(|(_, left)| left);
        }
        None
    }

    /// Put back the unfinished rest, in front.
    pub fn put_back(&self, left: Leftover) {
        self.state.lock().now.push_front(left);
    }

    /// A table is gone.
    pub fn forget(&self, table: PageNo) {
        let mut state = self.state.lock();
        state.queue.retain(|(_, left)| left.table != table);
        state.now.retain(|left| left.table != table);
    }

    pub fn len(&self) -> usize {
        let state = self.state.lock();
        state.queue.len() + state.now.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn add(&mut self, ready: Lsn, left: Leftover) {
        if ready == Lsn::ZERO {
            self.now.push_back(left);
        } else {
            self.queue.push_back((ready, left));
        }
    }

    fn trim(&mut self) {
        while self.queue.len() > LIMIT {
            self.queue.pop_front();
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_became_garbage_is_queued() {
        let left = Leftovers::default();
        let (s, t) = (SessionId(1), PageNo(9));
        for row in 1..=5 {
            left.note(s, t, RowId(row), Why::Insert, Xid(7));
        }
        left.note(s, t, RowId(6), Why::Insert, Xid(8));
        left.note(s, t, RowId(2), Why::Delete, Xid(7));
        left.note(s, t, RowId(3), Why::Delete, Xid(8));
        left.note(s, t, RowId(4), Why::Rekey, Xid(8));
        left.ended(s, Some(Lsn(50)), &[Xid(7)]);
        assert_eq!(left.len(), 3);
        let next = left.pop(Lsn(10)).unwrap();
        assert_eq!(
            (next.from, next.to, next.why),
            (RowId(6), RowId(6), Why::Insert)
        );
        assert_eq!(left.pop(Lsn(10)).unwrap().why, Why::Rekey);
        assert!(left.pop(Lsn(49)).is_none());
        assert_eq!(left.pop(Lsn(50)).unwrap().from, RowId(2));
        left.note(s, t, RowId(1), Why::Insert, Xid(9));
        left.note(s, t, RowId(2), Why::Insert, Xid(9));
        left.ended(s, None, &[]);
        assert_eq!(left.pop(Lsn(0)).unwrap().to, RowId(2));
        assert!(left.is_empty());
    }
}
