//! One compute node's view of a volume: page cache, log tail, mini-transactions, space, and the reader's stream.

mod fetch;
pub mod header;
mod log;
mod mtr;
mod pool;
mod space;
#[cfg(test)]
pub(crate) mod tests;
mod volume;

pub use header::Field;
pub use log::Flush;
pub(crate) use mtr::cannot_wait;
pub use mtr::Mtr;
pub use space::{is_used, used_pages};
pub use volume::{Config, Pages, Role, Volume};
