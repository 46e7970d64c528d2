//! What prepared and cached statements mean to the kernel, and the cache of statements by text that sessions share.

use crate::base::error::Res;
use crate::base::lexer::Literal;
use crate::base::Oid;
use crate::exec::plan::OutputColumn;
use crate::exec::run::Prepared;
use crate::session::Isolation;
use crate::types::Datum;
use crate::wire::backend;
use ahash::AHashMap;
use parking_lot::RwLock;
use std::sync::Arc;

/// Bytes of a text that count as one more text.
const WEIGHED: usize = 8 << 10;

pub enum What {
    Plan(Arc<Prepared>),
    Begin {
        isolation: Option<Isolation>,
        read_only: Option<bool>,
        tag: String,
    },
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    Empty,
    /// Runs in Python.
    Host {
        columns: Vec<OutputColumn>,
        allowed_in_failed: bool,
    },
}

pub struct Statement {
    pub what: What,
    /// Types of $1…
    pub params: Arc<[Oid]>,
    /// Values of the plan's parameters behind those.
    pub bound: Arc<[Datum]>,
    /// Python's name for it.
    pub token: i64,
}

impl Statement {
    pub fn new(what: What, params: &[Oid], token: i64) -> Arc<Statement> {
        Arc::new(Statement {
            what,
            params: Arc::from(params),
            bound: Arc::default(),
            token,
        })
    }

    pub fn plan(plan: Arc<Prepared>, bound: Vec<Datum>, token: i64) -> Arc<Statement> {
        let given = plan.params.len().saturating_sub(bound.len());
        let params = Arc::from(plan.params.get(..given).unwrap_or(&[]));
        Arc::new(Statement {
            what: What::Plan(plan),
            params,
            bound: bound.into(),
            token,
        })
    }

    pub fn columns(&self) -> &[OutputColumn] {
        match &self.what {
            What::Plan(plan) => &plan.output,
            What::Host { columns, .. } => columns,
            _ => &[],
        }
    }

    /// Does it answer rows? (SELECT does without columns too.)
    pub fn has_rows(&self) -> bool {
        match &self.what {
            What::Plan(plan) => !plan.output.is_empty() || plan.tag == "SELECT",
            What::Host { columns, .. } => !columns.is_empty(),
            _ => false,
        }
    }

    /// RowDescription or NoData.
    pub fn describe(&self, formats: &[u16], out: &mut Vec<u8>) {
        match self.has_rows() {
            true => backend::row_description(out, self.columns(), formats),
            false => backend::bare(out, backend::NO_DATA),
        }
    }

    /// May it run in a failed block?
    pub fn allowed_in_failed(&self) -> bool {
        match &self.what {
            What::Commit | What::Rollback | What::RollbackTo(_) | What::Empty => true,
            What::Host {
                allowed_in_failed, ..
            } => *allowed_in_failed,
            _ => false,
        }
    }

    /// Was it planned against another catalogue than `version`?
    pub fn stale(&self, version: u64) -> bool {
        matches!(&self.what, What::Plan(plan) if plan.catalog_version != version)
    }

    /// Goes through Python in an intercepted session.
    pub fn ends_something(&self) -> bool {
        matches!(
            self.what,
            What::Commit
                | What::Rollback
                | What::Savepoint(_)
                | What::Release(_)
                | What::RollbackTo(_)
        )
    }
}

/// A prepared statement of one connection.
pub struct Entry {
    pub statement: Arc<Statement>,
    pub text: String,
    pub params: Arc<[Oid]>,
}

/// A connection's prepared statements by name. They can be listed while the connection runs one of them.
pub type Named = Arc<RwLock<AHashMap<String, Arc<Entry>>>>;

/// A statement for simple Query texts that share a key.
pub struct Cached {
    pub statement: Arc<Statement>,
    /// (literal, parameter)
    pub lift: Vec<(usize, usize)>,
    /// (literal, the text it must have)
    pub fixed: Vec<(usize, String)>,
}

impl Cached {
    fn fits(&self, literals: &[Literal<'_>]) -> bool {
        self.fixed.iter().all(|(at, text)| {
            literals
                .get(*at)
                .is_some_and(|literal| literal.value == *text)
        })
    }
}

#[derive(Default)]
struct Texts {
    /// By key; entries that differ in `fixed`, newest first.
    queries: AHashMap<Box<[u8]>, Vec<Arc<Cached>>>,
    /// By text; entries that differ in the declared parameter types.
    parses: AHashMap<Box<str>, Vec<Declared>>,
}

/// Declared parameter types, and what the text means with them.
type Declared = (Vec<u32>, Arc<Statement>);

/// How many entries there are, and the entries by scope.
type Scopes = (usize, AHashMap<u64, Texts>);

/// Entries of one key beyond which the oldest go: literals that shape the plan and change all the time.
const VARIANTS: usize = 16;

/// Statements by text, shared by the connections of a database. Bounded: when full it starts anew.
pub struct Queries {
    scopes: RwLock<Scopes>,
    capacity: usize,
}

/// A text counts by its length too: long ones fill the cache sooner.
fn weight(bytes: usize) -> usize {
    1 + bytes / WEIGHED
}

impl Queries {
    pub fn new(capacity: usize) -> Queries {
        Queries {
            scopes: RwLock::default(),
            capacity: capacity.max(1),
        }
    }

    pub fn len(&self) -> usize {
        self.scopes.read().0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&self) {
        *self.scopes.write() = Default::default();
    }

    fn change(&self, scope: u64, change: impl FnOnce(&mut Texts) -> usize) {
        let mut guard = self.scopes.write();
        if guard.0 >= self.capacity {
            *guard = Default::default();
        }
        let (count, scopes) = &mut *guard;
        *count += change(scopes.entry(scope).or_default());
    }

    pub fn register_query(&self, scope: u64, key: &[u8], cached: Cached) -> Res<()> {
        let fixed = cached.fixed.iter().map(|(_, value)| value.len());
        let weight = weight(key.len() + fixed.sum::<usize>());
        self.change(scope, |texts| {
            let variants = texts.queries.entry(key.into()).or_default();
            let before = variants.len();
            variants.retain(|old| old.fixed != cached.fixed);
            variants.insert(0, Arc::new(cached));
            variants.truncate(VARIANTS);
            variants.len().saturating_sub(before) * weight
        });
        Ok(())
    }

    pub fn register_parse(&self, scope: u64, text: &str, types: &[u32], statement: Arc<Statement>) {
        let weight = weight(text.len());
        self.change(scope, |texts| {
            let variants = texts.parses.entry(text.into()).or_default();
            let before = variants.len();
            variants.retain(|(old, _)| old != types);
            variants.insert(0, (types.to_vec(), statement));
            variants.truncate(VARIANTS);
            variants.len().saturating_sub(before) * weight
        });
    }

    pub fn query(&self, scope: u64, key: &[u8], literals: &[Literal<'_>]) -> Option<Arc<Cached>> {
        let guard = self.scopes.read();
        guard
            .1
            .get(&scope)?
            .queries
            .get(key)?
            .iter()
            .find(|cached| cached.fits(literals))
            .cloned()
    }

    pub fn parse(&self, scope: u64, text: &str, types: &[u32]) -> Option<Arc<Statement>> {
        let guard = self.scopes.read();
        let variants = guard.1.get(&scope)?.parses.get(text)?;
        variants
            .iter()
            .find(|(declared, _)| declared == types)
            .map(|(_, statement)| statement.clone())
    }
}
