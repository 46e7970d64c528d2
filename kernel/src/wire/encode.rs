//! Rows to DataRow messages: one encoder for a statement's columns, chosen when its formats are known.

use crate::base::error::{fail, Res};
use crate::base::{pace, Oid};
use crate::exec::batch::{Batch, Vector};
use crate::types::registry::{self, Repr, TypeInfo};
use crate::types::settings::Settings;
use crate::types::Datum;
use crate::wire::backend;
use crate::wire::frontend::format_of;

pub struct Column {
    info: &'static TypeInfo,
    binary: bool,
}

/// Room behind a long value, so that what follows it does not make it move.
const BEHIND: usize = 1 << 10;

/// How each column of a row goes out.
pub struct Encoder {
    columns: Vec<Column>,
}

impl Encoder {
    pub fn new(types: impl Iterator<Item = Oid>, formats: &[u16]) -> Res<Encoder> {
        let columns: Vec<Column> = types
            .enumerate()
            .map(|(at, typ)| {
                Ok(Column {
                    info: registry::get(typ)?,
                    binary: format_of(formats, at) == 1,
                })
            })
            .collect::<Res<_>>()?;
        if formats.len() > 1 && formats.len() != columns.len() {
            let text = format!(
                "bind message has {} result formats but query has {} columns",
                formats.len(),
                columns.len()
            );
            return fail("08P01", text);
        }
        Ok(Encoder { columns })
    }

    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// One DataRow. On an error nothing of it stays in `out`.
    pub fn row(
        &self,
        batch: &Batch,
        row: usize,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let at = backend::begin(out, b'D');
        out.extend_from_slice(&(self.columns.len() as u16).to_be_bytes());
        for (column, vector) in self.columns.iter().zip(&batch.columns) {
            let put = column.value(vector, row, settings, out);
            if let Err(stop) = put.and_then(|()| backend::fits(out, at)) {
                out.truncate(at - 1);
                return Err(stop);
            }
        }
        backend::end(out, at);
        Ok(())
    }

    /// One DataRow from values.
    pub fn datums(&self, row: &[Datum], settings: &Settings, out: &mut Vec<u8>) -> Res<()> {
        let at = backend::begin(out, b'D');
        out.extend_from_slice(&(self.columns.len() as u16).to_be_bytes());
        for (column, value) in self.columns.iter().zip(row) {
            let put = sized(out, |out| column.datum(value, settings, out));
            if let Err(stop) = put.and_then(|()| backend::fits(out, at)) {
                out.truncate(at - 1);
                return Err(stop);
            }
        }
        backend::end(out, at);
        Ok(())
    }
}

/// A value with its length before it; NULL (`false`) is −1.
#[inline]
fn sized(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> Res<bool>) -> Res<()> {
    let at = out.len();
    out.extend_from_slice(&[0xff; 4]);
    if put(out)? {
        let length = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// One value out of a column.
pub fn datum_at(vector: &Vector, row: usize) -> Datum {
    match vector {
        Vector::Bool(values, nulls) if !is_null(nulls, row) => values
            .get(row)
            .map_or(Datum::Null, |&value| Datum::Bool(value)),
        Vector::Int(values, nulls) if !is_null(nulls, row) => values
            .get(row)
            .map_or(Datum::Null, |&value| Datum::Int(value)),
        Vector::Float(values, nulls) if !is_null(nulls, row) => values
            .get(row)
            .map_or(Datum::Null, |&value| Datum::Float(value)),
        Vector::Any(values) => values.get(row).cloned().unwrap_or_default(),
        _ => Datum::Null,
    }
}

fn is_null(nulls: &[bool], row: usize) -> bool {
    nulls.get(row).copied().unwrap_or(false)
}

impl Column {
    #[inline]
    fn value(
        &self,
        vector: &Vector,
        row: usize,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        sized(out, |out| match vector {
            Vector::Int(values, nulls) => match values.get(row) {
                Some(&value) if !is_null(nulls, row) => self.int(value, settings, out),
                _ => Ok(false),
            },
            Vector::Any(values) => match values.get(row) {
                Some(value) => self.datum(value, settings, out),
                None => Ok(false),
            },
            Vector::Bool(values, nulls) => match values.get(row) {
                Some(&value) if !is_null(nulls, row) => {
                    self.datum(&Datum::Bool(value), settings, out)
                }
                _ => Ok(false),
            },
            Vector::Float(values, nulls) => match values.get(row) {
                Some(&value) if !is_null(nulls, row) => {
                    self.datum(&Datum::Float(value), settings, out)
                }
                _ => Ok(false),
            },
        })
    }

    #[inline]
    fn int(&self, value: i64, settings: &Settings, out: &mut Vec<u8>) -> Res<bool> {
        use crate::types::oids;
        match (self.binary, self.info.oid) {
            (false, oids::INT4 | oids::INT8 | oids::INT2 | oids::OID) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                Ok(true)
            }
            (true, oids::INT4) => {
                out.extend_from_slice(&(value as i32).to_be_bytes());
                Ok(true)
            }
            (true, oids::INT8) => {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(true)
            }
            _ => self.datum(&Datum::Int(value), settings, out),
        }
    }

    /// `false` for NULL.
    #[inline]
    fn datum(&self, value: &Datum, settings: &Settings, out: &mut Vec<u8>) -> Res<bool> {
        match value {
            Datum::Null => return Ok(false),
            Datum::Text(text) if self.info.repr == Repr::Text => {
                let text = text.as_bytes();
                if text.len() >= pace::LONG {
                    pace::heavy(text.len())?;
                    out.reserve(text.len() + BEHIND);
                }
                pace::append_bytes(out, text)?;
            }
            Datum::Bytes(bytes) if bytes.len() >= pace::LONG => {
                pace::heavy(bytes.len())?;
                out.reserve(bytes.len() * if self.binary { 1 } else { 2 } + BEHIND);
                match self.binary {
                    true => self.info.send(value, settings, out)?,
                    false => self.info.output(value, settings, out)?,
                }
            }
            value if self.binary => self.info.send(value, settings, out)?,
            // void and other pseudo types have an empty text form.
            _ if self.info.repr == Repr::Pseudo && self.info.oid == crate::types::oids::VOID => {}
            value => self.info.output(value, settings, out)?,
        }
        Ok(true)
    }
}
