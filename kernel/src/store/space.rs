//! Which pages are in use: bitmap pages at fixed positions. Map k is page `1 + k * COVERED` and covers the pages from itself
//! on; page 0 is the header and in no map. The lowest free page is taken first, so a volume stays dense.

use super::header::{Field, HEADER};
use super::mtr::{cannot_wait, Mtr};
use super::volume::Pages;
use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Kind, Page, BODY, BODY_SIZE};
use crate::redo::{Bits, Record};
use ahash::AHashSet;
use std::collections::VecDeque;

/// Pages that one map covers.
pub const COVERED: u64 = BODY_SIZE as u64 * 8;

/// The map page for a page, and the bit in it.
pub fn place(no: PageNo) -> Option<(PageNo, u32)> {
    let index = no.0.checked_sub(1)?;
    Some((
        PageNo(1 + index / COVERED * COVERED),
        (index % COVERED) as u32,
    ))
}

/// What the writer remembers about space; none of it needs to survive.
#[derive(Default)]
pub(super) struct Space {
    /// No page below it is free and usable.
    hint: u64,
    /// Freed, and still of use to scans that began before: not before the horizon has passed this LSN.
    held: AHashSet<PageNo>,
    queue: VecDeque<(Lsn, PageNo)>,
}

impl Space {
    /// Pages freed at or below `horizon` may be used again.
    pub fn release(&mut self, horizon: Lsn) {
        while let Some((lsn, no)) = self.queue.front().copied() {
            if lsn > horizon {
                return;
            }
            self.queue.pop_front();
            self.held.remove(&no);
            self.hint = self.hint.min(no.0);
        }
    }
}

impl Mtr<'_> {
    /// Choose `n` more pages and fetch what marking them needs, so that `n` calls of `alloc` can't wait.
    pub fn reserve(&mut self, n: usize) -> Res<()> {
        let wanted = self.reserved.len() + n;
        let mut at = match self.reserved.back() {
            Some(last) => last.0 + 1,
            None => self.writer.space.hint.max(2),
        };
        let header = self.page(HEADER)?;
        let maps = Field::Maps.read(&header);
        drop(header);
        while self.reserved.len() < wanted {
            let Some((map, bit)) = place(PageNo(at)) else {
                return corrupt("page 0 can't be reserved");
            };
            if map.0 > maps * COVERED {
                // A map that does not exist yet; `alloc` makes it. Its own page is its first bit.
                at = at.max(map.0 + 1);
                self.reserved.push_back(PageNo(at));
                at += 1;
                continue;
            }
            let page = self.page(map)?;
            match free_bit(&page, bit) {
                Some(bit) => {
                    at = map.0 + u64::from(bit);
                    if !self.writer.space.held.contains(&PageNo(at)) {
                        self.reserved.push_back(PageNo(at));
                    }
                    at += 1;
                }
                None => at = map.0 + COVERED,
            }
        }
        Ok(())
    }

    /// The same as the first thing of an MTR; which pages `alloc` will answer.
    pub fn reserve_first(&mut self, n: usize) -> Res<Vec<PageNo>> {
        self.reserve(n)?;
        Ok(self.reserved.iter().take(n).copied().collect())
    }

    /// A page that is now in use; its content is whatever an Init record says next. Needs `reserve`: without it the MTR fails
    /// where it would have to wait.
    pub fn alloc(&mut self) -> Res<PageNo> {
        if self.reserved.is_empty() {
            self.reserve(1).map_err(cannot_wait)?;
        }
        let Some(no) = self.reserved.pop_front() else {
            return corrupt("a page is allocated without having been reserved");
        };
        let Some((map, bit)) = place(no) else {
            return corrupt("page 0 can't be allocated");
        };
        let maps = self.field(Field::Maps)?;
        if map.0 > maps * COVERED {
            self.log(map, &Record::empty(Kind::SpaceMap, 0, PageNo(0)))?;
            self.set_bit(map, 0, true)?;
            self.set_field(Field::Maps, maps + 1)?;
        }
        self.set_bit(map, bit, true)?;
        self.allocated.push(no);
        Ok(no)
    }

    /// Give a page back. It is not used again before the horizon has passed this MTR. The page's space map must be in the
    /// cache (`can_free`).
    pub fn free(&mut self, no: PageNo) -> Res<()> {
        let Some((map, bit)) = place(no) else {
            return corrupt("page 0 can't be freed");
        };
        self.set_bit(map, bit, false)?;
        self.freed.push(no);
        Ok(())
    }

    /// Fetch what `free` needs.
    pub fn prepare_free(&self, no: PageNo) -> Res<()> {
        match place(no) {
            Some((map, _)) => self.page(map).map(drop),
            None => corrupt("page 0 can't be freed"),
        }
    }

    fn set_bit(&mut self, map: PageNo, bit: u32, on: bool) -> Res<()> {
        self.log(
            map,
            &Record::SetBits {
                bits: Bits {
                    start: bit,
                    count: 1,
                    on,
                },
            },
        )?;
        Ok(())
    }

    /// At commit: what this MTR took and gave back.
    pub(super) fn settle_space(&mut self, lsn: Lsn) {
        // What was remembered of a tree goes with its root: the page may be another tree's root next, while the old tree's last
        // leaf still names it as its owner.
        for no in self.allocated.iter().chain(self.freed.iter()) {
            self.writer.rightmost.remove(no);
        }
        let space = &mut self.writer.space;
        for no in self.allocated.drain(..) {
            // Pages are reserved in rising order from the hint on, so everything below the last one is in use or held.
            space.hint = space.hint.max(no.0 + 1);
        }
        for no in self.freed.drain(..) {
            space.held.insert(no);
            space.queue.push_back((lsn, no));
        }
    }
}

/// Is the page in use?
pub fn is_used(pages: &impl Pages, no: PageNo) -> Res<bool> {
    let Some((map, bit)) = place(no) else {
        return Ok(true);
    };
    let word = pages.page(map)?.u64_at(BODY + bit as usize / 64 * 8);
    Ok(word.is_some_and(|word| word >> (bit % 64) & 1 != 0))
}

/// Pages in use, space maps among them.
pub fn used_pages(pages: &impl Pages) -> Res<u64> {
    let maps = Field::Maps.read(&*pages.page(HEADER)?);
    let mut used = 0;
    for map in 0..maps {
        let page = pages.page(PageNo(1 + map * COVERED))?;
        let words = (0..COVERED as usize / 64).filter_map(|n| page.u64_at(BODY + n * 8));
        used += words.map(|word| u64::from(word.count_ones())).sum::<u64>();
    }
    Ok(used)
}

/// First clear bit at or after `from`.
fn free_bit(map: &Page, from: u32) -> Option<u32> {
    let mut bit = from as usize;
    while bit < COVERED as usize {
        let word = map.u64_at(BODY + bit / 64 * 8)?;
        let clear = !word >> (bit % 64);
        if clear != 0 {
            return Some(bit as u32 + clear.trailing_zeros());
        }
        bit = (bit / 64 + 1) * 64;
    }
    None
}
