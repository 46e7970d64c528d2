//! The only way in which a page changes: a pure function of the page's bytes and the record, idempotent by the page's LSN.
//! What each kind of record does stands with the kind, in `record.rs`.

use super::record::Record;
use crate::base::error::corrupt;
use crate::base::{Lsn, Res};
use crate::page::Page;

/// Apply the record whose LSN is `lsn`. A page that has already seen it (`lsn <= page.lsn()`) stays as it is.
/// After an error the page must be thrown away: it may be half changed.
pub fn apply(page: &mut Page, lsn: Lsn, record: &Record) -> Res<()> {
    if lsn <= page.lsn() {
        return Ok(());
    }
    record.change(page, lsn)?;
    page.set_lsn(lsn);
    Ok(())
}

/// Put cells after the page's last one.
pub(super) fn append(page: &mut Page, cells: &[&[u8]]) -> Res<()> {
    for cell in cells {
        page.insert(page.count(), cell)?;
    }
    Ok(())
}

/// The first `prefix` bytes of `old`, `middle`, the last `suffix` bytes of `old`.
pub(super) fn spliced(old: &[u8], prefix: usize, middle: &[u8], suffix: usize) -> Res<Vec<u8>> {
    if prefix + suffix > old.len() {
        return corrupt("a cell's difference is longer than the cell");
    }
    let mut new = Vec::with_capacity(prefix + middle.len() + suffix);
    new.extend_from_slice(&old[..prefix]);
    new.extend_from_slice(middle);
    new.extend_from_slice(&old[old.len() - suffix..]);
    Ok(new)
}
