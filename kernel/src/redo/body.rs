//! A record's body is its fields in their order, each in its kind's form (numbers are varints; `…` is "the rest of the
//! body", so such a field is the last one):
//!
//! | kind | form |
//! |---|---|
//! | `u8` | one byte |
//! | `u16`, `u32`, `PageNo` | number |
//! | `Kind` | one byte |
//! | `&[u8]` | bytes… |
//! | `Option<&[u8]>` | 0, or 1 and bytes… |
//! | `Vec<&[u8]>` | { length, bytes }… |
//! | `Csns` | { index }… |
//! | `Links` | right + 1, high length, high; or 0 |
//! | `Bits` | start, count * 2 + on |
//! | `Push` | flags u8 (+ 64: skip follows, + 128: keep follows), [xid, command], [skip], [keep], prefix, suffix, middle… |
//! | `IntoCells` | offset, length, bytes, { slots left out, slots }… |

use super::record::{Bits, Csns, IntoCells, Links, Runs};
use super::version::{self, Push};
use crate::base::error::corrupt;
use crate::base::{varint, PageNo, Res, Xid};
use crate::page::Kind;

/// How a field of a record stands in the body.
pub(super) trait Field<'a>: Sized {
    /// As many bytes as a page may hold, so that the body is worth packing.
    const MANY: bool = false;
    fn put(&self, out: &mut Vec<u8>);
    /// Arbitrary bytes give an error or a value, never a panic.
    fn get(from: &mut Body<'a>) -> Res<Self>;
}

/// A body that is being read.
pub(super) struct Body<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Body<'a> {
    pub fn new(body: &'a [u8]) -> Body<'a> {
        Body { body, at: 0 }
    }

    pub fn done(&self) -> bool {
        self.at >= self.body.len()
    }

    fn number(&mut self) -> Res<u64> {
        varint::get(self.body, &mut self.at)
    }

    fn bytes(&mut self, len: u64) -> Res<&'a [u8]> {
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len));
        match end.and_then(|end| self.body.get(self.at..end)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => corrupt("a redo record ends too early"),
        }
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = self.body.get(self.at..).unwrap_or(&[]);
        self.at = self.body.len();
        rest
    }
}

impl<'a> Field<'a> for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn get(from: &mut Body<'a>) -> Res<u8> {
        match from.body.get(from.at) {
            Some(byte) => {
                from.at += 1;
                Ok(*byte)
            }
            None => corrupt("a redo record ends too early"),
        }
    }
}

macro_rules! number {
    ($kind:ty) => {
        impl<'a> Field<'a> for $kind {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                varint::put(out, u64::from(*self));
            }

            #[inline]
            fn get(from: &mut Body<'a>) -> Res<$kind> {
                <$kind>::try_from(from.number()?)
                    .or_else(|_| corrupt("a number of a redo record is too large"))
            }
        }
    };
}

number!(u16);
number!(u32);

impl<'a> Field<'a> for PageNo {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.0);
    }

    fn get(from: &mut Body<'a>) -> Res<PageNo> {
        Ok(PageNo(from.number()?))
    }
}

impl<'a> Field<'a> for Kind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn get(from: &mut Body<'a>) -> Res<Kind> {
        Kind::from_u8(u8::get(from)?)
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(from: &mut Body<'a>) -> Res<&'a [u8]> {
        Ok(from.rest())
    }
}

impl<'a> Field<'a> for Option<&'a [u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        out.extend_from_slice(self.unwrap_or(&[]));
    }

    fn get(from: &mut Body<'a>) -> Res<Option<&'a [u8]>> {
        Ok(match u8::get(from)? {
            0 => None,
            _ => Some(from.rest()),
        })
    }
}

impl<'a> Field<'a> for Vec<&'a [u8]> {
    const MANY: bool = true;

    fn put(&self, out: &mut Vec<u8>) {
        for cell in self {
            varint::put(out, cell.len() as u64);
            out.extend_from_slice(cell);
        }
    }

    fn get(from: &mut Body<'a>) -> Res<Vec<&'a [u8]>> {
        let mut cells = Vec::new();
        while !from.done() {
            let len = from.number()?;
            cells.push(from.bytes(len)?);
        }
        Ok(cells)
    }
}

impl<'a> Field<'a> for Csns {
    fn put(&self, out: &mut Vec<u8>) {
        for index in self {
            index.put(out);
        }
    }

    fn get(from: &mut Body<'a>) -> Res<Csns> {
        let mut indexes = Csns::new();
        while !from.done() {
            indexes.push(u16::get(from)?);
        }
        Ok(indexes)
    }
}

impl<'a> Field<'a> for Links<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        match self.high {
            Some(high) => {
                varint::put(out, self.right.0 + 1);
                varint::put(out, high.len() as u64);
                out.extend_from_slice(high);
            }
            None => out.push(0),
        }
    }

    fn get(from: &mut Body<'a>) -> Res<Links<'a>> {
        let Some(right) = from.number()?.checked_sub(1) else {
            return Ok(Links::NONE);
        };
        let len = from.number()?;
        Ok(Links {
            right: PageNo(right),
            high: Some(from.bytes(len)?),
        })
    }
}

impl<'a> Field<'a> for Bits {
    fn put(&self, out: &mut Vec<u8>) {
        self.start.put(out);
        varint::put(out, u64::from(self.count) * 2 + u64::from(self.on));
    }

    fn get(from: &mut Body<'a>) -> Res<Bits> {
        let start = u32::get(from)?;
        let packed = from.number()?;
        Ok(Bits {
            start,
            count: u32::try_from(packed / 2).or_else(|_| corrupt("too many bits"))?,
            on: packed % 2 == 1,
        })
    }
}

const PUSH_SKIP: u8 = 64;
const PUSH_KEEP: u8 = 128;

impl<'a> Field<'a> for Push<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        let mut flags = self.flags & version::FLAGS;
        if self.skip != 0 {
            flags |= PUSH_SKIP;
        }
        if self.keep != version::ALL {
            flags |= PUSH_KEEP;
        }
        out.push(flags);
        if flags & version::FROZEN == 0 {
            varint::put(out, self.xid.0);
            self.command.put(out);
        }
        if self.skip != 0 {
            self.skip.put(out);
        }
        if self.keep != version::ALL {
            self.keep.put(out);
        }
        if flags & version::DELETED == 0 {
            self.prefix.put(out);
            self.suffix.put(out);
            self.middle.put(out);
        }
    }

    fn get(from: &mut Body<'a>) -> Res<Push<'a>> {
        let head = u8::get(from)?;
        let flags = head & version::FLAGS;
        if head & !(version::FLAGS | PUSH_SKIP | PUSH_KEEP) != 0 {
            return corrupt("unknown flags in a redo record");
        }
        let mut push = Push {
            flags,
            xid: Xid::FROZEN,
            command: 0,
            skip: 0,
            keep: version::ALL,
            prefix: 0,
            suffix: 0,
            middle: &[],
        };
        if flags & version::FROZEN == 0 {
            push.xid = Xid(from.number()?);
            push.command = u32::get(from)?;
        }
        if head & PUSH_SKIP != 0 {
            push.skip = u32::get(from)?;
        }
        if head & PUSH_KEEP != 0 {
            push.keep = u32::get(from)?;
        }
        if flags & version::DELETED == 0 {
            push.prefix = u32::get(from)?;
            push.suffix = u32::get(from)?;
            push.middle = from.rest();
        }
        Ok(push)
    }
}

impl<'a> Field<'a> for IntoCells<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        self.offset.put(out);
        varint::put(out, self.bytes.len() as u64);
        out.extend_from_slice(self.bytes);
        for (skip, count) in &self.runs {
            skip.put(out);
            count.put(out);
        }
    }

    fn get(from: &mut Body<'a>) -> Res<IntoCells<'a>> {
        let offset = u16::get(from)?;
        let len = from.number()?;
        let bytes = from.bytes(len)?;
        let mut runs = Runs::new();
        while !from.done() {
            runs.push((u16::get(from)?, u16::get(from)?));
        }
        Ok(IntoCells {
            offset,
            bytes,
            runs,
        })
    }
}
