//! What this part knows of redo records: where one ends, its page, whether it needs the page as it was, and `apply`.

use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use crate::page::Page;
use crate::redo::{Decoder, Entry};

/// `Record::Init`'s number.
const INIT: u8 = 1;

fn entry(bytes: &[u8], at: usize) -> Res<Entry<'_>> {
    match Decoder::new(Lsn::ZERO, bytes.get(at..).unwrap_or(&[])).next() {
        Some(entry) => entry,
        None => corrupt("a record is missing"),
    }
}

/// Step over the record at `*at`.
pub fn next(bytes: &[u8], at: &mut usize) -> Res<PageNo> {
    let entry = entry(bytes, *at)?;
    *at += entry.raw.len();
    Ok(entry.page)
}

/// The record makes the page anew, whatever it was.
pub fn is_fresh(record: &[u8]) -> bool {
    entry(record, 0).is_ok_and(|entry| entry.record.kind() == INIT)
}

pub fn apply(page: &mut Page, lsn: Lsn, record: &[u8]) -> Res<()> {
    entry(record, 0)?.record.apply(page, lsn)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::page::Kind;
    use crate::redo::{stream, Links, Record};

    #[test]
    fn only_init_makes_a_page_anew() {
        assert!(is_fresh(&record(1, b"x")));
        assert!(!is_fresh(&insert(1, b"x")));
        assert_eq!(Record::empty(Kind::Leaf, 0, PageNo(1)).number(), INIT);
    }

    /// A record in stream form that makes `page` a leaf with one cell; a CPL.
    pub fn record(page: u64, cell: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let init = Record::Init {
            kind: Kind::Leaf,
            level: 0,
            owner: PageNo(page),
            links: Links::NONE,
            cells: vec![cell],
        };
        stream::put(&mut out, PageNo(page), &init);
        out[0] |= stream::CPL;
        out
    }

    /// A record that adds a cell in front; a CPL.
    pub fn insert(page: u64, cell: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        stream::put(
            &mut out,
            PageNo(page),
            &Record::InsertCell {
                slot: 0,
                bytes: cell,
            },
        );
        out[0] |= stream::CPL;
        out
    }
}
