//! Stored rows: the bytes of values. Lengths, nulls and compression are the table's.
//!
//! | repr | bytes |
//! |---|---|
//! | fixed width | little-endian, `Repr::width` bytes |
//! | text, bytes | as they are |
//! | numeric | see `numeric::encode` |
//! | array | varint element OID, dimensions u8, flags u8 (1: nulls), a zigzag varint pair (length, lower bound) each, then the items |
//! | record | varint columns; varint OID and item each |
//!
//! An item is a varint 0 for null, else its length + 1 and its bytes; arrays of fixed-width elements without nulls leave the lengths out.

use super::array::{item_count, Array, MAX_DIMS};
use super::datum::Record;
use super::registry::{self, Repr, TypeInfo};
use super::{numeric, Datum, Interval, TimeTz};
use crate::base::error::{corrupt, unsupported, Res};
use crate::base::{varint, Oid};
use std::sync::Arc;

/// Append the stored form of a value that is not null. Any type may be given, fixed-width ones too.
pub fn encode(value: &Datum, typ: Oid, out: &mut Vec<u8>) -> Res<()> {
    encode_as(value, registry::get(typ)?, out)
}

/// The value back from all of `bytes`; damage is XX001.
pub fn decode(typ: Oid, bytes: &[u8]) -> Res<Datum> {
    decode_as(registry::get(typ)?, bytes)
}

pub fn encode_as(value: &Datum, info: &TypeInfo, out: &mut Vec<u8>) -> Res<()> {
    match info.repr {
        Repr::Bool => out.push(u8::from(value.bool()?)),
        Repr::Char => out.push(value.int()? as u8),
        Repr::Int2 => out.extend_from_slice(&(value.int()? as i16).to_le_bytes()),
        Repr::Int4 => out.extend_from_slice(&(value.int()? as i32).to_le_bytes()),
        Repr::Oid => out.extend_from_slice(&(value.int()? as u32).to_le_bytes()),
        Repr::Int8 => out.extend_from_slice(&value.int()?.to_le_bytes()),
        Repr::Float4 => out.extend_from_slice(&(value.float()? as f32).to_le_bytes()),
        Repr::Float8 => out.extend_from_slice(&value.float()?.to_le_bytes()),
        Repr::Text => out.extend_from_slice(value.str()?.as_bytes()),
        Repr::Bytes => out.extend_from_slice(value.bytes()?),
        Repr::Numeric => numeric::encode(value.numeric()?, out),
        Repr::Interval => {
            let interval = value.interval()?;
            out.extend_from_slice(&interval.micros.to_le_bytes());
            out.extend_from_slice(&interval.days.to_le_bytes());
            out.extend_from_slice(&interval.months.to_le_bytes());
        }
        Repr::TimeTz => {
            let time = value.timetz()?;
            out.extend_from_slice(&time.micros.to_le_bytes());
            out.extend_from_slice(&time.zone.to_le_bytes());
        }
        Repr::Uuid => out.extend_from_slice(value.uuid()?),
        Repr::Array => encode_array(value.array()?, out)?,
        Repr::Record => encode_record(value.record()?, out)?,
        Repr::Pseudo => return unsupported(format_args!("storing a value of type {}", info.name)),
    }
    Ok(())
}

fn exact<const N: usize>(bytes: &[u8]) -> Res<[u8; N]> {
    match bytes.try_into() {
        Ok(array) => Ok(array),
        Err(_) => corrupt(format!(
            "stored value has {} bytes where {N} are due",
            bytes.len()
        )),
    }
}

pub fn decode_as(info: &TypeInfo, bytes: &[u8]) -> Res<Datum> {
    Ok(match info.repr {
        Repr::Bool => Datum::Bool(exact::<1>(bytes)?[0] != 0),
        Repr::Char => Datum::Int(exact::<1>(bytes)?[0].into()),
        Repr::Int2 => Datum::Int(i16::from_le_bytes(exact(bytes)?).into()),
        Repr::Int4 => Datum::Int(i32::from_le_bytes(exact(bytes)?).into()),
        Repr::Oid => Datum::Int(u32::from_le_bytes(exact(bytes)?).into()),
        Repr::Int8 => Datum::Int(i64::from_le_bytes(exact(bytes)?)),
        Repr::Float4 => Datum::Float(f32::from_le_bytes(exact(bytes)?).into()),
        Repr::Float8 => Datum::Float(f64::from_le_bytes(exact(bytes)?)),
        Repr::Text => match std::str::from_utf8(bytes) {
            Ok(text) => Datum::text(text),
            Err(_) => return corrupt("stored text is not UTF-8"),
        },
        Repr::Bytes => Datum::blob(bytes),
        Repr::Numeric => Datum::Numeric(numeric::decode(bytes)?),
        Repr::Interval => {
            let bytes = exact::<16>(bytes)?;
            Datum::Interval(Interval {
                micros: i64::from_le_bytes(exact(&bytes[..8])?),
                days: i32::from_le_bytes(exact(&bytes[8..12])?),
                months: i32::from_le_bytes(exact(&bytes[12..])?),
            })
        }
        Repr::TimeTz => {
            let bytes = exact::<12>(bytes)?;
            Datum::TimeTz(TimeTz {
                micros: i64::from_le_bytes(exact(&bytes[..8])?),
                zone: i32::from_le_bytes(exact(&bytes[8..])?),
            })
        }
        Repr::Uuid => Datum::Uuid(exact(bytes)?),
        Repr::Array => decode_array(bytes)?,
        Repr::Record => decode_record(bytes)?,
        Repr::Pseudo => {
            return corrupt(format!("a stored value claims to be of type {}", info.name))
        }
    })
}

fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}

fn unzigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

fn put_item(value: &Datum, info: &TypeInfo, out: &mut Vec<u8>) -> Res<()> {
    if value.is_null() {
        varint::put(out, 0);
        return Ok(());
    }
    let mut body = Vec::new();
    encode_as(value, info, &mut body)?;
    varint::put(out, body.len() as u64 + 1);
    out.extend_from_slice(&body);
    Ok(())
}

fn get_item(info: &TypeInfo, bytes: &[u8], at: &mut usize) -> Res<Datum> {
    let Some(len) = varint::get(bytes, at)?.checked_sub(1) else {
        return Ok(Datum::Null);
    };
    decode_as(info, cut(bytes, at, len)?)
}

fn cut<'a>(bytes: &'a [u8], at: &mut usize, len: u64) -> Res<&'a [u8]> {
    let end = usize::try_from(len)
        .ok()
        .and_then(|len| at.checked_add(len));
    match end.and_then(|end| bytes.get(*at..end).map(|part| (part, end))) {
        Some((part, end)) => {
            *at = end;
            Ok(part)
        }
        None => corrupt("a stored item runs past its value"),
    }
}

fn byte(bytes: &[u8], at: &mut usize) -> Res<u8> {
    Ok(cut(bytes, at, 1)?[0])
}

fn encode_array(array: &Array, out: &mut Vec<u8>) -> Res<()> {
    let elem = registry::get(array.elem)?;
    let nulls = array.values.iter().any(Datum::is_null);
    varint::put(out, array.elem.0.into());
    out.push(array.dims.len() as u8);
    out.push(u8::from(nulls));
    for &(len, low) in &array.dims {
        varint::put(out, zigzag(len));
        varint::put(out, zigzag(low));
    }
    let bare = !nulls && elem.repr.width().is_some();
    for value in &array.values {
        if bare {
            encode_as(value, elem, out)?;
        } else {
            put_item(value, elem, out)?;
        }
    }
    Ok(())
}

fn decode_array(bytes: &[u8]) -> Res<Datum> {
    let mut at = 0;
    let elem = registry::get(Oid(varint::get(bytes, &mut at)? as u32))?;
    let (count, nulls) = (byte(bytes, &mut at)?, byte(bytes, &mut at)? & 1 != 0);
    if usize::from(count) > MAX_DIMS {
        return corrupt("a stored array has too many dimensions");
    }
    let mut dims = Vec::with_capacity(count.into());
    for _ in 0..count {
        let len = unzigzag(varint::get(bytes, &mut at)?);
        dims.push((len, unzigzag(varint::get(bytes, &mut at)?)));
    }
    let items = match item_count(&dims) {
        Ok(items) => items,
        Err(_) => return corrupt("a stored array has impossible dimensions"),
    };
    let mut values = Vec::with_capacity(items.min(bytes.len()));
    match elem.repr.width() {
        Some(width) if !nulls => {
            for _ in 0..items {
                values.push(decode_as(elem, cut(bytes, &mut at, width as u64)?)?);
            }
        }
        _ => {
            for _ in 0..items {
                values.push(get_item(elem, bytes, &mut at)?);
            }
        }
    }
    if at != bytes.len() {
        return corrupt("a stored array is longer than its items");
    }
    Ok(Datum::Array(Arc::new(Array {
        elem: elem.oid,
        dims,
        values,
    })))
}

fn encode_record(record: &Record, out: &mut Vec<u8>) -> Res<()> {
    varint::put(out, record.values.len() as u64);
    for (value, typ) in record.values.iter().zip(record.types.iter()) {
        varint::put(out, typ.0.into());
        put_item(value, registry::get(*typ)?, out)?;
    }
    Ok(())
}

fn decode_record(bytes: &[u8]) -> Res<Datum> {
    let mut at = 0;
    let count = varint::get(bytes, &mut at)?;
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let typ = Oid(varint::get(bytes, &mut at)? as u32);
        values.push(get_item(registry::get(typ)?, bytes, &mut at)?);
        types.push(typ);
    }
    if at != bytes.len() {
        return corrupt("a stored record is longer than its columns");
    }
    Ok(Datum::Record(Arc::new(Record {
        types: types.into(),
        values,
    })))
}
