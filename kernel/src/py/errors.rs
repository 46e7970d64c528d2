//! `KernelError`: an SQL error with PostgreSQL's fields as attributes.

use crate::base::{Actor, SqlError};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    _kernel,
    KernelError,
    PyException,
    "An SQL error with PostgreSQL's fields."
);

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("KernelError", module.py().get_type::<KernelError>())?;
    module.add(
        "PanicException",
        module.py().get_type::<pyo3::panic::PanicException>(),
    )
}

/// The exception for an error, ready to be raised or passed in an event.
pub fn to_object<'py>(py: Python<'py>, error: &SqlError) -> PyResult<Bound<'py, PyAny>> {
    let object = py
        .get_type::<KernelError>()
        .call1((error.code_str(), &error.message))?;
    object.setattr("code", error.code_str())?;
    object.setattr("message", &error.message)?;
    object.setattr("detail", &error.detail)?;
    object.setattr("hint", &error.hint)?;
    object.setattr("position", error.position)?;
    object.setattr("context", &error.context)?;
    object.setattr("schema", &error.schema)?;
    object.setattr("table", &error.table)?;
    object.setattr("column", &error.column)?;
    object.setattr("datatype", &error.datatype)?;
    object.setattr("constraint", &error.constraint)?;
    let actor = match error.actor {
        Actor::Statement => "statement",
        Actor::Retry => "retry",
        Actor::Operator => "operator",
    };
    object.setattr("actor", actor)?;
    Ok(object)
}

pub fn raise(py: Python<'_>, error: &SqlError) -> PyErr {
    match to_object(py, error) {
        Ok(object) => PyErr::from_value(object),
        Err(failure) => failure,
    }
}
