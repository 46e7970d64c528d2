//! Pieces of dates and times that stand by themselves: numbers, fractions, clock times, displacements, zone names; and what
//! is wrong with a text.

use super::abbreviations;
use super::calendar::{self, Fields, USECS_PER_DAY, USECS_PER_SEC};
use super::dateparse::Value;
use super::settings::Settings;
use super::zone::Zone;
use crate::base::error::{fail, Res};
use crate::base::{SqlError, Stop};

/// Why a text is no date. The caller knows the type's name.
#[derive(Debug, Clone)]
pub enum Bad {
    Format,
    Overflow,
    /// A month or day that might have been meant the other way round.
    MonthDay,
    Interval,
    Displacement,
    Zone(String),
}

pub type Parsed<T> = Result<T, Bad>;

pub fn error(bad: Bad, name: &str, input: &str) -> Stop {
    let overflow = || {
        SqlError::new(
            "22008",
            format!("date/time field value out of range: \"{input}\""),
        )
    };
    match bad {
        Bad::Format => SqlError::new(
            "22007",
            format!("invalid input syntax for type {name}: \"{input}\""),
        ),
        Bad::Overflow => overflow(),
        Bad::MonthDay => overflow().hint("Perhaps you need a different \"datestyle\" setting."),
        Bad::Interval => SqlError::new(
            "22015",
            format!("interval field value out of range: \"{input}\""),
        ),
        Bad::Displacement => SqlError::new(
            "22009",
            format!("time zone displacement out of range: \"{input}\""),
        ),
        Bad::Zone(zone) => SqlError::new("22023", format!("time zone \"{zone}\" not recognized")),
    }
    .into()
}

pub fn integer(text: &str) -> Parsed<(i64, &str)> {
    let negative = text.starts_with('-');
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = body
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(body.len());
    if end == 0 {
        return Err(Bad::Format);
    }
    let value = body[..end].parse::<i32>().map_err(|_| Bad::Overflow)?;
    Ok((
        i64::from(if negative { -value } else { value }),
        &body[end..],
    ))
}

/// ".ffffff" to µs, rounded.
pub fn fraction(text: &str) -> Parsed<i64> {
    let digits = text.strip_prefix('.').ok_or(Bad::Format)?;
    if digits.is_empty() {
        return Ok(0);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Bad::Format);
    }
    let value: f64 = format!("0.{digits}").parse().map_err(|_| Bad::Format)?;
    Ok((value * 1_000_000.0).round_ties_even() as i64)
}

/// ±hh[[:]mm[:ss]] to seconds east.
pub fn displacement(text: &str) -> Parsed<i32> {
    let negative = match text.as_bytes().first() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return Err(Bad::Format),
    };
    let overflow = |bad| {
        if matches!(bad, Bad::Overflow) {
            Bad::Displacement
        } else {
            bad
        }
    };
    let (mut hour, mut rest) = integer(&text[1..]).map_err(overflow)?;
    let (mut minute, mut second) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minute, rest) = integer(after).map_err(overflow)?;
        if let Some(after) = rest.strip_prefix(':') {
            (second, rest) = integer(after).map_err(overflow)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        minute = hour % 100;
        hour /= 100;
    }
    if !(0..=15).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return Err(Bad::Displacement);
    }
    if !rest.is_empty() {
        return Err(Bad::Format);
    }
    let seconds = ((hour * 60 + minute) * 60 + second) as i32;
    Ok(if negative { -seconds } else { seconds })
}

/// hh:mm[:ss[.ffffff]], or mm:ss.ffffff.
pub fn clock(text: &str) -> Parsed<(i64, i64, i64, i64)> {
    let (hour, rest) = integer(text)?;
    let (minute, rest) = integer(rest.strip_prefix(':').ok_or(Bad::Format)?)?;
    let (hour, minute, second, micros) = if rest.is_empty() {
        (hour, minute, 0, 0)
    } else if rest.starts_with('.') {
        (0, hour, minute, fraction(rest)?)
    } else {
        let (second, rest) = integer(rest.strip_prefix(':').ok_or(Bad::Format)?)?;
        let micros = if rest.is_empty() { 0 } else { fraction(rest)? };
        (hour, minute, second, micros)
    };
    let fits = hour >= 0
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && (0..=USECS_PER_SEC).contains(&micros);
    if fits {
        Ok((hour, minute, second, micros))
    } else {
        Err(Bad::Overflow)
    }
}

/// The usual form, quickly: yyyy-mm-dd[ hh:mm:ss[.f…]] with nothing else.
pub fn iso(input: &str, settings: &Settings) -> Option<Value> {
    let bytes = input.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = bytes.get(from..to)?;
        part.iter().try_fold(0i64, |sum, b| {
            b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0'))
        })
    };
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let mut tm = Fields {
        year: number(0, 4)?,
        month: number(5, 7)?,
        day: number(8, 10)?,
        ..Fields::default()
    };
    if tm.year < 1
        || !(1..=12).contains(&tm.month)
        || tm.day < 1
        || tm.day > calendar::month_days(tm.year, tm.month)
    {
        return None;
    }
    if bytes.len() > 10 {
        if bytes.len() < 19 || bytes[10] != b' ' || bytes[13] != b':' || bytes[16] != b':' {
            return None;
        }
        (tm.hour, tm.minute, tm.second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if tm.hour > 23 || tm.minute > 59 || tm.second > 59 {
            return None;
        }
        if bytes.len() > 19 {
            if bytes[19] != b'.' || !(21..=26).contains(&bytes.len()) {
                return None;
            }
            tm.micros = number(20, bytes.len())? * 10i64.pow(26 - bytes.len() as u32);
        }
    }
    let local = calendar::to_days(tm.year, tm.month, tm.day) * USECS_PER_DAY + tm.time();
    Some(Value::Fields(tm, settings.time_zone.offset_for(local)))
}

/// A zone as timezone() and AT TIME ZONE take it: an abbreviation, a name, or a rule.
pub enum ZoneName {
    Zone(Zone),
    Abbreviation(String),
}

pub fn zone_name(input: &str) -> Res<ZoneName> {
    let lower = input.to_ascii_lowercase();
    if abbreviations::find(&lower).is_some() {
        return Ok(ZoneName::Abbreviation(lower));
    }
    match Zone::named(input) {
        Some(zone) => Ok(ZoneName::Zone(zone)),
        None => fail("22023", format!("time zone \"{input}\" not recognized")),
    }
}
