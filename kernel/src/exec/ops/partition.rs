//! One partition of a window's input: rows by their number, in chunks. What does not fit into work_mem is in a temporary file,
//! and rows that nobody looks at any more may be dropped from its front while others come at its end.
//!
//! A chunk's columns are the window's (`Layout`), then two of this file's own: the number of each row's peer group (rows with equal
//! order keys), and the number of that group's first row. Where a group ends is found by searching for the next one.

use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::kept::Room;
use crate::exec::keys::{lower, same_rows, Order};
use crate::exec::spill::SpillFile;
use crate::types::registry::TypeInfo;
use crate::types::Datum;
use std::sync::Arc;

/// Chunks of the file that are kept in memory.
const CACHED: usize = 8;
/// Chunks are made no bigger than this, where a single row is not.
const CHUNK_BYTES: usize = 256 << 10;
/// Tests have partitions of many chunks.
const CHUNK_ROWS: usize = if cfg!(test) { 7 } else { BATCH_ROWS };

struct Chunk {
    start: usize,
    /// Peer group of its first row, and that row's order key (when there is just one).
    group: usize,
    key: Datum,
    rows: Place,
}

enum Place {
    Memory(Arc<Batch>),
    Block(usize),
}

#[derive(Default)]
pub struct Partition {
    infos: Vec<&'static TypeInfo>,
    /// Columns of the order keys.
    keys: Vec<usize>,
    /// Chunks that are not dropped.
    chunks: Vec<Chunk>,
    bytes: usize,
    file: Option<SpillFile>,
    cache: Vec<(usize, Arc<Batch>)>,
    /// Pushed and not yet stored.
    waiting: Option<Batch>,
    /// Order keys of the last row.
    last: Vec<Vector>,
    len: usize,
    groups: usize,
    /// The last group's first row.
    first: usize,
    /// Rows whose (single) order key is null: they are all at one end.
    nulls: (usize, usize),
    /// The group whose end was last looked for, and that end.
    ended: Option<(usize, usize)>,
    pub complete: bool,
}

/// How many rows from `from` on make a chunk.
pub fn chunk_rows(batch: &Batch, from: usize) -> usize {
    let row = batch.bytes() / batch.len.max(1);
    let most = (CHUNK_BYTES / row.max(1)).clamp(1, CHUNK_ROWS);
    most.min(batch.len - from)
}

impl Partition {
    /// `keys`: where in its rows the order keys are.
    pub fn new(orders: &[Order], keys: Vec<usize>) -> Partition {
        Partition {
            infos: orders.iter().map(|o| o.info).collect(),
            keys,
            ..Partition::default()
        }
    }

    /// Rows that have come.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first row of the last peer group that has begun: the groups before it are known to the end.
    pub fn open_group(&self) -> usize {
        self.first
    }

    /// The number of the column with peer groups; their first rows are in the next.
    fn own(rows: &Batch) -> usize {
        rows.width() - 2
    }

    /// More rows, as many as `chunk_rows` says; to be stored by `settle`, before anything else is asked.
    pub fn push(&mut self, mut rows: Batch) {
        let keys: Vec<Vector> = self
            .keys
            .iter()
            .map(|&k| rows.columns[k].slice(0, rows.len))
            .collect();
        let (mut groups, mut firsts) = (Vec::new(), Vec::new());
        for row in 0..rows.len {
            let same = match row {
                0 if self.len == 0 => false,
                0 => same_rows(&self.infos, &self.last, 0, &keys, 0),
                _ => same_rows(&self.infos, &keys, row - 1, &keys, row),
            };
            if !same {
                self.groups += 1;
                self.first = self.len + row;
            }
            groups.push(self.groups as i64 - 1);
            firsts.push(self.first as i64);
            if let [key] = keys.as_slice() {
                if key.is_null(row) {
                    if self.nulls.0 == self.nulls.1 {
                        self.nulls = (self.len + row, self.len + row);
                    }
                    self.nulls.1 += 1;
                }
            }
        }
        self.last = keys
            .iter()
            .map(|k| k.slice(rows.len - 1, rows.len))
            .collect();
        rows.columns.push(Vector::Int(groups, Vec::new()));
        rows.columns.push(Vector::Int(firsts, Vec::new()));
        self.waiting = Some(rows);
    }

    /// Store what was pushed; after `Need` call again.
    pub fn settle(&mut self, room: &Room) -> Res<()> {
        let Some(rows) = &self.waiting else {
            return Ok(());
        };
        let (start, len, bytes) = (self.len, rows.len, rows.bytes());
        let group = int(&rows.columns[Self::own(rows)], 0);
        let key = match self.keys.as_slice() {
            [key] => rows.columns[*key].get(0),
            _ => Datum::Null,
        };
        let place = match room.file(self.bytes + bytes) {
            Some(spill) => {
                let file = self.file.get_or_insert_with(|| SpillFile::new(spill));
                file.push(rows)?;
                Place::Block(file.blocks() - 1)
            }
            None => {
                self.bytes += bytes;
                Place::Memory(Arc::new(self.waiting.take().unwrap_or_default()))
            }
        };
        self.waiting = None;
        self.len += len;
        self.chunks.push(Chunk {
            start,
            group,
            key,
            rows: place,
        });
        Ok(())
    }

    /// Nobody will look at rows before `low` any more.
    pub fn trim(&mut self, low: usize) {
        let Some(keep) = self
            .chunks
            .partition_point(|c| c.start <= low)
            .checked_sub(1)
        else {
            return;
        };
        for chunk in self.chunks.drain(..keep) {
            if let Place::Memory(rows) = chunk.rows {
                self.bytes -= rows.bytes();
            }
        }
    }

    /// The chunk with a row: its first row's number, and its rows. After `Need` call again.
    pub fn chunk(&mut self, row: usize) -> Res<(usize, Arc<Batch>)> {
        let at = self.chunks.partition_point(|c| c.start <= row).max(1) - 1;
        let start = self.chunks[at].start;
        Ok((start, self.rows(at)?))
    }

    fn rows(&mut self, at: usize) -> Res<Arc<Batch>> {
        let block = match &self.chunks[at].rows {
            Place::Memory(rows) => return Ok(rows.clone()),
            Place::Block(block) => *block,
        };
        if let Some(i) = self.cache.iter().position(|(b, _)| *b == block) {
            let found = self.cache.remove(i);
            let rows = found.1.clone();
            self.cache.push(found);
            return Ok(rows);
        }
        let rows = match &self.file {
            Some(file) => file.block(block)?,
            None => None,
        };
        let rows = Arc::new(rows.unwrap_or_default());
        if self.cache.len() >= CACHED {
            self.cache.remove(0);
        }
        self.cache.push((block, rows.clone()));
        Ok(rows)
    }

    /// A row's peer group and that group's first row.
    pub fn group(&mut self, row: usize) -> Res<(usize, usize)> {
        let (start, rows) = self.chunk(row)?;
        Ok(self.group_of((start, &rows), row))
    }

    /// The same, of a row in this chunk.
    pub fn group_of(&self, (start, rows): (usize, &Batch), row: usize) -> (usize, usize) {
        let (own, at) = (Self::own(rows), row - start);
        (int(&rows.columns[own], at), int(&rows.columns[own + 1], at))
    }

    /// A row's order key, where there is just one.
    pub fn key(&mut self, row: usize) -> Res<Datum> {
        let (start, rows) = self.chunk(row)?;
        let column = self.keys.first().and_then(|&k| rows.columns.get(k));
        Ok(column.map_or(Datum::Null, |c| c.get(row - start)))
    }

    /// The first row of a group; of one that has not come, the end.
    pub fn group_start(&mut self, group: usize) -> Res<usize> {
        if group >= self.groups {
            return Ok(self.len);
        }
        let after = self.chunks.partition_point(|c| c.group < group);
        let next = self.chunks.get(after).map_or(self.len, |c| c.start);
        let Some(before) = after.checked_sub(1) else {
            return Ok(next);
        };
        let rows = self.rows(before)?;
        let numbers = &rows.columns[Self::own(&rows)];
        let at = lower(rows.len, |i| int(numbers, i) < group);
        Ok(if at < rows.len {
            self.chunks[before].start + at
        } else {
            next
        })
    }

    /// One past the last row of a group.
    pub fn group_end(&mut self, group: usize) -> Res<usize> {
        match self.ended {
            Some((known, end)) if known == group && end < self.len => Ok(end),
            _ => {
                let end = self.group_start(group + 1)?;
                self.ended = Some((group, end));
                Ok(end)
            }
        }
    }

    /// The first row that has an order key and is not `before` the place that is looked for. Rows are in order.
    pub fn search(&mut self, before: impl Fn(Datum) -> bool) -> Res<usize> {
        let Some(&column) = self.keys.first() else {
            return Ok(0);
        };
        let (from, to) = match self.nulls {
            (a, b) if a == b => (0, self.len),
            (0, nulls) => (nulls, self.len),
            (nulls, _) => (0, nulls),
        };
        // Nulls stand at one end: a chunk that begins with one is before all values, or behind them.
        let is_before = |c: &Chunk| match c.start {
            start if start < from => true,
            start if start >= to => false,
            _ => before(c.key.clone()),
        };
        let after = self.chunks.partition_point(is_before);
        let next = self.chunks.get(after).map_or(self.len, |c| c.start);
        let Some(chunk) = after.checked_sub(1) else {
            return Ok(next.clamp(from, to));
        };
        let start = self.chunks[chunk].start;
        let rows = self.rows(chunk)?;
        let at = lower(rows.len, |i| match start + i {
            row if row < from => true,
            row if row >= to => false,
            _ => before(rows.columns[column].get(i)),
        });
        Ok((start + at).min(to).max(from))
    }
}

fn int(column: &Vector, row: usize) -> usize {
    match column {
        Vector::Int(values, _) => values[row] as usize,
        _ => 0,
    }
}
