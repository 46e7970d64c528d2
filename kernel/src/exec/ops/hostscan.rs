//! Rows that Python makes.

use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::nodes::*;
use crate::exec::plan::Expr;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::{oids, Datum};
use serde::Deserialize;
use std::sync::Arc;

/// Rows that Python makes when asked (pg_settings, pg_stat_activity …), by name.
#[derive(Debug, Deserialize)]
pub struct HostScan {
    pub name: String,
    pub types: Vec<Oid>,
    pub args: Vec<Expr>,
}

impl PlanNode for HostScan {
    fn width(&self) -> usize {
        self.types.len()
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        Ok(Arc::new(HostScanNode {
            name: self.name.clone(),
            types: self.types.clone(),
            args: compiler.program(&self.args)?,
        }))
    }
}

pub struct HostScanNode {
    name: String,
    types: Vec<Oid>,
    args: Program,
}

impl CompiledNode for HostScanNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(HostScanState::new(self))
    }
}

pub struct HostScanState {
    node: Arc<HostScanNode>,
    state: State,
    args: Option<Vec<Datum>>,
    rows: Option<std::vec::IntoIter<Vec<Datum>>>,
}

impl HostScanState {
    pub fn new(node: Arc<HostScanNode>) -> HostScanState {
        HostScanState {
            node,
            state: State::default(),
            args: None,
            rows: None,
        }
    }
}

impl Operator for HostScanState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.args.is_none() {
            self.args = Some(self.node.args.values(env, &mut self.state)?);
        }
        env.tick(BATCH_ROWS)?;
        if self.rows.is_none() {
            let args = self.args.as_deref().unwrap_or_default();
            let host = env.setup.host.clone();
            self.rows = Some(host.scan(&self.node.name, args)?.into_iter());
        }
        let mut out = Batch::of_types(&self.node.types, 64);
        for mut row in self.rows.as_mut().expect("made above").take(BATCH_ROWS) {
            if row.len() != self.node.types.len() {
                return fail(
                    "XX000",
                    format!("{} made a row of {} columns", self.node.name, row.len()),
                );
            }
            for (value, typ) in row.iter_mut().zip(&self.node.types) {
                as_vector(value, *typ);
            }
            out.push_values(row);
        }
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        (self.args, self.rows) = (None, None);
        Ok(())
    }
}

/// A host's lists count from 1; int2vector and oidvector count from 0.
fn as_vector(value: &mut Datum, typ: Oid) {
    if let (Datum::Array(array), oids::INT2VECTOR | oids::OIDVECTOR) = (value, typ) {
        for dim in &mut Arc::make_mut(array).dims {
            dim.1 = 0;
        }
    }
}
