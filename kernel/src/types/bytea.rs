//! bytea: hex and escape forms.

use super::registry::{TypeInfo, TypeOps};
use super::settings::{ByteaOutput, Settings};
use super::{hash, Datum};
use crate::base::error::{alloc, fail, Res};
use std::cmp::Ordering;

pub struct Ops;

const HEX: &[u8; 16] = b"0123456789abcdef";

pub fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for &byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// Printable ASCII as it is, a backslash doubled, the rest as \ooo.
pub fn put_escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
}

/// Hex digits in pairs; whitespace may stand between pairs.
pub fn read_hex(text: &str) -> Res<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars();
    let digit = |c: char| match c.to_digit(16) {
        Some(digit) => Ok(digit as u8),
        None => fail("22023", format!("invalid hexadecimal digit: \"{c}\"")),
    };
    while let Some(high) = chars.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(high)?;
        match chars.next() {
            Some(low) => out.push(high << 4 | digit(low)?),
            None => return fail("22023", "invalid hexadecimal data: odd number of digits"),
        }
    }
    Ok(out)
}

pub fn read_escape(text: &str) -> Res<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = |i: usize, top: u8| {
            bytes
                .get(at + i)
                .filter(|b| (b'0'..=top).contains(b))
                .map(|b| b - b'0')
        };
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
        } else if let (Some(a), Some(b), Some(c)) = (octal(1, b'3'), octal(2, b'7'), octal(3, b'7'))
        {
            out.push(a << 6 | b << 3 | c);
            at += 4;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            out.push(b'\\');
            at += 2;
        } else {
            return fail("22P02", "invalid input syntax for type bytea");
        }
    }
    Ok(out)
}

pub fn parse(text: &str) -> Res<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(hex) => read_hex(hex),
        None => read_escape(text),
    }
}

fn value(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Bytes(bytes) => bytes,
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
        parse(text).map(|bytes| Datum::Bytes(bytes.into()))
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        match settings.bytea_output {
            ByteaOutput::Hex => {
                alloc(2 * value.bytes()?.len() + 3)?;
                out.extend_from_slice(b"\\x");
                put_hex(value.bytes()?, out);
            }
            ByteaOutput::Escape => put_escape(value.bytes()?, out),
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
        Ok(Datum::blob(bytes))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice(value.bytes()?);
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }
}
