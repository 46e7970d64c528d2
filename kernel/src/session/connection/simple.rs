//! The simple Query: texts that differ from a registered one in literals only run here.

use super::events::{Event, Raised};
use super::extended::{check_failed, lock_plan};
use super::messages::Flow;
use super::portal::Portal;
use super::statement::{Cached, What};
use super::{Connection, Doing};
use crate::base::error::{fail, Res};
use crate::base::lexer::{self, Literal};
use crate::base::Stop;
use crate::session::state::Session;
use crate::types::registry;
use crate::types::Datum;
use crate::wire::backend;
use crate::wire::frontend::{self, Formats, Frame};
use std::sync::Arc;

/// Characters of a statement that others are shown (track_activity_query_size).
const SHOWN: usize = 1024;

fn whole(text: &str, key: Vec<u8>, literals: &[Literal<'_>]) -> Event {
    Event::Query {
        text: text.to_owned(),
        key,
        literals: lexer::positions(text, literals),
    }
}

impl Connection {
    pub(super) fn query(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        let text = frontend::query(frame.body)?;
        self.unnamed = None;
        self.unnamed_portal = None;
        self.sweep(session);
        let mut key = std::mem::take(&mut self.key);
        let literals = lexer::normalise(text, &mut key);
        let known = self.queries.query(self.scope, &key, &literals);
        let empty = key.is_empty();
        let result = match known {
            _ if empty => {
                backend::bare(&mut session.out, backend::EMPTY_QUERY);
                self.at += frame.size;
                self.doing = Doing::Finish { told: false };
                Ok(Flow::On)
            }
            Some(cached) => self.run_cached(session, frame, text, &cached, &literals),
            None => session
                .settle()
                .map(|()| Flow::Say(self.unknown(text, &key, &literals))),
        };
        self.key = key;
        result
    }

    fn unknown(&mut self, text: &str, key: &[u8], literals: &[Literal<'_>]) -> Event {
        let event = match lexer::shorten(text, literals) {
            Some(short) => Event::LongQuery {
                shown: text.chars().take(SHOWN).collect(),
                key: key.to_vec(),
                short,
            },
            None => whole(text, key.to_vec(), literals),
        };
        self.raise(Raised::Query, event)
    }

    /// The Query of a `LongQuery`, with all of its text.
    pub fn whole_query(&self) -> Res<Event> {
        let input = self.input.get(self.at..).unwrap_or(&[]);
        let frame = match self.doing {
            Doing::Event {
                of: Raised::Query,
                used: false,
            } => frontend::frame(input, self.max_message)?,
            _ => None,
        };
        let Some(frame) = frame else {
            return fail("XX000", "no Query is being dealt with");
        };
        let text = frontend::query(frame.body)?;
        let mut key = Vec::new();
        let literals = lexer::normalise(text, &mut key);
        Ok(whole(text, key, &literals))
    }

    fn run_cached(
        &mut self,
        session: &mut Session,
        frame: Frame<'_>,
        text: &str,
        cached: &Arc<Cached>,
        literals: &[Literal<'_>],
    ) -> Res<Flow> {
        let statement = &cached.statement;
        check_failed(session, statement)?;
        lock_plan(session, statement)?;
        if statement.stale(session.catalog_version()) {
            let event = Event::Stale {
                name: None,
                token: statement.token,
                text: text.to_owned(),
            };
            return Ok(Flow::Say(self.raise(Raised::Stale, event)));
        }
        let host = matches!(statement.what, What::Host { .. });
        if host || (session.intercept && statement.ends_something()) {
            session.settle()?;
            let key = std::mem::take(&mut self.key);
            let event = whole(text, key, literals);
            return Ok(Flow::Say(self.raise(Raised::Query, event)));
        }
        if !cached.lift.is_empty() {
            // 'now' in a literal is this transaction's.
            session.begin_implicit();
        }
        let mut params = vec![Datum::Null; statement.params.len()];
        for &(literal, param) in &cached.lift {
            let (Some(literal), Some(slot), Some(&typ)) = (
                literals.get(literal),
                params.get_mut(param),
                statement.params.get(param),
            ) else {
                return fail("XX000", "a cached statement names literals that it has not");
            };
            *slot = registry::get(typ)?
                .input(&literal.value, -1, &session.kept.settings)
                .map_err(|stop| positioned(stop, text, literal))?;
        }
        let mut portal = Portal::new(statement.clone(), params, Formats::new())?;
        portal.locked(session);
        if statement.has_rows() {
            backend::row_description(&mut session.out, statement.columns(), &[]);
        }
        self.at += frame.size;
        self.doing = Doing::Query {
            portal: Box::new(portal),
        };
        self.work(session)
    }
}

/// A literal's error with its place in the statement, as if it had been read there.
fn positioned(stop: Stop, text: &str, literal: &Literal<'_>) -> Stop {
    match stop {
        Stop::Error(mut error) => {
            let before = text.get(..literal.at).map_or(0, |t| t.chars().count());
            error.position = u32::try_from(before + 1).ok();
            Stop::Error(error)
        }
        need => need,
    }
}
