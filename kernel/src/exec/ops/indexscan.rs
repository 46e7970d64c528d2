//! Scans of indexes, with their filters.

use super::scan::Reading;
use super::scan::ScanNode;
use crate::base::error::fail;
use crate::base::{pace, Res};
use crate::exec::access::Bounds;
use crate::exec::batch::Batch;
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, Table};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::registry::{self, TypeInfo};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// A range of an index.
#[derive(Debug, Deserialize)]
pub struct IndexScan {
    pub table: Table,
    pub index: usize,
    pub low: Option<Bound>,
    pub high: Option<Bound>,
    /// `key = ANY(array)` on the column after the equal prefix: one probe an element.
    pub any: Option<Expr>,
    pub backward: bool,
    pub columns: Vec<usize>,
    pub filter: Option<Expr>,
}

/// Values of leading key columns; no input columns. A null value makes the scan empty unless `nulls` says it is sought.
#[derive(Debug, Deserialize)]
pub struct Bound {
    pub values: Vec<Expr>,
    pub inclusive: bool,
    pub nulls: Vec<bool>,
}

impl Bound {
    fn compile(&self, compiler: &mut PlanCompiler) -> Res<BoundNode> {
        Ok(BoundNode {
            values: compiler.program(&self.values)?,
            inclusive: self.inclusive,
            nulls: self.nulls.clone(),
        })
    }
}

impl IndexScan {
    /// Type of the key column that `any` probes.
    fn any_type(&self, scan: &ScanNode) -> Res<Option<&'static TypeInfo>> {
        let Some(def) = scan.table.indexes.get(self.index) else {
            let message = format!("table {} has no index {}", scan.table.name, self.index);
            return fail("XX000", message);
        };
        let prefix = self.low.as_ref().map_or(0, |b| b.values.len());
        match (&self.any, def.keys.get(prefix)) {
            (None, _) => Ok(None),
            (Some(_), Some(key)) => Ok(Some(registry::get(key.typ)?)),
            (Some(_), None) => fail("XX000", "an index probe beyond the index's columns"),
        }
    }
}

impl PlanNode for IndexScan {
    fn width(&self) -> usize {
        self.columns.len() + 1
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let scan = ScanNode::new(compiler, &self.table, &self.columns, &self.filter)?;
        let any_type = self.any_type(&scan)?;
        let mut bound = |b: &Option<Bound>| b.as_ref().map(|b| b.compile(compiler)).transpose();
        let (low, high) = (bound(&self.low)?, bound(&self.high)?);
        Ok(Arc::new(IndexScanNode {
            scan,
            index: self.index,
            low,
            high,
            any: compiler.optional(&self.any)?,
            any_type,
            backward: self.backward,
        }))
    }
}

struct BoundNode {
    values: Program,
    inclusive: bool,
    nulls: Vec<bool>,
}

pub struct IndexScanNode {
    scan: ScanNode,
    index: usize,
    low: Option<BoundNode>,
    high: Option<BoundNode>,
    any: Option<Program>,
    any_type: Option<&'static TypeInfo>,
    backward: bool,
}

impl CompiledNode for IndexScanNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(IndexScanState::new(self))
    }
}

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
