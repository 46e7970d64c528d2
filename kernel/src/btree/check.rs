//! Is a tree whole? Every level is walked along its links and compared with what the level above says.

use super::node::{child, key_of};
use super::tree::Tree;
use crate::base::error::corrupt;
use crate::base::{PageNo, Res};
use crate::page::{Page, BODY_SIZE, SLOT_SIZE};
use crate::store::Pages;

/// What the walk has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub levels: u64,
    pub branches: u64,
    pub leaves: u64,
    pub cells: u64,
    /// Bytes in use on leaves.
    pub bytes: u64,
}

/// Walk the whole tree; the first thing that is wrong is the error.
pub fn check(pages: &impl Pages, tree: Tree) -> Res<Stats> {
    let mut stats = Stats::default();
    let root = pages.page(tree.root)?;
    tree.check_root(&root)?;
    if root.right().0 != 0 || root.high()?.is_some() {
        return corrupt(format!("root {} has a right neighbour", tree.root));
    }
    // (page, low bound) of the level's pages, as the level above names them.
    let mut level: Vec<(PageNo, Vec<u8>)> = vec![(tree.root, Vec::new())];
    for height in (0..=root.level()).rev() {
        stats.levels += 1;
        let mut below = Vec::new();
        for (index, (no, low)) in level.iter().enumerate() {
            let page = pages.page(*no)?;
            if !tree.owns(&page, height) {
                return corrupt(format!("page {no} does not belong to level {height}"));
            }
            check_links(*no, &page, level.get(index + 1))?;
            check_keys(*no, &page, low)?;
            if height == 0 {
                stats.leaves += 1;
                stats.cells += page.count() as u64;
                stats.bytes += (BODY_SIZE - page.free_space()) as u64;
                continue;
            }
            stats.branches += 1;
            for slot in 0..page.count() {
                let bound = if slot == 0 {
                    low.clone()
                } else {
                    key_of(&page, slot)?.to_vec()
                };
                below.push((child(&page, slot)?, bound));
            }
        }
        level = below;
    }
    Ok(stats)
}

fn check_links(no: PageNo, page: &Page, next: Option<&(PageNo, Vec<u8>)>) -> Res<()> {
    let (right, high) = match next {
        Some((right, low)) => (*right, Some(low.as_slice())),
        None => (PageNo(0), None),
    };
    if page.right() != right || page.high()? != high {
        return corrupt(format!(
            "page {no} links to {} and not to {right} as its parent says, or ends elsewhere",
            page.right()
        ));
    }
    Ok(())
}

fn check_keys(no: PageNo, page: &Page, low: &[u8]) -> Res<()> {
    let mut used = page.high()?.map_or(0, <[u8]>::len);
    let first = usize::from(page.level() > 0);
    let mut before: Option<&[u8]> = None;
    for slot in 0..page.count() {
        used += page.cell(slot)?.len() + SLOT_SIZE;
        let key = key_of(page, slot)?;
        if slot < first {
            continue;
        }
        let rises = match before {
            Some(before) => before < key,
            None => low <= key,
        };
        if !rises || page.high()?.is_some_and(|high| key >= high) {
            return corrupt(format!("page {no}: the key in slot {slot} is out of order"));
        }
        before = Some(key);
    }
    if used + page.free_space() != BODY_SIZE {
        return corrupt(format!("page {no} miscounts its free space"));
    }
    Ok(())
}
