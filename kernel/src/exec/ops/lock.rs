//! SELECT … FOR UPDATE and its kin. Rows are locked one at a time, as they are asked for, so that a LIMIT above locks
//! no more rows than it gives.

use super::modify::{replaced, row_id};
use super::{Input, Op};
use crate::base::{Lsn, Res};
use crate::exec::access::Wrote;
use crate::exec::access::{TableDef, Wait};
use crate::exec::batch::{Batch, Vector};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, LockMode, Table};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// FOR UPDATE/SHARE: `row` is the column with the row id; on a changed row `recheck` is tested over the input row
/// with the table's columns (`columns`: input column → table column) replaced.
#[derive(Debug, Deserialize)]
pub struct LockRows {
    pub input: Node,
    pub locks: Vec<RowLock>,
    /// Outer joins below: a condition, and the input columns that are null where it does not hold.
    pub outer: Vec<(Expr, Vec<usize>)>,
}

#[derive(Debug, Deserialize)]
pub struct RowLock {
    pub table: Table,
    pub row: usize,
    pub mode: LockMode,
    /// "block", "nowait", "skip".
    pub wait: String,
    /// (input column, table column)
    pub columns: Vec<(usize, usize)>,
    pub recheck: Option<Expr>,
}

impl RowLock {
    fn compile(&self, compiler: &mut PlanCompiler) -> Res<RowLockNode> {
        let wait = match self.wait.as_str() {
            "nowait" => Wait::NoWait,
            "skip" => Wait::Skip,
            _ => Wait::Block,
        };
        Ok(RowLockNode {
            table: compiler.table(&self.table)?,
            row: self.row,
            mode: self.mode,
            wait,
            columns: self.columns.clone(),
            recheck: compiler.optional(&self.recheck)?,
        })
    }
}

impl PlanNode for LockRows {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        let locks = self.locks.iter().map(|l| l.compile(compiler));
        let locks = locks.collect::<Res<_>>()?;
        let outer = self.outer.iter();
        let outer = outer.map(|(e, columns)| Ok((compiler.program([e])?, columns.clone())));
        let outer = outer.collect::<Res<_>>()?;
        compiler.set_volatile();
        Ok(Arc::new(LockRowsNode {
            input,
            locks,
            outer,
        }))
    }
}

struct RowLockNode {
    table: Arc<TableDef>,
    row: usize,
    mode: LockMode,
    wait: Wait,
    columns: Vec<(usize, usize)>,
    recheck: Option<Program>,
}

pub struct LockRowsNode {
    input: PNode,
    locks: Vec<RowLockNode>,
    outer: Vec<(Program, Vec<usize>)>,
}

impl CompiledNode for LockRowsNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(LockRowsState::new(self, input))
    }
}

pub struct LockRowsState {
    node: Arc<LockRowsNode>,
    input: Input,
    /// The row at work, and the next lock to take for it.
    row: Option<Batch>,
    lock: usize,
    /// The CSN of the newer version that is in `row`.
    accept: Option<Lsn>,
    /// By lock: a newer version was put in, and its condition is to be tested once all are locked.
    changed: Vec<bool>,
    /// How many outer joins have been looked at again.
    joined: usize,
    join_state: State,
    states: Vec<State>,
}

impl LockRowsState {
    pub fn new(node: Arc<LockRowsNode>, input: Op) -> LockRowsState {
        let input = Input::new(input);
        let states = node.locks.iter().map(|_| State::default()).collect();
        LockRowsState {
            node,
            input,
            row: None,
            lock: 0,
            accept: None,
            changed: Vec::new(),
            joined: 0,
            join_state: State::default(),
            states,
        }
    }

    /// Take the locks of the row at work; false when it drops out.
    fn locks(&mut self, env: &mut Env) -> Res<bool> {
        let access = env.access()?;
        while let Some(lock) = self.node.locks.get(self.lock) {
            let row = self.row.as_mut().expect("filled before");
            // The nullable side of an outer join has no row to lock.
            if let Some(id) = row_id(row, lock.row, 0) {
                let accept = self.accept.unwrap_or(env.setup.view.snapshot);
                match access.lock(
                    &env.setup.view,
                    &lock.table,
                    id,
                    lock.mode,
                    lock.wait,
                    accept,
                )? {
                    Wrote::Done => {}
                    Wrote::Gone | Wrote::Own => return Ok(false),
                    Wrote::Changed { row: newer, csn } => {
                        *row = replaced(row, 0, &lock.columns, &newer);
                        self.accept = Some(csn);
                        if let Some(changed) = self.changed.get_mut(self.lock) {
                            *changed = true;
                        }
                        continue;
                    }
                }
            }
            self.accept = None;
            self.lock += 1;
        }
        self.still_holds(env)
    }

    /// Do the conditions hold for the newer versions?
    fn still_holds(&mut self, env: &mut Env) -> Res<bool> {
        let row = self.row.as_mut().expect("filled before");
        if !self.changed.contains(&true) {
            return Ok(true);
        }
        while let Some((on, columns)) = self.node.outer.get(self.joined) {
            if on.filter(env, &mut self.join_state, row)?.is_some() {
                for &column in columns {
                    if let Some(column) = row.columns.get_mut(column) {
                        *column = Vector::repeat(&Datum::Null, 1);
                    }
                }
            }
            self.joined += 1;
        }
        for (place, lock) in self.node.locks.iter().enumerate() {
            if !self.changed[place] {
                continue;
            }
            if let Some(recheck) = &lock.recheck {
                if recheck.filter(env, &mut self.states[place], row)?.is_some() {
                    return Ok(false);
                }
            }
            self.changed[place] = false;
        }
        Ok(true)
    }
}

impl Operator for LockRowsState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.row.is_none() {
                if !self.input.fill(env)? {
                    return Ok(None);
                }
                env.tick(1)?;
                self.row = Some(self.input.batch().gather(&[self.input.at as u32]));
                (self.lock, self.accept, self.joined) = (0, None, 0);
                self.changed = vec![false; self.node.locks.len()];
            }
            let kept = self.locks(env)?;
            let row = self.row.take();
            self.input.at += 1;
            if kept {
                return Ok(row);
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.row = None;
        self.input.rescan(env)
    }
}
