//! Commit states: for each xid the LSN of its commit record, or 0. They are pages like all others, found by number: a
//! directory of three levels (each a Plain page of page numbers) leads from an xid to its Commit page.
//!
//! Header root 0 → directory → directory → directory → Commit page with the states of [`PER_PAGE`] xids.
//! The header's xid mark always ends on a Commit page's end: an xid below it has its page.

use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res, Xid};
use crate::page::{Kind, BODY, BODY_SIZE};
use crate::redo::{Csns, Record};
use crate::store::{Field, Mtr, Pages, Volume};
use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};

/// Named root of page 0 that holds the directory.
pub const ROOT: Field = Field::Root(0);
/// States on one page, and page numbers on one directory page.
pub const PER_PAGE: u64 = BODY_SIZE as u64 / 8;
const LEVELS: usize = 3;
/// Remembered states, direct-mapped by xid.
const RECENT: usize = 1 << 16;

struct Slot {
    xid: AtomicU64,
    csn: AtomicU64,
}

/// The way from xids to their states, with what has been learnt of it. Only facts that never change are remembered.
pub struct Commits {
    /// Number of a Commit page in the sequence → where it is.
    pages: RwLock<AHashMap<u64, PageNo>>,
    recent: Vec<Slot>,
    /// Held to change a slot: two at once could leave one's xid with the other's CSN.
    writing: Mutex<()>,
}

impl Default for Commits {
    fn default() -> Commits {
        let slot = || Slot {
            xid: AtomicU64::new(0),
            csn: AtomicU64::new(0),
        };
        Commits {
            pages: RwLock::default(),
            recent: (0..RECENT).map(|_| slot()).collect(),
            writing: Mutex::new(()),
        }
    }
}

/// Which Commit page, and which state on it.
fn place(xid: Xid) -> (u64, u16) {
    (xid.0 / PER_PAGE, (xid.0 % PER_PAGE) as u16)
}

/// Entry of each directory level for a Commit page, topmost first.
fn path(number: u64) -> [usize; LEVELS] {
    let digit = |power: u32| BODY + (number / PER_PAGE.pow(power) % PER_PAGE) as usize * 8;
    [digit(2), digit(1), digit(0)]
}

impl Commits {
    fn remembered(&self, xid: Xid) -> Option<Lsn> {
        let slot = self.recent.get(xid.0 as usize % RECENT)?;
        if slot.xid.load(Ordering::Acquire) != xid.0 {
            return None;
        }
        let csn = slot.csn.load(Ordering::Acquire);
        // A writer that changes the slot clears its xid first: still there means that csn belongs to it.
        (slot.xid.load(Ordering::Acquire) == xid.0).then_some(Lsn(csn))
    }

    /// Remember a commit (or an abort, as 0, where xids without a state can't get one any more).
    pub fn remember(&self, xid: Xid, csn: Lsn) {
        if let Some(slot) = self.recent.get(xid.0 as usize % RECENT) {
            let _writing = self.writing.lock();
            slot.xid.store(0, Ordering::Release);
            slot.csn.store(csn.0, Ordering::Release);
            slot.xid.store(xid.0, Ordering::Release);
        }
    }

    fn page_of(&self, pages: &dyn Pages, number: u64) -> Res<Option<PageNo>> {
        if let Some(no) = self.pages.read().get(&number) {
            return Ok(Some(*no));
        }
        let mut at = PageNo(ROOT.read(&*pages.page(crate::store::header::HEADER)?));
        for offset in path(number) {
            if at == PageNo(0) {
                return Ok(None);
            }
            let Some(next) = pages.page(at)?.u64_at(offset) else {
                return corrupt("a commit directory is shorter than a page");
            };
            at = PageNo(next);
        }
        if at == PageNo(0) {
            return Ok(None);
        }
        self.pages.write().insert(number, at);
        Ok(Some(at))
    }

    /// The CSN of `xid`; `None` when it has none (yet). `settled`: an absent state is an abort for good.
    pub fn get(&self, volume: &Volume, xid: Xid, settled: bool) -> Res<Option<Lsn>> {
        if let Some(csn) = self.remembered(xid) {
            return Ok((csn != Lsn::ZERO).then_some(csn));
        }
        let (number, index) = place(xid);
        let csn = match self.page_of(volume, number)? {
            Some(no) => volume
                .page(no)?
                .u64_at(BODY + usize::from(index) * 8)
                .unwrap_or(0),
            None => 0,
        };
        if csn != 0 || settled {
            self.remember(xid, Lsn(csn));
        }
        Ok((csn != 0).then_some(Lsn(csn)))
    }

    /// Fetch what `set` changes.
    pub fn prepare(&self, mtr: &Mtr<'_>, xids: &[Xid]) -> Res<SmallVec<[(PageNo, Csns); 2]>> {
        let mut out: SmallVec<[(PageNo, Csns); 2]> = SmallVec::new();
        for xid in xids {
            let (number, index) = place(*xid);
            let Some(no) = self.page_of(mtr, number)? else {
                return corrupt(format!("transaction {xid} has no commit page"));
            };
            match out.iter_mut().rfind(|(page, _)| *page == no) {
                Some((_, indexes)) => indexes.push(index),
                None => {
                    mtr.page(no)?;
                    out.push((no, Csns::from_slice(&[index])));
                }
            }
        }
        Ok(out)
    }

    /// Make the page for xids from `first` on (a multiple of `PER_PAGE`), and raise the mark above them.
    pub fn extend(&self, mtr: &mut Mtr<'_>, first: u64) -> Res<()> {
        let number = first / PER_PAGE;
        let mut steps: SmallVec<[(PageNo, usize); LEVELS]> = SmallVec::new();
        let mut at = PageNo(mtr.field(ROOT)?);
        for offset in path(number) {
            if at == PageNo(0) {
                break;
            }
            let next = mtr.page(at)?.u64_at(offset).unwrap_or(0);
            steps.push((at, offset));
            at = PageNo(next);
        }
        let missing = if at == PageNo(0) {
            LEVELS + 1 - steps.len()
        } else {
            0
        };
        mtr.reserve(missing)?;
        // Nothing waits from here on. Each new page is entered into the one above.
        let mut above = steps.pop();
        for level in LEVELS + 1 - missing..=LEVELS {
            let no = mtr.alloc()?;
            let kind = if level == LEVELS {
                Kind::Commit
            } else {
                Kind::Plain
            };
            mtr.log(no, &Record::empty(kind, 0, PageNo(0)))?;
            match above {
                None => mtr.set_field(ROOT, no.0)?,
                Some((parent, offset)) => mtr.log(
                    parent,
                    &Record::PutBytes {
                        offset: offset as u16,
                        bytes: &no.0.to_le_bytes(),
                    },
                )?,
            };
            above = path(number).get(level).map(|offset| (no, *offset));
        }
        mtr.set_field(Field::Xid, (number + 1) * PER_PAGE)?;
        Ok(())
    }

    /// Forget everything (a reader that becomes the writer keeps only what is durable).
    pub fn clear(&self) {
        self.pages.write().clear();
        let _writing = self.writing.lock();
        for slot in &self.recent {
            slot.xid.store(0, Ordering::Release);
        }
    }
}
