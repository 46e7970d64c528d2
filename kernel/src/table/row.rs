//! A row's payload: what stands in one version, and the fast way from there into vectors.
//!
//! payload = `[columns << 1 | has nulls, varint][null bitmap, 1 = null][fixed part][variable part]`
//!
//! The fixed part has the non-null columns of fixed width in column order, little-endian, without padding; the variable part
//! the others, each `[length << 2 | form, varint][bytes]`. Nulls take no room. Columns that a row does not have (it was written
//! before they were added) read as `ColumnDef::missing`. A dropped column must keep its type in the definition: rows still have it.
//!
//! | form | bytes |
//! |---|---|
//! | 0 | the value, as `types::store` writes it (text and bytea: as they are) |
//! | 1 | length of the value as varint, then lz4 |
//! | 2 | external: `[value id varint][length varint][stored length varint][packing]` (`packing.rs`) |

use super::packing::{self, Packing};
use crate::base::error::corrupt;
use crate::base::{pace, varint, Oid, Res};
use crate::exec::access::TableDef;
use crate::exec::batch::Batch;
use crate::types::{registry, store, Datum, Repr};
use std::borrow::{Borrow, Cow};

pub const PLAIN: u64 = 0;
pub const PACKED: u64 = 1;
pub const EXTERNAL: u64 = 2;

/// A payload longer than this gets its longest values compressed and then moved out.
pub const TARGET: usize = 2000;
/// Values shorter than this are not worth compressing or moving.
const SHORT: usize = 64;
/// Longest value, as PostgreSQL has it.
pub const VALUE_MAX: usize = 1 << 30;

/// Where a moved value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct External {
    pub id: u64,
    /// Of the value itself.
    pub len: u64,
    /// Of what is stored in chunks.
    pub stored: u64,
    pub packing: Packing,
}

impl External {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.id);
        varint::put(out, self.len);
        varint::put(out, self.stored);
        out.push(self.packing as u8);
    }

    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        self.put(&mut out);
        out
    }

    pub fn get(bytes: &[u8]) -> Res<External> {
        let mut at = 0;
        let id = varint::get(bytes, &mut at)?;
        let len = varint::get(bytes, &mut at)?;
        let stored = varint::get(bytes, &mut at)?;
        let Some(packing) = bytes.get(at).and_then(|byte| Packing::of(*byte)) else {
            return corrupt("a moved value's pointer is cut off");
        };
        Ok(External {
            id,
            len,
            stored,
            packing,
        })
    }
}

/// What a column looks like in rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Col {
    pub typ: Oid,
    pub repr: Repr,
    /// 0: variable.
    pub width: usize,
    /// In the fixed part when nothing before it is null; for variable columns, how many such stand before.
    pub place: usize,
}

/// How a table's rows are laid out.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) cols: Vec<Col>,
    /// Length of the fixed part with the first n columns, none of them null.
    pub(super) fixed: Vec<usize>,
}

impl Layout {
    pub fn of(table: &TableDef) -> Res<Layout> {
        Layout::new(table.columns.iter().map(|c| c.typ))
    }

    pub fn new(types: impl Iterator<Item = Oid>) -> Res<Layout> {
        let mut cols = Vec::with_capacity(types.size_hint().0 + 8);
        let mut fixed = Vec::with_capacity(types.size_hint().0 + 9);
        let (mut at, mut variable) = (0, 0);
        fixed.push(0);
        for typ in types {
            let repr = registry::get(typ)?.repr;
            let width = repr.width().unwrap_or(0);
            cols.push(Col {
                typ,
                repr,
                width,
                place: if width > 0 { at } else { variable },
            });
            if width > 0 {
                at += width;
            } else {
                variable += 1;
            }
            fixed.push(at);
        }
        Ok(Layout { cols, fixed })
    }
}

/// A variable value on its way into a payload. Text and bytea are the row's own bytes.
#[derive(Debug, Clone)]
pub struct Piece<'a> {
    pub column: usize,
    pub form: u64,
    pub bytes: Cow<'a, [u8]>,
}

/// A row between values and payload: big values still in hand.
#[derive(Debug)]
pub struct Draft<'a> {
    nulls: Vec<bool>,
    fixed: Vec<u8>,
    pub pieces: Vec<Piece<'a>>,
}

fn put_fixed(out: &mut Vec<u8>, repr: Repr, value: &Datum) -> Res<()> {
    match (repr, value) {
        (Repr::Bool, Datum::Bool(v)) => out.push(u8::from(*v)),
        (Repr::Char, Datum::Int(v)) => out.push(*v as u8),
        (Repr::Int2, Datum::Int(v)) => out.extend_from_slice(&(*v as i16).to_le_bytes()),
        (Repr::Int4, Datum::Int(v)) => out.extend_from_slice(&(*v as i32).to_le_bytes()),
        (Repr::Oid, Datum::Int(v)) => out.extend_from_slice(&(*v as u32).to_le_bytes()),
        (Repr::Int8, Datum::Int(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Repr::Float4, Datum::Float(v)) => out.extend_from_slice(&(*v as f32).to_le_bytes()),
        (Repr::Float8, Datum::Float(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Repr::Interval, Datum::Interval(v)) => {
            out.extend_from_slice(&v.micros.to_le_bytes());
            out.extend_from_slice(&v.days.to_le_bytes());
            out.extend_from_slice(&v.months.to_le_bytes());
        }
        (Repr::TimeTz, Datum::TimeTz(v)) => {
            out.extend_from_slice(&v.micros.to_le_bytes());
            out.extend_from_slice(&v.zone.to_le_bytes());
        }
        (Repr::Uuid, Datum::Uuid(v)) => out.extend_from_slice(v),
        (repr, value) => {
            return corrupt(format!(
                "a value {value:?} does not fit a column stored as {repr:?}"
            ))
        }
    }
    Ok(())
}

fn variable<'a>(col: &Col, value: &'a Datum) -> Res<Cow<'a, [u8]>> {
    let bytes = match value {
        Datum::Text(v) if col.repr == Repr::Text => v.as_bytes(),
        Datum::Bytes(v) if col.repr == Repr::Bytes => v,
        other => {
            let mut out = Vec::new();
            store::encode(other, col.typ, &mut out)?;
            return Ok(Cow::Owned(out));
        }
    };
    pace::heavy(bytes.len())?;
    Ok(Cow::Borrowed(bytes))
}

/// Append the payload of row `at`. False, and nothing appended, when it is so long that values should be compressed or moved out.
pub fn put(layout: &Layout, rows: &Batch, at: usize, out: &mut Vec<u8>) -> Res<bool> {
    let start = out.len();
    if rows.columns.len() != layout.cols.len() {
        return corrupt(format!(
            "a row of {} values for {} columns",
            rows.columns.len(),
            layout.cols.len()
        ));
    }
    let nulls = rows.columns.iter().any(|c| c.is_null(at));
    varint::put(out, (layout.cols.len() as u64) << 1 | u64::from(nulls));
    if nulls {
        let flags = out.len();
        out.resize(flags + layout.cols.len().div_ceil(8), 0);
        for (place, column) in rows.columns.iter().enumerate() {
            if let (true, Some(byte)) = (column.is_null(at), out.get_mut(flags + place / 8)) {
                *byte |= 1 << (place % 8);
            }
        }
    }
    for (col, column) in layout.cols.iter().zip(&rows.columns) {
        if col.width > 0 && !(nulls && column.is_null(at)) {
            put_fixed(out, col.repr, &column.datum(at))?;
        }
    }
    let mut scratch = Vec::new();
    for (col, column) in layout.cols.iter().zip(&rows.columns) {
        if col.width > 0 || (nulls && column.is_null(at)) {
            continue;
        }
        let value = column.datum(at);
        let bytes: &[u8] = match &*value {
            Datum::Text(v) if col.repr == Repr::Text => v.as_bytes(),
            Datum::Bytes(v) if col.repr == Repr::Bytes => v,
            other => {
                scratch.clear();
                store::encode(other, col.typ, &mut scratch)?;
                &scratch
            }
        };
        if out.len() - start + bytes.len() + 4 > TARGET {
            out.truncate(start);
            return Ok(false);
        }
        varint::put(out, (bytes.len() as u64) << 2 | PLAIN);
        out.extend_from_slice(bytes);
    }
    Ok(true)
}

impl<'a> Draft<'a> {
    /// `row` has a value for every column of the layout.
    pub fn new(layout: &Layout, row: &'a [impl Borrow<Datum>]) -> Res<Draft<'a>> {
        if row.len() != layout.cols.len() {
            return corrupt(format!(
                "a row of {} values for {} columns",
                row.len(),
                layout.cols.len()
            ));
        }
        let mut draft = Draft {
            nulls: Vec::new(),
            fixed: Vec::new(),
            pieces: Vec::new(),
        };
        for (column, (col, value)) in layout.cols.iter().zip(row).enumerate() {
            let value = value.borrow();
            if value.is_null() {
                draft.nulls.resize(row.len(), false);
                if let Some(flag) = draft.nulls.get_mut(column) {
                    *flag = true;
                }
            } else if col.width > 0 {
                put_fixed(&mut draft.fixed, col.repr, value)?;
            } else {
                draft.pieces.push(Piece {
                    column,
                    form: PLAIN,
                    bytes: variable(col, value)?,
                });
            }
        }
        Ok(draft)
    }

    pub fn size(&self) -> usize {
        let head = 2 + self.nulls.len().div_ceil(8);
        let pieces: usize = self
            .pieces
            .iter()
            .map(|p| p.bytes.len() + varint::len((p.bytes.len() as u64) << 2))
            .sum();
        head + self.fixed.len() + pieces
    }

    /// Compress the longest values until the payload is short enough, as far as that helps. The answer: what they were, by
    /// column.
    pub fn pack(&mut self) -> Res<Vec<(usize, Cow<'a, [u8]>)>> {
        let mut raw = Vec::new();
        let mut order: Vec<usize> = (0..self.pieces.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(self.pieces.get(*i).map_or(0, |p| p.bytes.len())));
        for index in order {
            if self.size() <= TARGET {
                break;
            }
            if let Some(piece) = self.pieces.get_mut(index) {
                if piece.form == PLAIN && piece.bytes.len() >= SHORT {
                    if let Some(packed) = packing::pack(&piece.bytes)? {
                        piece.form = PACKED;
                        let packed = Cow::Owned(packed);
                        raw.push((piece.column, std::mem::replace(&mut piece.bytes, packed)));
                    }
                }
            }
        }
        Ok(raw)
    }

    /// The piece to move out next, if the payload is still too long.
    pub fn to_move(&self) -> Option<usize> {
        if self.size() <= TARGET {
            return None;
        }
        let movable = self
            .pieces
            .iter()
            .enumerate()
            .filter(|(_, p)| p.form != EXTERNAL && p.bytes.len() >= SHORT);
        movable.max_by_key(|(_, p)| p.bytes.len()).map(|(i, _)| i)
    }

    /// Piece `index` now stands in the overflow tree as value `id`. Returns the bytes to be stored there.
    pub fn move_out(&mut self, index: usize, id: u64) -> Res<(External, Cow<'a, [u8]>)> {
        let Some(piece) = self.pieces.get_mut(index) else {
            return corrupt("no such value to move out");
        };
        let mut bytes = std::mem::take(&mut piece.bytes);
        let (mut len, mut packing) = (bytes.len() as u64, Packing::None);
        if piece.form == PACKED {
            let mut at = 0;
            len = varint::get(&bytes, &mut at)?;
            packing = Packing::of_len(len as usize);
            bytes.to_mut().drain(..at);
        }
        let external = External {
            id,
            len,
            stored: bytes.len() as u64,
            packing,
        };
        self.point_to(index, external);
        Ok((external, bytes))
    }

    /// The value stands in the overflow tree already (an update that leaves it as it is).
    pub fn point_to(&mut self, index: usize, external: External) {
        if let Some(piece) = self.pieces.get_mut(index) {
            piece.form = EXTERNAL;
            piece.bytes = Cow::Owned(external.to_bytes());
        }
    }

    pub fn points_to(&self, external: &External) -> bool {
        let bytes = external.to_bytes();
        self.pieces
            .iter()
            .any(|p| p.form == EXTERNAL && *p.bytes == *bytes)
    }

    pub fn has_external(&self) -> bool {
        self.pieces.iter().any(|p| p.form == EXTERNAL)
    }

    pub fn finish(&self, layout: &Layout) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        let nulls = self.nulls.iter().any(|n| *n);
        varint::put(&mut out, (layout.cols.len() as u64) << 1 | u64::from(nulls));
        if nulls {
            for eight in self.nulls.chunks(8) {
                out.push(
                    eight
                        .iter()
                        .enumerate()
                        .fold(0, |byte, (i, null)| byte | u8::from(*null) << i),
                );
            }
        }
        out.extend_from_slice(&self.fixed);
        for piece in &self.pieces {
            varint::put(&mut out, (piece.bytes.len() as u64) << 2 | piece.form);
            out.extend_from_slice(&piece.bytes);
        }
        out
    }
}
