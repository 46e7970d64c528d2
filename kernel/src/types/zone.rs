//! Time zones: IANA ones, POSIX rules and fixed offsets. Offsets are seconds east of UTC; times are µs from 2000-01-01.

use super::abbreviations::{self, Meaning};
use super::calendar::{self, UNIX_2000, USECS_PER_SEC};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{civil, Timestamp};

#[derive(Debug, Clone)]
pub struct Zone {
    /// As SHOW TimeZone prints it.
    pub name: String,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    Fixed(i32),
    Tz(TimeZone),
}

/// Seconds in 400 years, after which the calendar repeats.
const CYCLE: i64 = 146_097 * 86_400;

/// What a zone says of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    pub offset: i32,
    pub dst: bool,
    pub abbreviation: String,
}

impl Zone {
    pub fn utc() -> Zone {
        Zone {
            name: "UTC".to_owned(),
            rule: Rule::Fixed(0),
        }
    }

    /// `seconds` east of UTC.
    pub fn fixed(seconds: i32) -> Zone {
        let mut text = Vec::new();
        super::dateput::put_offset(seconds, false, &mut text);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let mut opposite = Vec::new();
        super::dateput::put_offset(-seconds, false, &mut opposite);
        Zone {
            name: format!("<{shown}>{}", String::from_utf8_lossy(&opposite)),
            rule: Rule::Fixed(seconds),
        }
    }

    /// An IANA name (case doesn't count) or a POSIX rule.
    pub fn named(name: &str) -> Option<Zone> {
        if name.eq_ignore_ascii_case("UTC")
            || name.eq_ignore_ascii_case("GMT")
            || name.eq_ignore_ascii_case("Etc/UTC")
        {
            let known = ["UTC", "GMT", "Etc/UTC"]
                .into_iter()
                .find(|k| k.eq_ignore_ascii_case(name))?;
            return Some(Zone {
                name: known.to_owned(),
                rule: Rule::Fixed(0),
            });
        }
        if name.is_empty() || !name.is_ascii() {
            return None;
        }
        let found = TimeZone::get(name)
            .ok()
            .filter(|tz| tz.iana_name().is_some());
        if let Some(tz) = found {
            return Some(Zone {
                name: tz.iana_name().unwrap_or(name).to_owned(),
                rule: Rule::Tz(tz),
            });
        }
        let tz = TimeZone::posix(name).ok()?;
        Some(Zone {
            name: name.to_owned(),
            rule: Rule::Tz(tz),
        })
    }

    /// What SET TimeZone takes: a name, or a number of hours east of UTC.
    pub fn parse(text: &str) -> Option<Zone> {
        let text = text.trim();
        if let Ok(hours) = text.parse::<f64>() {
            if hours.abs() < 168.0 {
                return Some(Zone::fixed((hours * 3600.0) as i32));
            }
            return None;
        }
        Zone::named(text)
    }

    /// Seconds east, when that never changes.
    pub fn constant(&self) -> Option<i32> {
        match &self.rule {
            Rule::Fixed(offset) => Some(*offset),
            Rule::Tz(tz) => tz.to_fixed_offset().ok().map(|o| o.seconds()),
        }
    }

    /// The offset in force at a moment of UTC.
    pub fn offset_at(&self, utc: i64) -> i32 {
        match &self.rule {
            Rule::Fixed(offset) => *offset,
            Rule::Tz(tz) => tz.to_offset(stamp(utc)).seconds(),
        }
    }

    pub fn moment(&self, utc: i64) -> Moment {
        match &self.rule {
            Rule::Fixed(offset) => Moment {
                offset: *offset,
                dst: false,
                abbreviation: self.fixed_abbreviation(),
            },
            Rule::Tz(tz) => {
                let info = tz.to_offset_info(stamp(utc));
                Moment {
                    offset: info.offset().seconds(),
                    dst: info.dst().is_dst(),
                    abbreviation: info.abbreviation().to_owned(),
                }
            }
        }
    }

    fn fixed_abbreviation(&self) -> String {
        match self
            .name
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
        {
            Some((inside, _)) => inside.to_owned(),
            None if self.name == "Etc/UTC" => "UTC".to_owned(),
            None => self.name.clone(),
        }
    }

    /// The offset for a local time: before the change in a gap, after it where a time comes twice.
    pub fn offset_for(&self, local: i64) -> i32 {
        match &self.rule {
            Rule::Fixed(offset) => *offset,
            Rule::Tz(tz) => match tz.to_ambiguous_timestamp(datetime(local)).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
                AmbiguousOffset::Gap { before, .. } => before.seconds(),
                AmbiguousOffset::Fold { after, .. } => after.seconds(),
            },
        }
    }

    /// Local time of a moment.
    pub fn to_local(&self, utc: i64) -> i64 {
        utc.saturating_add(i64::from(self.offset_at(utc)) * USECS_PER_SEC)
    }

    /// The moment of a local time.
    pub fn to_utc(&self, local: i64) -> i64 {
        local.saturating_sub(i64::from(self.offset_for(local)) * USECS_PER_SEC)
    }

    /// The offset that this zone gave to an abbreviation at about a local time (`None`: it never used it there).
    fn offset_of(&self, abbreviation: &str, local: i64) -> i32 {
        let now = self.moment(self.to_utc(local));
        if now.abbreviation.eq_ignore_ascii_case(abbreviation) {
            return now.offset;
        }
        let Rule::Tz(tz) = &self.rule else {
            return now.offset;
        };
        let here = stamp(self.to_utc(local));
        let before = tz
            .preceding(here)
            .take(400)
            .find(|t| t.abbreviation().eq_ignore_ascii_case(abbreviation));
        if let Some(found) = before {
            return found.offset().seconds();
        }
        let after = tz
            .following(here)
            .take(400)
            .find(|t| t.abbreviation().eq_ignore_ascii_case(abbreviation));
        after.map_or(now.offset, |found| found.offset().seconds())
    }
}

/// An abbreviation's offset at a local time; `None`: not one that is known.
pub fn abbreviation_offset(word: &str, local: i64) -> Option<i32> {
    match abbreviations::find(word)? {
        Meaning::Offset(offset, _) => Some(offset),
        Meaning::Zone(name) => Zone::named(name).map(|zone| zone.offset_of(word, local)),
    }
}

fn unix(micros: i64) -> (i64, i32) {
    let seconds = micros.div_euclid(USECS_PER_SEC) + UNIX_2000;
    (
        fold(seconds),
        (micros.rem_euclid(USECS_PER_SEC) * 1000) as i32,
    )
}

/// Years beyond what the zone library has behave like the same year of a nearer cycle.
fn fold(seconds: i64) -> i64 {
    const LAST: i64 = 200_000_000_000;
    if seconds <= LAST {
        return seconds;
    }
    seconds - ((seconds - LAST).div_euclid(CYCLE) + 1) * CYCLE
}

fn stamp(micros: i64) -> Timestamp {
    let (seconds, nanos) = unix(micros);
    Timestamp::new(seconds, nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn datetime(local: i64) -> civil::DateTime {
    let (seconds, nanos) = unix(local);
    let fields = calendar::timestamp_fields((seconds - UNIX_2000).saturating_mul(USECS_PER_SEC));
    civil::DateTime::new(
        fields.year as i16,
        fields.month as i8,
        fields.day as i8,
        fields.hour as i8,
        fields.minute as i8,
        fields.second as i8,
        nanos,
    )
    .unwrap_or(civil::DateTime::ZERO)
}
