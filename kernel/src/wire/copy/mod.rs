//! COPY's three formats, both ways: rows to bytes, and bytes in pieces of any size to rows.

mod binary;
mod csv;
mod input;
mod lines;
mod output;
mod text;

pub use input::{CopyParser, Target};
pub use output::CopyOut;

use crate::base::error::{fail, Res};

/// Bytes of a long value between two looks whether somebody has cancelled.
const BLOCK: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Csv,
    Binary,
}

/// COPY's options, as checked by `Format::check`.
#[derive(Debug, Clone)]
pub struct Format {
    pub kind: Kind,
    pub delimiter: u8,
    /// How NULL is written.
    pub null: String,
    pub header: bool,
    /// HEADER MATCH: the header's names must be the columns'.
    pub header_match: bool,
    pub quote: u8,
    pub escape: u8,
    /// CSV output: columns that are always quoted.
    pub force_quote: Vec<usize>,
    /// CSV input: columns whose unquoted null string is a value; whose quoted one is NULL.
    pub force_not_null: Vec<usize>,
    pub force_null: Vec<usize>,
    pub names: Vec<String>,
}

/// What the statement said; none: the format's default.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub delimiter: Option<String>,
    pub null: Option<String>,
    pub header: bool,
    pub header_match: bool,
    pub quote: Option<String>,
    pub escape: Option<String>,
    pub force_quote: Option<Vec<usize>>,
    pub force_not_null: Vec<usize>,
    pub force_null: Vec<usize>,
    pub names: Vec<String>,
}

fn one_byte(value: &Option<String>, default: u8, name: &str) -> Res<u8> {
    match value.as_deref().map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => fail(
            "0A000",
            format!("COPY {name} must be a single one-byte character"),
        ),
    }
}

impl Format {
    pub fn new(kind: &str, options: Options) -> Res<Format> {
        let kind = match kind {
            "text" => Kind::Text,
            "csv" => Kind::Csv,
            "binary" => Kind::Binary,
            other => return fail("22023", format!("COPY format \"{other}\" not recognized")),
        };
        let csv = kind == Kind::Csv;
        let quote = one_byte(&options.quote, b'"', "quote")?;
        let format = Format {
            kind,
            delimiter: one_byte(
                &options.delimiter,
                if csv { b',' } else { b'\t' },
                "delimiter",
            )?,
            null: options.null.clone().unwrap_or_else(|| {
                if csv {
                    String::new()
                } else {
                    "\\N".to_owned()
                }
            }),
            header: options.header || options.header_match,
            header_match: options.header_match,
            quote,
            escape: one_byte(&options.escape, quote, "escape")?,
            force_quote: options.force_quote.clone().unwrap_or_default(),
            force_not_null: options.force_not_null.clone(),
            force_null: options.force_null.clone(),
            names: options.names.clone(),
        };
        format.check(&options)?;
        Ok(format)
    }

    /// PostgreSQL's rules on what goes with what, in its order.
    fn check(&self, options: &Options) -> Res<()> {
        let (binary, csv) = (self.kind == Kind::Binary, self.kind == Kind::Csv);
        if binary && options.delimiter.is_some() {
            return fail("42601", "cannot specify DELIMITER in BINARY mode");
        }
        if binary && options.null.is_some() {
            return fail("42601", "cannot specify NULL in BINARY mode");
        }
        if matches!(self.delimiter, b'\r' | b'\n') {
            return fail(
                "22023",
                "COPY delimiter cannot be newline or carriage return",
            );
        }
        if self.null.contains(['\r', '\n']) {
            return fail(
                "22023",
                "COPY null representation cannot use newline or carriage return",
            );
        }
        if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&self.delimiter) {
            return fail(
                "22023",
                format!(
                    "COPY delimiter cannot be \"{}\"",
                    char::from(self.delimiter)
                ),
            );
        }
        if binary && self.header {
            return fail("0A000", "cannot specify HEADER in BINARY mode");
        }
        if !csv && options.quote.is_some() {
            return fail("0A000", "COPY quote available only in CSV mode");
        }
        if csv && self.delimiter == self.quote {
            return fail("22023", "COPY delimiter and quote must be different");
        }
        if !csv && options.escape.is_some() {
            return fail("0A000", "COPY escape available only in CSV mode");
        }
        if !csv && options.force_quote.is_some() {
            return fail("0A000", "COPY force quote available only in CSV mode");
        }
        if !csv && !self.force_not_null.is_empty() {
            return fail("0A000", "COPY force not null available only in CSV mode");
        }
        if !csv && !self.force_null.is_empty() {
            return fail("0A000", "COPY force null available only in CSV mode");
        }
        if self.null.as_bytes().contains(&self.delimiter) && !binary {
            return fail(
                "0A000",
                "COPY delimiter must not appear in the NULL specification",
            );
        }
        if csv && self.null.as_bytes().contains(&self.quote) {
            return fail(
                "0A000",
                "CSV quote character must not appear in the NULL specification",
            );
        }
        Ok(())
    }

    pub fn binary(&self) -> bool {
        self.kind == Kind::Binary
    }
}

/// "PGCOPY", and bytes that a careless transfer would change.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

#[cfg(test)]
mod tests;
