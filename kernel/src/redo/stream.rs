//! Records in the stream: `[kind, + 64 when the body is packed, + 128 on the last record of its MTR][page varint]
//! [body length varint][body]`. A packed body is `[its length varint][lz4 of it]`.
//! A record's LSN is the stream position of its end. The decoder takes any bytes without panicking.

use super::apply::apply;
use super::record::Record;
use crate::base::error::corrupt;
use crate::base::{varint, Lsn, PageNo, Res};
use crate::page::{Page, PAGE_SIZE};
use std::borrow::Cow;

/// On the first byte of a record: it is the last of its MTR (a CPL).
pub const CPL: u8 = 0x80;
const PACKED: u8 = 0x40;
const KIND: u8 = 0x3f;

/// Bodies of many cells that are shorter than this are not worth packing.
const PACK_MIN: usize = 1024;
/// Longer than any body: what a record says of a page is hardly longer than the page.
const BODY_MAX: usize = 4 * PAGE_SIZE;

/// Append a record; the CPL flag is added later by setting it on the record's first byte.
pub fn put(out: &mut Vec<u8>, page: PageNo, record: &Record) {
    let start = out.len();
    out.push(record.number());
    varint::put(out, page.0);
    // Most bodies are shorter than 128 bytes: guess a length of one byte and make room if that was wrong.
    let at = out.len();
    out.push(0);
    record.encode(out);
    if record.has_many_cells() && out.len() - at > PACK_MIN {
        if let Some(packed) = pack(out.get(at + 1..).unwrap_or(&[])) {
            out.truncate(at + 1);
            out.extend_from_slice(&packed);
            out[start] |= PACKED;
        }
    }
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
    } else {
        let mut head = Vec::with_capacity(4);
        varint::put(&mut head, len as u64);
        out.splice(at..=at, head);
    }
}

/// The body packed, if that makes it shorter by an eighth.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let room = lz4_flex::block::get_maximum_output_size(body.len());
    let mut out = Vec::with_capacity(4 + room);
    varint::put(&mut out, body.len() as u64);
    let head = out.len();
    out.resize(head + room, 0);
    let len = lz4_flex::block::compress_into(body, out.get_mut(head..)?).ok()?;
    out.truncate(head + len);
    (out.len() + body.len() / 8 < body.len()).then_some(out)
}

fn unpack(packed: &[u8]) -> Res<Vec<u8>> {
    let mut at = 0;
    let len = varint::get(packed, &mut at)?;
    if len > BODY_MAX as u64 {
        return corrupt("a packed redo record claims to be longer than a page");
    }
    match lz4_flex::block::decompress(packed.get(at..).unwrap_or(&[]), len as usize) {
        Ok(body) if body.len() as u64 == len => Ok(body),
        _ => corrupt("a packed redo record does not unpack"),
    }
}

/// A record as it stands in the stream, its body not yet decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw<'a> {
    /// The first byte, without the CPL flag.
    pub head: u8,
    pub body: &'a [u8],
}

impl<'a> Raw<'a> {
    /// The kind's number.
    pub fn kind(&self) -> u8 {
        self.head & KIND
    }

    fn unpacked(&self) -> Res<Cow<'a, [u8]>> {
        Ok(match self.head & PACKED {
            0 => Cow::Borrowed(self.body),
            _ => Cow::Owned(unpack(self.body)?),
        })
    }

    pub fn apply(&self, page: &mut Page, lsn: Lsn) -> Res<()> {
        let body = self.unpacked()?;
        apply(page, lsn, &Record::decode(self.kind(), &body)?)
    }

    /// Give the decoded record to `then`.
    pub fn decoded<T>(&self, then: impl FnOnce(&Record) -> T) -> Res<T> {
        let body = self.unpacked()?;
        Ok(then(&Record::decode(self.kind(), &body)?))
    }
}

/// A record with its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    pub lsn: Lsn,
    pub page: PageNo,
    /// Last of its MTR.
    pub cpl: bool,
    pub record: Raw<'a>,
    /// The record's bytes in the stream, header included.
    pub raw: &'a [u8],
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
            record: Raw {
                head: head & !CPL,
                body,
            },
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
