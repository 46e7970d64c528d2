//! name (63 bytes at most) and "char" (one byte).

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::text::{text_common, utf8};
use super::{hash, oids, wire, Datum};
use crate::base::error::Res;
use crate::base::Oid;
use std::cmp::Ordering;

pub struct NameOps;
pub struct CharOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(Oid(18), Oid(1002), "char", Repr::Char, &CharOps).shown("\"char\""),
    TypeInfo::new(oids::NAME, Oid(1003), "name", Repr::Text, &NameOps)
        .len(64)
        .elem(Oid(18)),
];

/// The longest prefix of whole characters in 63 bytes.
pub fn truncate(text: &str) -> &str {
    if text.len() < 64 {
        return text;
    }
    let mut end = 63;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn value(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Text(text) => text.as_bytes(),
        _ => b"",
    }
}

impl TypeOps for NameOps {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::text(truncate(text)))
    }

    text_common!();

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }
}

/// One byte as it stands, or \ooo; nothing is 0.
pub fn parse_char(text: &str) -> u8 {
    let bytes = text.as_bytes();
    let octal = |b: u8| matches!(b, b'0'..=b'7');
    match bytes {
        [b'\\', a, b, c] if octal(*a) && octal(*b) && octal(*c) => {
            (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
        }
        _ => bytes.first().copied().unwrap_or(0),
    }
}

fn byte(datum: &Datum) -> u8 {
    match datum {
        Datum::Int(value) => *value as u8,
        _ => 0,
    }
}

impl TypeOps for CharOps {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::Int(parse_char(text).into()))
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        match value.int()? as u8 {
            0 => {}
            byte if byte.is_ascii() => out.push(byte),
            byte => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
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
        Ok(Datum::Int(wire::exact::<1>(bytes)?[0].into()))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.push(value.int()? as u8);
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        byte(a).cmp(&byte(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::int(byte(datum).into())
    }
}
