//! Columns of rows, as operators pass them on: typed vectors where that is fast, values otherwise.

use crate::types::Datum;

/// One column. `nulls` is empty when nothing is null, else one flag a row (the value under a null is a default).
#[derive(Clone, Debug)]
pub enum Vector {
    Bool(Vec<bool>, Vec<bool>),
    Int(Vec<i64>, Vec<bool>),
    Float(Vec<f64>, Vec<bool>),
    Any(Vec<Datum>),
}

/// Rows of columns. `len` counts rows also when there are no columns.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub columns: Vec<Vector>,
    pub len: usize,
}

/// Rows that operators aim to pass on at once.
pub const BATCH_ROWS: usize = 1024;
