//! A set of rows: those that a recursive UNION has made, or that IN asks about. The newest are in a table; when it is full it becomes a run in a temporary file, sorted by
//! the rows' hashes. Of rows in runs a filter of bits says quickly that one is not among them; rows of which it can't say that are doubtful,
//! and looked up together: a doubtful row costs at most one block of each run. Eight runs of a level are merged into one of the next.

use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::{hash_rows, lower, same_rows, Groups, Order};
use crate::exec::runs::{block_rows, Merge};
use crate::exec::spill::{spill, SpillFile};
use crate::expr::Env;
use crate::types::oids;
use crate::types::registry::{find, TypeInfo};
use std::sync::Arc;

/// Runs of one level that become one of the next.
const RUNS: usize = 8;
/// Bytes of the filter, at least and at most; between them it is as big as work_mem.
const FILTER: (usize, usize) = if cfg!(test) {
    (16, 64)
} else {
    (2 << 20, 64 << 20)
};
/// Of a block, when all runs have become one: a row that is looked up alone should not cost much.
const PIECES: usize = 8;
/// Bits of the filter that stand for one row.
const PROBES: u64 = 4;

/// Rows sorted by their hashes, which are the last column.
struct Run {
    file: Arc<SpillFile>,
    /// Each block's first hash.
    fences: Vec<i64>,
}

/// A run on its way to its file.
struct Writing {
    file: SpillFile,
    fences: Vec<i64>,
    level: usize,
    from: From,
    /// Rows that come next, and the place in them.
    block: Option<Batch>,
    at: usize,
}

enum From {
    /// The table's rows in this order, from this one on.
    Table { order: Vec<u32>, at: usize },
    /// All runs of the level before.
    Runs(Box<Merge>),
    /// All runs there are.
    All(Box<Merge>),
}

/// Doubtful rows on their way through the runs.
struct Check {
    /// By hash.
    order: Vec<u32>,
    seen: Vec<bool>,
    /// Run, place in `order`, and block that come next.
    run: usize,
    at: usize,
    block: usize,
    /// The block at work: its run, its number, its rows.
    rows: Option<(usize, usize, Batch)>,
}

pub struct Seen {
    infos: Vec<&'static TypeInfo>,
    by_hash: [Order; 1],
    table: Groups,
    hashes: Vec<i64>,
    levels: Vec<Vec<Run>>,
    filter: Vec<u64>,
    doubtful: Batch,
    doubtful_hashes: Vec<i64>,
    writing: Option<Writing>,
    check: Option<Check>,
    /// There will be one run.
    united: bool,
    /// `has` is at work: what it knows, and which rows are doubtful.
    asked: Option<(Vec<bool>, Vec<u32>)>,
}

impl Seen {
    pub fn new(infos: &[&'static TypeInfo]) -> Seen {
        Seen {
            infos: infos.to_vec(),
            by_hash: [Order {
                info: find(oids::INT8).expect("int8 is a type"),
                desc: false,
                nulls_first: false,
            }],
            table: Groups::new(infos.to_vec()),
            hashes: Vec::new(),
            levels: Vec::new(),
            filter: Vec::new(),
            doubtful: Batch::default(),
            doubtful_hashes: Vec::new(),
            writing: None,
            check: None,
            united: false,
            asked: None,
        }
    }

    /// Take rows in, whether they are new or not. Nothing may be left to `settle`.
    pub fn add(&mut self, batch: &Batch) -> Res<()> {
        let hashes = hash_rows(&self.infos, &batch.columns, batch.len)?;
        for (i, &hash) in hashes.iter().enumerate() {
            if self.table.add(&batch.columns, i, hash).1 {
                self.hashes.push(hash as i64);
            }
        }
        Ok(())
    }

    /// Rows of a batch that are new; whether others are, `resolve` says. Nothing may be left to `settle`.
    pub fn fresh(&mut self, batch: &Batch) -> Res<Vec<u32>> {
        let hashes = hash_rows(&self.infos, &batch.columns, batch.len)?;
        let (mut fresh, mut doubtful) = (Vec::new(), Vec::new());
        for (i, &hash) in hashes.iter().enumerate() {
            if self.table.find(&batch.columns, i, hash).is_some() {
                continue;
            }
            if self.may_be_in_runs(hash) {
                doubtful.push(i as u32);
                self.doubtful_hashes.push(hash as i64);
            } else {
                self.table.insert(&batch.columns, i, hash);
                self.hashes.push(hash as i64);
                fresh.push(i as u32);
            }
        }
        if !doubtful.is_empty() {
            self.doubtful.take_in(batch.gather(&doubtful));
        }
        Ok(fresh)
    }

    /// Are there so many doubtful rows that they should be looked up now?
    pub fn is_crowded(&self, env: &Env) -> bool {
        self.check.is_some()
            || self.doubtful.len > 0 && self.doubtful.bytes() > env.setup.work_mem / 4
    }

    // ---- the filter

    fn bits(&self, hash: u64) -> impl Iterator<Item = usize> {
        let (mask, step) = (self.filter.len() * 64 - 1, hash.rotate_left(32) | 1);
        (0..PROBES).map(move |i| hash.wrapping_add(step.wrapping_mul(i)) as usize & mask)
    }

    fn may_be_in_runs(&self, hash: u64) -> bool {
        !self.filter.is_empty()
            && self
                .bits(hash)
                .all(|bit| self.filter[bit / 64] >> (bit % 64) & 1 == 1)
    }

    fn note(&mut self, work_mem: usize) {
        if self.filter.is_empty() {
            let bytes = work_mem.clamp(FILTER.0, FILTER.1).next_power_of_two();
            self.filter = vec![0; bytes / 8];
        }
        for hash in std::mem::take(&mut self.hashes) {
            for bit in self.bits(hash as u64) {
                self.filter[bit / 64] |= 1 << (bit % 64);
            }
        }
    }

    // ---- runs

    /// Bring a full table, and levels that are full, into files; after `Need` call again.
    pub fn settle(&mut self, env: &mut Env) -> Res<()> {
        let Some(to) = spill(env) else {
            return Ok(());
        };
        loop {
            let Some(writing) = &mut self.writing else {
                let from = if self.table.bytes() > env.setup.work_mem / 2 {
                    let mut order: Vec<u32> = (0..self.table.len() as u32).collect();
                    order.sort_unstable_by_key(|&i| self.hashes[i as usize]);
                    (0, From::Table { order, at: 0 })
                } else if let Some(level) = self.levels.iter().position(|l| l.len() >= RUNS) {
                    let merge = self.merge(self.levels[level].iter());
                    (level + 1, From::Runs(merge))
                } else if self.united && self.levels.iter().flatten().count() > 1 {
                    (0, From::All(self.merge(self.levels.iter().flatten())))
                } else {
                    return Ok(());
                };
                self.writing = Some(Writing {
                    file: SpillFile::new(to.clone()),
                    fences: Vec::new(),
                    level: from.0,
                    from: from.1,
                    block: None,
                    at: 0,
                });
                continue;
            };
            env.pulse()?;
            if writing.block.is_none() {
                writing.block = match &mut writing.from {
                    From::Table { order, at } => {
                        let to = order.len().min(*at + block_rows(&self.table.keys));
                        let rows = &order[*at..to];
                        *at = to;
                        let mut block = self.table.keys.gather(rows);
                        let hashes = rows.iter().map(|&i| self.hashes[i as usize]);
                        block
                            .columns
                            .push(Vector::Int(hashes.collect(), Vec::new()));
                        (block.len > 0).then_some(block)
                    }
                    From::Runs(merge) | From::All(merge) => merge.next(&self.by_hash)?,
                };
            }
            match &writing.block {
                Some(block) => {
                    let part = match writing.from {
                        From::All(_) => block.len.div_ceil(PIECES),
                        _ => block.len,
                    };
                    let rows: Vec<u32> = (writing.at as u32..block.len as u32).take(part).collect();
                    writing.file.push_rows(block, &rows)?;
                    env.charge(rows.len());
                    writing.fences.push(hash_at(block, writing.at));
                    writing.at += rows.len();
                    if writing.at == block.len {
                        (writing.block, writing.at) = (None, 0);
                    }
                }
                None => self.written(env.setup.work_mem),
            }
        }
    }

    fn merge<'r>(&self, runs: impl Iterator<Item = &'r Run>) -> Box<Merge> {
        let runs = runs.map(|r| (r.file.clone(), 0..r.fences.len()));
        Box::new(Merge::new(runs, &[self.infos.len()]))
    }

    /// No more rows come: make one run of all, for `has`. After `Need` call again.
    pub fn unite(&mut self, env: &mut Env) -> Res<()> {
        self.united = true;
        self.settle(env)
    }

    fn written(&mut self, work_mem: usize) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        let level = writing.level;
        match writing.from {
            From::Table { .. } => {
                self.note(work_mem);
                self.table = Groups::new(self.infos.clone());
            }
            From::Runs(_) => self.levels[level - 1].clear(),
            From::All(_) => self.levels.clear(),
        }
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(Run {
            file: Arc::new(writing.file),
            fences: writing.fences,
        });
    }

    // ---- doubtful rows

    /// Which rows of a batch are in the set. After `Need` call again with the same.
    pub fn has(&mut self, env: &mut Env, batch: &Batch) -> Res<Vec<bool>> {
        if self.asked.is_none() {
            let hashes = hash_rows(&self.infos, &batch.columns, batch.len)?;
            let in_table = |(i, &hash)| self.table.find(&batch.columns, i, hash).is_some();
            let known: Vec<bool> = hashes.iter().enumerate().map(in_table).collect();
            let doubtful: Vec<u32> = (0..batch.len as u32)
                .filter(|&i| !known[i as usize] && self.may_be_in_runs(hashes[i as usize]))
                .collect();
            let rows = doubtful.iter().map(|&i| hashes[i as usize] as i64);
            self.doubtful_hashes = rows.collect();
            self.doubtful = batch.gather(&doubtful);
            self.asked = Some((known, doubtful));
        }
        let seen = self.look_up(env)?;
        self.doubtful_hashes.clear();
        self.doubtful = Batch::default();
        let (mut known, doubtful) = self.asked.take().unwrap_or_default();
        for (i, seen) in doubtful.into_iter().zip(seen) {
            known[i as usize] = seen;
        }
        Ok(known)
    }

    /// Which of the doubtful rows are in runs. After `Need` call again.
    fn look_up(&mut self, env: &mut Env) -> Res<Vec<bool>> {
        let hashes = &self.doubtful_hashes;
        let check = self.check.get_or_insert_with(|| {
            let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
            order.sort_unstable_by_key(|&i| hashes[i as usize]);
            Check {
                seen: vec![false; order.len()],
                order,
                run: 0,
                at: 0,
                block: 0,
                rows: None,
            }
        });
        for (i, run) in self.levels.iter().flatten().enumerate().skip(check.run) {
            check.pass(env, run, i, &self.infos, &self.doubtful, hashes)?;
            (check.run, check.at, check.block) = (i + 1, 0, 0);
        }
        let seen = std::mem::take(&mut check.seen);
        self.check = None;
        Ok(seen)
    }

    /// Doubtful rows that turn out to be new; none are doubtful afterwards. After `Need` call again.
    pub fn resolve(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.doubtful.len == 0 {
            return Ok(None);
        }
        let seen = self.look_up(env)?;
        let rows = std::mem::take(&mut self.doubtful);
        let mut fresh = Vec::new();
        let hashes = std::mem::take(&mut self.doubtful_hashes);
        for (i, hash) in hashes.into_iter().enumerate() {
            // Equal ones among the doubtful rows themselves meet in the table.
            if !seen[i] && self.table.add(&rows.columns, i, hash as u64).1 {
                self.hashes.push(hash);
                fresh.push(i as u32);
            }
        }
        Ok((!fresh.is_empty()).then(|| rows.gather(&fresh)))
    }
}

impl Check {
    /// Look all doubtful rows up in one run.
    fn pass(
        &mut self,
        env: &mut Env,
        run: &Run,
        number: usize,
        infos: &[&'static TypeInfo],
        rows: &Batch,
        hashes: &[i64],
    ) -> Res<()> {
        while let Some(&row) = self.order.get(self.at) {
            let hash = hashes[row as usize];
            // The blocks that may have this hash.
            let first = run
                .fences
                .partition_point(|&f| f < hash)
                .saturating_sub(1)
                .max(self.block);
            let end = run.fences.partition_point(|&f| f <= hash);
            for block in first..end {
                if self.seen[row as usize] {
                    break;
                }
                self.block = block;
                let known = |(r, b, _): &&(usize, usize, Batch)| (*r, *b) == (number, block);
                if self.rows.as_ref().filter(known).is_none() {
                    env.pulse()?;
                    let found = run.file.block(block)?.unwrap_or_default();
                    env.charge(found.len);
                    self.rows = Some((number, block, found));
                }
                let Some((_, _, found)) = &self.rows else {
                    continue;
                };
                let from = lower(found.len, |i| hash_at(found, i) < hash);
                self.seen[row as usize] |= (from..found.len)
                    .take_while(|&i| hash_at(found, i) == hash)
                    .any(|i| same_rows(infos, &found.columns, i, &rows.columns, row as usize));
            }
            (self.at, self.block) = (self.at + 1, 0);
        }
        Ok(())
    }
}

fn hash_at(block: &Batch, row: usize) -> i64 {
    match block.columns.last() {
        Some(Vector::Int(hashes, _)) => hashes[row],
        _ => 0,
    }
}
