//! The kernel's Python face, and the only place that knows pyo3: the module `sixfold.kernel._kernel`, as `_kernel.pyi` states it.

use pyo3::prelude::*;

mod common;
mod errors;
mod segment;
mod values;
mod volume;

#[pymodule]
fn _kernel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::register(module)?;
    segment::register(module)?;
    volume::register(module)?;
    // One line for each part; a part registers its own classes and functions.
    Ok(())
}
