//! COPY FROM: parsed rows go through an Insert plan, a batch at a time, each batch one execution of the plan.

use super::run::{Form, Run};
use super::state::Session;
use crate::base::error::Res;
use crate::base::Stop;
use crate::exec::run::Prepared;
use crate::types::Datum;
use crate::wire::copy::{CopyParser, Format, Target};
use std::sync::Arc;

/// Rows of one execution.
const ROWS: usize = 2000;

pub struct CopyIn {
    plan: Arc<Prepared>,
    parser: CopyParser,
    binary: bool,
    /// The batch under way, and the lines that its rows came from.
    run: Option<Run>,
    numbers: Vec<u64>,
    rows: u64,
    /// All whole rows of what was fed are in: more may be fed.
    hungry: bool,
}

impl CopyIn {
    pub fn new(plan: Arc<Prepared>, format: Arc<Format>, target: Target) -> CopyIn {
        let binary = format.binary();
        CopyIn {
            plan,
            parser: CopyParser::new(format, target),
            binary,
            run: None,
            numbers: Vec::new(),
            rows: 0,
            hungry: true,
        }
    }

    pub fn binary(&self) -> bool {
        self.binary
    }

    pub fn columns(&self) -> usize {
        self.parser.columns()
    }

    pub fn feed(&mut self, data: &[u8]) {
        self.parser.feed(data);
    }

    /// Bytes that so many more would have moved.
    pub fn moved_by(&self, more: usize) -> usize {
        self.parser.moved_by(more)
    }

    pub fn finish(&mut self) {
        self.parser.finish();
    }

    /// Rows inserted so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// May more be fed? What is left of a row that goes on in the next message does not count.
    pub fn hungry(&self) -> bool {
        self.hungry
    }

    /// Insert what was fed: rows so far, when all whole rows are in. Call again after `Need`.
    pub fn run(&mut self, session: &mut Session) -> Res<u64> {
        self.hungry = false;
        loop {
            if let Some(run) = &mut self.run {
                match run.step(session, 0) {
                    Ok(_) => {
                        self.rows += run.affected();
                        self.run = None;
                    }
                    Err(Stop::Error(mut error)) => {
                        let line = self
                            .numbers
                            .get(run.affected() as usize)
                            .copied()
                            .unwrap_or(0);
                        error
                            .context
                            .get_or_insert_with(|| self.parser.context_of_line(line));
                        self.run = None;
                        return Err(Stop::Error(error));
                    }
                    Err(need) => return Err(need),
                }
            }
            session.cancel.check()?;
            let mut rows: Vec<Vec<Datum>> = Vec::with_capacity(ROWS);
            self.numbers.clear();
            self.parser
                .rows(ROWS, &session.kept.settings, &mut rows, &mut self.numbers)?;
            if rows.is_empty() {
                self.hungry = true;
                return Ok(self.rows);
            }
            session.host.put_copied(rows);
            self.run = Some(Run::new(self.plan.clone(), Vec::new(), Form::Discard));
        }
    }
}
