//! Many new rows at once: one mini-transaction for a chunk of them. The rows' tree grows by whole pages; so does an index whose
//! new entries all stand behind its old ones.

use super::core::{Core, Shape, State};
use super::keys;
use super::row;
use super::unique::{exempt, Entry};
use crate::base::{varint, Need, Oid, PageNo, Res, RowId, Stop, Xid};
use crate::btree::{Append, NewCell, Tree};
use crate::exec::access::{IndexDef, Inserted, TableDef, View};
use crate::exec::batch::Batch;
use crate::redo::version::{self, KEY_SIZE};
use crate::store::Mtr;
use crate::txn::leftovers::{Leftover, Why};
use crate::types::Datum;
use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Most rows, and about most bytes of rows, in one mini-transaction.
const CHUNK_ROWS: usize = 1000;
const CHUNK_BYTES: usize = 128 << 10;
/// Missing pages that are asked for together.
pub(super) const AHEAD: usize = 64;

/// Rows on their way in: cells of the rows' tree and of the index trees, their row ids still to be filled in.
struct Chunk {
    rows: Cells,
    indexes: Vec<Keys>,
}

/// Cells one behind the other.
#[derive(Default)]
struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// One index's new entries. A cell is `[length varint][key][row id]`.
#[derive(Default)]
struct Keys {
    cells: Cells,
    /// Row by row: uniqueness is not to be asked.
    exempt: Vec<bool>,
    /// Rows in the order of their entries.
    order: Vec<usize>,
}

impl Cells {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| *end)
    }

    fn get(&self, at: usize) -> &[u8] {
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.bytes.get(self.start(at)..end).unwrap_or(&[])
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start(len));
        self.ends.truncate(len);
    }
}

/// A cell's key with its row id.
fn entry(cell: &[u8]) -> &[u8] {
    let mut at = 0;
    match varint::get(cell, &mut at) {
        Ok(_) => cell.get(at..).unwrap_or(&[]),
        Err(_) => &[],
    }
}

/// An entry without its row id.
fn key(entry: &[u8]) -> &[u8] {
    entry.split_last_chunk::<8>().map_or(&[], |(key, _)| key)
}

impl Keys {
    fn entry(&self, row: usize) -> &[u8] {
        entry(self.cells.get(row))
    }

    /// Put the entries in order, row ids not being filled in yet; the rows before the second of two rows with one key.
    fn sort(&mut self, unique: bool) -> usize {
        let len = self.cells.len();
        let mut order: Vec<usize> = (0..len).collect();
        let rising = (1..len).all(|at| key(self.entry(at - 1)) <= key(self.entry(at)));
        if !rising {
            order.sort_by(|a, b| key(self.entry(*a)).cmp(key(self.entry(*b))));
        }
        let mut cut = len;
        if unique {
            for (one, other) in order.iter().zip(order.iter().skip(1)) {
                let both = key(self.entry(*one)) == key(self.entry(*other));
                if both && !self.exempt.get(*other).copied().unwrap_or(false) {
                    cut = cut.min(*other);
                }
            }
        }
        self.order = order;
        cut
    }

    fn truncate(&mut self, len: usize) {
        self.cells.truncate(len);
        self.exempt.truncate(len);
        self.order.retain(|row| *row < len);
    }

    fn cells(&self) -> Vec<NewCell<'_>> {
        let cell = |row: &usize| {
            let bytes = self.cells.get(*row);
            let key = entry(bytes);
            NewCell { key, bytes }
        };
        self.order.iter().map(cell).collect()
    }
}

impl Chunk {
    /// As many rows as make a chunk. None at all: the first one has values that must be compressed or moved out.
    fn encode(
        shape: &Shape,
        xid: Xid,
        command: u32,
        rows: &Batch,
        from: usize,
        to: usize,
    ) -> Res<Chunk> {
        let mut chunk = Chunk {
            rows: Cells::default(),
            indexes: shape.def.indexes.iter().map(|_| Keys::default()).collect(),
        };
        let mut payload = Vec::new();
        let room = CHUNK_BYTES.min((to - from) * 128);
        chunk.rows.bytes.reserve(room + row::TARGET);
        for at in from..to.min(from + CHUNK_ROWS) {
            payload.clear();
            if !row::put(&shape.layout, rows, at, &mut payload)? {
                break;
            }
            let added = shape
                .def
                .indexes
                .iter()
                .zip(&mut chunk.indexes)
                .try_for_each(|(index, keys)| keys.add(index, &shape.def, rows, at));
            if let Err(stop) = added {
                if at == from {
                    return Err(stop);
                }
                // The rows before it go first.
                break;
            }
            let out = &mut chunk.rows.bytes;
            out.extend_from_slice(&[0; KEY_SIZE]);
            version::put(out, 0, xid, command, &payload);
            chunk.rows.ends.push(out.len());
            if out.len() >= CHUNK_BYTES {
                break;
            }
        }
        let mut cut = chunk.rows.len();
        for keys in &mut chunk.indexes {
            keys.truncate(cut);
        }
        for (index, keys) in shape.def.indexes.iter().zip(&mut chunk.indexes) {
            cut = cut.min(keys.sort(index.unique));
        }
        chunk.rows.truncate(cut);
        for keys in &mut chunk.indexes {
            keys.truncate(cut);
        }
        Ok(chunk)
    }

    /// Fill in the row ids, from `first` on.
    fn number(&mut self, first: RowId) {
        for row in 0..self.rows.len() {
            let id = (first.0 + row as u64).to_be_bytes();
            let start = self.rows.start(row);
            if let Some(place) = self.rows.bytes.get_mut(start..start + KEY_SIZE) {
                place.copy_from_slice(&id);
            }
            for keys in &mut self.indexes {
                let end = keys.cells.ends.get(row).copied().unwrap_or(0);
                if let Some(place) = keys.cells.bytes.get_mut(end.saturating_sub(8)..end) {
                    place.copy_from_slice(&id);
                }
            }
        }
    }
}

impl Keys {
    fn add(&mut self, index: &IndexDef, table: &TableDef, rows: &Batch, at: usize) -> Res<()> {
        let mut key = Vec::with_capacity(40);
        let null = key_of_batch(index, rows, at, &mut key)?;
        keys::check_size(index, table, &key)?;
        let cells = &mut self.cells;
        varint::put(&mut cells.bytes, key.len() as u64 + 8);
        cells.bytes.extend_from_slice(&key);
        cells.bytes.extend_from_slice(&[0; 8]);
        cells.ends.push(cells.bytes.len());
        self.exempt.push(exempt(index, null));
        Ok(())
    }
}

/// Append the key of row `at`; is some column null?
pub(super) fn key_of_batch(
    index: &IndexDef,
    rows: &Batch,
    at: usize,
    key: &mut Vec<u8>,
) -> Res<bool> {
    let mut null = false;
    for part in &index.keys {
        let value = match rows.columns.get(part.column) {
            Some(column) => column.datum(at),
            None => Cow::default(),
        };
        null |= value.is_null();
        keys::put(part, &value, key)?;
    }
    Ok(null)
}

/// What one index's new entries wait for to be written.
enum Ready {
    Append(Append),
    /// One by one.
    Scattered(Vec<Entry>),
}

impl Core {
    /// See `Access::insert_many`.
    pub(super) fn insert_many(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &Batch,
        from: usize,
        to: usize,
        arbiters: &[Oid],
    ) -> Res<(RowId, usize)> {
        let shape = self.shape(table)?;
        let state = self.writing(&shape);
        if to > from + 1 {
            let xid = self.txns.assign(view.session)?;
            self.volume.check_room()?;
            let mut chunk = Chunk::encode(&shape, xid, view.command, rows, from, to)?;
            if chunk.rows.len() > 1 {
                let put = self.insert_chunk(view, &shape, &state, xid, &mut chunk, rows, from);
                return match put {
                    Ok(Put::All(first)) => Ok((first, chunk.rows.len())),
                    Ok(Put::Fewer(count)) => {
                        self.insert_many(view, table, rows, from, from + count, arbiters)
                    }
                    // Of the first row; by itself it may be a conflict.
                    Err(Stop::Error(_)) if !arbiters.is_empty() => {
                        self.insert_many(view, table, rows, from, from + 1, arbiters)
                    }
                    Err(stop) => Err(stop),
                };
            }
        }
        // Lent: a call that is made again finds its long values by where they are.
        let row: Vec<Cow<'_, Datum>> = rows.columns.iter().map(|c| c.datum(from)).collect();
        Ok(match self.insert(view, table, &row, arbiters)? {
            Inserted::Row(id) => (id, 1),
            Inserted::Conflict { row, .. } => (row, 0),
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn insert_chunk(
        &self,
        view: &View,
        shape: &Arc<Shape>,
        state: &State,
        xid: Xid,
        chunk: &mut Chunk,
        rows: &Batch,
        from: usize,
    ) -> Res<Put> {
        let count = chunk.rows.len();
        let mut mtr = self.volume.begin()?;
        let first = self.next_row(&mtr, shape, state)?;
        chunk.number(first);
        let cells: Vec<NewCell> = (0..count)
            .map(|row| {
                let bytes = chunk.rows.get(row);
                let key = bytes.get(..KEY_SIZE).unwrap_or(&[]);
                NewCell { key, bytes }
            })
            .collect();
        let low = first.0.to_be_bytes();
        let Some(plan) = shape.rows().prepare_append(&mut mtr, &low, &cells)? else {
            return Ok(Put::Fewer(1));
        };
        let mut ready: Vec<Ready> = Vec::with_capacity(chunk.indexes.len());
        for (index, keys) in shape.def.indexes.iter().zip(&chunk.indexes) {
            ready.push(prepare_end(&mut mtr, index, keys)?);
        }
        let done = self.prepare_scattered(&mut mtr, view, shape, chunk, &mut ready, rows, from)?;
        if done < count {
            return Ok(Put::Fewer(done));
        }

        shape.rows().append(&mut mtr, &plan, &cells)?;
        for ((index, keys), ready) in shape.def.indexes.iter().zip(&chunk.indexes).zip(&ready) {
            match ready {
                Ready::Append(plan) => {
                    let tree = Tree { root: index.root };
                    tree.append(&mut mtr, plan, &keys.cells())?;
                }
                Ready::Scattered(entries) => {
                    for entry in entries {
                        entry.tree.insert(&mut mtr, &entry.spot, &entry.key, &[])?;
                    }
                }
            }
        }
        let next = first.0 + count as u64;
        // While the writer is still ours: the next MTR begins after these rows.
        state.next_row.store(next, Ordering::Release);
        mtr.commit();
        let left = Leftover {
            table: shape.def.root,
            from: first,
            to: RowId(next - 1),
            why: Why::Insert,
            xid,
        };
        self.txns.leftovers.note_all(view.session, left);
        Ok(Put::All(first))
    }

    /// Claim the keys and prepare the entries that can't be appended, row by row. The answer: how many rows are ready before one
    /// that has to wait, or that violates a constraint; when the first one does, that is the answer.
    #[allow(clippy::too_many_arguments)]
    fn prepare_scattered(
        &self,
        mtr: &mut Mtr<'_>,
        view: &View,
        shape: &Shape,
        chunk: &Chunk,
        ready: &mut [Ready],
        rows: &Batch,
        from: usize,
    ) -> Res<usize> {
        let count = chunk.rows.len();
        if !ready.iter().any(|r| matches!(r, Ready::Scattered(_))) {
            return Ok(count);
        }
        let ahead = AHEAD.min(self.volume.cache_size().1 / 8).max(1);
        let mut missing: Vec<PageNo> = Vec::new();
        for at in 0..count {
            let row = rows.row(from + at);
            match self.prepare_row(mtr, view, shape, chunk, ready, &row, at) {
                Ok(()) => {}
                // The first row has to wait: find out what else is missing, and ask for it together.
                Err(Stop::Need(Need::Page(no))) if at == 0 || !missing.is_empty() => {
                    if !missing.contains(&no) {
                        missing.push(no);
                    }
                    if missing.len() >= ahead {
                        break;
                    }
                }
                Err(stop) if at == 0 => return Err(stop),
                Err(stop) => {
                    if matches!(stop, Stop::Need(_)) {
                        self.txns.locks.cancel_wait(view.session);
                    }
                    if missing.is_empty() {
                        return Ok(at);
                    }
                    break;
                }
            }
        }
        match missing.is_empty() {
            true => Ok(count),
            false => Err(Need::Pages(missing).into()),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn prepare_row(
        &self,
        mtr: &mut Mtr<'_>,
        view: &View,
        shape: &Shape,
        chunk: &Chunk,
        ready: &mut [Ready],
        row: &[crate::types::Datum],
        at: usize,
    ) -> Res<()> {
        for (place, (index, keys)) in shape.def.indexes.iter().zip(&chunk.indexes).enumerate() {
            let Some(Ready::Scattered(entries)) = ready.get_mut(place) else {
                continue;
            };
            let (key, id) = keys::split(keys.entry(at))?;
            let entry = self.prepare_entry(mtr, shape, index, key, id)?;
            if !keys.exempt.get(at).copied().unwrap_or(false) {
                self.claim_key(mtr, shape, place, &entry, id, view, row, false)?;
            }
            if !entry.spot.found {
                entries.push(entry);
            }
        }
        Ok(())
    }
}

enum Put {
    All(RowId),
    /// Nothing is written: try again with so many rows.
    Fewer(usize),
}

/// An index's new entries, if they all stand behind its old ones; and no old one has the key of a new one.
fn prepare_end(mtr: &mut Mtr<'_>, index: &IndexDef, keys: &Keys) -> Res<Ready> {
    let tree = Tree { root: index.root };
    let Some(first) = keys.order.first() else {
        return Ok(Ready::Scattered(Vec::new()));
    };
    let lowest = keys.entry(*first);
    let above = match keys.exempt.get(*first) {
        Some(true) => lowest,
        _ => key(lowest),
    };
    Ok(match tree.prepare_append(mtr, above, &keys.cells())? {
        Some(plan) => Ready::Append(plan),
        None => Ready::Scattered(Vec::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::harness::{Tx, World};
    use super::*;
    use crate::exec::access::Access;
    use proptest::prelude::*;

    fn batch(table: &TableDef, rows: &[Vec<Datum>]) -> Batch {
        let types: Vec<_> = table.columns.iter().map(|c| c.typ).collect();
        Batch::from_rows(&types, rows)
    }

    /// Insert all rows; how many were, and the error that ended it.
    fn fill(
        w: &mut World,
        tx: &mut Tx,
        table: &Arc<TableDef>,
        rows: &[Vec<Datum>],
    ) -> (usize, Option<String>) {
        let view = w.view(tx);
        let all = batch(table, rows);
        let mut at = 0;
        while at < rows.len() {
            match w.run(|t| t.insert_many(&view, table, &all, at, rows.len(), &[])) {
                Ok((_, count)) => at += count,
                Err(Stop::Error(error)) => return (at, Some(error.message.clone())),
                Err(other) => panic!("{other:?}"),
            }
        }
        (at, None)
    }

    fn one_by_one(
        w: &mut World,
        tx: &mut Tx,
        table: &Arc<TableDef>,
        rows: &[Vec<Datum>],
    ) -> (usize, Option<String>) {
        let view = w.view(tx);
        for (at, row) in rows.iter().enumerate() {
            match w.run(|t| t.insert(&view, table, row, &[])) {
                Ok(_) => {}
                Err(Stop::Error(error)) => return (at, Some(error.message.clone())),
                Err(other) => panic!("{other:?}"),
            }
        }
        (rows.len(), None)
    }

    fn row(k: Option<i64>, len: usize, n: i64) -> Vec<Datum> {
        let k = k.map_or(Datum::Null, Datum::Int);
        vec![k, Datum::text("x".repeat(len)), Datum::Int(n)]
    }

    #[test]
    fn a_million_bytes_of_rows_are_few_bytes_of_redo() {
        let mut w = World::new(10_000);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let rows: Vec<_> = (0..10_000).map(|k| row(Some(k), 84, k)).collect();
        let before = w.volume.tail().0;
        assert_eq!(fill(&mut w, &mut tx, &table, &rows), (10_000, None));
        let redo = w.volume.tail().0 - before;
        assert!(redo < 10_000 * 90, "{redo}");
        w.commit(tx);
        assert_eq!(w.now(&table).len(), 10_000);
    }

    #[test]
    fn another_ones_uncommitted_key_is_waited_for_after_the_rows_before_it() {
        let mut w = World::new(1000);
        let table = w.table();
        let mut other = w.begin(2, false);
        w.insert(&mut other, &table, &row(Some(50), 5, 1)).unwrap();
        let mut tx = w.begin(1, false);
        let view = w.view(&mut tx);
        let rows: Vec<_> = (45..60).map(|k| row(Some(k), 5, k)).collect();
        let all = batch(&table, &rows);
        let (_, count) = w
            .run(|t| t.insert_many(&view, &table, &all, 0, 15, &[]))
            .unwrap();
        assert_eq!(count, 5);
        let waits = w.run(|t| t.insert_many(&view, &table, &all, 5, 15, &[]));
        assert!(matches!(waits, Err(Stop::Need(Need::Xid(_)))), "{waits:?}");
        w.txns().locks.cancel_wait(tx.session);
        w.rollback(other);
        let (_, count) = w
            .run(|t| t.insert_many(&view, &table, &all, 5, 15, &[]))
            .unwrap();
        assert_eq!(count, 10);
        w.commit(tx);
        assert_eq!(w.now(&table).len(), 15);
    }

    fn any_row() -> impl Strategy<Value = Vec<Datum>> {
        let k = prop_oneof![3 => (0i64..400).prop_map(Some), 1 => Just(None)];
        let len = prop_oneof![8 => 0usize..100, 1 => 1500usize..2500, 1 => Just(9000)];
        (k, len, -5i64..5).prop_map(|(k, len, n)| row(k, len, n))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn many_at_once_are_one_after_the_other(
            batches in proptest::collection::vec((proptest::collection::vec(any_row(), 1..60), any::<bool>(), any::<bool>()), 1..6),
            cache in prop_oneof![Just(64usize), Just(5000)],
        ) {
            let (mut many, mut single) = (World::new(cache), World::new(5000));
            let (a, b) = (many.table(), single.table());
            for (session, (mut rows, sorted, keep)) in batches.into_iter().enumerate() {
                if sorted {
                    rows.sort_by_key(|r| match r[0] { Datum::Int(k) => k, _ => -1 });
                }
                let session = session as u64 + 1;
                let (mut one, mut other) = (many.begin(session, false), single.begin(session, false));
                prop_assert_eq!(fill(&mut many, &mut one, &a, &rows), one_by_one(&mut single, &mut other, &b, &rows));
                if keep {
                    many.commit(one);
                    single.commit(other);
                } else {
                    many.rollback(one);
                    single.rollback(other);
                }
            }
            let shown = |rows: Vec<(RowId, Vec<Datum>)>| format!("{rows:?}");
            prop_assert_eq!(shown(many.now(&a)), shown(single.now(&b)));
            let (va, vb) = (
                many.tables.view(crate::base::SessionId(99), many.volume.vdl(), 1, false),
                single.tables.view(crate::base::SessionId(99), single.volume.vdl(), 1, false),
            );
            for index in 0..2 {
                let x = many.by_index(&va, &a, index, Default::default(), false);
                let y = single.by_index(&vb, &b, index, Default::default(), false);
                prop_assert_eq!(shown(x), shown(y));
            }
        }
    }
}
