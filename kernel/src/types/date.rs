//! date.

use super::calendar::{self, DATE_EARLY, DATE_LATE};
use super::dateparse::{self, Value};
use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{dateput, hash, oids, wire, Datum};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] = &[TypeInfo::new(
    oids::DATE,
    Oid(1182),
    "date",
    Repr::Int4,
    &Ops,
)];

/// Days from 2000-01-01.
pub fn parse(text: &str, settings: &Settings) -> Res<i64> {
    let days = match dateparse::parse(text, settings)
        .map_err(|bad| dateparse::error(bad, "date", text))?
    {
        Value::Epoch => return Ok(-calendar::UNIX_2000 / 86_400),
        Value::Late => return Ok(DATE_LATE),
        Value::Early => return Ok(DATE_EARLY),
        Value::Fields(tm, _) => calendar::to_days(tm.year, tm.month, tm.day),
    };
    if calendar::date_in_range(days) {
        return Ok(days);
    }
    fail("22008", format!("date out of range: \"{text}\""))
}

fn value(datum: &Datum) -> i64 {
    match datum {
        Datum::Int(value) => *value,
        _ => 0,
    }
}

impl TypeOps for Ops {
    fn input(&self, _info: &TypeInfo, text: &str, _typmod: i32, settings: &Settings) -> Res<Datum> {
        parse(text, settings).map(Datum::Int)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        dateput::put_date(value.int()?, settings, out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        let days = i64::from(i32::from_be_bytes(wire::exact(bytes)?));
        if calendar::date_is_infinite(days) || calendar::date_in_range(days) {
            return Ok(Datum::Int(days));
        }
        fail("22008", "date out of range")
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice(&(value.int()? as i32).to_be_bytes());
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(&value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::int(value(datum))
    }
}
