//! Reading dates, times and timestamps: the rules by which PostgreSQL decides what each field of a text means.

use super::abbreviations;
use super::calendar::{self, Fields, USECS_PER_DAY};
pub use super::datepieces::{
    clock, displacement, error, fraction, zone_name, Bad, Parsed, ZoneName,
};
use super::datepieces::{integer, iso};
use super::datetoken::{self, Field, Kind, Unit, Word};
use super::settings::{DateOrder, Settings};
use super::zone::{self, Zone};

const YEAR: u32 = 1;
const MONTH: u32 = 2;
const DAY: u32 = 4;
const DOY: u32 = 8;
const TZ: u32 = 16;
const HOUR: u32 = 32;
const MINUTE: u32 = 64;
const SECOND: u32 = 128;
const DTZMOD: u32 = 256;
const AMPM: u32 = 1024;
const ADBC: u32 = 2048;
const DOW: u32 = 4096;
const DATE: u32 = YEAR | MONTH | DAY;
const TIME: u32 = HOUR | MINUTE | SECOND;

/// What a text said.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Local fields, and the offset in seconds east of UTC.
    Fields(Fields, i32),
    Epoch,
    Late,
    Early,
}

enum ZoneSpec {
    Offset(i32),
    Named(Zone),
    Abbreviation(String),
}

struct Parser<'a> {
    settings: &'a Settings,
    time_only: bool,
    have: u32,
    tm: Fields,
    yday: i64,
    text_month: bool,
    two_digits: bool,
    julian: bool,
    bc: bool,
    /// 12-hour clock: is it PM?
    meridian: Option<bool>,
    zone: Option<ZoneSpec>,
    /// What the field before said this one would be.
    next: Option<Word>,
    special: Option<Value>,
}

impl<'a> Parser<'a> {
    fn new(settings: &'a Settings, time_only: bool) -> Parser<'a> {
        Parser {
            settings,
            time_only,
            have: 0,
            tm: Fields::default(),
            yday: 0,
            text_month: false,
            two_digits: false,
            julian: false,
            bc: false,
            meridian: None,
            zone: None,
            next: None,
            special: None,
        }
    }

    /// In time-only texts numbers are read as if the date were already there.
    fn mask(&self) -> u32 {
        if self.time_only {
            self.have | DATE
        } else {
            self.have
        }
    }

    fn run(&mut self, fields: &[Field]) -> Parsed<()> {
        for (at, field) in fields.iter().enumerate() {
            let found = match field.kind {
                Kind::Date => self.date_field(at, fields)?,
                Kind::Time => self.time_field(&field.text)?,
                Kind::Zone => {
                    self.zone = Some(ZoneSpec::Offset(displacement(&field.text)?));
                    TZ
                }
                Kind::Number => self.number_field(at, fields)?,
                Kind::Word | Kind::Special => match self.word_field(at, fields)? {
                    Some(found) => found,
                    None => continue,
                },
            };
            if found & self.have != 0 {
                return Err(Bad::Format);
            }
            self.have |= found;
        }
        if self.next.is_some() {
            return Err(Bad::Format);
        }
        Ok(())
    }

    fn date_field(&mut self, at: usize, fields: &[Field]) -> Parsed<u32> {
        let text = &fields[at].text;
        if let Some(Word::Unit(Unit::Julian)) = self.next {
            self.next = None;
            let (days, rest) = integer(text)?;
            self.set_julian(days);
            self.zone = Some(ZoneSpec::Offset(displacement(rest)?));
            return Ok(DATE | TIME | TZ);
        }
        let starts_with_digit = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
        let date_allowed = if self.time_only {
            at == 0
                && fields.len() >= 2
                && (fields[fields.len() - 1].kind == Kind::Date || fields[1].kind == Kind::Time)
        } else {
            self.next.is_none() && self.have & (MONTH | DAY) != (MONTH | DAY)
        };
        if date_allowed {
            return self.date(text);
        }
        if !starts_with_digit && self.next.is_none() {
            return self.named_zone(text);
        }
        match self.next.take() {
            None | Some(Word::IsoTime) => {}
            _ => return Err(Bad::Format),
        }
        if self.have & TIME == TIME {
            return Err(Bad::Format);
        }
        let dash = text.find('-').ok_or(Bad::Format)?;
        self.zone = Some(ZoneSpec::Offset(displacement(&text[dash..])?));
        Ok(self.run_together(&text[..dash], self.mask())? | TZ)
    }

    fn named_zone(&mut self, text: &str) -> Parsed<u32> {
        match Zone::named(text) {
            Some(zone) => {
                self.zone = Some(ZoneSpec::Named(zone));
                Ok(TZ)
            }
            None => Err(Bad::Zone(text.to_owned())),
        }
    }

    fn time_field(&mut self, text: &str) -> Parsed<u32> {
        match self.next.take() {
            None | Some(Word::IsoTime) => {}
            _ => return Err(Bad::Format),
        }
        (self.tm.hour, self.tm.minute, self.tm.second, self.tm.micros) = clock(text)?;
        if self.tm.time() > USECS_PER_DAY || self.tm.hour > 24 {
            return Err(Bad::Overflow);
        }
        Ok(TIME)
    }

    fn number_field(&mut self, at: usize, fields: &[Field]) -> Parsed<u32> {
        let text = &fields[at].text;
        if let Some(label) = self.next.take() {
            return self.labelled(label, text);
        }
        let point = text.find('.');
        if self.time_only {
            return match point {
                Some(_)
                    if at == 0
                        && fields.len() >= 2
                        && fields[fields.len() - 1].kind == Kind::Date =>
                {
                    self.date(text)
                }
                Some(whole) if whole > 2 => self.run_together(text, self.mask()),
                Some(_) => Err(Bad::Format),
                None if text.len() > 4 => self.run_together(text, self.mask()),
                None => self.number(text, self.mask()),
            };
        }
        match point {
            Some(_) if self.have & DATE == 0 => self.date(text),
            Some(whole) if whole > 2 => self.run_together(text, self.have),
            _ if text.len() >= 6 && (self.have & DATE == 0 || self.have & TIME == 0) => {
                self.run_together(text, self.have)
            }
            _ => self.number(text, self.have),
        }
    }

    fn set_julian(&mut self, julian: i64) {
        let (year, month, day) = calendar::from_days(julian - calendar::JULIAN_2000);
        (self.tm.year, self.tm.month, self.tm.day) = (year, month, day);
        self.julian = true;
    }

    /// A number after a unit word: `y2001m02d04`, `J2451187`.
    fn labelled(&mut self, label: Word, text: &str) -> Parsed<u32> {
        if label == Word::IsoTime {
            let found = self.run_together(text, self.have | DATE)?;
            return if found == TIME {
                Ok(found)
            } else {
                Err(Bad::Format)
            };
        }
        let (value, rest) = integer(text)?;
        let Word::Unit(unit) = label else {
            return Err(Bad::Format);
        };
        let with_part = rest.starts_with('.') && matches!(unit, Unit::Julian | Unit::Second);
        if !rest.is_empty() && !with_part {
            return Err(Bad::Format);
        }
        Ok(match unit {
            Unit::Year => {
                self.tm.year = value;
                YEAR
            }
            // an M after a time is minutes
            Unit::Month if self.have & MONTH != 0 && self.have & HOUR != 0 => {
                self.tm.minute = value;
                MINUTE
            }
            Unit::Month => {
                self.tm.month = value;
                MONTH
            }
            Unit::Day => {
                self.tm.day = value;
                DAY
            }
            Unit::Hour => {
                self.tm.hour = value;
                HOUR
            }
            Unit::Minute => {
                self.tm.minute = value;
                MINUTE
            }
            Unit::Second => {
                self.tm.second = value;
                if rest.is_empty() {
                    return Ok(SECOND);
                }
                self.tm.micros = fraction(rest)?;
                SECOND
            }
            Unit::Julian => {
                if value < 0 {
                    return Err(Bad::Overflow);
                }
                self.set_julian(value);
                if rest.is_empty() {
                    return Ok(DATE);
                }
                let part: f64 = format!("0{rest}").parse().map_err(|_| Bad::Format)?;
                self.tm.set_time((part * USECS_PER_DAY as f64) as i64);
                DATE | TIME
            }
            _ => return Err(Bad::Format),
        })
    }

    fn word_field(&mut self, at: usize, fields: &[Field]) -> Parsed<Option<u32>> {
        let text = &fields[at].text;
        if self.next.is_none() && abbreviations::find(text).is_some() {
            self.zone = Some(ZoneSpec::Abbreviation(text.clone()));
            return Ok(Some(TZ));
        }
        let Some(word) = datetoken::word(text) else {
            return match Zone::named(text) {
                Some(zone) => {
                    self.zone = Some(ZoneSpec::Named(zone));
                    Ok(Some(TZ))
                }
                None => Err(Bad::Format),
            };
        };
        Ok(Some(match word {
            Word::Ignore => return Ok(None),
            Word::Month(month) => {
                let mut found = MONTH;
                if self.have & MONTH != 0
                    && !self.text_month
                    && self.have & DAY == 0
                    && (1..=31).contains(&self.tm.month)
                {
                    self.tm.day = self.tm.month;
                    found = DAY;
                }
                self.text_month = true;
                self.tm.month = month;
                found
            }
            Word::Dow => DOW,
            Word::Am | Word::Pm => {
                self.meridian = Some(word == Word::Pm);
                AMPM
            }
            Word::Ad | Word::Bc => {
                self.bc = word == Word::Bc;
                ADBC
            }
            Word::DaylightModifier => {
                if let Some(ZoneSpec::Offset(offset)) = &mut self.zone {
                    *offset += 3600;
                }
                DTZMOD
            }
            Word::Unit(_) => {
                self.next = Some(word);
                return Ok(None);
            }
            Word::IsoTime => {
                let followed = fields
                    .get(at + 1)
                    .is_some_and(|f| matches!(f.kind, Kind::Number | Kind::Time | Kind::Date));
                if (!self.time_only && self.have & DATE != DATE) || !followed {
                    return Err(Bad::Format);
                }
                self.next = Some(word);
                return Ok(None);
            }
            other => self.reserved(other)?,
        }))
    }

    fn reserved(&mut self, word: Word) -> Parsed<u32> {
        let settings = self.settings;
        let now = settings.time_zone.to_local(settings.now);
        let today = now.div_euclid(USECS_PER_DAY);
        let mut day = |days: i64| {
            let (year, month, day) = calendar::from_days(days);
            (self.tm.year, self.tm.month, self.tm.day) = (year, month, day);
        };
        if self.time_only && !matches!(word, Word::Now | Word::Zulu) {
            return Err(Bad::Format);
        }
        Ok(match word {
            Word::Now => {
                self.tm = calendar::timestamp_fields(now);
                self.zone = Some(ZoneSpec::Offset(settings.time_zone.offset_at(settings.now)));
                if self.time_only {
                    TIME | TZ
                } else {
                    DATE | TIME | TZ
                }
            }
            Word::Today => {
                day(today);
                DATE
            }
            Word::Tomorrow => {
                day(today + 1);
                DATE
            }
            Word::Yesterday => {
                day(today - 1);
                DATE
            }
            Word::Zulu => {
                self.tm.set_time(0);
                self.zone = Some(ZoneSpec::Offset(0));
                TIME | TZ
            }
            Word::Epoch | Word::Late | Word::Early => {
                self.special = Some(match word {
                    Word::Epoch => Value::Epoch,
                    Word::Late => Value::Late,
                    _ => Value::Early,
                });
                DATE | TIME | TZ
            }
            _ => return Err(Bad::Format),
        })
    }

    /// A date in one piece: `1999-01-08`, `8-Jan-1999`, `1/8/99`.
    fn date(&mut self, text: &str) -> Parsed<u32> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() && parts.len() < 25 {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            if rest.is_empty() {
                return Err(Bad::Format);
            }
            let digits = rest.as_bytes()[0].is_ascii_digit();
            let same = |b: u8| {
                if digits {
                    b.is_ascii_digit()
                } else {
                    b.is_ascii_alphabetic()
                }
            };
            let end = rest.bytes().position(|b| !same(b)).unwrap_or(rest.len());
            parts.push((digits, &rest[..end]));
            rest = &rest[end..];
            if let Some(first) = rest.chars().next().filter(|c| !c.is_ascii_alphanumeric()) {
                rest = &rest[first.len_utf8()..];
            }
        }
        let mut mask = self.have;
        let mut all = 0;
        let mut text_month = false;
        for (_, part) in parts.iter().filter(|(digits, _)| !digits) {
            let found = match datetoken::word(part) {
                Some(Word::Ignore) => continue,
                Some(Word::Month(month)) => {
                    self.tm.month = month;
                    text_month = true;
                    MONTH
                }
                _ => return Err(Bad::Format),
            };
            if mask & found != 0 {
                return Err(Bad::Format);
            }
            mask |= found;
            all |= found;
        }
        let outer = std::mem::replace(&mut self.text_month, text_month);
        for (_, part) in parts.iter().filter(|(digits, _)| *digits) {
            let found = self.number(part, mask)?;
            if mask & found != 0 {
                return Err(Bad::Format);
            }
            mask |= found;
            all |= found;
        }
        self.text_month = outer;
        if mask & !(DOY | TZ) & (DATE | DOY | TZ) != DATE {
            return Err(Bad::Format);
        }
        Ok(all)
    }

    /// One number: which part of the date it is follows from what is there and from DateStyle.
    fn number(&mut self, text: &str, mask: u32) -> Parsed<u32> {
        let len = text.len();
        let (value, rest) = integer(text)?;
        if rest.starts_with('.') {
            if len - rest.len() > 2 {
                return self.run_together(text, mask | DATE);
            }
            self.tm.micros = fraction(rest)?;
        } else if !rest.is_empty() {
            return Err(Bad::Format);
        }
        if len == 3 && mask & DATE == YEAR && (1..=366).contains(&value) {
            self.yday = value;
            return Ok(DOY | MONTH | DAY);
        }
        let order = self.settings.date_order;
        let wide = len >= 3 || order == DateOrder::Ymd;
        let found = match mask & DATE {
            0 if wide => YEAR,
            0 if order == DateOrder::Dmy => DAY,
            0 => MONTH,
            YEAR => MONTH,
            MONTH if self.text_month && wide => YEAR,
            MONTH => DAY,
            m if m == YEAR | MONTH => {
                if self.text_month && len >= 3 && self.two_digits {
                    self.tm.day = self.tm.year;
                    self.tm.year = value;
                    self.two_digits = false;
                    return Ok(DAY);
                }
                DAY
            }
            DAY => MONTH,
            m if m == MONTH | DAY => YEAR,
            DATE => return self.run_together(text, mask),
            _ => return Err(Bad::Format),
        };
        match found {
            YEAR => {
                self.tm.year = value;
                self.two_digits = len <= 2;
            }
            MONTH => self.tm.month = value,
            _ => self.tm.day = value,
        }
        Ok(found)
    }

    /// Digits run together: yyyymmdd, yymmdd, hhmmss, hhmm.
    fn run_together(&mut self, text: &str, mask: u32) -> Parsed<u32> {
        let mut digits = text;
        let parse = |part: &str| integer(part).map(|(value, _)| value);
        if let Some(point) = text.find('.') {
            self.tm.micros = fraction(&text[point..])?;
            digits = &text[..point];
        } else if mask & DATE != DATE && text.len() >= 6 && text.bytes().all(|b| b.is_ascii_digit())
        {
            let len = text.len();
            self.tm.day = parse(&text[len - 2..])?;
            self.tm.month = parse(&text[len - 4..len - 2])?;
            self.tm.year = parse(&text[..len - 4])?;
            self.two_digits = len - 4 == 2;
            return Ok(DATE);
        }
        if mask & TIME == TIME || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Bad::Format);
        }
        match digits.len() {
            6 => self.tm.second = parse(&digits[4..])?,
            4 => self.tm.second = 0,
            _ => return Err(Bad::Format),
        }
        self.tm.hour = parse(&digits[..2])?;
        self.tm.minute = parse(&digits[2..4])?;
        Ok(TIME)
    }

    fn validate(&mut self) -> Parsed<()> {
        if self.have & YEAR != 0 && !self.julian {
            if self.bc {
                if self.tm.year <= 0 {
                    return Err(Bad::Overflow);
                }
                self.tm.year = 1 - self.tm.year;
            } else if self.two_digits {
                self.tm.year += if self.tm.year < 70 { 2000 } else { 1900 };
            } else if self.tm.year <= 0 {
                return Err(Bad::Overflow);
            }
        }
        if self.have & DOY != 0 {
            let days = calendar::to_days(self.tm.year, 1, 1) + self.yday - 1;
            let (year, month, day) = calendar::from_days(days);
            (self.tm.year, self.tm.month, self.tm.day) = (year, month, day);
        }
        if self.have & MONTH != 0 && !(1..=12).contains(&self.tm.month) {
            return Err(Bad::MonthDay);
        }
        if self.have & DAY != 0 && !(1..=31).contains(&self.tm.day) {
            return Err(Bad::MonthDay);
        }
        if self.have & DATE == DATE
            && self.tm.day > calendar::month_days(self.tm.year, self.tm.month)
        {
            return Err(Bad::Overflow);
        }
        Ok(())
    }

    fn meridian(&mut self) -> Parsed<()> {
        let Some(pm) = self.meridian else {
            return Ok(());
        };
        if self.tm.hour > 12 {
            return Err(Bad::Overflow);
        }
        if !pm && self.tm.hour == 12 {
            self.tm.hour = 0;
        } else if pm && self.tm.hour != 12 {
            self.tm.hour += 12;
        }
        Ok(())
    }

    fn local(&self) -> i64 {
        let days = calendar::to_days(self.tm.year, self.tm.month, self.tm.day);
        days.saturating_mul(USECS_PER_DAY)
            .saturating_add(self.tm.time())
    }

    /// Seconds east of UTC at the parsed local time.
    fn offset(&self) -> Parsed<i32> {
        let modified = self.have & DTZMOD != 0;
        let extra = if modified { 3600 } else { 0 };
        match &self.zone {
            Some(ZoneSpec::Offset(offset)) => Ok(*offset),
            Some(ZoneSpec::Named(_)) | None if modified => Err(Bad::Format),
            Some(ZoneSpec::Named(zone)) => Ok(zone.offset_for(self.local())),
            Some(ZoneSpec::Abbreviation(word)) => zone::abbreviation_offset(word, self.local())
                .map(|o| o + extra)
                .ok_or(Bad::Format),
            None => Ok(self.settings.time_zone.offset_for(self.local())),
        }
    }
}

/// A date or timestamp.
pub fn parse(input: &str, settings: &Settings) -> Parsed<Value> {
    if let Some(value) = iso(input, settings) {
        return Ok(value);
    }
    let fields = datetoken::split(input).ok_or(Bad::Format)?;
    let mut parser = Parser::new(settings, false);
    parser.run(&fields)?;
    parser.validate_or_special()
}

impl Parser<'_> {
    fn validate_or_special(mut self) -> Parsed<Value> {
        if let Some(value) = self.special.take() {
            return Ok(value);
        }
        self.validate()?;
        self.meridian()?;
        if self.have & DATE != DATE {
            return Err(Bad::Format);
        }
        let offset = self.offset()?;
        Ok(Value::Fields(self.tm, offset))
    }
}

/// A time of day: µs, and the offset in seconds east.
pub fn parse_time(input: &str, settings: &Settings) -> Parsed<(i64, i32)> {
    let fields = datetoken::split(input).ok_or(Bad::Format)?;
    if fields.is_empty() {
        return Err(Bad::Format);
    }
    let mut parser = Parser::new(settings, true);
    parser.run(&fields)?;
    parser.validate()?;
    parser.meridian()?;
    if parser.have & TIME != TIME {
        return Err(Bad::Format);
    }
    let tm = parser.tm;
    if tm.hour > 24 || tm.minute > 59 || tm.second > 60 || tm.time() > USECS_PER_DAY {
        return Err(Bad::Overflow);
    }
    if parser.have & DATE != DATE {
        if let Some(ZoneSpec::Named(zone)) = &parser.zone {
            let offset = zone.constant().ok_or(Bad::Format)?;
            return Ok((tm.time(), offset));
        }
        let now = settings.time_zone.to_local(settings.now);
        (parser.tm.year, parser.tm.month, parser.tm.day) =
            calendar::from_days(now.div_euclid(USECS_PER_DAY));
    }
    let offset = parser.offset()?;
    Ok((tm.time(), offset))
}
