//! The entries of an index that is built, in order: sorted in memory up to a bound, beyond that in sorted runs in a temporary file, which
//! are merged; in several passes where there are many.
//!
//! A block of a run is a list of entries: flags u8 (1: of a living row whose key must be unique), then the entry as it stands in a cell.

use crate::base::error::{corrupt, fail};
use crate::base::{pace, varint, Res, RowId, Spill};
use std::cmp::Ordering;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;

/// More is never sorted at once, whatever the bound: a sort sees no cancel.
const SORT_BYTES: usize = 192 << 20;
/// About so long are the blocks of a run. A merge has one of each run in memory.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of entries that a merge gives at once.
const MERGED_BYTES: usize = 512 << 10;
/// So many entries may come between two looks whether there are enough.
pub const STEP: usize = 1000;

/// An entry's place in `Sorted::bytes`, where it stands as a cell.
#[derive(Clone, Copy)]
pub struct Item {
    /// The entry's first bytes, which mostly decide its order.
    prefix: u128,
    at: usize,
    len: u16,
    /// Where the entry begins in its cell.
    head: u8,
    /// Of a living row whose key must be unique.
    pub unique: bool,
}

fn prefix(entry: &[u8]) -> u128 {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(entry) {
        *to = *from;
    }
    u128::from_be_bytes(first)
}

/// Entries in memory.
#[derive(Default)]
pub struct Sorted {
    bytes: Vec<u8>,
    pub items: Vec<Item>,
}

impl Sorted {
    pub fn cell(&self, item: &Item) -> &[u8] {
        self.bytes
            .get(item.at..item.at + usize::from(item.len))
            .unwrap_or(&[])
    }

    pub fn entry(&self, item: &Item) -> &[u8] {
        self.cell(item).get(usize::from(item.head)..).unwrap_or(&[])
    }

    /// The entry without its row id.
    pub fn key(&self, item: &Item) -> &[u8] {
        let entry = self.entry(item);
        entry.get(..entry.len().saturating_sub(8)).unwrap_or(&[])
    }

    pub fn push(&mut self, key: &[u8], id: RowId, unique: bool) {
        self.add(key, &id.0.to_be_bytes(), unique);
    }

    /// An entry in two parts.
    fn add(&mut self, first: &[u8], second: &[u8], unique: bool) {
        let at = self.bytes.len();
        varint::put(&mut self.bytes, (first.len() + second.len()) as u64);
        let head = self.bytes.len() - at;
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
        let entry = self.bytes.get(at + head..).unwrap_or(&[]);
        self.items.push(Item {
            prefix: prefix(entry),
            at,
            len: (self.bytes.len() - at) as u16,
            head: head as u8,
            unique,
        });
    }

    /// Has the entry before this one the same key?
    pub fn continues(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.items.get(before));
        match (before, self.items.get(at)) {
            (Some(a), Some(b)) => self.key(a) == self.key(b),
            _ => false,
        }
    }

    /// Only the last entries, those of one key, are left: how many.
    pub fn keep_last_key(&mut self) -> usize {
        let mut from = self.items.len().saturating_sub(1);
        while self.continues(from) {
            from -= 1;
        }
        let mut rest = Sorted::default();
        for item in self.items.get(from..).unwrap_or(&[]) {
            rest.add(self.entry(item), &[], item.unique);
        }
        *self = rest;
        self.items.len()
    }

    fn sort(&mut self) -> Res<()> {
        pace::heavy(self.items.len() * size_of::<Item>())?;
        let mut items = std::mem::take(&mut self.items);
        items.sort_unstable_by(|a, b| match a.prefix.cmp(&b.prefix) {
            Ordering::Equal => self.entry(a).cmp(self.entry(b)),
            order => order,
        });
        self.items = items;
        Ok(())
    }

    /// About as long is a cell.
    fn average(&self) -> usize {
        self.bytes.len() / self.items.len().max(1) + 1
    }

    /// Make room for so many entries like those that there are, as far as they fit into `bytes`: growing by and by would copy them.
    fn reserve(&mut self, entries: u64, bytes: usize) {
        let cell = self.average();
        let most = bytes / (size_of::<Item>() + cell);
        let entries = usize::try_from(entries).map_or(most, |entries| entries.min(most));
        self.items.reserve_exact(entries);
        self.bytes.reserve_exact(entries * cell);
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.items.len() * size_of::<Item>()
    }

    /// Would many more need more than `bytes`, if only while what there is is copied?
    fn is_full(&self, bytes: usize) -> bool {
        let grows = self.items.len() + STEP > self.items.capacity()
            || self.bytes.len() + STEP * self.average() > self.bytes.capacity();
        let room = self.bytes.capacity() + self.items.capacity() * size_of::<Item>();
        self.size() >= bytes || (grows && 2 * room > bytes)
    }
}

/// Sorted runs, one after the other in one temporary file, which is removed when this is dropped.
struct Runs {
    spill: Arc<dyn Spill>,
    file: Option<u64>,
    /// Where blocks lie.
    blocks: Vec<(u64, usize)>,
    end: u64,
    /// The block after each run.
    ends: Vec<usize>,
}

impl Runs {
    fn new(spill: Arc<dyn Spill>) -> Runs {
        Runs {
            spill,
            file: None,
            blocks: Vec::new(),
            end: 0,
            ends: Vec::new(),
        }
    }

    /// Append a block of the entries from `at` on, and say which is the next. After `Need` call again.
    fn put(&mut self, sorted: &Sorted, at: usize) -> Res<usize> {
        let file = match self.file {
            Some(file) => file,
            None => *self.file.insert(self.spill.create()?),
        };
        let mut bytes = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 16);
        let mut next = at;
        for item in sorted.items.get(at..).unwrap_or(&[]) {
            if bytes.len() >= BLOCK_BYTES {
                break;
            }
            bytes.push(u8::from(item.unique));
            bytes.extend_from_slice(sorted.cell(item));
            next += 1;
        }
        self.spill.write(file, &bytes)?;
        self.blocks.push((self.end, bytes.len()));
        self.end += bytes.len() as u64;
        Ok(next)
    }

    fn end_run(&mut self) {
        self.ends.push(self.blocks.len());
    }

    fn block(&self, at: usize) -> Res<Vec<u8>> {
        match (self.file, self.blocks.get(at)) {
            (Some(file), Some(&(offset, len))) => self.spill.read(file, offset, len),
            _ => fail("XX000", "a run of index entries has no such block"),
        }
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        if let Some(file) = self.file {
            self.spill.remove(file);
        }
    }
}

/// A run that is read.
struct Run {
    blocks: Range<usize>,
    bytes: Vec<u8>,
    at: usize,
}

impl Run {
    /// Makes sure of an entry in memory, where there is one left. After `Need` call again.
    fn fill(&mut self, runs: &Runs) -> Res<()> {
        if self.at >= self.bytes.len() && !self.blocks.is_empty() {
            self.bytes = runs.block(self.blocks.start)?;
            self.blocks.start += 1;
            self.at = 0;
        }
        Ok(())
    }

    /// The next entry in place of what `head` has; false at the end.
    fn next(&mut self, head: &mut Head) -> Res<bool> {
        let Some(&flags) = self.bytes.get(self.at) else {
            return Ok(false);
        };
        self.at += 1;
        let len = varint::get(&self.bytes, &mut self.at)? as usize;
        let end = self.at.saturating_add(len);
        let Some(entry) = self.bytes.get(self.at..end) else {
            return corrupt("a block of index entries ends too early");
        };
        head.entry.clear();
        head.entry.extend_from_slice(entry);
        head.prefix = prefix(entry);
        head.unique = flags & 1 != 0;
        self.at = end;
        Ok(true)
    }
}

/// A run's lowest entry. The lowest of all is the greatest in a heap.
#[derive(PartialEq, Eq)]
struct Head {
    prefix: u128,
    entry: Vec<u8>,
    unique: bool,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        let key = |head: &Head| head.prefix;
        key(other)
            .cmp(&key(self))
            .then_with(|| other.entry.cmp(&self.entry))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Runs on their way to be one.
struct Merge {
    runs: Arc<Runs>,
    inputs: Vec<Run>,
    /// So many inputs are in the heap, or empty.
    begun: usize,
    heap: BinaryHeap<Head>,
}

impl Merge {
    fn new(runs: &Arc<Runs>, some: Range<usize>) -> Merge {
        let starts = std::iter::once(&0).chain(&runs.ends);
        let blocks = starts.zip(&runs.ends).map(|(from, to)| *from..*to);
        let run = |blocks| Run {
            blocks,
            bytes: Vec::new(),
            at: 0,
        };
        Merge {
            runs: Arc::clone(runs),
            inputs: blocks.skip(some.start).take(some.len()).map(run).collect(),
            begun: 0,
            heap: BinaryHeap::new(),
        }
    }

    /// Some more entries to `out`; nothing at the end. After `Need` those that have come count, and there may be others.
    fn give(&mut self, out: &mut Sorted) -> Res<()> {
        while let Some(input) = self.inputs.get_mut(self.begun) {
            input.fill(&self.runs)?;
            let mut head = Head {
                prefix: 0,
                entry: Vec::new(),
                unique: false,
                run: self.begun,
            };
            if input.next(&mut head)? {
                self.heap.push(head);
            }
            self.begun += 1;
        }
        while out.size() < MERGED_BYTES {
            let Some(mut head) = self.heap.peek_mut() else {
                return Ok(());
            };
            let Some(input) = self.inputs.get_mut(head.run) else {
                return fail("XX000", "a merge has no such run");
            };
            // Before anything has changed.
            input.fill(&self.runs)?;
            out.add(&head.entry, &[], head.unique);
            if !input.next(&mut head)? {
                PeekMut::pop(head);
            }
        }
        Ok(())
    }
}

enum Phase {
    Reading,
    /// What is in memory goes to a run, from this entry on.
    Spilling {
        at: usize,
        last: bool,
    },
    /// There are more runs than are merged at once: some, up to number `done`, are on their way to be one run of another file.
    Combining {
        merge: Merge,
        done: usize,
        /// The next entry in memory to be written.
        at: usize,
    },
    Memory,
    Merging(Merge),
}

/// Takes entries in, and gives them out in order.
pub struct Sorter {
    /// Bytes in memory.
    most: usize,
    spill: Arc<dyn Spill>,
    pub sorted: Sorted,
    runs: Runs,
    phase: Phase,
}

impl Sorter {
    pub fn new(bytes: usize, spill: Arc<dyn Spill>) -> Sorter {
        Sorter {
            most: bytes.min(SORT_BYTES),
            runs: Runs::new(spill.clone()),
            spill,
            sorted: Sorted::default(),
            phase: Phase::Reading,
        }
    }

    /// Keeps to the bound; after each `STEP` entries. `entries`: how many there will be, about. After `Need` call again.
    pub fn settle(&mut self, entries: u64) -> Res<()> {
        if matches!(self.phase, Phase::Reading) && !self.sorted.items.is_empty() {
            if self.sorted.items.len() <= STEP {
                self.sorted.reserve(entries, self.most);
            }
            if self.sorted.is_full(self.most) {
                self.sorted.sort()?;
                self.phase = Phase::Spilling { at: 0, last: false };
            }
        }
        self.spilling()
    }

    /// All entries have come. After `Need` call again.
    pub fn end(&mut self) -> Res<()> {
        if matches!(self.phase, Phase::Reading) {
            self.sorted.sort()?;
            self.phase = match self.runs.ends.is_empty() {
                true => Phase::Memory,
                false => Phase::Spilling { at: 0, last: true },
            };
        }
        Ok(())
    }

    /// More entries, in order, to `out`; nothing at the end. After `Need` those that have come count, and there may be others.
    pub fn give(&mut self, out: &mut Sorted) -> Res<()> {
        loop {
            match &mut self.phase {
                Phase::Reading => return Ok(()),
                Phase::Spilling { .. } => self.spilling()?,
                Phase::Combining { .. } => self.combining()?,
                Phase::Memory => {
                    *out = std::mem::take(&mut self.sorted);
                    self.phase = Phase::Reading;
                    return Ok(());
                }
                Phase::Merging(merge) => return merge.give(out),
            }
        }
    }

    fn spilling(&mut self) -> Res<()> {
        let Phase::Spilling { at, last } = &mut self.phase else {
            return Ok(());
        };
        while *at < self.sorted.items.len() {
            *at = self.runs.put(&self.sorted, *at)?;
        }
        let last = *last;
        self.runs.end_run();
        self.sorted = Sorted::default();
        self.phase = Phase::Reading;
        if last {
            self.start_merge();
        }
        Ok(())
    }

    /// How many runs are merged at once.
    fn fan(&self) -> usize {
        (self.most / BLOCK_BYTES).clamp(8, 1024)
    }

    /// All runs are written.
    fn start_merge(&mut self) {
        let runs = std::mem::replace(&mut self.runs, Runs::new(self.spill.clone()));
        let (runs, fan) = (Arc::new(runs), self.fan());
        self.phase = match runs.ends.len() {
            count if count <= fan => Phase::Merging(Merge::new(&runs, 0..count)),
            _ => Phase::Combining {
                merge: Merge::new(&runs, 0..fan),
                done: fan,
                at: 0,
            },
        };
    }

    /// A block of a run that is made of several.
    fn combining(&mut self) -> Res<()> {
        let fan = self.fan();
        let Phase::Combining { merge, done, at } = &mut self.phase else {
            return Ok(());
        };
        if *at >= self.sorted.items.len() {
            (self.sorted, *at) = (Sorted::default(), 0);
            merge.give(&mut self.sorted)?;
        }
        if !self.sorted.items.is_empty() {
            *at = self.runs.put(&self.sorted, *at)?;
            return Ok(());
        }
        self.runs.end_run();
        let from = *done;
        if from < merge.runs.ends.len() {
            *done = merge.runs.ends.len().min(from + fan);
            *merge = Merge::new(&Arc::clone(&merge.runs), from..*done);
        } else {
            self.start_merge();
        }
        Ok(())
    }
}
