//! One run of a plan in a session: locks, snapshot, execution, and its rows to where they go, a step at a time.

use super::backend::Backend;
use super::state::Session;
use super::txn::Put;
use crate::base::error::{fail, Res};
use crate::base::{Lsn, Need, Oid, SessionId, SqlError, Stop};
use crate::exec::batch::Batch;
use crate::exec::kept::{Kept, Room};
use crate::exec::run::{Execution, Prepared};
use crate::types::Datum;
use crate::wire::copy::CopyOut;
use crate::wire::encode::Encoder;
use std::collections::VecDeque;
use std::sync::Arc;

/// Output above which a run pauses with `Need::Slice`, so that the client's socket can catch up.
pub const OUTPUT_HIGH: usize = 256 << 10;

/// A snapshot that nobody prunes below while this lives.
pub struct Held {
    backend: Arc<dyn Backend>,
    session: SessionId,
    pub snapshot: Lsn,
}

impl Held {
    pub fn new(backend: Arc<dyn Backend>, session: SessionId) -> Held {
        let snapshot = backend.take_snapshot(session);
        Held {
            backend,
            session,
            snapshot,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.backend.release_snapshot(self.session, self.snapshot);
    }
}

/// Where rows go.
pub enum Form {
    /// DataRow messages in the session's output.
    Rows(Encoder),
    /// CopyData messages in the session's output.
    Copy(Box<CopyOut>),
    /// Kept, for `take_fetched`.
    Fetch,
    /// Counted only.
    Discard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The plan is done.
    Done,
    /// The row limit was reached: rows of this step.
    Suspended(u64),
}

pub struct Run {
    pub prepared: Arc<Prepared>,
    form: Form,
    params: Vec<Datum>,
    pub instrument: bool,
    execution: Option<Execution>,
    held: Option<Held>,
    locked: usize,
    /// Made and not yet sent; the place in the first.
    batches: VecDeque<Batch>,
    at: usize,
    /// Rows of a statement that writes, until it is done; how many of these batches have gone on to `batches`.
    returned: Kept,
    given: usize,
    /// The plan has no more rows.
    drained: bool,
    finished: bool,
    /// Rows pass by unsent.
    silent: bool,
    /// Rows since the last `Suspended`.
    part: u64,
    pub rows: u64,
    fetched: Vec<Batch>,
    /// `Session::ended` when it started: a portal does not outlive its transaction.
    era: Option<u64>,
    /// It may build on commits that are not durable.
    passing: bool,
    /// An error that may tell of such a commit: it is told when that is durable.
    failed: Option<Stop>,
}

impl Run {
    pub fn new(prepared: Arc<Prepared>, params: Vec<Datum>, form: Form) -> Run {
        Run {
            prepared,
            form,
            params,
            instrument: false,
            execution: None,
            held: None,
            locked: 0,
            batches: VecDeque::new(),
            at: 0,
            returned: Kept::default(),
            given: 0,
            drained: false,
            finished: false,
            silent: false,
            part: 0,
            rows: 0,
            fetched: Vec::new(),
            era: None,
            passing: false,
            failed: None,
        }
    }

    /// The caller asks `Session::settle` before it does anything else with the transaction but end it or `step` another run.
    pub fn let_pass(&mut self) {
        self.passing = true;
    }

    /// Go on until done, until `max_rows` (0: no limit) rows of this step are out, or until something is needed.
    /// After an error the caller calls `Session::fail` and drops the run.
    pub fn step(&mut self, session: &mut Session, max_rows: u64) -> Res<Outcome> {
        let result = match self.failed.take() {
            Some(stop) => Err(stop),
            None => self.advance(session, max_rows),
        };
        let stop = match result {
            Ok(outcome) => return Ok(outcome),
            Err(stop) => session.cancel.explain(stop),
        };
        if is_need(&stop) || is_interruption(&stop) {
            return Err(stop);
        }
        if let Err(need) = session.settle() {
            self.failed = Some(stop);
            return Err(need);
        }
        Err(stop)
    }

    /// The next rows as they are made, at most `limit`, of a plan that changes nothing; in place of `step`, for who keeps them.
    pub fn pull(&mut self, session: &mut Session, limit: usize) -> Res<Option<Batch>> {
        let pulled = self
            .enter(session)
            .and_then(|()| match &mut self.execution {
                Some(execution) => execution.next(limit),
                None => Ok(None),
            });
        match pulled.map_err(|stop| session.cancel.explain(stop))? {
            Some(batch) => Ok(Some(batch)),
            None => {
                self.finish(session);
                self.close();
                Ok(None)
            }
        }
    }

    /// Have its locks and its snapshot.
    pub fn enter(&mut self, session: &mut Session) -> Res<()> {
        session.cancel.check()?;
        if self.execution.is_none() && !self.finished {
            self.start(session)?;
        }
        if self.era.is_some_and(|era| era != session.ended) {
            return fail("34000", "portal's transaction has ended");
        }
        Ok(())
    }

    fn advance(&mut self, session: &mut Session, max_rows: u64) -> Res<Outcome> {
        self.enter(session)?;
        loop {
            if self.send(session, max_rows)? {
                return Ok(Outcome::Suspended(std::mem::take(&mut self.part)));
            }
            if self.finished {
                return Ok(Outcome::Done);
            }
            if self.drained {
                self.finish(session);
                continue;
            }
            if self.returned.is_settling() {
                let room = Room::new(session.kept.work_mem, Some(session.spill.clone()));
                self.returned.settle(&room)?;
            }
            let Some(execution) = &mut self.execution else {
                return fail("XX000", "a run has no execution");
            };
            let limit = if max_rows == 0 || self.prepared.writes {
                0
            } else {
                (max_rows - self.part) as usize
            };
            match execution.next(limit)? {
                Some(batch) if self.silent && !self.prepared.writes => {
                    self.batches.push_back(batch);
                    // No output makes it pause.
                    if self.send(session, max_rows)? {
                        return Ok(Outcome::Suspended(std::mem::take(&mut self.part)));
                    }
                    return Err(Need::Slice.into());
                }
                // A statement that writes changes everything before its first row is seen, as PostgreSQL does.
                Some(batch) if self.prepared.writes => self.returned.push(batch),
                Some(batch) => self.batches.push_back(batch),
                None => self.drained = true,
            }
        }
    }

    /// The session has all locks of the plan.
    pub fn set_locked(&mut self) {
        self.locked = self.prepared.locks.len();
    }

    fn start(&mut self, session: &mut Session) -> Res<()> {
        session.check_usable()?;
        session.begin_implicit();
        if self.prepared.writes && session.read_only() {
            return fail(
                "25006",
                format!(
                    "cannot execute {} in a read-only transaction",
                    self.prepared.command
                ),
            );
        }
        while let Some(&(relation, mode)) = self.prepared.locks.get(self.locked) {
            session.lock_relation(relation, mode, false)?;
            self.locked += 1;
        }
        let passes = self.passing && self.prepared.passes();
        let (view, held) = match self.passing && self.prepared.is_blind() {
            true => session.take_view_for(false)?,
            false => {
                session.settle()?;
                session.take_view_for(passes)?
            }
        };
        self.held = held;
        if view.strict {
            self.check_moved(session, view.snapshot)?;
        }
        let setup = session.setup(view, self.instrument);
        let params = std::mem::take(&mut self.params);
        let mut execution = Execution::new(self.prepared.clone(), params, setup);
        if self.prepared.writes {
            execution.defer(session.txn().deferral.clone());
        }
        self.execution = Some(execution);
        self.era = Some(session.ended);
        Ok(())
    }

    /// A reader's snapshot keeps no DDL from its writer, as on a standby; a writer's sees none of the rows that were written anew.
    fn check_moved(&self, session: &Session, snapshot: Lsn) -> Res<()> {
        let mut relations = self.prepared.locks.iter();
        if relations.any(|(oid, _)| session.backend.has_moved(*oid, snapshot)) {
            let why = "A table was made, emptied or rewritten after the transaction's snapshot was taken.";
            let message = match session.backend.read_only() {
                true => "canceling statement due to conflict with recovery",
                false => "could not serialize access due to a table that was rewritten",
            };
            let error = SqlError::new("40001", message);
            return Err(Stop::Error(error.detail(why)));
        }
        Ok(())
    }

    /// Send what is made. `true`: the row limit is reached.
    fn send(&mut self, session: &mut Session, max_rows: u64) -> Res<bool> {
        if self.prepared.writes && !self.finished {
            return Ok(false);
        }
        while self.fill()? {
            let Some(batch) = self.batches.front() else {
                break;
            };
            while self.at < batch.len {
                if max_rows > 0 && self.part >= max_rows {
                    return Ok(true);
                }
                let sends = !self.silent && !matches!(self.form, Form::Fetch);
                if sends && session.out.len() >= OUTPUT_HIGH {
                    return Err(Need::Slice.into());
                }
                match &mut self.form {
                    _ if self.silent => {}
                    Form::Rows(encoder) => {
                        encoder.row(batch, self.at, &session.kept.settings, &mut session.out)?
                    }
                    Form::Copy(copy) => {
                        copy.row(batch, self.at, &session.kept.settings, &mut session.out)?
                    }
                    Form::Fetch | Form::Discard => {}
                }
                self.at += 1;
                self.part += 1;
                self.rows += 1;
            }
            if matches!(self.form, Form::Fetch) {
                self.fetched.extend(self.batches.pop_front());
            } else {
                self.batches.pop_front();
            }
            self.at = 0;
        }
        Ok(max_rows > 0 && self.part >= max_rows)
    }

    /// Make sure of a batch; false when there is none.
    fn fill(&mut self) -> Res<bool> {
        if self.batches.is_empty() && self.given < self.returned.batches() {
            self.batches.extend(self.returned.get(self.given)?);
            self.given += 1;
            if self.given == self.returned.batches() {
                (self.returned, self.given) = (Kept::default(), 0);
            }
        }
        Ok(!self.batches.is_empty())
    }

    fn finish(&mut self, session: &mut Session) {
        self.finished = true;
        self.held = None;
        if let Some(execution) = &mut self.execution {
            let actions = execution.take_deferred();
            execution.release();
            if self.prepared.writes {
                session.advance(execution.command());
                session.put_off(Put {
                    plan: self.prepared.clone(),
                    actions,
                });
            }
        }
    }

    /// Keep rows for Python instead of encoding them.
    pub fn fetch_rows(&mut self) {
        self.form = Form::Fetch;
    }

    /// End it early.
    pub fn close(&mut self) {
        self.execution = None;
        self.held = None;
        self.batches.clear();
        (self.returned, self.given) = (Kept::default(), 0);
        self.drained = true;
        self.finished = true;
    }

    /// Rows for Python since the last call. A limited fetch cuts batches short by itself, since `next` was told the limit.
    pub fn take_fetched(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.fetched)
    }

    /// Rows sent, or changed.
    pub fn affected(&self) -> u64 {
        match (&self.execution, self.prepared.writes) {
            (Some(execution), true) => execution.affected(),
            _ => self.rows,
        }
    }

    /// The whole command tag.
    pub fn tag(&self, out: &mut String) {
        use std::fmt::Write;
        out.clear();
        let count = if self.prepared.writes {
            self.affected()
        } else {
            self.part
        };
        let gap = if self.prepared.tag == "INSERT" {
            " 0 "
        } else {
            " "
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{gap}{count}", self.prepared.tag);
    }

    pub fn explain(&self) -> String {
        self.execution
            .as_ref()
            .map_or_else(String::new, Execution::explain)
    }

    /// Go on by up to `count` rows without sending them (0: all), as MOVE does: how many there were, and whether it was all.
    pub fn pass(&mut self, session: &mut Session, count: u64) -> Res<(u64, bool)> {
        self.silent = true;
        let outcome = self.step(session, count)?;
        self.silent = false;
        Ok(match outcome {
            Outcome::Suspended(rows) => (rows, false),
            Outcome::Done => (std::mem::take(&mut self.part), true),
        })
    }

    /// A finished portal is executed again: it has no more rows to count.
    pub fn again(&mut self) {
        self.part = 0;
    }

    /// Is it a query of this relation?
    pub fn reads(&self, relation: Oid) -> bool {
        let plan = &self.prepared;
        !plan.writes && plan.locks.iter().any(|(oid, _)| *oid == relation)
    }

    pub fn started(&self) -> bool {
        self.era.is_some()
    }
}

/// Cancelled or told to end: that says nothing about any row.
fn is_interruption(stop: &Stop) -> bool {
    matches!(stop, Stop::Error(error) if error.code.starts_with(b"57"))
}

/// A Need is no failure.
pub fn is_need(stop: &Stop) -> bool {
    matches!(stop, Stop::Need(_))
}
