//! Comparison operators and B-tree comparison functions of all types: those that follow from a type's own order, and in
//! `FAMILIES` those that don't, or that are called so often that they are written out.

use super::ctx::Ctx;
use super::registry::{pure, Function};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use crate::types::calendar::{self, USECS_PER_DAY};
use crate::types::registry::{self, TypeInfo};
use crate::types::{arraytype, float, record, text, Datum};
use std::cmp::Ordering;

/// `$compare` gives the order of two arguments; the six operators follow from it.
macro_rules! six {
    ($prefix:literal, $compare:expr) => {
        six!($prefix, "", $compare)
    };
    ($prefix:literal, $suffix:literal, $compare:expr) => {
        &[
            pure(concat!($prefix, "eq", $suffix), |ctx, args| {
                Ok(Datum::Bool($compare(ctx, args)?.is_eq()))
            }),
            pure(concat!($prefix, "ne", $suffix), |ctx, args| {
                Ok(Datum::Bool($compare(ctx, args)?.is_ne()))
            }),
            pure(concat!($prefix, "lt", $suffix), |ctx, args| {
                Ok(Datum::Bool($compare(ctx, args)?.is_lt()))
            }),
            pure(concat!($prefix, "le", $suffix), |ctx, args| {
                Ok(Datum::Bool($compare(ctx, args)?.is_le()))
            }),
            pure(concat!($prefix, "gt", $suffix), |ctx, args| {
                Ok(Datum::Bool($compare(ctx, args)?.is_gt()))
            }),
            pure(concat!($prefix, "ge", $suffix), |ctx, args| {
                Ok(Datum::Bool($compare(ctx, args)?.is_ge()))
            }),
        ]
    };
}

macro_rules! cmp {
    ($name:literal, $compare:expr) => {
        pure($name, |ctx, args| {
            Ok(Datum::Int($compare(ctx, args)? as i64))
        })
    };
}

macro_rules! larger {
    ($larger:literal, $smaller:literal, $compare:expr) => {
        &[
            pure($larger, |ctx, args| {
                Ok(args[usize::from($compare(ctx, args)?.is_le())].clone())
            }),
            pure($smaller, |ctx, args| {
                Ok(args[usize::from($compare(ctx, args)?.is_ge())].clone())
            }),
        ]
    };
}

fn ints(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(args[0].int()?.cmp(&args[1].int()?))
}

fn unsigned(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok((args[0].int()? as u64).cmp(&(args[1].int()? as u64)))
}

fn bools(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(args[0].bool()?.cmp(&args[1].bool()?))
}

fn floats(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(float::order(args[0].float()?, args[1].float()?))
}

fn texts(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(args[0].str()?.as_bytes().cmp(args[1].str()?.as_bytes()))
}

fn bpchars(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(text::trimmed(args[0].str()?)
        .as_bytes()
        .cmp(text::trimmed(args[1].str()?).as_bytes()))
}

fn numerics(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(args[0].numeric()?.cmp(args[1].numeric()?))
}

/// Both are of one type, and its order decides.
fn own(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    match ctx.call.arg_types.first() {
        Some(typ) => Ok(registry::get(*typ)?.compare(&args[0], &args[1])),
        None => fail("XX000", "a comparison without the types of its arguments"),
    }
}

/// What a type's order gives: the six operators, the B-tree comparison, larger and smaller of two.
const OWN: &[&[Function]] = &[
    six!("", own),
    &[cmp!("cmp", own)],
    larger!("larger", "smaller", own),
];

/// The comparison functions of a type by PostgreSQL's names for them, `uuid_eq` and so on. A function that a family has
/// comes before one of the same name from here: for types that are compared across types, or faster by hand.
pub fn of_type(info: &TypeInfo) -> Vec<Function> {
    let named = |function: &Function| {
        let name = info.comparison(function.name)?;
        Some(Function {
            name: Box::leak(name.into_boxed_str()),
            ..*function
        })
    };
    OWN.iter().copied().flatten().filter_map(named).collect()
}

fn check_orderable(typ: Oid) -> Res<()> {
    let info = registry::get(typ)?;
    if info.orderable() {
        return Ok(());
    }
    fail(
        "42883",
        format!(
            "could not identify a comparison function for type {}",
            info.display
        ),
    )
}

fn arrays(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    let (a, b) = (args[0].array()?, args[1].array()?);
    if a.elem != b.elem {
        return fail("42804", "cannot compare arrays of different element types");
    }
    check_orderable(a.elem)?;
    let elem = registry::get(a.elem)?;
    Ok(arraytype::compare(registry::get(elem.array)?, a, b))
}

fn vectors(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    let (a, b) = (args[0].array()?, args[1].array()?);
    let elem = registry::get(a.elem)?;
    let longer = a.values.len().cmp(&b.values.len());
    Ok(longer.then_with(|| arraytype::compare(registry::get(elem.array).unwrap_or(elem), a, b)))
}

fn records(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    let (a, b) = (args[0].record()?, args[1].record()?);
    if a.types.len() != b.types.len() {
        return fail(
            "42804",
            "cannot compare record types with different numbers of columns",
        );
    }
    for (at, (s, t)) in a.types.iter().zip(b.types.iter()).enumerate() {
        if s != t {
            let (s, t) = (registry::get(*s)?.display, registry::get(*t)?.display);
            return fail(
                "42804",
                format!(
                    "cannot compare dissimilar column types {s} and {t} at record column {}",
                    at + 1
                ),
            );
        }
        check_orderable(*s)?;
    }
    Ok(record::compare(a, b))
}

/// A date as µs, wide enough for every date; infinities stay outermost.
fn date_micros(days: i64) -> i128 {
    match days {
        calendar::DATE_LATE => i128::MAX,
        calendar::DATE_EARLY => i128::MIN,
        _ => i128::from(days) * i128::from(USECS_PER_DAY),
    }
}

fn stamp_micros(micros: i64) -> i128 {
    match micros {
        calendar::LATE => i128::MAX,
        calendar::EARLY => i128::MIN,
        _ => i128::from(micros),
    }
}

/// A local time as a moment, in the session's zone.
fn utc(ctx: &Ctx<'_>, local: i128) -> i128 {
    match i64::try_from(local) {
        Ok(local) if !calendar::is_infinite(local) => {
            i128::from(ctx.settings.time_zone.to_utc(local))
        }
        _ => local,
    }
}

fn date_timestamp(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(date_micros(args[0].int()?).cmp(&stamp_micros(args[1].int()?)))
}

fn timestamp_date(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(stamp_micros(args[0].int()?).cmp(&date_micros(args[1].int()?)))
}

fn date_timestamptz(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(utc(ctx, date_micros(args[0].int()?)).cmp(&stamp_micros(args[1].int()?)))
}

fn timestamptz_date(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(stamp_micros(args[0].int()?).cmp(&utc(ctx, date_micros(args[1].int()?))))
}

fn timestamp_timestamptz(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(utc(ctx, stamp_micros(args[0].int()?)).cmp(&stamp_micros(args[1].int()?)))
}

fn timestamptz_timestamp(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Ordering> {
    Ok(stamp_micros(args[0].int()?).cmp(&utc(ctx, stamp_micros(args[1].int()?))))
}

pub const FAMILIES: &[&[Function]] = &[
    six!("bool", bools),
    six!("char", ints),
    six!("int2", ints),
    six!("int4", ints),
    six!("int8", ints),
    six!("int24", ints),
    six!("int28", ints),
    six!("int42", ints),
    six!("int48", ints),
    six!("int82", ints),
    six!("int84", ints),
    six!("oid", ints),
    six!("tid", ints),
    six!("xid8", unsigned),
    six!("pg_lsn_", unsigned),
    six!("date_", ints),
    six!("time_", ints),
    six!("timestamp_", ints),
    six!("timestamptz_", ints),
    six!("date_", "_timestamp", date_timestamp),
    six!("date_", "_timestamptz", date_timestamptz),
    six!("timestamp_", "_date", timestamp_date),
    six!("timestamptz_", "_date", timestamptz_date),
    six!("timestamp_", "_timestamptz", timestamp_timestamptz),
    six!("timestamptz_", "_timestamp", timestamptz_timestamp),
    six!("float4", floats),
    six!("float8", floats),
    six!("float48", floats),
    six!("float84", floats),
    six!("numeric_", numerics),
    six!("text", texts),
    six!("text_", texts),
    six!("text_pattern_", texts),
    six!("name", texts),
    six!("name", "text", texts),
    six!("text", "name", texts),
    six!("bpchar", bpchars),
    six!("bpchar_pattern_", bpchars),
    six!("array_", arrays),
    six!("oidvector", vectors),
    six!("record_", records),
    six!("record_image_", records),
    &[
        pure("xideq", |ctx, args| {
            Ok(Datum::Bool(ints(ctx, args)?.is_eq()))
        }),
        pure("xidneq", |ctx, args| {
            Ok(Datum::Bool(ints(ctx, args)?.is_ne()))
        }),
        pure("cideq", |ctx, args| {
            Ok(Datum::Bool(ints(ctx, args)?.is_eq()))
        }),
        cmp!("btboolcmp", bools),
        cmp!("btcharcmp", ints),
        cmp!("btint2cmp", ints),
        cmp!("btint4cmp", ints),
        cmp!("btint8cmp", ints),
        cmp!("btint24cmp", ints),
        cmp!("btint28cmp", ints),
        cmp!("btint42cmp", ints),
        cmp!("btint48cmp", ints),
        cmp!("btint82cmp", ints),
        cmp!("btint84cmp", ints),
        cmp!("btoidcmp", ints),
        cmp!("bttidcmp", ints),
        cmp!("xid8cmp", unsigned),
        cmp!("pg_lsn_cmp", unsigned),
        cmp!("date_cmp", ints),
        cmp!("time_cmp", ints),
        cmp!("timestamp_cmp", ints),
        cmp!("timestamptz_cmp", ints),
        cmp!("date_cmp_timestamp", date_timestamp),
        cmp!("date_cmp_timestamptz", date_timestamptz),
        cmp!("timestamp_cmp_date", timestamp_date),
        cmp!("timestamptz_cmp_date", timestamptz_date),
        cmp!("timestamp_cmp_timestamptz", timestamp_timestamptz),
        cmp!("timestamptz_cmp_timestamp", timestamptz_timestamp),
        cmp!("btfloat4cmp", floats),
        cmp!("btfloat8cmp", floats),
        cmp!("btfloat48cmp", floats),
        cmp!("btfloat84cmp", floats),
        cmp!("numeric_cmp", numerics),
        cmp!("bttextcmp", texts),
        cmp!("bttext_pattern_cmp", texts),
        cmp!("btnamecmp", texts),
        cmp!("btnametextcmp", texts),
        cmp!("bttextnamecmp", texts),
        cmp!("bpcharcmp", bpchars),
        cmp!("btbpchar_pattern_cmp", bpchars),
        cmp!("btarraycmp", arrays),
        cmp!("btoidvectorcmp", vectors),
        cmp!("btrecordcmp", records),
        cmp!("btrecordimagecmp", records),
    ],
    larger!("int2larger", "int2smaller", ints),
    larger!("int4larger", "int4smaller", ints),
    larger!("int8larger", "int8smaller", ints),
    larger!("oidlarger", "oidsmaller", ints),
    larger!("float4larger", "float4smaller", floats),
    larger!("float8larger", "float8smaller", floats),
    larger!("numeric_larger", "numeric_smaller", numerics),
    larger!("text_larger", "text_smaller", texts),
    larger!("bpchar_larger", "bpchar_smaller", bpchars),
    larger!("date_larger", "date_smaller", ints),
    larger!("time_larger", "time_smaller", ints),
    larger!("timestamp_larger", "timestamp_smaller", ints),
    larger!("timestamptz_larger", "timestamptz_smaller", ints),
    larger!("array_larger", "array_smaller", arrays),
    &[
        pure("booland_statefunc", |_, args| {
            Ok(Datum::Bool(args[0].bool()? && args[1].bool()?))
        }),
        pure("boolor_statefunc", |_, args| {
            Ok(Datum::Bool(args[0].bool()? || args[1].bool()?))
        }),
    ],
];
