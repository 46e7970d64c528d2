//! Removing many keys at once: one record for neighbours on a leaf, and leaves that get empty leave the tree.

use super::node::{is_beyond, lower_bound, search_near};
use super::tree::Tree;
use crate::base::{PageNo, Res};
use crate::redo::record::runs_of;
use crate::redo::Record;
use crate::store::Mtr;

/// Keys of one leaf that are to go.
pub struct Removal {
    leaf: PageNo,
    /// Rising.
    slots: Vec<u16>,
    key: Vec<u8>,
    empties: bool,
}

impl Tree {
    /// Make sure that the removal of these keys, which rise, can't wait; those that are not there are left out. Nothing else may change the
    /// tree before `remove_many` in this MTR.
    pub fn prepare_remove_many(&self, mtr: &mut Mtr, keys: &[Vec<u8>]) -> Res<Vec<Removal>> {
        let mut out = Vec::new();
        let mut rest = keys;
        while let Some(first) = rest.first() {
            let (leaf, page) = self.descend(mtr, first, 0)?;
            let mut slots = Vec::new();
            let (mut next, mut done) = (lower_bound(&page, first)?, 0);
            for key in rest {
                if is_beyond(&page, key)? {
                    break;
                }
                done += 1;
                next = match search_near(&page, key, next)? {
                    Ok(slot) => {
                        slots.push(slot as u16);
                        slot + 1
                    }
                    Err(slot) => slot,
                };
            }
            let empties = leaf != self.root && slots.len() == page.count();
            if empties {
                self.plan_unlink(mtr, first)?;
            }
            if !slots.is_empty() {
                out.push(Removal {
                    leaf,
                    slots,
                    key: first.clone(),
                    empties,
                });
            }
            rest = rest.get(done.max(1)..).unwrap_or(&[]);
        }
        Ok(out)
    }

    /// Remove what was prepared. Leaves that get empty leave the tree where all is at hand for it.
    pub fn remove_many(&self, mtr: &mut Mtr, removals: &[Removal]) -> Res<()> {
        for removal in removals {
            let mut runs: Vec<(u16, u16)> = Vec::new();
            let mut at = 0;
            for (skip, count) in runs_of(&removal.slots) {
                runs.push((at + skip, count));
                at += skip + count;
            }
            for (from, count) in runs.into_iter().rev() {
                mtr.log(removal.leaf, &Record::RemoveCells { from, count })?;
            }
            if removal.empties {
                self.unlink(mtr, &removal.key)?;
            }
        }
        Ok(())
    }
}
