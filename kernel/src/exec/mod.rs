//! Plans and what runs them.

pub mod access;
pub mod batch;
pub mod compile;
pub mod deferral;
pub mod explain;
pub mod kept;
pub mod keys;
pub mod nodes;
pub mod numbered;
pub mod ops;
pub mod order;
pub mod plan;
pub mod run;
mod runs;
mod sorter;
pub mod spill;

#[cfg(test)]
pub(crate) mod tests;

pub use ops::Queue;
pub use run::{Execution, Prepared};
