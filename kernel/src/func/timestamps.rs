//! Date and time arithmetic, conversions between the types, zones.

use super::intervals;
use super::registry::{pure, stable, Function};
use super::Ctx;
use crate::base::error::{fail, Res};
use crate::types::calendar::{
    self, date_is_infinite, is_infinite, timestamp_fields, DATE_EARLY, DATE_LATE, EARLY, LATE,
    USECS_PER_DAY, USECS_PER_SEC,
};
use crate::types::dateparse::{self, ZoneName};
use crate::types::zone::{self, Zone};
use crate::types::{oids, Datum, Interval, TimeTz};

pub fn out_of_range<T>() -> Res<T> {
    fail("22008", "timestamp out of range")
}

fn check(micros: Option<i64>) -> Res<i64> {
    match micros.filter(|&m| calendar::in_range(m)) {
        Some(micros) => Ok(micros),
        None => out_of_range(),
    }
}

/// Local time plus months and days: the day of the month is kept, or the month's last where there is none such.
fn add_days(local: i64, months: i32, days: i32) -> Res<i64> {
    let mut day = local.div_euclid(USECS_PER_DAY);
    if months != 0 {
        let (year, month, of_month) = calendar::from_days(day);
        let total = year * 12 + month - 1 + i64::from(months);
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        day = calendar::to_days(year, month, of_month.min(calendar::month_days(year, month)));
    }
    let day = day + i64::from(days);
    check(
        day.checked_mul(USECS_PER_DAY)
            .and_then(|d| d.checked_add(local.rem_euclid(USECS_PER_DAY))),
    )
}

pub fn add(micros: i64, interval: &Interval) -> Res<i64> {
    if is_infinite(micros) {
        return Ok(micros);
    }
    let mut at = micros;
    if interval.months != 0 || interval.days != 0 {
        at = add_days(at, interval.months, 0)?;
        at = add_days(at, 0, interval.days)?;
    }
    check(at.checked_add(interval.micros))
}

/// Months and days are added on the zone's clock, time as it passes.
pub fn add_tz(micros: i64, interval: &Interval, zone: &Zone) -> Res<i64> {
    if is_infinite(micros) {
        return Ok(micros);
    }
    let mut at = micros;
    if interval.months != 0 {
        at = zone.to_utc(add_days(zone.to_local(at), interval.months, 0)?);
    }
    if interval.days != 0 {
        at = zone.to_utc(add_days(zone.to_local(at), 0, interval.days)?);
    }
    check(at.checked_add(interval.micros))
}

pub fn difference(a: i64, b: i64) -> Res<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return fail("22008", "cannot subtract infinite timestamps");
    }
    match a.checked_sub(b) {
        Some(micros) => intervals::justify_hours(&Interval {
            micros,
            ..Interval::default()
        }),
        None => intervals::out_of_range(),
    }
}

pub fn date_to_timestamp(days: i64) -> Res<i64> {
    match days {
        DATE_LATE => Ok(LATE),
        DATE_EARLY => Ok(EARLY),
        _ => match days
            .checked_mul(USECS_PER_DAY)
            .filter(|&m| calendar::in_range(m))
        {
            Some(micros) => Ok(micros),
            None => fail("22008", "date out of range for timestamp"),
        },
    }
}

pub fn timestamp_to_date(micros: i64) -> i64 {
    match micros {
        LATE => DATE_LATE,
        EARLY => DATE_EARLY,
        _ => micros.div_euclid(USECS_PER_DAY),
    }
}

pub fn to_local(micros: i64, zone: &Zone) -> i64 {
    if is_infinite(micros) {
        return micros;
    }
    zone.to_local(micros)
}

pub fn to_utc(local: i64, zone: &Zone) -> Res<i64> {
    if is_infinite(local) {
        return Ok(local);
    }
    check(Some(zone.to_utc(local)))
}

fn date_add(days: i64, more: i64) -> Res<Datum> {
    if date_is_infinite(days) {
        return Ok(Datum::Int(days));
    }
    match days
        .checked_add(more)
        .filter(|&d| calendar::date_in_range(d))
    {
        Some(days) => Ok(Datum::Int(days)),
        None => fail("22008", "date out of range"),
    }
}

fn time_of(micros: i64) -> Datum {
    if is_infinite(micros) {
        return Datum::Null;
    }
    Datum::Int(micros.rem_euclid(USECS_PER_DAY))
}

pub(super) fn time_add(time: i64, more: i64) -> i64 {
    (time + more % USECS_PER_DAY).rem_euclid(USECS_PER_DAY)
}

fn timetz_add(time: TimeTz, more: i64) -> Datum {
    Datum::TimeTz(TimeTz {
        micros: time_add(time.micros, more),
        zone: time.zone,
    })
}

pub(super) fn date_plus_time(days: i64, time: i64) -> Res<i64> {
    let day = date_to_timestamp(days)?;
    if is_infinite(day) {
        return Ok(day);
    }
    check(day.checked_add(time))
}

fn date_plus_timetz(days: i64, time: TimeTz) -> Res<i64> {
    let local = date_plus_time(days, time.micros)?;
    if is_infinite(local) {
        return Ok(local);
    }
    check(local.checked_add(i64::from(time.zone) * USECS_PER_SEC))
}

/// Years, months and days between two local times, as people count them.
pub fn age(a: i64, b: i64) -> Res<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return fail("22008", "timestamp out of range");
    }
    let (late, early) = if a >= b { (a, b) } else { (b, a) };
    let (x, y) = (timestamp_fields(late), timestamp_fields(early));
    let mut micros = x.time() - y.time();
    let mut days = x.day - y.day;
    let mut months = (x.year - y.year) * 12 + x.month - y.month;
    if micros < 0 {
        micros += USECS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        // the length of the earlier time's month
        days += calendar::month_days(y.year, y.month);
        months -= 1;
    }
    let value = Interval {
        months: months as i32,
        days: days as i32,
        micros,
    };
    if a >= b {
        Ok(value)
    } else {
        intervals::neg(&value)
    }
}

fn age_from_today(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let zone = &ctx.settings.time_zone;
    let today = zone.to_local(ctx.settings.now).div_euclid(USECS_PER_DAY) * USECS_PER_DAY;
    let then = args[0].int()?;
    let zoned = ctx.call.arg_types.first() == Some(&oids::TIMESTAMPTZ);
    Ok(Datum::Interval(age(
        today,
        if zoned { to_local(then, zone) } else { then },
    )?))
}

/// Seconds east of UTC that a zone's name or abbreviation means at a local time (`local`) or moment.
pub(super) fn zone_offset(name: &str, at: i64, local: bool) -> Res<i32> {
    Ok(match dateparse::zone_name(name)? {
        ZoneName::Zone(zone) if local => zone.offset_for(at),
        ZoneName::Zone(zone) => zone.offset_at(at),
        ZoneName::Abbreviation(word) => zone::abbreviation_offset(&word, at).unwrap_or(0),
    })
}

fn interval_offset(interval: &Interval) -> Res<i64> {
    if interval.months != 0 || interval.days != 0 {
        let mut shown = Vec::new();
        crate::types::interval::put_interval(interval, Default::default(), &mut shown);
        let shown = String::from_utf8_lossy(&shown).into_owned();
        return fail(
            "22023",
            format!("interval time zone \"{shown}\" must not include months or days"),
        );
    }
    Ok(interval.micros / USECS_PER_SEC)
}

pub(super) fn shift(micros: i64, seconds: i64) -> Res<Datum> {
    if is_infinite(micros) {
        return Ok(Datum::Int(micros));
    }
    Ok(Datum::Int(check(
        micros.checked_add(seconds * USECS_PER_SEC),
    )?))
}

/// A time with zone, moved to another zone (seconds east).
fn timetz_to(time: TimeTz, east: i32) -> Datum {
    let utc = time.micros + i64::from(time.zone) * USECS_PER_SEC;
    let micros = (utc + i64::from(east) * USECS_PER_SEC).rem_euclid(USECS_PER_DAY);
    Datum::TimeTz(TimeTz {
        micros,
        zone: -east,
    })
}

fn bin(stride: &Interval, source: i64, origin: i64) -> Res<Datum> {
    if is_infinite(source) {
        return Ok(Datum::Int(source));
    }
    if is_infinite(origin) {
        return fail("22008", "origin out of range");
    }
    if stride.months != 0 {
        return fail(
            "0A000",
            "timestamps cannot be binned into intervals containing months or years",
        );
    }
    let days = i64::from(stride.days).checked_mul(USECS_PER_DAY);
    let Some(width) = days.and_then(|d| d.checked_add(stride.micros)) else {
        return intervals::out_of_range();
    };
    if width <= 0 {
        return fail("22008", "stride must be greater than zero");
    }
    let Some(distance) = source.checked_sub(origin) else {
        return intervals::out_of_range();
    };
    Ok(Datum::Int(check(Some(
        origin + distance.div_euclid(width) * width,
    ))?))
}

/// to_timestamp(double precision).
fn from_epoch(seconds: f64) -> Res<Datum> {
    if seconds.is_nan() {
        return fail("22008", "timestamp cannot be NaN");
    }
    if seconds.is_infinite() {
        return Ok(Datum::Int(if seconds > 0.0 { LATE } else { EARLY }));
    }
    let micros = ((seconds - calendar::UNIX_2000 as f64) * 1e6).round_ties_even();
    if !(calendar::MIN_TIMESTAMP as f64..calendar::END_TIMESTAMP as f64).contains(&micros) {
        return fail("22008", format!("timestamp out of range: \"{seconds}\""));
    }
    Ok(Datum::Int(micros as i64))
}

fn ints(args: &[Datum], f: impl Fn(i64) -> Res<i64>) -> Res<Datum> {
    f(args[0].int()?).map(Datum::Int)
}

const ADDING: &[Function] = &[
    pure("timestamp_pl_interval", |_, a| {
        Ok(Datum::Int(add(a[0].int()?, &a[1].interval()?)?))
    }),
    pure("timestamp_mi_interval", |_, a| {
        Ok(Datum::Int(add(
            a[0].int()?,
            &intervals::neg(&a[1].interval()?)?,
        )?))
    }),
    pure("interval_pl_timestamp", |_, a| {
        Ok(Datum::Int(add(a[1].int()?, &a[0].interval()?)?))
    }),
    stable("timestamptz_pl_interval", |c, a| {
        Ok(Datum::Int(add_tz(
            a[0].int()?,
            &a[1].interval()?,
            &c.settings.time_zone,
        )?))
    }),
    stable("timestamptz_mi_interval", |c, a| {
        Ok(Datum::Int(add_tz(
            a[0].int()?,
            &intervals::neg(&a[1].interval()?)?,
            &c.settings.time_zone,
        )?))
    }),
    stable("interval_pl_timestamptz", |c, a| {
        Ok(Datum::Int(add_tz(
            a[1].int()?,
            &a[0].interval()?,
            &c.settings.time_zone,
        )?))
    }),
    pure("timestamp_mi", |_, a| {
        Ok(Datum::Interval(difference(a[0].int()?, a[1].int()?)?))
    }),
    pure("timestamptz_mi", |_, a| {
        Ok(Datum::Interval(difference(a[0].int()?, a[1].int()?)?))
    }),
    pure("date_pli", |_, a| date_add(a[0].int()?, a[1].int()?)),
    pure("date_mii", |_, a| date_add(a[0].int()?, -a[1].int()?)),
    pure("integer_pl_date", |_, a| date_add(a[1].int()?, a[0].int()?)),
    pure("date_mi", |_, a| {
        let (x, y) = (a[0].int()?, a[1].int()?);
        if date_is_infinite(x) || date_is_infinite(y) {
            return fail("22008", "cannot subtract infinite dates");
        }
        Ok(Datum::Int(x - y))
    }),
    pure("date_pl_interval", |_, a| {
        Ok(Datum::Int(add(
            date_to_timestamp(a[0].int()?)?,
            &a[1].interval()?,
        )?))
    }),
    pure("date_mi_interval", |_, a| {
        Ok(Datum::Int(add(
            date_to_timestamp(a[0].int()?)?,
            &intervals::neg(&a[1].interval()?)?,
        )?))
    }),
    pure("interval_pl_date", |_, a| {
        Ok(Datum::Int(add(
            date_to_timestamp(a[1].int()?)?,
            &a[0].interval()?,
        )?))
    }),
    pure("time_pl_interval", |_, a| {
        Ok(Datum::Int(time_add(a[0].int()?, a[1].interval()?.micros)))
    }),
    pure("time_mi_interval", |_, a| {
        Ok(Datum::Int(time_add(
            a[0].int()?,
            -(a[1].interval()?.micros % USECS_PER_DAY),
        )))
    }),
    pure("interval_pl_time", |_, a| {
        Ok(Datum::Int(time_add(a[1].int()?, a[0].interval()?.micros)))
    }),
    pure("time_mi_time", |_, a| {
        Ok(Datum::Interval(Interval {
            micros: a[0].int()? - a[1].int()?,
            ..Interval::default()
        }))
    }),
    pure("timetz_pl_interval", |_, a| {
        Ok(timetz_add(a[0].timetz()?, a[1].interval()?.micros))
    }),
    pure("timetz_mi_interval", |_, a| {
        Ok(timetz_add(
            a[0].timetz()?,
            -(a[1].interval()?.micros % USECS_PER_DAY),
        ))
    }),
    pure("interval_pl_timetz", |_, a| {
        Ok(timetz_add(a[1].timetz()?, a[0].interval()?.micros))
    }),
    pure("datetime_timestamp", |_, a| {
        Ok(Datum::Int(date_plus_time(a[0].int()?, a[1].int()?)?))
    }),
    pure("timedate_pl", |_, a| {
        Ok(Datum::Int(date_plus_time(a[1].int()?, a[0].int()?)?))
    }),
    pure("datetimetz_timestamptz", |_, a| {
        Ok(Datum::Int(date_plus_timetz(a[0].int()?, a[1].timetz()?)?))
    }),
    pure("timetzdate_pl", |_, a| {
        Ok(Datum::Int(date_plus_timetz(a[1].int()?, a[0].timetz()?)?))
    }),
    pure("timestamp_age", |_, a| {
        Ok(Datum::Interval(age(a[0].int()?, a[1].int()?)?))
    }),
    stable("timestamptz_age", |c, a| {
        let zone = &c.settings.time_zone;
        Ok(Datum::Interval(age(
            to_local(a[0].int()?, zone),
            to_local(a[1].int()?, zone),
        )?))
    }),
    stable("age", age_from_today),
    pure("timestamp_bin", |_, a| {
        bin(&a[0].interval()?, a[1].int()?, a[2].int()?)
    }),
    pure("timestamptz_bin", |_, a| {
        bin(&a[0].interval()?, a[1].int()?, a[2].int()?)
    }),
];

const CONVERTING: &[Function] = &[
    pure("date_timestamp", |_, a| ints(a, date_to_timestamp)),
    pure("timestamp_date", |_, a| {
        ints(a, |t| Ok(timestamp_to_date(t)))
    }),
    stable("timestamptz_date", |c, a| {
        ints(a, |t| {
            Ok(timestamp_to_date(to_local(t, &c.settings.time_zone)))
        })
    }),
    stable("date_timestamptz", |c, a| {
        ints(a, |d| to_utc(date_to_timestamp(d)?, &c.settings.time_zone))
    }),
    // timestamptz(date, time)
    stable("timestamptz", |c, a| {
        let local = date_plus_time(a[0].int()?, a[1].int()?)?;
        Ok(Datum::Int(to_utc(local, &c.settings.time_zone)?))
    }),
    stable("timestamp_timestamptz", |c, a| {
        ints(a, |t| to_utc(t, &c.settings.time_zone))
    }),
    stable("timestamptz_timestamp", |c, a| {
        ints(a, |t| Ok(to_local(t, &c.settings.time_zone)))
    }),
    pure("timestamp_time", |_, a| Ok(time_of(a[0].int()?))),
    stable("timestamptz_time", |c, a| {
        Ok(time_of(to_local(a[0].int()?, &c.settings.time_zone)))
    }),
    stable("timestamptz_timetz", |c, a| {
        let at = a[0].int()?;
        if is_infinite(at) {
            return Ok(Datum::Null);
        }
        let zone = -c.settings.time_zone.offset_at(at);
        Ok(Datum::TimeTz(TimeTz {
            micros: to_local(at, &c.settings.time_zone).rem_euclid(USECS_PER_DAY),
            zone,
        }))
    }),
    pure("time_interval", |_, a| {
        Ok(Datum::Interval(Interval {
            micros: a[0].int()?,
            ..Interval::default()
        }))
    }),
    pure("interval_time", |_, a| {
        Ok(Datum::Int(
            a[0].interval()?.micros.rem_euclid(USECS_PER_DAY),
        ))
    }),
    stable("time_timetz", |c, a| {
        let now = to_local(c.settings.now, &c.settings.time_zone);
        let micros = a[0].int()?;
        let local = now.div_euclid(USECS_PER_DAY) * USECS_PER_DAY + micros;
        Ok(Datum::TimeTz(TimeTz {
            micros,
            zone: -c.settings.time_zone.offset_for(local),
        }))
    }),
    pure("timetz_time", |_, a| Ok(Datum::Int(a[0].timetz()?.micros))),
    pure("float8_timestamptz", |_, a| from_epoch(a[0].float()?)),
    stable("timestamp_zone", |_, a| {
        let local = a[1].int()?;
        shift(local, -i64::from(zone_offset(a[0].str()?, local, true)?))
    }),
    stable("timestamptz_zone", |_, a| {
        let utc = a[1].int()?;
        shift(utc, zone_offset(a[0].str()?, utc, false)?.into())
    }),
    pure("timestamp_izone", |_, a| {
        shift(a[1].int()?, -interval_offset(&a[0].interval()?)?)
    }),
    pure("timestamptz_izone", |_, a| {
        shift(a[1].int()?, interval_offset(&a[0].interval()?)?)
    }),
    stable("timetz_zone", |c, a| {
        Ok(timetz_to(
            a[1].timetz()?,
            zone_offset(a[0].str()?, c.settings.now, false)?,
        ))
    }),
    pure("timetz_izone", |_, a| {
        Ok(timetz_to(
            a[1].timetz()?,
            interval_offset(&a[0].interval()?)? as i32,
        ))
    }),
];

pub const FAMILIES: &[&[Function]] = &[ADDING, CONVERTING];
