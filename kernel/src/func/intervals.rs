//! Interval arithmetic, shared by operators and aggregates.

use super::registry::{pure, Function};
use crate::base::error::{fail, Res};
use crate::types::calendar::{USECS_PER_DAY, USECS_PER_SEC};
use crate::types::{Datum, Interval};

pub fn out_of_range<T>() -> Res<T> {
    fail("22008", "interval out of range")
}

fn some(months: Option<i32>, days: Option<i32>, micros: Option<i64>) -> Res<Interval> {
    match (months, days, micros) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval {
            months,
            days,
            micros,
        }),
        _ => out_of_range(),
    }
}

pub fn add(a: &Interval, b: &Interval) -> Res<Interval> {
    some(
        a.months.checked_add(b.months),
        a.days.checked_add(b.days),
        a.micros.checked_add(b.micros),
    )
}

pub fn sub(a: &Interval, b: &Interval) -> Res<Interval> {
    some(
        a.months.checked_sub(b.months),
        a.days.checked_sub(b.days),
        a.micros.checked_sub(b.micros),
    )
}

pub fn neg(a: &Interval) -> Res<Interval> {
    some(
        a.months.checked_neg(),
        a.days.checked_neg(),
        a.micros.checked_neg(),
    )
}

/// Rounded to µs, as PostgreSQL's TSROUND.
fn round6(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

fn narrow(value: f64) -> Option<i32> {
    (value > f64::from(i32::MIN) - 1.0 && value < f64::from(i32::MAX) + 1.0).then_some(value as i32)
}

/// Parts of a month cascade into days (30 a month), parts of a day into time.
fn scale(a: &Interval, factor: f64, operate: fn(f64, f64) -> f64) -> Res<Interval> {
    let (months, days) = (
        operate(a.months.into(), factor),
        operate(a.days.into(), factor),
    );
    let (Some(whole_months), Some(mut whole_days)) = (narrow(months), narrow(days)) else {
        return out_of_range();
    };
    let month_days = round6((months - f64::from(whole_months)) * 30.0);
    let extra_days = month_days as i32;
    let mut seconds =
        round6((days - f64::from(whole_days) + month_days - f64::from(extra_days)) * 86400.0);
    if seconds.abs() >= 86400.0 {
        let more = (seconds / 86400.0) as i32;
        whole_days = match whole_days.checked_add(more) {
            Some(days) => days,
            None => return out_of_range(),
        };
        seconds -= f64::from(more) * 86400.0;
    }
    let Some(whole_days) = whole_days.checked_add(extra_days) else {
        return out_of_range();
    };
    let micros =
        (operate(a.micros as f64, factor) + seconds * USECS_PER_SEC as f64).round_ties_even();
    if !(-9.223372036854775e18..9.223372036854775e18).contains(&micros) {
        return out_of_range();
    }
    Ok(Interval {
        months: whole_months,
        days: whole_days,
        micros: micros as i64,
    })
}

pub fn multiply(a: &Interval, factor: f64) -> Res<Interval> {
    scale(a, factor, |a, b| a * b)
}

pub fn divide(a: &Interval, divisor: f64) -> Res<Interval> {
    if divisor == 0.0 {
        return super::arith::by_zero();
    }
    scale(a, divisor, |a, b| a / b)
}

/// Hours beyond a day into days.
pub fn justify_hours(a: &Interval) -> Res<Interval> {
    let (mut days, mut micros) = (
        i64::from(a.days) + a.micros / USECS_PER_DAY,
        a.micros % USECS_PER_DAY,
    );
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + USECS_PER_DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - USECS_PER_DAY);
    }
    some(Some(a.months), i32::try_from(days).ok(), Some(micros))
}

/// Days beyond thirty into months.
pub fn justify_days(a: &Interval) -> Res<Interval> {
    let (mut months, mut days) = (i64::from(a.months) + i64::from(a.days / 30), a.days % 30);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    some(i32::try_from(months).ok(), Some(days), Some(a.micros))
}

/// Both, and one sign throughout.
pub fn justify_interval(a: &Interval) -> Res<Interval> {
    let mut micros = a.micros % USECS_PER_DAY;
    let mut days = i64::from(a.days) + a.micros / USECS_PER_DAY;
    let mut months = i64::from(a.months) + days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + USECS_PER_DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - USECS_PER_DAY);
    }
    some(
        i32::try_from(months).ok(),
        i32::try_from(days).ok(),
        Some(micros),
    )
}

fn one(args: &[Datum], f: fn(&Interval) -> Res<Interval>) -> Res<Datum> {
    f(&args[0].interval()?).map(Datum::Interval)
}

fn two(args: &[Datum], f: fn(&Interval, &Interval) -> Res<Interval>) -> Res<Datum> {
    f(&args[0].interval()?, &args[1].interval()?).map(Datum::Interval)
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("interval_pl", |_, args| two(args, add)),
    pure("interval_mi", |_, args| two(args, sub)),
    pure("interval_um", |_, args| one(args, neg)),
    pure("interval_mul", |_, args| {
        multiply(&args[0].interval()?, args[1].float()?).map(Datum::Interval)
    }),
    pure("mul_d_interval", |_, args| {
        multiply(&args[1].interval()?, args[0].float()?).map(Datum::Interval)
    }),
    pure("interval_div", |_, args| {
        divide(&args[0].interval()?, args[1].float()?).map(Datum::Interval)
    }),
    pure("interval_justify_hours", |_, args| one(args, justify_hours)),
    pure("interval_justify_days", |_, args| one(args, justify_days)),
    pure("interval_justify_interval", |_, args| {
        one(args, justify_interval)
    }),
]];
