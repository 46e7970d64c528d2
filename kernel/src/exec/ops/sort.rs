//! Sorting; only the best rows under a limit.

use super::parsort::{self, ParallelSort};
use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::keys::compare_rows;
use crate::exec::keys::Order;
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, SortKey};
use crate::exec::sorter::Sorter;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::cmp::Ordering;
use std::sync::Arc;

/// ORDER BY; with `limit` only the first rows.
#[derive(Debug, Deserialize)]
pub struct Sort {
    pub input: Node,
    pub keys: Vec<SortKey>,
    pub limit: Option<Expr>,
}

impl PlanNode for Sort {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        let (keys, orders) = compiler.sort_keys(&self.keys)?;
        let limit = compiler.optional(&self.limit)?;
        let input = compiler.below(&self.input, above.and(&keys))?;
        Ok(Arc::new(SortNode {
            input,
            keys,
            orders,
            limit,
        }))
    }
}

pub struct SortNode {
    pub input: PNode,
    pub keys: Program,
    orders: Vec<Order>,
    pub limit: Option<Program>,
}

impl CompiledNode for SortNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        let sort = Box::new(SortState::new(self.clone(), input));
        match parsort::eligible(&self) && opener.is_whole() {
            true => Box::new(ParallelSort::new(self, sort)),
            false => sort,
        }
    }
}

pub struct SortState {
    node: Arc<SortNode>,
    input: Input,
    states: [State; 2],
    limit: Option<Option<usize>>,
    /// Input columns, then keys that are none of them.
    sorter: Sorter,
    width: usize,
    /// Which keys are worked out.
    made: Vec<bool>,
    /// The first rows in memory, as many as the limit, are the best so far, in order.
    ordered: bool,
    given: usize,
}

impl SortState {
    pub fn new(node: Arc<SortNode>, input: Op) -> SortState {
        let made: Vec<bool> = node.keys.each_column().map(|c| c.is_none()).collect();
        SortState {
            sorter: Sorter::new(&node.orders, Vec::new(), false),
            node,
            made,
            input: Input::new(input),
            states: Default::default(),
            limit: None,
            width: 0,
            ordered: false,
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

    /// Take one input batch in; false at the end.
    fn read(&mut self, env: &mut Env) -> Res<bool> {
        if !self.input.fill(env)? {
            return Ok(false);
        }
        let keys = &self.node.keys;
        let made = self.input.eval(env, keys.sites == 0, |env, batch| {
            let keys = keys.eval_lent(env, &mut self.states[1], batch)?;
            let made = keys.into_iter().zip(&self.made).filter(|(_, made)| **made);
            Ok(made.map(|(key, _)| key.into_owned()).collect::<Vec<_>>())
        })?;
        let mut batch = self.input.take();
        self.width = batch.width();
        if self.sorter.rows.len == 0 {
            self.sorter.set_keys(self.keys());
        }
        batch.columns.extend(made);
        if let Some(better) = self.better_rows(&batch) {
            batch = batch.gather(&better);
        }
        self.sorter.push(batch);
        if let Some(limit) = self.limit() {
            let sorter = &mut self.sorter;
            if sorter.rows.len > limit.saturating_mul(2).max(BATCH_ROWS) {
                let mut order = sorter.order()?;
                order.truncate(limit);
                sorter.rows = sorter.rows.gather(&order);
                sorter.bytes = sorter.rows.bytes();
                self.ordered = true;
            }
        }
        Ok(true)
    }

    /// Where the keys are in rows.
    fn keys(&self) -> Vec<usize> {
        let mut next = self.width..;
        let columns = self.node.keys.each_column();
        columns
            .map(|c| c.or_else(|| next.next()).unwrap_or_default())
            .collect()
    }

    /// Rows of a batch that are better than the worst of the best so far; none: all may be.
    fn better_rows(&self, batch: &Batch) -> Option<Vec<u32>> {
        let worst = self.limit().filter(|_| self.ordered)?.checked_sub(1)?;
        let rows = &self.sorter.rows;
        if worst >= rows.len {
            return None;
        }
        let (keys, best) = (self.sorter.keys(batch), self.sorter.keys(rows));
        let better = |row: &u32| {
            compare_rows(&self.node.orders, &keys, *row as usize, &best, worst) == Ordering::Less
        };
        Some((0..batch.len as u32).filter(better).collect())
    }
}

impl Operator for SortState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        self.prepare(env)?;
        if self.limit().is_some_and(|l| self.given >= l) {
            return Ok(None);
        }
        while !self.sorter.has_ended() {
            if self.sorter.rows.len > 0 {
                self.sorter.settle(env)?;
                self.ordered &= self.sorter.rows.len > 0;
            }
            if !self.read(env)? {
                self.sorter.end()?;
            }
        }
        let batch = self.sorter.next(env, self.width)?;
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
        if self.node.input.repeatable && self.node.limit.is_none() && self.sorter.rewind() {
            return Ok(());
        }
        self.input.rescan(env)?;
        self.limit = None;
        self.sorter = Sorter::new(&self.node.orders, Vec::new(), false);
        self.ordered = false;
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let method = match (self.sorter.is_in_memory(), self.limit()) {
            (false, _) => "external merge",
            (_, Some(_)) => "top-N heapsort",
            _ => "quicksort",
        };
        vec![
            ("Sort Method", method.to_string()),
            ("Sort Space Used", (self.sorter.bytes / 1024).to_string()),
        ]
    }
}
