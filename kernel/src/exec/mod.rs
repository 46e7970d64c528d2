//! Plans and what runs them.

pub mod access;
pub mod batch;
pub mod plan;
pub mod run;

pub use run::{Deferred, Execution, Prepared};
