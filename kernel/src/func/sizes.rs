//! Sizes in bytes for people, and counts of nulls among arguments.

use super::registry::{lax, pure, Function};
use crate::base::error::Res;
use crate::base::SqlError;
use crate::types::text::is_space;
use crate::types::{Datum, Numeric};

struct Unit {
    name: &'static str,
    /// Larger sizes are told in the next unit.
    limit: i64,
    /// Kept in halves until it is shown.
    halves: bool,
    bits: u32,
}

const fn unit(name: &'static str, bits: u32) -> Unit {
    Unit {
        name,
        limit: 20 * 1024 - 1,
        halves: true,
        bits,
    }
}

const UNITS: [Unit; 6] = [
    Unit {
        name: "bytes",
        limit: 10 * 1024,
        halves: false,
        bits: 0,
    },
    unit("kB", 10),
    unit("MB", 20),
    unit("GB", 30),
    unit("TB", 40),
    unit("PB", 50),
];

/// What to divide by on the way from one unit to the next.
fn divisor(from: &Unit, to: &Unit) -> i64 {
    1 << (to.bits - from.bits + u32::from(from.halves) - u32::from(to.halves))
}

fn pretty(args: &[Datum]) -> Res<Datum> {
    let mut size = args[0].int()?;
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        match units.peek() {
            Some(next) if size.unsigned_abs() >= unit.limit as u64 => size /= divisor(unit, next),
            _ => {
                if unit.halves {
                    size = (size + if size < 0 { -1 } else { 1 }) / 2;
                }
                return Ok(Datum::text(format!("{size} {}", unit.name)));
            }
        }
    }
    Ok(Datum::Null)
}

fn pretty_numeric(args: &[Datum]) -> Res<Datum> {
    let mut size = args[0].numeric()?.clone();
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        match units.peek() {
            Some(next) if size.abs() >= Numeric::from(unit.limit) => {
                size = size.div_trunc(&Numeric::from(divisor(unit, next)))?;
            }
            _ => {
                if unit.halves {
                    let half = Numeric::from(if size.sign() < 0 { -1 } else { 1 });
                    size = size.add(&half)?.div_trunc(&Numeric::from(2))?;
                }
                return Ok(Datum::text(format!("{size} {}", unit.name)));
            }
        }
    }
    Ok(Datum::Null)
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The length of the number that a size begins with; `None` when it has no digits.
fn number_len(text: &str) -> Option<usize> {
    let mut at = usize::from(text.starts_with(['+', '-']));
    let whole = digits(&text[at..]);
    at += whole;
    let mut fraction = 0;
    if text[at..].starts_with('.') {
        fraction = digits(&text[at + 1..]);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if text[at..].starts_with(['e', 'E']) {
        let sign = usize::from(text[at + 1..].starts_with(['+', '-']));
        let power = digits(&text[at + 1 + sign..]);
        if power > 0 {
            at += 1 + sign + power;
        }
    }
    Some(at)
}

fn bytes(args: &[Datum]) -> Res<Datum> {
    let text = args[0].str()?;
    let invalid = || SqlError::new("22023", format!("invalid size: \"{text}\""));
    let body = text.trim_matches(is_space);
    let Some(len) = number_len(body) else {
        return Err(invalid().into());
    };
    let (number, name) = body.split_at(len);
    let (number, name) = (Numeric::parse(number)?, name.trim_start_matches(is_space));
    let known = |unit: &&Unit| unit.name.eq_ignore_ascii_case(name);
    let factor = match UNITS.iter().find(known) {
        Some(unit) => 1i64 << unit.bits,
        None if name.is_empty() => 1,
        None => {
            return Err(invalid()
                .detail(format!("Invalid size unit: \"{name}\"."))
                .hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
                .into())
        }
    };
    Ok(Datum::Int(number.mul(&Numeric::from(factor))?.to_i64()?))
}

fn count(args: &[Datum], nulls: bool) -> Res<Datum> {
    let found = args.iter().filter(|arg| arg.is_null() == nulls).count();
    Ok(Datum::Int(found as i64))
}

/// The greater (or smaller) of two 64-bit counters.
fn outer(args: &[Datum], larger: bool) -> Res<Datum> {
    let (a, b) = (args[0].int()? as u64, args[1].int()? as u64);
    Ok(args[usize::from((a > b) != larger)].clone())
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("pg_size_pretty", |_, args| pretty(args)),
    pure("pg_size_pretty_numeric", |_, args| pretty_numeric(args)),
    pure("pg_size_bytes", |_, args| bytes(args)),
    lax("pg_num_nulls", |_, args| count(args, true)),
    lax("pg_num_nonnulls", |_, args| count(args, false)),
    pure("pg_lsn_larger", |_, args| outer(args, true)),
    pure("pg_lsn_smaller", |_, args| outer(args, false)),
    pure("xid8_larger", |_, args| outer(args, true)),
    pure("xid8_smaller", |_, args| outer(args, false)),
]];
