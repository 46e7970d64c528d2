//! Sorting: in memory up to work_mem, beyond that in sorted runs that are merged; only the best rows under a limit.
//! Rows with equal keys keep the order in which they came.

use super::{Input, Op};
use crate::base::{pace, Res};
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::keys::compare_rows;
use crate::exec::nodes::SortNode;
use crate::exec::order::sorted;
use crate::exec::spill::{spill, SpillFile};
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::cmp::Ordering;
use std::sync::Arc;

/// What sorting a row counts as, in bytes of `pace::heavy`.
const ROW_COST: usize = 32;

/// A sorted run in a file, read back a block at a time. Its rows are the input's columns, then the keys.
struct Run {
    file: SpillFile,
    block: usize,
    batch: Batch,
    at: usize,
}

impl Run {
    /// Makes sure of a row; false at the end.
    fn fill(&mut self) -> Res<bool> {
        while self.at >= self.batch.len {
            match self.file.block(self.block)? {
                Some(batch) => {
                    self.batch = batch;
                    self.block += 1;
                    self.at = 0;
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

enum Phase {
    Reading,
    /// The buffer goes to a file, in this order from this row on.
    Spilling {
        order: Vec<u32>,
        at: usize,
        file: SpillFile,
        last: bool,
    },
    /// The buffer is given out.
    Memory {
        order: Vec<u32>,
        at: usize,
    },
    /// Runs are merged; `heap` has the numbers of those that have rows, best first.
    Merging {
        heap: Option<Vec<usize>>,
    },
}

pub struct Sort {
    node: Arc<SortNode>,
    input: Input,
    states: [State; 2],
    limit: Option<Option<usize>>,
    /// Input columns, then keys.
    rows: Batch,
    width: usize,
    bytes: usize,
    /// The first rows of `rows`, as many as the limit, are the best so far, in order.
    ordered: bool,
    phase: Phase,
    runs: Vec<Run>,
    out: Batch,
    given: usize,
}

impl Sort {
    pub fn new(node: Arc<SortNode>, input: Op) -> Sort {
        Sort {
            node,
            input: Input::new(input),
            states: Default::default(),
            limit: None,
            rows: Batch::default(),
            width: 0,
            bytes: 0,
            ordered: false,
            phase: Phase::Reading,
            runs: Vec::new(),
            out: Batch::default(),
            given: 0,
        }
    }

    fn prepare(&mut self, env: &mut Env) -> Res<()> {
        if self.limit.is_none() {
            self.limit = Some(match &self.node.limit {
                None => None,
                Some(p) => match p.values(env, &mut self.states[0])?.pop() {
                    Some(Datum::Int(n)) if n >= 0 => usize::try_from(n).ok(),
                    _ => None,
                },
            });
        }
        Ok(())
    }

    fn limit(&self) -> Option<usize> {
        self.limit.flatten()
    }

    fn order(&self) -> Res<Vec<u32>> {
        if self.rows.len == 0 {
            return Ok(Vec::new());
        }
        pace::heavy(self.rows.len * ROW_COST)?;
        sorted(
            &self.node.orders,
            &self.rows.columns[self.width..],
            self.rows.len,
        )
    }

    /// Take one input batch in; false at the end.
    fn read(&mut self, env: &mut Env) -> Res<bool> {
        if !self.input.fill(env)? {
            return Ok(false);
        }
        let keys = self
            .node
            .keys
            .eval(env, &mut self.states[1], self.input.batch())?;
        let mut batch = self.input.take();
        self.width = batch.width();
        batch.columns.extend(keys);
        if let Some(better) = self.better_rows(&batch) {
            batch = batch.gather(&better);
        }
        self.bytes += batch.bytes();
        self.rows.append(&batch);
        if let Some(limit) = self.limit() {
            if self.rows.len > limit.saturating_mul(2).max(BATCH_ROWS) {
                let mut order = self.order()?;
                order.truncate(limit);
                self.rows = self.rows.gather(&order);
                self.bytes = self.rows.bytes();
                self.ordered = true;
            }
        }
        Ok(true)
    }

    /// Rows of a batch that are better than the worst of the best so far; none: all may be.
    fn better_rows(&self, batch: &Batch) -> Option<Vec<u32>> {
        let worst = self.limit().filter(|_| self.ordered)?.checked_sub(1)?;
        if worst >= self.rows.len {
            return None;
        }
        let keys = batch.columns.get(self.width..)?;
        let best = self.rows.columns.get(self.width..)?;
        let better = |row: &u32| {
            compare_rows(&self.node.orders, keys, *row as usize, best, worst) == Ordering::Less
        };
        Some((0..batch.len as u32).filter(better).collect())
    }

    fn reading(&mut self, env: &mut Env) -> Res<()> {
        loop {
            let more = self.read(env)?;
            let full = self.bytes > env.setup.work_mem;
            match spill(env) {
                Some(spill) if (more && full) || (!more && !self.runs.is_empty()) => {
                    let (order, file) = (self.order()?, SpillFile::new(spill));
                    self.phase = Phase::Spilling {
                        order,
                        at: 0,
                        file,
                        last: !more,
                    };
                    return Ok(());
                }
                _ if !more => {
                    let order = self.order()?;
                    self.phase = Phase::Memory { order, at: 0 };
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    fn spilling(&mut self) -> Res<()> {
        let Phase::Spilling {
            order, at, file, ..
        } = &mut self.phase
        else {
            return Ok(());
        };
        while *at < order.len() {
            let to = (*at + BATCH_ROWS).min(order.len());
            file.push(&self.rows.gather(&order[*at..to]))?;
            *at = to;
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Reading);
        if let Phase::Spilling { file, last, .. } = phase {
            self.runs.push(Run {
                file,
                block: 0,
                batch: Batch::default(),
                at: 0,
            });
            self.rows = Batch::default();
            self.bytes = 0;
            self.ordered = false;
            if last {
                self.phase = Phase::Merging { heap: None };
            }
        }
        Ok(())
    }

    fn better(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.runs[a], &self.runs[b]);
        let keys = |r: &Run| -> std::ops::Range<usize> { self.width..r.batch.width() };
        let order = compare_rows(
            &self.node.orders,
            &x.batch.columns[keys(x)],
            x.at,
            &y.batch.columns[keys(y)],
            y.at,
        );
        order.then(a.cmp(&b)) == Ordering::Less
    }

    fn sift(&self, heap: &mut [usize], mut at: usize) {
        loop {
            let mut best = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < heap.len() && self.better(heap[child], heap[best]) {
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

    fn merging(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        env.tick(BATCH_ROWS)?;
        let mut heap = match &mut self.phase {
            Phase::Merging { heap: Some(heap) } => std::mem::take(heap),
            _ => {
                let mut heap = Vec::new();
                for (i, run) in self.runs.iter_mut().enumerate() {
                    if run.fill()? {
                        heap.push(i);
                    }
                }
                for at in (0..heap.len()).rev() {
                    self.sift(&mut heap, at);
                }
                heap
            }
        };
        let result = self.merge(&mut heap);
        self.phase = Phase::Merging { heap: Some(heap) };
        result?;
        let mut out = std::mem::take(&mut self.out);
        out.columns.truncate(self.width);
        Ok((out.len > 0).then_some(out))
    }

    fn merge(&mut self, heap: &mut Vec<usize>) -> Res<()> {
        while self.out.len < BATCH_ROWS {
            let Some(&first) = heap.first() else {
                return Ok(());
            };
            // The best run's row was given; it needs another before it can be compared again.
            if self.runs[first].at >= self.runs[first].batch.len {
                if !self.runs[first].fill()? {
                    heap.swap_remove(0);
                }
                self.sift(heap, 0);
                continue;
            }
            let run = &mut self.runs[first];
            if self.out.width() != run.batch.width() {
                self.out = run.batch.slice(0, 0);
            }
            self.out.push_from(&run.batch, run.at);
            run.at += 1;
            if run.at < run.batch.len {
                self.sift(heap, 0);
            }
        }
        Ok(())
    }

    fn memory(&mut self, env: &mut Env) -> Res<Option<Batch>> {
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
        let columns = self.rows.columns[..self.width]
            .iter()
            .map(|c| c.gather(rows))
            .collect();
        Ok(Some(Batch {
            columns,
            len: rows.len(),
        }))
    }
}

impl Operator for Sort {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        self.prepare(env)?;
        if self.limit().is_some_and(|l| self.given >= l) {
            return Ok(None);
        }
        let batch = loop {
            match &self.phase {
                Phase::Reading => self.reading(env)?,
                Phase::Spilling { .. } => self.spilling()?,
                Phase::Memory { .. } => break self.memory(env)?,
                Phase::Merging { .. } => break self.merging(env)?,
            }
        };
        let Some(mut batch) = batch else {
            return Ok(None);
        };
        if let Some(limit) = self.limit() {
            batch.truncate(limit - self.given);
        }
        self.given += batch.len;
        Ok(Some(batch))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.given = 0;
        match &mut self.phase {
            Phase::Memory { at, .. } if self.node.input.repeatable && self.node.limit.is_none() => {
                *at = 0;
                return Ok(());
            }
            _ => {}
        }
        self.input.rescan(env)?;
        self.limit = None;
        self.rows = Batch::default();
        self.bytes = 0;
        self.ordered = false;
        self.runs.clear();
        self.out = Batch::default();
        self.phase = Phase::Reading;
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let method = match (&self.phase, self.limit()) {
            (Phase::Merging { .. } | Phase::Spilling { .. }, _) => "external merge",
            (_, Some(_)) => "top-N heapsort",
            _ => "quicksort",
        };
        vec![
            ("Sort Method", method.to_string()),
            ("Sort Space Used", (self.bytes / 1024).to_string()),
        ]
    }
}
