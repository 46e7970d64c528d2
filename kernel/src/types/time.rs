//! time and timetz.

use super::calendar::USECS_PER_DAY;
use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{dateparse, dateput, hash, oids, wire, Datum, TimeTz};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct TimeOps;
pub struct TimeTzOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(oids::TIME, Oid(1183), "time", Repr::Int8, &TimeOps)
        .shown("time without time zone"),
    TypeInfo::new(oids::TIMETZ, Oid(1270), "timetz", Repr::TimeTz, &TimeTzOps)
        .shown("time with time zone"),
];

/// To `typmod` digits of a second, half away from zero. −1: as it is.
pub fn round_micros(micros: i64, typmod: i32) -> i64 {
    if !(0..6).contains(&typmod) {
        return micros;
    }
    let unit = 10i64.pow(6 - typmod as u32);
    let half = unit / 2;
    if micros >= 0 {
        micros.saturating_add(half) / unit * unit
    } else {
        -(micros.saturating_neg().saturating_add(half) / unit * unit)
    }
}

pub fn parse(text: &str, settings: &Settings) -> Res<i64> {
    match dateparse::parse_time(text, settings) {
        Ok((micros, _)) => Ok(micros),
        Err(bad) => Err(dateparse::error(bad, "time", text)),
    }
}

pub fn parse_tz(text: &str, settings: &Settings) -> Res<TimeTz> {
    match dateparse::parse_time(text, settings) {
        Ok((micros, offset)) => Ok(TimeTz {
            micros,
            zone: -offset,
        }),
        Err(bad) => Err(dateparse::error(bad, "time with time zone", text)),
    }
}

fn value(datum: &Datum) -> i64 {
    match datum {
        Datum::Int(value) => *value,
        _ => 0,
    }
}

/// By the moment of UTC, then by zone.
pub fn compare_tz(a: &TimeTz, b: &TimeTz) -> Ordering {
    let utc = |t: &TimeTz| t.micros + i64::from(t.zone) * 1_000_000;
    utc(a).cmp(&utc(b)).then(a.zone.cmp(&b.zone))
}

fn check(micros: i64) -> Res<i64> {
    if (0..=USECS_PER_DAY).contains(&micros) {
        return Ok(micros);
    }
    fail("22008", "time out of range")
}

impl TypeOps for TimeOps {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        Ok(Datum::Int(round_micros(parse(text, settings)?, typmod)))
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        dateput::put_time(value.int()?, out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::Int(round_micros(
            check(i64::from_be_bytes(wire::exact(bytes)?))?,
            typmod,
        )))
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

    fn coerce(&self, _info: &TypeInfo, value: &Datum, typmod: i32, _explicit: bool) -> Res<Datum> {
        Ok(Datum::Int(round_micros(value.int()?, typmod)))
    }
}

impl TypeOps for TimeTzOps {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        let time = parse_tz(text, settings)?;
        Ok(Datum::TimeTz(TimeTz {
            micros: round_micros(time.micros, typmod),
            ..time
        }))
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let time = value.timetz()?;
        dateput::put_timetz(time.micros, time.zone, out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        let mut reader = wire::Reader::new(bytes);
        let (micros, zone) = (check(reader.i64()?)?, reader.i32()?);
        reader.end()?;
        if zone.unsigned_abs() >= 16 * 3600 {
            return fail("22009", "time zone displacement out of range");
        }
        Ok(Datum::TimeTz(TimeTz {
            micros: round_micros(micros, typmod),
            zone,
        }))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let time = value.timetz()?;
        out.extend_from_slice(&time.micros.to_be_bytes());
        out.extend_from_slice(&time.zone.to_be_bytes());
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        match (a, b) {
            (Datum::TimeTz(a), Datum::TimeTz(b)) => compare_tz(a, b),
            _ => Ordering::Equal,
        }
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        match datum {
            Datum::TimeTz(time) => hash::combine(hash::int(time.micros), time.zone as u32 as u64),
            _ => 0,
        }
    }

    fn coerce(&self, _info: &TypeInfo, value: &Datum, typmod: i32, _explicit: bool) -> Res<Datum> {
        let time = value.timetz()?;
        Ok(Datum::TimeTz(TimeTz {
            micros: round_micros(time.micros, typmod),
            ..time
        }))
    }
}
