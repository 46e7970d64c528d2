//! Reading intervals: PostgreSQL's, SQL's and ISO 8601's forms.

use super::calendar::{USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC};
use super::dateparse::{fraction, Bad, Parsed};
use super::datetoken::{self, Field, Kind, Unit};
use super::settings::{IntervalStyle, Settings};
use super::Interval;

/// Which fields a typmod allows, as bits.
pub const MONTH: i32 = 1 << 1;
pub const YEAR: i32 = 1 << 2;
pub const DAY: i32 = 1 << 3;
pub const HOUR: i32 = 1 << 10;
pub const MINUTE: i32 = 1 << 11;
pub const SECOND: i32 = 1 << 12;
pub const FULL_RANGE: i32 = 0x7fff;

#[derive(Default)]
struct Sum {
    years: i64,
    months: i64,
    days: i64,
    micros: i64,
}

fn small(value: i64) -> Parsed<i64> {
    i32::try_from(value)
        .map(i64::from)
        .map_err(|_| Bad::Overflow)
}

impl Sum {
    fn add(&mut self, value: i64, part: f64, unit: Unit) -> Parsed<()> {
        match unit {
            Unit::Microsecond => self.add_micros(value, part, 1),
            Unit::Millisecond => self.add_micros(value, part, 1000),
            Unit::Second => self.add_micros(value, part, USECS_PER_SEC),
            Unit::Minute => self.add_micros(value, part, USECS_PER_MINUTE),
            Unit::Hour => self.add_micros(value, part, USECS_PER_HOUR),
            Unit::Day => {
                self.add_days(value, 1)?;
                self.part_micros(part, USECS_PER_DAY)
            }
            Unit::Week => {
                self.add_days(value, 7)?;
                self.part_days(part, 7.0)
            }
            Unit::Month => {
                self.months = small(
                    self.months
                        .checked_add(small(value)?)
                        .ok_or(Bad::Overflow)?,
                )?;
                self.part_days(part, 30.0)
            }
            Unit::Year => self.add_years(value, part, 1),
            Unit::Decade => self.add_years(value, part, 10),
            Unit::Century => self.add_years(value, part, 100),
            Unit::Millennium => self.add_years(value, part, 1000),
            _ => Err(Bad::Format),
        }
    }

    fn add_micros(&mut self, value: i64, part: f64, scale: i64) -> Parsed<()> {
        let whole = value.checked_mul(scale).ok_or(Bad::Overflow)?;
        self.micros = self.micros.checked_add(whole).ok_or(Bad::Overflow)?;
        self.part_micros(part, scale)
    }

    fn part_micros(&mut self, part: f64, scale: i64) -> Parsed<()> {
        let scaled = part * scale as f64;
        let mut micros = scaled as i64;
        let rest = scaled - micros as f64;
        if rest > 0.5 {
            micros += 1;
        } else if rest < -0.5 {
            micros -= 1;
        }
        self.micros = self.micros.checked_add(micros).ok_or(Bad::Overflow)?;
        Ok(())
    }

    fn add_days(&mut self, value: i64, scale: i64) -> Parsed<()> {
        let days = small(value)?
            .checked_mul(scale)
            .and_then(|d| d.checked_add(self.days))
            .ok_or(Bad::Overflow)?;
        self.days = small(days)?;
        Ok(())
    }

    fn part_days(&mut self, part: f64, scale: f64) -> Parsed<()> {
        let scaled = part * scale;
        let days = scaled as i64;
        self.days = small(self.days + days)?;
        self.part_micros(scaled - days as f64, USECS_PER_DAY)
    }

    fn add_years(&mut self, value: i64, part: f64, scale: i64) -> Parsed<()> {
        let years = small(value)?.checked_mul(scale).ok_or(Bad::Overflow)?;
        self.years = small(self.years + small(years)?)?;
        let months = (part * scale as f64 * 12.0).round_ties_even() as i64;
        self.months = small(self.months + months)?;
        Ok(())
    }

    fn negate(&mut self) -> Parsed<()> {
        self.years = small(-self.years)?;
        self.months = small(-self.months)?;
        self.days = small(-self.days)?;
        self.micros = self.micros.checked_neg().ok_or(Bad::Overflow)?;
        Ok(())
    }

    /// `None`: too many months for an interval ("interval out of range").
    fn finish(self) -> Option<Interval> {
        let months = i32::try_from(self.years * 12 + self.months).ok()?;
        Some(Interval {
            months,
            days: self.days as i32,
            micros: self.micros,
        })
    }
}

/// A whole number with an optional sign and what follows it.
fn number(text: &str) -> Parsed<(i64, &str)> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = body
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(body.len());
    let sign = text.len() - body.len();
    if end == 0 {
        return Ok((0, body)).and_then(|v: (i64, &str)| {
            if v.1.starts_with('.') {
                Ok(v)
            } else {
                Err(Bad::Format)
            }
        });
    }
    let value = text[..sign + end]
        .parse::<i64>()
        .map_err(|_| Bad::Overflow)?;
    Ok((value, &body[end..]))
}

fn decimals(text: &str) -> Parsed<f64> {
    let digits = text.strip_prefix('.').ok_or(Bad::Format)?;
    if digits.is_empty() {
        return Ok(0.0);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Bad::Format);
    }
    format!("0.{digits}").parse().map_err(|_| Bad::Format)
}

/// hh:mm[:ss[.f]], where hours may be many; `range` decides what two fields alone are.
fn clock(text: &str, range: i32) -> Parsed<i64> {
    let unsigned = |text: &str| match text.as_bytes().first() {
        Some(b'0'..=b'9') => Ok(()),
        _ => Err(Bad::Format),
    };
    unsigned(text)?;
    let (hour, rest) = number(text)?;
    let rest = rest.strip_prefix(':').ok_or(Bad::Format)?;
    unsigned(rest)?;
    let (minute, rest) = number(rest)?;
    let (hour, minute, second, micros) = if rest.is_empty() {
        if range == MINUTE | SECOND {
            (0, hour, minute, 0)
        } else {
            (hour, minute, 0, 0)
        }
    } else if rest.starts_with('.') {
        (0, hour, minute, fraction(rest)?)
    } else {
        let rest = rest.strip_prefix(':').ok_or(Bad::Format)?;
        unsigned(rest)?;
        let (second, rest) = number(rest)?;
        (
            hour,
            minute,
            second,
            if rest.is_empty() { 0 } else { fraction(rest)? },
        )
    };
    if !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return Err(Bad::Overflow);
    }
    hour.checked_mul(USECS_PER_HOUR)
        .and_then(|h| h.checked_add(minute * USECS_PER_MINUTE + second * USECS_PER_SEC + micros))
        .ok_or(Bad::Overflow)
}

/// The unit of a number without one, from the typmod's fields.
fn rightmost(range: i32) -> Unit {
    match range {
        YEAR => Unit::Year,
        r if r == MONTH || r == YEAR | MONTH => Unit::Month,
        DAY => Unit::Day,
        r if r == HOUR || r == DAY | HOUR => Unit::Hour,
        r if r == MINUTE || r == HOUR | MINUTE || r == DAY | HOUR | MINUTE => Unit::Minute,
        _ => Unit::Second,
    }
}

/// One bit a unit, to find what is said twice.
fn mask(unit: Unit, with_part: bool) -> u32 {
    match unit {
        Unit::Microsecond => 1,
        Unit::Millisecond => 2,
        Unit::Second if with_part => 1 | 2 | 4,
        Unit::Second => 4,
        Unit::Minute => 8,
        Unit::Hour => 16,
        Unit::Day => 32,
        Unit::Week => 64,
        Unit::Month => 128,
        Unit::Year => 256,
        Unit::Decade => 512,
        Unit::Century => 1024,
        Unit::Millennium => 2048,
        _ => 0,
    }
}

const CLOCK_MASK: u32 = 1 | 2 | 4 | 8 | 16;
const ZONE_MASK: u32 = 1 << 20;

struct Parser {
    sum: Sum,
    seen: u32,
    unit: Option<Unit>,
    range: i32,
    force_negative: bool,
}

impl Parser {
    fn claim(&mut self, bits: u32) -> Parsed<()> {
        if self.seen & bits != 0 {
            return Err(Bad::Format);
        }
        self.seen |= bits;
        Ok(())
    }

    fn clock(&mut self, micros: i64) -> Parsed<()> {
        let micros = if self.force_negative && micros > 0 {
            -micros
        } else {
            micros
        };
        self.sum.micros = self.sum.micros.checked_add(micros).ok_or(Bad::Overflow)?;
        self.unit = Some(Unit::Day);
        Ok(())
    }

    fn number(&mut self, text: &str) -> Parsed<()> {
        let unit = self.unit.unwrap_or_else(|| rightmost(self.range));
        let negative = text.starts_with('-');
        let (mut value, rest) = number(text)?;
        let mut unit = unit;
        let mut part = 0.0;
        if let Some(months) = rest.strip_prefix('-') {
            // SQL's years-months
            let (months, rest) = number(months)?;
            if !(0..12).contains(&months) {
                return Err(Bad::Overflow);
            }
            if !rest.is_empty() {
                return Err(Bad::Format);
            }
            unit = Unit::Month;
            let years = value.checked_mul(12).ok_or(Bad::Overflow)?;
            value = years
                .checked_add(if negative { -months } else { months })
                .ok_or(Bad::Overflow)?;
        } else if rest.starts_with('.') {
            part = decimals(rest)?;
            if negative {
                part = -part;
            }
        } else if !rest.is_empty() {
            return Err(Bad::Format);
        }
        if self.force_negative {
            value = -value.abs();
            part = -part.abs();
        }
        self.sum.add(value, part, unit)?;
        self.unit = Some(if unit == Unit::Hour { Unit::Day } else { unit });
        self.claim(mask(unit, part != 0.0))
    }
}

fn traditional(fields: &[Field], range: i32, settings: &Settings) -> Parsed<Sum> {
    let leading_minus = fields.first().is_some_and(|f| f.text.starts_with('-'));
    let more_signs = fields
        .iter()
        .skip(1)
        .any(|f| f.text.starts_with(['-', '+']));
    let sql = settings.interval_style == IntervalStyle::SqlStandard;
    let mut parser = Parser {
        sum: Sum::default(),
        seen: 0,
        unit: None,
        range,
        force_negative: sql && leading_minus && !more_signs,
    };
    let mut ago = false;
    for field in fields.iter().rev() {
        let text = field.text.as_str();
        match field.kind {
            Kind::Time => {
                let micros = clock(text, range)?;
                parser.clock(micros)?;
                parser.claim(CLOCK_MASK)?;
            }
            Kind::Zone if text[1..].contains(':') && clock(&text[1..], range).is_ok() => {
                let micros = clock(&text[1..], range)?;
                parser.clock(if text.starts_with('-') {
                    -micros
                } else {
                    micros
                })?;
                parser.claim(ZONE_MASK)?;
            }
            Kind::Zone | Kind::Date | Kind::Number => parser.number(text)?,
            Kind::Word | Kind::Special => match text {
                "@" => {}
                "ago" => ago = true,
                _ => match datetoken::unit(text) {
                    Some(
                        Unit::Quarter | Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute,
                    )
                    | None => return Err(Bad::Format),
                    unit => parser.unit = unit,
                },
            },
        }
    }
    if parser.seen == 0 {
        return Err(Bad::Format);
    }
    let mut sum = parser.sum;
    if ago {
        sum.negate()?;
    }
    Ok(sum)
}

/// A number of the ISO form and how many digits its whole part has.
fn iso_number(text: &str) -> Parsed<(i64, f64, usize, &str)> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = body
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(body.len());
    let (_, after) = body.split_at(end);
    let stop = match after.strip_prefix('.') {
        Some(digits) => {
            end + 1
                + digits
                    .bytes()
                    .position(|b| !b.is_ascii_digit())
                    .unwrap_or(digits.len())
        }
        None => end,
    };
    if end == 0 && stop <= 1 {
        return Err(Bad::Format);
    }
    let negative = text.starts_with('-');
    let whole = if end == 0 {
        0
    } else {
        body[..end].parse::<i64>().map_err(|_| Bad::Overflow)?
    };
    let part = if stop > end {
        decimals(&body[end..stop])?
    } else {
        0.0
    };
    let sign = if negative { -1 } else { 1 };
    Ok((whole * sign, part * sign as f64, end, &body[stop..]))
}

fn split_unit(rest: &str) -> (Option<char>, &str) {
    let mut chars = rest.chars();
    let unit = chars.next();
    (unit, chars.as_str())
}

fn iso(input: &str) -> Parsed<Sum> {
    let mut rest = input
        .strip_prefix('P')
        .filter(|rest| !rest.is_empty())
        .ok_or(Bad::Format)?;
    let mut sum = Sum::default();
    let mut dates = true;
    let mut have_field = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (dates, have_field, rest) = (false, false, after);
            continue;
        }
        let (value, part, width, after) = iso_number(rest)?;
        let (unit, after) = split_unit(after);
        let known = match (dates, unit) {
            (true, Some('Y')) => Some(Unit::Year),
            (true, Some('M')) => Some(Unit::Month),
            (true, Some('W')) => Some(Unit::Week),
            (true, Some('D')) => Some(Unit::Day),
            (false, Some('H')) => Some(Unit::Hour),
            (false, Some('M')) => Some(Unit::Minute),
            (false, Some('S')) => Some(Unit::Second),
            _ => None,
        };
        if let Some(unit) = known {
            sum.add(value, part, unit)?;
            (have_field, rest) = (true, after);
            continue;
        }
        if have_field {
            return Err(Bad::Format);
        }
        let ends = if dates {
            matches!(unit, None | Some('T'))
        } else {
            unit.is_none()
        };
        if ends && width == if dates { 8 } else { 6 } {
            let (a, b, c) = (value / 10_000, value / 100 % 100, value % 100);
            let units = if dates {
                [Unit::Year, Unit::Month, Unit::Day]
            } else {
                [Unit::Hour, Unit::Minute, Unit::Second]
            };
            sum.add(a, 0.0, units[0])?;
            sum.add(b, 0.0, units[1])?;
            sum.add(c, part, units[2])?;
            (dates, rest) = (false, after);
            if unit.is_none() {
                return Ok(sum);
            }
            continue;
        }
        rest = iso_alternative(&mut sum, value, part, unit, after, dates)?;
        if rest.is_empty() {
            return Ok(sum);
        }
        dates = false;
    }
    Ok(sum)
}

/// `P0001-02-03T04:05:06`: answers what follows the T.
fn iso_alternative<'a>(
    sum: &mut Sum,
    first: i64,
    part: f64,
    mut unit: Option<char>,
    mut rest: &'a str,
    dates: bool,
) -> Parsed<&'a str> {
    let (units, mark) = if dates {
        ([Unit::Year, Unit::Month, Unit::Day], '-')
    } else {
        ([Unit::Hour, Unit::Minute, Unit::Second], ':')
    };
    let (mut value, mut part) = (first, part);
    for (at, each) in units.into_iter().enumerate() {
        sum.add(value, part, each)?;
        match unit {
            None => return Ok(""),
            Some('T') if dates => return Ok(if rest.is_empty() { "" } else { rest }),
            Some(c) if c == mark && at < 2 => {}
            _ => return Err(Bad::Format),
        }
        let (next, next_part, _, after) = iso_number(rest)?;
        (value, part) = (next, next_part);
        (unit, rest) = split_unit(after);
    }
    Err(Bad::Format)
}

/// `Ok(None)`: "interval out of range".
pub fn parse(input: &str, range: i32, settings: &Settings) -> Parsed<Option<Interval>> {
    let found = match datetoken::split(input) {
        Some(fields) => traditional(&fields, range, settings),
        None => Err(Bad::Format),
    };
    let sum = match found {
        Err(Bad::Format) => iso(input.trim_end()),
        other => other,
    };
    match sum {
        Ok(sum) => Ok(sum.finish()),
        Err(Bad::Overflow) => Err(Bad::Interval),
        Err(bad) => Err(bad),
    }
}
