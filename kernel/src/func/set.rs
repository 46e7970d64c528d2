//! Set-returning functions by prosrc: an iterator of rows each.

use super::ctx::Ctx;
use crate::base::error::Res;
use crate::types::Datum;

pub trait SetRows: Send {
    /// Append the next row's values (as many as the function has result columns) to `out`; `false` at the end.
    fn next(&mut self, ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool>;
}

pub type Start = fn(&mut Ctx<'_>, &[Datum]) -> Res<Box<dyn SetRows>>;

#[derive(Clone, Copy)]
pub struct SetFunction {
    /// pg_proc.prosrc.
    pub name: &'static str,
    /// A null argument means no rows.
    pub strict: bool,
    pub start: Start,
}

pub fn lookup(_prosrc: &str) -> Option<&'static SetFunction> {
    None
}
