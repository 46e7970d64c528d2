//! Threads that carry bytes between clients' sockets and their sessions, so that what a session can answer by itself never
//! waits for the server's event loop.
//!
//! A connection is in one of a few states (`State`), and at any time exactly one side owns it: a reactor thread, which reads
//! its socket and lets the session answer; or the *host* (the event loop), to whom the thread hands it when the session asks
//! for what only the host can do. While the host owns it nothing is read; `release` gives it back. A session that waits for
//! the log or for another session is parked here, and costs nothing.
//!
//! The crate knows nothing of the protocol or of SQL: that is `Session`. It does the I/O that the kernel may not do.

mod connection;
mod notice;
#[cfg(test)]
mod script;
mod shared;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;
mod thread;
mod tls;

pub use connection::Token;
pub use notice::Notice;
pub use shared::Reactor;
pub use tls::TlsConfig;

/// What a session says when it can't go on with the bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// All input is used up.
    Idle,
    /// Until the log is durable up to this LSN; then `run`.
    Durable(u64),
    /// Until another session wakes it; then `run`.
    Asleep,
    /// The host must go on.
    Host,
}

/// One client's session. `feed` and `run` are called by one thread at a time, the owner's.
pub trait Session: Send + Sync + 'static {
    /// Take input, go on as far as possible, append the output. `now`: microseconds since 1970.
    fn feed(&self, input: &[u8], now: i64, output: &mut Vec<u8>) -> Said;

    /// Go on after a wait.
    fn run(&self, output: &mut Vec<u8>) -> Said;

    /// Append what was written besides (notifications, a FATAL); false when another thread is in the session, which will
    /// write it.
    fn take_output(&self, output: &mut Vec<u8>) -> bool;

    /// Its number, by which others wake it.
    fn number(&self) -> u64;

    /// The log is durable up to here.
    fn durable(&self) -> u64;

    /// Bytes of redo that nobody has taken yet.
    fn gathered(&self) -> u64;

    /// Sessions that are to go on, each once.
    fn take_woken(&self) -> Vec<u64>;

    /// Whether its waits for others can be kept here; else the host keeps them (it has time-outs).
    fn sleeps_here(&self) -> bool;
}
