//! A descriptor that is readable while there is something to look at.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Raised from any thread, cleared by the one that looks. Raising costs one system call for each clearing.
pub struct Signal {
    raised: AtomicBool,
    sender: UnixStream,
    pub(crate) receiver: UnixStream,
}

impl Signal {
    pub fn new() -> io::Result<Signal> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok(Signal {
            raised: AtomicBool::new(false),
            sender,
            receiver,
        })
    }

    pub fn descriptor(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            // A full socket is readable anyway.
            let _ = (&self.sender).write(&[0]);
        }
    }

    /// To be called before looking.
    pub fn clear(&self) {
        let mut bytes = [0; 64];
        loop {
            match (&self.receiver).read(&mut bytes) {
                Ok(size) if size == bytes.len() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.raised.store(false, Ordering::Release);
    }
}
