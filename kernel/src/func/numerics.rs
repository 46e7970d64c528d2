//! Functions of numeric.

use super::registry::{pure, Function};
use crate::base::error::{fail, Res};
use crate::types::{Datum, Numeric};
use num_traits::ToPrimitive;

fn one(args: &[Datum], f: impl Fn(&Numeric) -> Numeric) -> Res<Datum> {
    Ok(Datum::Numeric(f(args[0].numeric()?)))
}

fn two(args: &[Datum], f: impl Fn(&Numeric, &Numeric) -> Res<Numeric>) -> Res<Datum> {
    f(args[0].numeric()?, args[1].numeric()?).map(Datum::Numeric)
}

/// Digits after the point once trailing zeros are gone.
fn min_scale(value: &Numeric) -> i64 {
    i64::from(value.normalized().scale())
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("numeric_add", |_, args| two(args, Numeric::add)),
    pure("numeric_sub", |_, args| two(args, Numeric::sub)),
    pure("numeric_mul", |_, args| two(args, Numeric::mul)),
    pure("numeric_div", |_, args| two(args, Numeric::div)),
    pure("numeric_div_trunc", |_, args| two(args, Numeric::div_trunc)),
    pure("numeric_mod", |_, args| two(args, Numeric::rem)),
    pure("numeric_power", |_, args| two(args, Numeric::power)),
    pure("numeric_gcd", |_, args| two(args, Numeric::gcd)),
    pure("numeric_lcm", |_, args| two(args, Numeric::lcm)),
    pure("numeric_log", |_, args| {
        two(args, |base, value| value.log(base))
    }),
    // log(numeric) and log10(numeric), which PostgreSQL writes in SQL
    pure("log", |_, args| {
        Ok(Datum::Numeric(args[0].numeric()?.log(&Numeric::from(10))?))
    }),
    pure("log10", |_, args| {
        Ok(Datum::Numeric(args[0].numeric()?.log(&Numeric::from(10))?))
    }),
    pure("numeric_ln", |_, args| {
        Ok(Datum::Numeric(args[0].numeric()?.ln()?))
    }),
    pure("numeric_exp", |_, args| {
        Ok(Datum::Numeric(args[0].numeric()?.exp()?))
    }),
    pure("numeric_sqrt", |_, args| {
        Ok(Datum::Numeric(args[0].numeric()?.sqrt()?))
    }),
    pure("numeric_abs", |_, args| one(args, Numeric::abs)),
    pure("numeric_uminus", |_, args| one(args, Numeric::neg)),
    pure("numeric_uplus", |_, args| one(args, Numeric::clone)),
    pure("numeric_sign", |_, args| {
        one(args, |v| {
            if v.is_nan() {
                Numeric::NaN
            } else {
                Numeric::from(i64::from(v.sign()))
            }
        })
    }),
    pure("numeric_ceil", |_, args| one(args, Numeric::ceil)),
    pure("numeric_floor", |_, args| one(args, Numeric::floor)),
    pure("numeric_round", |_, args| {
        let scale = args[1].int()?;
        one(args, |v| v.round(scale))
    }),
    pure("numeric_trunc", |_, args| {
        let scale = args[1].int()?;
        one(args, |v| v.trunc(scale))
    }),
    pure("round", |_, args| one(args, |v| v.round(0))),
    pure("trunc", |_, args| one(args, |v| v.trunc(0))),
    pure("numeric_fac", |_, args| {
        Ok(Datum::Numeric(Numeric::factorial(args[0].int()?)?))
    }),
    pure("numeric_inc", |_, args| {
        Ok(Datum::Numeric(args[0].numeric()?.add(&Numeric::ONE)?))
    }),
    pure("numeric", |_, args| {
        Ok(Datum::Numeric(
            args[0].numeric()?.apply_typmod(args[1].int()? as i32)?,
        ))
    }),
    pure("numeric_scale", |_, args| {
        let value = args[0].numeric()?;
        Ok(if value.is_finite() {
            Datum::Int(value.scale().into())
        } else {
            Datum::Null
        })
    }),
    pure("numeric_min_scale", |_, args| {
        let value = args[0].numeric()?;
        Ok(if value.is_finite() {
            Datum::Int(min_scale(value))
        } else {
            Datum::Null
        })
    }),
    pure("numeric_trim_scale", |_, args| {
        one(args, Numeric::normalized)
    }),
    pure("numeric_pl_pg_lsn", |_, args| {
        lsn_add(args[1].int()?, args[0].numeric()?)
    }),
    pure("numeric_pg_lsn", |_, args| to_lsn(args[0].numeric()?)),
    pure("pg_lsn_pli", |_, args| {
        lsn_add(args[0].int()?, args[1].numeric()?)
    }),
    pure("pg_lsn_mii", |_, args| match args[1].numeric()? {
        Numeric::NaN => fail("0A000", "cannot subtract NaN from pg_lsn"),
        bytes => lsn_add(args[0].int()?, &bytes.neg()),
    }),
]];

fn lsn_add(lsn: i64, bytes: &Numeric) -> Res<Datum> {
    match bytes {
        Numeric::NaN => return fail("0A000", "cannot add NaN to pg_lsn"),
        Numeric::PosInf | Numeric::NegInf => {
            return fail("0A000", "cannot convert infinity to pg_lsn")
        }
        _ => {}
    }
    let whole = bytes.round(0).coefficient() + num_bigint::BigInt::from(lsn as u64);
    match whole.to_u64() {
        Some(value) => Ok(Datum::Int(value as i64)),
        None => fail("22023", "pg_lsn out of range"),
    }
}

/// numeric to pg_lsn.
fn to_lsn(value: &Numeric) -> Res<Datum> {
    match value {
        Numeric::NaN => return fail("0A000", "cannot convert NaN to pg_lsn"),
        Numeric::PosInf | Numeric::NegInf => {
            return fail("0A000", "cannot convert infinity to pg_lsn")
        }
        _ => {}
    }
    match value.round(0).coefficient().to_u64() {
        Some(value) => Ok(Datum::Int(value as i64)),
        None => fail("22023", "pg_lsn out of range"),
    }
}
