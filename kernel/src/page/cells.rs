//! Slotted cells and the other bodies of a page: bounds-checked reading, and the changes that `redo::apply` makes.
//!
//! Invariants of a slotted page: slots end at or below the cell area's start; every slot's cell and the high key lie inside
//! the cell area and do not overlap; garbage + their lengths = the cell area's length. Changes are deterministic:
//! equal bytes and equal records give equal bytes.

use super::*;

impl Page {
    #[inline]
    pub fn count(&self) -> usize {
        self.half(AT_COUNT)
    }

    /// The cell in a slot. The slot must be below `count()`; anything else is damage.
    #[inline]
    pub fn cell(&self, slot: usize) -> Res<&[u8]> {
        if slot < self.count() {
            if let Some(cell) = self.cell_at(slot) {
                return Ok(cell);
            }
        }
        corrupt(format!(
            "slot {slot} of {} is not on the page",
            self.count()
        ))
    }

    #[inline]
    fn cell_at(&self, slot: usize) -> Option<&[u8]> {
        let at = BODY + slot * SLOT_SIZE;
        let raw = self.bytes.get(at..at + SLOT_SIZE)?;
        let offset = usize::from(u16::from_le_bytes([raw[0], raw[1]]));
        let len = usize::from(u16::from_le_bytes([raw[2], raw[3]]));
        self.bytes.get(offset..offset + len)
    }

    /// Upper bound (exclusive) of the page's keys; None on the rightmost page of a level.
    pub fn high(&self) -> Res<Option<&[u8]>> {
        let offset = self.half(AT_HIGH);
        if offset == 0 {
            return Ok(None);
        }
        match self.bytes.get(offset..offset + self.half(AT_HIGH_LEN)) {
            Some(key) => Ok(Some(key)),
            None => corrupt("high key is not on the page"),
        }
    }

    /// Bytes that new cells may take (each costs SLOT_SIZE more than its length), after compaction if need be.
    pub fn free_space(&self) -> usize {
        self.gap() + self.half(AT_GARBAGE)
    }

    /// Whether `insert` of a cell this long would fit.
    pub fn fits(&self, len: usize) -> bool {
        self.free_space() >= len + SLOT_SIZE
    }

    fn gap(&self) -> usize {
        self.half(AT_CELLS)
            .saturating_sub(BODY + self.count() * SLOT_SIZE)
    }

    /// Clear everything but the LSN.
    pub(crate) fn format(&mut self, kind: Kind, level: u8, owner: PageNo, right: PageNo) {
        let lsn = self.word(AT_LSN);
        self.bytes.fill(0);
        self.bytes[AT_FORMAT] = FORMAT;
        self.bytes[AT_KIND] = kind as u8;
        self.bytes[AT_LEVEL] = level;
        self.put_word(AT_LSN, lsn);
        self.put_word(AT_OWNER, owner.0);
        self.put_word(AT_RIGHT, right.0);
        self.put_half(AT_CELLS, PAGE_SIZE);
    }

    pub(crate) fn set_lsn(&mut self, lsn: Lsn) {
        self.put_word(AT_LSN, lsn.0);
    }

    pub(crate) fn set_flags(&mut self, flags: u8) {
        self.bytes[AT_FLAGS] = flags;
    }

    pub(crate) fn insert(&mut self, slot: usize, cell: &[u8]) -> Res<()> {
        let count = self.count();
        if slot > count {
            return corrupt(format!("insert at slot {slot} of {count}"));
        }
        if !self.fits(cell.len()) {
            return corrupt(format!(
                "a cell of {} bytes does not fit into {} free",
                cell.len(),
                self.free_space()
            ));
        }
        if self.gap() < cell.len() + SLOT_SIZE {
            self.compact()?;
        }
        let at = BODY + slot * SLOT_SIZE;
        let end = BODY + count * SLOT_SIZE;
        if end + SLOT_SIZE > PAGE_SIZE {
            return corrupt("slots run past the page");
        }
        self.bytes.copy_within(at..end, at + SLOT_SIZE);
        self.put_half(AT_COUNT, count + 1);
        let offset = self.place(cell)?;
        self.put_slot(slot, offset, cell.len());
        Ok(())
    }

    /// The cell gets these bytes; in place when they are not longer.
    pub(crate) fn replace(&mut self, slot: usize, cell: &[u8]) -> Res<()> {
        let old = self.cell(slot)?.len();
        if self.free_space() + old < cell.len() {
            return corrupt(format!(
                "a cell of {} bytes does not fit into {} free",
                cell.len(),
                self.free_space() + old
            ));
        }
        let mut offset = self.half(BODY + slot * SLOT_SIZE);
        if cell.len() <= old {
            self.add_garbage(old - cell.len());
            self.bytes[offset..offset + cell.len()].copy_from_slice(cell);
        } else {
            self.add_garbage(old);
            self.put_slot(slot, 0, 0);
            if self.gap() < cell.len() {
                self.compact()?;
            }
            offset = self.place(cell)?;
        }
        self.put_slot(slot, offset, cell.len());
        Ok(())
    }

    pub(crate) fn remove(&mut self, from: usize, count: usize) -> Res<()> {
        let old = self.count();
        if from + count > old || BODY + old * SLOT_SIZE > PAGE_SIZE {
            return corrupt(format!("remove of slots {from}..{} of {old}", from + count));
        }
        let mut freed = 0;
        for slot in from..from + count {
            freed += self.cell(slot)?.len();
        }
        self.add_garbage(freed);
        let at = BODY + from * SLOT_SIZE;
        self.bytes
            .copy_within(at + count * SLOT_SIZE..BODY + old * SLOT_SIZE, at);
        self.put_half(AT_COUNT, old - count);
        Ok(())
    }

    pub(crate) fn set_links(&mut self, right: PageNo, high: Option<&[u8]>) -> Res<()> {
        if self.half(AT_HIGH) != 0 {
            self.add_garbage(self.half(AT_HIGH_LEN));
            self.put_half(AT_HIGH, 0);
            self.put_half(AT_HIGH_LEN, 0);
        }
        self.put_word(AT_RIGHT, right.0);
        if let Some(key) = high {
            if self.free_space() < key.len() {
                return corrupt("the high key does not fit on the page");
            }
            if self.gap() < key.len() {
                self.compact()?;
            }
            let offset = self.place(key)?;
            // A key of no bytes at the very end would stand at 8192; it is told from "none" by a nonzero offset.
            self.put_half(AT_HIGH, offset);
            self.put_half(AT_HIGH_LEN, key.len());
        }
        Ok(())
    }

    /// Bits of a bitmap body.
    pub(crate) fn set_bits(&mut self, start: usize, count: usize, on: bool) -> Res<()> {
        if start.saturating_add(count) > BODY_SIZE * 8 {
            return corrupt("bits outside the page");
        }
        for index in start..start + count {
            let byte = &mut self.bytes[BODY + index / 8];
            let mask = 1u8 << (index % 8);
            *byte = if on { *byte | mask } else { *byte & !mask };
        }
        Ok(())
    }

    /// Bytes of a body without cells.
    pub(crate) fn put_bytes(&mut self, offset: usize, bytes: &[u8]) -> Res<()> {
        if offset < BODY {
            return corrupt("bytes inside the page header");
        }
        match self.bytes.get_mut(offset..offset + bytes.len()) {
            Some(target) => target.copy_from_slice(bytes),
            None => return corrupt("bytes outside the page"),
        }
        Ok(())
    }

    fn add_garbage(&mut self, bytes: usize) {
        let garbage = self.half(AT_GARBAGE) + bytes;
        self.put_half(AT_GARBAGE, garbage);
    }

    fn put_slot(&mut self, slot: usize, offset: usize, len: usize) {
        let at = BODY + slot * SLOT_SIZE;
        self.put_half(at, offset);
        self.put_half(at + 2, len);
    }

    /// Copy a cell to the lower end of the cell area; the gap must have room.
    fn place(&mut self, cell: &[u8]) -> Res<usize> {
        let Some(offset) = self.half(AT_CELLS).checked_sub(cell.len()) else {
            return corrupt("cell area underflows");
        };
        if offset < BODY + self.count() * SLOT_SIZE {
            return corrupt("cell area runs into the slots");
        }
        match self.bytes.get_mut(offset..offset + cell.len()) {
            Some(target) => target.copy_from_slice(cell),
            None => return corrupt("cell area is outside the page"),
        }
        self.put_half(AT_CELLS, offset);
        Ok(offset)
    }

    /// The same bytes go into some cells, `offset` bytes from their beginning. `runs`: so many slots are left out, then so many
    /// are meant, and so on.
    pub(crate) fn insert_into(
        &mut self,
        runs: &[(u16, u16)],
        offset: usize,
        bytes: &[u8],
    ) -> Res<()> {
        let count = self.count();
        let mut grows = vec![false; count];
        let mut at = 0;
        for &(skip, len) in runs {
            at += usize::from(skip);
            let Some(slots) = grows.get_mut(at..at + usize::from(len)) else {
                return corrupt(format!("bytes for slot {at} and more of {count}"));
            };
            slots.fill(true);
            at += usize::from(len);
        }
        self.lay_out(&|slot| match grows.get(slot) {
            Some(true) => Some((offset, bytes)),
            _ => None,
        })
    }

    /// Move all cells together at the end of the page, in slot order, so that garbage becomes gap.
    pub(crate) fn compact(&mut self) -> Res<()> {
        self.lay_out(&|_| None)
    }

    /// The same, with bytes more at a place in some of the cells.
    fn lay_out<'a>(&mut self, more: &dyn Fn(usize) -> Option<(usize, &'a [u8])>) -> Res<()> {
        let old = self.bytes;
        let part = |offset: usize, len: usize| match old.get(offset..offset.saturating_add(len)) {
            Some(part) => Ok(part),
            None => corrupt("cell is not on the page"),
        };
        let mut end = PAGE_SIZE;
        let floor = BODY + self.count() * SLOT_SIZE;
        let (high, high_len) = (self.half(AT_HIGH), self.half(AT_HIGH_LEN));
        if high != 0 {
            end = self.put_before(end, floor, part(high, high_len)?)?;
            self.put_half(AT_HIGH, end);
        }
        for slot in 0..self.count() {
            let at = BODY + slot * SLOT_SIZE;
            if at + SLOT_SIZE > PAGE_SIZE {
                return corrupt("slots run past the page");
            }
            let (offset, len) = (self.half(at), self.half(at + 2));
            let (before, bytes) = more(slot).unwrap_or((0, &[]));
            let Some(behind) = len.checked_sub(before) else {
                return corrupt("bytes are to go behind the end of their cell");
            };
            end = self.put_before(end, floor, part(offset + before, behind)?)?;
            end = self.put_before(end, floor, bytes)?;
            end = self.put_before(end, floor, part(offset, before)?)?;
            self.put_slot(slot, end, len + bytes.len());
        }
        self.put_half(AT_CELLS, end);
        self.put_half(AT_GARBAGE, 0);
        Ok(())
    }

    /// Copy bytes to where they end at `end`, not below `floor`; answers where they begin.
    fn put_before(&mut self, end: usize, floor: usize, bytes: &[u8]) -> Res<usize> {
        let Some(to) = end.checked_sub(bytes.len()).filter(|to| *to >= floor) else {
            return corrupt("cells of the page overlap");
        };
        match self.bytes.get_mut(to..end) {
            Some(target) => target.copy_from_slice(bytes),
            None => return corrupt("cell area is outside the page"),
        }
        Ok(to)
    }
}
