//! Dates, times and timestamps as text, in the session's DateStyle.

use super::calendar::{self, Fields, DAYS, MONTHS, USECS_PER_SEC};
use super::settings::{DateOrder, DateStyle, Settings};
use super::zone::Zone;

fn two(value: i64, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

fn year(value: i64, out: &mut Vec<u8>) {
    let shown = if value > 0 { value } else { 1 - value };
    if shown < 10_000 {
        two(shown / 100, out);
        two(shown % 100, out);
    } else {
        out.extend_from_slice(shown.to_string().as_bytes());
    }
}

/// .ffffff without trailing zeros.
pub fn put_fraction(micros: i64, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    let text = format!(".{micros:06}");
    out.extend_from_slice(text.trim_end_matches('0').as_bytes());
}

/// Seconds east of UTC as ±hh[:mm[:ss]]; `minutes` shows :mm always.
pub fn put_offset(seconds: i32, minutes: bool, out: &mut Vec<u8>) {
    out.push(if seconds >= 0 { b'+' } else { b'-' });
    let total = i64::from(seconds.unsigned_abs());
    let (hour, minute, second) = (total / 3600, total / 60 % 60, total % 60);
    two(hour, out);
    if second != 0 {
        out.push(b':');
        two(minute, out);
        out.push(b':');
        two(second, out);
    } else if minute != 0 || minutes {
        out.push(b':');
        two(minute, out);
    }
}

fn put_clock(fields: &Fields, out: &mut Vec<u8>) {
    two(fields.hour, out);
    out.push(b':');
    two(fields.minute, out);
    out.push(b':');
    two(fields.second, out);
    put_fraction(fields.micros, out);
}

pub fn put_time(micros: i64, out: &mut Vec<u8>) {
    let mut fields = Fields::default();
    fields.set_time(micros.clamp(0, calendar::USECS_PER_DAY));
    put_clock(&fields, out);
}

/// `zone`: seconds west.
pub fn put_timetz(micros: i64, zone: i32, out: &mut Vec<u8>) {
    put_time(micros, out);
    put_offset(zone.wrapping_neg(), false, out);
}

fn put_day(fields: &Fields, settings: &Settings, out: &mut Vec<u8>) {
    let day_first = settings.date_order == DateOrder::Dmy;
    match settings.date_style {
        DateStyle::Iso => {
            year(fields.year, out);
            out.push(b'-');
            two(fields.month, out);
            out.push(b'-');
            two(fields.day, out);
        }
        DateStyle::German => {
            two(fields.day, out);
            out.push(b'.');
            two(fields.month, out);
            out.push(b'.');
            year(fields.year, out);
        }
        DateStyle::Sql | DateStyle::Postgres => {
            let mark = if settings.date_style == DateStyle::Sql {
                b'/'
            } else {
                b'-'
            };
            let (a, b) = if day_first {
                (fields.day, fields.month)
            } else {
                (fields.month, fields.day)
            };
            two(a, out);
            out.push(mark);
            two(b, out);
            out.push(mark);
            year(fields.year, out);
        }
    }
}

fn put_era(fields: &Fields, out: &mut Vec<u8>) {
    if fields.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

pub fn put_date(days: i64, settings: &Settings, out: &mut Vec<u8>) {
    match days {
        calendar::DATE_LATE => out.extend_from_slice(b"infinity"),
        calendar::DATE_EARLY => out.extend_from_slice(b"-infinity"),
        _ => {
            let fields = Fields::date(days);
            put_day(&fields, settings, out);
            put_era(&fields, out);
        }
    }
}

fn infinite(micros: i64, out: &mut Vec<u8>) -> bool {
    match micros {
        calendar::LATE => out.extend_from_slice(b"infinity"),
        calendar::EARLY => out.extend_from_slice(b"-infinity"),
        _ => return false,
    }
    true
}

pub fn put_timestamp(micros: i64, settings: &Settings, out: &mut Vec<u8>) {
    if !infinite(micros, out) {
        put_fields(
            &calendar::timestamp_fields(micros),
            micros,
            None,
            settings,
            out,
        );
    }
}

pub fn put_timestamptz(micros: i64, settings: &Settings, out: &mut Vec<u8>) {
    if infinite(micros, out) {
        return;
    }
    let zone = &settings.time_zone;
    let offset = zone.offset_at(micros);
    let local = micros.saturating_add(i64::from(offset) * USECS_PER_SEC);
    put_fields(
        &calendar::timestamp_fields(local),
        local,
        Some((zone, micros, offset)),
        settings,
        out,
    );
}

fn put_fields(
    fields: &Fields,
    local: i64,
    zone: Option<(&Zone, i64, i32)>,
    settings: &Settings,
    out: &mut Vec<u8>,
) {
    if settings.date_style == DateStyle::Postgres {
        let weekday = calendar::weekday(local.div_euclid(calendar::USECS_PER_DAY));
        out.extend_from_slice(&DAYS[weekday as usize].as_bytes()[..3]);
        out.push(b' ');
        let month = &MONTHS[(fields.month - 1) as usize].as_bytes()[..3];
        if settings.date_order == DateOrder::Dmy {
            two(fields.day, out);
            out.push(b' ');
            out.extend_from_slice(month);
        } else {
            out.extend_from_slice(month);
            out.push(b' ');
            two(fields.day, out);
        }
        out.push(b' ');
        put_clock(fields, out);
        out.push(b' ');
        year(fields.year, out);
    } else {
        put_day(fields, settings, out);
        out.push(b' ');
        put_clock(fields, out);
    }
    if let Some((zone, utc, offset)) = zone {
        if settings.date_style == DateStyle::Iso {
            put_offset(offset, false, out);
        } else {
            let abbreviation = zone.moment(utc).abbreviation;
            out.push(b' ');
            out.extend_from_slice(abbreviation.as_bytes());
        }
    }
    put_era(fields, out);
}
