//! Casts between types, by pg_cast's functions, and the length coercions.

use super::arith::{int2, int4, out_of_range};
use super::registry::{pure, Function};
use crate::base::error::{fail, Res};
use crate::types::jsonb::{Kind, View};
use crate::types::{name, oids, registry, text, Datum, Numeric};

fn float_to_int(value: f64, low: f64, high: f64, name: &str) -> Res<Datum> {
    let rounded = value.round_ties_even();
    if rounded.is_nan() || rounded < low || rounded >= high {
        return out_of_range(name);
    }
    Ok(Datum::Int(rounded as i64))
}

fn to2(value: f64) -> Res<Datum> {
    float_to_int(value, -32768.0, 32768.0, "smallint")
}

fn to4(value: f64) -> Res<Datum> {
    float_to_int(value, -2147483648.0, 2147483648.0, "integer")
}

fn to8(value: f64) -> Res<Datum> {
    float_to_int(
        value,
        -9223372036854775808.0,
        9223372036854775808.0,
        "bigint",
    )
}

fn same(args: &[Datum]) -> Res<Datum> {
    Ok(args[0].clone())
}

fn float(args: &[Datum]) -> Res<Datum> {
    Ok(Datum::Float(args[0].int()? as f64))
}

fn single(value: f64) -> Res<Datum> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() {
        return fail("22003", "value out of range: overflow");
    }
    if narrow == 0.0 && value != 0.0 {
        return fail("22003", "value out of range: underflow");
    }
    Ok(Datum::Float(narrow.into()))
}

fn numeric_float(value: &Numeric) -> Res<Datum> {
    let float = value.to_f64();
    if float.is_infinite() && value.is_finite() {
        return fail(
            "22003",
            format!("\"{value}\" is out of range for type double precision"),
        );
    }
    if float == 0.0 && !value.is_zero() && value.is_finite() {
        return fail(
            "22003",
            format!("\"{value}\" is out of range for type double precision"),
        );
    }
    Ok(Datum::Float(float))
}

fn numeric_single(value: &Numeric) -> Res<Datum> {
    let float = value.to_f64();
    let narrow = float as f32;
    if value.is_finite() && (narrow.is_infinite() || (narrow == 0.0 && !value.is_zero())) {
        return fail(
            "22003",
            format!("\"{value}\" is out of range for type real"),
        );
    }
    Ok(Datum::Float(narrow.into()))
}

/// The number inside a jsonb scalar, for casts to number types.
fn json_number(args: &[Datum], target: &str) -> Res<Numeric> {
    let view = View::new(args[0].bytes()?);
    match view.kind()? {
        Kind::Number => view.number(),
        kind => json_refuse(kind, target),
    }
}

fn json_refuse<T>(kind: Kind, target: &str) -> Res<T> {
    let what = match kind {
        Kind::Null => "null",
        Kind::String => "string",
        Kind::Number => "numeric",
        Kind::Bool => "boolean",
        Kind::Array => "array",
        Kind::Object => "object",
    };
    fail(
        "22023",
        format!("cannot cast jsonb {what} to type {target}"),
    )
}

fn json_bool(args: &[Datum]) -> Res<Datum> {
    let view = View::new(args[0].bytes()?);
    match view.kind()? {
        Kind::Bool => Ok(Datum::Bool(view.bool())),
        kind => json_refuse(kind, "boolean"),
    }
}

/// "char" as text: one byte, or nothing for 0.
fn char_text(args: &[Datum]) -> Res<Datum> {
    match args[0].int()? as u8 {
        0 => Ok(Datum::text("")),
        byte if byte.is_ascii() => Ok(Datum::text((byte as char).to_string())),
        byte => Ok(Datum::text(format!("\\{byte:03o}"))),
    }
}

fn trimmed(args: &[Datum]) -> Res<Datum> {
    Ok(Datum::text(text::trimmed(args[0].str()?)))
}

fn length(args: &[Datum]) -> Res<(i32, bool)> {
    Ok((
        args[1].int()? as i32,
        args.get(2).map_or(Ok(false), Datum::bool)?,
    ))
}

/// Length coercions written as functions: (value, typmod).
fn coerce(typ: crate::base::Oid, args: &[Datum]) -> Res<Datum> {
    registry::get(typ)?.coerce(&args[0], args[1].int()? as i32, true)
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("i2toi4", |_, args| same(args)),
    pure("int28", |_, args| same(args)),
    pure("int48", |_, args| same(args)),
    pure("i4toi2", |_, args| int2(args[0].int()?)),
    pure("int82", |_, args| int2(args[0].int()?)),
    pure("int84", |_, args| int4(args[0].int()?)),
    pure("i2tod", |_, args| float(args)),
    pure("i4tod", |_, args| float(args)),
    pure("i8tod", |_, args| float(args)),
    pure("i2tof", |_, args| {
        Ok(Datum::Float((args[0].int()? as f32).into()))
    }),
    pure("i4tof", |_, args| {
        Ok(Datum::Float((args[0].int()? as f32).into()))
    }),
    pure("i8tof", |_, args| {
        Ok(Datum::Float((args[0].int()? as f32).into()))
    }),
    pure("ftod", |_, args| same(args)),
    pure("dtof", |_, args| single(args[0].float()?)),
    pure("dtoi2", |_, args| to2(args[0].float()?)),
    pure("dtoi4", |_, args| to4(args[0].float()?)),
    pure("dtoi8", |_, args| to8(args[0].float()?)),
    pure("ftoi2", |_, args| to2(args[0].float()?)),
    pure("ftoi4", |_, args| to4(args[0].float()?)),
    pure("ftoi8", |_, args| to8(args[0].float()?)),
    pure("int2_numeric", |_, args| {
        Ok(Datum::Numeric(args[0].int()?.into()))
    }),
    pure("int4_numeric", |_, args| {
        Ok(Datum::Numeric(args[0].int()?.into()))
    }),
    pure("int8_numeric", |_, args| {
        Ok(Datum::Numeric(args[0].int()?.into()))
    }),
    pure("float4_numeric", |_, args| {
        Ok(Datum::Numeric(Numeric::from_f32(args[0].float()? as f32)?))
    }),
    pure("float8_numeric", |_, args| {
        Ok(Datum::Numeric(Numeric::from_f64(args[0].float()?)?))
    }),
    pure("numeric_int2", |_, args| {
        Ok(Datum::Int(
            args[0].numeric()?.to_int(-32768, 32767, "smallint")?,
        ))
    }),
    pure("numeric_int4", |_, args| {
        Ok(Datum::Int(args[0].numeric()?.to_int(
            i32::MIN.into(),
            i32::MAX.into(),
            "integer",
        )?))
    }),
    pure("numeric_int8", |_, args| {
        Ok(Datum::Int(args[0].numeric()?.to_i64()?))
    }),
    pure("numeric_float4", |_, args| {
        numeric_single(args[0].numeric()?)
    }),
    pure("numeric_float8", |_, args| {
        numeric_float(args[0].numeric()?)
    }),
    pure("bool_int4", |_, args| {
        Ok(Datum::Int(args[0].bool()?.into()))
    }),
    pure("int4_bool", |_, args| Ok(Datum::Bool(args[0].int()? != 0))),
    pure("booltext", |_, args| {
        Ok(Datum::text(if args[0].bool()? { "true" } else { "false" }))
    }),
    pure("chartoi4", |_, args| {
        Ok(Datum::Int((args[0].int()? as u8 as i8).into()))
    }),
    pure("i4tochar", |_, args| match args[0].int()? {
        value @ -128..=127 => Ok(Datum::Int((value as i8 as u8).into())),
        _ => fail("22003", "\"char\" out of range"),
    }),
    pure("char_text", |_, args| char_text(args)),
    pure("char_bpchar", |_, args| char_text(args)),
    pure("text_char", |_, args| {
        Ok(Datum::Int(name::parse_char(args[0].str()?).into()))
    }),
    pure("name_text", |_, args| same(args)),
    pure("name_bpchar", |_, args| same(args)),
    pure("text_name", |_, args| {
        Ok(Datum::text(name::truncate(args[0].str()?)))
    }),
    pure("bpchar_name", |_, args| {
        Ok(Datum::text(name::truncate(text::trimmed(args[0].str()?))))
    }),
    // char(n) to text, and the one-argument rtrim
    pure("rtrim1", |_, args| trimmed(args)),
    pure("oidtoi8", |_, args| same(args)),
    // The planner's, for casts that PostgreSQL makes by not looking at the sign.
    pure("int4_as_oid", |_, args| {
        Ok(Datum::Int((args[0].int()? as u32).into()))
    }),
    pure("oid_as_int4", |_, args| {
        Ok(Datum::Int((args[0].int()? as i32).into()))
    }),
    pure("i8tooid", |_, args| match args[0].int()? {
        value @ 0..=0xffff_ffff => Ok(Datum::Int(value)),
        _ => fail("22003", "OID out of range"),
    }),
    pure("xid8toxid", |_, args| {
        Ok(Datum::Int((args[0].int()? as u32).into()))
    }),
    pure("varchar", |_, args| {
        let (typmod, explicit) = length(args)?;
        text::to_varchar(&args[0], typmod, explicit)
    }),
    pure("bpchar", |_, args| {
        let (typmod, explicit) = length(args)?;
        Ok(Datum::Text(text::bpchar(args[0].str()?, typmod, explicit)?))
    }),
    pure("time_scale", |_, args| coerce(oids::TIME, args)),
    pure("timetz_scale", |_, args| coerce(oids::TIMETZ, args)),
    pure("timestamp_scale", |_, args| coerce(oids::TIMESTAMP, args)),
    pure("timestamptz_scale", |_, args| {
        coerce(oids::TIMESTAMPTZ, args)
    }),
    pure("interval_scale", |_, args| coerce(oids::INTERVAL, args)),
    pure("jsonb_bool", |_, args| json_bool(args)),
    pure("jsonb_numeric", |_, args| {
        Ok(Datum::Numeric(json_number(args, "numeric")?))
    }),
    pure("jsonb_int2", |_, args| {
        Ok(Datum::Int(
            json_number(args, "smallint")?.to_int(-32768, 32767, "smallint")?,
        ))
    }),
    pure("jsonb_int4", |_, args| {
        Ok(Datum::Int(json_number(args, "integer")?.to_int(
            i32::MIN.into(),
            i32::MAX.into(),
            "integer",
        )?))
    }),
    pure("jsonb_int8", |_, args| {
        Ok(Datum::Int(json_number(args, "bigint")?.to_i64()?))
    }),
    pure("jsonb_float4", |_, args| {
        numeric_single(&json_number(args, "real")?)
    }),
    pure("jsonb_float8", |_, args| {
        numeric_float(&json_number(args, "double precision")?)
    }),
]];
