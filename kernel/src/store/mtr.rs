//! Mini-transactions: the records that must appear together. One is open at a time (the writer's mutex).
//!
//! Fetch first, then change: every page is asked for with `page` before the first `log`; from then on nothing may wait.
//! An MTR that has logged must be committed; one that is dropped half way stops all writing on this volume for good, since
//! pages in the cache have changes that no log has.

use super::header::{Field, HEADER};
use super::volume::{Pages, Volume, Writer};
use crate::base::error::fail;
use crate::base::{Lsn, PageNo, Res, Stop};
use crate::page::{Page, PageRef};
use crate::redo::{apply, stream, Record};
use ahash::AHashMap;
use parking_lot::MutexGuard;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// Largest maps and buffers that go from one MTR to the next.
const SCRATCH_PAGES: usize = 256;
const SCRATCH_BYTES: usize = 1 << 20;

/// What tree operations prepared in one MTR will do to a leaf (see `btree::write`).
#[derive(Default, Clone, Copy)]
pub(crate) struct Claim {
    pub bytes: usize,
    pub splits: usize,
    pub removes: usize,
}

pub struct Mtr<'v> {
    pub(super) vol: &'v Volume,
    pub(super) writer: MutexGuard<'v, Writer>,
    /// Fetched pages stay here until they are changed (a changed page can't leave the cache before it is durable).
    pins: RefCell<AHashMap<PageNo, PageRef>>,
    /// The records so far, and where the last one begins.
    bytes: Vec<u8>,
    last: usize,
    start: Lsn,
    pub(super) reserved: VecDeque<PageNo>,
    pub(super) allocated: Vec<PageNo>,
    pub(super) freed: Vec<PageNo>,
    pub(crate) claims: AHashMap<PageNo, Claim>,
}

impl Pages for Mtr<'_> {
    fn page(&self, no: PageNo) -> Res<PageRef> {
        Mtr::page(self, no)
    }

    fn absent(&self, list: &[PageNo]) -> Vec<PageNo> {
        self.vol.absent(list)
    }
}

impl<'v> Mtr<'v> {
    pub(super) fn new(vol: &'v Volume, mut writer: MutexGuard<'v, Writer>) -> Mtr<'v> {
        let scratch = std::mem::take(&mut writer.scratch);
        Mtr {
            vol,
            start: vol.tail(),
            writer,
            pins: RefCell::new(scratch.pins),
            bytes: scratch.bytes,
            last: 0,
            reserved: scratch.reserved,
            allocated: Vec::new(),
            freed: Vec::new(),
            claims: scratch.claims,
        }
    }

    /// A page as this MTR sees it. It stays fetched until the MTR ends. Don't hold the result over `log` of the same page:
    /// the change would have to copy it.
    pub fn page(&self, no: PageNo) -> Res<PageRef> {
        let mut pins = self.pins.borrow_mut();
        if let Some(page) = pins.get(&no) {
            return Ok(Arc::clone(page));
        }
        let page = self.vol.page(no)?;
        // A page above the start is one that this MTR has changed: it can't go away, and a pin would make the next change copy.
        if page.lsn() <= self.start {
            pins.insert(no, Arc::clone(&page));
        }
        Ok(page)
    }

    /// Has anything been logged? Then nothing may wait any more.
    pub fn is_dirty(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The volume that this MTR writes.
    pub fn volume(&self) -> &'v Volume {
        self.vol
    }

    /// Write one record and apply it. Its LSN is the answer. The page must have been fetched, unless the record is an Init.
    pub fn log(&mut self, no: PageNo, record: &Record) -> Res<Lsn> {
        self.last = self.bytes.len();
        stream::put(&mut self.bytes, no, record);
        let lsn = Lsn(self.start.0 + self.bytes.len() as u64);
        let pinned = self.pins.get_mut().remove(&no);
        let done = match self.vol.pool.change(no, |page| apply(page, lsn, record)) {
            Some(done) => done,
            None => self.change_absent(no, lsn, record, pinned),
        };
        done?;
        Ok(lsn)
    }

    fn change_absent(
        &self,
        no: PageNo,
        lsn: Lsn,
        record: &Record,
        pinned: Option<PageRef>,
    ) -> Res<()> {
        let mut page = match (pinned, record) {
            (Some(page), _) => page,
            (None, Record::Init { .. }) => Arc::new(Page::new()),
            (None, _) => {
                return fail(
                    "XX000",
                    format!("page {no} is changed before it is fetched"),
                )
            }
        };
        apply(Arc::make_mut(&mut page), lsn, record)?;
        self.vol.install_changed(no, page);
        Ok(())
    }

    /// A field of page 0, as this MTR sees it.
    pub fn field(&self, field: Field) -> Res<u64> {
        Ok(field.read(&*self.page(HEADER)?))
    }

    /// Change a field of page 0 (which must have been fetched: `field` does that).
    pub fn set_field(&mut self, field: Field, value: u64) -> Res<Lsn> {
        let old = self.field(field)?;
        // Only the low bytes that differ are logged.
        let changed = 8 - ((old ^ value).leading_zeros() / 8) as usize;
        let bytes = value.to_le_bytes();
        self.log(
            HEADER,
            &Record::PutBytes {
                offset: field.offset() as u16,
                bytes: bytes.get(..changed).unwrap_or(&bytes),
            },
        )
    }

    /// Everything logged becomes part of the stream, at once. The answer is the MTR's end: durable when VDL reaches it.
    pub fn commit(mut self) -> Lsn {
        if self.bytes.is_empty() {
            return self.start;
        }
        if let Some(head) = self.bytes.get_mut(self.last) {
            *head |= stream::CPL;
        }
        let end = self.vol.append(&self.bytes);
        self.bytes.clear();
        self.settle_space(end);
        end
    }

    pub(crate) fn rightmost(&mut self) -> &mut AHashMap<PageNo, PageNo> {
        &mut self.writer.rightmost
    }
}

impl Drop for Mtr<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.writer.broken = true;
        }
        // Keep the allocations for the next MTR, unless they are so large that clearing them would cost.
        let scratch = &mut self.writer.scratch;
        let pins = self.pins.get_mut();
        if pins.capacity() <= SCRATCH_PAGES {
            scratch.pins = std::mem::take(pins);
            scratch.pins.clear();
        }
        if self.claims.capacity() <= SCRATCH_PAGES {
            scratch.claims = std::mem::take(&mut self.claims);
            scratch.claims.clear();
        }
        if self.bytes.capacity() <= SCRATCH_BYTES {
            scratch.bytes = std::mem::take(&mut self.bytes);
            scratch.bytes.clear();
        }
        scratch.reserved = std::mem::take(&mut self.reserved);
        scratch.reserved.clear();
    }
}

/// What a stopped operation says when it may not stop any more: an error instead of a wait.
pub(crate) fn cannot_wait(stop: Stop) -> Stop {
    match stop {
        Stop::Need(need) => Stop::Error(crate::base::SqlError::new(
            "XX000",
            format!("a change had to wait for {need:?} after it had begun"),
        )),
        error => error,
    }
}
