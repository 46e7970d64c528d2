//! INSERT, UPDATE, DELETE of one row: each is one mini-transaction over the row's tree and all index trees.

use super::core::{Core, Shape, State};
use super::keys;
use super::overflow::History;
use super::reader::externals;
use super::row::{Draft, External};
use super::unique::{exempt, has_null, Entry, Equal};
use super::vacuum::split_values;
use super::visible::{has_news, judge, was_updated, Judged, Prune};
use crate::base::error::{corrupt, fail};
use crate::base::{Lsn, Oid, Res, RowId, Stop, Xid};
use crate::btree::Spot;
use crate::exec::access::{IndexDef, Inserted, TableDef, View, Wrote};
use crate::redo::version::{self, versions, Push, DELETED, EXTERNAL, HISTORY, KEY_SIZE, REKEYED};
use crate::store::Mtr;
use crate::txn::leftovers::Why;
use crate::txn::modes::row as row_mode;
use crate::types::Datum;
use std::borrow::Borrow;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// A cell longer than this has its old versions moved out.
pub(super) const CELL_TARGET: usize = 5000;
/// An update that shares moved-out values starts again when the row has changed meanwhile; so often at most.
const TRIES: usize = 100;

/// More than what a version takes beside its payload.
const ROOM: usize = 24;

/// The change to a row's cell, prepared.
enum Change<'a> {
    Push(Push<'a>),
    /// The whole cell, and old versions that go to the overflow tree first.
    Replace(Vec<u8>, Option<History>),
}

/// What a write adds to a row.
struct New<'a> {
    flags: u8,
    xid: Xid,
    command: u32,
    payload: &'a [u8],
    /// The new version's keys, in every index; `None` for a deletion.
    keys: Option<Vec<Vec<u8>>>,
}

/// What has to be done to the row, beside its indexes.
struct Written<'a> {
    change: Change<'a>,
    /// Entries that only dropped versions had.
    orphans: Vec<Entry>,
    dropped: Vec<External>,
    kept: Vec<External>,
    /// Versions that go.
    pruned: usize,
}

pub(super) fn serialization(what: &str) -> Stop {
    crate::base::SqlError::new(
        "40001",
        format!("could not serialize access due to concurrent {what}"),
    )
    .into()
}

impl Core {
    pub(super) fn insert(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: &[impl Borrow<Datum>],
        arbiters: &[Oid],
    ) -> Res<Inserted> {
        let shape = self.shape(table)?;
        let state = self.writing(&shape);
        let mut draft = Draft::new(&shape.layout, row)?;
        self.move_out(view.session, &shape, &state, &mut draft, &[])?;
        let mut index_keys = Vec::with_capacity(table.indexes.len());
        for index in &table.indexes {
            index_keys.push(shape.key_of_row(index, row)?);
        }
        let xid = self.txns.assign(view.session)?;
        let payload = draft.finish(&shape.layout);
        let moved = if draft.has_external() {
            externals(&shape.layout, &payload)?
        } else {
            Vec::new()
        };
        let flags = if moved.is_empty() { 0 } else { EXTERNAL };

        let mut mtr = self.volume.begin()?;
        let id = self.next_row(&mtr, &shape, &state)?;
        let mut entries = Vec::with_capacity(table.indexes.len());
        for place in arbiters_first(table, arbiters) {
            let Some((index, key)) = table.indexes.get(place).zip(index_keys.get(place)) else {
                continue;
            };
            let entry = self.prepare_entry(&mut mtr, &shape, index, key, id)?;
            if !exempt(index, has_null(index, |c| row.get(c).map(Borrow::borrow))) {
                let arbiter = arbiters.contains(&index.oid);
                if let Some(other) =
                    self.claim_key(&mtr, &shape, place, &entry, id, view, row, arbiter)?
                {
                    drop(mtr);
                    self.drop_unused(view.session);
                    return Ok(Inserted::Conflict {
                        index: index.oid,
                        row: other,
                    });
                }
            }
            entries.push(entry);
        }
        entries.retain(|entry| !entry.spot.found);
        let cell = version::cell(id, flags, xid, view.command, &payload);
        let rows = shape.rows();
        let key = id.0.to_be_bytes();
        let spot = rows.prepare(&mut mtr, &key, cell.len())?;

        rows.insert_cell(&mut mtr, &spot, &key, &cell)?;
        for entry in &entries {
            entry.tree.insert(&mut mtr, &entry.spot, &entry.key, &[])?;
        }
        // While the writer is still ours: the next MTR begins after this row.
        state.next_row.store(id.0 + 1, Ordering::Release);
        mtr.commit();
        self.txns
            .leftovers
            .note(view.session, table.root, id, Why::Insert, xid);
        if !moved.is_empty() {
            let moved: Vec<External> = moved.into_iter().map(|(_, e)| e).collect();
            self.moving.settled(view.session, &moved);
        }
        Ok(Inserted::Row(id))
    }

    /// Nothing else may have the prepared entry's key in a unique index. An arbiter's conflict is the answer, another's is an error.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn claim_key(
        &self,
        mtr: &Mtr<'_>,
        shape: &Shape,
        place: usize,
        entry: &Entry,
        id: RowId,
        view: &View,
        row: &[impl Borrow<Datum>],
        arbiter: bool,
    ) -> Res<Option<RowId>> {
        let Some(index) = shape.def.indexes.get(place) else {
            return Ok(None);
        };
        let (key, _) = keys::split(&entry.key)?;
        for other in self.equal_rows(mtr, entry.tree, &entry.spot, key)? {
            if other == id {
                continue;
            }
            match self.equal(mtr, shape, place, key, other, view)? {
                Equal::Clear => {}
                Equal::Busy { xid, session } => {
                    return self.txns.wait_for(view.session, xid, session, false)
                }
                Equal::Live { csn } if arbiter => {
                    if view.strict && csn > view.snapshot {
                        return Err(serialization("update"));
                    }
                    return Ok(Some(other));
                }
                Equal::Live { .. } => {
                    let value = |c: usize| row.get(c).map(Borrow::borrow);
                    return Err(keys::duplicate(&shape.def, index, value, false));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn update(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        row: &[Datum],
        accept: Lsn,
    ) -> Res<Wrote> {
        let shape = self.shape(table)?;
        let state = self.writing(&shape);
        for _ in 0..TRIES {
            if let Some(wrote) = self.try_update(view, &shape, &state, id, row, accept)? {
                return Ok(wrote);
            }
        }
        fail(
            "XX000",
            format!(
                "row {id} of \"{}\" changes faster than it can be updated",
                table.name
            ),
        )
    }

    /// `None`: the row has changed since its moved-out values were looked at; start again.
    fn try_update(
        &self,
        view: &View,
        shape: &Arc<Shape>,
        state: &State,
        id: RowId,
        row: &[Datum],
        accept: Lsn,
    ) -> Res<Option<Wrote>> {
        let mut draft = Draft::new(&shape.layout, row)?;
        let shared = self.shared_values(view, shape, state, id, &mut draft, accept)?;
        let xid = self.txns.assign(view.session)?;
        let payload = draft.finish(&shape.layout);
        let moved: Vec<External> = match draft.has_external() {
            true => externals(&shape.layout, &payload)?
                .into_iter()
                .map(|(_, e)| e)
                .collect(),
            false => Vec::new(),
        };
        let key = id.0.to_be_bytes();
        let mut mtr = self.volume.begin()?;
        let grow = payload.len() + ROOM;
        let spot = shape.rows().prepare(&mut mtr, &key, grow)?;
        let mut cell = match spot.found {
            true => mtr.page(spot.leaf)?.cell(spot.slot)?.to_vec(),
            false => return Ok(Some(Wrote::Gone)),
        };
        let on_page = cell.len();
        let (old, old_payload) =
            match self.writable(view, shape, id, row_mode::NO_KEY_UPDATE, &mut cell, accept)? {
                Ok(found) => found,
                Err(wrote) => return Ok(Some(wrote)),
            };
        if shared.iter().any(|e| !old.contains(e)) {
            return Ok(None);
        }
        let (new_keys, changed) = self.changed_keys(shape, row, &old_payload, !old.is_empty())?;
        let entries = self.prepare_rekeyed(&mut mtr, shape, id, view, row, &new_keys, &changed)?;
        let mut flags = if moved.is_empty() { 0 } else { EXTERNAL };
        if !changed.is_empty() {
            flags |= REKEYED;
        }
        let new = New {
            flags,
            xid,
            command: view.command,
            payload: &payload,
            keys: Some(new_keys),
        };
        let written = self.prepare_change(&mut mtr, shape, state, id, &cell, on_page, &new)?;
        self.perform(mtr, shape, &spot, id, &written, &entries)?;
        let (root, leftovers) = (shape.def.root, &self.txns.leftovers);
        if changed.is_empty() {
            leftovers.updated(view.session, root, xid);
        } else {
            leftovers.note(view.session, root, id, Why::Rekey, xid);
        }
        if !moved.is_empty() {
            self.moving.settled(view.session, &moved);
        }
        Ok(Some(Wrote::Done))
    }

    /// The new row's key in every index, and the indexes in which the old row has another.
    fn changed_keys(
        &self,
        shape: &Shape,
        row: &[Datum],
        old_payload: &[u8],
        external: bool,
    ) -> Res<(Vec<Vec<u8>>, Vec<usize>)> {
        let indexes = shape.def.indexes.iter();
        let new: Vec<Vec<u8>> = indexes
            .map(|i| shape.key_of_row(i, row))
            .collect::<Res<_>>()?;
        let old = self.payload_keys(shape, old_payload, external)?;
        let changed = (0..new.len()).filter(|i| new.get(*i) != old.get(*i));
        let changed = changed.collect();
        Ok((new, changed))
    }

    /// Pass others' row locks, claim the unique keys that have changed, and get ready to enter the new keys.
    #[allow(clippy::too_many_arguments)]
    fn prepare_rekeyed(
        &self,
        mtr: &mut Mtr<'_>,
        shape: &Shape,
        id: RowId,
        view: &View,
        row: &[Datum],
        keys: &[Vec<u8>],
        changed: &[usize],
    ) -> Res<Vec<Entry>> {
        let is_unique = |i: &usize| shape.def.indexes.get(*i).is_some_and(|index| index.unique);
        let mode = if changed.iter().any(is_unique) {
            row_mode::UPDATE
        } else {
            row_mode::NO_KEY_UPDATE
        };
        self.pass_row_locks(view, shape, id, mode)?;
        let mut entries = Vec::new();
        for place in changed {
            let Some((index, key)) = shape.def.indexes.get(*place).zip(keys.get(*place)) else {
                continue;
            };
            let entry = self.prepare_entry(mtr, shape, index, key, id)?;
            if !exempt(index, has_null(index, |c| row.get(c))) {
                self.claim_key(mtr, shape, *place, &entry, id, view, row, false)?;
            }
            if !entry.spot.found {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// Long values of the new row: those that the old row has are shared, the others are moved out. The answer: those shared.
    fn shared_values(
        &self,
        view: &View,
        shape: &Shape,
        state: &State,
        id: RowId,
        draft: &mut Draft<'_>,
        accept: Lsn,
    ) -> Res<Vec<External>> {
        if draft.size() <= super::row::TARGET {
            return Ok(Vec::new());
        }
        let mut old = Vec::new();
        if let Some(cell) = self.cell(&*self.volume, shape, id)? {
            if let Judged::Free(version) = judge(&self.txns, view, &cell, accept)? {
                if version.flags & EXTERNAL != 0 {
                    old = externals(&shape.layout, version.payload)?;
                }
            }
        }
        self.move_out(view.session, shape, state, draft, &old)?;
        let used = |e: &External| draft.points_to(e);
        Ok(old.into_iter().map(|(_, e)| e).filter(used).collect())
    }

    fn payload_keys(&self, shape: &Shape, payload: &[u8], external: bool) -> Res<Vec<Vec<u8>>> {
        if shape.def.indexes.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.decode_payload(shape, &shape.keys, payload, external)?;
        shape
            .def
            .indexes
            .iter()
            .map(|index| shape.key(index, &values))
            .collect()
    }

    pub(super) fn delete(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        accept: Lsn,
    ) -> Res<Wrote> {
        let shape = self.shape(table)?;
        let state = self.writing(&shape);
        let xid = self.txns.assign(view.session)?;
        let key = id.0.to_be_bytes();
        let mut mtr = self.volume.begin()?;
        let spot = shape.rows().prepare(&mut mtr, &key, ROOM)?;
        let mut cell = match spot.found {
            true => mtr.page(spot.leaf)?.cell(spot.slot)?.to_vec(),
            false => return Ok(Wrote::Gone),
        };
        let on_page = cell.len();
        if let Err(wrote) = self.writable(view, &shape, id, row_mode::UPDATE, &mut cell, accept)? {
            return Ok(wrote);
        }
        self.pass_row_locks(view, &shape, id, row_mode::UPDATE)?;
        let new = New {
            flags: DELETED,
            xid,
            command: view.command,
            payload: &[],
            keys: None,
        };
        let written = self.prepare_change(&mut mtr, &shape, &state, id, &cell, on_page, &new)?;
        self.perform(mtr, &shape, &spot, id, &written, &[])?;
        self.txns
            .leftovers
            .note(view.session, table.root, id, Why::Delete, xid);
        Ok(Wrote::Done)
    }

    /// May the caller change the row now? Then the moved-out values and the payload of its newest living version; `cell` has
    /// its versions back if they were moved out and are needed. Else how the write ended. Waits begin here.
    #[allow(clippy::type_complexity)]
    fn writable(
        &self,
        view: &View,
        shape: &Shape,
        id: RowId,
        mode: u8,
        cell: &mut Vec<u8>,
        accept: Lsn,
    ) -> Res<Result<(Vec<External>, Vec<u8>), Wrote>> {
        loop {
            match judge(&self.txns, view, cell, accept)? {
                Judged::Free(version) => {
                    let old = match version.flags & EXTERNAL {
                        0 => Vec::new(),
                        _ => externals(&shape.layout, version.payload)?
                            .into_iter()
                            .map(|(_, e)| e)
                            .collect(),
                    };
                    return Ok(Ok((old, version.payload.to_vec())));
                }
                Judged::Busy { xid, session, .. } => {
                    if view.strict && has_news(&self.txns, cell, view.seen())? {
                        return Err(self.late(view, cell)?);
                    }
                    return self.wait_turn(view, shape, id, mode, xid, session);
                }
                Judged::History => {}
                other => {
                    if matches!(other, Judged::Gone { .. }) {
                        self.end_turn(view, shape, id, mode);
                    }
                    return self.refused(view, shape, cell, other).map(Err);
                }
            }
            *cell = self.with_history(shape, cell)?;
        }
    }

    /// What was committed since the transaction's snapshot is an error.
    fn late(&self, view: &View, cell: &[u8]) -> Res<Stop> {
        let updated = was_updated(&self.txns, cell, view.seen())?;
        Ok(serialization(if updated { "update" } else { "delete" }))
    }

    /// How a write or a lock ends that can't be.
    pub(super) fn refused(
        &self,
        view: &View,
        shape: &Shape,
        cell: &[u8],
        judged: Judged<'_>,
    ) -> Res<Wrote> {
        match judged {
            Judged::Gone { csn: Some(_) } if view.strict => Err(self.late(view, cell)?),
            Judged::Changed { .. } if view.strict => Err(serialization("update")),
            Judged::Gone { .. } => Ok(Wrote::Gone),
            Judged::Own => Ok(Wrote::Own),
            Judged::Changed { version, csn } => Ok(Wrote::Changed {
                row: self.decode(shape, &shape.all, &version)?,
                csn,
            }),
            _ => corrupt("a row that is free was refused"),
        }
    }

    /// Put `new` in front of the cell's versions, without those that nobody can see any more. `on_page`: the length of the cell
    /// there (`cell` may have versions that were brought back). The leaf has been prepared for the payload and [`ROOM`].
    #[allow(clippy::too_many_arguments)]
    fn prepare_change<'a>(
        &self,
        mtr: &mut Mtr<'_>,
        shape: &Shape,
        state: &State,
        id: RowId,
        cell: &[u8],
        on_page: usize,
        new: &New<'a>,
    ) -> Res<Written<'a>> {
        let prune = Prune::of(&self.txns, cell, self.txns.horizon())?;
        let parts = Parts::of(cell, &prune)?;
        let (dropped, kept) = self.dropped_values(shape, cell, &prune, new)?;
        let orphans = match parts.rekeyed && prune.keep < prune.all {
            true => self.orphans(mtr, shape, id, cell, &prune, new.keys.as_deref())?,
            false => Vec::new(),
        };
        let head = version::len(new.flags, new.xid, new.command, new.payload.len());
        let len = KEY_SIZE + head + parts.kept.len();
        let old_len = cell.len();
        let whole = |kept: &[u8]| {
            let mut out = Vec::with_capacity(KEY_SIZE + head + kept.len());
            out.extend_from_slice(&id.0.to_be_bytes());
            version::put(&mut out, new.flags, new.xid, new.command, new.payload);
            out.extend_from_slice(kept);
            out
        };
        let change = if len > CELL_TARGET && parts.kept.len() > 64 {
            let (history, pointer) = self.prepare_history(mtr, shape, state, &parts.kept)?;
            Change::Replace(whole(&pointer), Some(history))
        } else if on_page != old_len {
            // Versions were brought back: the cell on the page is another.
            Change::Replace(whole(&parts.kept), None)
        } else {
            let mut push = Push::diff(cell, new.flags, new.xid, new.command, new.payload)?;
            push.skip = prune.skip as u32;
            push.keep = if prune.skip + prune.keep < prune.all {
                prune.keep as u32
            } else {
                version::ALL
            };
            Change::Push(push)
        };
        let new_len = match &change {
            Change::Push(_) => len,
            Change::Replace(cell, _) => cell.len(),
        };
        if new_len > on_page + new.payload.len() + ROOM {
            let grow = new_len - on_page;
            shape.rows().prepare(mtr, &id.0.to_be_bytes(), grow)?;
        }
        Ok(Written {
            change,
            orphans,
            dropped,
            kept,
            pruned: prune.all - prune.keep,
        })
    }

    /// Moved-out values of versions that go, and of those that stay.
    fn dropped_values(
        &self,
        shape: &Shape,
        cell: &[u8],
        prune: &Prune,
        new: &New<'_>,
    ) -> Res<(Vec<External>, Vec<External>)> {
        if prune.skip == 0 && prune.keep == prune.all {
            return Ok((Vec::new(), Vec::new()));
        }
        let (dropped, mut kept) = split_values(shape, cell, prune)?;
        if new.flags & EXTERNAL != 0 {
            let own = externals(&shape.layout, new.payload)?;
            kept.extend(own.into_iter().map(|(_, e)| e));
        }
        Ok((dropped, kept))
    }

    /// Index entries that only versions which go have, ready to be removed.
    pub(super) fn orphans(
        &self,
        mtr: &mut Mtr<'_>,
        shape: &Shape,
        id: RowId,
        cell: &[u8],
        prune: &Prune,
        new: Option<&[Vec<u8>]>,
    ) -> Res<Vec<Entry>> {
        let mut out: Vec<Entry> = Vec::new();
        let orphaned = self.orphaned(shape, cell, prune, new)?;
        for (index, keys) in shape.def.indexes.iter().zip(&orphaned) {
            for key in keys {
                out.extend(self.prepare_removal(mtr, index, key, id)?);
            }
        }
        Ok(out)
    }

    /// By index: keys that only versions which go have.
    pub(super) fn orphaned(
        &self,
        shape: &Shape,
        cell: &[u8],
        prune: &Prune,
        new: Option<&[Vec<u8>]>,
    ) -> Res<Vec<Vec<Vec<u8>>>> {
        let mut kept: Vec<Vec<Vec<u8>>> = new.map(<[_]>::to_vec).into_iter().collect();
        let mut gone: Vec<Vec<Vec<u8>>> = Vec::new();
        for (index, version) in versions(cell).enumerate() {
            let version = version?;
            if version.is_deleted() || version.flags & HISTORY != 0 {
                continue;
            }
            let keys = self.keys_of(shape, &version)?;
            if prune.keeps(index) {
                kept.push(keys);
            } else {
                gone.push(keys);
            }
        }
        let mut out: Vec<Vec<Vec<u8>>> = vec![Vec::new(); shape.def.indexes.len()];
        for (key, place) in gone.into_iter().flat_map(|keys| keys.into_iter().zip(0..)) {
            if let (Some(of_index), false) = (
                out.get_mut(place),
                kept.iter().any(|k| k.get(place) == Some(&key)),
            ) {
                of_index.push(key);
            }
        }
        for keys in &mut out {
            keys.sort_unstable();
            keys.dedup();
        }
        Ok(out)
    }

    /// Nothing waits any more: change the row and its indexes.
    fn perform(
        &self,
        mut mtr: Mtr<'_>,
        shape: &Shape,
        spot: &Spot,
        id: RowId,
        written: &Written<'_>,
        entries: &[Entry],
    ) -> Res<()> {
        let key = id.0.to_be_bytes();
        let rows = shape.rows();
        let there = match &written.change {
            Change::Push(push) => rows.push_version(&mut mtr, spot, &key, push)?,
            Change::Replace(cell, history) => {
                if let Some(history) = history {
                    history.perform(&mut mtr)?;
                }
                rows.replace_cell(&mut mtr, spot, &key, cell)?
            }
        };
        if !there {
            return corrupt(format!("row {id} has gone while it was changed"));
        }
        for entry in entries {
            entry.tree.insert(&mut mtr, &entry.spot, &entry.key, &[])?;
        }
        for orphan in &written.orphans {
            orphan.tree.remove(&mut mtr, &orphan.spot, &orphan.key)?;
        }
        mtr.commit();
        self.txns
            .leftovers
            .pruned(shape.def.root, written.pruned as u64);
        self.drop_values(shape, &written.dropped, &written.kept);
        Ok(())
    }
}

/// A cell's bytes, sorted by what stays.
struct Parts {
    kept: Vec<u8>,
    /// Some version has other keys than the one before it.
    rekeyed: bool,
}

impl Parts {
    fn of(cell: &[u8], prune: &Prune) -> Res<Parts> {
        let mut parts = Parts {
            kept: Vec::new(),
            rekeyed: false,
        };
        for (index, version) in versions(cell).enumerate() {
            let version = version?;
            parts.rekeyed |= version.flags & REKEYED != 0;
            if prune.keeps(index) {
                parts
                    .kept
                    .extend_from_slice(cell.get(version.start..version.end).unwrap_or(&[]));
            }
        }
        Ok(parts)
    }
}

/// Indexes in the order in which uniqueness is asked: ON CONFLICT's own ones first, since their conflict is no error.
fn arbiters_first(table: &TableDef, arbiters: &[Oid]) -> Vec<usize> {
    let is_arbiter = |index: &IndexDef| arbiters.contains(&index.oid);
    let mut order: Vec<usize> = (0..table.indexes.len()).collect();
    if !arbiters.is_empty() {
        order.sort_by_key(|i| !table.indexes.get(*i).is_some_and(is_arbiter));
    }
    order
}
