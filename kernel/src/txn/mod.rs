//! Transactions: identifiers, states, snapshots and locks.

pub mod locks;
pub mod modes;

#[cfg(test)]
mod lock_tests;
