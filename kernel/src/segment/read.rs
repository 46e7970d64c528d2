//! `page@LSN`: newest image at or below it, then the records between, from memory and from layer files.

use super::layer::{self, Entry};
use super::memory::{Chain, Start, RECORDS_PER_IMAGE};
use super::records;
use super::store::Store;
use crate::base::{Lsn, PageNo, Res};
use crate::page::Page;
use ahash::AHashMap;
use std::sync::Arc;

/// Bytes of a layer file that a read needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Piece {
    pub layer: u64,
    pub offset: u64,
    pub len: u32,
}

/// Bytes that were read for a call, by layer and offset.
pub type Pieces = AHashMap<(u64, u64), Vec<u8>>;

#[derive(Debug)]
pub enum Answer {
    Page(Arc<Page>),
    /// Call again with this among the pieces.
    Needs(Piece),
    /// The segment does not have everything that the read point needs; this is its SCL.
    Behind(Lsn),
    /// The read point lies below what garbage collection kept; this is the lowest that can be read.
    TooOld(Lsn),
}

enum Below {
    /// What the layers have: entries, newest layer first, the last of which may begin with an image.
    Entries(Vec<Entry>),
    Needs(Piece),
}

impl Store {
    /// A page as it was at `lsn`. `tail` is the end of the last batch at or below `lsn` in the page's group: the asker knows it.
    pub fn page_at(&mut self, page: PageNo, lsn: Lsn, tail: Lsn, pieces: &Pieces) -> Res<Answer> {
        let scl = self.scl(self.group_of(page));
        if scl < tail {
            return Ok(Answer::Behind(scl));
        }
        if lsn < self.floor {
            return Ok(Answer::TooOld(self.floor));
        }
        let start = self
            .pages
            .get(&page)
            .map_or(Start::Below, |chain| chain.start(lsn));
        let (mut built, from, mut applied) = match start {
            Start::Image(image) => {
                if self
                    .pages
                    .get(&page)
                    .is_some_and(|chain| chain.last(lsn).is_none_or(|last| last <= image.lsn()))
                {
                    return Ok(Answer::Page(image));
                }
                ((*image).clone(), 0, 0)
            }
            Start::Fresh(from) => (Page::new(), from, 0),
            Start::Below => match self.below(page, lsn, pieces)? {
                Below::Needs(piece) => return Ok(Answer::Needs(piece)),
                Below::Entries(entries) => {
                    let (built, applied) = rebuild(entries, lsn)?;
                    (built, 0, applied)
                }
            },
        };
        if let Some(chain) = self.pages.get(&page) {
            applied += chain.apply(&mut built, from, lsn)?;
        }
        let built = Arc::new(built);
        self.keep_image(page, lsn, &built, applied);
        Ok(Answer::Page(built))
    }

    /// Keep what a read built when the next one would have to apply many records again.
    fn keep_image(&mut self, page: PageNo, lsn: Lsn, built: &Arc<Page>, applied: usize) {
        if applied < RECORDS_PER_IMAGE {
            return;
        }
        let at = built.lsn();
        if let Some(chain) = self.pages.get_mut(&page) {
            if chain.last(lsn) == Some(at) {
                self.memory += chain.keep(at, built.clone());
                self.collect(page);
            }
        }
    }

    fn below(&self, page: PageNo, lsn: Lsn, pieces: &Pieces) -> Res<Below> {
        let mut entries = Vec::new();
        for layer in self.layers.iter().rev() {
            let Some(block) = layer.block(page) else {
                continue;
            };
            let Some(bytes) = pieces.get(&(layer.id, block.offset)) else {
                return Ok(Below::Needs(Piece {
                    layer: layer.id,
                    offset: block.offset,
                    len: block.len,
                }));
            };
            let Some(mut entry) = layer::find(bytes, block, page)? else {
                continue;
            };
            let fresh = entry
                .records
                .iter()
                .rposition(|(at, record)| *at <= lsn && records::is_fresh(record));
            if let Some(fresh) = fresh {
                // What stands before a record that makes the page anew may need a base that is not wanted any more.
                entry.records.drain(..fresh);
                entry.image = None;
            }
            let enough = fresh.is_some() || entry.image.as_ref().is_some_and(|(at, _)| *at <= lsn);
            entries.push(entry);
            if enough {
                break;
            }
        }
        Ok(Below::Entries(entries))
    }
}

/// Build a page from layer entries, newest first. Answers how many records that took.
pub fn rebuild(entries: Vec<Entry>, lsn: Lsn) -> Res<(Page, usize)> {
    let mut page = Page::new();
    let mut applied = 0;
    for entry in entries.into_iter().rev() {
        if let Some((at, image)) = entry.image {
            if at <= lsn && at > page.lsn() {
                page = image.open()?;
            }
        }
        for (at, record) in &entry.records {
            if *at <= lsn && *at > page.lsn() {
                records::apply(&mut page, *at, record)?;
                applied += 1;
            }
        }
    }
    Ok((page, applied))
}

/// Whether a chain's whole state at `lsn` can be had from memory alone.
pub fn stands_alone(chain: &Chain, lsn: Lsn) -> bool {
    !matches!(chain.start(lsn), Start::Below)
}
