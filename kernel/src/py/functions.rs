//! The module's functions.

use super::common::{plain, NEED_KINDS};
use super::values::{from_python, info, to_python};
use crate::base::lexer;
use crate::base::Oid;
use crate::func;
use crate::func::statistics::{self, Ordering};
use crate::types::registry;
use crate::types::settings::Settings;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;

type Normalised<'py> = (
    Bound<'py, PyBytes>,
    Vec<(&'static str, String, usize, usize)>,
);

#[pyfunction]
fn normalise<'py>(py: Python<'py>, text: &str) -> Normalised<'py> {
    let mut key = Vec::new();
    let literals = lexer::normalise(text, &mut key);
    let literals = lexer::positions(text, &literals)
        .into_iter()
        .map(|(kind, value, from, to)| (kind.name(), value, from, to))
        .collect();
    (PyBytes::new(py, &key), literals)
}

#[pyfunction]
#[pyo3(signature = (oid, text, typmod = -1))]
fn type_input<'py>(
    py: Python<'py>,
    oid: u32,
    text: &str,
    typmod: i32,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info(py, Oid(oid))?;
    let value = plain(py, info.input(text, typmod, &Settings::default()))?;
    to_python(py, info, &value)
}

#[pyfunction]
fn type_output(py: Python<'_>, oid: u32, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let info = info(py, Oid(oid))?;
    plain(
        py,
        info.text(&from_python(value, info)?, &Settings::default()),
    )
}

type Summary = (f64, usize, f64, Vec<(String, f64)>, Vec<String>);

/// Without the GIL. `ordering`: "int", "float", "text" or None.
#[pyfunction]
fn summarise(
    py: Python<'_>,
    values: Vec<Option<PyBackedStr>>,
    rows: f64,
    ordering: Option<&str>,
) -> PyResult<Summary> {
    let ordering = match ordering {
        None => None,
        Some("int") => Some(Ordering::Int),
        Some("float") => Some(Ordering::Float),
        Some("text") => Some(Ordering::Text),
        Some(other) => return Err(PyValueError::new_err(format!("no ordering {other}"))),
    };
    Ok(py.detach(|| {
        let texts: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let found = statistics::summarise(&texts, rows, ordering);
        let text = |at: usize| texts.get(at).copied().flatten().unwrap_or("").to_string();
        let common = found.common.into_iter();
        (
            found.null_frac,
            found.width,
            found.distinct,
            common.map(|(at, share)| (text(at), share)).collect(),
            found.histogram.into_iter().map(text).collect(),
        )
    }))
}

#[pyfunction]
fn functions() -> Vec<&'static str> {
    func::registry::all()
        .map(|function| function.name)
        .collect()
}

#[pyfunction]
fn types() -> Vec<u32> {
    registry::all().iter().map(|info| info.oid.0).collect()
}

#[pyfunction]
fn need_kinds() -> Vec<&'static str> {
    NEED_KINDS.to_vec()
}

#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

static CLOCK: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// The kernel has no clock: EXPLAIN ANALYZE asks Python's.
pub fn clock() -> u64 {
    Python::attach(|py| {
        let clock = CLOCK.lock().as_ref().map(|clock| clock.clone_ref(py));
        let micros = clock.and_then(|clock| clock.call0(py).ok()?.extract(py).ok());
        micros.unwrap_or(0)
    })
}

#[pyfunction]
fn set_clock(clock: Option<Py<PyAny>>) {
    *CLOCK.lock() = clock;
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(normalise, module)?)?;
    module.add_function(wrap_pyfunction!(type_input, module)?)?;
    module.add_function(wrap_pyfunction!(type_output, module)?)?;
    module.add_function(wrap_pyfunction!(summarise, module)?)?;
    module.add_function(wrap_pyfunction!(functions, module)?)?;
    module.add_function(wrap_pyfunction!(types, module)?)?;
    module.add_function(wrap_pyfunction!(need_kinds, module)?)?;
    module.add_function(wrap_pyfunction!(set_clock, module)?)?;
    module.add_function(wrap_pyfunction!(version, module)?)
}
