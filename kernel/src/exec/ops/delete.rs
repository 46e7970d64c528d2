//! DELETE. A row that another transaction has changed since the snapshot is looked at again, as UPDATE does.

use super::modify::{
    lock_second, null_rows, replaced, room, row_id, table_rows, types, with_ahead, wrote, Changed,
    Finish, Second,
};
use super::modify::{After, Rules};
use super::{Input, Op};
use crate::base::{Lsn, Res, RowId};
use crate::exec::access::TableDef;
use crate::exec::access::Wrote;
use crate::exec::batch::Batch;
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, LockMode, Table};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub struct Delete {
    pub table: Table,
    pub input: Node,
    pub row: usize,
    pub old: Vec<(usize, usize)>,
    pub recheck: Option<Expr>,
    /// Over the old row's columns (attnum order), the row id, then all input columns.
    pub returning: Option<Vec<Expr>>,
    pub after: Vec<After>,
}

impl PlanNode for Delete {
    fn width(&self) -> usize {
        self.returning.as_ref().map_or(0, Vec::len)
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        compiler.set_volatile();
        Ok(Arc::new(DeleteNode {
            table: compiler.table(&self.table)?,
            input,
            row: self.row,
            old: self.old.clone(),
            recheck: compiler.optional(&self.recheck)?,
            rules: Rules::new(compiler, &[], &self.after)?,
            returning: compiler.optional_list(&self.returning)?,
            top: above.top,
        }))
    }
}

pub struct DeleteNode {
    table: Arc<TableDef>,
    input: PNode,
    row: usize,
    old: Vec<(usize, usize)>,
    recheck: Option<Program>,
    rules: Rules,
    returning: Option<Program>,
    top: bool,
}

impl CompiledNode for DeleteNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(DeleteState::new(self, input))
    }

    fn passes(&self) -> bool {
        self.returning.is_none()
    }
}

pub struct DeleteState {
    node: Arc<DeleteNode>,
    input: Input,
    again: State,
    old: Option<Batch>,
    second: Option<Second>,
    changed: Changed,
    finish: Finish,
    finishing: bool,
    /// Rows of the batch before this one go one by one.
    singly: usize,
}

/// Where one row has to take the long way, its neighbours often have to.
const SINGLY: usize = 8;

impl DeleteState {
    pub fn new(node: Arc<DeleteNode>, input: Op) -> DeleteState {
        DeleteState {
            node,
            input: Input::new(input),
            again: State::default(),
            old: None,
            second: None,
            changed: Changed::default(),
            finish: Finish::default(),
            finishing: false,
            singly: 0,
        }
    }

    /// Does anybody look at the rows that are deleted?
    fn are_seen(&self) -> bool {
        self.node.returning.is_some() || !self.node.rules.after.is_empty()
    }

    fn begin_batch(&mut self) {
        if self.old.is_none() {
            let batch = self.input.batch();
            self.singly = 0;
            self.old = Some(match self.are_seen() {
                true => table_rows(&self.node.table, batch, &self.node.old),
                false => Batch::default(),
            });
            let shape = Batch::of_types(&types(&self.node.table), batch.len);
            self.changed = Changed {
                new: Batch::default(),
                old: shape,
                ids: Vec::new(),
                input: batch.slice(0, 0),
            };
        }
    }

    fn write(&mut self, env: &mut Env) -> Res<()> {
        let at = self.input.at;
        let Some(id) = row_id(self.input.batch(), self.node.row, at) else {
            return Ok(());
        };
        let access = env.access()?;
        loop {
            let accept = match &self.second {
                None => env.setup.view.seen(),
                Some(second) => {
                    if let Some(recheck) = &self.node.recheck {
                        if recheck
                            .filter(env, &mut self.again, &second.input)?
                            .is_some()
                        {
                            let (table, mode) = (&self.node.table, LockMode::Update);
                            match lock_second(env, table, id, mode, second)? {
                                Some((row, csn)) => self.look_at(row, csn),
                                None => {
                                    self.second = None;
                                    return Ok(());
                                }
                            }
                            continue;
                        }
                    }
                    second.accept
                }
            };
            room(env)?;
            let (table, batch) = (&self.node.table, self.input.batch());
            match access
                .delete(&env.setup.view, table, id, accept)
                .map_err(|stop| with_ahead(env, table, batch, self.node.row, at, stop))?
            {
                Wrote::Done => {
                    self.record(env, id.0 as i64);
                    return Ok(());
                }
                Wrote::Gone | Wrote::Own => {
                    self.second = None;
                    return Ok(());
                }
                Wrote::Changed { row, csn } => self.look_at(row, csn),
            }
        }
    }

    fn look_at(&mut self, row: Vec<Datum>, csn: Lsn) {
        self.second = Some(Second {
            input: replaced(self.input.batch(), self.input.at, &self.node.old, &row),
            row,
            accept: csn,
            holds: false,
            new: None,
        });
    }

    /// Delete what can be deleted together, from the next input row on; false when that is nothing.
    fn write_some(&mut self, env: &mut Env) -> Res<bool> {
        let (batch, from) = (self.input.batch(), self.input.at);
        if self.second.is_some() || from < self.singly {
            return Ok(false);
        }
        let mut ids: Vec<RowId> = Vec::with_capacity(batch.len - from);
        for at in from..batch.len {
            match row_id(batch, self.node.row, at) {
                Some(id) if ids.last().is_none_or(|last| *last < id) => ids.push(id),
                _ => break,
            }
        }
        room(env)?;
        let access = env.access()?;
        let view = &env.setup.view;
        let table = &self.node.table;
        let done = access
            .delete_many(view, table, &ids, view.seen())
            .map_err(|stop| with_ahead(env, table, batch, self.node.row, from, stop))?;
        if done == 0 {
            self.singly = from + SINGLY;
            return Ok(false);
        }
        if self.are_seen() {
            let rows: Vec<u32> = (from..from + done).map(|at| at as u32).collect();
            let old = self.old.as_ref().expect("begun");
            self.changed.old.append(&old.gather(&rows));
            self.changed.input.append(&batch.gather(&rows));
        }
        for id in ids.iter().take(done) {
            self.changed.ids.push(id.0 as i64);
            wrote(env, self.node.top);
        }
        self.input.at += done;
        Ok(true)
    }

    fn record(&mut self, env: &mut Env, id: i64) {
        let at = self.input.at;
        let is_seen = self.are_seen();
        match self.second.take() {
            _ if !is_seen => {}
            Some(second) => {
                self.changed.old.push_row(&second.row);
                self.changed.input.push_from(&second.input, 0);
            }
            None => {
                self.changed
                    .old
                    .push_from(self.old.as_ref().expect("begun"), at);
                self.changed.input.push_from(self.input.batch(), at);
            }
        }
        self.changed.ids.push(id);
        wrote(env, self.node.top);
    }
}

impl Operator for DeleteState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if !self.finishing {
                if !self.input.fill(env)? {
                    return Ok(None);
                }
                self.begin_batch();
                while self.input.at < self.input.batch().len {
                    if !self.write_some(env)? {
                        self.write(env)?;
                        self.input.at += 1;
                    }
                }
                if self.are_seen() {
                    self.changed.new = null_rows(&self.node.table, self.changed.len());
                }
                self.finishing = true;
            }
            let node = self.node.clone();
            let out = self
                .finish
                .run(env, &node.rules, &node.returning, &self.changed, true)?;
            self.finishing = false;
            self.old = None;
            if out.is_some() {
                return Ok(out);
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.old = None;
        self.input.rescan(env)
    }
}
