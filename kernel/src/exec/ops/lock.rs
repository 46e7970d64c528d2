//! SELECT … FOR UPDATE and its kin. Rows are locked one at a time, as they are asked for, so that a LIMIT above locks
//! no more rows than it gives.

use super::modify::{replaced, row_id};
use super::{Input, Op};
use crate::base::{Lsn, Res};
use crate::exec::access::Wrote;
use crate::exec::batch::{Batch, Vector};
use crate::exec::nodes::LockRowsNode;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::sync::Arc;

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
