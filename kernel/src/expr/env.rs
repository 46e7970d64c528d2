//! What an execution carries with it: parameters, settings, the way to storage, and what is left of its time slice.
//! Expressions and operators see the world only through this.

use super::arrays::Arrays;
use super::code::{Call, Program};
use crate::base::error::fail;
use crate::base::{pace, Lsn, Need, Res, Spill};
use crate::exec::access::{Access, View};
use crate::exec::batch::{Batch, Vector};
use crate::func;
use crate::func::{CallInfo, Ctx, Memo, Rng};
use crate::types::registry::TypeInfo;
use crate::types::settings::Settings;
use crate::types::Datum;
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Fewer elements are compared one by one.
pub(super) const SET_MIN: usize = 9;
/// What an array's element counts for as work.
pub(super) const ELEMENT_BYTES: usize = 32;
/// What a call counts as in `pace::step`: a few milliseconds of the slowest functions of short values go by between two looks.
const CALL: usize = 1 << 16;

/// Functions and row sources that live in Python. A call may answer `Need` and is made again then.
pub trait Host: Send + Sync {
    /// One value a row, for `len` rows.
    fn call(&self, name: &str, args: &[Vector], len: usize) -> Res<Vector>;
    fn scan(&self, name: &str, args: &[Datum]) -> Res<Vec<Vec<Datum>>>;
}

/// No functions in Python.
pub struct NoHost;

impl Host for NoHost {
    fn call(&self, name: &str, _: &[Vector], _: usize) -> Res<Vector> {
        fail("0A000", format!("function {name} is not supported yet"))
    }

    fn scan(&self, name: &str, _: &[Datum]) -> Res<Vec<Vec<Datum>>> {
        fail("0A000", format!("function {name} is not supported yet"))
    }
}

/// Rows, pulled a batch at a time. After `Err(Need)` the operator stands where it stood: nothing is lost or done twice.
pub trait Operator: Send {
    /// The next rows (never an empty batch), or `None` at the end, and again `None` when asked again.
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>>;
    /// Begin again, executor parameters may have changed.
    fn rescan(&mut self, env: &mut Env) -> Res<()>;
    /// What this operator holds that EXPLAIN ANALYZE shows, as (name, value).
    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The rows of a subplan, for asking whether others are among them.
pub trait Members: Send {
    /// Of each row of `keys` whether it equals one: true, false, or null where only nulls leave it open. `right`: the subplan's keys, over
    /// its rows. After `Need` call again with the same.
    fn look(&mut self, env: &mut Env, right: &Program, keys: &Batch) -> Res<Vector>;
    /// Executor parameters have changed: the subplan runs again.
    fn restart(&mut self);
}

/// The plans that expressions refer to by number.
pub trait Plans: Send + Sync {
    fn open(&self, subplan: usize) -> Box<dyn Operator>;
    fn members(&self, subplan: usize, infos: &[&'static TypeInfo]) -> Box<dyn Members>;
    /// Executor parameters that a subplan reads but does not set itself.
    fn free_params(&self, subplan: usize) -> &[usize];
    /// Does it answer differently, or change something, when run again with the same parameters?
    fn volatile(&self, subplan: usize) -> bool;
}

/// What a caller gives to run a plan.
#[derive(Clone)]
pub struct Setup {
    /// None: the plan reads no table.
    pub access: Option<Arc<dyn Access>>,
    pub view: View,
    pub host: Arc<dyn Host>,
    /// None: sorts and hash tables may take what memory they need.
    pub spill: Option<Arc<dyn Spill>>,
    pub cancel: Arc<AtomicBool>,
    /// Settings of the session and times of the statement.
    pub settings: Arc<Settings>,
    /// What functions ask of the session: sequences, settings, who is connected.
    pub session: Arc<dyn func::Host + Send + Sync>,
    /// clock_timestamp() for this run: µs since 2000-01-01 UTC.
    pub now: i64,
    /// For random() and the like.
    pub seed: u64,
    /// Bytes that one sort may take before it spills; a hash table takes `hash_mem`.
    pub work_mem: usize,
    /// Rows to work on before `Err(Need::Slice)`; 0: no limit.
    pub slice: u64,
    /// Threads that a big scan with aggregates may use.
    pub workers: usize,
    /// Microseconds of some clock, for EXPLAIN ANALYZE only.
    pub clock: Option<fn() -> u64>,
    /// Count rows and loops for each node.
    pub instrument: bool,
    /// The newest snapshot, for foreign-key checks under READ COMMITTED; none: the view's.
    pub fresh: Option<Arc<dyn Fn() -> Lsn + Send + Sync>>,
}

impl Setup {
    /// Bytes that a hash table may take: hash_mem_multiplier is 2.
    pub fn hash_mem(&self) -> usize {
        self.work_mem.saturating_mul(2)
    }

    /// The defaults: no tables, no host functions, no limits.
    pub fn bare() -> Setup {
        Setup {
            access: None,
            view: View {
                session: crate::base::SessionId(0),
                snapshot: Lsn::ZERO,
                command: 0,
                strict: false,
                crosscheck: None,
                passed: None,
            },
            host: Arc::new(NoHost),
            spill: None,
            cancel: Arc::new(AtomicBool::new(false)),
            settings: Arc::new(Settings::default()),
            session: Arc::new(func::ctx::NoHost),
            now: 0,
            seed: 0,
            work_mem: 4 << 20,
            slice: 0,
            workers: 1,
            clock: None,
            instrument: false,
            fresh: None,
        }
    }
}

/// One execution's state outside its operators.
pub struct Env {
    pub setup: Setup,
    pub plans: Arc<dyn Plans>,
    pub params: Arc<[Datum]>,
    /// Executor parameters.
    pub exec: Vec<Datum>,
    /// Rows left of this slice.
    pub budget: i64,
    /// Rows that INSERT, UPDATE, DELETE at the top have changed.
    pub affected: u64,
    pub rng: Rng,
    pub memo: Memo,
    pub arrays: Arrays,
    /// What operators share across the tree (CTEs, queues); the executor's own.
    pub shared: Box<dyn Any + Send>,
}

impl Env {
    /// Called by what makes rows, before it makes `rows` more: here a slice ends and a cancel is seen. Whoever calls
    /// this and then another operator could never get on in a small slice: operators with inputs use `pulse`.
    #[inline]
    pub fn tick(&mut self, rows: usize) -> Res<()> {
        self.pulse()?;
        self.charge(rows.max(1));
        Ok(())
    }

    /// Is there anything left of the slice, and nobody wants to cancel?
    #[inline]
    pub fn pulse(&mut self) -> Res<()> {
        if self.setup.cancel.load(Ordering::Relaxed) {
            return fail("57014", "canceling statement due to user request");
        }
        if self.setup.slice > 0 && self.budget <= 0 {
            return Err(Need::Slice.into());
        }
        Ok(())
    }

    /// Work that was done.
    #[inline]
    pub fn charge(&mut self, rows: usize) {
        self.budget -= rows as i64;
    }

    /// The same for another thread; what is shared across a tree is its own.
    pub fn worker(&self, shared: Box<dyn Any + Send>) -> Env {
        Env {
            setup: self.setup.clone(),
            plans: self.plans.clone(),
            params: self.params.clone(),
            exec: self.exec.clone(),
            budget: 0,
            affected: 0,
            rng: self.rng.clone(),
            memo: Memo::default(),
            arrays: self.arrays.clone(),
            shared,
        }
    }

    /// One call of a function; strict functions of null are null.
    #[inline]
    pub fn call(&mut self, call: &Call, args: &[Datum]) -> Res<Datum> {
        if call.function.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        for arg in args {
            match arg {
                Datum::Text(text) => pace::heavy(text.len())?,
                Datum::Bytes(bytes) => pace::heavy(bytes.len())?,
                // Few functions of so many digits take less than their square.
                Datum::Numeric(number) => pace::heavy(number.size().pow(2) / 64)?,
                Datum::Array(array) => pace::heavy(array.values.len() * ELEMENT_BYTES)?,
                _ => {}
            }
        }
        pace::step(CALL)?;
        let value = (call.function.eval)(&mut self.ctx(&call.info), args)?;
        pace::made(value.long_bytes())?;
        Ok(value)
    }

    pub fn ctx<'a>(&'a mut self, info: &'a CallInfo) -> Ctx<'a> {
        Ctx {
            settings: &self.setup.settings,
            call: info,
            clock: self.setup.now,
            rng: &mut self.rng,
            memo: &mut self.memo,
            host: &*self.setup.session,
        }
    }

    pub fn set_exec(&mut self, n: usize, value: Datum) {
        if self.exec.len() <= n {
            self.exec.resize(n + 1, Datum::Null);
        }
        self.exec[n] = value;
    }

    pub fn access(&self) -> Res<Arc<dyn Access>> {
        match &self.setup.access {
            Some(access) => Ok(access.clone()),
            None => fail("XX000", "a plan that reads tables was run without storage"),
        }
    }
}
