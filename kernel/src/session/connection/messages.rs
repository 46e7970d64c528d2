//! One message after the other: framing, startup, who handles which, and errors.

use super::events::{Event, Raised};
use super::{Connection, Doing, Phase, RAISED_MAX};
use crate::base::error::{fail, Res};
use crate::base::{guarded, pace, Need, SqlError, Stop};
use crate::session::cancel::ADMIN_SHUTDOWN;
use crate::session::run::OUTPUT_HIGH;
use crate::session::state::Session;
use crate::wire::backend::{self, Internal};
use crate::wire::frontend::{self, Frame, Startup};

/// Messages after which a step pauses, so that one pipeline does not hold the others up.
const MESSAGES: u32 = 256;

/// Used input above this makes room at once: a statement with a long parameter does not keep it twice.
const LONG_INPUT: usize = 1 << 20;

/// Bound of messages before the client has logged in.
const LOGIN_MESSAGE: usize = 64 << 10;

/// Does handling go on, or is there something to say?
pub(super) enum Flow {
    On,
    Say(Event),
}

impl Connection {
    /// Go on until there is something to say. `slices`: how many time slices of work may be used.
    pub fn step(&mut self, session: &mut Session, slices: u32) -> Event {
        let mut slices = slices.max(1);
        let mut messages = 0;
        loop {
            let input = std::mem::take(&mut self.input);
            let result = self.turn(session, &input);
            // What the turn fed or cleared in the meantime is nothing: it only sees `input`.
            self.input = input;
            if self.at == self.input.len() && self.at > 0 {
                self.use_up(0);
            } else if self.at > LONG_INPUT {
                self.shrink_input();
            }
            match result {
                Ok(Flow::On) => {
                    messages += 1;
                    if session.out.len() >= OUTPUT_HIGH && !session.holds_back(false) {
                        return Event::Drain;
                    }
                    if messages >= MESSAGES {
                        return Event::Wait(Need::Slice);
                    }
                }
                Ok(Flow::Say(event)) => return event,
                Err(Stop::Need(Need::Slice)) => {
                    if session.out.len() >= OUTPUT_HIGH {
                        return Event::Drain;
                    }
                    slices -= 1;
                    if slices == 0 {
                        return Event::Wait(Need::Slice);
                    }
                }
                Err(Stop::Need(need)) => return Event::Wait(need),
                Err(Stop::Error(error)) => return self.failed(session, error),
            }
        }
    }

    fn turn(&mut self, session: &mut Session, input: &[u8]) -> Res<Flow> {
        match &self.doing {
            Doing::Next => match self.phase {
                Phase::Startup => self.startup(session, input),
                Phase::Closed => Ok(Flow::Say(Event::Idle)),
                Phase::Login => self.message(session, input),
                Phase::Ready => {
                    session.cancel.check_end()?;
                    self.message(session, input)
                }
            },
            Doing::Event { of, .. } => match of {
                Raised::Parse if self.registered => self.parsed(session, input),
                Raised::Parse | Raised::Query | Raised::Stale => {
                    self.doing = Doing::Next;
                    Ok(Flow::On)
                }
                of => {
                    let text = format!("step() without an answer to the event ({of:?})");
                    self.drop_message(input);
                    fail("XX000", text)
                }
            },
            Doing::Copy { .. } => guarded(|| self.copying(session, input)),
            _ => guarded(|| self.work(session)),
        }
    }

    fn startup(&mut self, session: &mut Session, input: &[u8]) -> Res<Flow> {
        let Some((_, packet)) = frontend::startup(input.get(self.at..).unwrap_or(&[]))? else {
            return Ok(Flow::Say(Event::Idle));
        };
        Ok(Flow::Say(match packet {
            Startup::Ssl => self.raise(Raised::Negotiation, Event::Ssl),
            Startup::GssEnc => self.raise(Raised::Negotiation, Event::GssEnc),
            Startup::Cancel { pid, secret } => {
                self.raise(Raised::Negotiation, Event::Cancel { pid, secret })
            }
            Startup::Session { minor, params } => {
                let unknown: Vec<&str> = params
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .filter(|name| name.starts_with("_pq_."))
                    .collect();
                if minor > 0 || !unknown.is_empty() {
                    backend::negotiate(&mut session.out, &unknown);
                }
                self.raise(Raised::Startup, Event::Startup(params))
            }
        }))
    }

    fn message(&mut self, session: &mut Session, input: &[u8]) -> Res<Flow> {
        let limit = if self.phase == Phase::Login {
            LOGIN_MESSAGE
        } else {
            self.max_message
        };
        let frame = match frontend::frame(input.get(self.at..).unwrap_or(&[]), limit) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(Flow::Say(Event::Idle)),
            Err(stop) => {
                // Where the next message begins is not known any more.
                self.phase = Phase::Closed;
                return Err(stop);
            }
        };
        if self.phase == Phase::Login {
            return self.login(frame);
        }
        if self.raised > RAISED_MAX {
            self.at += frame.size;
            return fail("XX000", "the statement was not registered");
        }
        if self.raised == 0 && !self.waits {
            session.cancel.clear();
            self.messages += 1;
        }
        self.extended = matches!(frame.tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
        if self.skipping && !matches!(frame.tag, b'S' | b'X') {
            self.at += frame.size;
            return Ok(Flow::On);
        }
        if matches!(frame.tag, b'B' | b'P' | b'Q') {
            pace::heavy(frame.size)?;
        }
        let before = self.at;
        let size = frame.size;
        let result = guarded(|| self.dispatch(session, frame));
        self.waits = matches!(result, Err(Stop::Need(_)));
        // A message is used up by its error, unless the work that it began has failed.
        if matches!(result, Err(Stop::Error(_))) && self.at == before {
            self.at += size;
        }
        self.raised = if matches!(self.doing, Doing::Event { .. }) {
            self.raised
        } else {
            0
        };
        result
    }

    fn dispatch(&mut self, session: &mut Session, frame: Frame<'_>) -> Res<Flow> {
        match frame.tag {
            b'B' => self.bind(session, frame),
            b'E' => self.execute(session, frame),
            b'S' => {
                self.at += frame.size;
                self.skipping = false;
                self.doing = Doing::Finish { told: false };
                Ok(Flow::On)
            }
            b'D' => self.describe(session, frame),
            b'P' => self.parse(session, frame),
            b'C' => self.close(session, frame),
            b'Q' => self.query(session, frame),
            b'H' | b'd' | b'c' | b'f' => {
                self.at += frame.size;
                Ok(Flow::On)
            }
            b'X' => {
                self.at += frame.size;
                self.phase = Phase::Closed;
                Ok(Flow::Say(Event::Terminate))
            }
            tag => {
                session.settle()?;
                let body = frame.body.to_vec();
                Ok(Flow::Say(
                    self.raise(Raised::Other, Event::Message { tag, body }),
                ))
            }
        }
    }

    fn login(&mut self, frame: Frame<'_>) -> Res<Flow> {
        match frame.tag {
            b'p' => Ok(Flow::Say(
                self.raise(Raised::Password, Event::Password(frame.body.to_vec())),
            )),
            b'X' => {
                self.phase = Phase::Closed;
                Ok(Flow::Say(Event::Terminate))
            }
            tag => {
                self.phase = Phase::Closed;
                fail(
                    "08P01",
                    format!("expected password response, got message type {tag}"),
                )
            }
        }
    }

    /// The message at the head of the input is dealt with.
    pub(super) fn use_up_message(&mut self) -> Res<()> {
        let rest = self.input.get(self.at..).unwrap_or(&[]);
        let size = match self.phase {
            Phase::Startup => frontend::startup(rest)?.map(|(size, _)| size),
            _ => frontend::frame(rest, self.max_message)?.map(|frame| frame.size),
        };
        match size {
            Some(size) => {
                self.use_up(size);
                Ok(())
            }
            None => fail("XX000", "the event's message is not in the input"),
        }
    }

    fn drop_message(&mut self, input: &[u8]) {
        if let Doing::Event { used: false, .. } = self.doing {
            let rest = input.get(self.at..).unwrap_or(&[]);
            if let Ok(Some(frame)) = frontend::frame(rest, self.max_message) {
                self.at += frame.size;
            }
        }
    }

    /// An error while the kernel ran something.
    fn failed(&mut self, session: &mut Session, error: Box<SqlError>) -> Event {
        let fatal = self.phase != Phase::Ready || error.code == *ADMIN_SHUTDOWN;
        if fatal {
            self.phase = Phase::Closed;
        }
        // The commit at a Query's end or at a Sync: only ReadyForQuery is left to say.
        if matches!(self.doing, Doing::Finish { .. }) {
            self.extended = false;
        }
        self.write_failure(
            session,
            if fatal { "FATAL" } else { "ERROR" },
            &error,
            &Internal::default(),
        );
        Event::Error { error, fatal }
    }
}
