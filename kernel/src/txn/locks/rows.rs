//! Rows: in `RowLocks` as long as nobody waits for them.

use super::{Entry, Holder, Locks, State};
use crate::base::{Oid, RowId, SessionId};
use crate::txn::modes::{conflicts, LockKey};
use crate::txn::row_locks::{self, Taken};
use std::sync::atomic::Ordering;

impl State {
    /// A row that has no entry.
    pub(super) fn take_row(
        &mut self,
        session: SessionId,
        oid: Oid,
        id: RowId,
        mode: u8,
        owner: &Locks,
    ) -> Taken {
        let mask = conflicts(&LockKey::Row(oid, id), mode);
        let taken = self.rows.take(session, oid, id, mode, mask);
        if taken == Taken::New {
            owner.rows.fetch_add(1, Ordering::AcqRel);
            let journal = self.journals.entry(session).or_default();
            journal.rows.push(oid, id, mode);
        }
        taken
    }

    /// Somebody is about to wait for a row.
    pub(super) fn give_entry(&mut self, oid: Oid, id: RowId, owner: &Locks) {
        let key = LockKey::Row(oid, id);
        owner.count_new(self, key);
        let mut entry = Entry::default();
        for (session, bits) in self.rows.holders(oid, id) {
            entry.holders.push(Holder {
                session,
                txn: bits,
                held: 0,
            });
            for mode in (0..16u8).filter(|mode| bits & (1 << mode) != 0) {
                self.drop_row(session, oid, id, mode, owner);
            }
        }
        self.entries.insert(key, entry);
    }

    pub(super) fn drop_row(
        &mut self,
        session: SessionId,
        oid: Oid,
        id: RowId,
        mode: u8,
        owner: &Locks,
    ) {
        if self.rows.drop(session, oid, id, mode) {
            owner.rows.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// All rows that a session has locked, which are many.
    pub(super) fn release_rows(
        &mut self,
        session: SessionId,
        rows: &row_locks::Journal,
        owner: &Locks,
    ) {
        let few = (rows.len() < self.rows.ranges()).then_some(rows);
        let dropped = self.rows.drop_all(session, few);
        owner.rows.fetch_sub(dropped, Ordering::AcqRel);
        let mut served = Vec::new();
        for (key, entry) in &mut self.entries {
            if matches!(key, LockKey::Row(..)) {
                let before = entry.holders.len();
                entry.holders.retain(|h| h.session != session);
                if entry.holders.len() < before {
                    served.push(*key);
                }
            }
        }
        for key in served {
            self.serve(key, owner);
        }
    }
}
