//! Expressions: compiled once for each plan, evaluated over batches of rows.

pub mod arrays;
pub mod code;
pub mod compile;
pub mod env;
pub mod eval;
mod logic;
mod rows;
mod sub;

pub use code::{Program, State};
pub use compile::{Compiler, SubPlans};
pub use env::{Env, Host, Members, NoHost, Operator, Plans, Setup};
pub use sub::same;
