//! extract, date_part and date_trunc.

use super::registry::{pure, stable, Function};
use super::timestamps::{date_to_timestamp, out_of_range, to_local, to_utc};
use crate::base::error::{fail, Res};
use crate::types::calendar::{
    self, is_infinite, timestamp_fields, Fields, LATE, USECS_PER_DAY, USECS_PER_SEC,
};
use crate::types::dateparse::{self, ZoneName};
use crate::types::datetoken::{self, Unit, Word};
use crate::types::zone::Zone;
use crate::types::{Datum, Interval, Numeric, TimeTz};

/// A part's value: `value / 10^scale`, or what an infinite time has.
enum Part {
    Number(i64, u16),
    Numeric(Numeric),
    Null,
}

impl Part {
    fn numeric(self) -> Datum {
        match self {
            Part::Number(value, scale) => Datum::Numeric(Numeric::small(value, scale)),
            Part::Numeric(value) => Datum::Numeric(value),
            Part::Null => Datum::Null,
        }
    }

    fn float(self) -> Datum {
        match self {
            Part::Number(value, scale) => Datum::Float(value as f64 / 10f64.powi(scale.into())),
            Part::Numeric(value) => Datum::Float(value.to_f64()),
            Part::Null => Datum::Null,
        }
    }
}

fn whole(value: i64) -> Res<Part> {
    Ok(Part::Number(value, 0))
}

fn unsupported<T>(name: &str, typ: &str) -> Res<T> {
    fail(
        "0A000",
        format!("unit \"{name}\" not supported for type {typ}"),
    )
}

fn unrecognized<T>(name: &str, typ: &str) -> Res<T> {
    fail(
        "22023",
        format!("unit \"{name}\" not recognized for type {typ}"),
    )
}

/// A unit to cut to: what may also be said of intervals.
fn step(name: &str, typ: &str) -> Res<Unit> {
    let lower = name.to_ascii_lowercase();
    match datetoken::unit(&lower) {
        Some(unit) => Ok(unit),
        None => unrecognized(&lower, typ),
    }
}

/// A part to extract.
fn unit(name: &str, typ: &str) -> Res<Unit> {
    let lower = name.to_ascii_lowercase();
    if let Some(unit) = datetoken::unit(&lower) {
        return Ok(unit);
    }
    match datetoken::word(&lower) {
        Some(Word::Epoch) => Ok(Unit::Epoch),
        Some(Word::Unit(unit)) => Ok(unit),
        // the reserved words are known to these types only
        Some(
            Word::Now
            | Word::Today
            | Word::Tomorrow
            | Word::Yesterday
            | Word::Zulu
            | Word::Late
            | Word::Early,
        ) if typ == "date" || typ.starts_with("timestamp") => unsupported(&lower, typ),
        _ => unrecognized(&lower, typ),
    }
}

fn century(year: i64) -> i64 {
    if year > 0 {
        (year + 99) / 100
    } else {
        -((99 - (year - 1)) / 100)
    }
}

fn millennium(year: i64) -> i64 {
    if year > 0 {
        (year + 999) / 1000
    } else {
        -((999 - (year - 1)) / 1000)
    }
}

fn decade(year: i64) -> i64 {
    if year >= 0 {
        year / 10
    } else {
        -((8 - (year - 1)) / 10)
    }
}

/// Years without a zero.
fn shown_year(year: i64) -> i64 {
    if year > 0 {
        year
    } else {
        year - 1
    }
}

fn clock_part(unit: Unit, tm: &Fields) -> Option<Part> {
    let micros = tm.second * USECS_PER_SEC + tm.micros;
    Some(match unit {
        Unit::Microsecond => Part::Number(micros, 0),
        Unit::Millisecond => Part::Number(micros, 3),
        Unit::Second => Part::Number(micros, 6),
        Unit::Minute => Part::Number(tm.minute, 0),
        Unit::Hour => Part::Number(tm.hour, 0),
        _ => return None,
    })
}

fn day_part(unit: Unit, tm: &Fields) -> Option<i64> {
    let days = calendar::to_days(tm.year, tm.month, tm.day);
    Some(match unit {
        Unit::Day => tm.day,
        Unit::Month => tm.month,
        Unit::Quarter => (tm.month - 1) / 3 + 1,
        Unit::Week => calendar::iso_week(days).1,
        Unit::Year => shown_year(tm.year),
        Unit::Decade => decade(tm.year),
        Unit::Century => century(tm.year),
        Unit::Millennium => millennium(tm.year),
        Unit::IsoYear => shown_year(calendar::iso_week(days).0),
        Unit::Dow => calendar::weekday(days),
        Unit::IsoDow => (calendar::weekday(days) + 6) % 7 + 1,
        Unit::Doy => calendar::day_of_year(days),
        _ => return None,
    })
}

/// Parts that grow with time are infinite of an infinite time; the others are null.
fn infinite_part(unit: Unit, positive: bool, name: &str, typ: &str, zoned: bool) -> Res<Part> {
    match unit {
        Unit::Year
        | Unit::Decade
        | Unit::Century
        | Unit::Millennium
        | Unit::Julian
        | Unit::IsoYear
        | Unit::Epoch => Ok(Part::Numeric(if positive {
            Numeric::PosInf
        } else {
            Numeric::NegInf
        })),
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute if !zoned => {
            unsupported(name, typ)
        }
        _ => Ok(Part::Null),
    }
}

fn julian(local: i64) -> Res<Part> {
    let days = local.div_euclid(USECS_PER_DAY) + calendar::JULIAN_2000;
    let part = Numeric::from(local.rem_euclid(USECS_PER_DAY)).div(&Numeric::from(USECS_PER_DAY))?;
    Ok(Part::Numeric(Numeric::from(days).add(&part)?))
}

/// Of a local time; `zone` is the offset in seconds east, and the moment, where the type has a zone.
fn timestamp_part(name: &str, at: i64, zone: Option<&Zone>) -> Res<Part> {
    let typ = if zone.is_some() {
        "timestamp with time zone"
    } else {
        "timestamp without time zone"
    };
    let unit = unit(name, typ)?;
    let lower = name.to_ascii_lowercase();
    if is_infinite(at) {
        return infinite_part(unit, at == LATE, &lower, typ, true);
    }
    let local = zone.map_or(at, |zone| to_local(at, zone));
    let tm = timestamp_fields(local);
    if let Some(part) = clock_part(unit, &tm) {
        return Ok(part);
    }
    if let Some(value) = day_part(unit, &tm) {
        return whole(value);
    }
    match (unit, zone) {
        (Unit::Julian, _) => julian(local),
        (Unit::Epoch, _) => {
            let epoch =
                i128::from(at) + i128::from(calendar::UNIX_2000) * i128::from(USECS_PER_SEC);
            Ok(Part::Numeric(Numeric::from_i128(epoch, 6)))
        }
        (Unit::Timezone, Some(zone)) => whole(zone.offset_at(at).into()),
        (Unit::TimezoneHour, Some(zone)) => whole((zone.offset_at(at) / 3600).into()),
        (Unit::TimezoneMinute, Some(zone)) => whole((zone.offset_at(at) / 60 % 60).into()),
        _ => unsupported(&lower, typ),
    }
}

fn date_part(name: &str, days: i64) -> Res<Part> {
    let typ = "date";
    let unit = unit(name, typ)?;
    let lower = name.to_ascii_lowercase();
    if calendar::date_is_infinite(days) {
        let clock = clock_part(unit, &Fields::default()).is_some();
        if clock {
            return unsupported(&lower, typ);
        }
        return infinite_part(unit, days == calendar::DATE_LATE, &lower, typ, false);
    }
    if let Some(value) = day_part(unit, &Fields::date(days)) {
        return whole(value);
    }
    match unit {
        Unit::Julian => whole(days + calendar::JULIAN_2000),
        Unit::Epoch => whole((days * 86_400) + calendar::UNIX_2000),
        _ => unsupported(&lower, typ),
    }
}

fn time_part(name: &str, time: TimeTz, zoned: bool) -> Res<Part> {
    let typ = if zoned {
        "time with time zone"
    } else {
        "time without time zone"
    };
    let unit = unit(name, typ)?;
    let mut tm = Fields::default();
    tm.set_time(time.micros);
    if let Some(part) = clock_part(unit, &tm) {
        return Ok(part);
    }
    match unit {
        Unit::Epoch => Ok(Part::Number(
            time.micros + i64::from(time.zone) * USECS_PER_SEC,
            6,
        )),
        Unit::Timezone if zoned => whole(-i64::from(time.zone)),
        Unit::TimezoneHour if zoned => whole(i64::from(-time.zone / 3600)),
        Unit::TimezoneMinute if zoned => whole(i64::from(-time.zone / 60 % 60)),
        _ => unsupported(&name.to_ascii_lowercase(), typ),
    }
}

fn interval_part(name: &str, value: &Interval) -> Res<Part> {
    let typ = "interval";
    let unit = unit(name, typ)?;
    let (years, months) = (i64::from(value.months / 12), i64::from(value.months % 12));
    let seconds = value.micros % (60 * USECS_PER_SEC);
    Ok(match unit {
        Unit::Microsecond => Part::Number(seconds, 0),
        Unit::Millisecond => Part::Number(seconds, 3),
        Unit::Second => Part::Number(seconds, 6),
        Unit::Minute => Part::Number(value.micros / (60 * USECS_PER_SEC) % 60, 0),
        Unit::Hour => Part::Number(value.micros / (3600 * USECS_PER_SEC), 0),
        Unit::Day => Part::Number(value.days.into(), 0),
        Unit::Month => Part::Number(months, 0),
        Unit::Quarter => Part::Number(months / 3 + 1, 0),
        Unit::Year => Part::Number(years, 0),
        Unit::Decade => Part::Number(years / 10, 0),
        Unit::Century => Part::Number(years / 100, 0),
        Unit::Millennium => Part::Number(years / 1000, 0),
        Unit::Epoch => {
            // a year is 365.25 days here: everything times four, to stay whole
            let quarters = years * 1461 + months * 120 + 4 * i64::from(value.days);
            let total = i128::from(quarters * (86_400 / 4)) * i128::from(USECS_PER_SEC)
                + i128::from(value.micros);
            Part::Numeric(Numeric::from_i128(total, 6))
        }
        _ => return unsupported(&name.to_ascii_lowercase(), typ),
    })
}

/// The beginning of the unit that a local time is in; `None`: not a unit to cut to.
fn truncate(unit: Unit, tm: &Fields) -> Option<Fields> {
    let day = |year, month, day| Fields {
        year,
        month,
        day,
        ..Fields::default()
    };
    let year = tm.year;
    // the first year of 2001's kind, counted without a year zero
    let first = |step: i64| {
        if year > 0 {
            (year + step - 1) / step * step - step + 1
        } else {
            -((step - 1 - (year - 1)) / step) * step + 1
        }
    };
    Some(match unit {
        Unit::Week => {
            let days = calendar::to_days(year, tm.month, tm.day);
            let monday = days - (calendar::weekday(days) + 6) % 7;
            Fields::date(monday)
        }
        Unit::Millennium => day(first(1000), 1, 1),
        Unit::Century => day(first(100), 1, 1),
        Unit::Decade => day(
            if year > 0 {
                year / 10 * 10
            } else {
                -((8 - (year - 1)) / 10) * 10
            },
            1,
            1,
        ),
        Unit::Year => day(year, 1, 1),
        Unit::Quarter => day(year, (tm.month - 1) / 3 * 3 + 1, 1),
        Unit::Month => day(year, tm.month, 1),
        Unit::Day => day(year, tm.month, tm.day),
        Unit::Hour => Fields {
            minute: 0,
            second: 0,
            micros: 0,
            ..*tm
        },
        Unit::Minute => Fields {
            second: 0,
            micros: 0,
            ..*tm
        },
        Unit::Second => Fields { micros: 0, ..*tm },
        Unit::Millisecond => Fields {
            micros: tm.micros / 1000 * 1000,
            ..*tm
        },
        Unit::Microsecond => *tm,
        _ => return None,
    })
}

fn local_of(tm: &Fields) -> Res<i64> {
    match calendar::timestamp(calendar::to_days(tm.year, tm.month, tm.day), tm.time()) {
        Some(local) => Ok(local),
        None => out_of_range(),
    }
}

fn trunc(name: &str, at: i64) -> Res<Datum> {
    let typ = "timestamp without time zone";
    if is_infinite(at) {
        return Ok(Datum::Int(at));
    }
    let unit = step(name, typ)?;
    match truncate(unit, &timestamp_fields(at)) {
        Some(tm) => local_of(&tm).map(Datum::Int),
        None => unsupported(&name.to_ascii_lowercase(), typ),
    }
}

fn trunc_tz(name: &str, at: i64, zone: &Zone) -> Res<Datum> {
    let typ = "timestamp with time zone";
    if is_infinite(at) {
        return Ok(Datum::Int(at));
    }
    let unit = step(name, typ)?;
    let Some(tm) = truncate(unit, &timestamp_fields(to_local(at, zone))) else {
        return unsupported(&name.to_ascii_lowercase(), typ);
    };
    let local = local_of(&tm)?;
    let clock = matches!(
        unit,
        Unit::Hour | Unit::Minute | Unit::Second | Unit::Millisecond | Unit::Microsecond
    );
    if clock {
        return Ok(Datum::Int(
            local - i64::from(zone.offset_at(at)) * USECS_PER_SEC,
        ));
    }
    to_utc(local, zone).map(Datum::Int)
}

fn named_zone(name: &str) -> Res<Zone> {
    match dateparse::zone_name(name)? {
        ZoneName::Zone(zone) => Ok(zone),
        ZoneName::Abbreviation(word) => Ok(Zone::fixed(
            crate::types::zone::abbreviation_offset(&word, 0).unwrap_or(0),
        )),
    }
}

fn trunc_interval(name: &str, value: &Interval) -> Res<Datum> {
    let typ = "interval";
    let unit = step(name, typ)?;
    let years = |step: i32| Interval {
        months: value.months / (12 * step) * (12 * step),
        ..Interval::default()
    };
    let clock = |step: i64| Interval {
        micros: value.micros / step * step,
        ..*value
    };
    Ok(Datum::Interval(match unit {
        Unit::Millennium => years(1000),
        Unit::Century => years(100),
        Unit::Decade => years(10),
        Unit::Year => years(1),
        Unit::Quarter => Interval {
            months: value.months / 3 * 3,
            ..Interval::default()
        },
        Unit::Month => Interval {
            months: value.months,
            ..Interval::default()
        },
        Unit::Day => Interval {
            micros: 0,
            ..*value
        },
        Unit::Hour => clock(3600 * USECS_PER_SEC),
        Unit::Minute => clock(60 * USECS_PER_SEC),
        Unit::Second => clock(USECS_PER_SEC),
        Unit::Millisecond => clock(1000),
        Unit::Microsecond => *value,
        Unit::Week => {
            let error = crate::base::SqlError::new(
                "0A000",
                format!("unit \"{name}\" not supported for type interval"),
            );
            return Err(error.detail("Months usually have fractional weeks.").into());
        }
        _ => return unsupported(&name.to_ascii_lowercase(), typ),
    }))
}

fn plain_time(value: &Datum) -> Res<TimeTz> {
    Ok(TimeTz {
        micros: value.int()?,
        zone: 0,
    })
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("extract_timestamp", |_, a| {
        Ok(timestamp_part(a[0].str()?, a[1].int()?, None)?.numeric())
    }),
    pure("timestamp_part", |_, a| {
        Ok(timestamp_part(a[0].str()?, a[1].int()?, None)?.float())
    }),
    stable("extract_timestamptz", |c, a| {
        Ok(timestamp_part(a[0].str()?, a[1].int()?, Some(&c.settings.time_zone))?.numeric())
    }),
    stable("timestamptz_part", |c, a| {
        Ok(timestamp_part(a[0].str()?, a[1].int()?, Some(&c.settings.time_zone))?.float())
    }),
    pure("extract_date", |_, a| {
        Ok(date_part(a[0].str()?, a[1].int()?)?.numeric())
    }),
    // date_part(text, date), by way of timestamp
    pure("date_part", |_, a| {
        Ok(timestamp_part(a[0].str()?, date_to_timestamp(a[1].int()?)?, None)?.float())
    }),
    pure("extract_time", |_, a| {
        Ok(time_part(a[0].str()?, plain_time(&a[1])?, false)?.numeric())
    }),
    pure("time_part", |_, a| {
        Ok(time_part(a[0].str()?, plain_time(&a[1])?, false)?.float())
    }),
    pure("extract_timetz", |_, a| {
        Ok(time_part(a[0].str()?, a[1].timetz()?, true)?.numeric())
    }),
    pure("timetz_part", |_, a| {
        Ok(time_part(a[0].str()?, a[1].timetz()?, true)?.float())
    }),
    pure("extract_interval", |_, a| {
        Ok(interval_part(a[0].str()?, &a[1].interval()?)?.numeric())
    }),
    pure("interval_part", |_, a| {
        let value = a[1].interval()?;
        if a[0].str()?.eq_ignore_ascii_case("epoch") {
            // in floating point from the beginning, as PostgreSQL does it
            let seconds = value.micros as f64 / 1e6;
            let years = 365.25 * 86400.0 * f64::from(value.months / 12);
            let months = 30.0 * 86400.0 * f64::from(value.months % 12);
            return Ok(Datum::Float(
                seconds + years + months + 86400.0 * f64::from(value.days),
            ));
        }
        Ok(interval_part(a[0].str()?, &value)?.float())
    }),
    pure("timestamp_trunc", |_, a| trunc(a[0].str()?, a[1].int()?)),
    stable("timestamptz_trunc", |c, a| {
        trunc_tz(a[0].str()?, a[1].int()?, &c.settings.time_zone)
    }),
    stable("timestamptz_trunc_zone", |_, a| {
        if is_infinite(a[1].int()?) {
            return Ok(a[1].clone());
        }
        trunc_tz(a[0].str()?, a[1].int()?, &named_zone(a[2].str()?)?)
    }),
    pure("interval_trunc", |_, a| {
        trunc_interval(a[0].str()?, &a[1].interval()?)
    }),
]];
