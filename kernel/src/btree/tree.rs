//! Finding a key: from the root down, and to the right where a split has been faster.

use super::node::{child, child_slot, is_beyond, key_of, search};
use crate::base::error::corrupt;
use crate::base::{PageNo, Res};
use crate::page::{Kind, Page, PageRef};
use crate::redo::Record;
use crate::store::{Mtr, Pages};

/// A tree, known by its root page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tree {
    pub root: PageNo,
}

/// Stale links met in one descent before it is damage.
const RETRIES: usize = 64;

impl Tree {
    /// A new, empty tree; `kind` is `Leaf` or `RowLeaf`. Needs `mtr.reserve(1)`.
    pub fn create(mtr: &mut Mtr, kind: Kind) -> Res<Tree> {
        let root = mtr.alloc()?;
        mtr.log(root, &Record::empty(kind, 0, root))?;
        Ok(Tree { root })
    }

    /// The leaf and slot that hold the key.
    pub fn get(&self, pages: &impl Pages, key: &[u8]) -> Res<Option<(PageRef, usize)>> {
        let (_, page) = self.descend(pages, key, 0)?;
        Ok(match search(&page, key)? {
            Ok(slot) => Some((page, slot)),
            Err(_) => None,
        })
    }

    /// The leaf that covers the key.
    pub fn leaf(&self, pages: &impl Pages, key: &[u8]) -> Res<(PageNo, PageRef)> {
        self.descend(pages, key, 0)
    }

    /// The number of the leaf that covers the key, as its parent has it: for fetching it before it is needed. Answers Need only
    /// for branch pages.
    pub fn leaf_of(&self, pages: &impl Pages, key: &[u8]) -> Res<PageNo> {
        if pages.page(self.root)?.level() == 0 {
            return Ok(self.root);
        }
        let (_, branch) = self.descend(pages, key, 1)?;
        child(&branch, child_slot(&branch, key)?)
    }

    /// The page of `level` that covers the key.
    pub(super) fn descend(
        &self,
        pages: &impl Pages,
        key: &[u8],
        level: u8,
    ) -> Res<(PageNo, PageRef)> {
        for _ in 0..RETRIES {
            if let Some(found) = self.try_descend(pages, key, level)? {
                return Ok(found);
            }
        }
        corrupt(format!("the tree at page {} leads nowhere", self.root))
    }

    fn try_descend(
        &self,
        pages: &impl Pages,
        key: &[u8],
        level: u8,
    ) -> Res<Option<(PageNo, PageRef)>> {
        let mut no = self.root;
        let mut page = pages.page(no)?;
        self.check_root(&page)?;
        loop {
            let at = page.level();
            let below = if is_beyond(&page, key)? {
                no = page.right();
                at
            } else if at == level {
                return Ok(Some((no, page)));
            } else if at < level {
                return corrupt(format!("page {no} of level {at} is above level {level}"));
            } else {
                no = child(&page, child_slot(&page, key)?)?;
                at - 1
            };
            page = pages.page(no)?;
            if !self.owns(&page, below) {
                return Ok(None);
            }
        }
    }

    pub(super) fn check_root(&self, page: &Page) -> Res<()> {
        if page.owner() != self.root || page.is_dead() {
            return corrupt(format!("page {} is not the root of a tree", self.root));
        }
        Ok(())
    }

    /// Is this a live page of this tree and level?
    pub(super) fn owns(&self, page: &Page, level: u8) -> bool {
        let kind = match page.kind() {
            Kind::Leaf | Kind::RowLeaf => level == 0,
            Kind::Branch => level > 0,
            _ => false,
        };
        kind && page.owner() == self.root && page.level() == level && !page.is_dead()
    }

    /// The leaf that holds the greatest keys below `bound` (of all keys when None), and its low bound (None: the first leaf).
    pub(super) fn descend_below(
        &self,
        pages: &impl Pages,
        bound: Option<&[u8]>,
    ) -> Res<(PageNo, PageRef, Option<Vec<u8>>)> {
        for _ in 0..RETRIES {
            if let Some(found) = self.try_below(pages, bound)? {
                return Ok(found);
            }
        }
        corrupt(format!("the tree at page {} leads nowhere", self.root))
    }

    #[allow(clippy::type_complexity)]
    fn try_below(
        &self,
        pages: &impl Pages,
        bound: Option<&[u8]>,
    ) -> Res<Option<(PageNo, PageRef, Option<Vec<u8>>)>> {
        let mut low: Option<Vec<u8>> = None;
        let mut no = self.root;
        let mut page = pages.page(no)?;
        self.check_root(&page)?;
        loop {
            let level = page.level();
            let beyond = match (page.high()?, bound) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(high), Some(bound)) => high < bound,
            };
            let below = if beyond {
                low = page.high()?.map(<[u8]>::to_vec);
                no = page.right();
                level
            } else if level == 0 {
                return Ok(Some((no, page, low)));
            } else {
                let slot = match bound {
                    Some(bound) => super::node::lower_bound(&page, bound)?.saturating_sub(1),
                    None => page.count().saturating_sub(1),
                };
                if slot > 0 {
                    low = Some(key_of(&page, slot)?.to_vec());
                }
                no = child(&page, slot)?;
                level - 1
            };
            page = pages.page(no)?;
            if !self.owns(&page, below) {
                return Ok(None);
            }
        }
    }

    /// About how many (leaves, cells) the tree has, from one path through its middle.
    pub fn estimate(&self, pages: &impl Pages) -> Res<(u64, u64)> {
        let mut leaves = 1u64;
        let mut page = pages.page(self.root)?;
        self.check_root(&page)?;
        while page.level() > 0 {
            let count = page.count();
            leaves = leaves.saturating_mul(count.max(1) as u64);
            let below = page.level() - 1;
            page = pages.page(child(&page, count / 2)?)?;
            if !self.owns(&page, below) {
                break;
            }
        }
        Ok((leaves, leaves.saturating_mul(page.count() as u64)))
    }

    /// How many leaves there are, without looking at one: what the upper levels lead one to expect.
    pub fn leaves(&self, pages: &impl Pages) -> Res<u64> {
        let mut page = pages.page(self.root)?;
        self.check_root(&page)?;
        let mut leaves = 1u64;
        while page.level() > 0 {
            let count = page.count();
            leaves = leaves.saturating_mul(count.max(1) as u64);
            let below = page.level() - 1;
            if below == 0 {
                break;
            }
            page = pages.page(child(&page, count / 2)?)?;
            if !self.owns(&page, below) {
                break;
            }
        }
        Ok(leaves)
    }

    /// Keys that cut the tree into about `parts` even ranges (at most `parts - 1` of them), from its upper levels.
    pub fn cuts(&self, pages: &impl Pages, parts: usize) -> Res<Vec<Vec<u8>>> {
        let root = pages.page(self.root)?;
        self.check_root(&root)?;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        if root.level() == 0 || parts < 2 {
            return Ok(keys);
        }
        let deeper = root.level() > 1 && root.count() < parts * 4;
        for slot in 0..root.count() {
            if slot > 0 {
                keys.push(key_of(&root, slot)?.to_vec());
            }
            if deeper {
                let page = pages.page(child(&root, slot)?)?;
                if self.owns(&page, root.level() - 1) {
                    for slot in 1..page.count() {
                        keys.push(key_of(&page, slot)?.to_vec());
                    }
                }
            }
        }
        let even = (1..parts).map(|part| part * (keys.len() + 1) / parts);
        let mut chosen: Vec<Vec<u8>> = even
            .filter_map(|at| keys.get(at.checked_sub(1)?).cloned())
            .collect();
        chosen.dedup();
        Ok(chosen)
    }
}
