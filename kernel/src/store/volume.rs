//! A volume as one compute node sees it: the cache, the log's end, and who may write.

use super::fetch::Fetches;
use super::header::{self, Field, HEADER};
use super::log::{Flush, LogTail};
use super::mtr::{Claim, Mtr};
use super::pool::Pool;
use super::space::Space;
use crate::base::error::fail;
use crate::base::{GroupNo, Lsn, Need, PageNo, Res};
use crate::page::{Kind, PageRef};
use crate::redo::{Bits, Record};
use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where pages come from: a volume's cache, or an open MTR. A page that is not there is `Err(Need::Page)`.
pub trait Pages {
    fn page(&self, no: PageNo) -> Res<PageRef>;

    /// Those of `list` that would have to be fetched (for read-ahead).
    fn absent(&self, list: &[PageNo]) -> Vec<PageNo>;
}

/// The part of the room ahead of VDL that bulk writers use. Of 10 MB in all: more does not make them faster, since the journals' disks
/// are what they wait for.
const BULK_PART: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Writer,
    Reader,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub volume_id: u64,
    /// Size of the cache, in pages.
    pub cache_pages: usize,
    pub pages_per_group: u64,
    /// How far the tail may run ahead of VDL, in bytes (the allocation limit).
    pub ahead_bytes: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            volume_id: 1,
            cache_pages: 16_384,
            pages_per_group: 1_310_720,
            ahead_bytes: 10_000_000,
        }
    }
}

pub struct Volume {
    config: Config,
    role: RwLock<Role>,
    pub(super) pool: Pool,
    pub(super) fetches: Mutex<Fetches>,
    log: Mutex<LogTail>,
    tail: AtomicU64,
    taken: AtomicU64,
    /// Absolute allocation limit set from outside; `u64::MAX` until then.
    limit: AtomicU64,
    horizon: AtomicU64,
    writer: Mutex<Writer>,
}

/// What belongs to whoever holds the writer's mutex.
#[derive(Default)]
pub(super) struct Writer {
    pub space: Space,
    /// Root of a tree → its rightmost leaf, as last seen.
    pub rightmost: AHashMap<PageNo, PageNo>,
    pub scratch: Scratch,
    /// An MTR was dropped half way.
    pub broken: bool,
}

/// Buffers that go from one MTR to the next.
#[derive(Default)]
pub(super) struct Scratch {
    pub pins: AHashMap<PageNo, PageRef>,
    pub bytes: Vec<u8>,
    pub reserved: VecDeque<PageNo>,
    pub claims: AHashMap<PageNo, Claim>,
}

impl Pages for Volume {
    fn page(&self, no: PageNo) -> Res<PageRef> {
        Volume::page(self, no)
    }

    fn absent(&self, list: &[PageNo]) -> Vec<PageNo> {
        list.iter()
            .copied()
            .filter(|no| !self.pool.holds(*no))
            .collect()
    }
}

impl Volume {
    fn new(config: Config, role: Role, vdl: Lsn, tail: Lsn) -> Volume {
        let pool = Pool::new(config.cache_pages);
        pool.set_durable(vdl);
        Volume {
            config,
            role: RwLock::new(role),
            pool,
            fetches: Mutex::default(),
            log: Mutex::new(LogTail::new(tail)),
            tail: AtomicU64::new(tail.0),
            taken: AtomicU64::new(tail.0),
            limit: AtomicU64::new(u64::MAX),
            horizon: AtomicU64::new(vdl.0),
            writer: Mutex::default(),
        }
    }

    /// A new volume: page 0 and the first space map are in the log tail, as the first MTR.
    pub fn create(config: Config) -> Res<Volume> {
        let volume = Volume::new(config, Role::Writer, Lsn(0), Lsn(0));
        let mut mtr = volume.begin()?;
        mtr.log(HEADER, &Record::empty(Kind::Header, 0, PageNo(0)))?;
        mtr.set_field(Field::Magic, header::MAGIC)?;
        mtr.set_field(Field::Format, header::FORMAT)?;
        mtr.set_field(Field::PagesPerGroup, volume.config.pages_per_group)?;
        mtr.set_field(Field::VolumeId, volume.config.volume_id)?;
        mtr.set_field(Field::Xid, 1)?;
        mtr.set_field(Field::Maps, 1)?;
        mtr.log(PageNo(1), &Record::empty(Kind::SpaceMap, 0, PageNo(0)))?;
        mtr.log(
            PageNo(1),
            &Record::SetBits {
                bits: Bits {
                    start: 0,
                    count: 1,
                    on: true,
                },
            },
        )?;
        mtr.commit();
        Ok(volume)
    }

    /// The writer of an existing volume after recovery: durable up to `vdl`, continued at `tail` (above the void range).
    pub fn open(config: Config, vdl: Lsn, tail: Lsn) -> Volume {
        Volume::new(config, Role::Writer, vdl, tail.max(vdl))
    }

    /// A reader that begins at `vdl`.
    pub fn open_reader(config: Config, vdl: Lsn) -> Volume {
        Volume::new(config, Role::Reader, vdl, vdl)
    }

    /// Reader becomes writer. The cache stays, unless redo up to `vdl` has not all been applied to it.
    pub fn promote(&self, vdl: Lsn, tail: Lsn) -> Res<()> {
        let complete = self.pool.durable() >= vdl;
        let mut writer = self.writer.lock();
        *writer = Writer::default();
        *self.fetches.lock() = Fetches::default();
        if !complete {
            self.pool.clear();
        }
        self.pool.set_durable(vdl);
        let tail = tail.max(vdl);
        *self.log.lock() = LogTail::new(tail);
        self.tail.store(tail.0, Ordering::Release);
        self.taken.store(tail.0, Ordering::Release);
        self.horizon.fetch_max(vdl.0, Ordering::AcqRel);
        *self.role.write() = Role::Writer;
        Ok(())
    }

    pub fn role(&self) -> Role {
        *self.role.read()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn group(&self, no: PageNo) -> GroupNo {
        GroupNo((no.0 / self.config.pages_per_group.max(1)) as u32)
    }

    /// Page 0, checked. The first thing to ask of an opened volume.
    pub fn header(&self) -> Res<PageRef> {
        let page = self.page(HEADER)?;
        header::check(&page)?;
        Ok(page)
    }

    pub fn field(&self, field: Field) -> Res<u64> {
        Ok(field.read(&*self.header()?))
    }

    pub fn page(&self, no: PageNo) -> Res<PageRef> {
        match self.pool.get(no) {
            Some(page) => Ok(page),
            None => Err(Need::Page(no).into()),
        }
    }

    /// The page if the cache has it.
    pub fn cached(&self, no: PageNo) -> Option<PageRef> {
        self.pool.get(no)
    }

    /// Tests: evict everything that may be evicted.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.pool.forget();
    }

    /// Numbers of all pages in the cache, rising.
    pub fn cached_pages(&self) -> Vec<PageNo> {
        let mut pages = self.pool.numbers();
        pages.sort_unstable();
        pages
    }

    /// (pages in the cache, its capacity)
    pub fn cache_size(&self) -> (usize, usize) {
        (self.pool.len(), self.pool.capacity())
    }

    /// Open a mini-transaction, when there is room for it in the cache and below the allocation limit. It holds the writer's
    /// mutex: a thread that has one open must not open another.
    pub fn begin(&self) -> Res<Mtr<'_>> {
        self.begin_after(self.check_room())
    }

    /// The same for one of many: see `check_bulk_room`.
    pub fn begin_bulk(&self) -> Res<Mtr<'_>> {
        self.begin_after(self.check_bulk_room())
    }

    fn begin_after(&self, room: Res<()>) -> Res<Mtr<'_>> {
        room?;
        let writer = self.writer.lock();
        if writer.broken {
            return fail(
                "XX000",
                "writing has stopped: a mini-transaction was left half way; restart the writer",
            );
        }
        let mut mtr = Mtr::new(self, writer);
        let horizon = Lsn(self.horizon.load(Ordering::Acquire));
        mtr.writer.space.release(horizon);
        Ok(mtr)
    }

    /// Whether a mini-transaction could begin now: for those who have much to do before.
    pub fn check_room(&self) -> Res<()> {
        self.check_ahead(self.config.ahead_bytes)
    }

    /// The same for those who write much: they leave most of the room to the others. A small commit waits for all redo before its own,
    /// and would be starved by writers that fill each byte of room as it comes.
    pub fn check_bulk_room(&self) -> Res<()> {
        self.check_ahead(self.config.ahead_bytes / BULK_PART)
    }

    fn check_ahead(&self, ahead: u64) -> Res<()> {
        if self.role() != Role::Writer {
            return fail("25006", "cannot write: this node is a reader");
        }
        let (tail, vdl) = (self.tail().0, self.vdl().0);
        let limit = self
            .limit
            .load(Ordering::Acquire)
            .min(vdl.saturating_add(ahead));
        if tail > vdl && (tail >= limit || self.pool.is_pressed()) {
            // Not at once with the first byte that is durable: who goes on may have to do much again that it has done already.
            let enough = tail.saturating_sub(ahead / 2);
            let half = vdl + (tail - vdl).div_ceil(2);
            return Err(Need::Durable(Lsn(enough.max(half))).into());
        }
        Ok(())
    }

    pub(super) fn append(&self, mtr: &[u8]) -> Lsn {
        let end = self.log.lock().append(mtr);
        self.tail.store(end.0, Ordering::Release);
        end
    }

    /// Whole MTRs from the log tail: at least one, and as many as fit into `max_bytes`. None: nothing is new.
    pub fn take_flush(&self, max_bytes: usize) -> Option<Flush> {
        let mut log = self.log.lock();
        let flush = log.take(max_bytes);
        if let Some(flush) = &flush {
            self.taken.store(flush.end.0, Ordering::Release);
        }
        flush
    }

    /// End of the last flush taken.
    pub fn taken(&self) -> Lsn {
        Lsn(self.taken.load(Ordering::Acquire))
    }

    /// End of the redo written.
    pub fn tail(&self) -> Lsn {
        Lsn(self.tail.load(Ordering::Acquire))
    }

    /// Durable up to here; on a reader: applied up to here. The snapshot for new statements, and the read point for pages.
    pub fn vdl(&self) -> Lsn {
        self.pool.durable()
    }

    /// Writer: everything up to `lsn` is at quorum. Reader: apply what was received up to there. Never goes back.
    pub fn set_vdl(&self, lsn: Lsn) -> Res<()> {
        match self.role() {
            Role::Writer => self.pool.set_durable(lsn.min(self.tail())),
            Role::Reader => self.apply_held(lsn)?,
        }
        Ok(())
    }

    /// No MTR begins while the tail is at or above `lsn`.
    pub fn set_limit(&self, lsn: Lsn) {
        self.limit.store(lsn.0, Ordering::Release);
    }

    /// No snapshot and no scan needs what was freed at or below `lsn`.
    pub fn set_horizon(&self, lsn: Lsn) {
        self.horizon.fetch_max(lsn.0, Ordering::AcqRel);
    }
}
