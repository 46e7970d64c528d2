//! numeric's text form.

use super::{overflow, pow10, Numeric, MAX_SCALE, MAX_WHOLE_DIGITS};
use crate::base::error::Res;
use crate::base::pace;
use crate::types::text::{is_space, syntax};
use num_bigint::BigInt;
use num_traits::{Num, Signed, Zero};

fn word(body: &str) -> Option<Numeric> {
    let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
    if is(body, "nan") {
        return Some(Numeric::NaN);
    }
    let (negative, rest) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    if !is(rest, "infinity") && !is(rest, "inf") {
        return None;
    }
    Some(if negative {
        Numeric::NegInf
    } else {
        Numeric::PosInf
    })
}

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

fn digits_prefix(text: &str) -> (&str, &str) {
    text.split_at(
        text.bytes()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// [sign] digits [. digits] [e [sign] digits], with at least one digit before the exponent.
fn split(body: &str) -> Option<Parts<'_>> {
    let (negative, rest) = match body.as_bytes().first()? {
        b'-' => (true, &body[1..]),
        b'+' => (false, &body[1..]),
        _ => (false, body),
    };
    let (whole, rest) = digits_prefix(rest);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits_prefix(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest.strip_prefix(['e', 'E']) {
        None if rest.is_empty() => 0,
        None => return None,
        Some(power) => {
            let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
            if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let size = unsigned
                .parse::<i64>()
                .unwrap_or(i64::from(i32::MAX))
                .min(i64::from(i32::MAX));
            if power.starts_with('-') {
                -size
            } else {
                size
            }
        }
    };
    Some(Parts {
        negative,
        whole,
        fraction,
        exponent,
    })
}

impl Numeric {
    pub fn parse(text: &str) -> Res<Numeric> {
        let body = text.trim_matches(is_space);
        if let Some(value) = word(body) {
            return Ok(value);
        }
        match split(body) {
            Some(parts) => finite(&parts),
            None => syntax("numeric", text),
        }
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Numeric::NaN => out.extend_from_slice(b"NaN"),
            Numeric::PosInf => out.extend_from_slice(b"Infinity"),
            Numeric::NegInf => out.extend_from_slice(b"-Infinity"),
            Numeric::Small { value, scale } => {
                let mut buffer = itoa::Buffer::new();
                point(
                    *value < 0,
                    buffer.format(value.unsigned_abs()),
                    usize::from(*scale),
                    out,
                );
            }
            Numeric::Big(big) => {
                let digits = big.value.magnitude().to_str_radix(10);
                point(
                    big.value.is_negative(),
                    &digits,
                    usize::from(big.scale),
                    out,
                );
            }
        }
    }
}

fn point(negative: bool, digits: &str, scale: usize, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
    } else if digits.len() <= scale {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

fn finite(parts: &Parts<'_>) -> Res<Numeric> {
    let limit = i64::from(i32::MAX / 2);
    if parts.exponent >= limit || parts.exponent <= -limit {
        return overflow();
    }
    let scale = parts.fraction.len() as i64 - parts.exponent;
    let short = parts.whole.len() + parts.fraction.len() <= 18;
    if short && (0..=18).contains(&scale) {
        let mut value = 0i64;
        for digit in parts.whole.bytes().chain(parts.fraction.bytes()) {
            value = value * 10 + i64::from(digit - b'0');
        }
        return Ok(Numeric::small(
            if parts.negative { -value } else { value },
            scale as u16,
        ));
    }
    let digits = format!("{}{}", parts.whole, parts.fraction);
    // Some 0.1 s for 100,000 digits.
    pace::step(digits.len().pow(2) / 64)?;
    let significant = digits.trim_start_matches('0').len() as i64;
    if scale > i64::from(MAX_SCALE) || (significant > 0 && significant - scale > MAX_WHOLE_DIGITS) {
        return overflow();
    }
    let mut value = match BigInt::from_str_radix(&digits, 10) {
        Ok(value) => value,
        Err(_) => BigInt::zero(),
    };
    if parts.negative {
        value = -value;
    }
    if scale < 0 {
        if !value.is_zero() {
            value *= pow10((-scale) as u32);
        }
        return Numeric::checked(value, 0);
    }
    Numeric::checked(value, scale)
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.put(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}
