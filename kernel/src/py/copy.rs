//! `CopyFormat` and `CopyIn`.

use super::common::{done, lock, plain, slices, spill, stopped};
use super::plan::Plan;
use super::session::Session;
use crate::base::{guarded, pace, Need, Res, Stop};
use crate::session::copy_in::CopyIn as Core;
use crate::session::Session as SessionCore;
use crate::wire::copy::{Format, Options, Target};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct CopyFormat(pub Arc<Format>);

#[pymethods]
impl CopyFormat {
    #[new]
    #[pyo3(signature = (format = "text", *, delimiter = None, null = None, header = false, header_match = false, quote = None,
        escape = None, force_quote = None, force_not_null = Vec::new(), force_null = Vec::new(), names = Vec::new()))]
    #[allow(clippy::too_many_arguments)] // One for each option of COPY.
    fn new(
        py: Python<'_>,
        format: &str,
        delimiter: Option<String>,
        null: Option<String>,
        header: bool,
        header_match: bool,
        quote: Option<String>,
        escape: Option<String>,
        force_quote: Option<Vec<usize>>,
        force_not_null: Vec<usize>,
        force_null: Vec<usize>,
        names: Vec<String>,
    ) -> PyResult<CopyFormat> {
        let options = Options {
            delimiter,
            null,
            header,
            header_match,
            quote,
            escape,
            force_quote,
            force_not_null,
            force_null,
            names,
        };
        plain(py, Format::new(format, options)).map(|format| CopyFormat(Arc::new(format)))
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct CopyIn {
    pub core: Arc<Mutex<Core>>,
    session: Arc<Mutex<SessionCore>>,
}

fn steps(copy: &mut Core, session: &mut SessionCore, slices: u32) -> Res<u64> {
    for _ in 1..slices {
        match copy.run(session) {
            Err(Stop::Need(Need::Slice)) => {}
            other => return other,
        }
    }
    copy.run(session)
}

impl CopyIn {
    fn advance<'py>(&self, py: Python<'py>, slices: u32, detached: bool) -> Tuple<'py> {
        let mut session = lock(&self.session)?;
        let mut copy = lock(&self.core)?;
        let result = match detached {
            true => {
                let (copy, session) = (&mut *copy, &mut *session);
                py.detach(move || {
                    let _pace = pace::enter(&session.cancel.flag, false);
                    guarded(|| steps(copy, session, slices))
                })
            }
            false => {
                let _pace = pace::enter(&session.cancel.flag, true);
                guarded(|| steps(&mut copy, &mut session, slices))
            }
        };
        match result {
            Ok(rows) => done(py, rows),
            Err(stop) => stopped(py, stop, spill(py, &session)?),
        }
    }
}

#[pymethods]
impl CopyIn {
    #[new]
    #[pyo3(signature = (session, plan, format, table, types, typmods = Vec::new()))]
    fn new(
        py: Python<'_>,
        session: &Session,
        plan: &Plan,
        format: &CopyFormat,
        table: &str,
        types: Vec<u32>,
        typmods: Vec<i32>,
    ) -> PyResult<CopyIn> {
        let target = plain(py, Target::new(table, &super::plan::oids(&types), &typmods))?;
        let core = Core::new(plan.0.clone(), format.0.clone(), target);
        Ok(CopyIn {
            core: Arc::new(Mutex::new(core)),
            session: session.core.clone(),
        })
    }

    fn feed(&self, data: &[u8]) -> PyResult<()> {
        lock(&self.core)?.feed(data);
        Ok(())
    }

    fn finish(&self) -> PyResult<()> {
        lock(&self.core)?.finish();
        Ok(())
    }

    #[pyo3(signature = (budget_us = 2000))]
    fn run<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.advance(py, slices(budget_us), false)
    }

    #[pyo3(signature = (budget_us = 100_000))]
    fn run_detached<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.advance(py, slices(budget_us), true)
    }

    #[getter]
    fn rows(&self) -> PyResult<u64> {
        Ok(lock(&self.core)?.rows())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CopyFormat>()?;
    module.add_class::<CopyIn>()
}
