//! What statements reach outside of the kernel: functions and row sources in Python, sequences, facts about the session.

use super::backend::Backend;
use super::state::Session;
use crate::base::error::{fail, Res};
use crate::base::{Lsn, Oid, PageNo, SessionId, Stop};
use crate::exec::access::View;
use crate::exec::batch::Vector;
use crate::expr::Setup;
use crate::types::Datum;
use ahash::AHashMap;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// The engine's side, implemented by the Python face. Any of these may answer `Need` and is then called again.
pub trait Outside: Send + Sync {
    /// One value a row for a `Host` expression.
    fn call(&self, name: &str, args: &[Vector], rows: usize) -> Res<Vector>;
    /// Rows of a `HostScan`.
    fn scan(&self, name: &str, args: &[Datum]) -> Res<Vec<Vec<Datum>>>;
    /// A fact about the session: "current_setting", "current_user", …
    fn ask(&self, what: &str, args: &[Datum]) -> Res<Datum>;
}

/// Values that nextval has given this session.
#[derive(Default)]
struct Sequences {
    values: AHashMap<Oid, i64>,
    last: Option<Oid>,
}

pub struct Host {
    session: SessionId,
    backend: Arc<dyn Backend>,
    outside: Mutex<Option<Arc<dyn Outside>>>,
    sequences: Mutex<Sequences>,
    /// The end of the newest record that they hang on: no transaction says so.
    logged: Arc<AtomicU64>,
    /// Rows for HostScan("copy"), one batch for each execution.
    copied: Mutex<Option<Vec<Vec<Datum>>>>,
    /// The running statement's transaction may not write.
    read_only: AtomicBool,
    /// Its role is no superuser.
    restricted: AtomicBool,
}

impl Host {
    pub fn new(session: SessionId, backend: Arc<dyn Backend>) -> Host {
        Host {
            session,
            backend,
            outside: Mutex::new(None),
            sequences: Mutex::default(),
            logged: Arc::default(),
            copied: Mutex::new(None),
            read_only: AtomicBool::new(false),
            restricted: AtomicBool::new(false),
        }
    }

    pub fn set_outside(&self, outside: Option<Arc<dyn Outside>>) {
        *self.outside.lock() = outside;
    }

    pub fn put_copied(&self, rows: Vec<Vec<Datum>>) {
        *self.copied.lock() = Some(rows);
    }

    fn outside(&self, name: &str) -> Res<Arc<dyn Outside>> {
        match &*self.outside.lock() {
            Some(outside) => Ok(outside.clone()),
            None => fail("0A000", format!("{name} is not available in this session")),
        }
    }

    fn ask(&self, what: &str, args: &[Datum]) -> Res<Datum> {
        self.outside(what)?.ask(what, args)
    }

    /// What a name of a reg type stands for, by the type's input function.
    pub(super) fn reg_input(&self, typ: &str, name: &str) -> Res<Datum> {
        self.ask(&format!("{typ}in"), &[Datum::text(name)])
    }

    fn ask_text(&self, what: &str) -> Res<String> {
        Ok(self.ask(what, &[])?.str()?.to_owned())
    }

    fn view(&self) -> View {
        View {
            session: self.session,
            snapshot: Lsn::MAX,
            command: 0,
            strict: false,
            crosscheck: None,
            passed: Some(self.logged.clone()),
        }
    }

    /// What sequences have told this session may be lost in a crash while this is not durable.
    pub(super) fn logged(&self) -> Lsn {
        Lsn(self.logged.load(Ordering::SeqCst))
    }

    /// Storage knows a sequence by its page; its errors get the name here.
    fn with_sequence(&self, stop: Stop, oid: Oid) -> Stop {
        let args = [Datum::Int(i64::from(oid.0))];
        let Stop::Error(mut error) = stop else {
            return stop;
        };
        if let Ok(name) = self.ask("sequence_name", &args) {
            let named = format!("sequence \"{}\" (", name.str().unwrap_or_default());
            error.message = error.message.replacen("sequence (", &named, 1);
        }
        Stop::Error(error)
    }

    /// The page of a sequence that the role may use.
    fn sequence(&self, oid: Oid) -> Res<PageNo> {
        if self.restricted.load(Ordering::Relaxed) {
            self.ask("use_sequence", &[Datum::Int(i64::from(oid.0))])?;
        }
        if let Some(page) = self.backend.sequence(oid) {
            return Ok(page);
        }
        let page = self
            .ask("sequence", &[Datum::Int(i64::from(oid.0))])?
            .int()?;
        Ok(PageNo(page as u64))
    }

    fn unknown_sequence<T>(&self, function: &str, oid: Oid) -> Res<T> {
        fail(
            "55000",
            format!("{function} of sequence with OID {oid} is not yet defined in this session"),
        )
    }
}

impl crate::expr::Host for Host {
    fn call(&self, name: &str, args: &[Vector], len: usize) -> Res<Vector> {
        self.outside(name)?.call(name, args, len)
    }

    fn scan(&self, name: &str, args: &[Datum]) -> Res<Vec<Vec<Datum>>> {
        if name == "copy" {
            return match self.copied.lock().take() {
                Some(rows) => Ok(rows),
                None => fail("XX000", "COPY's rows were read twice"),
            };
        }
        self.outside(name)?.scan(name, args)
    }
}

impl crate::func::ctx::Host for Host {
    fn nextval(&self, oid: Oid) -> Res<i64> {
        if self.read_only.load(Ordering::Relaxed) {
            return fail(
                "25006",
                "cannot execute nextval() in a read-only transaction",
            );
        }
        let page = self.sequence(oid)?;
        let value = self
            .backend
            .access()
            .nextval(&self.view(), page)
            .map_err(|stop| self.with_sequence(stop, oid))?;
        let mut sequences = self.sequences.lock();
        sequences.values.insert(oid, value);
        sequences.last = Some(oid);
        Ok(value)
    }

    fn currval(&self, oid: Oid) -> Res<i64> {
        let known = self.sequences.lock().values.get(&oid).copied();
        match known {
            Some(value) => Ok(value),
            None => match self.ask("sequence_name", &[Datum::Int(i64::from(oid.0))]) {
                Ok(Datum::Text(name)) => fail(
                    "55000",
                    format!("currval of sequence \"{name}\" is not yet defined in this session"),
                ),
                _ => self.unknown_sequence("currval", oid),
            },
        }
    }

    fn lastval(&self) -> Res<i64> {
        let sequences = self.sequences.lock();
        match sequences.last.and_then(|oid| sequences.values.get(&oid)) {
            Some(&value) => Ok(value),
            None => fail("55000", "lastval is not yet defined in this session"),
        }
    }

    fn setval(&self, oid: Oid, value: i64, called: bool) -> Res<i64> {
        if self.read_only.load(Ordering::Relaxed) {
            return fail(
                "25006",
                "cannot execute setval() in a read-only transaction",
            );
        }
        let page = self.sequence(oid)?;
        self.backend
            .access()
            .setval(&self.view(), page, value, called)
            .map_err(|stop| self.with_sequence(stop, oid))?;
        if called {
            self.sequences.lock().values.insert(oid, value);
        }
        Ok(value)
    }

    fn setting(&self, name: &str) -> Res<Option<String>> {
        match self.ask("current_setting", &[Datum::text(name)])? {
            Datum::Null => Ok(None),
            value => Ok(Some(value.str()?.to_owned())),
        }
    }

    fn set_setting(&self, name: &str, value: &str, local: bool) -> Res<String> {
        let args = [Datum::text(name), Datum::text(value), Datum::Bool(local)];
        Ok(self.ask("set_config", &args)?.str()?.to_owned())
    }

    fn current_user(&self) -> Res<String> {
        self.ask_text("current_user")
    }

    fn session_user(&self) -> Res<String> {
        self.ask_text("session_user")
    }

    fn current_database(&self) -> Res<String> {
        self.ask_text("current_database")
    }

    fn current_schema(&self) -> Res<Option<String>> {
        match self.ask("current_schema", &[])? {
            Datum::Null => Ok(None),
            value => Ok(Some(value.str()?.to_owned())),
        }
    }

    fn version(&self) -> Res<String> {
        self.ask_text("version")
    }

    fn backend_pid(&self) -> Res<i32> {
        Ok(self.ask("pg_backend_pid", &[])?.int()? as i32)
    }

    fn current_xid(&self) -> Res<u64> {
        let current = self.backend.assign_xid(self.session)?;
        Ok(self.backend.top(self.session).unwrap_or(current).0)
    }
}

impl Session {
    /// What a plan runs with.
    pub(super) fn setup(&mut self, view: View, instrument: bool) -> Setup {
        self.kept.begin_statement();
        self.host
            .read_only
            .store(self.read_only(), Ordering::Relaxed);
        self.host
            .restricted
            .store(self.kept.restricted, Ordering::Relaxed);
        Setup {
            access: Some(self.backend.access()),
            view,
            host: self.host.clone(),
            spill: Some(self.spill.clone()),
            cancel: self.cancel.flag.clone(),
            settings: self.kept.settings.clone(),
            session: self.host.clone(),
            now: self.kept.clock,
            seed: self.seed.next(),
            work_mem: self.kept.work_mem,
            slice: SLICE_ROWS,
            workers: WORKERS,
            clock: self.clock,
            instrument,
            fresh: Some(self.fresh.clone()),
        }
    }
}

/// Threads that a big scan with aggregates may use.
pub const WORKERS: usize = 4;

/// Rows that operators handle in one slice: a millisecond or two.
pub const SLICE_ROWS: u64 = 8192;
