//! Making and dropping trees, and filling a new index from its table's rows.

use super::core::{Core, Shape};
use super::keys;
use super::unique::{exempt, has_null, Entry, Equal};
use crate::base::error::corrupt;
use crate::base::{PageNo, Res, RowId};
use crate::btree::{Cursor, Tree};
use crate::exec::access::{IndexDef, View};
use crate::page::{Kind, PageRef};
use crate::redo::version::{self, versions, HISTORY};
use crate::store::Volume;
use crate::txn::Status;
use crate::types::Datum;
use std::sync::Arc;

/// Entries sorted at once.
const SORT: usize = 2_000_000;
/// Rows read, or entries written, in one step.
const STEP: usize = 500;
/// Entries in one mini-transaction.
const BATCH: usize = 50;

impl Core {
    /// Trees of a new, empty table: (rows, overflow).
    pub fn create_table(&self) -> Res<(PageNo, PageNo)> {
        let mut mtr = self.volume.begin()?;
        mtr.reserve(2)?;
        let rows = Tree::create(&mut mtr, Kind::RowLeaf)?;
        let values = Tree::create(&mut mtr, Kind::Leaf)?;
        mtr.commit();
        // The pages may have belonged to a tree that is remembered.
        self.forget(rows.root);
        self.forget(values.root);
        Ok((rows.root, values.root))
    }

    pub fn create_index(&self) -> Res<PageNo> {
        let mut mtr = self.volume.begin()?;
        mtr.reserve(1)?;
        let tree = Tree::create(&mut mtr, Kind::Leaf)?;
        mtr.commit();
        self.forget(tree.root);
        Ok(tree.root)
    }
}

/// Gives a tree's pages back, children before their parents, so that what is left can always be found from the root.
pub struct DropTree {
    core: Arc<Core>,
    /// From the root down: a page, and its next child.
    stack: Vec<(PageNo, PageRef, usize)>,
    root: Option<PageNo>,
    pub freed: u64,
}

impl DropTree {
    pub(super) fn new(core: &Arc<Core>, root: PageNo) -> DropTree {
        core.forget(root);
        DropTree {
            core: Arc::clone(core),
            stack: Vec::new(),
            root: Some(root),
            freed: 0,
        }
    }

    /// Free some pages; true when all are free.
    pub fn step(&mut self) -> Res<bool> {
        let volume = Arc::clone(&self.core.volume);
        if let Some(root) = self.root {
            let page = volume.page(root)?;
            self.stack.push((root, page, 0));
            self.root = None;
        }
        let mut free: Vec<PageNo> = Vec::new();
        // What is gathered is freed before anything may wait: the walk can't be asked for it again.
        let walked = self.walk(&volume, &mut free);
        self.free(&volume, &mut free)?;
        walked?;
        Ok(self.stack.is_empty())
    }

    fn walk(&mut self, volume: &Volume, free: &mut Vec<PageNo>) -> Res<()> {
        while free.len() < BATCH {
            let Some((no, page, slot)) = self.stack.last_mut() else {
                return Ok(());
            };
            if page.level() == 0 || *slot >= page.count() {
                free.push(*no);
                self.stack.pop();
                continue;
            }
            let child = crate::btree::child(page, *slot)?;
            if page.level() == 1 {
                // Leaves need not be read to be freed.
                free.push(child);
                *slot += 1;
                continue;
            }
            let below = volume.page(child)?;
            *slot += 1;
            self.stack.push((child, below, 0));
        }
        Ok(())
    }

    fn free(&mut self, volume: &Volume, list: &mut Vec<PageNo>) -> Res<()> {
        let done = (|| {
            let mut mtr = volume.begin()?;
            for no in list.iter() {
                mtr.prepare_free(*no)?;
            }
            for no in list.iter() {
                mtr.free(*no)?;
            }
            mtr.commit();
            Ok(())
        })();
        match done {
            Ok(()) => {
                self.freed += list.len() as u64;
                Ok(())
            }
            Err(stop) => {
                // They come back as pages without children.
                let empty: PageRef = Arc::default();
                self.stack
                    .extend(list.drain(..).map(|no| (no, Arc::clone(&empty), 0)));
                Err(stop)
            }
        }
    }
}

/// Fills an empty index tree with the entries of all rows.
pub struct BuildIndex {
    core: Arc<Core>,
    shape: Arc<Shape>,
    place: usize,
    view: View,
    /// The next row to read; `None`: all are read.
    next: Option<RowId>,
    sorted: Vec<(Vec<u8>, bool)>,
    /// Entries of `sorted` that are in the tree.
    written: usize,
    sorting: bool,
    pub rows: u64,
}

impl BuildIndex {
    pub(super) fn new(
        core: &Arc<Core>,
        view: &View,
        shape: Arc<Shape>,
        place: usize,
    ) -> Res<BuildIndex> {
        if shape.def.indexes.get(place).is_none() {
            return corrupt(format!("table {} has no index {place}", shape.def.name));
        }
        Ok(BuildIndex {
            core: Arc::clone(core),
            shape,
            place,
            view: view.clone(),
            next: Some(RowId(0)),
            sorted: Vec::new(),
            written: 0,
            sorting: true,
            rows: 0,
        })
    }

    /// Do some of it; true when the index is whole.
    pub fn step(&mut self) -> Res<bool> {
        if self.sorting {
            self.read()?;
            if self.next.is_none() || self.sorted.len() >= SORT {
                self.sorted.sort_unstable();
                self.sorting = false;
                self.written = 0;
            }
            return Ok(false);
        }
        for _ in 0..STEP / BATCH {
            if self.written >= self.sorted.len() {
                break;
            }
            self.write()?;
        }
        if self.written < self.sorted.len() {
            return Ok(false);
        }
        self.sorted.clear();
        self.sorting = true;
        Ok(self.next.is_none())
    }

    fn read(&mut self) -> Res<()> {
        let Some(next) = self.next else { return Ok(()) };
        let volume = Arc::clone(&self.core.volume);
        let mut cursor = Cursor::new(self.shape.rows()).with_read_ahead(64);
        cursor.seek(&*volume, &next.0.to_be_bytes())?;
        for _ in 0..STEP {
            let Some((page, slot)) = cursor.next(&*volume)? else {
                self.next = None;
                return Ok(());
            };
            let cell = page.cell(slot)?;
            let id = version::row_id(cell)?;
            let entries = self.entries(id, cell.to_vec())?;
            self.rows += u64::from(!entries.is_empty());
            self.sorted.extend(entries);
            self.next = Some(RowId(id.0 + 1));
        }
        Ok(())
    }

    /// Entries for every version that may still be seen, and whether each is of the living row and must be unique.
    fn entries(&self, id: RowId, mut cell: Vec<u8>) -> Res<Vec<(Vec<u8>, bool)>> {
        let mut out: Vec<(Vec<u8>, bool)> = Vec::new();
        let Some(index) = self.shape.def.indexes.get(self.place) else {
            return Ok(out);
        };
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

    /// One mini-transaction of entries. Equal keys don't share one, so that each finds the other in the tree.
    fn write(&mut self) -> Res<()> {
        let Some(index) = self.shape.def.indexes.get(self.place).cloned() else {
            return Ok(());
        };
        let mut mtr = self.core.volume.begin()?;
        let mut prepared: Vec<Entry> = Vec::new();
        let mut before: Vec<u8> = Vec::new();
        let mut end = self.written;
        for (entry, unique) in self.sorted.iter().skip(self.written).take(BATCH) {
            let (key, id) = keys::split(entry)?;
            if index.unique && key == before && !prepared.is_empty() {
                break;
            }
            if *unique {
                self.check(&mut mtr, &index, key, id)?;
            }
            prepared.extend(
                self.core
                    .prepare_entry(&mut mtr, &self.shape, &index, key, id)?,
            );
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

    fn check(
        &self,
        mtr: &mut crate::store::Mtr<'_>,
        index: &IndexDef,
        key: &[u8],
        id: RowId,
    ) -> Res<()> {
        let tree = Tree { root: index.root };
        let spot = tree.prepare(mtr, &keys::entry(key, id), 0)?;
        for other in self.core.equal_rows(mtr, tree, &spot, key)? {
            if other == id {
                continue;
            }
            match self
                .core
                .equal(mtr, &self.shape, self.place, key, other, &self.view)?
            {
                Equal::Clear => {}
                Equal::Busy { xid, session } => {
                    return self.core.txns.wait_for(self.view.session, xid, session)
                }
                Equal::Live { .. } => return self.duplicate(mtr, index, id),
            }
        }
        Ok(())
    }

    fn duplicate(&self, mtr: &crate::store::Mtr<'_>, index: &IndexDef, id: RowId) -> Res<()> {
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
            index,
            |c| values.get(c),
            true,
        ))
    }
}
