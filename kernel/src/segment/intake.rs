//! A storage node's way from a batch to its acknowledgement: accepted, written to the journal, durable, told.
//!
//! Group commit: what is accepted while a write is under way goes out with the next one. Who does the writing (a thread without Python,
//! or the simulator's loop) asks `begin` what to write, and says `written` or `failed`; there is one write at a time. An acknowledgement
//! is taken when a write begins, and is true once that write is durable: what it says was accepted before.

use super::batch::{u32_at, u64_at};
use super::freeze::Freeze;
use super::hot;
use super::journal;
use super::layer::Layer;
use super::memory::Bytes;
use super::store::{Store, Verdict};
use crate::base::{GroupNo, Lsn, Res, Stop};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A journal entry that is a batch.
pub const BATCH: u8 = 1;

/// One volume's segments, as a node's threads share them: the lock is held for one step of anything.
pub struct Segments {
    pub store: Store,
    pub freeze: Option<Freeze>,
    /// A layer that is written but not installed.
    pub frozen: Option<Layer>,
    pub merged: Option<(Vec<u64>, Layer)>,
}

impl Segments {
    pub fn new(store: Store) -> Segments {
        Segments {
            store,
            freeze: None,
            frozen: None,
            merged: None,
        }
    }

    /// Bytes that it takes, about.
    pub fn memory(&self) -> usize {
        self.store.memory + self.store.held_bytes
    }
}

pub type Shared = Arc<Mutex<Segments>>;

/// SCLs of one volume's segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acks {
    pub volume: u64,
    pub scls: Vec<(GroupNo, Lsn)>,
}

/// Why a writer's batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub volume: u64,
    /// The node's epoch.
    pub epoch: u32,
    pub reason: String,
}

/// What is to be written: `parts`, one behind the other, at `offset`; before that so many zeros at `reserve.0`.
#[derive(Debug)]
pub struct Write {
    pub offset: u64,
    pub parts: Vec<Bytes>,
    pub reserve: Option<(u64, usize)>,
}

#[derive(Debug)]
pub enum Begin {
    /// Nothing to write, or not now.
    Nothing,
    /// There is something to write and no file for it: `set_file`.
    File,
    Write(Write),
}

/// A write that is durable.
#[derive(Debug, Default)]
pub struct Written {
    /// May be told now.
    pub acks: Vec<Acks>,
    /// Acknowledgements wait for room in memory from now on (`release`).
    pub began_to_hold: bool,
}

struct Writing {
    payloads: Vec<Bytes>,
    acks: Vec<Acks>,
    size: u64,
}

#[derive(Clone, Copy)]
struct Place {
    position: u64,
    reserved: u64,
}

/// Sizes that a journal is written by.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// A file with so many bytes gets a successor.
    pub file: u64,
    /// Space is written ahead in steps: a sync that must also record a new file length costs half as much again.
    pub reserve: usize,
    /// A node that can't make anything durable takes no more than this; gossip brings the rest later.
    pub pending: usize,
}

pub struct Intake {
    sizes: Sizes,
    volumes: BTreeMap<u64, Shared>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    writing: Option<Writing>,
    under_way: bool,
    paused: bool,
    place: Option<Place>,
    /// The file can't be used any more.
    broken: bool,
    sequence: u64,
    accepted: u64,
    durable: u64,
    /// Of the file that is being written: the highest batch end, by volume and group.
    ends: BTreeMap<(u64, GroupNo), Lsn>,
    /// With more in memory acknowledgements wait.
    hold_above: Option<usize>,
    held: Vec<Acks>,
    pub writes: u64,
}

impl Intake {
    pub fn new(sizes: Sizes) -> Intake {
        Intake {
            sizes,
            volumes: BTreeMap::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            writing: None,
            under_way: false,
            paused: false,
            place: None,
            broken: false,
            sequence: 1,
            accepted: 0,
            durable: 0,
            ends: BTreeMap::new(),
            hold_above: None,
            held: Vec::new(),
            writes: 0,
        }
    }

    /// A volume's segments: new ones, or others in their place, which must have all that is durable. What is accepted
    /// and not durable yet is put into them.
    pub fn set_volume(&mut self, volume: u64, segments: Shared) -> Res<()> {
        let begun = self.writing.iter().flat_map(|writing| &writing.payloads);
        for payload in begun.chain(&self.pending) {
            if u64_at(payload, 8)? == volume {
                segments.lock().store.accept(payload.clone(), false)?;
            }
        }
        self.volumes.insert(volume, segments);
        Ok(())
    }

    /// A batch: from its writer (`fresh`), or by gossip. What is new goes to the journal. `None`: no such volume, or no room.
    pub fn accept(&mut self, batch: Bytes, fresh: bool) -> Res<Option<Verdict>> {
        let Some(segments) = self.volumes.get(&u64_at(&batch, 8)?) else {
            return Ok(None);
        };
        if self.pending_bytes > self.sizes.pending {
            return Ok(None);
        }
        let verdict = segments.lock().store.accept(batch.clone(), fresh)?;
        if matches!(verdict, Verdict::Joined | Verdict::Held) {
            self.pending_bytes += batch.len();
            self.pending.push(batch);
            self.accepted += 1;
        }
        Ok(Some(verdict))
    }

    /// A writer's message, batches or hints; what it is told at once.
    pub fn message(&mut self, message: &Bytes) -> Vec<Refused> {
        if let Some((volume, vdl, pgmrpl)) = hot::parse_hints(message) {
            if let Some(segments) = self.volumes.get(&volume) {
                segments.lock().store.set_hints(Lsn(vdl), Lsn(pgmrpl));
            }
            return Vec::new();
        }
        let batches = hot::parse_batches(message);
        batches
            .into_iter()
            .filter_map(|batch| self.take(batch))
            .collect()
    }

    /// A writer's batch, and what it is to be told when it is refused. What is known or has no room is passed over:
    /// it was acknowledged already, or gossip brings it again.
    pub fn take(&mut self, batch: Bytes) -> Option<Refused> {
        let volume = u64_at(&batch, 8).ok()?;
        let reason = match self.accept(batch, true) {
            Ok(Some(Verdict::Stale)) => "stale".to_owned(),
            Ok(Some(Verdict::Void)) => "void".to_owned(),
            Ok(Some(Verdict::Unknown)) => "unknown".to_owned(),
            Ok(Some(Verdict::Conflict)) => "conflict".to_owned(),
            Ok(_) => return None,
            Err(Stop::Error(error)) => format!("damaged batch: {}", error.message),
            Err(Stop::Need(need)) => format!("unexpected need {need:?}"),
        };
        let epoch = self.volumes.get(&volume)?.lock().store.epoch.0;
        Some(Refused {
            volume,
            epoch,
            reason,
        })
    }

    /// Where the next write goes: a new file.
    pub fn set_file(&mut self) {
        self.place = Some(Place {
            position: 0,
            reserved: 0,
        });
        self.broken = false;
    }

    /// Whether a file is wanted before anything can be written.
    pub fn wants_file(&self) -> bool {
        let full = |place: Place| place.position >= self.sizes.file;
        self.broken || self.place.is_none_or(full)
    }

    /// What a file got since it was begun: (volume, group, highest end).
    pub fn ends(&self) -> Vec<(u64, GroupNo, Lsn)> {
        let end = |(&(volume, group), &end): (&(u64, GroupNo), &Lsn)| (volume, group, end);
        self.ends.iter().map(end).collect()
    }

    /// The file's successor begins: what the old one got.
    pub fn take_ends(&mut self) -> Vec<(u64, GroupNo, Lsn)> {
        let ends = self.ends();
        self.ends.clear();
        ends
    }

    /// Whether there is something to write, and no write is under way.
    pub fn has_work(&self) -> bool {
        let idle = self.writing.is_none() && self.pending.is_empty();
        !self.under_way && !self.paused && !idle
    }

    /// The next write, which is under way from now on.
    pub fn begin(&mut self) -> Begin {
        if !self.has_work() {
            return Begin::Nothing;
        }
        let Some(mut place) = self.place.filter(|_| !self.wants_file()) else {
            return Begin::File;
        };
        let writing = self.writing.take().unwrap_or_else(|| self.gather());
        let mut parts = Vec::with_capacity(2 * writing.payloads.len());
        for (within, payload) in writing.payloads.iter().enumerate() {
            let sequence = self.sequence + within as u64;
            let mut header = Vec::with_capacity(journal::HEADER);
            journal::put_header(&mut header, BATCH, within, sequence, payload);
            parts.push(Bytes::new(header));
            parts.push(payload.clone());
        }
        let (size, step) = (writing.size, self.sizes.reserve);
        let mut reserve = None;
        if place.position + size > place.reserved && size < step as u64 / 4 {
            reserve = Some((place.reserved, step));
            place.reserved += step as u64;
        }
        self.place = Some(place);
        self.writing = Some(writing);
        self.under_way = true;
        self.writes += 1;
        Begin::Write(Write {
            offset: place.position,
            parts,
            reserve,
        })
    }

    fn gather(&mut self) -> Writing {
        let payloads = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let size = payloads
            .iter()
            .map(|p| p.len() + journal::HEADER)
            .sum::<usize>() as u64;
        let mut acks = Vec::new();
        for (&volume, segments) in &self.volumes {
            let scls = segments.lock().store.take_acks();
            if !scls.is_empty() {
                acks.push(Acks { volume, scls });
            }
        }
        Writing {
            payloads,
            acks,
            size,
        }
    }

    /// The write is durable.
    pub fn written(&mut self) -> Written {
        self.under_way = false;
        let Some(writing) = self.writing.take() else {
            return Written::default();
        };
        if let Some(place) = &mut self.place {
            place.position += writing.size;
            place.reserved = place.reserved.max(place.position);
        }
        self.sequence += writing.payloads.len() as u64;
        self.durable += writing.payloads.len() as u64;
        for payload in &writing.payloads {
            self.note(payload);
        }
        let mut acks = writing.acks;
        for one in &mut acks {
            if let Some(segments) = self.volumes.get(&one.volume) {
                // A recovery may have voided some since.
                segments.lock().store.note_durable(&mut one.scls);
            }
        }
        if self.held.is_empty() && !self.is_full() {
            return Written {
                acks,
                began_to_hold: false,
            };
        }
        let began_to_hold = self.held.is_empty();
        self.held.append(&mut acks);
        Written {
            acks,
            began_to_hold,
        }
    }

    fn note(&mut self, batch: &Bytes) {
        let fields = || -> Res<(u64, u32, u64)> {
            Ok((u64_at(batch, 8)?, u32_at(batch, 20)?, u64_at(batch, 40)?))
        };
        if let Ok((volume, group, end)) = fields() {
            let known = self.ends.entry((volume, GroupNo(group))).or_default();
            *known = (*known).max(Lsn(end));
        }
    }

    /// The write failed: it is made again in another file. This one ends at `position`.
    pub fn failed(&mut self) {
        self.under_way = false;
        self.broken = true;
    }

    /// Begin no write until told otherwise.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// While `limit` is set and memory is above it, acknowledgements wait.
    pub fn hold_above(&mut self, limit: Option<usize>) {
        self.hold_above = limit;
    }

    fn is_full(&self) -> bool {
        let memory = || {
            self.volumes
                .values()
                .map(|s| s.lock().memory())
                .sum::<usize>()
        };
        self.hold_above.is_some_and(|limit| memory() > limit)
    }

    /// Acknowledgements that waited and may be told now.
    pub fn release(&mut self, force: bool) -> Vec<Acks> {
        if self.held.is_empty() || (!force && self.is_full()) {
            return Vec::new();
        }
        std::mem::take(&mut self.held)
    }

    /// Payloads accepted, and durable, since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.accepted, self.durable)
    }

    /// Whether a write is under way.
    pub fn is_writing(&self) -> bool {
        self.under_way
    }

    /// Where the last sound entry of the file that is being written ends.
    pub fn position(&self) -> u64 {
        self.place.map_or(0, |place| place.position)
    }

    /// The number of the next journal entry.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batcher;
    use super::super::records::tests::insert;
    use super::super::store::Void;
    use super::*;
    use crate::base::Epoch;

    const SIZES: Sizes = Sizes {
        file: 2000,
        reserve: 4096,
        pending: 1 << 20,
    };

    struct Node {
        intake: Intake,
        segments: Shared,
        batcher: Batcher,
        end: u64,
    }

    impl Node {
        fn new() -> Node {
            let mut store = Store::new(1, 4);
            store.install_voids(Epoch(1), vec![]);
            let segments = Arc::new(Mutex::new(Segments::new(store)));
            let mut intake = Intake::new(SIZES);
            intake.set_volume(1, segments.clone()).unwrap();
            Node {
                intake,
                segments,
                batcher: Batcher::new(1, Epoch(1), 4),
                end: 0,
            }
        }

        /// A flush that touches page 1; its message and its end.
        fn flush(&mut self) -> (Bytes, Lsn) {
            let redo = insert(1, b"a row");
            let cut = self
                .batcher
                .cut(Lsn(self.end), &redo, Lsn(0), Lsn(0))
                .unwrap();
            self.end += redo.len() as u64;
            let message = hot::batches(cut.iter().map(|(_, batch)| batch.as_slice()));
            (Bytes::new(message), Lsn(self.end))
        }

        fn write(&mut self) -> Write {
            match self.intake.begin() {
                Begin::Write(write) => write,
                other => panic!("{other:?}"),
            }
        }
    }

    fn told(written: &Written) -> Vec<Lsn> {
        written
            .acks
            .iter()
            .flat_map(|acks| &acks.scls)
            .map(|(_, scl)| *scl)
            .collect()
    }

    #[test]
    fn what_comes_during_a_write_goes_out_with_the_next_and_is_told_after_it() {
        let mut node = Node::new();
        let (first, first_end) = node.flush();
        let (second, second_end) = node.flush();
        assert_eq!(node.intake.message(&first), []);
        assert!(matches!(node.intake.begin(), Begin::File));
        node.intake.set_file();
        let write = node.write();
        assert_eq!(
            (write.offset, write.parts.len(), write.reserve),
            (0, 2, Some((0, 4096)))
        );
        assert_eq!(node.intake.message(&second), []);
        assert!(
            matches!(node.intake.begin(), Begin::Nothing),
            "one at a time"
        );
        assert_eq!(node.segments.lock().store.durable(), []);
        assert_eq!(told(&node.intake.written()), [first_end]);
        assert_eq!(
            node.segments.lock().store.durable(),
            [(GroupNo(0), first_end)]
        );
        let size: usize = write.parts.iter().map(|part| part.len()).sum();
        let write = node.write();
        assert_eq!((write.offset, write.reserve), (size as u64, None));
        assert_eq!(told(&node.intake.written()), [second_end]);
        assert_eq!(node.intake.ends(), [(1, GroupNo(0), second_end)]);
        assert_eq!(
            node.intake.message(&first),
            [],
            "known: acknowledged already"
        );
        assert!(matches!(node.intake.begin(), Begin::Nothing));
    }

    #[test]
    fn a_failed_write_is_made_again_in_a_new_file_before_anything_later() {
        let mut node = Node::new();
        let (first, first_end) = node.flush();
        let (second, second_end) = node.flush();
        node.intake.message(&first);
        node.intake.set_file();
        node.write();
        node.intake.message(&second);
        node.intake.failed();
        assert!(matches!(node.intake.begin(), Begin::File));
        assert_eq!(node.intake.position(), 0);
        node.intake.set_file();
        assert_eq!(node.write().parts.len(), 2);
        assert_eq!(told(&node.intake.written()), [first_end]);
        node.write();
        assert_eq!(told(&node.intake.written()), [second_end]);
        assert_eq!(node.intake.counts(), (2, 2));
    }

    #[test]
    fn a_file_that_is_full_gets_a_successor() {
        let mut node = Node::new();
        node.intake.set_file();
        while !node.intake.wants_file() {
            let (message, _) = node.flush();
            node.intake.message(&message);
            node.write();
            node.intake.written();
        }
        assert!(node.intake.position() >= SIZES.file);
        let ends = node.intake.take_ends();
        assert_eq!(ends, [(1, GroupNo(0), Lsn(node.end))]);
        node.intake.set_file();
        assert!(node.intake.ends().is_empty() && !node.intake.wants_file());
    }

    #[test]
    fn what_recovery_has_voided_is_not_told_when_it_becomes_durable() {
        let mut node = Node::new();
        let (first, first_end) = node.flush();
        let (second, second_end) = node.flush();
        node.intake.set_file();
        node.intake.message(&first);
        node.intake.message(&second);
        node.write();
        let void = Void {
            epoch: Epoch(2),
            start: first_end,
            end: Lsn(second_end.0 + 1000),
        };
        node.segments
            .lock()
            .store
            .install_voids(Epoch(2), vec![void]);
        assert_eq!(told(&node.intake.written()), [first_end]);
        let (third, _) = node.flush();
        let refused = node.intake.message(&third);
        assert_eq!((refused[0].epoch, refused[0].reason.as_str()), (2, "stale"));
    }

    #[test]
    fn acknowledgements_wait_while_memory_is_over_its_bound() {
        let mut node = Node::new();
        node.intake.set_file();
        node.intake.hold_above(Some(1));
        let mut ends = Vec::new();
        for first in [true, false] {
            let (message, end) = node.flush();
            ends.push(end);
            node.intake.message(&message);
            node.write();
            let written = node.intake.written();
            assert_eq!((told(&written), written.began_to_hold), (vec![], first));
        }
        assert!(node.intake.release(false).is_empty());
        node.intake.hold_above(None);
        let released = node.intake.release(false);
        let scls: Vec<Lsn> = released
            .iter()
            .flat_map(|acks| &acks.scls)
            .map(|(_, scl)| *scl)
            .collect();
        assert_eq!(scls, ends);
    }

    #[test]
    fn segments_that_take_the_place_of_others_get_what_is_not_durable_yet() {
        let mut node = Node::new();
        node.intake.set_file();
        let (first, first_end) = node.flush();
        let (second, second_end) = node.flush();
        node.intake.message(&first);
        node.write();
        node.intake.failed();
        node.intake.message(&second);
        node.intake.pause(true);
        node.intake.set_file();
        assert!(matches!(node.intake.begin(), Begin::Nothing));
        let mut store = Store::new(1, 4);
        store.install_voids(Epoch(1), vec![]);
        let fresh = Arc::new(Mutex::new(Segments::new(store)));
        node.intake.set_volume(1, fresh.clone()).unwrap();
        node.intake.pause(false);
        node.write();
        assert_eq!(told(&node.intake.written()), [first_end]);
        node.write();
        assert_eq!(told(&node.intake.written()), [second_end]);
        assert_eq!(fresh.lock().store.durable(), [(GroupNo(0), second_end)]);
    }

    #[test]
    fn damaged_and_foreign_messages_change_nothing() {
        let mut node = Node::new();
        let (message, _) = node.flush();
        for at in 1..message.len() {
            let mut bytes = message.to_vec();
            bytes[at] ^= 4;
            node.intake.message(&Bytes::new(bytes));
            node.intake.message(&message.slice(0, at));
        }
        assert_eq!(node.intake.counts(), (0, 0));
        assert_eq!(node.intake.message(&message), []);
        assert_eq!(node.intake.counts(), (1, 0));
    }
}
