//! What the host must know, in order, and the descriptor that tells it to look.

use crate::connection::Token;
use parking_lot::Mutex;
use sixfold_lanes::Signal;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A client has connected: `attach` or `abort` it.
    Accepted {
        token: Token,
        host: String,
        port: u16,
    },
    /// The host owns the connection now.
    Handed(Token),
    /// The connection is over, and the host owns what is left of its session.
    Lost(Token),
    /// All that the host wrote has gone out, after `write` had said that it had not.
    Drained(Token),
    /// A session that the host keeps is to go on.
    Woken(u64),
}

pub struct Notices {
    list: Mutex<Vec<Notice>>,
    redo: AtomicBool,
    signal: Signal,
}

impl Notices {
    pub fn new() -> std::io::Result<Notices> {
        Ok(Notices {
            list: Mutex::default(),
            redo: AtomicBool::new(false),
            signal: Signal::new()?,
        })
    }

    /// Readable when there is something to take.
    pub fn descriptor(&self) -> RawFd {
        self.signal.descriptor()
    }

    pub fn push(&self, notice: Notice) {
        self.list.lock().push(notice);
        self.signal.raise();
    }

    /// There is redo to be sent: somebody waits for it, or it is much.
    pub fn redo(&self) {
        if !self.redo.swap(true, Ordering::AcqRel) {
            self.signal.raise();
        }
    }

    /// Whether there is redo, and the notices so far.
    pub fn take(&self) -> (bool, Vec<Notice>) {
        // Before the list is taken: what comes after that signals anew.
        self.signal.clear();
        let redo = self.redo.swap(false, Ordering::AcqRel);
        (redo, std::mem::take(&mut *self.list.lock()))
    }
}
