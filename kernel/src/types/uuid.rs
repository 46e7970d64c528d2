//! uuid.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{bytea, hash, text, wire, Datum};
use crate::base::error::Res;
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] = &[TypeInfo::new(
    Oid(2950),
    Oid(2951),
    "uuid",
    Repr::Uuid,
    &Ops,
)];

/// Thirty-two hex digits; a hyphen may follow each group of four; braces may stand around it all.
pub fn parse(text: &str) -> Option<[u8; 16]> {
    let mut body = text.as_bytes();
    if let Some(rest) = body.strip_prefix(b"{") {
        body = rest.strip_suffix(b"}")?;
    }
    let mut out = [0u8; 16];
    let mut at = 0;
    for (i, byte) in out.iter_mut().enumerate() {
        let digit = |k: usize| body.get(k).and_then(|&b| (b as char).to_digit(16));
        *byte = (digit(at)? << 4 | digit(at + 1)?) as u8;
        at += 2;
        if i % 2 == 1 && i < 15 && body.get(at) == Some(&b'-') {
            at += 1;
        }
    }
    (at == body.len()).then_some(out)
}

fn value(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Uuid(bytes) => bytes,
        _ => b"",
    }
}

impl TypeOps for Ops {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        match parse(text) {
            Some(bytes) => Ok(Datum::Uuid(bytes)),
            None => text::syntax("uuid", text),
        }
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let bytes = value.uuid()?;
        for (i, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
            if i > 0 {
                out.push(b'-');
            }
            bytea::put_hex(&bytes[part], out)?;
        }
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::Uuid(wire::exact(bytes)?))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice(value.uuid()?);
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }
}
