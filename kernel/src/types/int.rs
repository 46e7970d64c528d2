//! Integers and what is kept as one: int2, int4, int8, oid, xid, cid, xid8, tid, pg_lsn, and the reg* types as numbers
//! (looking up their names is the catalogue's work).

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{hash, key, oids, text, wire, Datum};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Int2;
pub struct Int4;
pub struct Int8;
pub struct OidOps;
pub struct XidOps;
pub struct Xid8Ops;
pub struct TidOps;
pub struct LsnOps;
pub struct RegOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(oids::INT8, Oid(1016), "int8", Repr::Int8, &Int8).shown("bigint"),
    TypeInfo::new(oids::INT2, Oid(1005), "int2", Repr::Int2, &Int2).shown("smallint"),
    TypeInfo::new(oids::INT4, Oid(1007), "int4", Repr::Int4, &Int4).shown("integer"),
    TypeInfo::new(Oid(24), Oid(1008), "regproc", Repr::Oid, &RegOps),
    TypeInfo::new(oids::OID, Oid(1028), "oid", Repr::Oid, &OidOps),
    TypeInfo::new(Oid(27), Oid(1010), "tid", Repr::Int8, &TidOps).len(6),
    TypeInfo::new(oids::XID, Oid(1011), "xid", Repr::Oid, &XidOps),
    TypeInfo::new(oids::CID, Oid(1012), "cid", Repr::Oid, &XidOps),
    TypeInfo::new(Oid(2202), Oid(2207), "regprocedure", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(2203), Oid(2208), "regoper", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(2204), Oid(2209), "regoperator", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(2205), Oid(2210), "regclass", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(2206), Oid(2211), "regtype", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(3220), Oid(3221), "pg_lsn", Repr::Int8, &LsnOps).key(key::unsigned),
    TypeInfo::new(Oid(3734), Oid(3735), "regconfig", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(3769), Oid(3770), "regdictionary", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(4089), Oid(4090), "regnamespace", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(4096), Oid(4097), "regrole", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(4191), Oid(4192), "regcollation", Repr::Oid, &RegOps),
    TypeInfo::new(Oid(5069), Oid(271), "xid8", Repr::Int8, &Xid8Ops).key(key::unsigned),
];

#[inline]
fn value(datum: &Datum) -> i64 {
    match datum {
        Datum::Int(value) => *value,
        _ => 0,
    }
}

pub fn put(number: i64, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(number).as_bytes());
}

enum Bad {
    Syntax,
    Range,
}

fn digits(text: &str) -> Result<i64, Bad> {
    let body = text.trim_matches(text::is_space).as_bytes();
    let (negative, body) = match body.first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    if body.is_empty() || !body.iter().all(u8::is_ascii_digit) {
        return Err(Bad::Syntax);
    }
    let mut sum = 0i64;
    for &digit in body {
        let digit = i64::from(digit - b'0');
        sum = sum
            .checked_mul(10)
            .and_then(|s| s.checked_sub(digit))
            .ok_or(Bad::Range)?;
    }
    if negative {
        Ok(sum)
    } else {
        sum.checked_neg().ok_or(Bad::Range)
    }
}

/// A decimal integer between `low` and `high`, with PostgreSQL's errors for the type called `name`.
pub fn parse(text: &str, low: i64, high: i64, name: &str) -> Res<i64> {
    match digits(text) {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        Ok(_) | Err(Bad::Range) => fail(
            "22003",
            format!("value \"{text}\" is out of range for type {name}"),
        ),
        Err(Bad::Syntax) => text::syntax(name, text),
    }
}

macro_rules! signed {
    ($ops:ident, $int:ty, $name:literal) => {
        impl TypeOps for $ops {
            fn input(
                &self,
                _info: &TypeInfo,
                text: &str,
                _typmod: i32,
                _settings: &Settings,
            ) -> Res<Datum> {
                parse(text, <$int>::MIN as i64, <$int>::MAX as i64, $name).map(Datum::Int)
            }

            fn output(
                &self,
                _info: &TypeInfo,
                value: &Datum,
                _settings: &Settings,
                out: &mut Vec<u8>,
            ) -> Res<()> {
                put(value.int()?, out);
                Ok(())
            }

            fn recv(
                &self,
                _info: &TypeInfo,
                bytes: &[u8],
                _typmod: i32,
                _settings: &Settings,
            ) -> Res<Datum> {
                Ok(Datum::Int(<$int>::from_be_bytes(wire::exact(bytes)?) as i64))
            }

            fn send(
                &self,
                _info: &TypeInfo,
                value: &Datum,
                _settings: &Settings,
                out: &mut Vec<u8>,
            ) -> Res<()> {
                out.extend_from_slice(&(value.int()? as $int).to_be_bytes());
                Ok(())
            }

            #[inline]
            fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
                value(a).cmp(&value(b))
            }

            #[inline]
            fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
                hash::int(value(datum))
            }
        }
    };
}

signed!(Int2, i16, "smallint");
signed!(Int4, i32, "integer");
signed!(Int8, i64, "bigint");

/// A minus sign wraps around, as far as an int4 goes.
fn unsigned32(text: &str, name: &str) -> Res<i64> {
    let number = match digits(text) {
        Ok(number) => number,
        Err(Bad::Range) => {
            return fail(
                "22003",
                format!("value \"{text}\" is out of range for type {name}"),
            )
        }
        Err(Bad::Syntax) => return text::syntax(name, text),
    };
    if !(i32::MIN as i64..=u32::MAX as i64).contains(&number) {
        return fail(
            "22003",
            format!("value \"{text}\" is out of range for type {name}"),
        );
    }
    Ok(i64::from(number as u32))
}

/// What the 4-byte unsigned types share.
macro_rules! unsigned_common {
    () => {
        fn recv(
            &self,
            _info: &TypeInfo,
            bytes: &[u8],
            _typmod: i32,
            _settings: &Settings,
        ) -> Res<Datum> {
            Ok(Datum::Int(u32::from_be_bytes(wire::exact(bytes)?) as i64))
        }

        fn send(
            &self,
            _info: &TypeInfo,
            value: &Datum,
            _settings: &Settings,
            out: &mut Vec<u8>,
        ) -> Res<()> {
            out.extend_from_slice(&(value.int()? as u32).to_be_bytes());
            Ok(())
        }

        fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
            value(a).cmp(&value(b))
        }

        fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
            hash::int(value(datum))
        }
    };
}

impl TypeOps for OidOps {
    fn input(&self, info: &TypeInfo, text: &str, _typmod: i32, _settings: &Settings) -> Res<Datum> {
        unsigned32(text, info.display).map(Datum::Int)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        put(value.int()?, out);
        Ok(())
    }

    unsigned_common!();
}

impl TypeOps for XidOps {
    fn input(&self, info: &TypeInfo, text: &str, _typmod: i32, _settings: &Settings) -> Res<Datum> {
        unsigned32(text, info.display).map(Datum::Int)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        put(value.int()?, out);
        Ok(())
    }

    fn orderable(&self, _info: &TypeInfo) -> bool {
        false
    }

    unsigned_common!();
}

impl TypeOps for RegOps {
    fn input(&self, info: &TypeInfo, text: &str, _typmod: i32, _settings: &Settings) -> Res<Datum> {
        if text == "-" {
            return Ok(Datum::Int(0));
        }
        unsigned32(text, info.display).map(Datum::Int)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        match value.int()? {
            0 => out.push(b'-'),
            number => put(number, out),
        }
        Ok(())
    }

    unsigned_common!();
}

/// Eight unsigned bytes in an i64.
macro_rules! unsigned8_common {
    () => {
        fn recv(
            &self,
            _info: &TypeInfo,
            bytes: &[u8],
            _typmod: i32,
            _settings: &Settings,
        ) -> Res<Datum> {
            Ok(Datum::Int(i64::from_be_bytes(wire::exact(bytes)?)))
        }

        fn send(
            &self,
            _info: &TypeInfo,
            value: &Datum,
            _settings: &Settings,
            out: &mut Vec<u8>,
        ) -> Res<()> {
            out.extend_from_slice(&value.int()?.to_be_bytes());
            Ok(())
        }

        fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
            (value(a) as u64).cmp(&(value(b) as u64))
        }

        fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
            hash::int(value(datum))
        }
    };
}

impl TypeOps for Xid8Ops {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        match text.trim_matches(text::is_space).parse::<u64>() {
            Ok(number) => Ok(Datum::Int(number as i64)),
            Err(_) => text::syntax("xid8", text),
        }
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice((value.int()? as u64).to_string().as_bytes());
        Ok(())
    }

    unsigned8_common!();
}

fn lsn(text: &str) -> Option<i64> {
    let (high, low) = text.split_once('/')?;
    let half = |part: &str| {
        let fits = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| u64::from_str_radix(part, 16).ok()).flatten()
    };
    Some((half(high)? << 32 | half(low)?) as i64)
}

impl TypeOps for LsnOps {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        match lsn(text) {
            Some(number) => Ok(Datum::Int(number)),
            None => text::syntax("pg_lsn", text),
        }
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let number = value.int()? as u64;
        out.extend_from_slice(format!("{:X}/{:X}", number >> 32, number as u32).as_bytes());
        Ok(())
    }

    unsigned8_common!();
}

/// (block, offset) as block × 65536 + offset.
fn tid(text: &str) -> Option<i64> {
    let inside = text
        .trim_start_matches(text::is_space)
        .strip_prefix('(')?
        .strip_suffix(')')?;
    let (block, offset) = inside.split_once(',')?;
    Some(
        i64::from(block.trim_start().parse::<u32>().ok()?) << 16
            | i64::from(offset.trim_start().parse::<u16>().ok()?),
    )
}

impl TypeOps for TidOps {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        match tid(text) {
            Some(number) => Ok(Datum::Int(number)),
            None => text::syntax("tid", text),
        }
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let number = value.int()?;
        out.extend_from_slice(format!("({},{})", number >> 16, number & 0xffff).as_bytes());
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        let mut reader = wire::Reader::new(bytes);
        let number = i64::from(reader.u32()?) << 16 | i64::from(reader.u16()?);
        reader.end()?;
        Ok(Datum::Int(number))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.extend_from_slice(&value.int()?.to_be_bytes()[2..]);
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(&value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::int(value(datum))
    }
}
