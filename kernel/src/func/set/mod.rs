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

/// Rows that are made one by one: of a long value there may be many.
struct Made<F>(F);

impl<F: FnMut(&mut Vec<Datum>) -> Res<bool> + Send> SetRows for Made<F> {
    fn next(&mut self, _ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        (self.0)(out)
    }
}

fn made(next: impl FnMut(&mut Vec<Datum>) -> Res<bool> + Send + 'static) -> Res<Box<dyn SetRows>> {
    Ok(Box::new(Made(next)))
}

fn column<I>(values: impl IntoIterator<Item = Datum, IntoIter = I>) -> Res<Box<dyn SetRows>>
where
    I: Iterator<Item = Datum> + Send + 'static,
{
    let mut values = values.into_iter();
    made(move |out| {
        let value = values.next();
        let more = value.is_some();
        out.extend(value);
        Ok(more)
    })
}

const FAMILIES: &[&[SetFunction]] = &[series::FUNCTIONS, values::FUNCTIONS, json::FUNCTIONS];

pub fn lookup(prosrc: &str) -> Option<&'static SetFunction> {
    FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .find(|function| function.name == prosrc)
}
