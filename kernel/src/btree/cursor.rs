//! Walking leaves in both directions. A cursor stands between two cells; it holds its leaf as it was when it got there.
//! After an error (a Need included) it stands where it stood.

use super::node::{child, child_slot, key_of, lower_bound};
use super::tree::Tree;
use crate::base::error::corrupt;
use crate::base::{Need, PageNo, Res, Stop};
use crate::page::PageRef;
use crate::store::Pages;
use std::sync::Arc;

/// Cells `from..to` of a leaf.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub page: PageRef,
    pub from: usize,
    pub to: usize,
}

pub struct Cursor {
    tree: Tree,
    /// The leaf, and the slot that `next` gives out (and `prev` the one before it). None before the first seek.
    place: Option<(PageRef, usize)>,
    /// Leaves to ask for at once when one is missing; doubles with every miss up to `ahead_max`. 0: no read-ahead.
    ahead: usize,
    ahead_max: usize,
}

const AHEAD_FIRST: usize = 8;

impl Cursor {
    pub fn new(tree: Tree) -> Cursor {
        Cursor {
            tree,
            place: None,
            ahead: 0,
            ahead_max: 0,
        }
    }

    /// A missing leaf is asked for together with up to `max` - 1 leaves behind it (`Need::Pages`).
    pub fn with_read_ahead(mut self, max: usize) -> Cursor {
        self.ahead_max = max;
        self.ahead = max.min(AHEAD_FIRST);
        self
    }

    /// The same, and so many at once from the first on: all of them will be read.
    pub fn with_all_read_ahead(mut self, max: usize) -> Cursor {
        (self.ahead_max, self.ahead) = (max, max);
        self
    }

    /// Stand before the first cell whose key is at or above `key`.
    pub fn seek(&mut self, pages: &impl Pages, key: &[u8]) -> Res<()> {
        let (_, page) = self.tree.descend(pages, key, 0)?;
        let slot = lower_bound(&page, key)?;
        self.place = Some((page, slot));
        Ok(())
    }

    /// Hold no leaf any more, at the end of a walk: `next` and the like are errors until the next seek.
    pub fn leave(&mut self) {
        self.place = None;
    }

    pub fn seek_first(&mut self, pages: &impl Pages) -> Res<()> {
        self.seek(pages, &[])
    }

    /// Stand behind the last cell.
    pub fn seek_last(&mut self, pages: &impl Pages) -> Res<()> {
        let (_, page, _) = self.tree.descend_below(pages, None)?;
        let slot = page.count();
        self.place = Some((page, slot));
        Ok(())
    }

    /// The cell behind the cursor, which moves over it.
    pub fn next(&mut self, pages: &impl Pages) -> Res<Option<(&PageRef, usize)>> {
        while self.at()?.1 >= self.at()?.0.count() {
            if !self.move_right(pages)? {
                return Ok(None);
            }
        }
        let place = self.place.as_mut();
        Ok(place.map(|(page, slot)| {
            *slot += 1;
            (&*page, *slot - 1)
        }))
    }

    /// The cell before the cursor, which moves over it.
    pub fn prev(&mut self, pages: &impl Pages) -> Res<Option<(&PageRef, usize)>> {
        if self.at()?.1 == 0 && !self.move_left(pages)? {
            return Ok(None);
        }
        let place = self.place.as_mut();
        Ok(place.map(|(page, slot)| {
            *slot -= 1;
            (&*page, *slot)
        }))
    }

    /// All cells of the leaf that are still behind the cursor (at least one), which moves over them.
    pub fn next_leaf(&mut self, pages: &impl Pages) -> Res<Option<Leaf>> {
        while self.at()?.1 >= self.at()?.0.count() {
            if !self.move_right(pages)? {
                return Ok(None);
            }
        }
        Ok(self.place.as_mut().map(|(page, slot)| {
            let from = *slot;
            *slot = page.count();
            Leaf {
                page: Arc::clone(page),
                from,
                to: *slot,
            }
        }))
    }

    /// Page numbers of up to `max` leaves behind the one the cursor stands on, in order, for fetching them before they are
    /// needed. Answers Need only for branch pages.
    pub fn upcoming(&self, pages: &impl Pages, max: usize) -> Res<Vec<PageNo>> {
        match self.at()?.0.high()? {
            Some(high) => self.leaves_from(pages, high, max),
            None => Ok(Vec::new()),
        }
    }

    /// The leaf that the cursor stands on, and the slot that `next` gives out if it is on that leaf.
    pub fn place(&self) -> Option<(&PageRef, usize)> {
        self.place.as_ref().map(|(page, slot)| (page, *slot))
    }

    fn at(&self) -> Res<&(PageRef, usize)> {
        match &self.place {
            Some(place) => Ok(place),
            None => corrupt("a cursor is moved before it was placed"),
        }
    }

    fn move_right(&mut self, pages: &impl Pages) -> Res<bool> {
        let page = Arc::clone(&self.at()?.0);
        let Some(high) = page.high()? else {
            return Ok(false);
        };
        let right = match pages.page(page.right()) {
            Ok(right) => right,
            Err(Stop::Need(Need::Page(no))) if self.ahead > 1 => {
                let list = self.leaves_from(pages, high, self.ahead)?;
                self.ahead = (self.ahead * 2).min(self.ahead_max);
                let mut wanted = pages.absent(&list);
                wanted.retain(|other| *other != no);
                wanted.insert(0, no);
                return Err(Need::Pages(wanted).into());
            }
            Err(stop) => return Err(stop),
        };
        if self.tree.owns(&right, 0) {
            // Slot 0, unless the page has taken over keys that were already passed.
            let slot = lower_bound(&right, high)?;
            self.place = Some((right, slot));
            return Ok(true);
        }
        self.seek(pages, high)?;
        Ok(true)
    }

    fn move_left(&mut self, pages: &impl Pages) -> Res<bool> {
        let page = &self.at()?.0;
        let mut bound = match page.count() {
            // An empty leaf's own low bound is not on it: whatever is below its high key, or the end.
            0 => page.high()?.map(<[u8]>::to_vec),
            _ => Some(key_of(page, 0)?.to_vec()),
        };
        loop {
            let (_, page, low) = self.tree.descend_below(pages, bound.as_deref())?;
            let slot = match &bound {
                Some(bound) => lower_bound(&page, bound)?,
                None => page.count(),
            };
            if slot > 0 {
                self.place = Some((page, slot));
                return Ok(true);
            }
            if low.is_none() {
                return Ok(false);
            }
            bound = low;
        }
    }

    fn leaves_from(&self, pages: &impl Pages, key: &[u8], max: usize) -> Res<Vec<PageNo>> {
        let mut list = Vec::new();
        if pages.page(self.tree.root)?.level() == 0 {
            return Ok(list);
        }
        let (_, mut branch) = self.tree.descend(pages, key, 1)?;
        let mut slot = child_slot(&branch, key)?;
        while list.len() < max {
            if slot < branch.count() {
                list.push(child(&branch, slot)?);
                slot += 1;
                continue;
            }
            // Go on to the next branch only if that costs no waiting.
            match branch.high()? {
                Some(_) => match pages.page(branch.right()) {
                    Ok(right) if self.tree.owns(&right, 1) => branch = right,
                    _ => break,
                },
                None => break,
            }
            slot = 0;
        }
        Ok(list)
    }
}
