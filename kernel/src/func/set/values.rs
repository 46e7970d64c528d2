//! unnest, and texts taken apart.

use super::{column, made, set, set_lax, SetFunction, SetRows};
use crate::base::{pace, Res};
use crate::func::ctx::Ctx;
use crate::func::regexes::{self, Flags, Parts};
use crate::func::rematch::{Matches, Want};
use crate::func::splitting;
use crate::types::array::Array;
use crate::types::Datum;
use std::sync::Arc;

struct Unnest {
    array: Arc<Array>,
    at: usize,
}

impl SetRows for Unnest {
    fn next(&mut self, _ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        let Some(value) = self.array.values.get(self.at) else {
            return Ok(false);
        };
        self.at += 1;
        out.push(value.clone());
        Ok(true)
    }
}

/// The matches of a text, one by one: they may be many.
struct Found {
    matches: Matches,
    text: Datum,
    global: bool,
    ended: bool,
}

impl SetRows for Found {
    fn next(&mut self, _ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        let text = self.text.str()?;
        match self.ended {
            true => Ok(false),
            false => match self.matches.next(text)? {
                Some((_, _, found)) => {
                    self.ended = !self.global;
                    out.push(regexes::groups(text, &found));
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }
}

fn flags(args: &[Datum], single: Option<&str>) -> Res<Flags> {
    match (args.get(2), single) {
        (None, _) => Ok(Flags::default()),
        (Some(text), Some(function)) => Flags::parse_single(text.str()?, function),
        (Some(text), None) => Flags::parse(text.str()?),
    }
}

fn matches(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let flags = flags(args, None)?;
    let text = args[0].str()?;
    let regex = regexes::regex(ctx, args[1].str()?, flags)?;
    pace::heavy(text.len())?;
    Ok(Box::new(Found {
        matches: Matches::new(regex, 0, Want::Groups),
        text: args[0].clone(),
        global: flags.global,
        ended: false,
    }))
}

fn split(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let flags = flags(args, Some("regexp_split_to_table()"))?;
    let regex = regexes::regex(ctx, args[1].str()?, flags)?;
    let (text, mut parts) = (args[0].clone(), Parts::new(regex));
    made(move |out| {
        let part = parts.next(text.str()?)?;
        out.extend(part.map(Datum::text));
        Ok(part.is_some())
    })
}

fn text_to_table(args: &[Datum]) -> Res<Box<dyn SetRows>> {
    if args[0].is_null() {
        return column([]);
    }
    let mut parts = splitting::Parts::new(args)?;
    made(move |out| {
        let part = parts.next()?;
        let more = part.is_some();
        out.extend(part);
        Ok(more)
    })
}

pub(super) const FUNCTIONS: &[SetFunction] = &[
    set("array_unnest", |_, args| {
        Ok(Box::new(Unnest {
            array: args[0].array()?.clone(),
            at: 0,
        }))
    }),
    set("regexp_matches", matches),
    set("regexp_matches_no_flags", matches),
    set("regexp_split_to_table", split),
    set("regexp_split_to_table_no_flags", split),
    set_lax("text_to_table", |_, args| text_to_table(args)),
    set_lax("text_to_table_null", |_, args| text_to_table(args)),
    // information_schema._pg_expandarray: each element with its number
    set("_pg_expandarray", |_, args| {
        let (array, mut at) = (args[0].array()?.clone(), 0);
        made(move |out| {
            let Some(value) = array.values.get(at) else {
                return Ok(false);
            };
            at += 1;
            out.extend([value.clone(), Datum::Int(at as i64)]);
            Ok(true)
        })
    }),
];
