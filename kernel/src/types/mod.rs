//! Values and their types.

pub mod array;
pub mod datum;
pub mod numeric;

pub use datum::{Datum, Interval, Record, Text, TimeTz};
