//! Functions by pg_proc.prosrc, aggregates by name and argument types, set-returning functions by prosrc.

pub mod agg;
mod arith;
mod casts;
mod compare;
pub mod ctx;
mod floats;
pub mod intervals;
mod like;
mod numerics;
pub mod regexes;
pub mod registry;
mod sequences;
pub mod set;
pub mod strings;
pub mod tojson;
pub mod vector;

pub use ctx::{CallInfo, Ctx, Host, Memo, Rng};
pub use registry::{lookup, Eval, Function, Volatility};
