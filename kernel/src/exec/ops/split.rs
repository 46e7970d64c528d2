//! A hash join's two sides cut into partitions by hash, in temporary files: rows that can be partners meet in the same one.

use super::Op;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::hash_rows;
use crate::exec::spill::SpillFile;
use crate::expr::{Env, Operator, Spill};
use crate::types::registry::TypeInfo;
use std::sync::Arc;

pub const PARTITIONS: usize = 16;
/// A partition is not cut more often than this.
pub const LEVELS: u32 = 6;

/// One partition: the right side's rows, the left side's, and how often they were cut.
pub struct Part {
    pub right: Op,
    pub left: Op,
    pub level: u32,
    /// Cutting it again would not make it smaller: nearly all of the right side is in it (one key, mostly).
    pub stubborn: bool,
}

pub struct Split {
    level: u32,
    ways: usize,
    /// Right files, then left files.
    files: [Vec<Option<SpillFile>>; 2],
    unwritten: Vec<(usize, usize, Batch)>,
    pub right_done: bool,
    /// A right batch whose keys are not evaluated yet.
    pub pending: Option<Batch>,
}

pub const RIGHT: usize = 0;
pub const LEFT: usize = 1;

impl Split {
    pub fn new(level: u32) -> Split {
        Split::of(level, PARTITIONS)
    }

    /// Both sides as they are, in one partition.
    pub fn uncut() -> Split {
        Split::of(0, 1)
    }

    fn of(level: u32, ways: usize) -> Split {
        let empty = || (0..ways).map(|_| None).collect();
        Split {
            level,
            ways,
            files: [empty(), empty()],
            unwritten: Vec::new(),
            right_done: false,
            pending: None,
        }
    }

    /// Rows of one side on their way to its files.
    pub fn add(
        &mut self,
        side: usize,
        batch: &Batch,
        keys: &[Vector],
        infos: &[&'static TypeInfo],
    ) {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.ways];
        for (i, hash) in hash_rows(infos, keys, batch.len).into_iter().enumerate() {
            rows[(hash >> (4 * self.level)) as usize % self.ways].push(i as u32);
        }
        for (partition, rows) in rows.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            self.unwritten.push((side, partition, batch.gather(rows)));
        }
    }

    pub fn write(&mut self, spill: &Arc<dyn Spill>) -> Res<()> {
        while let Some((side, partition, batch)) = self.unwritten.last() {
            let file =
                self.files[*side][*partition].get_or_insert_with(|| SpillFile::new(spill.clone()));
            file.push(batch)?;
            self.unwritten.pop();
        }
        Ok(())
    }

    pub fn parts(self) -> impl Iterator<Item = Part> {
        let level = self.level + 1;
        let [right, left] = self.files;
        let rows = |file: &Option<SpillFile>| file.as_ref().map_or(0, |f| f.rows);
        let most = right.iter().map(rows).sum::<usize>() / 10 * 9;
        right
            .into_iter()
            .zip(left)
            .filter(|(r, l)| r.is_some() || l.is_some())
            .map(move |(right, left)| Part {
                stubborn: level >= LEVELS || rows(&right) > most,
                right: FileScan::open(right),
                left: FileScan::open(left),
                level,
            })
    }
}

/// Rows of a temporary file.
struct FileScan {
    file: Option<SpillFile>,
    at: usize,
}

impl FileScan {
    fn open(file: Option<SpillFile>) -> Op {
        Box::new(FileScan { file, at: 0 })
    }
}

impl Operator for FileScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        env.pulse()?;
        let batch = file.block(self.at)?;
        env.charge(batch.as_ref().map_or(0, |b| b.len));
        self.at += usize::from(batch.is_some());
        Ok(batch)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.at = 0;
        Ok(())
    }
}
