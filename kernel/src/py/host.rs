//! Python callables behind host functions and row sources. They may be called from worker threads: the GIL is taken here.

use super::values::{by_kind, guess, raised};
use crate::base::error::{fail, Res};
use crate::base::Need;
use crate::exec::batch::Vector;
use crate::session::host::Outside;
use crate::types::Datum;
use crate::wire::encode::datum_at;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::Cell;

thread_local! {
    /// How many host calls this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// This thread may not take the GIL: the session must be run by one that may.
    static WITHOUT: Cell<bool> = const { Cell::new(false) };
}

/// Is this thread inside a host call?
pub fn inside() -> bool {
    DEPTH.get() > 0
}

/// Run without host calls: one that is made answers `Need::Slice`, and the whole is to be gone on with on another thread.
pub fn without<T>(run: impl FnOnce() -> T) -> T {
    /// Also when it panics.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            WITHOUT.set(false);
        }
    }
    WITHOUT.set(true);
    let _reset = Reset;
    run()
}

pub struct Callables {
    pub call: Option<Py<PyAny>>,
    pub scan: Option<Py<PyAny>>,
    pub ask: Option<Py<PyAny>>,
}

fn list<'py>(py: Python<'py>, values: &[Datum]) -> PyResult<Bound<'py, PyList>> {
    let items: Vec<Bound<'py, PyAny>> = values
        .iter()
        .map(|value| by_kind(py, value))
        .collect::<PyResult<_>>()?;
    PyList::new(py, items)
}

impl Callables {
    fn with<T>(
        &self,
        which: &Option<Py<PyAny>>,
        name: &str,
        run: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Res<T> {
        if WITHOUT.get() {
            return Err(Need::Slice.into());
        }
        Python::attach(|py| match which {
            Some(callable) => {
                DEPTH.set(DEPTH.get() + 1);
                let answer = run(py, callable.bind(py));
                DEPTH.set(DEPTH.get() - 1);
                answer.or_else(|error| raised(py, &error))
            }
            None => fail("0A000", format!("{name} is not available in this session")),
        })
    }
}

impl Outside for Callables {
    fn call(&self, name: &str, args: &[Vector], rows: usize) -> Res<Vector> {
        let values = self.with(&self.call, name, |py, callable| {
            let columns = args
                .iter()
                .map(|vector| {
                    list(
                        py,
                        &(0..rows)
                            .map(|row| datum_at(vector, row))
                            .collect::<Vec<_>>(),
                    )
                })
                .collect::<PyResult<Vec<_>>>()?;
            let answer = callable.call1((name, columns, rows))?;
            answer
                .try_iter()?
                .map(|value| guess(&value?))
                .collect::<PyResult<Vec<Datum>>>()
        })?;
        match values.len() == rows {
            true => Ok(Vector::Any(values)),
            false => fail(
                "XX000",
                format!(
                    "host function {name} answered {} values for {rows} rows",
                    values.len()
                ),
            ),
        }
    }

    fn scan(&self, name: &str, args: &[Datum]) -> Res<Vec<Vec<Datum>>> {
        self.with(&self.scan, name, |py, callable| {
            let answer = callable.call1((name, list(py, args)?))?;
            let row = |row: PyResult<Bound<'_, PyAny>>| {
                row?.try_iter()?
                    .map(|value| guess(&value?))
                    .collect::<PyResult<Vec<Datum>>>()
            };
            answer.try_iter()?.map(row).collect()
        })
    }

    fn ask(&self, what: &str, args: &[Datum]) -> Res<Datum> {
        self.with(&self.ask, what, |py, callable| {
            guess(&callable.call1((what, list(py, args)?))?)
        })
    }
}
