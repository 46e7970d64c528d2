//! `Portal`: a running plan, for the wire's output or as Python values.

use super::common::{lock, slices};
use super::plan::{columns, Column};
use super::session::outcome;
use super::values::{info, to_python};
use crate::base::{guarded, pace, Need, Res, Stop};
use crate::exec::batch::Batch;
use crate::exec::run::Prepared;
use crate::session::run::{Run, OUTPUT_HIGH};
use crate::session::{Outcome, Session as Core};
use crate::wire::encode::datum_at;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use pyo3::IntoPyObjectExt;
use std::sync::Arc;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Portal {
    core: Arc<Mutex<Core>>,
    run: Mutex<Run>,
}

/// Steps of a session's work: on the event loop, or `detached` in a worker thread, without the GIL.
pub fn work<T: Send>(
    py: Python<'_>,
    core: &mut Core,
    slices: u32,
    detached: bool,
    step: impl FnMut(&mut Core) -> Res<T> + Send,
) -> Res<T> {
    let cancel = core.cancel.clone();
    let run = move || {
        let _pace = pace::enter(&cancel.flag, !detached);
        guarded(|| steps(core, slices, step))
    };
    match detached {
        true => py.detach(run),
        false => run(),
    }
}

/// Steps until the slices are used up; output that waits for the client ends it at once.
fn steps<T>(core: &mut Core, slices: u32, mut step: impl FnMut(&mut Core) -> Res<T>) -> Res<T> {
    for _ in 1..slices {
        match step(core) {
            Err(Stop::Need(Need::Slice)) if core.out.len() < OUTPUT_HIGH => {}
            other => return other,
        }
    }
    step(core)
}

impl Portal {
    pub fn new(core: Arc<Mutex<Core>>, run: Run) -> Portal {
        Portal {
            core,
            run: Mutex::new(run),
        }
    }

    fn advance<'py>(
        &self,
        py: Python<'py>,
        max_rows: u64,
        slices: u32,
        detached: bool,
        fetch: bool,
    ) -> Tuple<'py> {
        let mut core = lock(&self.core)?;
        let mut run = lock(&self.run)?;
        if fetch {
            plain_fetch(&mut run);
        }
        let result = {
            let run = &mut *run;
            work(py, &mut core, slices, detached, move |core| {
                run.step(core, max_rows)
            })
        };
        let value = match (&result, fetch) {
            (Err(_), _) => py.None().into_bound(py),
            (Ok(_), true) => {
                let fetched = run.take_fetched();
                python_rows(py, &run.prepared, fetched)?.into_any()
            }
            (Ok(Outcome::Done), false) => run.rows.into_bound_py_any(py)?,
            (Ok(Outcome::Suspended(count)), false) => count.into_bound_py_any(py)?,
        };
        outcome(py, &core, result, value)
    }
}

fn plain_fetch(run: &mut Run) {
    if !run.started() {
        run.fetch_rows();
    }
}

/// Rows of a plan as Python values.
pub fn python_rows<'py>(
    py: Python<'py>,
    plan: &Prepared,
    batches: impl IntoIterator<Item = Batch>,
) -> PyResult<Bound<'py, PyList>> {
    let types = plan
        .output
        .iter()
        .map(|column| info(py, column.typ))
        .collect::<PyResult<Vec<_>>>()?;
    let list = PyList::empty(py);
    for batch in batches {
        let Batch { columns, len } = &batch;
        for row in 0..*len {
            let values = types
                .iter()
                .zip(columns)
                .map(|(info, vector)| to_python(py, info, &datum_at(vector, row)))
                .collect::<PyResult<Vec<_>>>()?;
            list.append(PyTuple::new(py, values)?)?;
        }
    }
    Ok(list)
}

#[pymethods]
impl Portal {
    #[pyo3(signature = (max_rows = 0, budget_us = 2000))]
    fn run<'py>(&self, py: Python<'py>, max_rows: u64, budget_us: u64) -> Tuple<'py> {
        self.advance(py, max_rows, slices(budget_us), false, false)
    }

    #[pyo3(signature = (max_rows = 0, budget_us = 100_000))]
    fn run_detached<'py>(&self, py: Python<'py>, max_rows: u64, budget_us: u64) -> Tuple<'py> {
        self.advance(py, max_rows, slices(budget_us), true, false)
    }

    #[pyo3(signature = (max_rows = 0, budget_us = 2000))]
    fn fetch<'py>(&self, py: Python<'py>, max_rows: u64, budget_us: u64) -> Tuple<'py> {
        self.advance(py, max_rows, slices(budget_us), false, true)
    }

    #[pyo3(signature = (max_rows = 0, budget_us = 100_000))]
    fn fetch_detached<'py>(&self, py: Python<'py>, max_rows: u64, budget_us: u64) -> Tuple<'py> {
        self.advance(py, max_rows, slices(budget_us), true, true)
    }

    #[getter]
    fn rows(&self) -> PyResult<u64> {
        Ok(lock(&self.run)?.affected())
    }

    #[getter]
    fn tag(&self) -> PyResult<String> {
        let mut tag = String::new();
        lock(&self.run)?.tag(&mut tag);
        Ok(tag)
    }

    #[getter]
    fn columns(&self) -> PyResult<Vec<Column>> {
        Ok(columns(&lock(&self.run)?.prepared.output))
    }

    fn explain(&self) -> PyResult<String> {
        Ok(lock(&self.run)?.explain())
    }

    fn set_timing(&self, on: bool) -> PyResult<()> {
        lock(&self.run)?.instrument = on;
        Ok(())
    }

    fn close(&self) -> PyResult<()> {
        lock(&self.run)?.close();
        Ok(())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Portal>()
}
