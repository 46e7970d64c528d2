//! `Cursor`: a cursor of SQL's, read and fetched from in slices.

use super::common::{done, lock, plain, slices, stopped};
use super::portal::{python_rows, work};
use crate::exec::run::Prepared;
use crate::session::cursor::{Cursor as Core, To};
use crate::session::run::{Form, Run};
use crate::session::Session;
use crate::types::Datum;
use crate::wire::encode::Encoder;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::Arc;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Cursor {
    session: Arc<Mutex<Session>>,
    plan: Arc<Prepared>,
    cursor: Mutex<Core>,
}

impl Cursor {
    pub fn new(
        session: &Arc<Mutex<Session>>,
        plan: &Arc<Prepared>,
        params: Vec<Datum>,
        scroll: bool,
    ) -> PyResult<Cursor> {
        let run = Run::new(plan.clone(), params, Form::Fetch);
        let cursor = Core::new(&*lock(session)?, run, scroll);
        Ok(Cursor {
            session: session.clone(),
            plan: plan.clone(),
            cursor: Mutex::new(cursor),
        })
    }

    fn advance<'py>(&self, py: Python<'py>, slices: u32, detached: bool) -> Tuple<'py> {
        let mut session = lock(&self.session)?;
        let mut cursor = lock(&self.cursor)?;
        let result = {
            let cursor = &mut *cursor;
            work(py, &mut session, slices, detached, move |session| {
                cursor.step(session)
            })
        };
        match result {
            Ok(rows) => done(py, rows),
            Err(stop) => stopped(py, stop, super::common::spill(py, &session)?),
        }
    }
}

#[pymethods]
impl Cursor {
    fn read(&self, upto: u64) -> PyResult<()> {
        lock(&self.cursor)?.read(upto);
        Ok(())
    }

    #[pyo3(signature = (first, count, *, back = false, to = "nowhere", formats = Vec::new()))]
    fn begin(
        &self,
        py: Python<'_>,
        first: u64,
        count: u64,
        back: bool,
        to: &str,
        formats: Vec<u16>,
    ) -> PyResult<()> {
        let types = self.plan.output.iter().map(|column| column.typ);
        let to = match to {
            "client" => To::Client(plain(py, Encoder::new(types, &formats))?),
            "python" => To::Python,
            _ => To::Nowhere,
        };
        lock(&self.cursor)?.begin(first, count, back, to);
        Ok(())
    }

    #[pyo3(signature = (budget_us = 2000))]
    fn step<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.advance(py, slices(budget_us), false)
    }

    #[pyo3(signature = (budget_us = 100_000))]
    fn step_detached<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.advance(py, slices(budget_us), true)
    }

    fn take_fetched<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = lock(&self.cursor)?.take_fetched();
        python_rows(py, &self.plan, [rows])
    }

    /// Rows that have been read from the plan.
    #[getter]
    fn rows(&self) -> PyResult<u64> {
        Ok(lock(&self.cursor)?.len())
    }

    fn close(&self) -> PyResult<()> {
        lock(&self.cursor)?.close();
        Ok(())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Cursor>()
}
