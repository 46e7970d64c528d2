//! numeric as a type.

use super::{wire, Numeric};
use crate::base::error::Res;
use crate::base::Oid;
use crate::types::registry::{Repr, TypeInfo, TypeOps};
use crate::types::settings::Settings;
use crate::types::{oids, Datum};
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] = &[TypeInfo::new(
    oids::NUMERIC,
    Oid(1231),
    "numeric",
    Repr::Numeric,
    &Ops,
)];

const NOTHING: Numeric = Numeric::ZERO;

fn value(datum: &Datum) -> &Numeric {
    match datum {
        Datum::Numeric(value) => value,
        _ => &NOTHING,
    }
}

impl TypeOps for Ops {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, _settings: &Settings) -> Res<Datum> {
        Numeric::parse(text)?
            .apply_typmod(typmod)
            .map(Datum::Numeric)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        value.numeric()?.put(out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        wire::recv(bytes)?.apply_typmod(typmod).map(Datum::Numeric)
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        wire::send(value.numeric()?, out);
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        value(datum).hash()
    }

    fn coerce(&self, _info: &TypeInfo, value: &Datum, typmod: i32, _explicit: bool) -> Res<Datum> {
        value.numeric()?.apply_typmod(typmod).map(Datum::Numeric)
    }
}
