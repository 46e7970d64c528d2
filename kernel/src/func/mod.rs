//! Functions by pg_proc.prosrc, aggregates by name and argument types, set-returning functions by prosrc.

pub mod agg;
pub mod ctx;
pub mod registry;
pub mod set;
pub mod vector;

pub use ctx::{CallInfo, Ctx, Host, Memo, Rng};
pub use registry::{lookup, Eval, Function, Volatility};
