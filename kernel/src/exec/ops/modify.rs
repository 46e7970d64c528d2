//! What INSERT, UPDATE and DELETE share: constraints on new rows, RETURNING, and the actions for the statement's end.

use super::shared;
use crate::base::error::fail;
use crate::base::error::SqlError;
use crate::base::Oid;
use crate::base::{Lsn, Need, Res, RowId, Stop};
use crate::exec::access::{ColumnDef, TableDef, Wait, Wrote};
use crate::exec::batch::{Batch, Vector};
use crate::exec::kept::Room;
use crate::exec::nodes::PlanCompiler;
use crate::exec::plan::{Expr, LockMode};
use crate::expr::{Env, Program, State};
use crate::types::oids;
use crate::types::registry;
use crate::types::settings::Settings;
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// A CHECK constraint over the new row's columns: false is `code`/`message`. NOT NULL is checked from the table's columns.
#[derive(Debug, Deserialize)]
pub struct Check {
    pub test: Expr,
    pub constraint: String,
    /// For domains and WITH CHECK OPTION; default 23514.
    pub code: Option<String>,
    pub message: Option<String>,
}

/// What happens for each changed row once the statement is done, in order: foreign keys now, triggers later.
#[derive(Debug, Deserialize)]
pub struct After {
    /// Subplan to run, with executor parameters set from `params`: (number, expression over new row's columns, then
    /// old row's; the missing half reads as nulls).
    pub subplan: usize,
    pub params: Vec<(usize, Expr)>,
    /// Run only when this holds over (new row, old row): "the key changed and is not null".
    pub when: Option<Expr>,
    /// "none": whatever it returns; "rows": no row is the error (child without parent); "no_rows": a row is the error
    /// (parent still referenced).
    pub expect: String,
    /// The error when `expect` fails. `$1`… in `detail` stand for the parameters' text.
    pub code: String,
    pub message: String,
    pub detail: String,
    pub constraint: String,
    pub table: String,
    pub schema: String,
    /// Of the constraint.
    pub oid: Oid,
    /// At the statement's end always, or as SET CONSTRAINTS says.
    pub deferrable: bool,
    /// What holds unless it says so: at the statement's end, or at COMMIT.
    pub deferred: bool,
    /// Subplan with the same parameters: when it gives no row, nobody is concerned any more and `expect` need not hold.
    #[serde(default)]
    pub still: Option<usize>,
}

impl After {
    fn compile(&self, compiler: &mut PlanCompiler) -> Res<AfterNode> {
        for subplan in [Some(self.subplan), self.still].into_iter().flatten() {
            if !compiler.has_subplan(subplan) {
                return fail("XX000", format!("plan has no subplan {subplan}"));
            }
        }
        Ok(AfterNode {
            subplan: self.subplan,
            params: compiler.program(self.params.iter().map(|(_, e)| e))?,
            param_numbers: self.params.iter().map(|(n, _)| *n).collect(),
            when: compiler.optional(&self.when)?,
            expect: match self.expect.as_str() {
                "rows" => Expect::Rows,
                "no_rows" => Expect::NoRows,
                _ => Expect::Anything,
            },
            code: self.code.clone(),
            message: self.message.clone(),
            detail: self.detail.clone(),
            constraint: self.constraint.clone(),
            table: self.table.clone(),
            schema: self.schema.clone(),
            oid: self.oid,
            deferrable: self.deferrable,
            deferred: self.deferred,
            still: self.still,
            types: self.params.iter().map(|(_, e)| expr_type(e)).collect(),
        })
    }
}

pub struct CheckNode {
    pub constraint: String,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// What every change of a row must pass.
pub struct Rules {
    /// One expression a check, over the new row's columns.
    pub tests: Program,
    pub checks: Vec<CheckNode>,
    pub after: Vec<Arc<AfterNode>>,
}

impl Rules {
    pub fn new(compiler: &mut PlanCompiler, checks: &[Check], after: &[After]) -> Res<Rules> {
        let tests = compiler.program(checks.iter().map(|c| &c.test))?;
        let checks = checks.iter().map(|c| CheckNode {
            constraint: c.constraint.clone(),
            code: c.code.clone(),
            message: c.message.clone(),
        });
        let after = after.iter().map(|a| Ok(Arc::new(a.compile(compiler)?)));
        Ok(Rules {
            tests,
            checks: checks.collect(),
            after: after.collect::<Res<_>>()?,
        })
    }
}

/// The type of an expression's value, where the plan says it.
fn expr_type(expr: &Expr) -> Oid {
    match expr {
        Expr::Const { typ, .. }
        | Expr::Col { typ, .. }
        | Expr::Param { typ, .. }
        | Expr::Exec { typ, .. }
        | Expr::Func { typ, .. }
        | Expr::Case { typ, .. }
        | Expr::Coalesce { typ, .. }
        | Expr::Typmod { typ, .. }
        | Expr::Sub { typ, .. }
        | Expr::Host { typ, .. } => *typ,
        Expr::CastIo { to, .. } => *to,
        _ => oids::TEXT,
    }
}

pub struct AfterNode {
    pub subplan: usize,
    pub params: Program,
    pub param_numbers: Vec<usize>,
    pub when: Option<Program>,
    pub expect: Expect,
    pub code: String,
    pub message: String,
    pub detail: String,
    pub constraint: String,
    pub table: String,
    pub schema: String,
    /// Of the constraint.
    pub oid: Oid,
    pub deferrable: bool,
    pub deferred: bool,
    pub still: Option<usize>,
    /// Types of the parameters, for the detail's text.
    pub types: Vec<Oid>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Rows,
    NoRows,
}

/// Types of a table's columns.
pub fn types(table: &TableDef) -> Vec<crate::base::Oid> {
    table.columns.iter().map(|c| c.typ).collect()
}

/// Are any of these columns in a unique key?
pub fn sets_key(table: &TableDef, columns: &[usize]) -> bool {
    let mut unique = table.indexes.iter().filter(|i| i.unique);
    unique.any(|i| i.keys.iter().any(|k| columns.contains(&k.column)))
}

pub fn all_columns(table: &TableDef) -> Vec<usize> {
    (0..table.columns.len()).collect()
}

/// Longer values are cut in error details.
const DETAIL_CHARS: usize = 64;

fn failing_row(table: &TableDef, row: &[Datum], settings: &Settings) -> String {
    let mut parts = Vec::new();
    for (column, value) in table.columns.iter().zip(row).filter(|(c, _)| !c.dropped) {
        if value.is_null() {
            parts.push("null".to_string());
            continue;
        }
        let text = registry::get(column.typ)
            .and_then(|t| t.text(value, settings))
            .unwrap_or_default();
        parts.push(match text.char_indices().nth(DETAIL_CHARS) {
            Some((cut, _)) => format!("{}...", &text[..cut]),
            None => text,
        });
    }
    format!("Failing row contains ({}).", parts.join(", "))
}

fn about(mut error: Box<SqlError>, table: &TableDef) -> Box<SqlError> {
    error.schema = Some(table.schema.clone());
    error.table = Some(table.name.clone());
    error
}

/// Is there anything for `check_row` to say of row `at` of `rows`?
pub fn may_fail(
    table: &TableDef,
    rules: &Rules,
    rows: &Batch,
    tests: &[Vector],
    at: usize,
) -> bool {
    let required = |(column, vector): (&ColumnDef, &Vector)| {
        column.not_null && !column.dropped && vector.is_null(at)
    };
    table.columns.iter().zip(&rows.columns).any(required)
        || rules
            .checks
            .iter()
            .zip(tests)
            .any(|(_, test)| test.truth(at) == Some(false))
}

/// NOT NULL and CHECK for one new row; `tests` are the checks' values, `at` the row in them.
pub fn check_row(
    table: &TableDef,
    rules: &Rules,
    row: &[Datum],
    tests: &[Vector],
    at: usize,
    settings: &Settings,
) -> Res<()> {
    for (column, value) in table.columns.iter().zip(row) {
        if column.not_null && !column.dropped && value.is_null() {
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, table.name
            );
            let mut error = about(SqlError::new("23502", message), table)
                .detail(failing_row(table, row, settings));
            error.column = Some(column.name.clone());
            return Err(Stop::Error(error));
        }
    }
    for (check, test) in rules.checks.iter().zip(tests) {
        if test.truth(at) == Some(false) {
            return Err(Stop::Error(violated(table, check, row, settings)));
        }
    }
    Ok(())
}

fn violated(
    table: &TableDef,
    check: &CheckNode,
    row: &[Datum],
    settings: &Settings,
) -> Box<SqlError> {
    let code = check.code.as_deref().unwrap_or("23514");
    let message = match &check.message {
        Some(message) => message.clone(),
        None => format!(
            "new row for relation \"{}\" violates check constraint \"{}\"",
            table.name, check.constraint
        ),
    };
    let mut error = about(SqlError::new(code, message), table);
    // A domain's message says everything; a table's and a view's show the row.
    if check.message.is_none() || code == "44000" {
        error = error.detail(failing_row(table, row, settings));
    }
    error.constraint = Some(check.constraint.clone());
    error
}

/// Rows changed by one input batch, until RETURNING and the actions have seen them.
#[derive(Default)]
pub struct Changed {
    pub new: Batch,
    pub old: Batch,
    pub ids: Vec<i64>,
    /// The input rows.
    pub input: Batch,
}

impl Changed {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    fn ids(&self) -> Batch {
        Batch {
            columns: vec![Vector::Int(self.ids.clone(), Vec::new())],
            len: self.ids.len(),
        }
    }
}

/// Works on `Changed` rows after they are written; keeps what is done when it must wait.
#[derive(Default)]
pub struct Finish {
    at: usize,
    kept: Option<Option<Vec<u32>>>,
    when_state: State,
    param_state: State,
    returning_state: State,
    /// New columns, then old ones.
    pairs: Option<Batch>,
}

impl Finish {
    /// Queue the actions and make RETURNING's rows.
    pub fn run(
        &mut self,
        env: &mut Env,
        rules: &Rules,
        returning: &Option<Program>,
        changed: &Changed,
        deleted: bool,
    ) -> Res<Option<Batch>> {
        if changed.len() == 0 {
            return Ok(None);
        }
        while let Some(after) = rules.after.get(self.at) {
            self.enqueue(env, after, changed)?;
            self.at += 1;
        }
        let room = Room::of(env);
        let shared = shared(env);
        shared.queue.settle(&room)?;
        shared.put_off.settle(&room)?;
        let out = match returning {
            None => None,
            Some(program) => {
                let rows = if deleted { &changed.old } else { &changed.new };
                let over = rows
                    .clone()
                    .beside(changed.ids())
                    .beside(changed.input.clone());
                let columns = program.eval(env, &mut self.returning_state, &over)?;
                Some(Batch {
                    columns,
                    len: changed.len(),
                })
            }
        };
        *self = Finish::default();
        Ok(out)
    }

    fn enqueue(&mut self, env: &mut Env, after: &Arc<AfterNode>, changed: &Changed) -> Res<()> {
        let pairs = self
            .pairs
            .get_or_insert_with(|| changed.new.clone().beside(changed.old.clone()));
        if self.kept.is_none() {
            self.kept = Some(match &after.when {
                None => None,
                Some(when) => when.filter(env, &mut self.when_state, pairs)?,
            });
        }
        let chosen = match self.kept.as_ref().and_then(Option::as_ref) {
            Some(rows) if rows.is_empty() => None,
            Some(rows) => Some(pairs.gather(rows)),
            None => Some(pairs.clone()),
        };
        if let Some(chosen) = chosen {
            let params = after.params.eval(env, &mut self.param_state, &chosen)?;
            let shared = shared(env);
            let queue = match !shared.immediate && shared.deferral.defers(after) {
                true => &mut shared.put_off,
                false => &mut shared.queue,
            };
            let rows = Batch {
                columns: params,
                len: chosen.len,
            };
            queue.push(after, rows);
        }
        self.kept = None;
        self.when_state = State::default();
        self.param_state = State::default();
        Ok(())
    }
}

/// Something was written by this command.
pub fn wrote(env: &mut Env, top: bool) {
    let shared = shared(env);
    shared.dirty = true;
    shared.written += 1;
    if top {
        env.affected += 1;
    }
}

/// Before a row, or a chunk of them, is written: see `Access::room`.
pub fn room(env: &mut Env) -> Res<()> {
    let written = shared(env).written;
    env.access()?.room(written)
}

/// A row id out of an input column.
pub fn row_id(batch: &Batch, column: usize, at: usize) -> Option<RowId> {
    match batch.columns.get(column).map(|c| c.get(at)) {
        Some(Datum::Int(id)) => Some(RowId(id as u64)),
        _ => None,
    }
}

/// A page is missing for the row at `at`: wait for those of the batch's next rows as well.
pub fn with_ahead(
    env: &Env,
    table: &Arc<TableDef>,
    batch: &Batch,
    column: usize,
    at: usize,
    stop: Stop,
) -> Stop {
    let Stop::Need(Need::Page(no)) = stop else {
        return stop;
    };
    let next = (at..batch.len).filter_map(|at| row_id(batch, column, at));
    let next: Vec<RowId> = next.collect();
    match env
        .access()
        .and_then(|access| access.ahead(table, no, &next))
    {
        Ok(need) => need.into(),
        Err(stop) => stop,
    }
}

/// The table's columns where an input row has them; dropped ones are null.
pub fn table_rows(table: &TableDef, input: &Batch, map: &[(usize, usize)]) -> Batch {
    let mut columns: Vec<Vector> = table
        .columns
        .iter()
        .map(|_| Vector::repeat(&Datum::Null, input.len))
        .collect();
    for &(from, to) in map {
        if let (Some(column), Some(source)) = (columns.get_mut(to), input.columns.get(from)) {
            column.clone_from(source);
        }
    }
    Batch {
        columns,
        len: input.len,
    }
}

/// One input row with the table's columns replaced by a newer version's.
pub fn replaced(input: &Batch, at: usize, map: &[(usize, usize)], row: &[Datum]) -> Batch {
    let mut one = input.gather(&[at as u32]);
    for &(to, from) in map {
        if let (Some(column), Some(value)) = (one.columns.get_mut(to), row.get(from)) {
            *column = Vector::repeat(value, 1);
        }
    }
    one
}

/// `len` rows of nulls in the table's shape.
pub fn null_rows(table: &TableDef, len: usize) -> Batch {
    let columns = table
        .columns
        .iter()
        .map(|_| Vector::repeat(&Datum::Null, len))
        .collect();
    Batch { columns, len }
}

/// A row that has changed: the input row with the new version in it.
pub struct Second {
    pub input: Batch,
    pub row: Vec<Datum>,
    pub accept: Lsn,
    /// The condition was tested, and holds.
    pub holds: bool,
    pub new: Option<Vec<Datum>>,
}

/// Lock a changed row for which the condition does not hold; the newer version if there is one by now.
pub fn lock_second(
    env: &mut Env,
    table: &Arc<TableDef>,
    id: RowId,
    mode: LockMode,
    second: &Second,
) -> Res<Option<(Vec<Datum>, Lsn)>> {
    let access = env.access()?;
    let view = &env.setup.view;
    Ok(
        match access.lock(view, table, id, mode, Wait::Block, second.accept)? {
            Wrote::Changed { row, csn } => Some((row, csn)),
            Wrote::Done | Wrote::Gone | Wrote::Own => None,
        },
    )
}
