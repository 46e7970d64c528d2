//! Records: one change to exactly one page. A kind is one variant with its line in `encode` and in `decode` here, and
//! its effect in `apply.rs`.
//!
//! Bodies, by kind number (all numbers are varints unless said otherwise; `…` means "the rest of the body"):
//!
//! | no | kind | body |
//! |---|---|---|
//! | 1 | Init | page kind u8, level u8, owner, right + 1 or 0, [high length, high], { cell length, cell }… |
//! | 2 | InsertCell | slot, cell… |
//! | 3 | RemoveCells | from, count |
//! | 4 | ReplaceCell | slot, prefix, suffix, middle… |
//! | 5 | Truncate | from, right, high… |
//! | 6 | SetLinks | right, high flag u8, high… |
//! | 7 | SetFlags | flags u8 |
//! | 8 | SetBits | start, count * 2 + on |
//! | 9 | SetCsn | { index }… |
//! | 10 | PutBytes | offset, bytes… |
//! | 11 | PushVersion | slot, flags u8 (+ 64: skip follows, + 128: keep follows), [xid, command], [skip], [keep], prefix, suffix, middle… |
//! | 12 | AppendCells | { cell length, cell }… |
//! | 13 | InsertIntoCells | offset, length, bytes, { slots left out, slots }… |

use super::version::{self, Push};
use crate::base::error::corrupt;
use crate::base::{varint, PageNo, Res, Xid};
use crate::page::Kind;
use smallvec::SmallVec;

/// Indexes of commit states on their page.
pub type Csns = SmallVec<[u16; 4]>;

#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// The whole content of a page, whatever it held before. `right` 0 means none; then there is no high key.
    Init {
        kind: Kind,
        level: u8,
        owner: PageNo,
        right: PageNo,
        high: Option<&'a [u8]>,
        cells: Vec<&'a [u8]>,
    },
    InsertCell {
        slot: u16,
        bytes: &'a [u8],
    },
    RemoveCells {
        from: u16,
        count: u16,
    },
    /// New cell = the old one's first `prefix` bytes, `middle`, its last `suffix` bytes.
    ReplaceCell {
        slot: u16,
        prefix: u16,
        suffix: u16,
        middle: &'a [u8],
    },
    /// The left half of a split: cells from `from` on go, the right link and high key are set, all at once.
    Truncate {
        from: u16,
        right: PageNo,
        high: &'a [u8],
    },
    SetLinks {
        right: PageNo,
        high: Option<&'a [u8]>,
    },
    SetFlags {
        flags: u8,
    },
    /// Bits of a bitmap page.
    SetBits {
        start: u32,
        count: u32,
        on: bool,
    },
    /// Commit states at these indexes of the page's array get this record's own LSN.
    SetCsn {
        indexes: Csns,
    },
    /// `offset` counts from the page's beginning and is at least `BODY`.
    PutBytes {
        offset: u16,
        bytes: &'a [u8],
    },
    PushVersion {
        slot: u16,
        push: Push<'a>,
    },
    /// Cells after the last one.
    AppendCells {
        cells: Vec<&'a [u8]>,
    },
    InsertIntoCells(IntoCells<'a>),
}

/// The same bytes go into each of these cells, `offset` bytes from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct IntoCells<'a> {
    pub offset: u16,
    pub bytes: &'a [u8],
    pub runs: Runs,
}

/// Some slots of a page: so many are left out, then so many are meant, and so on.
pub type Runs = SmallVec<[(u16, u16); 4]>;

/// Slots in rising order as runs.
pub fn runs_of(slots: &[u16]) -> Runs {
    let mut runs = Runs::new();
    let mut next = 0;
    for &slot in slots {
        match runs.last_mut() {
            Some((_, count)) if slot == next => *count += 1,
            _ => runs.push((slot.saturating_sub(next), 1)),
        }
        next = slot.saturating_add(1);
    }
    runs
}

const PUSH_SKIP: u8 = 64;
const PUSH_KEEP: u8 = 128;

impl<'a> Record<'a> {
    /// A page of this kind without cells.
    pub fn empty(kind: Kind, level: u8, owner: PageNo) -> Record<'static> {
        Record::Init {
            kind,
            level,
            owner,
            right: PageNo(0),
            high: None,
            cells: Vec::new(),
        }
    }

    /// ReplaceCell with the smallest difference.
    pub fn replace(slot: usize, old: &[u8], new: &'a [u8]) -> Record<'a> {
        let (prefix, suffix) = version::common(old, new);
        Record::ReplaceCell {
            slot: slot as u16,
            prefix: prefix as u16,
            suffix: suffix as u16,
            middle: new.get(prefix..new.len() - suffix).unwrap_or(&[]),
        }
    }

    /// Number in the stream, 1..=63.
    pub fn number(&self) -> u8 {
        match self {
            Record::Init { .. } => 1,
            Record::InsertCell { .. } => 2,
            Record::RemoveCells { .. } => 3,
            Record::ReplaceCell { .. } => 4,
            Record::Truncate { .. } => 5,
            Record::SetLinks { .. } => 6,
            Record::SetFlags { .. } => 7,
            Record::SetBits { .. } => 8,
            Record::SetCsn { .. } => 9,
            Record::PutBytes { .. } => 10,
            Record::PushVersion { .. } => 11,
            Record::AppendCells { .. } => 12,
            Record::InsertIntoCells(_) => 13,
        }
    }

    /// Does it bring as many cells as a page may hold, so that its body is worth packing?
    pub fn has_many_cells(&self) -> bool {
        matches!(self, Record::Init { .. } | Record::AppendCells { .. })
    }

    /// Append the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Init {
                kind,
                level,
                owner,
                right,
                high,
                cells,
            } => {
                out.extend_from_slice(&[*kind as u8, *level]);
                varint::put(out, owner.0);
                put_links(out, *right, *high);
                put_cells(out, cells);
            }
            Record::InsertCell { slot, bytes } => {
                varint::put(out, u64::from(*slot));
                out.extend_from_slice(bytes);
            }
            Record::RemoveCells { from, count } => {
                varint::put(out, u64::from(*from));
                varint::put(out, u64::from(*count));
            }
            Record::ReplaceCell {
                slot,
                prefix,
                suffix,
                middle,
            } => {
                for number in [slot, prefix, suffix] {
                    varint::put(out, u64::from(*number));
                }
                out.extend_from_slice(middle);
            }
            Record::Truncate { from, right, high } => {
                varint::put(out, u64::from(*from));
                varint::put(out, right.0);
                out.extend_from_slice(high);
            }
            Record::SetLinks { right, high } => {
                varint::put(out, right.0);
                out.push(u8::from(high.is_some()));
                out.extend_from_slice(high.unwrap_or(&[]));
            }
            Record::SetFlags { flags } => out.push(*flags),
            Record::SetBits { start, count, on } => {
                varint::put(out, u64::from(*start));
                varint::put(out, u64::from(*count) * 2 + u64::from(*on));
            }
            Record::SetCsn { indexes } => {
                for index in indexes {
                    varint::put(out, u64::from(*index));
                }
            }
            Record::PutBytes { offset, bytes } => {
                varint::put(out, u64::from(*offset));
                out.extend_from_slice(bytes);
            }
            Record::PushVersion { slot, push } => put_push(out, *slot, push),
            Record::AppendCells { cells } => put_cells(out, cells),
            Record::InsertIntoCells(into) => put_into(out, into),
        }
    }

    /// Read a body. Arbitrary bytes give an error or a record, never a panic.
    pub fn decode(number: u8, body: &'a [u8]) -> Res<Record<'a>> {
        let mut from = Body { body, at: 0 };
        let record = match number {
            1 => from.init()?,
            2 => Record::InsertCell {
                slot: from.half()?,
                bytes: from.rest(),
            },
            3 => Record::RemoveCells {
                from: from.half()?,
                count: from.half()?,
            },
            4 => Record::ReplaceCell {
                slot: from.half()?,
                prefix: from.half()?,
                suffix: from.half()?,
                middle: from.rest(),
            },
            5 => Record::Truncate {
                from: from.half()?,
                right: PageNo(from.number()?),
                high: from.rest(),
            },
            6 => Record::SetLinks {
                right: PageNo(from.number()?),
                high: match from.byte()? {
                    0 => None,
                    _ => Some(from.rest()),
                },
            },
            7 => Record::SetFlags {
                flags: from.byte()?,
            },
            8 => {
                let start = from.word()?;
                let packed = from.number()?;
                Record::SetBits {
                    start,
                    count: u32::try_from(packed / 2).or_else(|_| corrupt("too many bits"))?,
                    on: packed % 2 == 1,
                }
            }
            9 => {
                let mut indexes = Csns::new();
                while !from.done() {
                    indexes.push(from.half()?);
                }
                Record::SetCsn { indexes }
            }
            10 => Record::PutBytes {
                offset: from.half()?,
                bytes: from.rest(),
            },
            11 => from.push()?,
            12 => Record::AppendCells {
                cells: from.cells()?,
            },
            13 => Record::InsertIntoCells(from.cells_to_fill()?),
            other => return corrupt(format!("unknown redo record kind {other}")),
        };
        if !from.done() {
            return corrupt("a redo record is longer than its kind");
        }
        Ok(record)
    }
}

fn put_links(out: &mut Vec<u8>, right: PageNo, high: Option<&[u8]>) {
    match high {
        Some(high) => {
            varint::put(out, right.0 + 1);
            varint::put(out, high.len() as u64);
            out.extend_from_slice(high);
        }
        None => out.push(0),
    }
}

fn put_cells(out: &mut Vec<u8>, cells: &[&[u8]]) {
    for cell in cells {
        varint::put(out, cell.len() as u64);
        out.extend_from_slice(cell);
    }
}

fn put_into(out: &mut Vec<u8>, into: &IntoCells) {
    varint::put(out, u64::from(into.offset));
    varint::put(out, into.bytes.len() as u64);
    out.extend_from_slice(into.bytes);
    for (skip, count) in &into.runs {
        varint::put(out, u64::from(*skip));
        varint::put(out, u64::from(*count));
    }
}

fn put_push(out: &mut Vec<u8>, slot: u16, push: &Push) {
    varint::put(out, u64::from(slot));
    let mut flags = push.flags & version::FLAGS;
    if push.skip != 0 {
        flags |= PUSH_SKIP;
    }
    if push.keep != version::ALL {
        flags |= PUSH_KEEP;
    }
    out.push(flags);
    if flags & version::FROZEN == 0 {
        varint::put(out, push.xid.0);
        varint::put(out, u64::from(push.command));
    }
    if push.skip != 0 {
        varint::put(out, u64::from(push.skip));
    }
    if push.keep != version::ALL {
        varint::put(out, u64::from(push.keep));
    }
    if flags & version::DELETED == 0 {
        varint::put(out, u64::from(push.prefix));
        varint::put(out, u64::from(push.suffix));
        out.extend_from_slice(push.middle);
    }
}

struct Body<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Body<'a> {
    fn done(&self) -> bool {
        self.at >= self.body.len()
    }

    fn number(&mut self) -> Res<u64> {
        varint::get(self.body, &mut self.at)
    }

    fn word(&mut self) -> Res<u32> {
        u32::try_from(self.number()?).or_else(|_| corrupt("a number of a redo record is too large"))
    }

    fn half(&mut self) -> Res<u16> {
        u16::try_from(self.number()?).or_else(|_| corrupt("a number of a redo record is too large"))
    }

    fn byte(&mut self) -> Res<u8> {
        match self.body.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => corrupt("a redo record ends too early"),
        }
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

    fn cells(&mut self) -> Res<Vec<&'a [u8]>> {
        let mut cells = Vec::new();
        while !self.done() {
            let len = self.number()?;
            cells.push(self.bytes(len)?);
        }
        Ok(cells)
    }

    fn cells_to_fill(&mut self) -> Res<IntoCells<'a>> {
        let offset = self.half()?;
        let len = self.number()?;
        let bytes = self.bytes(len)?;
        let mut runs = Runs::new();
        while !self.done() {
            runs.push((self.half()?, self.half()?));
        }
        Ok(IntoCells {
            offset,
            bytes,
            runs,
        })
    }

    fn init(&mut self) -> Res<Record<'a>> {
        let kind = Kind::from_u8(self.byte()?)?;
        let level = self.byte()?;
        let owner = PageNo(self.number()?);
        let (mut right, mut high) = (PageNo(0), None);
        if let Some(number) = self.number()?.checked_sub(1) {
            right = PageNo(number);
            let len = self.number()?;
            high = Some(self.bytes(len)?);
        }
        Ok(Record::Init {
            kind,
            level,
            owner,
            right,
            high,
            cells: self.cells()?,
        })
    }

    fn push(&mut self) -> Res<Record<'a>> {
        let slot = self.half()?;
        let head = self.byte()?;
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
            push.xid = Xid(self.number()?);
            push.command = self.word()?;
        }
        if head & PUSH_SKIP != 0 {
            push.skip = self.word()?;
        }
        if head & PUSH_KEEP != 0 {
            push.keep = self.word()?;
        }
        if flags & version::DELETED == 0 {
            push.prefix = self.word()?;
            push.suffix = self.word()?;
            push.middle = self.rest();
        }
        Ok(Record::PushVersion { slot, push })
    }
}
