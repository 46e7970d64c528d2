//! `Reactor`: clients' sockets served by threads without Python, until a session asks for what only Python can do.

use super::lane::os_error;
use super::session::Session;
use super::streams::LogStreams;
use super::wire::Wire;
use crate::session::node::Node;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use pyo3::IntoPyObjectExt;
use sixfold_reactor::{Notice, Said};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// A session as the reactor sees it.
struct Served {
    wire: Py<Wire>,
    node: Arc<Node>,
    number: u64,
}

impl sixfold_reactor::Session for Served {
    fn feed(&self, input: &[u8], now: i64, output: &mut Vec<u8>) -> Said {
        self.wire.get().serve(Some((input, now)), output)
    }

    fn run(&self, output: &mut Vec<u8>) -> Said {
        self.wire.get().serve(None, output)
    }

    fn take_output(&self, output: &mut Vec<u8>) -> bool {
        self.wire.get().overflow(output)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn durable(&self) -> u64 {
        self.node.volume.vdl().0
    }

    fn gathered(&self) -> u64 {
        let volume = &self.node.volume;
        volume.tail().0.saturating_sub(volume.taken().0)
    }

    fn take_woken(&self) -> Vec<u64> {
        let woken = self.node.txns.locks.take_woken();
        woken.into_iter().map(|session| session.0).collect()
    }

    fn sleeps_here(&self) -> bool {
        self.wire.get().served.sleeps.load(Ordering::Relaxed)
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
struct TlsConfig(sixfold_reactor::TlsConfig);

#[pymethods]
impl TlsConfig {
    #[new]
    fn new(certificates: &[u8], key: &[u8]) -> PyResult<TlsConfig> {
        sixfold_reactor::TlsConfig::from_pem(certificates, key)
            .map(TlsConfig)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
struct Reactor(sixfold_reactor::Reactor);

#[pymethods]
impl Reactor {
    #[new]
    fn new(
        host: &str,
        port: u16,
        threads: usize,
        gather_bytes: u64,
        connections_max: usize,
    ) -> PyResult<Reactor> {
        sixfold_reactor::Reactor::open(host, port, threads, gather_bytes, connections_max)
            .map(Reactor)
            .map_err(|error| os_error(&error))
    }

    #[getter]
    fn address(&self) -> (String, u16) {
        let address = self.0.address();
        (address.ip().to_string(), address.port())
    }

    fn fileno(&self) -> RawFd {
        self.0.descriptor()
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<(bool, Vec<Bound<'py, PyTuple>>)> {
        let (redo, notices) = self.0.take();
        let tuples = notices.into_iter().map(|notice| match notice {
            Notice::Accepted { token, host, port } => {
                ("accepted", token, host, port).into_pyobject(py)
            }
            Notice::Handed(token) => ("handed", token).into_pyobject(py),
            Notice::Lost(token) => ("lost", token).into_pyobject(py),
            Notice::Drained(token) => ("drained", token).into_pyobject(py),
            Notice::Woken(session) => ("woken", session).into_pyobject(py),
        });
        Ok((redo, tuples.collect::<PyResult<_>>()?))
    }

    fn attach(&self, token: u64, wire: &Bound<'_, Wire>, session: &Session) -> PyResult<()> {
        let served = Served {
            wire: wire.clone().unbind(),
            node: session.node.clone(),
            number: session.number(),
        };
        Ok(self.0.attach(token, Arc::new(served))?)
    }

    fn release<'py>(
        &self,
        py: Python<'py>,
        token: u64,
        now: i64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.0.release(token, now) {
            Some(bytes) => Ok(Some(PyBytes::new(py, &bytes).into_bound_py_any(py)?)),
            None => Ok(None),
        }
    }

    fn flush(&self, token: u64) -> usize {
        self.0.flush(token)
    }

    fn wake(&self, session: u64) -> bool {
        self.0.wake(session)
    }

    fn durable(&self) {
        self.0.durable();
    }

    /// Who waits for the log asks these streams from now on, and is woken by them.
    fn carry(&self, streams: &LogStreams) {
        self.0.carry(&streams.streams);
    }

    fn busy(&self, token: u64) -> bool {
        self.0.busy(token)
    }

    fn last_input(&self, token: u64) -> i64 {
        self.0.last_input(token)
    }

    fn close(&self, token: u64, at_once: bool) {
        self.0.close(token, at_once);
    }

    fn secure(&self, token: u64, config: &TlsConfig) -> PyResult<bool> {
        self.0
            .secure(token, &config.0)
            .map_err(|error| os_error(&error))
    }

    fn stop_listening(&self) {
        self.0.stop_listening();
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TlsConfig>()?;
    module.add_class::<Reactor>()
}
