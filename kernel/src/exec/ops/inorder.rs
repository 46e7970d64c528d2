//! What an aggregate with DISTINCT or ORDER BY is given: rows of all its groups, sorted by group and then as the aggregate wants them,
//! in temporary files where they don't fit into work_mem.

use super::aggregate::AggCall;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::{lower, same_rows, Order};
use crate::exec::sorter::Sorter;
use crate::expr::Env;
use crate::func::agg::Accumulator;
use crate::types::oids;
use crate::types::registry::find;
use crate::types::Datum;
use std::ops::Range;

pub struct InOrder {
    /// Columns: what is not sorted by, the group's number (if there are groups), what is sorted by.
    sorter: Sorter,
    orders: Vec<Order>,
    grouped: Option<usize>,
    width: usize,
    /// Which columns the aggregate takes, and which of them must differ from row to row.
    args: Vec<usize>,
    distinct: Range<usize>,
    /// Of ordered-set aggregates: each group's values that are not null.
    counts: Vec<u64>,
    /// Rows of a group that goes on, and their count.
    held: Batch,
    held_count: u64,
    ended: bool,
    /// Sorted rows at work, and the row before them.
    rows: Batch,
    at: usize,
    before: Vec<Vector>,
    state: Option<Box<dyn Accumulator>>,
}

/// Of rows of so many columns, by the last ones.
fn sorter(orders: &[Order], grouped: bool, width: usize) -> Sorter {
    Sorter::new(orders, (width - orders.len()..width).collect(), grouped)
}

impl InOrder {
    pub fn new(agg: &AggCall, grouped: bool) -> InOrder {
        let ascending = |info| Order {
            info,
            desc: false,
            nulls_first: false,
        };
        let group = find(oids::INT8).filter(|_| grouped).map(ascending);
        let mut orders: Vec<Order> = group.into_iter().collect();
        orders.extend(&agg.orders);
        let (first, sorted) = (orders.len() - agg.orders.len(), agg.orders.len());
        // The arguments come last where they are sorted by, else first.
        let (args, by) = if agg.distinct {
            orders.extend(agg.arg_infos.iter().map(|&info| ascending(info)));
            (first + sorted, first)
        } else {
            (0, agg.arg_count + first)
        };
        let mut taken: Vec<usize> = (args..args + agg.arg_count).collect();
        if agg.aggregate.ordered_set {
            taken.extend(by..by + sorted);
        }
        let distinct = if agg.distinct {
            args..args + agg.arg_count
        } else {
            0..0
        };
        let width = agg.arg_count + sorted + first;
        InOrder {
            sorter: sorter(&orders, grouped, width),
            grouped: grouped.then(|| by - 1),
            width,
            orders,
            args: taken,
            distinct,
            counts: Vec::new(),
            held: Batch::default(),
            held_count: 0,
            ended: false,
            rows: Batch::default(),
            at: 0,
            before: Vec::new(),
            state: None,
        }
    }

    /// Rows of evaluated arguments, with their groups.
    pub fn push(&mut self, agg: &AggCall, args: &[Vector], rows: &[u32], groups: Vec<i64>) {
        let (own, by) = args.split_at(agg.arg_count);
        if let (true, Some(values)) = (agg.aggregate.ordered_set, by.last()) {
            for (i, &row) in rows.iter().enumerate() {
                let group = groups.get(i).map_or(0, |&group| group as usize);
                if self.counts.len() <= group {
                    self.counts.resize(group + 1, 0);
                }
                self.counts[group] += u64::from(!values.is_null(row as usize));
            }
        }
        let take = |columns: &[Vector]| -> Vec<Vector> {
            columns.iter().map(|c| c.gather(rows)).collect()
        };
        let group = self.grouped.map(|_| Vector::Int(groups, Vec::new()));
        let mut columns = Vec::with_capacity(self.width);
        if !agg.distinct {
            columns.extend(take(own));
        }
        columns.extend(group);
        columns.extend(take(by));
        if agg.distinct {
            columns.extend(take(own));
        }
        let len = rows.len();
        self.sorter.push(Batch { columns, len });
    }

    /// Keep to work_mem; after `Need` call again.
    pub fn settle(&mut self, env: &Env) -> Res<()> {
        self.sorter.settle(env)
    }

    /// Of groups that come one after the other: rows of this one, which are the last that were pushed, are not to be looked at yet.
    pub fn hold(&mut self, group: usize) {
        let Some(Vector::Int(groups, _)) =
            self.grouped.and_then(|g| self.sorter.rows.columns.get(g))
        else {
            return;
        };
        let from = lower(groups.len(), |i| groups[i] < group as i64);
        self.held_count = self.counts.get(group).copied().unwrap_or(0);
        let rows = &mut self.sorter.rows;
        self.held = rows.slice(from, rows.len);
        rows.truncate(from);
    }

    /// All is done but for the rows that are held: they are the first group's now.
    pub fn restart(&mut self) {
        self.sorter = sorter(&self.orders, self.grouped.is_some(), self.width);
        self.counts = vec![std::mem::take(&mut self.held_count)];
        let mut held = std::mem::take(&mut self.held);
        if let Some(Vector::Int(groups, _)) = self.grouped.and_then(|g| held.columns.get_mut(g)) {
            groups.fill(0);
        }
        if held.len > 0 {
            self.sorter.push(held);
        }
        (self.ended, self.rows, self.at) = (false, Batch::default(), 0);
        self.before.clear();
        self.state = None;
    }

    /// Makes sure of a row; false at the end.
    fn fill(&mut self, env: &mut Env) -> Res<bool> {
        while self.at >= self.rows.len {
            if !self.ended {
                self.sorter.end()?;
                self.ended = true;
            }
            match self.sorter.next(env, self.width)? {
                Some(rows) => (self.rows, self.at) = (rows, 0),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The aggregate's value for a group; they are asked for in order. After `Need` call again.
    pub fn value(&mut self, agg: &AggCall, env: &mut Env, group: usize) -> Res<Datum> {
        if self.state.is_none() {
            let mut state = (agg.aggregate.make)(&agg.info)?;
            state.expect(self.counts.get(group).copied().unwrap_or(0));
            self.state = Some(state);
            self.before.clear();
        }
        while self.fill(env)? {
            let (rows, at) = (&self.rows, self.at);
            if let Some(Vector::Int(groups, _)) = self.grouped.map(|g| &rows.columns[g]) {
                if groups[at] != group as i64 {
                    break;
                }
            }
            let args = &rows.columns[self.distinct.clone()];
            let again = agg.distinct
                && !self.before.is_empty()
                && same_rows(&agg.arg_infos, &self.before, 0, args, at);
            if !again {
                self.before = args.iter().map(|a| a.slice(at, at + 1)).collect();
                let values: Vec<Datum> = self.args.iter().map(|&a| rows.get(at, a)).collect();
                if let Some(state) = &mut self.state {
                    state.push(&mut env.ctx(&agg.info), &values)?;
                }
            }
            self.at += 1;
        }
        match self.state.take() {
            Some(state) => state.finish(&mut env.ctx(&agg.info)),
            None => Ok(Datum::Null),
        }
    }
}
