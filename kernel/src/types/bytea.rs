//! bytea: hex and escape forms.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::{ByteaOutput, Settings};
use super::{hash, oids, Datum};
use crate::base::error::{alloc, fail, Res};
use crate::base::pace;
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] =
    &[TypeInfo::new(oids::BYTEA, Oid(1001), "bytea", Repr::Bytes, &Ops).comparisons("bytea")];

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Bytes that are made hex at once.
const BLOCK: usize = 4096;

/// Every byte's two digits.
static HEX: [[u8; 2]; 256] = {
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

pub fn put_hex(bytes: &[u8], out: &mut Vec<u8>) -> Res<()> {
    out.reserve(bytes.len() * 2);
    let mut pairs = [0; 2 * BLOCK];
    for block in bytes.chunks(BLOCK) {
        pace::step(block.len())?;
        for (pair, byte) in pairs.chunks_exact_mut(2).zip(block) {
            pair.copy_from_slice(&HEX[usize::from(*byte)]);
        }
        out.extend_from_slice(&pairs[..2 * block.len()]);
    }
    Ok(())
}

/// Printable ASCII as it is, a backslash doubled, the rest as \ooo.
pub fn put_escape(bytes: &[u8], out: &mut Vec<u8>) -> Res<()> {
    for &byte in bytes {
        pace::step(1)?;
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    Ok(())
}

/// The value of each hex digit; 0xff: none.
static VALUES: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        table[DIGITS[value as usize] as usize] = value;
        table[DIGITS[value as usize].to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    table
};

/// Hex digits in pairs; whitespace may stand between pairs.
pub fn read_hex(text: &str) -> Res<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let bytes = text.as_bytes();
    let digit = |at: usize, byte: u8| match VALUES[usize::from(byte)] {
        0xff => {
            let c = text.get(at..).and_then(|rest| rest.chars().next());
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            fail("22023", format!("invalid hexadecimal digit: \"{c}\""))
        }
        digit => Ok(digit),
    };
    let mut at = 0;
    while let Some(high) = bytes.get(at) {
        if matches!(high, b' ' | b'\n' | b'\t' | b'\r') {
            at += 1;
            continue;
        }
        pace::step(2)?;
        let high = digit(at, *high)?;
        match bytes.get(at + 1) {
            Some(low) => out.push(high << 4 | digit(at + 1, *low)?),
            None => return fail("22023", "invalid hexadecimal data: odd number of digits"),
        }
        at += 2;
    }
    Ok(out)
}

pub fn read_escape(text: &str) -> Res<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        pace::step(1)?;
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
                put_hex(value.bytes()?, out)?;
            }
            ByteaOutput::Escape => put_escape(value.bytes()?, out)?,
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
        let mut out = Vec::new();
        pace::append_bytes(&mut out, bytes)?;
        Ok(Datum::Bytes(out.into()))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        pace::append_bytes(out, value.bytes()?)
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }
}
