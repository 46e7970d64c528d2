//! Texts to arrays and back: string_to_array, array_to_string.

use super::registry::{Function, Volatility};
use super::Ctx;
use crate::base::error::{enlarge, Res};
use crate::base::pace;
use crate::types::array::Array;
use crate::types::{oids, registry, Datum};
use std::sync::Arc;

/// (text, delimiter, null text): a null delimiter splits into characters, an empty one not at all.
pub fn split(args: &[Datum]) -> Res<Vec<Datum>> {
    let text = args[0].str()?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let null_text = match args.get(2) {
        Some(value) if !value.is_null() => Some(value.str()?),
        _ => None,
    };
    let one = |part: &str| {
        if Some(part) == null_text {
            Datum::Null
        } else {
            Datum::text(part)
        }
    };
    if args[1].is_null() {
        let char = |c: char| pace::step(16).map(|()| one(c.encode_utf8(&mut [0; 4])));
        return text.chars().map(char).collect();
    }
    let delimiter = args[1].str()?;
    if delimiter.is_empty() {
        return Ok(vec![one(text)]);
    }
    pace::heavy(text.len())?;
    let part = |part| pace::check().map(|()| one(part));
    text.split(delimiter).map(part).collect()
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
