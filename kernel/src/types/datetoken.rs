//! Cutting date, time and interval texts into fields, and the words that may stand in them.

use super::text::is_space;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Word,
    Date,
    Time,
    Zone,
    Special,
}

#[derive(Debug, Clone)]
pub struct Field {
    pub kind: Kind,
    /// Lower case.
    pub text: String,
}

const MAX_FIELDS: usize = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Month(i64),
    Dow,
    Am,
    Pm,
    Ad,
    Bc,
    Unit(Unit),
    IsoTime,
    Now,
    Today,
    Tomorrow,
    Yesterday,
    Zulu,
    Epoch,
    Late,
    Early,
    DaylightModifier,
    Ignore,
}

/// Keywords count to ten letters.
fn key(text: &str) -> &str {
    text.get(..10).unwrap_or(text)
}

/// Words of dates and times.
pub fn word(text: &str) -> Option<Word> {
    Some(match key(text) {
        "-infinity" => Word::Early,
        "infinity" => Word::Late,
        "ad" => Word::Ad,
        "bc" => Word::Bc,
        "allballs" => Word::Zulu,
        "am" => Word::Am,
        "pm" => Word::Pm,
        "at" | "on" => Word::Ignore,
        "dst" => Word::DaylightModifier,
        "epoch" => Word::Epoch,
        "now" => Word::Now,
        "today" => Word::Today,
        "tomorrow" => Word::Tomorrow,
        "yesterday" => Word::Yesterday,
        "t" => Word::IsoTime,
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "wednesday"
        | "weds" | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat"
        | "saturday" => Word::Dow,
        "d" => Word::Unit(Unit::Day),
        "dow" => Word::Unit(Unit::Dow),
        "doy" => Word::Unit(Unit::Doy),
        "h" => Word::Unit(Unit::Hour),
        "isodow" => Word::Unit(Unit::IsoDow),
        "isoyear" => Word::Unit(Unit::IsoYear),
        "j" | "jd" | "julian" => Word::Unit(Unit::Julian),
        "m" => Word::Unit(Unit::Month),
        "mm" => Word::Unit(Unit::Minute),
        "s" => Word::Unit(Unit::Second),
        "y" => Word::Unit(Unit::Year),
        _ => return None,
    })
}

/// Units of intervals, date_trunc and extract.
pub fn unit(text: &str) -> Option<Unit> {
    Some(match key(text) {
        "c" | "cent" | "centuries" | "century" => Unit::Century,
        "d" | "day" | "days" => Unit::Day,
        "dec" | "decade" | "decades" | "decs" => Unit::Decade,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "microsecon" | "us" | "usec" | "usecond" | "useconds" | "usecs" => Unit::Microsecond,
        "mil" | "millennia" | "millennium" | "mils" => Unit::Millennium,
        "millisecon" | "ms" | "msec" | "msecond" | "mseconds" | "msecs" => Unit::Millisecond,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "timezone" => Unit::Timezone,
        "timezone_h" => Unit::TimezoneHour,
        "timezone_m" => Unit::TimezoneMinute,
        "w" | "week" | "weeks" => Unit::Week,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        _ => return None,
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn take_while(&mut self, out: &mut String, test: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && test(self.peek()) {
            out.push(self.peek().to_ascii_lowercase() as char);
            self.at += 1;
        }
    }

    fn take(&mut self, out: &mut String) {
        out.push(self.peek().to_ascii_lowercase() as char);
        self.at += 1;
    }
}

/// `None`: nothing that could be a date or time.
pub fn split(text: &str) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut cursor = Cursor {
        bytes: text.as_bytes(),
        at: 0,
    };
    while cursor.at < text.len() {
        let first = cursor.peek();
        if is_space(first as char) {
            cursor.at += 1;
            continue;
        }
        let mut out = String::new();
        let kind = match first {
            b'0'..=b'9' => digits_first(&mut cursor, &mut out),
            b'.' => {
                cursor.take(&mut out);
                cursor.take_while(&mut out, |b| b.is_ascii_digit());
                Kind::Number
            }
            b if b.is_ascii_alphabetic() => letters_first(&mut cursor, &mut out),
            b'+' | b'-' => sign_first(&mut cursor, &mut out)?,
            b if b.is_ascii_punctuation() => {
                cursor.at += 1;
                continue;
            }
            _ => return None,
        };
        fields.push(Field { kind, text: out });
        if fields.len() > MAX_FIELDS {
            return None;
        }
    }
    Some(fields)
}

fn digits_first(cursor: &mut Cursor<'_>, out: &mut String) -> Kind {
    cursor.take_while(out, |b| b.is_ascii_digit());
    match cursor.peek() {
        b':' => {
            cursor.take_while(out, |b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
            Kind::Time
        }
        delimiter @ (b'-' | b'/' | b'.') => {
            cursor.take(out);
            if cursor.peek().is_ascii_digit() {
                let mut kind = if delimiter == b'.' {
                    Kind::Number
                } else {
                    Kind::Date
                };
                cursor.take_while(out, |b| b.is_ascii_digit());
                if cursor.peek() == delimiter {
                    kind = Kind::Date;
                    cursor.take_while(out, |b| b.is_ascii_digit() || b == delimiter);
                }
                return kind;
            }
            // no digits after "1." is still a number
            if delimiter == b'.' && !cursor.peek().is_ascii_alphanumeric() {
                return Kind::Number;
            }
            cursor.take_while(out, |b| b.is_ascii_alphanumeric() || b == delimiter);
            Kind::Date
        }
        _ => Kind::Number,
    }
}

fn letters_first(cursor: &mut Cursor<'_>, out: &mut String) -> Kind {
    cursor.take_while(out, |b| b.is_ascii_alphabetic());
    let is_date = match cursor.peek() {
        b'-' | b'/' | b'.' => true,
        b'+' | b'0'..=b'9' => word(out).is_none(),
        _ => false,
    };
    if !is_date {
        return Kind::Word;
    }
    cursor.take_while(out, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
    });
    Kind::Date
}

fn sign_first(cursor: &mut Cursor<'_>, out: &mut String) -> Option<Kind> {
    cursor.take(out);
    while is_space(cursor.peek() as char) && cursor.at < cursor.bytes.len() {
        cursor.at += 1;
    }
    if cursor.peek().is_ascii_digit() {
        cursor.take_while(out, |b| {
            b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-')
        });
        Some(Kind::Zone)
    } else if cursor.peek().is_ascii_alphabetic() {
        cursor.take_while(out, |b| b.is_ascii_alphabetic());
        Some(Kind::Special)
    } else {
        None
    }
}
