//! Steps, needs and locks as Python sees them.

use super::errors::raise;
use crate::base::{Need, Res, Stop};
use crate::session::spill::{Desk, Request};
use crate::session::Session;
use parking_lot::{Mutex, MutexGuard};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use pyo3::IntoPyObjectExt;
use std::time::Duration;

/// Every kind of need, as the first element of its tuple.
pub const NEED_KINDS: [&str; 7] = ["page", "pages", "xid", "lock", "durable", "spill", "slice"];

/// `spill`: what the operator wants of its temporary file.
pub fn need<'py>(
    py: Python<'py>,
    need: &Need,
    spill: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    match need {
        Need::Page(no) => ("page", no.0).into_pyobject(py),
        Need::Pages(list) => {
            ("pages", list.iter().map(|no| no.0).collect::<Vec<u64>>()).into_pyobject(py)
        }
        Need::Xid(xid) => ("xid", xid.0).into_pyobject(py),
        Need::Lock => ("lock",).into_pyobject(py),
        Need::Durable(lsn) => ("durable", lsn.0).into_pyobject(py),
        Need::Spill => ("spill", spill).into_pyobject(py),
        Need::Slice => ("slice",).into_pyobject(py),
    }
}

pub fn done<'py>(py: Python<'py>, value: impl IntoPyObject<'py>) -> PyResult<Bound<'py, PyTuple>> {
    ("done", value.into_bound_py_any(py)?).into_pyobject(py)
}

/// ("done", value) or ("need", need); errors are raised.
pub fn step<'py, T>(py: Python<'py>, result: Res<T>) -> PyResult<Bound<'py, PyTuple>>
where
    T: IntoPyObject<'py>,
{
    match result {
        Ok(value) => done(py, value),
        Err(stop) => stopped(py, stop, None),
    }
}

pub fn stopped<'py>(
    py: Python<'py>,
    stop: Stop,
    spill: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    match stop {
        Stop::Need(what) => ("need", need(py, &what, spill)?).into_pyobject(py),
        Stop::Error(error) => Err(raise(py, &error)),
    }
}

/// For calls that never wait.
pub fn plain<T>(py: Python<'_>, result: Res<T>) -> PyResult<T> {
    result.map_err(|stop| match stop {
        Stop::Error(error) => raise(py, &error),
        Stop::Need(need) => {
            PyRuntimeError::new_err(format!("this call cannot wait, yet it needs {need:?}"))
        }
    })
}

/// How long a call waits for another thread that is in the object.
const BUSY_ROUNDS: u32 = 200;
const BUSY_ROUND: Duration = Duration::from_millis(10);

/// One call at a time. A reactor's or worker's thread is waited for without the GIL, which it may want; but not from inside
/// a host call, whose own thread is in the object: that is refused.
pub fn lock<T: Send>(mutex: &Mutex<T>) -> PyResult<MutexGuard<'_, T>> {
    for _ in 0..BUSY_ROUNDS {
        if let Some(guard) = mutex.try_lock() {
            return Ok(guard);
        }
        if super::host::inside() {
            break;
        }
        Python::attach(|py| py.detach(|| drop(mutex.try_lock_for(BUSY_ROUND))));
    }
    Err(PyRuntimeError::new_err(
        "busy: another thread is in this object",
    ))
}

/// Time slices that a budget buys; a slice takes about a millisecond.
pub fn slices(budget_us: u64) -> u32 {
    u32::try_from((budget_us / 1000).max(1)).unwrap_or(u32::MAX)
}

/// The request of a ("spill", request) need.
pub fn spill<'py>(py: Python<'py>, core: &Session) -> PyResult<Option<Bound<'py, PyAny>>> {
    asked(py, &core.spill)
}

pub fn asked<'py>(py: Python<'py>, desk: &Desk) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(match desk.request() {
        None => None,
        Some(Request::Write(writes)) => {
            let writes = writes
                .iter()
                .map(|(file, offset, bytes)| (*file, *offset, PyBytes::new(py, bytes)));
            Some(("write", writes.collect::<Vec<_>>()).into_bound_py_any(py)?)
        }
        Some(Request::Read { file, offset, len }) => {
            Some(("read", file, offset, len).into_bound_py_any(py)?)
        }
    })
}
