//! Filling a new index from its table's rows: read, sort, and write whole pages.

use super::core::{Core, Shape};
use super::entries::{Sorted, Sorter, STEP};
use super::keys;
use super::reader::Reader;
use super::unique::{exempt, has_null, Entry, Equal};
use crate::base::error::corrupt;
use crate::base::{Res, RowId, Xid};
use crate::btree::{Cursor, NewCell, Tree};
use crate::exec::access::{IndexDef, View};
use crate::exec::batch::Batch;
use crate::redo::version::{self, versions, Version, EXTERNAL, HISTORY};
use crate::store::Mtr;
use crate::txn::Status;
use crate::types::Datum;
use std::sync::Arc;

/// Bytes of entries in one mini-transaction, when they go behind those there are.
const CHUNK_BYTES: usize = 128 << 10;
/// Entries in one mini-transaction, when they go among others.
const BATCH: usize = 50;

/// Fills an empty index tree with the entries of all rows.
pub struct BuildIndex {
    core: Arc<Core>,
    shape: Arc<Shape>,
    place: usize,
    index: IndexDef,
    /// The index's columns.
    reader: Reader,
    view: View,
    /// The next row to read; `None`: all are read.
    next: Option<RowId>,
    /// A transaction that has not aborted.
    alive: Xid,
    sorter: Sorter,
    /// All entries of the rows have been read.
    ended: bool,
    /// Some entries, in order.
    sorted: Sorted,
    /// Entries of `sorted` that are in the tree.
    written: usize,
    pub rows: u64,
}

impl BuildIndex {
    pub(super) fn new(
        core: &Arc<Core>,
        view: &View,
        shape: Arc<Shape>,
        place: usize,
        sorter: Sorter,
    ) -> Res<BuildIndex> {
        let Some(index) = shape.def.indexes.get(place).cloned() else {
            return corrupt(format!("table {} has no index {place}", shape.def.name));
        };
        let columns: Vec<usize> = index.keys.iter().map(|k| k.column).collect();
        Ok(BuildIndex {
            core: Arc::clone(core),
            reader: Reader::new(&shape.layout, &shape.def.columns, &columns)?,
            shape,
            place,
            index,
            view: view.clone(),
            next: Some(RowId(0)),
            alive: Xid::FROZEN,
            sorter,
            ended: false,
            sorted: Sorted::default(),
            written: 0,
            rows: 0,
        })
    }

    /// Do some of it; true when the index is whole.
    pub fn step(&mut self) -> Res<bool> {
        if self.next.is_some() {
            self.read()?;
            return Ok(false);
        }
        if !self.ended {
            self.sorter.end()?;
            self.ended = true;
        }
        if self.written < self.sorted.items.len() {
            if !self.append()? {
                self.insert()?;
            }
            return Ok(false);
        }
        // What comes is compared with the last of those before.
        self.written = match self.index.unique {
            true => self.sorted.keep_last_key(),
            false => {
                self.sorted = Sorted::default();
                0
            }
        };
        self.sorter.give(&mut self.sorted)?;
        Ok(self.written == self.sorted.items.len())
    }

    fn read(&mut self) -> Res<()> {
        let Some(next) = self.next else { return Ok(()) };
        let (_, rows) = self.core.size(self.shape.def.root)?;
        self.sorter.settle(rows + rows / 8)?;
        let volume = Arc::clone(&self.core.volume);
        let mut cursor = Cursor::new(self.shape.rows()).with_read_ahead(64);
        cursor.seek(&*volume, &next.0.to_be_bytes())?;
        let types: Vec<_> = self.index.keys.iter().map(|k| k.typ).collect();
        let mut batch = Batch::of_types(&types, STEP);
        let mut ids = Vec::with_capacity(STEP);
        let read = self.read_rows(&mut cursor, &mut batch, &mut ids);
        // What was read before a wait counts.
        batch.len = ids.len();
        self.take_in(&batch, &ids)?;
        if !read? {
            self.next = None;
        }
        Ok(())
    }

    /// Some rows: plain ones to `batch`, others' entries to `sorted`. False at the table's end.
    fn read_rows(
        &mut self,
        cursor: &mut Cursor,
        batch: &mut Batch,
        ids: &mut Vec<RowId>,
    ) -> Res<bool> {
        let volume = Arc::clone(&self.core.volume);
        for _ in 0..STEP {
            let Some((page, slot)) = cursor.next(&*volume)? else {
                return Ok(false);
            };
            let cell = page.cell(slot)?;
            let id = version::row_id(cell)?;
            match self.only_version(cell)? {
                Some(version) => {
                    self.reader.push(version.payload, batch)?;
                    ids.push(id);
                    self.rows += 1;
                }
                None => {
                    let entries = self.entries(id, cell.to_vec())?;
                    self.rows += u64::from(!entries.is_empty());
                    for (entry, unique) in entries {
                        let (key, id) = keys::split(&entry)?;
                        self.sorter.sorted.push(key, id, unique);
                    }
                }
            }
            self.next = Some(RowId(id.0 + 1));
        }
        Ok(true)
    }

    /// The cell's version when it is the only one and can be read where it stands.
    fn only_version<'c>(&mut self, cell: &'c [u8]) -> Res<Option<Version<'c>>> {
        let mut all = versions(cell);
        let (Some(first), None) = (all.next(), all.next()) else {
            return Ok(None);
        };
        let version = first?;
        if version.is_deleted() || version.flags & (HISTORY | EXTERNAL) != 0 {
            return Ok(None);
        }
        if !version.is_frozen() && version.xid != self.alive {
            if self.core.txns.status(version.xid)? == Status::Aborted {
                return Ok(None);
            }
            self.alive = version.xid;
        }
        Ok(Some(version))
    }

    fn take_in(&mut self, batch: &Batch, ids: &[RowId]) -> Res<()> {
        let mut key = Vec::with_capacity(64);
        for (at, id) in ids.iter().enumerate() {
            key.clear();
            let mut null = false;
            for (part, column) in self.index.keys.iter().zip(&batch.columns) {
                let value = column.datum(at);
                null |= value.is_null();
                keys::put(part, &value, &mut key)?;
            }
            keys::check_size(&self.index, &self.shape.def, &key)?;
            self.sorter
                .sorted
                .push(&key, *id, !exempt(&self.index, null));
        }
        Ok(())
    }

    /// Entries for every version that may still be seen, and whether each is of the living row and must be unique.
    fn entries(&self, id: RowId, mut cell: Vec<u8>) -> Res<Vec<(Vec<u8>, bool)>> {
        let mut out: Vec<(Vec<u8>, bool)> = Vec::new();
        let index = &self.index;
        loop {
            let mut newest = true;
            let mut history = false;
            out.clear();
            for version in versions(&cell) {
                let version = version?;
                if version.flags & HISTORY != 0 {
                    history = true;
                    continue;
                }
                if !version.is_frozen() && self.core.txns.status(version.xid)? == Status::Aborted {
                    continue;
                }
                if !version.is_deleted() {
                    let values = self.core.decode(&self.shape, &self.shape.keys, &version)?;
                    let value =
                        |c: usize| values.get(self.shape.key_columns.binary_search(&c).ok()?);
                    let null = has_null(index, value);
                    let key = self.shape.key(index, &values)?;
                    keys::check_size(index, &self.shape.def, &key)?;
                    let entry = keys::entry(&key, id);
                    if !out.iter().any(|(known, _)| *known == entry) {
                        out.push((entry, newest && !exempt(index, null)));
                    }
                }
                newest = false;
            }
            if !history {
                return Ok(out);
            }
            cell = self.core.with_history(&self.shape, &cell)?;
        }
    }

    /// One mini-transaction of entries behind all others. False: they don't belong there.
    fn append(&mut self) -> Res<bool> {
        let mut cells: Vec<NewCell> = Vec::new();
        let mut bytes = 0;
        let mut mtr = self.core.volume.begin_bulk()?;
        for (at, item) in self.sorted.items.iter().enumerate().skip(self.written) {
            if bytes >= CHUNK_BYTES {
                break;
            }
            if item.unique {
                self.check_neighbours(&mtr, at)?;
            }
            let (key, cell) = (self.sorted.entry(item), self.sorted.cell(item));
            bytes += cell.len();
            cells.push(NewCell { key, bytes: cell });
        }
        let above = match self.sorted.items.get(self.written) {
            // The tree may have the key only if this build has just put it there, and then it was compared.
            Some(item) if item.unique && !self.sorted.continues(self.written) => {
                self.sorted.key(item)
            }
            Some(item) => self.sorted.entry(item),
            None => return Ok(true),
        };
        let tree = Tree {
            root: self.index.root,
        };
        let Some(plan) = tree.prepare_append(&mut mtr, above, &cells)? else {
            return Ok(false);
        };
        tree.append(&mut mtr, &plan, &cells)?;
        mtr.commit();
        self.written += cells.len();
        Ok(true)
    }

    /// The rows of the entries before this one that have its key must not count.
    fn check_neighbours(&self, mtr: &Mtr<'_>, at: usize) -> Res<()> {
        let mut other = at;
        while self.sorted.continues(other) {
            other -= 1;
            let (Some(item), Some(own)) = (self.sorted.items.get(other), self.sorted.items.get(at))
            else {
                return Ok(());
            };
            let (key, row) = keys::split(self.sorted.entry(item))?;
            let (_, id) = keys::split(self.sorted.entry(own))?;
            self.check_row(mtr, key, id, row)?;
        }
        Ok(())
    }

    /// One mini-transaction of entries among others. Equal keys don't share one, so that each finds the other in the tree.
    fn insert(&mut self) -> Res<()> {
        let index = self.index.clone();
        let mut mtr = self.core.volume.begin_bulk()?;
        let mut prepared: Vec<Entry> = Vec::new();
        let mut before: Vec<u8> = Vec::new();
        let mut end = self.written;
        for item in self.sorted.items.iter().skip(self.written).take(BATCH) {
            let (key, id) = keys::split(self.sorted.entry(item))?;
            if index.unique && key == before && !prepared.is_empty() {
                break;
            }
            if item.unique {
                self.check(&mut mtr, key, id)?;
            }
            let entry = self
                .core
                .prepare_entry(&mut mtr, &self.shape, &index, key, id)?;
            if !entry.spot.found {
                prepared.push(entry);
            }
            before = key.to_vec();
            end += 1;
        }
        for entry in &prepared {
            entry.tree.insert(&mut mtr, &entry.spot, &entry.key, &[])?;
        }
        mtr.commit();
        self.written = end;
        Ok(())
    }

    fn check(&self, mtr: &mut Mtr<'_>, key: &[u8], id: RowId) -> Res<()> {
        let tree = Tree {
            root: self.index.root,
        };
        let spot = tree.prepare(mtr, &keys::entry(key, id), 0)?;
        for other in self.core.equal_rows(mtr, tree, &spot, key)? {
            if other != id {
                self.check_row(mtr, key, id, other)?;
            }
        }
        Ok(())
    }

    /// Row `other` must not count as one with the key of row `id`.
    fn check_row(&self, mtr: &Mtr<'_>, key: &[u8], id: RowId, other: RowId) -> Res<()> {
        if other == id {
            return Ok(());
        }
        match self
            .core
            .equal(mtr, &self.shape, self.place, key, other, &self.view)?
        {
            Equal::Clear => Ok(()),
            Equal::Busy { xid, session } => {
                self.core
                    .txns
                    .wait_for(self.view.session, xid, session, false)
            }
            Equal::Live { .. } => self.duplicate(mtr, id),
        }
    }

    fn duplicate(&self, mtr: &Mtr<'_>, id: RowId) -> Res<()> {
        let row = self.core.cell(mtr, &self.shape, id)?;
        let mut values: Vec<Datum> = Vec::new();
        for version in versions(&row.unwrap_or_default()) {
            let version = version?;
            if !version.is_deleted() && version.flags & HISTORY == 0 {
                values = self.core.decode(&self.shape, &self.shape.all, &version)?;
                break;
            }
        }
        Err(keys::duplicate(
            &self.shape.def,
            &self.index,
            |c| values.get(c),
            true,
        ))
    }
}
