//! A hash join's two sides cut into partitions by hash, in temporary files: rows that can be partners meet in the same one.

use super::Op;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::hash_rows;
use crate::exec::spill::{partition_block, scatter, spill, RowFile};
use crate::expr::{Env, Operator};
use crate::types::registry::TypeInfo;
use std::borrow::Borrow;

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
    files: [Vec<RowFile>; 2],
    /// Blocks may be full.
    settled: bool,
    pub right_done: bool,
    /// A right batch whose keys are not evaluated yet.
    pub pending: Option<Batch>,
}

pub const RIGHT: usize = 0;
pub const LEFT: usize = 1;

impl Split {
    pub fn new(level: u32, env: &Env) -> Option<Split> {
        Split::of(level, PARTITIONS, env)
    }

    /// Both sides as they are, in one partition.
    pub fn uncut(env: &Env) -> Option<Split> {
        Split::of(0, 1, env)
    }

    /// None: there is no place for files.
    fn of(level: u32, ways: usize, env: &Env) -> Option<Split> {
        let spill = spill(env)?;
        let block = partition_block(env.setup.hash_mem());
        let files = || {
            (0..ways)
                .map(|_| RowFile::new(spill.clone(), block))
                .collect()
        };
        Some(Split {
            level,
            ways,
            files: [files(), files()],
            settled: true,
            right_done: false,
            pending: None,
        })
    }

    /// Where rows with such keys belong, for `add`.
    pub fn places<V: Borrow<Vector>>(
        &self,
        keys: &[V],
        infos: &[&'static TypeInfo],
        len: usize,
    ) -> Res<Vec<u32>> {
        let place = |hash: u64| (hash >> (4 * self.level)) as usize % self.ways;
        let hashes = hash_rows(infos, keys, len)?.into_iter();
        Ok(hashes.map(|hash| place(hash) as u32).collect())
    }

    /// Rows of one side on their way to its files.
    pub fn add(&mut self, side: usize, batch: Batch, places: &[u32]) {
        self.settled = false;
        scatter(batch, places, &mut self.files[side]);
    }

    /// What was added, as far as it makes blocks; after `Need` call again.
    pub fn write(&mut self) -> Res<()> {
        if !self.settled {
            self.files
                .iter_mut()
                .flatten()
                .try_for_each(RowFile::settle)?;
            self.settled = true;
        }
        Ok(())
    }

    pub fn parts(self) -> impl Iterator<Item = Part> {
        let level = self.level + 1;
        let [right, left] = self.files;
        let most = right.iter().map(RowFile::len).sum::<usize>() / 10 * 9;
        right
            .into_iter()
            .zip(left)
            .filter(|(r, l)| !r.is_empty() || !l.is_empty())
            .map(move |(right, left)| Part {
                stubborn: level >= LEVELS || right.len() > most,
                right: FileScan::open(right),
                left: FileScan::open(left),
                level,
            })
    }
}

/// Rows of a temporary file.
struct FileScan {
    file: RowFile,
    at: usize,
}

impl FileScan {
    fn open(file: RowFile) -> Op {
        Box::new(FileScan { file, at: 0 })
    }
}

impl Operator for FileScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        env.pulse()?;
        let batch = self.file.block(self.at)?;
        env.charge(batch.as_ref().map_or(0, |b| b.len));
        self.at += usize::from(batch.is_some());
        Ok(batch)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.at = 0;
        Ok(())
    }
}
