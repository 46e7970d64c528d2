//! The kernel's Python face, and the only place that knows pyo3: the module `sixfold.kernel._kernel`, as `_kernel.pyi` states it.

use pyo3::prelude::*;

mod common;
mod copy;
mod cursor;
mod errors;
mod folding;
mod functions;
mod host;
mod intake;
mod job;
mod lane;
mod pageread;
mod plan;
mod portal;
mod quorum;
mod reactor;
mod reading;
mod segment;
mod session;
mod streams;
mod values;
mod volume;
mod wire;

/// Many threads free what others allocated (scan workers, journal threads): glibc keeps such memory, mimalloc gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _kernel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::register(module)?;
    segment::register(module)?;
    pageread::register(module)?;
    volume::register(module)?;
    plan::register(module)?;
    session::register(module)?;
    portal::register(module)?;
    cursor::register(module)?;
    job::register(module)?;
    copy::register(module)?;
    wire::register(module)?;
    reactor::register(module)?;
    quorum::register(module)?;
    intake::register(module)?;
    lane::register(module)?;
    streams::register(module)?;
    reading::register(module)?;
    folding::register(module)?;
    functions::register(module)?;
    // One line for each part; a part registers its own classes and functions.
    Ok(())
}
