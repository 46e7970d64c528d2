//! One SQL value, without its type: the type is known from the plan (an [`Oid`] and a typmod).
//!
//! | type | held as |
//! |---|---|
//! | bool | `Bool` |
//! | int2 int4 int8 oid regclass… xid "char" | `Int` |
//! | date (days since 2000-01-01), time (µs), timestamp, timestamptz (µs since 2000-01-01 UTC) | `Int`; ±infinity as `i64::MAX`/`MIN` (date: `i32::MAX`/`MIN`) |
//! | float4 (always a value that f32 holds), float8 | `Float` |
//! | text varchar bpchar name json unknown cstring | `Text` |
//! | bytea, jsonb (its stored form) | `Bytes` |
//! | numeric | `Numeric` |
//! | interval, timetz | `Interval`, `TimeTz` |
//! | uuid | `Uuid` |
//! | arrays, int2vector, oidvector | `Array` |
//! | records, row values | `Record` |

use super::array::Array;
use super::numeric::Numeric;
use crate::base::Oid;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub enum Datum {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    Bytes(Arc<[u8]>),
    Numeric(Numeric),
    Interval(Interval),
    TimeTz(TimeTz),
    Uuid([u8; 16]),
    Array(Arc<Array>),
    Record(Arc<Record>),
}

/// UTF-8 text; short strings stay inline, long ones are not shared.
pub type Text = compact_str::CompactString;

/// PostgreSQL's interval: the three parts never carry into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// time with time zone; `zone` is seconds *west* of UTC, as PostgreSQL keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTz {
    pub micros: i64,
    pub zone: i32,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub types: Arc<[Oid]>,
    pub values: Vec<Datum>,
}

impl Datum {
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    pub fn text(value: impl AsRef<str>) -> Datum {
        Datum::Text(Text::new(value))
    }
}
