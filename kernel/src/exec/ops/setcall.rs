//! Calls of set-returning functions.

use crate::base::error::unsupported;
use crate::base::Oid;
use crate::base::Res;
use crate::exec::compile::PlanCompiler;
use crate::exec::plan::Expr;
use crate::expr::Env;
use crate::expr::Program;
use crate::func::set::SetRows;
use crate::func::set::{self, SetFunction};
use crate::func::CallInfo;
use crate::types::oids;
use crate::types::Datum;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct SetCall {
    pub func: String,
    pub args: Vec<Expr>,
    pub arg_types: Vec<Oid>,
    /// One type a result column.
    pub types: Vec<Oid>,
}

impl SetCall {
    pub fn compile(&self, compiler: &mut PlanCompiler) -> Res<SetCallNode> {
        let Some(function) = find_set(&self.func) else {
            return unsupported(format_args!("set-returning function {}", self.func));
        };
        let typ = match self.types.as_slice() {
            [one] => *one,
            _ => oids::RECORD,
        };
        let info = CallInfo {
            columns: self.types.clone(),
            ..CallInfo::new(&self.arg_types, typ)
        };
        Ok(SetCallNode {
            function,
            info,
            args: compiler.program(&self.args)?,
            types: self.types.clone(),
        })
    }
}

pub struct SetCallNode {
    pub function: &'static SetFunction,
    pub info: CallInfo,
    pub args: Program,
    pub types: Vec<Oid>,
}

#[cfg(not(test))]
use self::set::lookup as find_set;

/// Tests of the executor bring one along.
#[cfg(test)]
fn find_set(func: &str) -> Option<&'static SetFunction> {
    crate::exec::tests::find_set(func).or_else(|| set::lookup(func))
}

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
