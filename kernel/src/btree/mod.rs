//! B-link trees over slotted pages, with a root page that never moves: rows by row id, indexes by byte-string key.
//!
//! 1. Every page covers the keys from its low bound (the separator in its parent) to its high key; what is at or above the
//!    high key is reached by the right link. So a descent that races with a split only moves right.
//! 2. Separators in a branch rise from slot 1 on; slot 0 means "everything below slot 1", whatever key its cell has.
//! 3. A page that leaves its tree is flagged DEAD and keeps its content until no scan can come by; who meets a dead page, or
//!    one of another tree, descends again from the root by key.
//! 4. Writes are prepared (pages fetched, new pages reserved; may answer Need) and then performed (can't wait).
//!    Several may be prepared and then performed in one MTR, also when they meet on one page.

mod bulk;
mod check;
mod cursor;
mod node;
mod remove;
mod split;
#[cfg(test)]
mod tests;
mod tree;
mod unlink;
mod write;

pub use bulk::{Append, NewCell};
pub use check::{check, Stats};
pub use cursor::{Cursor, Leaf};
pub use node::{child, key_of, lower_bound, search, value_of, MAX_KEY};
pub use remove::Removal;
pub use tree::Tree;
pub use write::{Spot, MAX_CELL};
