//! `Intake`: a storage node's way from a batch to its acknowledgement, for `sixfold.pagestore`.

use super::segment::{failed, verdict_name, SegmentStore};
use crate::base::{GroupNo, Lsn};
use crate::segment::hot;
use crate::segment::intake::{Acks, Begin, Intake as Core, Sizes};
use crate::segment::memory::Bytes;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use pyo3::IntoPyObjectExt;
use std::sync::Arc;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Intake(pub Arc<Mutex<Core>>);

type Told<'py> = Vec<(u64, Bound<'py, PyBytes>)>;

fn told<'py>(py: Python<'py>, acks: &[Acks]) -> Told<'py> {
    acks.iter()
        .map(|one| (one.volume, PyBytes::new(py, &hot::acks(one))))
        .collect()
}

fn end((volume, group, end): (u64, GroupNo, Lsn)) -> (u64, u32, u64) {
    (volume, group.0, end.0)
}

#[pymethods]
impl Intake {
    #[new]
    fn new(file_bytes: u64, reserve_bytes: usize, pending_bytes: usize) -> Intake {
        Intake(Arc::new(Mutex::new(Core::new(Sizes {
            file: file_bytes,
            reserve: reserve_bytes,
            pending: pending_bytes,
        }))))
    }

    fn set_volume(&self, py: Python<'_>, volume: u64, store: &SegmentStore) -> PyResult<()> {
        let set = self.0.lock().set_volume(volume, store.shared());
        set.map_err(|stop| failed(py, stop))
    }

    /// The verdict; None: no such volume, or no room.
    fn accept(
        &self,
        py: Python<'_>,
        batch: PyBackedBytes,
        fresh: bool,
    ) -> PyResult<Option<&'static str>> {
        let verdict = self.0.lock().accept(Bytes::new(batch), fresh);
        let verdict = verdict.map_err(|stop| failed(py, stop))?;
        Ok(verdict.map(verdict_name))
    }

    fn message<'py>(&self, py: Python<'py>, message: PyBackedBytes) -> Vec<Bound<'py, PyBytes>> {
        let refused = self.0.lock().message(&Bytes::new(message));
        refused
            .iter()
            .map(|one| PyBytes::new(py, &hot::refused(one)))
            .collect()
    }

    fn set_file(&self) {
        self.0.lock().set_file();
    }

    #[getter]
    fn wants_file(&self) -> bool {
        self.0.lock().wants_file()
    }

    fn ends(&self) -> Vec<(u64, u32, u64)> {
        self.0.lock().ends().into_iter().map(end).collect()
    }

    fn take_ends(&self) -> Vec<(u64, u32, u64)> {
        self.0.lock().take_ends().into_iter().map(end).collect()
    }

    /// Whether there is something to write, and no write is under way.
    #[getter]
    fn has_work(&self) -> bool {
        self.0.lock().has_work()
    }

    /// (offset, bytes, (where, how many zeros) or None); None when there is nothing, or a file is wanted.
    fn begin<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let begun = self.0.lock().begin();
        match begun {
            Begin::Nothing | Begin::File => Ok(py.None().into_bound(py)),
            Begin::Write(write) => {
                let parts: Vec<&[u8]> = write.parts.iter().map(|part| &**part).collect();
                let bytes = PyBytes::new(py, &parts.concat());
                (write.offset, bytes, write.reserve).into_bound_py_any(py)
            }
        }
    }

    /// (acknowledgements to be told by volume, whether they begin to wait).
    fn written<'py>(&self, py: Python<'py>) -> (Told<'py>, bool) {
        let written = self.0.lock().written();
        (told(py, &written.acks), written.began_to_hold)
    }

    fn failed(&self) {
        self.0.lock().failed();
    }

    fn pause(&self, paused: bool) {
        self.0.lock().pause(paused);
    }

    fn hold_above(&self, limit: Option<usize>) {
        self.0.lock().hold_above(limit);
    }

    fn release<'py>(&self, py: Python<'py>, force: bool) -> Told<'py> {
        let acks = self.0.lock().release(force);
        told(py, &acks)
    }

    #[getter]
    fn accepted(&self) -> u64 {
        self.0.lock().counts().0
    }

    #[getter]
    fn durable(&self) -> u64 {
        self.0.lock().counts().1
    }

    #[getter]
    fn is_writing(&self) -> bool {
        self.0.lock().is_writing()
    }

    #[getter]
    fn position(&self) -> u64 {
        self.0.lock().position()
    }

    #[getter]
    fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    #[getter]
    fn sequence(&self) -> u64 {
        self.0.lock().sequence()
    }

    #[setter]
    fn set_sequence(&self, sequence: u64) {
        self.0.lock().set_sequence(sequence);
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Intake>()
}
