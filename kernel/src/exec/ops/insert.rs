//! INSERT, with ON CONFLICT.

use super::modify::{
    all_columns, check_row, may_fail, null_rows, room, sets_key, types, wrote, Changed, Finish,
};
use super::modify::{After, Check, Rules};
use super::{Input, Op};
use crate::base::error::SqlError;
use crate::base::{Lsn, Oid, Res, RowId, Stop};
use crate::exec::access::TableDef;
use crate::exec::access::{Inserted, Wait, Wrote};
use crate::exec::batch::{Batch, Vector};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, LockMode, Table};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// Input rows have a value for every table column, in attnum order.
#[derive(Debug, Deserialize)]
pub struct Insert {
    pub table: Table,
    pub input: Node,
    pub checks: Vec<Check>,
    pub conflict: Option<OnConflict>,
    /// RETURNING, over the new row's columns in attnum order and then the row id; none: no rows come out.
    pub returning: Option<Vec<Expr>>,
    pub after: Vec<After>,
}

#[derive(Debug, Deserialize)]
pub struct OnConflict {
    /// OIDs of the indexes that may conflict; empty: any unique index (DO NOTHING only).
    pub arbiters: Vec<Oid>,
    /// None: DO NOTHING. Otherwise (table column, expression) over: the existing row's columns, then EXCLUDED's.
    pub set: Option<Vec<(usize, Expr)>>,
    pub filter: Option<Expr>,
}

impl OnConflict {
    fn compile(&self, compiler: &mut PlanCompiler) -> Res<ConflictNode> {
        let set = match &self.set {
            None => None,
            Some(set) => Some((
                set.iter().map(|(i, _)| *i).collect(),
                compiler.program(set.iter().map(|(_, e)| e))?,
            )),
        };
        Ok(ConflictNode {
            arbiters: self.arbiters.clone(),
            set,
            filter: compiler.optional(&self.filter)?,
        })
    }
}

impl PlanNode for Insert {
    fn width(&self) -> usize {
        self.returning.as_ref().map_or(0, Vec::len)
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        compiler.set_volatile();
        let conflict = self.conflict.as_ref().map(|c| c.compile(compiler));
        Ok(Arc::new(InsertNode {
            input,
            conflict: conflict.transpose()?,
            table: compiler.table(&self.table)?,
            rules: Rules::new(compiler, &self.checks, &self.after)?,
            returning: compiler.optional_list(&self.returning)?,
            top: above.top,
        }))
    }
}

struct ConflictNode {
    arbiters: Vec<Oid>,
    /// Table columns and their new values.
    set: Option<(Vec<usize>, Program)>,
    filter: Option<Program>,
}

pub struct InsertNode {
    table: Arc<TableDef>,
    input: PNode,
    rules: Rules,
    conflict: Option<ConflictNode>,
    returning: Option<Program>,
    top: bool,
}

impl CompiledNode for InsertNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(InsertState::new(self, input))
    }

    fn is_blind(&self) -> bool {
        self.conflict.is_none() && self.input.is_values()
    }
}

pub struct InsertState {
    node: Arc<InsertNode>,
    input: Input,
    arbiters: Vec<Oid>,
    /// The checks over the input batch.
    tests: Option<Vec<Vector>>,
    /// Rows of the input batch below this one have passed them.
    passed: usize,
    /// Of rows of the input batch, from the one at `known_from` on: do they conflict for sure? ON CONFLICT DO NOTHING.
    known: Vec<bool>,
    known_from: usize,
    /// What has been written is looked at again: by RETURNING or by actions for the statement's end.
    keeps: bool,
    test_state: State,
    changed: Changed,
    /// The row at work, in one place for all calls that it takes.
    row: Option<Vec<Datum>>,
    /// It has met another with its key.
    conflict: Option<Conflict>,
    finish: Finish,
    /// The batch is written; RETURNING and the actions are next.
    finishing: bool,
}

/// ON CONFLICT DO UPDATE of one row, step by step.
struct Conflict {
    row: RowId,
    existing: Option<(Vec<Datum>, Lsn)>,
    /// What is to be written: nothing when the filter says so.
    new: Option<Option<Vec<Datum>>>,
    states: [State; 3],
    values: Option<Vec<Datum>>,
}

fn second_time() -> Stop {
    let error = SqlError::new("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
        .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.");
    Stop::Error(error)
}

impl InsertState {
    pub fn new(node: Arc<InsertNode>, input: Op) -> InsertState {
        let arbiters = match &node.conflict {
            None => Vec::new(),
            Some(c) if c.arbiters.is_empty() => node
                .table
                .indexes
                .iter()
                .filter(|i| i.unique)
                .map(|i| i.oid)
                .collect(),
            Some(c) => c.arbiters.clone(),
        };
        let keeps = node.returning.is_some() || !node.rules.after.is_empty();
        InsertState {
            node,
            passed: 0,
            known: Vec::new(),
            known_from: 0,
            keeps,
            input: Input::new(input),
            arbiters,
            tests: None,
            test_state: State::default(),
            changed: Changed::default(),
            row: None,
            conflict: None,
            finish: Finish::default(),
            finishing: false,
        }
    }

    fn begin_batch(&mut self, env: &mut Env) -> Res<()> {
        if self.tests.is_none() {
            self.tests = Some(self.node.rules.tests.eval(
                env,
                &mut self.test_state,
                self.input.batch(),
            )?);
            self.passed = 0;
            (self.known, self.known_from) = (Vec::new(), 0);
            let types = types(&self.node.table);
            let rows = if self.keeps {
                self.input.batch().len
            } else {
                0
            };
            let batch = Batch::of_types(&types, rows);
            self.changed = Changed {
                new: batch.clone(),
                old: batch,
                ..Changed::default()
            };
        }
        Ok(())
    }

    fn record(&mut self, env: &mut Env, new: &[Datum], old: Option<&[Datum]>, id: RowId) {
        wrote(env, self.node.top);
        if !self.keeps {
            return;
        }
        self.changed.new.push_row(new);
        match old {
            Some(old) => self.changed.old.push_row(old),
            None => self.changed.old.append(&null_rows(&self.node.table, 1)),
        }
        self.changed.ids.push(id.0 as i64);
        self.changed.input.len += 1;
    }

    /// Some rows from `input.at` on, where no conflict is to be resolved: one that conflicts is left out.
    fn write_many(&mut self, env: &mut Env) -> Res<()> {
        let (from, mut to) = (self.input.at, self.input.batch().len);
        if self.node.conflict.is_some() {
            if from >= self.known_from + self.known.len() {
                let access = env.access()?;
                let (view, table, rows) = (&env.setup.view, &self.node.table, self.input.batch());
                self.known = access.conflicting(view, table, rows, from, &self.arbiters)?;
                self.known_from = from;
            }
            let known = self.known.get(from - self.known_from..).unwrap_or(&[]);
            if known.first() == Some(&true) {
                self.check_many(env, from, from + 1)?;
                self.input.at += 1;
                return Ok(());
            }
            let free = known.iter().take_while(|conflicts| !**conflicts);
            to = from + free.count();
        }
        self.check_many(env, from, to)?;
        room(env)?;
        let access = env.access()?;
        let (view, table) = (&env.setup.view, &self.node.table);
        let (rows, to) = (self.input.batch(), to.min(self.passed));
        let (first, count) = access.insert_many(view, table, rows, from, to, &self.arbiters)?;
        if count == 0 {
            self.input.at += 1;
            return Ok(());
        }
        if self.keeps {
            for at in from..from + count {
                let row = self.input.batch().row(at);
                self.record(env, &row, None, RowId(first.0 + (at - from) as u64));
            }
        } else {
            for _ in 0..count {
                wrote(env, self.node.top);
            }
        }
        self.input.at += count;
        Ok(())
    }

    /// NOT NULL and CHECK of the rows `from..to`; the error of a later one waits until those before it are written.
    fn check_many(&mut self, env: &Env, from: usize, to: usize) -> Res<()> {
        let (table, rules) = (&self.node.table, &self.node.rules);
        let tests = self.tests.as_deref().unwrap_or_default();
        while self.passed < to {
            if may_fail(table, rules, self.input.batch(), tests, self.passed) {
                let row = self.input.batch().row(self.passed);
                let checked =
                    check_row(table, rules, &row, tests, self.passed, &env.setup.settings);
                if checked.is_err() {
                    return if self.passed == from { checked } else { Ok(()) };
                }
            }
            self.passed += 1;
        }
        Ok(())
    }

    /// The row at `input.at`, to its end.
    fn write(&mut self, env: &mut Env) -> Res<()> {
        let row = match self.row.take() {
            Some(row) => row,
            None => self.input.batch().row(self.input.at),
        };
        let done = self.write_row(env, &row);
        if done.is_err() {
            self.row = Some(row);
        }
        done
    }

    fn write_row(&mut self, env: &mut Env, row: &[Datum]) -> Res<()> {
        loop {
            if self.conflict.is_some() {
                if self.resolve(env, row)? {
                    return Ok(());
                }
                continue;
            }
            let tests = self.tests.as_deref().unwrap_or_default();
            check_row(
                &self.node.table,
                &self.node.rules,
                row,
                tests,
                self.input.at,
                &env.setup.settings,
            )?;
            room(env)?;
            let access = env.access()?;
            match access.insert(&env.setup.view, &self.node.table, row, &self.arbiters)? {
                Inserted::Row(id) => {
                    self.record(env, row, None, id);
                    return Ok(());
                }
                Inserted::Conflict { row: id, .. } => {
                    self.conflict = Some(Conflict {
                        row: id,
                        existing: None,
                        new: None,
                        states: Default::default(),
                        values: None,
                    });
                }
            }
        }
    }

    /// One step of DO UPDATE; true when the row is done, false to go on (perhaps with the insert again).
    fn resolve(&mut self, env: &mut Env, excluded: &[Datum]) -> Res<bool> {
        let node = self.node.clone();
        let Some(rule) = &node.conflict else {
            return Ok(true);
        };
        let Some(mut conflict) = self.conflict.take() else {
            return Ok(true);
        };
        let done = self.resolve_step(env, &node, rule, &mut conflict, excluded);
        if !matches!(done, Ok((_, false))) {
            self.conflict = Some(conflict);
        }
        done.map(|(done, _)| done)
    }

    /// Is the row done, and is there still a conflict?
    fn resolve_step(
        &mut self,
        env: &mut Env,
        node: &InsertNode,
        rule: &ConflictNode,
        conflict: &mut Conflict,
        excluded: &[Datum],
    ) -> Res<(bool, bool)> {
        let Some((existing, accept)) = &conflict.existing else {
            conflict.existing = lock_existing(env, node, rule, conflict.row)?;
            return Ok((false, conflict.existing.is_some()));
        };
        if conflict.new.is_none() {
            let existing = existing.clone();
            conflict.new = Some(conflict.new_row(env, node, rule, &existing, excluded)?);
            return Ok((false, true));
        }
        let Some(Some(new)) = &conflict.new else {
            return Ok((true, false));
        };
        let access = env.access()?;
        match access.update(&env.setup.view, &node.table, conflict.row, new, *accept)? {
            Wrote::Done => {
                self.record(env, new, Some(existing), conflict.row);
                Ok((true, false))
            }
            Wrote::Changed { row, csn } => {
                conflict.existing = Some((row, csn));
                conflict.new = None;
                Ok((false, true))
            }
            Wrote::Gone => Ok((false, false)),
            Wrote::Own => Err(second_time()),
        }
    }
}

/// The existing row, locked, and the CSN it was seen with; nothing when it has gone.
fn lock_existing(
    env: &mut Env,
    node: &InsertNode,
    rule: &ConflictNode,
    row: RowId,
) -> Res<Option<(Vec<Datum>, Lsn)>> {
    let access = env.access()?;
    let view = &env.setup.view;
    let changes = rule.set.as_ref().map_or(&[][..], |(columns, _)| columns);
    let mode = match sets_key(&node.table, changes) {
        true => LockMode::Update,
        false => LockMode::NoKeyUpdate,
    };
    let table = &node.table;
    match access.lock(view, table, row, mode, Wait::Block, view.snapshot)? {
        Wrote::Done => match access.fetch(view, &node.table, row, &all_columns(&node.table))? {
            Some(existing) => Ok(Some((existing, view.snapshot))),
            // Locked, but not to be seen: this very command has inserted it.
            None => Err(second_time()),
        },
        // It stays locked, though the filter may leave it as it is.
        Wrote::Changed { row: newer, csn } => {
            match access.lock(view, table, row, mode, Wait::Block, csn)? {
                Wrote::Done => Ok(Some((newer, csn))),
                Wrote::Changed { row: newest, csn } => Ok(Some((newest, csn))),
                Wrote::Gone => Ok(None),
                Wrote::Own => Err(second_time()),
            }
        }
        Wrote::Gone => Ok(None),
        Wrote::Own => Err(second_time()),
    }
}

impl Conflict {
    /// The row to write in place of `existing`, checked; nothing when the filter does not hold.
    fn new_row(
        &mut self,
        env: &mut Env,
        node: &InsertNode,
        rule: &ConflictNode,
        existing: &[Datum],
        excluded: &[Datum],
    ) -> Res<Option<Vec<Datum>>> {
        let types = types(&node.table);
        let mut over = Batch::from_rows(&types, &[existing.to_vec()]);
        over = over.beside(Batch::from_rows(&types, &[excluded.to_vec()]));
        if self.values.is_none() {
            if let Some(filter) = &rule.filter {
                if filter
                    .row(env, &mut self.states[0], &over, 0)?
                    .first()
                    .is_none_or(|v| !is_true(v))
                {
                    return Ok(None);
                }
            }
            let Some((_, set)) = &rule.set else {
                return Ok(None);
            };
            self.values = Some(set.row(env, &mut self.states[1], &over, 0)?);
        }
        let mut new = existing.to_vec();
        if let (Some((columns, _)), Some(values)) = (&rule.set, &self.values) {
            for (&column, value) in columns.iter().zip(values) {
                if let Some(place) = new.get_mut(column) {
                    *place = value.clone();
                }
            }
        }
        let batch = Batch::from_rows(&types, std::slice::from_ref(&new));
        let tests = node.rules.tests.eval(env, &mut self.states[2], &batch)?;
        check_row(
            &node.table,
            &node.rules,
            &new,
            &tests,
            0,
            &env.setup.settings,
        )?;
        self.values = None;
        Ok(Some(new))
    }
}

fn is_true(value: &Datum) -> bool {
    matches!(value, Datum::Bool(true))
}

impl Operator for InsertState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if !self.finishing {
                if !self.input.fill(env)? {
                    return Ok(None);
                }
                self.begin_batch(env)?;
                while self.input.at < self.input.batch().len {
                    if self.node.conflict.as_ref().is_none_or(|c| c.set.is_none()) {
                        self.write_many(env)?;
                    } else {
                        self.write(env)?;
                        self.input.at += 1;
                    }
                }
                self.finishing = true;
            }
            let node = self.node.clone();
            let out = self
                .finish
                .run(env, &node.rules, &node.returning, &self.changed, false)?;
            self.finishing = false;
            self.tests = None;
            if out.is_some() {
                return Ok(out);
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.tests = None;
        (self.row, self.conflict) = (None, None);
        self.input.rescan(env)
    }
}
