//! What the host must know, in order, and the descriptor that tells it to look.

use crate::connection::Token;
use parking_lot::Mutex;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
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
    signalled: AtomicBool,
    sender: UnixStream,
    receiver: UnixStream,
}

impl Notices {
    pub fn new() -> std::io::Result<Notices> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok(Notices {
            list: Mutex::default(),
            redo: AtomicBool::new(false),
            signalled: AtomicBool::new(false),
            sender,
            receiver,
        })
    }

    /// Readable when there is something to take.
    pub fn descriptor(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    pub fn push(&self, notice: Notice) {
        self.list.lock().push(notice);
        self.signal();
    }

    /// There is redo to be sent.
    pub fn redo(&self) {
        if !self.redo.swap(true, Ordering::AcqRel) {
            self.signal();
        }
    }

    fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            // A full socket is readable anyway.
            let _ = (&self.sender).write(&[0]);
        }
    }

    /// Whether there is redo, and the notices so far.
    pub fn take(&self) -> (bool, Vec<Notice>) {
        let mut bytes = [0; 64];
        loop {
            match (&self.receiver).read(&mut bytes) {
                Ok(64) => continue,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                _ => break,
            }
        }
        // Before the list is taken: what comes after that signals anew.
        self.signalled.store(false, Ordering::Release);
        let redo = self.redo.swap(false, Ordering::AcqRel);
        (redo, std::mem::take(&mut *self.list.lock()))
    }
}
