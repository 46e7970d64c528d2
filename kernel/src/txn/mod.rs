//! Transactions: identifiers, states, snapshots and locks.

pub mod locks;
pub mod modes;
pub mod running;
pub mod snapshots;

#[cfg(test)]
mod lock_tests;
