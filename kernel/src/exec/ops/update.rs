//! UPDATE and DELETE. A row that another transaction has changed since the snapshot is looked at again: the statement's
//! condition must hold for the new version, and the change is made to that.

use super::modify::{
    check_row, null_rows, replaced, room, row_id, sets_key, table_rows, types, wrote, Changed,
    Finish,
};
use super::{Input, Op};
use crate::base::error::fail;
use crate::base::{Lsn, Res, RowId};
use crate::exec::access::{TableDef, Wait, Wrote};
use crate::exec::batch::{Batch, Vector};
use crate::exec::nodes::{DeleteNode, UpdateNode};
use crate::exec::plan::LockMode;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::sync::Arc;

/// A row that has changed: the input row with the new version in it.
struct Second {
    input: Batch,
    row: Vec<Datum>,
    accept: Lsn,
    /// The condition was tested, and holds.
    holds: bool,
    new: Option<Vec<Datum>>,
}

/// Lock a changed row for which the condition does not hold; the newer version if there is one by now.
fn lock_second(
    env: &mut Env,
    table: &Arc<TableDef>,
    id: RowId,
    mode: LockMode,
    second: &Second,
) -> Res<Option<(Vec<Datum>, Lsn)>> {
    let access = env.access()?;
    let view = &env.setup.view;
    Ok(
        match access.lock(view, table, id, mode, Wait::Block, second.accept)? {
            Wrote::Changed { row, csn } => Some((row, csn)),
            Wrote::Done | Wrote::Gone | Wrote::Own => None,
        },
    )
}

pub struct Update {
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

impl Update {
    pub fn new(node: Arc<UpdateNode>, input: Op) -> Update {
        Update {
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
        let batch = self.input.batch();
        if self.new.is_none() {
            let values = self.node.set.eval(env, &mut self.set_state, batch)?;
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
            let input = batch.slice(0, 0);
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
            let wrote = access.update(&env.setup.view, &self.node.table, id, row, *accept)?;
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

impl Operator for Update {
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

pub struct Delete {
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

impl Delete {
    pub fn new(node: Arc<DeleteNode>, input: Op) -> Delete {
        Delete {
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
            match access.delete(&env.setup.view, &self.node.table, id, accept)? {
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
        let done = access.delete_many(view, &self.node.table, &ids, view.seen())?;
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

impl Operator for Delete {
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
