//! Kernels over whole columns for the hottest functions: nulls pass through, strictly.

use crate::base::error::Res;
use crate::exec::batch::Vector;

/// Columns of `len` rows each (constants are repeated by the caller) to one column of `len` rows.
pub type Kernel = fn(&[&Vector], usize) -> Res<Vector>;

/// The kernel for a prosrc name, if it has one. A kernel answers `Ok` only for typed vectors; when an argument is
/// `Vector::Any` the caller uses the scalar function.
pub fn lookup(_prosrc: &str) -> Option<Kernel> {
    None
}
