//! COPY TO: rows as CopyData messages, one a row.

use super::{csv, text, Format, Kind, SIGNATURE};
use crate::base::error::Res;
use crate::base::{pace, Oid};
use crate::exec::batch::Batch;
use crate::types::registry::{self, Repr, TypeInfo};
use crate::types::settings::Settings;
use crate::types::{oids, Datum};
use crate::wire::backend;
use crate::wire::encode::datum_at;
use std::sync::Arc;

pub struct CopyOut {
    format: Arc<Format>,
    columns: Vec<&'static TypeInfo>,
    /// The header (names, or binary's signature) has gone out.
    begun: bool,
    value: Vec<u8>,
}

impl CopyOut {
    pub fn new(format: Arc<Format>, types: impl Iterator<Item = Oid>) -> Res<CopyOut> {
        let columns = types.map(registry::get).collect::<Res<_>>()?;
        Ok(CopyOut {
            format,
            columns,
            begun: false,
            value: Vec::new(),
        })
    }

    /// Whether the header has gone out already, by another encoder.
    pub fn set_begun(&mut self, begun: bool) {
        self.begun = begun;
    }

    /// What stands before the first row; once.
    pub fn begin(&mut self, out: &mut Vec<u8>) -> Res<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        if self.format.kind == Kind::Binary {
            let at = backend::begin(out, b'd');
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0; 8]);
            backend::end(out, at);
        } else if self.format.header {
            let at = backend::begin(out, b'd');
            for (place, name) in self.format.names.iter().enumerate() {
                if place > 0 {
                    out.push(self.format.delimiter);
                }
                match self.format.kind {
                    Kind::Csv => csv::put(
                        &self.format,
                        name.as_bytes(),
                        false,
                        self.format.names.len() == 1,
                        out,
                    )?,
                    _ => text::put(self.format.delimiter, name.as_bytes(), out)?,
                }
            }
            out.push(b'\n');
            backend::end(out, at);
        }
        Ok(())
    }

    pub fn row(
        &mut self,
        batch: &Batch,
        row: usize,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        self.begin(out)?;
        let at = backend::begin(out, b'd');
        let put = self.put(batch, row, settings, out);
        match put.and_then(|()| backend::fits(out, at)) {
            Ok(()) => {
                backend::end(out, at);
                Ok(())
            }
            Err(stop) => {
                out.truncate(at - 1);
                Err(stop)
            }
        }
    }

    fn put(
        &mut self,
        batch: &Batch,
        row: usize,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let binary = self.format.kind == Kind::Binary;
        if binary {
            out.extend_from_slice(&(self.columns.len() as u16).to_be_bytes());
        }
        for (place, info) in self.columns.iter().enumerate() {
            let value = batch
                .columns
                .get(place)
                .map_or(Datum::Null, |vector| datum_at(vector, row));
            if place > 0 && !binary {
                out.push(self.format.delimiter);
            }
            if value.is_null() {
                match binary {
                    true => out.extend_from_slice(&[0xff; 4]),
                    false => out.extend_from_slice(self.format.null.as_bytes()),
                }
                continue;
            }
            match &value {
                Datum::Text(text) => pace::heavy(text.len())?,
                Datum::Bytes(bytes) => pace::heavy(bytes.len())?,
                _ => {}
            }
            self.value.clear();
            let bytes: &[u8] = match &value {
                Datum::Text(text) if info.repr == Repr::Text => text.as_bytes(),
                Datum::Bytes(bytes) if binary && info.oid == oids::BYTEA => bytes,
                value if binary => {
                    info.send(value, settings, &mut self.value)?;
                    &self.value
                }
                value => {
                    info.output(value, settings, &mut self.value)?;
                    &self.value
                }
            };
            match self.format.kind {
                Kind::Binary => {
                    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                    pace::append_bytes(out, bytes)?;
                }
                Kind::Text => text::put(self.format.delimiter, bytes, out)?,
                Kind::Csv => {
                    let force = self.format.force_quote.contains(&place);
                    csv::put(&self.format, bytes, force, self.columns.len() == 1, out)?;
                }
            }
        }
        if !binary {
            out.push(b'\n');
        }
        Ok(())
    }

    /// What stands after the last row.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Res<()> {
        self.begin(out)?;
        if self.format.kind == Kind::Binary {
            let at = backend::begin(out, b'd');
            out.extend_from_slice(&[0xff, 0xff]);
            backend::end(out, at);
        }
        Ok(())
    }
}
