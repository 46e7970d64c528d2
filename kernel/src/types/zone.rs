//! Time zones: IANA ones, fixed offsets, and the abbreviations that inputs may name.

use jiff::tz::TimeZone;

#[derive(Debug, Clone)]
pub struct Zone {
    /// As SHOW TimeZone prints it.
    pub name: String,
    pub(super) rule: Rule,
}

#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// Seconds east of UTC.
    Fixed(i32),
    Iana(TimeZone),
}

impl Zone {
    pub fn utc() -> Zone {
        Zone {
            name: "UTC".to_owned(),
            rule: Rule::Fixed(0),
        }
    }
}
