//! Rows that Python makes.

use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::nodes::HostScanNode;
use crate::expr::{Env, Operator, State};
use crate::types::{oids, Datum};
use std::sync::Arc;

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
