//! The extended-query protocol: Parse, Bind, Describe, Execute, Close.

use super::events::{Event, Raised};
use super::messages::Flow;
use super::portal::Portal;
use super::statement::{Entry, Statement, What};
use super::{Connection, Doing};
use crate::base::error::{fail, Res};
use crate::base::lexer;
use crate::base::{Oid, Stop};
use crate::session::state::Session;
use crate::types::registry::{self, Repr, TypeInfo};
use crate::types::wire::LEFT_OVER;
use crate::types::Datum;
use crate::wire::backend;
use crate::wire::frontend::{self, format_of, Frame, Target};
use std::sync::Arc;

impl Connection {
    pub(super) fn parse(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        let message = frontend::parse(frame.body)?;
        if !message.name.is_empty() && self.statements.read().contains_key(message.name) {
            return fail(
                "42P05",
                format!("prepared statement \"{}\" already exists", message.name),
            );
        }
        let known = self.queries.parse(self.scope, message.text, &message.types);
        let statement = match known.filter(|statement| !statement.stale(session.catalog_version()))
        {
            Some(statement) => Some(statement),
            None => lexer::is_blank(message.text).then(|| Statement::new(What::Empty, &[], 0)),
        };
        let Some(statement) = statement else {
            let (name, text) = (message.name.to_owned(), message.text.to_owned());
            let event = Event::Parse {
                name,
                text,
                types: message.types.to_vec(),
            };
            return Ok(Flow::Say(self.raise(Raised::Parse, event)));
        };
        check_failed(session, &statement)?;
        let (name, text) = (message.name, message.text);
        self.register(name, statement, text, None);
        self.at += frame.size;
        backend::bare(&mut session.out, backend::PARSE_COMPLETE);
        Ok(Flow::On)
    }

    /// Python has registered what a Parse event asked for.
    pub(super) fn parsed(&mut self, session: &mut Session, input: &[u8]) -> Res<Flow> {
        if let Some(frame) = frontend::frame(input.get(self.at..).unwrap_or(&[]), self.max_message)?
        {
            self.at += frame.size;
        }
        self.raised = 0;
        self.doing = Doing::Next;
        backend::bare(&mut session.out, backend::PARSE_COMPLETE);
        Ok(Flow::On)
    }

    fn entry(&self, name: &str) -> Res<Arc<Entry>> {
        match self.statement(name) {
            Some(entry) => Ok(entry),
            None if name.is_empty() => fail("26000", "unnamed prepared statement does not exist"),
            None => fail(
                "26000",
                format!("prepared statement \"{name}\" does not exist"),
            ),
        }
    }

    /// The event that asks for a new plan, if the statement's is too old.
    fn stale(&mut self, session: &Session, name: &str, entry: &Entry) -> Option<Event> {
        if !entry.statement.stale(session.catalog_version()) {
            return None;
        }
        let (name, text) = (Some(name.to_owned()), entry.text.clone());
        let event = Event::Stale {
            name,
            token: entry.statement.token,
            text,
        };
        Some(self.raise(Raised::Stale, event))
    }

    pub(super) fn bind(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        let message = frontend::bind(frame.body)?;
        let entry = self.entry(message.statement)?;
        check_failed(session, &entry.statement)?;
        if message.values.len() != entry.params.len() {
            let text = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                message.values.len(),
                message.statement,
                entry.params.len()
            );
            return fail("08P01", text);
        }
        self.sweep(session);
        if !message.portal.is_empty() && self.portals.contains_key(message.portal) {
            return fail(
                "42P03",
                format!("cursor \"{}\" already exists", message.portal),
            );
        }
        lock_plan(session, &entry.statement)?;
        if let Some(event) = self.stale(session, message.statement, &entry) {
            return Ok(Flow::Say(event));
        }
        if !entry.params.is_empty() {
            // 'now' in a parameter is this transaction's.
            session.begin_implicit();
        }
        let mut params = Vec::with_capacity(entry.params.len());
        for (at, (value, &typ)) in message.values.iter().zip(entry.params.iter()).enumerate() {
            let text = format_of(&message.param_formats, at) == 0;
            let read = match value {
                None => Ok(Datum::Null),
                Some(bytes) => param(session, typ, bytes, text),
            };
            params.push(read.map_err(|stop| of_parameter(stop, message.portal, at, text))?);
        }
        let mut portal = Portal::new(entry.statement.clone(), params, message.result_formats)?;
        portal.locked(session);
        match message.portal {
            "" => self.unnamed_portal = Some(portal),
            name => {
                self.portals.insert(name.to_owned(), portal);
            }
        }
        self.at += frame.size;
        backend::bare(&mut session.out, backend::BIND_COMPLETE);
        Ok(Flow::On)
    }

    pub(super) fn describe(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        match frontend::target(frame.body)? {
            Target::Statement(name) => {
                let entry = self.entry(name)?;
                if entry.statement.has_rows() {
                    check_failed(session, &entry.statement)?;
                }
                if let Some(event) = self.stale(session, name, &entry) {
                    return Ok(Flow::Say(event));
                }
                backend::parameter_description(&mut session.out, &entry.params);
                entry.statement.describe(&[], &mut session.out);
            }
            Target::Portal(name) => {
                self.sweep(session);
                let portal = match name {
                    "" => self.unnamed_portal.as_ref(),
                    name => self.portals.get(name),
                };
                let Some(portal) = portal else {
                    return no_portal(name);
                };
                if portal.statement.has_rows() {
                    check_failed(session, &portal.statement)?;
                }
                portal.statement.describe(&portal.formats, &mut session.out);
            }
        }
        self.at += frame.size;
        Ok(Flow::On)
    }

    pub(super) fn execute(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        let (name, limit) = frontend::execute(frame.body)?;
        self.sweep(session);
        let portal = match name {
            "" => self.unnamed_portal.as_mut(),
            name => self.portals.get_mut(name),
        };
        let Some(portal) = portal else {
            return no_portal(name);
        };
        check_failed(session, &portal.statement)?;
        let statement = &portal.statement;
        if portal.done && !statement.has_rows() {
            return fail("55000", format!("portal \"{name}\" cannot be run"));
        }
        let host = matches!(statement.what, What::Host { .. });
        if host || (session.intercept && statement.ends_something()) {
            session.settle()?;
            portal.done = true;
            let event = Event::Execute {
                portal: name.to_owned(),
                token: statement.token,
                params: portal.params.clone(),
                types: statement.params.clone(),
                formats: portal.formats.to_vec(),
                max_rows: limit as u64,
            };
            return Ok(Flow::Say(self.raise(Raised::Execute, event)));
        }
        let portal = match name {
            "" => self.unnamed_portal.take(),
            name => self.portals.remove(name),
        };
        let Some(portal) = portal else {
            return no_portal(name);
        };
        self.at += frame.size;
        self.doing = Doing::Execute {
            name: name.to_owned(),
            portal: Box::new(portal),
            max_rows: limit as u64,
        };
        self.work(session)
    }

    pub(super) fn close(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        match frontend::target(frame.body)? {
            Target::Statement(name) => {
                self.drop_statement(name);
            }
            Target::Portal("") => self.unnamed_portal = None,
            Target::Portal(name) => {
                self.portals.remove(name);
            }
        }
        self.at += frame.size;
        backend::bare(&mut session.out, backend::CLOSE_COMPLETE);
        Ok(Flow::On)
    }
}

fn param(session: &Session, typ: Oid, bytes: &[u8], text: bool) -> Res<Datum> {
    let info = registry::get(typ)?;
    match text {
        true => text_param(session, info, frontend::utf8(bytes)?),
        false => info.recv(bytes, -1, &session.kept.settings),
    }
}

/// A parameter in text format. Names of reg types are looked up by the engine: the kernel has no catalogue.
fn text_param(session: &Session, info: &TypeInfo, text: &str) -> Res<Datum> {
    match info.input(text, -1, &session.kept.settings) {
        Err(Stop::Error(_)) if info.repr == Repr::Oid && info.name.starts_with("reg") => {
            session.host.reg_input(info.name, text)
        }
        result => result,
    }
}

fn no_portal<T>(name: &str) -> Res<T> {
    fail("34000", format!("portal \"{name}\" does not exist"))
}

/// Before it is asked whether a plan is stale: who waits for a lock may find another catalogue, and who has it finds no
/// other until the transaction ends.
pub(super) fn lock_plan(session: &mut Session, statement: &Statement) -> Res<()> {
    match &statement.what {
        What::Plan(plan) => session.lock_plan(plan),
        _ => Ok(()),
    }
}

/// In a failed block only what ends it may run.
pub(super) fn check_failed(session: &Session, statement: &Statement) -> Res<()> {
    match statement.allowed_in_failed() {
        true => Ok(()),
        false => session.check_usable(),
    }
}

/// Which parameter is wrong. PostgreSQL shows no values by default, but that there are some.
fn of_parameter(stop: Stop, portal: &str, at: usize, text: bool) -> Stop {
    let Stop::Error(mut error) = stop else {
        return stop;
    };
    let number = at + 1;
    if error.message == LEFT_OVER {
        error.message = format!("{LEFT_OVER} in bind parameter {number}");
    }
    // Not decoded yet: there is no value to show.
    let shown = if text && error.code != *b"22021" {
        " = '...'"
    } else {
        ""
    };
    let place = match portal {
        "" => format!("unnamed portal parameter ${number}{shown}"),
        name => format!("portal \"{name}\" parameter ${number}{shown}"),
    };
    let before = error.context.take();
    error.context =
        Some(before.map_or_else(|| place.clone(), |before| format!("{before}\n{place}")));
    Stop::Error(error)
}
