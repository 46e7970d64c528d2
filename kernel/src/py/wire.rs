//! `Wire`: a connection's protocol state, bytes in and bytes and events out.

use super::common::{done, lock, need, plain, slices, spill, stopped};
use super::copy::{CopyFormat, CopyIn};
use super::errors::to_object;
use super::plan::{oids, output_columns, Column, Queries, Statement};
use super::portal::work;
use super::session::Session;
use super::values::{by_kind, from_python, info, to_python};
use crate::base::lexer::Placed;
use crate::base::{pace, Need, Oid, SqlError};
use crate::session::connection::{Connection, Event, Named};
use crate::session::Session as Core;
use crate::types::registry;
use crate::wire::backend::{self, Internal};
use crate::wire::copy::CopyOut;
use crate::wire::encode::Encoder;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use sixfold_reactor::Said;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;
type Registered = (Statement, String, Vec<u32>);

#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    now: i64,
}

impl Inbox {
    fn move_to(&mut self, session: &mut Core, connection: &mut Connection) {
        if !self.bytes.is_empty() {
            session.kept.set_now(self.now);
            connection.feed(&self.bytes);
            self.bytes = Vec::new();
        }
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Wire {
    connection: Mutex<Connection>,
    /// The connection's prepared statements, which a host call of its own may ask for.
    named: Named,
    session: Arc<Mutex<Core>>,
    /// What was fed while a worker thread was in `step_detached`, and the clock then.
    inbox: Mutex<Inbox>,
    /// Whole messages that others wrote while a thread was in the session.
    aside: Mutex<Vec<u8>>,
    pub(super) served: Served,
}

/// What a reactor's thread leaves for Python.
#[derive(Default)]
pub struct Served {
    event: Mutex<Option<Event>>,
    /// Python has no time-outs to keep: waits for other sessions may stay with the reactor.
    pub sleeps: AtomicBool,
}

/// Time slices that a reactor's thread gives a session before others have their turn.
const REACTOR_SLICES: u32 = 2;

fn idle(py: Python<'_>) -> Tuple<'_> {
    static IDLE: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let tuple = IDLE.get_or_try_init(py, || ("idle",).into_pyobject(py).map(Bound::unbind))?;
    Ok(tuple.bind(py).clone())
}

fn event<'py>(py: Python<'py>, core: &Core, event: Event) -> Tuple<'py> {
    match event {
        Event::Idle => idle(py),
        Event::Wait(what) => ("wait", need(py, &what, spill(py, core)?)?).into_pyobject(py),
        Event::Drain => ("drain",).into_pyobject(py),
        Event::Ssl => ("ssl",).into_pyobject(py),
        Event::GssEnc => ("gssenc",).into_pyobject(py),
        Event::Cancel { pid, secret } => ("cancel", pid, secret).into_pyobject(py),
        Event::Startup(params) => {
            let dict = PyDict::new(py);
            params
                .into_iter()
                .try_for_each(|(name, value)| dict.set_item(name, value))?;
            ("startup", dict).into_pyobject(py)
        }
        Event::Password(body) => ("password", PyBytes::new(py, &body)).into_pyobject(py),
        Event::Parse { name, text, types } => ("parse", name, text, types).into_pyobject(py),
        Event::Query {
            text,
            key,
            literals,
        } => {
            let literals = placed(literals);
            ("query", text, PyBytes::new(py, &key), literals).into_pyobject(py)
        }
        Event::LongQuery { shown, key, short } => (
            "long_query",
            shown,
            short.text,
            PyBytes::new(py, &key),
            placed(short.literals),
            short.cut,
        )
            .into_pyobject(py),
        Event::Stale { name, token, text } => ("stale", name, token, text).into_pyobject(py),
        Event::Execute {
            portal,
            token,
            params,
            types,
            formats,
            max_rows,
        } => {
            let values = PyList::empty(py);
            for (at, value) in params.iter().enumerate() {
                values.append(match types.get(at).and_then(|&typ| registry::find(typ)) {
                    Some(info) => to_python(py, info, value)?,
                    None => by_kind(py, value)?,
                })?;
            }
            ("execute", portal, token, values, formats, max_rows).into_pyobject(py)
        }
        Event::End => ("end",).into_pyobject(py),
        Event::CopyDone(rows) => ("copy_done", rows).into_pyobject(py),
        Event::Error { error, fatal } => ("error", to_object(py, &error)?, fatal).into_pyobject(py),
        Event::Terminate => ("terminate",).into_pyobject(py),
        Event::Message { tag, body } => {
            ("message", PyBytes::new(py, &[tag]), PyBytes::new(py, &body)).into_pyobject(py)
        }
    }
}

fn placed(literals: Vec<Placed>) -> Vec<(&'static str, String, usize, usize)> {
    literals
        .into_iter()
        .map(|(kind, value, from, to)| (kind.name(), value, from, to))
        .collect()
}

impl Wire {
    /// On a reactor's thread: feed, if there is input, and go on as far as possible without Python.
    pub(super) fn serve(&self, input: Option<(&[u8], i64)>, output: &mut Vec<u8>) -> Said {
        *self.served.event.lock() = None;
        let mut session = self.session.lock();
        let mut connection = self.connection.lock();
        self.inbox.lock().move_to(&mut session, &mut connection);
        if let Some((bytes, now)) = input {
            session.kept.set_now(now);
            connection.feed(bytes);
        }
        let _pace = pace::enter(&session.cancel.flag, true);
        super::host::without(|| loop {
            let event = connection.step(&mut session, REACTOR_SLICES);
            let mut bytes = self.take_bytes(&mut connection, &mut session);
            if output.is_empty() {
                std::mem::swap(output, &mut bytes);
            } else {
                output.extend_from_slice(&bytes);
            }
            session.recycle(bytes);
            match event {
                Event::Idle => return Said::Idle,
                Event::Wait(Need::Durable(lsn)) => return Said::Durable(lsn.0),
                Event::Wait(Need::Xid(_) | Need::Lock) => {
                    *self.served.event.lock() = Some(event);
                    return Said::Asleep;
                }
                // Python finishes what was abandoned.
                Event::Error { fatal: false, .. } if session.abandoned.is_none() => {}
                event => {
                    *self.served.event.lock() = Some(event);
                    return Said::Host;
                }
            }
        })
    }

    /// On a reactor's thread: what others have written. False: another thread is in the session.
    pub(super) fn overflow(&self, output: &mut Vec<u8>) -> bool {
        let (Some(mut session), Some(mut connection)) =
            (self.session.try_lock(), self.connection.try_lock())
        else {
            return false;
        };
        let mut bytes = self.take_bytes(&mut connection, &mut session);
        match output.is_empty() {
            true => *output = bytes,
            false => output.append(&mut bytes),
        }
        true
    }

    /// What may be sent now. Between two calls of the session its output ends with a whole message.
    fn take_bytes(&self, connection: &mut Connection, session: &mut Core) -> Vec<u8> {
        session.out.append(&mut self.aside.lock());
        connection.take_output(session)
    }

    fn pass<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        count: u64,
        slices: u32,
        detached: bool,
    ) -> Tuple<'py> {
        let mut session = lock(&self.session)?;
        let mut connection = lock(&self.connection)?;
        let moved = match connection.bound_portal(&session, name) {
            Some(portal) => work(py, &mut session, slices, detached, move |session| {
                portal.pass(session, count)
            }),
            None => Ok(0),
        };
        match moved {
            Ok(rows) => done(py, rows),
            Err(stop) => {
                let wanted = spill(py, &session)?;
                stopped(py, stop, wanted)
            }
        }
    }

    fn out(&self, write: impl FnOnce(&mut Vec<u8>)) -> PyResult<()> {
        write(&mut lock(&self.session)?.out);
        Ok(())
    }
}

#[pymethods]
impl Wire {
    #[new]
    #[pyo3(signature = (session, queries, *, max_message = 1_073_741_824, startup = true))]
    fn new(session: &Session, queries: &Queries, max_message: usize, startup: bool) -> Wire {
        let connection = Connection::new(queries.0.clone(), max_message, startup);
        Wire {
            named: connection.named(),
            connection: Mutex::new(connection),
            session: session.core.clone(),
            inbox: Mutex::default(),
            aside: Mutex::default(),
            served: Served::default(),
        }
    }

    fn feed(&self, data: &[u8], now: i64) -> PyResult<()> {
        let mut inbox = self.inbox.lock();
        if let (Some(mut session), Some(mut connection)) =
            (self.session.try_lock(), self.connection.try_lock())
        {
            inbox.move_to(&mut session, &mut connection);
            session.kept.set_now(now);
            connection.feed(data);
        } else {
            inbox.bytes.extend_from_slice(data);
            inbox.now = now;
        }
        Ok(())
    }

    #[pyo3(signature = (budget_us = 2000))]
    fn step<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        let mut session = lock(&self.session)?;
        let mut connection = lock(&self.connection)?;
        self.inbox.lock().move_to(&mut session, &mut connection);
        let said = {
            let _pace = pace::enter(&session.cancel.flag, true);
            connection.step(&mut session, slices(budget_us))
        };
        event(py, &session, said)
    }

    #[pyo3(signature = (budget_us = 100_000))]
    fn step_detached<'py>(&self, py: Python<'py>, budget_us: u64) -> Tuple<'py> {
        let mut session = lock(&self.session)?;
        let mut connection = lock(&self.connection)?;
        self.inbox.lock().move_to(&mut session, &mut connection);
        let said = {
            let (connection, session) = (&mut *connection, &mut *session);
            py.detach(move || {
                let _pace = pace::enter(&session.cancel.flag, false);
                connection.step(session, slices(budget_us))
            })
        };
        event(py, &session, said)
    }

    fn whole_query<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        let session = lock(&self.session)?;
        let mut connection = lock(&self.connection)?;
        let connection = &mut *connection;
        let said = py.detach(move || connection.whole_query());
        event(py, &session, plain(py, said)?)
    }

    fn take_output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut session = lock(&self.session)?;
        let bytes = self.take_bytes(&mut *lock(&self.connection)?, &mut session);
        Ok(PyBytes::new(py, &bytes))
    }

    fn take_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match self.served.event.lock().take() {
            None => Ok(None),
            // A host call was wanted, or the time is up: Python's own step finds out.
            Some(Event::Wait(Need::Slice)) => Ok(None),
            Some(said) => Ok(Some(event(py, &*lock(&self.session)?, said)?)),
        }
    }

    #[setter]
    fn set_sleeps(&self, on: bool) {
        self.served.sleeps.store(on, Ordering::Relaxed);
    }

    #[getter]
    fn get_sleeps(&self) -> bool {
        self.served.sleeps.load(Ordering::Relaxed)
    }

    #[getter]
    fn get_messages(&self) -> PyResult<u64> {
        Ok(lock(&self.connection)?.messages)
    }

    #[getter]
    fn get_scope(&self) -> PyResult<u64> {
        Ok(lock(&self.connection)?.scope)
    }

    #[setter]
    fn set_scope(&self, scope: u64) -> PyResult<()> {
        lock(&self.connection)?.scope = scope;
        Ok(())
    }

    #[getter]
    fn buffered(&self) -> PyResult<usize> {
        Ok(lock(&self.connection)?.buffered() + self.inbox.lock().bytes.len())
    }

    fn done(&self, py: Python<'_>) -> PyResult<()> {
        let mut session = lock(&self.session)?;
        plain(py, lock(&self.connection)?.done(&mut session))
    }

    #[pyo3(signature = (code, message, *, severity = "ERROR", detail = None, hint = None, position = None, internal_position = None,
        internal_query = None, context = None, schema = None, table = None, column = None, datatype = None, constraint = None,
        routine = None))]
    #[allow(clippy::too_many_arguments)] // The protocol's error fields.
    fn error(
        &self,
        py: Python<'_>,
        code: &str,
        message: &str,
        severity: &str,
        detail: Option<String>,
        hint: Option<String>,
        position: Option<u32>,
        internal_position: Option<u32>,
        internal_query: Option<String>,
        context: Option<String>,
        schema: Option<String>,
        table: Option<String>,
        column: Option<String>,
        datatype: Option<String>,
        constraint: Option<String>,
        routine: Option<String>,
    ) -> PyResult<()> {
        let mut error = SqlError::new(code, message);
        *error = SqlError {
            detail,
            hint,
            position,
            context,
            schema,
            table,
            column,
            datatype,
            constraint,
            ..*error
        };
        let internal = Internal {
            position: internal_position,
            query: internal_query,
            routine,
        };
        let mut session = lock(&self.session)?;
        plain(
            py,
            lock(&self.connection)?.error(&mut session, severity, &error, &internal),
        )
    }

    #[pyo3(signature = (name, statement, text, param_oids = Vec::new()))]
    fn register_statement(
        &self,
        name: &str,
        statement: &Statement,
        text: &str,
        param_oids: Vec<u32>,
    ) -> PyResult<()> {
        let given = oids(&param_oids);
        let params = if given.is_empty() {
            None
        } else {
            Some(given.as_slice())
        };
        lock(&self.connection)?.register(name, statement.0.clone(), text, params);
        Ok(())
    }

    fn open_portal(&self, py: Python<'_>, name: &str, statement: &Statement) -> PyResult<()> {
        let session = lock(&self.session)?;
        let opened = lock(&self.connection)?.open_portal(&session, name, statement.0.clone());
        plain(py, opened)
    }

    fn bound_portal(&self, name: &str) -> PyResult<bool> {
        let session = lock(&self.session)?;
        let found = lock(&self.connection)?
            .bound_portal(&session, name)
            .is_some();
        Ok(found)
    }

    #[pyo3(signature = (name, count, budget_us = 2000))]
    fn move_portal<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        count: u64,
        budget_us: u64,
    ) -> Tuple<'py> {
        self.pass(py, name, count, slices(budget_us), false)
    }

    #[pyo3(signature = (name, count, budget_us = 100_000))]
    fn move_portal_detached<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        count: u64,
        budget_us: u64,
    ) -> Tuple<'py> {
        self.pass(py, name, count, slices(budget_us), true)
    }

    fn reads(&self, relation: u32) -> PyResult<bool> {
        let session = lock(&self.session)?;
        let reads = lock(&self.connection)?.reads(&session, Oid(relation));
        Ok(reads)
    }

    fn close_portal(&self, name: &str) -> PyResult<()> {
        lock(&self.connection)?.close_portal(name);
        Ok(())
    }

    fn drop_statement(&self, name: &str) -> PyResult<bool> {
        Ok(lock(&self.connection)?.drop_statement(name))
    }

    fn drop_all_statements(&self) -> PyResult<()> {
        lock(&self.connection)?.drop_all_statements();
        Ok(())
    }

    fn statement(&self, name: &str) -> PyResult<Option<Registered>> {
        let connection = lock(&self.connection)?;
        Ok(connection.statement(name).map(|entry| {
            let params = entry.params.iter().map(|oid| oid.0).collect();
            (
                Statement(entry.statement.clone()),
                entry.text.clone(),
                params,
            )
        }))
    }

    fn statements(&self) -> Vec<(String, String, Vec<u32>)> {
        let named = self.named.read();
        let all = named.iter().map(|(name, entry)| {
            let params = entry.params.iter().map(|oid| oid.0).collect();
            (name.clone(), entry.text.clone(), params)
        });
        all.collect()
    }

    fn close_portals(&self) -> PyResult<()> {
        lock(&self.connection)?.close_portals();
        Ok(())
    }

    fn raw(&self, data: &[u8]) -> PyResult<()> {
        self.out(|out| out.extend_from_slice(data))
    }

    #[pyo3(signature = (kind, data = b"".as_slice()))]
    fn auth(&self, kind: u32, data: &[u8]) -> PyResult<()> {
        self.out(|out| backend::auth(out, kind, data))
    }

    fn started(
        &self,
        py: Python<'_>,
        pid: u32,
        secret: u32,
        parameters: Vec<(String, String)>,
    ) -> PyResult<()> {
        let mut session = lock(&self.session)?;
        plain(
            py,
            lock(&self.connection)?.started(&mut session, pid, secret, &parameters),
        )
    }

    fn parameter_status(&self, name: &str, value: &str) -> PyResult<()> {
        self.out(|out| backend::parameter_status(out, name, value))
    }

    #[pyo3(signature = (severity, code, message, *, detail = None, hint = None, position = None, context = None))]
    #[allow(clippy::too_many_arguments)] // The protocol's notice fields.
    fn notice(
        &self,
        severity: &str,
        code: &str,
        message: &str,
        detail: Option<String>,
        hint: Option<String>,
        position: Option<u32>,
        context: Option<String>,
    ) -> PyResult<()> {
        let mut notice = SqlError::new(code, message);
        *notice = SqlError {
            detail,
            hint,
            position,
            context,
            ..*notice
        };
        self.out(|out| backend::notice(out, severity, &notice))
    }

    /// Another session's, mostly, so it waits for nobody.
    fn notification(&self, pid: u32, channel: &str, payload: &str) {
        let mut aside = self.aside.lock();
        backend::notification(&mut aside, pid, channel, payload);
        if let Some(mut session) = self.session.try_lock() {
            session.out.append(&mut aside);
        }
    }

    #[pyo3(signature = (columns, formats = Vec::new()))]
    fn row_description(&self, columns: Vec<Column>, formats: Vec<u16>) -> PyResult<()> {
        self.out(|out| backend::row_description(out, &output_columns(columns), &formats))
    }

    #[pyo3(signature = (types, rows, formats = Vec::new()))]
    fn data_rows(
        &self,
        py: Python<'_>,
        types: Vec<u32>,
        rows: Vec<Vec<Bound<'_, PyAny>>>,
        formats: Vec<u16>,
    ) -> PyResult<usize> {
        let infos = types
            .iter()
            .map(|&typ| info(py, Oid(typ)))
            .collect::<PyResult<Vec<_>>>()?;
        let encoder = plain(
            py,
            Encoder::new(types.iter().map(|&typ| Oid(typ)), &formats),
        )?;
        let mut session = lock(&self.session)?;
        let settings = session.kept.settings.clone();
        for row in &rows {
            if row.len() != infos.len() {
                return Err(PyRuntimeError::new_err(
                    "a row has another number of columns than its types",
                ));
            }
            let values = row
                .iter()
                .zip(&infos)
                .map(|(value, info)| from_python(value, info))
                .collect::<PyResult<Vec<_>>>()?;
            plain(py, encoder.datums(&values, &settings, &mut session.out))?;
        }
        Ok(rows.len())
    }

    fn complete(&self, tag: &str) -> PyResult<()> {
        self.out(|out| backend::complete(out, tag))
    }

    fn empty(&self) -> PyResult<()> {
        self.out(|out| backend::bare(out, backend::EMPTY_QUERY))
    }

    fn suspended(&self) -> PyResult<()> {
        self.out(|out| backend::bare(out, backend::PORTAL_SUSPENDED))
    }

    fn copy_in(&self, py: Python<'_>, copy: &CopyIn) -> PyResult<()> {
        let mut session = lock(&self.session)?;
        plain(
            py,
            lock(&self.connection)?.copy_in(&mut session, copy.core.clone()),
        )
    }

    fn copy_out(&self, format: &CopyFormat, columns: usize) -> PyResult<()> {
        self.out(|out| backend::copy_response(out, b'H', format.0.binary(), columns))
    }

    /// CopyDone; `rows` tells whether the header has gone out with the first row.
    fn copy_out_done(
        &self,
        py: Python<'_>,
        format: &CopyFormat,
        types: Vec<u32>,
        rows: u64,
    ) -> PyResult<()> {
        let mut copy = plain(py, CopyOut::new(format.0.clone(), oids(&types).into_iter()))?;
        copy.set_begun(rows > 0);
        let out = &mut lock(&self.session)?.out;
        plain(py, copy.end(out))?;
        backend::bare(out, backend::COPY_DONE);
        Ok(())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Wire>()
}
