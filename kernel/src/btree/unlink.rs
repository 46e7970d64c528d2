//! Taking an empty leaf out of its tree, together with the branches that have nothing but it.
//!
//! The range of keys that it covered goes to its left neighbour under the lowest ancestor that has other children, or, when
//! it is that ancestor's first child, to its right neighbour. The ancestor forgets it first, then its left neighbour's
//! link passes it by, then it is dead. A leaf may as well stay in the tree empty: whatever is not at hand ends the attempt.

use super::node::{branch_cell, child, child_slot, is_beyond};
use super::tree::Tree;
use crate::base::{PageNo, Res, Stop};
use crate::page::{Kind, PageRef, DEAD};
use crate::redo::Record;
use crate::store::Mtr;

/// What to change.
pub(super) struct Plan {
    /// The branch that forgets the pages, and the slot by which it knows them. None: the whole tree is empty.
    ancestor: Option<(PageNo, usize)>,
    /// The ancestor's next child, which takes over when `slot` is 0.
    heir: PageNo,
    pages: Vec<Gone>,
    leaf_kind: Kind,
}

struct Gone {
    no: PageNo,
    /// Left neighbour and its new links.
    left: Option<(PageNo, PageNo, Option<Vec<u8>>)>,
}

type Path = Vec<(PageNo, PageRef, usize)>;

impl Tree {
    /// Fetch what taking the key's leaf out needs, and say how. None: it has to stay.
    pub(super) fn plan_unlink(&self, mtr: &Mtr, key: &[u8]) -> Res<Option<Plan>> {
        let Some(path) = self.path(mtr, key)? else {
            return Ok(None);
        };
        let Some((leaf, branches)) = path.split_last() else {
            return Ok(None);
        };
        let top = branches.iter().rposition(|(_, page, _)| page.count() > 1);
        let below = top.map_or(1, |top| top + 1);
        let mut plan = Plan {
            ancestor: None,
            heir: PageNo(0),
            pages: Vec::new(),
            leaf_kind: leaf.1.kind(),
        };
        let mut lefts: Vec<PageRef> = Vec::new();
        if let Some(top) = top {
            let (no, page, slot) = &path[top];
            plan.ancestor = Some((*no, *slot));
            if *slot == 0 {
                plan.heir = child(page, 1)?;
            }
            match self.left_neighbours(mtr, &path, top)? {
                Some(list) => {
                    for (at, (no, left)) in (below..path.len()).zip(list) {
                        let (gone, page, _) = &path[at];
                        if left.right() != *gone {
                            return Ok(None);
                        }
                        plan.pages.push(Gone {
                            no: *gone,
                            left: Some((no, page.right(), links(&left, page, *slot == 0)?)),
                        });
                        lefts.push(left);
                    }
                }
                None => plan.keep_alone(&path, below),
            }
            if !self.links_fit(&path, &plan, &lefts, below)? {
                return Ok(None);
            }
        } else {
            plan.keep_alone(&path, below);
        }
        for gone in &plan.pages {
            mtr.prepare_free(gone.no)?;
        }
        Ok(Some(plan))
    }

    fn links_fit(&self, path: &Path, plan: &Plan, lefts: &[PageRef], below: usize) -> Res<bool> {
        let heir = path.get(below).map(|(_, page, _)| page.right());
        if plan.heir.0 != 0 && heir != Some(plan.heir) {
            return Ok(false);
        }
        for (gone, left) in plan.pages.iter().zip(lefts) {
            let Some((_, _, Some(high))) = &gone.left else {
                continue;
            };
            if left.free_space() + left.high()?.map_or(0, <[u8]>::len) < high.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Root to leaf with the slot taken on each branch. None when a link has to be followed to the right.
    fn path(&self, mtr: &Mtr, key: &[u8]) -> Res<Option<Path>> {
        let mut path = Path::new();
        let mut no = self.root;
        loop {
            let page = mtr.page(no)?;
            if page.owner() != self.root || is_beyond(&page, key)? {
                return Ok(None);
            }
            if page.level() == 0 {
                path.push((no, page, 0));
                return Ok(Some(path));
            }
            let slot = child_slot(&page, key)?;
            let next = child(&page, slot)?;
            path.push((no, page, slot));
            no = next;
        }
    }

    /// The left neighbours of `path[top + 1..]`. None: these are the first pages of their levels.
    fn left_neighbours(
        &self,
        mtr: &Mtr,
        path: &Path,
        top: usize,
    ) -> Res<Option<Vec<(PageNo, PageRef)>>> {
        let Some(fork) = path[..=top].iter().rposition(|(_, _, slot)| *slot > 0) else {
            return Ok(None);
        };
        let (_, page, slot) = &path[fork];
        let mut no = child(page, *slot - 1)?;
        let mut list = Vec::new();
        for at in fork + 1..path.len() {
            let page = mtr.page(no)?;
            let below = match page.level() {
                0 => no,
                _ => child(&page, page.count().saturating_sub(1))?,
            };
            if at > top {
                list.push((no, page));
            }
            no = below;
        }
        Ok(Some(list))
    }

    /// After the key's leaf has got empty: take it out if everything for that is at hand.
    pub(super) fn unlink(&self, mtr: &mut Mtr, key: &[u8]) -> Res<()> {
        let plan = match self.plan_unlink(mtr, key) {
            Ok(Some(plan)) => plan,
            Ok(None) | Err(Stop::Need(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        match plan.ancestor {
            None => {
                let empty = Record::empty(plan.leaf_kind, 0, self.root);
                mtr.log(self.root, &empty)?;
            }
            Some((no, 0)) => {
                let cell = branch_cell(plan.heir, &[]);
                let page = mtr.page(no)?;
                let record = Record::replace(0, page.cell(0)?, &cell);
                drop(page);
                mtr.log(no, &record)?;
                mtr.log(no, &Record::RemoveCells { from: 1, count: 1 })?;
            }
            Some((no, slot)) => {
                let from = slot as u16;
                mtr.log(no, &Record::RemoveCells { from, count: 1 })?;
            }
        }
        for gone in &plan.pages {
            if let Some((left, right, high)) = &gone.left {
                mtr.log(
                    *left,
                    &Record::SetLinks {
                        right: *right,
                        high: high.as_deref(),
                    },
                )?;
            }
            mtr.log(gone.no, &Record::SetFlags { flags: DEAD })?;
            mtr.free(gone.no)?;
        }
        mtr.rightmost().remove(&self.root);
        Ok(())
    }
}

impl Plan {
    /// Nothing on the left links to the pages.
    fn keep_alone(&mut self, path: &Path, below: usize) {
        for (no, _, _) in path.iter().skip(below) {
            self.pages.push(Gone {
                no: *no,
                left: None,
            });
        }
    }
}

/// The left neighbour's new high key: its own when the right neighbour takes over, else that of the page that goes.
fn links(left: &PageRef, gone: &PageRef, to_right: bool) -> Res<Option<Vec<u8>>> {
    let high = if to_right { left.high()? } else { gone.high()? };
    Ok(high.map(<[u8]>::to_vec))
}
