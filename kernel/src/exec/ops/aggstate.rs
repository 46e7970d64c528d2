//! States of aggregates for many groups: counters where that is enough, accumulators otherwise, and whole rows where
//! DISTINCT or ORDER BY must see them all first.

use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::{same_rows, Order};
use crate::exec::nodes::{AggCall, AggregateNode};
use crate::exec::order::sorted;
use crate::expr::{Env, State};
use crate::func::agg::Accumulator;
use crate::types::Datum;

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
}

impl Arguments {
    pub fn eval(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        batch: &Batch,
    ) -> Res<Vec<Evaluated>> {
        self.states.resize_with(node.aggs.len(), Default::default);
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
    /// Arguments and ORDER BY values of each group.
    Rows(Vec<Batch>),
}

pub struct States {
    slots: Vec<Slot>,
    groups: usize,
    bytes: usize,
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
                _ if collects(agg) => Slot::Rows(Vec::new()),
                "count" => Slot::Count(Vec::new()),
                _ => Slot::General(Vec::new()),
            })
            .collect();
        States {
            slots,
            groups: 0,
            bytes: 0,
        }
    }

    /// Rough bytes held.
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
                Slot::Rows(rows) => rows.resize_with(groups, || Batch::of_width(agg.args.len())),
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
                Slot::Rows(rows) => {
                    for k in 0..count {
                        let g = group(k);
                        if g != u32::MAX {
                            let batch = &mut rows[g as usize];
                            for (column, arg) in batch.columns.iter_mut().zip(&data.args) {
                                column.push_from(arg, k);
                                self.bytes += 32;
                            }
                            batch.len += 1;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The aggregates' values for groups `from..to`, one column each.
    pub fn finish(
        &self,
        node: &AggregateNode,
        env: &mut Env,
        from: usize,
        to: usize,
    ) -> Res<Vec<Vector>> {
        let mut out = Vec::with_capacity(self.slots.len());
        for (slot, agg) in self.slots.iter().zip(&node.aggs) {
            out.push(match slot {
                Slot::Count(counts) => Vector::Int(counts[from..to].to_vec(), Vec::new()),
                Slot::General(states) => {
                    let mut column = Vector::of_type(agg.info.typ, to - from);
                    for state in &states[from..to] {
                        column.push(state.finish(&mut env.ctx(&agg.info))?);
                    }
                    column
                }
                Slot::Rows(rows) => {
                    let mut column = Vector::of_type(agg.info.typ, to - from);
                    for batch in &rows[from..to] {
                        column.push(finish_rows(agg, env, batch)?);
                    }
                    column
                }
            });
        }
        Ok(out)
    }

    /// Forget all groups but the last one, which becomes group 0.
    pub fn keep_last(&mut self) {
        let drop = self.groups.saturating_sub(1);
        for slot in &mut self.slots {
            match slot {
                Slot::Count(v) => drop_first(v, drop),
                Slot::General(v) => drop_first(v, drop),
                Slot::Rows(v) => drop_first(v, drop),
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
            Slot::Rows(_) => false,
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

/// DISTINCT and ORDER BY: sort the group's rows, drop repeated arguments, then accumulate.
fn finish_rows(agg: &AggCall, env: &mut Env, rows: &Batch) -> Res<Datum> {
    let args = &rows.columns[..agg.arg_count];
    let mut orders = agg.orders.clone();
    let mut keys: Vec<Vector> = rows.columns[agg.arg_count..].to_vec();
    if agg.distinct {
        orders.extend(agg.arg_infos.iter().map(|&info| Order {
            info,
            desc: false,
            nulls_first: false,
        }));
        keys.extend(args.iter().cloned());
    }
    let order = sorted(&orders, &keys, rows.len)?;
    let mut state = (agg.aggregate.make)(&agg.info)?;
    let mut last: Option<usize> = None;
    for row in order {
        let row = row as usize;
        if agg.distinct && last.is_some_and(|l| same_rows(&agg.arg_infos, args, l, args, row)) {
            continue;
        }
        last = Some(row);
        let values = match agg.aggregate.ordered_set {
            true => rows.row(row),
            false => args.iter().map(|a| a.get(row)).collect(),
        };
        state.push(&mut env.ctx(&agg.info), &values)?;
    }
    state.finish(&mut env.ctx(&agg.info))
}
