//! to_date and to_timestamp: text read along a picture, then the fields put together.

use super::picture::{self, Keyword, Mode, Node, Ordinal};
use super::ROMAN_MONTHS;
use crate::base::error::{fail, Res};
use crate::base::{pace, SqlError, Stop};
use crate::func::ctx::Ctx;
use crate::types::calendar::{self, DAYS, JULIAN_2000, MONTHS, USECS_PER_SEC};
use crate::types::text::is_space;
use crate::types::Datum;

const WIDTH_HINT: &str = "If your source string is not fixed-width, try using the \"FM\" modifier.";

/// What was read; 0 is "not said", as in PostgreSQL.
#[derive(Default)]
struct Found {
    mode: Option<Mode>,
    hour: i64,
    pm: i64,
    minute: i64,
    second: i64,
    seconds: i64,
    /// 1 is Sunday.
    weekday: i64,
    day: i64,
    day_of_year: i64,
    month: i64,
    millis: i64,
    micros: i64,
    year: i64,
    year_digits: i64,
    bc: i64,
    week: i64,
    week_of_month: i64,
    century: i64,
    julian: i64,
    twelve: bool,
    zone_sign: i64,
    zone_hours: i64,
    zone_minutes: i64,
}

fn invalid(message: String) -> Box<SqlError> {
    SqlError::new("22007", message)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    exact: bool,
    /// Characters skipped beyond what the picture said.
    extra: i64,
    found: Found,
}

/// Whether the field's number ends at something that can't be a digit of the next.
fn separated(nodes: &[Node], at: usize) -> bool {
    if let Some(Node::Field { ordinal, .. }) = nodes.get(at) {
        if *ordinal != Ordinal::No {
            return true;
        }
    }
    match nodes.get(at + 1) {
        None => true,
        Some(Node::Field { key, .. }) => !key.digits,
        Some(Node::Separator(c) | Node::Space(c) | Node::Char(c)) => !c.is_ascii_digit(),
    }
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn spaces(&mut self) -> i64 {
        let from = self.at;
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        (self.at - from) as i64
    }

    /// As strtol reads it: spaces, a sign, digits. `None`: nothing there.
    fn integer(text: &str) -> Option<(i64, usize)> {
        let body = text.trim_start_matches(is_space);
        let unsigned = body.strip_prefix(['+', '-']).unwrap_or(body);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let used = text.len() - unsigned.len() + digits;
        let size = unsigned[..digits].parse::<i64>().unwrap_or(i64::MAX / 2);
        let value = if body.starts_with('-') { -size } else { size };
        Some((value, used))
    }

    /// The number here, of `len` characters unless something ends it; answers how many it took.
    fn number(&mut self, len: usize, key: &Keyword, free: bool) -> Res<(i64, usize)> {
        self.spaces();
        let name = key.name;
        let rest = self.rest();
        let end = rest
            .char_indices()
            .nth(len)
            .map_or(rest.len(), |(at, _)| at);
        // bytes count, as in PostgreSQL; a cut inside a character takes all of it
        let mut cut = rest.len().min(len);
        while !rest.is_char_boundary(cut) {
            cut += 1;
        }
        let copy = &rest[..cut.min(end)];
        let read = if free {
            Self::integer(rest)
        } else {
            if copy.len() < len {
                return Err(invalid(format!(
                    "source string too short for \"{name}\" formatting field"
                ))
                .detail(format!(
                    "Field requires {len} characters, but only {} remain.",
                    copy.len()
                ))
                .hint(WIDTH_HINT)
                .into());
            }
            let read = Self::integer(copy);
            if let Some((_, used)) = read.filter(|&(_, used)| used < len) {
                return Err(invalid(format!("invalid value \"{copy}\" for \"{name}\""))
                    .detail(format!(
                        "Field requires {len} characters, but only {used} could be parsed."
                    ))
                    .hint(WIDTH_HINT)
                    .into());
            }
            read
        };
        let Some((value, used)) = read else {
            return Err(invalid(format!("invalid value \"{copy}\" for \"{name}\""))
                .detail("Value must be an integer.")
                .into());
        };
        if i32::try_from(value).is_err() {
            let message = format!("value for \"{name}\" in source string is out of range");
            return Err(SqlError::new("22008", message)
                .detail(format!(
                    "Value must be in the range {} to {}.",
                    i32::MIN,
                    i32::MAX
                ))
                .into());
        }
        self.at += used;
        Ok((value, used))
    }

    fn choice(&mut self, words: &[&str], cut: Option<usize>, key: &Keyword) -> Res<i64> {
        let rest = self.rest();
        for (at, word) in words.iter().enumerate() {
            let word = cut.map_or(*word, |cut| &word[..cut]);
            if rest
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
            {
                self.at += word.len();
                return Ok(at as i64);
            }
        }
        let shown = rest.split(is_space).next().unwrap_or_default();
        Err(
            invalid(format!("invalid value \"{shown}\" for \"{}\"", key.name))
                .detail("The given value did not match any of the allowed values for this field.")
                .into(),
        )
    }

    fn literal(&mut self, node: &Node) {
        match node {
            Node::Separator(_) | Node::Space(_) if !self.exact => {
                self.extra -= 1;
                if self
                    .peek()
                    .is_some_and(|c| is_space(c) || picture::is_separator(c))
                {
                    self.at += 1;
                    self.extra += 1;
                }
            }
            Node::Char(_) if !self.exact && self.extra > 0 => self.extra -= 1,
            _ => self.skip(),
        }
    }

    fn set_mode(&mut self, mode: Mode) -> Res<()> {
        if mode == Mode::None {
            return Ok(());
        }
        if *self.found.mode.get_or_insert(mode) == mode {
            return Ok(());
        }
        Err(
            invalid("invalid combination of date conventions".to_owned())
                .hint(
                    "Do not mix Gregorian and ISO week date conventions in a formatting template.",
                )
                .into(),
        )
    }

    fn run(&mut self, nodes: &[Node]) -> Res<()> {
        for (at, node) in nodes.iter().enumerate() {
            pace::step(picture::NODE)?;
            if self.rest().is_empty() {
                break;
            }
            let field = match node {
                Node::Field { key, .. } => Some(*key),
                _ => None,
            };
            let fixes = field.is_some_and(|key| key.name.eq_ignore_ascii_case("FX"));
            if !self.exact && !fixes && (field.is_some() || at == 0) {
                self.extra += self.spaces();
            }
            let Some(key) = field else {
                self.literal(node);
                continue;
            };
            self.set_mode(key.mode)?;
            if fixes {
                self.exact = true;
            } else {
                self.field(nodes, at, key)?;
            }
            if !self.exact {
                self.extra = self.spaces();
            }
        }
        Ok(())
    }

    fn field(&mut self, nodes: &[Node], at: usize, key: &'static Keyword) -> Res<()> {
        let Some(Node::Field { fill, ordinal, .. }) = nodes.get(at) else {
            return Ok(());
        };
        let free = *fill || separated(nodes, at);
        let name = key.name.to_ascii_uppercase();
        if !self.word(&name, key)? && !self.zone(&name, key, free)? {
            self.digits(&name, key, free)?;
            if *ordinal != Ordinal::No {
                self.skip();
                self.skip();
            }
        }
        Ok(())
    }

    fn word(&mut self, name: &str, key: &'static Keyword) -> Res<bool> {
        let (value, slot): (i64, fn(&mut Found) -> &mut i64) = match name {
            "A.M." | "P.M." | "AM" | "PM" => {
                let words: &[&str] = if name.len() == 4 {
                    &["a.m.", "p.m."]
                } else {
                    &["am", "pm"]
                };
                let value = self.choice(words, None, key)?;
                self.found.twelve = true;
                (value, |f| &mut f.pm)
            }
            "A.D." | "B.C." => (self.choice(&["a.d.", "b.c."], None, key)?, |f| &mut f.bc),
            "AD" | "BC" => (self.choice(&["ad", "bc"], None, key)?, |f| &mut f.bc),
            "MONTH" => (self.choice(&MONTHS, None, key)? + 1, |f| &mut f.month),
            "MON" => (self.choice(&MONTHS, Some(3), key)? + 1, |f| &mut f.month),
            "RM" => (12 - self.choice(&ROMAN_MONTHS, None, key)?, |f| {
                &mut f.month
            }),
            "DAY" => (self.choice(&DAYS, None, key)? + 1, |f| &mut f.weekday),
            "DY" => (self.choice(&DAYS, Some(3), key)? + 1, |f| &mut f.weekday),
            _ => return Ok(false),
        };
        set(slot(&mut self.found), value, key)?;
        Ok(true)
    }

    fn zone(&mut self, name: &str, key: &'static Keyword, free: bool) -> Res<bool> {
        match name {
            "TZ" | "OF" => fail(
                "0A000",
                format!(
                    "formatting field \"{}\" is only supported in to_char",
                    key.name
                ),
            ),
            "TZH" => {
                self.found.zone_sign = match self.peek() {
                    Some(c @ ('+' | '-' | ' ')) => {
                        self.at += 1;
                        if c == '-' {
                            -1
                        } else {
                            1
                        }
                    }
                    // a minus that was taken for a separator
                    _ if self.extra > 0 && self.text[..self.at].ends_with('-') => -1,
                    _ => 1,
                };
                let value = self.number(2, key, free)?.0;
                set(&mut self.found.zone_hours, value, key)?;
                Ok(true)
            }
            "TZM" => {
                if self.found.zone_sign == 0 {
                    self.found.zone_sign = 1;
                }
                let value = self.number(2, key, free)?.0;
                set(&mut self.found.zone_minutes, value, key)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn digits(&mut self, name: &str, key: &'static Keyword, free: bool) -> Res<()> {
        if matches!(name, "Y,YYY") {
            return self.comma_year(key);
        }
        let len = match name {
            "HH" | "HH12" | "HH24" => 2,
            "MS" | "IDDD" => 3,
            "US" | "FF6" => 6,
            "ID" => 1,
            _ if name.starts_with("FF") => usize::from(name.as_bytes()[2] - b'0'),
            _ => name.len(),
        };
        let (value, used) = self.number(len, key, free)?;
        let found = &mut self.found;
        match name {
            "HH" | "HH12" => {
                found.twelve = true;
                set(&mut found.hour, value, key)
            }
            "HH24" => set(&mut found.hour, value, key),
            "MI" => set(&mut found.minute, value, key),
            "SS" => set(&mut found.second, value, key),
            "SSSS" | "SSSSS" => set(&mut found.seconds, value, key),
            "MS" => {
                set(&mut found.millis, value, key)?;
                found.millis *= [1, 100, 10].get(used).copied().unwrap_or(1);
                Ok(())
            }
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                set(&mut found.micros, value, key)?;
                found.micros *= 10i64.pow(6u32.saturating_sub(used as u32));
                Ok(())
            }
            "MM" => set(&mut found.month, value, key),
            "DDD" | "IDDD" => set(&mut found.day_of_year, value, key),
            "DD" => set(&mut found.day, value, key),
            "D" => set(&mut found.weekday, value, key),
            "ID" => {
                set(&mut found.weekday, value, key)?;
                found.weekday = if found.weekday >= 7 {
                    1
                } else {
                    found.weekday + 1
                };
                Ok(())
            }
            "WW" | "IW" => set(&mut found.week, value, key),
            "W" => set(&mut found.week_of_month, value, key),
            "J" => set(&mut found.julian, value, key),
            "CC" => set(&mut found.century, value, key),
            "Q" => Ok(()),
            _ => {
                set(&mut found.year, value, key)?;
                let digits = name.bytes().filter(|b| *b == b'Y' || *b == b'I').count();
                found.year_digits = digits as i64;
                if digits < 4 && used < 4 {
                    found.year = near_2020(found.year);
                }
                Ok(())
            }
        }
    }

    fn comma_year(&mut self, key: &'static Keyword) -> Res<()> {
        let rest = self.rest();
        let parsed = Self::integer(rest).and_then(|(thousands, used)| {
            let after = rest[used..].strip_prefix(',')?;
            let body = &after[..after.bytes().take(3).take_while(u8::is_ascii_digit).count()];
            let years = body.parse::<i64>().ok()?;
            Some((thousands * 1000 + years, used + 1 + body.len()))
        });
        let Some((year, used)) = parsed else {
            return fail("22007", "invalid input string for \"Y,YYY\"");
        };
        set(&mut self.found.year, year, key)?;
        self.found.year_digits = 4;
        self.at += used;
        Ok(())
    }
}

fn set(slot: &mut i64, value: i64, key: &Keyword) -> Res<()> {
    if *slot != 0 && *slot != value {
        return Err(invalid(format!(
            "conflicting values for \"{}\" field in formatting string",
            key.name
        ))
        .detail("This value contradicts a previous setting for the same field type.")
        .into());
    }
    *slot = value;
    Ok(())
}

/// Years of fewer than four digits are near 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        ..=69 => year + 2000,
        70..=99 => year + 1900,
        100..=519 => year + 2000,
        520..=999 => year + 1000,
        _ => year,
    }
}

/// Year 0 is 1 BC.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    /// Which of them were said.
    said: [bool; 3],
}

impl Date {
    fn set_days(&mut self, days: i64) {
        (self.year, self.month, self.day) = calendar::from_days(days);
        self.said = [true; 3];
    }
}

impl Found {
    fn year(&mut self) -> Option<i64> {
        if self.bc != 0 {
            self.century = -self.century;
        }
        if self.year != 0 && !(self.century != 0 && self.year_digits <= 2) {
            let year = if self.bc != 0 { -self.year } else { self.year };
            return Some(if year < 0 { year + 1 } else { year });
        }
        let century = self.century;
        if self.year != 0 {
            let year = self.year % 100;
            return Some(match (year, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (year, true) => year + (century - 1) * 100,
                (year, false) => (century + 1) * 100 - year + 1,
            });
        }
        match century {
            0 => None,
            century if century > 0 => Some((century - 1) * 100 + 1),
            century => Some(century * 100 + 1),
        }
    }

    fn date(&mut self) -> Res<Date> {
        let mut date = Date {
            year: 0,
            month: 1,
            day: 1,
            said: [false; 3],
        };
        if let Some(year) = self.year() {
            date.year = year;
            date.said[0] = true;
        }
        if self.julian != 0 {
            date.set_days(self.julian - JULIAN_2000);
        }
        let iso = self.mode == Some(Mode::IsoWeek);
        if self.week != 0 {
            if iso {
                let monday = calendar::iso_year_start(date.year) + (self.week - 1) * 7;
                date.set_days(match self.weekday {
                    0 => monday,
                    1 => monday + 6,
                    day => monday + day - 2,
                });
            } else {
                self.day_of_year = (self.week - 1) * 7 + 1;
            }
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            (date.day, date.said[2]) = (self.day, true);
        }
        if self.month != 0 {
            (date.month, date.said[1]) = (self.month, true);
        }
        if self.day_of_year != 0 && (date.month <= 1 || date.day <= 1) {
            self.apply_day_of_year(&mut date, iso)?;
        }
        Ok(date)
    }

    fn apply_day_of_year(&self, date: &mut Date, iso: bool) -> Res<()> {
        if date.year == 0 && self.bc == 0 {
            return fail(
                "22007",
                "cannot calculate day of year without year information",
            );
        }
        if iso {
            date.set_days(calendar::iso_year_start(date.year) + self.day_of_year - 1);
            return Ok(());
        }
        let mut month = 1;
        let mut before = 0;
        while month < 13
            && self.day_of_year > before + calendar::month_days(date.year, month.min(12))
        {
            before += calendar::month_days(date.year, month.min(12));
            month += 1;
        }
        if date.month <= 1 {
            date.month = month;
        }
        if date.day <= 1 {
            date.day = self.day_of_year - before;
        }
        (date.said[1], date.said[2]) = (true, true);
        Ok(())
    }

    /// Hours to micros as one time of day; `None` out of range.
    fn time(&self) -> Res<Option<i64>> {
        let mut hour = self.seconds / 3600;
        let mut minute = self.seconds % 3600 / 60;
        let mut second = self.seconds % 60;
        for (part, said) in [
            (&mut second, self.second),
            (&mut minute, self.minute),
            (&mut hour, self.hour),
        ] {
            if said != 0 {
                *part = said;
            }
        }
        if self.twelve {
            if !(1..=12).contains(&hour) {
                return Err(
                    invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                        .hint("Use the 24-hour clock, or give an hour between 1 and 12.")
                        .into(),
                );
            }
            hour = match (self.pm != 0, hour) {
                (true, 12) => 12,
                (true, hour) => hour + 12,
                (false, 12) => 0,
                (false, hour) => hour,
            };
        }
        let micros = self.millis * 1000 + self.micros;
        let good = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..USECS_PER_SEC).contains(&micros);
        Ok(good.then_some(((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + micros))
    }
}

fn overflow(text: &str) -> Stop {
    SqlError::new(
        "22008",
        format!("date/time field value out of range: \"{text}\""),
    )
    .into()
}

struct Parsed {
    date: Date,
    time: i64,
    /// Seconds east of UTC.
    offset: Option<i64>,
}

fn parse(text: &str, format: &str) -> Res<Parsed> {
    let mut reader = Reader {
        text,
        at: 0,
        exact: false,
        extra: 0,
        found: Found::default(),
    };
    reader.run(&picture::dates(format)?)?;
    let mut found = reader.found;
    let time = found.time()?;
    let date = found.date()?;
    let whole = date.said == [true; 3];
    if (date.said[1] && !(1..=12).contains(&date.month))
        || (date.said[2] && !(1..=31).contains(&date.day))
        || (whole && date.day > calendar::month_days(date.year, date.month))
    {
        return Err(overflow(text));
    }
    let Some(time) = time else {
        return Err(overflow(text));
    };
    let mut offset = None;
    if found.zone_sign != 0 {
        if !(0..=15).contains(&found.zone_hours) || !(0..60).contains(&found.zone_minutes) {
            return fail(
                "22009",
                format!("time zone displacement out of range: \"{text}\""),
            );
        }
        offset = Some(found.zone_sign * (found.zone_hours * 3600 + found.zone_minutes * 60));
    }
    Ok(Parsed { date, time, offset })
}

pub fn to_date(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let text = args[0].str()?;
    let date = parse(text, args[1].str()?)?.date;
    let days = calendar::to_days(date.year, date.month, date.day);
    if !calendar::date_in_range(days) {
        return fail("22008", format!("date out of range: \"{text}\""));
    }
    Ok(Datum::Int(days))
}

pub fn to_timestamp(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let Parsed { date, time, offset } = parse(args[0].str()?, args[1].str()?)?;
    let days = calendar::to_days(date.year, date.month, date.day);
    let local = days
        .checked_mul(calendar::USECS_PER_DAY)
        .and_then(|micros| micros.checked_add(time));
    let moment = local.map(|local| match offset {
        Some(offset) => local.saturating_sub(offset * USECS_PER_SEC),
        None => ctx.settings.time_zone.to_utc(local),
    });
    match moment.filter(|&micros| calendar::in_range(micros)) {
        Some(micros) => Ok(Datum::Int(micros)),
        None => fail("22008", "timestamp out of range"),
    }
}
