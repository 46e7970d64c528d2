//! A plan, compiled once and shared (`Prepared`), and one run of it (`Execution`).

use super::batch::Batch;
use super::compile::{self, SubPlan};
use super::deferral::Deferral;
use super::explain::Counters;
use super::kept::Room;
use super::nodes::PNode;
use super::ops::{self, shared, AfterNode, Expect, Member, Op, Opener, Queue, Queued, Shared};
use super::plan::{OutputColumn, Plan};
use crate::base::error::{fail, SqlError};
use crate::base::{pace, Oid, Res, Stop};
use crate::expr::{Env, Members, Plans, Setup};
use crate::func::{Memo, Rng};
use crate::types::registry::{self, TypeInfo};
use crate::types::settings::Settings;
use crate::types::Datum;
use serde::Deserialize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// An immutable compiled plan, shared between sessions and threads.
pub struct Prepared {
    pub output: Vec<OutputColumn>,
    /// Types of $1…
    pub params: Vec<Oid>,
    /// Relations to lock before running, with PostgreSQL's mode numbers.
    pub locks: Vec<(Oid, u8)>,
    /// What the command tag begins with.
    pub tag: String,
    /// What a read-only transaction says it can't execute.
    pub command: String,
    pub writes: bool,
    pub catalog_version: u64,
    exec_params: usize,
    root: PNode,
    subplans: Vec<SubPlan>,
    nodes: usize,
    /// What one batch costs at most, as `pace::heavy` counts; never on the event loop when it is a deep one.
    weight: usize,
}

/// Plans that nest deeper than DEEP need more stack than any thread may be sure to have: they are compiled by one that has it, and
/// run in worker threads. Beyond DEPTH_MAX nobody has it.
const DEEP: usize = 200;
/// A plan of fewer bytes of JSON weighs nothing.
const SHORT: usize = 64 << 10;
const DEPTH_MAX: usize = 16_000;
const STACK_BYTES: usize = 512 << 20;

/// How deep brackets nest in JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl Prepared {
    /// Constants that take long to compute are left to when the plan runs.
    pub fn compile(json: &str) -> Res<Arc<Prepared>> {
        Prepared::compile_until(json, &Arc::default())
    }

    /// The same, until somebody cancels.
    pub fn compile_until(json: &str, cancel: &Arc<AtomicBool>) -> Res<Arc<Prepared>> {
        let depth = depth(json);
        let compile = || {
            let _pace = pace::enter(cancel, true);
            let weight = match json.len() {
                _ if depth > DEEP => usize::MAX,
                short if short < SHORT => 0,
                long => long,
            };
            Prepared::read(json, weight)
        };
        if depth > DEPTH_MAX {
            return fail("54001", "stack depth limit exceeded");
        }
        if depth <= DEEP {
            return compile();
        }
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, compile)
                .ok()
                .and_then(|thread| thread.join().ok())
                .unwrap_or_else(|| fail("53200", "no thread can be had for so deep a plan"))
        })
    }

    fn read(json: &str, weight: usize) -> Res<Arc<Prepared>> {
        let mut reader = serde_json::Deserializer::from_str(json);
        reader.disable_recursion_limit();
        match Plan::deserialize(&mut reader) {
            Ok(plan) => Prepared::with_weight(plan, weight),
            Err(error) => fail("XX000", format!("plan is not readable: {error}")),
        }
    }

    /// So much is much to let go of, too.
    pub fn is_large(&self) -> bool {
        self.weight > pace::INLINE_BYTES
    }

    /// UPDATE or DELETE of one table that gives no rows back: all that it learns of a row is what it makes of it.
    pub fn passes(&self) -> bool {
        self.root.passes() && self.subplans.is_empty()
    }

    /// INSERT of values that come from no table, into one that has no rules about others.
    pub fn is_blind(&self) -> bool {
        self.root.is_blind() && self.subplans.is_empty()
    }

    pub fn from_plan(plan: Plan) -> Res<Arc<Prepared>> {
        Prepared::with_weight(plan, 0)
    }

    fn with_weight(plan: Plan, weight: usize) -> Res<Arc<Prepared>> {
        let (root, subplans, nodes) = compile::compile(&plan.root, plan.subplans)?;
        Ok(Arc::new(Prepared {
            output: plan.output,
            params: plan.params,
            locks: plan.locks,
            tag: plan.tag,
            command: plan.command,
            writes: plan.writes,
            catalog_version: plan.catalog_version,
            exec_params: plan.exec_params,
            root,
            subplans,
            nodes,
            weight,
        }))
    }
}

/// A deep plan needs as much stack to be let go of as it did to be compiled, and who has it last may be any thread.
impl Drop for Prepared {
    fn drop(&mut self) {
        if self.weight < usize::MAX {
            return;
        }
        let root = std::mem::replace(&mut self.root, PNode::of(ops::SingleNode));
        let nodes = Mutex::new(Some((root, std::mem::take(&mut self.subplans))));
        let take = || nodes.lock().ok().and_then(|mut nodes| nodes.take());
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            if thread.spawn_scoped(scope, || drop(take())).is_err() {
                // Memory that is lost is better than a process.
                std::mem::forget(take());
            }
        });
    }
}

/// Opens subplans for expressions.
struct RunPlans {
    prepared: Arc<Prepared>,
    opener: Opener,
}

impl Plans for RunPlans {
    fn open(&self, subplan: usize) -> Op {
        self.opener.open(&self.prepared.subplans[subplan].node)
    }

    fn members(&self, subplan: usize, infos: &[&'static TypeInfo]) -> Box<dyn Members> {
        Box::new(Member::new(self.open(subplan), infos))
    }

    fn free_params(&self, subplan: usize) -> &[usize] {
        self.prepared.subplans.get(subplan).map_or(&[], |s| &s.free)
    }

    fn volatile(&self, subplan: usize) -> bool {
        self.prepared
            .subplans
            .get(subplan)
            .is_none_or(|s| s.volatile)
    }
}

/// An action under way.
struct Action {
    queued: Queued,
    op: Op,
    rows: bool,
    /// What it expects is not so; `op` says whether that matters.
    again: bool,
}

/// One run of a plan. Every call may answer `Err(Need)`; call again with the same arguments then.
pub struct Execution {
    prepared: Arc<Prepared>,
    env: Env,
    /// None: the plan itself is done, or there is none (deferred actions).
    root: Option<Op>,
    action: Option<Action>,
    /// Rows beyond what the caller asked for.
    rest: Option<Batch>,
    returned: u64,
    counters: Option<Arc<Counters>>,
}

impl Execution {
    pub fn new(prepared: Arc<Prepared>, params: Vec<Datum>, setup: Setup) -> Execution {
        let mut execution = Execution::empty(prepared, params, setup);
        let opener = Opener {
            counters: execution.counters.clone(),
            part: (0, 1),
            built: Vec::new(),
        };
        execution.root = Some(opener.open(&execution.prepared.root));
        execution
    }

    /// Which checks are put off.
    pub fn defer(&mut self, deferral: Arc<Deferral>) {
        shared(&mut self.env).deferral = deferral;
    }

    /// Runs actions of one plan that were put off to COMMIT, in order.
    pub fn deferred(prepared: Arc<Prepared>, actions: Queue, setup: Setup) -> Execution {
        let mut execution = Execution::empty(prepared, Vec::new(), setup);
        let shared = shared(&mut execution.env);
        (shared.queue, shared.immediate) = (actions, true);
        execution
    }

    fn empty(prepared: Arc<Prepared>, params: Vec<Datum>, setup: Setup) -> Execution {
        let counters = setup
            .instrument
            .then(|| Arc::new(Counters::new(prepared.nodes)));
        let opener = Opener {
            counters: counters.clone(),
            part: (0, 1),
            built: Vec::new(),
        };
        let env = Env {
            rng: Rng::new(setup.seed),
            memo: Memo::default(),
            arrays: Default::default(),
            plans: Arc::new(RunPlans {
                prepared: prepared.clone(),
                opener,
            }),
            params: Arc::from(params),
            exec: vec![Datum::Null; prepared.exec_params],
            budget: 0,
            affected: 0,
            shared: Box::new(Shared::default()),
            setup,
        };
        Execution {
            prepared,
            env,
            root: None,
            action: None,
            rest: None,
            returned: 0,
            counters,
        }
    }

    /// The next result rows, at most `max_rows` (0: as they come); `None` when the statement is done, its `after`
    /// actions included. A statement without result columns answers `None` at once when it is done.
    pub fn next(&mut self, max_rows: usize) -> Res<Option<Batch>> {
        pace::heavy(self.prepared.weight)?;
        self.env.budget = i64::try_from(self.env.setup.slice).unwrap_or(i64::MAX);
        if let Some(batch) = self.rest.take() {
            return Ok(Some(self.give(batch, max_rows)));
        }
        if let Some(root) = &mut self.root {
            if let Some(batch) = root.next(&mut self.env)? {
                self.returned += batch.len as u64;
                return Ok(Some(self.give(batch, max_rows)));
            }
            self.root = None;
        }
        self.actions()?;
        Ok(None)
    }

    /// It is done: what it worked with is let go of here and now, in the thread that took its time over it.
    pub fn release(&mut self) {
        self.env.params = Arc::from([]);
        self.env.exec.clear();
        self.env.memo = Memo::default();
        self.env.arrays.clear();
    }

    fn give(&mut self, batch: Batch, max_rows: usize) -> Batch {
        if max_rows == 0 || batch.len <= max_rows {
            return batch;
        }
        self.rest = Some(batch.slice(max_rows, batch.len));
        batch.slice(0, max_rows)
    }

    /// The queue of the statement's end, cascades included.
    fn actions(&mut self) -> Res<()> {
        loop {
            if self.action.is_none() {
                let room = Room::of(&self.env);
                let Some(queued) = shared(&mut self.env).queue.pop(&room)? else {
                    return Ok(());
                };
                self.begin(queued);
            }
            let Some(action) = &mut self.action else {
                continue;
            };
            let expect = match action.again {
                true => Expect::NoRows,
                false => action.queued.after.expect,
            };
            while !(action.rows && expect != Expect::Anything) {
                match action.op.next(&mut self.env)? {
                    Some(batch) => action.rows |= batch.len > 0,
                    None => break,
                }
            }
            let bad = matches!(
                (expect, action.rows),
                (Expect::Rows, false) | (Expect::NoRows, true)
            );
            if let (true, false, Some(still)) = (bad, action.again, action.queued.after.still) {
                action.op = self.env.plans.clone().open(still);
                (action.again, action.rows) = (true, false);
                continue;
            }
            if bad {
                return Err(Stop::Error(violation(
                    &action.queued,
                    &self.env.setup.settings,
                )));
            }
            self.action = None;
        }
    }

    /// An action sees what the statement and the actions before it have changed.
    fn begin(&mut self, queued: Queued) {
        if std::mem::take(&mut shared(&mut self.env).dirty) {
            self.env.setup.view.command += 1;
        }
        self.look(queued.after.expect);
        for (&n, value) in queued.after.param_numbers.iter().zip(&queued.params) {
            self.env.set_exec(n, value.clone());
        }
        let op = self.env.plans.clone().open(queued.after.subplan);
        self.action = Some(Action {
            queued,
            op,
            rows: false,
            again: false,
        });
    }

    /// The snapshot of an action: the newest. Under REPEATABLE READ a parent is looked for with the transaction's own (one that came
    /// later does not count, one that has gone is 40001); children with the newest: none may be missed.
    fn look(&mut self, expect: Expect) {
        let setup = &mut self.env.setup;
        let Some(fresh) = &setup.fresh else {
            return;
        };
        let own = setup.view.seen();
        match (setup.view.strict, expect) {
            (false, _) => setup.view.snapshot = fresh(),
            (true, Expect::Rows) => (setup.view.snapshot, setup.view.crosscheck) = (own, None),
            (true, _) => (setup.view.snapshot, setup.view.crosscheck) = (fresh(), Some(own)),
        }
    }

    /// Rows returned, inserted, updated or deleted by the statement itself.
    pub fn affected(&self) -> u64 {
        match self.prepared.tag.as_str() {
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" => self.env.affected,
            _ => self.returned,
        }
    }

    /// "SELECT 3", "INSERT 0 1", "UPDATE 2".
    pub fn command_tag(&self) -> String {
        match self.prepared.tag.as_str() {
            "INSERT" => format!("INSERT 0 {}", self.affected()),
            tag => format!("{tag} {}", self.affected()),
        }
    }

    /// The last command id that this statement has written with: the transaction goes on with a higher one.
    pub fn command(&self) -> u32 {
        self.env.setup.view.command
    }

    /// Actions for COMMIT, in order; the caller keeps them with the `Prepared` for `Execution::deferred`.
    pub fn take_deferred(&mut self) -> Queue {
        std::mem::take(&mut shared(&mut self.env).put_off)
    }

    pub fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// The setup may be touched between calls: the clock, the transaction's ids after the first write.
    pub fn setup(&mut self) -> &mut Setup {
        &mut self.env.setup
    }

    /// Rows, loops and time of each node as a JSON array in pre-order (root, then subplans); empty if not instrumented.
    pub fn explain(&self) -> String {
        self.counters
            .as_ref()
            .map_or_else(|| "[]".to_string(), |c| c.json())
    }
}

/// The error of an action whose expectation failed, with the parameters' text in its detail.
fn violation(queued: &Queued, settings: &Settings) -> Box<SqlError> {
    let after = &queued.after;
    let mut error = SqlError::new(&after.code, after.message.clone());
    if !after.detail.is_empty() {
        error = error.detail(filled(after, &queued.params, settings));
    }
    error.constraint = Some(after.constraint.clone());
    error.table = Some(after.table.clone());
    error.schema = Some(after.schema.clone());
    error
}

fn filled(after: &AfterNode, params: &[Datum], settings: &Settings) -> String {
    let mut out = String::new();
    let mut rest = after.detail.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let digits: String = rest[at + 1..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        rest = &rest[at + 1 + digits.len()..];
        let n = digits.parse::<usize>().unwrap_or(0);
        match (
            n.checked_sub(1).and_then(|n| params.get(n)),
            n.checked_sub(1).and_then(|n| after.types.get(n)),
        ) {
            (Some(Datum::Null), _) => out.push_str("null"),
            (Some(value), Some(&typ)) => {
                out.push_str(
                    &registry::get(typ)
                        .and_then(|t| t.text(value, settings))
                        .unwrap_or_default(),
                );
            }
            _ => {
                out.push('$');
                out.push_str(&digits);
            }
        }
    }
    out.push_str(rest);
    out
}
