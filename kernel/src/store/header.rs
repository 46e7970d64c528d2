//! Page 0, the volume's header. All fields are u64, little-endian.
//!
//! | offset | what |
//! |---|---|
//! | 64 | magic "SIXFOLD1" |
//! | 72 | format, 1 |
//! | 80 | pages per protection group |
//! | 88 | high-water mark of xids: every xid ever used is below it |
//! | 96 | high-water mark of OIDs |
//! | 104 | catalogue version: rises with every committed change of the catalogue |
//! | 112 | number of space-map pages |
//! | 120 | volume id |
//! | 128 + 8 n | named root n, 0..64: page numbers and counters whose meaning their users define |

use crate::base::error::corrupt;
use crate::base::{PageNo, Res};
use crate::page::{Kind, Page, BODY};

/// The volume's header page.
pub const HEADER: PageNo = PageNo(0);
pub const MAGIC: u64 = u64::from_le_bytes(*b"SIXFOLD1");
pub const FORMAT: u64 = 1;
pub const ROOTS: u8 = 64;

/// A field of page 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Magic,
    Format,
    PagesPerGroup,
    Xid,
    Oid,
    Catalog,
    Maps,
    VolumeId,
    /// Named root, below [`ROOTS`].
    Root(u8),
}

impl Field {
    pub fn offset(self) -> usize {
        let word = match self {
            Field::Magic => 0,
            Field::Format => 1,
            Field::PagesPerGroup => 2,
            Field::Xid => 3,
            Field::Oid => 4,
            Field::Catalog => 5,
            Field::Maps => 6,
            Field::VolumeId => 7,
            Field::Root(n) => 8 + usize::from(n % ROOTS),
        };
        BODY + word * 8
    }

    pub fn read(self, header: &Page) -> u64 {
        header.u64_at(self.offset()).unwrap_or(0)
    }
}

/// Is this page 0 of a volume that this code can read?
pub fn check(header: &Page) -> Res<()> {
    if header.kind() != Kind::Header || Field::Magic.read(header) != MAGIC {
        return corrupt("page 0 is not the header of a volume");
    }
    if Field::Format.read(header) != FORMAT {
        return corrupt(format!(
            "the volume has format {}, this program reads format {FORMAT}",
            Field::Format.read(header)
        ));
    }
    Ok(())
}
