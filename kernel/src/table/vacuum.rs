//! Cleaning up: versions, rows and index entries that nobody can see, and moved-out values that nothing points to.

use super::core::{Core, Shape};
use super::overflow::as_cell;
use super::reader::externals;
use super::row::External;
use super::visible::Prune;
use crate::base::{Lsn, PageNo, Res, RowId, Stop, Xid};
use crate::btree::{key_of, Cursor, Tree};
use crate::redo::version::{self, versions, EXTERNAL, FROZEN, HISTORY, KEY_SIZE, REKEYED};
use crate::txn::leftovers::{Leftover, Why};
use ahash::AHashSet;
use std::sync::Arc;

/// What a leaf whose rows go together counts as, in rows.
const LEAF_COST: usize = 15;
/// Rows looked at between two answers of a full vacuum.
const SLICE: usize = 200;

impl Core {
    /// Clean up to `budget` rows of what ended transactions left, in one table or (None) in any. True: there is more that is
    /// ready.
    pub fn vacuum_step(&self, table: Option<PageNo>, budget: usize) -> Res<bool> {
        let horizon = self.txns.horizon();
        let mut spent = 0;
        while spent < budget {
            spent += 1;
            let next = match table {
                Some(table) => self.txns.leftovers.pop(table, horizon),
                None => self.txns.leftovers.pop_any(horizon),
            };
            let Some(mut left) = next else {
                return Ok(false);
            };
            match self.clean_many(&left) {
                Ok(None) => {}
                Ok(Some((next, gone))) => {
                    spent += if gone > 0 { LEAF_COST } else { 0 };
                    if next <= left.to {
                        left.from = next;
                        self.txns.leftovers.put_back(left);
                    }
                    continue;
                }
                Err(stop) => {
                    self.txns.leftovers.put_back(left);
                    return Err(stop);
                }
            }
            match self.clean_up(&left) {
                Ok(true) if left.from >= left.to => {}
                Ok(true) => {
                    left.from = RowId(left.from.0 + 1);
                    self.txns.leftovers.put_back(left);
                }
                Ok(false) => self.txns.leftovers.put_back(left),
                Err(stop) => {
                    // An error would come back for ever: only what has to wait is tried again.
                    if matches!(stop, Stop::Need(_)) {
                        self.txns.leftovers.put_back(left);
                    }
                    return Err(stop);
                }
            }
        }
        Ok(true)
    }

    /// The rows of a leftover on one leaf, if they can go together: see `clean_leaf`.
    fn clean_many(&self, left: &Leftover) -> Res<Option<(RowId, usize)>> {
        let shape = self.state(left.table).shape.read().clone();
        let Some(shape) = shape.filter(|_| left.why != Why::Value) else {
            return Ok(None);
        };
        if left.from < left.to {
            return self.clean_leaf(&shape, left.from, left.to);
        }
        // A single row: others of its leaf may be about to be cleaned too, and it may have gone with one of them.
        let key = left.from.0.to_be_bytes();
        match shape.rows().get(&*self.volume, &key)? {
            Some(_) => self.clean_leaf(&shape, left.from, RowId(u64::MAX)),
            None => Ok(Some((RowId(left.from.0.saturating_add(1)), 0))),
        }
    }

    /// The first row of a leftover; false: there is more to do for it.
    fn clean_up(&self, left: &Leftover) -> Res<bool> {
        let Some(shape) = self.state(left.table).shape.read().clone() else {
            return Ok(true);
        };
        match left.why {
            Why::Value => self.remove_chunks(&shape, left.from.0),
            Why::Insert | Why::Delete | Why::Rekey => {
                self.clean_row(&shape, left.from).map(|_| true)
            }
        }
    }

    /// Drop what nobody can see of a row, and the whole row if that is all; a row that is written again anyway is marked when
    /// everybody sees it. True: it has changed.
    pub(super) fn clean_row(&self, shape: &Shape, id: RowId) -> Res<bool> {
        let mut mtr = self.volume.begin_bulk()?;
        let Some(mut cell) = self.cell(&mtr, shape, id)? else {
            return Ok(false);
        };
        let horizon = self.txns.horizon();
        let mut prune = Prune::of(&self.txns, &cell, horizon)?;
        if !prune.is_due() {
            return Ok(false);
        }
        let gone = |prune: &Prune| prune.keep == 0 || prune.dead;
        let mut histories: Vec<External> = Vec::new();
        // Versions that were moved out and go have to be looked at for their keys and values.
        while has_history(&cell, &prune)? {
            histories.extend(pointers(&cell)?);
            cell = self.with_history(shape, &cell)?;
            prune = Prune::of(&self.txns, &cell, horizon)?;
        }
        let all = if gone(&prune) {
            Prune {
                skip: prune.all,
                keep: 0,
                ..prune
            }
        } else {
            prune
        };
        let orphans = match is_rekeyed(&cell)? || gone(&prune) {
            true => self.orphans(&mut mtr, shape, id, &cell, &all, None)?,
            false => Vec::new(),
        };
        let (mut dropped, kept) = split_values(shape, &cell, &all)?;
        dropped.extend(histories);
        let rows = shape.rows();
        let key = id.0.to_be_bytes();
        if gone(&prune) {
            let spot = rows.prepare_remove(&mut mtr, &key)?;
            rows.remove(&mut mtr, &spot, &key)?;
        } else {
            let new = rebuilt(id, &cell, &prune)?;
            // Never longer than what is on the page, but for versions that came back from the overflow tree.
            let on_page = self.cell(&mtr, shape, id)?.map_or(0, |c| c.len());
            let spot = rows.prepare(&mut mtr, &key, new.len().saturating_sub(on_page))?;
            rows.replace_cell(&mut mtr, &spot, &key, &new)?;
        }
        for orphan in &orphans {
            orphan.tree.remove(&mut mtr, &orphan.spot, &orphan.key)?;
        }
        mtr.commit();
        // Of a deleted row the versions before the deletion counted, of an aborted one each.
        let pruned = prune.all - prune.keep.max(usize::from(prune.dead));
        self.txns.leftovers.pruned(shape.def.root, pruned as u64);
        self.drop_values(shape, &dropped, &kept);
        Ok(true)
    }
}

/// Do the versions of a cell have different index keys?
pub(super) fn is_rekeyed(cell: &[u8]) -> Res<bool> {
    versions(cell).try_fold(false, |found, v| v.map(|v| found || v.flags & REKEYED != 0))
}

/// The values that hold a cell's old versions.
fn pointers(cell: &[u8]) -> Res<Vec<External>> {
    let mut out = Vec::new();
    for version in versions(cell) {
        let version = version?;
        if version.flags & HISTORY != 0 {
            out.push(External::get(version.payload)?);
        }
    }
    Ok(out)
}

/// Does some version have moved-out values, or is one itself?
fn has_values(cell: &[u8]) -> Res<bool> {
    for version in versions(cell) {
        if version?.flags & (HISTORY | EXTERNAL) != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Do versions that go include moved-out ones?
pub(super) fn has_history(cell: &[u8], prune: &Prune) -> Res<bool> {
    let all_go = prune.keep == 0 || prune.dead;
    for (index, version) in versions(cell).enumerate() {
        if version?.flags & HISTORY != 0 && (all_go || !prune.keeps(index)) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn split_values(
    shape: &Shape,
    cell: &[u8],
    prune: &Prune,
) -> Res<(Vec<External>, Vec<External>)> {
    let (mut dropped, mut kept) = (Vec::new(), Vec::new());
    for (index, version) in versions(cell).enumerate() {
        let version = version?;
        let list = if prune.keeps(index) {
            &mut kept
        } else {
            &mut dropped
        };
        if version.flags & HISTORY != 0 {
            list.push(External::get(version.payload)?);
        } else if version.flags & EXTERNAL != 0 {
            list.extend(
                externals(&shape.layout, version.payload)?
                    .into_iter()
                    .map(|(_, e)| e),
            );
        }
    }
    Ok((dropped, kept))
}

/// The versions that stay; the oldest one is marked if everybody sees it.
pub(super) fn rebuilt(id: RowId, cell: &[u8], prune: &Prune) -> Res<Vec<u8>> {
    let mut out = as_cell(id, &[]);
    for (index, version) in versions(cell).enumerate() {
        let version = version?;
        if !prune.keeps(index) {
            continue;
        }
        if prune.freezable && index + 1 == prune.skip + prune.keep {
            let flags = (version.flags | FROZEN) & !REKEYED;
            version::put(&mut out, flags, Xid::FROZEN, 0, version.payload);
        } else {
            out.extend_from_slice(cell.get(version.start..version.end).unwrap_or(&[]));
        }
    }
    debug_assert!(out.len() > KEY_SIZE);
    Ok(out)
}

/// VACUUM of one table, in slices: rows, then index entries if wanted (an entry goes with its version: one without any is damage),
/// then moved-out values.
pub struct VacuumTable {
    core: Arc<Core>,
    shape: Arc<Shape>,
    indexes: bool,
    stage: Stage,
    /// Snapshots at or above it have been used by nobody below it since this began.
    horizon: Lsn,
    live: u64,
    dead: u64,
    /// Where the stage goes on.
    next: Vec<u8>,
    /// Values that some row points to; those at or above `values_end` are too new to be judged.
    used: AHashSet<u64>,
    values_end: u64,
    /// Rows, entries and values removed or changed.
    pub cleaned: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Rows,
    Index(usize),
    Values,
    Done,
}

impl VacuumTable {
    pub(super) fn new(core: &Arc<Core>, shape: Arc<Shape>, indexes: bool) -> Res<VacuumTable> {
        let state = core.writing(&shape);
        let values_end = core.values_end(&shape, &state)?;
        let values_end = core
            .moving
            .lowest(shape.def.root)
            .map_or(values_end, |id| id.min(values_end));
        Ok(VacuumTable {
            core: Arc::clone(core),
            horizon: core.txns.horizon(),
            shape,
            indexes,
            stage: Stage::Rows,
            live: 0,
            dead: 0,
            next: Vec::new(),
            used: AHashSet::new(),
            values_end,
            cleaned: 0,
        })
    }

    /// Do some of it; true when all is done.
    pub fn step(&mut self) -> Res<bool> {
        let end = match self.stage {
            Stage::Rows => self.rows()?,
            Stage::Index(place) => self.entries(place)?,
            Stage::Values => self.values()?,
            Stage::Done => return Ok(true),
        };
        if end {
            self.next.clear();
            self.stage = match self.stage {
                Stage::Rows => {
                    let leftovers = &self.core.txns.leftovers;
                    leftovers.vacuumed(self.shape.def.root, self.horizon, self.live, self.dead);
                    match self.indexes && !self.shape.def.indexes.is_empty() {
                        true => Stage::Index(0),
                        false => Stage::Values,
                    }
                }
                Stage::Index(place) if place + 1 < self.shape.def.indexes.len() => {
                    Stage::Index(place + 1)
                }
                Stage::Index(_) => Stage::Values,
                Stage::Values | Stage::Done => Stage::Done,
            };
        }
        Ok(self.stage == Stage::Done)
    }

    fn cursor(&self, tree: Tree) -> Res<Cursor> {
        let mut cursor = Cursor::new(tree).with_read_ahead(64);
        cursor.seek(&*self.core.volume, &self.next)?;
        Ok(cursor)
    }

    fn rows(&mut self) -> Res<bool> {
        let mut cursor = self.cursor(self.shape.rows())?;
        for _ in 0..SLICE {
            let Some((page, slot)) = cursor.next(&*self.core.volume)? else {
                return Ok(true);
            };
            let cell = page.cell(slot)?;
            let id = version::row_id(cell)?;
            let txns = &self.core.txns;
            let prune = Prune::of(txns, cell, self.horizon)?;
            if prune.is_due() {
                let all = RowId(u64::MAX);
                if let Some((_, count)) = self.core.clean_leaf(&self.shape, id, all)? {
                    // Those that stay are still to be counted.
                    self.cleaned += count as u64;
                    self.next = id.0.to_be_bytes().to_vec();
                    return Ok(false);
                }
                if self.core.clean_row(&self.shape, id)? {
                    self.cleaned += 1;
                }
                // As it stands now: what the cleaning left.
                if let Some(cell) = self.core.cell(&*self.core.volume, &self.shape, id)? {
                    let left = Prune::of(&self.core.txns, &cell, self.horizon)?;
                    self.note_values(&cell)?;
                    self.count(&left);
                }
            } else {
                if has_values(cell)? {
                    let cell = cell.to_vec();
                    self.note_values(&cell)?;
                }
                self.count(&prune);
            }
            self.next.clear();
            self.next.extend_from_slice(&(id.0 + 1).to_be_bytes());
        }
        Ok(false)
    }

    fn count(&mut self, left: &Prune) {
        self.live += 1;
        self.dead += left.all.saturating_sub(1) as u64;
    }

    fn note_values(&mut self, cell: &[u8]) -> Res<()> {
        let mut cell = cell.to_vec();
        loop {
            let mut history = false;
            for version in versions(&cell) {
                let version = version?;
                if version.flags & HISTORY != 0 {
                    history = true;
                    self.used.insert(External::get(version.payload)?.id);
                } else if version.flags & EXTERNAL != 0 {
                    self.used.extend(
                        externals(&self.shape.layout, version.payload)?
                            .iter()
                            .map(|(_, e)| e.id),
                    );
                }
            }
            if !history {
                return Ok(());
            }
            cell = self.core.with_history(&self.shape, &cell)?;
        }
    }

    /// Entries whose row has no version with their key.
    fn entries(&mut self, place: usize) -> Res<bool> {
        let Some(index) = self.shape.def.indexes.get(place).cloned() else {
            return Ok(true);
        };
        let mut cursor = self.cursor(Tree { root: index.root })?;
        for _ in 0..SLICE {
            let Some((page, slot)) = cursor.next(&*self.core.volume)? else {
                return Ok(true);
            };
            let entry = key_of(page, slot)?.to_vec();
            let (key, id) = super::keys::split(&entry)?;
            if !self.holds(place, key, id)? {
                let mut mtr = self.core.volume.begin_bulk()?;
                // Looked at again where nobody can write: it may have come to life.
                if !self.holds(place, key, id)? {
                    if let Some(gone) = self.core.prepare_removal(&mut mtr, &index, key, id)? {
                        gone.tree.remove(&mut mtr, &gone.spot, &gone.key)?;
                        self.cleaned += 1;
                    }
                }
                mtr.commit();
            }
            self.next = entry;
            self.next.push(0);
        }
        Ok(false)
    }

    fn holds(&self, place: usize, key: &[u8], id: RowId) -> Res<bool> {
        let Some(mut cell) = self.core.cell(&*self.core.volume, &self.shape, id)? else {
            return Ok(false);
        };
        loop {
            let mut history = false;
            for version in versions(&cell) {
                let version = version?;
                if version.flags & HISTORY != 0 {
                    history = true;
                } else if self.core.matches(&self.shape, place, key, &version)? {
                    return Ok(true);
                }
            }
            if !history {
                return Ok(false);
            }
            cell = self.core.with_history(&self.shape, &cell)?;
        }
    }

    fn values(&mut self) -> Res<bool> {
        let mut cursor = self.cursor(self.shape.values())?;
        for _ in 0..SLICE {
            let Some((page, slot)) = cursor.next(&*self.core.volume)? else {
                return Ok(true);
            };
            let Some(head) = key_of(page, slot)?.first_chunk::<8>() else {
                return Ok(true);
            };
            let id = u64::from_be_bytes(*head);
            if id >= self.values_end {
                return Ok(true);
            }
            if !self.used.contains(&id) {
                while !self.core.remove_chunks(&self.shape, id)? {}
                self.cleaned += 1;
            }
            self.next = (id + 1).to_be_bytes().to_vec();
            cursor.seek(&*self.core.volume, &self.next)?;
        }
        Ok(false)
    }
}
