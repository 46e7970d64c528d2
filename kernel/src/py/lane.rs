//! `Lane`: a storage node's foreground in a thread without Python.

use super::intake::Intake;
use crate::segment::hot;
use crate::segment::intake::{Acks, Begin, Intake as Core};
use crate::segment::memory::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use pyo3::IntoPyObjectExt;
use sixfold_lanes::{Event, Message, Write, Written};
use std::os::fd::RawFd;
use std::sync::Arc;

/// OSError with its number, which tells Python's subclasses apart.
pub fn os_error(error: &std::io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// The kernel's intake as the lane's thread sees it.
struct Carried(Arc<Mutex<Core>>);

fn message(bytes: Vec<u8>) -> Message {
    Arc::new(bytes)
}

impl sixfold_lanes::Intake for Carried {
    fn message(&self, bytes: &Message) -> Vec<Message> {
        let refused = self.0.lock().message(&Bytes::from(bytes.clone()));
        refused
            .iter()
            .map(|one| message(hot::refused(one)))
            .collect()
    }

    fn begin(&self) -> sixfold_lanes::Begin {
        match self.0.lock().begin() {
            Begin::Nothing => sixfold_lanes::Begin::Nothing,
            Begin::File => sixfold_lanes::Begin::File,
            Begin::Write(write) => sixfold_lanes::Begin::Write(Write {
                offset: write.offset,
                parts: write.parts.iter().map(Bytes::shared).collect(),
                reserve: write.reserve,
            }),
        }
    }

    fn written(&self) -> Written {
        let mut intake = self.0.lock();
        let written = intake.written();
        let told = |acks: Acks| (acks.volume, message(hot::acks(&acks)));
        Written {
            told: written.acks.into_iter().map(told).collect(),
            began_to_hold: written.began_to_hold,
            durable: intake.counts().1,
        }
    }

    fn failed(&self) {
        self.0.lock().failed();
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Lane(pub sixfold_lanes::Lane);

#[pymethods]
impl Lane {
    #[new]
    fn new(name: &str, intake: &Intake, durable: bool, queue_bytes: usize) -> PyResult<Lane> {
        let carried = Arc::new(Carried(intake.0.clone()));
        sixfold_lanes::Lane::new(name, carried, durable, queue_bytes)
            .map(Lane)
            .map_err(|error| os_error(&error))
    }

    fn fileno(&self) -> RawFd {
        self.0.descriptor()
    }

    /// Events: (kind, what belongs to it).
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<(&'static str, Bound<'py, PyAny>)>> {
        let none = || py.None().into_bound(py);
        let event = |event| match event {
            Event::File => Ok(("file", none())),
            Event::Failed(error) => Ok(("failed", os_error(&error).into_bound_py_any(py)?)),
            Event::Durable => Ok(("durable", none())),
            Event::Holding => Ok(("holding", none())),
            Event::Left(volume, ticket) => Ok(("left", (volume, ticket).into_bound_py_any(py)?)),
            Event::Told(volume, message) => {
                let bytes = PyBytes::new(py, (*message).as_ref());
                Ok(("told", (volume, bytes).into_bound_py_any(py)?))
            }
        };
        self.0.take().into_iter().map(event).collect()
    }

    /// Where writes go from now on: a file that is there.
    fn set_file(&self, path: &str) -> PyResult<()> {
        self.0.open_file(path).map_err(|error| os_error(&error))
    }

    fn door(&self) -> PyResult<RawFd> {
        self.0.door().map_err(|error| os_error(&error))
    }

    fn link(&self, volume: u64, ticket: u64, greeting: &[u8]) -> PyResult<bool> {
        let linked = self.0.link(volume, ticket, message(greeting.to_vec()));
        linked.map_err(|error| os_error(&error))
    }

    fn kick(&self) {
        self.0.kick();
    }

    fn watch(&self, count: u64) {
        self.0.watch(count);
    }

    fn set_writer(&self, volume: u64, ticket: Option<u64>) {
        self.0.set_writer(volume, ticket);
    }

    fn tell(&self, volume: u64, message: PyBackedBytes) {
        self.0.tell(volume, self::message(message.to_vec()));
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Lane>()
}
