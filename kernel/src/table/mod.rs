//! Tables: rows, indexes, sequences over B-trees; the real `exec::access::Access`.

pub mod keys;
pub mod row;
#[cfg(test)]
mod row_tests;
pub mod visible;
