//! One client's connection: its socket, what waits to be written, and who owns it.

use crate::tls::Tls;
use crate::Session;
use mio::net::TcpStream;
use parking_lot::Mutex;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

/// A connection's number; never used again.
pub type Token = u64;

/// Bytes read at once.
pub const READ_BYTES: usize = 64 << 10;
/// No more is read from a client that leaves this much unread.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Bytes written to one connection before others have their turn: a client that takes them as fast as they come would keep its thread
/// for all of a long answer.
pub const TURN_BYTES: usize = 1 << 20;
/// Memory above this is given back by a thread of its own: the system takes its time over it.
const LARGE: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The thread waits for input.
    Idle,
    /// The thread is in the session.
    Running,
    /// The thread waits for the log.
    Parked(u64),
    /// The thread waits for another session.
    Asleep,
    /// The host owns it.
    Host,
    /// Nothing more will be written; what is left goes out.
    Closing,
}

/// What is to be written. A long answer goes out in thousands of pieces: what has gone is not taken out at each.
#[derive(Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// So many of `bytes` have gone.
    gone: usize,
}

/// A rest that is not longer is moved to the front.
const MOVED_BYTES_MAX: usize = 64 << 10;

impl Output {
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.gone..).unwrap_or(&[])
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.gone
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&mut self) {
        *self = Output::default();
    }

    /// So many more bytes have gone.
    pub fn went(&mut self, size: usize) {
        self.gone += size;
        if self.is_empty() {
            self.bytes.clear();
            self.gone = 0;
            if self.bytes.capacity() > OUTPUT_BYTES_MAX {
                let bytes = std::mem::take(&mut self.bytes);
                if bytes.capacity() > LARGE {
                    // Where no thread can be had it is given back here.
                    let _ = std::thread::Builder::new().spawn(move || drop(bytes));
                }
            }
        } else if self.len() <= MOVED_BYTES_MAX.min(self.gone) {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }
}

pub struct Io {
    /// None once it is closed.
    pub socket: Option<TcpStream>,
    /// Once the client has asked for it.
    pub tls: Option<Box<Tls>>,
    pub state: State,
    /// There may be something to read.
    pub readable: bool,
    /// The other side has said that it sends no more, or the socket has failed.
    pub ended: bool,
    pub output: Output,
    /// The host waits for `output` to drain.
    pub told_full: bool,
    /// To be closed when the thread leaves the session.
    pub closing: bool,
    /// Somebody else wrote while the thread was in the session.
    pub flush: bool,
    /// Woken while the thread was in the session.
    pub woken: bool,
    /// Its thread's list of sleepers has it.
    pub listed: bool,
    /// The host has been told that it is over.
    pub told_lost: bool,
    /// Its thread's list of those that have more to write has it.
    pub writing: bool,
}

/// What one attempt to write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// Everything, or what the socket takes: the poll says when it takes more.
    All,
    /// As much as one may write at a time.
    Turn,
    /// The connection is gone.
    Gone,
}

/// What one attempt to read gave.
pub enum Got {
    Bytes(usize),
    Nothing,
    End,
}

pub struct Connection {
    pub token: Token,
    pub thread: usize,
    pub io: Mutex<Io>,
    pub session: OnceLock<Arc<dyn Session>>,
    /// When the client last sent something or a statement ended: microseconds since 1970.
    pub last_input: AtomicI64,
}

impl Connection {
    pub fn new(token: Token, thread: usize, socket: TcpStream) -> Connection {
        Connection {
            token,
            thread,
            io: Mutex::new(Io {
                socket: Some(socket),
                tls: None,
                state: State::Host,
                readable: true,
                ended: false,
                output: Output::default(),
                told_full: false,
                closing: false,
                flush: false,
                woken: false,
                listed: false,
                told_lost: false,
                writing: false,
            }),
            session: OnceLock::new(),
            last_input: AtomicI64::new(0),
        }
    }

    pub fn heard(&self, now: i64) {
        self.last_input.store(now, Ordering::Relaxed);
    }
}

impl Io {
    /// Read once. A short read has emptied the socket: the poll says when there is more.
    pub fn read(&mut self, buffer: &mut [u8]) -> Got {
        let Some(socket) = &mut self.socket else {
            return Got::End;
        };
        loop {
            let got = match &mut self.tls {
                Some(tls) => tls.read(socket, buffer),
                None => socket.read(buffer),
            };
            return match got {
                Ok(0) => Got::End,
                Ok(size) => {
                    // TLS may hold more than it gave.
                    self.readable = size == buffer.len() || self.ended || self.tls.is_some();
                    Got::Bytes(size)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    Got::Nothing
                }
                Err(_) => Got::End,
            };
        }
    }

    /// Everything has gone out.
    pub fn drained(&self) -> bool {
        self.output.is_empty() && !self.tls.as_ref().is_some_and(|tls| tls.pending())
    }

    /// Write what the socket takes, for one turn.
    pub fn write(&mut self) -> Wrote {
        let Some(socket) = &mut self.socket else {
            return Wrote::Gone;
        };
        if let Some(tls) = &mut self.tls {
            return tls
                .write(socket, &mut self.output, TURN_BYTES)
                .unwrap_or(Wrote::Gone);
        }
        let mut left = TURN_BYTES;
        loop {
            if self.output.is_empty() {
                return Wrote::All;
            }
            if left == 0 {
                return Wrote::Turn;
            }
            let rest = self.output.rest();
            match socket.write(&rest[..rest.len().min(left)]) {
                Ok(0) => return Wrote::Gone,
                Ok(size) => {
                    self.output.went(size);
                    left -= size;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Wrote::All,
                Err(_) => return Wrote::Gone,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_is_not_moved_about_and_does_not_stay_for_ever() {
        let mut output = Output::default();
        output.bytes.resize(10 * MOVED_BYTES_MAX, 1);
        output.bytes.extend([2; 100]);
        for _ in 0..9 {
            output.went(MOVED_BYTES_MAX);
        }
        assert_eq!(output.bytes.len(), 10 * MOVED_BYTES_MAX + 100);
        output.went(MOVED_BYTES_MAX);
        assert_eq!(output.rest(), [2; 100]);
        assert_eq!(output.bytes.len(), 100);
        output.bytes.extend([3; 5]);
        output.went(100);
        assert_eq!(output.rest(), [3; 5]);
        output.went(5);
        assert!(output.is_empty() && output.bytes.is_empty());
    }

    #[test]
    fn a_client_that_takes_everything_gets_a_turns_bytes_at_a_time() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let connection = Connection::new(2, 0, TcpStream::from_std(socket));
        let all = 8 * TURN_BYTES + 7;
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            got.len()
        });
        let mut io = connection.io.lock();
        io.output.bytes.resize(all, 1);
        let mut turns = 0;
        while !io.output.is_empty() {
            let before = io.output.len();
            turns += usize::from(io.write() == Wrote::Turn);
            assert!(before - io.output.len() <= TURN_BYTES);
        }
        assert!(turns > 0);
        io.socket = None;
        assert_eq!(reader.join().unwrap(), all);
    }
}
