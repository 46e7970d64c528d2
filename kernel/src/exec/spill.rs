//! Batches in temporary files. A file is a list of blocks, one batch each; where they lie is kept in memory.
//!
//! A block: rows u32, columns u32, then each column: kind u8, null flags (one byte a row, only when kind has bit 0x80),
//! and its values: bool 1 byte, int and float 8 bytes little-endian, others tagged as `put_datum` writes them.

use super::batch::{Batch, Vector};
use crate::base::error::corrupt;
use crate::base::{pace, varint, Oid, Res, Spill};
use crate::expr::Env;
use crate::types::array::Array;
use crate::types::{oids, store, Datum, Interval, Record, Text, TimeTz};
use std::sync::Arc;

/// Blocks of runs and partitions are made no bigger than this, where a single row is not: a merge has one of each run in memory.
pub const BLOCK_BYTES: usize = 64 << 10;

/// A temporary file; removed when dropped.
pub struct SpillFile {
    spill: Arc<dyn Spill>,
    file: Option<u64>,
    blocks: Vec<(u64, usize)>,
    end: u64,
    pub rows: usize,
}

impl SpillFile {
    pub fn new(spill: Arc<dyn Spill>) -> SpillFile {
        SpillFile {
            spill,
            file: None,
            blocks: Vec::new(),
            end: 0,
            rows: 0,
        }
    }

    /// Append one block. After `Need` call again with the same batch.
    pub fn push(&mut self, batch: &Batch) -> Res<()> {
        self.put(batch, None)
    }

    /// Append one block of these rows of a batch. After `Need` call again with the same.
    pub fn push_rows(&mut self, batch: &Batch, rows: &[u32]) -> Res<()> {
        self.put(batch, Some(rows))
    }

    fn put(&mut self, batch: &Batch, rows: Option<&[u32]>) -> Res<()> {
        let file = match self.file {
            Some(file) => file,
            None => *self.file.insert(self.spill.create()?),
        };
        let len = rows.map_or(batch.len, <[u32]>::len);
        let mut bytes = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4);
        match rows {
            Some(rows) => put_batch(batch, len, rows.iter().map(|&r| r as usize), &mut bytes)?,
            None => put_batch(batch, len, 0..len, &mut bytes)?,
        }
        self.spill.write(file, &bytes)?;
        self.blocks.push((self.end, bytes.len()));
        self.end += bytes.len() as u64;
        self.rows += len;
        Ok(())
    }

    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Block `i`; after `Need` call again.
    pub fn block(&self, i: usize) -> Res<Option<Batch>> {
        let (Some(file), Some(&(offset, len))) = (self.file, self.blocks.get(i)) else {
            return Ok(None);
        };
        let bytes = self.spill.read(file, offset, len)?;
        if bytes.len() != len {
            return corrupt("a temporary file is shorter than what was written to it");
        }
        get_batch(&bytes).map(Some)
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Some(file) = self.file {
            self.spill.remove(file);
        }
    }
}

/// Rows in a temporary file, in blocks that are put together of what comes; the last rows, which make no block, stay in memory.
pub struct RowFile {
    file: SpillFile,
    last: Batch,
    bytes: usize,
    block: usize,
}

impl RowFile {
    /// Blocks are made of about so many bytes.
    pub fn new(spill: Arc<dyn Spill>, block: usize) -> RowFile {
        RowFile {
            file: SpillFile::new(spill),
            last: Batch::default(),
            bytes: 0,
            block,
        }
    }

    pub fn len(&self) -> usize {
        self.file.rows + self.last.len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Write a block if there is one, or several where rows are long; after `Need` call again.
    pub fn settle(&mut self) -> Res<()> {
        while self.bytes > LONG_BLOCK.max(self.block) && self.last.len > 1 {
            let rows = (self.last.len * LONG_BLOCK / self.bytes).clamp(1, self.last.len - 1);
            self.file.push(&self.last.slice(0, rows))?;
            self.bytes -= self.bytes / self.last.len * rows;
            self.last = self.last.slice(rows, self.last.len);
        }
        if self.bytes >= self.block {
            self.file.push(&self.last)?;
            self.last.clear();
            self.bytes = 0;
        }
        Ok(())
    }

    /// Block `i`, the rows in memory being the last one; after `Need` call again.
    pub fn block(&self, i: usize) -> Res<Option<Batch>> {
        if i == self.file.blocks() && self.last.len > 0 {
            return Ok(Some(self.last.clone()));
        }
        self.file.block(i)
    }
}

/// Each row to the file that `to` has for it, if there is one; to be followed by `settle` of all.
pub fn scatter(rows: Batch, to: &[u32], files: &mut [RowFile]) {
    let row_bytes = rows.bytes() / rows.len.max(1);
    for file in files.iter_mut().filter(|f| f.last.width() != rows.width()) {
        file.last = rows.slice(0, 0);
    }
    for (c, column) in rows.columns.into_iter().enumerate() {
        match column {
            Vector::Any(values) => {
                for (value, &to) in values.into_iter().zip(to) {
                    if let Some(file) = files.get_mut(to as usize) {
                        file.last.columns[c].push(value);
                    }
                }
            }
            column => {
                for (i, &to) in to.iter().enumerate() {
                    if let Some(file) = files.get_mut(to as usize) {
                        file.last.columns[c].push_from(&column, i);
                    }
                }
            }
        }
    }
    for &to in to {
        if let Some(file) = files.get_mut(to as usize) {
            file.last.len += 1;
            file.bytes += row_bytes;
        }
    }
}

/// Bytes of a block of one of many partitions that are written at once, of a hash table that may take so much.
pub fn partition_block(hash_mem: usize) -> usize {
    (hash_mem / 64).clamp(1 << 10, BLOCK_BYTES)
}

/// Where this execution may spill to, if anywhere.
pub fn spill(env: &Env) -> Option<Arc<dyn Spill>> {
    env.setup.spill.clone()
}

const NULLS: u8 = 0x80;
/// Bytes of rows that a block of a `RowFile` is made of at most, if they are several.
const LONG_BLOCK: usize = 32 << 20;

fn put_batch(
    batch: &Batch,
    len: usize,
    rows: impl Iterator<Item = usize> + Clone,
    out: &mut Vec<u8>,
) -> Res<()> {
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&(batch.columns.len() as u32).to_le_bytes());
    for column in &batch.columns {
        let mut header = |kind: u8, nulls: &[bool]| {
            out.push(kind | if nulls.is_empty() { 0 } else { NULLS });
            if !nulls.is_empty() {
                out.extend(rows.clone().map(|r| u8::from(nulls[r])));
            }
        };
        match column {
            Vector::Bool(v, n) => {
                header(0, n);
                out.extend(rows.clone().map(|r| u8::from(v[r])));
            }
            Vector::Int(v, n) => {
                header(1, n);
                rows.clone()
                    .for_each(|r| out.extend_from_slice(&v[r].to_le_bytes()));
            }
            Vector::Float(v, n) => {
                header(2, n);
                rows.clone()
                    .for_each(|r| out.extend_from_slice(&v[r].to_bits().to_le_bytes()));
            }
            Vector::Any(v) => {
                header(3, &[]);
                for r in rows.clone() {
                    put_datum(&v[r], out)?;
                }
            }
        }
    }
    Ok(())
}

fn take<'b>(bytes: &'b [u8], at: &mut usize, len: usize) -> Res<&'b [u8]> {
    match at.checked_add(len).and_then(|end| bytes.get(*at..end)) {
        Some(part) => {
            *at += len;
            Ok(part)
        }
        None => corrupt("a temporary file's block ends too early"),
    }
}

fn array<const N: usize>(bytes: &[u8], at: &mut usize) -> Res<[u8; N]> {
    let mut out = [0; N];
    out.copy_from_slice(take(bytes, at, N)?);
    Ok(out)
}

fn words(bytes: &[u8], at: &mut usize, len: usize) -> Res<Vec<u64>> {
    let raw = take(bytes, at, len.saturating_mul(8))?;
    Ok(raw
        .chunks_exact(8)
        .map(|c| {
            let mut word = [0; 8];
            word.copy_from_slice(c);
            u64::from_le_bytes(word)
        })
        .collect())
}

fn get_batch(bytes: &[u8]) -> Res<Batch> {
    let mut at = 0;
    let len = u32::from_le_bytes(array(bytes, &mut at)?) as usize;
    let count = u32::from_le_bytes(array(bytes, &mut at)?) as usize;
    let mut columns = Vec::new();
    for _ in 0..count {
        let [kind] = array::<1>(bytes, &mut at)?;
        let nulls: Vec<bool> = match kind & NULLS {
            0 => Vec::new(),
            _ => take(bytes, &mut at, len)?.iter().map(|&b| b != 0).collect(),
        };
        columns.push(match kind & !NULLS {
            0 => Vector::Bool(
                take(bytes, &mut at, len)?.iter().map(|&b| b != 0).collect(),
                nulls,
            ),
            1 => Vector::Int(
                words(bytes, &mut at, len)?
                    .into_iter()
                    .map(|w| w as i64)
                    .collect(),
                nulls,
            ),
            2 => Vector::Float(
                words(bytes, &mut at, len)?
                    .into_iter()
                    .map(f64::from_bits)
                    .collect(),
                nulls,
            ),
            3 => Vector::Any(
                (0..len)
                    .map(|_| get_datum(bytes, &mut at))
                    .collect::<Res<_>>()?,
            ),
            _ => return corrupt("a temporary file's column has an unknown kind"),
        });
    }
    Ok(Batch { columns, len })
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) -> Res<()> {
    out.push(tag);
    varint::put(out, bytes.len() as u64);
    pace::append_bytes(out, bytes)
}

fn put_datum(value: &Datum, out: &mut Vec<u8>) -> Res<()> {
    match value {
        Datum::Null => out.push(0),
        Datum::Bool(b) => out.push(1 + u8::from(*b)),
        Datum::Int(i) => {
            out.push(3);
            out.extend_from_slice(&i.to_le_bytes());
        }
        Datum::Float(f) => {
            out.push(4);
            out.extend_from_slice(&f.to_bits().to_le_bytes());
        }
        Datum::Text(t) => put_bytes(5, t.as_bytes(), out)?,
        Datum::Bytes(b) => put_bytes(6, b, out)?,
        Datum::Numeric(_) => {
            let mut stored = Vec::new();
            store::encode(value, oids::NUMERIC, &mut stored)?;
            put_bytes(7, &stored, out)?;
        }
        Datum::Interval(i) => {
            out.push(8);
            out.extend_from_slice(&i.months.to_le_bytes());
            out.extend_from_slice(&i.days.to_le_bytes());
            out.extend_from_slice(&i.micros.to_le_bytes());
        }
        Datum::TimeTz(t) => {
            out.push(9);
            out.extend_from_slice(&t.micros.to_le_bytes());
            out.extend_from_slice(&t.zone.to_le_bytes());
        }
        Datum::Uuid(u) => {
            out.push(10);
            out.extend_from_slice(u);
        }
        Datum::Array(a) => {
            out.push(11);
            varint::put(out, u64::from(a.elem.0));
            varint::put(out, a.dims.len() as u64);
            for (len, low) in &a.dims {
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(&low.to_le_bytes());
            }
            put_list(&a.values, out)?;
        }
        Datum::Record(r) => {
            out.push(12);
            varint::put(out, r.types.len() as u64);
            r.types
                .iter()
                .for_each(|t| varint::put(out, u64::from(t.0)));
            put_list(&r.values, out)?;
        }
    }
    Ok(())
}

fn put_list(values: &[Datum], out: &mut Vec<u8>) -> Res<()> {
    varint::put(out, values.len() as u64);
    values.iter().try_for_each(|v| {
        pace::step(std::mem::size_of::<Datum>())?;
        put_datum(v, out)
    })
}

fn get_list(bytes: &[u8], at: &mut usize) -> Res<Vec<Datum>> {
    let len = varint::get(bytes, at)?;
    (0..len).map(|_| get_datum(bytes, at)).collect()
}

fn get_bytes<'b>(bytes: &'b [u8], at: &mut usize) -> Res<&'b [u8]> {
    let len = varint::get(bytes, at)? as usize;
    take(bytes, at, len)
}

fn get_datum(bytes: &[u8], at: &mut usize) -> Res<Datum> {
    let [tag] = array::<1>(bytes, at)?;
    Ok(match tag {
        0 => Datum::Null,
        1 | 2 => Datum::Bool(tag == 2),
        3 => Datum::Int(i64::from_le_bytes(array(bytes, at)?)),
        4 => Datum::Float(f64::from_bits(u64::from_le_bytes(array(bytes, at)?))),
        5 => match std::str::from_utf8(get_bytes(bytes, at)?) {
            Ok(text) => Datum::Text(Text::new(text)),
            Err(_) => return corrupt("text in a temporary file is not UTF-8"),
        },
        6 => Datum::blob(get_bytes(bytes, at)?),
        7 => store::decode(oids::NUMERIC, get_bytes(bytes, at)?)?,
        8 => Datum::Interval(Interval {
            months: i32::from_le_bytes(array(bytes, at)?),
            days: i32::from_le_bytes(array(bytes, at)?),
            micros: i64::from_le_bytes(array(bytes, at)?),
        }),
        9 => Datum::TimeTz(TimeTz {
            micros: i64::from_le_bytes(array(bytes, at)?),
            zone: i32::from_le_bytes(array(bytes, at)?),
        }),
        10 => Datum::Uuid(array(bytes, at)?),
        11 => {
            let elem = Oid(varint::get(bytes, at)? as u32);
            let count = varint::get(bytes, at)?;
            let mut dims = Vec::new();
            for _ in 0..count {
                let len = i32::from_le_bytes(array(bytes, at)?);
                dims.push((len, i32::from_le_bytes(array(bytes, at)?)));
            }
            Datum::Array(Arc::new(Array {
                elem,
                dims,
                values: get_list(bytes, at)?,
            }))
        }
        12 => {
            let count = varint::get(bytes, at)?;
            let types = (0..count)
                .map(|_| Ok(Oid(varint::get(bytes, at)? as u32)))
                .collect::<Res<Vec<_>>>()?;
            Datum::Record(Arc::new(Record {
                types: Arc::from(types),
                values: get_list(bytes, at)?,
            }))
        }
        _ => return corrupt("a temporary file has a value with an unknown tag"),
    })
}
