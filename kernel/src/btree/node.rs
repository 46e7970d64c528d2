//! What a cell of a tree page means: keys, values, children, and the search among them.

use crate::base::error::corrupt;
use crate::base::{varint, PageNo, Res};
use crate::page::{Kind, Page};
use crate::redo::version;
use std::cmp::Ordering;

/// Longest key: two of them, and a high key, fit on a branch.
pub const MAX_KEY: usize = 2600;
/// Bytes of a child's page number in a branch cell.
const CHILD: usize = 6;

/// The key of a cell.
pub fn key_of(page: &Page, slot: usize) -> Res<&[u8]> {
    key(page.kind(), page.cell(slot)?)
}

fn key(kind: Kind, cell: &[u8]) -> Res<&[u8]> {
    let key = match kind {
        Kind::RowLeaf => cell.get(..version::KEY_SIZE),
        Kind::Branch => cell.get(CHILD..),
        Kind::Leaf => {
            let mut at = 0;
            let len = varint::get(cell, &mut at)? as usize;
            at.checked_add(len).and_then(|end| cell.get(at..end))
        }
        other => return corrupt(format!("a page of kind {other:?} stands in a tree")),
    };
    match key {
        Some(key) => Ok(key),
        None => corrupt("a cell is shorter than its key"),
    }
}

/// What follows the key in a leaf's cell.
pub fn value_of(page: &Page, slot: usize) -> Res<&[u8]> {
    let cell = page.cell(slot)?;
    let value = match page.kind() {
        Kind::RowLeaf => cell.get(version::KEY_SIZE..),
        Kind::Leaf => {
            let mut at = 0;
            let len = varint::get(cell, &mut at)? as usize;
            at.checked_add(len).and_then(|end| cell.get(end..))
        }
        other => return corrupt(format!("a page of kind {other:?} has no values")),
    };
    match value {
        Some(value) => Ok(value),
        None => corrupt("a cell is shorter than its key"),
    }
}

/// A leaf's cell for this key and value.
pub fn leaf_cell(kind: Kind, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut cell = Vec::with_capacity(key.len() + value.len() + 3);
    if kind != Kind::RowLeaf {
        varint::put(&mut cell, key.len() as u64);
    }
    cell.extend_from_slice(key);
    cell.extend_from_slice(value);
    cell
}

pub fn branch_cell(child: PageNo, key: &[u8]) -> Vec<u8> {
    let mut cell = Vec::with_capacity(CHILD + key.len());
    cell.extend_from_slice(&child.0.to_le_bytes()[..CHILD]);
    cell.extend_from_slice(key);
    cell
}

pub fn child(page: &Page, slot: usize) -> Res<PageNo> {
    match page.cell(slot)?.first_chunk::<CHILD>() {
        Some([a, b, c, d, e, f]) => Ok(PageNo(u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0]))),
        None => corrupt("a branch cell is shorter than a page number"),
    }
}

/// Ok: the slot that holds the key. Err: the slot where it would go.
pub fn search(page: &Page, wanted: &[u8]) -> Res<Result<usize, usize>> {
    let at = lower_bound(page, wanted)?;
    if at < page.count() && key_of(page, at)? == wanted {
        return Ok(Ok(at));
    }
    Ok(Err(at))
}

/// The same, looked for at `hint` first.
pub fn search_near(page: &Page, wanted: &[u8], hint: usize) -> Res<Result<usize, usize>> {
    let count = page.count();
    if hint <= count && (hint == 0 || key_of(page, hint - 1)? < wanted) {
        if hint == count {
            return Ok(Err(hint));
        }
        match key_of(page, hint)?.cmp(wanted) {
            Ordering::Equal => return Ok(Ok(hint)),
            Ordering::Greater => return Ok(Err(hint)),
            Ordering::Less => {}
        }
    }
    search(page, wanted)
}

/// First slot whose key is at or above `wanted`. On a branch slot 0 is below everything.
pub fn lower_bound(page: &Page, wanted: &[u8]) -> Res<usize> {
    let kind = page.kind();
    let (mut low, mut high) = (0, page.count());
    match kind {
        Kind::Branch => low = low.max(1).min(high),
        Kind::RowLeaf => (low, high) = row_range(page, wanted)?,
        _ => {}
    }
    while low < high {
        let middle = (low + high) / 2;
        if key(kind, page.cell(middle)?)? < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Slots among which a row's lower bound is. Row ids are whole numbers, so a row stands at most as many slots behind the
/// first one as its id is above that one's, and just there when no id is missing: mostly this leaves nothing to search.
fn row_range(page: &Page, wanted: &[u8]) -> Res<(usize, usize)> {
    let count = page.count();
    let Some(wanted) = wanted.first_chunk::<{ version::KEY_SIZE }>() else {
        return Ok((0, count));
    };
    if count == 0 {
        return Ok((0, 0));
    }
    let wanted = u64::from_be_bytes(*wanted);
    let first = version::row_id(page.cell(0)?)?.0;
    let Some(above) = wanted.checked_sub(first) else {
        return Ok((0, 0));
    };
    let above = usize::try_from(above).unwrap_or(usize::MAX);
    if above >= count {
        // Appending: behind the last one.
        let last = version::row_id(page.cell(count - 1)?)?.0;
        return Ok((if last < wanted { count } else { 0 }, count));
    }
    let there = version::row_id(page.cell(above)?)?.0;
    Ok((if there == wanted { above } else { 0 }, above))
}

/// The slot of the child that covers `wanted`.
pub fn child_slot(page: &Page, wanted: &[u8]) -> Res<usize> {
    let (mut low, mut high) = (1, page.count());
    if high == 0 {
        return corrupt("a branch has no children");
    }
    while low < high {
        let middle = (low + high) / 2;
        if key(Kind::Branch, page.cell(middle)?)? <= wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low - 1)
}

/// Is the key at or above the page's high key, and so to the right?
pub fn is_beyond(page: &Page, wanted: &[u8]) -> Res<bool> {
    Ok(page.high()?.is_some_and(|high| wanted >= high))
}

/// The shortest key that is above `left` and at or below `right`.
pub fn separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right.get(..same + 1).unwrap_or(right)
}
