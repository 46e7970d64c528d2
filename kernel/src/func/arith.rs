//! Integer arithmetic: results outside the type are 22003, division by zero is 22012.

use super::registry::{pure, Function};
use crate::base::error::{fail, Res};
use crate::types::{Datum, Numeric};

pub fn out_of_range<T>(name: &str) -> Res<T> {
    fail("22003", format!("{name} out of range"))
}

pub fn by_zero<T>() -> Res<T> {
    fail("22012", "division by zero")
}

#[inline]
pub fn int2(value: i64) -> Res<Datum> {
    match i16::try_from(value) {
        Ok(_) => Ok(Datum::Int(value)),
        Err(_) => out_of_range("smallint"),
    }
}

#[inline]
pub fn int4(value: i64) -> Res<Datum> {
    match i32::try_from(value) {
        Ok(_) => Ok(Datum::Int(value)),
        Err(_) => out_of_range("integer"),
    }
}

#[inline]
pub fn int8(value: Option<i64>) -> Res<Datum> {
    match value {
        Some(value) => Ok(Datum::Int(value)),
        None => out_of_range("bigint"),
    }
}

/// + − × ÷ for a narrow result: no intermediate overflows 64 bits.
macro_rules! narrow {
    ($pl:literal, $mi:literal, $mul:literal, $div:literal, $check:expr) => {
        &[
            pure($pl, |_, args| $check(args[0].int()? + args[1].int()?)),
            pure($mi, |_, args| $check(args[0].int()? - args[1].int()?)),
            pure($mul, |_, args| $check(args[0].int()? * args[1].int()?)),
            pure($div, |_, args| match args[1].int()? {
                0 => by_zero(),
                divisor => $check(args[0].int()? / divisor),
            }),
        ]
    };
}

macro_rules! wide {
    ($pl:literal, $mi:literal, $mul:literal, $div:literal) => {
        &[
            pure($pl, |_, args| {
                int8(args[0].int()?.checked_add(args[1].int()?))
            }),
            pure($mi, |_, args| {
                int8(args[0].int()?.checked_sub(args[1].int()?))
            }),
            pure($mul, |_, args| {
                int8(args[0].int()?.checked_mul(args[1].int()?))
            }),
            pure($div, |_, args| match args[1].int()? {
                0 => by_zero(),
                divisor => int8(args[0].int()?.checked_div(divisor)),
            }),
        ]
    };
}

/// `$int`: the type in which shifts are made (C's, for int2 as well), narrowed to `$narrow` after.
macro_rules! bits {
    ($int:ty, $narrow:ty, $and:literal, $or:literal, $xor:literal, $not:literal, $shl:literal, $shr:literal) => {
        &[
            pure($and, |_, args| {
                Ok(Datum::Int(args[0].int()? & args[1].int()?))
            }),
            pure($or, |_, args| {
                Ok(Datum::Int(args[0].int()? | args[1].int()?))
            }),
            pure($xor, |_, args| {
                Ok(Datum::Int(args[0].int()? ^ args[1].int()?))
            }),
            pure($not, |_, args| Ok(Datum::Int(!args[0].int()?))),
            pure($shl, |_, args| {
                Ok(Datum::Int(
                    ((args[0].int()? as $int).wrapping_shl(args[1].int()? as u32)) as $narrow
                        as i64,
                ))
            }),
            pure($shr, |_, args| {
                Ok(Datum::Int(
                    ((args[0].int()? as $int).wrapping_shr(args[1].int()? as u32)) as $narrow
                        as i64,
                ))
            }),
        ]
    };
}

macro_rules! unary {
    ($um:literal, $up:literal, $abs:literal, $modulo:literal, $check:expr) => {
        &[
            pure($um, |_, args| $check(args[0].int()?.checked_neg())),
            pure($up, |_, args| Ok(args[0].clone())),
            pure($abs, |_, args| $check(args[0].int()?.checked_abs())),
            pure($modulo, |_, args| match args[1].int()? {
                0 => by_zero(),
                divisor => Ok(Datum::Int(args[0].int()?.wrapping_rem(divisor))),
            }),
        ]
    };
}

fn gcd(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn lcm(a: i64, b: i64) -> Option<i64> {
    if a == 0 || b == 0 {
        return Some(0);
    }
    let part = a.unsigned_abs() / gcd(a, b);
    part.checked_mul(b.unsigned_abs())
        .and_then(|value| i64::try_from(value).ok())
}

fn narrow4(value: Option<i64>) -> Res<Datum> {
    match value {
        Some(value) => int4(value),
        None => out_of_range("integer"),
    }
}

fn narrow2(value: Option<i64>) -> Res<Datum> {
    match value {
        Some(value) => int2(value),
        None => out_of_range("smallint"),
    }
}

/// Buckets of equal width; the outer ones are 0 and count + 1.
fn width_bucket(operand: f64, low: f64, high: f64, count: i64) -> Res<Datum> {
    if count <= 0 {
        return fail("2201G", "count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return fail(
            "2201G",
            "operand, lower bound, and upper bound cannot be NaN",
        );
    }
    if low.is_infinite() || high.is_infinite() {
        return fail("2201G", "lower and upper bounds must be finite");
    }
    let place = |operand: f64, low: f64, high: f64| -> i64 {
        if operand < low {
            0
        } else if operand >= high {
            count + 1
        } else {
            let span = high - low;
            let part = if span.is_finite() {
                (operand - low) / span
            } else {
                (operand / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
            };
            ((count as f64 * part) as i64).min(count - 1) + 1
        }
    };
    if low < high {
        int4(place(operand, low, high))
    } else if low > high {
        int4(place(-operand, -low, -high))
    } else {
        fail("2201G", "lower bound cannot equal upper bound")
    }
}

fn width_bucket_numeric(args: &[Datum]) -> Res<Datum> {
    let (operand, low, high) = (args[0].numeric()?, args[1].numeric()?, args[2].numeric()?);
    let count = args[3].int()?;
    if count <= 0 {
        return fail("2201G", "count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return fail(
            "2201G",
            "operand, lower bound, and upper bound cannot be NaN",
        );
    }
    if !low.is_finite() || !high.is_finite() {
        return fail("2201G", "lower and upper bounds must be finite");
    }
    if low == high {
        return fail("2201G", "lower bound cannot equal upper bound");
    }
    let rising = low < high;
    if (rising && operand < low) || (!rising && operand > low) {
        return int4(0);
    }
    if (rising && operand >= high) || (!rising && operand <= high) {
        return int4(count + 1);
    }
    let part = operand
        .sub(low)?
        .mul(&Numeric::from(count))?
        .div_trunc(&high.sub(low)?)?;
    int4(part.to_i64()? + 1)
}

pub const FAMILIES: &[&[Function]] = &[
    narrow!("int2pl", "int2mi", "int2mul", "int2div", int2),
    narrow!("int4pl", "int4mi", "int4mul", "int4div", int4),
    narrow!("int24pl", "int24mi", "int24mul", "int24div", int4),
    narrow!("int42pl", "int42mi", "int42mul", "int42div", int4),
    wide!("int8pl", "int8mi", "int8mul", "int8div"),
    wide!("int28pl", "int28mi", "int28mul", "int28div"),
    wide!("int48pl", "int48mi", "int48mul", "int48div"),
    wide!("int82pl", "int82mi", "int82mul", "int82div"),
    wide!("int84pl", "int84mi", "int84mul", "int84div"),
    bits!(i32, i16, "int2and", "int2or", "int2xor", "int2not", "int2shl", "int2shr"),
    bits!(i32, i32, "int4and", "int4or", "int4xor", "int4not", "int4shl", "int4shr"),
    bits!(i64, i64, "int8and", "int8or", "int8xor", "int8not", "int8shl", "int8shr"),
    unary!("int2um", "int2up", "int2abs", "int2mod", narrow2),
    unary!("int4um", "int4up", "int4abs", "int4mod", narrow4),
    unary!("int8um", "int8up", "int8abs", "int8mod", int8),
    &[
        pure("int4inc", |_, args| int4(args[0].int()? + 1)),
        pure("int8inc", |_, args| int8(args[0].int()?.checked_add(1))),
        pure("int8dec", |_, args| int8(args[0].int()?.checked_sub(1))),
        pure("int4gcd", |_, args| {
            int4(gcd(args[0].int()?, args[1].int()?) as i64)
        }),
        pure("int8gcd", |_, args| {
            int8(i64::try_from(gcd(args[0].int()?, args[1].int()?)).ok())
        }),
        pure("int4lcm", |_, args| {
            narrow4(lcm(args[0].int()?, args[1].int()?))
        }),
        pure("int8lcm", |_, args| {
            int8(lcm(args[0].int()?, args[1].int()?))
        }),
        pure("width_bucket_float8", |_, args| {
            width_bucket(
                args[0].float()?,
                args[1].float()?,
                args[2].float()?,
                args[3].int()?,
            )
        }),
        pure("width_bucket_numeric", |_, args| width_bucket_numeric(args)),
        pure("pg_lsn_mi", |_, args| {
            let (a, b) = (args[0].int()? as u64, args[1].int()? as u64);
            Ok(Datum::Numeric(Numeric::from_i128(
                i128::from(a) - i128::from(b),
                0,
            )))
        }),
    ],
];
