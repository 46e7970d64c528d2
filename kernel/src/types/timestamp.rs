//! timestamp and timestamptz.

use super::calendar::{self, EARLY, LATE, UNIX_2000, USECS_PER_SEC};
use super::dateparse::{self, Value};
use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::time::round_micros;
use super::{dateput, hash, oids, wire, Datum};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;
pub struct TzOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(oids::TIMESTAMP, Oid(1115), "timestamp", Repr::Int8, &Ops)
        .shown("timestamp without time zone"),
    TypeInfo::new(
        oids::TIMESTAMPTZ,
        Oid(1185),
        "timestamptz",
        Repr::Int8,
        &TzOps,
    )
    .shown("timestamp with time zone"),
];

const EPOCH: i64 = -UNIX_2000 * USECS_PER_SEC;

fn out_of_range<T>(text: &str) -> Res<T> {
    fail("22008", format!("timestamp out of range: \"{text}\""))
}

fn parse_as(text: &str, settings: &Settings, with_zone: bool) -> Res<i64> {
    let name = if with_zone {
        "timestamp with time zone"
    } else {
        "timestamp"
    };
    let (tm, offset) =
        match dateparse::parse(text, settings).map_err(|bad| dateparse::error(bad, name, text))? {
            Value::Epoch => return Ok(EPOCH),
            Value::Late => return Ok(LATE),
            Value::Early => return Ok(EARLY),
            Value::Fields(tm, offset) => (tm, offset),
        };
    let shift = if with_zone {
        i64::from(offset) * USECS_PER_SEC
    } else {
        0
    };
    let days = calendar::to_days(tm.year, tm.month, tm.day);
    let local = days
        .checked_mul(calendar::USECS_PER_DAY)
        .and_then(|d| d.checked_add(tm.time()));
    match local
        .and_then(|l| l.checked_sub(shift))
        .filter(|&t| calendar::in_range(t))
    {
        Some(micros) => Ok(micros),
        None => out_of_range(text),
    }
}

pub fn parse(text: &str, settings: &Settings) -> Res<i64> {
    parse_as(text, settings, false)
}

pub fn parse_tz(text: &str, settings: &Settings) -> Res<i64> {
    parse_as(text, settings, true)
}

pub fn round(micros: i64, typmod: i32) -> Res<i64> {
    if calendar::is_infinite(micros) {
        return Ok(micros);
    }
    if typmod > 6 {
        return fail(
            "22023",
            format!("timestamp({typmod}) precision must be between 0 and 6"),
        );
    }
    Ok(round_micros(micros, typmod))
}

fn value(datum: &Datum) -> i64 {
    match datum {
        Datum::Int(value) => *value,
        _ => 0,
    }
}

macro_rules! common {
    () => {
        fn recv(
            &self,
            _info: &TypeInfo,
            bytes: &[u8],
            typmod: i32,
            _settings: &Settings,
        ) -> Res<Datum> {
            let micros = i64::from_be_bytes(wire::exact(bytes)?);
            if calendar::is_infinite(micros) || calendar::in_range(micros) {
                return round(micros, typmod).map(Datum::Int);
            }
            fail("22008", "timestamp out of range")
        }

        fn send(
            &self,
            _info: &TypeInfo,
            value: &Datum,
            _settings: &Settings,
            out: &mut Vec<u8>,
        ) -> Res<()> {
            out.extend_from_slice(&value.int()?.to_be_bytes());
            Ok(())
        }

        fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
            value(a).cmp(&value(b))
        }

        fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
            hash::int(value(datum))
        }

        fn coerce(
            &self,
            _info: &TypeInfo,
            value: &Datum,
            typmod: i32,
            _explicit: bool,
        ) -> Res<Datum> {
            round(value.int()?, typmod).map(Datum::Int)
        }
    };
}

impl TypeOps for Ops {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        round(parse(text, settings)?, typmod).map(Datum::Int)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        dateput::put_timestamp(value.int()?, settings, out);
        Ok(())
    }

    common!();
}

impl TypeOps for TzOps {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        round(parse_tz(text, settings)?, typmod).map(Datum::Int)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        dateput::put_timestamptz(value.int()?, settings, out);
        Ok(())
    }

    common!();
}
