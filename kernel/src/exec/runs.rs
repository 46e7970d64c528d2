//! Sorted runs in temporary files, and their merge. Rows that are equal come in the runs' order.

use super::batch::{Batch, BATCH_ROWS};
use super::keys::Order;
use super::order::{leads, Leads};
use super::spill::{SpillFile, BLOCK_BYTES};
use crate::base::Res;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// How many rows of such a batch make a block.
pub fn block_rows(rows: &Batch) -> usize {
    let row = rows.bytes() / rows.len.max(1);
    (BLOCK_BYTES / row.max(1)).clamp(1, BATCH_ROWS)
}

/// How many runs are merged at once.
pub fn fan(work_mem: usize) -> usize {
    (work_mem / BLOCK_BYTES).clamp(8, 256)
}

/// A run: blocks of a file.
struct Run {
    file: Arc<SpillFile>,
    blocks: Range<usize>,
    batch: Batch,
    /// What the first key's values say of the rows' order.
    leads: Leads,
    at: usize,
}

impl Run {
    /// Makes sure of a row; false at the end.
    fn fill(&mut self, orders: &[Order], keys: &[usize]) -> Res<bool> {
        while self.at >= self.batch.len {
            if self.blocks.is_empty() {
                return Ok(false);
            }
            match self.file.block(self.blocks.start)? {
                Some(batch) => {
                    self.leads = match (orders.first(), keys.first()) {
                        (Some(order), Some(&key)) => leads(order, &batch.columns[key], batch.len),
                        _ => None,
                    };
                    self.batch = batch;
                    self.blocks.start += 1;
                    self.at = 0;
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Runs on their way to be one.
pub struct Merge {
    runs: Vec<Run>,
    /// The key columns.
    keys: Vec<usize>,
    /// Numbers of the runs that have rows, best first.
    heap: Option<Vec<usize>>,
    out: Batch,
    /// Rows that are put out at once.
    most: usize,
}

impl Merge {
    pub fn new(
        runs: impl Iterator<Item = (Arc<SpillFile>, Range<usize>)>,
        keys: &[usize],
    ) -> Merge {
        let run = |(file, blocks)| Run {
            file,
            blocks,
            batch: Batch::default(),
            leads: None,
            at: 0,
        };
        Merge {
            runs: runs.map(run).collect(),
            keys: keys.to_vec(),
            heap: None,
            out: Batch::default(),
            most: BATCH_ROWS,
        }
    }

    /// The next rows, keys included; after `Need` call again.
    pub fn next(&mut self, orders: &[Order]) -> Res<Option<Batch>> {
        let mut heap = match self.heap.take() {
            Some(heap) => heap,
            None => {
                let mut heap = Vec::new();
                for (i, run) in self.runs.iter_mut().enumerate() {
                    if run.fill(orders, &self.keys)? {
                        heap.push(i);
                    }
                }
                for at in (0..heap.len()).rev() {
                    self.sift(orders, &mut heap, at);
                }
                heap
            }
        };
        let result = self.merge(orders, &mut heap);
        self.heap = Some(heap);
        result?;
        let out = std::mem::take(&mut self.out);
        Ok((out.len > 0).then_some(out))
    }

    fn merge(&mut self, orders: &[Order], heap: &mut Vec<usize>) -> Res<()> {
        while self.out.len < self.most {
            let Some(&first) = heap.first() else {
                return Ok(());
            };
            // The best run's row was given; it needs another before it can be compared again.
            if self.runs[first].at >= self.runs[first].batch.len {
                if !self.runs[first].fill(orders, &self.keys)? {
                    heap.swap_remove(0);
                }
                self.sift(orders, heap, 0);
                continue;
            }
            let run = &mut self.runs[first];
            if self.out.width() != run.batch.width() {
                self.most = block_rows(&run.batch);
                self.out = run.batch.slice(0, 0);
            }
            self.out.push_taken(&mut run.batch, run.at);
            run.at += 1;
            if run.at < run.batch.len {
                self.sift(orders, heap, 0);
            }
        }
        Ok(())
    }

    fn better(&self, orders: &[Order], a: usize, b: usize) -> bool {
        let (x, y) = (&self.runs[a], &self.runs[b]);
        if let (Some(x_leads), Some(y_leads)) = (&x.leads, &y.leads) {
            match x_leads[x.at].cmp(&y_leads[y.at]) {
                Ordering::Equal => {}
                order => return order == Ordering::Less,
            }
        }
        for (order, &key) in orders.iter().zip(&self.keys) {
            let (k, l) = (&x.batch.columns[key], &y.batch.columns[key]);
            match order.compare(k, x.at, l, y.at) {
                Ordering::Equal => {}
                order => return order == Ordering::Less,
            }
        }
        a < b
    }

    fn sift(&self, orders: &[Order], heap: &mut [usize], mut at: usize) {
        loop {
            let mut best = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < heap.len() && self.better(orders, heap[child], heap[best]) {
                    best = child;
                }
            }
            if best == at {
                return;
            }
            heap.swap(at, best);
            at = best;
        }
    }
}
