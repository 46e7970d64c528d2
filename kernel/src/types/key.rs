//! Order-preserving keys: comparing the bytes of two keys is comparing their values, column by column.
//!
//! A column is a marker byte and, unless null, a body that ends by itself. Markers: 0 null that orders first, 1 a value,
//! 2 null that orders last. DESC inverts the body's bytes. Bodies:
//!
//! | repr | body |
//! |---|---|
//! | integers, dates, times | big-endian, sign bit flipped |
//! | floats | big-endian bits, all flipped when negative, else the sign bit; one zero, one NaN (greatest) |
//! | text | bytes, 0x00 (text has no NUL) ; bpchar without trailing spaces |
//! | bytea | bytes with 00 as 00 FF, then 00 00 |
//! | numeric | class byte; exponent of the first digit (24 bits, biased); digit pairs + 1; 00; negative ones inverted |
//! | interval | its length in µs (months of 30 days), 10 bytes |
//! | timetz | UTC time, then zone |
//! | array | (1, element \| 2 for null)…, 0, number of dimensions, dimensions |
//! | a type with a form of its own | see the type's file |

use super::array::Array;
use super::registry::{self, Repr, TypeInfo};
use super::{oids, Datum, Interval, Numeric, TimeTz};
use crate::base::error::{fail, unsupported, Res};
use crate::base::Oid;
use num_traits::Signed;

/// Append one column of a key. Nulls order by `nulls_first` whatever `desc` says.
pub fn encode_key(
    value: &Datum,
    typ: Oid,
    desc: bool,
    nulls_first: bool,
    out: &mut Vec<u8>,
) -> Res<()> {
    if value.is_null() {
        out.push(if nulls_first { 0 } else { 2 });
        return Ok(());
    }
    out.push(1);
    let start = out.len();
    body(value, registry::get(typ)?, out)?;
    if desc {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
    Ok(())
}

/// 0A000 for types that no index can be on.
pub fn check(typ: Oid) -> Res<()> {
    let info = registry::get(typ)?;
    if info.orderable() {
        return Ok(());
    }
    let message = format!(
        "data type {} has no default operator class for access method \"btree\"",
        info.display
    );
    fail("42704", message)
}

fn body(value: &Datum, info: &TypeInfo, out: &mut Vec<u8>) -> Res<()> {
    if let Some(own) = info.key {
        return own(value, out);
    }
    match info.repr {
        Repr::Bool => out.push(u8::from(value.bool()?)),
        Repr::Char => out.push(value.int()? as u8),
        Repr::Int2 => out.extend_from_slice(&(value.int()? as u16 ^ 1 << 15).to_be_bytes()),
        Repr::Int4 => out.extend_from_slice(&(value.int()? as u32 ^ 1 << 31).to_be_bytes()),
        Repr::Oid => out.extend_from_slice(&(value.int()? as u32).to_be_bytes()),
        Repr::Int8 => int8(value.int()?, out),
        Repr::Float4 => float4(value.float()? as f32, out),
        Repr::Float8 => float8(value.float()?, out),
        Repr::Text => put_text(value.str()?, out),
        Repr::Bytes => put_bytes(value.bytes()?, out),
        Repr::Numeric => put_numeric(value.numeric()?, out),
        Repr::Interval => {
            let biased = (span(&value.interval()?) + (1 << 79)) as u128;
            out.extend_from_slice(&biased.to_be_bytes()[6..]);
        }
        Repr::TimeTz => {
            let TimeTz { micros, zone } = value.timetz()?;
            int8(micros + i64::from(zone) * 1_000_000, out);
            out.extend_from_slice(&(zone as u32 ^ 1 << 31).to_be_bytes());
        }
        Repr::Uuid => out.extend_from_slice(value.uuid()?),
        Repr::Array => put_array(value.array()?, info, out)?,
        Repr::Record => {
            let record = value.record()?;
            for (value, typ) in record.values.iter().zip(record.types.iter()) {
                out.push(1);
                encode_key(value, *typ, false, false, out)?;
            }
            out.push(0);
        }
        Repr::Pseudo => return unsupported(format_args!("an index on type {}", info.name)),
    }
    Ok(())
}

fn float4(value: f32, out: &mut Vec<u8>) {
    let bits = match value {
        0.0 => 0,
        value if value.is_nan() => f32::NAN.to_bits() & i32::MAX as u32,
        value => value.to_bits(),
    };
    let bits = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    out.extend_from_slice(&bits.to_be_bytes());
}

fn float8(value: f64, out: &mut Vec<u8>) {
    let bits = match value {
        0.0 => 0,
        value if value.is_nan() => f64::NAN.to_bits() & i64::MAX as u64,
        value => value.to_bits(),
    };
    let bits = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    out.extend_from_slice(&bits.to_be_bytes());
}

/// Eight unsigned bytes in an i64.
pub(super) fn unsigned(value: &Datum, out: &mut Vec<u8>) -> Res<()> {
    out.extend_from_slice(&value.int()?.to_be_bytes());
    Ok(())
}

fn int8(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u64 ^ 1 << 63).to_be_bytes());
}

pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// An interval's length for comparing: a month is 30 days, a day 24 hours.
pub fn span(interval: &Interval) -> i128 {
    const DAY: i128 = 86_400_000_000;
    (i128::from(interval.months) * 30 + i128::from(interval.days)) * DAY
        + i128::from(interval.micros)
}

pub(super) fn put_numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NegInf => return out.push(0x10),
        Numeric::PosInf => return out.push(0x50),
        Numeric::NaN => return out.push(0x60),
        _ if value.is_zero() => return out.push(0x30),
        _ => {}
    }
    let negative = value.sign() < 0;
    out.push(if negative { 0x20 } else { 0x40 });
    let start = out.len();
    let text = match value {
        Numeric::Small { value, .. } => value.unsigned_abs().to_string(),
        other => other.coefficient().abs().to_string(),
    };
    let exponent = text.len() as i64 - 1 - i64::from(value.scale());
    out.extend_from_slice(&((exponent + (1 << 22)) as u32).to_be_bytes()[1..]);
    let digits = text.trim_end_matches('0').as_bytes();
    for pair in digits.chunks(2) {
        let low = pair.get(1).map_or(0, |d| d - b'0');
        out.push((pair[0] - b'0') * 10 + low + 1);
    }
    out.push(0);
    if negative {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}

fn put_array(array: &Array, info: &TypeInfo, out: &mut Vec<u8>) -> Res<()> {
    let elem = registry::get(info.elem)?;
    if matches!(info.oid, oids::INT2VECTOR | oids::OIDVECTOR) {
        out.extend_from_slice(&(array.values.len() as u32).to_be_bytes());
    }
    for value in &array.values {
        if value.is_null() {
            out.push(2);
        } else {
            out.push(1);
            body(value, elem, out)?;
        }
    }
    out.push(0);
    out.push(array.dims.len() as u8);
    for &(len, _) in &array.dims {
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
    for &(_, low) in &array.dims {
        out.extend_from_slice(&(low as u32 ^ 1 << 31).to_be_bytes());
    }
    Ok(())
}
