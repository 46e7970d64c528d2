//! Set-returning functions by prosrc: an iterator of rows each.

mod json;
mod series;
mod values;

pub use json::as_text;

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

const fn set(name: &'static str, start: Start) -> SetFunction {
    SetFunction {
        name,
        strict: true,
        start,
    }
}

const fn set_lax(name: &'static str, start: Start) -> SetFunction {
    SetFunction {
        name,
        strict: false,
        start,
    }
}

/// Rows that are all there at once.
struct Rows {
    rows: std::vec::IntoIter<Vec<Datum>>,
}

impl SetRows for Rows {
    fn next(&mut self, _ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        match self.rows.next() {
            Some(row) => {
                out.extend(row);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn rows(rows: Vec<Vec<Datum>>) -> Res<Box<dyn SetRows>> {
    Ok(Box::new(Rows {
        rows: rows.into_iter(),
    }))
}

fn column(values: impl IntoIterator<Item = Datum>) -> Res<Box<dyn SetRows>> {
    rows(values.into_iter().map(|value| vec![value]).collect())
}

const FAMILIES: &[&[SetFunction]] = &[series::FUNCTIONS, values::FUNCTIONS, json::FUNCTIONS];

pub fn lookup(prosrc: &str) -> Option<&'static SetFunction> {
    FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .find(|function| function.name == prosrc)
}
