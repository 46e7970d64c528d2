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
use super::shared::{Blob, Text};
use crate::base::error::{fail, Res};
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
    Bytes(Blob),
    Numeric(Numeric),
    Interval(Interval),
    TimeTz(TimeTz),
    Uuid([u8; 16]),
    Array(Arc<Array>),
    Record(Arc<Record>),
}

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

    /// Bytes of a value that may be long; what an array's elements hold does not count.
    pub fn long_bytes(&self) -> usize {
        match self {
            Datum::Text(text) => text.len(),
            Datum::Bytes(bytes) => bytes.len(),
            Datum::Array(array) => array.values.len() * std::mem::size_of::<Datum>(),
            Datum::Numeric(number) => number.size(),
            _ => 0,
        }
    }

    /// A `String` is taken as it is, whatever its length.
    pub fn text(value: impl Into<Text>) -> Datum {
        Datum::Text(value.into())
    }
}

fn wrong<T>(value: &Datum, wanted: &str) -> Res<T> {
    fail(
        "XX000",
        format!(
            "a value of kind {} stands where {wanted} should",
            value.kind()
        ),
    )
}

/// Typed reads. A mismatch is an internal error of the plan, not of the user: XX000.
impl Datum {
    pub fn kind(&self) -> &'static str {
        match self {
            Datum::Null => "null",
            Datum::Bool(_) => "bool",
            Datum::Int(_) => "int",
            Datum::Float(_) => "float",
            Datum::Text(_) => "text",
            Datum::Bytes(_) => "bytes",
            Datum::Numeric(_) => "numeric",
            Datum::Interval(_) => "interval",
            Datum::TimeTz(_) => "timetz",
            Datum::Uuid(_) => "uuid",
            Datum::Array(_) => "array",
            Datum::Record(_) => "record",
        }
    }

    #[inline]
    pub fn bool(&self) -> Res<bool> {
        match self {
            Datum::Bool(value) => Ok(*value),
            other => wrong(other, "bool"),
        }
    }

    #[inline]
    pub fn int(&self) -> Res<i64> {
        match self {
            Datum::Int(value) => Ok(*value),
            other => wrong(other, "int"),
        }
    }

    #[inline]
    pub fn float(&self) -> Res<f64> {
        match self {
            Datum::Float(value) => Ok(*value),
            other => wrong(other, "float"),
        }
    }

    #[inline]
    pub fn str(&self) -> Res<&str> {
        match self {
            Datum::Text(value) => Ok(value.as_str()),
            other => wrong(other, "text"),
        }
    }

    #[inline]
    pub fn bytes(&self) -> Res<&[u8]> {
        match self {
            Datum::Bytes(value) => Ok(value),
            other => wrong(other, "bytes"),
        }
    }

    #[inline]
    pub fn numeric(&self) -> Res<&Numeric> {
        match self {
            Datum::Numeric(value) => Ok(value),
            other => wrong(other, "numeric"),
        }
    }

    #[inline]
    pub fn interval(&self) -> Res<Interval> {
        match self {
            Datum::Interval(value) => Ok(*value),
            other => wrong(other, "interval"),
        }
    }

    #[inline]
    pub fn timetz(&self) -> Res<TimeTz> {
        match self {
            Datum::TimeTz(value) => Ok(*value),
            other => wrong(other, "timetz"),
        }
    }

    #[inline]
    pub fn uuid(&self) -> Res<&[u8; 16]> {
        match self {
            Datum::Uuid(value) => Ok(value),
            other => wrong(other, "uuid"),
        }
    }

    #[inline]
    pub fn array(&self) -> Res<&Arc<Array>> {
        match self {
            Datum::Array(value) => Ok(value),
            other => wrong(other, "array"),
        }
    }

    #[inline]
    pub fn record(&self) -> Res<&Arc<Record>> {
        match self {
            Datum::Record(value) => Ok(value),
            other => wrong(other, "record"),
        }
    }

    pub fn blob(value: &[u8]) -> Datum {
        Datum::Bytes(value.into())
    }
}
