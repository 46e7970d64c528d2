//! What a step says to Python, and Python's answers.

use super::{Connection, Doing, Phase, RAISED_MAX};
use crate::base::error::{fail, Res};
use crate::base::lexer::{Placed, Shortened};
use crate::base::{Need, Oid, SqlError};
use crate::session::copy_in::CopyIn;
use crate::session::state::Session;
use crate::types::Datum;
use crate::wire::backend::{self, Internal};
use parking_lot::Mutex;
use std::sync::Arc;

#[derive(Debug)]
pub enum Event {
    /// All input is used up.
    Idle,
    Wait(Need),
    /// Much output waits for the client.
    Drain,
    Ssl,
    GssEnc,
    Cancel {
        pid: u32,
        secret: u32,
    },
    Startup(Vec<(String, String)>),
    Password(Vec<u8>),
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    Query {
        text: String,
        key: Vec<u8>,
        literals: Vec<Placed>,
    },
    /// A Query whose strings make it long, without them; `shown` is how it begins.
    LongQuery {
        shown: String,
        key: Vec<u8>,
        short: Shortened,
    },
    Stale {
        name: Option<String>,
        token: i64,
        text: String,
    },
    Execute {
        portal: String,
        token: i64,
        params: Vec<Datum>,
        types: Arc<[Oid]>,
        formats: Vec<u16>,
        max_rows: u64,
    },
    End,
    CopyDone(u64),
    /// Written to the client, and the transaction dealt with.
    Error {
        error: Box<SqlError>,
        fatal: bool,
    },
    Terminate,
    Message {
        tag: u8,
        body: Vec<u8>,
    },
}

/// What an event that waits for Python's answer was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// SSLRequest and such: another startup packet follows.
    Negotiation,
    Startup,
    Password,
    Parse,
    /// A simple Query, or a stale one.
    Query,
    /// A statement to be registered again.
    Stale,
    Execute,
    End,
    Other,
}

impl Connection {
    pub(super) fn raise(&mut self, of: Raised, event: Event) -> Event {
        self.doing = Doing::Event { of, used: false };
        self.registered = false;
        // Each change of the catalogue makes a statement stale; nothing else is asked for more than a few times.
        let weight = if of == Raised::Stale {
            1
        } else {
            RAISED_MAX / 3
        };
        self.raised = self.raised.saturating_add(weight);
        event
    }

    /// The event's message is dealt with.
    pub fn done(&mut self, session: &mut Session) -> Res<()> {
        let (of, used) = match &self.doing {
            Doing::Event { of, used } => (*of, *used),
            _ => return fail("XX000", "done() without an event"),
        };
        if of == Raised::End {
            self.doing = Doing::Finish { told: true };
            return Ok(());
        }
        if !used {
            self.use_up_message()?;
        }
        self.sweep(session);
        self.doing = match of {
            Raised::Query => Doing::Finish { told: false },
            _ => Doing::Next,
        };
        if of == Raised::Startup {
            self.phase = Phase::Login;
        }
        Ok(())
    }

    /// After authentication.
    pub fn started(
        &mut self,
        session: &mut Session,
        pid: u32,
        secret: u32,
        parameters: &[(String, String)],
    ) -> Res<()> {
        if let Doing::Event { used: false, .. } = self.doing {
            self.use_up_message()?;
        }
        backend::auth(&mut session.out, 0, &[]);
        for (name, value) in parameters {
            backend::parameter_status(&mut session.out, name, value);
        }
        backend::backend_key(&mut session.out, pid, secret);
        self.phase = Phase::Ready;
        self.ready(session);
        Ok(())
    }

    /// An error that Python found: as `failed`, or just the message where no event is open.
    pub fn error(
        &mut self,
        session: &mut Session,
        severity: &str,
        error: &SqlError,
        internal: &Internal,
    ) -> Res<()> {
        let fatal = severity != "ERROR";
        match &self.doing {
            // The record of the commit is in the log: no error can take it back.
            _ if session.committing() => {
                backend::error(&mut session.out, severity, error, internal);
            }
            Doing::Event {
                of: Raised::End, ..
            }
            | Doing::Finish { .. } => {
                self.withhold(session);
                backend::error(&mut session.out, severity, error, internal);
                session.fail();
                self.sweep(session);
                self.ready(session);
            }
            Doing::Event { used, .. } => {
                if !used {
                    self.use_up_message()?;
                }
                self.write_failure(session, severity, error, internal);
            }
            _ => backend::error(&mut session.out, severity, error, internal),
        }
        if fatal {
            self.phase = Phase::Closed;
        }
        Ok(())
    }

    /// COPY FROM within a query or execute event: CopyData goes to `copy` now.
    pub fn copy_in(&mut self, session: &mut Session, copy: Arc<Mutex<CopyIn>>) -> Res<()> {
        let Doing::Event {
            of: of @ (Raised::Query | Raised::Execute),
            used,
        } = self.doing
        else {
            return fail("XX000", "copy_in() outside a query or execute event");
        };
        if !used {
            self.use_up_message()?;
        }
        {
            let copy = copy.lock();
            backend::copy_response(&mut session.out, b'G', copy.binary(), copy.columns());
        }
        self.doing = Doing::Copy {
            copy,
            of,
            done: false,
        };
        Ok(())
    }

    /// ErrorResponse and what follows from it.
    pub(super) fn write_failure(
        &mut self,
        session: &mut Session,
        severity: &str,
        error: &SqlError,
        internal: &Internal,
    ) {
        self.withhold(session);
        backend::error(&mut session.out, severity, error, internal);
        session.fail();
        self.sweep(session);
        self.raised = 0;
        self.doing = Doing::Next;
        if severity != "ERROR" {
            return;
        }
        if self.extended {
            self.skipping = true;
        } else if self.phase == Phase::Ready {
            self.ready(session);
        }
    }
}
