//! `Table` and `Job`: storage definitions, and work on trees in slices.

use super::common::{done, lock, plain, slices, stopped};
use super::plan::Json;
use crate::base::error::fail;
use crate::base::{guarded, pace, Need, Res};
use crate::exec::access::TableDef;
use crate::exec::{compile, plan};
use crate::session::cancel::Cancel;
use crate::session::run::Held;
use crate::types::settings::Settings;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Table(pub Arc<TableDef>);

#[pymethods]
impl Table {
    #[new]
    fn new(py: Python<'_>, json: Json) -> PyResult<Table> {
        let text = json.text()?;
        let read = || -> Res<TableDef> {
            match serde_json::from_str::<plan::Table>(&text) {
                Ok(table) => compile::table_def(&table, &Settings::default()),
                Err(error) => fail("XX000", format!("table is not readable: {error}")),
            }
        };
        plain(py, read()).map(|def| Table(Arc::new(def)))
    }

    #[getter]
    fn oid(&self) -> u32 {
        self.0.oid.0
    }
}

type Step = Box<dyn FnMut() -> Res<bool> + Send>;

struct Work {
    step: Step,
    /// Slices that did something.
    steps: u64,
    finished: bool,
    /// The session that it is done for.
    cancel: Option<Arc<Cancel>>,
    /// The snapshot that the work reads with.
    _held: Option<Held>,
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Job(Mutex<Work>);

impl Job {
    pub fn new(held: Option<Held>, step: impl FnMut() -> Res<bool> + Send + 'static) -> Job {
        Job(Mutex::new(Work {
            step: Box::new(step),
            steps: 0,
            finished: false,
            cancel: None,
            _held: held,
        }))
    }

    /// It ends when this is cancelled.
    pub fn of(self, cancel: Arc<Cancel>) -> Job {
        self.0.lock().cancel = Some(cancel);
        self
    }

    fn advance<'py>(&self, py: Python<'py>, slices: u32, detached: bool) -> Tuple<'py> {
        let mut work = lock(&self.0)?;
        let result = match detached {
            true => {
                let work = &mut *work;
                py.detach(move || guarded(|| work.run(slices)))
            }
            false => guarded(|| work.run(slices)),
        };
        match result {
            Ok(steps) => done(py, steps),
            Err(stop) => stopped(py, stop, None),
        }
    }
}

impl Work {
    fn run(&mut self, slices: u32) -> Res<u64> {
        let _pace = self
            .cancel
            .as_ref()
            .map(|cancel| pace::enter(&cancel.flag, false));
        for _ in 0..slices {
            if self.finished {
                return Ok(self.steps);
            }
            if let Some(cancel) = &self.cancel {
                cancel.check()?;
            }
            self.finished = (self.step)().map_err(|stop| match &self.cancel {
                Some(cancel) => cancel.explain(stop),
                None => stop,
            })?;
            self.steps += 1;
        }
        match self.finished {
            true => Ok(self.steps),
            false => Err(Need::Slice.into()),
        }
    }
}

#[pymethods]
impl Job {
    #[pyo3(signature = (budget_us = 2000))]
    fn run<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.advance(py, slices(budget_us), false)
    }

    #[pyo3(signature = (budget_us = 100_000))]
    fn run_detached<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.advance(py, slices(budget_us), true)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Table>()?;
    module.add_class::<Job>()
}
