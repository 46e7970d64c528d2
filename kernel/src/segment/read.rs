//! `page@LSN`: newest image at or below it, then the records between, from memory and from layer files.

use super::layer::{self, Entry, Layer};
use super::memory::{Chain, Rec, Start, RECORDS_PER_IMAGE};
use super::records;
use super::store::Store;
use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Page, PageRef, PAGE_SIZE};
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

/// A page on its way to a reader that builds it: CRC32C u32 of what follows, and its entry as a layer has it. Always shorter than a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// None: the page itself is not much longer.
    fn of(page: PageNo, entry: &Entry, lsn: Lsn) -> Option<Packed> {
        let mut bytes = vec![0; 4];
        entry.encode_upto(page, lsn, PAGE_SIZE / 2, &mut bytes)?;
        let crc = crc32c::crc32c(bytes.get(4..)?).to_le_bytes();
        bytes.get_mut(..4)?.copy_from_slice(&crc);
        Some(Packed(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Page `no`, from what came over the wire.
    pub fn open(no: PageNo, bytes: &[u8]) -> Res<PageRef> {
        let Some((crc, packed)) = bytes.split_first_chunk::<4>() else {
            return corrupt("a packed page has no checksum");
        };
        if crc32c::crc32c(packed) != u32::from_le_bytes(*crc) {
            return corrupt("the checksum of a packed page does not match");
        }
        let (page, entry) = layer::decode(packed, &mut 0, |_| true)?;
        if page != no {
            return corrupt(format!("page {page} came for page {no}"));
        }
        rebuild(vec![entry], Lsn::MAX).map(|(page, _)| page)
    }
}

#[derive(Debug, Clone)]
pub enum Answer {
    Page(PageRef),
    /// What one layer has of the page, when that is all there is of it and much shorter than the page.
    Packed(Packed),
    /// The segment does not have everything that the read point needs; this is its SCL.
    Behind(Lsn),
    /// The read point lies below what garbage collection kept; this is the lowest that can be read.
    TooOld(Lsn),
}

/// Pages that are asked for together: a layer's block is looked at once for all of them. Begun by `Store::read`; as long as it `needs`
/// pieces, each goes to `feed`. It holds all that it needs of the store as that was when it began, so that it may go on in another thread;
/// only the files of its layers must stay.
pub struct Read {
    lsn: Lsn,
    /// The asker takes `Answer::Packed`.
    pub packed: bool,
    layers: Vec<Arc<Layer>>,
    pages: Vec<Asked>,
}

struct Asked {
    page: PageNo,
    state: State,
    /// How many records it took to build the page.
    applied: usize,
}

enum State {
    Below(Below),
    Over(Answer),
}

struct Below {
    /// What the layers have: newest layer first, the last of which may begin with an image.
    entries: Vec<Entry>,
    /// What memory has above the layers.
    above: Vec<Rec>,
    /// Where to look next.
    piece: Piece,
}

impl Read {
    /// What is to be read of layer files, in their order.
    pub fn needs(&self) -> Vec<Piece> {
        let wanted = self.pages.iter().filter_map(|asked| match &asked.state {
            State::Below(below) => Some(below.piece),
            State::Over(_) => None,
        });
        let mut needs: Vec<Piece> = wanted.collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// The bytes of a piece that it needs.
    pub fn feed(&mut self, piece: Piece, bytes: &[u8]) -> Res<()> {
        let at = self
            .layers
            .iter()
            .position(|layer| layer.id == piece.layer)
            .and_then(|at| Some((at, *self.layers.get(at)?.block_at(piece.offset)?)));
        let Some((at, block)) = at else {
            return corrupt("a piece of a layer was read that is not there");
        };
        let wants =
            |asked: &Asked| matches!(&asked.state, State::Below(below) if below.piece == piece);
        let wanted: Vec<PageNo> = self
            .pages
            .iter()
            .filter(|asked| wants(asked))
            .map(|asked| asked.page)
            .collect();
        let mut found = layer::find(bytes, &block, &wanted)?;
        let lsn = self.lsn;
        for asked in self.pages.iter_mut().filter(|asked| wants(asked)) {
            let State::Below(below) = &mut asked.state else {
                continue;
            };
            let entry = match wanted.len() {
                1 => found.remove(&asked.page),
                _ => found.get(&asked.page).cloned(),
            };
            let enough = entry.is_some_and(|entry| add(&mut below.entries, entry, lsn));
            match next_below(&self.layers, asked.page, at).filter(|_| !enough) {
                Some(piece) => below.piece = piece,
                None => {
                    let entries = std::mem::take(&mut below.entries);
                    if let ([entry], [], true) = (&*entries, &*below.above, self.packed) {
                        if let Some(packed) = Packed::of(asked.page, entry, lsn) {
                            asked.state = State::Over(Answer::Packed(packed));
                            continue;
                        }
                    }
                    let (built, applied) = finish(entries, &below.above, lsn)?;
                    asked.applied = applied;
                    asked.state = State::Over(Answer::Page(built));
                }
            }
        }
        Ok(())
    }

    /// In the order in which they were asked for, once nothing is needed.
    pub fn answers(&self) -> Res<Vec<&Answer>> {
        let answer = |asked: &'_ Asked| match &asked.state {
            State::Over(_) => Ok(()),
            State::Below(_) => corrupt("a read is not over"),
        };
        self.pages.iter().try_for_each(answer)?;
        let over = self.pages.iter().filter_map(|asked| match &asked.state {
            State::Over(answer) => Some(answer),
            State::Below(_) => None,
        });
        Ok(over.collect())
    }

    /// Whether `Store::keep` has something to do.
    pub fn is_long(&self) -> bool {
        let mut applied = self.pages.iter().map(|asked| asked.applied);
        applied.any(|applied| applied >= RECORDS_PER_IMAGE)
    }
}

impl Store {
    /// Begin to read pages as they were at `lsn`. Beside each page: the end of the last batch at or below `lsn` in its group, which the
    /// asker knows.
    pub fn read(&mut self, pages: &[(PageNo, Lsn)], lsn: Lsn) -> Res<Read> {
        let begin = |&(page, tail): &(PageNo, Lsn)| -> Res<Asked> {
            let (state, applied) = self.begin_page(page, lsn, tail)?;
            Ok(Asked {
                page,
                state,
                applied,
            })
        };
        let pages = pages.iter().map(begin).collect::<Res<Vec<_>>>()?;
        let below = |asked: &Asked| matches!(asked.state, State::Below(_));
        let layers = match pages.iter().any(below) {
            true => self.layers.clone(),
            false => Vec::new(),
        };
        Ok(Read {
            lsn,
            packed: false,
            layers,
            pages,
        })
    }

    /// After a read: keep the images of pages that took many records, so that the next one need not apply them again.
    pub fn keep(&mut self, read: &Read) {
        for asked in &read.pages {
            if let State::Over(Answer::Page(built)) = &asked.state {
                self.keep_image(asked.page, read.lsn, built, asked.applied);
            }
        }
    }

    fn begin_page(&self, page: PageNo, lsn: Lsn, tail: Lsn) -> Res<(State, usize)> {
        let scl = self.scl(self.group_of(page));
        if scl < tail {
            return Ok((State::Over(Answer::Behind(scl)), 0));
        }
        if lsn < self.floor {
            return Ok((State::Over(Answer::TooOld(self.floor)), 0));
        }
        let Some(chain) = self.pages.get(&page) else {
            return self.begin_below(page, lsn, Vec::new());
        };
        let (mut built, from) = match chain.start(lsn) {
            Start::Image(image) => (image, 0),
            Start::Fresh(from) => (Arc::new(Page::new()), from),
            Start::Below => return self.begin_below(page, lsn, chain.records_upto(lsn).to_vec()),
        };
        let applied = match chain.last(lsn).is_none_or(|last| last <= built.lsn()) {
            true => 0,
            false => chain.apply(Arc::make_mut(&mut built), from, lsn)?,
        };
        Ok((State::Over(Answer::Page(built)), applied))
    }

    fn begin_below(&self, page: PageNo, lsn: Lsn, above: Vec<Rec>) -> Res<(State, usize)> {
        let entries = Vec::new();
        Ok(match next_below(&self.layers, page, self.layers.len()) {
            Some(piece) => {
                let below = Below {
                    entries,
                    above,
                    piece,
                };
                (State::Below(below), 0)
            }
            None => {
                let (built, applied) = finish(entries, &above, lsn)?;
                (State::Over(Answer::Page(built)), applied)
            }
        })
    }

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

/// The block that may have the page, in the newest such layer below layer `upto`.
fn next_below(layers: &[Arc<Layer>], page: PageNo, upto: usize) -> Option<Piece> {
    let older = layers.get(..upto).unwrap_or(&[]).iter().rev();
    let piece = |layer: &Arc<Layer>| {
        layer.block(page).map(|block| Piece {
            layer: layer.id,
            offset: block.offset,
            len: block.len,
        })
    };
    older.into_iter().find_map(piece)
}

/// The page from its layer entries, newest first, and from what memory had above them. Answers how many records that took.
fn finish(entries: Vec<Entry>, above: &[Rec], lsn: Lsn) -> Res<(PageRef, usize)> {
    let (mut built, mut applied) = rebuild(entries, lsn)?;
    for rec in above.iter().filter(|rec| rec.lsn <= lsn) {
        if rec.lsn > built.lsn() {
            records::apply(Arc::make_mut(&mut built), rec.lsn, rec.bytes())?;
            applied += 1;
        }
    }
    Ok((built, applied))
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
