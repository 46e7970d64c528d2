//! A cursor of SQL's: rows by number, from 0. Those that have been read are kept, so that it can go back (one that need not go back keeps
//! only what has been read ahead), and outlive the transaction once all have been read.

use super::run::{Run, OUTPUT_HIGH};
use super::state::Session;
use crate::base::error::fail;
use crate::base::{Need, Res};
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::kept::Room;
use crate::exec::numbered::Numbered;
use crate::wire::encode::Encoder;

/// Where the rows of a fetch go.
pub enum To {
    Nowhere,
    /// DataRow messages in the session's output.
    Client(Encoder),
    /// `Cursor::take_fetched`.
    Python,
}

/// What is left to do of a fetch.
struct Fetch {
    /// So many rows are read in any case.
    read: u64,
    next: u64,
    left: u64,
    back: bool,
    to: To,
    done: u64,
}

pub struct Cursor {
    /// None: all rows have been read.
    run: Option<Run>,
    rows: Numbered,
    scroll: bool,
    fetch: Fetch,
    fetched: Batch,
}

impl Cursor {
    pub fn new(session: &Session, run: Run, scroll: bool) -> Cursor {
        let room = Room::new(session.kept.work_mem, Some(session.spill.clone()));
        Cursor {
            run: Some(run),
            rows: Numbered::new(room),
            scroll,
            fetch: Fetch {
                read: 0,
                next: 0,
                left: 0,
                back: false,
                to: To::Nowhere,
                done: 0,
            },
            fetched: Batch::default(),
        }
    }

    /// Rows that have been read from the plan.
    pub fn len(&self) -> u64 {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What `step` is to do: to read so many rows, if there are so many, and keep them.
    pub fn read(&mut self, upto: u64) {
        self.begin(0, 0, false, To::Nowhere);
        self.fetch.read = upto;
    }

    /// What `step` is to do: to hand over rows from this one on, forwards or backwards.
    pub fn begin(&mut self, first: u64, count: u64, back: bool, to: To) {
        self.fetch = Fetch {
            read: 0,
            next: first,
            left: if back { count.min(first + 1) } else { count },
            back,
            to,
            done: 0,
        };
        self.fetched = Batch::default();
    }

    pub fn take_fetched(&mut self) -> Batch {
        std::mem::take(&mut self.fetched)
    }

    /// How many rows were handed over, once it is done. After `Need` call again; after an error the caller calls `Session::fail`.
    pub fn step(&mut self, session: &mut Session) -> Res<u64> {
        session.cancel.check()?;
        session.settle()?;
        self.rows.settle()?;
        if let Some(run) = &mut self.run {
            run.enter(session)?;
        }
        while self.rows.len() < self.fetch.read {
            let limit = self.fetch.read - self.rows.len();
            if !self.pull(session, limit)? {
                break;
            }
        }
        while self.fetch.left > 0 {
            if self.fetch.next < self.rows.len() {
                self.hand_over(session)?;
                continue;
            }
            if !self.scroll {
                self.rows.forget();
            }
            // Rows that are skipped count too: they may have to be read before.
            let limit = (self.fetch.next - self.rows.len()).saturating_add(self.fetch.left);
            if !self.pull(session, limit)? {
                break;
            }
        }
        Ok(self.fetch.done)
    }

    /// Read at most so many rows; false at the end.
    fn pull(&mut self, session: &mut Session, limit: u64) -> Res<bool> {
        let Some(run) = &mut self.run else {
            return Ok(false);
        };
        let limit = limit.min(BATCH_ROWS as u64) as usize;
        match run.pull(session, limit)? {
            Some(batch) => {
                self.rows.push(batch);
                self.rows.settle()?;
                Ok(true)
            }
            None => {
                self.run = None;
                Ok(false)
            }
        }
    }

    /// Rows that are there, as many as there are or as the client takes now.
    fn hand_over(&mut self, session: &mut Session) -> Res<()> {
        let fetch = &mut self.fetch;
        if matches!(fetch.to, To::Nowhere) {
            let ready = match fetch.back {
                true => fetch.next + 1,
                false => self.rows.len() - fetch.next,
            };
            fetch.pass(ready.min(fetch.left));
            return Ok(());
        }
        while fetch.left > 0 && fetch.next < self.rows.len() {
            let Some((batch, at)) = self.rows.row(fetch.next)? else {
                return fail("XX000", "a cursor was asked for a row that it has not kept");
            };
            match &fetch.to {
                To::Client(_) if session.out.len() >= OUTPUT_HIGH => return Err(Need::Slice.into()),
                To::Client(encoder) => {
                    encoder.row(batch, at, &session.kept.settings, &mut session.out)?
                }
                To::Python => {
                    if self.fetched.len == 0 {
                        self.fetched = batch.slice(0, 0);
                    }
                    self.fetched.push_from(batch, at);
                }
                To::Nowhere => {}
            }
            fetch.pass(1);
        }
        Ok(())
    }

    /// End the plan and forget all rows.
    pub fn close(&mut self) {
        self.run = None;
        self.rows.forget();
    }
}

impl Fetch {
    fn pass(&mut self, rows: u64) {
        self.next = match self.back {
            true => self.next.saturating_sub(rows),
            false => self.next + rows,
        };
        self.left -= rows;
        self.done += rows;
    }
}
