//! Functions by pg_proc.prosrc, aggregates by name and argument types, set-returning functions by prosrc.

pub mod agg;
#[cfg(test)]
mod answers_tests;
mod arith;
mod arrays;
mod arrayset;
mod casts;
#[cfg(test)]
mod catalogue_tests;
mod compare;
pub mod ctx;
mod dateparts;
mod digests;
pub mod encoding;
mod floats;
mod format;
pub mod intervals;
mod jsonchange;
mod jsons;
pub mod jsontext;
mod letters;
mod like;
mod network;
mod numerics;
#[cfg(test)]
mod pace_tests;
mod places;
pub mod regexes;
pub mod registry;
pub mod rematch;
pub mod repattern;
mod repike;
mod sequences;
pub mod set;
mod sizes;
mod splitting;
mod spread;
pub mod statistics;
pub mod strings;
mod timemaking;
pub mod timestamps;
pub mod tojson;
pub mod vector;

pub use ctx::{CallInfo, Ctx, Host, Memo, Rng};
pub use registry::{lookup, Eval, Function, Volatility};
