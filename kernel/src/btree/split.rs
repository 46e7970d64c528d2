//! Making room on a page for one cell, by splitting it where need be.
//!
//! The order of the records keeps racing readers right: new pages first, then the old page is cut and linked in one record,
//! then the parent learns of the new pages. The root never moves: its content is pushed down to a new page first.

use super::node::{branch_cell, key_of, separator};
use super::tree::Tree;
use super::write::ROW_SPARE;
use crate::base::error::fail;
use crate::base::{PageNo, Res};
use crate::page::{Kind, Page, BODY_SIZE, SLOT_SIZE};
use crate::redo::{Links, Record};
use crate::store::Mtr;

/// The cells of a page as they will be: with the one that needs room at `slot`, `len` bytes long.
struct Layout<'a> {
    page: &'a Page,
    slot: usize,
    key: &'a [u8],
    len: usize,
    /// The cell is not on the page yet.
    fresh: bool,
}

impl Layout<'_> {
    fn count(&self) -> usize {
        self.page.count() + usize::from(self.fresh)
    }

    /// Cells of the page itself among the first `n`.
    fn old(&self, n: usize) -> usize {
        n - usize::from(self.fresh && n > self.slot)
    }

    fn key(&self, at: usize) -> Res<&[u8]> {
        if at == self.slot {
            return Ok(self.key);
        }
        key_of(self.page, self.old(at))
    }

    fn size(&self, at: usize) -> Res<usize> {
        if at == self.slot {
            return Ok(self.len + SLOT_SIZE);
        }
        Ok(self.page.cell(self.old(at))?.len() + SLOT_SIZE)
    }

    /// The key between the cells before `at` and those from `at` on.
    fn cut(&self, at: usize) -> Res<&[u8]> {
        if self.page.level() > 0 {
            return self.key(at);
        }
        Ok(separator(self.key(at - 1)?, self.key(at)?))
    }

    /// Where the second page begins, and the others if there must be more.
    fn plan(&self) -> Res<Vec<usize>> {
        let count = self.count();
        let mut sums = vec![0];
        for at in 0..count {
            sums.push(sums[at] + self.size(at)?);
        }
        let all = sums[count];
        let last_high = self.page.high()?.map_or(0, <[u8]>::len);
        let fits = |from: usize, to: usize| -> Res<bool> {
            let high = if to == count {
                last_high
            } else {
                self.cut(to)?.len()
            };
            Ok(sums[to] - sums[from] + high <= BODY_SIZE)
        };
        let rising = self.fresh && self.slot + 1 == count && self.page.right().0 == 0;
        let mut cuts: Vec<usize> = (1..count).rev().collect();
        if !rising {
            // Rising keys leave the old page as full as it gets; else both get half.
            cuts.sort_by_key(|at| sums[*at].abs_diff(all / 2));
        }
        for at in cuts {
            if fits(0, at)? && fits(at, count)? {
                return Ok(vec![at]);
            }
        }
        // Big cells: as many pages as it takes, each as full as it gets.
        let mut starts = Vec::new();
        let mut from = 0;
        while from < count {
            let mut to = count;
            while to > from && !fits(from, to)? {
                to -= 1;
            }
            if to == from {
                return self.too_big();
            }
            starts.push(to);
            from = to;
        }
        starts.pop();
        if starts.is_empty() {
            return self.too_big();
        }
        Ok(starts)
    }

    fn too_big<T>(&self) -> Res<T> {
        fail(
            "54000",
            format!("a cell of {} bytes does not fit into its tree", self.len),
        )
    }
}

impl Tree {
    /// A page and slot where the cell for `key`, now `old` bytes long (None: not there yet), has room to be `new` bytes long.
    pub(super) fn make_room(
        &self,
        mtr: &mut Mtr,
        no: PageNo,
        slot: usize,
        key: &[u8],
        old: Option<usize>,
        new: usize,
    ) -> Res<(PageNo, usize)> {
        let page = mtr.page(no)?;
        if has_room(&page, slot, old, new) {
            return Ok((no, slot));
        }
        let no = if no == self.root {
            let below = self.push_down(mtr, &page)?;
            drop(page);
            below
        } else {
            drop(page);
            no
        };
        let page = mtr.page(no)?;
        let layout = Layout {
            page: &page,
            slot,
            key,
            len: new,
            fresh: old.is_none(),
        };
        let mut starts = layout.plan()?;
        let mut pages = vec![no];
        for _ in &starts {
            pages.push(mtr.alloc()?);
        }
        let mut cuts = Vec::with_capacity(starts.len());
        for at in &starts {
            cuts.push(layout.cut(*at)?.to_vec());
        }
        self.make_right_pages(mtr, &layout, &starts, &cuts, &pages)?;
        let from = layout.old(starts[0]) as u16;
        let (level, right) = (page.level(), page.right());
        drop(page);
        mtr.log(
            no,
            &Record::Truncate {
                from,
                right: pages[1],
                high: &cuts[0],
            },
        )?;
        if level == 0 && right.0 == 0 {
            mtr.rightmost().insert(self.root, pages[pages.len() - 1]);
        }
        for (cut, child) in cuts.iter().zip(&pages[1..]) {
            self.insert_separator(mtr, level + 1, cut, *child)?;
        }
        starts.insert(0, 0);
        let group = starts.iter().rposition(|start| *start <= slot).unwrap_or(0);
        Ok((pages[group], slot - starts[group]))
    }

    /// The pages right of the one that is split; the last of them takes over its right link and high key.
    fn make_right_pages(
        &self,
        mtr: &mut Mtr,
        layout: &Layout,
        starts: &[usize],
        cuts: &[Vec<u8>],
        pages: &[PageNo],
    ) -> Res<()> {
        let page = layout.page;
        for (index, start) in starts.iter().enumerate() {
            let next = starts.get(index + 1);
            let (from, to) = (
                layout.old(*start),
                layout.old(next.copied().unwrap_or(layout.count())),
            );
            let mut cells = Vec::with_capacity(to - from);
            for slot in from..to {
                cells.push(page.cell(slot)?);
            }
            let (right, high) = match next {
                Some(_) => (pages[index + 2], Some(cuts[index + 1].as_slice())),
                None => (page.right(), page.high()?),
            };
            mtr.log(
                pages[index + 1],
                &Record::Init {
                    kind: page.kind(),
                    level: page.level(),
                    owner: self.root,
                    links: Links { right, high },
                    cells,
                },
            )?;
        }
        Ok(())
    }

    /// The root's content goes to a new page, and the root becomes a branch over it alone.
    pub(super) fn push_down(&self, mtr: &mut Mtr, root: &Page) -> Res<PageNo> {
        let below = mtr.alloc()?;
        let mut cells = Vec::with_capacity(root.count());
        for slot in 0..root.count() {
            cells.push(root.cell(slot)?);
        }
        let (kind, level) = (root.kind(), root.level());
        let init = |kind, level, cells| Record::Init {
            kind,
            level,
            owner: self.root,
            links: Links::NONE,
            cells,
        };
        mtr.log(below, &init(kind, level, cells))?;
        let only = branch_cell(below, &[]);
        mtr.log(self.root, &init(Kind::Branch, level + 1, vec![&only]))?;
        Ok(below)
    }
}

fn has_room(page: &Page, slot: usize, old: Option<usize>, new: usize) -> bool {
    let free = page.free_space();
    let Some(old) = old else {
        let rising = page.kind() == Kind::RowLeaf && page.right().0 == 0 && slot == page.count();
        let spare = if rising && slot > 0 { ROW_SPARE } else { 0 };
        return free >= new + SLOT_SIZE + spare;
    };
    free + old >= new
}
