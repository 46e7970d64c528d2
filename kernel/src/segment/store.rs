//! One volume's segments on one storage node: which batches each has without a hole, what is void, which epochs are refused.
//!
//! Invariants: a chain's records all lie at or below its segment's SCL, in LSN order; a batch enters only if its epoch may write and no
//! void range covers it, from wherever it comes; layer files hold only what was durable for the whole volume, so voiding never touches them.

use super::batch::{Entries, Header};
use super::layer::Layer;
use super::memory::{Bytes, Chain, Rec};
use super::records;
use crate::base::{Epoch, GroupNo, Lsn, PageNo, Res};
use ahash::AHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Batches beyond a hole are kept up to this many bytes a volume; gossip brings the others again.
const HELD_BYTES_MAX: usize = 16 << 20;
const BATCH_COST: usize = 160;
/// Pages that one search for a long chain looks at.
const WANTED_LOOKED_AT: usize = 256;

/// (start, end]: no batch of an epoch below `epoch` that ends in here or above was ever part of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Void {
    pub epoch: Epoch,
    pub start: Lsn,
    pub end: Lsn,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// New, and the segment lacks nothing before it.
    Joined,
    /// New, behind a hole.
    Held,
    /// The segment has it.
    Known,
    /// Its writer is fenced off.
    Stale,
    /// Recovery has declared it void.
    Void,
    /// Of an epoch that this node has not been told about: its void ranges are missing here.
    Unknown,
    /// For another volume.
    Foreign,
    /// It contradicts the segment's chain.
    Conflict,
    /// Behind a hole, and there is no room to keep it.
    NoRoom,
}

#[derive(Debug, Clone)]
pub struct MemBatch {
    pub prev: Lsn,
    pub start: Lsn,
    pub end: Lsn,
    pub epoch: Epoch,
    pub groups: Vec<GroupNo>,
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
pub struct Segment {
    pub scl: Lsn,
    /// Everything at or below it is in layer files.
    pub frozen: Lsn,
    /// Batches in (frozen, scl], a chain.
    pub batches: VecDeque<MemBatch>,
    /// Batches beyond a hole, by their `prev`.
    pub held: BTreeMap<Lsn, MemBatch>,
    pub changed: bool,
}

/// What a freeze takes of memory, as it was decided at its beginning. Until it is over, nothing is collected above its floor, nor above
/// what it takes of a group: the layer would lack what an image made since then stands for.
#[derive(Debug)]
pub struct Freezing {
    pub floor: Lsn,
    pub upto: AHashMap<GroupNo, Lsn>,
}

/// What recovery asks for: one batch's place in its flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub group: GroupNo,
    pub prev: Lsn,
    pub start: Lsn,
    pub end: Lsn,
    pub epoch: Epoch,
    pub groups: Vec<GroupNo>,
}

/// Where a batch's records stand.
type Indexed = Vec<(PageNo, Rec)>;

pub struct Store {
    pub volume: u64,
    pub pages_per_group: u64,
    /// Lower ones are refused.
    pub epoch: Epoch,
    /// Epoch of the recovery that wrote `voids`; batches of a higher one are not taken yet.
    pub voids_epoch: Epoch,
    pub voids: Vec<Void>,
    /// Highest VDL that a batch or the writer has told.
    pub vdl: Lsn,
    /// Highest PGMRPL told by `set_hints`: a batch's own knows nothing of reads under way and of readers.
    pub pgmrpl: Lsn,
    /// Reads below it are refused: garbage collection has been there.
    pub floor: Lsn,
    /// While a freeze is under way: what it takes.
    pub freezing: Option<Freezing>,
    /// Pages that may have in memory what a new layer has.
    pub forgetting: Vec<PageNo>,
    pub segments: AHashMap<GroupNo, Segment>,
    pub pages: AHashMap<PageNo, Chain>,
    /// Pages that have many records since their last image.
    pub wanted: VecDeque<PageNo>,
    /// Oldest first; reads under way share them.
    pub layers: Vec<Arc<Layer>>,
    /// Segments whose SCL rose since `take_acks`.
    changed: Vec<GroupNo>,
    /// What may be acknowledged and reported to recovery: the SCL in memory may be ahead of the journal.
    durable: BTreeMap<GroupNo, Lsn>,
    pub held_bytes: usize,
    /// Memory of batches, chains and images, about.
    pub memory: usize,
}

/// The protection group of a page.
pub fn group_of(page: PageNo, pages_per_group: u64) -> GroupNo {
    GroupNo(u32::try_from(page.0 / pages_per_group).unwrap_or(u32::MAX))
}

impl Store {
    pub fn new(volume: u64, pages_per_group: u64) -> Store {
        Store {
            volume,
            pages_per_group: pages_per_group.max(1),
            epoch: Epoch(0),
            voids_epoch: Epoch(0),
            voids: Vec::new(),
            vdl: Lsn::ZERO,
            pgmrpl: Lsn::ZERO,
            floor: Lsn::ZERO,
            freezing: None,
            forgetting: Vec::new(),
            segments: AHashMap::new(),
            pages: AHashMap::new(),
            wanted: VecDeque::new(),
            layers: Vec::new(),
            changed: Vec::new(),
            durable: BTreeMap::new(),
            held_bytes: 0,
            memory: 0,
        }
    }

    pub fn group_of(&self, page: PageNo) -> GroupNo {
        group_of(page, self.pages_per_group)
    }

    pub fn scl(&self, group: GroupNo) -> Lsn {
        self.segments
            .get(&group)
            .map_or(Lsn::ZERO, |segment| segment.scl)
    }

    /// All segments' SCLs, by group.
    pub fn scls(&self) -> Vec<(GroupNo, Lsn)> {
        let mut all: Vec<_> = self
            .segments
            .iter()
            .map(|(&group, segment)| (group, segment.scl))
            .collect();
        all.sort_unstable();
        all
    }

    fn is_void(&self, epoch: Epoch, end: Lsn) -> bool {
        self.voids
            .iter()
            .any(|void| epoch < void.epoch && end > void.start)
    }

    /// Take a batch: from the writer (`fresh`), or by gossip or from the journal. Fails only on damaged bytes, changing nothing.
    pub fn accept(&mut self, bytes: Bytes, fresh: bool) -> Res<Verdict> {
        let header = Header::parse(&bytes)?;
        if header.volume != self.volume {
            return Ok(Verdict::Foreign);
        }
        if header.epoch > self.voids_epoch {
            return Ok(Verdict::Unknown);
        }
        if fresh && header.epoch < self.epoch {
            return Ok(Verdict::Stale);
        }
        if self.is_void(header.epoch, header.end) {
            return Ok(Verdict::Void);
        }
        let segment = self.segments.entry(header.group).or_default();
        if header.end <= segment.scl
            || segment
                .held
                .get(&header.prev)
                .is_some_and(|have| have.end == header.end)
        {
            return Ok(Verdict::Known);
        }
        if header.prev < segment.scl {
            return Ok(Verdict::Conflict);
        }
        let recs = Self::index(&header, &bytes)?;
        let len = bytes.len();
        let batch = MemBatch {
            prev: header.prev,
            start: header.start,
            end: header.end,
            epoch: header.epoch,
            groups: header.groups,
            bytes,
        };
        self.vdl = self.vdl.max(header.vdl);
        if header.prev > segment.scl {
            if self.held_bytes + len > HELD_BYTES_MAX {
                return Ok(Verdict::NoRoom);
            }
            self.held_bytes += len;
            segment.held.insert(header.prev, batch);
            return Ok(Verdict::Held);
        }
        self.join(header.group, batch, recs);
        self.join_held(header.group)?;
        Ok(Verdict::Joined)
    }

    /// Check all of a batch's records and say where they stand.
    fn index(header: &Header, bytes: &Bytes) -> Res<Indexed> {
        let mut recs = Vec::with_capacity(header.records.min(1 << 16) as usize);
        for entry in Entries::new(header, bytes) {
            let entry = entry?;
            let record = bytes.get(entry.at..entry.at + entry.len).unwrap_or(&[]);
            let rec = Rec {
                lsn: entry.lsn,
                fresh: records::is_fresh(record),
                batch: bytes.clone(),
                at: entry.at as u32,
                len: entry.len as u32,
            };
            recs.push((entry.page, rec));
        }
        Ok(recs)
    }

    fn join(&mut self, group: GroupNo, batch: MemBatch, recs: Vec<(PageNo, Rec)>) {
        self.memory += batch.bytes.len() + BATCH_COST;
        for (page, rec) in recs {
            let chain = self.pages.entry(page).or_default();
            self.memory += chain.push(rec);
            if !chain.queued && chain.tail_len() >= 2 * super::memory::RECORDS_PER_IMAGE {
                chain.queued = true;
                self.wanted.push_back(page);
            }
        }
        let segment = self.segments.entry(group).or_default();
        segment.scl = batch.end;
        segment.batches.push_back(batch);
        if !segment.changed {
            segment.changed = true;
            self.changed.push(group);
        }
    }

    fn join_held(&mut self, group: GroupNo) -> Res<()> {
        loop {
            let Some(segment) = self.segments.get_mut(&group) else {
                return Ok(());
            };
            let scl = segment.scl;
            while let Some(first) = segment.held.first_entry() {
                // Overtaken: what it held came another way.
                if *first.key() >= scl {
                    break;
                }
                self.held_bytes -= first.remove().bytes.len();
            }
            let Some(batch) = segment.held.remove(&scl) else {
                return Ok(());
            };
            self.held_bytes -= batch.bytes.len();
            let header = Header::parse(&batch.bytes)?;
            let recs = Self::index(&header, &batch.bytes)?;
            self.join(group, batch, recs);
        }
    }

    /// (group, SCL) of every segment that rose since the last call.
    pub fn take_acks(&mut self) -> Vec<(GroupNo, Lsn)> {
        let mut acks = Vec::with_capacity(self.changed.len());
        for group in self.changed.drain(..) {
            if let Some(segment) = self.segments.get_mut(&group) {
                segment.changed = false;
                acks.push((group, segment.scl));
            }
        }
        acks
    }

    /// These acknowledgements are true from now on, as far as no recovery has voided them since.
    pub fn note_durable(&mut self, scls: &mut [(GroupNo, Lsn)]) {
        for (group, scl) in scls {
            *scl = (*scl).min(self.scl(*group));
            self.durable.insert(*group, *scl);
        }
    }

    /// Everything in memory was read back from disk.
    pub fn all_durable(&mut self) {
        self.take_acks();
        self.durable = self.scls().into_iter().collect();
    }

    /// (group, SCL) as far as the journal has it.
    pub fn durable(&self) -> Vec<(GroupNo, Lsn)> {
        self.durable
            .iter()
            .map(|(&group, &scl)| (group, scl))
            .collect()
    }

    /// Refuse lower epochs from now on. False: this node already refuses that one.
    pub fn install_epoch(&mut self, epoch: Epoch) -> bool {
        if epoch < self.epoch {
            return false;
        }
        self.epoch = epoch;
        true
    }

    /// The whole list of void ranges, as recovery `epoch` decided it; removes what they cover. False: a later recovery has been here.
    pub fn install_voids(&mut self, epoch: Epoch, voids: Vec<Void>) -> bool {
        if epoch < self.voids_epoch || epoch < self.epoch {
            return false;
        }
        self.epoch = epoch;
        self.voids_epoch = epoch;
        self.voids = voids;
        let groups: Vec<GroupNo> = self.segments.keys().copied().collect();
        for group in groups {
            self.truncate(group);
            let scl = self.scl(group);
            self.durable
                .entry(group)
                .and_modify(|known| *known = scl.min(*known));
        }
        true
    }

    fn truncate(&mut self, group: GroupNo) {
        let voids = std::mem::take(&mut self.voids);
        let is_void = |batch: &MemBatch| {
            voids
                .iter()
                .any(|void| batch.epoch < void.epoch && batch.end > void.start)
        };
        let mut gone = Vec::new();
        if let Some(segment) = self.segments.get_mut(&group) {
            while segment.batches.back().is_some_and(is_void) {
                gone.extend(segment.batches.pop_back());
            }
            segment.scl = segment
                .batches
                .back()
                .map_or(segment.frozen, |batch| batch.end);
            let mut freed = 0;
            segment.held.retain(|_, batch| {
                let keep = !is_void(batch);
                freed += if keep { 0 } else { batch.bytes.len() };
                keep
            });
            self.held_bytes -= freed;
        }
        let scl = self.scl(group);
        for batch in gone {
            self.memory = self.memory.saturating_sub(batch.bytes.len() + BATCH_COST);
            let Ok(header) = Header::parse(&batch.bytes) else {
                continue;
            };
            for entry in Entries::new(&header, &batch.bytes).flatten() {
                if let Some(chain) = self.pages.get_mut(&entry.page) {
                    self.memory = self.memory.saturating_sub(chain.truncate(scl));
                    if chain.is_empty() {
                        self.pages.remove(&entry.page);
                    }
                }
            }
        }
        self.voids = voids;
    }

    /// What the writer told outside of batches.
    pub fn set_hints(&mut self, vdl: Lsn, pgmrpl: Lsn) {
        self.vdl = self.vdl.max(vdl);
        self.pgmrpl = self.pgmrpl.max(pgmrpl);
    }

    /// Batches of complete segments that end above `above`: what recovery computes VDL from.
    pub fn metas(&self, above: Lsn) -> Vec<Meta> {
        let mut metas = Vec::new();
        for (&group, segment) in &self.segments {
            for batch in segment
                .batches
                .iter()
                .rev()
                .take_while(|batch| batch.end > above)
            {
                metas.push(Meta {
                    group,
                    prev: batch.prev,
                    start: batch.start,
                    end: batch.end,
                    epoch: batch.epoch,
                    groups: batch.groups.clone(),
                });
            }
        }
        metas.sort_unstable_by_key(|meta| (meta.end, meta.group));
        metas
    }

    /// Segments with a hole: (group, SCL, prev of the first batch behind it).
    pub fn holes(&self) -> Vec<(GroupNo, Lsn, Lsn)> {
        let hole = |(&group, segment): (&GroupNo, &Segment)| {
            segment
                .held
                .first_key_value()
                .map(|(&prev, _)| (group, segment.scl, prev))
        };
        self.segments.iter().filter_map(hole).collect()
    }

    /// Batches after `scl`, oldest first, up to about `max` bytes. None: memory does not reach back so far.
    pub fn batches_after(&self, group: GroupNo, scl: Lsn, max: usize) -> Option<Vec<Bytes>> {
        let Some(segment) = self.segments.get(&group) else {
            return Some(Vec::new());
        };
        if scl >= segment.scl {
            return Some(Vec::new());
        }
        if scl < segment.frozen {
            return None;
        }
        let first = segment.batches.partition_point(|batch| batch.end <= scl);
        let mut size = 0;
        let mut out = Vec::new();
        for batch in segment.batches.iter().skip(first) {
            if size > 0 && size + batch.bytes.len() > max {
                break;
            }
            size += batch.bytes.len();
            out.push(batch.bytes.clone());
        }
        Some(out)
    }

    /// Everything at or below `lsn` of this group is in layer files that are durable.
    pub fn set_frozen(&mut self, group: GroupNo, lsn: Lsn) {
        let mut freed = 0;
        let segment = self.segments.entry(group).or_default();
        segment.frozen = segment.frozen.max(lsn);
        segment.scl = segment.scl.max(lsn);
        while segment
            .batches
            .front()
            .is_some_and(|batch| batch.end <= lsn)
        {
            if let Some(batch) = segment.batches.pop_front() {
                freed += batch.bytes.len() + BATCH_COST;
            }
        }
        self.memory = self.memory.saturating_sub(freed);
    }

    /// The next page that wants an image, and the LSN of its last record. Pages with fewer than `least` records since their last
    /// image wait; of those that wait only some are looked at.
    pub fn next_wanted(&mut self, least: usize) -> Option<(PageNo, Lsn)> {
        for _ in 0..self.wanted.len().min(WANTED_LOOKED_AT) {
            let page = self.wanted.pop_front()?;
            let Some(chain) = self.pages.get_mut(&page) else {
                continue;
            };
            let records = chain.tail_len();
            if records > super::memory::RECORDS_PER_IMAGE && records < least {
                self.wanted.push_back(page);
                continue;
            }
            chain.queued = false;
            if records > super::memory::RECORDS_PER_IMAGE {
                if let Some(last) = chain.last(Lsn::MAX) {
                    return Some((page, last));
                }
            }
        }
        None
    }

    /// Collect one page's garbage below PGMRPL.
    pub fn collect(&mut self, page: PageNo) {
        let floor = self
            .pgmrpl
            .min(self.vdl)
            .min(self.freezing_floor(page).unwrap_or(Lsn::MAX));
        if let Some(chain) = self.pages.get_mut(&page) {
            let freed = chain.collect(floor);
            if freed > 0 {
                self.memory = self.memory.saturating_sub(freed);
                self.floor = self.floor.max(floor);
            }
        }
    }
}
