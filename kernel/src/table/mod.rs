//! Tables: rows, indexes, sequences over B-trees; the real `exec::access::Access`.
//!
//! Every write of a row is one mini-transaction: all pages are fetched and all waits happen first, then the row's tree and all
//! index trees change at once. Index entries carry no visibility: whoever follows one checks that the version it sees has
//! the entry's key.

mod build;
mod build_index;
mod bulk;
mod bulk_change;
mod conflicts;
mod core;
mod entries;
mod heap;
mod keys;
mod lock;
mod overflow;
mod packing;
mod reader;
mod row;
mod scan;
mod sequence;
mod unique;
mod unsettled;
mod vacuum;
mod vacuum_leaf;
mod visible;

#[cfg(test)]
mod build_index_tests;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod overflow_tests;
#[cfg(test)]
mod parallel_tests;
#[cfg(test)]
mod passing_tests;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;

pub use self::build::DropTree;
pub use self::build_index::BuildIndex;
pub use self::core::Core;
pub use self::sequence::SequenceDef;
pub use self::vacuum::VacuumTable;

use crate::base::{Lsn, Need, Oid, PageNo, Res, RowId, SessionId, Spill};
use crate::exec::access::{Access, Bounds, Cursor, Inserted, TableDef, View, Wait, Wrote};
use crate::exec::batch::Batch;
use crate::exec::plan::LockMode;
use crate::txn::Txns;
use crate::types::Datum;
use std::sync::Arc;

/// A statement that has written so many rows leaves room for others.
const BULK_ROWS: u64 = 256;

/// All tables of a volume, as one compute process reads and writes them. Cheap to clone.
#[derive(Clone)]
pub struct Tables {
    core: Arc<Core>,
}

impl Tables {
    pub fn new(txns: Arc<Txns>) -> Tables {
        Tables {
            core: Arc::new(Core::new(txns)),
        }
    }

    pub fn txns(&self) -> &Arc<Txns> {
        &self.core.txns
    }

    /// The eyes of `session` at a snapshot: own changes of commands below `command` are seen.
    pub fn view(&self, session: SessionId, snapshot: Lsn, command: u32, strict: bool) -> View {
        View {
            session,
            snapshot,
            command,
            strict,
            crosscheck: None,
            passed: None,
        }
    }

    /// Trees of a new table: (rows, overflow). Redo of its own: unsettled until `settle` or `drop_tree`.
    pub fn create_table(&self) -> Res<(PageNo, PageNo)> {
        self.core.create_table()
    }

    /// An empty index tree.
    pub fn create_index(&self) -> Res<PageNo> {
        self.core.create_index()
    }

    /// Gives back the pages of any tree, or of a sequence. Begin after the commit that drops it is durable. `resumed`: an earlier
    /// process may have given some of them back already.
    pub fn drop_tree(&self, root: PageNo, resumed: bool) -> DropTree {
        DropTree::new(&self.core, root, resumed)
    }

    /// These trees are about to be dropped: before the commit that does it.
    pub fn unsettle(&self, roots: &[PageNo]) -> Res<()> {
        self.core.unsettle(roots)
    }

    /// The catalogue names these trees for good.
    pub fn settle(&self, roots: &[PageNo]) -> Res<()> {
        self.core.settle(roots)
    }

    /// Trees that are settled or dropped by whoever opens the volume, as the catalogue says.
    pub fn unsettled(&self) -> Res<Vec<PageNo>> {
        self.core.unsettled()
    }

    /// Fills `table.indexes[index]`, an empty tree. 23505 for duplicates. The caller keeps writers out (SHARE lock). About `memory`
    /// bytes of entries are kept in memory.
    pub fn build_index(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        index: usize,
        memory: usize,
        spill: Arc<dyn Spill>,
    ) -> Res<BuildIndex> {
        let sorter = entries::Sorter::new(memory, spill);
        BuildIndex::new(&self.core, view, self.core.shape(table)?, index, sorter)
    }

    pub fn create_sequence(&self, def: &SequenceDef) -> Res<PageNo> {
        self.core.create_sequence(def)
    }

    pub fn alter_sequence(&self, page: PageNo, def: &SequenceDef) -> Res<()> {
        self.core.alter_sequence(page, def)
    }

    /// Cleans up to `budget` rows of what ended transactions left in a table (None: in any); true: more is ready.
    pub fn vacuum_step(&self, table: Option<PageNo>, budget: usize) -> Res<bool> {
        self.core.vacuum_step(table, budget)
    }

    /// About how many pages a table's moved-out values take.
    pub fn overflow_size(&self, table: &TableDef) -> Res<u64> {
        self.core.overflow_size(table)
    }

    /// VACUUM of one table; `indexes`: look at every index entry too.
    pub fn vacuum(&self, table: &Arc<TableDef>, indexes: bool) -> Res<VacuumTable> {
        VacuumTable::new(&self.core, self.core.shape(table)?, indexes)
    }

    /// After the end of a session's transaction.
    pub fn forget_session(&self, session: SessionId) {
        self.core.forget_session(session);
    }

    /// After a promotion: what was learnt as a reader is forgotten.
    pub fn reset(&self) {
        self.core.reset();
    }
}

impl Access for Tables {
    fn scan(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        columns: &[usize],
        part: usize,
        parts: usize,
    ) -> Res<Box<dyn Cursor>> {
        scan::scan(&self.core, view, table, columns, part, parts)
    }

    fn index_scan(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        index: usize,
        bounds: Bounds,
        backward: bool,
        columns: &[usize],
    ) -> Res<Box<dyn Cursor>> {
        scan::index_scan(&self.core, view, table, index, &bounds, backward, columns)
    }

    fn fetch(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: RowId,
        columns: &[usize],
    ) -> Res<Option<Vec<Datum>>> {
        self.core.fetch(view, table, row, columns)
    }

    fn insert(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: &[Datum],
        arbiters: &[Oid],
    ) -> Res<Inserted> {
        self.core.insert(view, table, row, arbiters)
    }

    fn insert_many(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &Batch,
        from: usize,
        to: usize,
        arbiters: &[Oid],
    ) -> Res<(RowId, usize)> {
        self.core.insert_many(view, table, rows, from, to, arbiters)
    }

    fn conflicting(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &Batch,
        from: usize,
        arbiters: &[Oid],
    ) -> Res<Vec<bool>> {
        self.core.conflicting(view, table, rows, from, arbiters)
    }

    fn ahead(&self, table: &Arc<TableDef>, no: PageNo, rows: &[RowId]) -> Res<Need> {
        let next = rows.iter().map(|row| Ok(*row));
        self.core.with_rows_ahead(table.root, no, next, usize::MAX)
    }

    fn room(&self, written: u64) -> Res<()> {
        match written < BULK_ROWS {
            true => Ok(()),
            false => self.core.volume.check_bulk_room(),
        }
    }

    fn update(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        row: &[Datum],
        accept: Lsn,
    ) -> Res<Wrote> {
        self.core.update(view, table, id, row, accept)
    }

    fn delete(&self, view: &View, table: &Arc<TableDef>, id: RowId, accept: Lsn) -> Res<Wrote> {
        self.core.delete(view, table, id, accept)
    }

    fn delete_many(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &[RowId],
        accept: Lsn,
    ) -> Res<usize> {
        self.core.delete_many(view, table, rows, accept)
    }

    fn lock(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        mode: LockMode,
        wait: Wait,
        accept: Lsn,
    ) -> Res<Wrote> {
        self.core.lock(view, table, id, mode, wait, accept)
    }

    fn size(&self, table: &Arc<TableDef>) -> Res<(u64, u64)> {
        self.core.size(table.root)
    }

    fn nextval(&self, view: &View, sequence: PageNo) -> Res<i64> {
        let (value, lsn) = self.core.nextval(sequence)?;
        view.note(lsn);
        Ok(value)
    }

    fn setval(&self, view: &View, sequence: PageNo, value: i64, called: bool) -> Res<()> {
        view.note(self.core.setval(sequence, value, called)?);
        Ok(())
    }

    fn seqval(&self, _view: &View, sequence: PageNo) -> Res<(i64, bool)> {
        self.core.seqval(sequence)
    }
}
