//! One client connection: protocol state, prepared statements, portals. Bytes come in, bytes and events go out.
//!
//! What the kernel knows how to run (plans, transaction statements) it runs here; everything else is an [`Event`] for Python. A message
//! that raised an event stays in the input until `done` or `error`; a step without either tries it again.
//!
//! Invariants:
//! 1. After an error in an extended-query message every message up to Sync is skipped.
//! 2. Each Query and each Sync is answered by exactly one ReadyForQuery.
//! 3. While a commit is not durable, `take_output` gives nothing that was written since the last ReadyForQuery. If its wait is given up,
//!    that is never sent.
//! 4. A Query that the kernel runs outside of a block is complete when its commit is.

mod events;
mod extended;
mod messages;
mod portal;
mod simple;
pub mod statement;
mod work;

pub use events::{Event, Raised};
pub use statement::{Cached, Entry, Named, Queries, Statement, What};

use super::copy_in::CopyIn;
use super::state::Session;
use crate::base::Oid;
use crate::wire::{backend, frontend};
use ahash::AHashMap;
use parking_lot::Mutex;
use portal::Portal;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A startup packet comes next.
    Startup,
    /// Password messages come.
    Login,
    Ready,
    /// After a FATAL: nothing is read any more.
    Closed,
}

/// What the connection is in the middle of.
enum Doing {
    /// The next message.
    Next,
    /// A portal of an Execute message.
    Execute {
        name: String,
        portal: Box<Portal>,
        max_rows: u64,
    },
    /// A simple Query's statement.
    Query { portal: Box<Portal> },
    /// The end of a Query or a Sync: commit what is implicit, then ReadyForQuery. `told`: Python has seen `End`.
    Finish { told: bool },
    /// COPY FROM of the event `of`.
    Copy {
        copy: Arc<Mutex<CopyIn>>,
        of: Raised,
        done: bool,
    },
    /// Python decides. `used`: the message is out of the input already.
    Event { of: Raised, used: bool },
}

/// A message that is longer gets its memory as soon as it is announced.
const LONG_MESSAGE: usize = 1 << 20;
/// And so much more: without, the first bytes of the next one would have it moved to twice the room.
const BEHIND: usize = 256 << 10;
/// Of `raised`: a message that goes beyond is an error.
const RAISED_MAX: u8 = 100;

pub struct Connection {
    queries: Arc<Queries>,
    pub scope: u64,
    /// How many messages were begun.
    pub messages: u64,
    input: Vec<u8>,
    /// Bytes of `input` that are used up.
    at: usize,
    max_message: usize,
    phase: Phase,
    statements: Named,
    unnamed: Option<Arc<Entry>>,
    portals: AHashMap<String, Portal>,
    unnamed_portal: Option<Portal>,
    skipping: bool,
    doing: Doing,
    /// A statement was registered since the event was raised.
    registered: bool,
    /// How often the message at hand has raised an event, times its weight.
    raised: u8,
    /// The message at hand has been begun and waits (for a lock).
    waits: bool,
    /// The message at hand is one of the extended-query protocol's.
    extended: bool,
    /// Output position of the last ReadyForQuery's end.
    group: usize,
    /// CommandComplete with `tag` is to be said when the implicit commit is done.
    completing: bool,
    /// `Session::ended` when the portals were made.
    era: u64,
    key: Vec<u8>,
    tag: String,
}

impl Connection {
    pub fn new(queries: Arc<Queries>, max_message: usize, startup: bool) -> Connection {
        Connection {
            queries,
            scope: 0,
            messages: 0,
            input: Vec::new(),
            at: 0,
            max_message,
            phase: if startup {
                Phase::Startup
            } else {
                Phase::Ready
            },
            statements: Named::default(),
            unnamed: None,
            portals: AHashMap::new(),
            unnamed_portal: None,
            skipping: false,
            doing: Doing::Next,
            registered: false,
            raised: 0,
            waits: false,
            extended: false,
            group: 0,
            completing: false,
            era: 0,
            key: Vec::new(),
            tag: String::new(),
        }
    }

    pub fn feed(&mut self, data: &[u8]) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.at > 0 && self.at == self.input.len() {
            self.input.clear();
            self.at = 0;
        } else if self.at > (64 << 10) {
            self.input.drain(..self.at);
            self.at = 0;
        }
        self.input.extend_from_slice(data);
        // Room for all of a long message at once: growing step by step would copy it again and again.
        let head = self.input.get(self.at..).unwrap_or(&[]);
        let announced = frontend::announced(head).unwrap_or(0);
        if announced > LONG_MESSAGE && announced <= self.max_message && self.phase == Phase::Ready {
            let missing = (self.at + announced).saturating_sub(self.input.len());
            if missing > self.input.capacity() - self.input.len() {
                self.input.reserve_exact(missing + BEHIND);
            }
        }
    }

    /// Input bytes not used yet.
    pub fn buffered(&self) -> usize {
        self.input.len() - self.at
    }

    fn use_up(&mut self, size: usize) {
        self.at += size;
        self.raised = 0;
        if self.at == self.input.len() {
            self.shrink_input();
        }
    }

    /// Let go of what is used up.
    fn shrink_input(&mut self) {
        self.input.drain(..self.at);
        self.at = 0;
        // One 50 MB statement does not keep its memory for the connection's life.
        if self.input.capacity() > (1 << 20) {
            self.input.shrink_to(64 << 10);
        }
    }

    /// What may be sent now.
    pub fn take_output(&mut self, session: &mut Session) -> Vec<u8> {
        let ending = matches!(self.doing, Doing::Finish { .. });
        if !session.holds_back(ending) {
            self.group = 0;
            return std::mem::take(&mut session.out);
        }
        let held = session.out.split_off(self.group.min(session.out.len()));
        self.group = 0;
        std::mem::replace(&mut session.out, held)
    }

    /// An error comes in the place of what is held back: what that tells may be lost, if the session has stopped to wait for it.
    fn withhold(&mut self, session: &mut Session) {
        self.completing = false;
        if std::mem::take(&mut session.given_up) {
            let held = session.out.split_off(self.group.min(session.out.len()));
            backend::keep_asynchronous(&held, &mut session.out);
        }
    }

    fn ready(&mut self, session: &mut Session) {
        let status = session.status();
        backend::ready(&mut session.out, status);
        self.group = session.out.len();
        self.doing = Doing::Next;
    }

    /// Portals end with their transaction.
    fn sweep(&mut self, session: &Session) {
        if self.era != session.ended {
            self.era = session.ended;
            self.close_portals();
        }
    }

    /// A cursor of SQL's is a portal too: Describe and Execute by its name mean `statement`.
    pub fn open_portal(
        &mut self,
        session: &Session,
        name: &str,
        statement: Arc<Statement>,
    ) -> crate::base::Res<()> {
        self.sweep(session);
        let mut portal = Portal::new(statement, Vec::new(), Default::default())?;
        portal.cursor = true;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// A portal that Bind made under a name.
    pub fn bound_portal(&mut self, session: &Session, name: &str) -> Option<&mut Portal> {
        self.sweep(session);
        self.portals.get_mut(name).filter(|portal| !portal.cursor)
    }

    /// Does a portal that Bind made under a name read this relation?
    pub fn reads(&mut self, session: &Session, relation: Oid) -> bool {
        self.sweep(session);
        let mut runs = self
            .portals
            .values()
            .filter_map(|portal| portal.run.as_ref());
        runs.any(|run| run.reads(relation))
    }

    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    /// Those of the protocol.
    pub fn close_portals(&mut self) {
        self.portals.retain(|_, portal| portal.cursor);
        self.unnamed_portal = None;
    }

    /// Parse or PREPARE; an empty name is the unnamed statement.
    pub fn register(
        &mut self,
        name: &str,
        statement: Arc<Statement>,
        text: &str,
        params: Option<&[Oid]>,
    ) {
        let params = params.map_or_else(|| statement.params.clone(), Arc::from);
        let entry = Arc::new(Entry {
            statement,
            text: text.to_owned(),
            params,
        });
        match name {
            "" => self.unnamed = Some(entry),
            name => {
                self.statements.write().insert(name.to_owned(), entry);
            }
        }
        self.registered = true;
    }

    pub fn statement(&self, name: &str) -> Option<Arc<Entry>> {
        match name {
            "" => self.unnamed.clone(),
            name => self.statements.read().get(name).cloned(),
        }
    }

    /// Those with names.
    pub fn named(&self) -> Named {
        self.statements.clone()
    }

    pub fn drop_statement(&mut self, name: &str) -> bool {
        match name {
            "" => self.unnamed.take().is_some(),
            name => self.statements.write().remove(name).is_some(),
        }
    }

    pub fn drop_all_statements(&mut self) {
        self.statements.write().clear();
        self.unnamed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_never_moved_neither_while_it_comes_nor_by_what_comes_behind_it() {
        let mut connection = Connection::new(Arc::new(Queries::new(1)), 1 << 30, false);
        let length = 8 << 20;
        connection.feed(&[&b"B"[..], &(length as u32).to_be_bytes(), &[7; 60_000]].concat());
        let place = connection.input.as_ptr();
        while connection.input.len() < length + 1 {
            let left = length + 1 - connection.input.len();
            connection.feed(&vec![7; left.min(64 << 10)]);
        }
        connection.feed(&vec![b'S'; 64 << 10]);
        assert_eq!(connection.input.as_ptr(), place);
        assert!(connection.input.capacity() < length + (1 << 20));
    }
}
