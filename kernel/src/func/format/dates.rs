//! to_char of times and intervals.

use super::picture::{self, Keyword, Node, Ordinal};
use super::{ordinal, ROMAN_MONTHS};
use crate::base::error::Res;
use crate::base::SqlError;
use crate::func::ctx::Ctx;
use crate::types::calendar::{
    self, Fields, DAYS, JULIAN_2000, MONTHS, USECS_PER_DAY, USECS_PER_HOUR,
};
use crate::types::Datum;

/// What a picture is filled with. Of an interval only the parts are there.
struct Moment {
    fields: Fields,
    interval: bool,
    /// From 2000-01-01; 0 for intervals.
    days: i64,
    day_of_year: i64,
    abbreviation: String,
    offset: i64,
}

impl Moment {
    fn of(local: i64) -> Moment {
        let days = local.div_euclid(USECS_PER_DAY);
        Moment {
            fields: calendar::timestamp_fields(local),
            interval: false,
            days,
            day_of_year: calendar::day_of_year(days),
            abbreviation: String::new(),
            offset: 0,
        }
    }

    /// Years before 1 count backwards, except in intervals.
    fn shown_year(&self, year: i64) -> i64 {
        if self.interval || year > 0 {
            year
        } else {
            1 - year
        }
    }

    fn date_only(&self) -> Res<()> {
        if !self.interval {
            return Ok(());
        }
        Err(SqlError::new(
            "22007",
            "invalid format specification for an interval value",
        )
        .hint("Intervals are not tied to specific calendar dates.")
        .into())
    }

    fn month(&self) -> Option<&'static str> {
        let at = usize::try_from(self.fields.month - 1).ok()?;
        MONTHS.get(at).copied()
    }

    fn day_name(&self) -> &'static str {
        DAYS[calendar::weekday(self.days) as usize]
    }

    fn century(&self) -> i64 {
        let year = self.fields.year;
        if self.interval {
            year / 100
        } else if year > 0 {
            (year - 1) / 100 + 1
        } else {
            year / 100 - 1
        }
    }

    /// XII is first in the table.
    fn roman_month(&self) -> Option<&'static str> {
        let Fields { year, month, .. } = self.fields;
        let at = match month {
            0 if year == 0 => return None,
            0 if year >= 0 => 0,
            0 => 11,
            m if m < 0 => -(m + 1),
            m => 12 - m,
        };
        ROMAN_MONTHS.get(at as usize).copied()
    }
}

struct Field {
    key: &'static Keyword,
    fill: bool,
    translated: bool,
    ordinal: Ordinal,
}

impl Field {
    /// In the letters' case of the keyword: `MON`, `Mon`, `mon`.
    fn word(&self, word: &str) -> String {
        let bytes = self.key.name.as_bytes();
        match (bytes[0].is_ascii_uppercase(), bytes[1].is_ascii_uppercase()) {
            (true, true) => word.to_ascii_uppercase(),
            (true, false) => word.to_owned(),
            _ => word.to_ascii_lowercase(),
        }
    }

    fn padded(&self, word: &str, width: usize) -> String {
        let word = self.word(word);
        if self.fill || self.translated {
            return word;
        }
        format!("{word:<width$}")
    }

    fn number(&self, value: i64, width: usize) -> String {
        let width = if self.fill { 0 } else { width };
        self.plain(format!("{value:0width$}"))
    }

    /// A minus sign takes a place of its own.
    fn signed(&self, value: i64, width: usize, sign: i64) -> String {
        self.number(value, width + usize::from(sign < 0))
    }

    fn plain(&self, mut text: String) -> String {
        match self.ordinal {
            Ordinal::No => {}
            Ordinal::Upper => text.push_str(ordinal(&text, true)),
            Ordinal::Lower => text.push_str(ordinal(&text, false)),
        }
        text
    }
}

fn clock(field: &Field, m: &Moment, name: &str) -> Option<String> {
    let f = &m.fields;
    Some(match name {
        "A.M." | "P.M." => half(field, f.hour, "A.M.", "P.M."),
        "AM" | "PM" => half(field, f.hour, "AM", "PM"),
        "HH" | "HH12" => {
            let hour = if f.hour % 12 == 0 { 12 } else { f.hour % 12 };
            field.signed(hour, 2, f.hour)
        }
        "HH24" => field.signed(f.hour, 2, f.hour),
        "MI" => field.signed(f.minute, 2, f.minute),
        "SS" => field.signed(f.second, 2, f.second),
        "FF1" => field.plain(format!("{:01}", f.micros / 100_000)),
        "FF2" => field.plain(format!("{:02}", f.micros / 10_000)),
        "FF3" | "MS" => field.plain(format!("{:03}", f.micros / 1_000)),
        "FF4" => field.plain(format!("{:04}", f.micros / 100)),
        "FF5" => field.plain(format!("{:05}", f.micros / 10)),
        "FF6" | "US" => field.plain(format!("{:06}", f.micros)),
        "SSSS" | "SSSSS" => field.plain(((f.hour * 60 + f.minute) * 60 + f.second).to_string()),
        _ => return None,
    })
}

fn half(field: &Field, hour: i64, am: &str, pm: &str) -> String {
    field.word(if hour % 24 >= 12 { pm } else { am })
}

fn zone(field: &Field, m: &Moment, name: &str) -> Option<String> {
    let (sign, size) = (if m.offset < 0 { '-' } else { '+' }, m.offset.abs());
    let (hours, minutes) = (size / 3600, size % 3600 / 60);
    Some(match name {
        "TZ" if field.key.name == "tz" => m.abbreviation.to_ascii_lowercase(),
        "TZ" => m.abbreviation.clone(),
        "TZH" => format!("{sign}{hours:02}"),
        "TZM" => format!("{minutes:02}"),
        "OF" => {
            let width = if field.fill { 0 } else { 2 };
            let tail = if minutes != 0 {
                format!(":{minutes:02}")
            } else {
                String::new()
            };
            format!("{sign}{hours:0width$}{tail}")
        }
        _ => return None,
    })
}

fn years(field: &Field, m: &Moment, name: &str) -> Option<String> {
    let iso = name.starts_with('I');
    let shown = m.shown_year(m.fields.year);
    let year = if iso {
        m.shown_year(calendar::iso_week(m.days).0)
    } else {
        shown
    };
    Some(match name {
        "YYYY" | "IYYY" => field.signed(year, 4, shown),
        "YYY" | "IYY" => field.signed(year % 1000, 3, shown),
        "YY" | "IY" => field.signed(year % 100, 2, shown),
        "Y" | "I" => field.plain((year % 10).to_string()),
        "Y,YYY" => field.plain(format!("{},{:03}", year / 1000, year % 1000)),
        "CC" => {
            let century = m.century();
            if century.abs() <= 99 {
                field.signed(century, 2, century)
            } else {
                field.plain(century.to_string())
            }
        }
        _ => return None,
    })
}

fn days(field: &Field, m: &Moment, name: &str) -> Option<String> {
    let weekday = calendar::weekday(m.days);
    Some(match name {
        "DAY" => field.padded(m.day_name(), 9),
        "DY" => field.word(&m.day_name()[..3]),
        "DDD" => field.number(m.day_of_year, 3),
        "IDDD" => {
            let start = calendar::iso_year_start(calendar::iso_week(m.days).0);
            field.number(m.days - start + 1, 3)
        }
        "DD" => field.number(m.fields.day, 2),
        "D" => field.plain((weekday + 1).to_string()),
        "ID" => field.plain(if weekday == 0 { 7 } else { weekday }.to_string()),
        "WW" => field.number((m.day_of_year - 1) / 7 + 1, 2),
        "IW" => field.number(calendar::iso_week(m.days).1, 2),
        "W" => field.plain(((m.fields.day - 1) / 7 + 1).to_string()),
        "J" => field.plain((m.days + JULIAN_2000).to_string()),
        _ => return None,
    })
}

fn months(field: &Field, m: &Moment, name: &str) -> Option<String> {
    Some(match name {
        "MONTH" => m
            .month()
            .map_or(String::new(), |month| field.padded(month, 9)),
        "MON" => m
            .month()
            .map_or(String::new(), |month| field.word(&month[..3])),
        "MM" => field.signed(m.fields.month, 2, m.fields.month),
        "Q" if m.fields.month == 0 => String::new(),
        "Q" => field.plain(((m.fields.month - 1) / 3 + 1).to_string()),
        "RM" => m
            .roman_month()
            .map_or(String::new(), |month| field.padded(month, 4)),
        "A.D." | "B.C." if m.fields.year <= 0 => field.word("B.C."),
        "A.D." | "B.C." => field.word("A.D."),
        "AD" | "BC" if m.fields.year <= 0 => field.word("BC"),
        "AD" | "BC" => field.word("AD"),
        _ => return None,
    })
}

/// Keywords that mean nothing without a date.
const DATED: &[&str] = &[
    "TZ", "TZH", "TZM", "OF", "A.D.", "B.C.", "AD", "BC", "MONTH", "MON", "DAY", "DY", "D", "ID",
];

fn fill(picture: &str, m: &Moment) -> Res<String> {
    let mut out = String::new();
    for node in picture::dates(picture)? {
        match node {
            Node::Separator(c) | Node::Space(c) | Node::Char(c) => out.push(c),
            Node::Field {
                key,
                fill,
                translated,
                ordinal,
            } => {
                let field = Field {
                    key,
                    fill,
                    translated,
                    ordinal,
                };
                let name = key.name.to_ascii_uppercase();
                if DATED.contains(&name.as_str()) {
                    m.date_only()?;
                }
                let written = clock(&field, m, &name)
                    .or_else(|| zone(&field, m, &name))
                    .or_else(|| years(&field, m, &name))
                    .or_else(|| days(&field, m, &name))
                    .or_else(|| months(&field, m, &name));
                out.push_str(&written.unwrap_or_default());
            }
        }
    }
    Ok(out)
}

pub fn timestamp(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (micros, picture) = (args[0].int()?, args[1].str()?);
    if picture.is_empty() || calendar::is_infinite(micros) {
        return Ok(Datum::Null);
    }
    Ok(Datum::text(fill(picture, &Moment::of(micros))?))
}

pub fn timestamptz(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (micros, picture) = (args[0].int()?, args[1].str()?);
    if picture.is_empty() || calendar::is_infinite(micros) {
        return Ok(Datum::Null);
    }
    let zone = ctx.settings.time_zone.moment(micros);
    let mut moment = Moment::of(ctx.settings.time_zone.to_local(micros));
    moment.abbreviation = zone.abbreviation;
    moment.offset = zone.offset.into();
    Ok(Datum::text(fill(picture, &moment)?))
}

pub fn interval(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (interval, picture) = (args[0].interval()?, args[1].str()?);
    if picture.is_empty() {
        return Ok(Datum::Null);
    }
    let micros = interval.micros;
    let fields = Fields {
        year: i64::from(interval.months / 12),
        month: i64::from(interval.months % 12),
        day: interval.days.into(),
        hour: micros / USECS_PER_HOUR,
        minute: micros / calendar::USECS_PER_MINUTE % 60,
        second: micros / calendar::USECS_PER_SEC % 60,
        micros: micros % calendar::USECS_PER_SEC,
    };
    let moment = Moment {
        day_of_year: (fields.year * 12 + fields.month) * 30 + fields.day,
        // its Julian day, for J: as if the parts were a date
        days: calendar::to_days(fields.year, fields.month, fields.day),
        fields,
        interval: true,
        abbreviation: String::new(),
        offset: 0,
    };
    Ok(Datum::text(fill(picture, &moment)?))
}
