//! The settings that the kernel itself reads, with PostgreSQL's spellings in and out.

use crate::base::error::{fail, Res};
use crate::types::settings::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, Settings};
use crate::types::zone::Zone;
use std::sync::Arc;

/// 1970-01-01 in µs since 2000-01-01.
const UNIX_EPOCH: i64 = -946_684_800_000_000;

#[derive(Debug, Clone)]
pub struct Kept {
    /// Shared with running statements; replaced when something changes.
    pub settings: Arc<Settings>,
    /// Bytes.
    pub work_mem: usize,
    /// The current role is no superuser: what it may do is asked of Python.
    pub restricted: bool,
    /// The last `set_now`, µs since 2000-01-01.
    pub clock: i64,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            settings: Arc::default(),
            work_mem: 4 << 20,
            restricted: false,
            clock: 0,
        }
    }
}

impl Kept {
    /// The clock, µs since 1970-01-01.
    pub fn set_now(&mut self, micros: i64) {
        self.clock = micros.saturating_add(UNIX_EPOCH);
    }

    /// now() stands still from here.
    pub fn begin_transaction(&mut self) {
        let clock = self.clock;
        if self.settings.now != clock {
            Arc::make_mut(&mut self.settings).now = clock;
        }
    }

    pub fn begin_statement(&mut self) {
        let clock = self.clock;
        if self.settings.statement_start != clock {
            Arc::make_mut(&mut self.settings).statement_start = clock;
        }
    }

    /// `false`: not a setting of the kernel's.
    pub fn set(&mut self, name: &str, value: &str) -> Res<bool> {
        let settings = Arc::make_mut(&mut self.settings);
        match name.to_ascii_lowercase().as_str() {
            "datestyle" => date_style(settings, value)?,
            "timezone" => match Zone::parse(value.trim_matches('\'')) {
                Some(zone) => settings.time_zone = zone,
                None => return invalid("TimeZone", value),
            },
            "intervalstyle" => {
                settings.interval_style = match value.to_ascii_lowercase().as_str() {
                    "postgres" => IntervalStyle::Postgres,
                    "postgres_verbose" => IntervalStyle::PostgresVerbose,
                    "sql_standard" => IntervalStyle::SqlStandard,
                    "iso_8601" => IntervalStyle::Iso8601,
                    _ => return invalid("IntervalStyle", value),
                }
            }
            "extra_float_digits" => match value.trim().parse::<i32>() {
                Ok(digits @ -15..=3) => settings.extra_float_digits = digits,
                Ok(digits) => {
                    let text = format!("{digits} is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)");
                    return fail("22023", text);
                }
                Err(_) => return invalid("extra_float_digits", value),
            },
            "bytea_output" => {
                settings.bytea_output = match value.to_ascii_lowercase().as_str() {
                    "hex" => ByteaOutput::Hex,
                    "escape" => ByteaOutput::Escape,
                    _ => return invalid("bytea_output", value),
                }
            }
            "work_mem" => match memory(value) {
                Some(bytes) => self.work_mem = bytes.max(64 << 10),
                None => return invalid("work_mem", value),
            },
            "is_superuser" => self.restricted = value != "on",
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The canonical value, as SHOW prints it.
    pub fn get(&self, name: &str) -> Option<String> {
        let settings = &self.settings;
        Some(match name.to_ascii_lowercase().as_str() {
            "datestyle" => format!(
                "{}, {}",
                settings.date_style.name(),
                settings.date_order.name()
            ),
            "timezone" => settings.time_zone.name.clone(),
            "intervalstyle" => match settings.interval_style {
                IntervalStyle::Postgres => "postgres",
                IntervalStyle::PostgresVerbose => "postgres_verbose",
                IntervalStyle::SqlStandard => "sql_standard",
                IntervalStyle::Iso8601 => "iso_8601",
            }
            .to_owned(),
            "extra_float_digits" => settings.extra_float_digits.to_string(),
            "bytea_output" => match settings.bytea_output {
                ByteaOutput::Hex => "hex".to_owned(),
                ByteaOutput::Escape => "escape".to_owned(),
            },
            "work_mem" => format!("{}kB", self.work_mem >> 10),
            _ => return None,
        })
    }
}

fn invalid<T>(name: &str, value: &str) -> Res<T> {
    fail(
        "22023",
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

fn date_style(settings: &mut Settings, value: &str) -> Res<()> {
    let (mut style, mut order) = (settings.date_style, settings.date_order);
    for word in value.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "iso" => style = DateStyle::Iso,
            "sql" => style = DateStyle::Sql,
            "postgres" => style = DateStyle::Postgres,
            "german" => {
                style = DateStyle::German;
                order = DateOrder::Dmy;
            }
            "ymd" => order = DateOrder::Ymd,
            "dmy" | "euro" | "european" => order = DateOrder::Dmy,
            "mdy" | "us" | "noneuro" | "noneuropean" => order = DateOrder::Mdy,
            "default" => (style, order) = (DateStyle::default(), DateOrder::default()),
            _ => return invalid("DateStyle", value),
        }
    }
    settings.date_style = style;
    settings.date_order = order;
    Ok(())
}

/// "4MB", "64 kB", "4096" (kB), as bytes.
fn memory(value: &str) -> Option<usize> {
    let value = value.trim();
    let split = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let number: usize = value.get(..split)?.parse().ok()?;
    let shift = match value.get(split..)?.trim() {
        "B" => 0,
        "" | "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    number.checked_mul(1usize << shift)
}
