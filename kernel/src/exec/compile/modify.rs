//! Compiling what changes rows: INSERT, UPDATE, DELETE, their constraints and actions, and row locks.

use super::PlanCompiler;
use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::exec::access::Wait;
use crate::exec::nodes::*;
use crate::exec::plan::{self, Expr};
use crate::types::oids;
use std::sync::Arc;

impl PlanCompiler {
    pub(super) fn row_lock(&mut self, lock: &plan::RowLock) -> Res<RowLockNode> {
        let wait = match lock.wait.as_str() {
            "nowait" => Wait::NoWait,
            "skip" => Wait::Skip,
            _ => Wait::Block,
        };
        Ok(RowLockNode {
            table: self.table(&lock.table)?,
            row: lock.row,
            mode: lock.mode,
            wait,
            columns: lock.columns.clone(),
            recheck: self.optional(&lock.recheck)?,
        })
    }

    pub(super) fn rules(&mut self, checks: &[plan::Check], after: &[plan::After]) -> Res<Rules> {
        let tests = self.program(checks.iter().map(|c| &c.test))?;
        let checks = checks
            .iter()
            .map(|c| CheckNode {
                constraint: c.constraint.clone(),
                code: c.code.clone(),
                message: c.message.clone(),
            })
            .collect();
        let after = after
            .iter()
            .map(|a| Ok(Arc::new(self.after(a)?)))
            .collect::<Res<Vec<_>>>()?;
        Ok(Rules {
            tests,
            checks,
            after,
        })
    }

    pub(super) fn after(&mut self, after: &plan::After) -> Res<AfterNode> {
        for subplan in [Some(after.subplan), after.still].into_iter().flatten() {
            if subplan >= self.sources.len() {
                return fail("XX000", format!("plan has no subplan {subplan}"));
            }
        }
        Ok(AfterNode {
            subplan: after.subplan,
            params: self.program(after.params.iter().map(|(_, e)| e))?,
            param_numbers: after.params.iter().map(|(n, _)| *n).collect(),
            when: self.optional(&after.when)?,
            expect: match after.expect.as_str() {
                "rows" => Expect::Rows,
                "no_rows" => Expect::NoRows,
                _ => Expect::Anything,
            },
            code: after.code.clone(),
            message: after.message.clone(),
            detail: after.detail.clone(),
            constraint: after.constraint.clone(),
            table: after.table.clone(),
            schema: after.schema.clone(),
            oid: after.oid,
            deferrable: after.deferrable,
            deferred: after.deferred,
            still: after.still,
            types: after.params.iter().map(|(_, e)| expr_type(e)).collect(),
        })
    }

    pub(super) fn insert(&mut self, insert: &plan::Insert, top: bool) -> Res<InsertNode> {
        let input = self.node(&insert.input, false)?;
        self.volatile = true;
        let conflict = match &insert.conflict {
            None => None,
            Some(c) => Some(ConflictNode {
                arbiters: c.arbiters.clone(),
                set: match &c.set {
                    None => None,
                    Some(set) => Some((
                        set.iter().map(|(i, _)| *i).collect(),
                        self.program(set.iter().map(|(_, e)| e))?,
                    )),
                },
                filter: self.optional(&c.filter)?,
            }),
        };
        Ok(InsertNode {
            table: self.table(&insert.table)?,
            input,
            rules: self.rules(&insert.checks, &insert.after)?,
            conflict,
            returning: insert
                .returning
                .as_ref()
                .map(|r| self.program(r))
                .transpose()?,
            top,
        })
    }

    pub(super) fn update(&mut self, update: &plan::Update, top: bool) -> Res<UpdateNode> {
        let input = self.node(&update.input, false)?;
        self.volatile = true;
        Ok(UpdateNode {
            table: self.table(&update.table)?,
            input,
            row: update.row,
            columns: update.set.iter().map(|(i, _)| *i).collect(),
            set: self.program(update.set.iter().map(|(_, e)| e))?,
            old: update.old.clone(),
            recheck: self.optional(&update.recheck)?,
            rules: self.rules(&update.checks, &update.after)?,
            returning: update
                .returning
                .as_ref()
                .map(|r| self.program(r))
                .transpose()?,
            top,
        })
    }

    pub(super) fn delete(&mut self, delete: &plan::Delete, top: bool) -> Res<DeleteNode> {
        let input = self.node(&delete.input, false)?;
        self.volatile = true;
        Ok(DeleteNode {
            table: self.table(&delete.table)?,
            input,
            row: delete.row,
            old: delete.old.clone(),
            recheck: self.optional(&delete.recheck)?,
            rules: self.rules(&[], &delete.after)?,
            returning: delete
                .returning
                .as_ref()
                .map(|r| self.program(r))
                .transpose()?,
            top,
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
