//! Threads that carry the log: from the writer's redo to the journals of storage nodes, and acknowledgements back to VDL.
//!
//! A `Lane` is a storage node's foreground: one thread that takes the writers' messages, writes what is new to the journal, makes
//! it durable and sends the acknowledgements. `Streams` is the writer's side: it sends each flush to all members and learns when
//! a quorum has it. What is decided (what to take, what to write, what is durable) is decided by `Intake` and `Source`, which do
//! no I/O; here is the I/O, and no Python: nothing on this path waits for an event loop. A host (the event loop) is told by a
//! `Signal` of what only it can do: begin a new file, deal with a failure, go on with those who wait.
//!
//! Messages are those of the wire (`pagestore/wire.py`), also within one process.

mod file;
mod lane;
mod link;
mod signal;
mod streams;
mod timer;

pub use lane::{Begin, Event, Intake, Lane, Write, Written};
pub use link::Door;
pub use signal::Signal;
use std::sync::Arc;
pub use streams::{Source, Streams};

/// A hot message, shared by all who carry it.
pub type Message = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A way to the other side. Sending never waits; a way that is closed drops what it is given.
pub trait Way: Send + Sync + 'static {
    fn send(&self, message: &Message);
    /// Nobody sends here any more.
    fn close(&self) {}
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod tests;
