//! Rows kept under their numbers, to be read in any order: in memory up to work_mem, what comes later in a temporary file.

use super::batch::Batch;
use super::kept::{Kept, Room};
use super::spill::BLOCK_BYTES;
use crate::base::Res;

pub struct Numbered {
    room: Room,
    kept: Kept,
    /// Of each chunk in `kept`, the number of the row after its last.
    ends: Vec<u64>,
    /// The newest rows, which make no chunk yet.
    last: Batch,
    bytes: usize,
    /// The chunk of a file that was read last.
    read: Option<(usize, Batch)>,
    /// Rows before this number are gone.
    first: u64,
}

impl Numbered {
    pub fn new(room: Room) -> Numbered {
        Numbered {
            room,
            kept: Kept::default(),
            ends: Vec::new(),
            last: Batch::default(),
            bytes: 0,
            read: None,
            first: 0,
        }
    }

    /// How many rows have come.
    pub fn len(&self) -> u64 {
        self.chunks_end() + self.last.len as u64
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn chunks_end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(self.first)
    }

    /// To be stored by `settle`, before anything else is asked.
    pub fn push(&mut self, batch: Batch) {
        if self.bytes >= BLOCK_BYTES {
            self.ends.push(self.len());
            self.kept.push(std::mem::take(&mut self.last));
            self.bytes = 0;
        }
        self.bytes += batch.bytes();
        self.last.take_in(batch);
    }

    /// After `Need` call again.
    pub fn settle(&mut self) -> Res<()> {
        self.kept.settle(&self.room)
    }

    /// All rows are gone; their numbers stay given out.
    pub fn forget(&mut self) {
        self.first = self.len();
        self.ends.clear();
        self.kept = Kept::default();
        self.last = Batch::default();
        self.bytes = 0;
        self.read = None;
    }

    /// The batch that has a row, and where in it; none where there is no such row (any more). After `Need` call again.
    pub fn row(&mut self, number: u64) -> Res<Option<(&Batch, usize)>> {
        if number < self.first || number >= self.len() {
            return Ok(None);
        }
        let end = self.chunks_end();
        if number >= end {
            return Ok(Some((&self.last, (number - end) as usize)));
        }
        let chunk = self.ends.partition_point(|&end| end <= number);
        let start = match chunk.checked_sub(1) {
            Some(before) => self.ends[before],
            None => self.first,
        };
        let at = (number - start) as usize;
        if self.kept.in_memory(chunk).is_none()
            && self.read.as_ref().is_none_or(|(read, _)| *read != chunk)
        {
            self.read = None;
            self.read = self.kept.get(chunk)?.map(|batch| (chunk, batch));
        }
        let batch = self.kept.in_memory(chunk);
        Ok(batch
            .or(self.read.as_ref().map(|(_, batch)| batch))
            .map(|batch| (batch, at)))
    }
}
