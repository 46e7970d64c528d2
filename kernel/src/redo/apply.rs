//! The only code that changes a page: a pure function of the page's bytes and the record, idempotent by the page's LSN.

use super::record::Record;
use crate::base::error::corrupt;
use crate::base::{Lsn, Res};
use crate::page::{Page, BODY};

/// Apply the record whose LSN is `lsn`. A page that has already seen it (`lsn <= page.lsn()`) stays as it is.
/// After an error the page must be thrown away: it may be half changed.
pub fn apply(page: &mut Page, lsn: Lsn, record: &Record) -> Res<()> {
    if lsn <= page.lsn() {
        return Ok(());
    }
    match record {
        Record::Init {
            kind,
            level,
            owner,
            right,
            high,
            cells,
        } => {
            page.format(*kind, *level, *owner, *right);
            if high.is_some() {
                page.set_links(*right, *high)?;
            }
            append(page, cells)?;
        }
        Record::InsertCell { slot, bytes } => page.insert(usize::from(*slot), bytes)?,
        Record::RemoveCells { from, count } => {
            page.remove(usize::from(*from), usize::from(*count))?;
        }
        Record::ReplaceCell {
            slot,
            prefix,
            suffix,
            middle,
        } => {
            let slot = usize::from(*slot);
            let new = spliced(
                page.cell(slot)?,
                usize::from(*prefix),
                middle,
                usize::from(*suffix),
            )?;
            page.replace(slot, &new)?;
        }
        Record::Truncate { from, right, high } => {
            let from = usize::from(*from);
            let Some(count) = page.count().checked_sub(from) else {
                return corrupt("a page has fewer cells than its split keeps");
            };
            page.remove(from, count)?;
            page.set_links(*right, Some(high))?;
        }
        Record::SetLinks { right, high } => page.set_links(*right, *high)?,
        Record::SetFlags { flags } => page.set_flags(*flags),
        Record::SetBits { start, count, on } => {
            page.set_bits(*start as usize, *count as usize, *on)?;
        }
        Record::SetCsn { indexes } => {
            for index in indexes {
                page.put_bytes(BODY + usize::from(*index) * 8, &lsn.0.to_le_bytes())?;
            }
        }
        Record::PutBytes { offset, bytes } => page.put_bytes(usize::from(*offset), bytes)?,
        Record::PushVersion { slot, push } => {
            let slot = usize::from(*slot);
            let new = push.build(page.cell(slot)?)?;
            page.replace(slot, &new)?;
        }
        Record::AppendCells { cells } => append(page, cells)?,
        Record::InsertIntoCells(into) => {
            page.insert_into(&into.runs, usize::from(into.offset), into.bytes)?;
        }
    }
    page.set_lsn(lsn);
    Ok(())
}

fn append(page: &mut Page, cells: &[&[u8]]) -> Res<()> {
    for cell in cells {
        page.insert(page.count(), cell)?;
    }
    Ok(())
}

fn spliced(old: &[u8], prefix: usize, middle: &[u8], suffix: usize) -> Res<Vec<u8>> {
    if prefix + suffix > old.len() {
        return corrupt("a cell's difference is longer than the cell");
    }
    let mut new = Vec::with_capacity(prefix + middle.len() + suffix);
    new.extend_from_slice(&old[..prefix]);
    new.extend_from_slice(middle);
    new.extend_from_slice(&old[old.len() - suffix..]);
    Ok(new)
}
