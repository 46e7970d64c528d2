//! States of aggregates for many groups: counters where that is enough, accumulators otherwise, and whole rows where
//! DISTINCT or ORDER BY must see them all first.

use super::aggregate::{AggCall, AggregateNode};
use super::inorder::InOrder;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::expr::{Env, State};
use crate::func::agg::Accumulator;

/// One aggregate's arguments over an input batch, evaluated and filtered.
pub struct Evaluated {
    pub args: Vec<Vector>,
    /// Rows that the FILTER lets through; none: all.
    pub rows: Option<Vec<u32>>,
}

/// Evaluates every aggregate's arguments once a batch; keeps what is done when it must wait.
#[derive(Default)]
pub struct Arguments {
    states: Vec<(State, State)>,
    filters: Vec<Option<Vec<u32>>>,
    done: Vec<Evaluated>,
    /// The rows that they are of.
    rows: usize,
}

/// Can keys and arguments be evaluated once more?
pub fn is_pure(node: &AggregateNode) -> bool {
    let plain = |agg: &AggCall| {
        agg.args.sites == 0 && agg.filter.as_ref().is_none_or(|filter| filter.sites == 0)
    };
    node.keys.sites == 0 && node.aggs.iter().all(plain)
}

impl Arguments {
    pub fn eval(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        batch: &Batch,
    ) -> Res<Vec<Evaluated>> {
        self.states.resize_with(node.aggs.len(), Default::default);
        if self.rows != batch.len {
            self.filters.clear();
            self.done.clear();
            self.rows = batch.len;
        }
        while let Some(agg) = node.aggs.get(self.done.len()) {
            let (filter_state, arg_state) = &mut self.states[self.done.len()];
            if self.filters.len() == self.done.len() {
                self.filters.push(match &agg.filter {
                    None => None,
                    Some(filter) => filter.filter(env, filter_state, batch)?,
                });
            }
            let args = match &self.filters[self.done.len()] {
                None => agg.args.eval(env, arg_state, batch)?,
                // Only rows that pass the filter may be evaluated at all.
                Some(rows) => agg.args.eval(env, arg_state, &batch.gather(rows))?,
            };
            let rows = self.filters[self.done.len()].clone();
            self.done.push(Evaluated { args, rows });
        }
        self.filters.clear();
        Ok(std::mem::take(&mut self.done))
    }
}

enum Slot {
    /// count(*) and count(x).
    Count(Vec<i64>),
    General(Vec<Box<dyn Accumulator>>),
    /// DISTINCT and ORDER BY.
    InOrder(Box<InOrder>),
}

pub struct States {
    slots: Vec<Slot>,
    groups: usize,
    bytes: usize,
    /// Values that are done, while `finish` waits.
    finished: Vec<Vector>,
    column: Option<Vector>,
}

fn collects(agg: &AggCall) -> bool {
    agg.distinct || !agg.orders.is_empty()
}

impl States {
    pub fn new(node: &AggregateNode) -> States {
        let slots = node
            .aggs
            .iter()
            .map(|agg| match agg.aggregate.name {
                _ if collects(agg) => {
                    Slot::InOrder(Box::new(InOrder::new(agg, !node.keys.is_empty())))
                }
                "count" => Slot::Count(Vec::new()),
                _ => Slot::General(Vec::new()),
            })
            .collect();
        States {
            slots,
            groups: 0,
            bytes: 0,
            finished: Vec::new(),
            column: None,
        }
    }

    /// Keep what is collected to work_mem, before the next `update`; after `Need` call again.
    pub fn settle(&mut self, env: &Env) -> Res<()> {
        self.slots.iter_mut().try_for_each(|slot| match slot {
            Slot::InOrder(rows) => rows.settle(env),
            _ => Ok(()),
        })
    }

    /// Can values be asked for once more?
    pub fn repeatable(&self) -> bool {
        !self.slots.iter().any(|s| matches!(s, Slot::InOrder(_)))
    }

    /// Rough bytes held, without rows that are collected.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Make sure that there are states for this many groups.
    pub fn grow(&mut self, node: &AggregateNode, groups: usize) -> Res<()> {
        for (slot, agg) in self.slots.iter_mut().zip(&node.aggs) {
            match slot {
                Slot::Count(counts) => {
                    self.bytes += 8 * groups.saturating_sub(counts.len());
                    counts.resize(groups, 0);
                }
                Slot::General(states) => {
                    while states.len() < groups {
                        states.push((agg.aggregate.make)(&agg.info)?);
                        self.bytes += 80;
                    }
                }
                Slot::InOrder(_) => {}
            }
        }
        self.groups = groups;
        Ok(())
    }

    /// Rows of a batch, each for its group (`None`: all for group 0; `u32::MAX`: not at all).
    pub fn update(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        evaluated: &[Evaluated],
        groups: Option<&[u32]>,
        len: usize,
    ) -> Res<()> {
        for ((slot, agg), data) in self.slots.iter_mut().zip(&node.aggs).zip(evaluated) {
            let count = data.rows.as_ref().map_or(len, Vec::len);
            let group = |k: usize| -> u32 {
                let row = data.rows.as_ref().map_or(k, |r| r[k] as usize);
                groups.map_or(0, |g| g[row])
            };
            match slot {
                Slot::Count(counts) => count_rows(counts, data, count, groups.is_none(), group),
                Slot::General(states) if groups.is_none() => {
                    let args: Vec<&Vector> = data.args.iter().collect();
                    states[0].push_vector(&mut env.ctx(&agg.info), &args, count)?;
                }
                Slot::General(states) => {
                    let mut row = Vec::with_capacity(data.args.len());
                    let mut ctx = env.ctx(&agg.info);
                    for k in 0..count {
                        let g = group(k);
                        if g != u32::MAX {
                            row.clear();
                            row.extend(data.args.iter().map(|a| a.get(k)));
                            states[g as usize].push(&mut ctx, &row)?;
                        }
                    }
                }
                Slot::InOrder(rows) => {
                    let all = (0..count).map(|k| (k as u32, group(k)));
                    let (chosen, groups): (Vec<u32>, Vec<i64>) = all
                        .filter(|(_, g)| *g != u32::MAX)
                        .map(|(k, g)| (k, i64::from(g)))
                        .unzip();
                    rows.push(agg, &data.args, &chosen, groups);
                }
            }
        }
        Ok(())
    }

    /// The aggregates' values for groups `from..to`, one column each; groups are asked for in order. After `Need` call again.
    pub fn finish(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        from: usize,
        to: usize,
    ) -> Res<Vec<Vector>> {
        while let Some(agg) = node.aggs.get(self.finished.len()) {
            let new = || Vector::of_type(agg.info.typ, to - from);
            let column = match &mut self.slots[self.finished.len()] {
                Slot::Count(counts) => Vector::Int(counts[from..to].to_vec(), Vec::new()),
                Slot::General(states) => {
                    let mut column = new();
                    for state in &states[from..to] {
                        column.push(state.finish(&mut env.ctx(&agg.info))?);
                    }
                    column
                }
                Slot::InOrder(rows) => {
                    let column = self.column.get_or_insert_with(new);
                    while from + column.len() < to {
                        column.push(rows.value(agg, env, from + column.len())?);
                    }
                    std::mem::take(column)
                }
            };
            self.column = None;
            self.finished.push(column);
        }
        Ok(std::mem::take(&mut self.finished))
    }

    /// The last group goes on: `finish` does not look at it.
    pub fn hold_last(&mut self) {
        let last = self.groups.saturating_sub(1);
        for slot in &mut self.slots {
            if let Slot::InOrder(rows) = slot {
                rows.hold(last);
            }
        }
    }

    /// Forget all groups but the last one, which becomes group 0.
    pub fn keep_last(&mut self) {
        let drop = self.groups.saturating_sub(1);
        for slot in &mut self.slots {
            match slot {
                Slot::Count(v) => drop_first(v, drop),
                Slot::General(v) => drop_first(v, drop),
                Slot::InOrder(rows) => rows.restart(),
            }
        }
        self.groups -= drop;
    }

    /// Take in the states of later rows: group `i` of the other becomes part of group `groups[i]`.
    pub fn merge(&mut self, other: States, groups: &[u32]) -> Res<()> {
        for (slot, more) in self.slots.iter_mut().zip(other.slots) {
            match (slot, more) {
                (Slot::Count(a), Slot::Count(b)) => {
                    groups.iter().zip(b).for_each(|(&g, b)| a[g as usize] += b);
                }
                (Slot::General(a), Slot::General(b)) => {
                    for (&g, b) in groups.iter().zip(b) {
                        a[g as usize].merge(b)?;
                    }
                }
                _ => {
                    return crate::base::error::fail(
                        "XX000",
                        "these aggregates have no partial form",
                    )
                }
            }
        }
        Ok(())
    }

    /// Can parts be aggregated apart?
    pub fn mergeable(&self) -> bool {
        self.slots.iter().all(|slot| match slot {
            Slot::Count(_) => true,
            Slot::General(states) => states.iter().all(|s| s.mergeable()),
            Slot::InOrder(_) => false,
        })
    }
}

fn drop_first<T>(values: &mut Vec<T>, count: usize) {
    values.drain(..count.min(values.len()));
}

fn count_rows(
    counts: &mut [i64],
    data: &Evaluated,
    count: usize,
    one: bool,
    group: impl Fn(usize) -> u32,
) {
    match data.args.first() {
        None if one => counts[0] += count as i64,
        Some(Vector::Int(_, n) | Vector::Float(_, n) | Vector::Bool(_, n))
            if one && n.is_empty() =>
        {
            counts[0] += count as i64;
        }
        arg => {
            for k in 0..count {
                let g = group(k);
                if g != u32::MAX && !arg.is_some_and(|a| a.is_null(k)) {
                    counts[g as usize] += 1;
                }
            }
        }
    }
}
