//! The memory layer: each page's records above the layer files, oldest first, and images made from them.

use super::records;
use crate::base::{Lsn, Res};
use crate::page::Page;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A read that applied more records than this leaves the page it built as an image.
pub const RECORDS_PER_IMAGE: usize = 32;
const IMAGE_COST: usize = 8192 + 64;
const RECORD_COST: usize = 40;

/// A batch's bytes, shared with whoever else holds them: records point into them, and nodes of one process share them.
#[derive(Clone)]
pub struct Bytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Bytes {
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Bytes {
        Bytes(Arc::new(bytes))
    }

    /// `len` bytes from `at` on, which must be there; the whole is kept.
    pub fn slice(&self, at: usize, len: usize) -> Bytes {
        Bytes::new(Slice {
            whole: self.clone(),
            at,
            len,
        })
    }

    pub fn shared(&self) -> Arc<dyn AsRef<[u8]> + Send + Sync> {
        self.0.clone()
    }
}

impl From<Arc<dyn AsRef<[u8]> + Send + Sync>> for Bytes {
    fn from(bytes: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Bytes {
        Bytes(bytes)
    }
}

struct Slice {
    whole: Bytes,
    at: usize,
    len: usize,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self.whole.get(self.at..self.at + self.len).unwrap_or(&[])
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// One record, its bytes inside its batch.
#[derive(Debug, Clone)]
pub struct Rec {
    pub lsn: Lsn,
    pub batch: Bytes,
    pub at: u32,
    pub len: u32,
    /// It makes the page anew: nothing before it is needed.
    pub fresh: bool,
}

impl Rec {
    pub fn bytes(&self) -> &[u8] {
        self.batch
            .get(self.at as usize..(self.at + self.len) as usize)
            .unwrap_or(&[])
    }
}

/// One page's records and images, both by rising LSN.
#[derive(Debug, Default)]
pub struct Chain {
    pub records: Vec<Rec>,
    pub images: Vec<(Lsn, Arc<Page>)>,
    /// It stands in the queue of pages that want an image.
    pub queued: bool,
}

/// Where a page's rebuilding can begin.
pub enum Start {
    Image(Arc<Page>),
    /// A record that makes the page anew; its position in `records`.
    Fresh(usize),
    /// Only with what the layer files have.
    Below,
}

impl Chain {
    /// Number of records at or below `lsn`.
    fn upto(&self, lsn: Lsn) -> usize {
        self.records.partition_point(|rec| rec.lsn <= lsn)
    }

    pub fn records_upto(&self, lsn: Lsn) -> &[Rec] {
        self.records.get(..self.upto(lsn)).unwrap_or(&[])
    }

    fn image_at(&self, lsn: Lsn) -> Option<&(Lsn, Arc<Page>)> {
        self.images[..self.images.partition_point(|(at, _)| *at <= lsn)].last()
    }

    pub fn start(&self, lsn: Lsn) -> Start {
        let end = self.upto(lsn);
        let image = self.image_at(lsn);
        let from = image.map_or(0, |(at, _)| self.upto(*at));
        match (
            self.records[from..end].iter().rposition(|rec| rec.fresh),
            image,
        ) {
            (Some(at), _) => Start::Fresh(from + at),
            (None, Some((_, page))) => Start::Image(page.clone()),
            (None, None) => Start::Below,
        }
    }

    /// Apply this chain's records in (page's LSN, `lsn`] to `page`. Answers how many there were.
    pub fn apply(&self, page: &mut Page, from: usize, lsn: Lsn) -> Res<usize> {
        let end = self.upto(lsn);
        let after = self.upto(page.lsn()).max(from).min(end);
        for rec in &self.records[after..end] {
            records::apply(page, rec.lsn, rec.bytes())?;
        }
        Ok(end - after)
    }

    /// LSN of the last record at or below `lsn`.
    pub fn last(&self, lsn: Lsn) -> Option<Lsn> {
        self.records[..self.upto(lsn)].last().map(|rec| rec.lsn)
    }

    /// Records since the newest image.
    pub fn tail_len(&self) -> usize {
        self.records.len() - self.images.last().map_or(0, |(at, _)| self.upto(*at))
    }

    /// Keep an image; it holds everything up to `lsn`. Answers the memory that it costs.
    pub fn keep(&mut self, lsn: Lsn, page: Arc<Page>) -> usize {
        let at = self.images.partition_point(|(at, _)| *at < lsn);
        if self.images.get(at).is_some_and(|(have, _)| *have == lsn) {
            return 0;
        }
        self.images.insert(at, (lsn, page));
        IMAGE_COST
    }

    /// Forget what no read at or above `floor` can need: all below the newest image at or below it. Answers the memory freed.
    pub fn collect(&mut self, floor: Lsn) -> usize {
        let images = self.images.partition_point(|(at, _)| *at <= floor);
        if images == 0 {
            return 0;
        }
        let keep = self.images[images - 1].0;
        self.drop_images(images - 1) + self.drop_records(self.upto(keep))
    }

    /// Forget everything at or below `lsn`: the layer files have it.
    pub fn forget(&mut self, lsn: Lsn) -> usize {
        let images = self.images.partition_point(|(at, _)| *at <= lsn);
        self.drop_images(images) + self.drop_records(self.upto(lsn))
    }

    /// Forget everything above `lsn`: it is void.
    pub fn truncate(&mut self, lsn: Lsn) -> usize {
        let records = self.upto(lsn);
        let images = self.images.partition_point(|(at, _)| *at <= lsn);
        let freed = (self.records.len() - records) * RECORD_COST
            + (self.images.len() - images) * IMAGE_COST;
        self.records.truncate(records);
        self.images.truncate(images);
        freed
    }

    fn drop_records(&mut self, count: usize) -> usize {
        self.records.drain(..count);
        if self.records.capacity() > 2 * self.records.len() + 8 {
            self.records.shrink_to_fit();
        }
        count * RECORD_COST
    }

    fn drop_images(&mut self, count: usize) -> usize {
        self.images.drain(..count);
        count * IMAGE_COST
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.images.is_empty()
    }

    pub fn push(&mut self, rec: Rec) -> usize {
        self.records.push(rec);
        RECORD_COST
    }
}
