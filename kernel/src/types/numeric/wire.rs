//! numeric's binary form on the wire (base-10000 digits) and in stored rows.
//!
//! Stored: one byte kind (0 finite, 1 NaN, 2 Infinity, 3 -Infinity); finite: scale as a varint, then the coefficient as
//! little-endian two's complement of as few bytes as hold it (none for zero).

use super::{Numeric, MAX_SCALE};
use crate::base::error::{corrupt, fail, Res};
use crate::base::varint;
use crate::types::wire::Reader;
use num_bigint::BigInt;
use num_traits::{Num, Signed, Zero};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const POSITIVE_INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

pub(super) fn send(value: &Numeric, out: &mut Vec<u8>) {
    let mut head = |digits: usize, weight: i64, sign: u16, scale: u16| {
        out.extend_from_slice(&(digits as u16).to_be_bytes());
        out.extend_from_slice(&(weight as i16).to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
    };
    match value {
        Numeric::NaN => return head(0, 0, NAN, 0),
        // PostgreSQL sends the scale bits of its own short header for infinities
        Numeric::PosInf => return head(0, 0, POSITIVE_INFINITY, 0x20),
        Numeric::NegInf => return head(0, 0, NEGATIVE_INFINITY, 0x20),
        _ => {}
    }
    let scale = usize::from(value.scale());
    let coefficient = value.coefficient();
    if coefficient.is_zero() {
        return head(0, 0, 0, scale as u16);
    }
    let mut text = coefficient.magnitude().to_str_radix(10).into_bytes();
    text.resize(text.len() + (4 - scale % 4) % 4, b'0');
    let fraction_groups = scale.div_ceil(4);
    let lead = (4 - text.len() % 4) % 4;
    let mut groups = Vec::with_capacity(text.len() / 4 + 1);
    let mut group = 0u16;
    for (at, digit) in text.iter().enumerate() {
        group = group * 10 + u16::from(digit - b'0');
        if (at + 1 + lead).is_multiple_of(4) {
            groups.push(group);
            group = 0;
        }
    }
    let skipped = groups.iter().take_while(|&&g| g == 0).count();
    let weight = groups.len() as i64 - fraction_groups as i64 - 1 - skipped as i64;
    let end = groups.iter().rposition(|&g| g != 0).map_or(0, |at| at + 1);
    let shown = &groups[skipped..end];
    let sign = if coefficient.is_negative() {
        NEGATIVE
    } else {
        0
    };
    head(shown.len(), weight, sign, scale as u16);
    for group in shown {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

pub(super) fn recv(bytes: &[u8]) -> Res<Numeric> {
    let mut reader = Reader::new(bytes);
    let (count, weight, sign, scale) = (reader.u16()?, reader.i16()?, reader.u16()?, reader.u16()?);
    match sign {
        0 | NEGATIVE => {}
        NAN => return Ok(Numeric::NaN),
        POSITIVE_INFINITY => return Ok(Numeric::PosInf),
        NEGATIVE_INFINITY => return Ok(Numeric::NegInf),
        _ => return fail("22P03", "invalid sign in external \"numeric\" value"),
    }
    if u32::from(scale) > MAX_SCALE {
        return fail("22P03", "invalid scale in external \"numeric\" value");
    }
    let mut text = String::with_capacity(usize::from(count) * 4 + 1);
    for _ in 0..count {
        let digit = reader.u16()?;
        if digit > 9999 {
            return fail("22P03", "invalid digit in external \"numeric\" value");
        }
        text.push_str(&format!("{digit:04}"));
    }
    reader.end()?;
    // the digits' own scale is (count - 1 - weight) groups; cut or fill to the scale shown
    let own = (i64::from(count) - 1 - i64::from(weight)) * 4;
    let difference = i64::from(scale) - own;
    if count == 0 || text.len() as i64 + difference <= 0 {
        return Ok(Numeric::small(0, scale));
    }
    if difference >= 0 {
        text.extend(std::iter::repeat_n('0', difference as usize));
    } else {
        text.truncate((text.len() as i64 + difference) as usize);
    }
    let Ok(value) = BigInt::from_str_radix(&text, 10) else {
        return fail("22P03", "invalid digit in external \"numeric\" value");
    };
    Numeric::checked(if sign == NEGATIVE { -value } else { value }, scale.into())
}

pub fn encode(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NaN => out.push(1),
        Numeric::PosInf => out.push(2),
        Numeric::NegInf => out.push(3),
        Numeric::Small { value, scale } => {
            out.push(0);
            varint::put(out, u64::from(*scale));
            let mut bytes = &value.to_le_bytes()[..];
            while let [rest @ .., last] = bytes {
                let sign = rest.last().map_or(0, |b| b >> 7);
                let spare = if rest.is_empty() {
                    *last == 0
                } else {
                    *last == if sign == 1 { 0xff } else { 0 }
                };
                if !spare {
                    break;
                }
                bytes = rest;
            }
            out.extend_from_slice(bytes);
        }
        Numeric::Big(big) => {
            out.push(0);
            varint::put(out, u64::from(big.scale));
            out.extend_from_slice(&big.value.to_signed_bytes_le());
        }
    }
}

pub fn decode(bytes: &[u8]) -> Res<Numeric> {
    match bytes {
        [1] => return Ok(Numeric::NaN),
        [2] => return Ok(Numeric::PosInf),
        [3] => return Ok(Numeric::NegInf),
        [0, ..] => {}
        _ => return corrupt("stored numeric has an unknown kind"),
    }
    let mut at = 1;
    let scale = varint::get(bytes, &mut at)?;
    if scale > u64::from(MAX_SCALE) {
        return corrupt("stored numeric has a scale that is too large");
    }
    let body = &bytes[at..];
    if body.len() <= 8 {
        let negative = body.last().is_some_and(|b| b & 0x80 != 0);
        let mut full = if negative { [0xff; 8] } else { [0; 8] };
        full[..body.len()].copy_from_slice(body);
        return Ok(Numeric::small(i64::from_le_bytes(full), scale as u16));
    }
    Ok(Numeric::from_big(
        BigInt::from_signed_bytes_le(body),
        scale as u16,
    ))
}
