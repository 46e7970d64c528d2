//! Texts to arrays and back: string_to_array, array_to_string.

use super::registry::{Function, Volatility};
use super::Ctx;
use crate::base::error::{enlarge, Res};
use crate::base::pace;
use crate::types::array::Array;
use crate::types::{oids, registry, Datum};
use std::sync::Arc;

/// The parts of a text, one by one.
pub struct Parts {
    /// (text, delimiter, null text): a null delimiter splits into characters, an empty one not at all.
    args: Vec<Datum>,
    /// Where the next part begins; none: there was the last.
    at: Option<usize>,
}

impl Parts {
    pub fn new(args: &[Datum]) -> Res<Parts> {
        let text = args[0].str()?;
        if !args[1].is_null() {
            pace::heavy(text.len())?;
        }
        Ok(Parts {
            args: args.to_vec(),
            at: (!text.is_empty()).then_some(0),
        })
    }

    pub fn next(&mut self) -> Res<Option<Datum>> {
        let Some(at) = self.at else {
            return Ok(None);
        };
        let rest = self.args[0].str()?.get(at..).unwrap_or("");
        let part = if self.args[1].is_null() {
            pace::step(16)?;
            let len = rest.chars().next().map_or(0, char::len_utf8);
            self.at = (len < rest.len()).then_some(at + len);
            &rest[..len]
        } else {
            pace::check()?;
            let delimiter = self.args[1].str()?;
            let found = match delimiter.is_empty() {
                true => None,
                false => rest.find(delimiter),
            };
            self.at = found.map(|len| at + len + delimiter.len());
            &rest[..found.unwrap_or(rest.len())]
        };
        let null_text = match self.args.get(2) {
            Some(value) if !value.is_null() => Some(value.str()?),
            _ => None,
        };
        Ok(Some(match Some(part) == null_text {
            true => Datum::Null,
            false => Datum::text(part),
        }))
    }
}

fn split(args: &[Datum]) -> Res<Vec<Datum>> {
    let mut parts = Parts::new(args)?;
    let mut out = Vec::new();
    while let Some(part) = parts.next()? {
        out.push(part);
    }
    Ok(out)
}

fn text_to_array(args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    Ok(Datum::Array(Arc::new(Array::from_values(
        oids::TEXT,
        split(args)?,
    ))))
}

fn array_to_text(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() || args[1].is_null() {
        return Ok(Datum::Null);
    }
    let (array, delimiter) = (args[0].array()?, args[1].str()?);
    let null_text = match args.get(2) {
        Some(value) if !value.is_null() => Some(value.str()?),
        _ => None,
    };
    let elem = registry::get(array.elem)?;
    let mut out = String::new();
    let mut first = true;
    for value in &array.values {
        pace::step(32)?;
        let text = match (value.is_null(), null_text) {
            (false, _) => elem.text(value, ctx.settings)?,
            (true, Some(text)) => text.to_owned(),
            (true, None) => continue,
        };
        if !first {
            out.push_str(delimiter);
        }
        first = false;
        enlarge(out.len(), text.len())?;
        out.push_str(&text);
    }
    Ok(Datum::text(out))
}

const fn entry(name: &'static str, volatility: Volatility, eval: super::Eval) -> Function {
    Function {
        name,
        strict: false,
        volatility,
        eval,
    }
}

pub const FAMILIES: &[&[Function]] = &[&[
    entry("text_to_array", Volatility::Immutable, |_, args| {
        text_to_array(args)
    }),
    entry("text_to_array_null", Volatility::Immutable, |_, args| {
        text_to_array(args)
    }),
    entry("array_to_text", Volatility::Stable, array_to_text),
    entry("array_to_text_null", Volatility::Stable, array_to_text),
]];
