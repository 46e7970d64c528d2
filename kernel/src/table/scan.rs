//! Reading: rows in row-id order, rows in an index's order, one row by its id.

use super::core::{Core, Shape};
use super::keys;
use super::reader::Reader;
use super::visible::{Eyes, Seen};
use crate::base::{Need, PageNo, Res, RowId, Stop};
use crate::btree::{key_of, search, Cursor as Walk, Leaf, Tree};
use crate::exec::access::{Bounds, Cursor, TableDef, View};
use crate::exec::batch::{Batch, Vector};
use crate::page::PageRef;
use crate::redo::version::{self, Version, EXTERNAL};
use crate::store::Pages;
use crate::types::Datum;
use std::sync::Arc;

/// Leaves asked for together when a scan misses one.
const AHEAD: usize = 128;

/// Make `out` fit `width` columns and the row id, if it has no columns yet.
fn shape_batch(out: &mut Batch, table: &TableDef, columns: &[usize], max: usize) {
    if !out.columns.is_empty() {
        return;
    }
    for column in columns {
        let typ = table
            .columns
            .get(*column)
            .map_or_else(Default::default, |c| c.typ);
        out.columns.push(Vector::of_type(typ, max));
    }
    out.columns
        .push(Vector::Int(Vec::with_capacity(max), Vec::new()));
}

/// Append a row that is held as values.
fn push_values(out: &mut Batch, row: Vec<Datum>) {
    for (value, vector) in row.into_iter().zip(&mut out.columns) {
        vector.push(value);
    }
}

/// After a row that could not be finished: all columns as long as the batch again.
fn even(out: &mut Batch) {
    let len = out.len;
    for vector in &mut out.columns {
        if vector.len() > len {
            vector.truncate(len);
        }
    }
}

/// Run `fill`; rows that it appended before it had to wait are given out first.
fn give(out: &mut Batch, fill: impl FnOnce(&mut Batch) -> Res<bool>) -> Res<bool> {
    let before = out.len;
    match fill(out) {
        Ok(more) => Ok(more),
        Err(stop) => {
            even(out);
            if matches!(stop, Stop::Need(_)) && out.len > before {
                return Ok(true);
            }
            Err(stop)
        }
    }
}

struct What {
    core: Arc<Core>,
    shape: Arc<Shape>,
    columns: Vec<usize>,
    reader: Reader,
}

impl What {
    fn new(core: &Arc<Core>, table: &Arc<TableDef>, columns: &[usize]) -> Res<What> {
        let shape = core.shape(table)?;
        Ok(What {
            reader: Reader::new(&shape.layout, &table.columns, columns)?,
            core: Arc::clone(core),
            shape,
            columns: columns.to_vec(),
        })
    }

    /// Append a version's columns and its row id.
    #[inline]
    fn push(&self, version: &Version<'_>, row: RowId, out: &mut Batch) -> Res<()> {
        if version.flags & EXTERNAL == 0 {
            self.reader.push(version.payload, out)?;
        } else {
            push_values(out, self.core.decode(&self.shape, &self.reader, version)?);
        }
        if let Some(ids) = out.columns.get_mut(self.columns.len()) {
            ids.push_int(row.0 as i64);
        }
        out.len += 1;
        Ok(())
    }
}

struct Scan {
    what: What,
    eyes: Eyes,
    walk: Walk,
    leaf: Option<Leaf>,
    started: bool,
    low: Vec<u8>,
    high: Option<Vec<u8>>,
}

impl Cursor for Scan {
    fn next(&mut self, max: usize, out: &mut Batch) -> Res<bool> {
        shape_batch(out, &self.what.shape.def, &self.what.columns, max);
        give(out, |out| self.fill(max, out))
    }
}

impl Scan {
    fn fill(&mut self, max: usize, out: &mut Batch) -> Res<bool> {
        let volume = Arc::clone(&self.what.core.volume);
        if !self.started {
            self.walk.seek(&*volume, &self.low)?;
            self.started = true;
        }
        if self.walk.place().is_none() {
            return Ok(false); // it has been at the end
        }
        let end = out.len + max;
        loop {
            if let Some(leaf) = &mut self.leaf {
                while leaf.from < leaf.to {
                    if out.len >= end {
                        return Ok(true);
                    }
                    let cell = leaf.page.cell(leaf.from)?;
                    let row = version::row_id(cell)?;
                    if self
                        .high
                        .as_deref()
                        .is_some_and(|high| row.0.to_be_bytes().as_slice() >= high)
                    {
                        self.leaf = None;
                        self.walk.leave();
                        return Ok(false);
                    }
                    match self.eyes.see(&self.what.core.txns, cell)? {
                        Seen::Nothing => {}
                        Seen::Row(version) => self.what.push(&version, row, out)?,
                        Seen::History => {
                            let What { core, shape, .. } = &self.what;
                            core.see(shape, &mut self.eyes, cell, |v| self.what.push(v, row, out))?;
                        }
                    }
                    leaf.from += 1;
                }
                self.leaf = None;
            }
            if out.len >= end {
                return Ok(true);
            }
            match self.walk.next_leaf(&*volume)? {
                Some(leaf) => self.leaf = Some(leaf),
                None => {
                    self.walk.leave();
                    return Ok(false);
                }
            }
        }
    }
}

struct IndexScan {
    what: What,
    eyes: Eyes,
    walk: Walk,
    range: keys::Range,
    index: usize,
    /// The columns of the index, to see whether an entry still holds.
    key: Reader,
    key_columns: Vec<usize>,
    backward: bool,
    started: bool,
    /// An entry that has been stepped over and whose row is still to be looked at.
    entry: Option<Vec<u8>>,
    /// The leaf of the last row: the next one is often on it.
    leaf: Option<PageRef>,
    /// Leaves of rows to ask for at once when one is missing.
    ahead: usize,
    done: bool,
}

impl Cursor for IndexScan {
    fn next(&mut self, max: usize, out: &mut Batch) -> Res<bool> {
        shape_batch(out, &self.what.shape.def, &self.what.columns, max);
        give(out, |out| self.fill(max, out))
    }
}

impl IndexScan {
    fn fill(&mut self, max: usize, out: &mut Batch) -> Res<bool> {
        let end = out.len + max;
        if !self.started {
            self.start()?;
        }
        while out.len < end {
            if self.entry.is_none() && !self.step()? {
                return Ok(false);
            }
            let Some(entry) = self.entry.take() else {
                return Ok(false);
            };
            if let Err(stop) = self.row(&entry, out) {
                self.entry = Some(entry);
                return Err(match stop {
                    Stop::Need(Need::Page(no)) => self.with_rows_ahead(no)?.into(),
                    stop => stop,
                });
            }
        }
        Ok(!self.done)
    }

    fn start(&mut self) -> Res<()> {
        let volume = &*self.what.core.volume;
        match (self.backward, &self.range.high) {
            (false, _) => self.walk.seek(volume, &self.range.low)?,
            (true, Some(high)) => self.walk.seek(volume, high)?,
            (true, None) => self.walk.seek_last(volume)?,
        }
        self.started = true;
        Ok(())
    }

    /// To the next entry of the range; false at its end.
    fn step(&mut self) -> Res<bool> {
        if self.done {
            return Ok(false);
        }
        let volume = &*self.what.core.volume;
        let found = if self.backward {
            self.walk.prev(volume)?
        } else {
            self.walk.next(volume)?
        };
        if let Some((page, slot)) = found {
            let key = key_of(page, slot)?;
            if is_inside(&self.range, self.backward, key) {
                self.entry = Some(key.to_vec());
                return Ok(true);
            }
        }
        self.done = true;
        // A page that nobody holds is changed in place: what a statement has found is often what it changes next.
        self.leaf = None;
        self.walk.leave();
        Ok(false)
    }

    /// What to ask for when page `no` is missing: also leaves with rows of the entries that come next, more with every miss.
    fn with_rows_ahead(&mut self, no: PageNo) -> Res<Need> {
        let most = self.ahead;
        self.ahead = (most * 4).min(AHEAD);
        let Some((leaf, slot)) = self.walk.place() else {
            return Ok(Need::Page(no));
        };
        let next: Box<dyn Iterator<Item = usize>> = match self.backward {
            true => Box::new((0..slot).rev()),
            false => Box::new(slot..leaf.count()),
        };
        let keys = next.map(|slot| key_of(leaf, slot));
        let inside = |key: &Res<&[u8]>| match key {
            Ok(key) => is_inside(&self.range, self.backward, key),
            Err(_) => true,
        };
        let rows = keys.take_while(inside).map(|key| Ok(keys::split(key?)?.1));
        let root = self.what.shape.def.root;
        self.what.core.with_rows_ahead(root, no, rows, most)
    }

    /// Append the entry's row, if the view sees it with this key.
    fn row(&mut self, entry: &[u8], out: &mut Batch) -> Res<()> {
        let (key, id) = keys::split(entry)?;
        let Some((page, slot)) = self.find(id)? else {
            return Ok(());
        };
        let cell = page.cell(slot)?;
        let IndexScan {
            what,
            eyes,
            key: reader,
            key_columns,
            index,
            ..
        } = self;
        let Some(index) = what.shape.def.indexes.get(*index) else {
            return Ok(());
        };
        what.core.see(&what.shape, eyes, cell, |version| {
            let values = what.core.decode(&what.shape, reader, version)?;
            let mut now = Vec::with_capacity(key.len());
            let value = |column: usize| values.get(key_columns.iter().position(|c| *c == column)?);
            keys::of_row(index, value, &mut now)?;
            if now == key {
                what.push(version, id, out)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn find(&mut self, id: RowId) -> Res<Option<(PageRef, usize)>> {
        let key = id.0.to_be_bytes();
        if let Some(page) = &self.leaf {
            // The leaf as it was when the scan got there shows all that its view sees.
            if let Ok(slot) = search(page, &key)? {
                return Ok(Some((Arc::clone(page), slot)));
            }
        }
        let found = self.what.shape.rows().get(&*self.what.core.volume, &key)?;
        if let Some((page, _)) = &found {
            self.leaf = Some(Arc::clone(page));
        }
        Ok(found)
    }
}

/// Does a range go on at this key, seen from its other end?
fn is_inside(range: &keys::Range, backward: bool, key: &[u8]) -> bool {
    match backward {
        true => key >= range.low.as_slice(),
        false => range.high.as_deref().is_none_or(|high| key < high),
    }
}

pub(super) fn scan(
    core: &Arc<Core>,
    view: &View,
    table: &Arc<TableDef>,
    columns: &[usize],
    part: usize,
    parts: usize,
) -> Res<Box<dyn Cursor>> {
    let what = What::new(core, table, columns)?;
    let tree = what.shape.rows();
    let cuts = if parts > 1 {
        tree.cuts(&*core.volume, parts)?
    } else {
        Vec::new()
    };
    // With fewer cuts than asked for, the last parts are empty.
    let low = match part {
        0 => Vec::new(),
        part => cuts.get(part - 1).cloned().unwrap_or_else(|| vec![0xff; 9]),
    };
    Ok(Box::new(Scan {
        what,
        eyes: Eyes::new(view),
        walk: Walk::new(tree).with_read_ahead(AHEAD),
        leaf: None,
        started: false,
        low,
        high: cuts.get(part).cloned(),
    }))
}

pub(super) fn index_scan(
    core: &Arc<Core>,
    view: &View,
    table: &Arc<TableDef>,
    index: usize,
    bounds: &Bounds,
    backward: bool,
    columns: &[usize],
) -> Res<Box<dyn Cursor>> {
    let what = What::new(core, table, columns)?;
    let Some(def) = table.indexes.get(index) else {
        return crate::base::error::corrupt(format!("table {} has no index {index}", table.name));
    };
    let key_columns: Vec<usize> = def.keys.iter().map(|k| k.column).collect();
    Ok(Box::new(IndexScan {
        key: Reader::new(&what.shape.layout, &table.columns, &key_columns)?,
        key_columns,
        range: keys::range(def, bounds)?,
        walk: Walk::new(Tree { root: def.root }).with_read_ahead(AHEAD),
        what,
        eyes: Eyes::new(view),
        index,
        backward,
        started: false,
        entry: None,
        leaf: None,
        ahead: 1,
        done: false,
    }))
}

impl Core {
    /// Page `no` is missing: ask for it, and for leaves with `rows`, which come next; not for more than `most` pages, nor for so many that
    /// they drive each other from the cache.
    pub(super) fn with_rows_ahead(
        &self,
        root: PageNo,
        no: PageNo,
        rows: impl Iterator<Item = Res<RowId>>,
        most: usize,
    ) -> Res<Need> {
        let volume = &*self.volume;
        let most = most.min(AHEAD).min(volume.cache_size().1 / 8);
        let mut list = vec![no];
        let mut last = no;
        for row in rows {
            if list.len() >= most {
                break;
            }
            match (Tree { root }).leaf_of(volume, &row?.0.to_be_bytes()) {
                Ok(leaf) if leaf == last => {}
                Ok(leaf) => {
                    last = leaf;
                    if !list.contains(&leaf) {
                        list.extend(volume.absent(&[leaf]));
                    }
                }
                // A branch is missing: enough is known.
                Err(Stop::Need(_)) => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(match list.as_slice() {
            [_] => Need::Page(no),
            _ => Need::Pages(list),
        })
    }

    pub(super) fn fetch(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: RowId,
        columns: &[usize],
    ) -> Res<Option<Vec<Datum>>> {
        let shape = self.shape(table)?;
        let Some((page, slot)) = shape.rows().get(&*self.volume, &row.0.to_be_bytes())? else {
            return Ok(None);
        };
        let reader = Reader::new(&shape.layout, &table.columns, columns)?;
        let mut eyes = Eyes::new(view);
        self.see(&shape, &mut eyes, page.cell(slot)?, |version| {
            self.decode(&shape, &reader, version)
        })
    }

    pub(super) fn overflow_size(&self, table: &TableDef) -> Res<u64> {
        let root = table.overflow;
        Tree { root }.leaves(&*self.volume)
    }

    pub(super) fn size(&self, root: PageNo) -> Res<(u64, u64)> {
        Tree { root }.estimate(&*self.volume)
    }
}
