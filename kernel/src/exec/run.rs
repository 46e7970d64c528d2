//! A plan, compiled once and shared (`Prepared`), and one run of it (`Execution`).

use super::batch::Batch;
use super::plan::{OutputColumn, Plan};
use crate::base::error::{fail, unsupported};
use crate::base::{Oid, Res};
use crate::expr::Setup;
use crate::types::Datum;
use std::sync::Arc;

/// An immutable compiled plan, shared between sessions and threads.
pub struct Prepared {
    pub output: Vec<OutputColumn>,
    /// Types of $1…
    pub params: Vec<Oid>,
    /// Relations to lock before running, with PostgreSQL's mode numbers.
    pub locks: Vec<(Oid, u8)>,
    /// What the command tag begins with.
    pub tag: String,
    pub writes: bool,
    pub catalog_version: u64,
}

impl Prepared {
    pub fn compile(json: &str) -> Res<Arc<Prepared>> {
        match serde_json::from_str::<Plan>(json) {
            Ok(plan) => Prepared::from_plan(plan),
            Err(error) => fail("XX000", format!("plan is not readable: {error}")),
        }
    }

    pub fn from_plan(plan: Plan) -> Res<Arc<Prepared>> {
        Ok(Arc::new(Prepared {
            output: plan.output,
            params: plan.params,
            locks: plan.locks,
            tag: plan.tag,
            writes: plan.writes,
            catalog_version: plan.catalog_version,
        }))
    }
}

/// One run of a plan. Every call may answer `Err(Need)`; call again with the same arguments then.
pub struct Execution {
    prepared: Arc<Prepared>,
    affected: u64,
}

/// What a deferred constraint still has to do at COMMIT (or SET CONSTRAINTS … IMMEDIATE).
pub struct Deferred {
    pub constraint: String,
}

impl Execution {
    pub fn new(prepared: Arc<Prepared>, _params: Vec<Datum>, _setup: Setup) -> Execution {
        Execution {
            prepared,
            affected: 0,
        }
    }

    /// Runs the actions that were put off to COMMIT, in order.
    pub fn deferred(prepared: Arc<Prepared>, _actions: Vec<Deferred>, _setup: Setup) -> Execution {
        Execution {
            prepared,
            affected: 0,
        }
    }

    /// The next result rows, at most `max_rows` (0: as they come); `None` when the statement is done, its `after`
    /// actions included. A statement without result columns answers `None` at once when it is done.
    pub fn next(&mut self, _max_rows: usize) -> Res<Option<Batch>> {
        unsupported("execution")
    }

    /// Rows returned, inserted, updated or deleted by the statement itself.
    pub fn affected(&self) -> u64 {
        self.affected
    }

    /// "SELECT 3", "INSERT 0 1", "UPDATE 2".
    pub fn command_tag(&self) -> String {
        match self.prepared.tag.as_str() {
            "INSERT" => format!("INSERT 0 {}", self.affected),
            tag => format!("{tag} {}", self.affected),
        }
    }

    /// The last command id that this statement has written with: the transaction goes on with a higher one.
    pub fn command(&self) -> u32 {
        0
    }

    /// Actions for COMMIT, in order; the caller keeps them with the `Prepared` for `Execution::deferred`.
    pub fn take_deferred(&mut self) -> Vec<Deferred> {
        Vec::new()
    }

    /// Rows and loops for each node, as JSON in the shape of the plan, once instrumented.
    pub fn explain(&self) -> String {
        String::new()
    }
}
