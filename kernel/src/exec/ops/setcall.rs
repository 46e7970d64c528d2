//! Calls of set-returning functions.

use crate::base::Res;
use crate::exec::nodes::SetCallNode;
use crate::expr::Env;
use crate::func::set::SetRows;
use crate::types::Datum;

/// A set-returning call under way.
pub struct Running {
    rows: Option<Box<dyn SetRows>>,
}

impl Running {
    pub fn start(call: &SetCallNode, args: &[Datum], env: &mut Env) -> Res<Running> {
        if call.function.strict && args.iter().any(Datum::is_null) {
            return Ok(Running { rows: None });
        }
        let rows = (call.function.start)(&mut env.ctx(&call.info), args)?;
        Ok(Running { rows: Some(rows) })
    }

    /// The next row's values, or nothing at the end.
    pub fn next(&mut self, call: &SetCallNode, env: &mut Env) -> Res<Option<Vec<Datum>>> {
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        let mut out = Vec::with_capacity(call.types.len());
        if rows.next(&mut env.ctx(&call.info), &mut out)? {
            return Ok(Some(widen(out, call.types.len())));
        }
        self.rows = None;
        Ok(None)
    }
}

/// A record stands for its fields when several columns are wanted.
fn widen(mut row: Vec<Datum>, width: usize) -> Vec<Datum> {
    if let ([Datum::Record(record)], true) = (&row[..], width > 1) {
        row = record.values.clone();
    }
    row.resize(width, Datum::Null);
    row
}
