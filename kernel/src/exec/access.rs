//! The seam between operators and tables: what the executor asks of storage. `table/` implements it over B-trees;
//! the executor's tests implement it over vectors, with a `Need` at every legal point.

use super::batch::Batch;
use super::plan::LockMode;
use crate::base::{Lsn, Need, Oid, PageNo, Res, RowId, SessionId};
use crate::types::Datum;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// What storage must know of a table; made once from the plan, shared by all that use it.
#[derive(Debug)]
pub struct TableDef {
    pub oid: Oid,
    pub name: String,
    pub schema: String,
    /// Root of the B-tree of rows, and of the overflow values' tree.
    pub root: PageNo,
    pub overflow: PageNo,
    /// In attnum order, dropped ones included (they keep their place in stored rows and read as null).
    pub columns: Vec<ColumnDef>,
    pub indexes: Vec<IndexDef>,
}

#[derive(Debug, Clone)]
pub struct ColumnDef {
    pub name: String,
    pub typ: Oid,
    pub typmod: i32,
    pub dropped: bool,
    pub not_null: bool,
    /// What rows written before the column was added read as.
    pub missing: Datum,
}

#[derive(Debug, Clone)]
pub struct IndexDef {
    pub oid: Oid,
    pub name: String,
    pub root: PageNo,
    pub unique: bool,
    pub nulls_not_distinct: bool,
    pub keys: Vec<IndexKey>,
}

#[derive(Debug, Clone)]
pub struct IndexKey {
    /// Index into `TableDef::columns`.
    pub column: usize,
    pub typ: Oid,
    pub desc: bool,
    pub nulls_first: bool,
}

/// Through whose eyes: a snapshot and the reader's own transaction. Cheap to clone; made once a statement.
#[derive(Debug, Clone)]
pub struct View {
    pub session: SessionId,
    /// Visible: commits with CSN ≤ this.
    pub snapshot: Lsn,
    /// Own changes with a command id below this are visible.
    pub command: u32,
    /// REPEATABLE READ: a newer committed version is an error 40001, not `Changed`.
    pub strict: bool,
    /// The transaction's snapshot, where a foreign key's action looks with a newer one: a row that it writes must not have
    /// changed since this.
    pub crosscheck: Option<Lsn>,
    /// A change whose commit record is in the log, though perhaps not durable yet, is taken for a commit, and the highest such CSN is
    /// noted here; see docs/decisions/2026-11-21-rows-pass-on-before-they-are-durable.md. None: its end is waited for.
    /// Where a sequence is asked, the LSN of the record that its answer hangs on is noted here.
    pub passed: Option<Arc<AtomicU64>>,
}

impl View {
    /// What this view has seen is lost in a crash unless `lsn` is durable.
    pub fn note(&self, lsn: Lsn) {
        if let Some(passed) = &self.passed {
            passed.fetch_max(lsn.0, Ordering::SeqCst);
        }
    }

    /// May a row be taken over from a transaction that commits with `csn`?
    pub fn passes(&self, csn: Lsn) -> bool {
        self.note(csn);
        self.passed.is_some()
    }

    /// Versions committed after this are news to the transaction.
    pub fn seen(&self) -> Lsn {
        self.crosscheck.unwrap_or(self.snapshot)
    }
}

/// A range of one index, in the index's own order. Bounds are prefixes of the key columns.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Values of leading key columns, and whether a key that begins with them is inside.
    pub low: Option<(Vec<Datum>, bool)>,
    pub high: Option<(Vec<Datum>, bool)>,
}

/// Rows, a batch at a time. After `Err(Need)` the cursor stands where it stood; call again.
pub trait Cursor: Send {
    /// Append up to `max` visible rows to `out`: the requested columns, then the row id as the last column.
    /// `false` at the end.
    fn next(&mut self, max: usize, out: &mut Batch) -> Res<bool>;
}

/// How a write ended.
#[derive(Debug, Clone)]
pub enum Wrote {
    Done,
    /// The row is gone: deleted by a transaction that has committed since the snapshot.
    Gone,
    /// A newer committed version stands there (READ COMMITTED only): all its columns, and its CSN, to be passed as
    /// `accept` if the statement's condition still holds for it.
    Changed {
        row: Vec<Datum>,
        csn: Lsn,
    },
    /// This very command has already changed the row; SQL says: leave it.
    Own,
}

/// How an insert ended.
#[derive(Debug, Clone)]
pub enum Inserted {
    Row(RowId),
    /// Only when arbiters were named: a live row has the same key in this index.
    Conflict {
        index: Oid,
        row: RowId,
    },
}

pub trait Access: Send + Sync {
    /// All rows in row-id order. `columns` are indexes into `TableDef::columns`. `part` of `parts` (in order; for parallel
    /// scans) takes an even share of the leaves; 0 of 1 is everything.
    fn scan(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        columns: &[usize],
        part: usize,
        parts: usize,
    ) -> Res<Box<dyn Cursor>>;

    /// Rows in key order of `table.indexes[index]`, or in reverse.
    fn index_scan(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        index: usize,
        bounds: Bounds,
        backward: bool,
        columns: &[usize],
    ) -> Res<Box<dyn Cursor>>;

    /// One row by its id; `None` when the view does not see it.
    fn fetch(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: RowId,
        columns: &[usize],
    ) -> Res<Option<Vec<Datum>>>;

    /// Asked before each write of a statement that has written so many rows: those that write much leave room for others.
    fn room(&self, _written: u64) -> Res<()> {
        Ok(())
    }

    /// `row` has a value for every column of `table.columns` (null for dropped ones), already coerced and checked.
    /// Unique violations are 23505 unless the index is one of `arbiters`.
    fn insert(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: &[Datum],
        arbiters: &[Oid],
    ) -> Res<Inserted>;

    /// Insert some of the rows `from..to` of `rows`, at least one, as `insert` would one after the other, up to one that conflicts by an
    /// arbiter. The answer: the first one's id, the next ones' following it, and how many were inserted; none when `from` conflicts.
    fn insert_many(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &Batch,
        from: usize,
        _to: usize,
        arbiters: &[Oid],
    ) -> Res<(RowId, usize)> {
        Ok(match self.insert(view, table, &rows.row(from), arbiters)? {
            Inserted::Row(id) => (id, 1),
            Inserted::Conflict { row, .. } => (row, 0),
        })
    }

    /// Of some of the rows `from..`, at least one: does `insert` answer `Conflict`, for sure and without waiting for anybody? Changes nothing.
    fn conflicting(
        &self,
        _view: &View,
        _table: &Arc<TableDef>,
        rows: &Batch,
        from: usize,
        _arbiters: &[Oid],
    ) -> Res<Vec<bool>> {
        Ok(vec![false; rows.len - from])
    }

    /// To write one of `rows`, page `no` is missing: what to ask for, so that the others, which come next, do not wait one by one.
    fn ahead(&self, _table: &Arc<TableDef>, no: PageNo, _rows: &[RowId]) -> Res<Need> {
        Ok(Need::Page(no))
    }

    /// `accept`: the newest CSN that the caller has seen of this row (the snapshot, or what `Changed` said).
    fn update(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        row: &[Datum],
        accept: Lsn,
    ) -> Res<Wrote>;

    fn delete(&self, view: &View, table: &Arc<TableDef>, id: RowId, accept: Lsn) -> Res<Wrote>;

    /// Delete some of these rows, which rise, from the first on, if `delete` would answer `Done` for each of them. How many; 0: the first
    /// is one for `delete`.
    fn delete_many(
        &self,
        _view: &View,
        _table: &Arc<TableDef>,
        _rows: &[RowId],
        _accept: Lsn,
    ) -> Res<usize> {
        Ok(0)
    }

    /// SELECT FOR …, foreign-key checks. `skip`: SKIP LOCKED answers `Gone`; `nowait`: 55P03.
    fn lock(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        mode: LockMode,
        wait: Wait,
        accept: Lsn,
    ) -> Res<Wrote>;

    /// Rows that estimates may count on: (pages, rows), cheap and rough.
    fn size(&self, table: &Arc<TableDef>) -> Res<(u64, u64)>;

    /// Sequence functions; the page holds the sequence's state.
    fn nextval(&self, view: &View, sequence: PageNo) -> Res<i64>;
    fn setval(&self, view: &View, sequence: PageNo, value: i64, called: bool) -> Res<()>;
    fn seqval(&self, view: &View, sequence: PageNo) -> Res<(i64, bool)>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Block,
    NoWait,
    Skip,
}
