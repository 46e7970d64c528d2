//! What the kernel knows of each type, by OID: one table, made at first use. A type is one `TypeOps` and one entry here.

use super::oids::*;
use super::settings::Settings;
use super::{
    arraytype, boolean, bytea, date, float, inet, int, interval, json, jsonb, name, numeric,
    record, text, time, timestamp, uuid,
};
use super::{Datum, NO_TYPMOD};
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
    pub fn width(self) -> Option<usize> {
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
}

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
        for &(oid, name, display, repr, len, elem, array, array_name, array_display, ops) in SCALARS
        {
            types.push(TypeInfo {
                oid,
                name,
                display,
                repr,
                elem,
                array,
                len,
                ops,
            });
            if array != Oid(0) {
                types.push(TypeInfo {
                    oid: array,
                    name: array_name,
                    display: array_display,
                    repr: Repr::Array,
                    elem: oid,
                    array: Oid(0),
                    len: -1,
                    ops: &arraytype::Ops,
                });
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

type Entry = (
    Oid,
    &'static str,
    &'static str,
    Repr,
    i16,
    Oid,
    Oid,
    &'static str,
    &'static str,
    &'static dyn TypeOps,
);

const NONE: Oid = Oid(0);

#[rustfmt::skip]
static SCALARS: &[Entry] = &[
    (BOOL, "bool", "boolean", Repr::Bool, 1, NONE, BOOL_ARRAY, "_bool", "boolean[]", &boolean::Ops),
    (BYTEA, "bytea", "bytea", Repr::Bytes, -1, NONE, BYTEA_ARRAY, "_bytea", "bytea[]", &bytea::Ops),
    (CHAR, "char", "\"char\"", Repr::Char, 1, NONE, CHAR_ARRAY, "_char", "\"char\"[]", &name::CharOps),
    (NAME, "name", "name", Repr::Text, 64, CHAR, NAME_ARRAY, "_name", "name[]", &name::NameOps),
    (INT8, "int8", "bigint", Repr::Int8, 8, NONE, INT8_ARRAY, "_int8", "bigint[]", &int::Int8),
    (INT2, "int2", "smallint", Repr::Int2, 2, NONE, INT2_ARRAY, "_int2", "smallint[]", &int::Int2),
    (INT2VECTOR, "int2vector", "int2vector", Repr::Array, -1, INT2, INT2VECTOR_ARRAY, "_int2vector", "int2vector[]", &arraytype::VectorOps),
    (INT4, "int4", "integer", Repr::Int4, 4, NONE, INT4_ARRAY, "_int4", "integer[]", &int::Int4),
    (REGPROC, "regproc", "regproc", Repr::Oid, 4, NONE, REGPROC_ARRAY, "_regproc", "regproc[]", &int::RegOps),
    (TEXT, "text", "text", Repr::Text, -1, NONE, TEXT_ARRAY, "_text", "text[]", &text::TextOps),
    (OID, "oid", "oid", Repr::Oid, 4, NONE, OID_ARRAY, "_oid", "oid[]", &int::OidOps),
    (TID, "tid", "tid", Repr::Int8, 6, NONE, TID_ARRAY, "_tid", "tid[]", &int::TidOps),
    (XID, "xid", "xid", Repr::Oid, 4, NONE, XID_ARRAY, "_xid", "xid[]", &int::XidOps),
    (CID, "cid", "cid", Repr::Oid, 4, NONE, CID_ARRAY, "_cid", "cid[]", &int::XidOps),
    (OIDVECTOR, "oidvector", "oidvector", Repr::Array, -1, OID, OIDVECTOR_ARRAY, "_oidvector", "oidvector[]", &arraytype::VectorOps),
    (JSON, "json", "json", Repr::Text, -1, NONE, JSON_ARRAY, "_json", "json[]", &json::Ops),
    (PG_NODE_TREE, "pg_node_tree", "pg_node_tree", Repr::Text, -1, NONE, NONE, "", "", &text::TextOps),
    (FLOAT4, "float4", "real", Repr::Float4, 4, NONE, FLOAT4_ARRAY, "_float4", "real[]", &float::Float4),
    (FLOAT8, "float8", "double precision", Repr::Float8, 8, NONE, FLOAT8_ARRAY, "_float8", "double precision[]", &float::Float8),
    (UNKNOWN, "unknown", "unknown", Repr::Text, -2, NONE, NONE, "", "", &text::TextOps),
    (ACLITEM, "aclitem", "aclitem", Repr::Text, 12, NONE, ACLITEM_ARRAY, "_aclitem", "aclitem[]", &text::TextOps),
    (BPCHAR, "bpchar", "character", Repr::Text, -1, NONE, BPCHAR_ARRAY, "_bpchar", "character[]", &text::BpcharOps),
    (VARCHAR, "varchar", "character varying", Repr::Text, -1, NONE, VARCHAR_ARRAY, "_varchar", "character varying[]", &text::VarcharOps),
    (DATE, "date", "date", Repr::Int4, 4, NONE, DATE_ARRAY, "_date", "date[]", &date::Ops),
    (TIME, "time", "time without time zone", Repr::Int8, 8, NONE, TIME_ARRAY, "_time", "time without time zone[]", &time::TimeOps),
    (TIMESTAMP, "timestamp", "timestamp without time zone", Repr::Int8, 8, NONE, TIMESTAMP_ARRAY, "_timestamp", "timestamp without time zone[]", &timestamp::Ops),
    (TIMESTAMPTZ, "timestamptz", "timestamp with time zone", Repr::Int8, 8, NONE, TIMESTAMPTZ_ARRAY, "_timestamptz", "timestamp with time zone[]", &timestamp::TzOps),
    (INTERVAL, "interval", "interval", Repr::Interval, 16, NONE, INTERVAL_ARRAY, "_interval", "interval[]", &interval::Ops),
    (TIMETZ, "timetz", "time with time zone", Repr::TimeTz, 12, NONE, TIMETZ_ARRAY, "_timetz", "time with time zone[]", &time::TimeTzOps),
    (NUMERIC, "numeric", "numeric", Repr::Numeric, -1, NONE, NUMERIC_ARRAY, "_numeric", "numeric[]", &numeric::Ops),
    (REFCURSOR, "refcursor", "refcursor", Repr::Text, -1, NONE, REFCURSOR_ARRAY, "_refcursor", "refcursor[]", &text::TextOps),
    (REGPROCEDURE, "regprocedure", "regprocedure", Repr::Oid, 4, NONE, REGPROCEDURE_ARRAY, "_regprocedure", "regprocedure[]", &int::RegOps),
    (REGOPER, "regoper", "regoper", Repr::Oid, 4, NONE, REGOPER_ARRAY, "_regoper", "regoper[]", &int::RegOps),
    (REGOPERATOR, "regoperator", "regoperator", Repr::Oid, 4, NONE, REGOPERATOR_ARRAY, "_regoperator", "regoperator[]", &int::RegOps),
    (REGCLASS, "regclass", "regclass", Repr::Oid, 4, NONE, REGCLASS_ARRAY, "_regclass", "regclass[]", &int::RegOps),
    (REGTYPE, "regtype", "regtype", Repr::Oid, 4, NONE, REGTYPE_ARRAY, "_regtype", "regtype[]", &int::RegOps),
    (RECORD, "record", "record", Repr::Record, -1, NONE, RECORD_ARRAY, "_record", "record[]", &record::Ops),
    (CSTRING, "cstring", "cstring", Repr::Text, -2, NONE, CSTRING_ARRAY, "_cstring", "cstring[]", &text::TextOps),
    (ANY, "any", "\"any\"", Repr::Pseudo, 4, NONE, NONE, "", "", &text::PseudoOps),
    (ANYARRAY, "anyarray", "anyarray", Repr::Pseudo, -1, NONE, NONE, "", "", &text::PseudoOps),
    (VOID, "void", "void", Repr::Pseudo, 4, NONE, NONE, "", "", &text::PseudoOps),
    (ANYELEMENT, "anyelement", "anyelement", Repr::Pseudo, 4, NONE, NONE, "", "", &text::PseudoOps),
    (ANYNONARRAY, "anynonarray", "anynonarray", Repr::Pseudo, 4, NONE, NONE, "", "", &text::PseudoOps),
    (CIDR, "cidr", "cidr", Repr::Bytes, -1, NONE, CIDR_ARRAY, "_cidr", "cidr[]", &inet::CidrOps),
    (INET, "inet", "inet", Repr::Bytes, -1, NONE, INET_ARRAY, "_inet", "inet[]", &inet::InetOps),
    (UUID, "uuid", "uuid", Repr::Uuid, 16, NONE, UUID_ARRAY, "_uuid", "uuid[]", &uuid::Ops),
    (PG_LSN, "pg_lsn", "pg_lsn", Repr::Int8, 8, NONE, PG_LSN_ARRAY, "_pg_lsn", "pg_lsn[]", &int::LsnOps),
    (REGCONFIG, "regconfig", "regconfig", Repr::Oid, 4, NONE, REGCONFIG_ARRAY, "_regconfig", "regconfig[]", &int::RegOps),
    (REGDICTIONARY, "regdictionary", "regdictionary", Repr::Oid, 4, NONE, REGDICTIONARY_ARRAY, "_regdictionary", "regdictionary[]", &int::RegOps),
    (JSONB, "jsonb", "jsonb", Repr::Bytes, -1, NONE, JSONB_ARRAY, "_jsonb", "jsonb[]", &jsonb::Ops),
    (REGNAMESPACE, "regnamespace", "regnamespace", Repr::Oid, 4, NONE, REGNAMESPACE_ARRAY, "_regnamespace", "regnamespace[]", &int::RegOps),
    (REGROLE, "regrole", "regrole", Repr::Oid, 4, NONE, REGROLE_ARRAY, "_regrole", "regrole[]", &int::RegOps),
    (REGCOLLATION, "regcollation", "regcollation", Repr::Oid, 4, NONE, REGCOLLATION_ARRAY, "_regcollation", "regcollation[]", &int::RegOps),
    (XID8, "xid8", "xid8", Repr::Int8, 8, NONE, XID8_ARRAY, "_xid8", "xid8[]", &int::Xid8Ops),
];
