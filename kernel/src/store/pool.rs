//! The page cache: sharded, second-chance eviction. A page leaves only when its LSN is durable; a shard that holds nothing
//! durable grows beyond its share and says so (`pressed`), and the volume then holds writers back. Page 0 stays: a reader learns
//! from it, without waiting, which catalogue is current.

use super::header::HEADER;
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Page, PageRef};
use ahash::RandomState;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// Most shards a cache has; small caches have fewer, so that each holds a fair sample.
const SHARDS_MAX: usize = 64;

pub struct Pool {
    shards: Vec<RwLock<Shard>>,
    /// Everything at or below it may be evicted.
    durable: AtomicU64,
    /// Some shard is full of pages that are not durable yet.
    pressed: AtomicBool,
}

struct Shard {
    places: HashMap<PageNo, usize, RandomState>,
    frames: Vec<Frame>,
    capacity: usize,
    hand: usize,
    /// A sweep at this durable LSN found nothing to evict: no use trying again before it moves.
    stuck: Option<Lsn>,
}

struct Frame {
    no: PageNo,
    page: PageRef,
    used: AtomicBool,
}

impl Pool {
    /// Never fewer than 64 pages: an operation that needs several at once must be able to hold them.
    pub fn new(capacity: usize) -> Pool {
        let capacity = capacity.max(64);
        let shards = (capacity / 16).next_power_of_two().clamp(1, SHARDS_MAX);
        let each = capacity.div_ceil(shards).max(1);
        let shard = || Shard {
            places: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
            frames: Vec::new(),
            capacity: each,
            hand: 0,
            stuck: None,
        };
        Pool {
            shards: (0..shards).map(|_| RwLock::new(shard())).collect(),
            durable: AtomicU64::new(0),
            pressed: AtomicBool::new(false),
        }
    }

    fn shard(&self, no: PageNo) -> &RwLock<Shard> {
        // Neighbours go to different shards: a scan spreads over all of them.
        &self.shards[no.0 as usize & (self.shards.len() - 1)]
    }

    pub fn get(&self, no: PageNo) -> Option<PageRef> {
        let shard = self.shard(no).read();
        let frame = shard.frames.get(*shard.places.get(&no)?)?;
        if !frame.used.load(Ordering::Relaxed) {
            frame.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&frame.page))
    }

    pub fn holds(&self, no: PageNo) -> bool {
        self.shard(no).read().places.contains_key(&no)
    }

    /// Put a page in unless the cache has it with at least this LSN.
    pub fn install(&self, no: PageNo, page: PageRef) {
        let mut shard = self.shard(no).write();
        if let Some(place) = shard.places.get(&no).copied() {
            if let Some(frame) = shard.frames.get_mut(place) {
                if frame.page.lsn() < page.lsn() {
                    frame.page = page;
                }
                return;
            }
        }
        self.make_room(&mut shard);
        let place = shard.frames.len();
        shard.places.insert(no, place);
        shard.frames.push(Frame {
            no,
            page,
            used: AtomicBool::new(true),
        });
    }

    /// Change a page that the cache holds, in place when nobody else holds it. None: not held.
    pub fn change<T>(
        &self,
        no: PageNo,
        change: impl FnOnce(&mut Page) -> Res<T>,
    ) -> Option<Res<T>> {
        let mut shard = self.shard(no).write();
        let place = *shard.places.get(&no)?;
        let frame = shard.frames.get_mut(place)?;
        Some(change(Arc::make_mut(&mut frame.page)))
    }

    pub fn remove(&self, no: PageNo) {
        let mut shard = self.shard(no).write();
        if let Some(place) = shard.places.get(&no).copied() {
            shard.drop_frame(place);
        }
    }

    /// Tests: evict everything that may be evicted.
    #[cfg(test)]
    pub fn forget(&self) {
        let durable = self.durable();
        for shard in &self.shards {
            let mut shard = shard.write();
            for place in (0..shard.frames.len()).rev() {
                if shard.frames[place].page.lsn() <= durable {
                    shard.drop_frame(place);
                }
            }
        }
    }

    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.places.clear();
            shard.frames.clear();
        }
    }

    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.read().frames.len())
            .sum()
    }

    /// Numbers of all pages, in no order.
    pub fn numbers(&self) -> Vec<PageNo> {
        let mut all = Vec::with_capacity(self.len());
        for shard in &self.shards {
            all.extend(shard.read().frames.iter().map(|frame| frame.no));
        }
        all
    }

    pub fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().capacity).sum()
    }

    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub fn set_durable(&self, lsn: Lsn) {
        if self.durable.fetch_max(lsn.0, Ordering::AcqRel) < lsn.0 {
            self.pressed.store(false, Ordering::Release);
        }
    }

    pub fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Acquire)
    }

    fn make_room(&self, shard: &mut Shard) {
        let durable = self.durable();
        if shard.frames.len() < shard.capacity {
            return;
        }
        // At most two out for one in: a shard that grew under pressure shrinks again without a long pause.
        for _ in 0..2 {
            if shard.frames.len() < shard.capacity {
                return;
            }
            if shard.stuck == Some(durable) || !shard.evict(durable) {
                shard.stuck = Some(durable);
                self.pressed.store(true, Ordering::Release);
                return;
            }
        }
    }
}

impl Shard {
    /// Evict one page: the first durable one that was not used since the hand passed it last.
    fn evict(&mut self, durable: Lsn) -> bool {
        for _ in 0..self.frames.len() * 2 {
            if self.hand >= self.frames.len() {
                self.hand = 0;
            }
            let Some(frame) = self.frames.get(self.hand) else {
                return false;
            };
            let may_go = frame.no != HEADER && frame.page.lsn() <= durable;
            if !frame.used.swap(false, Ordering::Relaxed) && may_go {
                self.drop_frame(self.hand);
                return true;
            }
            self.hand += 1;
        }
        false
    }

    fn drop_frame(&mut self, place: usize) {
        let frame = self.frames.swap_remove(place);
        self.places.remove(&frame.no);
        if let Some(moved) = self.frames.get(place) {
            self.places.insert(moved.no, place);
        }
    }
}
