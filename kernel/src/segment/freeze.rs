//! Moving the memory layer into a layer file, a budgeted step at a time, while batches keep coming and pages are read.

use super::layer::{Entry, Layer, Writer};
use super::memory::RECORDS_PER_IMAGE;
use super::read::stands_alone;
use super::store::{Freezing, Store};
use crate::base::error::fail;
use crate::base::{Lsn, PageNo, Res};
use crate::page::Page;
use std::sync::Arc;

/// A freeze that is under way. What it takes of each group was fixed at its beginning (`Store::freezing`): a segment with holes
/// may get older batches meanwhile, for pages that are through already.
pub struct Freeze {
    floor: Lsn,
    pages: std::vec::IntoIter<PageNo>,
    writer: Writer,
}

/// Records of one page that take more bytes than this are replaced by an image where the past is not needed.
const RECORD_BYTES_PER_IMAGE: usize = 3000;

impl Store {
    /// Begin: everything that is durable for the whole volume goes into layer `id`. None: there is nothing.
    pub fn freeze(&mut self, id: u64) -> Res<Option<Freeze>> {
        if self.freezing.is_some() {
            return fail("55000", "a freeze is under way");
        }
        let upto = self.vdl;
        let mut groups = Vec::new();
        for (&group, segment) in &self.segments {
            let end = segment
                .batches
                .iter()
                .rev()
                .map(|batch| batch.end)
                .find(|end| *end <= upto);
            if let Some(end) = end.filter(|end| *end > segment.frozen) {
                groups.push((group, end));
            }
        }
        if groups.is_empty() {
            return Ok(None);
        }
        groups.sort_unstable();
        let mut pages: Vec<PageNo> = self.pages.keys().copied().collect();
        pages.sort_unstable();
        let floor = self.pgmrpl.max(self.floor).min(upto);
        self.freezing = Some(Freezing {
            floor,
            upto: groups.iter().copied().collect(),
        });
        self.floor = self.floor.max(floor);
        let writer = Writer::new(id, floor, groups);
        Ok(Some(Freeze {
            floor,
            pages: pages.into_iter(),
            writer,
        }))
    }

    /// Do about `budget` bytes; answers what to append to the file, None when all pages are through.
    pub fn freeze_step(&mut self, freeze: &mut Freeze, budget: usize) -> Res<Option<Vec<u8>>> {
        let mut done = 0;
        while done < budget {
            let Some(page) = freeze.pages.next() else {
                let rest = freeze.writer.take();
                return Ok(if rest.is_empty() { None } else { Some(rest) });
            };
            let Some(upto) = self.freezing_upto(page) else {
                continue;
            };
            self.image_for_freeze(page, freeze.floor.min(upto))?;
            let Some(chain) = self.pages.get(&page) else {
                continue;
            };
            let entry = Entry::of_chain(chain, freeze.floor, upto);
            done += 64
                + entry
                    .records
                    .iter()
                    .map(|(_, record)| record.len())
                    .sum::<usize>();
            done += if entry.image.is_some() { 4096 } else { 0 };
            freeze.writer.add(page, &entry);
        }
        Ok(Some(freeze.writer.take()))
    }

    /// What the freeze under way takes of a page's group.
    pub fn freezing_upto(&self, page: PageNo) -> Option<Lsn> {
        let group = self.group_of(page);
        self.freezing
            .as_ref()
            .and_then(|freezing| freezing.upto.get(&group).copied())
    }

    /// While a freeze takes of a page's group: up to where its entry may begin with an image.
    pub fn freezing_floor(&self, page: PageNo) -> Option<Lsn> {
        let freezing = self.freezing.as_ref()?;
        Some(freezing.floor.min(self.freezing_upto(page)?))
    }

    /// Make an image at the floor where the records up to it are many and memory alone can build it.
    fn image_for_freeze(&mut self, page: PageNo, floor: Lsn) -> Res<()> {
        let Some(chain) = self.pages.get_mut(&page) else {
            return Ok(());
        };
        let mut images = chain.images.iter().rev().map(|(at, _)| *at);
        // A record that makes the page anew is as good as an image.
        let mut fresh = chain.records.iter().rev().filter(|rec| rec.fresh);
        let last = |found: Option<Lsn>| found.unwrap_or(Lsn::ZERO);
        let from = last(images.find(|at| *at <= floor))
            .max(last(fresh.find(|rec| rec.lsn <= floor).map(|rec| rec.lsn)));
        let below = chain
            .records
            .iter()
            .filter(|rec| rec.lsn > from && rec.lsn <= floor);
        let (count, bytes) = below.fold((0, 0), |(count, bytes), rec| {
            (count + 1, bytes + rec.len as usize)
        });
        if (count <= RECORDS_PER_IMAGE && bytes <= RECORD_BYTES_PER_IMAGE)
            || !stands_alone(chain, floor)
        {
            return Ok(());
        }
        let (mut built, from) = match chain.start(floor) {
            super::memory::Start::Image(image) => ((*image).clone(), 0),
            super::memory::Start::Fresh(from) => (Page::new(), from),
            super::memory::Start::Below => return Ok(()),
        };
        chain.apply(&mut built, from, floor)?;
        self.memory += chain.keep(built.lsn(), Arc::new(built));
        Ok(())
    }

    /// All steps are done: the file's last bytes, and its index for `install_layer`.
    pub fn freeze_end(&mut self, freeze: Freeze) -> (Vec<u8>, Layer) {
        freeze.writer.finish()
    }

    /// After `install_layer`: let go of what about `count` pages have in memory that layers have too. False: that was the last.
    pub fn forget_step(&mut self, count: usize) -> bool {
        for _ in 0..count {
            let Some(page) = self.forgetting.pop() else {
                return false;
            };
            let group = self.group_of(page);
            let frozen = self
                .segments
                .get(&group)
                .map_or(Lsn::ZERO, |segment| segment.frozen);
            if let Some(chain) = self.pages.get_mut(&page) {
                self.memory = self.memory.saturating_sub(chain.forget(frozen));
                if chain.is_empty() {
                    self.pages.remove(&page);
                }
            }
        }
        true
    }

    /// The layer is durable and named in the manifest: reads may use it, and `forget_step` frees the memory.
    pub fn install_layer(&mut self, layer: Layer) {
        if self.freezing.take().is_some() {
            self.forgetting = self.pages.keys().copied().collect();
        }
        for &(group, lsn) in &layer.groups {
            self.set_frozen(group, lsn);
        }
        self.floor = self.floor.max(layer.floor);
        self.vdl = layer
            .groups
            .iter()
            .map(|(_, lsn)| *lsn)
            .fold(self.vdl, Lsn::max);
        self.layers.push(Arc::new(layer));
    }

    /// The file could not be written: go on as before.
    pub fn freeze_failed(&mut self) {
        self.freezing = None;
    }
}
