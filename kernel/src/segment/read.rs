//! `page@LSN`: newest image at or below it, then the records between, from memory and from layer files.

use super::layer::{self, Entry};
use super::memory::{Chain, Start, RECORDS_PER_IMAGE};
use super::records;
use super::store::Store;
use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Page, PageRef};
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

#[derive(Debug, Clone)]
pub enum Answer {
    Page(PageRef),
    /// The segment does not have everything that the read point needs; this is its SCL.
    Behind(Lsn),
    /// The read point lies below what garbage collection kept; this is the lowest that can be read.
    TooOld(Lsn),
}

/// Pages that are asked for together: a layer's block is looked at once for all of them. Begun by `Store::read`; as long as it `needs`
/// pieces, each goes to `Store::feed`. Layers must stay as they are until then.
pub struct Read {
    lsn: Lsn,
    pages: Vec<Asked>,
}

struct Asked {
    page: PageNo,
    state: State,
}

enum State {
    /// What the layers have: entries, newest layer first, the last of which may begin with an image; and where to look next.
    Below(Vec<Entry>, Piece),
    Over(Answer),
}

impl Read {
    /// What is to be read of layer files, in their order.
    pub fn needs(&self) -> Vec<Piece> {
        let wanted = self.pages.iter().filter_map(|asked| match &asked.state {
            State::Below(_, piece) => Some(*piece),
            State::Over(_) => None,
        });
        let mut needs: Vec<Piece> = wanted.collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// In the order in which they were asked for, once nothing is needed.
    pub fn answers(&self) -> Res<Vec<&Answer>> {
        let answer = |asked: &'_ Asked| match &asked.state {
            State::Over(_) => Ok(()),
            State::Below(..) => corrupt("a read is not over"),
        };
        self.pages.iter().try_for_each(answer)?;
        let over = self.pages.iter().filter_map(|asked| match &asked.state {
            State::Over(answer) => Some(answer),
            State::Below(..) => None,
        });
        Ok(over.collect())
    }
}

impl Store {
    /// Begin to read pages as they were at `lsn`. Beside each page: the end of the last batch at or below `lsn` in its group, which the
    /// asker knows.
    pub fn read(&mut self, pages: &[(PageNo, Lsn)], lsn: Lsn) -> Res<Read> {
        let begin = |&(page, tail): &(PageNo, Lsn)| -> Res<Asked> {
            let state = self.begin_page(page, lsn, tail)?;
            Ok(Asked { page, state })
        };
        let pages = pages.iter().map(begin).collect::<Res<Vec<_>>>()?;
        Ok(Read { lsn, pages })
    }

    /// The bytes of a piece that `read` needs.
    pub fn feed(&mut self, read: &mut Read, piece: Piece, bytes: &[u8]) -> Res<()> {
        let at = self
            .layers
            .iter()
            .position(|layer| layer.id == piece.layer)
            .and_then(|at| Some((at, *self.layers.get(at)?.block_at(piece.offset)?)));
        let Some((at, block)) = at else {
            return corrupt("a piece of a layer was read that is not there");
        };
        let wants = |asked: &Asked| matches!(&asked.state, State::Below(_, p) if *p == piece);
        let wanted: Vec<PageNo> = read
            .pages
            .iter()
            .filter(|asked| wants(asked))
            .map(|asked| asked.page)
            .collect();
        let found = layer::find(bytes, &block, &wanted)?;
        let lsn = read.lsn;
        for asked in read.pages.iter_mut().filter(|asked| wants(asked)) {
            let State::Below(entries, _) = &mut asked.state else {
                continue;
            };
            let mut entries = std::mem::take(entries);
            let entry = found.get(&asked.page).cloned();
            let enough = entry.is_some_and(|entry| add(&mut entries, entry, lsn));
            asked.state = match self.next_below(asked.page, at).filter(|_| !enough) {
                Some(piece) => State::Below(entries, piece),
                None => State::Over(self.finish_below(asked.page, lsn, entries)?),
            };
        }
        Ok(())
    }

    fn begin_page(&mut self, page: PageNo, lsn: Lsn, tail: Lsn) -> Res<State> {
        let scl = self.scl(self.group_of(page));
        if scl < tail {
            return Ok(State::Over(Answer::Behind(scl)));
        }
        if lsn < self.floor {
            return Ok(State::Over(Answer::TooOld(self.floor)));
        }
        let chain = self.pages.get(&page);
        let start = chain.map_or(Start::Below, |chain| chain.start(lsn));
        let (built, from) = match start {
            Start::Image(image) => {
                let is_last =
                    |chain: &Chain| chain.last(lsn).is_none_or(|last| last <= image.lsn());
                if chain.is_some_and(is_last) {
                    return Ok(State::Over(Answer::Page(image)));
                }
                (image, 0)
            }
            Start::Fresh(from) => (Arc::new(Page::new()), from),
            Start::Below => {
                return Ok(match self.next_below(page, self.layers.len()) {
                    Some(piece) => State::Below(Vec::new(), piece),
                    None => State::Over(self.finish_below(page, lsn, Vec::new())?),
                })
            }
        };
        Ok(State::Over(self.finish(page, lsn, built, from, 0)?))
    }

    /// The block that may have the page, in the newest such layer below layer `upto`.
    fn next_below(&self, page: PageNo, upto: usize) -> Option<Piece> {
        let older = self.layers.get(..upto).unwrap_or(&[]).iter().rev();
        let piece = |layer: &layer::Layer| {
            layer.block(page).map(|block| Piece {
                layer: layer.id,
                offset: block.offset,
                len: block.len,
            })
        };
        older.into_iter().find_map(piece)
    }

    fn finish_below(&mut self, page: PageNo, lsn: Lsn, entries: Vec<Entry>) -> Res<Answer> {
        let (built, applied) = rebuild(entries, lsn)?;
        self.finish(page, lsn, built, 0, applied)
    }

    /// Apply what memory has from record `from` of the chain on; `applied` were before.
    fn finish(
        &mut self,
        page: PageNo,
        lsn: Lsn,
        mut built: PageRef,
        from: usize,
        mut applied: usize,
    ) -> Res<Answer> {
        if let Some(chain) = self.pages.get(&page) {
            applied += chain.apply(Arc::make_mut(&mut built), from, lsn)?;
        }
        self.keep_image(page, lsn, &built, applied);
        Ok(Answer::Page(built))
    }

    /// Keep what a read built when the next one would have to apply many records again.
    fn keep_image(&mut self, page: PageNo, lsn: Lsn, built: &PageRef, applied: usize) {
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
}

/// Add what the next older layer has of a page. Is that all that is needed?
fn add(entries: &mut Vec<Entry>, mut entry: Entry, lsn: Lsn) -> bool {
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
    enough
}

/// Build a page from layer entries, newest first. Answers how many records that took.
pub fn rebuild(entries: Vec<Entry>, lsn: Lsn) -> Res<(PageRef, usize)> {
    let mut page = Arc::new(Page::new());
    let mut applied = 0;
    for entry in entries.into_iter().rev() {
        if let Some((at, image)) = entry.image {
            if at <= lsn && at > page.lsn() {
                page = image.open()?;
            }
        }
        for (at, record) in &entry.records {
            if *at <= lsn && *at > page.lsn() {
                records::apply(Arc::make_mut(&mut page), *at, record)?;
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
