//! Scans of tables and indexes, with their filters.

use crate::base::{pace, Res};
use crate::exec::access::{Bounds, Cursor};
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::nodes::{BoundNode, IndexScanNode, ScanNode};
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::sync::Arc;

/// A cursor and the batch it has filled, until the filter has seen it.
#[derive(Default)]
struct Reading {
    cursor: Option<Box<dyn Cursor>>,
    batch: Option<Batch>,
    more: bool,
    state: State,
    rows: usize,
}

/// The first batches are small: a query with LIMIT or one row should not pay for a thousand.
const FIRST_ROWS: usize = 32;
/// What a probe counts for as work.
const PROBE_BYTES: usize = 64;

impl Reading {
    fn start(&mut self, cursor: Box<dyn Cursor>, rows: usize) {
        self.cursor = Some(cursor);
        self.batch = None;
        self.more = true;
        self.rows = rows;
    }

    /// The next rows that pass the filter, or nothing when the cursor has ended.
    fn next(&mut self, node: &ScanNode, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.batch.is_none() {
                let Some(cursor) = self.cursor.as_mut().filter(|_| self.more) else {
                    return Ok(None);
                };
                env.tick(self.rows)?;
                let mut batch = Batch::of_types(&node.types, self.rows);
                let more = cursor.next(self.rows, &mut batch);
                // A cursor may have handed out rows before it had to wait: none of them may be lost.
                match more {
                    Ok(more) => self.more = more,
                    Err(stop) if batch.len == 0 => return Err(stop),
                    Err(stop) if !stop.is_need() => return Err(stop),
                    Err(_) => {}
                }
                self.rows = (self.rows * 4).min(BATCH_ROWS);
                if batch.len == 0 {
                    continue;
                }
                self.batch = Some(batch);
            }
            let batch = self.batch.as_ref().expect("filled above");
            let kept = match &node.filter {
                None => None,
                Some(filter) => filter.filter(env, &mut self.state, batch)?,
            };
            let batch = self.batch.take().expect("filled above");
            match kept {
                None => return Ok(Some(batch)),
                Some(rows) if rows.is_empty() => {}
                Some(rows) => return Ok(Some(batch.gather(&rows))),
            }
        }
    }
}

pub struct Scan {
    node: Arc<ScanNode>,
    reading: Reading,
    part: (usize, usize),
}

impl Scan {
    pub fn new(node: Arc<ScanNode>, part: (usize, usize)) -> Scan {
        Scan {
            node,
            reading: Reading::default(),
            part,
        }
    }
}

impl Operator for Scan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.reading.cursor.is_none() {
            let access = env.access()?;
            let (part, parts) = self.part;
            let node = &self.node;
            let cursor = access.scan(&env.setup.view, &node.table, &node.columns, part, parts)?;
            self.reading.start(cursor, BATCH_ROWS / 4);
        }
        self.reading.next(&self.node, env)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.reading = Reading::default();
        Ok(())
    }
}

/// Made one at a time: there may be millions.
type Ranges = Box<dyn Iterator<Item = Bounds> + Send>;

/// Ranges of an index, one after the other: one, or one for each element of `any`.
pub struct IndexScan {
    node: Arc<IndexScanNode>,
    reading: Reading,
    ranges: Option<Ranges>,
    /// The range whose cursor is about to be opened.
    opening: Option<Bounds>,
    states: [State; 3],
    low: Option<Option<Vec<Datum>>>,
    high: Option<Option<Vec<Datum>>>,
}

impl IndexScan {
    pub fn new(node: Arc<IndexScanNode>) -> IndexScan {
        IndexScan {
            node,
            reading: Reading::default(),
            ranges: None,
            opening: None,
            states: Default::default(),
            low: None,
            high: None,
        }
    }

    /// The bounds' values are evaluated once an execution (or a rescan).
    fn ranges(&mut self, env: &mut Env) -> Res<Ranges> {
        let node = &self.node;
        if self.low.is_none() {
            self.low = Some(bound(&node.low, env, &mut self.states[0])?);
        }
        if self.high.is_none() {
            self.high = Some(bound(&node.high, env, &mut self.states[1])?);
        }
        let probes = match &node.any {
            None => None,
            Some(any) => Some(
                any.values(env, &mut self.states[2])?
                    .pop()
                    .unwrap_or_default(),
            ),
        };
        if let Some(Datum::Array(array)) = &probes {
            // They will be sorted.
            pace::heavy(array.values.len() * PROBE_BYTES)?;
        }
        let low = match (&node.low, self.low.take().flatten()) {
            (Some(_), None) => return Ok(Box::new(std::iter::empty())),
            (Some(b), Some(values)) => Some((values, b.inclusive)),
            (None, _) => None,
        };
        let high = match (&node.high, self.high.take().flatten()) {
            (Some(_), None) => return Ok(Box::new(std::iter::empty())),
            (Some(b), Some(values)) => Some((values, b.inclusive)),
            (None, _) => None,
        };
        let Some(probes) = probes else {
            return Ok(Box::new(std::iter::once(Bounds { low, high })));
        };
        Ok(self.probes(low.map_or(Vec::new(), |(v, _)| v), &probes))
    }

    /// One range for each distinct element that is not null, in key order.
    fn probes(&self, prefix: Vec<Datum>, probes: &Datum) -> Ranges {
        let (Datum::Array(array), Some(info)) = (probes, self.node.any_type) else {
            return Box::new(std::iter::empty());
        };
        let given = array.values.iter().filter(|v| !v.is_null());
        let mut values: Vec<Datum> = given.cloned().collect();
        values.sort_by(|a, b| info.compare(a, b));
        values.dedup_by(|a, b| info.equal(a, b));
        let key = self.node.scan.table.indexes[self.node.index]
            .keys
            .get(prefix.len());
        if key.is_some_and(|k| k.desc) != self.node.backward {
            values.reverse();
        }
        let range = move |value: Datum| {
            let mut key = prefix.clone();
            key.push(value);
            Bounds {
                low: Some((key.clone(), true)),
                high: Some((key, true)),
            }
        };
        Box::new(values.into_iter().map(range))
    }
}

/// The bound's values; nothing when one is null that must not be, since then no row can match.
fn bound(node: &Option<BoundNode>, env: &mut Env, state: &mut State) -> Res<Option<Vec<Datum>>> {
    let Some(bound) = node else { return Ok(None) };
    let values = bound.values.values(env, state)?;
    let allowed = |i: usize| bound.nulls.get(i).copied().unwrap_or(false);
    if values
        .iter()
        .enumerate()
        .any(|(i, v)| v.is_null() && !allowed(i))
    {
        return Ok(None);
    }
    Ok(Some(values))
}

impl Operator for IndexScan {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.ranges.is_none() {
            self.ranges = Some(self.ranges(env)?);
        }
        loop {
            if self.reading.cursor.is_none() {
                if self.opening.is_none() {
                    self.opening = self.ranges.as_mut().and_then(Iterator::next);
                }
                let Some(bounds) = &self.opening else {
                    return Ok(None);
                };
                let node = &self.node.scan;
                let access = env.access()?;
                let cursor = access.index_scan(
                    &env.setup.view,
                    &node.table,
                    self.node.index,
                    bounds.clone(),
                    self.node.backward,
                    &node.columns,
                )?;
                self.reading.start(cursor, FIRST_ROWS);
                self.opening = None;
            }
            if let Some(batch) = self.reading.next(&self.node.scan, env)? {
                return Ok(Some(batch));
            }
            self.reading.cursor = None;
        }
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.reading = Reading::default();
        (self.ranges, self.opening, self.low, self.high) = (None, None, None, None);
        Ok(())
    }
}
