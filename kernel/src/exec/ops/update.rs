//! UPDATE. A row that another transaction has changed since the snapshot is looked at again: the statement's
//! condition must hold for the new version, and the change is made to that.

use super::modify::{
    check_row, lock_second, replaced, room, row_id, sets_key, table_rows, types, with_ahead, wrote,
    Changed, Finish, Second,
};
use super::modify::{After, Check, Rules};
use super::{Input, Op};
use crate::base::error::fail;
use crate::base::{Lsn, Res, RowId};
use crate::exec::access::TableDef;
use crate::exec::access::Wrote;
use crate::exec::batch::{Batch, Vector};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, LockMode, Table};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// Input: anything; `row` is the column with the row id. `set` has one expression for every table column that changes,
/// over the input row. `old` says where the input has table columns: (input column, table column); all of them are there.
#[derive(Debug, Deserialize)]
pub struct Update {
    pub table: Table,
    pub input: Node,
    pub row: usize,
    pub set: Vec<(usize, Expr)>,
    pub old: Vec<(usize, usize)>,
    /// The whole WHERE and join condition over the input row, for READ COMMITTED's second look.
    pub recheck: Option<Expr>,
    pub checks: Vec<Check>,
    /// Over the new row's columns (attnum order), the row id, then all input columns.
    pub returning: Option<Vec<Expr>>,
    pub after: Vec<After>,
}

impl PlanNode for Update {
    fn width(&self) -> usize {
        self.returning.as_ref().map_or(0, Vec::len)
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        compiler.set_volatile();
        Ok(Arc::new(UpdateNode {
            table: compiler.table(&self.table)?,
            input,
            row: self.row,
            columns: self.set.iter().map(|(i, _)| *i).collect(),
            set: compiler.program(self.set.iter().map(|(_, e)| e))?,
            old: self.old.clone(),
            recheck: compiler.optional(&self.recheck)?,
            rules: Rules::new(compiler, &self.checks, &self.after)?,
            returning: compiler.optional_list(&self.returning)?,
            top: above.top,
        }))
    }
}

pub struct UpdateNode {
    table: Arc<TableDef>,
    input: PNode,
    row: usize,
    columns: Vec<usize>,
    set: Program,
    old: Vec<(usize, usize)>,
    recheck: Option<Program>,
    rules: Rules,
    returning: Option<Program>,
    top: bool,
}

impl CompiledNode for UpdateNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(UpdateState::new(self, input))
    }

    fn passes(&self) -> bool {
        self.returning.is_none()
    }
}

pub struct UpdateState {
    node: Arc<UpdateNode>,
    input: Input,
    set_state: State,
    test_state: State,
    again: [State; 3],
    /// Old and new rows of the input batch, and the checks over the new ones.
    old: Option<Batch>,
    new: Option<Batch>,
    tests: Option<Vec<Vector>>,
    second: Option<Second>,
    /// The row that is being written, in one place for all calls that this takes, and what it may replace.
    row: Option<(Vec<Datum>, Lsn)>,
    changed: Changed,
    finish: Finish,
    finishing: bool,
}

impl UpdateState {
    pub fn new(node: Arc<UpdateNode>, input: Op) -> UpdateState {
        UpdateState {
            node,
            input: Input::new(input),
            set_state: State::default(),
            test_state: State::default(),
            again: Default::default(),
            old: None,
            new: None,
            tests: None,
            second: None,
            row: None,
            changed: Changed::default(),
            finish: Finish::default(),
            finishing: false,
        }
    }

    fn begin_batch(&mut self, env: &mut Env) -> Res<()> {
        if self.new.is_none() {
            let set = &self.node.set;
            let values = self.input.eval(env, set.sites == 0, |env, batch| {
                set.eval(env, &mut self.set_state, batch)
            })?;
            let batch = self.input.batch();
            let old = table_rows(&self.node.table, batch, &self.node.old);
            let mut new = old.clone();
            for (&column, value) in self.node.columns.iter().zip(values) {
                match new.columns.get_mut(column) {
                    Some(place) => *place = value,
                    None => {
                        return fail(
                            "XX000",
                            format!("plan sets column {column} of {}", self.node.table.name),
                        )
                    }
                }
            }
            (self.old, self.new) = (Some(old), Some(new));
        }
        if self.tests.is_none() {
            let new = self.new.as_ref().expect("made above");
            self.tests = Some(self.node.rules.tests.eval(env, &mut self.test_state, new)?);
            let shape = Batch::of_types(&types(&self.node.table), new.len);
            let input = self.input.batch().slice(0, 0);
            self.changed = Changed {
                new: shape.clone(),
                old: shape,
                ids: Vec::new(),
                input,
            };
        }
        Ok(())
    }

    fn write(&mut self, env: &mut Env) -> Res<()> {
        let at = self.input.at;
        let Some(id) = row_id(self.input.batch(), self.node.row, at) else {
            return Ok(());
        };
        room(env)?;
        let access = env.access()?;
        loop {
            if self.row.is_none() {
                self.row = match &self.second {
                    None => Some(self.first_row(env)?),
                    Some(_) => self.look_again(env)?,
                };
            }
            let Some((row, accept)) = &self.row else {
                if self.locked(env, id)? {
                    self.second = None;
                    return Ok(());
                }
                continue;
            };
            let wrote = access
                .update(&env.setup.view, &self.node.table, id, row, *accept)
                .map_err(|stop| {
                    let (table, batch) = (&self.node.table, self.input.batch());
                    with_ahead(env, table, batch, self.node.row, at, stop)
                })?;
            let row = self.row.take().map(|(row, _)| row);
            match wrote {
                Wrote::Done => {
                    self.record(env, &row.unwrap_or_default(), id.0 as i64);
                    return Ok(());
                }
                Wrote::Gone | Wrote::Own => {
                    self.second = None;
                    return Ok(());
                }
                Wrote::Changed { row, csn } => self.second = Some(self.changed_row(row, csn)),
            }
        }
    }

    fn changed_row(&self, row: Vec<Datum>, csn: Lsn) -> Second {
        Second {
            input: replaced(self.input.batch(), self.input.at, &self.node.old, &row),
            row,
            accept: csn,
            holds: false,
            new: None,
        }
    }

    /// Who has waited for a row keeps others from it until his transaction ends, though it is not one of his any more; false when it has
    /// changed again.
    fn locked(&mut self, env: &mut Env, id: RowId) -> Res<bool> {
        let mode = match sets_key(&self.node.table, &self.node.columns) {
            true => LockMode::Update,
            false => LockMode::NoKeyUpdate,
        };
        let Some(second) = &self.second else {
            return Ok(true);
        };
        let newer = lock_second(env, &self.node.table, id, mode, second)?;
        let is_final = newer.is_none();
        self.second = newer.map(|(row, csn)| self.changed_row(row, csn));
        Ok(is_final)
    }

    fn first_row(&self, env: &Env) -> Res<(Vec<Datum>, Lsn)> {
        let at = self.input.at;
        let row = self.new.as_ref().expect("begun").row(at);
        check_row(
            &self.node.table,
            &self.node.rules,
            &row,
            self.tests.as_deref().unwrap_or_default(),
            at,
            &env.setup.settings,
        )?;
        Ok((row, env.setup.view.seen()))
    }

    /// The new row over the changed one; nothing when the condition does not hold any more.
    fn look_again(&mut self, env: &mut Env) -> Res<Option<(Vec<Datum>, Lsn)>> {
        let Some(second) = &mut self.second else {
            return Ok(None);
        };
        if !second.holds {
            if let Some(recheck) = &self.node.recheck {
                if recheck
                    .filter(env, &mut self.again[0], &second.input)?
                    .is_some()
                {
                    return Ok(None);
                }
            }
            second.holds = true;
        }
        if second.new.is_none() {
            let values = self
                .node
                .set
                .row(env, &mut self.again[1], &second.input, 0)?;
            let mut new = second.row.clone();
            for (&column, value) in self.node.columns.iter().zip(values) {
                if let Some(place) = new.get_mut(column) {
                    *place = value;
                }
            }
            second.new = Some(new);
        }
        let new = second.new.clone().unwrap_or_default();
        let batch = Batch::from_rows(&types(&self.node.table), std::slice::from_ref(&new));
        let tests = self
            .node
            .rules
            .tests
            .eval(env, &mut self.again[2], &batch)?;
        check_row(
            &self.node.table,
            &self.node.rules,
            &new,
            &tests,
            0,
            &env.setup.settings,
        )?;
        Ok(Some((new, second.accept)))
    }

    fn record(&mut self, env: &mut Env, new: &[Datum], id: i64) {
        let at = self.input.at;
        self.changed.new.push_row(new);
        match self.second.take() {
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

impl Operator for UpdateState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if !self.finishing {
                if !self.input.fill(env)? {
                    return Ok(None);
                }
                self.begin_batch(env)?;
                while self.input.at < self.input.batch().len {
                    self.write(env)?;
                    self.input.at += 1;
                }
                self.finishing = true;
            }
            let node = self.node.clone();
            let out = self
                .finish
                .run(env, &node.rules, &node.returning, &self.changed, false)?;
            self.finishing = false;
            (self.old, self.new, self.tests) = (None, None, None);
            if out.is_some() {
                return Ok(out);
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        (self.old, self.new, self.tests) = (None, None, None);
        self.row = None;
        self.input.rescan(env)
    }
}
