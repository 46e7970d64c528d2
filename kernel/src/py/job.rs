//! `Table` and `Job`: storage definitions, and work on trees in slices.

use super::common::{asked, done, lock, plain, slices, stopped};
use super::plan::Json;
use crate::base::error::fail;
use crate::base::{guarded, pace, Need, Res, Stop};
use crate::exec::access::TableDef;
use crate::exec::{compile, plan};
use crate::session::cancel::Cancel;
use crate::session::run::Held;
use crate::session::spill::Desk;
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
    /// Of the session that it is done for: what cancels it, and its temporary files.
    session: Option<(Arc<Cancel>, Arc<Desk>)>,
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
            session: None,
            _held: held,
        }))
    }

    /// It ends when this is cancelled.
    pub fn of(self, cancel: Arc<Cancel>, desk: Arc<Desk>) -> Job {
        self.0.lock().session = Some((cancel, desk));
        self
    }

    fn advance<'py>(&self, py: Python<'py>, slices: u32, detached: bool) -> Tuple<'py> {
        let mut work = lock(&self.0)?;
        let result = match detached {
            true => {
                let work = &mut *work;
                py.detach(move || guarded(|| work.run(slices, false)))
            }
            false => guarded(|| work.run(slices, true)),
        };
        match result {
            Ok(steps) => done(py, steps),
            Err(stop) => {
                let wanted = match (&stop, &work.session) {
                    (Stop::Need(Need::Spill), Some((_, desk))) => asked(py, desk)?,
                    _ => None,
                };
                if let Stop::Error(_) = &stop {
                    // An error's traceback may keep the job; what it holds is let go of now.
                    work.step = Box::new(|| Ok(true));
                }
                stopped(py, stop, wanted)
            }
        }
    }
}

impl Work {
    /// `inline`: on the event loop.
    fn run(&mut self, slices: u32, inline: bool) -> Res<u64> {
        let session = self.session.as_ref();
        let _pace = session.map(|(cancel, _)| pace::enter(&cancel.flag, inline));
        for _ in 0..slices {
            if self.finished {
                return Ok(self.steps);
            }
            if let Some((cancel, _)) = &self.session {
                cancel.check()?;
            }
            self.finished = (self.step)().map_err(|stop| match &self.session {
                Some((cancel, _)) => cancel.explain(stop),
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
