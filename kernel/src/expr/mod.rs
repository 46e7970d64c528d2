//! Expressions: compiled once for each plan, evaluated over batches of rows.

pub mod env;
pub mod funcs;

pub use env::{Env, Host, NoHost, Operator, Plans, Setup, Spill};
