//! `Syncer`: files written and made durable by threads without Python.

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use sixfold_syncer::{Job, Part, Synced};
use std::os::fd::RawFd;

/// OSError with its number, which tells Python's subclasses apart.
pub fn os_error(error: &std::io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// Bytes from an offset on.
struct Tail(PyBackedBytes, usize);

impl Part for Tail {
    fn bytes(&self) -> &[u8] {
        self.0.get(self.1..).unwrap_or(&[])
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
struct SyncedFile(Synced);

#[pymethods]
impl SyncedFile {
    #[new]
    fn new(path: &str) -> PyResult<SyncedFile> {
        Synced::open(path)
            .map(SyncedFile)
            .map_err(|error| os_error(&error))
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
struct Syncer(sixfold_syncer::Syncer<Tail>);

#[pymethods]
impl Syncer {
    #[new]
    fn new(lanes: usize) -> PyResult<Syncer> {
        sixfold_syncer::Syncer::new(lanes)
            .map(Syncer)
            .map_err(|error| os_error(&error))
    }

    fn fileno(&self) -> RawFd {
        self.0.descriptor()
    }

    fn submit(
        &self,
        lane: usize,
        file: &SyncedFile,
        offset: u64,
        parts: Vec<(PyBackedBytes, usize)>,
        number: u64,
    ) -> PyResult<()> {
        let parts = parts
            .into_iter()
            .map(|(bytes, from)| Tail(bytes, from))
            .collect();
        let job = Job {
            file: file.0.clone(),
            offset,
            parts,
            number,
        };
        match self.0.submit(lane, job) {
            true => Ok(()),
            false => Err(PyValueError::new_err(format!("there is no lane {lane}"))),
        }
    }

    fn start(&self) {
        self.0.start();
    }

    /// The parts are dropped here, with the GIL.
    fn take(&self) -> Vec<(u64, Option<PyErr>)> {
        let done = self.0.take();
        done.into_iter()
            .map(|one| (one.number, one.result.err().map(|error| os_error(&error))))
            .collect()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SyncedFile>()?;
    module.add_class::<Syncer>()
}
