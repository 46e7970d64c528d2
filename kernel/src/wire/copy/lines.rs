//! Lines of COPY data that comes in pieces: ends, escaped ends, and newlines inside CSV quotes.

use super::{Format, Kind};
use crate::base::error::{fail, Res};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Newline,
    Return,
    Both,
}

/// Finds lines. The first line's end decides what the others must have.
#[derive(Debug, Default)]
pub struct Lines {
    end: Option<End>,
    /// Where the search of the current line goes on, from its start, and the state of CSV's quotes there.
    scanned: usize,
    inside: bool,
    /// Newlines within the current line's quotes.
    pub extra: u64,
}

/// A line found: its bytes' end, and where the next begins.
pub struct Line {
    pub end: usize,
    pub next: usize,
}

impl Lines {
    /// The line at the head of `bytes`; `None`: more is needed. `last`: nothing more comes.
    pub fn next(&mut self, format: &Format, bytes: &[u8], last: bool) -> Res<Option<Line>> {
        let Some((at, byte)) = self.candidate(format, bytes) else {
            self.scanned = bytes.len();
            if last && !bytes.is_empty() {
                if self.inside {
                    return fail("22P04", "unterminated CSV quoted field");
                }
                return Ok(Some(self.found(bytes.len(), bytes.len())));
            }
            return Ok(None);
        };
        if byte == b'\r' && at + 1 == bytes.len() && !last && self.end != Some(End::Return) {
            // Its newline may still come.
            self.scanned = at;
            return Ok(None);
        }
        let both = byte == b'\r' && bytes.get(at + 1) == Some(&b'\n');
        let end = match byte {
            b'\n' => End::Newline,
            _ if both => End::Both,
            _ => End::Return,
        };
        if *self.end.get_or_insert(end) != end {
            return mixed(format, byte);
        }
        Ok(Some(self.found(at, at + 1 + usize::from(both))))
    }

    fn found(&mut self, end: usize, next: usize) -> Line {
        self.scanned = 0;
        Line { end, next }
    }

    /// The next line end that counts as one.
    fn candidate(&mut self, format: &Format, bytes: &[u8]) -> Option<(usize, u8)> {
        if format.kind == Kind::Csv {
            return self.csv_candidate(format, bytes);
        }
        let mut from = self.scanned;
        loop {
            let at = from + memchr::memchr2(b'\n', b'\r', bytes.get(from..)?)?;
            let escapes = bytes[..at]
                .iter()
                .rev()
                .take_while(|&&byte| byte == b'\\')
                .count();
            if escapes % 2 == 0 {
                return Some((at, bytes[at]));
            }
            from = at + 1;
        }
    }

    fn csv_candidate(&mut self, format: &Format, bytes: &[u8]) -> Option<(usize, u8)> {
        let mut from = self.scanned;
        loop {
            let rest = bytes.get(from..)?;
            let at = from + memchr::memchr3(b'\n', b'\r', format.quote, rest)?;
            let byte = bytes[at];
            if byte == format.quote {
                // With another escape character, an escaped quote inside quotes does not close them.
                let escaped = self.inside
                    && format.escape != format.quote
                    && odd_escapes(format, &bytes[..at]);
                self.inside ^= !escaped;
            } else if !self.inside {
                return Some((at, byte));
            } else if byte == b'\n' {
                self.extra += 1;
            }
            from = at + 1;
            self.scanned = from;
        }
    }
}

fn odd_escapes(format: &Format, before: &[u8]) -> bool {
    before
        .iter()
        .rev()
        .take_while(|&&byte| byte == format.escape)
        .count()
        % 2
        == 1
}

fn mixed<T>(format: &Format, byte: u8) -> Res<T> {
    let name = if byte == b'\r' {
        "carriage return"
    } else {
        "newline"
    };
    let code = if byte == b'\r' { "\\r" } else { "\\n" };
    let error = match format.kind {
        Kind::Csv => crate::base::SqlError::new("22P04", format!("unquoted {name} found in data"))
            .hint(format!("Use quoted CSV field to represent {name}.")),
        _ => crate::base::SqlError::new("22P04", format!("literal {name} found in data"))
            .hint(format!("Use \"{code}\" to represent {name}.")),
    };
    Err(error.into())
}
