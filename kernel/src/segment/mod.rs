//! The storage side of the log: batches, quorum arithmetic, segments that rebuild pages, layer files, the journal's framing.
//!
//! Nothing here does I/O: a read that needs bytes of a layer file names them, and is called again with them.

pub mod batch;
pub mod freeze;
pub mod hot;
pub mod intake;
pub mod journal;
pub mod layer;
pub mod memory;
pub mod merge;
pub mod pump;
pub mod quorum;
pub mod read;
mod records;
pub mod store;

#[cfg(test)]
mod tests;
