//! Records in the stream: `[kind, + 128 on the last record of its MTR][page varint][body length varint][body]`.
//! A record's LSN is the stream position of its end. The decoder takes any bytes without panicking.

use super::record::Record;
use crate::base::error::corrupt;
use crate::base::{varint, Lsn, PageNo, Res};

/// On the first byte of a record: it is the last of its MTR (a CPL).
pub const CPL: u8 = 0x80;
const KIND: u8 = 0x3f;

/// Append a record; the CPL flag is added later by setting it on the record's first byte.
pub fn put(out: &mut Vec<u8>, page: PageNo, record: &Record) {
    out.push(record.number());
    varint::put(out, page.0);
    // Most bodies are shorter than 128 bytes: guess a length of one byte and make room if that was wrong.
    let at = out.len();
    out.push(0);
    record.encode(out);
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
    } else {
        let mut head = Vec::with_capacity(4);
        varint::put(&mut head, len as u64);
        out.splice(at..=at, head);
    }
}

/// A record with its place, its body not yet decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    pub lsn: Lsn,
    pub page: PageNo,
    /// Last of its MTR.
    pub cpl: bool,
    pub kind: u8,
    pub body: &'a [u8],
    /// The record's bytes in the stream, header included.
    pub raw: &'a [u8],
}

impl<'a> Entry<'a> {
    pub fn record(&self) -> Res<Record<'a>> {
        Record::decode(self.kind, self.body)
    }
}

/// Entries of a piece of stream that begins at `start`. Ends after the first error.
#[derive(Clone)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    start: Lsn,
}

impl<'a> Decoder<'a> {
    pub fn new(start: Lsn, bytes: &'a [u8]) -> Decoder<'a> {
        Decoder {
            bytes,
            at: 0,
            start,
        }
    }

    fn entry(&mut self) -> Res<Entry<'a>> {
        let from = self.at;
        let Some(&head) = self.bytes.get(self.at) else {
            return corrupt("the redo stream ends inside a record");
        };
        self.at += 1;
        let page = PageNo(varint::get(self.bytes, &mut self.at)?);
        let len = varint::get(self.bytes, &mut self.at)?;
        let body = usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len))
            .and_then(|end| self.bytes.get(self.at..end));
        let Some(body) = body else {
            return corrupt("the redo stream ends inside a record");
        };
        self.at += body.len();
        Ok(Entry {
            lsn: Lsn(self.start.0.saturating_add(self.at as u64)),
            page,
            cpl: head & CPL != 0,
            kind: head & KIND,
            body,
            raw: self.bytes.get(from..self.at).unwrap_or(&[]),
        })
    }
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Res<Entry<'a>>;

    fn next(&mut self) -> Option<Res<Entry<'a>>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.at = self.bytes.len();
        }
        Some(entry)
    }
}
