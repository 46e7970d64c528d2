//! Batches kept to be read again: in memory up to work_mem, what comes later in a temporary file.

use super::batch::Batch;
use super::spill::{spill, SpillFile};
use crate::base::{Res, Spill};
use crate::expr::Env;
use std::sync::Arc;

/// What an execution may take of memory, and where it goes beyond.
pub struct Room {
    bytes: usize,
    spill: Option<Arc<dyn Spill>>,
}

impl Room {
    pub fn new(bytes: usize, spill: Option<Arc<dyn Spill>>) -> Room {
        Room { bytes, spill }
    }

    pub fn of(env: &Env) -> Room {
        Room::new(env.setup.work_mem, spill(env))
    }

    /// Where what would make it so many bytes must go, if not into memory.
    pub fn file(&self, bytes: usize) -> Option<Arc<dyn Spill>> {
        match bytes > self.bytes {
            true => self.spill.clone(),
            false => None,
        }
    }
}

#[derive(Default)]
pub struct Kept {
    memory: Vec<Batch>,
    bytes: usize,
    file: Option<SpillFile>,
    /// Pushed and not yet stored.
    waiting: Option<Batch>,
}

impl Kept {
    /// To be stored by `settle`, before the next `push`.
    pub fn push(&mut self, batch: Batch) {
        self.waiting = Some(batch);
    }

    /// Store what was pushed; after `Need` call again.
    pub fn settle(&mut self, room: &Room) -> Res<()> {
        let Some(batch) = &self.waiting else {
            return Ok(());
        };
        let bytes = batch.bytes();
        match &room.spill {
            Some(spill) if self.file.is_some() || self.bytes + bytes > room.bytes => {
                self.file
                    .get_or_insert_with(|| SpillFile::new(spill.clone()))
                    .push(batch)?;
                self.waiting = None;
            }
            _ => {
                self.bytes += bytes;
                self.memory.extend(self.waiting.take());
            }
        }
        Ok(())
    }

    /// Does a pushed batch wait for being stored?
    pub fn is_settling(&self) -> bool {
        self.waiting.is_some()
    }

    /// How many batches are stored.
    pub fn batches(&self) -> usize {
        self.memory.len() + self.file.as_ref().map_or(0, SpillFile::blocks)
    }

    /// Batch `i`, if it is not in the file.
    pub fn in_memory(&self, i: usize) -> Option<&Batch> {
        self.memory.get(i)
    }

    /// Batch `i`; after `Need` call again.
    pub fn get(&self, i: usize) -> Res<Option<Batch>> {
        match (self.memory.get(i), &self.file) {
            (Some(batch), _) => Ok(Some(batch.clone())),
            (None, Some(file)) => file.block(i - self.memory.len()),
            (None, None) => Ok(None),
        }
    }
}
