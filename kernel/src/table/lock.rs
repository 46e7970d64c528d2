//! Row locks: SELECT FOR …, and the checks of foreign keys.
//!
//! A lock is taken inside the writer's mutex: a write that begins later sees it, one that began before is seen.

use super::core::{Core, Shape};
use super::heap::serialization;
use super::visible::{has_news, judge, Eyes, Judged, Seen};
use crate::base::error::fail;
use crate::base::{Lsn, Res, RowId, SessionId, Xid};
use crate::exec::access::{TableDef, View, Wait, Wrote};
use crate::exec::plan::LockMode;
use crate::redo::version::{versions, Version};
use crate::txn::locks::{Level, OnConflict};
use crate::txn::modes::{row, LockKey};
use crate::txn::Status;
use std::sync::Arc;

fn number(mode: LockMode) -> u8 {
    match mode {
        LockMode::KeyShare => row::KEY_SHARE,
        LockMode::Share => row::SHARE,
        LockMode::NoKeyUpdate => row::NO_KEY_UPDATE,
        LockMode::Update => row::UPDATE,
    }
}

impl Core {
    pub(super) fn lock(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        mode: LockMode,
        wait: Wait,
        accept: Lsn,
    ) -> Res<Wrote> {
        let shape = self.shape(table)?;
        let mtr = self.volume.begin()?;
        let Some(mut cell) = self.cell(&mtr, &shape, id)? else {
            self.end_turn(view, &shape, id, number(mode));
            return Ok(Wrote::Gone);
        };
        loop {
            match judge(&self.txns, view, &cell, accept)? {
                Judged::Free(_) => return self.take(view.session, &shape, id, mode, wait),
                Judged::Busy { xid, session, .. } => {
                    if mode == LockMode::KeyShare && !self.key_changes(&shape, &cell, session)? {
                        return self.take(view.session, &shape, id, mode, wait);
                    }
                    if view.strict && has_news(&self.txns, &cell, view.seen())? {
                        return Err(serialization("update"));
                    }
                    return match wait {
                        Wait::Block => self.wait_turn(view, &shape, id, number(mode), xid, session),
                        _ => not_now(&shape, wait),
                    };
                }
                // To a foreign key's check a newer version with the same keys is the same row.
                Judged::Changed { version, .. } if view.strict && mode == LockMode::KeyShare => {
                    match self.same_keys(view, &shape, &cell, &version)? {
                        Some(true) => return self.take(view.session, &shape, id, mode, wait),
                        Some(false) => return Err(serialization("update")),
                        None => {}
                    }
                }
                Judged::Gone { csn: Some(_) } if view.strict => {
                    return Err(serialization("update"))
                }
                Judged::History => {}
                other => {
                    if matches!(other, Judged::Gone { .. }) {
                        self.end_turn(view, &shape, id, number(mode));
                    }
                    return self.refused(view, &shape, &cell, other);
                }
            }
            cell = self.with_history(&shape, &cell)?;
        }
    }

    /// Wait for the transaction that has changed a row, behind those that came before. To whom any change since the snapshot is an
    /// error, the order means nothing.
    pub(super) fn wait_turn<T>(
        &self,
        view: &View,
        shape: &Shape,
        id: RowId,
        mode: u8,
        xid: Xid,
        owner: SessionId,
    ) -> Res<T> {
        if !view.strict {
            let turn = LockKey::Turn(shape.def.oid, id);
            let level = Level::Transaction;
            self.txns
                .locks
                .acquire(view.session, turn, mode, level, OnConflict::Queue)?;
        }
        self.txns
            .wait_for(view.session, xid, owner, view.passed.is_some())
    }

    /// There is nothing to be had for who has waited: the next ones look for themselves.
    pub(super) fn end_turn(&self, view: &View, shape: &Shape, id: RowId, mode: u8) {
        let turn = LockKey::Turn(shape.def.oid, id);
        self.txns.locks.drop_early(view.session, turn, mode);
    }

    /// Others' row locks that conflict with `mode` are waited for.
    pub(super) fn pass_row_locks(
        &self,
        view: &View,
        shape: &Shape,
        id: RowId,
        mode: u8,
    ) -> Res<()> {
        if self.txns.locks.no_row_locks() {
            return Ok(());
        }
        let (key, level) = (LockKey::Row(shape.def.oid, id), Level::Transaction);
        if self.txns.locks.conflicts(view.session, key, mode) {
            self.txns
                .locks
                .acquire(view.session, key, mode, level, OnConflict::Queue)?;
        }
        Ok(())
    }

    fn take(
        &self,
        session: SessionId,
        shape: &Shape,
        id: RowId,
        mode: LockMode,
        wait: Wait,
    ) -> Res<Wrote> {
        let how = if wait == Wait::Block {
            OnConflict::Queue
        } else {
            OnConflict::Refuse
        };
        let key = LockKey::Row(shape.def.oid, id);
        if self
            .txns
            .locks
            .acquire(session, key, number(mode), Level::Transaction, how)?
        {
            return Ok(Wrote::Done);
        }
        not_now(shape, wait)
    }

    /// Has `newest` the unique keys of the version that the view sees? Nothing when that one is among the moved-out versions.
    fn same_keys(
        &self,
        view: &View,
        shape: &Shape,
        cell: &[u8],
        newest: &Version<'_>,
    ) -> Res<Option<bool>> {
        match Eyes::new(view).see(&self.txns, cell)? {
            Seen::History => Ok(None),
            Seen::Nothing => Ok(Some(false)),
            Seen::Row(seen) => {
                let (old, new) = (self.keys_of(shape, &seen)?, self.keys_of(shape, newest)?);
                Ok(Some(!differ(shape, &old, &new)))
            }
        }
    }

    /// Has the running transaction of `session` deleted the row or changed a column of a unique index?
    fn key_changes(&self, shape: &Shape, cell: &[u8], session: SessionId) -> Res<bool> {
        let mut new: Option<Vec<Vec<u8>>> = None;
        for version in versions(cell) {
            let version = version?;
            let running = match self.txns.status(version.xid)? {
                Status::Aborted if !version.is_frozen() => continue,
                Status::Running { session: owner, .. } => owner == session,
                _ => false,
            };
            if version.is_deleted() {
                return Ok(true);
            }
            match (&new, running) {
                (Some(_), true) => {}
                (None, _) => new = Some(self.keys_of(shape, &version)?),
                (Some(new), false) => {
                    let old = self.keys_of(shape, &version)?;
                    return Ok(differ(shape, &old, new));
                }
            }
        }
        Ok(true)
    }
}

/// Do the keys of two versions differ in a unique index?
fn differ(shape: &Shape, old: &[Vec<u8>], new: &[Vec<u8>]) -> bool {
    let mut indexes = shape.def.indexes.iter().enumerate();
    indexes.any(|(place, index)| index.unique && old.get(place) != new.get(place))
}

fn not_now(shape: &Shape, wait: Wait) -> Res<Wrote> {
    match wait {
        Wait::Skip => Ok(Wrote::Gone),
        _ => fail(
            "55P03",
            format!(
                "could not obtain lock on row in relation \"{}\"",
                shape.def.name
            ),
        ),
    }
}
