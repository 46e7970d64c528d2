//! Row locks: SELECT FOR …, and the checks of foreign keys.
//!
//! A lock is taken inside the writer's mutex: a write that begins later sees it, one that began before is seen.

use super::core::{Core, Shape};
use super::visible::{judge, Judged};
use crate::base::error::fail;
use crate::base::{Lsn, Res, RowId, SessionId};
use crate::exec::access::{TableDef, View, Wait, Wrote};
use crate::exec::plan::LockMode;
use crate::redo::version::versions;
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
            return Ok(Wrote::Gone);
        };
        loop {
            match judge(&self.txns, view, &cell, accept)? {
                Judged::Free(_) => return self.take(view.session, &shape, id, mode, wait),
                Judged::Busy { xid, session, .. } => {
                    if mode == LockMode::KeyShare && !self.key_changes(&shape, &cell, session)? {
                        return self.take(view.session, &shape, id, mode, wait);
                    }
                    return match wait {
                        Wait::Block => self.wait_turn(view.session, &shape, id, xid, session),
                        _ => not_now(&shape, wait),
                    };
                }
                Judged::History => {}
                other => return self.refused(view, &shape, other),
            }
            cell = self.with_history(&shape, &cell)?;
        }
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
                    let mut unique = shape
                        .def
                        .indexes
                        .iter()
                        .enumerate()
                        .filter(|(_, index)| index.unique);
                    return Ok(unique.any(|(place, _)| old.get(place) != new.get(place)));
                }
            }
        }
        Ok(true)
    }
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
