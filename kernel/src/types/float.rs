//! float4 and float8: shortest text that reads back exactly, in PostgreSQL's style; NaN is equal to itself and greatest.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{hash, oids, text, wire, Datum};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Float4;
pub struct Float8;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(oids::FLOAT4, Oid(1021), "float4", Repr::Float4, &Float4).shown("real"),
    TypeInfo::new(oids::FLOAT8, Oid(1022), "float8", Repr::Float8, &Float8)
        .shown("double precision"),
];

#[inline]
pub fn order(a: f64, b: f64) -> Ordering {
    match a.partial_cmp(&b) {
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

fn value(datum: &Datum) -> f64 {
    match datum {
        Datum::Float(value) => *value,
        _ => 0.0,
    }
}

/// The words strtod knows besides numbers.
fn word(text: &str) -> Option<f64> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = if body.eq_ignore_ascii_case("nan") {
        f64::NAN
    } else if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        f64::INFINITY
    } else {
        return None;
    };
    Some(if negative { -value } else { value })
}

fn number_like(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
}

fn has_nonzero_digit(text: &str) -> bool {
    text.bytes()
        .take_while(|b| !matches!(b, b'e' | b'E'))
        .any(|b| matches!(b, b'1'..=b'9'))
}

pub fn parse8(text: &str) -> Res<f64> {
    let body = text.trim_matches(text::is_space);
    if let Some(value) = word(body) {
        return Ok(value);
    }
    let parsed = if number_like(body) {
        body.parse::<f64>().ok()
    } else {
        None
    };
    match parsed {
        None => text::syntax("double precision", text),
        Some(value) if value.is_infinite() || (value == 0.0 && has_nonzero_digit(body)) => fail(
            "22003",
            format!("\"{body}\" is out of range for type double precision"),
        ),
        Some(value) => Ok(value),
    }
}

pub fn parse4(text: &str) -> Res<f64> {
    let body = text.trim_matches(text::is_space);
    if let Some(value) = word(body) {
        return Ok(value);
    }
    let parsed = if number_like(body) {
        body.parse::<f32>().ok()
    } else {
        None
    };
    match parsed {
        None => text::syntax("real", text),
        Some(value) if value.is_infinite() || (value == 0.0 && has_nonzero_digit(body)) => {
            fail("22003", format!("\"{body}\" is out of range for type real"))
        }
        Some(value) => Ok(f64::from(value)),
    }
}

/// Digits and a decimal exponent, laid out: fixed for exponents from −4 up to `wide`, else d.ddde±xx.
fn lay_out(negative: bool, digits: &[u8], exponent: i32, wide: i32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if exponent < -4 || exponent >= wide {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        out.extend_from_slice(format!("{:02}", exponent.abs()).as_bytes());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

/// Digits (no trailing zeros) and exponent from a d.ddde±x text.
fn take_apart(scientific: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = scientific
        .split_once(['e', 'E'])
        .unwrap_or((scientific, "0"));
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    (digits, exponent.parse().unwrap_or(0))
}

/// Is a decimal number that reads back as a float of so many mantissa bits half-way to its neighbour? Then it has one significant bit
/// more. So few digits can be that only for integers that end in zeros.
fn is_halfway(digits: &[u8], exponent: i32, bits: u32) -> bool {
    let zeros = exponent + 1 - digits.len() as i32;
    if !(1..=23).contains(&zeros) {
        return false;
    }
    let number = digits
        .iter()
        .fold(0u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let fives = number * 5u128.pow(zeros as u32);
    128 - fives.leading_zeros() - fives.trailing_zeros() == bits + 1
}

/// The fewest digits that read back as the value. Half-way between two floats is read as the even one; PostgreSQL does not rely on readers
/// to know that, and writes another digit.
fn shortest<T>(size: T, bits: u32) -> (Vec<u8>, i32)
where
    T: std::fmt::LowerExp + std::str::FromStr + PartialEq,
{
    let (mut digits, mut exponent) = take_apart(&format!("{size:e}"));
    if is_halfway(&digits, exponent, bits) {
        for precision in digits.len()..17 {
            let text = format!("{size:.precision$e}");
            (digits, exponent) = take_apart(&text);
            if !is_halfway(&digits, exponent, bits) && text.parse().ok().as_ref() == Some(&size) {
                break;
            }
        }
    }
    (digits, exponent)
}

fn special(value: f64, out: &mut Vec<u8>) -> bool {
    let word: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"Infinity"
    } else if value == f64::NEG_INFINITY {
        b"-Infinity"
    } else if value == 0.0 {
        if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        }
    } else {
        return false;
    };
    out.extend_from_slice(word);
    true
}

pub fn put8(value: f64, extra_digits: i32, out: &mut Vec<u8>) {
    if special(value, out) {
        return;
    }
    if extra_digits > 0 {
        let (digits, exponent) = shortest(value.abs(), f64::MANTISSA_DIGITS);
        lay_out(value < 0.0, &digits, exponent, 15, out);
    } else {
        general(value, (15 + extra_digits).max(1), out);
    }
}

pub fn put4(value: f32, extra_digits: i32, out: &mut Vec<u8>) {
    if special(f64::from(value), out) {
        return;
    }
    if extra_digits > 0 {
        let (digits, exponent) = shortest(value.abs(), f32::MANTISSA_DIGITS);
        lay_out(value < 0.0, &digits, exponent, 6, out);
    } else {
        general(f64::from(value), (6 + extra_digits).max(1), out);
    }
}

/// C's %.*g.
pub fn general(value: f64, precision: i32, out: &mut Vec<u8>) {
    if special(value, out) {
        return;
    }
    let (digits, exponent) = take_apart(&format!(
        "{:.*e}",
        (precision - 1).max(0) as usize,
        value.abs()
    ));
    lay_out(value < 0.0, &digits, exponent, precision.max(1), out);
}

impl TypeOps for Float8 {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        parse8(text).map(Datum::Float)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        put8(value.float()?, settings.extra_float_digits, out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::Float(f64::from_be_bytes(wire::exact(bytes)?)))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice(&value.float()?.to_be_bytes());
        Ok(())
    }

    #[inline]
    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        order(value(a), value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::float(value(datum))
    }
}

impl TypeOps for Float4 {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        parse4(text).map(Datum::Float)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        put4(value.float()? as f32, settings.extra_float_digits, out);
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::Float(f64::from(f32::from_be_bytes(wire::exact(
            bytes,
        )?))))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice(&(value.float()? as f32).to_be_bytes());
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        order(value(a), value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::float(value(datum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out8(value: f64, extra: i32) -> String {
        let mut out = Vec::new();
        put8(value, extra, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shortest_text_in_postgresqls_style() {
        for (value, text) in [
            (1e20, "1e+20"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-1.5e-300, "-1.5e-300"),
            (123456.0, "123456"),
            (1e23, "9.999999999999999e+22"),
            (1e22, "1e+22"),
        ] {
            assert_eq!(out8(value, 1), text);
        }
        assert_eq!(out8(0.1 + 0.2, 0), "0.3");
        let mut out = Vec::new();
        put4(1e6, 1, &mut out);
        assert_eq!(out, b"1e+06");
        out.clear();
        put4(1.5e10, 1, &mut out);
        assert_eq!(out, b"1.5000001e+10");
    }

    #[test]
    fn too_large_and_too_small_are_out_of_range() {
        assert!(parse8("1e400").is_err());
        assert!(parse8("1e-400").is_err());
        assert!(parse4("1e39").is_err());
        assert_eq!(parse8(" 0e-999 ").unwrap(), 0.0);
        assert!(parse8("1e").is_err());
        assert!(parse8("").is_err());
    }
}
