//! `Folded`: a statement of many literals made short (`base::folding`); `Unfolded`: what was left out, as parameters.

use crate::base::cells::Cells;
use crate::base::error::fail;
use crate::base::folding::{self, List, Rows, Run};
use crate::base::{pace, Oid, Res, Stop};
use crate::types::array::Array;
use crate::types::registry;
use crate::types::settings::Settings;
use crate::types::Datum;
use parking_lot::Mutex;
use pyo3::prelude::*;
use std::sync::Arc;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Folded(pub folding::Folded);

/// (the first of its two parameters, number of rows, for each column: key and parameter of each shape)
type Values = (usize, usize, Vec<Vec<(String, Option<usize>)>>);

#[pymethods]
impl Folded {
    #[getter]
    fn text(&self) -> &str {
        &self.0.text
    }

    #[getter]
    fn types(&self) -> Vec<u32> {
        self.0.types.clone()
    }

    #[getter]
    fn first(&self) -> usize {
        self.0.first
    }

    #[getter]
    fn values(&self) -> Vec<Values> {
        let rows = self.0.runs.iter().filter_map(|run| match run {
            Run::Rows(rows) => Some(rows),
            Run::List(_) => None,
        });
        let shape = |shape: &folding::Shape| {
            let key = String::from_utf8_lossy(&shape.key).into_owned();
            (key, shape.param)
        };
        let column = |shapes: &Vec<folding::Shape>| shapes.iter().map(shape).collect();
        rows.map(|rows| {
            let columns = rows.columns.iter().map(column).collect();
            (rows.param, rows.rows, columns)
        })
        .collect()
    }

    #[getter]
    fn arrays(&self) -> Vec<usize> {
        let arrays = self.0.runs.iter().filter_map(|run| match run {
            Run::List(list) if list.array => Some(list.param),
            _ => None,
        });
        arrays.collect()
    }

    fn position(&self, text: &str, position: usize) -> usize {
        let short = &self.0.text;
        let byte = short
            .char_indices()
            .nth(position.saturating_sub(1))
            .map_or(short.len(), |(byte, _)| byte);
        characters(text, self.0.origin(byte)) + 1
    }
}

fn characters(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count())
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Unfolded(Mutex<Vec<Datum>>);

impl Unfolded {
    pub fn new(values: Vec<Datum>) -> Unfolded {
        Unfolded(Mutex::new(values))
    }

    /// They are given away once: they may be long.
    pub fn take(&self) -> Vec<Datum> {
        std::mem::take(&mut self.0.lock())
    }
}

fn is_used(rows: &Rows, used: &[usize]) -> bool {
    let mut shapes = rows.columns.iter().flatten();
    shapes.any(|shape| shape.param.is_some_and(|param| used.contains(&param)))
}

/// Values of the parameters that folding has put in, where they are used.
pub fn bind(
    text: &str,
    folded: &folding::Folded,
    types: &[Oid],
    used: &[usize],
    settings: &Settings,
) -> Res<Vec<Datum>> {
    let mut values = vec![Datum::Null; folded.types.len()];
    for run in &folded.runs {
        match run {
            Run::Rows(rows) if is_used(rows, used) => {
                let run = text.get(rows.from..rows.to).unwrap_or("");
                pace::heavy(run.len())?;
                values[rows.param] = Datum::Text(run.into());
                values[rows.param + 1] = Datum::Int(characters(text, rows.from) as i64);
            }
            Run::List(list) if used.contains(&list.param) => {
                let Some(&typ) = types.get(folded.first + list.param) else {
                    return fail("XX000", "a folded list has no parameter");
                };
                values[list.param] = array(text, list, typ, settings)?;
            }
            _ => {}
        }
    }
    Ok(values)
}

/// Elements between two looks whether somebody has cancelled.
const CHECK: usize = 1 << 12;

fn array(text: &str, list: &List, typ: Oid, settings: &Settings) -> Res<Datum> {
    let elem = registry::get(typ)?.elem;
    let info = registry::get(elem)?;
    let mut cells = Cells::new(text, list.from);
    let mut values = Vec::new();
    while cells.at() < list.to {
        let Some(literal) = cells.cell() else {
            return fail("XX000", "a folded list is not what it was");
        };
        values.push(match literal {
            None => Datum::Null,
            Some(literal) => match info.input(&literal.value, -1, settings) {
                Err(Stop::Error(mut error)) => {
                    error.position = u32::try_from(characters(text, literal.at) + 1).ok();
                    return Err(Stop::Error(error));
                }
                result => result?,
            },
        });
        if values.len() & (CHECK - 1) == 0 {
            pace::check()?;
        }
        if cells.take(b',') != Some(true) {
            break;
        }
    }
    Ok(Datum::Array(Arc::new(Array::from_values(elem, values))))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Folded>()?;
    module.add_class::<Unfolded>()
}
