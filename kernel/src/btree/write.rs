//! Changing a tree, in two steps: `prepare…` fetches and reserves and may answer Need; what follows can't wait.

use super::node::{self, is_beyond, key_of, leaf_cell, lower_bound, search, search_near, MAX_KEY};
use super::tree::Tree;
use crate::base::error::fail;
use crate::base::{PageNo, Res};
use crate::page::{Kind, Page, BODY_SIZE, SLOT_SIZE};
use crate::redo::version::Push;
use crate::redo::Record;
use crate::store::{cannot_wait, Mtr};

/// A leaf of a row tree that grows at its right end keeps this much free for new versions of its rows.
pub(super) const ROW_SPARE: usize = BODY_SIZE / 12;
/// Longest cell of a leaf: it fits on a page of its own, beside a high key.
pub const MAX_CELL: usize = 8000;

/// Where a prepared write begins. Its page may have been split by another one since; performing looks again.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    pub leaf: PageNo,
    /// As of preparing: the slot that holds the key, or where it would go.
    pub slot: usize,
    pub found: bool,
}

impl Tree {
    /// Make sure that a write to this key's leaf can't wait. `grow`: bytes by which the leaf's cells grow at most (a new cell's
    /// length; a longer cell's difference). To read the row as it is: `mtr.page(spot.leaf)?.cell(spot.slot)`.
    pub fn prepare(&self, mtr: &mut Mtr, key: &[u8], grow: usize) -> Res<Spot> {
        if key.len() > MAX_KEY {
            return fail(
                "54000",
                format!(
                    "index row size {} exceeds btree version 4 maximum {MAX_KEY}",
                    key.len()
                ),
            );
        }
        let (leaf, page) = match self.cached_rightmost(mtr, key)? {
            Some(leaf) => leaf,
            None => {
                let (no, page) = self.descend(mtr, key, 0)?;
                if page.high()?.is_none() {
                    mtr.rightmost().insert(self.root, no);
                }
                (no, page)
            }
        };
        let found = search(&page, key)?;
        if found.is_err() {
            check_size(key.len(), grow)?;
        }
        if grow > 0 {
            self.claim(mtr, leaf, &page, key, grow)?;
        }
        Ok(Spot {
            leaf,
            slot: found.unwrap_or_else(|slot| slot),
            found: found.is_ok(),
        })
    }

    /// The same for a removal, which may take the leaf out of the tree.
    pub fn prepare_remove(&self, mtr: &mut Mtr, key: &[u8]) -> Res<Spot> {
        let spot = self.prepare(mtr, key, 0)?;
        let claim = mtr.claims.entry(spot.leaf).or_default();
        claim.removes += 1;
        let removes = claim.removes;
        if spot.leaf != self.root && mtr.page(spot.leaf)?.count() <= removes {
            self.plan_unlink(mtr, key)?;
        }
        Ok(spot)
    }

    /// Rising keys go to the rightmost leaf: no descent as long as it is the one remembered.
    pub(super) fn cached_rightmost(
        &self,
        mtr: &mut Mtr,
        key: &[u8],
    ) -> Res<Option<(PageNo, crate::page::PageRef)>> {
        let Some(no) = mtr.rightmost().get(&self.root).copied() else {
            return Ok(None);
        };
        let page = mtr.page(no)?;
        if self.owns(&page, 0) && page.high()?.is_none() && page.count() > 0 {
            let last = key_of(&page, page.count() - 1)?;
            if key > last {
                return Ok(Some((no, page)));
            }
        }
        Ok(None)
    }

    fn claim(&self, mtr: &mut Mtr, leaf: PageNo, page: &Page, key: &[u8], grow: usize) -> Res<()> {
        let spare = match page.kind() {
            Kind::RowLeaf if page.right().0 == 0 => ROW_SPARE,
            _ => 0,
        };
        let mut claim = mtr.claims.get(&leaf).copied().unwrap_or_default();
        claim.bytes += grow + SLOT_SIZE;
        let over = (claim.bytes + spare).saturating_sub(page.free_space());
        let splits = over.div_ceil(BODY_SIZE / 4);
        if splits > claim.splits {
            // The whole path may split, in the worst case (big cells) each page into four.
            self.descend(mtr, key, 0)?;
            let levels = usize::from(mtr.page(self.root)?.level()) + 2;
            mtr.reserve((splits - claim.splits) * levels * 4)?;
            claim.splits = splits;
        }
        mtr.claims.insert(leaf, claim);
        Ok(())
    }

    /// Insert a key that is not there; false, and no change, when it is.
    pub fn insert(&self, mtr: &mut Mtr, spot: &Spot, key: &[u8], value: &[u8]) -> Res<bool> {
        let kind = mtr.page(spot.leaf)?.kind();
        // The root may have become a branch since; its leaves are of the tree's kind.
        let kind = match kind {
            Kind::Branch => {
                let (_, leaf) = self.descend(mtr, key, 0).map_err(cannot_wait)?;
                leaf.kind()
            }
            kind => kind,
        };
        self.insert_cell(mtr, spot, key, &leaf_cell(kind, key, value))
    }

    /// The same with the whole cell at hand (rows: `redo::version::cell`).
    pub fn insert_cell(&self, mtr: &mut Mtr, spot: &Spot, key: &[u8], cell: &[u8]) -> Res<bool> {
        let (no, Err(slot)) = self.locate(mtr, spot, key)? else {
            return Ok(false);
        };
        check_size(key.len(), cell.len())?;
        let (no, slot) = self
            .make_room(mtr, no, slot, key, None, cell.len())
            .map_err(cannot_wait)?;
        mtr.log(
            no,
            &Record::InsertCell {
                slot: slot as u16,
                bytes: cell,
            },
        )?;
        Ok(true)
    }

    /// The key's cell gets these bytes (its key stays the same); false when the key is not there.
    pub fn replace_cell(&self, mtr: &mut Mtr, spot: &Spot, key: &[u8], cell: &[u8]) -> Res<bool> {
        let (no, Ok(slot)) = self.locate(mtr, spot, key)? else {
            return Ok(false);
        };
        check_size(key.len(), cell.len())?;
        let old = mtr.page(no)?.cell(slot)?.len();
        let (no, slot) = self
            .make_room(mtr, no, slot, key, Some(old), cell.len())
            .map_err(cannot_wait)?;
        let page = mtr.page(no)?;
        let record = Record::replace(slot, page.cell(slot)?, cell);
        drop(page);
        mtr.log(no, &record)?;
        Ok(true)
    }

    /// The key gets another value; false when the key is not there.
    pub fn replace(&self, mtr: &mut Mtr, spot: &Spot, key: &[u8], value: &[u8]) -> Res<bool> {
        let (no, Ok(_)) = self.locate(mtr, spot, key)? else {
            return Ok(false);
        };
        let kind = mtr.page(no)?.kind();
        self.replace_cell(mtr, spot, key, &leaf_cell(kind, key, value))
    }

    /// Put a version in front of a row's versions; false when the row is not there. `push` was made from the row's cell as it
    /// is now (`Push::diff`).
    pub fn push_version(&self, mtr: &mut Mtr, spot: &Spot, key: &[u8], push: &Push) -> Res<bool> {
        let (no, Ok(slot)) = self.locate(mtr, spot, key)? else {
            return Ok(false);
        };
        let page = mtr.page(no)?;
        let old = page.cell(slot)?;
        let (old, new) = (old.len(), push.built_len(old)?);
        drop(page);
        check_size(key.len(), new)?;
        let (no, slot) = self
            .make_room(mtr, no, slot, key, Some(old), new)
            .map_err(cannot_wait)?;
        mtr.log(
            no,
            &Record::PushVersion {
                slot: slot as u16,
                push: *push,
            },
        )?;
        Ok(true)
    }

    /// Remove a key; false when it is not there. A leaf that gets empty leaves the tree if that was prepared.
    pub fn remove(&self, mtr: &mut Mtr, spot: &Spot, key: &[u8]) -> Res<bool> {
        let (no, Ok(slot)) = self.locate(mtr, spot, key)? else {
            return Ok(false);
        };
        mtr.log(
            no,
            &Record::RemoveCells {
                from: slot as u16,
                count: 1,
            },
        )?;
        if no != self.root && mtr.page(no)?.count() == 0 {
            self.unlink(mtr, key)?;
        }
        Ok(true)
    }

    /// The key's leaf and slot now, from where it was when prepared.
    fn locate(&self, mtr: &Mtr, spot: &Spot, key: &[u8]) -> Res<(PageNo, Result<usize, usize>)> {
        let mut no = spot.leaf;
        let mut page = mtr.page(no).map_err(cannot_wait)?;
        while self.owns(&page, 0) && is_beyond(&page, key)? {
            no = page.right();
            page = mtr.page(no).map_err(cannot_wait)?;
        }
        if !self.owns(&page, 0) {
            (no, page) = self.descend(mtr, key, 0).map_err(cannot_wait)?;
        }
        Ok((no, search_near(&page, key, spot.slot)?))
    }

    /// Tell the parents of a split page about its new right neighbour.
    pub(super) fn insert_separator(
        &self,
        mtr: &mut Mtr,
        level: u8,
        key: &[u8],
        child: PageNo,
    ) -> Res<()> {
        let (no, page) = self.descend(mtr, key, level)?;
        let slot = lower_bound(&page, key)?;
        drop(page);
        let cell = node::branch_cell(child, key);
        let (no, slot) = self.make_room(mtr, no, slot, key, None, cell.len())?;
        mtr.log(
            no,
            &Record::InsertCell {
                slot: slot as u16,
                bytes: &cell,
            },
        )?;
        Ok(())
    }
}

/// A cell must fit on a page beside a high key, which may be as long as its own.
fn check_size(key: usize, cell: usize) -> Res<()> {
    if cell > MAX_CELL || cell + key > BODY_SIZE - SLOT_SIZE {
        return fail(
            "54000",
            format!("row is too big: size {cell}, maximum size {MAX_CELL}"),
        );
    }
    Ok(())
}
