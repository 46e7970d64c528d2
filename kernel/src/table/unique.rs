//! Entries of indexes: finding equal ones, telling whether they stand in the way, preparing new ones and removing old ones.

use super::core::{Core, Shape};
use super::keys;
use super::visible::Eyes;
use crate::base::{Lsn, Res, RowId, SessionId, Xid};
use crate::btree::{key_of, Cursor, Spot, Tree};
use crate::exec::access::{IndexDef, View};
use crate::redo::version::{versions, Version, HISTORY};
use crate::store::Mtr;
use crate::txn::Status;
use crate::types::Datum;

/// An index entry that is prepared to be inserted or removed.
pub(super) struct Entry {
    pub tree: Tree,
    pub spot: Spot,
    pub key: Vec<u8>,
}

/// What stands behind an equal key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Equal {
    /// Nothing that counts.
    Clear,
    /// A living row; committed by `csn` (0: long ago), or the asker's own.
    Live { csn: Lsn },
    /// It depends on how this transaction ends.
    Busy { xid: Xid, session: SessionId },
}

/// Is uniqueness not to be asked for this key (some column is null, and nulls are distinct)?
pub(super) fn exempt(index: &IndexDef, has_null: bool) -> bool {
    !index.unique || (has_null && !index.nulls_not_distinct)
}

pub(super) fn has_null<'d>(index: &IndexDef, value: impl Fn(usize) -> Option<&'d Datum>) -> bool {
    index
        .keys
        .iter()
        .any(|part| value(part.column).is_none_or(Datum::is_null))
}

impl Core {
    /// Rows that have an entry with exactly this key.
    pub(super) fn equal_rows(
        &self,
        mtr: &Mtr<'_>,
        tree: Tree,
        spot: &Spot,
        key: &[u8],
    ) -> Res<Vec<RowId>> {
        let mut rows = Vec::new();
        let page = mtr.page(spot.leaf)?;
        let same = |entry: &[u8]| entry.len() == key.len() + 8 && entry.starts_with(key);
        // Entries of one key stand together; when they can't go on beyond this leaf, it answers.
        let inside = spot.slot > 0 && spot.slot < page.count();
        if inside && !same(key_of(&page, spot.slot - 1)?) && !same(key_of(&page, spot.slot)?) {
            return Ok(rows);
        }
        let rightmost = spot.slot == page.count() && spot.slot > 0 && page.high()?.is_none();
        if rightmost && !same(key_of(&page, spot.slot - 1)?) {
            return Ok(rows);
        }
        drop(page);
        let mut cursor = Cursor::new(tree);
        cursor.seek(mtr, key)?;
        while let Some((page, slot)) = cursor.next(mtr)? {
            let entry = key_of(page, slot)?;
            if !same(entry) {
                break;
            }
            rows.push(keys::split(entry)?.1);
        }
        Ok(rows)
    }

    /// Does this row count as one with `key` in the index, for a writer who adds an equal one?
    pub(super) fn equal(
        &self,
        mtr: &Mtr<'_>,
        shape: &Shape,
        place: usize,
        key: &[u8],
        row: RowId,
        view: &View,
    ) -> Res<Equal> {
        let Some(mut cell) = self.cell(mtr, shape, row)? else {
            return Ok(Equal::Clear);
        };
        loop {
            match self.equal_in(shape, place, key, &cell, view)? {
                Some(answer) => return Ok(answer),
                None => cell = self.with_history(shape, &cell)?,
            }
        }
    }

    /// `None`: the versions that were moved out decide.
    pub(super) fn equal_in(
        &self,
        shape: &Shape,
        place: usize,
        key: &[u8],
        cell: &[u8],
        view: &View,
    ) -> Res<Option<Equal>> {
        let mut busy = None;
        for version in versions(cell) {
            let version = version?;
            if version.flags & HISTORY != 0 {
                return Ok(None);
            }
            let csn = match if version.is_frozen() {
                Status::Committed(Lsn::ZERO)
            } else {
                self.txns.status(version.xid)?
            } {
                Status::Aborted => continue,
                Status::Running { session, .. } if session != view.session => {
                    let wait = Equal::Busy {
                        xid: version.xid,
                        session,
                    };
                    if self.has_key(shape, place, key, &version)? {
                        return Ok(Some(wait));
                    }
                    busy = Some(wait);
                    continue;
                }
                Status::Running { .. } => Lsn::ZERO,
                Status::Committed(csn) => csn,
            };
            let live = self.has_key(shape, place, key, &version)?;
            return Ok(Some(match (live, busy) {
                (false, _) => Equal::Clear,
                // It comes back if the transaction that took it away aborts.
                (true, Some(busy)) => busy,
                (true, None) => Equal::Live { csn },
            }));
        }
        Ok(Some(Equal::Clear))
    }

    fn has_key(&self, shape: &Shape, place: usize, key: &[u8], version: &Version<'_>) -> Res<bool> {
        if version.is_deleted() {
            return Ok(false);
        }
        let Some(index) = shape.def.indexes.get(place) else {
            return Ok(false);
        };
        let values = self.decode(shape, &shape.keys, version)?;
        Ok(shape.key(index, &values)? == key)
    }

    /// Get ready to enter `key` for `row` into an index. It may be there already (`Spot::found`).
    pub(super) fn prepare_entry(
        &self,
        mtr: &mut Mtr<'_>,
        shape: &Shape,
        index: &IndexDef,
        key: &[u8],
        row: RowId,
    ) -> Res<Entry> {
        keys::check_size(index, &shape.def, key)?;
        let tree = Tree { root: index.root };
        let key = keys::entry(key, row);
        let spot = tree.prepare(mtr, &key, key.len() + 2)?;
        Ok(Entry { tree, spot, key })
    }

    /// Get ready to remove an entry; `None`: it is gone already.
    pub(super) fn prepare_removal(
        &self,
        mtr: &mut Mtr<'_>,
        index: &IndexDef,
        key: &[u8],
        row: RowId,
    ) -> Res<Option<Entry>> {
        let tree = Tree { root: index.root };
        let key = keys::entry(key, row);
        let spot = tree.prepare_remove(mtr, &key)?;
        Ok(spot.found.then_some(Entry { tree, spot, key }))
    }

    /// Does the view see `row` with `key` in the index? Then its columns by `reader`.
    pub(super) fn matches(
        &self,
        shape: &Shape,
        place: usize,
        key: &[u8],
        version: &Version<'_>,
    ) -> Res<bool> {
        self.has_key(shape, place, key, version)
    }

    /// What the view sees of a cell, versions that were moved out included.
    pub(super) fn see<T>(
        &self,
        shape: &Shape,
        eyes: &mut Eyes,
        cell: &[u8],
        mut then: impl FnMut(&Version<'_>) -> Res<T>,
    ) -> Res<Option<T>> {
        use super::visible::Seen;
        match eyes.see(&self.txns, cell)? {
            Seen::Nothing => return Ok(None),
            Seen::Row(version) => return then(&version).map(Some),
            Seen::History => {}
        }
        let mut cell = cell.to_vec();
        loop {
            cell = self.with_history(shape, &cell)?;
            match eyes.see(&self.txns, &cell)? {
                Seen::Nothing => return Ok(None),
                Seen::Row(version) => return then(&version).map(Some),
                Seen::History => {}
            }
        }
    }
}
