//! Appending many cells at a tree's right end: whole pages at a time, with one record a page.

use super::node::{key_of, separator};
use super::tree::Tree;
use super::write::{MAX_CELL, ROW_SPARE};
use crate::base::error::fail;
use crate::base::{PageNo, Res};
use crate::page::{Kind, PageRef, BODY_SIZE, SLOT_SIZE};
use crate::redo::{Links, Record};
use crate::store::{cannot_wait, Mtr};

/// With keys up to this length a branch page takes many of them between two splits.
const SHORT_KEY: usize = 200;

/// A new cell: its whole bytes, and its key within or beside them.
#[derive(Debug, Clone, Copy)]
pub struct NewCell<'a> {
    pub key: &'a [u8],
    pub bytes: &'a [u8],
}

/// A prepared append: the leaf that it begins on, and how many cells go to it and to each new page behind it.
#[derive(Debug)]
pub struct Append {
    leaf: PageNo,
    first: usize,
    rest: Vec<usize>,
}

impl Tree {
    /// Make sure that `append` of these cells, whose keys rise, can't wait. `None`: they can't be appended, since the tree has
    /// something that is not below `above` (at most the first key), or since its last leaf has no room for a high key.
    /// One append to a tree in an MTR, and no other write to it.
    pub fn prepare_append(
        &self,
        mtr: &mut Mtr,
        above: &[u8],
        cells: &[NewCell],
    ) -> Res<Option<Append>> {
        let Some(highest) = cells.last() else {
            return Ok(None);
        };
        if cells.iter().any(|c| c.bytes.len() > MAX_CELL) {
            return Ok(None);
        }
        let (leaf, page) = self.last_leaf(mtr, above)?;
        if page.high()?.is_some() {
            return Ok(None);
        }
        let last = match page.count() {
            0 if leaf == self.root => &[][..],
            0 => return Ok(None),
            count => key_of(&page, count - 1)?,
        };
        if page.count() > 0 && above <= last {
            return Ok(None);
        }
        let spare = spare(page.kind());
        let Some(first) = fill(cells, page.free_space(), spare) else {
            return Ok(None);
        };
        let mut rest = Vec::new();
        let mut at = first;
        while at < cells.len() {
            match fill(cells.get(at..).unwrap_or(&[]), BODY_SIZE, spare) {
                None | Some(0) => return Ok(None),
                Some(count) => {
                    rest.push(count);
                    at += count;
                }
            }
        }
        if !rest.is_empty() {
            // The branches above take one separator for each new page; All keys lead to the same ones.
            self.descend(mtr, highest.key, 0)?;
            let levels = usize::from(mtr.page(self.root)?.level()) + 2;
            let long = cells.iter().any(|c| c.key.len() > SHORT_KEY);
            let splits = if long {
                4 * rest.len()
            } else {
                rest.len() / 8 + 2
            };
            mtr.reserve(rest.len() + levels * splits)?;
        }
        Ok(Some(Append { leaf, first, rest }))
    }

    /// The last leaf, if it is remembered; else the one that covers the key.
    fn last_leaf(&self, mtr: &mut Mtr, key: &[u8]) -> Res<(PageNo, PageRef)> {
        if let Some(found) = self.cached_rightmost(mtr, key)? {
            return Ok(found);
        }
        let (no, page) = self.descend(mtr, key, 0)?;
        if page.high()?.is_none() {
            mtr.rightmost().insert(self.root, no);
        }
        Ok((no, page))
    }

    /// What `prepare_append` prepared, with the same cells.
    pub fn append(&self, mtr: &mut Mtr, plan: &Append, cells: &[NewCell]) -> Res<()> {
        self.append_prepared(mtr, plan, cells).map_err(cannot_wait)
    }

    fn append_prepared(&self, mtr: &mut Mtr, plan: &Append, cells: &[NewCell]) -> Res<()> {
        let mut no = plan.leaf;
        let (here, mut behind) = cells.split_at(plan.first.min(cells.len()));
        if !plan.rest.is_empty() && no == self.root {
            let page = mtr.page(no)?;
            no = self.push_down(mtr, &page)?;
        }
        let page = mtr.page(no)?;
        let kind = page.kind();
        let last = match (here.last(), page.count()) {
            (Some(cell), _) => cell.key.to_vec(),
            (None, 0) => return fail("XX000", "an append begins on an empty page"),
            (None, count) => key_of(&page, count - 1)?.to_vec(),
        };
        drop(page);

        // Whoever reads meanwhile finds the new pages only when the old last one leads to them.
        let mut pages: Vec<(PageNo, &[u8], &[NewCell])> = Vec::with_capacity(plan.rest.len());
        let mut before: &[u8] = &last;
        for count in &plan.rest {
            let (these, others) = behind.split_at((*count).min(behind.len()));
            let (Some(low), Some(high)) = (these.first(), these.last()) else {
                return fail("XX000", "an append has fewer cells than were prepared");
            };
            pages.push((mtr.alloc()?, separator(before, low.key), these));
            before = high.key;
            behind = others;
        }
        for (index, (page, _, cells)) in pages.iter().enumerate() {
            let next = pages.get(index + 1);
            let record = Record::Init {
                kind,
                level: 0,
                owner: self.root,
                links: next.map_or(Links::NONE, |(next, low, _)| Links {
                    right: *next,
                    high: Some(*low),
                }),
                cells: cells.iter().map(|c| c.bytes).collect(),
            };
            mtr.log(*page, &record)?;
        }
        if !here.is_empty() {
            let cells = here.iter().map(|c| c.bytes).collect();
            mtr.log(no, &Record::AppendCells { cells })?;
        }
        if let Some((right, high, _)) = pages.first() {
            let (right, high) = (*right, Some(*high));
            mtr.log(no, &Record::SetLinks { right, high })?;
        }
        let last = pages.last().map_or(no, |(page, ..)| *page);
        mtr.rightmost().insert(self.root, last);
        for (page, low, _) in &pages {
            self.insert_separator(mtr, 1, low, *page)?;
        }
        Ok(())
    }
}

/// What the last leaf keeps free for new versions of its rows.
fn spare(kind: Kind) -> usize {
    match kind {
        Kind::RowLeaf => ROW_SPARE,
        _ => 0,
    }
}

/// How many of the cells go to a page with so much room, when a high key may follow. `None`: there is no room for that key.
fn fill(cells: &[NewCell], room: usize, spare: usize) -> Option<usize> {
    let mut used = 0;
    for (count, cell) in cells.iter().enumerate() {
        let size = cell.bytes.len() + SLOT_SIZE;
        // A separator is at most one byte longer than the key before it, and no longer than the one behind it.
        let all = used + size + cell.key.len();
        let alone = count == 0 && room == BODY_SIZE && all <= room;
        if all + 1 + spare > room && !alone {
            return (count > 0 || cell.key.len() <= room).then_some(count);
        }
        used += size;
    }
    Some(cells.len())
}

#[cfg(test)]
mod tests {
    use super::super::node::leaf_cell;
    use super::super::tests::{agree, create, insert, remove, volume};
    use super::*;
    use crate::store::tests::Storage;
    use crate::store::Volume;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    /// False: it could not be appended.
    fn append(vol: &Volume, store: &mut Storage, tree: Tree, kind: Kind, pairs: &Model) -> bool {
        let cells: Vec<Vec<u8>> = pairs.iter().map(|(k, v)| leaf_cell(kind, k, v)).collect();
        let new: Vec<NewCell> = pairs
            .keys()
            .zip(&cells)
            .map(|(key, bytes)| NewCell { key, bytes })
            .collect();
        store
            .run(vol, || {
                let mut mtr = vol.begin()?;
                let Some(plan) = tree.prepare_append(&mut mtr, new[0].key, &new)? else {
                    return Ok(false);
                };
                tree.append(&mut mtr, &plan, &new)?;
                mtr.commit();
                Ok(true)
            })
            .unwrap()
    }

    fn rows(from: u64, count: u64, len: usize) -> Model {
        (from..from + count)
            .map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; len]))
            .collect()
    }

    #[test]
    fn chunks_fill_pages_with_one_record_each() {
        for (kind, least) in [(Kind::Leaf, 7900), (Kind::RowLeaf, 7200)] {
            let (vol, mut store) = volume(10_000);
            let tree = create(&vol, &mut store, kind);
            let mut model = Model::new();
            let before = vol.tail().0;
            for chunk in 0..100 {
                let new = rows(chunk * 500, 500, 90);
                assert!(append(&vol, &mut store, tree, kind, &new));
                model.extend(new);
            }
            // Equal values pack well; one record a cell would have been more than 100 bytes each.
            assert!(vol.tail().0 - before < 50_000 * 40);
            agree(&vol, &mut store, tree, &model);
            let stats = super::super::check(&store, tree).unwrap();
            assert!(stats.bytes / stats.leaves > least, "{stats:?}");
        }
    }

    #[test]
    fn what_is_not_above_everything_is_not_appended() {
        let (vol, mut store) = volume(1000);
        let tree = create(&vol, &mut store, Kind::Leaf);
        assert!(append(
            &vol,
            &mut store,
            tree,
            Kind::Leaf,
            &rows(100, 900, 50)
        ));
        for from in [0, 500, 999] {
            assert!(!append(
                &vol,
                &mut store,
                tree,
                Kind::Leaf,
                &rows(from, 1, 50)
            ));
        }
        assert!(append(
            &vol,
            &mut store,
            tree,
            Kind::Leaf,
            &rows(1000, 1, 50)
        ));
        let mut model = rows(100, 900, 50);
        model.extend(rows(1000, 1, 50));
        agree(&vol, &mut store, tree, &model);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn appends_among_other_writes_agree_with_a_model(
            steps in proptest::collection::vec((0u8..4, 1u64..200, 0usize..700, 1usize..40), 1..25),
            cache in prop_oneof![Just(64usize), Just(2000)],
        ) {
            let (vol, mut store) = volume(cache);
            let tree = create(&vol, &mut store, Kind::Leaf);
            let mut model = Model::new();
            let mut next = 0u64;
            for (what, count, len, wide) in steps {
                match what {
                    0 => {
                        for n in (0..count).map(|n| n * 7919 % (next + 1)) {
                            let key = n.to_be_bytes().to_vec();
                            if insert(&vol, &mut store, tree, &key, &vec![1; len]) {
                                model.insert(key, vec![1; len]);
                            }
                        }
                    }
                    1 => {
                        let gone: Vec<Vec<u8>> = model.keys().rev().take(count as usize).cloned().collect();
                        for key in gone {
                            prop_assert!(remove(&vol, &mut store, tree, &key));
                            model.remove(&key);
                        }
                    }
                    _ => {
                        let new: Model = rows(next, count, len)
                            .into_iter()
                            .map(|(mut key, value)| {
                                key.extend(vec![0; wide * wide]);
                                (key, value)
                            })
                            .collect();
                        next += count;
                        if append(&vol, &mut store, tree, Kind::Leaf, &new) {
                            model.extend(new);
                        }
                    }
                }
                next += 1;
            }
            agree(&vol, &mut store, tree, &model);
        }
    }
}
