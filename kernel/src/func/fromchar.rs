//! to_date() and to_timestamp(): reading a text by a template.

use super::formats::{self, Node};
use super::registry::{stable, Function};
use super::tochar::ROMAN_MONTHS;
use super::Ctx;
use crate::base::error::{fail, Res};
use crate::base::SqlError;
use crate::types::calendar::{self, Fields, DAYS, MONTHS, USECS_PER_SEC};
use crate::types::Datum;

#[derive(Default)]
struct Read {
    year: Option<i64>,
    /// Digits of the year as written, for the two-digit rule.
    century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    seconds_of_day: Option<i64>,
    millis: i64,
    micros: i64,
    twelve_hours: bool,
    pm: Option<bool>,
    bc: bool,
    week: Option<i64>,
    week_of_month: Option<i64>,
    /// ISO: 1 is Monday; else 1 is Sunday.
    weekday: Option<i64>,
    julian: Option<i64>,
    iso: bool,
    gregorian: bool,
    offset: Option<i64>,
    negative_offset: bool,
}

struct Reader<'a> {
    rest: &'a str,
    out: Read,
    exact: bool,
}

fn bad<T>(value: &str, field: &str, detail: &str) -> Res<T> {
    let error = SqlError::new(
        "22007",
        format!("invalid value \"{value}\" for \"{field}\""),
    );
    Err(if detail.is_empty() {
        error
    } else {
        error.detail(detail)
    }
    .into())
}

impl<'a> Reader<'a> {
    fn skip_spaces(&mut self) {
        if !self.exact {
            self.rest = self.rest.trim_start_matches(crate::types::text::is_space);
        }
    }

    /// An integer of at most `len` characters, or as long as it is when no digits may follow it.
    fn integer(&mut self, len: usize, free: bool, field: &str) -> Res<i64> {
        self.skip_spaces();
        let sign = usize::from(self.rest.starts_with(['-', '+']));
        let digits = self.rest[sign..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let taken = if free {
            sign + digits
        } else {
            (sign + digits).min(len)
        };
        let text = &self.rest[..taken];
        if digits == 0 || taken == sign {
            let shown: String = self.rest.chars().take(len).collect();
            return bad(&shown, field, "Value must be an integer.");
        }
        let Ok(value) = text.parse::<i32>() else {
            let error = SqlError::new(
                "22008",
                format!("value for \"{field}\" in source string is out of range"),
            );
            return Err(error
                .detail("Value must be in the range -2147483648 to 2147483647.")
                .into());
        };
        self.rest = &self.rest[taken..];
        Ok(value.into())
    }

    /// One of some words, whatever their case; its number.
    fn word(&mut self, words: &[&str], field: &str) -> Res<usize> {
        self.skip_spaces();
        let fits = |word: &&str| {
            self.rest
                .get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let found = words
            .iter()
            .enumerate()
            .filter(|(_, word)| fits(word))
            .max_by_key(|(_, word)| word.len());
        match found {
            Some((at, word)) => {
                self.rest = &self.rest[word.len()..];
                Ok(at)
            }
            None => {
                let shown: String = self
                    .rest
                    .chars()
                    .take_while(|c| !c.is_whitespace())
                    .collect();
                bad(
                    &shown,
                    field,
                    "The given value did not match any of the allowed values for this field.",
                )
            }
        }
    }

    fn text(&mut self, text: &str, quoted: bool) {
        if quoted {
            // as many characters as the quoted text has
            for _ in text.chars() {
                let mut chars = self.rest.chars();
                chars.next();
                self.rest = chars.as_str();
            }
            return;
        }
        let separator = |c: char| c.is_ascii_punctuation() || crate::types::text::is_space(c);
        let own = text.chars().next().unwrap_or(' ');
        if separator(own) {
            self.skip_spaces();
            if self
                .rest
                .starts_with(|c: char| separator(c) && !matches!(c, '+' | '-') || c == own)
            {
                let mut chars = self.rest.chars();
                chars.next();
                self.rest = chars.as_str();
            } else if self.rest.starts_with('-')
                && !self.rest[1..].starts_with(|c: char| c.is_ascii_digit())
            {
                self.rest = &self.rest[1..];
            }
        } else {
            let mut chars = self.rest.chars();
            chars.next();
            self.rest = chars.as_str();
        }
    }

    fn year(&mut self, len: usize, free: bool, key: &str) -> Res<()> {
        let before = self.rest.trim_start().len();
        let mut value = self.integer(len, free, key)?;
        let used = before - self.rest.len();
        if used < 4 && len < 4 {
            value = match len {
                3 if value < 520 => value + 2000,
                3 => value + 1000,
                2 if value < 70 => value + 2000,
                2 => value + 1900,
                _ => value + 2000,
            };
        }
        self.out.year = Some(value);
        Ok(())
    }

    /// Fields of the time of day; `false`: not one of them.
    fn clock_key(&mut self, upper: &str, key: &str, free: bool) -> Res<bool> {
        match upper {
            "HH" | "HH12" => {
                self.out.hour = self.integer(2, free, key)?;
                self.out.twelve_hours = true;
            }
            "HH24" => self.out.hour = self.integer(2, free, key)?,
            "MI" => self.out.minute = self.integer(2, free, key)?,
            "SS" => self.out.second = self.integer(2, free, key)?,
            "SSSS" | "SSSSS" => self.out.seconds_of_day = Some(self.integer(5, free, key)?),
            "MS" => self.out.millis = self.fraction(3, free, key)?,
            "US" => self.out.micros = self.fraction(6, free, key)?,
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let digits = usize::from(upper.as_bytes()[2] - b'0');
                self.out.micros = self.fraction(digits, free, key)? * 10i64.pow(6 - digits as u32);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn key(&mut self, key: &str, free: bool) -> Res<()> {
        let upper = key.to_uppercase();
        self.mode(&upper)?;
        if self.clock_key(&upper, key, free)? {
            return Ok(());
        }
        match upper.as_str() {
            "FX" => self.exact = true,
            "A.M." | "P.M." => self.out.pm = Some(self.word(&["a.m.", "p.m."], key)? == 1),
            "AM" | "PM" => self.out.pm = Some(self.word(&["am", "pm"], key)? == 1),
            "A.D." | "B.C." => self.out.bc = self.word(&["a.d.", "b.c."], key)? == 1,
            "AD" | "BC" => self.out.bc = self.word(&["ad", "bc"], key)? == 1,
            "MONTH" => self.out.month = Some(self.word(&MONTHS, key)? as i64 + 1),
            "MON" => self.out.month = Some(self.word(&MONTHS.map(|m| &m[..3]), key)? as i64 + 1),
            "MM" => self.out.month = Some(self.integer(2, free, key)?),
            "RM" => self.out.month = Some(self.word(&ROMAN_MONTHS, key)? as i64 + 1),
            "DAY" => self.out.weekday = Some(self.word(&DAYS, key)? as i64 + 1),
            "DY" => self.out.weekday = Some(self.word(&DAYS.map(|d| &d[..3]), key)? as i64 + 1),
            "DDD" => self.out.day_of_year = Some(self.integer(3, free, key)?),
            "IDDD" => self.out.day_of_year = Some(self.integer(3, free, key)?),
            "DD" => self.out.day = Some(self.integer(2, free, key)?),
            "D" => self.out.weekday = Some(self.integer(1, free, key)?),
            "ID" => {
                let day = self.integer(1, free, key)?;
                self.out.weekday = Some(day % 7 + 1);
            }
            "WW" | "IW" => self.out.week = Some(self.integer(2, free, key)?),
            "W" => self.out.week_of_month = Some(self.integer(1, free, key)?),
            "Q" => {
                self.integer(1, free, key)?;
            }
            "CC" => self.out.century = Some(self.integer(2, free, key)?),
            "Y,YYY" => {
                let thousands = self.integer(9, true, key)?;
                match self.rest.strip_prefix(',') {
                    Some(rest) => self.rest = rest,
                    None => return fail("22007", "invalid input string for \"Y,YYY\""),
                }
                self.out.year = Some(thousands * 1000 + self.integer(3, false, key)?);
            }
            "YYYY" | "IYYY" => self.year(4, free, key)?,
            "YYY" | "IYY" => self.year(3, free, key)?,
            "YY" | "IY" => self.year(2, free, key)?,
            "Y" | "I" => self.year(1, free, key)?,
            "J" => self.out.julian = Some(self.integer(9, true, key)?),
            "TZH" => {
                self.out.negative_offset = self.rest.trim_start().starts_with('-');
                let hours = self.integer(3, free, key)?.abs();
                self.out.offset = Some(self.out.offset.unwrap_or(0) + hours * 3600);
            }
            "TZM" => {
                let minutes = self.integer(2, free, key)?;
                self.out.offset = Some(self.out.offset.unwrap_or(0) + minutes * 60);
            }
            _ => {
                return fail(
                    "0A000",
                    format!("formatting field \"{key}\" is only supported in to_char"),
                )
            }
        }
        Ok(())
    }

    /// Digits after a decimal point: fewer than `len` are the leading ones.
    fn fraction(&mut self, len: usize, free: bool, key: &str) -> Res<i64> {
        let before = self.rest.trim_start().len();
        let value = self.integer(len, free, key)?;
        let used = before - self.rest.len();
        if used > len {
            return fail(
                "22008",
                format!("value for \"{key}\" in source string is out of range"),
            );
        }
        Ok(value * 10i64.pow((len - used) as u32))
    }

    /// Gregorian and ISO week dates don't mix.
    fn mode(&mut self, key: &str) -> Res<()> {
        match key {
            "IYYY" | "IYY" | "IY" | "I" | "IW" | "ID" | "IDDD" => self.out.iso = true,
            "YYYY" | "YYY" | "YY" | "Y" | "Y,YYY" | "MM" | "DD" | "DDD" | "WW" | "W" | "MON"
            | "MONTH" | "RM" | "CC" | "Q" | "J" => {
                self.out.gregorian = true;
            }
            _ => {}
        }
        if self.out.iso && self.out.gregorian {
            let error = SqlError::new("22007", "invalid combination of date conventions");
            let hint =
                "Do not mix Gregorian and ISO week date conventions in a formatting template.";
            return Err(error.hint(hint).into());
        }
        Ok(())
    }
}

fn takes_digits(node: Option<&Node>) -> bool {
    match node {
        None => false,
        Some(Node::Text { text, .. }) => text.starts_with(|c: char| c.is_ascii_digit()),
        Some(Node::Key { key, .. }) => !matches!(
            key.to_uppercase().as_str(),
            "A.D."
                | "A.M."
                | "AD"
                | "AM"
                | "B.C."
                | "BC"
                | "DAY"
                | "DY"
                | "FX"
                | "MONTH"
                | "MON"
                | "P.M."
                | "PM"
                | "RM"
                | "TZ"
                | "OF"
        ),
    }
}

fn out_of_range<T>(text: &str) -> Res<T> {
    fail(
        "22008",
        format!("date/time field value out of range: \"{text}\""),
    )
}

impl Read {
    /// Days from 2000-01-01.
    fn days(&self, text: &str) -> Res<i64> {
        if let Some(julian) = self.julian {
            return Ok(julian - calendar::JULIAN_2000);
        }
        let mut year = match (self.year, self.century) {
            (Some(year), Some(century)) if year.abs() < 100 || self.century.is_some() => {
                if self.bc || century < 0 {
                    -(century.abs() * 100 - year % 100 + 1) + 1
                } else {
                    let within = year % 100;
                    if within == 0 {
                        century * 100
                    } else {
                        (century - 1) * 100 + within
                    }
                }
            }
            (Some(year), _) if self.bc && year > 0 => 1 - year,
            (Some(year), _) if year < 0 => year + 1,
            (Some(year), _) => year,
            (None, Some(century)) if self.bc || century < 0 => 1 - (century.abs() * 100),
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) => 0,
        };
        // no year is said: year 1 BC, as PostgreSQL has it
        if self.year.is_none() && self.century.is_none() {
            year = if self.bc { 1 } else { 0 };
        }
        if self.iso {
            let start = calendar::iso_year_start(year);
            let by_week = self
                .week
                .map(|week| start + (week - 1) * 7 + self.weekday.map_or(0, |d| (d + 5) % 7));
            let days = by_week.or(self.day_of_year.map(|day| start + day - 1));
            return Ok(days.unwrap_or(start));
        }
        if let Some(day) = self.day_of_year {
            let most = if calendar::is_leap(year) { 366 } else { 365 };
            if self.month.is_none() && self.day.is_none() {
                if !(1..=most).contains(&day) {
                    return out_of_range(text);
                }
                return Ok(calendar::to_days(year, 1, 1) + day - 1);
            }
        }
        if let Some(week) = self.week.filter(|_| self.month.is_none()) {
            return Ok(calendar::to_days(year, 1, 1) + (week - 1) * 7);
        }
        let month = self.month.unwrap_or(1);
        let day = self
            .day
            .unwrap_or_else(|| self.week_of_month.map_or(1, |week| (week - 1) * 7 + 1));
        if !(1..=12).contains(&month) || day < 1 || day > calendar::month_days(year, month) {
            return out_of_range(text);
        }
        Ok(calendar::to_days(year, month, day))
    }

    fn time(&self, text: &str) -> Res<i64> {
        let mut tm = Fields {
            hour: self.hour,
            minute: self.minute,
            second: self.second,
            ..Fields::default()
        };
        if let Some(seconds) = self.seconds_of_day {
            (tm.hour, tm.minute, tm.second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        }
        if self.twelve_hours || self.pm.is_some() {
            if self.twelve_hours && !(1..=12).contains(&tm.hour) {
                let error = SqlError::new(
                    "22007",
                    format!("hour \"{}\" is invalid for the 12-hour clock", tm.hour),
                );
                return Err(error
                    .hint("Use the 24-hour clock, or give an hour between 1 and 12.")
                    .into());
            }
            match self.pm {
                Some(true) if tm.hour < 12 => tm.hour += 12,
                Some(false) if tm.hour == 12 => tm.hour = 0,
                None if tm.hour == 12 && self.twelve_hours => tm.hour = 0,
                _ => {}
            }
        }
        tm.micros = self.millis * 1000 + self.micros;
        if !(0..24).contains(&tm.hour)
            || !(0..60).contains(&tm.minute)
            || !(0..60).contains(&tm.second)
        {
            return out_of_range(text);
        }
        Ok(tm.time())
    }
}

fn read(text: &str, format: &str) -> Res<Read> {
    let nodes = formats::dates(format);
    let mut reader = Reader {
        rest: text,
        out: Read::default(),
        exact: false,
    };
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Node::Text { text, quoted } => reader.text(text, *quoted),
            Node::Key { key, fill, ordinal } => {
                if reader.rest.is_empty() {
                    break;
                }
                let free = *fill || !takes_digits(nodes.get(at + 1));
                reader.key(key, free)?;
                if ordinal.is_some() {
                    reader.rest = reader.rest.get(2..).unwrap_or("");
                }
            }
        }
    }
    Ok(reader.out)
}

fn to_date(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (text, format) = (args[0].str()?, args[1].str()?);
    let days = read(text, format)?.days(text)?;
    if !calendar::date_in_range(days) {
        return fail("22008", format!("date out of range: \"{text}\""));
    }
    Ok(Datum::Int(days))
}

fn to_timestamp(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (text, format) = (args[0].str()?, args[1].str()?);
    let found = read(text, format)?;
    let local = found
        .days(text)?
        .checked_mul(calendar::USECS_PER_DAY)
        .and_then(|d| d.checked_add(found.time(text).ok()?));
    found.time(text)?;
    let Some(local) = local else {
        return fail("22008", format!("timestamp out of range: \"{text}\""));
    };
    let offset = match found.offset {
        Some(offset) => {
            if found.negative_offset {
                -offset
            } else {
                offset
            }
        }
        None => ctx.settings.time_zone.offset_for(local).into(),
    };
    match local
        .checked_sub(offset * USECS_PER_SEC)
        .filter(|&at| calendar::in_range(at))
    {
        Some(at) => Ok(Datum::Int(at)),
        None => fail("22008", format!("timestamp out of range: \"{text}\"")),
    }
}

pub const FAMILIES: &[&[Function]] = &[&[
    stable("to_date", to_date),
    stable("to_timestamp", to_timestamp),
]];
