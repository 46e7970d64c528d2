//! Segments against a model: every page at every LSN, through holes, freezes, voids and restarts.

use super::batch::{Batcher, Header};
use super::layer::Layer;
use super::memory::Bytes;
use super::merge::Step;
use super::read::{Answer, Packed, Pieces, Read};
use super::records::tests::{insert, record};
use super::store::{Store, Verdict, Void};
use crate::base::{Epoch, GroupNo, Lsn, PageNo};
use crate::page::Page;
use std::collections::BTreeMap;

const PAGES_PER_GROUP: u64 = 4;

struct World {
    batcher: Batcher,
    end: u64,
    batches: Vec<Vec<u8>>,
    /// What each page is after each record.
    model: BTreeMap<u64, Vec<(u64, Page)>>,
    files: BTreeMap<u64, Vec<u8>>,
}

/// A page that no layer is needed for.
fn in_memory(store: &mut Store, page: PageNo, lsn: Lsn) -> Answer {
    let read = store.read(&[(page, Lsn(0))], lsn).unwrap();
    store.keep(&read);
    let answers = read.answers().unwrap();
    match answers.as_slice() {
        [answer] => (*answer).clone(),
        _ => panic!("one page was asked for"),
    }
}

impl World {
    fn new() -> World {
        World {
            batcher: Batcher::new(1, Epoch(1), PAGES_PER_GROUP),
            end: 0,
            batches: Vec::new(),
            model: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// One flush that touches these pages; the batches' VDL and PGMRPL hints are `hint`.
    fn flush(&mut self, pages: &[u64], hint: u64) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        for &page in pages {
            let versions = self.model.entry(page).or_default();
            let cell = format!("{page}@{}", self.end + bytes.len() as u64).into_bytes();
            let fresh = versions.len().is_multiple_of(100);
            let raw = if fresh {
                record(page, &cell)
            } else {
                insert(page, &cell)
            };
            bytes.extend_from_slice(&raw);
            let lsn = self.end + bytes.len() as u64;
            let mut built = versions
                .last()
                .map(|(_, page)| page.clone())
                .unwrap_or_default();
            super::records::apply(&mut built, Lsn(lsn), &raw).unwrap();
            versions.push((lsn, built));
        }
        let cut = self
            .batcher
            .cut(Lsn(self.end), &bytes, Lsn(hint), Lsn(hint))
            .unwrap();
        self.end += bytes.len() as u64;
        let cut: Vec<Vec<u8>> = cut.into_iter().map(|(_, batch)| batch).collect();
        self.batches.extend(cut.iter().cloned());
        cut
    }

    fn expected(&self, page: u64, lsn: u64) -> Page {
        let versions = self.model.get(&page);
        versions
            .and_then(|v| v.iter().rev().find(|(at, _)| *at <= lsn))
            .map(|(_, p)| p.clone())
            .unwrap_or_default()
    }

    fn read(&self, store: &mut Store, page: u64, lsn: u64) -> Page {
        match self.read_all(store, &[page], lsn).as_slice() {
            [found] => found.clone(),
            _ => panic!("one page was asked for"),
        }
    }

    fn read_all(&self, store: &mut Store, pages: &[u64], lsn: u64) -> Vec<Page> {
        let wanted: Vec<_> = pages.iter().map(|page| (PageNo(*page), Lsn(0))).collect();
        let mut read = store.read(&wanted, Lsn(lsn)).unwrap();
        self.feed(&mut read);
        store.keep(&read);
        let page = |answer: &Answer| match answer {
            Answer::Page(found) => (**found).clone(),
            other => panic!("pages {pages:?} at {lsn}: {other:?}"),
        };
        read.answers().unwrap().into_iter().map(page).collect()
    }

    fn feed(&self, read: &mut Read) {
        loop {
            let needs = read.needs();
            if needs.is_empty() {
                break;
            }
            for piece in needs {
                let at = piece.offset as usize;
                let bytes = &self.files[&piece.layer][at..at + piece.len as usize];
                read.feed(piece, bytes).unwrap();
            }
        }
    }

    /// Pages that one layer has all of come packed to who takes them so. Answers how many did.
    fn check_packed(&self, store: &mut Store, pages: &[u64], lsn: u64) -> usize {
        let wanted: Vec<_> = pages.iter().map(|page| (PageNo(*page), Lsn(0))).collect();
        let mut read = store.read(&wanted, Lsn(lsn)).unwrap();
        read.packed = true;
        self.feed(&mut read);
        let mut packed = 0;
        for (page, answer) in pages.iter().zip(read.answers().unwrap()) {
            let found = match answer {
                Answer::Page(found) => found.clone(),
                Answer::Packed(image) => {
                    packed += 1;
                    let bytes = image.bytes();
                    for bit in 0..bytes.len() * 8 {
                        let mut damaged = bytes.to_vec();
                        damaged[bit / 8] ^= 1 << (bit % 8);
                        assert!(Packed::open(PageNo(*page), &damaged).is_err());
                    }
                    assert!(Packed::open(PageNo(*page + 1), bytes).is_err());
                    Packed::open(PageNo(*page), bytes).unwrap()
                }
                other => panic!("page {page} at {lsn}: {other:?}"),
            };
            assert!(*found == self.expected(*page, lsn), "page {page} at {lsn}");
        }
        packed
    }

    fn merge(&mut self, store: &mut Store, ids: &[u64], id: u64) {
        let mut merge = store.merge(ids, id).unwrap();
        let mut file = Vec::new();
        let mut pieces = Pieces::default();
        loop {
            match merge.step(&pieces, 700).unwrap() {
                Step::Needs(needs) => {
                    pieces.clear();
                    for piece in needs {
                        let at = piece.offset as usize;
                        let bytes = self.files[&piece.layer][at..at + piece.len as usize].to_vec();
                        pieces.insert((piece.layer, piece.offset), bytes);
                    }
                }
                Step::Bytes(bytes) => file.extend_from_slice(&bytes),
                Step::Done => break,
            }
        }
        let (bytes, layer) = merge.finish();
        file.extend_from_slice(&bytes);
        self.files.insert(id, file);
        store.install_merged(ids, layer);
    }

    fn check(&self, store: &mut Store, lowest: u64) {
        let all: Vec<u64> = self.model.keys().rev().chain(&[99]).copied().collect();
        let together = self.read_all(store, &all, self.end);
        for (&page, found) in all.iter().zip(&together) {
            assert!(*found == self.expected(page, self.end), "page {page}");
        }
        for (&page, versions) in &self.model {
            for &(lsn, _) in versions {
                for at in [lsn.saturating_sub(1), lsn, lsn + 1, self.end] {
                    if at >= lowest {
                        assert!(
                            self.read(store, page, at) == self.expected(page, at),
                            "page {page} at {at}"
                        );
                    }
                }
            }
        }
    }

    fn freeze(&mut self, store: &mut Store, id: u64) -> bool {
        let Some(mut freeze) = store.freeze(id).unwrap() else {
            return false;
        };
        let mut file = Vec::new();
        while let Some(bytes) = store.freeze_step(&mut freeze, 500).unwrap() {
            file.extend_from_slice(&bytes);
        }
        let (bytes, layer) = store.freeze_end(freeze);
        file.extend_from_slice(&bytes);
        let footer = &file[file.len() - super::layer::FOOTER..];
        let (offset, len) = Layer::index_place(footer).unwrap();
        let again = Layer::open(id, footer, &file[offset as usize..offset as usize + len]).unwrap();
        assert_eq!(again, layer);
        self.files.insert(id, file);
        store.install_layer(again);
        while store.forget_step(3) {}
        true
    }
}

fn shared(batch: &[u8]) -> Bytes {
    Bytes::new(batch.to_vec())
}

fn store() -> Store {
    let mut store = Store::new(1, PAGES_PER_GROUP);
    assert!(store.install_voids(Epoch(1), Vec::new()));
    store
}

#[test]
fn pages_read_at_every_lsn() {
    let mut world = World::new();
    let mut store = store();
    for i in 0..300u64 {
        for batch in world.flush(&[i % 7, i % 3, 9], 0) {
            assert_eq!(store.accept(shared(&batch), true).unwrap(), Verdict::Joined);
        }
    }
    world.check(&mut store, 0);
}

#[test]
fn a_hole_holds_the_scl_until_it_is_filled() {
    let mut world = World::new();
    let mut store = store();
    let batches: Vec<Vec<u8>> = (0..6).map(|_| world.flush(&[1], 0).remove(0)).collect();
    let end = |i: usize| Header::parse(&batches[i]).unwrap().end;
    for (i, verdict, scl) in [
        (0, Verdict::Joined, end(0)),
        (3, Verdict::Held, end(0)),
        (2, Verdict::Held, end(0)),
        (3, Verdict::Known, end(0)),
        (5, Verdict::Held, end(0)),
        (1, Verdict::Joined, end(3)),
        (4, Verdict::Joined, end(5)),
        (2, Verdict::Known, end(5)),
    ] {
        assert_eq!(
            store.accept(shared(&batches[i]), true).unwrap(),
            verdict,
            "batch {i}"
        );
        assert_eq!(store.scl(GroupNo(0)), scl, "batch {i}");
    }
    assert_eq!(store.take_acks(), [(GroupNo(0), end(5))]);
    assert_eq!((store.held_bytes, store.holes().len()), (0, 0));
    world.check(&mut store, 0);
}

#[test]
fn gossip_hands_over_what_a_peer_lacks() {
    let mut world = World::new();
    let (mut full, mut poor) = (store(), store());
    for i in 0..50 {
        for batch in world.flush(&[i % 9, 2], 0) {
            full.accept(shared(&batch), true).unwrap();
            if !(5..=40).contains(&i) {
                poor.accept(shared(&batch), true).unwrap();
            }
        }
    }
    for (group, scl) in poor.scls() {
        for batch in full.batches_after(group, scl, usize::MAX).unwrap() {
            poor.accept(shared(&batch), false).unwrap();
        }
    }
    assert_eq!(poor.scls(), full.scls());
    world.check(&mut poor, 0);
}

#[test]
fn layers_answer_as_memory_did() {
    let mut world = World::new();
    let mut store = store();
    let mut durable = 0;
    for round in 0..5u64 {
        for i in 0..120u64 {
            for batch in world.flush(&[i % 5, 8 + i % 2, 30 + round], durable) {
                store.accept(shared(&batch), true).unwrap();
            }
        }
        durable = world.end;
        store.set_hints(Lsn(durable), Lsn(durable));
        if round == 2 {
            // A snapshot is held back: nothing above it may be folded.
            store.pgmrpl = Lsn(durable / 2).max(store.floor);
        }
        assert!(world.freeze(&mut store, round + 1));
        assert_eq!(store.pages.len(), 0);
        let floor = store.floor.0;
        world.check(&mut store, floor);
        let below = Lsn(store.floor.0 - 1);
        let answer = in_memory(&mut store, PageNo(1), below);
        assert!(matches!(answer, Answer::TooOld(_)));
    }
    assert!(!world.freeze(&mut store, 99));
}

#[test]
fn merged_layers_answer_as_they_did_apart() {
    for (from, count) in [(0, 2), (0, 5), (1, 3), (3, 2)] {
        let mut world = World::new();
        let mut store = store();
        for round in 0..5u64 {
            for i in 0..60u64 {
                for batch in world.flush(&[i % 5, 8 + i % 2, 30 + round], 0) {
                    store.accept(shared(&batch), true).unwrap();
                }
            }
            store.set_hints(Lsn(world.end), Lsn(world.end * 2 / 3));
            assert!(world.freeze(&mut store, round + 1));
        }
        let ids: Vec<u64> = store.layers[from..from + count]
            .iter()
            .map(|layer| layer.id)
            .collect();
        assert!(store.merge(&[ids[0], 77], 9).is_err());
        world.merge(&mut store, &ids, 9);
        assert_eq!(store.layers.len(), 6 - count);
        let floor = store.floor.0;
        world.check(&mut store, floor);
        // Page 30 was written in the first round only, page 1 in all of them.
        let pages = [1, 30, 31, 32, 33, 34, 99];
        let packed = world.check_packed(&mut store, &pages, world.end);
        assert!(
            (1..7).contains(&packed),
            "{packed} of layers {from}, {count}"
        );
        for lsn in [floor, (floor + world.end) / 2] {
            world.check_packed(&mut store, &pages, lsn);
        }
    }
}

/// A read that goes on in another thread sees nothing of what happens to memory and layers meanwhile.
#[test]
fn a_read_under_way_answers_as_of_its_beginning() {
    let mut world = World::new();
    let mut store = store();
    let mut reads: Vec<(u64, Read)> = Vec::new();
    let pages = [0u64, 1, 2, 8, 9];
    for round in 0..6u64 {
        for i in 0..60u64 {
            for batch in world.flush(&[i % 3, 8 + i % 2], 0) {
                store.accept(shared(&batch), true).unwrap();
            }
            if i % 20 == 7 {
                let wanted = pages.map(|page| (PageNo(page), Lsn(0)));
                let read = store.read(&wanted, Lsn(world.end)).unwrap();
                reads.push((world.end, read));
            }
        }
        store.set_hints(Lsn(world.end), Lsn(world.end));
        assert!(world.freeze(&mut store, round + 1));
    }
    world.merge(&mut store, &[2, 3, 4, 5], 9);
    let below = |(_, read): &&(u64, Read)| !read.needs().is_empty();
    assert!(reads.iter().filter(below).count() > 10);
    for (lsn, read) in &mut reads {
        world.feed(read);
        for (page, answer) in pages.iter().zip(read.answers().unwrap()) {
            let Answer::Page(found) = answer else {
                panic!("page {page} at {lsn}: {answer:?}");
            };
            assert!(**found == world.expected(*page, *lsn), "{page} at {lsn}");
        }
        store.keep(read);
    }
    world.check(&mut store, world.end);
}

#[test]
fn batches_that_come_during_a_freeze_stay() {
    let mut world = World::new();
    let mut store = store();
    for i in 0..100 {
        world
            .flush(&[i % 6], 0)
            .iter()
            .for_each(|b| assert_eq!(store.accept(shared(b), true).unwrap(), Verdict::Joined));
    }
    store.set_hints(Lsn(world.end), Lsn(world.end));
    let frozen = world.end;
    let mut freeze = store.freeze(1).unwrap().unwrap();
    let mut file = Vec::new();
    while let Some(bytes) = store.freeze_step(&mut freeze, 50).unwrap() {
        file.extend_from_slice(&bytes);
        for _ in 0..40 {
            for batch in world.flush(&[2, 20], frozen) {
                store.accept(shared(&batch), true).unwrap();
            }
        }
        store.set_hints(Lsn(world.end), Lsn(world.end));
        let end = world.end;
        world.read(&mut store, 2, end);
    }
    let (bytes, layer) = store.freeze_end(freeze);
    file.extend_from_slice(&bytes);
    world.files.insert(1, file);
    // What a restart would find: the layer, and the batches above it.
    let mut again = self::store();
    again.install_layer(layer.clone());
    for batch in &world.batches {
        again.accept(shared(batch), false).unwrap();
    }
    store.install_layer(layer);
    world.check(&mut store, world.end);
    while store.forget_step(3) {}
    assert_eq!(again.scls(), store.scls());
    world.check(&mut store, world.end);
    world.check(&mut again, frozen);
}

#[test]
fn what_may_be_collected_only_since_a_freeze_began_is_in_its_layer() {
    let mut world = World::new();
    let mut store = store();
    for _ in 0..60 {
        for batch in world.flush(&[2], 0) {
            store.accept(shared(&batch), true).unwrap();
        }
    }
    let end = world.end;
    store.set_hints(Lsn(end), Lsn(end / 10));
    let mut freeze = store.freeze(1).unwrap().unwrap();
    // The oldest snapshot ends meanwhile, and a read builds an image above what the freeze takes for needed.
    store.set_hints(Lsn(end), Lsn(end));
    world.read(&mut store, 2, end);
    let mut file = Vec::new();
    while let Some(bytes) = store.freeze_step(&mut freeze, 50).unwrap() {
        file.extend_from_slice(&bytes);
    }
    let (bytes, layer) = store.freeze_end(freeze);
    file.extend_from_slice(&bytes);
    world.files.insert(1, file);
    store.install_layer(layer);
    while store.forget_step(3) {}
    world.check(&mut store, end);
}

#[test]
fn old_batches_that_fill_a_hole_during_a_freeze_stay() {
    let mut world = World::new();
    let mut store = store();
    let mut late = Vec::new();
    for i in 0..60u64 {
        let batches = world.flush(&[i % 6, 12 + i % 3], 0);
        for batch in batches {
            if i < 20 {
                store.accept(shared(&batch), true).unwrap();
            } else {
                late.push(batch);
            }
        }
    }
    // The volume is durable far above what this node has.
    store.set_hints(Lsn(world.end), Lsn(world.end));
    let mut freeze = store.freeze(1).unwrap().unwrap();
    let mut file = Vec::new();
    let mut late = late.into_iter();
    while let Some(bytes) = store.freeze_step(&mut freeze, 60).unwrap() {
        file.extend_from_slice(&bytes);
        for batch in late.by_ref().take(9) {
            store.accept(shared(&batch), false).unwrap();
        }
        // A read builds images, which lets garbage be collected.
        while let Some((page, lsn)) = store.next_wanted(0) {
            in_memory(&mut store, page, lsn);
        }
    }
    let (bytes, layer) = store.freeze_end(freeze);
    file.extend_from_slice(&bytes);
    world.files.insert(1, file);
    store.install_layer(layer);
    world.check(&mut store, world.end);
    while store.forget_step(3) {}
    for batch in late {
        store.accept(shared(&batch), false).unwrap();
    }
    let end = world.end;
    world.check(&mut store, end);
}

#[test]
fn void_ranges_remove_what_was_never_durable_and_keep_it_out() {
    let mut world = World::new();
    let mut store = store();
    for i in 0..10 {
        for batch in world.flush(&[i % 5], 0) {
            store.accept(shared(&batch), true).unwrap();
        }
    }
    let vdl = world.end;
    let kept = world.model.clone();
    let lost: Vec<Vec<u8>> = (0..6).flat_map(|i| world.flush(&[i % 5], 0)).collect();
    for batch in lost.iter().skip(1) {
        store.accept(shared(batch), true).unwrap();
    }
    store.install_epoch(Epoch(2));
    assert_eq!(
        store.accept(shared(&lost[0]), true).unwrap(),
        Verdict::Stale
    );
    assert!(!store.install_epoch(Epoch(1)));
    let void = Void {
        epoch: Epoch(2),
        start: Lsn(vdl),
        end: Lsn(vdl + 1000),
    };
    assert!(store.install_voids(Epoch(2), vec![void]));
    assert_eq!(store.held_bytes, 0);
    for batch in &lost {
        assert_eq!(store.accept(shared(batch), false).unwrap(), Verdict::Void);
    }
    world.model = kept;
    world.end = vdl + 1000;
    world.batcher = Batcher::new(1, Epoch(2), PAGES_PER_GROUP);
    for (group, scl) in store.scls() {
        assert!(scl <= Lsn(vdl));
        world.batcher.set_prev(group, scl);
    }
    for i in 0..20 {
        for batch in world.flush(&[i % 5], vdl + 1000) {
            assert_eq!(store.accept(shared(&batch), true).unwrap(), Verdict::Joined);
        }
    }
    world.check(&mut store, 0);
}

#[test]
fn a_batch_of_an_epoch_whose_voids_are_unknown_waits() {
    let mut world = World::new();
    world.batcher = Batcher::new(1, Epoch(2), PAGES_PER_GROUP);
    let batch = world.flush(&[1], 0).remove(0);
    let mut store = store();
    store.install_epoch(Epoch(2));
    assert_eq!(
        store.accept(shared(&batch), true).unwrap(),
        Verdict::Unknown
    );
    store.install_voids(Epoch(2), Vec::new());
    assert_eq!(store.accept(shared(&batch), true).unwrap(), Verdict::Joined);
}

#[test]
fn long_chains_get_images_and_reads_stay_short() {
    let mut world = World::new();
    let mut store = store();
    let all: Vec<Vec<u8>> = (0..5000).flat_map(|_| world.flush(&[3], 0)).collect();
    for batch in &all {
        store.accept(shared(batch), true).unwrap();
    }
    store.set_hints(Lsn(world.end), Lsn(world.end));
    while let Some((page, lsn)) = store.next_wanted(0) {
        let answer = in_memory(&mut store, page, lsn);
        assert!(matches!(answer, Answer::Page(_)));
    }
    let chain = &store.pages[&PageNo(3)];
    assert_eq!((chain.records.len(), chain.images.len()), (0, 1));
    assert!(world.read(&mut store, 3, world.end) == world.expected(3, world.end));
}

#[test]
fn a_flipped_bit_in_a_layer_is_an_error() {
    let mut world = World::new();
    let mut store = store();
    for i in 0..50 {
        world
            .flush(&[i % 3], 0)
            .iter()
            .for_each(|b| assert_eq!(store.accept(shared(b), true).unwrap(), Verdict::Joined));
    }
    store.set_hints(Lsn(world.end), Lsn(world.end));
    world.freeze(&mut store, 1);
    let block = *store.layers[0].block(PageNo(1)).unwrap();
    let sound = world.files[&1][block.offset as usize..][..block.len as usize].to_vec();
    for bit in 0..sound.len() * 8 {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let wanted = [(PageNo(1), Lsn(0))];
        let mut read = store.read(&wanted, Lsn(world.end)).unwrap();
        let piece = read.needs()[0];
        assert!(read.feed(piece, &damaged).is_err());
    }
    let file = &world.files[&1];
    let footer = &file[file.len() - super::layer::FOOTER..];
    let (offset, len) = Layer::index_place(footer).unwrap();
    let index = &file[offset as usize..offset as usize + len];
    for at in 0..index.len() {
        let mut damaged = index.to_vec();
        damaged[at] ^= 4;
        assert!(Layer::open(1, footer, &damaged).is_err());
    }
}
