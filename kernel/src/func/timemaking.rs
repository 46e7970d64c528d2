//! Dates and times from their parts, OVERLAPS, and what time it is.

use super::intervals;
use super::registry::{lax, pure, stable, volatile, Function, Volatility};
use super::timestamps::{
    add, add_tz, date_plus_time, shift, time_add, to_local, to_utc, zone_offset,
};
use super::Ctx;
use crate::base::error::{fail, Res};
use crate::types::calendar::{
    self, date_is_infinite, is_infinite, timestamp_fields, USECS_PER_DAY, USECS_PER_SEC,
};
use crate::types::dateparse;
use crate::types::{oids, time, Datum, Interval};
use std::cmp::Ordering;

/// `shown`: the year that an error names, from the real one.
fn make_day(args: &[Datum], shown: fn(i64, i64) -> i64) -> Res<i64> {
    let (year, month, day) = (args[0].int()?, args[1].int()?, args[2].int()?);
    let real = if year < 0 { year + 1 } else { year };
    let refuse = || {
        fail(
            "22008",
            format!(
                "date field value out of range: {}-{month:02}-{day:02}",
                shown(year, real)
            ),
        )
    };
    if year == 0 || !(1..=12).contains(&month) || day < 1 || day > calendar::month_days(real, month)
    {
        return refuse();
    }
    let days = calendar::to_days(real, month, day);
    if !calendar::date_in_range(days) {
        return fail(
            "22008",
            format!("date out of range: {year}-{month:02}-{day:02}"),
        );
    }
    Ok(days)
}

fn make_time(args: &[Datum]) -> Res<i64> {
    let (hour, minute, second) = (args[0].int()?, args[1].int()?, args[2].float()?);
    let micros = (second * 1e6).round_ties_even();
    let fits =
        (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60e6).contains(&micros);
    let total = ((hour * 60 + minute) * 60) * USECS_PER_SEC + if fits { micros as i64 } else { 0 };
    if !fits || total > USECS_PER_DAY {
        let mut shown = Vec::new();
        crate::types::float::general(second, 6, &mut shown);
        let shown = String::from_utf8_lossy(&shown).into_owned();
        return fail(
            "22008",
            format!("time field value out of range: {hour}:{minute:02}:{shown:0>2}"),
        );
    }
    Ok(total)
}

fn make_timestamp(args: &[Datum]) -> Res<i64> {
    let local = date_plus_time(
        make_day(&args[..3], |year, _| year)?,
        make_time(&args[3..6])?,
    )?;
    Ok(local)
}

fn make_interval(args: &[Datum]) -> Res<Datum> {
    let part = |at: usize| args[at].int();
    let seconds = args[6].float()?;
    if !seconds.is_finite() {
        return intervals::out_of_range();
    }
    let months = part(0)?
        .checked_mul(12)
        .and_then(|m| m.checked_add(args[1].int().ok()?));
    let days = part(2)?
        .checked_mul(7)
        .and_then(|d| d.checked_add(args[3].int().ok()?));
    let micros = (seconds * 1e6).round_ties_even();
    let clock = (part(4)? * 60 + part(5)?)
        .checked_mul(60 * USECS_PER_SEC)
        .and_then(|c| c.checked_add(micros as i64));
    let narrow = |value: Option<i64>| value.and_then(|v| i32::try_from(v).ok());
    match (narrow(months), narrow(days), clock) {
        (Some(months), Some(days), Some(micros)) => Ok(Datum::Interval(Interval {
            months,
            days,
            micros,
        })),
        _ => intervals::out_of_range(),
    }
}

/// SQL's OVERLAPS over two periods, of which an end may be null.
fn overlaps(args: &[Datum], compare: impl Fn(&Datum, &Datum) -> Res<Ordering>) -> Res<Datum> {
    let period = |a: &Datum, b: &Datum| -> Res<Option<(Datum, Datum)>> {
        Ok(match (a.is_null(), b.is_null()) {
            (true, true) => None,
            (true, false) => Some((b.clone(), Datum::Null)),
            (false, true) => Some((a.clone(), Datum::Null)),
            (false, false) if compare(a, b)?.is_gt() => Some((b.clone(), a.clone())),
            (false, false) => Some((a.clone(), b.clone())),
        })
    };
    let first = period(&args[0], &args[1])?;
    let second = period(&args[2], &args[3])?;
    let (Some((start1, end1)), Some((start2, end2))) = (first, second) else {
        return Ok(Datum::Null);
    };
    let (earlier_end, later_start, later_end) = match compare(&start1, &start2)? {
        Ordering::Equal => {
            return Ok(if end1.is_null() || end2.is_null() {
                Datum::Null
            } else {
                Datum::Bool(true)
            });
        }
        Ordering::Greater => (end2, start1, end1),
        Ordering::Less => (end1, start2, end2),
    };
    if earlier_end.is_null() {
        return Ok(Datum::Null);
    }
    if compare(&later_start, &earlier_end)?.is_lt() {
        return Ok(Datum::Bool(true));
    }
    Ok(if later_end.is_null() {
        Datum::Null
    } else {
        Datum::Bool(false)
    })
}

fn by_int(a: &Datum, b: &Datum) -> Res<Ordering> {
    Ok(a.int()?.cmp(&b.int()?))
}

/// OVERLAPS where a period is given by its start and length.
fn overlaps_lengths(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let mut ends = args.to_vec();
    for at in [1, 3] {
        if ctx.call.arg_types.get(at) != Some(&oids::INTERVAL) {
            continue;
        }
        if args[at].is_null() || args[at - 1].is_null() {
            ends[at] = Datum::Null;
            continue;
        }
        let (start, length) = (args[at - 1].int()?, args[at].interval()?);
        ends[at] = Datum::Int(match ctx.call.arg_types[0] {
            oids::TIME => time_add(start, length.micros),
            oids::TIMESTAMPTZ => add_tz(start, &length, &ctx.settings.time_zone)?,
            _ => add(start, &length)?,
        });
    }
    overlaps(&ends, by_int)
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("make_date", |_, a| {
        Ok(Datum::Int(make_day(a, |_, real| real)?))
    }),
    pure("make_time", |_, a| Ok(Datum::Int(make_time(a)?))),
    pure("make_timestamp", |_, a| Ok(Datum::Int(make_timestamp(a)?))),
    stable("make_timestamptz", |c, a| {
        Ok(Datum::Int(to_utc(
            make_timestamp(a)?,
            &c.settings.time_zone,
        )?))
    }),
    stable("make_timestamptz_at_timezone", |_, a| {
        let local = make_timestamp(a)?;
        let name = a[6].str()?;
        let offset = match dateparse::displacement(name) {
            Ok(offset) => offset,
            Err(_) => zone_offset(name, local, true)?,
        };
        shift(local, -i64::from(offset))
    }),
    pure("make_interval", |_, a| make_interval(a)),
    pure("timestamp_finite", |_, a| {
        Ok(Datum::Bool(!is_infinite(a[0].int()?)))
    }),
    pure("date_finite", |_, a| {
        Ok(Datum::Bool(!date_is_infinite(a[0].int()?)))
    }),
    pure("interval_finite", |_, _| Ok(Datum::Bool(true))),
    lax("overlaps_timestamp", |_, a| overlaps(a, by_int)),
    lax("overlaps_time", |_, a| overlaps(a, by_int)),
    lax("overlaps_timetz", |_, a| {
        overlaps(a, |x, y| Ok(time::compare_tz(&x.timetz()?, &y.timetz()?)))
    }),
    lax("overlaps", overlaps_lengths),
    stable("now", |c, _| Ok(Datum::Int(c.settings.now))),
    stable("statement_timestamp", |c, _| {
        Ok(Datum::Int(c.settings.statement_start))
    }),
    volatile("clock_timestamp", |c, _| Ok(Datum::Int(c.clock))),
    Function {
        name: "timeofday",
        strict: true,
        volatility: Volatility::Volatile,
        eval: |c, _| {
            let moment = c.settings.time_zone.moment(c.clock);
            let local = to_local(c.clock, &c.settings.time_zone);
            let tm = timestamp_fields(local);
            let day = calendar::weekday(local.div_euclid(USECS_PER_DAY)) as usize;
            Ok(Datum::text(format!(
                "{} {} {:02} {:02}:{:02}:{:02}.{:06} {:04} {}",
                &calendar::DAYS[day][..3],
                &calendar::MONTHS[tm.month as usize - 1][..3],
                tm.day,
                tm.hour,
                tm.minute,
                tm.second,
                tm.micros,
                tm.year,
                moment.abbreviation
            )))
        },
    },
]];
