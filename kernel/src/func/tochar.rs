//! to_char() of timestamps and intervals.

use super::formats::{self, Node};
use super::registry::{stable, Function};
use super::timestamps::to_local;
use super::Ctx;
use crate::base::error::Res;
use crate::base::SqlError;
use crate::types::calendar::{
    self, is_infinite, timestamp_fields, Fields, DAYS, MONTHS, USECS_PER_SEC,
};
use crate::types::zone::Moment;
use crate::types::{Datum, Interval};

pub const ROMAN_MONTHS: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

struct Source {
    tm: Fields,
    /// Days from 2000-01-01; of an interval, as if it were a date.
    days: i64,
    day_of_year: i64,
    interval: bool,
    zone: Option<Moment>,
}

fn not_for_intervals<T>() -> Res<T> {
    let error = SqlError::new(
        "22007",
        "invalid format specification for an interval value",
    );
    Err(error
        .hint("Intervals are not tied to specific calendar dates.")
        .into())
}

fn number(value: i64, width: usize, fill: bool) -> String {
    if fill {
        return value.to_string();
    }
    let width = width + usize::from(value < 0);
    format!("{value:0width$}")
}

fn padded(text: String, width: usize, fill: bool) -> String {
    if fill {
        text
    } else {
        format!("{text:<width$}")
    }
}

/// In the case in which the keyword is written: DAY, Day or day.
fn cased(word: &str, key: &str) -> String {
    if key.bytes().all(|b| !b.is_ascii_lowercase()) {
        word.to_uppercase()
    } else if key.starts_with(|c: char| c.is_ascii_uppercase()) {
        word.to_owned()
    } else {
        word.to_lowercase()
    }
}

impl Source {
    fn year(&self, year: i64) -> i64 {
        if self.interval || year > 0 {
            year
        } else {
            1 - year
        }
    }

    fn century(&self) -> i64 {
        let year = self.tm.year;
        if self.interval {
            year / 100
        } else if year > 0 {
            (year - 1) / 100 + 1
        } else {
            year / 100 - 1
        }
    }

    /// The text of one keyword; years and the like with an ordinal get it from the caller.
    fn show(&self, key: &str, fill: bool) -> Res<String> {
        let tm = &self.tm;
        let upper = key.to_uppercase();
        let half = tm.hour % 12;
        Ok(match upper.as_str() {
            "A.M." | "P.M." => cased(if tm.hour % 24 >= 12 { "P.M." } else { "A.M." }, key),
            "AM" | "PM" => cased(if tm.hour % 24 >= 12 { "PM" } else { "AM" }, key),
            "HH" | "HH12" => number(if half == 0 { 12 } else { half }, 2, fill),
            "HH24" => number(tm.hour, 2, fill),
            "MI" => number(tm.minute, 2, fill),
            "SS" => number(tm.second, 2, fill),
            "MS" | "FF3" => format!("{:03}", tm.micros / 1000),
            "US" | "FF6" => format!("{:06}", tm.micros),
            "FF1" => format!("{:01}", tm.micros / 100_000),
            "FF2" => format!("{:02}", tm.micros / 10_000),
            "FF4" => format!("{:04}", tm.micros / 100),
            "FF5" => format!("{:05}", tm.micros / 10),
            "SSSS" | "SSSSS" => (tm.hour * 3600 + tm.minute * 60 + tm.second).to_string(),
            "FX" => String::new(),
            "CC" => {
                let century = self.century();
                if century.abs() <= 99 {
                    number(century, 2, fill)
                } else {
                    century.to_string()
                }
            }
            "Y,YYY" => {
                let year = self.year(tm.year);
                format!("{},{:03}", year / 1000, year % 1000)
            }
            "YYYY" => number(self.year(tm.year), 4, fill),
            "YYY" => number(self.year(tm.year) % 1000, 3, fill),
            "YY" => number(self.year(tm.year) % 100, 2, fill),
            "Y" => number(self.year(tm.year) % 10, 1, fill),
            "MM" => number(tm.month, 2, fill),
            "DD" if fill => tm.day.to_string(),
            "DD" => format!("{:02}", tm.day),
            "DDD" => number(self.day_of_year, 3, fill),
            "WW" => number((self.day_of_year - 1) / 7 + 1, 2, fill),
            "W" => ((tm.day - 1) / 7 + 1).to_string(),
            "Q" if tm.month == 0 => String::new(),
            "Q" => ((tm.month - 1) / 3 + 1).to_string(),
            "RM" if tm.month == 0 && self.interval => String::new(),
            "RM" => {
                let at = (tm.month - 1).rem_euclid(12) as usize;
                padded(cased(ROMAN_MONTHS[at], key), 4, fill)
            }
            "J" => (self.days + calendar::JULIAN_2000).to_string(),
            _ if self.interval => return not_for_intervals(),
            "MONTH" => padded(cased(self.month(), key), 9, fill),
            "MON" => cased(&self.month()[..3], key),
            "DAY" => padded(cased(self.weekday(), key), 9, fill),
            "DY" => cased(&self.weekday()[..3], key),
            "D" => (calendar::weekday(self.days) + 1).to_string(),
            "ID" => ((calendar::weekday(self.days) + 6) % 7 + 1).to_string(),
            "A.D." | "B.C." => cased(if tm.year <= 0 { "B.C." } else { "A.D." }, key),
            "AD" | "BC" => cased(if tm.year <= 0 { "BC" } else { "AD" }, key),
            "IW" => number(calendar::iso_week(self.days).1, 2, fill),
            "IDDD" => {
                let start = calendar::iso_year_start(calendar::iso_week(self.days).0);
                number(self.days - start + 1, 3, fill)
            }
            "IYYY" => number(self.iso_year(), 4, fill),
            "IYY" => number(self.iso_year() % 1000, 3, fill),
            "IY" => number(self.iso_year() % 100, 2, fill),
            "I" => number(self.iso_year() % 10, 1, fill),
            _ => self.zone_part(&upper, key, fill),
        })
    }

    fn month(&self) -> &'static str {
        MONTHS[(self.tm.month - 1).rem_euclid(12) as usize]
    }

    fn weekday(&self) -> &'static str {
        DAYS[calendar::weekday(self.days) as usize]
    }

    fn iso_year(&self) -> i64 {
        self.year(calendar::iso_week(self.days).0)
    }

    fn zone_part(&self, upper: &str, key: &str, fill: bool) -> String {
        let offset = self.zone.as_ref().map_or(0, |zone| zone.offset);
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (
            i64::from(offset).abs() / 3600,
            i64::from(offset).abs() / 60 % 60,
        );
        match upper {
            "TZ" => self
                .zone
                .as_ref()
                .map_or(String::new(), |zone| cased(&zone.abbreviation, key)),
            "TZH" => format!("{sign}{hours:02}"),
            "TZM" => format!("{minutes:02}"),
            _ => {
                let mut out = format!("{sign}{}", number(hours, 2, fill));
                if minutes != 0 {
                    out.push_str(&format!(":{minutes:02}"));
                }
                out
            }
        }
    }
}

fn takes_ordinal(key: &str) -> bool {
    let upper = key.to_uppercase();
    !matches!(
        upper.as_str(),
        "A.D."
            | "A.M."
            | "AD"
            | "AM"
            | "B.C."
            | "BC"
            | "P.M."
            | "PM"
            | "DAY"
            | "DY"
            | "MONTH"
            | "MON"
            | "RM"
            | "TZ"
            | "TZH"
            | "TZM"
            | "OF"
            | "FX"
    )
}

fn write(source: &Source, format: &str) -> Res<Datum> {
    let mut out = String::new();
    for node in formats::dates(format) {
        match node {
            Node::Text { text, .. } => out.push_str(&text),
            Node::Key { key, fill, ordinal } => {
                let text = source.show(key, fill)?;
                out.push_str(&text);
                if let Some(case) = ordinal.filter(|_| takes_ordinal(key) && !text.is_empty()) {
                    out.push_str(formats::ordinal(&text, case));
                }
            }
        }
    }
    Ok(Datum::text(out))
}

fn of_timestamp(local: i64, zone: Option<Moment>) -> Source {
    let days = local.div_euclid(calendar::USECS_PER_DAY);
    Source {
        tm: timestamp_fields(local),
        days,
        day_of_year: calendar::day_of_year(days),
        interval: false,
        zone,
    }
}

fn of_interval(value: &Interval) -> Source {
    let tm = Fields {
        year: (value.months / 12).into(),
        month: (value.months % 12).into(),
        day: value.days.into(),
        hour: value.micros / (3600 * USECS_PER_SEC),
        minute: value.micros / (60 * USECS_PER_SEC) % 60,
        second: value.micros / USECS_PER_SEC % 60,
        micros: value.micros % USECS_PER_SEC,
    };
    // a month has thirty days here
    let days = i64::from(value.months) * 30 + i64::from(value.days);
    Source {
        tm,
        days: calendar::to_days(tm.year, tm.month, tm.day),
        day_of_year: days,
        interval: true,
        zone: None,
    }
}

fn timestamp(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (at, format) = (args[0].int()?, args[1].str()?);
    if is_infinite(at) || format.is_empty() {
        return Ok(Datum::Null);
    }
    write(&of_timestamp(at, None), format)
}

fn timestamptz(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (at, format) = (args[0].int()?, args[1].str()?);
    if is_infinite(at) || format.is_empty() {
        return Ok(Datum::Null);
    }
    let zone = &ctx.settings.time_zone;
    write(
        &of_timestamp(to_local(at, zone), Some(zone.moment(at))),
        format,
    )
}

fn interval(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let format = args[1].str()?;
    if format.is_empty() {
        return Ok(Datum::Null);
    }
    write(&of_interval(&args[0].interval()?), format)
}

pub const FAMILIES: &[&[Function]] = &[&[
    stable("timestamp_to_char", timestamp),
    stable("timestamptz_to_char", timestamptz),
    stable("interval_to_char", interval),
]];
