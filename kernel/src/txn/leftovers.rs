//! What transactions leave behind for vacuum, table by table: rows to look at once nobody can see their old versions any more,
//! and counts of what was written, by which Python decides when a table is worth a vacuum or an analyze. Nothing of it needs to
//! survive the process: a full vacuum finds the same.

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

/// Most entries kept for one table, and of one transaction for one table; beyond it the oldest, or the newest of the transaction, are
/// forgotten (a full vacuum finds them).
const LIMIT: usize = 1 << 20;

/// Entries that are kept, moved and dropped together: a transaction that has left a million behind ends as quickly as another.
type Chunk = VecDeque<Leftover>;
const CHUNK: usize = 1024;

/// What was written to a table since this process began: the numbers of PostgreSQL's pg_stat_user_tables. Rows written by
/// transactions that aborted count as written too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Rows more than there were when this process began.
    pub live: i64,
    /// Versions that nobody needs, or soon nobody will, and that no write has pruned yet: an estimate.
    pub dead: u64,
    /// Rows changed since the last analyze.
    pub changed: u64,
    /// Entries for a vacuum.
    pub queued: u64,
    /// Some were forgotten: only a full vacuum finds them.
    pub forgotten: bool,
    /// `live` is all rows, not a difference.
    pub measured: bool,
}

/// What one transaction (or a part of it with an xid of its own) has written to a table.
#[derive(Debug)]
struct Written {
    table: PageNo,
    xid: Xid,
    inserted: u64,
    updated: u64,
    deleted: u64,
    /// Each of one kind.
    chunks: Vec<(Why, Chunk)>,
    /// There were too many.
    forgotten: bool,
}

#[derive(Debug, Default)]
struct Open {
    written: Vec<Written>,
    /// Where of a table and an xid is.
    places: AHashMap<(PageNo, Xid), usize>,
}

#[derive(Debug, Default)]
struct Table {
    counts: Counts,
    /// Ready when the horizon has reached the LSN. No chunk is empty.
    queue: VecDeque<(Lsn, Chunk)>,
    /// Ready at once.
    now: VecDeque<Chunk>,
    /// Entries in both.
    entries: usize,
}

#[derive(Debug, Default)]
struct State {
    open: AHashMap<SessionId, Open>,
    tables: AHashMap<PageNo, Table>,
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
        let open = state.open.entry(session).or_default();
        let written = open.written(left.table, left.xid);
        let rows = left.to.0 + 1 - left.from.0;
        match left.why {
            Why::Insert => written.inserted += rows,
            Why::Delete => written.deleted += rows,
            Why::Rekey => written.updated += rows,
            Why::Value => {}
        }
        written.add(left);
    }

    /// `session` has updated a row without changing an index key: the next write to it clears up.
    pub fn updated(&self, session: SessionId, table: PageNo, xid: Xid) {
        let mut state = self.state.lock();
        let open = state.open.entry(session).or_default();
        open.written(table, xid).updated += 1;
    }

    /// Versions that counted as dead are gone.
    pub fn pruned(&self, table: PageNo, versions: u64) {
        if versions > 0 {
            let mut state = self.state.lock();
            let counts = &mut state.tables.entry(table).or_default().counts;
            counts.dead = counts.dead.saturating_sub(versions);
        }
    }

    /// Garbage already: whatever becomes of the transaction.
    pub fn push(&self, ready: Lsn, left: Leftover) {
        let mut state = self.state.lock();
        let table = state.tables.entry(left.table).or_default();
        table.add(ready, Chunk::from([left]));
    }

    /// The session's transaction is `heir`'s from now on.
    pub fn hand_over(&self, session: SessionId, heir: SessionId) {
        let mut state = self.state.lock();
        if let Some(open) = state.open.remove(&session) {
            state.open.insert(heir, open);
        }
    }

    /// The session's transaction has ended: `csn` when it has committed, with these xids, which rise.
    pub fn ended(&self, session: SessionId, csn: Option<Lsn>, xids: &[Xid]) {
        let mut state = self.state.lock();
        let Some(open) = state.open.remove(&session) else {
            return;
        };
        let csn_of = |xid: Xid| csn.filter(|_| xids.binary_search(&xid).is_ok());
        for written in open.written {
            let csn = csn_of(written.xid);
            let table = state.tables.entry(written.table).or_default();
            table.counts.ended(&written, csn.is_some());
            for (why, chunk) in written.chunks {
                match (csn, why) {
                    (Some(_), Why::Insert) | (None, Why::Delete) => {}
                    (Some(csn), _) => table.add(csn, chunk),
                    (None, _) => table.add(Lsn::ZERO, chunk),
                }
            }
        }
    }

    /// The next thing to clean up in a table, if it is ready. Give what is not done back with `put_back`.
    pub fn pop(&self, table: PageNo, horizon: Lsn) -> Option<Leftover> {
        let mut state = self.state.lock();
        state.tables.get_mut(&table)?.pop(horizon)
    }

    /// The same in any table.
    pub fn pop_any(&self, horizon: Lsn) -> Option<Leftover> {
        let mut state = self.state.lock();
        state.tables.values_mut().find_map(|t| t.pop(horizon))
    }

    /// Put back the unfinished rest, in front.
    pub fn put_back(&self, left: Leftover) {
        let mut state = self.state.lock();
        let table = state.tables.entry(left.table).or_default();
        match table.now.front_mut() {
            Some(chunk) => chunk.push_front(left),
            None => table.now.push_front(Chunk::from([left])),
        }
        table.entries += 1;
    }

    /// A table is gone.
    pub fn forget(&self, table: PageNo) {
        self.state.lock().tables.remove(&table);
    }

    /// A full vacuum has looked at every row that was there when it began: nothing that is ready is left, and so many rows and
    /// dead versions.
    pub fn vacuumed(&self, table: PageNo, horizon: Lsn, live: u64, dead: u64) {
        let mut state = self.state.lock();
        let table = state.tables.entry(table).or_default();
        table.queue.retain(|(ready, _)| *ready > horizon);
        let now = table.now.iter().map(Chunk::len);
        table.entries = now.chain(table.queue.iter().map(|(_, c)| c.len())).sum();
        table.counts.forgotten = false;
        table.counts.measured = true;
        table.counts.live = i64::try_from(live).unwrap_or(i64::MAX);
        table.counts.dead = dead;
    }

    /// ANALYZE has seen the table.
    pub fn analyzed(&self, table: PageNo, live: u64) {
        let mut state = self.state.lock();
        let counts = &mut state.tables.entry(table).or_default().counts;
        counts.live = i64::try_from(live).unwrap_or(i64::MAX);
        counts.changed = 0;
        counts.measured = true;
    }

    /// Every table that was written to, in no order.
    pub fn counts(&self) -> Vec<(PageNo, Counts)> {
        let state = self.state.lock();
        let of = |(no, table): (&PageNo, &Table)| (*no, table.counted());
        state.tables.iter().map(of).collect()
    }

    pub fn len(&self) -> usize {
        let state = self.state.lock();
        state.tables.values().map(|table| table.entries).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Open {
    fn written(&mut self, table: PageNo, xid: Xid) -> &mut Written {
        let Open { written, places } = self;
        let at = *places.entry((table, xid)).or_insert_with(|| {
            written.push(Written {
                table,
                xid,
                inserted: 0,
                updated: 0,
                deleted: 0,
                chunks: Vec::new(),
                forgotten: false,
            });
            written.len() - 1
        });
        &mut written[at]
    }
}

impl Written {
    fn add(&mut self, left: Leftover) {
        let own = self
            .chunks
            .iter_mut()
            .rev()
            .find(|(why, _)| *why == left.why);
        if let Some((_, chunk)) = own {
            if let Some(last) = chunk.back_mut() {
                if last.to.0 + 1 == left.from.0 {
                    last.to = left.to;
                    return;
                }
                if left.from == left.to && last.to == left.to {
                    return;
                }
            }
            if chunk.len() < CHUNK {
                chunk.push_back(left);
                return;
            }
        }
        if self.chunks.len() < LIMIT / CHUNK {
            self.chunks.push((left.why, Chunk::from([left])));
        } else {
            self.forgotten = true;
        }
    }
}

impl Counts {
    fn ended(&mut self, written: &Written, committed: bool) {
        self.inserted += written.inserted;
        self.updated += written.updated;
        self.deleted += written.deleted;
        if committed {
            self.live += written.inserted as i64 - written.deleted as i64;
            self.dead += written.updated + written.deleted;
            self.changed += written.inserted + written.updated + written.deleted;
        } else {
            self.dead += written.inserted + written.updated + written.deleted;
        }
        self.forgotten |= written.forgotten;
    }
}

impl Table {
    fn counted(&self) -> Counts {
        Counts {
            queued: self.entries as u64,
            ..self.counts
        }
    }

    fn add(&mut self, ready: Lsn, chunk: Chunk) {
        self.entries += chunk.len();
        if ready == Lsn::ZERO {
            self.now.push_back(chunk);
        } else {
            self.queue.push_back((ready, chunk));
        }
        while self.entries > LIMIT {
            let Some((_, oldest)) = self.queue.pop_front() else {
                break;
            };
            self.entries -= oldest.len();
            self.counts.forgotten = true;
        }
    }

    fn pop(&mut self, horizon: Lsn) -> Option<Leftover> {
        if self.now.is_empty() {
            if self.queue.front().is_none_or(|(lsn, _)| *lsn > horizon) {
                return None;
            }
            self.now
                .extend(self.queue.pop_front().map(|(_, chunk)| chunk));
        }
        let chunk = self.now.front_mut()?;
        let left = chunk.pop_front();
        if chunk.is_empty() {
            self.now.pop_front();
        }
        self.entries -= usize::from(left.is_some());
        left
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
        let next = left.pop(t, Lsn(10)).unwrap();
        assert_eq!(
            (next.from, next.to, next.why),
            (RowId(6), RowId(6), Why::Insert)
        );
        assert_eq!(left.pop(t, Lsn(10)).unwrap().why, Why::Rekey);
        assert!(left.pop(t, Lsn(49)).is_none());
        assert!(left.pop(PageNo(8), Lsn(50)).is_none());
        assert_eq!(left.pop(t, Lsn(50)).unwrap().from, RowId(2));
        left.note(s, t, RowId(1), Why::Insert, Xid(9));
        left.note(s, t, RowId(2), Why::Insert, Xid(9));
        left.ended(s, None, &[]);
        assert_eq!(left.pop_any(Lsn(0)).unwrap().to, RowId(2));
        assert!(left.is_empty());
    }

    #[test]
    fn a_million_scattered_rows_are_kept_in_order_and_no_more_than_the_limit() {
        let left = Leftovers::default();
        let (s, t) = (SessionId(1), PageNo(9));
        let rows = 3 * LIMIT as u64;
        for row in 0..rows {
            left.note(s, t, RowId(2 * row), Why::Delete, Xid(7));
            if row % CHUNK as u64 == 0 {
                left.note(s, t, RowId(3 * row), Why::Value, Xid(7));
            }
        }
        left.note(s, t, RowId(1), Why::Insert, Xid(8));
        left.ended(s, Some(Lsn(50)), &[Xid(7)]);
        let (_, counts) = left.counts()[0];
        assert!(counts.forgotten && counts.deleted == rows);
        assert!(left.len() <= LIMIT && left.len() > LIMIT - 2 * CHUNK);
        assert_eq!(counts.queued as usize, left.len());
        let (all, mut before, mut seen) = (left.len(), None, 0);
        while let Some(next) = left.pop(t, Lsn(50)) {
            seen += 1;
            if next.why == Why::Delete {
                assert!(before < Some(next.from));
                before = Some(next.from);
            }
        }
        assert_eq!((seen, left.len()), (all, 0));
    }

    #[test]
    fn what_aborts_is_dead_and_changes_nothing() {
        let left = Leftovers::default();
        let (s, t) = (SessionId(1), PageNo(9));
        for row in 1..=10 {
            left.note(s, t, RowId(row), Why::Insert, Xid(7));
        }
        left.ended(s, Some(Lsn(50)), &[Xid(7)]);
        left.note(s, t, RowId(1), Why::Delete, Xid(8));
        left.updated(s, t, Xid(8));
        left.note(s, t, RowId(11), Why::Insert, Xid(9));
        left.ended(s, Some(Lsn(60)), &[Xid(8)]);
        let (_, counts) = left.counts()[0];
        assert_eq!(
            (counts.inserted, counts.updated, counts.deleted),
            (11, 1, 1)
        );
        assert_eq!((counts.live, counts.dead, counts.changed), (9, 3, 12));
        left.pruned(t, 1);
        left.analyzed(t, 9);
        let (_, counts) = left.counts()[0];
        assert_eq!((counts.dead, counts.changed, counts.queued), (2, 0, 2));
        left.vacuumed(t, Lsn(60), 9, 0);
        let (_, counts) = left.counts()[0];
        // The aborted insert is ready at once and stays until it is looked at.
        assert_eq!((counts.dead, counts.queued), (0, 1));
    }
}
