//! COPY FROM: bytes in pieces to rows of values, with PostgreSQL's errors and their context.

use super::binary::{self, Row};
use super::lines::Lines;
use super::{csv, text, Format, Kind};
use crate::base::error::{enlarge, fail, Res};
use crate::base::{pace, Oid, Stop};
use crate::types::registry::{self, TypeInfo};
use crate::types::settings::Settings;
use crate::types::Datum;
use crate::wire::frontend::utf8;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// The table and columns that rows are for.
pub struct Target {
    pub table: String,
    pub columns: Vec<(&'static TypeInfo, i32)>,
}

impl Target {
    pub fn new(table: &str, types: &[Oid], typmods: &[i32]) -> Res<Target> {
        let typmod = |at: usize| typmods.get(at).copied().unwrap_or(-1);
        let columns = types
            .iter()
            .enumerate()
            .map(|(at, &typ)| Ok((registry::get(typ)?, typmod(at))))
            .collect::<Res<_>>()?;
        Ok(Target {
            table: table.to_owned(),
            columns,
        })
    }
}

/// Room for more is given back.
const LONG_ROW: usize = 1 << 20;

pub struct CopyParser {
    format: Arc<Format>,
    target: Target,
    bytes: Vec<u8>,
    at: usize,
    lines: Lines,
    /// Lines read so far; rows, for binary.
    line: u64,
    header: bool,
    last: bool,
    /// The end marker was seen.
    ended: bool,
}

type Field<'a> = Option<Cow<'a, [u8]>>;

impl CopyParser {
    pub fn new(format: Arc<Format>, target: Target) -> CopyParser {
        let header = format.header || format.binary();
        CopyParser {
            format,
            target,
            bytes: Vec::new(),
            at: 0,
            lines: Lines::default(),
            line: 0,
            header,
            last: false,
            ended: false,
        }
    }

    pub fn feed(&mut self, data: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    /// Bytes that so many more would have moved, to larger room.
    pub fn moved_by(&self, more: usize) -> usize {
        match self.bytes.len() - self.at + more > self.bytes.capacity() {
            true => self.bytes.len(),
            false => 0,
        }
    }

    pub fn finish(&mut self) {
        self.last = true;
    }

    pub fn finished(&self) -> bool {
        self.last && (self.ended || self.at == self.bytes.len())
    }

    pub fn columns(&self) -> usize {
        self.target.columns.len()
    }

    /// Append up to `max` rows, each with the number of its line; `false`: more bytes are needed.
    pub fn rows(
        &mut self,
        max: usize,
        settings: &Settings,
        rows: &mut Vec<Vec<Datum>>,
        numbers: &mut Vec<u64>,
    ) -> Res<bool> {
        let bytes = std::mem::take(&mut self.bytes);
        let result = self.parse(&bytes, max, settings, rows, numbers);
        self.bytes = bytes;
        if self.at == self.bytes.len() && self.at > LONG_ROW {
            // Where its row was read.
            (self.bytes, self.at) = (Vec::new(), 0);
        }
        result
    }

    fn parse(
        &mut self,
        bytes: &[u8],
        max: usize,
        settings: &Settings,
        rows: &mut Vec<Vec<Datum>>,
        numbers: &mut Vec<u64>,
    ) -> Res<bool> {
        while rows.len() < max {
            if self.ended {
                self.at = bytes.len();
                return Ok(false);
            }
            let row = match self.format.kind {
                Kind::Binary => self.binary_row(bytes, settings),
                _ => self.line_row(bytes, settings),
            };
            // What is parsed already goes on its way first.
            if matches!(row, Err(Stop::Need(_))) && !rows.is_empty() {
                return Ok(true);
            }
            match row? {
                Some(row) => {
                    rows.push(row);
                    numbers.push(self.line);
                }
                None if self.ended => {}
                None => {
                    // A line that never ends must not take all memory.
                    enlarge(bytes.len() - self.at, 0)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn line_row(&mut self, bytes: &[u8], settings: &Settings) -> Res<Option<Vec<Datum>>> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or(&[]);
            let found = self.lines.next(&self.format, rest, self.last);
            let Some(line) = found.map_err(|stop| self.place(stop, self.line + 1, None))? else {
                return Ok(None);
            };
            pace::heavy(line.end)?;
            self.at += line.next;
            self.line += 1 + std::mem::take(&mut self.lines.extra);
            let content = &rest[..line.end];
            if content == b"\\." {
                self.ended = true;
                return Ok(None);
            }
            if std::mem::take(&mut self.header) {
                self.check_header(content)?;
                continue;
            }
            return self.values(content, settings).map(Some);
        }
    }

    fn fields<'a>(&self, content: &'a [u8]) -> Res<SmallVec<[Field<'a>; 16]>> {
        let mut fields: SmallVec<[Field<'a>; 16]> = SmallVec::new();
        let null = self.format.null.as_bytes();
        match self.format.kind {
            Kind::Csv => csv::fields(&self.format, content, |value, quoted| {
                let place = fields.len();
                let is_null = match quoted {
                    true => self.format.force_null.contains(&place) && *value == *null,
                    false => !self.format.force_not_null.contains(&place) && *value == *null,
                };
                fields.push((!is_null).then_some(value));
            })?,
            _ => text::fields(content, self.format.delimiter, null, |field| {
                fields.push(field)
            }),
        }
        Ok(fields)
    }

    fn values(&self, content: &[u8], settings: &Settings) -> Res<Vec<Datum>> {
        let at_line = |stop| self.place(stop, self.line, Some(content));
        // One check for the line; escapes may still build broken text.
        utf8(content).map_err(at_line)?;
        let fields = if self.columns() == 0 && content.is_empty() {
            SmallVec::new()
        } else {
            self.fields(content).map_err(at_line)?
        };
        if fields.len() > self.columns() {
            return fail("22P04", "extra data after last expected column").map_err(at_line);
        }
        let mut row = Vec::with_capacity(self.columns());
        for (place, (info, typmod)) in self.target.columns.iter().enumerate() {
            let value = match fields.get(place) {
                None => {
                    let name = self.name(place);
                    return fail("22P04", format!("missing data for column \"{name}\""))
                        .map_err(at_line);
                }
                Some(None) => Datum::Null,
                Some(Some(field)) => {
                    let text = match field {
                        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).or_else(|_| utf8(bytes)),
                        Cow::Owned(bytes) => utf8(bytes),
                    }
                    .map_err(at_line)?;
                    info.input(text, *typmod, settings)
                        .map_err(|stop| self.at_column(stop, place, Some(text)))?
                }
            };
            row.push(value);
        }
        Ok(row)
    }

    fn check_header(&self, content: &[u8]) -> Res<()> {
        if !self.format.header_match {
            return Ok(());
        }
        let at_line = |stop| self.place(stop, self.line, Some(content));
        let fields = self.fields(content).map_err(at_line)?;
        if fields.len() != self.format.names.len() {
            let text = format!(
                "wrong number of fields in header line: got {}, expected {}",
                fields.len(),
                self.format.names.len()
            );
            return fail("22P04", text).map_err(at_line);
        }
        for (place, (field, name)) in fields.iter().zip(&self.format.names).enumerate() {
            let got = match field {
                None => format!("got null value (\"{}\")", self.format.null),
                Some(field) if **field == *name.as_bytes() => continue,
                Some(field) => format!("got \"{}\"", String::from_utf8_lossy(field)),
            };
            let text = format!(
                "column name mismatch in header line field {}: {got}, expected \"{name}\"",
                place + 1
            );
            return fail("22P04", text).map_err(at_line);
        }
        Ok(())
    }

    fn binary_row(&mut self, bytes: &[u8], settings: &Settings) -> Res<Option<Vec<Datum>>> {
        if self.header {
            match binary::header(bytes.get(self.at..).unwrap_or(&[]))? {
                Some(size) => {
                    self.at += size;
                    self.header = false;
                }
                None if self.last => return fail("22P04", "COPY file signature not recognized"),
                None => return Ok(None),
            }
        }
        let rest = bytes.get(self.at..).unwrap_or(&[]);
        let next = self.line + 1;
        let (fields, size) =
            match binary::row(rest, self.columns()).map_err(|stop| self.place(stop, next, None))? {
                Row::Part if self.last && !rest.is_empty() => {
                    return fail("22P04", "unexpected EOF in COPY data")
                        .map_err(|stop| self.place(stop, next, None));
                }
                Row::Part => return Ok(None),
                Row::Trailer if rest.len() > 2 => {
                    return fail("22P04", "received copy data after EOF marker")
                        .map_err(|stop| self.place(stop, next, None));
                }
                Row::Trailer => {
                    self.ended = true;
                    return Ok(None);
                }
                Row::Fields(fields, size) => (fields, size),
            };
        pace::heavy(size)?;
        self.line = next;
        let mut row = Vec::with_capacity(fields.len());
        for (place, (field, (info, typmod))) in fields.iter().zip(&self.target.columns).enumerate()
        {
            row.push(match field {
                None => Datum::Null,
                Some(bytes) => info
                    .recv(bytes, *typmod, settings)
                    .map_err(|stop| self.at_column(stop, place, None))?,
            });
        }
        self.at += size;
        Ok(Some(row))
    }

    fn name(&self, column: usize) -> &str {
        self.format.names.get(column).map_or("?", String::as_str)
    }

    fn at_column(&self, stop: Stop, column: usize, value: Option<&str>) -> Stop {
        let place = format!(
            "COPY {}, line {}, column {}",
            self.target.table,
            self.line,
            self.name(column)
        );
        context(
            stop,
            match value {
                Some(value) => format!("{place}: \"{}\"", shortened(value)),
                None => place,
            },
        )
    }

    fn place(&self, stop: Stop, line: u64, content: Option<&[u8]>) -> Stop {
        let place = format!("COPY {}, line {line}", self.target.table);
        context(
            stop,
            match content.map(std::str::from_utf8) {
                Some(Ok(content)) => format!("{place}: \"{}\"", shortened(content)),
                _ => place,
            },
        )
    }

    /// The context of an error that came from inserting the row of this line.
    pub fn context_of_line(&self, line: u64) -> String {
        format!("COPY {}, line {line}", self.target.table)
    }
}

fn context(stop: Stop, text: String) -> Stop {
    match stop {
        Stop::Error(mut error) => {
            error.context.get_or_insert(text);
            Stop::Error(error)
        }
        need => need,
    }
}

/// What an error shows of a value: PostgreSQL cuts at 100 characters.
fn shortened(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(100) {
        Some((end, _)) => Cow::Owned(format!("{}...", &value[..end])),
        None => Cow::Borrowed(value),
    }
}
