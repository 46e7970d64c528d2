//! Actions for the statement's end, or for COMMIT, first come first served: rows of their parameters, in memory up to work_mem, later ones
//! in a temporary file.

use super::modify::AfterNode;
use crate::base::{Oid, Res};
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::kept::Room;
use crate::exec::spill::SpillFile;
use crate::types::Datum;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// One action.
pub struct Queued {
    pub after: Arc<AfterNode>,
    pub params: Vec<Datum>,
}

#[derive(Clone)]
enum Rows {
    Memory(Batch),
    File(Arc<Mutex<SpillFile>>, usize),
}

/// Rows of parameters of one kind of action.
type Actions = (Arc<AfterNode>, Batch);

#[derive(Clone, Default)]
pub struct Queue {
    stored: VecDeque<(Arc<AfterNode>, Rows)>,
    /// Bytes of what is stored in memory.
    bytes: usize,
    file: Option<Arc<Mutex<SpillFile>>>,
    /// Not stored yet: too few to be stored, but for those that `settle` is to store. At most one of each action is still growing.
    closed: VecDeque<Actions>,
    open: Vec<Actions>,
    /// What `pop` takes from, and the next row.
    current: Option<Actions>,
    at: usize,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
            && self.closed.is_empty()
            && self.open.is_empty()
            && self.current.is_none()
    }

    /// The rows' order among those of other actions is kept but for the last few. To be followed by `settle`.
    pub fn push(&mut self, after: &Arc<AfterNode>, rows: Batch) {
        let known = self.open.iter().position(|(a, _)| Arc::ptr_eq(a, after));
        let place = known.unwrap_or(self.open.len());
        match self.open.get_mut(place) {
            Some((_, open)) => open.take_in(rows),
            None => self.open.push((after.clone(), rows)),
        }
        if self.open[place].1.len >= BATCH_ROWS {
            self.closed.extend(self.open.drain(..=place));
        }
    }

    /// Store what was pushed; after `Need` call again.
    pub fn settle(&mut self, room: &Room) -> Res<()> {
        while let Some((_, rows)) = self.closed.front() {
            let bytes = rows.bytes();
            let place = match room.file(self.bytes + bytes) {
                Some(spill) => {
                    let new = || Arc::new(Mutex::new(SpillFile::new(spill)));
                    let shared = self.file.get_or_insert_with(new).clone();
                    let mut file = shared.lock();
                    file.push(rows)?;
                    Some((shared.clone(), file.blocks() - 1))
                }
                None => None,
            };
            let Some((after, rows)) = self.closed.pop_front() else {
                return Ok(());
            };
            let rows = match place {
                Some((file, block)) => Rows::File(file, block),
                None => {
                    self.bytes += bytes;
                    Rows::Memory(rows)
                }
            };
            self.stored.push_back((after, rows));
        }
        Ok(())
    }

    /// The next action; after `Need` call again.
    pub fn pop(&mut self, room: &Room) -> Res<Option<Queued>> {
        loop {
            if let Some((after, rows)) = self.current.as_ref().filter(|c| self.at < c.1.len) {
                self.at += 1;
                return Ok(Some(Queued {
                    after: after.clone(),
                    params: rows.row(self.at - 1),
                }));
            }
            self.current = None;
            self.settle(room)?;
            if let Some((_, Rows::File(file, block))) = self.stored.front() {
                let rows = file.lock().block(*block)?.unwrap_or_default();
                self.current = self.stored.pop_front().map(|(after, _)| (after, rows));
            } else if let Some((after, Rows::Memory(rows))) = self.stored.pop_front() {
                self.bytes -= rows.bytes();
                self.current = Some((after, rows));
            } else if !self.open.is_empty() {
                self.file = None;
                self.closed.extend(self.open.drain(..));
            } else {
                self.file = None;
                return Ok(None);
            }
            self.at = 0;
        }
    }

    /// What there are actions of.
    pub fn kinds(&self) -> impl Iterator<Item = &AfterNode> {
        let stored = self.stored.iter().map(|(after, _)| after);
        let rest = self.closed.iter().chain(&self.open).chain(&self.current);
        stored.chain(rest.map(|(after, _)| after)).map(Arc::as_ref)
    }

    /// Actions of these constraints, and the others. Of a queue that nothing was taken from.
    pub fn split(self, oids: &[Oid]) -> (Queue, Queue) {
        let (mut named, mut rest) = (Queue::default(), Queue::default());
        let is_named = |after: &AfterNode| oids.contains(&after.oid);
        for (after, rows) in self.stored {
            let queue = match is_named(&after) {
                true => &mut named,
                false => &mut rest,
            };
            if let Rows::Memory(rows) = &rows {
                queue.bytes += rows.bytes();
            }
            queue.stored.push_back((after, rows));
        }
        for (after, rows) in self.closed.into_iter().chain(self.open) {
            match is_named(&after) {
                true => named.closed.push_back((after, rows)),
                false => rest.closed.push_back((after, rows)),
            }
        }
        (named, rest)
    }
}
