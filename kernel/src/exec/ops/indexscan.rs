//! Scans of indexes, with their filters.

use super::scan::Reading;
use crate::base::{pace, Res};
use crate::exec::access::Bounds;
use crate::exec::batch::Batch;
use crate::exec::nodes::{BoundNode, IndexScanNode};
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::sync::Arc;

/// The first batches are small: a query with LIMIT or one row should not pay for a thousand.
const FIRST_ROWS: usize = 32;
/// What a probe counts for as work.
const PROBE_BYTES: usize = 64;

/// Made one at a time: there may be millions.
type Ranges = Box<dyn Iterator<Item = Bounds> + Send>;

/// Ranges of an index, one after the other: one, or one for each element of `any`.
pub struct IndexScanState {
    node: Arc<IndexScanNode>,
    reading: Reading,
    ranges: Option<Ranges>,
    /// The range whose cursor is about to be opened.
    opening: Option<Bounds>,
    states: [State; 3],
    low: Option<Option<Vec<Datum>>>,
    high: Option<Option<Vec<Datum>>>,
}

impl IndexScanState {
    pub fn new(node: Arc<IndexScanNode>) -> IndexScanState {
        IndexScanState {
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

impl Operator for IndexScanState {
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
