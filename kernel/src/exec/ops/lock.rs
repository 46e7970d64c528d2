//! SELECT … FOR UPDATE and its kin. Rows are locked one at a time, as they are asked for, so that a LIMIT above locks
//! no more rows than it gives.

use super::modify::{replaced, row_id};
use super::{Input, Op};
use crate::base::{Lsn, Res};
use crate::exec::access::Wrote;
use crate::exec::batch::Batch;
use crate::exec::nodes::LockRowsNode;
use crate::expr::{Env, Operator, State};
use std::sync::Arc;

pub struct LockRows {
    node: Arc<LockRowsNode>,
    input: Input,
    /// The row at work, and the next lock to take for it.
    row: Option<Batch>,
    lock: usize,
    /// The CSN of the newer version that is in `row`, once its condition held.
    accept: Option<Lsn>,
    /// A newer version was put in; its condition is to be tested.
    testing: Option<Lsn>,
    state: State,
}

impl LockRows {
    pub fn new(node: Arc<LockRowsNode>, input: Op) -> LockRows {
        let input = Input::new(input);
        LockRows {
            node,
            input,
            row: None,
            lock: 0,
            accept: None,
            testing: None,
            state: State::default(),
        }
    }

    /// Take the locks of the row at work; false when it drops out.
    fn locks(&mut self, env: &mut Env) -> Res<bool> {
        let access = env.access()?;
        while let Some(lock) = self.node.locks.get(self.lock) {
            let row = self.row.as_mut().expect("filled before");
            if let Some(csn) = self.testing {
                if let Some(recheck) = &lock.recheck {
                    if recheck.filter(env, &mut self.state, row)?.is_some() {
                        return Ok(false);
                    }
                }
                self.accept = Some(csn);
                self.testing = None;
            }
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
                        self.testing = Some(csn);
                        continue;
                    }
                }
            }
            self.accept = None;
            self.lock += 1;
        }
        Ok(true)
    }
}

impl Operator for LockRows {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.row.is_none() {
                if !self.input.fill(env)? {
                    return Ok(None);
                }
                env.tick(1)?;
                self.row = Some(self.input.batch().gather(&[self.input.at as u32]));
                (self.lock, self.accept, self.testing) = (0, None, None);
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
