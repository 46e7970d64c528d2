//! `Session`: a client's transaction state.

use super::common::{asked, done, lock, plain, slices, stopped};
use super::copy::CopyFormat;
use super::cursor::Cursor;
use super::folding::{self, Folded};
use super::host::Callables;
use super::job::{Job, Table};
use super::plan::{isolation, Plan};
use super::portal::{work, Portal};
use super::values::{from_python, info};
use super::volume::Volume;
use crate::base::{pace, Oid, Res, SessionId, SqlError};
use crate::func::ctx::Rng;
use crate::session::cancel::Cancel;
use crate::session::node::Node;
use crate::session::run::{Form, Run};
use crate::session::Session as Core;
use crate::txn::locks::Level;
use crate::txn::modes::LockKey;
use crate::types::Datum;
use crate::wire::copy::CopyOut;
use crate::wire::encode::Encoder;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Session {
    pub core: Arc<Mutex<Core>>,
    pub node: Arc<Node>,
    pub cancel: Arc<Cancel>,
    id: u64,
}

impl Session {
    pub fn number(&self) -> u64 {
        self.id
    }

    fn steps<'py, T: IntoPyObject<'py>>(
        &self,
        py: Python<'py>,
        run: impl FnOnce(&mut Core) -> Res<T>,
    ) -> Tuple<'py> {
        let mut core = lock(&self.core)?;
        match run(&mut core) {
            Ok(value) => done(py, value),
            Err(stop) => stopped(py, stop, super::common::spill(py, &core)?),
        }
    }

    /// The same for work that may take long.
    fn long_steps<'py, T: IntoPyObject<'py> + Send>(
        &self,
        py: Python<'py>,
        slices: u32,
        detached: bool,
        run: impl FnMut(&mut Core) -> Res<T> + Send,
    ) -> Tuple<'py> {
        let mut core = lock(&self.core)?;
        match work(py, &mut core, slices, detached, run) {
            Ok(value) => done(py, value),
            Err(stop) => stopped(py, stop, super::common::spill(py, &core)?),
        }
    }

    fn set_constraints_in<'py>(
        &self,
        py: Python<'py>,
        oids: Option<Vec<u32>>,
        deferred: bool,
        slices: u32,
        detached: bool,
    ) -> Tuple<'py> {
        let oids: Option<Vec<Oid>> = oids.map(|oids| oids.into_iter().map(Oid).collect());
        self.long_steps(py, slices, detached, |core| {
            core.set_constraints(oids.as_deref(), deferred)
                .map(|()| None::<bool>)
        })
    }

    fn plainly<T>(&self, py: Python<'_>, run: impl FnOnce(&mut Core) -> Res<T>) -> PyResult<T> {
        let mut core = lock(&self.core)?;
        plain(py, run(&mut core))
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new(volume: &Volume, session_id: u64) -> Session {
        let node = volume.node.clone();
        let mut core = Core::new(SessionId(session_id), node.clone());
        core.clock = Some(super::functions::clock);
        Session {
            cancel: core.cancel.clone(),
            core: Arc::new(Mutex::new(core)),
            node,
            id: session_id,
        }
    }

    #[getter]
    fn session_id(&self) -> u64 {
        self.id
    }

    #[getter]
    fn status(&self) -> PyResult<&'static str> {
        Ok(match lock(&self.core)?.status() {
            b'E' => "E",
            b'T' => "T",
            _ => "I",
        })
    }

    #[getter]
    fn active(&self) -> PyResult<bool> {
        Ok(lock(&self.core)?.active())
    }

    #[getter]
    fn xid(&self) -> PyResult<Option<u64>> {
        Ok(lock(&self.core)?.xid().map(|xid| xid.0))
    }

    #[getter]
    fn abandoned(&self) -> PyResult<Option<u64>> {
        Ok(lock(&self.core)?.abandoned.map(|lsn| lsn.0))
    }

    fn assign_xid<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        self.steps(py, |core| core.assign_xid().map(|xid| xid.0))
    }

    #[getter]
    fn snapshot(&self) -> PyResult<u64> {
        Ok(lock(&self.core)?.snapshot().0)
    }

    #[pyo3(signature = (isolation = None, read_only = None))]
    fn begin(
        &self,
        py: Python<'_>,
        isolation: Option<&str>,
        read_only: Option<bool>,
    ) -> PyResult<bool> {
        let isolation = self::isolation(isolation)?;
        self.plainly(py, |core| core.begin(isolation, read_only))
    }

    fn begin_implicit(&self) -> PyResult<()> {
        lock(&self.core)?.begin_implicit();
        Ok(())
    }

    #[pyo3(signature = (budget_us = 2000))]
    fn commit<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.long_steps(py, slices(budget_us), false, Core::commit)
    }

    #[pyo3(signature = (budget_us = 100_000))]
    fn commit_detached<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.long_steps(py, slices(budget_us), true, Core::commit)
    }

    #[pyo3(signature = (budget_us = 2000))]
    fn commit_implicit<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.long_steps(py, slices(budget_us), false, |core| {
            core.commit_implicit().map(|()| None::<bool>)
        })
    }

    #[pyo3(signature = (budget_us = 100_000))]
    fn commit_implicit_detached<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        self.long_steps(py, slices(budget_us), true, |core| {
            core.commit_implicit().map(|()| None::<bool>)
        })
    }

    fn rollback(&self) -> PyResult<()> {
        lock(&self.core)?.rollback();
        Ok(())
    }

    fn fail(&self) -> PyResult<()> {
        lock(&self.core)?.fail();
        Ok(())
    }

    fn savepoint(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.plainly(py, |core| core.savepoint(name))
    }

    fn release(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.plainly(py, |core| core.release(name))
    }

    fn rollback_to(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.plainly(py, |core| core.rollback_to(name))
    }

    fn next_command(&self) -> PyResult<()> {
        lock(&self.core)?.next_command();
        Ok(())
    }

    #[pyo3(signature = (isolation = None, read_only = None))]
    fn set_characteristics(
        &self,
        py: Python<'_>,
        isolation: Option<&str>,
        read_only: Option<bool>,
    ) -> PyResult<()> {
        let isolation = self::isolation(isolation)?;
        self.plainly(py, |core| core.set_characteristics(isolation, read_only))
    }

    #[pyo3(signature = (isolation = None, read_only = None))]
    fn set_defaults(&self, isolation: Option<&str>, read_only: Option<bool>) -> PyResult<()> {
        let mut core = lock(&self.core)?;
        if let Some(isolation) = self::isolation(isolation)? {
            core.default_isolation = isolation;
        }
        core.default_read_only = read_only.unwrap_or(core.default_read_only);
        Ok(())
    }

    #[getter]
    fn isolation(&self) -> PyResult<&'static str> {
        Ok(lock(&self.core)?.isolation().name())
    }

    #[getter]
    fn read_only(&self) -> PyResult<bool> {
        Ok(lock(&self.core)?.read_only())
    }

    #[pyo3(signature = (oids, deferred, budget_us = 2000))]
    fn set_constraints<'py>(
        &self,
        py: Python<'py>,
        oids: Option<Vec<u32>>,
        deferred: bool,
        budget_us: u64,
    ) -> Tuple<'py> {
        self.set_constraints_in(py, oids, deferred, slices(budget_us), false)
    }

    #[pyo3(signature = (oids, deferred, budget_us = 100_000))]
    fn set_constraints_detached<'py>(
        &self,
        py: Python<'py>,
        oids: Option<Vec<u32>>,
        deferred: bool,
        budget_us: u64,
    ) -> Tuple<'py> {
        self.set_constraints_in(py, oids, deferred, slices(budget_us), true)
    }

    fn drop_checks(&self, oid: u32) -> PyResult<()> {
        lock(&self.core)?.drop_checks(Oid(oid));
        Ok(())
    }

    fn put_off_checks(&self) -> PyResult<Vec<(u32, bool)>> {
        let found = lock(&self.core)?.put_off_checks();
        Ok(found
            .into_iter()
            .map(|(oid, child)| (oid.0, child))
            .collect())
    }

    #[getter]
    fn get_catalog_version(&self) -> PyResult<Option<(u64, u64)>> {
        Ok(lock(&self.core)?.catalog_version)
    }

    #[setter]
    fn set_catalog_version(&self, version: Option<(u64, u64)>) -> PyResult<()> {
        lock(&self.core)?.catalog_version = version;
        Ok(())
    }

    #[setter]
    fn set_newest(&self, on: bool) -> PyResult<()> {
        lock(&self.core)?.newest = on;
        Ok(())
    }

    #[getter]
    fn get_newest(&self) -> PyResult<bool> {
        Ok(lock(&self.core)?.newest)
    }

    #[getter]
    fn get_intercept(&self) -> PyResult<bool> {
        Ok(lock(&self.core)?.intercept)
    }

    #[setter]
    fn set_intercept(&self, on: bool) -> PyResult<()> {
        lock(&self.core)?.intercept = on;
        Ok(())
    }

    fn bump_catalog(&self) -> PyResult<()> {
        lock(&self.core)?.bump_catalog();
        Ok(())
    }

    #[pyo3(signature = (oid, mode, nowait = false))]
    fn lock_relation<'py>(&self, py: Python<'py>, oid: u32, mode: u8, nowait: bool) -> Tuple<'py> {
        self.steps(py, |core| {
            core.lock_relation(Oid(oid), mode, nowait)
                .map(|()| py.None())
        })
    }

    fn lock_plan<'py>(&self, py: Python<'py>, plan: &Plan) -> Tuple<'py> {
        self.steps(py, |core| core.lock_plan(&plan.0).map(|()| py.None()))
    }

    #[pyo3(signature = (key, *, shared = false, transaction = false, wait = true, pair = false))]
    fn lock_advisory<'py>(
        &self,
        py: Python<'py>,
        key: i64,
        shared: bool,
        transaction: bool,
        wait: bool,
        pair: bool,
    ) -> Tuple<'py> {
        let level = if transaction {
            Level::Transaction
        } else {
            Level::Session
        };
        self.steps(py, |core| {
            core.lock_advisory(LockKey::Advisory(key, pair), shared, level, wait)
        })
    }

    #[pyo3(signature = (key, *, shared = false, pair = false))]
    fn unlock_advisory(&self, key: i64, shared: bool, pair: bool) -> PyResult<bool> {
        Ok(lock(&self.core)?.unlock_advisory(LockKey::Advisory(key, pair), shared))
    }

    fn unlock_advisory_all(&self) -> PyResult<()> {
        lock(&self.core)?.unlock_advisory_all();
        Ok(())
    }

    fn set(&self, py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
        self.plainly(py, |core| core.kept.set(name, value).map(drop))
    }

    fn get(&self, name: &str) -> PyResult<Option<String>> {
        Ok(lock(&self.core)?.kept.get(name))
    }

    fn set_now(&self, micros: i64) -> PyResult<()> {
        lock(&self.core)?.kept.set_now(micros);
        Ok(())
    }

    fn set_entropy(&self, seed: u64) -> PyResult<()> {
        lock(&self.core)?.seed = Rng::new(seed);
        Ok(())
    }

    #[pyo3(signature = (call, scan, ask))]
    fn set_host(
        &self,
        call: Option<Py<PyAny>>,
        scan: Option<Py<PyAny>>,
        ask: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        lock(&self.core)?
            .host
            .set_outside(Some(Arc::new(Callables { call, scan, ask })));
        Ok(())
    }

    #[pyo3(signature = (code = "57014", message = "canceling statement due to user request"))]
    fn cancel(&self, code: &str, message: &str) {
        self.cancel.request(SqlError::new(code, message));
    }

    fn clear_cancel(&self) {
        self.cancel.clear();
    }

    #[pyo3(signature = (data = None))]
    fn spill_done<'py>(
        &self,
        py: Python<'py>,
        data: Option<&[u8]>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let core = lock(&self.core)?;
        core.spill.answer(data);
        asked(py, &core.spill)
    }

    fn take_dropped(&self) -> PyResult<Vec<u64>> {
        Ok(lock(&self.core)?.spill.take_dropped())
    }

    fn close(&self) -> PyResult<()> {
        let mut core = lock(&self.core)?;
        core.close();
        core.host.set_outside(None);
        Ok(())
    }

    /// What `folding` left out of a statement, for the parameters of its plan.
    fn bind(
        &self,
        py: Python<'_>,
        text: &str,
        folded: &Folded,
        plan: &Plan,
        used: Vec<usize>,
    ) -> PyResult<folding::Unfolded> {
        let settings = lock(&self.core)?.kept.settings.clone();
        let (cancel, types) = (&self.cancel.flag, &plan.0.params);
        let bound = py.detach(|| {
            let _pace = pace::enter(cancel, false);
            folding::bind(text, &folded.0, types, &used, &settings)
        });
        plain(py, bound).map(folding::Unfolded::new)
    }

    /// A statement of many literals made short; none when there is nothing to gain.
    fn fold(&self, py: Python<'_>, text: &str, given: usize) -> PyResult<Option<Folded>> {
        let cancel = &self.cancel.flag;
        let folded = py.detach(|| {
            let _pace = pace::enter(cancel, false);
            crate::base::folding::fold(text, given)
        });
        Ok(plain(py, folded)?.map(Folded))
    }

    /// How deep a text's tree gets by chains, and at which characters it may be cut into pieces of whole statements.
    fn outline(&self, py: Python<'_>, text: &str, piece: usize) -> PyResult<(usize, Vec<usize>)> {
        let cancel = &self.cancel.flag;
        let outline = py.detach(|| {
            let _pace = pace::enter(cancel, false);
            crate::base::outline::outline(text, piece)
        });
        let outline = plain(py, outline)?;
        Ok((outline.depth, outline.cuts))
    }

    #[pyo3(signature = (plan, params = Vec::new(), *, formats = Vec::new(), copy = None, bound = None))]
    fn portal(
        &self,
        py: Python<'_>,
        plan: &Plan,
        params: Vec<Bound<'_, PyAny>>,
        formats: Vec<u16>,
        copy: Option<&CopyFormat>,
        bound: Option<&folding::Unfolded>,
    ) -> PyResult<Portal> {
        let (prepared, values) = (plan.0.clone(), bind_params(py, plan, params, bound)?);
        let types = || prepared.output.iter().map(|column| column.typ);
        let form = match copy {
            Some(format) => Form::Copy(Box::new(plain(
                py,
                CopyOut::new(format.0.clone(), types()),
            )?)),
            None => Form::Rows(plain(py, Encoder::new(types(), &formats))?),
        };
        Ok(Portal::new(
            self.core.clone(),
            Run::new(prepared, values, form),
        ))
    }

    #[pyo3(signature = (plan, params = Vec::new(), *, scroll = true))]
    fn cursor(
        &self,
        py: Python<'_>,
        plan: &Plan,
        params: Vec<Bound<'_, PyAny>>,
        scroll: bool,
    ) -> PyResult<Cursor> {
        let values = bind_params(py, plan, params, None)?;
        Cursor::new(&self.core, &plan.0, values, scroll)
    }

    fn build_index(
        &self,
        py: Python<'_>,
        table: &Table,
        index: usize,
        memory: usize,
    ) -> PyResult<Job> {
        let mut core = lock(&self.core)?;
        let (view, held) = plain(py, core.take_view())?;
        let (tables, desk) = (&self.node.tables, core.spill.clone());
        let build = tables.build_index(&view, &table.0, index, memory, desk.clone());
        let mut job = plain(py, build)?;
        Ok(Job::new(held, move || job.step()).of(self.cancel.clone(), desk))
    }

    #[getter]
    fn output_size(&self) -> PyResult<usize> {
        Ok(lock(&self.core)?.out.len())
    }
}

/// Values of a plan's parameters: those given, then those that folding left out of the text.
fn bind_params(
    py: Python<'_>,
    plan: &Plan,
    params: Vec<Bound<'_, PyAny>>,
    bound: Option<&folding::Unfolded>,
) -> PyResult<Vec<Datum>> {
    let wanted = &plan.0.params;
    let bound = bound.map(folding::Unfolded::take).unwrap_or_default();
    let given = params.len() + bound.len();
    if given != wanted.len() {
        let text = format!("the plan wants {} parameters, not {given}", wanted.len());
        return Err(pyo3::exceptions::PyValueError::new_err(text));
    }
    let mut values = params
        .iter()
        .zip(wanted)
        .map(|(value, &typ)| from_python(value, info(py, typ)?))
        .collect::<PyResult<Vec<_>>>()?;
    values.extend(bound);
    Ok(values)
}

/// ("done", …), ("suspended", rows) or ("need", need) of a run.
pub fn outcome<'py>(
    py: Python<'py>,
    core: &Core,
    result: Res<crate::session::Outcome>,
    value: Bound<'py, PyAny>,
) -> Tuple<'py> {
    match result {
        Ok(crate::session::Outcome::Done) => done(py, value),
        Ok(crate::session::Outcome::Suspended(_)) => ("suspended", value).into_pyobject(py),
        Err(stop) => stopped(py, stop, super::common::spill(py, core)?),
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Session>()
}
