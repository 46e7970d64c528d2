//! Pages that are being fetched, and the reader's stream.
//!
//! A page is read from storage at the LSN that `fetch_begin` names. From then until `install`, redo for it that a reader
//! applies is kept and rolled onto the page when it comes, so that it fits the cache's state. On the writer no
//! redo can touch a page that is absent; there the entry only tells a fresh answer from a stale one (a page that was
//! fetched twice, changed, made durable and evicted between the two answers).

use super::volume::{Role, Volume};
use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Page, PageRef};
use crate::redo::{Decoder, Entry, Raw};
use ahash::AHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Fetches {
    waiting: AHashMap<PageNo, Waiting>,
    /// Received and above what is applied.
    held: VecDeque<Chunk>,
}

struct Waiting {
    since: Lsn,
    redo: Vec<Kept>,
}

struct Kept {
    lsn: Lsn,
    head: u8,
    body: Vec<u8>,
}

impl Kept {
    fn record(&self) -> Raw<'_> {
        Raw {
            head: self.head,
            body: &self.body,
        }
    }
}

/// One flush's records (or those of it that arrived together): applied as a whole when VDL reaches `end`.
struct Chunk {
    end: Lsn,
    bytes: Vec<u8>,
    records: Vec<Place>,
}

struct Place {
    lsn: Lsn,
    page: PageNo,
    head: u8,
    from: u32,
    len: u32,
}

impl Volume {
    /// The LSN at which to read page `no`; None: the cache holds it already. One fetch of a page at a time.
    pub fn fetch_begin(&self, no: PageNo) -> Option<Lsn> {
        let mut fetches = self.fetches.lock();
        if self.pool.holds(no) {
            return None;
        }
        let now = self.pool.durable();
        let waiting = fetches.waiting.entry(no).or_insert(Waiting {
            since: now,
            redo: Vec::new(),
        });
        if self.role() == Role::Writer {
            waiting.since = now;
        }
        Some(now)
    }

    pub fn fetch_failed(&self, no: PageNo) {
        self.fetches.lock().waiting.remove(&no);
    }

    /// Page `no` as read at the LSN that the last `fetch_begin` of it named. Installing twice is harmless.
    pub fn install(&self, no: PageNo, page: Page) -> Res<()> {
        self.install_at(no, page, Lsn::MAX).map(drop)
    }

    /// The same with the read's LSN at hand; false when the answer is older than what the cache needs: fetch again.
    pub fn install_at(&self, no: PageNo, page: impl Into<PageRef>, at: Lsn) -> Res<bool> {
        let mut page: PageRef = page.into();
        let mut fetches = self.fetches.lock();
        if self.pool.holds(no) {
            fetches.waiting.remove(&no);
            return Ok(true);
        }
        match fetches.waiting.get(&no) {
            Some(waiting) if waiting.since <= at => {}
            _ => return Ok(false),
        }
        if let Some(waiting) = fetches.waiting.remove(&no) {
            for kept in &waiting.redo {
                kept.record().apply(Arc::make_mut(&mut page), kept.lsn)?;
            }
        }
        if page.lsn() > self.pool.durable() {
            return corrupt(format!("page {no} was read as of a later LSN than asked"));
        }
        self.pool.install(no, page);
        Ok(true)
    }

    /// A page that an MTR has just changed, or made, while the cache had it not: any answer under way is stale now.
    pub(super) fn install_changed(&self, no: PageNo, page: PageRef) {
        let mut fetches = self.fetches.lock();
        fetches.waiting.remove(&no);
        self.pool.install(no, page);
    }

    /// A reader receives stream bytes that begin at `start` and end at an MTR's end. Applied when `set_vdl` passes them.
    pub fn receive(&self, start: Lsn, bytes: &[u8]) -> Res<()> {
        let end = Lsn(start.0 + bytes.len() as u64);
        let entries = Decoder::new(start, bytes).collect::<Res<Vec<_>>>()?;
        self.receive_entries(end, &entries);
        Ok(())
    }

    /// The same from decoded records: all those of the flush that ends at `end`, or of one group in it, in LSN order.
    pub fn receive_entries(&self, end: Lsn, entries: &[Entry]) {
        let mut fetches = self.fetches.lock();
        if end <= self.pool.durable() {
            return;
        }
        let mut chunk = Chunk {
            end,
            bytes: Vec::new(),
            records: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            chunk.records.push(Place {
                lsn: entry.lsn,
                page: entry.page,
                head: entry.record.head,
                from: chunk.bytes.len() as u32,
                len: entry.record.body.len() as u32,
            });
            chunk.bytes.extend_from_slice(entry.record.body);
        }
        // Chunks come nearly always in order; a late one goes to its place.
        let at = fetches.held.partition_point(|held| held.end <= end);
        fetches.held.insert(at, chunk);
    }

    /// Reader: apply whole received flushes up to `vdl`, to pages that the cache holds or waits for; then `vdl` is the
    /// snapshot for new statements. A flush that ends above `vdl` waits. A page that a record does not fit is dropped from
    /// the cache (storage has it as it should be); the first such error is the answer, after everything else is applied.
    pub(super) fn apply_held(&self, vdl: Lsn) -> Res<()> {
        let mut fetches = self.fetches.lock();
        let mut done = Ok(());
        while fetches.held.front().is_some_and(|chunk| chunk.end <= vdl) {
            if let Some(chunk) = fetches.held.pop_front() {
                for place in &chunk.records {
                    done = done.and(self.apply_place(&mut fetches, place, &chunk.bytes));
                }
            }
        }
        self.pool.set_durable(vdl);
        done
    }

    fn apply_place(&self, fetches: &mut Fetches, place: &Place, bytes: &[u8]) -> Res<()> {
        let from = place.from as usize;
        let Some(body) = bytes.get(from..from + place.len as usize) else {
            return corrupt("a received record lies outside its flush");
        };
        let record = Raw {
            head: place.head,
            body,
        };
        let done = self
            .pool
            .change(place.page, |page| record.apply(page, place.lsn));
        if matches!(done, Some(Err(_))) {
            self.pool.remove(place.page);
        }
        if let (None, Some(waiting)) = (&done, fetches.waiting.get_mut(&place.page)) {
            waiting.redo.push(Kept {
                lsn: place.lsn,
                head: place.head,
                body: body.to_vec(),
            });
        }
        done.unwrap_or(Ok(()))
    }

    /// Bytes of redo received and not yet applied.
    pub fn held_bytes(&self) -> usize {
        let fetches = self.fetches.lock();
        fetches.held.iter().map(|chunk| chunk.bytes.len()).sum()
    }
}
