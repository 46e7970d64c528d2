//! Rows in the order of some of their columns: in memory up to work_mem, beyond that in sorted runs in a temporary file, which are merged;
//! in several passes where there are many. Rows with equal keys keep the order in which they came.

use super::batch::{Batch, Vector, BATCH_ROWS};
use super::keys::Order;
use super::order::sorted;
use super::runs::{block_rows, fan, Merge};
use super::spill::{spill, SpillFile};
use crate::base::error::fail;
use crate::base::{pace, Res, Spill};
use crate::expr::Env;
use std::ops::Range;
use std::sync::Arc;

/// What sorting a row counts as, in bytes of `pace::heavy`.
const ROW_COST: usize = 32;

enum Phase {
    Reading,
    /// The buffer goes to the file, in this order from this row on.
    Spilling {
        order: Vec<u32>,
        at: usize,
        last: bool,
    },
    /// The buffer is given out.
    Memory {
        order: Vec<u32>,
        at: usize,
    },
    /// There are more runs than are merged at once: some are on their way to be one run of another file.
    Combining {
        old: Runs,
        done: usize,
        merge: Merge,
        waiting: Option<Batch>,
    },
    /// Runs are merged.
    Merging(Merge),
}

/// Sorted runs, one after the other in one file.
#[derive(Default)]
struct Runs {
    file: Option<Arc<SpillFile>>,
    /// The block after each run.
    ends: Vec<usize>,
}

impl Runs {
    fn file(&mut self, spill: Arc<dyn Spill>) -> Res<&mut SpillFile> {
        let file = self
            .file
            .get_or_insert_with(|| Arc::new(SpillFile::new(spill)));
        match Arc::get_mut(file) {
            Some(file) => Ok(file),
            None => fail("XX000", "a file of sorted runs is written while it is read"),
        }
    }

    fn end_run(&mut self) {
        self.ends.push(self.file.as_ref().map_or(0, |f| f.blocks()));
    }

    /// The merge of some of the runs.
    fn merge(&self, runs: Range<usize>, keys: &[usize]) -> Merge {
        let starts = std::iter::once(&0).chain(&self.ends);
        let blocks = starts.zip(&self.ends).map(|(from, to)| *from..*to);
        let blocks = blocks.skip(runs.start).take(runs.len());
        let file = self.file.iter().cycle().cloned();
        Merge::new(file.zip(blocks), keys)
    }
}

pub struct Sorter {
    orders: Vec<Order>,
    /// The first key is a number of a group, from 0 on.
    grouped: bool,
    /// The columns that it is sorted by.
    keys: Vec<usize>,
    /// What is not in runs yet.
    pub rows: Batch,
    pub bytes: usize,
    phase: Phase,
    runs: Runs,
}

impl Sorter {
    /// `keys`: the columns that `orders` are of.
    pub fn new(orders: &[Order], keys: Vec<usize>, grouped: bool) -> Sorter {
        Sorter {
            orders: orders.to_vec(),
            keys,
            grouped,
            rows: Batch::default(),
            bytes: 0,
            phase: Phase::Reading,
            runs: Runs::default(),
        }
    }

    /// Before the first rows.
    pub fn set_keys(&mut self, keys: Vec<usize>) {
        self.keys = keys;
    }

    pub fn push(&mut self, rows: Batch) {
        self.bytes += rows.bytes();
        self.rows.take_in(rows);
    }

    /// The columns of some rows that they are sorted by.
    pub fn keys<'r>(&self, rows: &'r Batch) -> Vec<&'r Vector> {
        self.keys.iter().map(|&k| &rows.columns[k]).collect()
    }

    /// The order of the rows in memory.
    pub fn order(&self) -> Res<Vec<u32>> {
        if self.rows.len == 0 {
            return Ok(Vec::new());
        }
        pace::heavy(self.rows.len * ROW_COST)?;
        let keys = self.keys(&self.rows);
        match keys.split_first() {
            Some((Vector::Int(groups, _), keys)) if self.grouped => {
                sorted_in_groups(&self.orders[1..], groups, keys)
            }
            _ => sorted(&self.orders, &keys, self.rows.len),
        }
    }

    /// Keeps to work_mem; between any two `push`es. After `Need` call again.
    pub fn settle(&mut self, env: &Env) -> Res<()> {
        if matches!(self.phase, Phase::Reading)
            && self.bytes > env.setup.work_mem
            && env.setup.spill.is_some()
        {
            self.phase = Phase::Spilling {
                order: self.order()?,
                at: 0,
                last: false,
            };
        }
        self.spilling(env)
    }

    /// All rows have come.
    pub fn end(&mut self) -> Res<()> {
        let (order, at) = (self.order()?, 0);
        self.phase = match self.runs.ends.is_empty() {
            true => Phase::Memory { order, at },
            false => Phase::Spilling {
                order,
                at,
                last: true,
            },
        };
        Ok(())
    }

    /// Is it after `end`?
    pub fn has_ended(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Reading | Phase::Spilling { last: false, .. }
        )
    }

    /// Does it need no file?
    pub fn is_in_memory(&self) -> bool {
        matches!(self.phase, Phase::Reading | Phase::Memory { .. })
    }

    /// Give all rows once more; false when that is not possible.
    pub fn rewind(&mut self) -> bool {
        match &mut self.phase {
            Phase::Memory { at, .. } => {
                *at = 0;
                true
            }
            _ => false,
        }
    }

    /// The next rows, with as many of the columns, after `end`. After `Need` call again.
    pub fn next(&mut self, env: &mut Env, columns: usize) -> Res<Option<Batch>> {
        loop {
            match &self.phase {
                Phase::Reading => return Ok(None),
                Phase::Spilling { .. } => self.spilling(env)?,
                Phase::Combining { .. } => self.combining(env)?,
                Phase::Memory { .. } => return self.memory(env, columns),
                Phase::Merging(_) => return self.merging(env, columns),
            }
        }
    }

    fn spilling(&mut self, env: &Env) -> Res<()> {
        let (Phase::Spilling { order, at, last }, Some(spill)) = (&mut self.phase, spill(env))
        else {
            return Ok(());
        };
        let rows = block_rows(&self.rows);
        while *at < order.len() {
            let to = (*at + rows).min(order.len());
            self.runs
                .file(spill.clone())?
                .push_rows(&self.rows, &order[*at..to])?;
            *at = to;
        }
        let last = *last;
        self.runs.end_run();
        self.rows.clear();
        self.bytes = 0;
        self.phase = Phase::Reading;
        if last {
            self.start_merge(env);
        }
        Ok(())
    }

    /// All runs are written.
    fn start_merge(&mut self, env: &Env) {
        let (count, fan) = (self.runs.ends.len(), fan(env.setup.work_mem));
        if count <= fan {
            self.phase = Phase::Merging(self.runs.merge(0..count, &self.keys));
            return;
        }
        let old = std::mem::take(&mut self.runs);
        self.phase = Phase::Combining {
            merge: old.merge(0..fan, &self.keys),
            old,
            done: fan,
            waiting: None,
        };
    }

    /// One block of a run that is made of several.
    fn combining(&mut self, env: &mut Env) -> Res<()> {
        env.pulse()?;
        let (
            Phase::Combining {
                old,
                done,
                merge,
                waiting,
            },
            Some(spill),
        ) = (&mut self.phase, spill(env))
        else {
            return Ok(());
        };
        if waiting.is_none() {
            *waiting = merge.next(&self.orders)?;
        }
        if let Some(block) = waiting {
            self.runs.file(spill)?.push(block)?;
            env.charge(block.len);
            *waiting = None;
            return Ok(());
        }
        self.runs.end_run();
        let (from, all) = (*done, old.ends.len());
        if from < all {
            *done = all.min(from + fan(env.setup.work_mem));
            *merge = old.merge(from..*done, &self.keys);
        } else {
            self.start_merge(env);
        }
        Ok(())
    }

    fn merging(&mut self, env: &mut Env, columns: usize) -> Res<Option<Batch>> {
        env.tick(BATCH_ROWS)?;
        let Phase::Merging(merge) = &mut self.phase else {
            return Ok(None);
        };
        let mut out = merge.next(&self.orders)?;
        if let Some(out) = &mut out {
            out.columns.truncate(columns);
        }
        Ok(out)
    }

    fn memory(&mut self, env: &mut Env, columns: usize) -> Res<Option<Batch>> {
        let Phase::Memory { order, at } = &mut self.phase else {
            return Ok(None);
        };
        if *at >= order.len() {
            return Ok(None);
        }
        env.tick(BATCH_ROWS)?;
        let to = (*at + BATCH_ROWS).min(order.len());
        let rows = &order[*at..to];
        *at = to;
        let columns = self.rows.columns[..columns]
            .iter()
            .map(|c| c.gather(rows))
            .collect();
        Ok(Some(Batch {
            columns,
            len: rows.len(),
        }))
    }
}

/// Each group's rows are sorted by themselves: what `sorted` is quick at are first keys that differ.
fn sorted_in_groups(orders: &[Order], groups: &[i64], keys: &[&Vector]) -> Res<Vec<u32>> {
    let count = groups.iter().max().map_or(0, |&g| g as usize + 1);
    let mut ends = vec![0; count + 1];
    groups.iter().for_each(|&g| ends[g as usize + 1] += 1);
    for g in 0..count {
        ends[g + 1] += ends[g];
    }
    let starts = ends.clone();
    let mut rows = vec![0; groups.len()];
    for (row, &g) in groups.iter().enumerate() {
        rows[ends[g as usize]] = row as u32;
        ends[g as usize] += 1;
    }
    for bounds in starts.windows(2).filter(|b| b[1] - b[0] > 1) {
        let own = &mut rows[bounds[0]..bounds[1]];
        let keys: Vec<Vector> = keys.iter().map(|k| k.gather(own)).collect();
        let order = sorted(orders, &keys, own.len())?;
        let in_order: Vec<u32> = order.iter().map(|&i| own[i as usize]).collect();
        own.copy_from_slice(&in_order);
    }
    Ok(rows)
}
