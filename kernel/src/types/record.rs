//! Row values: text form `(1,"a b",)`, binary form, order column by column.

use super::datum::Record;
use super::registry::{self, Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{hash, oids, store, Datum};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] = &[TypeInfo::new(
    oids::RECORD,
    Oid(2287),
    "record",
    Repr::Record,
    &Ops,
)];

fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.iter().any(|&b| {
            matches!(
                b,
                b'"' | b'\\' | b'(' | b')' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
            )
        })
}

/// Columns in order, nulls last, then by their number. Columns of different types, or without an order, go by type and
/// stored bytes.
pub fn compare(a: &Record, b: &Record) -> Ordering {
    let left = a.values.iter().zip(a.types.iter());
    let right = b.values.iter().zip(b.types.iter());
    for ((x, s), (y, t)) in left.zip(right) {
        let order = match (x.is_null(), y.is_null()) {
            (false, false) => match registry::find(*s) {
                Some(info) if s == t && info.orderable() => info.compare(x, y),
                _ => s.cmp(t).then_with(|| stored(x, *s).cmp(&stored(y, *t))),
            },
            (x, y) => x.cmp(&y),
        };
        if order.is_ne() {
            return order;
        }
    }
    a.values.len().cmp(&b.values.len())
}

fn stored(value: &Datum, typ: crate::base::Oid) -> Vec<u8> {
    let mut out = Vec::new();
    match store::encode(value, typ, &mut out) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

impl TypeOps for Ops {
    fn input(
        &self,
        _info: &TypeInfo,
        _text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        fail(
            "0A000",
            "input of anonymous composite types is not implemented",
        )
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let record = value.record()?;
        out.push(b'(');
        for (at, (value, typ)) in record.values.iter().zip(record.types.iter()).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if value.is_null() {
                continue;
            }
            let start = out.len();
            registry::get(*typ)?.output(value, settings, out)?;
            if needs_quotes(&out[start..]) {
                let text = out.split_off(start);
                out.push(b'"');
                for byte in text {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(byte);
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
        }
        out.push(b')');
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        _bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        fail(
            "0A000",
            "input of anonymous composite types is not implemented",
        )
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let record = value.record()?;
        out.extend_from_slice(&(record.values.len() as i32).to_be_bytes());
        for (value, typ) in record.values.iter().zip(record.types.iter()) {
            out.extend_from_slice(&typ.0.to_be_bytes());
            let start = out.len();
            out.extend_from_slice(&(-1i32).to_be_bytes());
            if !value.is_null() {
                registry::get(*typ)?.send(value, settings, out)?;
                let len = (out.len() - start - 4) as i32;
                out[start..start + 4].copy_from_slice(&len.to_be_bytes());
            }
        }
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        match (a, b) {
            (Datum::Record(a), Datum::Record(b)) => compare(a, b),
            _ => Ordering::Equal,
        }
    }

    fn hash(&self, _info: &TypeInfo, value: &Datum) -> u64 {
        let Datum::Record(record) = value else {
            return 0;
        };
        let columns = record.values.iter().zip(record.types.iter());
        columns.fold(7, |sum, (value, typ)| {
            let one = match registry::find(*typ) {
                Some(info) if !value.is_null() => info.hash(value),
                _ => 0,
            };
            hash::combine(sum, one)
        })
    }
}
