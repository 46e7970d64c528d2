//! Pages: 8192 bytes with a checked header. Reading never panics: damage is answered as `corrupt(..)`.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | CRC32C of bytes 4..8192; valid only while the page is outside memory ([`Page::seal`]) |
//! | 4 | 1 | format of the page header, 1; 0 on a page that was never written |
//! | 5 | 1 | [`Kind`] |
//! | 6 | 1 | flags ([`DEAD`]) |
//! | 7 | 1 | level: 0 for leaves, and for everything that is no tree |
//! | 8 | 8 | LSN of the last record that changed the page |
//! | 16 | 8 | right sibling on the same level, 0 for none |
//! | 24 | 8 | owner: root page of the tree that the page belongs to |
//! | 32 | 2 | number of slots |
//! | 34 | 2 | lowest byte of the cell area (cells grow downwards from 8192) |
//! | 36 | 2 | garbage: bytes of the cell area that no slot and no high key uses |
//! | 38 | 2 | high key's offset, 0 for none: every key of the page is below it, every key to the right is not |
//! | 40 | 2 | high key's length |
//! | 42 | 22 | zero |
//! | 64 | 4 each | slots: cell offset, cell length; in key order |
//!
//! Integers are little-endian. Kinds without cells use bytes 64..8192 as their own body.
//! Only `redo::apply` may call what changes a page (`cells.rs`'s mutators are `pub(crate)` for it alone).

mod cells;
#[cfg(test)]
mod tests;

use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use std::sync::Arc;

pub const PAGE_SIZE: usize = 8192;
/// Where slots or a kind's own body begin.
pub const BODY: usize = 64;
pub const BODY_SIZE: usize = PAGE_SIZE - BODY;
/// Bytes that a cell costs besides its own.
pub const SLOT_SIZE: usize = 4;

/// Flag: the page was taken out of its tree; whoever gets here by an old link descends again from the root.
pub const DEAD: u8 = 1;

const FORMAT: u8 = 1;
const AT_FORMAT: usize = 4;
const AT_KIND: usize = 5;
const AT_FLAGS: usize = 6;
const AT_LEVEL: usize = 7;
const AT_LSN: usize = 8;
const AT_RIGHT: usize = 16;
const AT_OWNER: usize = 24;
const AT_COUNT: usize = 32;
const AT_CELLS: usize = 34;
const AT_GARBAGE: usize = 36;
const AT_HIGH: usize = 38;
const AT_HIGH_LEN: usize = 40;

/// A page as readers hold it: it never changes under them.
pub type PageRef = Arc<Page>;

/// What a page is. The number is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Never written, or given back.
    Free = 0,
    /// Page 0 of a volume.
    Header = 1,
    /// Bitmap of pages in use.
    SpaceMap = 2,
    /// Leaf of an index tree: cells are `[key length varint][key][value]`.
    Leaf = 3,
    /// Leaf of a row tree: cells are `[row id, 8 bytes big-endian][versions]`, see `redo::version`.
    RowLeaf = 4,
    /// Inner page of either tree: cells are `[child, 6 bytes][separator key]`.
    Branch = 5,
    /// Commit states: an array of u64 CSNs from `BODY` on.
    Commit = 6,
    /// A body of bytes that its user lays out (sequences, directories), changed by PutBytes.
    Plain = 7,
}

impl Kind {
    pub fn from_u8(byte: u8) -> Res<Kind> {
        Ok(match byte {
            0 => Kind::Free,
            1 => Kind::Header,
            2 => Kind::SpaceMap,
            3 => Kind::Leaf,
            4 => Kind::RowLeaf,
            5 => Kind::Branch,
            6 => Kind::Commit,
            7 => Kind::Plain,
            other => return corrupt(format!("unknown page kind {other}")),
        })
    }
}

#[derive(Clone)]
pub struct Page {
    bytes: [u8; PAGE_SIZE],
}

impl Default for Page {
    fn default() -> Page {
        Page::new()
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page")
            .field("lsn", &self.lsn())
            .field("kind", &self.kind())
            .field("level", &self.level())
            .field("count", &self.count())
            .field("right", &self.right())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Page) -> bool {
        self.bytes[AT_FORMAT..] == other.bytes[AT_FORMAT..]
    }
}

impl Page {
    /// A page that was never written: all zero, LSN 0.
    pub fn new() -> Page {
        Page {
            bytes: [0; PAGE_SIZE],
        }
    }

    /// The bytes as they leave memory, with their checksum.
    pub fn seal(&self) -> [u8; PAGE_SIZE] {
        let mut out = self.bytes;
        out[..AT_FORMAT].copy_from_slice(&self.checksum());
        out
    }

    /// What `seal` puts in front of the bytes from `AT_FORMAT` on.
    pub fn checksum(&self) -> [u8; AT_FORMAT] {
        crc32c::crc32c(&self.bytes[AT_FORMAT..]).to_le_bytes()
    }

    /// The bytes of a page as memory has it, which somebody else vouches for: `fill` writes them and says how many.
    pub fn filled(fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> Res<Arc<Page>> {
        let mut page = Arc::new(Page::new());
        let bytes = Arc::get_mut(&mut page).map(|page| &mut page.bytes);
        let filled = bytes.and_then(|bytes| {
            let len = fill(bytes.as_mut_slice());
            bytes[..AT_FORMAT].fill(0);
            len
        });
        if filled != Some(PAGE_SIZE) || page.bytes[AT_FORMAT] > FORMAT {
            return corrupt("a page image does not unpack");
        }
        Ok(page)
    }

    /// Bytes that came from outside, checked. The checksum is cleared, so that equal pages have equal bytes.
    pub fn from_bytes(bytes: &[u8]) -> Res<Page> {
        let Ok(array) = <[u8; PAGE_SIZE]>::try_from(bytes) else {
            return corrupt(format!(
                "a page has {} bytes instead of {PAGE_SIZE}",
                bytes.len()
            ));
        };
        let mut page = Page { bytes: array };
        let stored = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if stored != crc32c::crc32c(&page.bytes[AT_FORMAT..]) {
            return corrupt("page checksum does not match");
        }
        if page.bytes[AT_FORMAT] > FORMAT {
            return corrupt(format!("page format {} is unknown", page.bytes[AT_FORMAT]));
        }
        page.bytes[..4].fill(0);
        Ok(page)
    }

    /// All bytes; the checksum field is zero in memory.
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }

    pub fn lsn(&self) -> Lsn {
        Lsn(self.word(AT_LSN))
    }

    pub fn kind(&self) -> Kind {
        Kind::from_u8(self.bytes[AT_KIND]).unwrap_or(Kind::Free)
    }

    pub fn flags(&self) -> u8 {
        self.bytes[AT_FLAGS]
    }

    pub fn is_dead(&self) -> bool {
        self.flags() & DEAD != 0
    }

    pub fn level(&self) -> u8 {
        self.bytes[AT_LEVEL]
    }

    /// Right sibling; `PageNo(0)` for none.
    pub fn right(&self) -> PageNo {
        PageNo(self.word(AT_RIGHT))
    }

    /// Root of the tree that the page belongs to.
    pub fn owner(&self) -> PageNo {
        PageNo(self.word(AT_OWNER))
    }

    /// Eight little-endian bytes of the body; None outside the page.
    pub fn u64_at(&self, offset: usize) -> Option<u64> {
        let bytes = self.bytes.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Bit of a bitmap page's body; None outside it.
    pub fn bit(&self, index: usize) -> Option<bool> {
        let byte = self.bytes.get(BODY.checked_add(index / 8)?)?;
        Some(byte >> (index % 8) & 1 == 1)
    }

    // Header fields at fixed offsets below BODY: the slices always exist.
    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("eight bytes"))
    }

    fn half(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    fn put_half(&mut self, at: usize, value: usize) {
        self.bytes[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }

    fn put_word(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}
