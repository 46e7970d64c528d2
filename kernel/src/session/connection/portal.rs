//! Portals: statements with their parameters bound, running or not.

use super::statement::{Statement, What};
use crate::base::error::Res;
use crate::session::run::{Form, Run};
use crate::session::state::Session;
use crate::types::Datum;
use crate::wire::encode::Encoder;
use crate::wire::frontend::Formats;
use std::sync::Arc;

pub struct Portal {
    pub statement: Arc<Statement>,
    /// For host statements; a plan's are in its run.
    pub params: Vec<Datum>,
    pub formats: Formats,
    pub run: Option<Run>,
    /// Ran to its end.
    pub done: bool,
    /// A cursor of SQL's: Python says when it ends, which may be after its transaction.
    pub cursor: bool,
}

impl Portal {
    pub fn new(statement: Arc<Statement>, mut params: Vec<Datum>, formats: Formats) -> Res<Portal> {
        let run = match &statement.what {
            What::Plan(plan) => {
                params.extend_from_slice(&statement.bound);
                let encoder = Encoder::new(plan.output.iter().map(|column| column.typ), &formats)?;
                Some(Run::new(
                    plan.clone(),
                    std::mem::take(&mut params),
                    Form::Rows(encoder),
                ))
            }
            _ => None,
        };
        Ok(Portal {
            statement,
            params,
            formats,
            run,
            done: false,
            cursor: false,
        })
    }

    /// MOVE by up to `count` rows (0: all).
    pub fn pass(&mut self, session: &mut Session, count: u64) -> Res<u64> {
        let Some(run) = self.run.as_mut().filter(|_| !self.done) else {
            return Ok(0);
        };
        let (rows, all) = run.pass(session, count)?;
        self.done = all;
        Ok(rows)
    }

    /// The plan's relations have been locked. (Where a savepoint may take locks back, the run asks again.)
    pub fn locked(&mut self, session: &Session) {
        if let Some(run) = self.run.as_mut().filter(|_| !session.has_savepoints()) {
            run.set_locked();
        }
    }
}
