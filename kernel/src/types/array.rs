//! Arrays, as PostgreSQL has them: any number of dimensions, each with its own lower bound.

use super::datum::Datum;
use crate::base::Oid;

#[derive(Clone, Debug)]
pub struct Array {
    pub elem: Oid,
    /// (length, lower bound) a dimension; empty for the empty array.
    pub dims: Vec<(i32, i32)>,
    /// Row-major.
    pub values: Vec<Datum>,
}
