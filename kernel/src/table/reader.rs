//! From payloads (`row.rs` has their format) to values and vectors, column by column, without looking at what is not wanted.

use super::packing::{unpack, Packing};
use super::row::{Col, External, Layout, EXTERNAL, PACKED, PLAIN};
use crate::base::error::corrupt;
use crate::base::{varint, Oid, Res};
use crate::exec::access::ColumnDef;
use crate::exec::batch::{Batch, Vector};
use crate::types::{store, Datum, Interval, Repr, Text, TimeTz};
use std::sync::Arc;

/// The value of a variable column from its stored bytes.
fn variable_value(col: &Col, bytes: &[u8]) -> Res<Datum> {
    match col.repr {
        Repr::Text => match Text::from_utf8(bytes) {
            Ok(text) => Ok(Datum::Text(text)),
            Err(_) => corrupt("a stored text is not UTF-8"),
        },
        Repr::Bytes => Ok(Datum::Bytes(bytes.into())),
        _ => store::decode(col.typ, bytes),
    }
}

/// The same, of bytes that are not needed any more: a long text is not copied.
fn moved_value(col: &Col, bytes: Vec<u8>) -> Res<Datum> {
    match col.repr {
        Repr::Text => match String::from_utf8(bytes) {
            Ok(text) => Ok(Datum::Text(text.into())),
            Err(_) => corrupt("a stored text is not UTF-8"),
        },
        Repr::Bytes => Ok(Datum::Bytes(bytes.into())),
        _ => store::decode(col.typ, &bytes),
    }
}

fn inline_value(col: &Col, form: u64, bytes: &[u8]) -> Res<Datum> {
    match form {
        PLAIN => variable_value(col, bytes),
        PACKED => {
            let mut at = 0;
            let len = varint::get(bytes, &mut at)?;
            let packed = bytes.get(at..).unwrap_or(&[]);
            moved_value(col, unpack(packed, len as usize, Packing::Whole)?)
        }
        _ => corrupt("a moved value where none should be"),
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Res<[u8; N]> {
    match bytes.get(at..).and_then(|b| b.first_chunk::<N>()) {
        Some(chunk) => Ok(*chunk),
        None => corrupt("a row is shorter than its columns"),
    }
}

#[inline(always)]
fn int_at(bytes: &[u8], at: usize, repr: Repr) -> Res<i64> {
    Ok(match repr {
        Repr::Int4 => i64::from(i32::from_le_bytes(chunk(bytes, at)?)),
        Repr::Int8 => i64::from_le_bytes(chunk(bytes, at)?),
        Repr::Int2 => i64::from(i16::from_le_bytes(chunk(bytes, at)?)),
        Repr::Oid => i64::from(u32::from_le_bytes(chunk(bytes, at)?)),
        _ => i64::from(chunk::<1>(bytes, at)?[0]),
    })
}

fn fixed_at(bytes: &[u8], at: usize, repr: Repr) -> Res<Datum> {
    Ok(match repr {
        Repr::Bool => Datum::Bool(chunk::<1>(bytes, at)?[0] != 0),
        Repr::Float4 => Datum::Float(f64::from(f32::from_le_bytes(chunk(bytes, at)?))),
        Repr::Float8 => Datum::Float(f64::from_le_bytes(chunk(bytes, at)?)),
        Repr::Interval => Datum::Interval(Interval {
            micros: i64::from_le_bytes(chunk(bytes, at)?),
            days: i32::from_le_bytes(chunk(bytes, at + 8)?),
            months: i32::from_le_bytes(chunk(bytes, at + 12)?),
        }),
        Repr::TimeTz => Datum::TimeTz(TimeTz {
            micros: i64::from_le_bytes(chunk(bytes, at)?),
            zone: i32::from_le_bytes(chunk(bytes, at + 8)?),
        }),
        Repr::Uuid => Datum::Uuid(chunk(bytes, at)?),
        other => Datum::Int(int_at(bytes, at, other)?),
    })
}

/// The beginning of a payload, taken apart.
struct Head<'a> {
    columns: usize,
    bitmap: Option<&'a [u8]>,
    /// The fixed part begins here.
    at: usize,
}

impl<'a> Head<'a> {
    #[inline(always)]
    fn of(payload: &'a [u8]) -> Res<Head<'a>> {
        let mut at = 0;
        let word = match payload.first() {
            Some(byte) if *byte < 0x80 => {
                at = 1;
                u64::from(*byte)
            }
            _ => varint::get(payload, &mut at)?,
        };
        let columns = (word >> 1) as usize;
        if word & 1 == 0 {
            return Ok(Head {
                columns,
                bitmap: None,
                at,
            });
        }
        let end = at + columns.div_ceil(8);
        match payload.get(at..end) {
            Some(bitmap) => Ok(Head {
                columns,
                bitmap: Some(bitmap),
                at: end,
            }),
            None => corrupt("a row's null bitmap is cut off"),
        }
    }

    fn is_null(&self, column: usize) -> bool {
        self.bitmap.is_some_and(|b| {
            b.get(column / 8)
                .is_some_and(|byte| byte >> (column % 8) & 1 == 1)
        })
    }
}

/// The next variable value at `*at`.
fn next_piece<'a>(payload: &'a [u8], at: &mut usize) -> Res<(u64, &'a [u8])> {
    let word = varint::get(payload, at)?;
    let start = *at;
    let end = start.saturating_add((word >> 2) as usize);
    match payload.get(start..end) {
        Some(bytes) => {
            *at = end;
            Ok((word & 3, bytes))
        }
        None => corrupt("a row's value runs past the row"),
    }
}

#[derive(Debug, Clone, Copy)]
struct Want {
    column: usize,
    out: usize,
    col: Col,
}

/// Reads chosen columns out of payloads.
#[derive(Debug, Clone)]
pub struct Reader {
    layout: Arc<Layout>,
    fixed: Vec<Want>,
    /// In column order.
    variable: Vec<Want>,
    /// Columns that a row must have so that nothing wanted is missing.
    needs: usize,
    /// By output position.
    missing: Vec<Datum>,
    width: usize,
}

/// What one wanted column holds, before it is made a value.
enum Found<'a> {
    Null,
    Missing,
    Fixed(usize),
    Piece(u64, &'a [u8]),
}

impl Reader {
    pub fn new(layout: &Arc<Layout>, columns: &[ColumnDef], wanted: &[usize]) -> Res<Reader> {
        let mut reader = Reader {
            layout: Arc::clone(layout),
            fixed: Vec::new(),
            variable: Vec::new(),
            needs: 0,
            missing: Vec::with_capacity(wanted.len()),
            width: wanted.len(),
        };
        for (out, column) in wanted.iter().copied().enumerate() {
            let (Some(col), Some(def)) = (layout.cols.get(column), columns.get(column)) else {
                return corrupt(format!("no column {column} in the table"));
            };
            reader.missing.push(if def.dropped {
                Datum::Null
            } else {
                def.missing.clone()
            });
            if def.dropped {
                // Reads as null always: as if rows never had it.
                continue;
            }
            reader.needs = reader.needs.max(column + 1);
            let want = Want {
                column,
                out,
                col: *col,
            };
            if col.width > 0 {
                reader.fixed.push(want);
            } else {
                reader.variable.push(want);
            }
        }
        reader.variable.sort_by_key(|w| w.column);
        Ok(reader)
    }

    /// All columns.
    pub fn all(layout: &Arc<Layout>, columns: &[ColumnDef]) -> Res<Reader> {
        let wanted: Vec<usize> = (0..columns.len()).collect();
        Reader::new(layout, columns, &wanted)
    }

    /// Append one row to `out.columns[..width]`; the payload has no moved values among the wanted ones, or this is corruption.
    /// On an error the batch may have ragged columns: the caller cuts them back to `out.len`.
    #[inline]
    pub fn push(&self, payload: &[u8], out: &mut Batch) -> Res<()> {
        let head = Head::of(payload)?;
        if head.bitmap.is_some()
            || head.columns < self.needs
            || self.fixed.len() + self.variable.len() < self.width
        {
            return self.push_slow(payload, &head, out);
        }
        for want in &self.fixed {
            let at = head.at + want.col.place;
            match (want.col.repr, out.columns.get_mut(want.out)) {
                (
                    Repr::Int4 | Repr::Int8 | Repr::Int2 | Repr::Oid | Repr::Char,
                    Some(Vector::Int(values, nulls)),
                ) => {
                    values.push(int_at(payload, at, want.col.repr)?);
                    if !nulls.is_empty() {
                        nulls.push(false);
                    }
                }
                (_, Some(vector)) => vector.push(fixed_at(payload, at, want.col.repr)?),
                (_, None) => return corrupt("a batch has fewer columns than the scan"),
            }
        }
        if self.variable.is_empty() {
            return Ok(());
        }
        let mut at = head.at + self.layout.fixed.get(head.columns).copied().unwrap_or(0);
        let mut seen = 0;
        let (mut form, mut bytes): (u64, &[u8]) = (PLAIN, &[]);
        for want in &self.variable {
            while seen <= want.col.place {
                (form, bytes) = next_piece(payload, &mut at)?;
                seen += 1;
            }
            match out.columns.get_mut(want.out) {
                Some(vector) => vector.push(inline_value(&want.col, form, bytes)?),
                None => return corrupt("a batch has fewer columns than the scan"),
            }
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn push_slow(&self, payload: &[u8], head: &Head<'_>, out: &mut Batch) -> Res<()> {
        let row = self.read(payload, head, &mut |_, _| {
            corrupt("a moved value where none should be")
        })?;
        for (value, vector) in row.into_iter().zip(&mut out.columns) {
            vector.push(value);
        }
        Ok(())
    }

    /// Is this column, of variable width, among the wanted ones?
    pub fn wants(&self, column: usize) -> bool {
        self.variable.iter().any(|want| want.column == column)
    }

    /// The wanted columns; `moved` brings in values from the overflow tree (it gets the type and the pointer).
    pub fn row(
        &self,
        payload: &[u8],
        moved: &mut dyn FnMut(Oid, External) -> Res<Vec<u8>>,
    ) -> Res<Vec<Datum>> {
        self.read(payload, &Head::of(payload)?, moved)
    }

    fn read(
        &self,
        payload: &[u8],
        head: &Head<'_>,
        moved: &mut dyn FnMut(Oid, External) -> Res<Vec<u8>>,
    ) -> Res<Vec<Datum>> {
        let mut row = self.missing.clone();
        let mut place = |want: &Want, found: Found<'_>| -> Res<()> {
            let value = match found {
                Found::Missing => return Ok(()),
                Found::Null => Datum::Null,
                Found::Fixed(at) => fixed_at(payload, at, want.col.repr)?,
                Found::Piece(EXTERNAL, bytes) => {
                    let pointer = External::get(bytes)?;
                    moved_value(&want.col, moved(want.col.typ, pointer)?)?
                }
                Found::Piece(form, bytes) => inline_value(&want.col, form, bytes)?,
            };
            if let Some(slot) = row.get_mut(want.out) {
                *slot = value;
            }
            Ok(())
        };
        for want in &self.fixed {
            let found = self.find_fixed(head, want);
            place(want, found)?;
        }
        let mut at = head.at + self.fixed_len(head);
        let mut column = 0;
        for want in &self.variable {
            let mut last: Option<(u64, &[u8])> = None;
            // The same column may be wanted twice: then step back to it by reading from the start again.
            if column > want.column {
                (column, at) = (0, head.at + self.fixed_len(head));
            }
            while column <= want.column && column < head.columns {
                let width = self.layout.cols.get(column).map_or(0, |c| c.width);
                if width == 0 && !head.is_null(column) {
                    let piece = next_piece(payload, &mut at)?;
                    if column == want.column {
                        last = Some(piece);
                    }
                }
                column += 1;
            }
            let found = match last {
                Some((form, bytes)) => Found::Piece(form, bytes),
                None if want.column >= head.columns => Found::Missing,
                None => Found::Null,
            };
            place(want, found)?;
        }
        Ok(row)
    }

    fn find_fixed<'a>(&self, head: &Head<'_>, want: &Want) -> Found<'a> {
        if want.column >= head.columns {
            return Found::Missing;
        }
        if head.is_null(want.column) {
            return Found::Null;
        }
        Found::Fixed((head.at + want.col.place).saturating_sub(self.null_width(head, want.column)))
    }

    /// Bytes that nulls before column `end` don't take.
    fn null_width(&self, head: &Head<'_>, end: usize) -> usize {
        if head.bitmap.is_none() {
            return 0;
        }
        let cols = self.layout.cols.iter().take(end).enumerate();
        cols.filter(|(i, _)| head.is_null(*i))
            .map(|(_, c)| c.width)
            .sum()
    }

    fn fixed_len(&self, head: &Head<'_>) -> usize {
        let all = self.layout.fixed.get(head.columns).copied().unwrap_or(0);
        all.saturating_sub(self.null_width(head, head.columns))
    }
}

/// Pointers to moved values in a payload, with their columns.
pub fn externals(layout: &Layout, payload: &[u8]) -> Res<Vec<(usize, External)>> {
    let head = Head::of(payload)?;
    let mut out = Vec::new();
    let mut fixed = 0;
    let columns = || {
        layout
            .cols
            .iter()
            .enumerate()
            .take(head.columns)
            .filter(|(i, _)| !head.is_null(*i))
    };
    for (_, col) in columns() {
        fixed += col.width;
    }
    let mut at = head.at + fixed;
    for (column, col) in columns() {
        if col.width == 0 {
            let (form, bytes) = next_piece(payload, &mut at)?;
            if form == EXTERNAL {
                out.push((column, External::get(bytes)?));
            }
        }
    }
    Ok(out)
}
