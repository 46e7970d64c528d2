//! Plans and what runs them.

pub mod access;
pub mod batch;
pub mod plan;
