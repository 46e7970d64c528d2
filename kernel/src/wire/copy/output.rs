//! COPY TO: rows as CopyData messages, one a row.

use super::{csv, text, Format, Kind, SIGNATURE};
use crate::base::error::Res;
use crate::base::{pace, Oid};
use crate::exec::batch::Batch;
use crate::types::registry::{self, TypeInfo};
use crate::types::settings::Settings;
use crate::types::Datum;
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
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
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
                    ),
                    _ => text::put(self.format.delimiter, name.as_bytes(), out),
                }
            }
            out.push(b'\n');
            backend::end(out, at);
        }
    }

    pub fn row(
        &mut self,
        batch: &Batch,
        row: usize,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        self.begin(out);
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
                Datum::Text(text) => pace::heavy(text.as_bytes().len())?,
                Datum::Bytes(bytes) => pace::heavy(bytes.len())?,
                _ => {}
            }
            self.value.clear();
            match self.format.kind {
                Kind::Binary => {
                    info.send(&value, settings, &mut self.value)?;
                    out.extend_from_slice(&(self.value.len() as u32).to_be_bytes());
                    out.extend_from_slice(&self.value);
                }
                Kind::Text => {
                    info.output(&value, settings, &mut self.value)?;
                    text::put(self.format.delimiter, &self.value, out);
                }
                Kind::Csv => {
                    info.output(&value, settings, &mut self.value)?;
                    let force = self.format.force_quote.contains(&place);
                    csv::put(
                        &self.format,
                        &self.value,
                        force,
                        self.columns.len() == 1,
                        out,
                    );
                }
            }
        }
        if !binary {
            out.push(b'\n');
        }
        Ok(())
    }

    /// What stands after the last row.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        if self.format.kind == Kind::Binary {
            let at = backend::begin(out, b'd');
            out.extend_from_slice(&[0xff, 0xff]);
            backend::end(out, at);
        }
    }
}
