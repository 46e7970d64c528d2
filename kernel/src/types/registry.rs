//! What the kernel knows of each type, by OID: one table, made at first use from what the types' own files say (`FAMILIES`
//! in `mod.rs` lists them).

use super::settings::Settings;
use super::{arraytype, Datum, FAMILIES, NO_TYPMOD};
use crate::base::error::{fail, unsupported, Res};
use crate::base::Oid;
use ahash::AHashMap;
use std::cmp::Ordering;
use std::sync::OnceLock;

/// How a value lies in a stored row. Fixed-width ones are little-endian and written by the table; the others go through
/// [`super::store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repr {
    /// `Datum::Bool`, 1 byte.
    Bool,
    /// `Datum::Int`, 1 byte, unsigned: "char".
    Char,
    /// `Datum::Int`, 2 bytes.
    Int2,
    /// `Datum::Int`, 4 bytes signed: int4, date.
    Int4,
    /// `Datum::Int`, 4 bytes unsigned: oid, xid, cid, reg*.
    Oid,
    /// `Datum::Int`, 8 bytes: int8, time, timestamp, timestamptz, xid8, pg_lsn, tid.
    Int8,
    /// `Datum::Float`, 4 bytes.
    Float4,
    /// `Datum::Float`, 8 bytes.
    Float8,
    /// `Datum::Text`, UTF-8.
    Text,
    /// `Datum::Bytes`.
    Bytes,
    Numeric,
    /// `Datum::Interval`, 16 bytes: micros i64, days i32, months i32.
    Interval,
    /// `Datum::TimeTz`, 12 bytes: micros i64, zone i32.
    TimeTz,
    /// `Datum::Uuid`, 16 bytes.
    Uuid,
    Array,
    Record,
    /// Never stored: void, any….
    Pseudo,
}

impl Repr {
    /// Bytes in a stored row; `None`: variable.
    pub const fn width(self) -> Option<usize> {
        Some(match self {
            Repr::Bool | Repr::Char => 1,
            Repr::Int2 => 2,
            Repr::Int4 | Repr::Oid | Repr::Float4 => 4,
            Repr::Int8 | Repr::Float8 => 8,
            Repr::TimeTz => 12,
            Repr::Interval | Repr::Uuid => 16,
            Repr::Text
            | Repr::Bytes
            | Repr::Numeric
            | Repr::Array
            | Repr::Record
            | Repr::Pseudo => return None,
        })
    }
}

/// What a type can do. Nulls never reach these.
pub trait TypeOps: Sync {
    /// The text form, as in a literal. `typmod` −1: none.
    fn input(&self, info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum>;
    fn output(
        &self,
        info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()>;
    /// The binary form of the wire, without its length.
    fn recv(&self, info: &TypeInfo, bytes: &[u8], typmod: i32, settings: &Settings) -> Res<Datum>;
    fn send(
        &self,
        info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()>;
    /// Has a default B-tree operator class.
    fn orderable(&self, _info: &TypeInfo) -> bool {
        true
    }
    /// The default B-tree operator class's order. Types without one order in some fixed way.
    fn compare(&self, info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering;
    /// Equal values have equal hashes, across int2/int4/int8 and across text types too.
    fn hash(&self, info: &TypeInfo, value: &Datum) -> u64;
    /// Length coercion to `typmod` (never −1); `explicit` casts truncate where assignments fail.
    fn coerce(&self, _info: &TypeInfo, value: &Datum, _typmod: i32, _explicit: bool) -> Res<Datum> {
        Ok(value.clone())
    }
    /// Python has the text form of a `Repr::Bytes` rather than its bytes.
    fn is_text_in_python(&self) -> bool {
        false
    }
}

/// Append an index key's body for a value (`super::key`).
pub type PutKey = fn(&Datum, &mut Vec<u8>) -> Res<()>;

/// A type, as its own file declares it with `new` and what follows that.
#[derive(Clone, Copy)]
pub struct TypeInfo {
    pub oid: Oid,
    /// pg_type.typname.
    pub name: &'static str,
    /// As format_type() and error messages call it.
    pub display: &'static str,
    pub repr: Repr,
    /// Element type of an array (or of int2vector, oidvector, name), else 0.
    pub elem: Oid,
    /// Array type of this type, else 0.
    pub array: Oid,
    /// pg_type.typlen: bytes, or −1.
    pub len: i16,
    pub ops: &'static dyn TypeOps,
    /// What its comparison functions' names begin with (`uuid_` of `uuid_eq`); empty: the type's name and `_`.
    pub comparisons: &'static str,
    /// Its own form in index keys; `None`: its repr's. Bytes must order as `TypeOps::compare` does.
    pub key: Option<PutKey>,
}

/// Declaring a type.
impl TypeInfo {
    /// `array` 0: there is no array type.
    pub const fn new(
        oid: Oid,
        array: Oid,
        name: &'static str,
        repr: Repr,
        ops: &'static dyn TypeOps,
    ) -> TypeInfo {
        TypeInfo {
            oid,
            name,
            display: name,
            repr,
            elem: Oid(0),
            array,
            len: match repr.width() {
                Some(width) => width as i16,
                None => -1,
            },
            ops,
            comparisons: "",
            key: None,
        }
    }

    /// Where format_type() has another name.
    pub const fn shown(self, display: &'static str) -> TypeInfo {
        TypeInfo { display, ..self }
    }

    /// Where pg_type.typlen is not the width of what is stored.
    pub const fn len(self, len: i16) -> TypeInfo {
        TypeInfo { len, ..self }
    }

    pub const fn elem(self, elem: Oid) -> TypeInfo {
        TypeInfo { elem, ..self }
    }

    pub const fn comparisons(self, comparisons: &'static str) -> TypeInfo {
        TypeInfo {
            comparisons,
            ..self
        }
    }

    pub const fn key(self, key: PutKey) -> TypeInfo {
        TypeInfo {
            key: Some(key),
            ..self
        }
    }

    /// Its array type, made once.
    fn array_type(&self) -> TypeInfo {
        let name = Box::leak(format!("_{}", self.name).into_boxed_str());
        let display = Box::leak(format!("{}[]", self.display).into_boxed_str());
        TypeInfo::new(self.array, Oid(0), name, Repr::Array, &arraytype::Ops)
            .shown(display)
            .elem(self.oid)
    }
}

impl TypeInfo {
    pub fn input(&self, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        self.ops.input(self, text, typmod, settings)
    }

    /// Append the text form. Null is the caller's business.
    pub fn output(&self, value: &Datum, settings: &Settings, out: &mut Vec<u8>) -> Res<()> {
        self.ops.output(self, value, settings, out)
    }

    /// The text form as a string.
    pub fn text(&self, value: &Datum, settings: &Settings) -> Res<String> {
        let mut out = Vec::new();
        self.ops.output(self, value, settings, &mut out)?;
        match String::from_utf8(out) {
            Ok(text) => Ok(text),
            Err(_) => fail(
                "XX000",
                format!("type {} has an output form that is not UTF-8", self.name),
            ),
        }
    }

    pub fn recv(&self, bytes: &[u8], typmod: i32, settings: &Settings) -> Res<Datum> {
        self.ops.recv(self, bytes, typmod, settings)
    }

    /// Append the wire's binary form, without its length.
    pub fn send(&self, value: &Datum, settings: &Settings, out: &mut Vec<u8>) -> Res<()> {
        self.ops.send(self, value, settings, out)
    }

    pub fn orderable(&self) -> bool {
        self.ops.orderable(self)
    }

    /// Order of two values that are not null. Check `orderable` once, before.
    pub fn compare(&self, a: &Datum, b: &Datum) -> Ordering {
        self.ops.compare(self, a, b)
    }

    pub fn equal(&self, a: &Datum, b: &Datum) -> bool {
        self.ops.compare(self, a, b) == Ordering::Equal
    }

    pub fn hash(&self, value: &Datum) -> u64 {
        self.ops.hash(self, value)
    }

    /// Length coercion: varchar(n), char(n), numeric(p,s), timestamp(p)…
    pub fn coerce(&self, value: &Datum, typmod: i32, explicit: bool) -> Res<Datum> {
        if typmod == NO_TYPMOD || value.is_null() {
            return Ok(value.clone());
        }
        self.ops.coerce(self, value, typmod, explicit)
    }

    /// PostgreSQL's name of one of the functions that follow from the type's order: `eq` of uuid is `uuid_eq`.
    /// `None`: its order is not all that there is to it.
    pub fn comparison(&self, function: &str) -> Option<String> {
        if !self.orderable() || matches!(self.repr, Repr::Array | Repr::Record) {
            return None;
        }
        Some(match self.comparisons {
            "" => format!("{}_{function}", self.name),
            prefix => format!("{prefix}{function}"),
        })
    }

    pub fn is_array(&self) -> bool {
        self.repr == Repr::Array
    }
}

/// The type, or 0A000 for one that the kernel doesn't have.
pub fn get(oid: Oid) -> Res<&'static TypeInfo> {
    match find(oid) {
        Some(info) => Ok(info),
        None => unsupported(format_args!("type with OID {oid}")),
    }
}

pub fn find(oid: Oid) -> Option<&'static TypeInfo> {
    let tables = tables();
    match tables.low.get(oid.0 as usize) {
        Some(&0) | None => None,
        Some(&at) => tables.types.get(at as usize - 1),
    }
}

/// By pg_type.typname.
pub fn by_name(name: &str) -> Option<&'static TypeInfo> {
    let tables = tables();
    tables.names.get(name).and_then(|&at| tables.types.get(at))
}

pub fn all() -> &'static [TypeInfo] {
    &tables().types
}

struct Tables {
    types: Vec<TypeInfo>,
    /// OID to position + 1; every built-in type's OID is below 6200.
    low: Vec<u16>,
    names: AHashMap<&'static str, usize>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut types = Vec::new();
        for info in FAMILIES.iter().copied().flatten() {
            types.push(*info);
            if info.array != Oid(0) {
                types.push(info.array_type());
            }
        }
        let mut low = vec![0u16; 6200];
        let mut names = AHashMap::new();
        for (at, info) in types.iter().enumerate() {
            low[info.oid.0 as usize] = at as u16 + 1;
            names.insert(info.name, at);
        }
        Tables { types, low, names }
    })
}
