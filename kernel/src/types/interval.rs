//! interval: as a type, and its text forms.

use super::calendar::{USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC};
use super::dateput::put_fraction;
use super::intervalparse::{self, DAY, FULL_RANGE, HOUR, MINUTE, MONTH, YEAR};
use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::{IntervalStyle, Settings};
use super::{dateparse, hash, key, oids, time, wire, Datum, Interval};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] = &[TypeInfo::new(
    oids::INTERVAL,
    Oid(1187),
    "interval",
    Repr::Interval,
    &Ops,
)];

/// (fields, precision) of a typmod; −1 for a precision that isn't given.
pub fn typmod_parts(typmod: i32) -> (i32, i32) {
    if typmod < 0 {
        return (FULL_RANGE, -1);
    }
    let precision = typmod & 0xffff;
    (
        (typmod >> 16) & 0x7fff,
        if precision == 0xffff { -1 } else { precision },
    )
}

/// Cut to a typmod's fields and precision.
pub fn apply_typmod(value: Interval, typmod: i32) -> Interval {
    let (range, precision) = typmod_parts(typmod);
    let mut out = value;
    let cut = |unit: i64| value.micros / unit * unit;
    match range {
        FULL_RANGE => {}
        YEAR => {
            out = Interval {
                months: value.months / 12 * 12,
                ..Interval::default()
            }
        }
        r if r == MONTH || r == YEAR | MONTH => {
            out = Interval {
                months: value.months,
                ..Interval::default()
            }
        }
        DAY => out.micros = 0,
        r if r == HOUR || r == DAY | HOUR => out.micros = cut(USECS_PER_HOUR),
        r if r == MINUTE || r == HOUR | MINUTE || r == DAY | HOUR | MINUTE => {
            out.micros = cut(USECS_PER_MINUTE)
        }
        _ => {}
    }
    out.micros = time::round_micros(out.micros, precision);
    out
}

pub fn parse(text: &str, typmod: i32, settings: &Settings) -> Res<Interval> {
    let (range, _) = typmod_parts(typmod);
    match intervalparse::parse(text, range, settings) {
        Ok(Some(value)) => Ok(apply_typmod(value, typmod)),
        Ok(None) => fail("22008", "interval out of range"),
        Err(bad) => Err(dateparse::error(bad, "interval", text)),
    }
}

struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Parts {
    fn of(value: &Interval) -> Parts {
        Parts {
            years: i64::from(value.months / 12),
            months: i64::from(value.months % 12),
            days: value.days.into(),
            hours: value.micros / USECS_PER_HOUR,
            minutes: value.micros / USECS_PER_MINUTE % 60,
            seconds: value.micros / USECS_PER_SEC % 60,
            micros: value.micros % USECS_PER_SEC,
        }
    }

    fn has_time(&self) -> bool {
        self.hours != 0 || self.minutes != 0 || self.seconds != 0 || self.micros != 0
    }

    fn negative_time(&self) -> bool {
        self.hours < 0 || self.minutes < 0 || self.seconds < 0 || self.micros < 0
    }
}

fn put(out: &mut Vec<u8>, text: impl AsRef<str>) {
    out.extend_from_slice(text.as_ref().as_bytes());
}

pub fn put_interval(value: &Interval, style: IntervalStyle, out: &mut Vec<u8>) {
    let parts = Parts::of(value);
    match style {
        IntervalStyle::Postgres => postgres(&parts, out),
        IntervalStyle::PostgresVerbose => verbose(&parts, out),
        IntervalStyle::Iso8601 => iso(&parts, out),
        IntervalStyle::SqlStandard => sql(&parts, out),
    }
}

fn plural(count: i64) -> &'static str {
    if count == 1 {
        ""
    } else {
        "s"
    }
}

fn postgres(parts: &Parts, out: &mut Vec<u8>) {
    let (mut empty, mut before) = (true, false);
    for (count, unit) in [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
    ] {
        if count == 0 {
            continue;
        }
        let space = if empty { "" } else { " " };
        let sign = if before && count > 0 { "+" } else { "" };
        put(out, format!("{space}{sign}{count} {unit}{}", plural(count)));
        before = count < 0;
        empty = false;
    }
    if empty || parts.has_time() {
        let space = if empty { "" } else { " " };
        let sign = match (parts.negative_time(), before) {
            (true, _) => "-",
            (false, true) => "+",
            _ => "",
        };
        put(
            out,
            format!(
                "{space}{sign}{:02}:{:02}:{:02}",
                parts.hours.abs(),
                parts.minutes.abs(),
                parts.seconds.abs()
            ),
        );
        put_fraction(parts.micros.abs(), out);
    }
}

fn verbose(parts: &Parts, out: &mut Vec<u8>) {
    let (mut empty, mut before) = (true, false);
    out.push(b'@');
    let units = [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ];
    for (count, unit) in units {
        if count == 0 {
            continue;
        }
        if empty {
            before = count < 0;
        }
        let shown = if before { -count } else { count };
        put(out, format!(" {shown} {unit}{}", plural(shown)));
        empty = false;
    }
    if parts.seconds != 0 || parts.micros != 0 {
        out.push(b' ');
        if parts.seconds < 0 || parts.micros < 0 {
            if empty {
                before = true;
            } else if !before {
                out.push(b'-');
            }
        } else if before {
            out.push(b'-');
        }
        put(out, parts.seconds.abs().to_string());
        put_fraction(parts.micros.abs(), out);
        let one = parts.seconds.abs() == 1 && parts.micros == 0;
        put(out, if one { " sec" } else { " secs" });
        empty = false;
    }
    if empty {
        put(out, " 0");
    }
    if before {
        put(out, " ago");
    }
}

fn iso(parts: &Parts, out: &mut Vec<u8>) {
    if parts.years == 0 && parts.months == 0 && parts.days == 0 && !parts.has_time() {
        return put(out, "PT0S");
    }
    out.push(b'P');
    let mut each = |count: i64, unit: char| {
        if count != 0 {
            put(out, format!("{count}{unit}"));
        }
    };
    each(parts.years, 'Y');
    each(parts.months, 'M');
    each(parts.days, 'D');
    if !parts.has_time() {
        return;
    }
    out.push(b'T');
    let mut each = |count: i64, unit: char| {
        if count != 0 {
            put(out, format!("{count}{unit}"));
        }
    };
    each(parts.hours, 'H');
    each(parts.minutes, 'M');
    if parts.seconds != 0 || parts.micros != 0 {
        if parts.seconds < 0 || parts.micros < 0 {
            out.push(b'-');
        }
        put(out, parts.seconds.abs().to_string());
        put_fraction(parts.micros.abs(), out);
        out.push(b'S');
    }
}

fn sql(parts: &Parts, out: &mut Vec<u8>) {
    let all = [
        parts.years,
        parts.months,
        parts.days,
        parts.hours,
        parts.minutes,
        parts.seconds,
        parts.micros,
    ];
    let (negative, positive) = (all.iter().any(|&x| x < 0), all.iter().any(|&x| x > 0));
    let year_month = parts.years != 0 || parts.months != 0;
    let day_time = parts.days != 0 || parts.has_time();
    let mixed = (negative && positive) || (year_month && day_time);
    if !negative && !positive {
        return out.push(b'0');
    }
    let clock = |out: &mut Vec<u8>| {
        put(
            out,
            format!(
                "{}:{:02}:{:02}",
                parts.hours.abs(),
                parts.minutes.abs(),
                parts.seconds.abs()
            ),
        );
        put_fraction(parts.micros.abs(), out);
    };
    if mixed {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let years = sign(parts.years < 0 || parts.months < 0);
        put(
            out,
            format!("{years}{}-{} ", parts.years.abs(), parts.months.abs()),
        );
        put(
            out,
            format!(
                "{}{} {}",
                sign(parts.days < 0),
                parts.days.abs(),
                sign(parts.negative_time())
            ),
        );
        return clock(out);
    }
    if negative {
        out.push(b'-');
    }
    if year_month {
        put(out, format!("{}-{}", parts.years.abs(), parts.months.abs()));
    } else {
        if parts.days != 0 {
            put(out, format!("{} ", parts.days.abs()));
        }
        clock(out);
    }
}

pub fn compare(a: &Interval, b: &Interval) -> Ordering {
    key::span(a).cmp(&key::span(b))
}

impl TypeOps for Ops {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        parse(text, typmod, settings).map(Datum::Interval)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        put_interval(&value.interval()?, settings.interval_style, out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        let mut reader = wire::Reader::new(bytes);
        let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
        reader.end()?;
        Ok(Datum::Interval(apply_typmod(
            Interval {
                months,
                days,
                micros,
            },
            typmod,
        )))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let value = value.interval()?;
        out.extend_from_slice(&value.micros.to_be_bytes());
        out.extend_from_slice(&value.days.to_be_bytes());
        out.extend_from_slice(&value.months.to_be_bytes());
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        match (a, b) {
            (Datum::Interval(a), Datum::Interval(b)) => compare(a, b),
            _ => Ordering::Equal,
        }
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        match datum {
            Datum::Interval(value) => {
                let span = key::span(value);
                hash::combine(hash::int(span as i64), (span >> 64) as u64)
            }
            _ => 0,
        }
    }

    fn coerce(&self, _info: &TypeInfo, value: &Datum, typmod: i32, _explicit: bool) -> Res<Datum> {
        Ok(Datum::Interval(apply_typmod(value.interval()?, typmod)))
    }
}
