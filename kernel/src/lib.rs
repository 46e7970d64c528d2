//! Sixfold's kernel: everything that happens once a row, a page, a redo record or a byte.
//!
//! It does no I/O and takes no clock and no randomness: a call is done, or answers a
//! [`base::error::Need`] that names what it waits for. Modules import only what stands above them here.

pub mod base;
pub mod page;
pub mod redo;
pub mod store;

pub mod btree;

pub mod types;

pub mod txn;

pub mod table;

pub mod expr;
pub mod func;

pub mod exec;

pub mod segment;

pub mod wire;

pub mod session;

#[cfg(feature = "python")]
mod py;
