//! Words shared by every part of the kernel: numbers with a meaning, errors, and what a call may wait for.

pub mod cells;
pub mod error;
pub mod folding;
pub mod guarded;
pub mod ids;
pub mod lexer;
pub mod outline;
pub mod pace;
pub mod spill;
pub mod varint;

pub use error::{Actor, Need, Res, SqlError, Stop};
pub use guarded::guarded;
pub use ids::{Epoch, GroupNo, Lsn, Oid, PageNo, RowId, SessionId, Xid};
pub use spill::Spill;
