//! A client's session: transaction state, settings, and plans that run step by step.

pub mod backend;
pub mod cancel;
pub mod connection;
pub mod constraints;
pub mod copy_in;
pub mod cursor;
pub mod host;
pub mod node;
pub mod run;
pub mod settings;
pub mod spill;
pub mod state;
pub mod txn;

pub use backend::Backend;
pub use cursor::Cursor;
pub use run::{Outcome, Run};
pub use state::Session;
pub use txn::Isolation;

#[cfg(test)]
mod giving_up_tests;
#[cfg(test)]
mod tests;
