//! What takes several steps: portals, COPY FROM, the end of a Query or Sync.

use super::events::{Event, Raised};
use super::messages::Flow;
use super::portal::Portal;
use super::statement::{Statement, What};
use super::{Connection, Doing};
use crate::base::error::{fail, Res};
use crate::base::{pace, SqlError, Stop};
use crate::session::run::{is_need, Outcome};
use crate::session::state::Session;
use crate::wire::backend;
use crate::wire::frontend;

/// Bytes of COPY data that are gathered before rows are made of them.
const COPY_GATHER: usize = 128 << 10;

impl Connection {
    /// Go on with what is under way. After `Need` it still is.
    pub(super) fn work(&mut self, session: &mut Session) -> Res<Flow> {
        match std::mem::replace(&mut self.doing, Doing::Next) {
            Doing::Execute {
                name,
                mut portal,
                max_rows,
            } => match self.run(session, &mut portal, max_rows) {
                Ok(suspended) => {
                    self.executed(session, name, portal, suspended);
                    Ok(Flow::On)
                }
                Err(stop) => {
                    if is_need(&stop) {
                        self.doing = Doing::Execute {
                            name,
                            portal,
                            max_rows,
                        };
                    }
                    Err(stop)
                }
            },
            Doing::Query { mut portal } => match self.run(session, &mut portal, 0) {
                Ok(_) => {
                    self.completing = self.name(session, &portal);
                    self.doing = Doing::Finish { told: false };
                    Ok(Flow::On)
                }
                Err(stop) => {
                    if is_need(&stop) {
                        self.doing = Doing::Query { portal };
                    }
                    Err(stop)
                }
            },
            Doing::Finish { told } => self.finish(session, told),
            other => {
                self.doing = other;
                fail("XX000", "no work is under way")
            }
        }
    }

    /// `true`: the row limit was reached.
    fn run(&mut self, session: &mut Session, portal: &mut Portal, max_rows: u64) -> Res<bool> {
        match &mut portal.run {
            Some(run) if portal.done => {
                run.again();
                Ok(false)
            }
            Some(run) => {
                run.let_pass();
                let outcome = run.step(session, max_rows)?;
                Ok(matches!(outcome, Outcome::Suspended(_)))
            }
            None => {
                transact(session, &portal.statement)?;
                Ok(false)
            }
        }
    }

    fn executed(
        &mut self,
        session: &mut Session,
        name: String,
        mut portal: Box<Portal>,
        suspended: bool,
    ) {
        if suspended {
            backend::bare(&mut session.out, backend::PORTAL_SUSPENDED);
        } else {
            self.complete(session, &portal);
            portal.done = true;
        }
        self.sweep(session);
        if name.is_empty() {
            self.unnamed_portal = Some(*portal);
        } else {
            self.portals.insert(name, *portal);
        }
        self.sweep(session);
    }

    fn complete(&mut self, session: &mut Session, portal: &Portal) {
        if self.name(session, portal) {
            backend::complete(&mut session.out, &self.tag);
        }
    }

    /// The statement's command tag, into `tag`. False: it has none, and all is said.
    fn name(&mut self, session: &mut Session, portal: &Portal) -> bool {
        match (&portal.statement.what, &portal.run) {
            (_, Some(run)) => run.tag(&mut self.tag),
            (What::Empty, _) => {
                backend::bare(&mut session.out, backend::EMPTY_QUERY);
                return false;
            }
            (What::Begin { tag, .. }, _) => tag.clone_into(&mut self.tag),
            (What::Commit, _) => session.last_commit.clone_into(&mut self.tag),
            (What::Rollback | What::RollbackTo(_), _) => "ROLLBACK".clone_into(&mut self.tag),
            (What::Savepoint(_), _) => "SAVEPOINT".clone_into(&mut self.tag),
            (What::Release(_), _) => "RELEASE".clone_into(&mut self.tag),
            _ => self.tag.clear(),
        }
        true
    }

    fn finish(&mut self, session: &mut Session, told: bool) -> Res<Flow> {
        // Errors and needs find the work where it was.
        self.doing = Doing::Finish { told };
        if session.active() && !session.in_block() {
            if session.intercept && !told {
                let event = self.raise(Raised::End, Event::End);
                self.doing = Doing::Event {
                    of: Raised::End,
                    used: true,
                };
                return Ok(Flow::Say(event));
            }
            session.commit_implicit()?;
        }
        if std::mem::take(&mut self.completing) {
            backend::complete(&mut session.out, &self.tag);
        }
        if !session.in_block() {
            // Those of a transaction that no statement has begun, too.
            self.close_portals();
        }
        self.sweep(session);
        self.ready(session);
        Ok(Flow::On)
    }

    /// CopyData and what ends it.
    pub(super) fn copying(&mut self, session: &mut Session, input: &[u8]) -> Res<Flow> {
        let Doing::Copy { copy, of, done } = &self.doing else {
            return fail("XX000", "no COPY is under way");
        };
        let (shared, of, mut done) = (copy.clone(), *of, *done);
        let mut copy = shared.lock();
        let mut gathered = 0;
        while !done && copy.hungry() && gathered < COPY_GATHER {
            let rest = input.get(self.at..).unwrap_or(&[]);
            let Some(frame) = frontend::frame(rest, self.max_message)? else {
                break;
            };
            if frame.tag == b'd' {
                // A long row is moved as it grows.
                if let Err(stop) = pace::heavy(copy.moved_by(frame.body.len())) {
                    return self.stop_copying(session, of, stop);
                }
            }
            self.at += frame.size;
            gathered += frame.size;
            match frame.tag {
                b'd' => copy.feed(frame.body),
                b'c' => {
                    copy.finish();
                    done = true;
                }
                b'f' => {
                    let reason = frontend::query(frame.body).unwrap_or("").to_owned();
                    self.extended = of == Raised::Execute;
                    self.doing = Doing::Next;
                    return fail("57014", format!("COPY from stdin failed: {reason}"));
                }
                b'H' | b'S' => {}
                tag => {
                    self.extended = of == Raised::Execute;
                    self.doing = Doing::Next;
                    return fail(
                        "08P01",
                        format!("unexpected message type 0x{tag:02X} during COPY from stdin"),
                    );
                }
            }
        }
        self.doing = Doing::Copy {
            copy: shared.clone(),
            of,
            done,
        };
        match copy.run(session) {
            Ok(rows) if done => {
                self.doing = Doing::Event { of, used: true };
                Ok(Flow::Say(Event::CopyDone(rows)))
            }
            Ok(_) => {
                // Gathered bytes are used up; wait for more.
                let more = frontend::frame(input.get(self.at..).unwrap_or(&[]), self.max_message)?
                    .is_some();
                Ok(if more {
                    Flow::On
                } else {
                    Flow::Say(Event::Idle)
                })
            }
            Err(stop) => self.stop_copying(session, of, stop),
        }
    }

    /// A need leaves it under way.
    fn stop_copying(&mut self, session: &Session, of: Raised, stop: Stop) -> Res<Flow> {
        if let Stop::Error(_) = stop {
            self.extended = of == Raised::Execute;
            self.doing = Doing::Next;
        }
        Err(session.cancel.explain(stop))
    }
}

fn warn(session: &mut Session, code: &str, text: &str) {
    backend::notice(&mut session.out, "WARNING", &SqlError::new(code, text));
}

/// A transaction statement.
fn transact(session: &mut Session, statement: &Statement) -> Res<()> {
    match &statement.what {
        What::Begin {
            isolation,
            read_only,
            ..
        } => {
            if session.in_block() {
                warn(
                    session,
                    "25001",
                    "there is already a transaction in progress",
                );
            }
            session.begin(*isolation, *read_only)?;
        }
        What::Commit => {
            if !session.in_block() && !session.committing() {
                session.settle()?;
                warn(session, "25P01", "there is no transaction in progress");
            }
            session.commit()?;
        }
        What::Rollback => {
            session.settle()?;
            if !session.in_block() {
                warn(session, "25P01", "there is no transaction in progress");
            }
            session.rollback();
        }
        What::Savepoint(name) => session.savepoint(name)?,
        What::Release(name) => session.release(name)?,
        What::RollbackTo(name) => session.rollback_to(name)?,
        What::Empty | What::Plan(_) | What::Host { .. } => {}
    }
    Ok(())
}
