//! Records: one change to exactly one page. A kind of record is one entry of the table below: number, fields, effect on
//! the page, examples. Nothing else in the code lists the kinds.
//!
//! The body is the fields in their order, as `body.rs` says for each kind of field. A new kind takes the next free number;
//! numbers go up to 63 and are for ever, since they are on disk. An effect is a pure function of page and record: whatever
//! they hold, it gives an error and never panics, and after an error the page may be half changed.

use super::apply::{append, spliced};
use super::body::{Body, Field};
#[cfg(test)]
use super::tests::{leaf, push, rows, Example};
use super::version::{self, Push};
use crate::base::error::corrupt;
#[cfg(test)]
use crate::base::Xid;
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Kind, Page, BODY};
use smallvec::SmallVec;

/// `number Name { fields } apply(page) { effect }`, or `apply(page, lsn)` with the record's own LSN; the effect sees the fields as
/// references. An example is a record, its body's bytes, and the record that makes a page which it can be applied to.
macro_rules! records {
    ($(
        $(#[$doc:meta])*
        $number:literal $name:ident { $($field:ident: $kind:ty),* }
        apply($page:ident $(, $lsn:ident)?) $effect:block
        $(example { $($value:tt)* } is $body:literal on $before:expr;)+
    )*) => {
        #[derive(Debug, Clone, PartialEq)]
        pub enum Record<'a> {
            $($(#[$doc])* $name { $($field: $kind),* },)*
        }

        impl<'a> Record<'a> {
            /// Number in the stream, 1..=63.
            pub fn number(&self) -> u8 {
                match self {
                    $(Record::$name { .. } => $number,)*
                }
            }

            /// Does it bring as many cells as a page may hold, so that its body is worth packing?
            pub fn has_many_cells(&self) -> bool {
                match self {
                    $(Record::$name { .. } => false $(|| <$kind as Field<'a>>::MANY)*,)*
                }
            }

            /// Append the body.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Record::$name { $($field),* } => { $($field.put(out);)* })*
                }
            }

            /// Read a body. Arbitrary bytes give an error or a record, never a panic.
            pub fn decode(number: u8, body: &'a [u8]) -> Res<Record<'a>> {
                let mut from = Body::new(body);
                let record = match number {
                    $($number => Record::$name { $($field: Field::get(&mut from)?),* },)*
                    other => return corrupt(format!("unknown redo record kind {other}")),
                };
                if !from.done() {
                    return corrupt("a redo record is longer than its kind");
                }
                Ok(record)
            }

            /// What it does to a page, but for the page's LSN. Called by `apply` only.
            #[inline]
            pub(super) fn change(&self, page: &mut Page, lsn: Lsn) -> Res<()> {
                match self {
                    $(Record::$name { $($field),* } => {
                        let $page = page;
                        $(let $lsn = lsn;)?
                        $effect
                    })*
                }
                Ok(())
            }
        }

        #[cfg(test)]
        pub(super) fn examples() -> Vec<Example> {
            vec![$($(Example {
                record: Record::$name { $($value)* },
                body: $body,
                before: $before,
            },)+)*]
        }
    };
}

records! {
    /// The whole content of a page, whatever it held before.
    1 Init { kind: Kind, level: u8, owner: PageNo, links: Links<'a>, cells: Vec<&'a [u8]> }
        apply(page) {
            page.format(*kind, *level, *owner, links.right);
            if links.high.is_some() {
                page.set_links(links.right, links.high)?;
            }
            append(page, cells)?;
        }
        example {
            kind: Kind::Leaf,
            level: 0,
            owner: PageNo(3),
            links: Links { right: PageNo(9), high: Some(b"m") },
            cells: vec![b"\x01aone", b"\x01btwo"],
        } is b"\x03\x00\x03\n\x01m\x05\x01aone\x05\x01btwo" on leaf();
        example { kind: Kind::Commit, level: 0, owner: PageNo(0), links: Links::NONE, cells: vec![] }
            is b"\x06\x00\x00\x00" on leaf();

    2 InsertCell { slot: u16, bytes: &'a [u8] }
        apply(page) { page.insert(usize::from(*slot), bytes)?; }
        example { slot: 1, bytes: b"\x01bxx" } is b"\x01\x01bxx" on leaf();

    3 RemoveCells { from: u16, count: u16 }
        apply(page) { page.remove(usize::from(*from), usize::from(*count))?; }
        example { from: 0, count: 1 } is b"\x00\x01" on leaf();

    /// New cell = the old one's first `prefix` bytes, `middle`, its last `suffix` bytes.
    4 ReplaceCell { slot: u16, prefix: u16, suffix: u16, middle: &'a [u8] }
        apply(page) {
            let slot = usize::from(*slot);
            let new = spliced(page.cell(slot)?, usize::from(*prefix), middle, usize::from(*suffix))?;
            page.replace(slot, &new)?;
        }
        example { slot: 0, prefix: 2, suffix: 1, middle: b"long middle" } is b"\x00\x02\x01long middle" on leaf();

    /// The left half of a split: cells from `from` on go, the right link and high key are set, all at once.
    5 Truncate { from: u16, right: PageNo, high: &'a [u8] }
        apply(page) {
            let from = usize::from(*from);
            let Some(count) = page.count().checked_sub(from) else {
                return corrupt("a page has fewer cells than its split keeps");
            };
            page.remove(from, count)?;
            page.set_links(*right, Some(high))?;
        }
        example { from: 2, right: PageNo(300), high: b"c" } is b"\x02\xac\x02c" on leaf();

    6 SetLinks { right: PageNo, high: Option<&'a [u8]> }
        apply(page) { page.set_links(*right, *high)?; }
        example { right: PageNo(1), high: None } is b"\x01\x00" on leaf();
        example { right: PageNo(2), high: Some(b"zz") } is b"\x02\x01zz" on leaf();

    7 SetFlags { flags: u8 }
        apply(page) { page.set_flags(*flags); }
        example { flags: 1 } is b"\x01" on leaf();

    /// Bits of a bitmap page.
    8 SetBits { bits: Bits }
        apply(page) { page.set_bits(bits.start as usize, bits.count as usize, bits.on)?; }
        example { bits: Bits { start: 5, count: 70, on: true } } is b"\x05\x8d\x01" on Record::empty(Kind::SpaceMap, 0, PageNo(0));
        example { bits: Bits { start: 6, count: 1, on: false } } is b"\x06\x02" on Record::empty(Kind::SpaceMap, 0, PageNo(0));

    /// Commit states at these indexes of the page's array get this record's own LSN.
    9 SetCsn { indexes: Csns }
        apply(page, lsn) {
            for index in indexes {
                page.put_bytes(BODY + usize::from(*index) * 8, &lsn.0.to_le_bytes())?;
            }
        }
        example { indexes: [0u16, 900].into_iter().collect() } is b"\x00\x84\x07" on Record::empty(Kind::Commit, 0, PageNo(0));

    /// `offset` counts from the page's beginning and is at least `BODY`.
    10 PutBytes { offset: u16, bytes: &'a [u8] }
        apply(page) { page.put_bytes(usize::from(*offset), bytes)?; }
        example { offset: BODY as u16, bytes: b"hello" } is b"@hello" on Record::empty(Kind::Plain, 0, PageNo(0));

    /// A row's new version in front of those that its cell has.
    11 PushVersion { slot: u16, push: Push<'a> }
        apply(page) {
            let slot = usize::from(*slot);
            let new = push.build(page.cell(slot)?)?;
            page.replace(slot, &new)?;
        }
        example { slot: 0, push: push(0, Xid(11), (3, b"new", 1)) } is b"\x00\x00\x0b\x00\x03\x01new" on rows();
        example { slot: 1, push: Push { skip: 1, keep: 2, ..push(version::DELETED, Xid(300), (0, b"", 0)) } }
            is b"\x01\xc2\xac\x02\x00\x01\x02" on rows();

    /// Cells after the last one.
    12 AppendCells { cells: Vec<&'a [u8]> }
        apply(page) { append(page, cells)?; }
        example { cells: vec![b"\x01c", b"\x01d!"] } is b"\x02\x01c\x03\x01d!" on leaf();

    /// The same bytes go into several cells.
    13 InsertIntoCells { into: IntoCells<'a> }
        apply(page) { page.insert_into(&into.runs, usize::from(into.offset), into.bytes)?; }
        example { into: IntoCells { offset: 1, bytes: b"<>", runs: [(0, 1), (1, 2)].into_iter().collect() } }
            is b"\x01\x02<>\x00\x01\x01\x02" on leaf();
}

/// Where a page of a tree stands. `right` 0 means none; without a high key there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Links<'a> {
    pub right: PageNo,
    pub high: Option<&'a [u8]>,
}

impl Links<'_> {
    pub const NONE: Links<'static> = Links {
        right: PageNo(0),
        high: None,
    };
}

/// `count` bits of a bitmap from `start` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bits {
    pub start: u32,
    pub count: u32,
    pub on: bool,
}

/// Indexes of commit states on their page.
pub type Csns = SmallVec<[u16; 4]>;

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

impl<'a> Record<'a> {
    /// A page of this kind without cells.
    pub fn empty(kind: Kind, level: u8, owner: PageNo) -> Record<'static> {
        Record::Init {
            kind,
            level,
            owner,
            links: Links::NONE,
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
}
