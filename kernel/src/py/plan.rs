//! `Plan`, `Table`, `Statement`, `Queries`: immutable things that sessions share.

use super::common::plain;
use super::folding::Unfolded;
use super::session::Session;
use crate::base::Oid;
use crate::exec::plan::OutputColumn;
use crate::exec::run::Prepared;
use crate::session::connection::{Cached, Queries as Cache, Statement as Meaning, What};
use crate::session::Isolation;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::borrow::Cow;
use std::sync::Arc;

/// (name, type, typmod, table, attnum)
pub type Column = (String, u32, i32, u32, i16);

pub fn columns(output: &[OutputColumn]) -> Vec<Column> {
    output
        .iter()
        .map(|c| (c.name.clone(), c.typ.0, c.typmod, c.table.0, c.attnum))
        .collect()
}

pub fn output_columns(columns: Vec<Column>) -> Vec<OutputColumn> {
    let column = |(name, typ, typmod, table, attnum)| OutputColumn {
        name,
        typ: Oid(typ),
        typmod,
        table: Oid(table),
        attnum,
    };
    columns.into_iter().map(column).collect()
}

pub fn oids(list: &[u32]) -> Vec<Oid> {
    list.iter().map(|&oid| Oid(oid)).collect()
}

/// JSON as `str` or UTF-8 `bytes`, also in parts.
#[derive(FromPyObject)]
pub enum Json {
    Text(String),
    Bytes(PyBackedBytes),
    Parts(Vec<PyBackedBytes>),
}

impl Json {
    /// Needs no GIL.
    pub fn text(&self) -> PyResult<Cow<'_, str>> {
        let bytes = match self {
            Json::Text(text) => return Ok(Cow::Borrowed(text)),
            Json::Bytes(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
            Json::Parts(parts) => {
                let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
                String::from_utf8(parts.concat()).map(Cow::Owned).ok()
            }
        };
        bytes.ok_or_else(|| PyValueError::new_err("JSON must be UTF-8"))
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Plan(pub Arc<Prepared>);

impl Drop for Plan {
    fn drop(&mut self) {
        if self.0.is_large() {
            // Not with the GIL in hand.
            let prepared = self.0.clone();
            std::thread::spawn(move || drop(prepared));
        }
    }
}

#[pymethods]
impl Plan {
    #[staticmethod]
    #[pyo3(signature = (json, session = None))]
    fn compile(py: Python<'_>, json: Json, session: Option<&Session>) -> PyResult<Plan> {
        let cancel = session.map_or_else(Arc::default, |session| session.cancel.clone());
        let compiled = py.detach(|| {
            let text = json.text()?;
            let compiled = Prepared::compile_until(&text, &cancel.flag);
            PyResult::Ok(compiled.map_err(|stop| cancel.explain(stop)))
        });
        plain(py, compiled?).map(Plan)
    }

    #[getter]
    fn columns(&self) -> Vec<Column> {
        columns(&self.0.output)
    }

    #[getter]
    fn params(&self) -> Vec<u32> {
        self.0.params.iter().map(|oid| oid.0).collect()
    }

    #[getter]
    fn writes(&self) -> bool {
        self.0.writes
    }

    #[getter]
    fn tag(&self) -> &str {
        &self.0.tag
    }

    #[getter]
    fn catalog_version(&self) -> u64 {
        self.0.catalog_version
    }
}

pub fn isolation(name: Option<&str>) -> PyResult<Option<Isolation>> {
    match name {
        None => Ok(None),
        Some(name) => match Isolation::parse(name) {
            Some(isolation) => Ok(Some(isolation)),
            None => Err(PyValueError::new_err(format!(
                "no isolation level is called {name:?}"
            ))),
        },
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Statement(pub Arc<Meaning>);

fn statement(what: What, token: i64) -> Statement {
    Statement(Meaning::new(what, &[], token))
}

#[pymethods]
impl Statement {
    #[staticmethod]
    #[pyo3(signature = (plan, *, bound = None, token = 0))]
    fn plan(plan: &Plan, bound: Option<&Unfolded>, token: i64) -> Statement {
        let bound = bound.map(Unfolded::take).unwrap_or_default();
        Statement(Meaning::plan(plan.0.clone(), bound, token))
    }

    #[staticmethod]
    #[pyo3(signature = (isolation = None, read_only = None, *, tag = "BEGIN", token = 0))]
    fn begin(
        isolation: Option<&str>,
        read_only: Option<bool>,
        tag: &str,
        token: i64,
    ) -> PyResult<Statement> {
        let isolation = self::isolation(isolation)?;
        Ok(statement(
            What::Begin {
                isolation,
                read_only,
                tag: tag.to_owned(),
            },
            token,
        ))
    }

    #[staticmethod]
    #[pyo3(signature = (*, token = 0))]
    fn commit(token: i64) -> Statement {
        statement(What::Commit, token)
    }

    #[staticmethod]
    #[pyo3(signature = (*, token = 0))]
    fn rollback(token: i64) -> Statement {
        statement(What::Rollback, token)
    }

    #[staticmethod]
    #[pyo3(signature = (name, *, token = 0))]
    fn savepoint(name: String, token: i64) -> Statement {
        statement(What::Savepoint(name), token)
    }

    #[staticmethod]
    #[pyo3(signature = (name, *, token = 0))]
    fn release(name: String, token: i64) -> Statement {
        statement(What::Release(name), token)
    }

    #[staticmethod]
    #[pyo3(signature = (name, *, token = 0))]
    fn rollback_to(name: String, token: i64) -> Statement {
        statement(What::RollbackTo(name), token)
    }

    #[staticmethod]
    fn empty() -> Statement {
        statement(What::Empty, 0)
    }

    #[staticmethod]
    #[pyo3(signature = (token, *, params = Vec::new(), columns = Vec::new(), allowed_in_failed = false))]
    fn host(
        token: i64,
        params: Vec<u32>,
        columns: Vec<Column>,
        allowed_in_failed: bool,
    ) -> Statement {
        let what = What::Host {
            columns: output_columns(columns),
            allowed_in_failed,
        };
        Statement(Meaning::new(what, &oids(&params), token))
    }

    #[getter]
    fn token(&self) -> i64 {
        self.0.token
    }

    #[getter]
    fn columns(&self) -> Vec<Column> {
        columns(self.0.columns())
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Queries(pub Arc<Cache>);

#[pymethods]
impl Queries {
    #[new]
    #[pyo3(signature = (capacity = 10_000))]
    fn new(capacity: usize) -> Queries {
        Queries(Arc::new(Cache::new(capacity)))
    }

    #[pyo3(signature = (scope, key, statement, lift = Vec::new(), fixed = Vec::new()))]
    fn register_query(
        &self,
        py: Python<'_>,
        scope: u64,
        key: &[u8],
        statement: &Statement,
        lift: Vec<(usize, usize)>,
        fixed: Vec<(usize, String)>,
    ) -> PyResult<()> {
        let cached = Cached {
            statement: statement.0.clone(),
            lift,
            fixed,
        };
        plain(py, self.0.register_query(scope, key, cached))
    }

    fn register_parse(&self, scope: u64, text: &str, param_oids: Vec<u32>, statement: &Statement) {
        self.0
            .register_parse(scope, text, &param_oids, statement.0.clone());
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Plan>()?;
    module.add_class::<Statement>()?;
    module.add_class::<Queries>()
}
